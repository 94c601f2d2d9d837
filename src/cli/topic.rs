//! `dolmen topic`: a client of the Kafka door, or of any broker that speaks the
//! protocol.

mod alike;
mod alter;
mod consume;
mod create;
mod delete;
mod describe;
mod format;
mod groups;
mod lag;
mod list;
mod meter;
mod moment;
mod offsets;
mod point;
mod produce;
mod replicas;
mod setting;
mod shape;
mod sizes;

use super::Failure;
use super::kafka::Door;

/// Make, show and change topics, and write and read their records
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    door: Door,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List the topics
    List(list::Args),
    /// Make a topic
    Create(create::Args),
    /// Show the partitions and the settings of topics
    Describe(describe::Args),
    /// Change the settings of a topic, or give it more partitions
    Alter(alter::Args),
    /// Delete topics with all that is in them
    Delete(delete::Args),
    Produce(produce::Args),
    Consume(consume::Args),
    Groups(groups::Args),
    /// Show how far groups of consumers are behind
    Lag(lag::Args),
}

pub fn run(args: Args) -> Result<(), Failure> {
    let Args {
        command,
        door,
        json,
    } = args;
    let mut cluster = door.open()?;
    match command {
        Command::List(args) => list::run(&args, &mut cluster, json),
        Command::Create(args) => create::run(&args, &mut cluster, json),
        Command::Describe(args) => describe::run(&args, &mut cluster, json),
        Command::Alter(args) => alter::run(&args, &mut cluster, json),
        Command::Delete(args) => delete::run(&args, &mut cluster, json),
        Command::Produce(args) => produce::run(&args, cluster, json),
        Command::Consume(args) => consume::run(&args, cluster, json),
        Command::Groups(args) => groups::run(&args, &mut cluster, json),
        Command::Lag(args) => lag::run(&args, &mut cluster, json),
    }
}
