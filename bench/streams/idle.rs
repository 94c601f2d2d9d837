//! What partitions cost that nobody writes to: time to make them, memory, disk.

use super::batches::Batch;
use super::disk_bytes::disk_bytes;
use super::failure::{Failure, pause};
use super::flood::{Flood, Load, Until};
use super::process::{Cpu, Memory};
use super::table::all_is_there;
use super::targets::{Cluster, Site, Target};
use super::topic::Topic;
use serde::Serialize;
use std::path::Path;
use std::time::{Duration, Instant};

/// A server that has just answered is not idle yet.
const SETTLE: Duration = Duration::from_secs(3);
const IDLE_FOR: Duration = Duration::from_secs(3);
const RECORD_BYTES: usize = 100;

#[derive(Serialize)]
pub struct Idle {
    pub target: String,
    pub is_dolmen: bool,
    pub partitions: usize,
    /// Until each is led and says where it ends.
    pub made_s: f64,
    /// Of the server that took most.
    pub memory_before_mib: f64,
    pub memory_mib: f64,
    /// Blocks, on a node.
    pub disk_mib: f64,
    /// The same once each has a record, and more where they went ahead.
    pub memory_written_mib: f64,
    pub disk_written_mib: f64,
    /// Of one processor, all servers together, while nobody asks anything.
    pub cpu_percent: f64,
    /// Stopped and started again, until each node answers.
    pub restart_s: f64,
    pub memory_restarted_mib: f64,
}

pub fn measure(
    target: Target,
    partitions: usize,
    folder: &Path,
    site: &Site,
) -> Result<Idle, Failure> {
    let mut cluster = Cluster::start(target, folder, site)?;
    pause(SETTLE)?;
    let (memory_before_mib, disk_before) = (heaviest(&cluster)?, disk_mib(&cluster)?);
    let begun = Instant::now();
    let mut topic = Topic::make(&cluster, "idle", partitions, &[])?;
    let made_s = begun.elapsed().as_secs_f64();
    pause(SETTLE)?;
    let cpu = Cpu::of(&cluster.pids())?;
    pause(IDLE_FOR)?;
    let used = Cpu::of(&cluster.pids())?.since(cpu).servers;
    let memory_mib = heaviest(&cluster)?;
    let disk = disk_mib(&cluster)? - disk_before;
    write_everywhere(&cluster, &topic)?;
    pause(SETTLE)?;
    let mut idle = Idle {
        target: target.name(),
        is_dolmen: target.is_dolmen(),
        partitions,
        made_s,
        memory_before_mib,
        memory_mib,
        disk_mib: disk,
        memory_written_mib: heaviest(&cluster)?,
        disk_written_mib: disk_mib(&cluster)? - disk_before,
        cpu_percent: used / IDLE_FOR.as_secs_f64() * 100.0,
        restart_s: f64::NAN,
        memory_restarted_mib: f64::NAN,
    };
    if target.is_dolmen() {
        cluster.stop()?;
        let begun = Instant::now();
        cluster.start_again()?;
        topic.look_again(&cluster)?;
        idle.restart_s = begun.elapsed().as_secs_f64();
        pause(SETTLE)?;
        idle.memory_restarted_mib = heaviest(&cluster)?;
    }
    Ok(idle)
}

/// One record at a time to each partition in turn, until all have one.
fn write_everywhere(cluster: &Cluster, topic: &Topic) -> Result<(), Failure> {
    let load = Load {
        connections: 4,
        in_flight: 5,
        acks: -1,
        followers: 0,
        until: Until::Everywhere,
    };
    let batch = Batch::make(RECORD_BYTES, 0, 0);
    let mut flood = Flood::open(topic, &[batch], &load)?;
    flood.run(load.until, &cluster.pids())?;
    all_is_there(cluster, topic, &flood.ends())
}

fn heaviest(cluster: &Cluster) -> Result<f64, Failure> {
    let each = cluster.pids().into_iter().map(Memory::of);
    let each: Vec<Memory> = each.collect::<Result<_, _>>()?;
    let most = each.iter().map(|one| one.own_kib).max().unwrap_or(0);
    Ok(most as f64 / 1024.0)
}

/// Of one node: all have the same partitions.
fn disk_mib(cluster: &Cluster) -> Result<f64, Failure> {
    let bytes = disk_bytes(cluster.folder())? as f64;
    Ok(bytes / f64::from(1 << 20) / cluster.nodes.len() as f64)
}

impl Idle {
    pub fn print(&self) {
        println!(
            "{:<16} made in {:.2} s; {:.1} MiB of memory before and {:.1} with them, {:.1} MiB of \
             disk; {:.1} % of one processor",
            self.target,
            self.made_s,
            self.memory_before_mib,
            self.memory_mib,
            self.disk_mib,
            self.cpu_percent
        );
        println!(
            "{:<16} with a record or some in each: {:.1} MiB of memory, {:.1} MiB of disk",
            "", self.memory_written_mib, self.disk_written_mib
        );
        if self.restart_s.is_finite() {
            println!(
                "{:<16} stopped and started: all answer after {:.2} s, {:.1} MiB of memory",
                "", self.restart_s, self.memory_restarted_mib
            );
        }
    }
}
