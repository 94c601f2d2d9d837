//! `dolmen serve`: the daemon.

use super::Failure;
use crate::daemon::compose::Sources;
use crate::daemon::node;
use std::path::PathBuf;

/// Run the daemon; what systemd starts
#[derive(clap::Args)]
pub struct Args {
    /// Read settings from FILE instead of /etc/dolmen/dolmen.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Override one setting; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

pub fn run(args: Args) -> Result<(), Failure> {
    let sources = Sources {
        file: args.config,
        sets: args.set,
    };
    Ok(node::run(&sources, "dolmen serve")?)
}
