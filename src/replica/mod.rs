//! The loop: events in, decisions, effects out. One thread owns the consensus
//! and the state.

mod codec;
pub mod desk;
mod leases;
mod session;
mod syncs;
