//! Partitions as data: the batches of their records, and what a partition must
//! know of its producers.

pub mod batch;
pub mod producers;
