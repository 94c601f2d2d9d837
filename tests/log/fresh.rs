//! What was just appended is read from memory, whole and in order, until it can
//! be read from its segment.

use super::foreign::{FOREIGN, record};
use super::kit::*;
use dolmen::disk::sim::{SimDisk, When};
use dolmen::entropy::Seeded;
use dolmen::ids::{Index, LogId};
use dolmen::limits::PENDING_BYTES_MAX;
use dolmen::log::format::{Format, Step};
use dolmen::log::{Device, Records, Request, Settings, Shelf, Way};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

const LOG: LogId = LogId(4);

fn begin(device: &mut Device, bytes: Vec<u8>) -> Arc<AtomicUsize> {
    let answered = Arc::new(AtomicUsize::new(0));
    let count = answered.clone();
    let records = Records::Whole(bytes);
    device.submit(
        Request::Append { log: LOG, records },
        Box::new(move |outcome| {
            outcome.unwrap();
            count.fetch_add(1, Ordering::Relaxed);
        }),
    );
    answered
}

/// The bases of the records that one read gives.
fn bases(bytes: &[u8]) -> Vec<u64> {
    let (mut rest, mut found) = (bytes, Vec::new());
    while !rest.is_empty() {
        let Ok(Step::Record(head)) = FOREIGN.measure(rest) else {
            panic!("no whole record");
        };
        FOREIGN
            .check(&rest[..head.length], dolmen::ids::Epoch(0))
            .unwrap();
        found.push(head.first.0);
        rest = &rest[head.length..];
    }
    found
}

#[test]
fn a_record_is_read_before_its_segment_is_written() {
    let disk = SimDisk::new(1);
    let (mut device, _) = open_small(&disk).unwrap();
    let shelf = device.log(LOG, &FOREIGN).unwrap();
    let answered = begin(&mut device, record(0, 1, 2, b"first"));
    begin(&mut device, record(2, 1, 1, b"second"));
    device.turn().unwrap();
    assert_eq!(answered.load(Ordering::Relaxed), 0, "it is on its way");
    assert!(shelf.read(Index(0), 1000, Way::Map).unwrap().is_none());
    let early = shelf.read_taken(Index(0), 1000, Way::Map).unwrap().unwrap();
    assert_eq!((bases(&early.bytes), early.next), (vec![0, 2], Index(3)));
    while answered.load(Ordering::Relaxed) == 0 {
        device.wait(None, &mut || true);
        device.turn().unwrap();
    }
    disk.reset_counts();
    let read = shelf.read(Index(1), 1, Way::Map).unwrap().unwrap();
    assert_eq!((bases(&read.bytes), read.next), (vec![0], Index(2)));
    let read = shelf.read(Index(2), 1000, Way::Plain).unwrap().unwrap();
    assert_eq!((bases(&read.bytes), read.next), (vec![2], Index(3)));
    assert!(
        shelf.readable_until() < Index(3),
        "nothing has reached the segment"
    );
    assert_eq!(disk.counts().reads, 0);
    device.settle().unwrap();
    assert_eq!(shelf.readable_until(), Index(3));
    let again = shelf.read(Index(0), 1000, Way::Plain).unwrap().unwrap();
    assert_eq!(again.bytes[..], early.bytes[..]);
    assert!(disk.counts().reads > 0, "from now on the segment is read");
}

/// What a log should hold, and a check of reads from anywhere in it.
struct Model {
    bytes: Vec<Vec<u8>>,
    /// First and next of each.
    ends: Vec<(u64, u64)>,
}

impl Model {
    fn next(&self) -> u64 {
        self.ends.last().map_or(0, |end| end.1)
    }

    fn check(&self, shelf: &Shelf, dice: &mut Seeded, disk_is_slow: bool) {
        let durable = shelf.durable_until().0;
        let taken = shelf.taken_until().0;
        assert!(taken <= self.next());
        for until in [durable, taken] {
            let from = dice.below(until + 2);
            let most = [1, 40, 900, 9000, 1 << 20][dice.below(5) as usize];
            let way = [Way::Map, Way::Plain][dice.below(2) as usize];
            let read = match until == durable {
                true => shelf.read(Index(from), most, way),
                false => shelf.read_taken(Index(from), most, way),
            };
            let Some(read) = read.unwrap() else {
                assert!(from >= until, "{from} of {until}, slow: {disk_is_slow}");
                continue;
            };
            assert!(from < until && read.next.0 <= until);
            let place = self.ends.iter().position(|end| end.1 > from).unwrap();
            let found = bases(&read.bytes);
            let expected = self.ends[place..].iter().map(|end| end.0);
            assert_eq!(found, expected.take(found.len()).collect::<Vec<_>>());
            let last = place + found.len();
            assert_eq!(read.next.0, self.ends[last - 1].1);
            assert_eq!(read.bytes[..], self.bytes[place..last].concat()[..]);
            let is_within = read.bytes.len() <= most || found.len() == 1;
            assert!(is_within, "{} bytes of {most}", read.bytes.len());
        }
    }
}

