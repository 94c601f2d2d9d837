//! `dolmen check-config`: what a start with this file would say of it.

use super::{Failure, print, profile};
use crate::daemon::config::{Config, Sources, profile_folders};
use crate::profile::Machine;
use std::path::PathBuf;

/// Check a configuration file as a start would
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file to check, usually /etc/dolmen/dolmen.toml
    pub file: PathBuf,
}

/// Prints `FILE: ok`, or one line per fault as `file:line:column: message`. The
/// environment is left out: that of a shell is not the daemon's.
pub fn run(args: Args) -> Result<(), Failure> {
    let loaded = Config::load(Sources {
        file: Some(args.file.clone()),
        data: None,
        environment: Vec::new(),
        set: Vec::new(),
        machine: &Machine::here,
        profile_folders: profile_folders(),
    });
    match loaded {
        Ok(loaded) => {
            let notes = loaded.notes.iter().map(|note| format!("note: {note}\n"));
            let notes: String = notes.collect();
            print(&format!("{notes}{}: ok\n", args.file.display()))
        }
        Err(faults) => profile::refused(&faults),
    }
}
