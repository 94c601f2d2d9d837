//! What all handles of one simulated disk share, behind its mutex: the files
//! as the process sees them, the recording, and the faults.

use super::faults::{Counts, Faults, eio};
use super::files::{FileId, Files, NameChange, folder_of};
use super::trace::{Contents, Covers, Op, Trace};
use crate::entropy::Seeded;
use crate::limits::BLOCK_BYTES;
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// What `free_bytes` says where no room is set.
const ENDLESS: u64 = 1 << 50;

pub(super) struct State {
    pub(super) files: Files,
    /// None while nothing is recorded.
    pub(super) trace: Option<Trace>,
    /// By the address of the open file: a lane is given a `dyn File` and must
    /// find out which it is.
    pub(super) handles: BTreeMap<usize, Handle>,
    pub(super) in_flight: Vec<InFlight>,
    /// What lanes were asked for and have not finished.
    pub(super) under_way: usize,
    pub(super) faults: Faults,
    pub(super) counts: Counts,
    pub(super) chance: Seeded,
    pub(super) depth: usize,
    pub(super) maps: bool,
    /// Maps that are held.
    pub(super) mapped: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Handle {
    pub(super) file: FileId,
    pub(super) name: Arc<str>,
    pub(super) is_direct: bool,
    pub(super) is_writable: bool,
}

/// A durable write between its submission and its completion.
pub(super) struct InFlight {
    pub(super) id: u64,
    pub(super) file: FileId,
    pub(super) range: Range<u64>,
    /// Its numbers in the trace: one, or two where the write was short.
    pub(super) ops: Vec<usize>,
}

impl State {
    pub(super) fn new(seed: u64, files: Files) -> Self {
        Self {
            files,
            trace: None,
            handles: BTreeMap::new(),
            in_flight: Vec::new(),
            under_way: 0,
            faults: Faults::default(),
            counts: Counts::default(),
            chance: Seeded::new(seed),
            depth: 2,
            maps: false,
            mapped: 0,
        }
    }

    /// Notes an operation and answers its number, 0 where nothing is recorded.
    pub(super) fn record(&mut self, op: impl FnOnce() -> Op) -> usize {
        self.trace.as_mut().map_or(0, |trace| {
            trace.ops.push(op());
            trace.ops.len() - 1
        })
    }

