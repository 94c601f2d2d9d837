//! What is measured: Dolmen, ZooKeeper and etcd, of one node and of three,
//! each a cluster of processes on loopback.

mod dolmen;
mod etcd;
mod zookeeper;

use super::etcd as etcd_client;
use super::failure::Failure;
use super::line::Line;
use super::process::{Process, eventually, is_alive, signal, wait_until_gone};
use super::talk::{Protocol, Verb, Way};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A JVM with a hundred thousand nodes needed 14 s on a busy machine.
pub const START_WITHIN: Duration = Duration::from_secs(90);
/// One attempt to get an answer from a server that may not be there.
const TRY_WITHIN: Duration = Duration::from_secs(2);
/// From the kill to the end of the process.
const DIE_WITHIN: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Dolmen,
    ZooKeeper,
    Etcd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    pub kind: Kind,
    pub nodes: usize,
}

pub const ALL: [Target; 6] = {
    const fn of(kind: Kind, nodes: usize) -> Target {
        Target { kind, nodes }
    }
    [
        of(Kind::Dolmen, 1),
        of(Kind::ZooKeeper, 1),
        of(Kind::Etcd, 1),
        of(Kind::Dolmen, 3),
        of(Kind::ZooKeeper, 3),
        of(Kind::Etcd, 3),
    ]
};

impl Target {
    pub fn name(self) -> String {
        let kind = match self.kind {
            Kind::Dolmen => "dolmen",
            Kind::ZooKeeper => "zookeeper",
            Kind::Etcd => "etcd",
        };
        format!("{kind}{}", self.nodes)
    }

    pub fn named(name: &str) -> Result<Self, String> {
        let found = ALL.into_iter().find(|target| target.name() == name);
        found.ok_or_else(|| {
            let all: Vec<String> = ALL.iter().map(|target| target.name()).collect();
            format!("one of {}", all.join(", "))
        })
    }
}

/// What differs between two clusters of one target.
#[derive(Clone, Debug)]
pub struct Site {
    pub dolmen: PathBuf,
    /// `--set` of `dolmen dev`.
    pub dolmen_set: Vec<String>,
    pub zookeeper_tick_ms: u32,
}

enum Standing {
    /// A child of ours.
    Ours(Process),
    /// A child of `dolmen dev`.
    Of(u32),
    Down,
}

pub struct Node {
    pub address: SocketAddr,
    argv: Vec<String>,
    standing: Standing,
    /// Removed before each start: a node that was killed three times within a
    /// minute keeps its doors shut for a while, and here it is killed on
    /// purpose.
    starts: Option<PathBuf>,
}

impl Node {
    pub fn pid(&self) -> Option<u32> {
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
    /// From nothing to the first answer, and to that of the last node.
    pub first_answer: Duration,
    pub all_answer: Duration,
}

impl Cluster {
    /// Starts it in an empty folder and waits until each node answers.
    pub fn start(target: Target, folder: &Path, site: &Site) -> Result<Self, Failure> {
        std::fs::create_dir_all(folder)?;
        let folder = folder.canonicalize()?;
        let begun = Instant::now();
        let (nodes, dev) = match target.kind {
            Kind::Dolmen => dolmen::start(target.nodes, &folder, site)?,
            Kind::ZooKeeper => (zookeeper::nodes(target.nodes, &folder, site)?, None),
            Kind::Etcd => (etcd::nodes(target.nodes, &folder)?, None),
        };
        let mut cluster = Self {
            target,
            nodes,
            folder,
            dev,
            first_answer: Duration::ZERO,
            all_answer: Duration::ZERO,
        };
        if cluster.dev.is_none() {
            for place in 0..target.nodes {
                cluster.spawn(place)?;
            }
        }
        (cluster.first_answer, cluster.all_answer) =
            cluster.await_answers(begun, Verb::Look, "")?;
        Ok(cluster)
    }

    fn spawn(&mut self, place: usize) -> Result<(), Failure> {
        let log = self.folder.join(format!("node-{}.log", place + 1));
        let process = Process::start(&self.nodes[place].argv, &self.folder, &log)?;
        self.nodes[place].standing = Standing::Ours(process);
        Ok(())
    }

    /// Until the first node answers this read, and until the last does. They
    /// are asked at the same time, each anew until it answers.
    pub fn await_answers(
        &mut self,
        begun: Instant,
        verb: Verb,
        folder: &str,
    ) -> Result<(Duration, Duration), Failure> {
        let ways = self.ways(folder);
        let took: Result<Vec<Duration>, Failure> = std::thread::scope(|scope| {
            let ask = |(node, way): (&mut Node, Way)| {
                eventually(START_WITHIN, || {
                    node.check()?;
                    answers(&way, verb)
                })?;
                Ok(begun.elapsed())
            };
            let each = self.nodes.iter_mut().zip(ways);
            let all: Vec<_> = each.map(|one| scope.spawn(move || ask(one))).collect();
            all.into_iter()
                .map(|one| one.join().expect("asking does not panic"))
                .collect()
        });
        let took = took?;
        let first = took.iter().min().expect("one node at least");
        let last = took.iter().max().expect("one node at least");
        Ok((*first, *last))
    }

