//! When each session was last heard of. Only the leader keeps this, in memory:
//! a sign of life never enters the log, the end of a session does.

use crate::ids::SessionId;
use std::collections::BTreeMap;
use std::time::Duration;

/// The leader's table. Empty on every other node.
#[derive(Default)]
pub struct Leases {
    /// Until when each session lives without a further sign.
    until: BTreeMap<SessionId, Lease>,
}

struct Lease {
    timeout: Duration,
    until: Duration,
    /// Its end has been proposed; asked for again after as long once more, in
    /// case the proposal was lost.
    is_ending: bool,
}

impl Leases {
    /// A new leader cannot know when its sessions were last heard of, so each
    /// has its whole timeout from now.
    pub fn begin(&mut self, now: Duration, sessions: impl Iterator<Item = (SessionId, u32)>) {
        self.until.clear();
        for (session, timeout_ms) in sessions {
            self.open(now, session, timeout_ms);
        }
    }

    pub fn end(&mut self) {
        self.until.clear();
    }

    pub fn open(&mut self, now: Duration, session: SessionId, timeout_ms: u32) {
        let timeout = Duration::from_millis(timeout_ms.into());
        let lease = Lease {
            timeout,
            until: now + timeout,
            is_ending: false,
        };
        self.until.insert(session, lease);
    }

    pub fn close(&mut self, session: SessionId) {
        self.until.remove(&session);
    }

    pub fn close_where(&mut self, is_over: impl Fn(&SessionId) -> bool) {
        self.until.retain(|session, _| !is_over(session));
    }

    pub fn touch(&mut self, now: Duration, session: SessionId) {
        // A session whose end is proposed may still be saved: the state
        // decides by the connection that it had, and a sign of life that comes
        // after the proposal comes too late.
        if let Some(lease) = self.until.get_mut(&session)
            && !lease.is_ending
        {
            lease.until = now + lease.timeout;
        }
    }

    /// This process did not run for `gap`: what clients said meanwhile is
    /// still on its way to us, so nobody's silence counts for that time.
    pub fn forgive(&mut self, gap: Duration) {
        for lease in self.until.values_mut() {
            lease.until += gap;
        }
    }

    /// The sessions that are due, each given once per timeout.
    pub fn due(&mut self, now: Duration) -> Vec<SessionId> {
        let mut due = Vec::new();
        for (session, lease) in &mut self.until {
            if lease.until <= now {
                lease.until = now + lease.timeout;
                lease.is_ending = true;
                due.push(*session);
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: SessionId = SessionId(7);

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn with_one() -> Leases {
        let mut leases = Leases::default();
        leases.begin(at(0), [(S, 1000)].into_iter());
        leases
    }

    #[test]
    fn a_silent_session_is_due_after_its_timeout_and_once() {
        let mut leases = with_one();
        assert_eq!(leases.due(at(999)), []);
        assert_eq!(leases.due(at(1000)), [S]);
        assert_eq!(leases.due(at(1500)), []);
        // The proposal may have been lost.
        assert_eq!(leases.due(at(2000)), [S]);
        leases.close(S);
        assert_eq!(leases.due(at(9000)), []);
    }

    #[test]
    fn a_sign_of_life_gives_the_whole_timeout() {
        let mut leases = with_one();
        leases.touch(at(900), S);
        assert_eq!(leases.due(at(1899)), []);
        assert_eq!(leases.due(at(1900)), [S]);
    }

    #[test]
    fn a_new_leader_starts_every_timer_anew() {
        let mut leases = with_one();
        leases.begin(at(990), [(S, 1000)].into_iter());
        assert_eq!(leases.due(at(1989)), []);
    }

    #[test]
    fn a_pause_of_the_leader_is_nobodys_silence() {
        let mut leases = with_one();
        leases.forgive(at(5000));
        assert_eq!(leases.due(at(5999)), []);
        assert_eq!(leases.due(at(6000)), [S]);
    }
}
