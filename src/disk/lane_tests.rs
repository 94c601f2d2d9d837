//! What both lanes of this machine must do, checked on both.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use super::class::{self, Class};
use super::trial::{self, Folder};
use super::{Block, Disk, Done, Engine, File, How, Lane, RealDisk, Settings, Token};
use crate::limits::BLOCK_BYTES;

/// Runs a check on every lane, each on a disk and a thread of its own.
fn check(work: impl Fn(&RealDisk, &mut dyn Lane) + Sync) {
    let all = [
        (Engine::Threads, false),
        (Engine::Uring, false),
        (Engine::Uring, true),
    ];
    for (engine, lone_blocking) in all {
        let folder = Folder::new();
        let disk = open(folder.path(), engine, lone_blocking);
        std::thread::scope(|scope| {
            scope.spawn(|| match disk.lane() {
                Ok(mut lane) => work(&disk, &mut *lane),
                Err(refused) if engine == Engine::Uring => eprintln!("not run: {refused}"),
                Err(error) => panic!("{error}"),
            });
        });
    }
}

fn open(root: &Path, engine: Engine, lone_blocking: bool) -> RealDisk {
    let settings = Settings {
        engine,
        entries: 8,
        lone_blocking,
    };
    RealDisk::open(root, settings).unwrap()
}

/// A block of `count` times the block size, filled with `byte`.
fn filled(byte: u8, count: usize) -> Block {
    let mut block = Block::with_capacity(count * BLOCK_BYTES);
    block.extend(&vec![byte; count * BLOCK_BYTES]);
    block
}

fn wait_for(lane: &mut dyn Lane, count: usize) -> Vec<Done> {
    let mut done = Vec::new();
    lane.reap(&mut done);
    while done.len() < count {
        lane.wait(None, &mut || true);
        lane.reap(&mut done);
    }
    done
}

#[test]
fn durable_writes_read_back_as_written_buffered_and_direct() {
    check(|disk, lane| {
        let file = disk.open("log", How::Create).unwrap();
        file.allocate(64 * BLOCK_BYTES as u64).unwrap();
        for how in [How::Write, How::WriteDirect] {
            let file = disk.open("log", how).unwrap();
            // More than the ring has room for at once.
            for turn in 0..20_u64 {
                let at = turn * 3 * BLOCK_BYTES as u64;
                let block = filled(turn as u8 + how as u8, 1 + turn as usize % 3);
                lane.write_durable(Token(turn), &file, at, block);
            }
            let mut done = wait_for(lane, 20);
            done.sort_by_key(|done| done.token.0);
            for (turn, done) in done.into_iter().enumerate() {
                assert_eq!(done.token, Token(turn as u64));
                done.result.unwrap();
                let written = done.block.unwrap();
                let mut read = vec![0; written.len()];
                let reader = disk.open("log", How::Read).unwrap();
                reader
                    .read_exact_at((turn * 3 * BLOCK_BYTES) as u64, &mut read)
                    .unwrap();
                assert_eq!(read, *written);
                assert_eq!(read[0], turn as u8 + how as u8);
            }
        }
    });
}

#[test]
fn a_full_disk_is_reported_with_its_kind_and_the_memory() {
    check(|disk, lane| {
        let full = open(Path::new("/dev"), Engine::Threads, false);
        let full = full.open("full", How::Write).unwrap();
        lane.write_durable(Token(1), &full, 0, filled(1, 2));
        let done = wait_for(lane, 1).remove(0);
        let error = done.result.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(error.to_string().starts_with("write full: "), "{error}");
        assert_eq!(done.block.unwrap().len(), 2 * BLOCK_BYTES);

        // The lane goes on.
        let file = disk.open("log", How::Create).unwrap();
        lane.write_durable(Token(2), &file, 0, filled(1, 2));
        wait_for(lane, 1).remove(0).result.unwrap();
    });
}

