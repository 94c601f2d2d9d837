//! The Kafka door: the client protocol of Kafka's brokers, on one port, with TLS
//! or without.
//!
//! `messages` knows the bytes, `handlers` what each API means, one file each, by
//! the table that also says which versions are spoken. A handler looks at the
//! cluster by `Site`, at this node's partitions by `Streams`, and changes either
//! through them.
//!
//! Between a socket and a handler stands the gate: `listener` accepts, `socket`
//! reads and writes with TLS or without, `session` decides which request may
//! begin and what is owed, `connection` does what it decides, and `budget` holds
//! the memory of all of them to a bound.

pub mod access;
mod acl_words;
pub mod arriving;
mod bare_token;
pub mod budget;
mod connection;
mod connection_state;
mod counts;
mod door;
pub mod errors;
pub mod handlers;
mod listener;
pub mod messages;
mod quota_words;
pub mod quotas;
mod refused_access;
pub mod sasl;
pub mod scram;
pub mod session;
mod socket;
mod threads;
pub mod topics;

pub use connection_state::{ConnectionState, Standing};
pub use counts::Counts;
pub use door::{Door, Means};
pub use listener::{Limits, Opening, Running, Settings};
pub use threads::Threads;
