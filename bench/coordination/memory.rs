//! What servers hold of memory and disk, idle and with many nodes, and how
//! long they take to answer when they start from nothing and after a kill.

use super::disk_bytes::disk_bytes;
use super::failure::{Failure, pause};
use super::load::{Load, Work};
use super::process::Memory;
use super::table::make_folder;
use super::talk::Verb;
use super::targets::{Cluster, Site, Target};
use serde::Serialize;
use std::path::Path;
use std::time::{Duration, Instant};

const FOLDER: &str = "/bench-many";
const CLIENTS: usize = 16;
const IN_FLIGHT: usize = 16;
/// Nodes that are read back after the restart.
const READ_BACK: u64 = 2_000;
/// A server that has just answered is not idle yet.
const SETTLE: Duration = Duration::from_secs(2);

#[derive(Serialize)]
pub struct Weight {
    pub target: String,
    pub nodes: u64,
    pub cold_start_ms: f64,
    /// Until the last of several nodes answers.
    pub cold_start_all_ms: f64,
    /// One figure a server, in the order of the nodes.
    pub idle: Vec<Memory>,
    pub load_seconds: f64,
    pub full: Vec<Memory>,
    /// Blocks on the disk, all servers together.
    pub disk_mib: f64,
    pub told_of_snapshots: Vec<String>,
    /// All servers killed and started again at once.
    pub restart_ms: f64,
    pub restart_all_ms: f64,
    pub restarted: Vec<Memory>,
}

pub fn measure(target: Target, count: u64, folder: &Path, site: &Site) -> Result<Weight, Failure> {
    let mut cluster = Cluster::start(target, folder, site)?;
    pause(SETTLE)?;
    let idle = weigh(&cluster)?;
    let ways = cluster.ways(FOLDER);
    make_folder(&ways[0])?;
    let load = |work| Load {
        work,
        keys: 0..count,
        clients: CLIENTS,
        in_flight: IN_FLIGHT,
    };
    let loaded = load(Work::Create).so_often(&ways, count)?;
    pause(SETTLE)?;
    let full = weigh(&cluster)?;
    let disk_mib = disk_bytes(cluster.folder())? as f64 / f64::from(1 << 20);
    let told_of_snapshots = cluster.told_of_snapshots()?;
    for place in 0..target.nodes {
        cluster.kill(place)?;
    }
    let begun = Instant::now();
    for place in 0..target.nodes {
        cluster.restart(place)?;
    }
    let (first, all) = cluster.await_answers(begun, Verb::Get, FOLDER)?;
    load(Work::SyncGet).so_often(&ways, READ_BACK)?;
    pause(SETTLE)?;
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    Ok(Weight {
        target: target.name(),
        nodes: count,
        cold_start_ms: ms(cluster.first_answer),
        cold_start_all_ms: ms(cluster.all_answer),
        idle,
        load_seconds: loaded.as_secs_f64(),
        full,
        disk_mib,
        told_of_snapshots,
        restart_ms: ms(first),
        restart_all_ms: ms(all),
        restarted: weigh(&cluster)?,
    })
}

fn weigh(cluster: &Cluster) -> Result<Vec<Memory>, Failure> {
    cluster.pids().into_iter().map(Memory::of).collect()
}

impl Weight {
    pub fn print(&self) {
        let Self { target, nodes, .. } = self;
        println!("\n{target}, {nodes} nodes of 100 B");
        println!(
            "  from nothing to the first answer {:.0} ms, of the last server {:.0} ms",
            self.cold_start_ms, self.cold_start_all_ms
        );
        let print = |what: &str, each: &[Memory]| {
            let mib = |kib: u64| kib as f64 / 1024.0;
            let each: Vec<String> = each
                .iter()
                .map(|one| format!("{:.1} ({:.1})", mib(one.own_kib), mib(one.resident_kib)))
                .collect();
            let each = each.join("  ");
            println!("  {what:<15} {each} MiB a server: RssAnon + RssShmem (VmRSS)");
        };
        print("idle", &self.idle);
        print("with all nodes", &self.full);
        print("after a restart", &self.restarted);
        println!(
            "  loaded in {:.1} s, {:.0} a second; {:.1} MiB on disk, all servers together",
            self.load_seconds,
            *nodes as f64 / self.load_seconds,
            self.disk_mib
        );
        println!(
            "  all killed: first answered get {:.0} ms after the start, of the last server {:.0} ms",
            self.restart_ms, self.restart_all_ms
        );
        if !self.told_of_snapshots.is_empty() {
            println!("  mntr: {}", self.told_of_snapshots.join(", "));
        }
    }
}
