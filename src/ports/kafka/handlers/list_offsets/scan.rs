//! Looks for a record among those of a partition. It reads from the disk, and
//! unpacks what may have it: for the blocking pool.

use crate::ids::Offset;
use crate::limits::{BATCH_PLAIN_BYTES_MAX, OFFSET_SCAN_BYTES};
use crate::log::Way;
use crate::ports::kafka::messages::ErrorCode;
use crate::streams::View;
use crate::streams::batch::codec::Unpacker;
use crate::streams::batch::header::{Attributes, Header};
use crate::streams::batch::records::Records;

/// What a record must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sought {
    Any,
    /// Of this time, or of a later one.
    Time(i64),
}

/// A record that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spotted {
    pub timestamp: i64,
    pub offset: Offset,
    pub epoch: i32,
}

/// The first such record between two offsets.
pub fn scan(
    view: &View,
    from: Offset,
    end: Offset,
    sought: Sought,
) -> Result<Option<Spotted>, ErrorCode> {
    let mut unpacker = Unpacker::default();
    let mut next = from.max(view.marks().first);
    loop {
        let read = view.read(next, end, OFFSET_SCAN_BYTES, Way::Plain);
        let Some(batches) = read.map_err(|error| ErrorCode::from(&error))? else {
            return Ok(None);
        };
        let found = first(&batches.bytes, next, sought, &mut unpacker)?;
        if found.is_some() {
            return Ok(found);
        }
        next = batches.next;
    }
}

/// In whole batches that stand back to back.
fn first(
    mut bytes: &[u8],
    from: Offset,
    sought: Sought,
    unpacker: &mut Unpacker,
) -> Result<Option<Spotted>, ErrorCode> {
    while let Some(header) = Header::of(bytes) {
        let whole = header
            .total_bytes()
            .and_then(|total| bytes.split_at_checked(total));
        let Some((batch, rest)) = whole else {
            return Err(ErrorCode::KafkaStorageError);
        };
        let found = match sought {
            Sought::Any => any(&header, from),
            Sought::Time(at_ms) => at_time(batch, &header, from, at_ms, unpacker)?,
        };
        if found.is_some() {
            return Ok(found);
        }
        bytes = rest;
    }
    Ok(None)
}

/// The batch stands for its offsets, whatever compaction has left of it.
fn any(header: &Header<'_>, from: Offset) -> Option<Spotted> {
    let base = u64::try_from(header.base_offset()).ok()?;
    Some(Spotted {
        timestamp: header.max_timestamp(),
        offset: Offset(base).max(from),
        epoch: header.leader_epoch(),
    })
}

fn at_time(
    batch: &[u8],
    header: &Header<'_>,
    from: Offset,
    at_ms: i64,
    unpacker: &mut Unpacker,
) -> Result<Option<Spotted>, ErrorCode> {
    // Markers of transactions are no client's records.
    let is_control = header.attributes().has(Attributes::CONTROL);
    if is_control || header.max_timestamp() < at_ms {
        return Ok(None);
    }
    let unreadable = |why| {
        tracing::warn!(
            "a batch at offset {} is not read: {why}",
            header.base_offset()
        );
        ErrorCode::KafkaStorageError
    };
    let records = Records::of(batch, BATCH_PLAIN_BYTES_MAX, unpacker).map_err(unreadable)?;
    for record in records.iter() {
        let record = record.map_err(unreadable)?;
        if record.offset >= from && record.timestamp >= at_ms {
            return Ok(Some(Spotted {
                timestamp: record.timestamp,
                offset: record.offset,
                epoch: header.leader_epoch(),
            }));
        }
    }
    Ok(None)
}
