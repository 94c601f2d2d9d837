//! The records as bytes. A key is the kind, the group's name and the rest; a
//! value begins with its format's version. Numbers are little endian.

use super::partitions::Partitions;
use super::record::{
    About, ClassicImage, ClassicMember, Committed, ConsumerImage, Key, Of, Pending, Protocol,
    Record, Standing, Value,
};
use super::{Blob, Name};
use crate::clock::Millis;
use crate::ids::Uid;
use crate::wire::{Cursor, Short};
use std::collections::BTreeSet;
use std::fmt;

/// The version that is written, and the only one that is read.
const VERSION: u8 = 1;

const HEAD: u8 = 1;
const MEMBER: u8 = 2;
const TARGET: u8 = 3;
const CURRENT: u8 = 4;
const OFFSET: u8 = 5;
const PENDING: u8 = 6;

const CLASSIC: u8 = 1;
const CONSUMER: u8 = 2;

/// A record that this release did not write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    Short(Short),
    Kind(u8),
    Version { found: u8 },
    NotUtf8,
    Flag(u8),
    NotInOrder,
    Trailing { bytes: usize },
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short(short) => short.fmt(f),
            Self::Kind(kind) => write!(f, "a record of the unknown kind {kind}"),
            Self::Version { found } => write!(
                f,
                "a group's record of version {found}, this release reads {VERSION}"
            ),
            Self::NotUtf8 => f.write_str("a name that is not UTF-8"),
            Self::Flag(byte) => write!(f, "{byte} where 0 or 1 must stand"),
            Self::NotInOrder => f.write_str("a set that is not in order"),
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

impl Record {
    pub fn encode(&self) -> (Vec<u8>, Option<Vec<u8>>) {
        (self.key.encode(), self.value.as_ref().map(Value::encode))
    }

    pub fn parse(key: &[u8], value: Option<&[u8]>) -> Result<Self, Malformed> {
        let key = Key::parse(key)?;
        let value = value
            .map(|value| Value::parse(&key.of, value))
            .transpose()?;
        Ok(Self { key, value })
    }
}

impl Key {
    fn encode(&self) -> Vec<u8> {
        let mut out = Out::default();
        out.u8(match self.of {
            Of::Head => HEAD,
            Of::Member(_) => MEMBER,
            Of::Target(_) => TARGET,
            Of::Current(_) => CURRENT,
            Of::Offset { .. } => OFFSET,
            Of::Pending { .. } => PENDING,
        });
        out.name(&self.group);
        match &self.of {
            Of::Head => {}
            Of::Member(member) | Of::Target(member) | Of::Current(member) => out.name(member),
            Of::Offset { topic, partition } => {
                out.name(topic);
                out.i32(*partition);
            }
            Of::Pending {
                topic,
                partition,
                producer,
            } => {
                out.name(topic);
                out.i32(*partition);
                out.i64(*producer);
            }
        }
        out.0
    }

    fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = In(Cursor::new(bytes));
        let kind = from.u8()?;
        let group = from.name()?;
        let of = match kind {
            HEAD => Of::Head,
            MEMBER => Of::Member(from.name()?),
            TARGET => Of::Target(from.name()?),
            CURRENT => Of::Current(from.name()?),
            OFFSET => Of::Offset {
                topic: from.name()?,
                partition: from.i32()?,
            },
            PENDING => Of::Pending {
                topic: from.name()?,
                partition: from.i32()?,
                producer: from.i64()?,
            },
            kind => return Err(Malformed::Kind(kind)),
        };
        from.end()?;
        Ok(Self { group, of })
    }
}

impl Value {
    fn encode(&self) -> Vec<u8> {
        let mut out = Out::default();
        out.u8(VERSION);
        match self {
            Self::Classic(image) => {
                out.u8(CLASSIC);
                out.classic(image);
            }
            Self::Consumer(image) => {
                out.u8(CONSUMER);
                out.i32(image.epoch);
                out.u64(image.emptied_at.0);
            }
            Self::Member(about) => out.about(about),
            Self::Target(partitions) => out.partitions(partitions),
            Self::Current(standing) => {
                out.i32(standing.epoch);
                out.i32(standing.previous_epoch);
                out.partitions(&standing.assigned);
                out.partitions(&standing.revoking);
            }
            Self::Offset(committed) => out.committed(committed),
            Self::Pending(pending) => {
                out.i16(pending.producer_epoch);
                out.committed(&pending.offset);
            }
        }
        out.0
    }

