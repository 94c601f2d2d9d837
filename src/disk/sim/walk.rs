//! What is durable and what is not yet, after each operation of a trace.
//!
//! The model. A write is in whole sectors of 512 B, as the page cache held
//! them after it: a sector that survives brings what earlier writes put into
//! it. Each unsynced write may survive or not, and each of its sectors, and
//! the length it gave the file without its bytes. An unsynced allocation may
//! be lost; a later write that survives past the end makes the file longer,
//! with zeros between. Each unsynced change of a name
//! may be lost alone, a synced file whose name was not synced with it. A
//! folder is durable when it is made.

use super::files::{FileId, Files, NameChange};
use super::trace::{Op, Trace};
use std::sync::Arc;

pub(super) const SECTOR: usize = 512;

pub(super) struct Walk<'t> {
    trace: &'t Trace,
    /// Operations done so far.
    pub(super) cut: usize,
    pub(super) durable: Files,
    /// As the process sees it: `durable` with all of `unsynced` done to it.
    pub(super) live: Files,
    /// In the order of the trace.
    pub(super) unsynced: Vec<Unsynced>,
}

#[derive(Clone, Debug)]
pub(super) struct Unsynced {
    /// Its number in the trace.
    pub(super) op: usize,
    pub(super) change: Change,
    /// A sync that was to cover it failed, so no later one does.
    is_forgotten: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Change {
    /// Starts on a sector; ends on one, or where the file ends.
    Data {
        file: FileId,
        at: u64,
        bytes: Arc<[u8]>,
    },
    Length {
        file: FileId,
        until: u64,
    },
    Name(NameChange),
}

impl Change {
    pub(super) fn file(&self) -> FileId {
        match self {
            Change::Data { file, .. } | Change::Length { file, .. } => *file,
            Change::Name(change) => change.file(),
        }
    }

    pub(super) fn is_name(&self) -> bool {
        matches!(self, Change::Name(_))
    }

    pub(super) fn sectors(&self) -> usize {
        match self {
            Change::Data { bytes, .. } => bytes.len().div_ceil(SECTOR),
            _ => 0,
        }
    }

    pub(super) fn apply(&self, files: &mut Files) {
        match self {
            Change::Data { file, at, bytes } => files.pages_mut(*file).write(*at, bytes),
            Change::Length { file, until } => files.pages_mut(*file).grow(*until),
            Change::Name(change) => files.apply(change),
        }
    }
}

impl<'t> Walk<'t> {
    pub(super) fn new(trace: &'t Trace) -> Self {
        Self {
            trace,
            cut: 0,
            durable: trace.start.clone(),
            live: trace.start.clone(),
            unsynced: Vec::new(),
        }
    }

    pub(super) fn at(trace: &'t Trace, cut: usize) -> Self {
        let mut walk = Self::new(trace);
        while walk.cut < cut && walk.step().is_some() {}
        walk
    }

    /// Does the next operation of the trace.
    pub(super) fn step(&mut self) -> Option<&'t Op> {
        let op = self.trace.ops.get(self.cut)?;
        match op {
            Op::Write { file, at, bytes } => self.write(*file, *at, bytes),
            Op::Allocate { file, until } => self.change(Change::Length {
                file: *file,
                until: *until,
            }),
            Op::Sync { file, covers } => self.sync(*file, |op| covers.has(op)),
            Op::FailedSync { file, covers } => {
                for unsynced in &mut self.unsynced {
                    let is_struck = covers.has(unsynced.op) && unsynced.change.file() == *file;
                    unsynced.is_forgotten |= is_struck && !unsynced.change.is_name();
                }
            }
            Op::Create { file, name } => {
                self.durable.put(*file, Arc::default());
                self.live.put(*file, Arc::default());
                self.change_name(NameChange::Create {
                    file: *file,
                    name: name.clone(),
                });
            }
            Op::Rename { file, from, to } => {
                let (from, to) = (from.clone(), to.clone());
                self.change_name(NameChange::Rename {
                    file: *file,
                    from,
                    to,
                });
            }
            Op::Remove { file, name } => {
                self.change_name(NameChange::Remove {
                    file: *file,
                    name: name.clone(),
                });
            }
            Op::MakeFolder { folder } => {
                self.durable.folders.insert(folder.clone());
                self.live.folders.insert(folder.clone());
            }
            Op::SyncFolder { folder } => self.sync_folder(folder),
            Op::Plant {
                file,
                name,
                contents,
            } => {
                self.unsynced
                    .retain(|unsynced| unsynced.change.file() != *file);
                for files in [&mut self.durable, &mut self.live] {
                    files.put(*file, contents.0.clone());
                    files.names.insert(name.clone(), *file);
                }
            }
            Op::Note(_) => {}
        }
        self.cut += 1;
        Some(op)
    }

