//! A seeded workload over several logs, and what each log should hold after
//! each of its operations.

use super::foreign::{self, FOREIGN};
use super::kit::*;
use dolmen::disk::sim::SimDisk;
use dolmen::entropy::Seeded;
use dolmen::ids::{Index, LogId, Term};
use dolmen::log::format::{Format, Step};
use dolmen::log::{Device, FRAMES, Payload, Records, Request, Run, Settings, Shelf, Way, Written};
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

/// Some records of the foreign log that are left out as its segments are written
/// anew: all of them at once, and for good once that was answered.
struct Exchange {
    left_out: Vec<(u64, u64)>,
    /// None as long as it is under way.
    outcome: Arc<Mutex<Option<bool>>>,
}

/// The note that an exchange was answered.
const EXCHANGED: u64 = 1 << 63;

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
            .filter(|(_, body)| body.len() < 24 || !foreign::is_gap(body))
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
    /// Decides what is written anew; None where nothing is.
    rewriting: Option<Seeded>,
    exchanges: Vec<Exchange>,
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
            rewriting: None,
            exchanges: Vec::new(),
        }
    }

    /// Writes segments of the foreign log anew now and then.
    pub fn rewriting(mut self, seed: u64) -> Self {
        self.rewriting = Some(Seeded::new(seed ^ 0xa4e3));
        self
    }

    /// How many exchanges were answered with yes.
    pub fn exchanged(&self) -> usize {
        let outcomes = self
            .exchanges
            .iter()
            .map(|one| *one.outcome.lock().unwrap());
        outcomes.filter(|outcome| *outcome == Some(true)).count()
    }

    /// Writes some sealed segments anew, and has them exchanged. Other operations
    /// may come before and behind.
    fn rewrite(&mut self, disk: &SimDisk, device: &mut Device) -> Result<(), String> {
        let log = self.histories[FOREIGN_LOG].log;
        let Some(dice) = &mut self.rewriting else {
            return Ok(());
        };
        if !dice.one_in(2) {
            return Ok(());
        }
        device.settle().map_err(|fatal| fatal.to_string())?;
        let Some(shelf) = device.shelf(log) else {
            return Ok(());
        };
        let spans = shelf.spans();
        if spans.len() < 2 {
            return Ok(());
        }
        let first = dice.below(spans.len() as u64 - 1) as usize;
        let behind = first + 1 + dice.below((spans.len() - first - 1) as u64) as usize;
        let (from, until) = (spans[first].first, spans[behind].first);
        if until <= shelf.first() {
            // What it ended with cannot be read any more.
            return Ok(());
        }
        let run = device.rewrite(log, from, until);
        let run = run.map_err(|refused| refused.to_string())?;
        let (written, left_out) = write_anew(&shelf, run, from, until, dice)?;
        if dice.one_in(6) {
            // Given up half-way, as by a stop.
            return Ok(());
        }
        let number = self.exchanges.len() as u64;
        let outcome = Arc::new(Mutex::new(None));
        self.exchanges.push(Exchange {
            left_out,
            outcome: outcome.clone(),
        });
        // Sometimes what it was written from changes before.
        if dice.one_in(4) {
            self.step(disk, device, FOREIGN_LOG, &Arc::default())?;
        }
        let disk = disk.clone();
        let answer = move |answer: Result<_, _>| {
            let is_done = answer.is_ok();
            *outcome.lock().unwrap() = Some(is_done);
            if is_done {
                disk.note(EXCHANGED | number);
            }
        };
        device.submit(Request::Exchange(Box::new(written)), Box::new(answer));
        Ok(())
    }

    /// Runs `steps` operations, several outstanding at a time, and notes each
    /// answer in the trace. An error is what the device said when it died.
    pub fn run(&mut self, disk: &SimDisk, device: &mut Device, steps: usize) -> Result<(), String> {
        let failures: Arc<Mutex<Vec<String>>> = Arc::default();
        for _ in 0..steps {
            let number = self.dice.below(LOGS as u64) as usize;
            if number == FOREIGN_LOG {
                self.rewrite(disk, device)?;
            }
            self.step(disk, device, number, &failures)?;
        }
        device.settle().map_err(|fatal| fatal.to_string())?;
        let failures = failures.lock().unwrap();
        match failures.first() {
            Some(failure) => Err(format!("refused: {failure}")),
            None => Ok(()),
        }
    }

    /// One operation on one log.
    fn step(
        &mut self,
        disk: &SimDisk,
        device: &mut Device,
        number: usize,
        failures: &Arc<Mutex<Vec<String>>>,
    ) -> Result<(), String> {
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
        Ok(())
    }

    fn request(&mut self, number: usize, log: LogId) -> Request {
        let mut now = self.histories[number]
            .after
            .last()
            .expect("one at least")
            .clone();
        let left_out: Vec<_> = self
            .exchanges
            .iter()
            .flat_map(|one| &one.left_out)
            .collect();
        let is_there = |record: &&(u64, u64)| number != FOREIGN_LOG || !left_out.contains(record);
        let there = now.records.iter().filter(is_there);
        let boundaries: Vec<u64> = there.map(|&(index, _)| index).collect();
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
            let is_it = |one: &Holding| match number {
                FOREIGN_LOG => self.is_of(one, &holds, notes),
                _ => *one == holds,
            };
            if !history.after[acknowledged..].iter().any(is_it) {
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

impl Workload {
    /// Whether all of `whole` is there but for what exchanges have left out: of
    /// each all or nothing, and all where it was answered.
    fn is_of(&self, whole: &Holding, holds: &Holding, notes: &[u64]) -> bool {
        let mut expected = whole.clone();
        for (number, exchange) in self.exchanges.iter().enumerate() {
            let is_answered = notes.contains(&(EXCHANGED | number as u64));
            let is_refused = *exchange.outcome.lock().unwrap() == Some(false);
            let is_gone = |record: &&(u64, u64)| !holds.records.contains(record);
            let mut of_it = exchange.left_out.iter();
            // What was truncated or dropped with it, or left out before, tells
            // nothing.
            let is_done = of_it.any(|one| expected.records.contains(one) && is_gone(&one));
            if is_answered || (is_done && !is_refused) {
                expected
                    .records
                    .retain(|one| !exchange.left_out.contains(one));
            }
        }
        expected == *holds
    }
}

/// Writes a run anew with some records left out, each a gap or with its neighbours
/// in one.
pub fn write_anew(
    shelf: &Shelf,
    run: Run,
    from: Index,
    until: Index,
    dice: &mut Seeded,
) -> Result<(Written, Vec<(u64, u64)>), String> {
    let failed = |error: &dyn std::fmt::Display| error.to_string();
    let (mut epoch, mut left_out) = (run.start().term.0 as u32, Vec::new());
    let mut rewrite = run.begin().map_err(|error| failed(&error))?;
    let mut gap: Option<(u64, u64)> = None;
    let mut at = from.max(shelf.first());
    if at > from {
        gap = Some((from.0, at.0));
    }
    while at < until {
        let read = shelf
            .read(at, 3000, Way::Plain)
            .map_err(|error| failed(&error))?;
        let read = read.ok_or("nothing to read")?;
        let mut rest = &read.bytes[..];
        while !rest.is_empty() {
            let Ok(Step::Record(head)) = FOREIGN.measure(rest) else {
                return Err("no record".into());
            };
            let record = &rest[..head.length];
            let is_dropped = foreign::is_gap(record) || dice.one_in(2) || head.first < at;
            if is_dropped {
                if !foreign::is_gap(record) {
                    left_out.push((head.first.0, digest(record)));
                }
                epoch = epoch.max(head.term.0 as u32);
                gap = Some((gap.map_or(head.first.0, |(from, _)| from), head.next.0));
            }
            if (!is_dropped || dice.one_in(2))
                && let Some((from, until)) = gap.take()
            {
                let gap = foreign::gap(from, epoch, (until - from) as u32);
                rewrite.write(&gap).map_err(|error| failed(&error))?;
            }
            if !is_dropped {
                rewrite.write(record).map_err(|error| failed(&error))?;
            }
            rest = &rest[head.length..];
        }
        at = read.next;
    }
    if let Some((from, until)) = gap {
        let gap = foreign::gap(from, epoch, (until - from) as u32);
        rewrite.write(&gap).map_err(|error| failed(&error))?;
    }
    let written = rewrite.finish().map_err(|error| failed(&error))?;
    Ok((written, left_out))
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
