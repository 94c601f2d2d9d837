//! `dolmen zk ls`: the children of a znode, or everything under it.

use super::super::{Failure, print, print_json};
use super::client::{Client, Trouble};
use super::{Server, joined, node_path};
use crate::ports::zookeeper::codec::{ChildrenWithStat, Watched, code};
use crate::ports::zookeeper::errors;
use serde_json::json;

#[derive(clap::Args)]
pub struct Args {
    /// The znode
    #[arg(default_value = "/", value_parser = node_path)]
    path: Box<str>,
    /// List everything under it, with whole paths
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

pub fn run(args: Args) -> Result<(), Failure> {
    let mut client = args.server.connect()?;
    let listed = match args.recursive {
        true => under(&mut client, &args.path),
        false => children(&mut client, &args.path),
    };
    let listed = listed.map_err(|trouble| format!("{}: {trouble}", args.path))?;
    client.close().map_err(Failure::failed)?;
    match args.json {
        true => print_json(&json!({ "path": args.path, "children": listed })),
        false => {
            let lines: String = listed.iter().map(|name| format!("{name}\n")).collect();
            print(&lines)
        }
    }
}

/// Names, sorted.
pub(super) fn children(client: &mut Client, path: &str) -> Result<Vec<Box<str>>, Trouble> {
    let asked = Watched {
        path: path.into(),
        watch: false,
    };
    let answer: ChildrenWithStat = client.ask(code::GET_CHILDREN2, &asked)?;
    let mut names = answer.names;
    names.sort();
    Ok(names)
}

/// Paths, parents before children and siblings sorted. A node that goes while
/// this walks is passed over, and so are its children.
pub(super) fn under(client: &mut Client, top: &str) -> Result<Vec<Box<str>>, Trouble> {
    let mut paths = Vec::new();
    let mut waiting: Vec<Box<str>> = vec![top.into()];
    while let Some(path) = waiting.pop() {
        let names = match children(client, &path) {
            Err(trouble) if trouble.is(errors::NO_NODE) && *path != *top => continue,
            names => names?,
        };
        // Backwards, so that the first is on top.
        waiting.extend(names.iter().rev().map(|name| joined(&path, name)));
        if *path != *top {
            paths.push(path);
        }
    }
    Ok(paths)
}
