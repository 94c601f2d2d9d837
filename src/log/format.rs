//! What a log must know of its records: where one ends, whether it is whole,
//! and whether it follows the one before. Pure.
//!
//! A log is generic over this. `frame` is our own format; a client protocol
//! that brings a checksum of its own, such as Kafka's batches, brings another.

use crate::ids::{Epoch, Index, Term};
use std::fmt;

/// One record's place and extent, read from its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Bytes in the file, padding included.
    pub length: usize,
    pub first: Index,
    /// The index after the record's last entry.
    pub next: Index,
    /// A number that never falls along a log: the term or leader epoch.
    pub term: Term,
    /// Names the record before this one; 0 where a format has no chain.
    pub previous: u32,
    /// Names this record in the one after it; 0 where a format has no chain.
    pub check: u32,
}

/// The end of a log: what the next record must follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct End {
    pub next: Index,
    pub term: Term,
    pub check: u32,
}

impl Head {
    pub fn end(&self) -> End {
        End {
            next: self.next,
            term: self.term,
            check: self.check,
        }
    }
}

/// What stands at the start of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Zeros: nothing was written here.
    Nothing,
    /// More bytes are needed to tell: at least this many in all.
    More(usize),
    Record(Head),
}

/// Bytes that should be a record and are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What was compared, for a person: "payload checksum".
    pub what: &'static str,
    pub expected: u64,
    pub found: u64,
}

impl Fault {
    /// Stands as what was found where there is nothing at all.
    const NOTHING: u64 = u64::MAX;

    /// Something that should be there and is not.
    pub const fn missing(what: &'static str) -> Self {
        Self {
            what,
            expected: 1,
            found: Self::NOTHING,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            expected,
            found,
        } = self;
        if *found == Self::NOTHING {
            return write!(f, "{what} is missing");
        }
        write!(f, "{what} is {found:#x}, expected {expected:#x}")
    }
}

pub trait Format: Send + Sync {
    /// Stands in segment headers; never given to another format.
    fn id(&self) -> u16;
    /// For messages.
    fn name(&self) -> &'static str;
    /// Whether the log writes our own frame around each payload. Where not,
    /// the caller's bytes are stored as they come.
    fn is_framed(&self) -> bool {
        false
    }
    /// Reads the head only, without looking at the record's body.
    fn measure(&self, bytes: &[u8]) -> Result<Step, Fault>;
    /// Checks one whole record, measured before, against its checksum and the
    /// life of the segment that it stands in.
    fn check(&self, record: &[u8], epoch: Epoch) -> Result<(), Fault>;
    /// Whether a record may follow the end of a log.
    fn continues(&self, end: End, head: &Head) -> Result<(), Fault>;
}

/// Walks records back to back, checking each. `at` is where it stands.
pub struct Walk<'a> {
    pub format: &'a dyn Format,
    pub epoch: Epoch,
    pub end: End,
}

/// One step of a walk.
#[derive(Debug, PartialEq, Eq)]
pub enum Walked {
    Record(Head),
    Nothing,
    More(usize),
}

impl Walk<'_> {
    /// Checks the record at the start of `bytes` and moves the end behind it.
    pub fn step(&mut self, bytes: &[u8]) -> Result<Walked, Fault> {
        let head = match self.format.measure(bytes)? {
            Step::Nothing => return Ok(Walked::Nothing),
            Step::More(count) => return Ok(Walked::More(count)),
            Step::Record(head) if head.length > bytes.len() => {
                return Ok(Walked::More(head.length));
            }
            Step::Record(head) => head,
        };
        self.format.check(&bytes[..head.length], self.epoch)?;
        self.format.continues(self.end, &head)?;
        self.end = head.end();
        Ok(Walked::Record(head))
    }
}
