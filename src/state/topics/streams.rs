//! One transaction on brokers and topics: the index and the nodes of the tree
//! change together, and what watchers may see of it is told.

use super::brokers::Brokers;
use super::command::{Stand, StreamsCommand, StreamsOutcome, StreamsRefused};
use super::nodes::{self, FOLDERS, SettingsRecord, StateRecord, StreamsNode, TopicRecord};
use super::partition::{Floor, Partition};
use super::settings::TopicSettings;
use super::{Topic, Topics, read_settings};
use crate::ids::{PartitionId, Term, TopicId};
use crate::limits::PARTITIONS_NAMED_MAX;
use crate::planted;
use crate::state::access;
use crate::state::acl::{Acl, Permissions};
use crate::state::error::Error;
use crate::state::members::Members;
use crate::state::node::{Owner, Slot, next_version};
use crate::state::paths;
use crate::state::tree::Tree;
use crate::state::writes::Writes;
use std::collections::BTreeSet;
use std::sync::Arc;

pub(in crate::state) struct Streams<'a> {
    pub writes: Writes<'a>,
    /// Others may hold it as it was: who reads it to learn whether something is
    /// to be changed leaves it as it is, so that only what has changed is shown.
    pub topics: &'a mut Arc<Topics>,
    pub members: &'a Members,
    pub term: Term,
    /// Topics of which others hold partitions now. Their nodes, which say so of
    /// all their partitions, are written once, when the command is through.
    pub moved: BTreeSet<Arc<str>>,
}

/// Whether a client, whom the access list allows it, may write so under
/// /dolmen/streams: the settings of a topic that is there, and nothing else.
pub(in crate::state) fn check_write(tree: &Tree, path: &str, data: &[u8]) -> Result<(), Error> {
    let is_settings = matches!(StreamsNode::of(path), Some(StreamsNode::Settings(_)));
    if !is_settings || tree.find(path).is_none() {
        return Err(Error::BadArguments);
    }
    let record = nodes::read::<SettingsRecord>(data);
    let record = record.filter(|record| record.version == SettingsRecord::VERSION);
    let given: Vec<_> = record
        .ok_or(Error::BadArguments)?
        .config
        .into_iter()
        .collect();
    match TopicSettings::of(&given) {
        Ok(_) => Ok(()),
        Err(_) => Err(Error::BadArguments),
    }
}

