//! The records of `__transaction_state` as bytes: key and value as Kafka's own
//! (TransactionLogKey 0 and TransactionLogValue 1), so that its tools read them.
//! Numbers are big endian. What Kafka has no field for is tagged with numbers
//! that are far from its own, and its readers pass over it.

use super::record::{Stage, Transaction};
use super::{Identity, Name, Place};
use crate::clock::Millis;
use crate::ids::{PartitionId, ProducerId};
use crate::limits::TRANSACTION_PLACES_MAX;
use crate::wire::{Cursor, Short};
use std::collections::BTreeSet;
use std::fmt;

const KEY_VERSION: i16 = 0;
/// The version that is written, and the only one that is read.
const VALUE_VERSION: i16 = 1;

const PREVIOUS_ID: u32 = 0;
const NEXT_ID: u32 = 1;
const CLIENT_VERSION: u32 = 2;
/// Ours: the epoch of `before`, and whether the epoch was raised for the end.
const PREVIOUS_EPOCH: u32 = 1000;
const RAISED: u32 = 1001;

/// What Kafka calls the rule by which the epoch is raised each time.
const RAISES_EACH_TIME: i16 = 2;

/// A record that this release did not write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    Short(Short),
    Version { found: i16 },
    NotUtf8,
    Number { what: &'static str, found: i64 },
    Contradiction(&'static str),
    TooManyPlaces,
    Trailing { bytes: usize },
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short(short) => short.fmt(f),
            Self::Version { found } => write!(
                f,
                "a transaction's record of version {found}, this release reads keys of \
                 {KEY_VERSION} and values of {VALUE_VERSION}"
            ),
            Self::NotUtf8 => f.write_str("a name that is not UTF-8"),
            Self::Number { what, found } => write!(f, "{found} is no {what}"),
            Self::Contradiction(what) => f.write_str(what),
            Self::TooManyPlaces => write!(
                f,
                "more than {TRANSACTION_PLACES_MAX} partitions in a transaction"
            ),
            Self::Trailing { bytes } => write!(f, "{bytes} bytes behind the record's end"),
        }
    }
}

impl std::error::Error for Malformed {}

impl From<Short> for Malformed {
    fn from(short: Short) -> Self {
        Self::Short(short)
    }
}

pub fn encode_key(id: &str) -> Vec<u8> {
    let mut out = Out::default();
    out.put(KEY_VERSION.to_be_bytes());
    out.put((id.len() as u16).to_be_bytes());
    out.0.extend_from_slice(id.as_bytes());
    out.0
}

pub fn parse_key(bytes: &[u8]) -> Result<Name, Malformed> {
    let mut from = In(Cursor::new(bytes));
    from.version(KEY_VERSION)?;
    let length = from.i16()?;
    let length = usize::try_from(length).map_err(|_| number("length", length.into()))?;
    let name = text(from.0.take(length)?)?;
    from.end()?;
    Ok(name)
}

pub fn encode(transaction: &Transaction) -> Vec<u8> {
    let mut out = Out::default();
    out.put(VALUE_VERSION.to_be_bytes());
    out.put(transaction.holder.id.0.to_be_bytes());
    out.put(transaction.holder.epoch.to_be_bytes());
    out.put(transaction.timeout_ms.to_be_bytes());
    out.put(transaction.stage.number().to_be_bytes());
    out.places(transaction);
    out.put(transaction.updated.0.to_be_bytes());
    out.time(transaction.started);
    out.tags(transaction);
    out.0
}

