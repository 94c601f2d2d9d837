//! `dolmen join`: makes a node a member of a cluster.

use super::here::Here;
use super::{Failure, print, print_json};
use serde_json::json;

/// Make this node a member of the cluster that a token names
#[derive(clap::Args)]
pub struct Args {
    /// What `dolmen token create` printed on a member
    token: String,
    /// Move data that this node holds aside, under a dated name
    #[arg(long)]
    discard: bool,
    #[command(flatten)]
    here: Here,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<(), Failure> {
    let question = json!({ "ask": "join", "token": args.token, "discard": args.discard });
    let answer = args.here.ask(&question)?;
    if args.json {
        return print_json(&answer);
    }
    let node = &answer["node"];
    match answer["already"] == true {
        true => print(&format!("this is node {node} of that cluster already\n")),
        false => print(&format!(
            "this is node {node} now; it starts anew and fetches the cluster's state\n\
             next: dolmen node list\n"
        )),
    }
}
