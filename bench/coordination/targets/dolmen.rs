//! Dolmen by `dolmen dev`, which writes down what it has started; a node that
//! was killed is started again with `dolmen serve` and its own file.

use super::{Node, START_WITHIN, Site, Standing};
use crate::failure::Failure;
use crate::ports::free_row;
use crate::process::{Process, eventually};
use serde::Deserialize;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// `dolmen dev` gives node I the ports from base + 100 I on.
const PORTS_PER_NODE: u16 = 100;

#[derive(Deserialize)]
struct Written {
    nodes: Vec<WrittenNode>,
}

#[derive(Deserialize)]
struct WrittenNode {
    data: PathBuf,
    pid: u32,
    config: String,
    doors: Doors,
}

#[derive(Deserialize)]
struct Doors {
    zookeeper: Option<SocketAddr>,
}

pub(super) fn start(
    count: usize,
    folder: &Path,
    site: &Site,
) -> Result<(Vec<Node>, Option<Process>), Failure> {
    let program = site.dolmen.display().to_string();
    let rows = PORTS_PER_NODE * (count as u16 + 1);
    let base = free_row(rows)?;
    let mut argv = vec![program.clone(), "dev".to_owned()];
    let options = [
        ("--nodes", count.to_string()),
        ("--data", folder.display().to_string()),
        ("--base-port", base.to_string()),
    ];
    argv.extend(
        options
            .into_iter()
            .flat_map(|(name, value)| [name.to_owned(), value]),
    );
    for set in &site.dolmen_set {
        argv.extend(["--set".to_owned(), set.clone()]);
    }
    let mut dev = Process::start(&argv, folder, &folder.join("dev.log"))?;
    let written = folder.join("cluster.json");
    let written: Written = eventually(START_WITHIN, || {
        dev.check()?;
        let text = fs::read_to_string(&written)
            .map_err(|error| Failure::Lost(format!("{}: {error}", written.display())))?;
        serde_json::from_str(&text)
            .map_err(|error| Failure::Lost(format!("{}: {error}", written.display())))
    })?;
    if written.nodes.len() != count {
        let found = written.nodes.len();
        let why = format!("cluster.json names {found} nodes in place of {count}");
        return Err(Failure::NotRunning(why));
    }
    let node = |node: WrittenNode| {
        let why = || Failure::NotRunning("it has no zookeeper door".into());
        let serve = ["serve", "--config", &node.config].map(str::to_owned);
        Ok(Node {
            address: node.doors.zookeeper.ok_or_else(why)?,
            argv: [program.clone()].into_iter().chain(serve).collect(),
            standing: Standing::Of(node.pid),
            starts: Some(node.data.join("dolmen.starts")),
        })
    };
    let nodes: Result<Vec<Node>, Failure> = written.nodes.into_iter().map(node).collect();
    Ok((nodes?, Some(dev)))
}
