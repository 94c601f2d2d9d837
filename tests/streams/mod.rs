//! The partitions of a node on the log's own thread, over a real disk, and those
//! of three nodes in one, over simulated disks.

mod compaction;
mod cuts;
mod house;
mod kit;
mod replicas;
mod site;
