//! A producer's batch on its way to its partition: checked by the topic's
//! rules, and made as the topic keeps it. Pure.

use crate::clock::Millis;
use crate::ids::Offset;
use crate::limits::{BATCH_PLAIN_BYTES_MAX, CLOCK_UNSET_BEFORE_MS};
use crate::ports::kafka::errors::appends::refused_records;
use crate::ports::kafka::messages::ErrorCode;
use crate::state::topics::{TimestampType, TopicSettings};
use crate::streams::batch::build::{Builder, Unfit};
use crate::streams::batch::check::{Offered, Refusal, Rules, check};
use crate::streams::batch::codec::{Codec, Unpacker};
use crate::streams::batch::header::{BatchMut, Header};
use crate::streams::batch::records::{Records, Unreadable};
use std::fmt;
use std::ops::RangeInclusive;

/// How a topic keeps what producers send.
#[derive(Clone, Debug)]
pub struct Keep {
    rules: Rules,
    /// None for the one that the batch comes in.
    codec: Option<Codec>,
    gzip_level: i32,
    zstd_level: i32,
    /// Where the time of the append is the records' own.
    append_time: Option<Millis>,
}

/// A batch that may be appended.
#[derive(Debug)]
pub struct Taken {
    pub bytes: Vec<u8>,
    pub offered: Offered,
}

/// Why a batch is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotTaken {
    Refused(Refusal),
    /// INVALID_RECORD
    Many {
        count: usize,
    },
    /// UNSUPPORTED_COMPRESSION_TYPE
    Zstd {
        version: i16,
    },
    /// CORRUPT_MESSAGE
    Unreadable(Unreadable),
    /// MESSAGE_TOO_LARGE
    Unfit(Unfit),
}

impl fmt::Display for NotTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Many { count } => {
                write!(f, "{count} batches for one partition, and one is taken")
            }
            Self::Zstd { version } => write!(
                f,
                "zstd came with Produce {ZSTD_FROM}, and this is Produce {version}"
            ),
            Self::Unreadable(why) => write!(f, "the batch cannot be packed anew: {why}"),
            Self::Unfit(why) => write!(f, "packed as the topic asks: {why}"),
        }
    }
}

impl std::error::Error for NotTaken {}

impl From<Refusal> for NotTaken {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl NotTaken {
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Refused(refusal) => refusal.into(),
            Self::Many { .. } => ErrorCode::InvalidRecord,
            Self::Zstd { .. } => ErrorCode::UnsupportedCompressionType,
            Self::Unreadable(_) => ErrorCode::CorruptMessage,
            Self::Unfit(_) => ErrorCode::MessageTooLarge,
        }
    }

    /// The records at fault, where it is not the batch.
    pub fn records(&self) -> &[u32] {
        match self {
            Self::Refused(refusal) => refused_records(refusal),
            _ => &[],
        }
    }
}

/// Consumers that read a topic with an older Fetch could not read zstd, which
/// came with both.
const ZSTD_FROM: i16 = 7;

impl Keep {
    pub fn of(settings: &TopicSettings, now: Millis) -> Self {
        let is_append_time = settings.message_timestamp_type() == TimestampType::LogAppendTime;
        let timestamps = match is_append_time {
            true => i64::MIN..=i64::MAX,
            false => allowed(settings, now),
        };
        Self {
            rules: Rules {
                batch_bytes_max: settings.max_message_bytes(),
                is_compacted: settings.is_compacted(),
                timestamps,
            },
            codec: codec(settings.compression_type()),
            gzip_level: settings.compression_gzip_level() as i32,
            zstd_level: settings.compression_zstd_level() as i32,
            append_time: is_append_time.then_some(now),
        }
    }

    /// What the records are given, where it is not their own time.
    pub fn append_time_ms(&self) -> Option<i64> {
        self.append_time.map(|now| now.0 as i64)
    }

    /// Whether they come packed, or are to be packed: a short one may take long.
    pub fn packs(&self, records: &[u8]) -> bool {
        let codec = Header::of(records).and_then(|header| header.attributes().codec());
        let is_plain = codec.is_none_or(|codec| codec == Codec::None);
        !is_plain || self.codec.is_some_and(|codec| codec != Codec::None)
    }