/// A limit on the size of files makes a real short write, and refuses the rest.
#[test]
fn a_short_write_is_gone_on_with_until_it_is_refused() {
    const NAME: &str = "disk::lane_tests::a_short_write_is_gone_on_with_until_it_is_refused";
    if !trial::is_child() {
        // 16 x 512 bytes are two blocks.
        let limited = "ulimit -f 16; trap '' XFSZ; exec \"$0\" \"$@\"";
        return trial::passes(trial::child_under_shell(limited, NAME));
    }
    check(|disk, lane| {
        let file = disk.open("log", How::Create).unwrap();
        lane.write_durable(Token(1), &file, 0, filled(7, 3));
        let error = wait_for(lane, 1).remove(0).result.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge, "{error}");
        let mut read = vec![0; 2 * BLOCK_BYTES];
        file.read_exact_at(0, &mut read).unwrap();
        assert!(read.iter().all(|byte| *byte == 7));
        assert_eq!(file.len().unwrap(), 2 * BLOCK_BYTES as u64);
    });
}

#[test]
fn a_sync_that_fails_is_named() {
    check(|_, lane| {
        // A null device takes every write and syncs nothing.
        let disk = open(Path::new("/dev"), Engine::Threads, false);
        let null = disk.open("null", How::Write).unwrap();
        lane.write_durable(Token(1), &null, 0, filled(1, 2));
        let error = wait_for(lane, 1).remove(0).result.unwrap_err();
        assert!(error.to_string().starts_with("sync null: "), "{error}");
    });
}

#[test]
fn background_work_is_done_in_order_and_rings() {
    check(|_, lane| {
        let turns = Arc::new(AtomicU64::new(0));
        for token in 0..50 {
            let turns = turns.clone();
            lane.background(
                Token(token),
                Box::new(move || {
                    assert_ne!(token, 40, "planted");
                    match turns.fetch_add(1, Relaxed) == token {
                        true => Ok(()),
                        false => Err(io::ErrorKind::Other.into()),
                    }
                }),
            );
        }
        let done = wait_for(lane, 50);
        for (place, done) in done.iter().enumerate() {
            assert_eq!(done.token, Token(place as u64));
            // The turn that panicked counted nothing, so the later ones differ.
            assert_eq!(done.result.is_ok(), place < 40, "{done:?}");
        }
    });
}

#[test]
fn work_beside_does_not_wait_for_the_background() {
    check(|_, lane| {
        let (release, held) = std::sync::mpsc::channel::<()>();
        lane.background(
            Token(1),
            Box::new(move || {
                let _ = held.recv();
                Ok(())
            }),
        );
        lane.beside(Token(2), Box::new(|| Ok(())));
        assert_eq!(wait_for(lane, 1).remove(0).token, Token(2));
        drop(release);
        assert_eq!(wait_for(lane, 1).remove(0).token, Token(1));
    });
}

#[test]
fn the_worker_does_not_inherit_the_log_threads_class() {
    check(|disk, _| {
        class::take(Class::Log);
        let mut lane = disk.lane().unwrap();
        lane.background(
            Token(1),
            Box::new(|| {
                let line = std::fs::read_to_string("/proc/thread-self/stat")?;
                // Fields 18, 19 and 41 (priority, nice, policy) of proc(5);
                // the third stands first behind the name.
                let fields: Vec<_> = line.rsplit(") ").next().unwrap().split(' ').collect();
                assert_eq!(
                    (fields[18 - 3], fields[19 - 3], fields[41 - 3]),
                    ("20", "0", "0")
                );
                Ok(())
            }),
        );
        wait_for(&mut *lane, 1).remove(0).result.unwrap();
    });
}

#[test]
fn a_lane_that_finds_work_does_not_sleep() {
    check(|_, lane| {
        let mut asked = 0;
        lane.wait(None, &mut || {
            asked += 1;
            false
        });
        assert_eq!(asked, 1);
    });
}

/// Nothing else would end this wait, nor the test. Twice: what a ring was
/// asked to watch for is still watched for.
#[test]
fn a_wait_with_a_limit_ends_with_it_and_a_ring_still_ends_the_next() {
    check(|_, lane| {
        for _ in 0..2 {
            lane.wait(Some(Duration::from_millis(1)), &mut || true);
        }
        let waker = lane.waker();
        let asked = std::cell::Cell::new(false);
        lane.wait(None, &mut || {
            asked.set(true);
            waker.wake();
            true
        });
        assert!(asked.get());
    });
}

