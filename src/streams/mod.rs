//! Partitions as data: the batches of their records, what a partition must know
//! of its producers, how its replicas are kept alike, what compaction leaves of it,
//! the groups of consumers that read them, transactions, and how old things are by a
//! clock that is set. Those seven are pure;
//! `house` owns the partitions of a node, on the log's thread, and `desk` is the
//! way to it; `follow` is the way between the partitions of nodes; `coordinators`
//! run the groups and transactions on the partitions of internal topics.

pub mod ages;
pub mod batch;
pub mod catch_up;
pub mod compact;
pub mod coordinators;
pub mod desk;
pub mod follow;
pub mod groups;
pub mod house;
mod key;
pub mod partition;
pub mod producers;
pub mod site;
pub mod transactions;
#[cfg(test)]
pub(crate) mod trial;
pub mod view;

pub use desk::Streams;
pub use key::Key;
pub use site::Site;
pub use view::View;
