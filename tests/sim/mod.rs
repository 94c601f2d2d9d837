//! A cluster in one process and one thread: the real replica, consensus, state
//! and log over simulated disks, peers, clock and chance.

mod basic;
mod cluster;
mod watches;
