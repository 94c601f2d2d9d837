//! How opening, appending and reading can fail, each a sentence.

use super::format::Fault;
use crate::ids::{Index, LogId};
use std::fmt;
use std::io;

/// Bytes below what was synced that are not what was written. Never cut,
/// never skipped: named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hole {
    /// None for the journal itself.
    pub log: Option<LogId>,
    pub file: String,
    pub at: u64,
    pub fault: Fault,
}

impl fmt::Display for Hole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            log,
            file,
            at,
            fault,
        } = self;
        match log {
            Some(log) => write!(f, "log {log}: {file} is damaged at byte {at}: {fault}"),
            None => write!(f, "{file} is damaged at byte {at}: {fault}"),
        }
    }
}

/// Why a data directory does not open. Nothing was changed in it.
#[derive(Debug)]
pub enum OpenError {
    /// The directory is not one of ours, or of another version, or torn.
    Identity(String),
    Hole(Hole),
    Io {
        doing: String,
        source: io::Error,
    },
}

impl OpenError {
    /// For `map_err`: adds what was being done.
    pub fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }

    pub fn is_full(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull)
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity(reason) => f.write_str(reason),
            Self::Hole(hole) => write!(
                f,
                "{hole}; what was acknowledged there cannot be read back. \
                 `dolmen log verify --dir D` lists all damage, `dolmen log repair --dir D` mends \
                 what can be mended and says what is lost"
            ),
            Self::Io { doing, source } if source.kind() == io::ErrorKind::StorageFull => {
                write!(
                    f,
                    "{doing}: the disk is full; free some space and start again"
                )
            }
            Self::Io { doing, source } => write!(f, "{doing}: {source}"),
        }
    }
}

impl std::error::Error for OpenError {}

/// Why an append or a change was not done. Nothing of it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The disk has no room for the next step of the segment.
    Full(String),
    /// More is waiting than the queue holds.
    Busy,
    TooLarge {
        bytes: usize,
        most: usize,
    },
    /// A foreign record is not whole, or does not follow the log's end.
    BadRecord(Fault),
    NoSuchLog(LogId),
    TooManyLogs,
    /// The log exists, in another format.
    OtherFormat {
        have: u16,
        want: u16,
    },
    /// The index is not in the log.
    OutOfRange {
        first: Index,
        next: Index,
    },
    /// There is no such run of sealed segments, or not any more.
    OtherSegments,
    /// The log is closing.
    Closed,
    /// A write or sync failed; the process is about to end.
    Failed(String),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(what) => {
                write!(
                    f,
                    "the disk is full ({what}); reads go on, appends resume once there is room"
                )
            }
            Self::Busy => f.write_str("too many appends are waiting; try again"),
            Self::TooLarge { bytes, most } => {
                write!(f, "a record of {bytes} bytes is larger than {most}")
            }
            Self::BadRecord(fault) => write!(f, "the record is not valid: {fault}"),
            Self::NoSuchLog(log) => write!(f, "there is no log {log}"),
            Self::TooManyLogs => {
                write!(
                    f,
                    "the device holds {} logs already",
                    crate::limits::LOGS_PER_DEVICE
                )
            }
            Self::OtherFormat { have, want } => {
                write!(f, "the log has record format {have}, not {want}")
            }
            Self::OutOfRange { first, next } => {
                write!(
                    f,
                    "the index is outside the log, which holds {first} up to {next}"
                )
            }
            Self::OtherSegments => f.write_str("the log has other segments there by now"),
            Self::Closed => f.write_str("the log is closed"),
            Self::Failed(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for Refused {}

/// A write or a sync failed: what is on the disk is not known any more, and
/// the process must end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fatal {
    pub reason: String,
}

impl fmt::Display for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}; nothing more is acknowledged and the process ends. Check the drive (dmesg, \
             smartctl), then start again: recovery trusts checksums only",
            self.reason
        )
    }
}

impl std::error::Error for Fatal {}

/// Why a read gives nothing.
#[derive(Debug)]
pub enum ReadError {
    BelowFirst {
        first: Index,
    },
    /// Bytes that should be a record are not.
    Hole(Hole),
    Io {
        doing: String,
        source: io::Error,
    },
    /// It was to be read only without the disk.
    NotInMemory,
    /// The log's thread has ended.
    Closed,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BelowFirst { first } => write!(f, "the log starts at {first}"),
            Self::Hole(hole) => hole.fmt(f),
            Self::Io { doing, source } => write!(f, "{doing}: {source}"),
            Self::NotInMemory => f.write_str("not in memory"),
            Self::Closed => f.write_str("the log is closed"),
        }
    }
}

impl std::error::Error for ReadError {}
