//! A seeded workload over several logs, and what each log should hold after
//! each of its operations.

use super::foreign::{self, FOREIGN};
use super::kit::*;
use dolmen::disk::sim::SimDisk;
use dolmen::entropy::Seeded;
use dolmen::ids::{Index, LogId, Term};
use dolmen::log::format::Format;
use dolmen::log::{Device, FRAMES, Payload, Records, Request, Settings, Way};
use std::sync::{Arc, Mutex};

/// What a log holds: first index, next index, and a digest of its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    pub first: u64,
    pub next: u64,
    pub records: Vec<(u64, u64)>,
}

impl Holding {
    pub const NOTHING: Holding = Holding {
        first: 0,
        next: 0,
        records: Vec::new(),
    };
}

pub fn digest(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for &byte in bytes {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    }
    hash
}

/// What a device holds of a log, each record read and checked.
pub fn holding(device: &mut Device, log: LogId) -> Result<Holding, String> {
    let Some(shelf) = device.shelf(log) else {
        return Ok(Holding::NOTHING);
    };
    let records = try_contents(device, log, Way::Plain)?;
    Ok(Holding {
        first: shelf.first().0,
        next: shelf.durable_until().0,
        records: records
            .iter()
            .map(|(index, body)| (*index, digest(body)))
            .collect(),
    })
}

/// One log's history: what it holds after each operation; the first is before
/// any.
pub struct History {
    pub log: LogId,
    pub after: Vec<Holding>,
}

/// A note in the disk's trace: operation `op` of log number `log` was answered.
pub fn note_of(log: usize, op: usize) -> u64 {
    ((log as u64) << 32) | op as u64
}

pub struct Workload {
    pub histories: Vec<History>,
    dice: Seeded,
    epochs: Vec<u32>,
}

pub const LOGS: usize = 4;
/// The last log's format is foreign.
const FOREIGN_LOG: usize = LOGS - 1;

impl Workload {
    pub fn new(seed: u64) -> Self {
        let log = |n| History {
            log: LogId(n as u64 + 1),
            after: vec![Holding::NOTHING],
        };
        Self {
            histories: (0..LOGS).map(log).collect(),
            dice: Seeded::new(seed),
            epochs: vec![1; LOGS],
        }
    }

