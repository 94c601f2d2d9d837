//! `dolmen zk set`: new data for a znode.

use super::super::{Failure, print_json};
use super::show::stat_for_programs;
use super::{Server, data, node_path};
use crate::ports::zookeeper::codec::{OfStat, SetDataRequest, code};
use serde_json::json;

#[derive(clap::Args)]
pub struct Args {
    /// The znode
    #[arg(value_parser = node_path)]
    path: Box<str>,
    /// Its data: text, @FILE, or - for standard input
    #[arg(allow_hyphen_values = true)]
    data: String,
    /// Set it only where it has this version
    #[arg(long, value_name = "N", default_value_t = -1, allow_hyphen_values = true)]
    version: i32,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

pub fn run(args: Args) -> Result<(), Failure> {
    let request = SetDataRequest {
        path: args.path.clone(),
        data: data::read(&args.data)?,
        version: args.version,
    };
    let OfStat { stat } = args
        .server
        .ask_about(&args.path, code::SET_DATA, &request)?;
    match args.json {
        true => print_json(&json!({ "path": args.path, "stat": stat_for_programs(&stat) })),
        false => Ok(()),
    }
}
