//! Bytes to messages and entries, and back: for peers and for the disk.
//!
//! Our own encoding, little endian, with its version in front. The library's
//! protobuf never sees a stranger's bytes: changes of members, which it keeps
//! as protobuf inside an entry, are translated here both ways. What it does
//! not do for us does not parse: proposals and transfers asked for by a peer,
//! its requests for snapshots, its priorities, its local messages.
//!
//! `messages` is what peers say, `records` what they hold and the disk keeps.
//!
//! ```text
//! message   version u8, kind u8, reject u8, from, to, term, log term, index,
//!           commit, commit term, reject hint u64, context length u8, context,
//!           entries count u32, entries, snapshot if the kind has one
//! entry     term, index u64, kind u8, length u32, bytes
//! change    count u8, per step: kind u8, node u64
//! members   per list: count u8, nodes u64; then auto leave u8
//! snapshot  index, term u64, members, manifest length u32, manifest
//! ```

mod messages;
mod records;
#[cfg(test)]
mod tests;

use crate::limits::CONSENSUS_NUMBER_MAX;
use crate::wire::{Cursor, Short};
use std::fmt;

pub use messages::{Kind, rewrite_message};
pub(super) use messages::{
    NO_ANSWER, READ_ID_BYTES, encode_message, parse_message, peek, wants_no_answer,
};

pub const VERSION: u8 = 1;

/// Why bytes are no message, entry or record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unparsed {
    Short(Short),
    Version {
        found: u8,
        known: u8,
    },
    Kind(u8),
    TooMany {
        found: usize,
        max: usize,
    },
    Left(usize),
    /// Each field parses; together they are nothing a node would send.
    Senseless(&'static str),
}

impl From<Short> for Unparsed {
    fn from(short: Short) -> Self {
        Self::Short(short)
    }
}

impl fmt::Display for Unparsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short(short) => write!(f, "{short}"),
            Self::Version { found, known } => {
                write!(f, "version {found} where {known} is known")
            }
            Self::Kind(kind) => write!(f, "kind {kind} is not known"),
            Self::TooMany { found, max } => write!(f, "{found} where {max} is the most"),
            Self::Left(bytes) => write!(f, "{bytes} bytes too many"),
            Self::Senseless(what) => write!(f, "{what}"),
        }
    }
}

impl std::error::Error for Unparsed {}

fn take_version(cursor: &mut Cursor<'_>) -> Result<(), Unparsed> {
    match cursor.u8()? {
        VERSION => Ok(()),
        found => Err(Unparsed::Version {
            found,
            known: VERSION,
        }),
    }
}

/// An index or a term.
fn take_number(cursor: &mut Cursor<'_>) -> Result<u64, Unparsed> {
    match cursor.u64()? {
        number if number > CONSENSUS_NUMBER_MAX => {
            Err(Unparsed::Senseless("a number that no cluster comes to"))
        }
        number => Ok(number),
    }
}

fn take_bool(cursor: &mut Cursor<'_>) -> Result<bool, Unparsed> {
    match cursor.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Unparsed::Senseless("neither yes nor no")),
    }
}

fn at_most(found: usize, max: usize) -> Result<usize, Unparsed> {
    if found > max {
        return Err(Unparsed::TooMany { found, max });
    }
    Ok(found)
}

fn nothing_left(cursor: &Cursor<'_>) -> Result<(), Unparsed> {
    match cursor.left() {
        0 => Ok(()),
        bytes => Err(Unparsed::Left(bytes)),
    }
}

fn put_u64(bytes: &mut Vec<u8>, number: u64) {
    bytes.extend_from_slice(&number.to_le_bytes());
}

/// Lengths that were checked against their bound where they arose.
fn put_u32(bytes: &mut Vec<u8>, number: usize) {
    let number = u32::try_from(number).expect("bounded far below");
    bytes.extend_from_slice(&number.to_le_bytes());
}
