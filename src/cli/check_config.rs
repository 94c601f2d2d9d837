//! `dolmen check-config`: what a start with this file would say of it.

use super::Failure;
use crate::daemon::config::{Config, Sources, profile_folders};
use crate::profile::Machine;
use std::path::PathBuf;

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
            for note in loaded.notes {
                println!("note: {note}");
            }
            println!("{}: ok", args.file.display());
            Ok(())
        }
        Err(faults) => {
            for fault in &faults {
                println!("{fault}");
            }
            Err(super::profile::refused(faults.len()))
        }
    }
}
