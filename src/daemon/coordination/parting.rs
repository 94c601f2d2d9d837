//! The steps of a stop, in their order: the leadership goes to another, the
//! door is shut, the peers hear goodbye, the log is sealed. Each has its bound,
//! so that a stop ends where no majority is left, too.

use super::{Coordination, held, take};
use crate::ids::NodeId;
use crate::log::Fatal;
use crate::replica::Running;
use std::fmt;
use std::time::Duration;

/// Another leads within milliseconds of being asked. One that is asked and
/// gone costs an election timeout; then the next is.
const HANDING_OVER_MAX: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(2);

/// How the leadership fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handed {
    /// This node does not lead.
    NotOurs,
    /// Nobody is there to lead in its place.
    Nobody,
    To(NodeId),
    /// Nobody took it in time.
    Late,
}

impl fmt::Display for Handed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOurs => f.write_str("another leads already"),
            Self::Nobody => f.write_str("nobody is there to lead in this node's place"),
            Self::To(node) => write!(f, "node {node} leads in this node's place"),
            Self::Late => write!(f, "nobody leads yet in this node's place"),
        }
    }
}

impl Coordination {
    /// Whether there is a leadership to hand on.
    pub async fn leads_others(&self) -> bool {
        let leads = self.shared.look(|replica, _| replica.heir(&[]).is_some());
        leads.await.unwrap_or(false)
    }

    /// Hands the leadership on, and waits until somebody has it: clients that
    /// write meanwhile hardly notice.
    pub async fn hand_over(&self) -> Handed {
        let began = self.shared.clock.monotonic();
        let (mut tried, mut has_led) = (Vec::new(), false);
        while self.shared.clock.monotonic() - began < HANDING_OVER_MAX {
            let before = tried.clone();
            let seen = self.shared.look(move |replica, _| {
                let heir = replica.hand_over(&before);
                (replica.is_leader(), replica.leader(), heir)
            });
            match seen.await {
                None => return Handed::NotOurs,
                Some((true, _, None)) => return Handed::Nobody,
                Some((true, _, Some(heir))) => {
                    has_led = true;
                    if !tried.contains(&heir) {
                        tried.push(heir);
                    }
                }
                Some((false, _, _)) if !has_led => return Handed::NotOurs,
                Some((false, Some(leader), _)) => return Handed::To(leader),
                Some((false, None, _)) => {}
            }
            tokio::time::sleep(PAUSE).await;
        }
        Handed::Late
    }

    /// No connection and no session is taken any more; what was taken is
    /// answered, then each client hears that its connection ends, and keeps its
    /// session.
    pub fn shut_door(&self) {
        if let Some(door) = take(&self.door) {
            door.close();
        }
    }

    pub fn has_peers(&self) -> bool {
        held(&self.closing).is_some()
    }

    pub fn say_goodbye(&self) {
        self.shared.presence.leave();
        if let Some(closing) = take(&self.closing) {
            closing.close();
        }
    }

    pub fn seal(&self) -> Result<(), Fatal> {
        take(&self.running).map_or(Ok(()), Running::close)
    }
}
