//! The simulated disk: in memory, on one thread, decided by a seed, recorded
//! operation by operation, so that a power cut can be tried after each.
//!
//! A test runs its code on a `SimDisk`, marks what is promised with `note`,
//! takes the `trace`, and walks its `images`: every disk that a power cut at
//! some point may leave behind. It opens each and holds it to the promises
//! marked before that point.
//!
//! ```text
//! trace     the operations, in the order the disk saw them
//! walk      what is durable and what is not yet, cut by cut
//! crash     which of what was not durable survives; one line of text
//! image     the disk after a crash
//! state     the files as the process sees them, and the faults
//! ```

mod crash;
mod faults;
mod file;
mod files;
mod image;
mod lane;
mod pages;
mod state;
mod trace;
mod walk;

pub use crash::{Crash, Kept};
pub use faults::{Counts, Faults, When};
pub use files::FileId;
pub use image::{Image, Images, Sweep};
pub use trace::{Contents, Covers, Op, Trace};

use crate::disk::{Disk, File, How, Lane};
use file::SimFile;
use files::{Files, folder_of};
use pages::Pages;
use state::{Handle, State};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A disk in memory. Clones are the same disk.
#[derive(Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

impl SimDisk {
    /// An empty disk that records.
    pub fn new(seed: u64) -> Self {
        let disk = Self::holding(seed, Files::default());
        disk.start_recording();
        disk
    }

    fn holding(seed: u64, files: Files) -> Self {
        Self {
            state: Arc::new(Mutex::new(State::new(seed, files))),
        }
    }

    /// A test that panics on purpose (overlapping writes) may go on to look.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a new trace; what is there now counts as durable.
    pub fn start_recording(&self) {
        let mut state = self.state();
        assert!(
            state.in_flight.is_empty(),
            "a trace begins with no durable write in flight"
        );
        let start = state.files.clone();
        state.trace = Some(Trace {
            start,
            ops: Vec::new(),
        });
    }

    pub fn stop_recording(&self) {
        self.state().trace = None;
    }

    /// What was recorded so far; empty where nothing is.
    pub fn trace(&self) -> Trace {
        self.state().trace.clone().unwrap_or_default()
    }

    /// Marks the trace: from here on, record `note` is acknowledged.
    pub fn note(&self, note: u64) {
        self.state().record(|| Op::Note(note));
    }

    /// Operations recorded so far: a power cut now is a cut there.
    pub fn recorded(&self) -> usize {
        self.state().now()
    }

    /// Writes and tasks that lanes were asked for and have not finished: while
    /// there is one, a driver lets its lane `wait` now and then.
    pub fn under_way(&self) -> usize {
        self.state().under_way
    }

    /// The bytes of all files: what `Faults::room` is measured against.
    pub fn used_bytes(&self) -> u64 {
        self.state().files.used()
    }

    /// Changes the faults from now on.
    pub fn faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.state().faults);
    }

    /// Durable writes that lanes of this disk say it pays to have in flight.
    pub fn set_depth(&self, depth: usize) {
        self.state().depth = depth;
    }

    /// Whether files can be mapped; they cannot at first. A map is a copy.
    pub fn maps(&self, yes: bool) {
        self.state().maps = yes;
    }

    /// How many maps are held.
    pub fn mapped(&self) -> usize {
        self.state().mapped
    }

    pub fn counts(&self) -> Counts {
        self.state().counts.clone()
    }

    pub fn reset_counts(&self) {
        self.state().counts = Counts::default();
    }

    /// Equal for disks of equal names and contents.
    pub fn digest(&self) -> u64 {
        self.state().files.digest()
    }

    /// All names, with their folders, in order.
    pub fn names(&self) -> Vec<String> {
        self.state()
            .files
            .names
            .keys()
            .map(|name| name.to_string())
            .collect()
    }

    /// The whole file as the process sees it; panics where it is not there.
    pub fn file_bytes(&self, name: &str) -> Vec<u8> {
        let state = self.state();
        let file = state
            .find(name)
            .expect("the test names a file that is there");
        let pages = state.files.pages(file);
        pages.to_vec(0, pages.len() as usize)
    }

    /// Makes or replaces a file by hand, its folder too. Like all that is
    /// planted by hand, the whole file counts as durable from here on.
    pub fn set_file(&self, name: &str, bytes: &[u8]) {
        if !folder_of(name).is_empty() {
            self.make_folder(folder_of(name))
                .expect("a simulated folder can be made");
        }
        self.state()
            .plant(name, Contents(Arc::new(Pages::of(bytes))));
    }

    /// Writes into a file by hand.
    pub fn overwrite(&self, name: &str, at: u64, bytes: &[u8]) {
        let mut state = self.state();
        let file = state
            .find(name)
            .expect("the test names a file that is there");
        let mut pages = state.files.pages(file).clone();
        pages.write(at, bytes);
        state.plant(name, Contents(Arc::new(pages)));
    }

    /// Flips one bit of a stored byte.
    pub fn flip(&self, name: &str, byte: u64, bit: u8) {
        let was = self.file_bytes(name)[byte as usize];
        self.overwrite(name, byte, &[was ^ (1 << bit)]);
    }

    /// Cuts a file off by hand.
    pub fn truncate(&self, name: &str, length: u64) {
        let bytes = self.file_bytes(name);
        self.set_file(name, &bytes[..length as usize]);
    }
}

impl Disk for SimDisk {
    fn open(&self, name: &str, how: How) -> io::Result<Arc<dyn File>> {
        assert!(
            !name.is_empty() && name.matches('/').count() <= 1,
            "{name:?} is no name with one folder at the most"
        );
        let file = match how {
            How::Create => self.state().create(name)?,
            How::Read | How::Write | How::WriteDirect => self.state().find(name)?,
        };
        let handle = Handle {
            file,
            name: name.into(),
            is_direct: how == How::WriteDirect,
            is_writable: how != How::Read,
        };
        Ok(SimFile::open(self, handle))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let state = self.state();
        let inside = state
            .files
            .names
            .keys()
            .filter(|name| folder_of(name) == folder);
        let bare = |name: &Arc<str>| name.rsplit('/').next().unwrap_or(name).to_owned();
        Ok(inside.map(bare).collect())
    }

    fn make_folder(&self, folder: &str) -> io::Result<()> {
        let mut state = self.state();
        let folder: Arc<str> = folder.into();
        if state.files.folders.insert(folder.clone()) {
            state.record(|| Op::MakeFolder { folder });
        }
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.state().rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.state().remove(name)
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        let mut state = self.state();
        state.counts.folder_syncs += 1;
        if state.strikes(folder, |faults| &mut faults.fail_folder_sync) {
            return Err(faults::eio());
        }
        state.record(|| Op::SyncFolder {
            folder: folder.into(),
        });
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(self.state().free_bytes())
    }

    fn lane(&self) -> io::Result<Box<dyn Lane>> {
        Ok(Box::new(lane::SimLane::new(self)))
    }
}

#[cfg(test)]
mod tests;
