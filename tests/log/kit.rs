//! A device over a simulated disk, small enough to meet every edge soon.

use super::foreign::FOREIGN;
use dolmen::disk::Disk;
use dolmen::disk::sim::SimDisk;
use dolmen::entropy::{Entropy, Seeded};
use dolmen::ids::{Index, LogId, Term};
use dolmen::log::format::{Format, Step};
use dolmen::log::{
    Appended, Device, FRAMES, OpenError, Opening, Payload, Records, Refused, Report, Request,
    Settings, Way, frame, open,
};
use std::io;
use std::sync::{Arc, Mutex};

pub struct Dice(pub Mutex<Seeded>);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(Seeded::new(seed)))
    }
}

impl Entropy for Dice {
    fn fill(&self, into: &mut [u8]) -> io::Result<()> {
        let mut seeded = self.0.lock().unwrap();
        into.iter_mut()
            .for_each(|byte| *byte = seeded.next_u64() as u8);
        Ok(())
    }
}

/// Journal files of 16 blocks, segments of two to eight.
pub fn small() -> Settings {
    Settings {
        journal_file_bytes: 64 << 10,
        journal_files_max: 3,
        journal_direct: true,
        bypass_bytes: 6000,
        segment_bytes: 24 << 10,
        segment_first_bytes: 8 << 10,
        show_bytes: 4 << 10,
        reserve_bytes: 0,
    }
}

pub const FORMATS: &[&dyn Format] = &[&FRAMES, &FOREIGN];

pub fn open_with(disk: &SimDisk, settings: Settings) -> Result<(Device, Report), OpenError> {
    let dice = Dice::new(1);
    open(Opening {
        disk: Arc::new(disk.clone()),
        lane: disk.lane().expect("a simulated disk has lanes"),
        entropy: &dice,
        settings,
        formats: FORMATS,
    })
}

pub fn open_small(disk: &SimDisk) -> Result<(Device, Report), OpenError> {
    open_with(disk, small())
}

pub fn payloads(texts: &[&[u8]]) -> Records {
    let payload = |text: &&[u8]| Payload::new(Term(1), 0, text.to_vec());
    Records::Frames(texts.iter().map(payload).collect())
}

pub fn append(device: &mut Device, log: u64, text: &[u8]) -> Result<Appended, Refused> {
    device.log(LogId(log), &FRAMES)?;
    device.call(Request::Append {
        log: LogId(log),
        records: payloads(&[text]),
    })
}

/// Every record of a log with its index, read from the first on, each checked.
pub fn contents(device: &mut Device, log: LogId, way: Way) -> Vec<(u64, Vec<u8>)> {
    try_contents(device, log, way).unwrap()
}

/// As `contents`, where damage is to be expected.
pub fn try_contents(
    device: &mut Device,
    log: LogId,
    way: Way,
) -> Result<Vec<(u64, Vec<u8>)>, String> {
    let Some(shelf) = device.shelf(log) else {
        return Ok(Vec::new());
    };
    let format: &dyn Format = if is_framed(device, log) {
        &FRAMES
    } else {
        &FOREIGN
    };
    let mut from = shelf.first();
    let mut found = Vec::new();
    let mut end = None;
    while from < shelf.durable_until() {
        let read = device
            .read(log, from, 3000, way)
            .map_err(|error| error.to_string())?;
        let read = read.ok_or_else(|| format!("log {log} has nothing at {from}"))?;
        let mut rest = &read.bytes[..];
        while !rest.is_empty() {
            let Ok(Step::Record(head)) = format.measure(rest) else {
                return Err(format!("log {log} has no record near {from}"));
            };
            let record = &rest[..head.length];
            if end.is_some_and(|end| head.first != end) {
                return Err(format!("log {log} goes on with {} at {end:?}", head.first));
            }
            end = Some(head.next);
            format
                .check(record, read.epoch)
                .map_err(|fault| format!("log {log}: {fault}"))?;
            let body = match format.is_framed() {
                true => frame::parse(rest).unwrap().unwrap().0.payload.to_vec(),
                false => record.to_vec(),
            };
            found.push((head.first.0, body));
            rest = &rest[head.length..];
        }
        if read.next <= from {
            return Err(format!("log {log} does not read on at {from}"));
        }
        from = read.next;
    }
    found.retain(|&(index, _)| Index(index) >= shelf.first());
    Ok(found)
}

fn is_framed(device: &mut Device, log: LogId) -> bool {
    device.log(log, &FRAMES).is_ok()
}
