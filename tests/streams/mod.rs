//! The partitions of a node on the log's own thread, over a real disk.

mod house;
mod kit;
mod site;