    fn parse(of: &Of, bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = In(Cursor::new(bytes));
        match from.u8()? {
            VERSION => {}
            found => return Err(Malformed::Version { found }),
        }
        let value = match of {
            Of::Head => match from.u8()? {
                CLASSIC => Self::Classic(from.classic()?),
                CONSUMER => Self::Consumer(ConsumerImage {
                    epoch: from.i32()?,
                    emptied_at: Millis(from.u64()?),
                }),
                kind => return Err(Malformed::Kind(kind)),
            },
            Of::Member(_) => Self::Member(from.about()?),
            Of::Target(_) => Self::Target(from.partitions()?),
            Of::Current(_) => Self::Current(Standing {
                epoch: from.i32()?,
                previous_epoch: from.i32()?,
                assigned: from.partitions()?,
                revoking: from.partitions()?,
            }),
            Of::Offset { .. } => Self::Offset(from.committed()?),
            Of::Pending { .. } => Self::Pending(Pending {
                producer_epoch: from.i16()?,
                offset: from.committed()?,
            }),
        };
        from.end()?;
        Ok(value)
    }
}

#[derive(Default)]
struct Out(Vec<u8>);

impl Out {
    fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    fn i16(&mut self, value: i16) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn i32(&mut self, value: i32) {
        self.u32(value as u32);
    }

    fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn i64(&mut self, value: i64) {
        self.u64(value as u64);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.u32(bytes.len() as u32);
        self.0.extend_from_slice(bytes);
    }

    fn name(&mut self, name: &str) {
        self.bytes(name.as_bytes());
    }

    fn option<T>(&mut self, item: Option<&T>, one: impl Fn(&mut Self, &T)) {
        self.u8(item.is_some().into());
        item.into_iter().for_each(|item| one(self, item));
    }

    fn option_name(&mut self, name: Option<&Name>) {
        self.option(name, |out, name| out.name(name));
    }

    fn classic(&mut self, image: &ClassicImage) {
        self.i32(image.generation);
        self.option_name(image.protocol_type.as_ref());
        self.option_name(image.protocol.as_ref());
        self.option_name(image.leader.as_ref());
        self.u8(image.is_assigned.into());
        self.u64(image.emptied_at.0);
        self.u32(image.members.len() as u32);
        image.members.iter().for_each(|member| self.member(member));
    }

    fn member(&mut self, member: &ClassicMember) {
        self.name(&member.id);
        self.option_name(member.instance.as_ref());
        self.name(&member.client_id);
        self.name(&member.client_host);
        self.u32(member.session_ms);
        self.u32(member.rebalance_ms);
        self.u32(member.protocols.len() as u32);
        for protocol in &member.protocols {
            self.name(&protocol.name);
            self.bytes(&protocol.metadata);
        }
        self.bytes(&member.assignment);
    }

    fn about(&mut self, about: &About) {
        self.option_name(about.instance.as_ref());
        self.option_name(about.rack.as_ref());
        self.name(&about.client_id);
        self.name(&about.client_host);
        self.u32(about.rebalance_ms);
        self.u32(about.topics.len() as u32);
        about.topics.iter().for_each(|topic| self.name(topic));
        self.option_name(about.pattern.as_ref());
        self.option_name(about.assignor.as_ref());
    }

    fn partitions(&mut self, partitions: &Partitions) {
        let topics = partitions.by_topic();
        self.u32(topics.len() as u32);
        for (topic, partitions) in topics {
            self.0.extend_from_slice(&topic.0);
            self.u32(partitions.len() as u32);
            partitions.into_iter().for_each(|number| self.i32(number));
        }
    }

    fn committed(&mut self, committed: &Committed) {
        self.i64(committed.offset);
        self.i32(committed.leader_epoch);
        self.name(&committed.metadata);
        self.0.extend_from_slice(&committed.topic_id.0);
        self.u64(committed.committed_at.0);
        self.option(committed.expires_at.as_ref(), |out, at| out.u64(at.0));
        self.u64(committed.order);
    }
}

struct In<'a>(Cursor<'a>);

impl<'a> In<'a> {
    fn end(&self) -> Result<(), Malformed> {
        match self.0.left() {
            0 => Ok(()),
            bytes => Err(Malformed::Trailing { bytes }),
        }
    }

    fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.0.u8()?)
    }

    fn flag(&mut self) -> Result<bool, Malformed> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            byte => Err(Malformed::Flag(byte)),
        }
    }

    fn i16(&mut self) -> Result<i16, Malformed> {
        Ok(self.0.u16()? as i16)
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(self.0.u32()?)
    }

    fn i32(&mut self) -> Result<i32, Malformed> {
        Ok(self.u32()? as i32)
    }

    fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(self.0.u64()?)
    }

    fn i64(&mut self) -> Result<i64, Malformed> {
        Ok(self.u64()? as i64)
    }

    fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let count = self.u32()? as usize;
        Ok(self.0.take(count)?)
    }

    fn blob(&mut self) -> Result<Blob, Malformed> {
        self.bytes().map(Blob::from)
    }

    fn name(&mut self) -> Result<Name, Malformed> {
        let text = std::str::from_utf8(self.bytes()?);
        text.map(Name::from).map_err(|_| Malformed::NotUtf8)
    }

    fn option<T>(
        &mut self,
        one: impl Fn(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Option<T>, Malformed> {
        self.flag()?.then(|| one(self)).transpose()
    }

    fn option_name(&mut self) -> Result<Option<Name>, Malformed> {
        self.option(Self::name)
    }

    /// Each item takes at least a byte, so a count that is not true ends with
    /// the bytes, and nothing is set aside for it.
    fn list<T>(
        &mut self,
        one: impl Fn(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let count = self.u32()?;
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(one(self)?);
        }
        Ok(items)
    }

    fn classic(&mut self) -> Result<ClassicImage, Malformed> {
        Ok(ClassicImage {
            generation: self.i32()?,
            protocol_type: self.option_name()?,
            protocol: self.option_name()?,
            leader: self.option_name()?,
            is_assigned: self.flag()?,
            emptied_at: Millis(self.u64()?),
            members: self.list(Self::member)?,
        })
    }

    fn member(&mut self) -> Result<ClassicMember, Malformed> {
        Ok(ClassicMember {
            id: self.name()?,
            instance: self.option_name()?,
            client_id: self.name()?,
            client_host: self.name()?,
            session_ms: self.u32()?,
            rebalance_ms: self.u32()?,
            protocols: self.list(|from| {
                Ok(Protocol {
                    name: from.name()?,
                    metadata: from.blob()?,
                })
            })?,
            assignment: self.blob()?,
        })
    }

    fn about(&mut self) -> Result<About, Malformed> {
        Ok(About {
            instance: self.option_name()?,
            rack: self.option_name()?,
            client_id: self.name()?,
            client_host: self.name()?,
            rebalance_ms: self.u32()?,
            topics: self.set(Self::name)?,
            pattern: self.option_name()?,
            assignor: self.option_name()?,
        })
    }

    /// What was written from a set, so that a record has one form only.
    fn set<T: Ord>(
        &mut self,
        one: impl Fn(&mut Self) -> Result<T, Malformed>,
    ) -> Result<BTreeSet<T>, Malformed> {
        let items = self.list(one)?;
        match items.is_sorted_by(|one, next| one < next) {
            true => Ok(items.into_iter().collect()),
            false => Err(Malformed::NotInOrder),
        }
    }

    fn partitions(&mut self) -> Result<Partitions, Malformed> {
        let topics = self.list(|from| {
            let topic = Uid(from.0.bytes16()?);
            let numbers = from.set(Self::i32)?;
            match numbers.is_empty() {
                true => Err(Malformed::NotInOrder),
                false => Ok((topic, numbers)),
            }
        })?;
        if !topics.is_sorted_by(|one, next| one.0 < next.0) {
            return Err(Malformed::NotInOrder);
        }
        let flat = topics
            .into_iter()
            .flat_map(|(topic, numbers)| numbers.into_iter().map(move |number| (topic, number)));
        Ok(flat.collect())
    }

    fn committed(&mut self) -> Result<Committed, Malformed> {
        Ok(Committed {
            offset: self.i64()?,
            leader_epoch: self.i32()?,
            metadata: self.name()?,
            topic_id: Uid(self.0.bytes16()?),
            committed_at: Millis(self.u64()?),
            expires_at: self.option(|from| Ok(Millis(from.u64()?)))?,
            order: self.u64()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_form() -> Vec<Record> {
        let member = || Name::from("m");
        let held: Partitions = [(Uid([1; 16]), 0), (Uid([1; 16]), 7), (Uid([2; 16]), -1)]
            .into_iter()
            .collect();
        let offset = Committed {
            offset: i64::MAX,
            leader_epoch: -1,
            metadata: "é".into(),
            topic_id: Uid([3; 16]),
            committed_at: Millis(7),
            expires_at: Some(Millis(9)),
            order: 12,
        };
        let classic = ClassicImage {
            generation: 3,
            protocol_type: Some("consumer".into()),
            protocol: Some("range".into()),
            leader: Some(member()),
            is_assigned: true,
            emptied_at: Millis(1),
            members: vec![ClassicMember {
                id: member(),
                instance: Some("i".into()),
                client_id: "c".into(),
                client_host: "/127.0.0.1".into(),
                session_ms: 1,
                rebalance_ms: 2,
                protocols: vec![Protocol {
                    name: "range".into(),
                    metadata: vec![0, 255].into(),
                }],
                assignment: vec![1].into(),
            }],
        };
        let about = About {
            instance: None,
            rack: Some("r".into()),
            client_id: "c".into(),
            client_host: "h".into(),
            rebalance_ms: 5,
            topics: ["a", "b"].map(Name::from).into(),
            pattern: Some("x.*".into()),
            assignor: Some("range".into()),
        };
        let standing = Standing {
            epoch: -2,
            previous_epoch: 4,
            assigned: held.clone(),
            revoking: Partitions::default(),
        };
        let spot = || Of::Offset {
            topic: "t".into(),
            partition: 3,
        };
        let pending = || Of::Pending {
            topic: "t".into(),
            partition: 3,
            producer: -9,
        };
        let image = ConsumerImage {
            epoch: 8,
            emptied_at: Millis(2),
        };
        [
            (Of::Head, Some(Value::Classic(classic))),
            (Of::Head, Some(Value::Classic(ClassicImage::default()))),
            (Of::Head, Some(Value::Consumer(image))),
            (Of::Head, None),
            (Of::Member(member()), Some(Value::Member(about))),
            (Of::Target(member()), Some(Value::Target(held))),
            (Of::Current(member()), Some(Value::Current(standing))),
            (spot(), Some(Value::Offset(offset.clone()))),
            (spot(), None),
            (
                pending(),
                Some(Value::Pending(Pending {
                    producer_epoch: 6,
                    offset,
                })),
            ),
        ]
        .map(|(of, value)| Record {
            key: Key {
                group: "g".into(),
                of,
            },
            value,
        })
        .into()
    }

    #[test]
    fn what_is_written_reads_as_it_was() {
        for record in every_form() {
            let (key, value) = record.encode();
            assert_eq!(Record::parse(&key, value.as_deref()), Ok(record));
        }
    }

    #[test]
    fn what_is_cut_or_longer_is_refused() {
        for record in every_form() {
            let (key, value) = record.encode();
            for cut in 0..key.len() {
                let read = Record::parse(&key[..cut], value.as_deref());
                assert!(read.is_err(), "{record:?} cut at {cut}");
            }
            let long = [&key[..], &[0]].concat();
            assert_eq!(
                Record::parse(&long, value.as_deref()),
                Err(Malformed::Trailing { bytes: 1 })
            );
            let Some(value) = value else { continue };
            for cut in 0..value.len() {
                assert!(Record::parse(&key, Some(&value[..cut])).is_err());
            }
            let long = [&value[..], &[0]].concat();
            assert_eq!(
                Record::parse(&key, Some(&long)),
                Err(Malformed::Trailing { bytes: 1 })
            );
        }
    }

    #[test]
    fn another_version_is_refused_by_its_number() {
        for record in every_form() {
            let (key, value) = record.encode();
            let Some(mut value) = value else { continue };
            value[0] = 2;
            assert_eq!(
                Record::parse(&key, Some(&value)),
                Err(Malformed::Version { found: 2 })
            );
        }
    }

    #[test]
    fn a_declared_count_allocates_nothing() {
        let mut value = vec![VERSION];
        value.extend_from_slice(&u32::MAX.to_le_bytes());
        let (key, _) = Record {
            key: Key {
                group: "g".into(),
                of: Of::Target("m".into()),
            },
            value: None,
        }
        .encode();
        let short = Short {
            wanted: 16,
            left: 0,
        };
        assert_eq!(
            Record::parse(&key, Some(&value)),
            Err(Malformed::Short(short))
        );
    }
}
