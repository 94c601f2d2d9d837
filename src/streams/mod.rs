//! Partitions as data: the batches of their records, what a partition must know
//! of its producers, how its replicas are kept alike, and the groups of consumers
//! that read them. Nothing of it is opened by the daemon yet.

pub mod batch;
pub mod groups;
pub mod partition;
pub mod producers;
