//! What a new coordinator reads before it serves: the newest record of each
//! key, by group.

use super::Name;
use super::offsets::Offsets;
use super::partitions::Partitions;
use super::record::{About, ClassicImage, ConsumerImage, Of, Record, Standing, Value};
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub groups: BTreeMap<Name, GroupImage>,
}

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
}

impl GroupImage {
    fn set(&mut self, id: Name, set: impl FnOnce(&mut MemberImage)) {
        let member = self.members.entry(id.clone()).or_default();
        set(member);
        if member.is_nothing() {
            self.members.remove(&id);
        }
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
