//! The records of a coordinator as batches of its partition, and back.

use crate::clock::Millis;
use crate::ids::Offset;
use crate::limits::BATCH_PLAIN_BYTES_MAX;
use crate::streams::batch::build::{Builder, Unfit};
use crate::streams::batch::check::Offered;
use crate::streams::batch::codec::{Codec, Unpacker};
use crate::streams::batch::header::{Attributes, Header, sum};
use crate::streams::batch::records::{Headers, Record, Records, Unreadable};
use crate::streams::batch::stored::Stored;
use std::fmt;

/// A machine whose memory is a partition.
pub(crate) trait Remembers {
    type Malformed: fmt::Display;

    /// A key without a value is taken away.
    fn replay(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), Self::Malformed>;

    /// A transaction has ended here.
    fn replay_marker(&mut self, marker: &Stored);
}

/// What one event of a machine writes: a key and a value each.
pub(crate) type Pairs = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// One batch that is to be appended.
pub(crate) struct Page {
    pub bytes: Vec<u8>,
    pub offered: Offered,
}

impl Page {
    pub(crate) fn of(pairs: &Pairs, now: Millis) -> Result<Self, Unfit> {
        let timestamp = i64::try_from(now.0).unwrap_or(i64::MAX);
        let mut builder = Builder::new(Offset(0), Codec::None);
        for (at, (key, value)) in pairs.iter().enumerate() {
            builder.add(&Record {
                offset: Offset(at as u64),
                timestamp,
                key: Some(key),
                value: value.as_deref(),
                headers: Headers::NONE,
            })?;
        }
        let count = builder.count() as u32;
        let bytes = builder.finish()?;
        let offered = Offered {
            bytes: 0..bytes.len(),
            codec: Codec::None,
            count,
            max_timestamp: timestamp,
            latest: 0,
            is_max_timestamp_wrong: false,
            claim: None,
            is_transactional: false,
        };
        Ok(Self { bytes, offered })
    }
}

/// Why a partition cannot be read back: it is not to be served.
#[derive(Debug)]
pub(crate) enum Unread {
    Checksum { base: i64 },
    Batch { base: i64, why: Unreadable },
    Record { at: Offset, why: String },
    Cut { bytes: usize },
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checksum { base } => {
                write!(f, "the batch at {base} does not match its checksum")
            }
            Self::Batch { base, why } => write!(f, "the batch at {base}: {why}"),
            Self::Record { at, why } => write!(f, "the record at {at}: {why}"),
            Self::Cut { bytes } => write!(f, "{bytes} bytes behind the last batch are none"),
        }
    }
}

/// Lets the machine read whole batches, in their order.
pub(crate) fn replay(
    mut bytes: &[u8],
    machine: &mut impl Remembers,
    unpacker: &mut Unpacker,
) -> Result<(), Unread> {
    while !bytes.is_empty() {
        let total = Header::of(bytes).and_then(|header| header.total_bytes());
        let Some((batch, rest)) = total.and_then(|total| bytes.split_at_checked(total)) else {
            let bytes = bytes.len();
            return Err(Unread::Cut { bytes });
        };
        replay_batch(batch, machine, unpacker)?;
        bytes = rest;
    }
    Ok(())
}

fn replay_batch(
    batch: &[u8],
    machine: &mut impl Remembers,
    unpacker: &mut Unpacker,
) -> Result<(), Unread> {
    let Some(header) = Header::of(batch) else {
        let bytes = batch.len();
        return Err(Unread::Cut { bytes });
    };
    let base = header.base_offset();
    if sum(batch) != header.crc() {
        return Err(Unread::Checksum { base });
    }
    let broken = |why| Unread::Batch { base, why };
    if header.attributes().has(Attributes::CONTROL) {
        machine.replay_marker(&Stored::read(batch).map_err(broken)?);
        return Ok(());
    }
    let records = Records::of(batch, BATCH_PLAIN_BYTES_MAX, unpacker).map_err(broken)?;
    for record in records.iter() {
        let record = record.map_err(broken)?;
        // What has no key says nothing in a compacted topic.
        if let Some(key) = record.key {
            let at = record.offset;
            let read = machine.replay(key, record.value);
            read.map_err(|why| Unread::Record {
                at,
                why: why.to_string(),
            })?;
        }
    }
    Ok(())
}
