//! Partitions as data: the batches of their records, what a partition must know
//! of its producers, how its replicas are kept alike, and the groups of consumers
//! that read them. Those four are pure; `house` owns the partitions of a node,
//! on the log's thread, and `desk` is the way to it.

pub mod batch;
pub mod desk;
pub mod groups;
pub mod house;
pub mod partition;
pub mod producers;
pub mod site;
pub mod view;

pub use desk::{Key, Streams};
pub use site::Site;
pub use view::View;
