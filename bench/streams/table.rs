//! The cells by turns: round after round, each cell on every target before the
//! next one, so that what else the machine does meets all of them alike.

use super::alone::Alone;
use super::batches::Batch;
use super::cells::{Acks, Cell, Shape};
use super::echo_server::EchoServer;
use super::failure::Failure;
use super::flood::{Flood, Load};
use super::options::Options;
use super::process::eventually;
use super::rounds::Round;
use super::targets::{Cluster, Target};
use super::topic::Topic;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// For followers to have what their leader has acknowledged alone.
const COPIED_WITHIN: Duration = Duration::from_secs(60);

/// Different batches, so that one in the wrong partition is seen.
const BATCHES: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Cluster(usize),
    /// The log without the rest.
    Log,
    /// A server that only counts bytes.
    Echo,
}

pub struct Row {
    pub cell: Cell,
    pub who: Who,
    pub rounds: Vec<Round>,
    /// A cell that failed once is told, and not measured again.
    pub failure: Option<Failure>,
}

pub fn rows(cells: &[Cell], clusters: &[Cluster]) -> Vec<Row> {
    let mut rows = Vec::new();
    for &cell in cells {
        let mut add = |who| {
            rows.push(Row {
                cell,
                who,
                rounds: Vec::new(),
                failure: None,
            });
        };
        for (place, cluster) in clusters.iter().enumerate() {
            // Nobody else knows the setting.
            if cell.acks != Acks::Relaxed || cluster.target.is_dolmen() {
                add(Who::Cluster(place));
            }
        }
        if cell.acks == Acks::Durable && cell.shape != Shape::Followed {
            add(Who::Log);
            if cell.partitions == 1 {
                add(Who::Echo);
            }
        }
    }
    rows
}

pub struct Table<'a> {
    pub clusters: &'a [Cluster],
    pub alone: &'a Alone,
    pub echo: &'a EchoServer,
    pub options: &'a Options,
    /// Where all of them write.
    pub folder: &'a Path,
    /// Each cell has one of its own.
    pub topics_made: u64,
}

impl Table<'_> {
    /// Every row once. Only an interruption ends the round.
    pub fn round(&mut self, rows: &mut [Row]) -> Result<(), Failure> {
        for row in rows.iter_mut().filter(|row| row.failure.is_none()) {
            match self.measure(row.cell, row.who) {
                Ok(round) => row.rounds.push(round),
                Err(Failure::Interrupted) => return Err(Failure::Interrupted),
                Err(failure) => {
                    eprintln!("{}, {:?}: {failure}", row.cell.name(), row.who);
                    row.failure = Some(failure);
                }
            }
        }
        Ok(())
    }

    fn measure(&mut self, cell: Cell, who: Who) -> Result<Round, Failure> {
        write_out(self.folder)?;
        let batches = batches(cell);
        let load = cell.load(self.options);
        match who {
            Who::Log => {
                let bytes = batches[0].bytes.len();
                Ok(self.alone.measure(cell, self.options, bytes))
            }
            Who::Echo => {
                let mut flood = Flood::on_the_echo(self.echo.address, &batches[0], &load)?;
                flood.run(load.until, &[self.echo.pid()])
            }
            Who::Cluster(place) => {
                let cluster = &self.clusters[place];
                self.topics_made += 1;
                let name = format!("bench-{:05}", self.topics_made);
                let topic = Topic::make(cluster, &name, cell.partitions, cell.acks.settings())?;
                let round = produce(cluster, &topic, &batches, &load);
                // A cell that failed does not burden the next ones either.
                let removed = topic.remove(cluster);
                let round = round?;
                removed.map(|()| round)
            }
        }
    }
}

/// Who is measured next shares the disk with nobody's leftovers: what a cell has not
/// synced itself, the kernel writes out half a minute later, beside another.
fn write_out(folder: &Path) -> Result<(), Failure> {
    let status = Command::new("sync").arg("-f").arg(folder).status();
    match status.map_err(|error| Failure::NotRunning(format!("sync: {error}")))? {
        status if status.success() => Ok(()),
        status => Err(Failure::NotRunning(format!("sync: {status}"))),
    }
}

fn produce(
    cluster: &Cluster,
    topic: &Topic,
    batches: &[Batch],
    load: &Load,
) -> Result<Round, Failure> {
    let mut flood = Flood::open(topic, batches, load)?;
    let round = flood.run(load.until, &cluster.pids())?;
    all_is_there(cluster, topic, &flood.ends())?;
    Ok(round)
}

pub fn batches(cell: Cell) -> Vec<Batch> {
    let kinds = BATCHES.min(cell.partitions) as u64;
    let make = |seed| Batch::make(cell.record_bytes, cell.batch_bytes, seed);
    (0..kinds).map(make).collect()
}

/// The ends that the leaders know are those that were acknowledged. Tansu says
/// where the last batch begins, and one more.
pub fn all_is_there(cluster: &Cluster, topic: &Topic, acknowledged: &[u64]) -> Result<(), Failure> {
    if !cluster.target.is_dolmen() {
        return Ok(());
    }
    // What a leader alone has acknowledged is shown once its followers have it.
    eventually(COPIED_WITHIN, || {
        let ends = topic.ends()?;
        for (partition, (said, counted)) in ends.iter().zip(acknowledged).enumerate() {
            if said != counted {
                let why =
                    format!("partition {partition} ends at {said}, acknowledged were {counted}");
                return Err(Failure::Answered(why));
            }
        }
        Ok(())
    })
}

pub fn name(who: Who, clusters: &[Cluster]) -> String {
    match who {
        Who::Cluster(place) => clusters[place].target.name(),
        Who::Log => "log alone".to_owned(),
        Who::Echo => "echo".to_owned(),
    }
}

pub fn target(who: Who, clusters: &[Cluster]) -> Option<Target> {
    match who {
        Who::Cluster(place) => Some(clusters[place].target),
        Who::Log | Who::Echo => None,
    }
}
