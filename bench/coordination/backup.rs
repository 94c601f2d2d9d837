//! What a backup takes, and what it takes from a client that writes: sets of
//! one client with nothing beside them, and beside one backup after the other.

use super::failure::{Failure, pause};
use super::figures::{Round, over};
use super::load::{Load, Work};
use super::median::median;
use super::options::Options;
use super::process::Memory;
use super::table::make_folder;
use super::targets::{Cluster, Kind, Site, Target};
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

const FOLDER: &str = "/bench-many";
const CLIENTS: usize = 16;
const IN_FLIGHT: usize = 16;
const SETTLE: Duration = Duration::from_secs(2);
/// How often the memory of the servers is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

#[derive(Serialize)]
pub struct Beside {
    pub target: String,
    pub nodes: u64,
    pub quiet: Round,
    pub beside: Round,
    /// Each from the start of the command to its end.
    pub seconds: Vec<f64>,
    pub file_bytes: u64,
    /// The node's that is asked for it, before the first and at its most.
    pub own_kib_before: u64,
    pub own_kib_most: u64,
}

/// Nothing where the target has no backups to make while it serves.
pub fn measure(
    target: Target,
    options: &Options,
    folder: &Path,
    site: &Site,
) -> Result<Option<Beside>, Failure> {
    if target.kind != Kind::Dolmen {
        return Ok(None);
    }
    let cluster = Cluster::start(target, folder, site)?;
    let ways = cluster.ways(FOLDER);
    make_folder(&ways[0])?;
    let load = |work, clients, in_flight| Load {
        work,
        keys: 0..options.nodes,
        clients,
        in_flight,
    };
    load(Work::Create, CLIENTS, IN_FLIGHT).so_often(&ways, options.nodes)?;
    pause(SETTLE)?;
    let asked = cluster.pids()[0];
    let own_kib_before = Memory::of(asked)?.own_kib;
    let time = Duration::from_secs_f64(options.seconds);
    let sets = || load(Work::Set, 1, 1).for_a_time(&ways, time, &cluster.pids());
    let maker = Maker {
        program: site.dolmen.clone(),
        data: cluster.folder().to_path_buf(),
        file: folder.join("bench.backup"),
        asked,
    };
    let (mut quiet, mut beside) = (Vec::new(), Vec::new());
    let mut made = Made::default();
    for _ in 0..options.rounds {
        quiet.push(sets()?.round);
        let (round, more) = maker.beside(|| Ok(sets()?.round))?;
        beside.push(round);
        made.take(more);
    }
    Ok(Some(Beside {
        target: target.name(),
        nodes: options.nodes,
        quiet: over(&quiet),
        beside: over(&beside),
        seconds: made.seconds,
        file_bytes: fs::metadata(&maker.file)?.len(),
        own_kib_before,
        own_kib_most: made.own_kib_most,
    }))
}

struct Maker {
    program: PathBuf,
    data: PathBuf,
    file: PathBuf,
    asked: u32,
}

#[derive(Default)]
struct Made {
    seconds: Vec<f64>,
    own_kib_most: u64,
}

impl Made {
    fn take(&mut self, more: Self) {
        self.seconds.extend(more.seconds);
        self.own_kib_most = self.own_kib_most.max(more.own_kib_most);
    }
}

impl Maker {
    /// One backup after the other while something else is done.
    fn beside<T>(&self, work: impl FnOnce() -> Result<T, Failure>) -> Result<(T, Made), Failure> {
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let making = scope.spawn(|| self.until(&is_over));
            let done = work();
            is_over.store(true, Relaxed);
            let made = making.join().expect("it does not panic")?;
            Ok((done?, made))
        })
    }

    fn until(&self, is_over: &AtomicBool) -> Result<Made, Failure> {
        let mut made = Made::default();
        while !is_over.load(Relaxed) {
            let begun = Instant::now();
            self.make(&mut made.own_kib_most)?;
            made.seconds.push(begun.elapsed().as_secs_f64());
        }
        Ok(made)
    }

    fn make(&self, own_kib_most: &mut u64) -> Result<(), Failure> {
        let mut command = Command::new(&self.program)
            .args(["backup", "create", "--force", "--json", "-o"])
            .arg(&self.file)
            .arg("--data")
            .arg(&self.data)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        let status = loop {
            if let Some(status) = command.try_wait()? {
                break status;
            }
            *own_kib_most = Memory::of(self.asked)?.own_kib.max(*own_kib_most);
            std::thread::sleep(LOOK_EVERY);
        };
        match status.success() {
            true => Ok(()),
            false => Err(Failure::Lost(format!("backup create ends with {status}"))),
        }
    }
}

impl Beside {
    pub fn print(&self) {
        let Self { target, nodes, .. } = self;
        let seconds = &self.seconds;
        let mib = |kib: u64| kib as f64 / 1024.0;
        println!(
            "\n{target}, {nodes} nodes of 100 B: a backup takes {:.2} s (median of {}), {:.1} MiB",
            median(seconds.clone()),
            seconds.len(),
            self.file_bytes as f64 / f64::from(1 << 20)
        );
        for (what, round) in [("nothing", &self.quiet), ("backups", &self.beside)] {
            println!(
                "  sets of one client beside {what}: p50 {:.2} ms, p99 {:.2} ms, max {:.1} ms",
                round.p50_us / 1e3,
                round.p99_us / 1e3,
                round.max_us / 1e3
            );
        }
        println!(
            "  RssAnon + RssShmem of the node that is asked: {:.1} MiB before, {:.1} at most",
            mib(self.own_kib_before),
            mib(self.own_kib_most)
        );
    }
}