    /// Checks what came for one partition, and copies it once.
    pub fn take(
        &self,
        version: i16,
        records: &[u8],
        unpacker: &mut Unpacker,
    ) -> Result<Taken, NotTaken> {
        let mut offered = check(records, &self.rules, unpacker)?;
        let count = offered.len();
        let Some(offered) = offered.pop().filter(|_| count == 1) else {
            return Err(NotTaken::Many { count });
        };
        if offered.codec == Codec::Zstd && version < ZSTD_FROM {
            return Err(NotTaken::Zstd { version });
        }
        let mut taken = match self.codec {
            Some(codec) if codec != offered.codec => {
                self.repack(codec, records, offered, unpacker)?
            }
            _ => Taken {
                bytes: records.to_vec(),
                offered,
            },
        };
        let Some(mut batch) = BatchMut::of(&mut taken.bytes) else {
            let bytes = records.len();
            return Err(NotTaken::Unreadable(Unreadable::NotWhole { bytes }));
        };
        if let Some(now) = self.append_time {
            batch.set_append_time(now);
        } else if taken.offered.is_max_timestamp_wrong {
            batch.set_max_timestamp(taken.offered.max_timestamp);
        }
        Ok(taken)
    }

    fn repack(
        &self,
        codec: Codec,
        records: &[u8],
        offered: Offered,
        unpacker: &mut Unpacker,
    ) -> Result<Taken, NotTaken> {
        let unpacked = Records::of(records, BATCH_PLAIN_BYTES_MAX, unpacker);
        let unpacked = unpacked.map_err(NotTaken::Unreadable)?;
        let mut builder = Builder::new(Offset(0), codec).level(self.level(codec));
        if let Some(claim) = offered.claim {
            builder = builder.producer(claim, offered.is_transactional);
        }
        for record in unpacked.iter() {
            let record = record.map_err(NotTaken::Unreadable)?;
            builder.add(&record).map_err(NotTaken::Unfit)?;
        }
        let bytes = builder.finish().map_err(NotTaken::Unfit)?;
        let most = self.rules.batch_bytes_max;
        if bytes.len() > most {
            let bytes = bytes.len();
            return Err(Refusal::TooLarge { bytes, most }.into());
        }
        let offered = Offered {
            bytes: 0..bytes.len(),
            codec,
            is_max_timestamp_wrong: false,
            ..offered
        };
        Ok(Taken { bytes, offered })
    }

    fn level(&self, codec: Codec) -> Option<i32> {
        match codec {
            // -1 is gzip's own default.
            Codec::Gzip => Some(self.gzip_level).filter(|&level| level > 0),
            Codec::Zstd => Some(self.zstd_level),
            Codec::None | Codec::Snappy | Codec::Lz4 => None,
        }
    }
}

/// The times that records may bear. A box whose clock nobody has set yet judges
/// nobody else's.
fn allowed(settings: &TopicSettings, now: Millis) -> RangeInclusive<i64> {
    if now.0 < CLOCK_UNSET_BEFORE_MS {
        return i64::MIN..=i64::MAX;
    }
    let now = now.0 as i64;
    let before = settings.message_timestamp_before_max_ms();
    let after = settings.message_timestamp_after_max_ms();
    now.saturating_sub(before)..=now.saturating_add(after)
}

