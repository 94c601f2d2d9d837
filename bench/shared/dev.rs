//! Dolmen by `dolmen dev`, which writes down what it has started.

use super::failure::Failure;
use super::ports::free_row;
use super::process::{Process, eventually};
use serde::Deserialize;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `dolmen dev` gives node I the ports from base + 100 I on.
const PORTS_PER_NODE: u16 = 100;

/// The nodes as long as the process lives.
pub struct Dev {
    pub process: Process,
    pub nodes: Vec<DevNode>,
}

#[derive(Deserialize)]
struct Written {
    nodes: Vec<DevNode>,
}

#[derive(Deserialize)]
pub struct DevNode {
    pub data: PathBuf,
    pub pid: u32,
    pub config: String,
    pub doors: Doors,
}

/// Each bench knocks at one of them.
#[allow(dead_code)]
#[derive(Deserialize)]
pub struct Doors {
    pub zookeeper: Option<SocketAddr>,
    pub kafka: Option<SocketAddr>,
}

impl Dev {
    pub fn start(
        program: &Path,
        count: usize,
        folder: &Path,
        sets: &[String],
        within: Duration,
    ) -> Result<Self, Failure> {
        let base = free_row(PORTS_PER_NODE * (count as u16 + 1))?;
        let mut argv = vec![program.display().to_string(), "dev".to_owned()];
        let options = [
            ("--nodes", count.to_string()),
            ("--data", folder.display().to_string()),
            ("--base-port", base.to_string()),
        ];
        let sets = sets.iter().map(|set| ("--set", set.clone()));
        let options = options.into_iter().chain(sets);
        argv.extend(options.flat_map(|(name, value)| [name.to_owned(), value]));
        let mut process = Process::start(&argv, folder, &folder.join("dev.log"))?;
        let file = folder.join("cluster.json");
        let written: Written = eventually(within, || {
            process.check()?;
            let lost = |why: String| Failure::Lost(format!("{}: {why}", file.display()));
            let text = fs::read_to_string(&file).map_err(|error| lost(error.to_string()))?;
            serde_json::from_str(&text).map_err(|error| lost(error.to_string()))
        })?;
        if written.nodes.len() != count {
            let found = written.nodes.len();
            let why = format!("cluster.json names {found} nodes in place of {count}");
            return Err(Failure::NotRunning(why));
        }
        Ok(Self {
            process,
            nodes: written.nodes,
        })
    }
}