/// Small appends and large, rolls, cuts, a disk that lags behind: whatever is
/// taken in can be read at any moment, from anywhere.
fn history(seed: u64) {
    let mut dice = Seeded::new(seed);
    let disk = SimDisk::new(seed);
    disk.faults(|faults| (faults.slow, faults.slow_waits) = (When::OneIn(3), 7));
    let settings = Settings {
        bypass_bytes: [2000, 6000, 1 << 20][dice.below(3) as usize],
        show_bytes: [1, 4 << 10, 1 << 20][dice.below(3) as usize],
        ..small()
    };
    let (mut device, _) = open_with(&disk, settings).unwrap();
    let shelf = device.log(LOG, &FOREIGN).unwrap();
    let mut model = Model {
        bytes: Vec::new(),
        ends: Vec::new(),
    };
    let failures: Arc<Mutex<Vec<String>>> = Arc::default();
    for _ in 0..120 {
        let is_cut = dice.one_in(25) && !model.ends.is_empty();
        let request = match is_cut {
            true => {
                let place = dice.below(model.ends.len() as u64) as usize;
                let from = Index(model.ends[place].0);
                model.bytes.truncate(place);
                model.ends.truncate(place);
                Request::Truncate { log: LOG, from }
            }
            false => {
                let mut whole = Vec::new();
                for _ in 0..=dice.below(3) {
                    let length = match dice.below(10) {
                        0 => 5000 + dice.below(4000),
                        _ => dice.below(400),
                    };
                    let (base, count) = (model.next(), 1 + dice.below(3) as u32);
                    let body = vec![dice.next_u64() as u8; length as usize];
                    let bytes = record(base, 1, count, &body);
                    whole.extend_from_slice(&bytes);
                    model.bytes.push(bytes);
                    model.ends.push((base, base + u64::from(count)));
                }
                let records = Records::Whole(whole);
                Request::Append { log: LOG, records }
            }
        };
        let failures = failures.clone();
        device.submit(
            request,
            Box::new(move |outcome| {
                let told = outcome.err().map(|refused| refused.to_string());
                failures.lock().unwrap().extend(told);
            }),
        );
        // A cut is made when nothing is on its way: reads go by what it left.
        if is_cut {
            device.settle().unwrap();
        }
        for _ in 0..dice.below(4) {
            model.check(&shelf, &mut dice, true);
            device.turn().unwrap();
            model.check(&shelf, &mut dice, true);
            if device.is_waiting() && dice.one_in(2) {
                device.wait(None, &mut || true);
            }
        }
        if dice.one_in(30) {
            device.tick().unwrap();
        }
    }
    device.settle().unwrap();
    assert_eq!(*failures.lock().unwrap(), Vec::<String>::new());
    assert_eq!(shelf.readable_until().0, model.next());
    (0..50).for_each(|_| model.check(&shelf, &mut dice, false));
}

#[test]
fn whatever_is_taken_in_can_be_read_at_any_moment() {
    for seed in 1..=if crate::full() { 500 } else { 40 } {
        println!("seed {seed}");
        history(seed);
    }
}

/// The bound holds over all logs: who appends more waits for the segments.
#[test]
fn no_more_is_kept_in_memory_than_may_be() {
    let disk = SimDisk::new(1);
    let settings = Settings {
        journal_file_bytes: 64 << 20,
        segment_bytes: 64 << 20,
        bypass_bytes: 128 << 10,
        ..small()
    };
    let (mut device, _) = open_with(&disk, settings).unwrap();
    disk.stop_recording();
    let body = vec![7; 100 << 10];
    let logs: Vec<LogId> = (1..=3).map(LogId).collect();
    let shelves: Vec<_> = logs
        .iter()
        .map(|&log| device.log(log, &FOREIGN).unwrap())
        .collect();
    for base in 0..100 {
        for &log in &logs {
            let records = Records::Whole(record(base, 1, 1, &body));
            device.submit(Request::Append { log, records }, Box::new(|_| ()));
        }
    }
    let mut most = 0;
    loop {
        device.turn().unwrap();
        let kept = |shelf: &Arc<Shelf>| shelf.written_until().0 - shelf.readable_until().0;
        most = most.max(shelves.iter().map(kept).sum::<u64>() * body.len() as u64);
        if !device.is_busy() {
            break;
        }
        if device.is_waiting() {
            device.wait(None, &mut || true);
        }
    }
    assert!(
        most > 0 && most <= (PENDING_BYTES_MAX + (1 << 20)) as u64,
        "{most}"
    );
    assert_eq!(
        shelves
            .iter()
            .map(|shelf| shelf.durable_until().0)
            .sum::<u64>(),
        300
    );
}