    /// Runs `steps` operations, several outstanding at a time, and notes each
    /// answer in the trace. An error is what the device said when it died.
    pub fn run(&mut self, disk: &SimDisk, device: &mut Device, steps: usize) -> Result<(), String> {
        let failures: Arc<Mutex<Vec<String>>> = Arc::default();
        for _ in 0..steps {
            let number = self.dice.below(LOGS as u64) as usize;
            let format: &'static dyn Format = if number == FOREIGN_LOG {
                &FOREIGN
            } else {
                &FRAMES
            };
            let log = self.histories[number].log;
            let request = self.request(number, log);
            if device.log(log, format).is_err() {
                return Err(format!("log {log} changed its format"));
            }
            let op = self.histories[number].after.len() - 1;
            let (disk, failures) = (disk.clone(), failures.clone());
            device.submit(
                request,
                Box::new(move |outcome| match outcome {
                    Ok(_) => disk.note(note_of(number, op)),
                    Err(refused) => failures.lock().unwrap().push(refused.to_string()),
                }),
            );
            match self.dice.below(10) {
                0..4 => {}
                4 => device.settle().map_err(|fatal| fatal.to_string())?,
                5 => device.tick().map_err(|fatal| fatal.to_string())?,
                6 => device.rest(),
                _ => {
                    device.turn().map_err(|fatal| fatal.to_string())?;
                    if device.is_waiting() {
                        device.wait(None, &mut || true);
                    }
                }
            }
            // A removed log can be made again only once it is gone.
            if matches!(self.histories[number].after.last(), Some(last) if last.next == 0) {
                device.settle().map_err(|fatal| fatal.to_string())?;
            }
        }
        device.settle().map_err(|fatal| fatal.to_string())?;
        let failures = failures.lock().unwrap();
        match failures.first() {
            Some(failure) => Err(format!("refused: {failure}")),
            None => Ok(()),
        }
    }

    fn request(&mut self, number: usize, log: LogId) -> Request {
        let mut now = self.histories[number]
            .after
            .last()
            .expect("one at least")
            .clone();
        let boundaries: Vec<u64> = now.records.iter().map(|&(index, _)| index).collect();
        let request = match self.dice.below(24) {
            0 if !boundaries.is_empty() => {
                let from = boundaries[self.dice.below(boundaries.len() as u64) as usize];
                now.records.retain(|&(index, _)| index < from);
                now.next = from;
                Request::Truncate {
                    log,
                    from: Index(from),
                }
            }
            1 | 2 if !boundaries.is_empty() => {
                let until = boundaries[self.dice.below(boundaries.len() as u64) as usize];
                now.records.retain(|&(index, _)| index >= until);
                now.first = until;
                Request::DropPrefix {
                    log,
                    until: Index(until),
                }
            }
            3 if self.dice.one_in(3) => {
                let at = now.next + 100;
                now = Holding {
                    first: at,
                    next: at,
                    records: Vec::new(),
                };
                Request::Restart { log, at: Index(at) }
            }
            4 if self.dice.one_in(3) && now.next > 0 => {
                now = Holding::NOTHING;
                Request::Remove { log }
            }
            _ => {
                let records = self.records(number, &mut now);
                Request::Append { log, records }
            }
        };
        self.histories[number].after.push(now);
        request
    }

    fn records(&mut self, number: usize, now: &mut Holding) -> Records {
        let count = 1 + self.dice.below(3);
        let mut whole = Vec::new();
        let mut payloads = Vec::new();
        for _ in 0..count {
            let length = match self.dice.below(12) {
                0 => 6000 + self.dice.below(9000),
                1 => self.dice.below(5000),
                _ => self.dice.below(300),
            };
            let fill = self.dice.next_u64() as u8;
            let mut body = vec![fill; length as usize];
            let stamp = self.dice.next_u64().to_le_bytes();
            let some = body.len().min(8);
            body[..some].copy_from_slice(&stamp[..some]);
            if number == FOREIGN_LOG {
                let entries = 1 + self.dice.below(3) as u32;
                if self.dice.one_in(8) {
                    self.epochs[number] += 1;
                }
                let bytes = foreign::record(now.next, self.epochs[number], entries, &body);
                now.records.push((now.next, digest(&bytes)));
                now.next += u64::from(entries);
                whole.extend_from_slice(&bytes);
            } else {
                now.records.push((now.next, digest(&body)));
                now.next += 1;
                payloads.push(Payload::new(Term(1), 3, body));
            }
        }
        match number == FOREIGN_LOG {
            true => Records::Whole(whole),
            false => Records::Frames(payloads),
        }
    }

    /// Whether what a device holds is what every acknowledged operation made
    /// of it, and perhaps some of the later ones, in order.
    pub fn check(&self, device: &mut Device, notes: &[u64]) -> Result<Vec<Holding>, String> {
        let mut found = Vec::new();
        for (number, history) in self.histories.iter().enumerate() {
            let acknowledged = notes
                .iter()
                .filter(|&&note| note >> 32 == number as u64)
                .map(|&note| (note as u32) as usize)
                .max()
                .unwrap_or(0);
            let holds = holding(device, history.log)?;
            if !history.after[acknowledged..].contains(&holds) {
                let earlier = history.after[..acknowledged]
                    .iter()
                    .rposition(|one| *one == holds);
                let expected = &history.after[acknowledged];
                return Err(match earlier {
                    Some(op) => format!(
                        "log {} is as after operation {op}, and {acknowledged} was acknowledged",
                        history.log
                    ),
                    None => format!(
                        "log {} holds [{}, {}) with {} records, which it never did; after \
                         operation {acknowledged} it was [{}, {}) with {}",
                        history.log,
                        holds.first,
                        holds.next,
                        holds.records.len(),
                        expected.first,
                        expected.next,
                        expected.records.len(),
                    ),
                });
            }
            found.push(holds);
        }
        Ok(found)
    }
}

/// Settings that vary with the seed: every edge is near for some seed.
pub fn settings(seed: u64) -> Settings {
    let mut dice = Seeded::new(seed ^ 0x5e77);
    Settings {
        journal_file_bytes: [48 << 10, 64 << 10, 128 << 10][dice.below(3) as usize],
        journal_files_max: 2 + dice.below(3) as usize,
        bypass_bytes: [2000, 6000, 1 << 20][dice.below(3) as usize],
        segment_bytes: [16 << 10, 32 << 10][dice.below(2) as usize],
        show_bytes: [1, 4 << 10, 64 << 10][dice.below(3) as usize],
        ..small()
    }
}
