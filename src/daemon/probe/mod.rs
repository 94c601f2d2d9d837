//! `dolmen probe`: what the disk under a data folder really does, and which
//! knobs follow from it.
//!
//! The disk is measured on a thread of class Log, because that is who will
//! wait for it; on an ordinary thread the scheduler is what gets measured. All
//! files are in a folder of the probe's own, gone when it ends. The data
//! folder's lock is held throughout: a daemon beside it would spoil the
//! figures, and the probe the daemon.

mod bench;
mod bypass;
mod flush;
mod group;
mod knobs;
mod processor;
mod report;
mod shapes;
mod transfer;

pub use bench::Spread;
pub use bypass::Bypass;
pub use flush::Flush;
pub use group::Group;
pub use knobs::{Derived, lies};
pub use processor::Processor;
pub use shapes::Shape;
pub use transfer::{Reads, Stream};

use super::lock::{Lock, give_to_owner};
use super::refused::Refused;
use crate::clock::{Clock, Millis};
use crate::disk::class::{self, Class, Granted};
use crate::disk::{Engine, How, Ring, room, try_ring};
use crate::profile::{Machine, PROBE_FILE};
use bench::Bench;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Free bytes that a probe asks for: twice what it may use, so that it is not
/// the one to fill the disk of whoever else writes there.
pub const ROOM_BYTES_MIN: u64 = 2 << 30;
/// Its files' folder in the data folder. One that is there is a killed probe's
/// and is removed, so the name must be nobody else's.
const FOLDER: &str = ".dolmen-probe";
/// Room in the ring for every depth that is tried.
const RING_ENTRIES: u32 = 64;

pub struct Plan {
    pub data: PathBuf,
    /// About how long it takes; what must be written first is not counted.
    pub time: Duration,
    pub room_bytes_min: u64,
}

/// What a probe and whoever started it tell each other meanwhile.
#[derive(Default)]
pub struct Progress {
    stage: Mutex<&'static str>,
    is_stopped: AtomicBool,
}

impl Progress {
    /// What is being measured.
    pub fn stage(&self) -> &'static str {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, stage: &'static str) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    /// The probe clears up and ends with `Unmeasured::Stopped`.
    pub fn stop(&self) {
        self.is_stopped.store(true, Relaxed);
    }

    fn is_stopped(&self) -> bool {
        self.is_stopped.load(Relaxed)
    }
}

/// Why there are no figures.
#[derive(Debug)]
pub enum Unmeasured {
    Refused(Refused),
    NoRoom {
        data: PathBuf,
        free: u64,
        wanted: u64,
    },
    Stopped,
    Disk(io::Error),
}

impl fmt::Display for Unmeasured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refused) => refused.fmt(f),
            Self::NoRoom { data, free, wanted } => write!(
                f,
                "{} has {} MiB free and a probe asks for {} MiB: make room, or name a folder on \
                 another disk with --data",
                data.display(),
                free >> 20,
                wanted >> 20,
            ),
            Self::Stopped => f.write_str("stopped; nothing is left behind: start it again"),
            Self::Disk(error) => write!(
                f,
                "the disk could not be measured ({error}): `dolmen doctor` looks for the cause"
            ),
        }
    }
}

