//! What a new coordinator reads before it serves: the newest record of each
//! key, by group.

use super::Name;
use super::offsets::Offsets;
use super::partitions::Partitions;
use super::record::{About, ClassicImage, ConsumerImage, Of, Record, Standing, Value};
use super::request::EndTransaction;
use crate::clock::Millis;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub groups: BTreeMap<Name, GroupImage>,
    /// Where a producer may have offsets pending.
    producers: BTreeMap<i64, BTreeSet<Name>>,
    /// What a transaction's marker ended and no record says yet: the
    /// coordinator before this one did not come to it. To be written, for
    /// compaction may take the marker away before what it ended.
    pub unsaid: BTreeSet<Ended>,
}

/// A pending offset that is none any more: of a group, a topic and its
/// partition, and a producer.
pub(super) type Ended = (Name, Name, i32, i64);

#[derive(Debug, Default)]
pub(super) struct GroupImage {
    pub head: Option<Head>,
    /// Members of KIP-848.
    pub members: BTreeMap<Name, MemberImage>,
    pub offsets: Offsets,
}

#[derive(Debug)]
pub(super) enum Head {
    Classic(ClassicImage),
    Consumer(ConsumerImage),
}

#[derive(Debug, Default)]
pub(super) struct MemberImage {
    pub about: Option<About>,
    pub target: Partitions,
    pub standing: Standing,
}

impl Ledger {
    pub(super) fn take(&mut self, record: Record) {
        if let Of::Pending {
            topic,
            partition,
            producer,
        } = &record.key.of
        {
            let group = record.key.group.clone();
            match record.value {
                Some(_) => {
                    self.producers.entry(*producer).or_default().insert(group);
                }
                None => {
                    let ended = (group, topic.clone(), *partition, *producer);
                    self.unsaid.remove(&ended);
                }
            }
        }
        let image = self.groups.entry(record.key.group.clone()).or_default();
        let value = record.value;
        match record.key.of {
            Of::Head => {
                image.head = match value {
                    Some(Value::Classic(classic)) => Some(Head::Classic(classic)),
                    Some(Value::Consumer(consumer)) => Some(Head::Consumer(consumer)),
                    _ => None,
                };
            }
            Of::Member(id) => image.set(id, |member| {
                member.about = match value {
                    Some(Value::Member(about)) => Some(about),
                    _ => None,
                };
            }),
            Of::Target(id) => image.set(id, |member| {
                member.target = match value {
                    Some(Value::Target(target)) => target,
                    _ => Partitions::default(),
                };
            }),
            Of::Current(id) => image.set(id, |member| {
                member.standing = match value {
                    Some(Value::Current(standing)) => standing,
                    _ => Standing::default(),
                };
            }),
            of @ (Of::Offset { .. } | Of::Pending { .. }) => {
                image.offsets.replay(&of, value.as_ref());
            }
        }
        if image.is_nothing() {
            self.groups.remove(&record.key.group);
        }
    }

    /// The newest date of all that is read. What is dated later than now says
    /// nothing.
    pub(super) fn newest(&self, now: Millis) -> Option<Millis> {
        let dates = self.groups.values().flat_map(GroupImage::dates);
        dates.filter(|&at| at <= now).max()
    }

    /// A marker at this place among the records.
    pub(super) fn end(&mut self, end: &EndTransaction) {
        let Some(names) = self.producers.remove(&end.producer) else {
            return;
        };
        for name in names {
            let Some(image) = self.groups.get_mut(&name) else {
                continue;
            };
            for (topic, partition) in image.offsets.replay_end(end) {
                let ended = (name.clone(), topic, partition, end.producer);
                self.unsaid.insert(ended);
            }
            // Of a later epoch than the marker's.
            if image.offsets.producers().any(|it| it == end.producer) {
                self.producers.entry(end.producer).or_default().insert(name);
            }
        }
        // What is left of a group may be nothing; the record that says so is
        // still to be written, and `read_back` lets such groups go.
    }
}

impl GroupImage {
    fn set(&mut self, id: Name, set: impl FnOnce(&mut MemberImage)) {
        let member = self.members.entry(id.clone()).or_default();
        set(member);
        if member.is_nothing() {
            self.members.remove(&id);
        }
    }

    fn dates(&self) -> impl Iterator<Item = Millis> {
        let emptied_at = self.head.as_ref().map(|head| match head {
            Head::Classic(image) => image.emptied_at,
            Head::Consumer(image) => image.emptied_at,
        });
        emptied_at.into_iter().chain(self.offsets.dates())
    }

    fn is_nothing(&self) -> bool {
        self.head.is_none() && self.offsets.is_empty() && self.members.is_empty()
    }
}

impl MemberImage {
    fn is_nothing(&self) -> bool {
        self.about.is_none() && self.target.is_empty() && self.standing == Standing::default()
    }
}
