//! Composes a node, starts it, drains it, stops it.

pub mod config;
