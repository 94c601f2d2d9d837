use super::*;
use crate::disk::{Block, Done, Task, Token};
use crate::limits::BLOCK_BYTES;
#[cfg(debug_assertions)]
use crate::planted::{Fault, plant};
use std::io::ErrorKind;

const BLOCK: u64 = BLOCK_BYTES as u64;

fn block(letter: u8, blocks: usize) -> Block {
    let mut block = Block::with_capacity(blocks * BLOCK_BYTES);
    block.extend(&vec![letter; blocks * BLOCK_BYTES]);
    block
}

/// A disk with one file of eight blocks of zeros, open for direct writes.
fn journal(seed: u64) -> (SimDisk, Arc<dyn File>) {
    let disk = SimDisk::new(seed);
    disk.set_file("journal/1", &[0; 8 * BLOCK_BYTES]);
    disk.start_recording();
    let file = disk.open("journal/1", How::WriteDirect).unwrap();
    (disk, file)
}

/// Waits until nothing more is finished.
fn finish(lane: &mut dyn Lane) -> Vec<Done> {
    let mut done = Vec::new();
    for _ in 0..64 {
        lane.wait(None, &mut || true);
        lane.reap(&mut done);
    }
    done
}

fn trace_of(disk: &SimDisk) -> Vec<String> {
    let ops = disk.trace().ops().to_vec();
    let bare = |op: &Op| {
        op.to_string()
            .split(" (")
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    ops.iter().map(bare).collect()
}

#[test]
fn names_behave_like_a_folders() {
    let disk = SimDisk::new(0);
    let kind = |result: io::Result<Arc<dyn File>>| result.map(drop).map_err(|error| error.kind());
    assert_eq!(
        kind(disk.open("d/f", How::Create)),
        Err(ErrorKind::NotFound)
    );
    disk.make_folder("d").unwrap();
    assert_eq!(kind(disk.open("d/f", How::Create)), Ok(()));
    assert_eq!(
        kind(disk.open("d/f", How::Create)),
        Err(ErrorKind::AlreadyExists)
    );
    assert_eq!(kind(disk.open("d/g", How::Write)), Err(ErrorKind::NotFound));
    assert_eq!(disk.list("d").unwrap(), ["f"]);
    assert_eq!(disk.list("absent").unwrap(), Vec::<String>::new());
    disk.rename("d/f", "d/g").unwrap();
    assert_eq!(disk.names(), ["d/g"]);
    disk.remove("d/g").unwrap();
    assert_eq!(disk.remove("d/g").unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn an_open_file_outlives_its_name() {
    let disk = SimDisk::new(0);
    let file = disk.open("f", How::Create).unwrap();
    file.write_all_at(0, b"here").unwrap();
    disk.rename("f", "g").unwrap();
    file.write_all_at(0, b"still").unwrap();
    assert_eq!(disk.file_bytes("g"), b"still");
    disk.remove("g").unwrap();
    let mut read = [0; 5];
    file.read_exact_at(0, &mut read).unwrap();
    assert_eq!(&read, b"still");
}

#[test]
fn a_file_opened_to_read_refuses_writes() {
    let disk = SimDisk::new(0);
    disk.set_file("f", b"bytes");
    let file = disk.open("f", How::Read).unwrap();
    assert_eq!(
        file.write_at(0, b"x").unwrap_err().kind(),
        ErrorKind::PermissionDenied
    );
}

#[test]
fn short_reads_and_writes_are_gone_on_with() {
    for seed in 0..20 {
        let disk = SimDisk::new(seed);
        disk.faults(|faults| {
            faults.short_read = When::OneIn(2);
            faults.short_write = When::OneIn(2);
        });
        let bytes: Vec<u8> = (0..10_000).map(|index| index as u8).collect();
        let file = disk.open("f", How::Create).unwrap();
        file.write_all_at(3, &bytes).unwrap();
        let mut read = vec![0; bytes.len()];
        file.read_exact_at(3, &mut read).unwrap();
        assert_eq!(read, bytes);
        let end = file.read_exact_at(4, &mut read).unwrap_err();
        assert_eq!(end.kind(), ErrorKind::UnexpectedEof);
    }
}

#[test]
fn the_nth_read_write_and_sync_fail_where_asked() {
    let disk = SimDisk::new(0);
    disk.set_file("a", b"aa");
    disk.set_file("b", b"bb");
    disk.faults(|faults| {
        faults.only = "a".into();
        faults.fail_read = When::Nth(2);
        faults.fail_write = When::Nth(1);
        faults.fail_sync = When::Nth(1);
    });
    let (a, b) = (
        disk.open("a", How::Write).unwrap(),
        disk.open("b", How::Write).unwrap(),
    );
    let mut byte = [0];
    b.read_exact_at(0, &mut byte).unwrap();
    b.write_all_at(0, b"x").unwrap();
    b.sync().unwrap();
    a.read_exact_at(0, &mut byte).unwrap();
    let is_eio = |result: io::Result<()>| result.unwrap_err().raw_os_error() == Some(libc::EIO);
    assert!(is_eio(a.read_exact_at(0, &mut byte)));
    assert!(is_eio(a.write_all_at(0, b"x")));
    assert_eq!(disk.file_bytes("a"), b"aa");
    assert!(is_eio(a.sync()));
    a.read_exact_at(0, &mut byte).unwrap();
    a.sync().unwrap();
}

#[test]
fn room_ends_and_comes_back() {
    let disk = SimDisk::new(0);
    disk.faults(|faults| faults.room = Some(100));
    let file = disk.open("f", How::Create).unwrap();
    file.allocate(80).unwrap();
    assert_eq!(disk.free_bytes().unwrap(), 20);
    file.allocate(50).unwrap();
    assert_eq!(file.len().unwrap(), 80);
    assert_eq!(
        file.allocate(101).unwrap_err().kind(),
        ErrorKind::StorageFull
    );
    let other = disk.open("g", How::Create).unwrap();
    assert_eq!(
        other.write_at(0, &[0; 21]).unwrap_err().kind(),
        ErrorKind::StorageFull
    );
    // What has its room is written on a full disk as well.
    other.allocate(20).unwrap();
    file.write_all_at(0, &[1; 80]).unwrap();
    disk.remove("f").unwrap();
    other.allocate(100).unwrap();
    disk.faults(|faults| faults.room = Some(200));
    assert_eq!(disk.free_bytes().unwrap(), 100);
}

#[test]
fn misdirected_bytes_come_from_and_go_to_another_block() {
    for seed in 0..20 {
        let disk = SimDisk::new(seed);
        let bytes: Vec<u8> = (1..=4).flat_map(|letter| [letter; BLOCK_BYTES]).collect();
        disk.set_file("f", &bytes);
        let file = disk.open("f", How::Write).unwrap();
        disk.faults(|faults| faults.misdirect_read = When::Nth(1));
        let mut read = [0; 100];
        file.read_exact_at(BLOCK, &mut read).unwrap();
        assert!(read[0] != 2 && read == [read[0]; 100]);
        disk.faults(|faults| faults.misdirect_write = When::Nth(1));
        file.write_all_at(BLOCK + 5, b"astray").unwrap();
        let now = disk.file_bytes("f");
        let own = BLOCK_BYTES..2 * BLOCK_BYTES;
        assert!(now != bytes && now[own.clone()] == bytes[own]);
        assert_eq!(now.len(), bytes.len());
    }
}

#[test]
fn bits_flip_and_bytes_change_by_hand() {
    let disk = SimDisk::new(0);
    disk.set_file("d/f", b"abc");
    let before = disk.digest();
    disk.flip("d/f", 1, 0);
    assert_eq!(disk.file_bytes("d/f"), b"acc");
    assert_ne!(disk.digest(), before);
    disk.flip("d/f", 1, 0);
    assert_eq!(disk.digest(), before);
    disk.truncate("d/f", 1);
    disk.overwrite("d/f", 2, b"z");
    assert_eq!(disk.file_bytes("d/f"), b"a\0z");
}

#[test]
fn what_is_read_is_counted_by_file() {
    let disk = SimDisk::new(0);
    disk.maps(true);
    disk.set_file("f", &[1; 1_000]);
    let file = disk.open("f", How::Read).unwrap();
    file.read_exact_at(0, &mut [0; 300]).unwrap();
    file.map(1_000).unwrap().unwrap().populate(0..50).unwrap();
    assert_eq!(disk.counts().bytes_read.get("f"), Some(&350));
    disk.reset_counts();
    assert_eq!(disk.counts(), Counts::default());
}

#[test]
fn a_map_shows_the_bytes_of_its_moment() {
    let disk = SimDisk::new(0);
    let file = disk.open("f", How::Create).unwrap();
    file.write_all_at(0, b"old").unwrap();
    assert!(file.map(3).unwrap().is_none());
    disk.maps(true);
    let map = file.map(3).unwrap().unwrap();
    file.write_all_at(0, b"new").unwrap();
    assert_eq!(map.bytes(), b"old");
    disk.faults(|faults| faults.fail_populate = When::Nth(1));
    assert!(map.populate(0..3).is_err());
    map.populate(0..3).unwrap();
}

#[test]
fn a_durable_write_is_written_at_once_and_synced_at_its_end() {
    let (disk, file) = journal(0);
    let mut lane = disk.lane().unwrap();
    lane.write_durable(Token(1), &file, BLOCK, block(7, 1));
    assert_eq!(trace_of(&disk), ["write #0 4096+4096"]);
    let done = finish(&mut *lane);
    assert_eq!(trace_of(&disk), ["write #0 4096+4096", "sync #0 below 1"]);
    assert_eq!(done.len(), 1);
    assert!(done[0].token == Token(1) && done[0].result.is_ok());
    assert_eq!(
        done[0].block.as_ref().map(|block| block.len()),
        Some(BLOCK_BYTES)
    );
}

#[test]
fn durable_writes_finish_in_either_order_and_cover_only_themselves() {
    let orders: std::collections::BTreeSet<_> = (0..20)
        .map(|seed| {
            let (disk, file) = journal(seed);
            let mut lane = disk.lane().unwrap();
            lane.write_durable(Token(1), &file, 0, block(1, 1));
            lane.write_durable(Token(2), &file, BLOCK, block(2, 1));
            let done = finish(&mut *lane);
            let order: Vec<_> = done.iter().map(|done| done.token.0).collect();
            (order, trace_of(&disk)[2..].to_vec())
        })
        .collect();
    let expected = [
        (
            vec![1, 2],
            vec!["sync #0 below 1".to_owned(), "sync #0 below 2".to_owned()],
        ),
        (
            vec![2, 1],
            vec![
                "sync #0 below 2 without [0]".to_owned(),
                "sync #0 below 1".to_owned(),
            ],
        ),
    ];
    assert_eq!(orders, expected.into());
}

#[test]
fn a_plain_sync_does_not_cover_a_durable_write_in_flight() {
    let (disk, file) = journal(0);
    let mut lane = disk.lane().unwrap();
    lane.write_durable(Token(1), &file, 0, block(1, 1));
    file.sync().unwrap();
    assert_eq!(trace_of(&disk)[1], "sync #0 below 1 without [0]");
    finish(&mut *lane);
    file.sync().unwrap();
    assert_eq!(trace_of(&disk)[3], "sync #0 below 3");
}

#[test]
#[cfg(debug_assertions)] // faults cannot be planted in release
fn a_planted_early_sync_does_not_cover_its_write() {
    let (disk, file) = journal(0);
    let mut lane = disk.lane().unwrap();
    let _planted = plant(Fault::SyncBeforeWrite);
    lane.write_durable(Token(1), &file, 0, block(1, 1));
    finish(&mut *lane);
    let image = disk.trace().image("cut 2, nothing".parse().unwrap());
    assert_eq!(image.into_disk().file_bytes("journal/1")[0], 0);
}

#[test]
fn a_short_durable_write_is_completed_before_its_sync() {
    let (disk, file) = journal(0);
    disk.faults(|faults| faults.short_write = When::Nth(1));
    let mut lane = disk.lane().unwrap();
    lane.write_durable(Token(1), &file, 0, block(9, 4));
    assert!(finish(&mut *lane)[0].result.is_ok());
    assert_eq!(trace_of(&disk).len(), 3);
    let image = disk.trace().image("cut 3, nothing".parse().unwrap());
    assert_eq!(
        image.into_disk().file_bytes("journal/1")[..4 * BLOCK_BYTES],
        *block(9, 4)
    );
}

#[test]
fn an_error_of_writing_out_is_told_once_and_no_sync_tells_of_it_again() {
    let disk = SimDisk::new(0);
    let file = disk.open("a", How::Create).unwrap();
    file.write_all_at(0, b"aa").unwrap();
    disk.faults(|faults| faults.fail_write_out = When::Nth(2));
    file.write_out(0, 1).unwrap();
    file.write_out(1, 1).unwrap_err();
    file.sync().unwrap();
    let ends = &trace_of(&disk)[2..];
    assert_eq!(ends, ["failed sync #0 below 2", "sync #0 below 3"]);
}

#[test]
fn a_durable_write_fails_by_its_write_or_by_its_sync() {
    let (disk, file) = journal(0);
    let mut lane = disk.lane().unwrap();
    disk.faults(|faults| faults.fail_write = When::Nth(1));
    lane.write_durable(Token(1), &file, 0, block(1, 1));
    assert!(finish(&mut *lane)[0].result.is_err());
    assert_eq!(trace_of(&disk), Vec::<String>::new());
    disk.faults(|faults| faults.fail_sync = When::Nth(1));
    lane.write_durable(Token(2), &file, 0, block(1, 1));
    assert!(finish(&mut *lane)[0].result.is_err());
    assert_eq!(trace_of(&disk)[1], "failed sync #0 below 1");
}

#[test]
fn tasks_run_one_after_another_among_the_durable_writes() {
    let mut places = std::collections::BTreeSet::new();
    for seed in 0..40 {
        let (disk, file) = journal(seed);
        let mut lane = disk.lane().unwrap();
        lane.write_durable(Token(0), &file, 0, block(1, 1));
        for token in 1..=3 {
            let disk = disk.clone();
            let task: Task = Box::new(move || disk.sync_folder("journal"));
            lane.background(Token(token), task);
        }
        assert_eq!(trace_of(&disk).len(), 1, "nothing runs by itself");
        let order: Vec<_> = finish(&mut *lane).iter().map(|done| done.token.0).collect();
        places.insert(order.iter().position(|token| *token == 0));
        let tasks: Vec<_> = order.into_iter().filter(|token| *token > 0).collect();
        assert_eq!(tasks, [1, 2, 3]);
    }
    assert!(places.len() > 2, "{places:?}");
}

#[test]
fn what_is_slow_is_held_back_for_its_waits() {
    let (disk, file) = journal(0);
    disk.faults(|faults| {
        faults.slow = When::Nth(1);
        faults.slow_waits = 5;
    });
    let mut lane = disk.lane().unwrap();
    lane.write_durable(Token(1), &file, 0, block(1, 1));
    let mut done = Vec::new();
    for _ in 0..4 {
        lane.wait(None, &mut || true);
        lane.reap(&mut done);
    }
    assert!(done.is_empty());
    assert_eq!(finish(&mut *lane).len(), 1);
}

#[test]
fn a_wait_finishes_something_where_it_can() {
    let (disk, file) = journal(0);
    let mut lane = disk.lane().unwrap();
    lane.wait(None, &mut || true);
    for round in 0..50 {
        lane.write_durable(Token(round), &file, 0, block(1, 1));
        lane.wait(None, &mut || true);
        let mut done = Vec::new();
        lane.reap(&mut done);
        assert_eq!(done.len(), 1);
    }
}

#[test]
fn a_ring_may_end_a_wait_with_nothing_finished() {
    let (disk, file) = journal(0);
    let mut lane = disk.lane().unwrap();
    let mut empty = 0;
    for round in 0..50 {
        lane.write_durable(Token(round), &file, 0, block(1, 1));
        lane.waker().wake();
        lane.wait(None, &mut || true);
        empty += usize::from(
            trace_of(&disk)
                .last()
                .is_some_and(|op| op.starts_with("write")),
        );
        finish(&mut *lane);
    }
    assert!((5..45).contains(&empty), "{empty}");
}

#[test]
#[should_panic(expected = "durable writes overlap in journal/1: 0..8192 is in flight, 4096..8192")]
fn durable_writes_in_flight_must_not_overlap() {
    let (disk, file) = journal(0);
    let mut lane = disk.lane().unwrap();
    lane.write_durable(Token(1), &file, 0, block(1, 2));
    lane.write_durable(Token(2), &file, BLOCK, block(2, 1));
}

#[test]
#[should_panic(expected = "which is allocated up to 32768")]
fn a_durable_write_stays_inside_what_is_allocated() {
    let (disk, file) = journal(0);
    disk.lane()
        .unwrap()
        .write_durable(Token(1), &file, 7 * BLOCK, block(1, 2));
}

#[test]
#[should_panic(expected = "must be whole blocks")]
fn a_direct_file_wants_whole_blocks() {
    let (_disk, file) = journal(0);
    let _ = file.write_at(512, &block(1, 1));
}

#[test]
fn one_seed_is_one_trace() {
    let run = |seed| {
        let (disk, file) = journal(seed);
        disk.faults(|faults| faults.short_write = When::OneIn(3));
        let mut lane = disk.lane().unwrap();
        for round in 0..20 {
            lane.write_durable(Token(round), &file, 0, block(round as u8, 3));
            lane.write_durable(Token(round), &file, 3 * BLOCK, block(round as u8, 3));
            finish(&mut *lane);
        }
        disk.trace().digest()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

/// The smallest log there is: one block a record, its number in each byte.
/// Two durable writes are in flight at most; a record counts as acknowledged
/// when it and all before it are done.
fn toy_log(seed: u64, records: u8) -> Trace {
    let disk = SimDisk::new(seed);
    disk.faults(|faults| faults.short_write = When::OneIn(4));
    let file = disk.open("log", How::Create).unwrap();
    file.allocate(u64::from(records) * BLOCK).unwrap();
    file.sync().unwrap();
    disk.sync_folder("").unwrap();
    let file = disk.open("log", How::WriteDirect).unwrap();
    let mut lane = disk.lane().unwrap();
    let (mut asked, mut acknowledged, mut done) = (0, 0, Vec::new());
    while acknowledged < records {
        while asked < records && usize::from(asked - acknowledged) < lane.depth() {
            asked += 1;
            let at = u64::from(asked - 1) * BLOCK;
            lane.write_durable(Token(asked.into()), &file, at, block(asked, 1));
        }
        lane.wait(None, &mut || true);
        lane.reap(&mut done);
        while done
            .iter()
            .any(|done| done.token.0 == u64::from(acknowledged) + 1)
        {
            acknowledged += 1;
            disk.note(acknowledged.into());
        }
    }
    disk.trace()
}

/// The first crash after which an acknowledged record is not there.
fn first_loss(trace: &Trace) -> Option<Crash> {
    let is_lost = |image: &Image| {
        let disk = image.clone().into_disk();
        let log = disk
            .names()
            .first()
            .map(|name| disk.file_bytes(name))
            .unwrap_or_default();
        let blocks = log.chunks(BLOCK_BYTES).zip(1_u8..);
        let whole = blocks.take_while(|(block, number)| block.iter().all(|byte| byte == number));
        (whole.count() as u64) < image.notes().last().copied().unwrap_or(0)
    };
    trace
        .images(Sweep::all(1))
        .find(is_lost)
        .map(|image| image.crash())
}

#[test]
fn a_sound_log_loses_nothing() {
    for seed in 0..10 {
        let sound = toy_log(seed, 8);
        let loss = first_loss(&sound).map(|crash| sound.story(crash));
        assert_eq!(loss, None, "seed {seed}\n{sound}");
    }
}

#[test]
#[cfg(debug_assertions)]
fn an_early_sync_is_found_out() {
    for seed in 0..10 {
        let _planted = plant(Fault::SyncBeforeWrite);
        assert!(first_loss(&toy_log(seed, 8)).is_some(), "seed {seed}");
    }
}
