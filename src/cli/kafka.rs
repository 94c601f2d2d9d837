//! A small client of Kafka's protocol, blocking, with a bound on every wait: for
//! the commands that speak with a Kafka door, ours or any other.
//!
//! `door` is what people type: whom to ask and as whom. A `cluster` holds a
//! `connection` to each broker that was asked for something.

mod cluster;
mod connection;
mod door;
mod login;
mod trouble;

pub use cluster::{At, Cluster, Pace};
pub use door::Door;
pub use trouble::{Trouble, passes};
