//! Batches as records of a log: the batch's head is the frame, and nothing
//! stands between batches.
//!
//! The CRC leaves out base offset, length, leader epoch and magic. A wrong
//! length or magic shows at once; of the others this watches over what it can:
//! **the base offset follows exactly**, in a compacted log too, and the leader
//! epoch does not fall. So compaction never leaves a hole: a batch that it
//! rewrites stands for the offsets that it stood for, with the records that are
//! left (`Builder::like`), and where it keeps nothing of some batches an empty
//! one of 61 bytes takes their place (`build::gap`). Clients pass over empty
//! batches, for Kafka's own compaction makes such too. To widen the batch
//! before instead would do for records without a producer alone: with one, the
//! last sequence is counted from the offsets.
//!
//! Each replica compacts its own log, so one that lags may ask for an offset within
//! an empty batch of its leader's: it takes the rest of it (`build::rest_of_gap`).
//!
//! What is left unguarded here, a leader epoch that is too high in the last
//! batch, is the journal's and the sealed segment's to tell.

use super::header::{HEADER_BYTES, Header, MAGIC, sum};
use crate::ids::{Epoch, Index, Term};
use crate::limits::{OFFSET_MAX, RECORD_BYTES_MAX};
use crate::log::format::{End, Fault, Format, Head, Step};

pub struct Batches;

pub static BATCHES: Batches = Batches;

impl Format for Batches {
    fn id(&self) -> u16 {
        2
    }

    fn name(&self) -> &'static str {
        "batches"
    }

    fn measure(&self, bytes: &[u8]) -> Result<Step, Fault> {
        // A few zeros may as well be the beginning of a base offset.
        let Some(header) = Header::of(bytes) else {
            return Ok(Step::More(HEADER_BYTES));
        };
        if header.is_zero() {
            return Ok(Step::Nothing);
        }
        within(
            "batch magic",
            header.magic().into(),
            MAGIC.into(),
            MAGIC.into(),
        )?;
        let least = HEADER_BYTES as i64;
        let stated = header.total_bytes().map_or(0, |bytes| bytes as i64);
        within("batch length", stated, least, RECORD_BYTES_MAX as i64)?;
        let (base, delta) = (header.base_offset(), header.last_offset_delta());
        within("base offset", base, 0, OFFSET_MAX as i64)?;
        within("last offset of the batch", delta.into(), 0, i64::MAX)?;
        let epoch = header.leader_epoch().into();
        within("leader epoch", epoch, 0, i64::MAX)?;
        let count = header.count().into();
        within("count of records", count, 0, i64::from(delta) + 1)?;
        Ok(Step::Record(Head {
            length: stated as usize,
            first: Index(base as u64),
            next: Index(base as u64 + delta as u64 + 1),
            term: Term(epoch as u64),
            previous: 0,
            check: 0,
        }))
    }

    /// A segment of batches is made new and zeroed, so that there is no life of
    /// it before this one.
    fn check(&self, record: &[u8], _: Epoch) -> Result<(), Fault> {
        let header = Header::of(record).ok_or(Fault::missing("batch"))?;
        let (expected, found) = (header.crc().into(), sum(record).into());
        same("batch checksum", expected, found)
    }

    fn continues(&self, end: End, head: &Head) -> Result<(), Fault> {
        same("base offset", end.next.0, head.first.0)?;
        match head.term < end.term {
            true => Err(Fault {
                what: "leader epoch",
                expected: end.term.0,
                found: head.term.0,
            }),
            false => Ok(()),
        }
    }
}

fn same(what: &'static str, expected: u64, found: u64) -> Result<(), Fault> {
    match expected == found {
        true => Ok(()),
        false => Err(Fault {
            what,
            expected,
            found,
        }),
    }
}

/// Names the bound that a number is beyond.
fn within(what: &'static str, found: i64, least: i64, most: i64) -> Result<(), Fault> {
    same(what, found.clamp(least, most) as u64, found as u64)
}

#[cfg(test)]
mod tests;
