//! How fast a data directory opens, and how fast its log is read.
//!
//! After an unclean end all of the journal is replayed and every active
//! segment scanned. The journal is one file just large enough, so that no
//! sweep has freed any of it, and beside it lies a spare, as one does on every
//! node that has run for a while. The directory is in the page cache.

use super::files::copy;
use super::folder::Folder;
use super::load::{Variant, append, open_here};
use super::median::median;
use dolmen::disk::class::{self, Class};
use dolmen::ids::LogId;
use dolmen::log::{Device, FRAMES, Report, Settings, Way};
use dolmen::wire::crc32c;
use serde::Serialize;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Instant;

#[derive(Serialize)]
pub struct Recovery {
    pub log_bytes: u64,
    /// Bytes that the journal held and that segments were compared with.
    pub replayed_bytes: u64,
    /// Bytes of active segments that were checked record by record.
    pub scanned_bytes: u64,
    pub unclean_open_ms: f64,
    /// The log's bytes by the time of opening. What is replayed and then
    /// scanned as well counts once.
    pub recovered_mb_per_s: f64,
    pub clean_open_ms: f64,
    pub map_mb_per_s: f64,
    pub plain_mb_per_s: f64,
    /// The same with a checksum over all bytes, as a careful reader makes.
    pub map_checked_mb_per_s: f64,
    pub plain_checked_mb_per_s: f64,
}

const LOGS: u64 = 4;
const RECORD: usize = 4 << 10;
/// Appends in one batch.
const AT_ONCE: usize = 64;

pub fn measure(parent: &Path, variant: Variant, bytes: u64, rounds: usize) -> Recovery {
    let settings = settings_for(bytes);
    // Not class Log: a recovery computes for longer than a real-time thread may.
    // Nor Bulk, on which whatever else the machine does would show.
    let body = || {
        class::take(Class::Doors);
        let crashed = crashed(parent, variant, &settings, bytes).expect("room for the log");
        let each: Vec<Recovery> = (0..rounds)
            .map(|_| one_round(parent, &crashed, variant, &settings))
            .collect();
        middle(&each)
    };
    thread::scope(|scope| scope.spawn(body).join().expect("recovery does not panic"))
}

/// A journal that takes all of it in one file: a record has headers of some
/// 130 bytes around it, a batch is padded to a block.
fn settings_for(bytes: u64) -> Settings {
    let fits = bytes / 100 * 106 + (4 << 20);
    Settings {
        journal_file_bytes: fits.next_multiple_of(1 << 20),
        journal_files_max: 2,
        ..Settings::default()
    }
}

fn crashed(parent: &Path, variant: Variant, settings: &Settings, bytes: u64) -> io::Result<Folder> {
    let folder = Folder::make(parent, "crashed")?;
    let (mut device, _) = open_here(folder.path(), variant.1, settings.clone()).expect("new");
    for log in 0..LOGS {
        device.log(LogId(log), &FRAMES).expect("room for four logs");
    }
    let answered = Arc::new(AtomicUsize::new(0));
    let batches = bytes as usize / RECORD / AT_ONCE;
    for batch in 0..batches {
        for turn in 0..AT_ONCE {
            let answered = answered.clone();
            let answer = move |outcome: Result<_, _>| {
                outcome.expect("the bench's appends are taken");
                answered.fetch_add(1, Relaxed);
            };
            let log = LogId(turn as u64 % LOGS);
            device.submit(append(log, vec![batch as u8; RECORD]), Box::new(answer));
        }
        while answered.load(Relaxed) < (batch + 1) * AT_ONCE {
            device.turn().expect("the bench's disk does not fail");
            if device.is_waiting() && answered.load(Relaxed) < (batch + 1) * AT_ONCE {
                device.wait(None, &mut || true);
            }
        }
    }
    assert_eq!(device.figures().sweeps, 0, "the journal holds it all");
    // Without `close`: as a kill leaves it.
    drop(device);
    let mut spare = File::create(folder.path().join("journal/0000000000000001.spare"))?;
    spare.write_all(&vec![0; settings.journal_file_bytes as usize])?;
    spare.sync_all()?;
    Ok(folder)
}

fn one_round(parent: &Path, crashed: &Folder, variant: Variant, settings: &Settings) -> Recovery {
    let folder = copy(crashed, parent, "recovered").expect("room for a copy");
    let (device, report, unclean) = timed_open(&folder, variant, settings);
    assert!(!report.was_clean, "the copy was not closed");
    let [map, plain] = [Way::Map, Way::Plain].map(|way| read_all(&device, way, false));
    let [map_checked, plain_checked] =
        [Way::Map, Way::Plain].map(|way| read_all(&device, way, true));
    device.close().expect("the bench's disk does not fail");
    let (device, again, clean) = timed_open(&folder, variant, settings);
    assert!(again.was_clean, "the copy was closed");
    drop(device);
    Recovery {
        log_bytes: map.0,
        replayed_bytes: report.replayed_bytes,
        scanned_bytes: report.scanned_bytes,
        unclean_open_ms: unclean * 1e3,
        recovered_mb_per_s: map.0 as f64 / unclean / 1e6,
        clean_open_ms: clean * 1e3,
        map_mb_per_s: map.1,
        plain_mb_per_s: plain.1,
        map_checked_mb_per_s: map_checked.1,
        plain_checked_mb_per_s: plain_checked.1,
    }
}

fn timed_open(folder: &Folder, variant: Variant, settings: &Settings) -> (Device, Report, f64) {
    let start = Instant::now();
    let (device, report) =
        open_here(folder.path(), variant.1, settings.clone()).expect("what was written opens");
    (device, report, start.elapsed().as_secs_f64())
}

/// Every log from its first record to its last: the bytes, and MB/s.
fn read_all(device: &Device, way: Way, is_checked: bool) -> (u64, f64) {
    let start = Instant::now();
    let (mut bytes, mut sum) = (0, 0);
    for id in device.log_ids() {
        let shelf = device.shelf(id).expect("listed");
        let mut from = shelf.first();
        while let Some(read) = shelf
            .read(from, 1 << 20, way)
            .expect("what was written reads")
        {
            bytes += read.bytes.len() as u64;
            if is_checked {
                sum ^= crc32c(&read.bytes);
            }
            from = read.next;
        }
    }
    std::hint::black_box(sum);
    (bytes, bytes as f64 / start.elapsed().as_secs_f64() / 1e6)
}

fn middle(each: &[Recovery]) -> Recovery {
    let of = |figure: fn(&Recovery) -> f64| median(each.iter().map(figure).collect());
    let first = &each[0];
    Recovery {
        log_bytes: first.log_bytes,
        replayed_bytes: first.replayed_bytes,
        scanned_bytes: first.scanned_bytes,
        unclean_open_ms: of(|one| one.unclean_open_ms),
        recovered_mb_per_s: of(|one| one.recovered_mb_per_s),
        clean_open_ms: of(|one| one.clean_open_ms),
        map_mb_per_s: of(|one| one.map_mb_per_s),
        plain_mb_per_s: of(|one| one.plain_mb_per_s),
        map_checked_mb_per_s: of(|one| one.map_checked_mb_per_s),
        plain_checked_mb_per_s: of(|one| one.plain_checked_mb_per_s),
    }
}