    fn write(&mut self, file: FileId, at: u64, bytes: &Arc<[u8]>) {
        if bytes.is_empty() {
            return;
        }
        let pages = self.live.pages_mut(file);
        pages.write(at, bytes);
        let end = at + bytes.len() as u64;
        let sector = SECTOR as u64;
        let (first, last) = (
            at - at % sector,
            end.next_multiple_of(sector).min(pages.len()),
        );
        let bytes = if (first, last) == (at, end) {
            bytes.clone()
        } else {
            pages.to_vec(first, (last - first) as usize).into()
        };
        self.push(Change::Data {
            file,
            at: first,
            bytes,
        });
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.live);
        self.push(change);
    }

    fn change_name(&mut self, change: NameChange) {
        self.change(Change::Name(change));
    }

    fn push(&mut self, change: Change) {
        self.unsynced.push(Unsynced {
            op: self.cut,
            change,
            is_forgotten: false,
        });
    }

    fn sync(&mut self, file: FileId, covers: impl Fn(usize) -> bool) {
        for unsynced in std::mem::take(&mut self.unsynced) {
            let Unsynced {
                op,
                change,
                is_forgotten,
            } = &unsynced;
            let is_data = change.file() == file && !change.is_name();
            if !is_data || *is_forgotten || !covers(*op) {
                self.unsynced.push(unsynced);
                continue;
            }
            change.apply(&mut self.durable);
            if let Change::Data { at, bytes, .. } = change {
                self.supersede(file, *at, *at + bytes.len() as u64);
            }
        }
    }

    /// An older write that this sync did not cover can no longer show in
    /// sectors that a newer one made durable.
    fn supersede(&mut self, file: FileId, start: u64, end: u64) {
        let is_touched = |unsynced: &Unsynced| match &unsynced.change {
            Change::Data {
                file: other,
                at,
                bytes,
            } => *other == file && *at < end && start < at + bytes.len() as u64,
            _ => false,
        };
        if !self.unsynced.iter().any(is_touched) {
            return;
        }
        for unsynced in std::mem::take(&mut self.unsynced) {
            if !is_touched(&unsynced) {
                self.unsynced.push(unsynced);
                continue;
            }
            let Change::Data { at, bytes, .. } = &unsynced.change else {
                continue;
            };
            let before = &bytes[..start.saturating_sub(*at) as usize];
            let after = &bytes[bytes.len().min((end - at) as usize)..];
            for (at, rest) in [(*at, before), (end, after)] {
                if !rest.is_empty() {
                    let change = Change::Data {
                        file,
                        at,
                        bytes: rest.into(),
                    };
                    self.unsynced.push(Unsynced {
                        change,
                        ..unsynced.clone()
                    });
                }
            }
        }
    }

    fn sync_folder(&mut self, folder: &str) {
        let durable = &mut self.durable;
        self.unsynced.retain(|unsynced| match &unsynced.change {
            Change::Name(change) if change.folder() == folder => {
                durable.apply(change);
                false
            }
            _ => true,
        });
    }

    /// Whether a file has a name in some image of this cut.
    pub(super) fn is_reachable(&self, file: FileId) -> bool {
        let names = self.durable.names.values().chain(self.live.names.values());
        let changes = self
            .unsynced
            .iter()
            .filter(|unsynced| unsynced.change.is_name());
        names
            .copied()
            .chain(changes.map(|unsynced| unsynced.change.file()))
            .any(|held| held == file)
    }
}
