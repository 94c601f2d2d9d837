//! Every operation of a simulated disk, in the order the disk saw them.

use super::files::{FileId, Files};
use super::pages::Pages;
use std::fmt;
use std::sync::Arc;

#[derive(Clone, Debug)]
pub enum Op {
    Create {
        file: FileId,
        name: Arc<str>,
    },
    /// Bytes in the page cache, or on their way to the device.
    Write {
        file: FileId,
        at: u64,
        bytes: Arc<[u8]>,
    },
    /// The file is at least this long.
    Allocate {
        file: FileId,
        until: u64,
    },
    /// What was done to the file before a point is on stable storage.
    Sync {
        file: FileId,
        covers: Covers,
    },
    /// What the sync was to cover may be lost, whatever is synced later.
    FailedSync {
        file: FileId,
        covers: Covers,
    },
    Rename {
        file: FileId,
        from: Arc<str>,
        to: Arc<str>,
    },
    Remove {
        file: FileId,
        name: Arc<str>,
    },
    /// Durable when it returns.
    MakeFolder {
        folder: Arc<str>,
    },
    SyncFolder {
        folder: Arc<str>,
    },
    /// A test put these contents there by hand; they count as durable.
    Plant {
        file: FileId,
        name: Arc<str>,
        contents: Contents,
    },
    /// A test says what is promised from here on.
    Note(u64),
}

/// Which operations a sync covers: those numbered below `until`, without
/// `except`. A sync covers what was complete when it started, so a durable
/// write that was still in flight is not covered by another's sync.
#[derive(Clone, Debug)]
pub struct Covers {
    pub until: usize,
    pub except: Box<[usize]>,
}

impl Covers {
    pub(super) fn has(&self, op: usize) -> bool {
        op < self.until && !self.except.contains(&op)
    }
}

/// A whole file.
#[derive(Clone, Debug)]
pub struct Contents(pub(super) Arc<Pages>);

/// A recording: what was durable at its start, and what was done since.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    pub(super) start: Files,
    pub(super) ops: Vec<Op>,
}

impl Trace {
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// The marks set before a cut, in order.
    pub fn notes(&self, cut: usize) -> impl Iterator<Item = u64> {
        self.ops[..cut].iter().filter_map(|op| match op {
            Op::Note(note) => Some(*note),
            _ => None,
        })
    }

    /// The same trace, the same digest: two runs of one seed are compared by it.
    pub fn digest(&self) -> u64 {
        super::pages::digest(format!("{self}").as_bytes())
    }

    /// A name the file had at some time, for messages.
    pub(super) fn name_of(&self, file: FileId) -> &str {
        let made = self.ops.iter().rev().find_map(|op| match op {
            Op::Create { file: made, name } if *made == file => Some(&**name),
            Op::Plant {
                file: made, name, ..
            } if *made == file => Some(&**name),
            _ => None,
        });
        let at_start = || self.start.names.iter().find(|(_, held)| **held == file);
        made.or_else(|| at_start().map(|(name, _)| &**name))
            .unwrap_or("a file without a name")
    }
}

/// One line an operation, each with its number.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, op) in self.ops.iter().enumerate() {
            writeln!(f, "{number}: {op}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Op::Create { file, name } => write!(f, "create {file} {name}"),
            Op::Write { file, at, bytes } => {
                let digest = super::pages::digest(bytes) as u32;
                write!(f, "write {file} {at}+{} ({digest:08x})", bytes.len())
            }
            Op::Allocate { file, until } => write!(f, "allocate {file} {until}"),
            Op::Sync { file, covers } => write!(f, "sync {file} {covers}"),
            Op::FailedSync { file, covers } => write!(f, "failed sync {file} {covers}"),
            Op::Rename { file, from, to } => write!(f, "rename {file} {from} {to}"),
            Op::Remove { file, name } => write!(f, "remove {file} {name}"),
            Op::MakeFolder { folder } => write!(f, "make folder {folder}"),
            Op::SyncFolder { folder } => write!(f, "sync folder '{folder}'"),
            Op::Plant { file, name, .. } => write!(f, "plant {file} {name}"),
            Op::Note(note) => write!(f, "note {note}"),
        }
    }
}

impl fmt::Display for Covers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "below {}", self.until)?;
        match &*self.except {
            [] => Ok(()),
            except => write!(f, " without {except:?}"),
        }
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}
