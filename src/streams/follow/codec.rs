//! What a follower and its leader say to each other, as bytes. Little endian.
//! Each message is the payload of a frame (`wire::frame`); behind the frame of
//! answers come the batches of all, in that order, as they stand in the log.
//!
//! | asks | as |
//! |---|---|
//! | count | u32 |
//! | each: topic, partition, number | 16 bytes, u32, u64 |
//! | each: bits (1 it waits for an answer, 2 its log has records, 4 what it has is durable), leader epoch, partition epoch, life | u8, i32, i32, u64 |
//! | each: next, has, last epoch (0 without records) | u64, u64, i32 |
//!
//! | answers | as |
//! |---|---|
//! | count | u32 |
//! | each: topic, partition, number, kind | 16 bytes, u32, u64, u8 |
//! | kind 1, alike: watermark, first, what every replica has, bytes of its batches | u64, u64, u64, u32 |
//! | kind 2, parted: epoch, where it ends | i32, u64 |
//! | kind 3, gone: where the leader's log begins | u64 |
//! | kind 4, not now | |

use crate::ids::{Offset, PartitionId, TopicId, Zxid};
use crate::limits::{FOLLOW_BATCHES_BYTES_MAX, FOLLOW_NAMED_MAX};
use crate::streams::Key;
use crate::streams::partition::{Answer, Ask};
use crate::wire::{Cursor, Short};
use std::fmt;

/// What a follower says of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    pub key: Key,
    /// The follower's own mark on it, which comes back with the answer.
    pub number: u64,
    /// Else it only says how far it is, beside an ask that stands.
    pub waits: bool,
    pub ask: Ask,
}

/// What a leader answers for one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub key: Key,
    pub number: u64,
    pub answer: Answer,
    /// Of the batches that come along.
    pub bytes: usize,
}

/// Why a message does not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsound {
    Short(Short),
    TooMany {
        count: usize,
    },
    Kind {
        found: u8,
    },
    Bits {
        found: u8,
    },
    Order {
        what: &'static str,
    },
    /// Of a record that no log can have.
    Offset {
        found: u64,
    },
    Left {
        count: usize,
    },
    /// More batches than an answer has.
    Batches {
        bytes: usize,
    },
}

impl fmt::Display for Unsound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short(short) => short.fmt(f),
            Self::TooMany { count } => write!(
                f,
                "it names {count} partitions, and {FOLLOW_NAMED_MAX} are the most"
            ),
            Self::Kind { found } => write!(f, "an answer of kind {found} is not known"),
            Self::Bits { found } => write!(f, "bits {found:#x} of an ask are not known"),
            Self::Order { what } => write!(f, "its {what} is not in order"),
            Self::Offset { found } => write!(f, "no record has the offset {found}"),
            Self::Left { count } => write!(f, "{count} bytes follow its end"),
            Self::Batches { bytes } => write!(
                f,
                "{bytes} bytes of batches come with it, and {FOLLOW_BATCHES_BYTES_MAX} are the most"
            ),
        }
    }
}

impl std::error::Error for Unsound {}

impl From<Short> for Unsound {
    fn from(short: Short) -> Self {
        Self::Short(short)
    }
}

const WAITS: u8 = 1;
const HAS_RECORDS: u8 = 2;
const IS_DURABLE: u8 = 4;

const ALIKE: u8 = 1;
const PARTED: u8 = 2;
const GONE: u8 = 3;
const NOT_NOW: u8 = 4;

pub fn asks(all: &[Asked]) -> Vec<u8> {
    const EACH: usize = 65;
    let mut bytes = Vec::with_capacity(4 + all.len() * EACH);
    put_count(&mut bytes, all.len());
    for asked in all {
        let ask = &asked.ask;
        put_key(&mut bytes, asked.key);
        bytes.extend_from_slice(&asked.number.to_le_bytes());
        let waits = if asked.waits { WAITS } else { 0 };
        let has_records = ask.last_epoch.map_or(0, |_| HAS_RECORDS);
        let is_durable = if ask.is_durable { IS_DURABLE } else { 0 };
        bytes.push(waits | has_records | is_durable);
        bytes.extend_from_slice(&ask.leader_epoch.to_le_bytes());
        bytes.extend_from_slice(&ask.partition_epoch.to_le_bytes());
        bytes.extend_from_slice(&ask.life.0.to_le_bytes());
        bytes.extend_from_slice(&ask.next.0.to_le_bytes());
        bytes.extend_from_slice(&ask.has.0.to_le_bytes());
        bytes.extend_from_slice(&ask.last_epoch.unwrap_or(0).to_le_bytes());
    }
    bytes
}

pub fn read_asks(bytes: &[u8]) -> Result<Vec<Asked>, Unsound> {
    let mut cursor = Cursor::new(bytes);
    let count = count(&mut cursor)?;
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(read_ask(&mut cursor)?);
    }
    match cursor.left() {
        0 => Ok(all),
        count => Err(Unsound::Left { count }),
    }
}

