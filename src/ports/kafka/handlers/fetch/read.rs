//! Reads what a Fetch is given, partition by partition. What is warm is read
//! where the handler runs, from the memory map and without a copy, and so is what
//! turns out to be in memory; what may have to wait for a disk, on the blocking pool
//! and into memory of its own.

use super::cold::{ColdMemory, Room};
use super::plan::{Budget, Stretch};
use super::warm::{Allowance, Pin, WarmMemory};
use crate::ids::Offset;
use crate::limits::{
    FETCH_BYTES_MAX, FETCH_COLD_BYTES_MAX, FETCH_COLD_WAIT_MS, PARTITION_WARM_BYTES,
};
use crate::log::{Chunk, ReadError, Way};
use crate::ports::kafka::messages::{ErrorCode, Records};
use crate::streams::View;
use crate::streams::view::Marks;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// What is to be read of one partition.
pub struct Reading {
    pub view: Arc<View>,
    pub stretch: Stretch,
    pub bytes_max: i32,
    is_empty: bool,
    /// Not what was written last: it may have to wait for a disk.
    is_far: bool,
}

/// What was read of one partition.
#[derive(Debug, Default)]
pub struct Given {
    pub records: Records,
    /// The offset behind the last record.
    pub next: Offset,
}

/// What was read of all.
pub struct Readout {
    /// In the order of the readings.
    pub given: Vec<Result<Given, ErrorCode>>,
    /// There may be more, and the request has all that it may have.
    pub is_full: bool,
}

/// Bytes of a segment, which stays mapped until the last of them is sent, or of
/// the memory that they were read into.
struct Held {
    bytes: Chunk,
    _counted: Counted,
}

/// Where the bytes are counted until they are sent.
enum Counted {
    Cold { _room: Arc<Room> },
    Warm { _pin: Pin },
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// What one request may have.
struct Bounds {
    budget: Budget,
    /// None where nothing of it is cold.
    room: Option<Arc<Room>>,
    copied_bytes: usize,
    allowance: Allowance,
}

impl Bounds {
    fn held(&mut self, bytes: Chunk) -> Bytes {
        let counted = match &self.room {
            Some(room) if bytes.is_copy() => {
                self.copied_bytes += bytes.len();
                Counted::Cold {
                    _room: room.clone(),
                }
            }
            _ => Counted::Warm {
                _pin: self.allowance.pin(bytes.len()),
            },
        };
        Bytes::from_owner(Held {
            bytes,
            _counted: counted,
        })
    }
}

impl Reading {
    pub fn new(view: Arc<View>, marks: Marks, stretch: Stretch, bytes_max: i32) -> Self {
        let is_empty = stretch.from >= stretch.until;
        let is_warm = || marks.is_within(PARTITION_WARM_BYTES, view.bytes(), stretch.from);
        let is_far = !is_empty && !is_warm();
        Self {
            view,
            stretch,
            bytes_max,
            is_empty,
            is_far,
        }
    }

    fn is_warm(&self) -> bool {
        !self.is_empty && !self.is_far
    }

    fn read(&self, bounds: &mut Bounds) -> Result<Given, ReadError> {
        let Stretch { from, until } = self.stretch;
        let way = match (self.is_far, &bounds.room) {
            (false, _) => Way::Map,
            (true, None) => Way::Resident,
            (true, Some(_)) => Way::Plain,
        };
        let (mut records, mut next) = (Records::default(), from);
        // A read ends with its segment.
        while let Some(room) = bounds.budget.ask(self.bytes_max, records.len()) {
            let batches = match self.view.read(next, until, room, way) {
                Ok(Some(batches)) => batches,
                Ok(None) => break,
                Err(_) if !records.is_empty() => break,
                Err(error) => return Err(error),
            };
            if !bounds.budget.take(room, batches.bytes.len()) {
                break;
            }
            next = batches.next;
            records.push(bounds.held(batches.bytes));
        }
        Ok(Given { records, next })
    }

    fn failed(&self, error: &ReadError) -> ErrorCode {
        if let ReadError::Hole(_) | ReadError::Io { .. } = error {
            let view = &self.view;
            tracing::warn!("{} {}: {error}", view.name, view.key.partition);
        }
        error.into()
    }
}

/// What the requests of all clients share.
pub struct Memory<'a> {
    pub cold: &'a ColdMemory,
    pub warm: &'a WarmMemory,
}

/// Reads all, in their order, within what the request may have. Who finds no
/// memory for what is cold within `patience` is given nothing.
pub async fn read(
    readings: Vec<Reading>,
    bytes_max: i32,
    memory: Memory<'_>,
    patience: Duration,
) -> Readout {
    let bytes_max = usize::try_from(bytes_max).unwrap_or(0);
    if let Some(readout) = read_here(&readings, bytes_max, memory.warm) {
        return readout;
    }
    let patience = patience.max(Duration::from_millis(FETCH_COLD_WAIT_MS));
    let wanted = bytes_max.min(FETCH_COLD_BYTES_MAX);
    let Ok(room) = timeout(patience, memory.cold.room(wanted)).await else {
        let nothing = |reading: &Reading| {
            Ok(Given {
                next: reading.stretch.from,
                ..Given::default()
            })
        };
        return Readout {
            given: readings.iter().map(nothing).collect(),
            is_full: true,
        };
    };
    let bytes_max = wanted.min(room.bytes());
    // Who reads from the disk alone does not depend on what others hold here.
    let (bytes_max, allowance) = match readings.iter().any(Reading::is_warm) {
        true => {
            let allowance = memory.warm.allow(bytes_max);
            (allowance.bytes(), allowance)
        }
        false => (bytes_max, memory.warm.allow(0)),
    };
    let work = move || read_all(&readings, bytes_max, Some(Arc::new(room)), allowance);
    let work = tokio::task::spawn_blocking(work).await;
    // It does not end otherwise but by a panic, or where the node stops.
    work.ok().flatten().unwrap_or(Readout {
        given: Vec::new(),
        is_full: true,
    })
}

/// What is in memory, without a copy; None where one of them begins with what is not.
/// So much may be held here already that a copy could give more.
fn read_here(readings: &[Reading], bytes_max: usize, warm: &WarmMemory) -> Option<Readout> {
    let allowance = warm.allow(bytes_max.min(FETCH_BYTES_MAX));
    let is_any_far = readings.iter().any(|reading| reading.is_far);
    if is_any_far && allowance.bytes() < bytes_max.min(FETCH_COLD_BYTES_MAX) {
        return None;
    }
    read_all(readings, allowance.bytes(), None, allowance)
}

/// None as there; never where there is room for copies.
fn read_all(
    readings: &[Reading],
    bytes_max: usize,
    room: Option<Arc<Room>>,
    allowance: Allowance,
) -> Option<Readout> {
    let mut bounds = Bounds {
        budget: Budget::new(bytes_max),
        room,
        copied_bytes: 0,
        allowance,
    };
    let mut given = Vec::with_capacity(readings.len());
    for reading in readings {
        given.push(match reading.read(&mut bounds) {
            Err(ReadError::NotInMemory) => return None,
            read => read.map_err(|error| reading.failed(&error)),
        });
    }
    if let Some(room) = &bounds.room {
        room.keep(bounds.copied_bytes);
    }
    Some(Readout {
        given,
        is_full: bounds.budget.is_used_up(),
    })
}
