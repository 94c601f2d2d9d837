//! What is written down of a partition now and then, so that a start need not
//! read its whole log: its producers, leader epochs and times, as of an offset.
//! Little endian.
//!
//! | what | as |
//! |---|---|
//! | magic `DLPC`, version, two bytes of zeros | 4 bytes, u16, u16 |
//! | topic, partition | 16 bytes, u32 |
//! | count of epochs, of times, bytes of the producers | u32 each |
//! | first offset, offset after the last batch, compacted until | u64 each |
//! | each epoch: number, first offset | i32, u64 |
//! | each time: first offset of its stretch, latest timestamp | u64, i64 |
//! | the producers, as they write themselves down | |
//! | CRC-32C of all that | u32 |
//!
//! One that does not read is no loss: the log has everything.

use super::times::Times;
use crate::ids::{Offset, PartitionId, TopicId};
use crate::streams::Key;
use crate::streams::partition::Epochs;
use crate::streams::producers::{self, Producers};
use crate::wire::{Cursor, Short, crc32c};
use std::fmt;

const MAGIC: [u8; 4] = *b"DLPC";
/// Raised when the form above changes. Another is refused with both numbers.
const VERSION: u16 = 2;
const CRC_BYTES: usize = 4;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    pub key: Key,
    pub first: Offset,
    /// The offset after the last batch that it knows of.
    pub next: Offset,
    /// Compacted up to here.
    pub clean_until: Offset,
    pub epochs: Epochs,
    pub times: Times,
    pub producers: Producers,
}

/// Why a checkpoint does not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsound {
    Short(Short),
    Magic,
    Version { found: u16 },
    Checksum { stated: u32, found: u32 },
    Order { what: &'static str },
    Left { count: usize },
    Producers(producers::Unsound),
}

impl fmt::Display for Unsound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short(short) => short.fmt(f),
            Self::Magic => f.write_str("it is no checkpoint of a partition"),
            Self::Version { found } => write!(
                f,
                "it is of version {found}, and this build reads {VERSION}"
            ),
            Self::Checksum { stated, found } => {
                write!(f, "its checksum is {found:#x}, it says {stated:#x}")
            }
            Self::Order { what } => write!(f, "its {what} do not rise"),
            Self::Left { count } => write!(f, "{count} bytes follow its end"),
            Self::Producers(why) => write!(f, "its producers: {why}"),
        }
    }
}

impl std::error::Error for Unsound {}

impl From<Short> for Unsound {
    fn from(short: Short) -> Self {
        Self::Short(short)
    }
}

impl Checkpoint {
    pub fn encode(&self) -> Vec<u8> {
        let producers = producers::encode(&self.producers);
        let epochs: Vec<_> = self.epochs.iter().collect();
        let mut bytes = Vec::with_capacity(64 + producers.len() + 16 * self.times.marks().len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 2]);
        bytes.extend_from_slice(&self.key.topic.0);
        bytes.extend_from_slice(&self.key.partition.0.to_le_bytes());
        for count in [epochs.len(), self.times.marks().len(), producers.len()] {
            bytes.extend_from_slice(&(count as u32).to_le_bytes());
        }
        for offset in [self.first, self.next, self.clean_until] {
            bytes.extend_from_slice(&offset.0.to_le_bytes());
        }
        for (epoch, at) in epochs {
            bytes.extend_from_slice(&epoch.to_le_bytes());
            bytes.extend_from_slice(&at.0.to_le_bytes());
        }
        for mark in self.times.marks() {
            bytes.extend_from_slice(&mark.first.0.to_le_bytes());
            bytes.extend_from_slice(&mark.latest.to_le_bytes());
        }
        bytes.extend_from_slice(&producers);
        let crc = crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, Unsound> {
        let Some((body, stated)) = bytes.split_last_chunk::<CRC_BYTES>() else {
            return Err(Unsound::Magic);
        };
        let mut cursor = Cursor::new(body);
        if cursor.take(MAGIC.len())? != MAGIC {
            return Err(Unsound::Magic);
        }
        let found = cursor.u16()?;
        if found != VERSION {
            return Err(Unsound::Version { found });
        }
        let (stated, found) = (u32::from_le_bytes(*stated), crc32c(body));
        if stated != found {
            return Err(Unsound::Checksum { stated, found });
        }
        cursor.u16()?;
        let topic = TopicId(cursor.bytes16()?);
        let partition = PartitionId(cursor.u32()?);
        let (epoch_count, time_count) = (cursor.u32()?, cursor.u32()?);
        let producers_bytes = cursor.u32()? as usize;
        let (first, next) = (Offset(cursor.u64()?), Offset(cursor.u64()?));
        let clean_until = Offset(cursor.u64()?);
        let epochs = read_epochs(&mut cursor, epoch_count)?;
        let times = read_times(&mut cursor, time_count)?;
        let producers = producers::decode(cursor.take(producers_bytes)?);
        let producers = producers.map_err(Unsound::Producers)?;
        match cursor.left() {
            0 => Ok(Self {
                key: Key { topic, partition },
                first,
                next,
                clean_until,
                epochs,
                times,
                producers,
            }),
            count => Err(Unsound::Left { count }),
        }
    }
}

fn read_epochs(cursor: &mut Cursor, count: u32) -> Result<Epochs, Unsound> {
    let mut epochs = Epochs::default();
    for _ in 0..count {
        let (epoch, at) = (cursor.u32()?.cast_signed(), Offset(cursor.u64()?));
        if epochs.last().is_some_and(|last| last >= epoch) {
            return Err(Unsound::Order { what: "epochs" });
        }
        epochs.note(epoch, at);
    }
    Ok(epochs)
}

fn read_times(cursor: &mut Cursor, count: u32) -> Result<Times, Unsound> {
    let mut times = Times::default();
    for _ in 0..count {
        let (first, latest) = (Offset(cursor.u64()?), cursor.u64()?.cast_signed());
        let pushed = times.push_read(first, latest);
        pushed.ok_or(Unsound::Order { what: "times" })?;
    }
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        let mut epochs = Epochs::default();
        epochs.note(3, Offset(10));
        epochs.note(5, Offset(40));
        let mut times = Times::default();
        times.push_read(Offset(10), 1000).unwrap();
        times.push_read(Offset(30), 900).unwrap();
        Checkpoint {
            key: Key {
                topic: TopicId([7; 16]),
                partition: PartitionId(4),
            },
            first: Offset(10),
            next: Offset(50),
            clean_until: Offset(30),
            epochs,
            times,
            producers: Producers::new(Offset(50)),
        }
    }

    #[test]
    fn a_checkpoint_reads_back_and_every_flipped_bit_is_found() {
        let bytes = checkpoint().encode();
        assert_eq!(Checkpoint::decode(&bytes), Ok(checkpoint()));
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Checkpoint::decode(&bad).is_err(), "bit {bit} went unseen");
        }
        for length in 0..bytes.len() {
            assert!(Checkpoint::decode(&bytes[..length]).is_err());
        }
    }
}
