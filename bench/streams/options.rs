//! What can be asked of the bench.

use super::cells::{Acks, Cell, Shape};
use super::targets::{ALL, Target};
use clap::{Parser, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// Measures the event log beside the log alone, a copy over loopback, and
/// another broker.
///
/// Needs a release build of dolmen. The peers are found where
/// bench/streams/peers puts them; what cannot be started is named with its
/// reason and left out.
///
/// `lone` is one record at a time on one connection, with a reader: what a
/// producer and a consumer wait for. `flood` is as many prepared batches as
/// go, some of them ahead of their answers; `followed` the same with readers
/// that keep up.
#[derive(Parser)]
pub struct Options {
    /// What is measured beside each other, in place of all three
    #[arg(long, value_name = "A,B", value_delimiter = ',', value_parser = Target::named)]
    targets: Vec<Target>,
    /// Only these parts
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Every cell of records, batches, partitions and acks, in place of those
    /// that a goal is judged by and their neighbours
    #[arg(long)]
    pub all_cells: bool,
    /// Cells of these shapes
    #[arg(long, value_enum, value_delimiter = ',')]
    shapes: Vec<Shape>,
    /// Cells of these sizes of a record
    #[arg(long, value_name = "BYTES", value_delimiter = ',')]
    records: Vec<usize>,
    /// Cells of these sizes of a batch; lone records have none
    #[arg(long, value_name = "KIB", value_delimiter = ',')]
    batches: Vec<usize>,
    /// Cells of so many partitions
    #[arg(long, value_name = "N", value_delimiter = ',')]
    partitions: Vec<usize>,
    /// Cells with these acknowledgements
    #[arg(long, value_enum, value_delimiter = ',')]
    acks: Vec<Acks>,
    /// Connections that produce
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = at_least_one)]
    pub connections: usize,
    /// Batches that each sends ahead
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = at_least_one)]
    pub in_flight: usize,
    /// Connections that follow, at most one for a partition
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = at_least_one)]
    pub followers: usize,
    /// Seconds that a cell is counted; a quarter more warms up
    #[arg(long, value_name = "S", default_value_t = 3.0, value_parser = seconds)]
    seconds: f64,
    /// Rounds, of which medians are taken
    #[arg(long, default_value_t = 3, value_parser = at_least_one)]
    pub rounds: usize,
    /// What is read by the part `catch-up`
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = at_least_one)]
    pub catch_up_mib: usize,
    /// Partitions of the part `idle`
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = at_least_one)]
    pub idle_partitions: usize,
    /// The program; by default the one that was built with the bench
    #[arg(long, value_name = "FILE")]
    pub dolmen: Option<PathBuf>,
    /// Handed to `dolmen dev --set`; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub dolmen_set: Vec<String>,
    /// Tansu's program
    #[arg(long, value_name = "FILE")]
    pub tansu: Option<PathBuf>,
    /// The folder of Kafka 0.9's jars
    #[arg(long, value_name = "DIR")]
    pub kafka09: Option<PathBuf>,
    /// librdkafka's program for measuring
    #[arg(long, value_name = "FILE")]
    pub rdkafka_performance: Option<PathBuf>,
    /// What the part `client` sends to each
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = at_least_one)]
    pub client_mib: usize,
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
    /// The child that writes as fast as it is read
    #[arg(long, hide = true)]
    pub copy: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Producing, alone and with readers
    Table,
    /// Reading from the first offset, warm and cold
    CatchUp,
    /// A thousand partitions that nobody writes to
    Idle,
    /// librdkafka's rdkafka_performance in front of each, and of Kafka 0.9
    Client,
}

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

    pub fn time(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    pub fn takes(&self, cell: Cell) -> bool {
        let batch_kib = cell.batch_bytes >> 10;
        let is_among = |all: &[usize], one: usize| all.is_empty() || all.contains(&one);
        (self.shapes.is_empty() || self.shapes.contains(&cell.shape))
            && (self.acks.is_empty() || self.acks.contains(&cell.acks))
            && is_among(&self.records, cell.record_bytes)
            && (batch_kib == 0 || is_among(&self.batches, batch_kib))
            && is_among(&self.partitions, cell.partitions)
    }
}
