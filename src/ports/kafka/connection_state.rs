//! What a connection is to the handlers: where it comes from, and who its client
//! has shown to be so far.

use super::access::Principal;
use std::any::Any;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub struct ConnectionState {
    pub from: IpAddr,
    /// By which of the broker's listeners it came.
    pub listener: Arc<str>,
    pub is_encrypted: bool,
    /// Nothing is answered before a SASL conversation has ended well.
    pub needs_sasl: bool,
    standing: Mutex<Standing>,
    is_dismissed: AtomicBool,
    /// By the monotonic clock.
    muted_until_us: AtomicU64,
}

/// How far the client has come in showing who it is.
pub struct Standing {
    pub principal: Principal,
    /// What there is to show has been shown.
    pub is_admitted: bool,
    /// The client asked for its mechanism with the first version of
    /// SaslHandshake: until it is admitted its frames are tokens and nothing
    /// else. They reach SaslAuthenticate all the same.
    pub sends_bare_tokens: bool,
    /// The conversation that is under way.
    pub conversation: Option<Box<dyn Any + Send>>,
}

impl ConnectionState {
    /// `principal` is who the client is without SASL: whom its certificate
    /// names, or nobody.
    pub fn new(
        from: IpAddr,
        listener: Arc<str>,
        is_encrypted: bool,
        needs_sasl: bool,
        principal: Principal,
    ) -> Self {
        let standing = Standing {
            principal,
            is_admitted: !needs_sasl,
            sends_bare_tokens: false,
            conversation: None,
        };
        Self {
            from,
            listener,
            is_encrypted,
            needs_sasl,
            standing: Mutex::new(standing),
            is_dismissed: AtomicBool::new(false),
            muted_until_us: AtomicU64::new(0),
        }
    }

    pub fn principal(&self) -> Principal {
        self.standing().principal.clone()
    }

    pub fn is_admitted(&self) -> bool {
        self.standing().is_admitted
    }

    /// The next frame is a token of SASL's and has no header.
    pub fn expects_bare_token(&self) -> bool {
        let standing = self.standing();
        standing.sends_bare_tokens && !standing.is_admitted
    }

    /// A SASL conversation has ended well.
    pub fn admit(&self, principal: Principal) {
        *self.standing() = Standing {
            principal,
            is_admitted: true,
            sends_bare_tokens: false,
            conversation: None,
        };
    }

    /// The connection is closed once the requests that have begun are answered:
    /// after a conversation that ended badly, or where a producer that wants no
    /// answers is to learn that something is wrong.
    pub fn dismiss(&self) {
        self.is_dismissed.store(true, Ordering::Release);
    }

    pub fn is_dismissed(&self) -> bool {
        self.is_dismissed.load(Ordering::Acquire)
    }

    /// Nothing of the client is heard before, whether it waits by itself or not:
    /// it is over its quota.
    pub fn mute_until(&self, until: Duration) {
        let us = until.as_micros() as u64;
        self.muted_until_us.fetch_max(us, Ordering::AcqRel);
    }

    pub fn muted_until(&self) -> Duration {
        Duration::from_micros(self.muted_until_us.load(Ordering::Acquire))
    }

    /// Held for a step of the conversation, never across an await.
    pub fn standing(&self) -> MutexGuard<'_, Standing> {
        let standing = self.standing.lock();
        standing.unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_must_show_a_name_is_nobody_until_then() {
        let from = IpAddr::from([192, 0, 2, 1]);
        let listener: Arc<str> = "SASL_PLAINTEXT".into();
        let state = ConnectionState::new(from, listener, false, true, Principal::Anonymous);
        state.standing().sends_bare_tokens = true;
        assert!(!state.is_admitted());
        assert_eq!(state.principal(), Principal::Anonymous);

        state.admit(Principal::User("mill".into()));
        assert!(state.is_admitted());
        assert!(!state.standing().sends_bare_tokens);
        assert_eq!(state.principal(), Principal::User("mill".into()));
    }

    #[test]
    fn where_nothing_is_asked_everybody_is_admitted() {
        let from = IpAddr::from([192, 0, 2, 1]);
        let who = Principal::User("CN=mill".into());
        let state = ConnectionState::new(from, "SSL".into(), true, false, who.clone());
        assert!(state.is_admitted());
        assert_eq!(state.principal(), who);
    }
}