pub fn parse(bytes: &[u8]) -> Result<Transaction, Malformed> {
    let mut from = In(Cursor::new(bytes));
    from.version(VALUE_VERSION)?;
    let id = from.id()?;
    let epoch = from.epoch()?;
    let timeout = from.i32()?;
    let stage = from.i8()?;
    let places = from.places()?;
    let updated = from.i64()?;
    let started = from.i64()?;
    let mut transaction = Transaction {
        holder: Identity { id, epoch },
        before: None,
        next: None,
        timeout_ms: u32::try_from(timeout).map_err(|_| number("timeout", timeout.into()))?,
        stage: Stage::of(stage).ok_or(number("stage", stage.into()))?,
        places,
        started: u64::try_from(started).ok().map(Millis),
        updated: Millis(u64::try_from(updated).map_err(|_| number("time", updated))?),
        is_client_raised: false,
        is_raised: false,
    };
    from.tags(&mut transaction)?;
    from.end()?;
    transaction.check()?;
    Ok(transaction)
}

fn number(what: &'static str, found: i64) -> Malformed {
    Malformed::Number { what, found }
}

fn text(bytes: &[u8]) -> Result<Name, Malformed> {
    let text = std::str::from_utf8(bytes).map_err(|_| Malformed::NotUtf8)?;
    Ok(text.into())
}

impl Transaction {
    /// The invariants that the fields cannot say.
    fn check(&self) -> Result<(), Malformed> {
        let wrong = |what| Err(Malformed::Contradiction(what));
        let is_open = self.stage == Stage::Ongoing || self.stage.is_ending();
        if !is_open && !self.places.is_empty() {
            return wrong("partitions of a transaction that is ended");
        }
        if self.next.is_some() && !self.stage.is_ending() {
            return wrong("a next producer id where no transaction is being ended");
        }
        if self.stage == Stage::Ongoing && self.before.is_some() {
            return wrong("a producer before the one whose transaction is open");
        }
        match (self.holder.epoch == i16::MAX) == self.next.is_some() {
            true => Ok(()),
            false => wrong("the next producer id comes with the last epoch, and only then"),
        }
    }
}

#[derive(Default)]
struct Out(Vec<u8>);

impl Out {
    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        self.0.extend_from_slice(&bytes);
    }

    fn unsigned(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// One more than there are, so that 0 is none.
    fn count(&mut self, count: usize) {
        self.unsigned(count as u32 + 1);
    }

    fn places(&mut self, transaction: &Transaction) {
        if transaction.stage == Stage::Empty {
            return self.unsigned(0);
        }
        let places: Vec<&Place> = transaction.places.iter().collect();
        let topics: Vec<_> = places.chunk_by(|a, b| a.topic == b.topic).collect();
        self.count(topics.len());
        for topic in topics {
            let name = &topic[0].topic;
            self.count(name.len());
            self.0.extend_from_slice(name.as_bytes());
            self.count(topic.len());
            for place in topic {
                self.put(place.partition.0.to_be_bytes());
            }
            self.unsigned(0);
        }
    }

    fn time(&mut self, time: Option<Millis>) {
        self.put(time.map_or(-1, |time| time.0 as i64).to_be_bytes());
    }

    fn tags(&mut self, transaction: &Transaction) {
        let mut tags: Vec<(u32, Vec<u8>)> = Vec::new();
        if let Some(before) = transaction.before {
            tags.push((PREVIOUS_ID, before.id.0.to_be_bytes().into()));
        }
        if let Some(next) = transaction.next {
            tags.push((NEXT_ID, next.0.to_be_bytes().into()));
        }
        if transaction.is_client_raised {
            tags.push((CLIENT_VERSION, RAISES_EACH_TIME.to_be_bytes().into()));
        }
        if let Some(before) = transaction.before {
            tags.push((PREVIOUS_EPOCH, before.epoch.to_be_bytes().into()));
        }
        if transaction.is_raised {
            tags.push((RAISED, vec![1]));
        }
        self.unsigned(tags.len() as u32);
        for (tag, bytes) in tags {
            self.unsigned(tag);
            self.unsigned(bytes.len() as u32);
            self.0.extend(bytes);
        }
    }
}

struct In<'a>(Cursor<'a>);

