//! Who leads, and what is committed: Raft, by the `raft` package, behind a
//! narrow surface. No type of that package leaves this folder.
//!
//! Pure: ticks, messages and reports go in, a `Ready` of work comes out. It
//! carries bytes and does not know what they mean. The replica alone calls it:
//!
//! 1. `tick`, `step`, `propose`, `read_index` and the reports, as they come.
//! 2. `take_ready` until there is none. The replica sends `send_now`, hands
//!    snapshot, entries and hard state to the log, applies `committed`.
//! 3. `persisted(number)` once the turn is durable, then `send_when_persisted`
//!    leaves. Turns may be in flight while others are taken.
//! 4. `applied(index)` after applying, `compact` after a durable snapshot.
//!
//! A node begins from a `Snapshot`: its own, or, at the founding of a cluster,
//! one of index 1 and term 1 that is the same on each founder. One that joins
//! begins with nothing and receives a snapshot.
//!
//! ```text
//! node      the surface
//! begin     what the disk holds, checked
//! admit     what is refused on the way in
//! turn      work handed out, and told as done
//! window    the end of the log in memory
//! terms     the terms of all entries
//! codec     bytes to messages and entries
//! ```

// The package's messages are built field by field: what they carry beside
// their fields is no concern of ours.
#![allow(clippy::field_reassign_with_default)]

mod admit;
mod begin;
pub mod codec;
mod entry;
mod errors;
mod logger;
mod members;
mod node;
#[cfg(test)]
mod node_tests;
mod ready;
mod settings;
mod terms;
mod turn;
mod window;

pub use codec::{Kind, Unparsed};
pub use entry::{Body, Entry, Hard, Snapshot};
pub use errors::{NotTaken, StepError, Unsound};
pub use members::{MemberStep, Members, MembersChange};
pub use node::Consensus;
pub use ready::{Fetch, PeerStatus, ReadId, Ready, Role, Standing, Status};
pub use settings::Settings;
