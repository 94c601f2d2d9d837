//! What is checked of the bytes that a producer sends for one partition,
//! before they are given a place in it. Every byte is looked at once: by the
//! CRC, and by a walk over the records, which unpacks them where they are
//! packed and keeps nothing.

use super::codec::{Broken, Codec, Unpacker, Unpacking};
use super::header::{Attributes, Claim, HEADER_BYTES, Header, MAGIC, sum};
use super::record::{self, Malformed, Source, Stream};
use crate::limits::{BATCH_FAULTS_MAX, BATCH_PLAIN_BYTES_MAX, RECORD_BYTES_MAX};
use std::fmt;
use std::ops::{Range, RangeInclusive};

/// What a topic allows.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The head included. Never above what a record of the log may have.
    pub batch_bytes_max: usize,
    /// Every record needs a key.
    pub is_compacted: bool,
    /// The timestamps that a record may have, beside -1 for none. Where the
    /// time of the append counts, any.
    pub timestamps: RangeInclusive<i64>,
}

/// One batch that may be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// Where it stands among the bytes that were sent.
    pub bytes: Range<usize>,
    pub codec: Codec,
    /// Records; their offsets follow each other.
    pub count: u32,
    /// As the records say; -1 where none has a timestamp.
    pub max_timestamp: i64,
    /// The first record that has it, counted from 0.
    pub latest: u32,
    /// The head says another greatest timestamp, and is to be corrected
    /// (`BatchMut::set_max_timestamp`), as Kafka does: clients were wrong here.
    pub is_max_timestamp_wrong: bool,
    pub claim: Option<Claim>,
    pub is_transactional: bool,
}

/// Why a producer's bytes are not appended. What Kafka answers stands with
/// each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// INVALID_RECORD
    Nothing,
    /// INVALID_RECORD
    OldFormat { magic: i8 },
    /// CORRUPT_MESSAGE
    Magic { found: i8 },
    /// CORRUPT_MESSAGE
    Cut { wanted: usize, left: usize },
    /// CORRUPT_MESSAGE
    Length { stated: i32 },
    /// MESSAGE_TOO_LARGE
    TooLarge { bytes: usize, most: usize },
    /// CORRUPT_MESSAGE
    Checksum { stated: u32, found: u32 },
    /// UNSUPPORTED_COMPRESSION_TYPE
    UnknownCodec { number: u8 },
    /// INVALID_RECORD
    Control,
    /// INVALID_RECORD
    Attributes { bits: i16 },
    /// INVALID_TIMESTAMP
    AppendTime,
    /// INVALID_RECORD
    BaseOffset { found: i64 },
    /// INVALID_RECORD
    Count { count: i32, last_offset_delta: i32 },
    /// INVALID_RECORD
    Producer { id: i64, epoch: i16, sequence: i32 },
    /// CORRUPT_MESSAGE; MESSAGE_TOO_LARGE where that is what is broken
    Packed(Broken),
    /// INVALID_RECORD
    Record { at: u32, why: Malformed },
    /// INVALID_RECORD
    Order { at: u32, delta: i32 },
    /// INVALID_RECORD, and which records, for a producer sends the others again.
    NoKey { at: Vec<u32> },
    /// INVALID_TIMESTAMP, likewise; with that of the first.
    Timestamp { at: Vec<u32>, found: i64 },
    /// INVALID_RECORD
    Left { count: u32 },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => write!(f, "there is no batch"),
            Self::OldFormat { magic } => {
                write!(f, "batches of format {magic} are not taken, {MAGIC} is")
            }
            Self::Magic { found } => write!(f, "the batch's magic is {found}, expected {MAGIC}"),
            Self::Cut { wanted, left } => {
                write!(f, "a batch of {wanted} bytes is cut after {left}")
            }
            Self::Length { stated } => write!(f, "the batch says that it has {stated} bytes"),
            Self::TooLarge { bytes, most } => {
                write!(f, "the batch has {bytes} bytes where {most} is the most")
            }
            Self::Checksum { stated, found } => {
                write!(f, "the batch's checksum is {found:#x}, it says {stated:#x}")
            }
            Self::UnknownCodec { number } => write!(f, "there is no codec {number}"),
            Self::Control => write!(f, "clients do not write control batches"),
            Self::Attributes { bits } => {
                write!(
                    f,
                    "the batch has attributes {bits:#x} that clients do not set"
                )
            }
            Self::AppendTime => write!(f, "the time of the append is not the producer's to say"),
            Self::BaseOffset { found } => {
                write!(f, "the batch begins at offset {found}, expected 0")
            }
            Self::Count {
                count,
                last_offset_delta,
            } => write!(
                f,
                "the batch has {count} records, the last at {last_offset_delta}"
            ),
            Self::Producer {
                id,
                epoch,
                sequence,
            } => write!(
                f,
                "the batch is number {sequence} of producer {id} in epoch {epoch}"
            ),
            Self::Packed(broken) => write!(f, "the batch: {broken}"),
            Self::Record { at, why } => write!(f, "record {at}: {why}"),
            Self::Order { at, delta } => write!(f, "record {at} has the offset {delta}"),
            Self::NoKey { at } => {
                let at = at.first().unwrap_or(&0);
                write!(f, "record {at} has no key, and the topic is compacted")
            }
            Self::Timestamp { at, found } => {
                let at = at.first().unwrap_or(&0);
                write!(f, "record {at} has the timestamp {found}, out of range")
            }
            Self::Left { count } => write!(f, "more follows the {count} records of the batch"),
        }
    }
}

