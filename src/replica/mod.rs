//! The loop: events in, decisions, effects out. One thread owns the consensus
//! and the state.

pub mod desk;
