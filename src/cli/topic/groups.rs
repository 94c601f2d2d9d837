//! `dolmen topic groups`: the groups of consumers, their members and how far
//! they are.

mod delete;
pub(super) mod describe;
pub(super) mod describing;
pub(super) mod list;
mod reset;
pub(super) mod standing;

use crate::cli::Failure;
use crate::cli::kafka::Cluster;

/// List, show, move and delete groups of consumers
///
/// Without a command it lists them.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List the groups
    List,
    /// Show the members of a group, what each reads, and how far the group is
    Describe(describe::Args),
    Reset(reset::Args),
    /// Delete groups that have no members, with the places where they stand
    Delete(delete::Args),
}

pub fn run(args: &Args, cluster: &mut Cluster, is_json: bool) -> Result<(), Failure> {
    match &args.command {
        None | Some(Command::List) => list::run(cluster, is_json),
        Some(Command::Describe(args)) => describe::run(args, cluster, is_json),
        Some(Command::Reset(args)) => reset::run(args, cluster, is_json),
        Some(Command::Delete(args)) => delete::run(args, cluster, is_json),
    }
}
