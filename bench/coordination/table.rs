//! The cells by turns: round after round, each cell on every target before
//! the next one, so that what else the machine does meets all of them alike.

use super::echo_server::EchoServer;
use super::failure::Failure;
use super::fanout::{self, Lasts};
use super::figures::Round;
use super::line::Line;
use super::load::{Load, Work};
use super::talk::{Protocol, Verb, Way};
use super::targets::{Cluster, Kind};
use std::time::Duration;

/// What is read and set.
pub const KEYS_FOLDER: &str = "/bench-keys";
const KEYS: u64 = 1000;
const WATCHED_FOLDER: &str = "/bench-watched";
const PREPARE_WITHIN: Duration = Duration::from_secs(10);
/// Preparing and clearing away is done by so many.
const HANDS: (usize, usize) = (16, 16);
/// More than one cell can create.
const CREATED_MAX: u64 = 1_000_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    Work {
        work: Work,
        clients: usize,
        in_flight: usize,
    },
    Watch(Lasts),
}

impl Cell {
    pub fn name(self) -> String {
        match self {
            Self::Work {
                work,
                clients,
                in_flight: 1,
            } => format!("{}, {clients}", work.name()),
            Self::Work {
                work,
                clients,
                in_flight,
            } => format!("{}, {clients} x {in_flight}", work.name()),
            Self::Watch(lasts) => format!("watch, {} ({})", fanout::WATCHERS, lasts.name()),
        }
    }

    pub fn clients(self) -> usize {
        match self {
            Self::Work { clients, .. } => clients,
            Self::Watch(_) => fanout::WATCHERS,
        }
    }
}

/// Who is measured by a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Cluster(usize),
    Echo,
}

pub struct Row {
    pub cell: Cell,
    pub who: Who,
    pub rounds: Vec<Round>,
    /// A cell that failed once is told, and not measured again.
    pub failure: Option<Failure>,
}

/// The rows of all cells, each on every target that knows it.
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
            // etcd's watches last.
            let is_known = cell != Cell::Watch(Lasts::Once) || cluster.target.kind != Kind::Etcd;
            if is_known {
                add(Who::Cluster(place));
            }
        }
        if echoed(cell).is_some() {
            add(Who::Echo);
        }
    }
    rows
}

/// The messages that the echo answers to in place of this cell's.
fn echoed(cell: Cell) -> Option<Verb> {
    match cell {
        Cell::Work {
            work: Work::Set, ..
        } => Some(Verb::Set),
        Cell::Work {
            work: Work::Get, ..
        } => Some(Verb::Get),
        _ => None,
    }
}

/// The nodes that are read and set, on all servers.
pub fn prepare(cluster: &Cluster) -> Result<(), Failure> {
    for (folder, keys) in [(KEYS_FOLDER, KEYS), (WATCHED_FOLDER, 1)] {
        let ways = cluster.ways(folder);
        make_folder(&ways[0])?;
        by_many(Work::Create, 0..keys).so_often(&ways, keys)?;
        let everywhere = Load {
            work: Work::SyncGet,
            keys: keys - 1..keys,
            clients: ways.len(),
            in_flight: 1,
        };
        everywhere.so_often(&ways, ways.len() as u64)?;
    }
    Ok(())
}

fn by_many(work: Work, keys: std::ops::Range<u64>) -> Load {
    let (clients, in_flight) = HANDS;
    Load {
        work,
        keys,
        clients,
        in_flight,
    }
}

pub fn make_folder(way: &Way) -> Result<(), Failure> {
    let mut line = Line::open(way, PREPARE_WITHIN)?;
    line.call(Verb::Folder, 0, PREPARE_WITHIN)?;
    line.part();
    Ok(())
}

pub struct Table<'a> {
    pub clusters: &'a [Cluster],
    pub echo: &'a EchoServer,
    pub time: Duration,
    /// Folders of what the cells created, each of one cell.
    pub folders_made: u64,
}

impl Table<'_> {
    /// Every row once. Only an interruption ends the round.
    pub fn round(&mut self, rows: &mut [Row]) -> Result<(), Failure> {
        for row in rows.iter_mut().filter(|row| row.failure.is_none()) {
            match self.measure(row.cell, row.who) {
                Ok(round) => row.rounds.push(round),
                Err(Failure::Interrupted) => return Err(Failure::Interrupted),
                Err(failure) => {
                    eprintln!("{}: {failure}", row.cell.name());
                    row.failure = Some(failure);
                }
            }
        }
        Ok(())
    }

    fn measure(&mut self, cell: Cell, who: Who) -> Result<Round, Failure> {
        let (clusters, time) = (self.clusters, self.time);
        match (cell, who) {
            (Cell::Work { .. }, Who::Echo) => {
                let verb = echoed(cell).expect("the echo has a row only for what it knows");
                let ways = [Way {
                    protocol: Protocol::Echo(verb),
                    address: self.echo.address,
                    folder: String::new(),
                }];
                let timed = load_of(cell).for_a_time(&ways, time, &[self.echo.pid()])?;
                Ok(timed.round)
            }
            (Cell::Work { work, .. }, Who::Cluster(place)) => {
                let cluster = &clusters[place];
                match work {
                    Work::Create => self.creating(cluster, cell),
                    _ => {
                        let ways = cluster.ways(KEYS_FOLDER);
                        let timed = load_of(cell).for_a_time(&ways, time, &cluster.pids())?;
                        Ok(timed.round)
                    }
                }
            }
            (Cell::Watch(lasts), Who::Cluster(place)) => {
                let cluster = &clusters[place];
                let ways = cluster.ways(WATCHED_FOLDER);
                fanout::measure(&ways, lasts, time, &cluster.pids())
            }
            (Cell::Watch(_), Who::Echo) => unreachable!("the echo knows no watches"),
        }
    }

    /// In a folder of its own, read back by samples, and then cleared away, so
    /// that no later cell is measured on more nodes than another.
    fn creating(&mut self, cluster: &Cluster, cell: Cell) -> Result<Round, Failure> {
        self.folders_made += 1;
        let ways = cluster.ways(&format!("/bench-{:05}", self.folders_made));
        make_folder(&ways[0])?;
        let timed = load_of(cell).for_a_time(&ways, self.time, &cluster.pids())?;
        let created = timed.asked_until;
        by_many(Work::SyncGet, 0..created).so_often(&ways, created.min(1000))?;
        by_many(Work::Delete, 0..created).so_often(&ways, created)?;
        Ok(timed.round)
    }
}

fn load_of(cell: Cell) -> Load {
    let Cell::Work {
        work,
        clients,
        in_flight,
    } = cell
    else {
        unreachable!("only work is a load");
    };
    let keys = match work {
        Work::Create => 0..CREATED_MAX,
        _ => 0..KEYS,
    };
    Load {
        work,
        keys,
        clients,
        in_flight,
    }
}
