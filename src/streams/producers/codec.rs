//! A snapshot of a partition's producers as bytes. Little endian.
//!
//! | what | as |
//! |---|---|
//! | magic `DLPS`, version | 4 bytes, u16 |
//! | first offset of the log, offset after the last batch | u64 each |
//! | count of producers, of ended and of aborted transactions | u32 each |
//! | each producer: id, epoch, coordinator's epoch, when it was seen | u64, i16, i32, u64 |
//! | its open transaction: whether, first offset | u8, u64 |
//! | its last batches: count; sequence, records behind the first, offset | u8; i32, i32, u64 |
//! | each ended transaction: first offset, marker | u64 each |
//! | each aborted: producer, first offset, marker, last stable offset | u64 each |
//! | CRC-32C of all that | u32 |
//!
//! A snapshot that does not read is no loss: the log has everything.

use super::transactions::{Aborted, Transactions};
use super::{Producer, Producers, Sent};
use crate::clock::Millis;
use crate::ids::{Offset, ProducerId};
use crate::limits::{
    ABORTED_PER_PARTITION_MAX, OFFSET_MAX, PRODUCER_BATCHES_KEPT, PRODUCERS_PER_PARTITION_MAX,
};
use crate::planted;
use crate::wire::{Cursor, Short, crc32c};
use std::collections::BTreeMap;
use std::fmt;

const MAGIC: [u8; 4] = *b"DLPS";
/// Raised when the form above changes. Another is refused with both numbers.
const VERSION: u16 = 1;
const CRC_BYTES: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsound {
    Short(Short),
    Magic,
    Version { found: u16 },
    Checksum { stated: u32, found: u32 },
    TooMany { what: &'static str, count: u64 },
    Number { what: &'static str, found: u64 },
    Left { count: usize },
}

impl fmt::Display for Unsound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short(short) => short.fmt(f),
            Self::Magic => write!(f, "it is no snapshot of producers"),
            Self::Version { found } => write!(
                f,
                "it is of version {found}, and this build reads {VERSION}"
            ),
            Self::Checksum { stated, found } => {
                write!(f, "its checksum is {found:#x}, it says {stated:#x}")
            }
            Self::TooMany { what, count } => write!(f, "it has {count} {what}"),
            Self::Number { what, found } => write!(f, "its {what} is {found}"),
            Self::Left { count } => write!(f, "{count} bytes follow its end"),
        }
    }
}

impl std::error::Error for Unsound {}

impl From<Short> for Unsound {
    fn from(short: Short) -> Self {
        Self::Short(short)
    }
}

pub fn encode(producers: &Producers) -> Vec<u8> {
    let transactions = &producers.transactions;
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&VERSION.to_le_bytes());
    put(&mut out, &[producers.start, producers.next]);
    for count in [
        producers.by_id.len(),
        transactions.ended.len(),
        transactions.aborted.len(),
    ] {
        let count = u32::try_from(count).expect("four billion would not fit the memory");
        out.extend_from_slice(&count.to_le_bytes());
    }
    for (id, producer) in &producers.by_id {
        put_producer(&mut out, *id, producer);
    }
    for &(first, last) in &transactions.ended {
        put(&mut out, &[first, last]);
    }
    for aborted in &transactions.aborted {
        out.extend_from_slice(&aborted.id.0.to_le_bytes());
        put(
            &mut out,
            &[aborted.first, aborted.last, aborted.last_stable],
        );
    }
    let crc = crc32c(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

fn put_producer(out: &mut Vec<u8>, id: ProducerId, producer: &Producer) {
    out.extend_from_slice(&id.0.to_le_bytes());
    out.extend_from_slice(&producer.epoch.to_le_bytes());
    out.extend_from_slice(&producer.coordinator_epoch.to_le_bytes());
    out.extend_from_slice(&producer.seen.0.to_le_bytes());
    match producer.open {
        Some(first) if !planted!(OpenNotInSnapshot) => {
            out.push(1);
            put(out, &[first]);
        }
        _ => out.push(0),
    }
    out.push(producer.recent.len() as u8);
    for sent in &producer.recent {
        out.extend_from_slice(&sent.sequence.to_le_bytes());
        out.extend_from_slice(&sent.delta.to_le_bytes());
        put(out, &[sent.first]);
    }
}

fn put(out: &mut Vec<u8>, offsets: &[Offset]) {
    for offset in offsets {
        out.extend_from_slice(&offset.0.to_le_bytes());
    }
}

pub fn decode(bytes: &[u8]) -> Result<Producers, Unsound> {
    let mut from = Cursor::new(bytes);
    if from.take(MAGIC.len())? != MAGIC {
        return Err(Unsound::Magic);
    }
    match from.u16()? {
        VERSION => (),
        found => return Err(Unsound::Version { found }),
    }
    let covered = bytes.len().saturating_sub(CRC_BYTES);
    let stated = Cursor::new(&bytes[covered..]).u32()?;
    let found = crc32c(&bytes[..covered]);
    if stated != found {
        return Err(Unsound::Checksum { stated, found });
    }
    let mut reading = Reading {
        from,
        next: Offset(OFFSET_MAX),
    };
    let producers = reading.producers()?;
    match reading.from.left() {
        CRC_BYTES => Ok(producers),
        left if left < CRC_BYTES => Err(Unsound::Short(Short {
            wanted: CRC_BYTES,
            left,
        })),
        left => Err(Unsound::Left {
            count: left - CRC_BYTES,
        }),
    }
}

struct Reading<'a> {
    from: Cursor<'a>,
    /// Every offset lies before it.
    next: Offset,
}

