//! `dolmen import`: moving in from a ZooKeeper, its settings and its data.
//!
//! Files are touched by `folder`, `zookeeper` and `zoo_cfg`; the rest takes
//! bytes and gives a tree, or settings.

pub mod adler;
pub mod folder;
pub mod jute;
pub mod moving;
pub mod properties;
pub mod recover;
pub mod settings;
pub mod snappy;
pub mod snapshot;
pub mod tree;
pub mod txn;
pub mod txnlog;
mod zoo_cfg;
mod zookeeper;

use super::Failure;
use std::path::PathBuf;

/// Move in from a ZooKeeper: its settings (FILE) or its data (zookeeper)
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// A zoo.cfg, to print what carries over as a dolmen.toml
    file: Option<PathBuf>,
    /// Write the dolmen.toml to OUT, which must not be there yet
    #[arg(long, value_name = "OUT")]
    out: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Import the znodes in a ZooKeeper's data folder into the node on this host
    Zookeeper(zookeeper::Args),
}

pub fn run(args: Args) -> Result<(), Failure> {
    match (args.command, args.file) {
        (Some(Command::Zookeeper(args)), _) => zookeeper::run(args),
        (None, Some(file)) => zoo_cfg::run(&file, args.out.as_deref(), args.json),
        (None, None) => Err(Failure::wrong_usage(
            "nothing to import: name a zoo.cfg, or type dolmen import zookeeper --data DIR",
        )),
    }
}
