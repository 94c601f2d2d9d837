//! Dolmen: one heart with many doors, on one to seven machines of an edge site.
//!
//! The map, top row first. A module names rows below its own only; modules of
//! one row do not name each other. `tests/arrows.rs` holds this.
//!
//! ```text
//! cli        one file per subcommand
//! daemon     composes a node, starts it, drains it, stops it
//! ports      front doors: kafka, operator, zookeeper
//! streams    partitions as data: batches, producers, replicas; and the groups that read them
//! replica    the loop: events in, decisions, effects out
//! log        the segmented append-only log over one journal per device
//! peers      QUIC between nodes
//! state      everything replicated: tree, sessions, members
//! consensus  who leads, and what is committed
//! disk       io_uring files and memory maps, and a simulated disk beside them
//! profile    the hardware profile: read, detect, check
//! wire       bytes: cursor, checksum, bounded frame
//! ids        numbers that mean something, each with a type of its own
//! limits     every bound of the program, with its name and its reason
//! clock      the one place that asks the machine for the time
//! entropy    the one place that asks the machine for chance
//! metrics    counters, gauges and histograms, and their text form
//! planted    faults that tests plant on purpose
//! ```

// The edges: they touch the machine by their nature, so .clippy.toml's list of
// calls that have a home elsewhere is not held against them.
#[allow(clippy::disallowed_methods)]
pub mod cli;
#[allow(clippy::disallowed_methods)]
pub mod daemon;
#[allow(clippy::disallowed_methods)]
pub mod disk;
#[allow(clippy::disallowed_methods)]
pub mod profile;

pub mod clock;
pub mod consensus;
pub mod entropy;
pub mod ids;
pub mod limits;
pub mod log;
pub mod metrics;
pub mod peers;
pub mod planted;
pub mod ports;
pub mod replica;
pub mod state;
pub mod streams;
pub mod wire;
