//! The log over a simulated disk.

mod basic;
mod crash;
mod faults;
mod foreign;
mod fresh;
mod kill;
mod kit;
mod memory;
mod mend;
mod real;
mod workload;
