//! Submissions as bytes, for the log and for the way to the leader, and the
//! entries of the log that hold them. Numbers are little endian, a text or a
//! list has its length before it. A leading byte names the feature level at
//! which it was written: a build that does not know the level reads nothing of
//! it. What is read here came from a peer or a disk: nothing is allocated from a
//! length that was declared, and every byte must mean something.

mod access;
mod input;
mod out;
mod streams;

use super::command::Submission;
use crate::clock::Millis;
use crate::ids::{NodeId, SessionId};
use crate::wire::{Cursor, Short};
use input::{IDENTITY_BYTES, In};
use out::Out;
use std::fmt;

/// Why bytes are no submission or no entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Malformed {
    Short(Short),
    Level {
        found: u32,
        known: u32,
    },
    Tag {
        of: &'static str,
        tag: u8,
    },
    NotUtf8,
    /// More items than the bytes that are left could hold.
    Count {
        declared: u32,
        left: usize,
    },
    Trailing {
        bytes: usize,
    },
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short(short) => write!(f, "cut short: {short}"),
            Self::Level { found, known } => {
                write!(f, "written at level {found}, where up to {known} is read")
            }
            Self::Tag { of, tag } => write!(f, "{tag} is no {of}"),
            Self::NotUtf8 => f.write_str("a text is not UTF-8"),
            Self::Count { declared, left } => {
                write!(f, "{declared} items declared in {left} bytes")
            }
            Self::Trailing { bytes } => write!(f, "{bytes} bytes behind the end"),
        }
    }
}

impl std::error::Error for Malformed {}

impl From<Short> for Malformed {
    fn from(short: Short) -> Self {
        Self::Short(short)
    }
}

/// The level at which a submission or an entry says that it was written.
pub fn level_of(bytes: &[u8]) -> u32 {
    bytes.first().copied().map_or(0, u32::from)
}

/// An entry of the log: the leader's time, and submissions as they came, none
/// of a higher level.
pub fn encode_entry<B: AsRef<[u8]>>(level: u32, now: Millis, submissions: &[B]) -> Vec<u8> {
    let bytes = submissions.iter().map(|one| 4 + one.as_ref().len());
    let mut out = Out(Vec::with_capacity(13 + bytes.sum::<usize>()));
    out.level(level);
    out.u64(now.0);
    out.u32(submissions.len() as u32);
    for submission in submissions {
        out.bytes(submission.as_ref());
    }
    out.0
}

/// `known` is the highest level that the reader knows.
pub fn decode_entry(known: u32, bytes: &[u8]) -> Result<(Millis, Submissions<'_>), Malformed> {
    let mut read = In(Cursor::new(bytes));
    let level = read.level(known)?;
    let now = Millis(read.u64()?);
    let left = read.count(4)?;
    Ok((now, Submissions { level, read, left }))
}

/// The submissions of an entry, in order. After an error nothing follows.
#[derive(Clone, Debug)]
pub struct Submissions<'a> {
    /// Of the entry. One of a higher level is malformed for whoever reads it,
    /// so that all pass over the same.
    level: u32,
    read: In<'a>,
    left: u32,
}

impl Iterator for Submissions<'_> {
    type Item = Result<Submission, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = match self.left {
            0 => match self.read.end() {
                Ok(()) => return None,
                error => error.map(|()| unreachable!("an error is no end")),
            },
            _ => {
                let level = self.level;
                self.read.bytes().and_then(|bytes| decode(level, bytes))
            }
        };
        self.left = self.left.saturating_sub(1);
        if next.is_err() {
            self.left = 0;
            self.read = In(Cursor::new(&[]));
        }
        Some(next)
    }
}

pub fn encode(level: u32, submission: &Submission) -> Vec<u8> {
    let mut out = Out(Vec::with_capacity(128));
    out.level(level);
    out.u64(submission.origin.0);
    out.u64(submission.tag);
    out.u64(submission.session.0);
    out.u32(submission.connection);
    out.u64(submission.sequence);
    out.list(&submission.who, Out::identity);
    out.command(&submission.command);
    out.0
}

pub fn decode(known: u32, bytes: &[u8]) -> Result<Submission, Malformed> {
    let mut read = In(Cursor::new(bytes));
    read.level(known)?;
    let submission = Submission {
        origin: NodeId(read.u64()?),
        tag: read.u64()?,
        session: SessionId(read.u64()?),
        connection: read.u32()?,
        sequence: read.u64()?,
        who: read.list(IDENTITY_BYTES, In::identity)?,
        command: read.command()?,
    };
    read.end()?;
    Ok(submission)
}
