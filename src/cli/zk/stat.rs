//! `dolmen zk stat`: the figures of a znode.

use super::super::{Failure, print, print_json};
use super::show::{stat_for_people, stat_for_programs};
use super::{Server, node_path};
use crate::ports::zookeeper::codec::{OfStat, Watched, code};
use serde_json::json;

#[derive(clap::Args)]
pub struct Args {
    /// The znode
    #[arg(value_parser = node_path)]
    path: Box<str>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

pub fn run(args: Args) -> Result<(), Failure> {
    let asked = Watched {
        path: args.path.clone(),
        watch: false,
    };
    let OfStat { stat } = args.server.ask_about(&args.path, code::EXISTS, &asked)?;
    match args.json {
        true => print_json(&json!({ "path": args.path, "stat": stat_for_programs(&stat) })),
        false => print(&stat_for_people(&stat).to_string()),
    }
}
