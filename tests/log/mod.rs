//! The log over a simulated disk.

mod basic;
mod foreign;
mod kit;
