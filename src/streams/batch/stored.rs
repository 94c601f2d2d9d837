//! What a partition must know of a batch that stands in its log.

use super::codec::Unpacker;
use super::control::Marker;
use super::header::{Attributes, Claim};
use super::records::{Records, Unreadable, head};
use crate::ids::Offset;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    pub first: Offset,
    /// The offset after the last.
    pub next: Offset,
    pub leader_epoch: i32,
    /// None where compaction has left no records: what its head says then is of
    /// none that is here.
    pub max_timestamp: Option<i64>,
    pub claim: Option<Claim>,
    pub is_transactional: bool,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Data,
    Marker(Marker),
    /// A batch of ours of which compaction has left the head.
    Emptied,
}

/// Twenty bytes of key and value; a later version may add to them.
const MARKER_BYTES_MAX: usize = 4096;

impl Stored {
    /// Reads the head, and of a control batch the record.
    pub fn read(batch: &[u8]) -> Result<Self, Unreadable> {
        let header = head(batch)?;
        let attributes = header.attributes();
        let kind = match attributes.has(Attributes::CONTROL) {
            false => Kind::Data,
            true => kind(batch)?,
        };
        let first = header.base_offset() as u64;
        Ok(Self {
            first: Offset(first),
            next: Offset(first + header.last_offset_delta() as u64 + 1),
            leader_epoch: header.leader_epoch(),
            max_timestamp: (header.count() > 0).then(|| header.max_timestamp()),
            claim: header.claim(),
            is_transactional: attributes.has(Attributes::TRANSACTIONAL),
            kind,
        })
    }
}

fn kind(control: &[u8]) -> Result<Kind, Unreadable> {
    // Markers are not packed, and if one is, it is the only one.
    let records = Records::of(control, MARKER_BYTES_MAX, &mut Unpacker::default())?;
    match records.iter().next() {
        Some(record) => Ok(Kind::Marker(Marker::read(&record?)?)),
        None => Ok(Kind::Emptied),
    }
}