impl<'a> In<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let bytes = self.0.take(N)?;
        Ok(std::array::from_fn(|n| bytes[n]))
    }

    fn i8(&mut self) -> Result<i8, Malformed> {
        self.array().map(i8::from_be_bytes)
    }

    fn i16(&mut self) -> Result<i16, Malformed> {
        self.array().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Result<i32, Malformed> {
        self.array().map(i32::from_be_bytes)
    }

    fn i64(&mut self) -> Result<i64, Malformed> {
        self.array().map(i64::from_be_bytes)
    }

    fn version(&mut self, expected: i16) -> Result<(), Malformed> {
        let found = self.i16()?;
        match found == expected {
            true => Ok(()),
            false => Err(Malformed::Version { found }),
        }
    }

    fn id(&mut self) -> Result<ProducerId, Malformed> {
        let id = self.i64()?;
        let id = u64::try_from(id).map_err(|_| number("producer id", id))?;
        Ok(ProducerId(id))
    }

    fn epoch(&mut self) -> Result<i16, Malformed> {
        let epoch = self.i16()?;
        match epoch >= 0 {
            true => Ok(epoch),
            false => Err(number("producer epoch", epoch.into())),
        }
    }

    fn unsigned(&mut self) -> Result<u32, Malformed> {
        let mut value = 0u64;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.0.u8()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return u32::try_from(value).map_err(|_| number("count", value as i64));
            }
        }
        Err(number("count", value as i64))
    }

    /// None where there are none to be had at all.
    fn count(&mut self) -> Result<Option<u32>, Malformed> {
        Ok(self.unsigned()?.checked_sub(1))
    }

    fn places(&mut self) -> Result<BTreeSet<Place>, Malformed> {
        let mut places = BTreeSet::new();
        for _ in 0..self.count()?.unwrap_or(0) {
            let length = self.count()?.ok_or(number("name", -1))?;
            let topic = text(self.0.take(length as usize)?)?;
            for _ in 0..self.count()?.unwrap_or(0) {
                let partition = self.i32()?;
                let partition = u32::try_from(partition);
                let partition = partition.map_err(|_| number("partition", -1))?;
                places.insert(Place {
                    topic: topic.clone(),
                    partition: PartitionId(partition),
                });
                if places.len() > TRANSACTION_PLACES_MAX {
                    return Err(Malformed::TooManyPlaces);
                }
            }
            self.skip_tags()?;
        }
        Ok(places)
    }

    fn skip_tags(&mut self) -> Result<(), Malformed> {
        for _ in 0..self.unsigned()? {
            self.tag()?;
        }
        Ok(())
    }

    fn tag(&mut self) -> Result<(u32, In<'a>), Malformed> {
        let tag = self.unsigned()?;
        let length = self.unsigned()?;
        let bytes = self.0.take(length as usize)?;
        Ok((tag, In(Cursor::new(bytes))))
    }

    fn tags(&mut self, transaction: &mut Transaction) -> Result<(), Malformed> {
        let (mut id, mut epoch) = (None, None);
        for _ in 0..self.unsigned()? {
            let (tag, mut value) = self.tag()?;
            match tag {
                PREVIOUS_ID => id = Some(value.id()?),
                NEXT_ID => transaction.next = Some(value.id()?),
                CLIENT_VERSION => {
                    transaction.is_client_raised = value.i16()? >= RAISES_EACH_TIME;
                }
                PREVIOUS_EPOCH => epoch = Some(value.epoch()?),
                RAISED => transaction.is_raised = value.i8()? != 0,
                _ => continue,
            }
            value.end()?;
        }
        transaction.before = id.zip(epoch).map(|(id, epoch)| Identity { id, epoch });
        Ok(())
    }

    fn end(&self) -> Result<(), Malformed> {
        match self.0.left() {
            0 => Ok(()),
            bytes => Err(Malformed::Trailing { bytes }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(topic: &str, partition: u32) -> Place {
        Place {
            topic: topic.into(),
            partition: PartitionId(partition),
        }
    }

    fn empty() -> Transaction {
        Transaction {
            holder: Identity {
                id: ProducerId(7),
                epoch: 3,
            },
            before: None,
            next: None,
            timeout_ms: 60_000,
            stage: Stage::Empty,
            places: BTreeSet::new(),
            started: None,
            updated: Millis(1_700_000_000_000),
            is_client_raised: false,
            is_raised: false,
        }
    }

    fn ending() -> Transaction {
        Transaction {
            holder: Identity {
                id: ProducerId(7),
                epoch: i16::MAX,
            },
            before: Some(Identity {
                id: ProducerId(7),
                epoch: i16::MAX - 1,
            }),
            next: Some(ProducerId(8)),
            stage: Stage::PrepareCommit,
            places: [place("a", 0), place("a", 2), place("b", 1)].into(),
            started: Some(Millis(1_699_999_999_000)),
            is_client_raised: true,
            is_raised: true,
            ..empty()
        }
    }

    /// Put together by hand from the fields of TransactionLogValue 1.
    #[test]
    fn a_value_has_kafkas_bytes() {
        let mut ongoing = empty();
        ongoing.stage = Stage::Ongoing;
        ongoing.places = [place("ab", 5)].into();
        ongoing.started = Some(Millis(1));
        ongoing.updated = Millis(2);
        let expected: &[&[u8]] = &[
            &[0, 1],
            &[0, 0, 0, 0, 0, 0, 0, 7],
            &[0, 3],
            &[0, 0, 0xea, 0x60],
            &[1],
            &[2, 3, b'a', b'b', 2, 0, 0, 0, 5, 0],
            &[0, 0, 0, 0, 0, 0, 0, 2],
            &[0, 0, 0, 0, 0, 0, 0, 1],
            &[0],
        ];
        assert_eq!(encode(&ongoing), expected.concat());
        let is_null = encode(&empty())[17];
        assert_eq!(is_null, 0, "no list of partitions where it is empty");
        assert_eq!(encode_key("t"), [0, 0, 0, 1, b't']);
    }

    #[test]
    fn what_is_written_reads_back() {
        let mut ongoing = empty();
        ongoing.stage = Stage::Ongoing;
        ongoing.places = (0..300).map(|n| place("topic", n)).collect();
        for transaction in [empty(), ending(), ongoing] {
            assert_eq!(parse(&encode(&transaction)), Ok(transaction));
        }
        for id in ["", "t", "égalité"] {
            assert_eq!(&*parse_key(&encode_key(id)).unwrap(), id);
        }
    }

    #[test]
    fn a_later_tag_is_passed_over() {
        let mut bytes = encode(&empty());
        assert_eq!(bytes.pop(), Some(0));
        bytes.extend([1, 9, 2, 0xff, 0xff]);
        assert_eq!(parse(&bytes), Ok(empty()));
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let check = |change: fn(&mut Transaction)| {
            let mut transaction = ending();
            change(&mut transaction);
            let read = parse(&encode(&transaction));
            assert!(read.is_err(), "{transaction:?} is read");
        };
        check(|one| one.next = None);
        check(|one| one.holder.epoch = 5);
        check(|one| one.stage = Stage::CompleteCommit);
        check(|one| one.stage = Stage::Ongoing);
        check(|one| one.timeout_ms = u32::MAX);
        check(|one| one.holder.epoch = -1);
        check(|one| one.holder.id = ProducerId(u64::MAX));
    }

    #[test]
    fn every_cut_is_noticed() {
        let bytes = encode(&ending());
        for length in 0..bytes.len() {
            assert!(parse(&bytes[..length]).is_err(), "{length}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(parse(&longer), Err(Malformed::Trailing { bytes: 1 }));
        let key = encode_key("t");
        assert!(parse_key(&key[..4]).is_err());
        assert_eq!(parse_key(&[0, 1]), Err(Malformed::Version { found: 1 }));
    }
}
