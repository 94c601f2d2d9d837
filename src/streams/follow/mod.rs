//! How the partitions of a cluster are kept alike: followers pull from leaders,
//! over a stream of each pair's own on the bulk plane.
//!
//! ```text
//! codec     what is said, as bytes
//! batches   what was sent, before it is believed
//! plane     the thread of all that follows, and its streams
//! pull      a follower's end: asks out, answers in
//! serve     a leader's end: asks in, answers out
//! reading   the bytes of an answer, from the log
//! calls     questions besides, each on a stream of its own
//! ```
//!
//! Who asks for what, and what that means, is decided on the log's thread
//! (`house`, `partition`); here it is carried. A follower has one ask out for a
//! partition, which stands at the leader until there is something to answer it
//! with; between, it says how far it is durable, for that is what the leader
//! counts. What is lost with a stream is asked for again on the next: an answer
//! bears the number of its ask, and one to any other ask is passed over.

mod batches;
mod calls;
pub mod codec;
mod plane;
mod pull;
mod reading;
mod serve;

pub use batches::check;
pub use calls::{Callee, Unreached};
pub use codec::Asked;
pub use plane::{Between, Way};
pub use reading::read;

use super::Key;
use super::batch::stored::Stored;
use super::partition::{Answer, Ask};
use crate::ids::{NodeId, Offset};
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// Takes what this node asks of a leader. Called on the log's thread: it must be
/// brief.
pub type Tell = Arc<dyn Fn(NodeId, Asked) + Send + Sync>;

/// What an ask came to, for who adds the records.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    pub key: Key,
    pub number: u64,
    pub ask: Ask,
    pub answer: Answer,
    /// The leader's log has taken in all up to here, and refuses none of it any
    /// more.
    pub until: Offset,
}

/// A leader's answer, with batches that were found good.
pub struct Told {
    pub key: Key,
    pub number: u64,
    pub answer: Answer,
    pub batches: Vec<u8>,
    /// Of each of them.
    pub stored: Vec<Stored>,
    /// Given back once they are durable.
    pub room: Option<OwnedSemaphorePermit>,
}