/// The least that each takes.
const PRODUCER_BYTES: usize = 24;
const ENDED_BYTES: usize = 16;
const ABORTED_BYTES: usize = 32;

impl Reading<'_> {
    fn producers(&mut self) -> Result<Producers, Unsound> {
        let (start, next) = (self.from.u64()?, self.from.u64()?);
        sound("first offset", start, start <= next)?;
        sound("end", next, next <= OFFSET_MAX)?;
        self.next = Offset(next);
        let counts = [self.from.u32()?, self.from.u32()?, self.from.u32()?];
        let [producers, ended, aborted] = counts.map(|count| count as usize);
        let most = PRODUCERS_PER_PARTITION_MAX;
        self.bound("producers", producers, most, PRODUCER_BYTES)?;
        let (mut by_id, mut open) = (BTreeMap::new(), BTreeMap::new());
        for _ in 0..producers {
            let (id, producer) = self.producer()?;
            let is_behind = by_id.last_key_value().is_none_or(|(last, _)| *last < id);
            sound("producer id", id.0, is_behind)?;
            if let Some(first) = producer.open {
                sound(
                    "open transaction",
                    first.0,
                    open.insert(first, id).is_none(),
                )?;
            }
            by_id.insert(id, producer);
        }
        let transactions = Transactions {
            open,
            ended: self.ended(ended)?,
            aborted: self.aborted(aborted)?,
        };
        Ok(Producers {
            by_id,
            transactions,
            start: Offset(start),
            next: Offset(next),
        })
    }

    fn producer(&mut self) -> Result<(ProducerId, Producer), Unsound> {
        let id = ProducerId(self.from.u64()?);
        sound("producer id", id.0, id.0 <= i64::MAX as u64)?;
        let epoch = self.from.u16()?;
        sound("producer epoch", epoch.into(), epoch <= i16::MAX as u16)?;
        let coordinator_epoch = self.from.u32()? as i32;
        let seen = Millis(self.from.u64()?);
        let open = match self.from.u8()? {
            0 => None,
            1 => Some(self.offset("open transaction")?),
            other => return Err(number("open transaction", other)),
        };
        let count = self.from.u8()?;
        if usize::from(count) > PRODUCER_BATCHES_KEPT {
            return Err(number("count of batches", count));
        }
        let recent: Result<_, _> = (0..count).map(|_| self.sent()).collect();
        Ok((
            id,
            Producer {
                epoch: epoch as i16,
                coordinator_epoch,
                seen,
                open,
                recent: recent?,
            },
        ))
    }

    fn sent(&mut self) -> Result<Sent, Unsound> {
        let (sequence, delta) = (self.from.u32()?, self.from.u32()?);
        sound("sequence", sequence.into(), sequence <= i32::MAX as u32)?;
        sound("count of records", delta.into(), delta <= i32::MAX as u32)?;
        let first = self.offset("offset of a batch")?;
        let last = first.0 + u64::from(delta);
        sound("last offset of a batch", last, last < self.next.0)?;
        Ok(Sent {
            sequence: sequence as i32,
            first,
            delta: delta as i32,
        })
    }

    fn ended(&mut self, count: usize) -> Result<Vec<(Offset, Offset)>, Unsound> {
        self.bound("ended transactions", count, usize::MAX, ENDED_BYTES)?;
        let mut ended: Vec<(Offset, Offset)> = Vec::with_capacity(count);
        for _ in 0..count {
            let (first, last) = (self.offset("first offset")?, self.offset("marker")?);
            let is_behind = ended.last().is_none_or(|before| before.1 < last);
            sound("marker", last.0, first < last && is_behind)?;
            ended.push((first, last));
        }
        Ok(ended)
    }

    fn aborted(&mut self, count: usize) -> Result<Vec<Aborted>, Unsound> {
        let most = ABORTED_PER_PARTITION_MAX;
        self.bound("aborted transactions", count, most, ABORTED_BYTES)?;
        let mut aborted: Vec<Aborted> = Vec::with_capacity(count);
        for _ in 0..count {
            let one = Aborted {
                id: ProducerId(self.from.u64()?),
                first: self.offset("first offset")?,
                last: self.offset("marker")?,
                last_stable: Offset(self.from.u64()?),
            };
            let is_behind = aborted.last().is_none_or(|before| before.last < one.last);
            sound("marker", one.last.0, one.first < one.last && is_behind)?;
            let is_stable = one.last_stable.0 <= one.last.0 + 1;
            sound("last stable offset", one.last_stable.0, is_stable)?;
            aborted.push(one);
        }
        Ok(aborted)
    }

    /// A declared count, compared with its bound and with the bytes that are left.
    fn bound(
        &self,
        what: &'static str,
        count: usize,
        most: usize,
        least_bytes: usize,
    ) -> Result<(), Unsound> {
        match count <= most && count <= self.from.left() / least_bytes {
            true => Ok(()),
            false => Err(Unsound::TooMany {
                what,
                count: count as u64,
            }),
        }
    }

    fn offset(&mut self, what: &'static str) -> Result<Offset, Unsound> {
        let offset = self.from.u64()?;
        sound(what, offset, offset < self.next.0)?;
        Ok(Offset(offset))
    }
}

fn sound(what: &'static str, found: u64, is_sound: bool) -> Result<(), Unsound> {
    match is_sound {
        true => Ok(()),
        false => Err(Unsound::Number { what, found }),
    }
}

fn number(what: &'static str, found: u8) -> Unsound {
    let found = found.into();
    Unsound::Number { what, found }
}
