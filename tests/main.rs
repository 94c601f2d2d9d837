//! One binary; everything but fuzz/ is a module of it.

// Tests stand outside: they read the tree, make folders, call doors and wait.
#![allow(clippy::disallowed_methods)]

mod arrows;
mod daemon;
mod log;
mod profile;
