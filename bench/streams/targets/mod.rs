//! What is measured: Dolmen of one node and of three, and a broker to compare
//! with, each on loopback.

mod dolmen;
mod tansu;

use super::failure::Failure;
use super::line::Line;
use super::process::{Process, eventually, is_alive, signal, wait_until_gone};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

const START_WITHIN: Duration = Duration::from_secs(60);
/// One attempt to get an answer from a server that may not be there.
const TRY_WITHIN: Duration = Duration::from_secs(2);
const DIE_WITHIN: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// Of so many nodes.
    Dolmen(usize),
    /// Keeps all in memory, and answers as if that were safe.
    Tansu,
}

pub const ALL: [Target; 3] = [Target::Dolmen(1), Target::Dolmen(3), Target::Tansu];

impl Target {
    pub fn name(self) -> String {
        match self {
            Self::Dolmen(nodes) => format!("dolmen{nodes}"),
            Self::Tansu => "tansu (memory)".to_owned(),
        }
    }

    pub fn named(text: &str) -> Result<Self, String> {
        match text {
            "dolmen1" => Ok(Self::Dolmen(1)),
            "dolmen3" => Ok(Self::Dolmen(3)),
            "tansu" => Ok(Self::Tansu),
            _ => Err("dolmen1, dolmen3 or tansu".into()),
        }
    }

    pub fn is_dolmen(self) -> bool {
        matches!(self, Self::Dolmen(_))
    }
}

/// Where the programs are, and how they are started.
#[derive(Clone)]
pub struct Site {
    pub dolmen: PathBuf,
    pub dolmen_set: Vec<String>,
    pub tansu: Option<PathBuf>,
}

enum Standing {
    Ours(Process),
    /// A child of `dolmen dev`.
    Of(u32),
    Down,
}

pub struct Node {
    pub address: SocketAddr,
    argv: Vec<String>,
    standing: Standing,
    /// Removed before each start, so that one that is stopped on purpose is
    /// not taken for one that fails to start.
    starts: Option<PathBuf>,
}

impl Node {
    fn pid(&self) -> Option<u32> {
        match &self.standing {
            Standing::Ours(process) => Some(process.pid()),
            Standing::Of(pid) => Some(*pid),
            Standing::Down => None,
        }
    }

    fn check(&mut self) -> Result<(), Failure> {
        match &mut self.standing {
            Standing::Ours(process) => process.check(),
            Standing::Of(pid) if !is_alive(*pid) => {
                Err(Failure::NotRunning(format!("process {pid} has ended")))
            }
            Standing::Of(_) | Standing::Down => Ok(()),
        }
    }
}

pub struct Cluster {
    pub target: Target,
    pub nodes: Vec<Node>,
    folder: PathBuf,
    /// Where `dolmen dev` holds the nodes.
    dev: Option<Process>,
}

impl Cluster {
    /// Starts it in an empty folder and waits until each node answers.
    pub fn start(target: Target, folder: &Path, site: &Site) -> Result<Self, Failure> {
        std::fs::create_dir_all(folder)?;
        let folder = folder.canonicalize()?;
        let (nodes, dev) = match target {
            Target::Dolmen(count) => dolmen::start(count, &folder, site)?,
            Target::Tansu => (tansu::nodes(site)?, None),
        };
        let mut cluster = Self {
            target,
            nodes,
            folder,
            dev,
        };
        if cluster.dev.is_none() {
            cluster.spawn_all()?;
        }
        cluster.await_answers()?;
        Ok(cluster)
    }

    fn spawn_all(&mut self) -> Result<(), Failure> {
        for (place, node) in self.nodes.iter_mut().enumerate() {
            if let Some(starts) = &node.starts {
                // It is there only while a start is young.
                let _ = std::fs::remove_file(starts);
            }
            let log = self.folder.join(format!("node-{}.log", place + 1));
            node.standing = Standing::Ours(Process::start(&node.argv, &self.folder, &log)?);
        }
        Ok(())
    }

    fn await_answers(&mut self) -> Result<(), Failure> {
        for node in &mut self.nodes {
            eventually(START_WITHIN, || {
                node.check()?;
                Line::open(node.address, TRY_WITHIN).map(drop)
            })?;
        }
        Ok(())
    }

    /// Of each partition.
    pub fn replicas(&self) -> usize {
        self.nodes.len().min(3)
    }

    pub fn pids(&self) -> Vec<u32> {
        self.nodes.iter().filter_map(Node::pid).collect()
    }

    /// Asked to leave, as an operator would ask.
    pub fn stop(&mut self) -> Result<(), Failure> {
        for node in &mut self.nodes {
            match &mut node.standing {
                Standing::Ours(process) => process.end(),
                Standing::Of(pid) => {
                    signal(*pid, "TERM")?;
                    wait_until_gone(*pid, DIE_WITHIN)?;
                }
                Standing::Down => {}
            }
            node.standing = Standing::Down;
        }
        Ok(())
    }

    pub fn start_again(&mut self) -> Result<(), Failure> {
        self.spawn_all()?;
        self.await_answers()
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(dev) = &mut self.dev {
            dev.end();
        }
        for node in &mut self.nodes {
            match &mut node.standing {
                Standing::Ours(process) => process.end(),
                // What `dolmen dev` should have ended with itself.
                Standing::Of(pid) if is_alive(*pid) => {
                    let _ = signal(*pid, "KILL");
                }
                Standing::Of(_) | Standing::Down => {}
            }
        }
    }
}
