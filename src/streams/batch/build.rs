//! Makes batches: of our own records, and anew of those that compaction keeps.

use super::codec::{Codec, pack_at};
use super::header::{Attributes, Claim, Fields, HEADER_BYTES, Header};
use super::record::{put_nullable, put_varint, put_varlong};
use super::records::{Headers, Record};
use crate::ids::Offset;
use crate::limits::{BATCH_PLAIN_BYTES_MAX, OFFSET_MAX, RECORD_BYTES_MAX};
use std::fmt;

/// What does not go into a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// Too many bytes for one batch: finish it and begin another.
    TooLarge { bytes: usize, most: usize },
    /// An offset that is not behind the one before it, or too far from the base.
    Offset { offset: Offset, base: Offset },
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { bytes, most } => {
                write!(f, "a batch of {bytes} bytes where {most} is the most")
            }
            Self::Offset { offset, base } => {
                write!(
                    f,
                    "the offset {offset} does not fit a batch that begins at {base}"
                )
            }
        }
    }
}

impl std::error::Error for Unfit {}

/// A batch in the making. Its range of offsets begins at the base and ends
/// with the last record, or where `until` says.
#[derive(Clone, Debug)]
pub struct Builder {
    base: Offset,
    codec: Codec,
    /// How hard the codec tries.
    level: Option<i32>,
    leader_epoch: i32,
    attributes: i16,
    claim: Option<Claim>,
    /// That of the first record, where nothing else was asked for.
    base_timestamp: Option<i64>,
    max_timestamp: i64,
    /// The greatest timestamp that stands whatever the records have.
    has_fixed_time: bool,
    /// The last offset that the batch must stand for.
    least_delta: i32,
    last_delta: i32,
    count: i32,
    plain: Vec<u8>,
    scratch: Vec<u8>,
}

