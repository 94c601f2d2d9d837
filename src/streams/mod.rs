//! Partitions as data, and the groups that read them.

pub mod groups;
