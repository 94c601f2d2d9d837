//! A run of sealed segments of one log is written anew as one segment: by
//! compaction, which leaves records out.
//!
//! The device gives the run (`Device::rewrite`), anyone reads it by the shelf and
//! writes the new segment on a thread of their own, and `Request::Exchange` puts it
//! in their place. Nothing of the log waits meanwhile, neither appends nor readers;
//! who reads the old ones goes on with them.
//!
//! Every step can be cut by the power:
//!
//! 1. The new segment is written under an unfinished name, which recovery clears
//!    away, and synced: after this it is whole or nobody's.
//! 2. It is renamed to the name that says in whose place it stands. This is the one
//!    step: before it the old ones count, after it the new one does. It holds the
//!    same stretch of the log, from the end of the segment before the run to the
//!    start of the one behind it, so either is right, whichever the power leaves.
//! 3. The folder is synced, and only then do readers find the new one, do changes of
//!    the log build upon it, and are the old ones removed and forgotten by sweeps.
//!
//! The journal need not say anything: what it holds of the old segments is passed
//! over by a recovery that finds the new one, and replayed by one that does not.

use super::format::{End, Fault, Format, Walk, Walked};
use super::segment::{BODY, Header, UNFINISHED};
use super::shelf::Segment;
use crate::disk::{Disk, File, How};
use crate::ids::{Index, LogId};
use crate::limits::REWRITE_BUFFER_BYTES;
use crate::planted;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What is to be written anew.
pub struct Run {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) format: &'static dyn Format,
    pub(super) old: Vec<Arc<Segment>>,
    pub(super) behind: Arc<Segment>,
    /// Of the new segment; where it ends is not known yet.
    pub(super) header: Header,
}

impl Run {
    pub fn log(&self) -> LogId {
        self.header.log
    }

    /// Where the log stands before the first record of the run.
    pub fn start(&self) -> End {
        self.header.start
    }

    /// The index after the last.
    pub fn next(&self) -> Index {
        self.behind.header.start.next
    }

    /// Whether it is one segment only.
    pub fn is_alone(&self) -> bool {
        self.old.len() == 1
    }

    /// Bytes of the old segments.
    pub fn bytes(&self) -> u64 {
        self.old.iter().map(|old| old.readable() - BODY).sum()
    }

    /// Makes the new file. It takes half of what the disk has left at the most, so
    /// that appends do not find it full in the meantime.
    pub fn begin(self) -> io::Result<Rewrite> {
        if self.disk.free_bytes()? < 2 * self.bytes() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let name = format!("{}{UNFINISHED}", self.header.file_name());
        let file = self.disk.open(&name, How::Create)?;
        let unfinished = Unfinished {
            disk: self.disk.clone(),
            name: Some(name),
        };
        Ok(Rewrite {
            end: self.header.start,
            segment: Segment::new(self.header, BODY),
            at: BODY,
            buffer: Vec::new(),
            run: self,
            file,
            unfinished,
        })
    }
}

/// A segment that is being written. Dropped, it leaves nothing behind.
pub struct Rewrite {
    run: Run,
    file: Arc<dyn File>,
    unfinished: Unfinished,
    end: End,
    at: u64,
    buffer: Vec<u8>,
    /// Keeps the index of what is written.
    segment: Segment,
}

impl Rewrite {
    /// Where the next record must go on.
    pub fn end(&self) -> End {
        self.end
    }

    /// Takes whole records, each of which must follow the one before.
    pub fn write(&mut self, mut records: &[u8]) -> io::Result<()> {
        let Run { format, header, .. } = &self.run;
        while !records.is_empty() {
            let mut walk = Walk {
                format: *format,
                epoch: header.epoch,
                end: self.end,
            };
            let cut = Fault::missing("whole record");
            let head = match walk.step(records) {
                Ok(Walked::Record(head)) => head,
                Ok(Walked::More(_) | Walked::Nothing) => return Err(invalid(cut)),
                Err(fault) => return Err(invalid(fault)),
            };
            let (record, rest) = records.split_at(head.length);
            let at = self.at + self.buffer.len() as u64;
            self.segment.note(head.first, at, at + head.length as u64);
            self.buffer.extend_from_slice(record);
            self.end = walk.end;
            records = rest;
            if self.buffer.len() >= REWRITE_BUFFER_BYTES {
                write_out(&*self.file, &mut self.at, &mut self.buffer)?;
            }
        }
        Ok(())
    }

    /// Makes sure that all of it is on the disk. It must stand for all that the
    /// old ones stood for.
    pub fn finish(mut self) -> io::Result<Written> {
        let expected = self.run.behind.header.start;
        if self.end != expected {
            let found = self.end;
            let what = format!("what was written anew ends at {found:?}, not at {expected:?}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        write_out(&*self.file, &mut self.at, &mut self.buffer)?;
        if let Some(rewritten) = &mut self.segment.header.rewritten {
            rewritten.until = self.at;
        }
        self.file.write_all_at(0, &self.segment.header.encode())?;
        if !planted!(RewriteNotSynced) {
            self.file.sync()?;
        }
        self.segment.set_readable(self.at);
        self.segment.is_sealed.store(true, Ordering::Release);
        Ok(Written {
            old: self.run.old,
            behind: self.run.behind,
            segment: Arc::new(self.segment),
            unfinished: self.unfinished,
        })
    }
}

fn write_out(file: &dyn File, at: &mut u64, buffer: &mut Vec<u8>) -> io::Result<()> {
    file.write_all_at(*at, buffer)?;
    file.start_writing_out(*at, buffer.len() as u64);
    *at += buffer.len() as u64;
    buffer.clear();
    Ok(())
}

fn invalid(fault: Fault) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, fault.to_string())
}

/// A segment that is whole and durable, and may take the place of others.
/// Dropped, it leaves nothing behind.
pub struct Written {
    pub(super) old: Vec<Arc<Segment>>,
    pub(super) behind: Arc<Segment>,
    pub(super) segment: Arc<Segment>,
    pub(super) unfinished: Unfinished,
}

impl Written {
    pub fn log(&self) -> LogId {
        self.segment.header.log
    }

    /// Bytes of the records that are left.
    pub fn bytes(&self) -> u64 {
        self.segment.readable() - BODY
    }
}

/// A file that has no name of its own yet.
pub(super) struct Unfinished {
    disk: Arc<dyn Disk>,
    name: Option<String>,
}

impl Unfinished {
    /// Gives the file its name.
    pub(super) fn rename(&mut self, to: &str) -> io::Result<()> {
        if let Some(name) = &self.name {
            self.disk.rename(name, to)?;
            self.name = None;
        }
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // What stays is cleared away by the next start.
            let _ = self.disk.remove(name);
        }
    }
}