/// As `compression.type` names it; `producer` is none of them.
fn codec(name: &str) -> Option<Codec> {
    match name {
        "uncompressed" => Some(Codec::None),
        name => Codec::ALL.into_iter().find(|codec| codec.name() == name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ProducerId;
    use crate::streams::batch::header::{Attributes, Claim, sum};
    use crate::streams::batch::records::{Headers, Record};

    const NOW: Millis = Millis(1_700_000_000_000);

    fn keep(settings: &[(&str, &str)]) -> Keep {
        keep_at(NOW, settings)
    }

    fn keep_at(now: Millis, settings: &[(&str, &str)]) -> Keep {
        let given = settings.iter();
        let given: Vec<_> = given.map(|&(n, v)| (n.into(), v.into())).collect();
        Keep::of(&TopicSettings::of(&given).unwrap(), now)
    }

    /// Records of these times, each with its number as key and value.
    fn batch(codec: Codec, times: &[i64]) -> Vec<u8> {
        let claim = Claim {
            id: ProducerId(7),
            epoch: 1,
            sequence: 40,
        };
        let mut builder = Builder::new(Offset(0), codec).producer(claim, true);
        for (n, &timestamp) in times.iter().enumerate() {
            let name = n.to_string();
            let record = Record {
                offset: Offset(n as u64),
                timestamp,
                key: Some(name.as_bytes()),
                value: Some(name.as_bytes()),
                headers: Headers::NONE,
            };
            builder.add(&record).unwrap();
        }
        builder.finish().unwrap()
    }

    fn take(keep: &Keep, version: i16, records: &[u8]) -> Result<Taken, NotTaken> {
        keep.take(version, records, &mut Unpacker::default())
    }

    fn now(more: i64) -> i64 {
        NOW.0 as i64 + more
    }

    #[test]
    fn a_batch_is_kept_byte_for_byte() {
        for codec in Codec::ALL {
            let batch = batch(codec, &[now(0), now(5), now(-9)]);
            let taken = take(&keep(&[]), 13, &batch).unwrap();
            assert_eq!(taken.bytes, batch, "{codec}");
            assert_eq!(taken.offered.bytes, 0..batch.len());
            assert_eq!((taken.offered.count, taken.offered.latest), (3, 1));
        }
    }

    #[test]
    fn what_does_not_go_by_the_topics_rules_is_not_taken() {
        let plain = |times: &[i64]| batch(Codec::None, times);
        let two = [plain(&[now(0)]), plain(&[now(0)])].concat();
        let zstd = batch(Codec::Zstd, &[now(0)]);
        let hour = 3_600_000;
        let late = now(hour + 1);
        let never = [("message.timestamp.before.max.ms", "10")];
        let small = [("max.message.bytes", "60")];
        let bare = keep(&[]);
        for (n, (keep, version, records, code, record)) in [
            (bare.clone(), 13, vec![], "INVALID_RECORD", &[][..]),
            (bare.clone(), 13, two, "INVALID_RECORD", &[][..]),
            (
                bare.clone(),
                6,
                zstd,
                "UNSUPPORTED_COMPRESSION_TYPE",
                &[][..],
            ),
            (
                bare.clone(),
                13,
                plain(&[now(0), late]),
                "INVALID_TIMESTAMP",
                &[1][..],
            ),
            (
                keep(&never),
                13,
                plain(&[now(-11)]),
                "INVALID_TIMESTAMP",
                &[0][..],
            ),
            (
                keep(&small),
                13,
                plain(&[now(0)]),
                "MESSAGE_TOO_LARGE",
                &[][..],
            ),
        ]
        .into_iter()
        .enumerate()
        {
            let refused = take(&keep, version, &records).unwrap_err();
            assert_eq!(refused.code().name(), code, "{n}: {refused}");
            assert_eq!(refused.records(), record, "{n}: {refused}");
        }
        assert!(take(&bare, 13, &plain(&[now(hour)])).is_ok());
        assert!(take(&keep(&never), 13, &plain(&[now(-10)])).is_ok());
        assert!(take(&bare, 7, &batch(Codec::Zstd, &[now(0)])).is_ok());
    }

    #[test]
    fn a_compacted_topic_wants_keys() {
        let mut builder = Builder::new(Offset(0), Codec::None);
        let record = Record {
            offset: Offset(0),
            timestamp: now(0),
            key: None,
            value: None,
            headers: Headers::NONE,
        };
        builder.add(&record).unwrap();
        let batch = builder.finish().unwrap();
        assert!(take(&keep(&[]), 13, &batch).is_ok());
        let refused = take(&keep(&[("cleanup.policy", "compact")]), 13, &batch);
        assert_eq!(refused.unwrap_err(), Refusal::NoKey { at: vec![0] }.into());
    }

    #[test]
    fn a_clock_that_nobody_has_set_judges_no_time() {
        let unset = keep_at(Millis(50_000), &[]);
        assert!(take(&unset, 13, &batch(Codec::None, &[now(0)])).is_ok());
    }

    #[test]
    fn a_head_with_the_wrong_time_is_put_right() {
        let right = batch(Codec::Gzip, &[now(3), now(2)]);
        let mut wrong = right.clone();
        BatchMut::of(&mut wrong).unwrap().set_max_timestamp(now(9));
        assert_ne!(wrong, right);
        assert_eq!(take(&keep(&[]), 13, &wrong).unwrap().bytes, right);
    }

    #[test]
    fn the_time_of_the_append_takes_the_place_of_any() {
        let keep = keep(&[("message.timestamp.type", "LogAppendTime")]);
        let batch = batch(Codec::Lz4, &[1, now(9 * 3_600_000)]);
        let taken = take(&keep, 13, &batch).unwrap();
        assert_eq!(keep.append_time_ms(), Some(now(0)));
        let header = Header::of(&taken.bytes).unwrap();
        assert!(header.attributes().has(Attributes::APPEND_TIME));
        assert_eq!(header.max_timestamp(), now(0));
        assert_eq!(header.crc(), sum(&taken.bytes));
    }

    #[test]
    fn a_topics_codec_is_that_of_what_it_keeps() {
        for from in Codec::ALL {
            for (name, into) in [
                ("uncompressed", Codec::None),
                ("gzip", Codec::Gzip),
                ("snappy", Codec::Snappy),
                ("lz4", Codec::Lz4),
                ("zstd", Codec::Zstd),
            ] {
                let keep = keep(&[("compression.type", name)]);
                let batch = batch(from, &[now(3), now(8)]);
                let taken = take(&keep, 13, &batch).unwrap();
                let mut unpacker = Unpacker::default();
                let again = check(&taken.bytes, &keep.rules, &mut unpacker).unwrap();
                assert_eq!(again, [taken.offered], "{from} {name}");
                assert_eq!(again[0].codec, into, "{from} {name}");
                let mut records = |batch: &[u8]| {
                    let records = Records::of(batch, 1000, &mut unpacker).unwrap();
                    let records: Vec<_> = records
                        .iter()
                        .map(|one| {
                            let one = one.unwrap();
                            (one.offset, one.timestamp, one.key.unwrap().to_vec())
                        })
                        .collect();
                    records
                };
                assert_eq!(records(&taken.bytes), records(&batch), "{from} {name}");
            }
        }
    }

    #[test]
    fn a_level_is_heeded_and_what_it_makes_is_bounded_again() {
        let value = "abcdefgh ".repeat(2000).into_bytes();
        let mut builder = Builder::new(Offset(0), Codec::Snappy);
        for n in 0..20 {
            let record = Record {
                offset: Offset(n),
                timestamp: now(0),
                key: Some(b"k"),
                value: Some(&value[n as usize..]),
                headers: Headers::NONE,
            };
            builder.add(&record).unwrap();
        }
        let batch = builder.finish().unwrap();
        let bytes = |settings: &[(&str, &str)]| take(&keep(settings), 13, &batch).unwrap().bytes;
        let gzip = |level| {
            bytes(&[
                ("compression.type", "gzip"),
                ("compression.gzip.level", level),
            ])
        };
        assert!(gzip("9").len() < gzip("1").len());
        assert_eq!(gzip("-1"), bytes(&[("compression.type", "gzip")]));
        let zstd = |level| {
            bytes(&[
                ("compression.type", "zstd"),
                ("compression.zstd.level", level),
            ])
        };
        assert!(zstd("3").len() < zstd("-100").len());
        let bounded = [
            ("compression.type", "uncompressed"),
            ("max.message.bytes", "100000"),
        ];
        let refused = take(&keep(&bounded), 13, &batch).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::MessageTooLarge);
    }
}
