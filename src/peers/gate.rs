//! How many handshakes and joins may be under way. Those from addresses where
//! members are have a room of their own, so that strangers cannot keep a
//! restarted member out.

use crate::limits::{MEMBER_HANDSHAKES_AT_ONCE, STRANGERS_AT_ONCE};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(super) struct Gate {
    members: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
}

/// Holds a place until it is dropped.
pub(super) struct Place {
    _held: OwnedSemaphorePermit,
}

impl Gate {
    pub(super) fn new() -> Self {
        Self {
            members: Arc::new(Semaphore::new(MEMBER_HANDSHAKES_AT_ONCE)),
            strangers: Arc::new(Semaphore::new(STRANGERS_AT_ONCE)),
        }
    }

    /// None where all places are taken.
    pub(super) fn enter(&self, is_from_a_member: bool) -> Option<Place> {
        let room = if is_from_a_member {
            &self.members
        } else {
            &self.strangers
        };
        let held = room.clone().try_acquire_owned().ok()?;
        Some(Place { _held: held })
    }
}
