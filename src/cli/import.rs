//! `dolmen import`: moving in from a ZooKeeper, its settings and its data.
//!
//! Everything but `folder`, `zookeeper` and `zoo_cfg` is pure: bytes in, a
//! tree out.

pub mod adler;
pub mod folder;
pub mod jute;
pub mod moving;
pub mod recover;
pub mod snappy;
pub mod snapshot;
pub mod tree;
pub mod txn;
pub mod txnlog;
mod zookeeper;

use super::Failure;

/// Move in from a ZooKeeper: its settings (FILE) or its data (zookeeper)
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Import the znodes in a ZooKeeper's data folder into the node on this host
    Zookeeper(zookeeper::Args),
}

pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Some(Command::Zookeeper(args)) => zookeeper::run(args),
        None => Err(Failure::wrong_usage("nothing to import")),
    }
}
