//! What can be asked of the bench.

use super::fanout::Lasts;
use super::load::Work;
use super::table::Cell;
use super::targets::{ALL, Target};
use clap::{Parser, ValueEnum};
use std::path::PathBuf;

/// Measures the coordination service beside ZooKeeper and etcd.
///
/// Needs Debian's packages zookeeper and etcd-server for the others, and a
/// release build of dolmen. What cannot be started is named with its reason
/// and left out.
///
/// Clients are spread evenly over the nodes of a target. `get` is what a node
/// answers from what it has (etcd: serializable); `sync+get` is at least as
/// new as the moment it was asked (etcd: its ordinary, linearizable Range),
/// and counts as one operation. `create` on etcd is a Put of a new key.
#[derive(Parser)]
pub struct Options {
    /// What is measured beside each other, in place of all six
    #[arg(long, value_name = "A,B", value_delimiter = ',', value_parser = Target::named)]
    targets: Vec<Target>,
    /// Only these parts
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Cells of the table
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Work::Create, Work::Set, Work::Get, Work::SyncGet, Work::Mixed])]
    cells: Vec<Work>,
    /// Clients of each cell, one request outstanding each
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64], value_parser = at_least_one)]
    clients: Vec<usize>,
    /// Seconds that a cell is counted; an eighth more warms up
    #[arg(long, value_name = "S", default_value_t = 3.0, value_parser = seconds)]
    pub seconds: f64,
    /// Rounds of the table, of which medians are taken
    #[arg(long, default_value_t = 3, value_parser = at_least_one)]
    pub rounds: usize,
    /// Losses of the leader, of each kind and target
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = at_least_one)]
    pub losses: usize,
    /// Nodes of the parts `memory` and `backup`
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub nodes: u64,
    /// Nodes of the part `many`
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub many_nodes: u64,
    /// Targets of the part `many`
    #[arg(long, value_name = "A,B", value_delimiter = ',', value_parser = Target::named, default_value = "dolmen1")]
    pub many_targets: Vec<Target>,
    /// The program; by default the one that was built with the bench
    #[arg(long, value_name = "FILE")]
    pub dolmen: Option<PathBuf>,
    /// Handed to `dolmen dev --set`; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub dolmen_set: Vec<String>,
    /// Where the data goes; a folder of the build's by default
    #[arg(long, value_name = "D")]
    pub dir: Option<PathBuf>,
    /// Everything as JSON, each round included
    #[arg(long)]
    pub json: bool,
    /// Cargo passes this to every bench
    #[arg(long, hide = true)]
    bench: bool,
    /// The child that answers bytes with bytes
    #[arg(long, hide = true)]
    pub echo: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Reads and writes
    Table,
    /// 64 watchers of one node
    Watch,
    /// Memory, disk, start and restart
    Memory,
    /// The same with many more nodes
    Many,
    /// Sets beside a backup; of dolmen alone
    Backup,
    /// From the loss of the leader to the first write
    Failover,
}

/// Clients and requests outstanding of each, for the cells that show what a
/// server does when it is never waited for.
const PIPELINED: (usize, usize) = (2, 64);

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok();
    seconds
        .filter(|seconds| (0.1..=3600.0).contains(seconds))
        .ok_or_else(|| "from 0.1 to 3600".to_owned())
}

fn at_least_one(text: &str) -> Result<usize, String> {
    let count = text.parse().ok();
    count
        .filter(|count| *count > 0)
        .ok_or_else(|| "1 or more".to_owned())
}

impl Options {
    pub fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    pub fn targets(&self) -> Vec<Target> {
        match self.targets.is_empty() {
            true => ALL.to_vec(),
            false => self.targets.clone(),
        }
    }

    /// What is measured by turns.
    pub fn cells(&self) -> Vec<Cell> {
        let mut cells = Vec::new();
        if self.wants(Part::Table) {
            for &work in &self.cells {
                let (clients, in_flight) = PIPELINED;
                let pipelined = !matches!(work, Work::SyncGet | Work::Mixed);
                let shapes = self.clients.iter().map(|clients| (*clients, 1));
                let shapes = shapes.chain(pipelined.then_some((clients, in_flight)));
                cells.extend(shapes.map(|(clients, in_flight)| Cell::Work {
                    work,
                    clients,
                    in_flight,
                }));
            }
        }
        if self.wants(Part::Watch) {
            cells.extend([Lasts::Once, Lasts::Always].map(Cell::Watch));
        }
        cells
    }
}
