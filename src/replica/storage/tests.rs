//! A disk without room.

use super::*;
use crate::disk::sim::SimDisk;
use crate::entropy::{Entropy, Seeded};
use crate::ids::Term;
use crate::log::Settings;
use std::io;

struct Dice(Mutex<Seeded>);

impl Entropy for Dice {
    fn fill(&self, into: &mut [u8]) -> io::Result<()> {
        let mut seeded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        into.iter_mut()
            .for_each(|byte| *byte = seeded.next_u64() as u8);
        Ok(())
    }
}

/// Segments of at most six blocks, the first step of two.
fn open(disk: &SimDisk) -> Storage {
    let opening = Opening {
        disk: Arc::new(disk.clone()),
        lane: disk.lane().expect("a simulated disk has lanes"),
        entropy: &Dice(Mutex::new(Seeded::new(1))),
        settings: Settings {
            journal_file_bytes: 256 << 10,
            journal_files_max: 3,
            bypass_bytes: 64 << 10,
            segment_bytes: 96 << 10,
            segment_first_bytes: 8 << 10,
            show_bytes: 4 << 10,
            reserve_bytes: 0,
            ..Settings::default()
        },
        formats: &[&FRAMES],
    };
    Storage::open(opening).expect("a sound disk opens").0
}

fn entry(index: u64, bytes: usize) -> Entry {
    Entry {
        term: Term(1),
        index: Index(index),
        body: Body::Data(vec![index as u8; bytes].into()),
    }
}

/// Turns until so much is durable, with a tick now and then.
fn turn_until(storage: &mut Storage, ready: u64) {
    for _ in 0..1000 {
        if storage.turn().expect("the disk is sound") == Some(ready) {
            return;
        }
        storage.wait(None, &mut || true);
        storage.tick().expect("the disk is sound");
    }
    panic!("Ready {ready} never became durable");
}

/// A large entry that finds no room, and small ones behind it that would.
#[test]
fn an_entry_without_room_is_not_overtaken() {
    let disk = SimDisk::new(3);
    let mut storage = open(&disk);
    storage.remember(1, None, vec![entry(2, 100)], None);
    turn_until(&mut storage, 1);
    disk.faults(|faults| faults.room = Some(0));
    storage.remember(2, None, vec![entry(3, 20_000)], None);
    storage.remember(3, None, vec![entry(4, 100)], None);
    storage.remember(4, None, vec![entry(5, 100)], None);
    for _ in 0..20 {
        assert_eq!(storage.turn().expect("a full disk is no failed one"), None);
        storage.tick().expect("a full disk is no failed one");
    }
    assert!(storage.is_full());
    assert_eq!(storage.entries().1, Index(3));
    disk.faults(|faults| faults.room = None);
    turn_until(&mut storage, 4);
    assert!(!storage.is_full());
    let expected = [
        entry(2, 100),
        entry(3, 20_000),
        entry(4, 100),
        entry(5, 100),
    ];
    assert_eq!(storage.read_all(FIRST_ENTRY).expect("it reads"), expected);
}

/// More than one sync may carry leaves in several groups, in order.
#[test]
fn what_is_too_much_for_one_group_follows_in_the_next() {
    let disk = SimDisk::new(4);
    let mut storage = open(&disk);
    let large = JOURNAL_BATCH_BYTES_MAX / 2;
    for index in 2..8 {
        storage.remember(index, None, vec![entry(index, large)], None);
    }
    turn_until(&mut storage, 7);
    let expected: Vec<_> = (2..8).map(|index| entry(index, large)).collect();
    assert_eq!(storage.read_all(FIRST_ENTRY).expect("it reads"), expected);
}
