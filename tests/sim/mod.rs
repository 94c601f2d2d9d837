//! A cluster in one process and one thread: the real replica, consensus, state
//! and log over simulated disks, peers, clock and chance.
//!
//! ```text
//! quiet     nodes without faults, for scripts: basic, farewell, lacking, topics
//! world     the world of one seed: what happens next
//! node      one machine
//! faults    what goes wrong
//! clients   who asks; wishes: for what; link: over which connection
//! checks    what must hold after each turn and at the end
//! history   what must hold of all that clients heard
//! seeds     runs of many seeds
//! planted   that the checks find what is planted
//! releases  seeds of mixed releases; upgrades: stories of them
//! ```

mod basic;
mod checks;
mod clients;
mod farewell;
mod faults;
mod history;
mod lacking;
mod link;
mod node;
mod planted;
mod quiet;
mod releases;
mod seeds;
mod topics;
mod upgrades;
mod watches;
mod wishes;
mod world;
