//! Composes a node, starts it, drains it, stops it.
//!
//! `node` is the order of a life; `compose` fills what each part needs from
//! the settings. The rest are the parts that only a daemon has.

pub mod admin;
pub mod ask;
pub mod backup;
pub mod chronicle;
pub mod compose;
pub mod config;
mod coordination;
pub mod data_folder;
pub mod doctor;
pub mod engine_memo;
mod eventlog;
pub mod import;
pub mod journal;
pub mod lock;
pub mod logs;
pub mod membership;
pub mod node;
mod notify;
mod open_files;
pub mod place;
mod presence;
pub mod probe;
pub mod quick_failures;
pub mod recovery;
pub mod refused;
pub mod release;
mod standing;
pub mod tune;
