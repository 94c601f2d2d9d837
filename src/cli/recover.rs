//! `dolmen recover`: a cluster whose majority is gone for good begins again
//! from this node. Offline: the daemon is stopped.

use super::{Failure, print, print_json};
use crate::daemon::compose::Sources;
use crate::daemon::recovery;
use serde_json::json;
use std::path::PathBuf;

/// Begin a cluster again from this node, when most of its voters are gone for good
#[derive(clap::Args)]
pub struct Args {
    /// The data folder of the node that is left
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Writes that only the lost nodes held are gone
    #[arg(long)]
    i_accept_that_writes_may_be_lost: bool,
    /// The settings, where they are not at the standard place
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<(), Failure> {
    if !args.i_accept_that_writes_may_be_lost {
        return Err(Failure::wrong_usage(
            "nothing was changed. This makes the node the only voter of its cluster; writes that \
             the others agreed on without it are lost, and a majority that still runs somewhere \
             becomes another cluster with the same name. Where the others are gone for good, type \
             it again with --i-accept-that-writes-may-be-lost",
        ));
    }
    let sources = Sources {
        file: args.config,
        sets: Vec::new(),
    };
    let recovered = recovery::recover(&sources, &args.data)?;
    let removed: Vec<u64> = recovered.removed.iter().map(|node| node.0).collect();
    if args.json {
        return print_json(&json!({
            "node": recovered.node.0,
            "removed": removed,
            "zxid": format!("{:#x}", recovered.zxid.0),
            "nodes": recovered.nodes,
            "held_entries_until": recovered.held.0,
            "known_committed_until": recovered.known_committed.0,
            "term": recovered.term.0,
        }));
    }
    let gone: Vec<String> = removed.iter().map(u64::to_string).collect();
    let gone = match gone.is_empty() {
        true => "nobody else was a member".into(),
        false => format!("no members any more: {}", gone.join(", ")),
    };
    print(&format!(
        "node {} is the only voter of its cluster now; {gone}\n\
         kept: {} nodes up to zxid {:#x}, that is entries up to {}, of which this node knew {} to \
         be agreed on\n\
         lost: whatever the others agreed on behind that\n\
         next: start this node; empty the data folders of the others, and let each join with a \
         token of its own (dolmen token create)\n",
        recovered.node,
        recovered.nodes,
        recovered.zxid.0,
        recovered.held,
        recovered.known_committed
    ))
}
