//! The seat by random histories, the clerk against partitions in memory, and
//! what stands on the pages.

mod clerk;
mod histories;
mod pages;