fn read_ask(cursor: &mut Cursor) -> Result<Asked, Unsound> {
    let key = key(cursor)?;
    let number = cursor.u64()?;
    let bits = cursor.u8()?;
    if bits & !(WAITS | HAS_RECORDS | IS_DURABLE) != 0 {
        return Err(Unsound::Bits { found: bits });
    }
    let (leader_epoch, partition_epoch) = (cursor.u32()? as i32, cursor.u32()? as i32);
    let life = Zxid(cursor.u64()?);
    let (next, has) = (offset(cursor)?, offset(cursor)?);
    let last_epoch = cursor.u32()? as i32;
    if has > next {
        return Err(Unsound::Order {
            what: "durable end",
        });
    }
    let has_records = bits & HAS_RECORDS != 0;
    Ok(Asked {
        key,
        number,
        waits: bits & WAITS != 0,
        ask: Ask {
            leader_epoch,
            partition_epoch,
            life,
            next,
            last_epoch: has_records.then_some(last_epoch),
            has,
            is_durable: bits & IS_DURABLE != 0,
        },
    })
}

pub fn answers(heads: &[Head]) -> Vec<u8> {
    const EACH_MAX: usize = 57;
    let mut bytes = Vec::with_capacity(4 + heads.len() * EACH_MAX);
    put_count(&mut bytes, heads.len());
    for head in heads {
        put_key(&mut bytes, head.key);
        bytes.extend_from_slice(&head.number.to_le_bytes());
        match head.answer {
            Answer::Alike {
                watermark,
                first,
                everywhere,
            } => {
                let length = u32::try_from(head.bytes).expect("an answer's bytes are bounded");
                bytes.push(ALIKE);
                bytes.extend_from_slice(&watermark.0.to_le_bytes());
                bytes.extend_from_slice(&first.0.to_le_bytes());
                bytes.extend_from_slice(&everywhere.0.to_le_bytes());
                bytes.extend_from_slice(&length.to_le_bytes());
            }
            Answer::Parted { epoch, end } => {
                bytes.push(PARTED);
                bytes.extend_from_slice(&epoch.to_le_bytes());
                bytes.extend_from_slice(&end.0.to_le_bytes());
            }
            Answer::Gone { first } => {
                bytes.push(GONE);
                bytes.extend_from_slice(&first.0.to_le_bytes());
            }
            Answer::NotNow => bytes.push(NOT_NOW),
        }
    }
    bytes
}

pub fn read_answers(bytes: &[u8]) -> Result<Vec<Head>, Unsound> {
    let mut cursor = Cursor::new(bytes);
    let count = count(&mut cursor)?;
    let mut heads = Vec::new();
    for _ in 0..count {
        heads.push(read_head(&mut cursor)?);
    }
    match (cursor.left(), batches_bytes(&heads)) {
        (0, bytes) if bytes > FOLLOW_BATCHES_BYTES_MAX => Err(Unsound::Batches { bytes }),
        (0, _) => Ok(heads),
        (count, _) => Err(Unsound::Left { count }),
    }
}

/// What comes behind these.
pub fn batches_bytes(heads: &[Head]) -> usize {
    heads.iter().map(|head| head.bytes).sum()
}

fn read_head(cursor: &mut Cursor) -> Result<Head, Unsound> {
    let (key, number) = (key(cursor)?, cursor.u64()?);
    let mut bytes = 0;
    let answer = match cursor.u8()? {
        ALIKE => {
            let (watermark, first) = (offset(cursor)?, offset(cursor)?);
            let everywhere = offset(cursor)?;
            bytes = cursor.u32()? as usize;
            Answer::Alike {
                watermark,
                first,
                everywhere,
            }
        }
        PARTED => Answer::Parted {
            epoch: cursor.u32()? as i32,
            end: offset(cursor)?,
        },
        GONE => Answer::Gone {
            first: offset(cursor)?,
        },
        NOT_NOW => Answer::NotNow,
        found => return Err(Unsound::Kind { found }),
    };
    Ok(Head {
        key,
        number,
        answer,
        bytes,
    })
}

fn put_count(bytes: &mut Vec<u8>, count: usize) {
    let count = u32::try_from(count).expect("a message names so many partitions at the most");
    bytes.extend_from_slice(&count.to_le_bytes());
}

fn count(cursor: &mut Cursor) -> Result<usize, Unsound> {
    match cursor.u32()? as usize {
        count if count > FOLLOW_NAMED_MAX => Err(Unsound::TooMany { count }),
        count => Ok(count),
    }
}

/// Clients know 63 bits of one; what a log began anew at is counted on from.
fn offset(cursor: &mut Cursor) -> Result<Offset, Unsound> {
    match cursor.u64()? {
        found if found > i64::MAX as u64 => Err(Unsound::Offset { found }),
        found => Ok(Offset(found)),
    }
}

fn put_key(bytes: &mut Vec<u8>, key: Key) {
    bytes.extend_from_slice(&key.topic.0);
    bytes.extend_from_slice(&key.partition.0.to_le_bytes());
}

