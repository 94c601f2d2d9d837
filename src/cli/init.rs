//! `dolmen init`: makes a node the first of a cluster.

use super::here::Here;
use super::{Failure, print, print_json};
use serde_json::json;

/// Make this node the first of a cluster; it keeps its data
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    here: Here,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<(), Failure> {
    let answer = args.here.ask(&json!({ "ask": "init" }))?;
    if args.json {
        return print_json(&answer);
    }
    let cluster = answer["cluster"].as_str().unwrap_or("?");
    let node = &answer["node"];
    match answer["already"] == true {
        true => print(&format!(
            "this is node {node} of cluster {cluster} already\n"
        )),
        false => print(&format!(
            "this is node {node} of the new cluster {cluster}\n\
             next: dolmen token create, and on another machine dolmen join TOKEN\n"
        )),
    }
}
