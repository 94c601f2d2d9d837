//! `dolmen node`: the members of the cluster.

use super::here::Here;
use super::table::Table;
use super::{Failure, print, print_json};
use serde_json::json;

/// List, remove and replace the members of the cluster
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
    /// List the members
    List,
    /// Take a member out for good
    Remove {
        /// Its number, as `node list` shows it
        node: u64,
        /// Also where no other node has what is in some partitions
        #[arg(long)]
        lose_partitions: bool,
    },
    /// Take a dead member out, and make a token for the machine in its place
    Replace {
        /// Its number, as `node list` shows it
        node: u64,
        /// Also where no other node has what is in some partitions
        #[arg(long)]
        lose_partitions: bool,
    },
    /// Hand the leadership to a member
    Transfer {
        /// Its number, as `node list` shows it
        node: u64,
    },
}

pub fn run(args: Args) -> Result<(), Failure> {
    let (answer, says) = match args.what {
        What::List => {
            let answer = args.here.ask(&json!({ "ask": "node_list" }))?;
            let table = members(&answer);
            (answer, table)
        }
        What::Remove {
            node,
            lose_partitions,
        } => {
            let ask = json!({
                "ask": "node_remove", "node": node, "lose_partitions": lose_partitions,
            });
            let answer = args.here.ask(&ask)?;
            (answer, format!("node {node} is no member any more\n"))
        }
        What::Replace {
            node,
            lose_partitions,
        } => {
            let ask = json!({
                "ask": "node_replace", "node": node, "lose_partitions": lose_partitions,
            });
            let answer = args.here.ask(&ask)?;
            let text = |key: &str| answer[key].as_str().unwrap_or("?");
            let says = format!(
                "node {node} is no member any more; until {}, on the machine in its place:\n\
                 dolmen join {}\n",
                text("until"),
                text("token")
            );
            (answer, says)
        }
        What::Transfer { node } => {
            let answer = args
                .here
                .ask(&json!({ "ask": "node_transfer", "node": node }))?;
            let says = match answer["already"] == true {
                true => format!("node {node} leads already\n"),
                false => format!("node {node} leads now\n"),
            };
            (answer, says)
        }
    };
    match args.json {
        true => print_json(&answer),
        false => print(&says),
    }
}

fn members(list: &serde_json::Value) -> String {
    let columns = ["node", "role", "state", "control", "zookeeper", "kafka"];
    let mut table = Table::with_columns(columns);
    for member in list.as_array().into_iter().flatten() {
        let text = |key: &str| member[key].as_str().unwrap_or("-");
        let mut state = match member["heard"].as_bool() {
            Some(true) => "up".to_string(),
            Some(false) => "not heard of".to_string(),
            None => "the leader knows".to_string(),
        };
        if member["will_vote"] == true {
            state += ", will vote";
        }
        if member["leads"] == true {
            state += ", leads";
        }
        if member["here"] == true {
            state += ", this one";
        }
        let node = member["node"].to_string();
        table.row([
            &node,
            text("role"),
            &state,
            text("control"),
            text("zookeeper"),
            text("kafka"),
        ]);
    }
    match list.as_array().is_some_and(Vec::is_empty) {
        true => "this node is by itself: dolmen init makes it the first of a cluster\n".into(),
        false => table.to_string(),
    }
}
