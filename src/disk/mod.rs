//! The disk: files, names, durable writes and memory maps.
//!
//! One seam of three traits. `Disk` is a folder and its names, `File` is one
//! file, `Lane` is what the log thread owns: durable writes of its own and a
//! worker for what may take its time. The real forms are `real` (names and
//! files) with the lanes `uring` and `threads`; the simulated form is `sim`.
//! All `unsafe` of the program lives in this folder.
//!
//! Names are relative, with one folder at the most: `journal/0000000000000001`.

mod block;
pub mod choose;
pub mod class;
mod errors;
mod fatal;
#[cfg(test)]
#[allow(clippy::disallowed_methods)] // what a disk did is checked without it
mod lane_tests;
mod late;
mod map;
mod pace;
mod real;
mod reserve;
mod room;
pub mod sim;
pub mod testing;
mod threads;
#[cfg(test)]
#[allow(clippy::disallowed_methods)] // folders come and go around the disks
mod trial;
mod unsynced;
mod uring;
pub mod vigil;
mod wake;
mod worker;

pub use block::Block;
pub use errors::os_code;
pub use fatal::end_process;
pub use late::LateLane;
pub use real::{Engine, RealDisk, Settings};
pub use reserve::Reserve;
pub use room::{Room, room};
pub use testing::forbid_io_uring;
pub use unsynced::UnsyncedDisk;
pub use uring::{Ring, try_ring};

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// An existing file, to read.
    Read,
    /// An existing file, to read and write.
    Write,
    /// An existing file, to read and write past the page cache where the file
    /// system grants it (offsets, lengths and memory in whole blocks).
    WriteDirect,
    /// A file that does not exist yet, to read and write.
    Create,
}

/// A folder, the names in it, and the way to its files.
pub trait Disk: Send + Sync {
    fn open(&self, name: &str, how: How) -> io::Result<Arc<dyn File>>;
    /// Syncs many files, in whatever order is quickest.
    fn sync_all(&self, files: &[Arc<dyn File>]) -> io::Result<()> {
        files.iter().try_for_each(|file| file.sync())
    }
    /// The names in a folder (without the folder); empty where it is absent.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;
    /// Makes a folder and syncs its name; does nothing where it is there.
    fn make_folder(&self, folder: &str) -> io::Result<()>;
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Syncs the names in a folder; "" is the top.
    fn sync_folder(&self, folder: &str) -> io::Result<()>;
    /// Bytes that this user may still write.
    fn free_bytes(&self) -> io::Result<u64>;
    /// Makes the lane of the calling thread. The thread's class must be set
    /// before: kernel workers and the lane's own worker inherit it.
    fn lane(&self) -> io::Result<Box<dyn Lane>>;
}

/// One file. Reads and writes may be short; `read_exact_at` and
/// `write_all_at` go on until all is done.
pub trait File: Send + Sync {
    /// For messages.
    fn name(&self) -> &str;
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize>;
    /// Into the page cache (or, opened direct, to the device); not durable
    /// until `sync`.
    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<usize>;
    /// fdatasync. After an error the file's state is unknown and the process
    /// must end.
    fn sync(&self) -> io::Result<()>;
    fn len(&self) -> io::Result<u64>;
    /// Reserves room up to `until` and makes the file that long, reading as
    /// zeros; never shrinks. Fails with StorageFull where there is no room.
    fn allocate(&self, until: u64) -> io::Result<()>;
    /// Asks that written bytes be on their way to the disk soon, so that the
    /// sync behind them waits less. Promises nothing.
    fn start_writing_out(&self, at: u64, length: u64) {
        let _ = (at, length);
    }
    /// Waits until written bytes are at the disk, so that the sync behind has
    /// little left. They are no more durable; an error is as one of `sync`, which does
    /// not tell of it again.
    fn write_out(&self, at: u64, length: u64) -> io::Result<()> {
        let _ = (at, length);
        Ok(())
    }
    /// A read-only map of the first `length` bytes of a file that never
    /// shrinks. None where this disk has no maps.
    fn map(&self, length: u64) -> io::Result<Option<Map>>;

    /// What a lane of this machine hands to the kernel. None where the kernel
    /// does not know the file.
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|length| length == 0)
    }

    fn read_exact_at(&self, mut at: u64, mut into: &mut [u8]) -> io::Result<()> {
        while !into.is_empty() {
            match self.read_at(at, into) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    at += count as u64;
                    into = &mut into[count..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn write_all_at(&self, mut at: u64, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write_at(at, bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    at += count as u64;
                    bytes = &bytes[count..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Tells the completions of a lane apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// Work for a lane's worker.
pub type Task = Box<dyn FnOnce() -> io::Result<()> + Send>;

/// Something a lane was asked for is finished.
#[derive(Debug)]
pub struct Done {
    pub token: Token,
    pub result: io::Result<()>,
    /// The memory of a durable write, to be used again.
    pub block: Option<Block>,
}

/// The log thread's own way to the disk. Stays on the thread that made it.
pub trait Lane {
    /// Starts one write that is finished when it is on stable storage: the
    /// write, then fdatasync. A short write is completed and synced again
    /// before it counts. `at` and the block's length are whole blocks. Two
    /// durable writes in flight never overlap.
    fn write_durable(&mut self, token: Token, file: &Arc<dyn File>, at: u64, block: Block);
    /// How many durable writes it pays to have in flight.
    fn depth(&self) -> usize;
    /// Hands work to the lane's worker, which does one thing after another in
    /// the order given.
    fn background(&mut self, token: Token, task: Task);
    /// Work that somebody waits for: done in the order given as well, beside
    /// the background's, by a worker of the lane's own class.
    fn beside(&mut self, token: Token, task: Task);
    /// Takes what is finished, without waiting.
    fn reap(&mut self, done: &mut Vec<Done>);
    /// Waits until something is finished or the waker is rung, and no longer
    /// than `at_most`. Calls `still_idle` once after it has become wakeable and
    /// before it sleeps, and does not sleep where that says no.
    fn wait(&mut self, at_most: Option<Duration>, still_idle: &mut dyn FnMut() -> bool);
    fn waker(&self) -> Waker;
    /// "uring", "threads" or "sim".
    fn engine(&self) -> &'static str;
}

/// Rings a lane from any thread. Costs one atomic load where the lane is awake.
#[derive(Clone)]
pub struct Waker(Arc<dyn Fn() + Send + Sync>);

impl Waker {
    pub fn new(ring: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(ring))
    }

    pub fn wake(&self) {
        (self.0)();
    }
}

/// A read-only map. `populate` must have said yes to a range before it is
/// looked at: a disk error there is an error of that call, not a signal.
pub trait Mapped: Send + Sync {
    fn bytes(&self) -> &[u8];
    /// Makes a range resident. An error is a read error of that range.
    fn populate(&self, range: std::ops::Range<usize>) -> io::Result<()>;
    /// Whether all of a range is resident without that. No where it is not known.
    fn is_resident(&self, range: std::ops::Range<usize>) -> bool;
}

pub type Map = Arc<dyn Mapped>;