impl Builder {
    pub fn new(base: Offset, codec: Codec) -> Self {
        Self {
            base,
            codec,
            level: None,
            leader_epoch: 0,
            attributes: 0,
            claim: None,
            base_timestamp: None,
            max_timestamp: -1,
            has_fixed_time: false,
            least_delta: 0,
            last_delta: -1,
            count: 0,
            plain: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// One for those records of a batch that compaction keeps. It stands for
    /// the same offsets and says the same of its producer, even when nothing
    /// is left of it. None where the batch could not stand in a log.
    pub fn like(header: &Header<'_>) -> Option<Self> {
        let base = u64::try_from(header.base_offset()).ok()?;
        let attributes = header.attributes();
        Some(Self {
            leader_epoch: header.leader_epoch(),
            attributes: attributes.0 & !Attributes::CODEC,
            claim: header.claim(),
            base_timestamp: Some(header.base_timestamp()),
            max_timestamp: header.max_timestamp(),
            has_fixed_time: attributes.has(Attributes::APPEND_TIME),
            least_delta: header.last_offset_delta(),
            ..Self::new(Offset(base), attributes.codec()?)
        })
    }

    /// How hard the codec tries, where it has levels.
    pub fn level(mut self, level: Option<i32>) -> Self {
        self.level = level;
        self
    }

    pub fn leader_epoch(mut self, epoch: i32) -> Self {
        self.leader_epoch = epoch;
        self
    }

    pub fn producer(mut self, claim: Claim, is_transactional: bool) -> Self {
        self.claim = Some(claim);
        if is_transactional {
            self.attributes |= Attributes::TRANSACTIONAL;
        }
        self
    }

    /// Marks the records as ours, which clients do not show.
    pub fn control(mut self) -> Self {
        self.attributes |= Attributes::CONTROL;
        self
    }

    /// When the tombstones and markers in it may go. Asked for before the
    /// first record: it stands where the base timestamp would, and the
    /// records count from it.
    pub fn delete_horizon(mut self, at: i64) -> Self {
        self.attributes |= Attributes::DELETE_HORIZON;
        self.base_timestamp = Some(at);
        self
    }

    /// Bytes of the records so far, before they are packed.
    pub fn plain_bytes(&self) -> usize {
        self.plain.len()
    }

    pub fn count(&self) -> usize {
        self.count as usize
    }

    /// Takes a record as it is. One that does not fit leaves the batch as it was.
    pub fn add(&mut self, record: &Record<'_>) -> Result<(), Unfit> {
        let delta = self.delta(record.offset)?;
        let base_timestamp = self.base_timestamp.unwrap_or(record.timestamp);
        let body = &mut self.scratch;
        body.clear();
        body.push(0);
        put_varlong(body, record.timestamp.wrapping_sub(base_timestamp));
        put_varint(body, delta);
        put_nullable(body, record.key);
        put_nullable(body, record.value);
        put_varlong(body, record.headers.count.into());
        body.extend_from_slice(record.headers.bytes);
        let bytes = self.plain.len() + body.len();
        let most = BATCH_PLAIN_BYTES_MAX - HEADER_BYTES;
        if bytes > most {
            return Err(Unfit::TooLarge { bytes, most });
        }
        put_varlong(&mut self.plain, self.scratch.len() as i64);
        self.plain.append(&mut self.scratch);
        if !self.has_fixed_time {
            let before = if self.count == 0 {
                -1
            } else {
                self.max_timestamp
            };
            self.max_timestamp = before.max(record.timestamp);
        }
        self.base_timestamp = Some(base_timestamp);
        self.last_delta = delta;
        self.count += 1;
        Ok(())
    }

    fn delta(&self, offset: Offset) -> Result<i32, Unfit> {
        let delta = offset.0.checked_sub(self.base.0);
        delta
            .and_then(|delta| i32::try_from(delta).ok())
            .filter(|&delta| delta > self.last_delta && offset.0 <= OFFSET_MAX)
            .ok_or(Unfit::Offset {
                offset,
                base: self.base,
            })
    }

    pub fn finish(self) -> Result<Vec<u8>, Unfit> {
        // No codec has a form for nothing that all clients read.
        let codec = match self.count {
            0 => Codec::None,
            _ => self.codec,
        };
        let records = pack_at(codec, self.level, &self.plain);
        let fields = Fields {
            base_offset: self.base,
            leader_epoch: self.leader_epoch,
            attributes: Attributes(self.attributes | i16::from(codec.number())),
            last_offset_delta: self.last_delta.max(self.least_delta),
            base_timestamp: self.base_timestamp.unwrap_or(-1),
            max_timestamp: self.max_timestamp,
            claim: self.claim,
            count: self.count,
        };
        let (bytes, most) = (HEADER_BYTES + records.len(), RECORD_BYTES_MAX);
        match fields.seal(&records) {
            Some(batch) if bytes <= most => Ok(batch),
            _ => Err(Unfit::TooLarge { bytes, most }),
        }
    }
}

/// What fills the place of batches of which compaction keeps nothing, from
/// `first` until `next`: empty batches of no producer, one for each 2^31
/// offsets.
pub fn gap(first: Offset, next: Offset, leader_epoch: i32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut base = first.0;
    while base < next.0 {
        let delta = (next.0 - base - 1).min(i32::MAX as u64);
        let fields = Fields {
            base_offset: Offset(base),
            leader_epoch,
            attributes: Attributes::default(),
            last_offset_delta: delta as i32,
            base_timestamp: -1,
            max_timestamp: -1,
            claim: None,
            count: 0,
        };
        bytes.extend(fields.seal(&[]).expect("a head is short"));
        base += delta + 1;
    }
    bytes
}

/// Whether this is such a batch.
pub fn is_gap(header: &Header<'_>) -> bool {
    header.count() == 0 && header.claim().is_none()
}

/// What of such a batch stands for the offsets from `from` on: for a replica whose
/// log ends within it, where compaction has been on the one that it follows. None
/// for another batch, or where it has nothing from there on.
pub fn rest_of_gap(batch: &[u8], from: Offset) -> Option<Vec<u8>> {
    let header = Header::of(batch).filter(|header| is_gap(header))?;
    let base = u64::try_from(header.base_offset()).ok()?;
    let next = base + u64::try_from(header.last_offset_delta()).ok()? + 1;
    let is_in_it = (base..next).contains(&from.0);
    is_in_it.then(|| gap(from, Offset(next), header.leader_epoch()))
}

/// Headers to be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderList {
    count: u32,
    bytes: Vec<u8>,
}

impl HeaderList {
    pub fn add(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.count += 1;
        put_nullable(&mut self.bytes, Some(key));
        put_nullable(&mut self.bytes, value);
    }

    /// What they take in a record.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub fn view(&self) -> Headers<'_> {
        Headers {
            count: self.count,
            bytes: &self.bytes,
        }
    }
}
