//! `dolmen backup`: the replicated state as one file, and back.

mod create;
mod file;
mod list;
mod restore;
mod stopping;

use super::here::Here;
use super::{Failure, print, print_json};
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

/// Write the replicated state to a file, check such files, and restore one
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    here: Here,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(clap::Subcommand)]
enum What {
    /// Write what is in the coordination service to a file
    ///
    /// All that was acknowledged before is in it: znodes with their data, access
    /// lists, versions and times, quotas, and the cluster's settings. Sessions,
    /// ephemeral znodes, members, tokens and keys are not.
    Create(create::Args),
    /// List backups, and check each from its first byte to its last
    List {
        /// Files, or folders with such files [default: the current folder]
        places: Vec<PathBuf>,
    },
    /// Put what is in a backup into a cluster that holds no znodes yet
    Restore(restore::Args),
}

pub fn run(args: Args) -> Result<(), Failure> {
    match args.what {
        What::Create(create) => create::run(&create, &args.here, args.json),
        What::List { places } => list::run(&places, args.json),
        What::Restore(restore) => restore::run(&restore, &args.here, args.json),
    }
}

/// A line that shows on a terminal how far long work has come.
struct Progress {
    is_shown: bool,
    what: &'static str,
}

impl Progress {
    fn new(what: &'static str) -> Self {
        Self {
            is_shown: io::stderr().is_terminal(),
            what,
        }
    }

    fn show(&self, done: u64, all: u64) {
        if self.is_shown {
            let percent = (done * 100 / all.max(1)).min(100);
            let _ = write!(io::stderr(), "\r\x1b[K{} {percent:2} %", self.what);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// Bytes as a person reads them.
fn size(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} B"),
        10_240..10_485_760 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

/// Enough of a cluster's name to tell it from others.
fn short_id(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}