impl std::error::Error for Refusal {}

impl From<Broken> for Refusal {
    fn from(broken: Broken) -> Self {
        Self::Packed(broken)
    }
}

/// Checks batches that stand back to back; all of them or none may be appended.
pub fn check(
    bytes: &[u8],
    rules: &Rules,
    unpacker: &mut Unpacker,
) -> Result<Vec<Offered>, Refusal> {
    if bytes.is_empty() {
        return Err(Refusal::Nothing);
    }
    let mut offered = Vec::with_capacity(1);
    let mut at = 0;
    while at < bytes.len() {
        let batch = whole(&bytes[at..], rules)?;
        offered.push(check_batch(batch, at, rules, unpacker)?);
        at += batch.len();
    }
    Ok(offered)
}

/// The first batch, by what it says of its length.
fn whole<'a>(bytes: &'a [u8], rules: &Rules) -> Result<&'a [u8], Refusal> {
    let left = bytes.len();
    let cut = |wanted| Refusal::Cut { wanted, left };
    let header = Header::of(bytes).ok_or(cut(HEADER_BYTES))?;
    match header.magic() {
        MAGIC => (),
        magic @ 0..MAGIC => return Err(Refusal::OldFormat { magic }),
        found => return Err(Refusal::Magic { found }),
    }
    let stated = header.length();
    let bytes_stated = header.total_bytes().ok_or(Refusal::Length { stated })?;
    let most = rules.batch_bytes_max.min(RECORD_BYTES_MAX);
    if bytes_stated > most {
        return Err(Refusal::TooLarge {
            bytes: bytes_stated,
            most,
        });
    }
    bytes.get(..bytes_stated).ok_or(cut(bytes_stated))
}

fn check_batch(
    batch: &[u8],
    at: usize,
    rules: &Rules,
    unpacker: &mut Unpacker,
) -> Result<Offered, Refusal> {
    let header = Header::of(batch).ok_or(Refusal::Nothing)?;
    let (stated, found) = (header.crc(), sum(batch));
    if stated != found {
        return Err(Refusal::Checksum { stated, found });
    }
    let codec = check_attributes(header.attributes())?;
    check_numbers(&header)?;
    let packed = &batch[HEADER_BYTES..];
    let walked = match codec {
        Codec::None => walk(&mut &packed[..], &header, rules)?,
        _ => {
            let unpacking = Unpacking::new(codec, packed, BATCH_PLAIN_BYTES_MAX, unpacker)?;
            walk(&mut Stream::new(unpacking), &header, rules)?
        }
    };
    Ok(Offered {
        bytes: at..at + batch.len(),
        codec,
        count: header.count() as u32,
        max_timestamp: walked.max_timestamp,
        latest: walked.latest,
        is_max_timestamp_wrong: walked.max_timestamp != header.max_timestamp(),
        claim: header.claim(),
        is_transactional: header.attributes().has(Attributes::TRANSACTIONAL),
    })
}