    /// The ways to all nodes, in their order.
    pub fn ways(&self, folder: &str) -> Vec<Way> {
        self.nodes
            .iter()
            .map(|node| self.way(node, folder))
            .collect()
    }

    pub fn way(&self, node: &Node, folder: &str) -> Way {
        Way {
            protocol: match self.target.kind {
                Kind::Dolmen | Kind::ZooKeeper => Protocol::ZooKeeper,
                Kind::Etcd => Protocol::Etcd,
            },
            address: node.address,
            folder: folder.to_owned(),
        }
    }

    pub fn pids(&self) -> Vec<u32> {
        self.nodes.iter().filter_map(Node::pid).collect()
    }

    /// As the power would: no time to say anything.
    pub fn kill(&mut self, place: usize) -> Result<(), Failure> {
        match &mut self.nodes[place].standing {
            Standing::Ours(process) => process.kill(),
            Standing::Of(pid) => {
                signal(*pid, "KILL")?;
                wait_until_gone(*pid, DIE_WITHIN)?;
            }
            Standing::Down => {}
        }
        self.nodes[place].standing = Standing::Down;
        Ok(())
    }

    pub fn restart(&mut self, place: usize) -> Result<(), Failure> {
        assert!(self.nodes[place].pid().is_none(), "only what is down");
        if let Some(starts) = &self.nodes[place].starts {
            // It is there only while a start is young.
            let _ = std::fs::remove_file(starts);
        }
        self.spawn(place)
    }

    /// The node that leads, as the nodes themselves say.
    pub fn leader(&self) -> Result<usize, Failure> {
        let mut leading = None;
        for (place, node) in self.nodes.iter().enumerate() {
            if self.leads(node)? && leading.replace(place).is_some() {
                return Err(Failure::Answered("two nodes say that they lead".into()));
            }
        }
        leading.ok_or_else(|| Failure::Answered("no node says that it leads".into()))
    }

    fn leads(&self, node: &Node) -> Result<bool, Failure> {
        let mut stream = TcpStream::connect_timeout(&node.address, TRY_WITHIN)?;
        stream.set_read_timeout(Some(TRY_WITHIN))?;
        if self.target.kind == Kind::Etcd {
            return etcd_client::leads(&mut stream);
        }
        let text = four_letters(&mut stream, "srvr")?;
        let mode = text.lines().find_map(|line| line.strip_prefix("Mode: "));
        mode.map(|mode| matches!(mode.trim(), "leader" | "standalone"))
            .ok_or_else(|| Failure::Answered(format!("srvr without a mode: {:?}", text.trim())))
    }

    /// As the first node says it.
    pub fn version(&self) -> Result<String, Failure> {
        let text = match self.target.kind {
            Kind::Etcd => {
                let told = Command::new("etcd").arg("--version").output()?;
                String::from_utf8_lossy(&told.stdout).into_owned()
            }
            Kind::Dolmen | Kind::ZooKeeper => {
                let address = &self.nodes[0].address;
                let mut stream = TcpStream::connect_timeout(address, TRY_WITHIN)?;
                stream.set_read_timeout(Some(TRY_WITHIN))?;
                four_letters(&mut stream, "srvr")?
            }
        };
        let line = text.lines().next().unwrap_or("says no version");
        Ok(line.to_owned())
    }

    /// What the first node counts of its snapshots, where it counts any.
    pub fn told_of_snapshots(&self) -> Result<Vec<String>, Failure> {
        if self.target.kind == Kind::Etcd {
            return Ok(Vec::new());
        }
        let mut stream = TcpStream::connect_timeout(&self.nodes[0].address, TRY_WITHIN)?;
        stream.set_read_timeout(Some(TRY_WITHIN))?;
        let text = four_letters(&mut stream, "mntr")?;
        let told = text.lines().filter_map(|line| line.split_once('\t'));
        let lines = told.filter(|(name, value)| {
            name.contains("snap") && value.parse::<f64>().is_ok_and(|value| value != 0.0)
        });
        Ok(lines
            .map(|(name, value)| format!("{name} {value}"))
            .collect())
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Cluster {
    /// A stopped process hears nothing but CONT and KILL.
    fn drop(&mut self) {
        let pids = self.pids();
        for pid in &pids {
            let _ = signal(*pid, "CONT");
        }
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

fn answers(way: &Way, verb: Verb) -> Result<(), Failure> {
    let mut line = Line::open(way, TRY_WITHIN)?;
    line.call(verb, 0, TRY_WITHIN)?;
    line.part();
    Ok(())
}

fn four_letters(stream: &mut TcpStream, word: &str) -> Result<String, Failure> {
    stream.write_all(word.as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}