impl Streams<'_> {
    pub fn run(&mut self, command: &StreamsCommand) -> StreamsOutcome {
        let outcome = match command {
            StreamsCommand::Announce(announce) => self.announce(announce),
            StreamsCommand::CreateTopic(create) => self.create(create),
            StreamsCommand::DeleteTopic { topic } => self.delete(topic),
            StreamsCommand::AddPartitions(add) => self.add_partitions(add),
            StreamsCommand::AlterSettings(alter) => self.alter(alter),
            StreamsCommand::AlterOverrides(alter) => self.alter_overrides(alter),
            StreamsCommand::ChangeInSync { leader, changes } => {
                self.change_in_sync(*leader, changes)
            }
            StreamsCommand::Elect {
                election,
                partitions,
            } => self.elect(*election, partitions.as_deref()),
            StreamsCommand::HandOn { leader, partitions } => {
                self.hand_on(*leader, partitions.as_deref())
            }
            StreamsCommand::Reassign { moves } => self.reassign(moves),
            StreamsCommand::DrawProducerIds { broker } => self.draw_producer_ids(*broker),
            StreamsCommand::Access(command) => {
                Ok(StreamsOutcome::Access(self.change_access(command)))
            }
        };
        self.write_moved();
        outcome.unwrap_or_else(StreamsOutcome::Refused)
    }

    /// To change them.
    pub(super) fn topics_mut(&mut self) -> &mut Topics {
        Arc::make_mut(self.topics)
    }

    fn write_moved(&mut self) {
        for name in std::mem::take(&mut self.moved) {
            if let Some(topic) = self.topics.get(&name) {
                write_holders(&mut self.writes, &name, topic);
            }
        }
    }

    /// The folders, which are there from the first command on.
    pub(super) fn lay_out(&mut self) {
        for path in FOLDERS {
            if self.writes.tree.find(path).is_none() {
                self.add(path, Vec::new());
            }
        }
    }

    /// A node that all may read.
    pub(super) fn add(&mut self, path: &str, data: Vec<u8>) {
        self.add_of(path, data, Owner::NOBODY);
    }

    pub(super) fn add_of(&mut self, path: &str, data: Vec<u8>, owner: Owner) {
        self.add_for(path, data, &access::anyone(Permissions::READ), owner);
    }

    /// A node for those on its list.
    pub(super) fn add_for(&mut self, path: &str, data: Vec<u8>, acl: &Acl, owner: Owner) {
        let (above, _) = paths::split(path).expect("our own paths have a slash");
        let parent = self.writes.tree.find(above);
        let parent = parent.expect("parents are made first, and nobody removes them");
        self.writes.add(parent, path, data.into(), acl, owner);
    }

    pub(super) fn remove(&mut self, path: &str) {
        if let Some(slot) = self.writes.tree.find(path) {
            self.writes.remove(slot, path);
        }
    }

    /// What stands there is replaced; what does not is made.
    pub(super) fn put(&mut self, path: &str, data: Vec<u8>) {
        match self.writes.tree.find(path) {
            Some(slot) => drop(replace(&mut self.writes, slot, path, data)),
            None => self.add(path, data),
        }
    }

    /// Changes one partition, if the change is not refused.
    pub(super) fn change(
        &mut self,
        name: &str,
        partition: PartitionId,
        change: impl FnOnce(&mut Partition, Floor, &Brokers) -> Result<(), StreamsRefused>,
    ) -> Result<Stand, StreamsRefused> {
        let Topics {
            by_name, brokers, ..
        } = &**self.topics;
        let found = by_name.get_key_value(name);
        let (name, topic) = found.ok_or(StreamsRefused::UnknownTopic)?;
        let before = topic.partition(partition);
        let before = before.ok_or(StreamsRefused::UnknownPartition)?;
        let mut now = before.clone();
        change(&mut now, topic.floor(), brokers)?;
        if now == *before {
            return Ok(stand(before));
        }
        let (name, writes) = (name.clone(), &mut self.writes);
        if write(writes, self.term, &name, partition, before, &mut now) {
            self.moved.insert(name.clone());
        }
        let stands = stand(&now);
        let topic = self.topics_mut().get_mut(&name).expect("it was found");
        topic.partitions[partition.0 as usize] = now;
        Ok(stands)
    }

    /// Changes whatever partitions it changes. The time that it takes is that
    /// of a look at each, and of writing down those that have changed.
    pub(super) fn change_all(&mut self, mut change: impl FnMut(At<'_>, &mut Partition, &Brokers)) {
        let Topics {
            by_name, brokers, ..
        } = Arc::make_mut(self.topics);
        for (name, topic) in by_name {
            let floor = topic.floor();
            let mut moved = false;
            for place in 0..topic.partitions.len() {
                let (before, partition) = (&topic.partitions[place], PartitionId(place as u32));
                let mut now = before.clone();
                let at = At {
                    topic: topic.id,
                    partition,
                    floor,
                    settings: &topic.settings,
                };
                change(at, &mut now, brokers);
                if now == *before {
                    continue;
                }
                let (writes, term) = (&mut self.writes, self.term);
                moved |= write(writes, term, name, partition, before, &mut now);
                Arc::make_mut(topic).partitions[place] = now;
            }
            if moved {
                write_holders(&mut self.writes, name, topic);
            }
        }
    }

    /// A client has written a topic's settings. They hold from now on.
    pub fn heed_settings(&mut self, name: &str) {
        if planted!(SettingsNotHeeded) {
            return;
        }
        let settings = read_settings(self.writes.tree, name);
        let topic = self.topics.get(name);
        if topic.is_some_and(|topic| topic.settings != settings) {
            self.set_settings(name, settings);
            self.revive(name);
            self.write_moved();
        }
    }

    pub(super) fn set_settings(&mut self, name: &str, settings: TopicSettings) {
        if let Some(topic) = self.topics_mut().get_mut(name) {
            topic.settings = settings;
        }
    }

    /// Where nobody leads and the settings now allow that anybody does.
    pub(super) fn revive(&mut self, name: &str) {
        let topic = self.topics.get(name);
        let topic = topic.filter(|topic| topic.settings.may_elect_uncleanly());
        let count = topic.map_or(0, |topic| topic.partitions.len() as u32);
        for n in 0..count {
            let revived = self.change(name, PartitionId(n), |partition, _, brokers| {
                partition.revive(&|node| brokers.is_up(node), true);
                Ok(())
            });
            revived.expect("nothing refuses it");
        }
    }
}

/// Which partition it is, and what holds for it.
pub(super) struct At<'a> {
    pub topic: TopicId,
    pub partition: PartitionId,
    pub floor: Floor,
    pub settings: &'a TopicSettings,
}

pub(super) fn stand(partition: &Partition) -> Stand {
    Stand {
        leader: partition.leader,
        leader_epoch: partition.leader_epoch,
        partition_epoch: partition.epoch,
        in_sync: partition.in_sync.clone(),
    }
}

pub(super) fn check_named(named: usize) -> Result<(), StreamsRefused> {
    match named > PARTITIONS_NAMED_MAX {
        true => Err(StreamsRefused::NamedMax { named }),
        false => Ok(()),
    }
}

/// Gives the new version.
fn replace(writes: &mut Writes, slot: Slot, path: &str, data: Vec<u8>) -> i32 {
    let version = next_version(writes.tree.node(slot).version);
    writes.replace(slot, path, data.into(), version);
    version
}

/// Writes down how it stands with a partition that has changed. Whether others
/// hold it now, which is for the topic's node to say.
fn write(
    writes: &mut Writes,
    term: Term,
    name: &str,
    partition: PartitionId,
    before: &Partition,
    now: &mut Partition,
) -> bool {
    let path = StreamsNode::Partition(name, partition).path();
    let slot = writes.tree.find(&path);
    let slot = slot.expect("each partition of the index has its node");
    now.note_holders(before);
    let data = nodes::bytes(&StateRecord::of(term.0, now));
    let version = replace(writes, slot, &path, data);
    if planted!(PartitionEpochKept) {
        writes.tree.change(slot, |node| node.version = before.epoch);
    } else {
        now.epoch = version;
    }
    let holders = |partition: &Partition| {
        let Partition {
            replicas,
            adding,
            removing,
            ..
        } = partition.clone();
        (replicas, adding, removing)
    };
    holders(now) != holders(before)
}

fn write_holders(writes: &mut Writes, name: &str, topic: &Topic) {
    let path = StreamsNode::Topic(name).path();
    let slot = writes.tree.find(&path);
    let slot = slot.expect("each topic of the index has its node");
    let data = nodes::bytes(&TopicRecord::of(topic.id, &topic.partitions));
    replace(writes, slot, &path, data);
}
