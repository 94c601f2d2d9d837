//! The cells of the table: what is sent how, and in what measure. Not the full
//! cross product unless it is asked for: what a goal is judged by, and the
//! neighbours that differ from it in one thing.

use super::flood::{Load, Until};
use super::options::Options;
use clap::ValueEnum;
use serde::Serialize;

/// When a batch is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
pub enum Acks {
    /// acks=all, on the disks of a majority
    #[value(name = "all")]
    Durable,
    /// acks=all of a topic with `durability=replicated`
    Relaxed,
    /// acks=1
    One,
}

impl Acks {
    pub fn name(self) -> &'static str {
        match self {
            Self::Durable => "acks=all",
            Self::Relaxed => "acks=all relaxed",
            Self::One => "acks=1",
        }
    }

    pub fn number(self) -> i16 {
        match self {
            Self::Durable | Self::Relaxed => -1,
            Self::One => 1,
        }
    }

    pub fn settings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Relaxed => &[("durability", "replicated")],
            Self::Durable | Self::One => &[],
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
pub enum Shape {
    /// One record at a time, and a reader
    Lone,
    /// As many batches as go, nobody reads
    Flood,
    /// The same, and readers that follow
    Followed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Cell {
    pub shape: Shape,
    pub record_bytes: usize,
    /// Of a whole batch; a lone record has one of its own.
    pub batch_bytes: usize,
    pub partitions: usize,
    pub acks: Acks,
}

pub const RECORDS: [usize; 2] = [100, 1024];
pub const SMALL_BATCH: usize = 16 << 10;
pub const BATCH: usize = 256 << 10;
pub const LARGE_BATCH: usize = 1 << 20;
pub const PARTITIONS: [usize; 3] = [1, 16, 100];

/// What the first goal is judged by.
pub const BASE: Cell = Cell {
    shape: Shape::Flood,
    record_bytes: 1024,
    batch_bytes: BATCH,
    partitions: 1,
    acks: Acks::Durable,
};

impl Cell {
    pub fn name(self) -> String {
        let record = size(self.record_bytes);
        let batch = match self.shape {
            Shape::Lone => String::new(),
            Shape::Flood | Shape::Followed => format!(" in {}", size(self.batch_bytes)),
        };
        let shape = match self.shape {
            Shape::Lone => "lone",
            Shape::Flood => "flood",
            Shape::Followed => "followed",
        };
        let (partitions, acks) = (self.partitions, self.acks.name());
        format!("{shape} {record}{batch}, {partitions} p, {acks}")
    }

    pub fn load(self, options: &Options) -> Load {
        let until = Until::Time(options.time());
        let acks = self.acks.number();
        match self.shape {
            Shape::Lone => Load {
                connections: 1,
                in_flight: 1,
                acks,
                followers: 1,
                until,
            },
            Shape::Flood | Shape::Followed => Load {
                connections: options.connections,
                in_flight: options.in_flight,
                acks,
                followers: match self.shape {
                    Shape::Followed => options.followers,
                    _ => 0,
                },
                until,
            },
        }
    }
}

fn size(bytes: usize) -> String {
    match bytes {
        1_048_576.. => format!("{} MiB", bytes >> 20),
        1024.. => format!("{} KiB", bytes >> 10),
        _ => format!("{bytes} B"),
    }
}

pub fn plan(options: &Options) -> Vec<Cell> {
    let mut cells = match options.all_cells {
        true => crossed(),
        false => chosen(),
    };
    cells.retain(|cell| options.takes(*cell));
    cells
}

fn chosen() -> Vec<Cell> {
    let mut cells = Vec::new();
    let mut add = |cell| {
        if !cells.contains(&cell) {
            cells.push(cell);
        }
    };
    for record_bytes in RECORDS {
        for acks in [Acks::Durable, Acks::Relaxed, Acks::One] {
            add(Cell {
                shape: Shape::Lone,
                record_bytes,
                batch_bytes: 0,
                acks,
                ..BASE
            });
        }
    }
    for batch_bytes in [SMALL_BATCH, BATCH, LARGE_BATCH] {
        for record_bytes in RECORDS {
            add(Cell {
                record_bytes,
                batch_bytes,
                ..BASE
            });
        }
    }
    for acks in [Acks::Relaxed, Acks::One] {
        add(Cell { acks, ..BASE });
    }
    for batch_bytes in [SMALL_BATCH, BATCH] {
        for partitions in PARTITIONS {
            add(Cell {
                batch_bytes,
                partitions,
                ..BASE
            });
        }
    }
    for acks in [Acks::Durable, Acks::Relaxed, Acks::One] {
        for partitions in PARTITIONS {
            add(Cell {
                shape: Shape::Followed,
                batch_bytes: SMALL_BATCH,
                partitions,
                acks,
                ..BASE
            });
        }
    }
    cells
}

fn crossed() -> Vec<Cell> {
    let mut cells = Vec::new();
    for shape in [Shape::Lone, Shape::Flood, Shape::Followed] {
        let batches: &[usize] = match shape {
            Shape::Lone => &[0],
            Shape::Flood | Shape::Followed => &[SMALL_BATCH, BATCH, LARGE_BATCH],
        };
        for record_bytes in RECORDS {
            for &batch_bytes in batches {
                for partitions in PARTITIONS {
                    for acks in [Acks::Durable, Acks::Relaxed, Acks::One] {
                        cells.push(Cell {
                            shape,
                            record_bytes,
                            batch_bytes,
                            partitions,
                            acks,
                        });
                    }
                }
            }
        }
    }
    cells
}
