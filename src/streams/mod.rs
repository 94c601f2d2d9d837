//! Partitions as data: the batches of their records, what a partition must know
//! of its producers, and how its replicas are kept alike. Nothing of it is
//! opened by the daemon yet.

pub mod batch;
pub mod partition;
pub mod producers;