    pub(super) fn find(&self, name: &str) -> io::Result<FileId> {
        let found = self.files.names.get(name).copied();
        found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, name))
    }

    pub(super) fn create(&mut self, name: &str) -> io::Result<FileId> {
        if self.files.names.contains_key(name) {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, name));
        }
        self.need_folder(name)?;
        let (file, name) = (self.new_file(), Arc::from(name));
        self.change_name(NameChange::Create { file, name });
        Ok(file)
    }

    fn new_file(&mut self) -> FileId {
        let file = FileId(self.files.contents.len() as u32);
        self.files.put(file, Arc::default());
        file
    }

    fn need_folder(&self, name: &str) -> io::Result<()> {
        let folder = folder_of(name);
        if folder.is_empty() || self.files.folders.contains(folder) {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("the folder of {name}"),
        ))
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        assert_eq!(
            folder_of(from),
            folder_of(to),
            "a rename across folders needs two syncs, which is not modelled"
        );
        let file = self.find(from)?;
        if from != to {
            self.change_name(NameChange::Rename {
                file,
                from: from.into(),
                to: to.into(),
            });
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, name: &str) -> io::Result<()> {
        let file = self.find(name)?;
        self.change_name(NameChange::Remove {
            file,
            name: name.into(),
        });
        Ok(())
    }

    fn change_name(&mut self, change: NameChange) {
        self.files.apply(&change);
        self.record(|| match change {
            NameChange::Create { file, name } => Op::Create { file, name },
            NameChange::Rename { file, from, to } => Op::Rename { file, from, to },
            NameChange::Remove { file, name } => Op::Remove { file, name },
        });
    }

    pub(super) fn free_bytes(&self) -> u64 {
        let room = self.faults.room;
        room.map_or(ENDLESS, |room| room.saturating_sub(self.files.used()))
    }

    /// Lets a file grow where there is room.
    pub(super) fn need_room(&self, file: FileId, until: u64) -> io::Result<()> {
        let more = until.saturating_sub(self.files.pages(file).len());
        if self.faults.room.is_some() && more > 0 && more > self.free_bytes() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    pub(super) fn allocate(&mut self, file: FileId, until: u64) -> io::Result<()> {
        self.need_room(file, until)?;
        if until > self.files.pages(file).len() {
            self.files.pages_mut(file).grow(until);
            self.record(|| Op::Allocate { file, until });
        }
        Ok(())
    }

    /// Writes as much as the faults let through: how much that was, and its
    /// number in the trace.
    pub(super) fn write(
        &mut self,
        handle: &Handle,
        at: u64,
        bytes: &[u8],
    ) -> io::Result<(usize, usize)> {
        let file = handle.file;
        if !handle.is_writable {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                &*handle.name,
            ));
        }
        handle.assert_aligned(at, bytes);
        if self.strikes(&handle.name, |faults| &mut faults.fail_write) {
            return Err(eio());
        }
        let is_short = self.strikes(&handle.name, |faults| &mut faults.short_write);
        let count = self.shortened(handle, bytes.len(), is_short);
        let is_astray = self.strikes(&handle.name, |faults| &mut faults.misdirect_write);
        let at = if is_astray {
            self.astray(file, at, count)
        } else {
            at
        };
        self.need_room(file, at + count as u64)?;
        self.counts.writes += 1;
        self.counts.bytes_written += count as u64;
        self.files.pages_mut(file).write(at, &bytes[..count]);
        let op = self.record(|| Op::Write {
            file,
            at,
            bytes: bytes[..count].into(),
        });
        Ok((count, op))
    }

    pub(super) fn read(&mut self, handle: &Handle, at: u64, into: &mut [u8]) -> io::Result<usize> {
        handle.assert_aligned(at, into);
        if self.strikes(&handle.name, |faults| &mut faults.fail_read) {
            return Err(eio());
        }
        let is_short = self.strikes(&handle.name, |faults| &mut faults.short_read);
        let length = self.shortened(handle, into.len(), is_short);
        let is_astray = self.strikes(&handle.name, |faults| &mut faults.misdirect_read);
        let from = if is_astray {
            self.astray(handle.file, at, length)
        } else {
            at
        };
        let count = self
            .files
            .pages(handle.file)
            .read(from, &mut into[..length]);
        self.counts.read(&handle.name, count);
        Ok(count)
    }

    /// fdatasync of what was complete before operation `until`.
    pub(super) fn sync(&mut self, handle: &Handle, until: usize) -> io::Result<()> {
        self.counts.syncs += 1;
        let (file, covers) = (handle.file, self.covered(handle.file, until));
        if self.strikes(&handle.name, |faults| &mut faults.fail_sync) {
            self.record(|| Op::FailedSync { file, covers });
            return Err(eio());
        }
        self.record(|| Op::Sync { file, covers });
        Ok(())
    }

    pub(super) fn write_out(&mut self, handle: &Handle) -> io::Result<()> {
        if !self.strikes(&handle.name, |faults| &mut faults.fail_write_out) {
            return Ok(());
        }
        let (file, covers) = (handle.file, self.covered(handle.file, self.now()));
        self.record(|| Op::FailedSync { file, covers });
        Err(eio())
    }

    fn covered(&self, file: FileId, until: usize) -> Covers {
        let others = self.in_flight.iter().filter(|other| other.file == file);
        let except = others.flat_map(|other| other.ops.iter().copied());
        Covers {
            until,
            except: except.filter(|op| *op < until).collect(),
        }
    }

    /// The number the next operation will have.
    pub(super) fn now(&self) -> usize {
        self.trace.as_ref().map_or(0, |trace| trace.ops.len())
    }

    /// Replaces a whole file by hand; it counts as durable.
    pub(super) fn plant(&mut self, name: &str, contents: Contents) {
        let known = self.files.names.get(name).copied();
        let file = known.unwrap_or_else(|| self.new_file());
        self.files.put(file, contents.0.clone());
        self.files.names.insert(name.into(), file);
        self.record(|| Op::Plant {
            file,
            name: name.into(),
            contents,
        });
    }

    pub(super) fn strikes(
        &mut self,
        name: &str,
        fault: impl FnOnce(&mut Faults) -> &mut super::When,
    ) -> bool {
        name.starts_with(&self.faults.only) && fault(&mut self.faults).strikes(&mut self.chance)
    }

    /// A shorter length, in whole blocks for a direct file; never nothing.
    fn shortened(&mut self, handle: &Handle, length: usize, is_short: bool) -> usize {
        let unit = if handle.is_direct { BLOCK_BYTES } else { 1 };
        let units = length.div_ceil(unit);
        if !is_short || units < 2 {
            return length;
        }
        unit * (1 + self.chance.below(units as u64 - 1) as usize)
    }

    /// Another block of the file for bytes meant for `at`, at the same place
    /// within the block; `at` itself where the file has no other.
    fn astray(&mut self, file: FileId, at: u64, length: usize) -> u64 {
        let block = BLOCK_BYTES as u64;
        let within = at % block;
        let last_start = self
            .files
            .pages(file)
            .len()
            .checked_sub(length as u64 + within);
        let Some(others) = last_start
            .map(|start| start / block)
            .filter(|others| *others > 0)
        else {
            return at;
        };
        let chosen = self.chance.below(others);
        // One of the blocks 0..=others except the right one.
        (if chosen >= at / block {
            chosen + 1
        } else {
            chosen
        }) * block
            + within
    }
}

impl Handle {
    /// What O_DIRECT refuses with EINVAL on a real disk is a bug here.
    fn assert_aligned(&self, at: u64, bytes: &[u8]) {
        let block = BLOCK_BYTES;
        let is_aligned = at.is_multiple_of(block as u64)
            && bytes.len().is_multiple_of(block)
            && bytes.as_ptr().addr().is_multiple_of(block);
        assert!(
            !self.is_direct || is_aligned,
            "{} is open for direct writes: offset {at}, length {} and memory must be whole blocks",
            self.name,
            bytes.len()
        );
    }
}