fn check_attributes(attributes: Attributes) -> Result<Codec, Refusal> {
    if attributes.has(Attributes::CONTROL) {
        return Err(Refusal::Control);
    }
    if attributes.has(Attributes::APPEND_TIME) {
        return Err(Refusal::AppendTime);
    }
    let bits = attributes.0 & (Attributes::UNKNOWN | Attributes::DELETE_HORIZON);
    if bits != 0 {
        return Err(Refusal::Attributes { bits });
    }
    let number = attributes.codec_bits();
    attributes.codec().ok_or(Refusal::UnknownCodec { number })
}

fn check_numbers(header: &Header<'_>) -> Result<(), Refusal> {
    let (count, last_offset_delta) = (header.count(), header.last_offset_delta());
    if count < 1 || last_offset_delta != count - 1 {
        return Err(Refusal::Count {
            count,
            last_offset_delta,
        });
    }
    if header.base_offset() != 0 {
        let found = header.base_offset();
        return Err(Refusal::BaseOffset { found });
    }
    let is_numbered = header.producer_epoch() >= 0 && header.base_sequence() >= 0;
    let is_sound = match header.claim() {
        Some(_) => is_numbered,
        None => header.producer_id() == -1 && !header.attributes().has(Attributes::TRANSACTIONAL),
    };
    match is_sound {
        true => Ok(()),
        false => Err(Refusal::Producer {
            id: header.producer_id(),
            epoch: header.producer_epoch(),
            sequence: header.base_sequence(),
        }),
    }
}

struct Walked {
    max_timestamp: i64,
    latest: u32,
}

/// Records that are well made, and not what the topic takes.
#[derive(Default)]
struct Unfit {
    keyless: Vec<u32>,
    untimely: Vec<u32>,
    /// The time of the first of those.
    found: i64,
}

impl Unfit {
    fn without_key(&mut self, at: u32) {
        if self.keyless.len() < BATCH_FAULTS_MAX {
            self.keyless.push(at);
        }
    }

    fn out_of_time(&mut self, at: u32, found: i64) {
        if self.untimely.is_empty() {
            self.found = found;
        }
        if self.untimely.len() < BATCH_FAULTS_MAX {
            self.untimely.push(at);
        }
    }

    fn refusal(self) -> Option<Refusal> {
        match (self.keyless.is_empty(), self.untimely.is_empty()) {
            (false, _) => Some(Refusal::NoKey { at: self.keyless }),
            (true, false) => Some(Refusal::Timestamp {
                at: self.untimely,
                found: self.found,
            }),
            (true, true) => None,
        }
    }
}

const NO_TIMESTAMP: i64 = -1;

fn walk<S: Source>(source: &mut S, header: &Header<'_>, rules: &Rules) -> Result<Walked, Refusal> {
    let (count, base_timestamp) = (header.count() as u32, header.base_timestamp());
    let mut walked = Walked {
        max_timestamp: NO_TIMESTAMP,
        latest: 0,
    };
    let mut unfit = Unfit::default();
    for at in 0..count {
        let parts = record::read(source, |_, _| ()).map_err(|why| match why {
            Malformed::Unpacking(broken) => Refusal::Packed(broken),
            why => Refusal::Record { at, why },
        })?;
        if i64::from(parts.offset_delta) != i64::from(at) {
            let delta = parts.offset_delta;
            return Err(Refusal::Order { at, delta });
        }
        if rules.is_compacted && parts.key.is_none() {
            unfit.without_key(at);
        }
        let found = base_timestamp.saturating_add(parts.timestamp_delta);
        if found != NO_TIMESTAMP && !rules.timestamps.contains(&found) {
            unfit.out_of_time(at, found);
        }
        if found > walked.max_timestamp {
            walked.max_timestamp = found;
            walked.latest = at;
        }
    }
    if !source.ready(1)?.is_empty() {
        return Err(Refusal::Left { count });
    }
    unfit.refusal().map_or(Ok(walked), Err)
}

#[cfg(test)]
mod tests;
