//! One binary; everything but fuzz/ is a module of it.

// Tests stand outside: they read the tree, make folders, call doors and wait.
#![allow(clippy::disallowed_methods)]

mod arrows;
mod consensus;
mod daemon;
mod doctor;
mod folder;
mod groups;
mod import;
mod kafka_gate;
mod log;
mod pages;
mod profile;
mod sim;
mod state;
mod streams;
mod zookeeper;

/// Whether the full sizes were asked for.
pub fn full() -> bool {
    std::env::var_os("DOLMEN_FULL").is_some_and(|value| value == "1")
}