fn key(cursor: &mut Cursor) -> Result<Key, Unsound> {
    Ok(Key {
        topic: TopicId(cursor.bytes16()?),
        partition: PartitionId(cursor.u32()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::Seeded;

    fn key(topic: u8, partition: u32) -> Key {
        Key {
            topic: TopicId([topic; 16]),
            partition: PartitionId(partition),
        }
    }

    fn two_asks() -> Vec<Asked> {
        let ask = Ask {
            leader_epoch: 7,
            partition_epoch: 9,
            life: Zxid(0x0102),
            next: Offset(100),
            last_epoch: Some(6),
            has: Offset(90),
            is_durable: true,
        };
        let empty = Ask {
            leader_epoch: 0,
            partition_epoch: 0,
            next: Offset(0),
            last_epoch: None,
            has: Offset(0),
            is_durable: false,
            ..ask
        };
        let asked = |key, number, waits, ask| Asked {
            key,
            number,
            waits,
            ask,
        };
        vec![
            asked(key(1, 2), 3, true, ask),
            asked(key(2, 0), 4, false, empty),
        ]
    }

    fn all_heads() -> Vec<Head> {
        let answers = [
            Answer::Alike {
                watermark: Offset(9),
                first: Offset(1),
                everywhere: Offset(7),
            },
            Answer::Parted {
                epoch: 5,
                end: Offset(77),
            },
            Answer::Gone { first: Offset(12) },
            Answer::NotNow,
        ];
        let head = |(number, answer): (u64, Answer)| Head {
            key: key(3, 1),
            number,
            bytes: match answer {
                Answer::Alike { .. } => 5,
                _ => 0,
            },
            answer,
        };
        (8..).zip(answers).map(head).collect()
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_bytes_are_those_of_the_first_release() {
        let ask = "02000000\
            01010101010101010101010101010101020000000300000000000000\
            070700000009000000020100000000000064000000000000005a0000000000000006000000\
            02020202020202020202020202020202000000000400000000000000\
            0000000000000000000201000000000000000000000000000000000000000000\
            0000000000";
        assert_eq!(hex(&asks(&two_asks())), ask);
        let answer = "04000000\
            03030303030303030303030303030303010000000800000000000000\
            01090000000000000001000000000000000700000000000000\
            05000000\
            03030303030303030303030303030303010000000900000000000000\
            02050000004d00000000000000\
            03030303030303030303030303030303010000000a00000000000000\
            030c00000000000000\
            03030303030303030303030303030303010000000b0000000000000004";
        assert_eq!(hex(&answers(&all_heads())), answer);
    }

    #[test]
    fn what_is_said_is_heard() {
        assert_eq!(read_asks(&asks(&two_asks())), Ok(two_asks()));
        assert_eq!(read_answers(&answers(&all_heads())), Ok(all_heads()));
    }

    #[test]
    fn batches_are_as_many_as_fit_and_no_more() {
        let mut heads = [all_heads()[0]; 2];
        heads[0].bytes = FOLLOW_BATCHES_BYTES_MAX - 5;
        assert_eq!(read_answers(&answers(&heads)), Ok(heads.to_vec()));
        heads[1].bytes += 1;
        let bytes = FOLLOW_BATCHES_BYTES_MAX + 1;
        let refused = Err(Unsound::Batches { bytes });
        assert_eq!(read_answers(&answers(&heads)), refused);
    }

    #[test]
    fn an_offset_that_no_record_has_is_refused() {
        let found = 1 << 63;
        let gone = Head {
            key: key(1, 2),
            number: 3,
            answer: Answer::Gone {
                first: Offset(found),
            },
            bytes: 0,
        };
        let refused = Err(Unsound::Offset { found });
        assert_eq!(read_answers(&answers(&[gone])).map(drop), refused);
        let mut asked = two_asks();
        asked[0].ask.next = Offset(found);
        assert_eq!(read_asks(&asks(&asked)).map(drop), refused);
    }

    #[test]
    fn a_damaged_message_is_refused_or_says_something_else() {
        let answer = answers(&all_heads());
        let ask = asks(&two_asks());
        for end in 0..ask.len() {
            assert!(read_asks(&ask[..end]).is_err(), "{end}");
        }
        for end in 0..answer.len() {
            assert!(read_answers(&answer[..end]).is_err(), "{end}");
        }
        let mut chance = Seeded::new(1);
        for _ in 0..20_000 {
            for whole in [&ask, &answer] {
                let mut bytes = whole.clone();
                let at = chance.below(bytes.len() as u64) as usize;
                bytes[at] ^= 1 << chance.below(8);
                let _ = (read_asks(&bytes), read_answers(&bytes));
            }
        }
        let many = (FOLLOW_NAMED_MAX as u32 + 1).to_le_bytes();
        let count = FOLLOW_NAMED_MAX + 1;
        assert_eq!(read_asks(&many), Err(Unsound::TooMany { count }));
        assert_eq!(read_answers(&many), Err(Unsound::TooMany { count }));
        let behind = |whole: &[u8]| [whole, &[0]].concat();
        let left = Unsound::Left { count: 1 };
        assert_eq!(read_asks(&behind(&ask)), Err(left));
        assert_eq!(read_answers(&behind(&answer)), Err(left));
    }
}