impl From<Refused> for Unmeasured {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// Everything that was found.
pub struct Measured {
    pub at: Millis,
    pub time: Duration,
    pub data: PathBuf,
    pub machine: Machine,
    /// What the measuring thread was.
    pub class: Granted,
    /// Why there is no ring, where there is none.
    pub ring: Result<Ring, String>,
    pub is_direct_granted: bool,
    pub flush: Vec<Flush>,
    pub shapes: Vec<Shape>,
    pub groups: Vec<Group>,
    /// A group of 16 at greater and greater depth.
    pub depths: Vec<Group>,
    pub bypass: Vec<Bypass>,
    pub stream: Stream,
    pub reads: Vec<Reads>,
    pub processor: Processor,
}

/// What a thread of class Log measured.
struct OfDisk {
    class: Granted,
    is_direct_granted: bool,
    flush: Vec<Flush>,
    shapes: Vec<Shape>,
    groups: Vec<Group>,
    depths: Vec<Group>,
    bypass: Vec<Bypass>,
    stream: Stream,
    reads: Vec<Reads>,
}

pub fn run(plan: &Plan, progress: &Progress, clock: &dyn Clock) -> Result<Measured, Unmeasured> {
    if !plan.data.is_dir() {
        return Err(Refused::NoDataFolder(plan.data.clone()).into());
    }
    let _lock = Lock::take(&plan.data, "dolmen probe")?;
    let free = room(&plan.data).map_err(Unmeasured::Disk)?.bytes_free;
    if free < plan.room_bytes_min {
        return Err(Unmeasured::NoRoom {
            data: plan.data.clone(),
            free,
            wanted: plan.room_bytes_min,
        });
    }
    let machine = Machine::here(&plan.data);
    let ring = try_ring(RING_ENTRIES).map_err(|refused| refused.to_string());
    let folder = Folder::make(&plan.data).map_err(Unmeasured::Disk)?;
    let bench = Bench {
        folder: &folder.0,
        time: plan.time,
        progress,
        clock,
    };
    let ended = |error| match progress.is_stopped() {
        true => Unmeasured::Stopped,
        false => Unmeasured::Disk(error),
    };
    let of_disk = on_log_thread(&bench, ring.is_ok()).map_err(ended)?;
    let processor = processor::measure(&bench).map_err(ended)?;
    Ok(Measured {
        at: clock.now(),
        time: plan.time,
        data: plan.data.clone(),
        machine,
        class: of_disk.class,
        ring,
        is_direct_granted: of_disk.is_direct_granted,
        flush: of_disk.flush,
        shapes: of_disk.shapes,
        groups: of_disk.groups,
        depths: of_disk.depths,
        bypass: of_disk.bypass,
        stream: of_disk.stream,
        reads: of_disk.reads,
        processor,
    })
}

fn on_log_thread(bench: &Bench<'_>, has_ring: bool) -> io::Result<OfDisk> {
    thread::scope(|scope| {
        thread::Builder::new()
            .name("probe".into())
            .spawn_scoped(scope, || {
                let class = class::take(Class::Log);
                measure(bench, has_ring, class)
            })?
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the probe panicked")))
    })
}

fn measure(bench: &Bench<'_>, has_ring: bool, class: Granted) -> io::Result<OfDisk> {
    let engines: &[Engine] = match has_ring {
        true => &[Engine::Threads, Engine::Uring],
        false => &[Engine::Threads],
    };
    let is_direct_granted = bench.grants_direct()?;
    let flush = flush::measure(bench, engines, is_direct_granted)?;
    // By the path that the journal would take.
    let engine = knobs::engine(&flush).map_or(Engine::Threads, |chosen| chosen.engine);
    let how = match is_direct_granted {
        true => How::WriteDirect,
        false => How::Write,
    };
    let disk = bench.disk(engine)?;
    let shapes = shapes::measure(bench)?;
    let groups = group::curve(bench, engines, how)?;
    let depths = match has_ring {
        true => group::depths(bench, how)?,
        false => Vec::new(),
    };
    let bypass = bypass::measure(bench, &disk, how)?;
    let stream = transfer::stream(bench, how)?;
    let reads = transfer::reads(bench, how, stream.bytes)?;
    Ok(OfDisk {
        class,
        is_direct_granted,
        flush,
        shapes,
        groups,
        depths,
        bypass,
        stream,
        reads,
    })
}

/// fdatasync of one block after the other for a moment, for who wants no more
/// than that; the caller sees to the lock.
pub fn quick_flush(data: &Path, time: Duration, clock: &dyn Clock) -> io::Result<Spread> {
    let folder = Folder::make(data)?;
    let progress = Progress::default();
    let bench = Bench {
        folder: &folder.0,
        time,
        progress: &progress,
        clock,
    };
    thread::scope(|scope| {
        thread::Builder::new()
            .name("flush-probe".into())
            .spawn_scoped(scope, || {
                class::take(Class::Log);
                flush::quick(&bench)
            })?
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the flush probe panicked")))
    })
}

/// The probe's folder. It leaves with the probe, however that ends but by
/// SIGKILL; the next probe removes what that left.
struct Folder(PathBuf);

impl Folder {
    fn make(data: &Path) -> io::Result<Self> {
        let folder = data.join(FOLDER);
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir(&folder)?,
        }
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Puts probe.toml in the place of the one before, whole or not at all.
pub fn write(data: &Path, text: &str) -> io::Result<PathBuf> {
    let (target, new) = (data.join(PROBE_FILE), data.join("probe.toml.new"));
    let _ = fs::remove_file(&new);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o640)
        .open(&new)?;
    give_to_owner(data, &file);
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, &target)?;
    // The folder too: until then the name may still lead to the old file.
    fs::File::open(data)?.sync_all()?;
    Ok(target)
}