/// A lost ring would leave the lane asleep for ever, and the test with it.
#[test]
fn no_ring_is_lost_between_two_ringers_and_a_writing_lane() {
    const EACH: u64 = 20_000;
    check(|disk, lane| {
        let file = disk.open("log", How::Create).unwrap();
        file.allocate(64 * BLOCK_BYTES as u64).unwrap();
        let asked = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                let (waker, asked) = (lane.waker(), &asked);
                scope.spawn(move || {
                    for turn in 0..EACH {
                        asked.fetch_add(1, Relaxed);
                        waker.wake();
                        if turn % 16 == 0 {
                            std::thread::yield_now();
                        }
                    }
                });
            }
            let (mut seen, mut flying, mut done) = (0, 0, Vec::new());
            while seen < 2 * EACH || flying > 0 {
                lane.wait(None, &mut || {
                    asked.load(Relaxed) == seen && seen < 2 * EACH || flying > 0
                });
                lane.reap(&mut done);
                flying -= done.len();
                done.drain(..).for_each(|done| done.result.unwrap());
                let now = asked.load(Relaxed);
                // One write in a hundred asked for, so that the lane sleeps
                // now on the bell and now on the disk.
                if now / 100 > seen / 100 && flying < lane.depth() {
                    let at = (now / 100 % 32) * 2 * BLOCK_BYTES as u64;
                    lane.write_durable(Token(now), &file, at, filled(1, 1));
                    flying += 1;
                }
                seen = now;
            }
        });
    });
}

/// A file whose first syncs take their time, and the later ones until they are
/// let go.
struct SlowFile {
    file: Arc<dyn File>,
    slow: AtomicU64,
    go_on: Mutex<mpsc::Receiver<()>>,
}

impl File for SlowFile {
    fn name(&self) -> &str {
        self.file.name()
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(at, into)
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_at(at, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        let go_on = self.go_on.lock().unwrap();
        let is_slow = |slow: u64| slow.checked_sub(1);
        match self.slow.fetch_update(Relaxed, Relaxed, is_slow) {
            Ok(_) => _ = go_on.recv_timeout(Duration::from_millis(6)),
            Err(_) => go_on.recv().unwrap(),
        }
        self.file.sync()
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn allocate(&self, until: u64) -> io::Result<()> {
        self.file.allocate(until)
    }

    fn map(&self, length: u64) -> io::Result<Option<super::Map>> {
        self.file.map(length)
    }
}

/// Where it did, this would wait for itself.
#[test]
fn the_thread_of_a_slow_disk_does_not_wait_for_it() {
    let folder = Folder::new();
    let disk = open(folder.path(), Engine::Threads, false);
    let mut lane = disk.lane().unwrap();
    let (let_go, go_on) = mpsc::channel();
    let file: Arc<dyn File> = Arc::new(SlowFile {
        file: disk.open("log", How::Create).unwrap(),
        slow: AtomicU64::new(1),
        go_on: Mutex::new(go_on),
    });
    lane.write_durable(Token(0), &file, 0, filled(1, 1));
    assert_eq!(wait_for(&mut *lane, 1).len(), 1);

    lane.write_durable(Token(1), &file, 0, filled(2, 1));
    let mut done = Vec::new();
    lane.reap(&mut done);
    assert!(done.is_empty(), "it is with the disk still");
    let_go.send(()).unwrap();
    let done = wait_for(&mut *lane, 1).remove(0);
    assert_eq!((done.token, done.block.unwrap()[0]), (Token(1), 2));
    done.result.unwrap();
}

#[test]
fn a_lane_dropped_in_flight_lands_first() {
    check(|disk, _| {
        let file: Arc<dyn File> = disk.open("log", How::Create).unwrap();
        let mut lane = disk.lane().unwrap();
        for turn in 0..10 {
            let at = turn * 16 * BLOCK_BYTES as u64;
            lane.write_durable(Token(turn), &file, at, filled(9, 16));
        }
        drop(lane);
        assert_eq!(file.len().unwrap(), 160 * BLOCK_BYTES as u64);
    });
}
