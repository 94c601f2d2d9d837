//! The records of one batch, whoever stored it: a client, or compaction, which
//! leaves gaps between offsets.

use super::codec::{Broken, Codec, Unpacker, unpack};
use super::header::{Attributes, HEADER_BYTES, Header, MAGIC};
use super::record::{self, Malformed};
use crate::ids::Offset;
use crate::limits::OFFSET_MAX;
use std::borrow::Cow;
use std::fmt;

/// Why a batch that was stored cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    NotWhole { bytes: usize },
    Magic { found: i8 },
    Offsets { base: i64, last_delta: i32 },
    Codec { number: u8 },
    Packed(Broken),
    Record { at: i32, why: Malformed },
    Order { at: i32, delta: i32 },
    Count { said: i32, found: i32 },
    Control { why: &'static str },
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotWhole { bytes } => write!(f, "{bytes} bytes are not one whole batch"),
            Self::Magic { found } => write!(f, "its magic is {found}, expected {MAGIC}"),
            Self::Offsets { base, last_delta } => {
                write!(f, "its offsets are {base} and {last_delta} on")
            }
            Self::Codec { number } => write!(f, "there is no codec {number}"),
            Self::Packed(broken) => broken.fmt(f),
            Self::Record { at, why } => write!(f, "record {at}: {why}"),
            Self::Order { at, delta } => {
                write!(
                    f,
                    "record {at} has the offset {delta} of its batch, out of order"
                )
            }
            Self::Count { said, found } => write!(f, "it has {found} records and says {said}"),
            Self::Control { why } => write!(f, "its control record {why}"),
        }
    }
}

impl std::error::Error for Unreadable {}

impl From<Broken> for Unreadable {
    fn from(broken: Broken) -> Self {
        Self::Packed(broken)
    }
}

/// The head of a whole batch, with offsets that can be counted on from.
pub(super) fn head(batch: &[u8]) -> Result<Header<'_>, Unreadable> {
    let not_whole = Unreadable::NotWhole { bytes: batch.len() };
    let Some(header) = Header::of(batch) else {
        return Err(not_whole);
    };
    if header.magic() != MAGIC {
        let found = header.magic();
        return Err(Unreadable::Magic { found });
    }
    if header.total_bytes() != Some(batch.len()) {
        return Err(not_whole);
    }
    let (base, last_delta) = (header.base_offset(), header.last_offset_delta());
    match !(0..=OFFSET_MAX as i64).contains(&base) || last_delta < 0 {
        true => Err(Unreadable::Offsets { base, last_delta }),
        false => Ok(header),
    }
}

/// A batch, unpacked.
#[derive(Debug)]
pub struct Records<'a> {
    plain: Cow<'a, [u8]>,
    base: Offset,
    base_timestamp: i64,
    /// Where it counts for every record.
    append_time: Option<i64>,
    last_offset_delta: i32,
    count: i32,
}

impl<'a> Records<'a> {
    /// Unpacks to at most `most` bytes. The CRC is the caller's to check.
    pub fn of(batch: &'a [u8], most: usize, unpacker: &mut Unpacker) -> Result<Self, Unreadable> {
        let header = head(batch)?;
        let attributes = header.attributes();
        let number = attributes.codec_bits();
        let codec = attributes.codec().ok_or(Unreadable::Codec { number })?;
        let packed = &batch[HEADER_BYTES..];
        let plain = match codec {
            Codec::None => Cow::Borrowed(packed),
            _ => Cow::Owned(unpack(codec, packed, most, unpacker)?),
        };
        let has_append_time = attributes.has(Attributes::APPEND_TIME);
        Ok(Self {
            plain,
            base: Offset(header.base_offset() as u64),
            base_timestamp: header.base_timestamp(),
            append_time: has_append_time.then_some(header.max_timestamp()),
            last_offset_delta: header.last_offset_delta(),
            count: header.count(),
        })
    }

    pub fn iter(&self) -> Iter<'_> {
        Iter {
            records: self,
            rest: &self.plain,
            found: 0,
            last_delta: -1,
            is_over: false,
        }
    }

    fn record<'r>(&self, parts: record::Parts<&'r [u8]>, headers: Headers<'r>) -> Record<'r> {
        let own = self.base_timestamp.wrapping_add(parts.timestamp_delta);
        Record {
            offset: Offset(self.base.0 + parts.offset_delta as u64),
            timestamp: self.append_time.unwrap_or(own),
            key: parts.key,
            value: parts.value,
            headers,
        }
    }
}

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    pub offset: Offset,
    pub timestamp: i64,
    pub key: Option<&'a [u8]>,
    /// None is a tombstone where the topic is compacted.
    pub value: Option<&'a [u8]>,
    pub headers: Headers<'a>,
}

/// The headers of one record in their order, a key as often as it was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Headers<'a> {
    pub(super) count: u32,
    pub(super) bytes: &'a [u8],
}

impl<'a> Headers<'a> {
    pub const NONE: Self = Self {
        count: 0,
        bytes: &[],
    };

    pub fn len(&self) -> usize {
        self.count as usize
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        self.count = self.count.checked_sub(1)?;
        record::next_header(&mut self.bytes)
    }
}

/// Stops for good at the first record that cannot be read.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    records: &'a Records<'a>,
    rest: &'a [u8],
    found: i32,
    last_delta: i32,
    is_over: bool,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Result<Record<'a>, Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let is_last = self.rest.is_empty();
        let next = match is_last {
            true => self.end().map(Err),
            false => Some(self.step()),
        };
        self.is_over = !matches!(next, Some(Ok(_)));
        next
    }
}

impl<'a> Iter<'a> {
    fn end(&self) -> Option<Unreadable> {
        let (said, found) = (self.records.count, self.found);
        (said != found).then_some(Unreadable::Count { said, found })
    }

    fn step(&mut self) -> Result<Record<'a>, Unreadable> {
        let at = self.found;
        self.found += 1;
        if self.found > self.records.count {
            return Err(Unreadable::Count {
                said: self.records.count,
                found: self.found,
            });
        }
        let before = self.rest;
        let parts = record::read(&mut self.rest, |_, _| ())
            .map_err(|why| Unreadable::Record { at, why })?;
        let delta = parts.offset_delta;
        if delta <= self.last_delta || delta > self.records.last_offset_delta {
            return Err(Unreadable::Order { at, delta });
        }
        self.last_delta = delta;
        let whole = &before[..before.len() - self.rest.len()];
        let headers = Headers {
            count: parts.headers,
            bytes: &whole[whole.len() - parts.headers_bytes..],
        };
        Ok(self.records.record(parts, headers))
    }
}
