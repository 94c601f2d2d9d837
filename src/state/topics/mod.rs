//! What the replicated state holds of the event log: brokers, topics, and who
//! leads each partition. Nothing runs beside it: a broker that is lost is the
//! end of a session, and the step of `apply` that ends the session moves what
//! the broker led.
//!
//! The truth is in the tree, as nodes that any client can read and watch
//! (`nodes`). `Topics` is an index of them, from which a door answers; it is
//! read from the tree with a snapshot and kept up by every change (`streams`).

pub mod access;
pub mod brokers;
pub mod command;
pub mod names;
pub mod nodes;
pub mod overrides;
pub mod partition;
pub mod settings;
pub mod table;

mod altering;
mod coming;
mod creating;
mod electing;
mod restoring;
mod streams;
mod widening;

pub use access::{Access, AccessCommand, AccessOutcome, AccessRefused};
pub use brokers::{Broker, Brokers, Up};
pub use command::{
    AddPartitions, AlterOverrides, AlterSettings, Announce, AssignmentFault, BrokerLife,
    CreateTopic, Election, Holder, InSyncChange, Kept, Layout, Listener, Lost, Reassignment,
    Security, SettingsChange, Stand, StreamsCommand, StreamsOutcome, StreamsRefused, TopicKey,
};
pub use names::NameFault;
pub use nodes::StreamsNode;
pub use overrides::Overrides;
pub use partition::{Floor, Partition};
pub use settings::{Alteration, Durability, SettingFault, TimestampType, TopicSettings, Unfit};
pub use table::TopicSetting;
pub use widening::INTERNAL_FACTOR;

pub use restoring::{ABOVE_KEPT, is_kept};

pub(super) use restoring::kept_by_backups;
pub(super) use streams::{Streams, check_write};

use super::node::Slot;
use super::tree::Tree;
use crate::ids::{NodeId, PartitionId, TopicId};
use crate::state::{Setting, Settings as ClusterSettings};
use nodes::{ProducerIdsRecord, SettingsRecord, StateRecord, TopicRecord};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Equal where the nodes that it was read from are. The state hands it to
/// whoever shows it and goes on with a copy, at most one for each step in which
/// something changes: what is behind an `Arc` here is shared by the copies, so
/// that one of 10,000 topics takes 10,000 counts and not their partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topics {
    by_name: BTreeMap<Arc<str>, Arc<Topic>>,
    names: Arc<BTreeMap<TopicId, Arc<str>>>,
    /// By what names have in common that may not stand beside each other.
    alike: Arc<BTreeMap<Box<str>, Arc<str>>>,
    brokers: Brokers,
    /// Of all topics.
    partitions: usize,
    /// The first that was not handed to a broker.
    next_producer_id: u64,
    access: Arc<Access>,
    cluster: ClusterSettings,
    overrides: Overrides,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    pub id: TopicId,
    /// By their number.
    pub partitions: Vec<Partition>,
    pub settings: TopicSettings,
}

impl Topic {
    pub fn partition(&self, partition: PartitionId) -> Option<&Partition> {
        self.partitions.get(partition.0 as usize)
    }

    pub fn floor(&self) -> Floor {
        Floor::of(&self.settings)
    }
}

/// A node under /dolmen/streams that means nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    pub path: Box<str>,
}

impl Topics {
    pub fn get(&self, name: &str) -> Option<&Topic> {
        self.by_name.get(name).map(|topic| &**topic)
    }

    /// With its name as it is held here.
    pub fn named(&self, name: &str) -> Option<(&Arc<str>, &Topic)> {
        let found = self.by_name.get_key_value(name);
        found.map(|(name, topic)| (name, &**topic))
    }

    pub fn by_id(&self, id: TopicId) -> Option<(&Arc<str>, &Topic)> {
        let name = self.names.get(&id)?;
        Some((name, &self.by_name[name]))
    }

    pub fn find(&self, key: &TopicKey) -> Result<(&Arc<str>, &Topic), StreamsRefused> {
        match key {
            TopicKey::Name(name) => self.named(name).ok_or(StreamsRefused::UnknownTopic),
            TopicKey::Id(id) => self.by_id(*id).ok_or(StreamsRefused::UnknownTopicId),
        }
    }

    /// By name.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Topic)> {
        self.by_name.iter().map(|(name, topic)| (name, &**topic))
    }

    pub fn count(&self) -> usize {
        self.by_name.len()
    }

    /// Of all topics.
    pub fn partitions(&self) -> usize {
        self.partitions
    }

    pub fn brokers(&self) -> &Brokers {
        &self.brokers
    }

    /// What holds for all of them, from the nodes under /dolmen/config.
    pub fn cluster(&self) -> &ClusterSettings {
        &self.cluster
    }

    /// Partitions of a topic that is made without saying how many.
    pub fn partitions_default(&self) -> u32 {
        self.cluster.get(Setting::PartitionsDefault) as u32
    }

    /// Replicas likewise, as far as there are as many brokers.
    pub fn replicas_default(&self) -> usize {
        self.cluster.get(Setting::ReplicasDefault) as usize
    }

    pub fn makes_what_is_asked_for(&self) -> bool {
        self.cluster.get(Setting::AutoCreateTopics) != 0
    }

    pub(super) fn set_cluster(&mut self, settings: ClusterSettings) {
        self.cluster = settings;
    }

    /// Who may do what.
    pub fn access(&self) -> &Arc<Access> {
        &self.access
    }

    /// Another topic that would be taken for one of this name in metrics.
    pub fn alike(&self, name: &str) -> Option<&Arc<str>> {
        self.alike.get(&names::alike(name))
    }

    /// How many partitions would have nobody to lead them if this broker were
    /// removed, and a topic among them: while it is up those that it alone could
    /// lead now, and while it is down those that nobody but it was in sync with.
    /// It is for who removes it to ask before; `apply` does not, for a cluster of
    /// which one node is left must be able to go on without the others.
    pub fn only_copies(&self, node: NodeId) -> Option<(usize, Arc<str>)> {
        let is_up = self.brokers.is_up(node);
        let is_alone = |partition: &&Partition| {
            let mut others = partition.in_sync.iter().filter(|other| **other != node);
            let has_other = match is_up {
                true => others.any(|other| self.brokers.is_up(*other)),
                false => others.next().is_some(),
            };
            partition.in_sync.contains(&node) && !has_other && !partition.is_lost
        };
        let (mut count, mut of) = (0, None);
        for (name, topic) in self.iter() {
            let own = topic.partitions.iter().filter(is_alone).count();
            if own > 0 {
                of = Some(name.clone());
                count += own;
            }
        }
        of.map(|of| (count, of))
    }

    /// From the nodes of a tree.
    pub(super) fn read(tree: &Tree) -> Result<Self, Unread> {
        let mut topics = Self {
            brokers: Brokers::read(tree)?,
            access: Arc::new(Access::read(tree)?),
            cluster: ClusterSettings::read(tree),
            overrides: Overrides::read(tree)?,
            ..Self::default()
        };
        for (name, slot) in children(tree, nodes::TOPICS) {
            let topic =
                read_topic(tree, name, slot).ok_or_else(|| unread(StreamsNode::Topic(name)))?;
            topics.insert(name.clone(), topic);
        }
        if let Some(slot) = tree.find(nodes::PRODUCER_IDS) {
            let record = nodes::read::<ProducerIdsRecord>(&tree.node(slot).data);
            let next = record.and_then(|record| record.next());
            topics.next_producer_id = next.ok_or_else(|| unread(StreamsNode::ProducerIds))?;
        }
        Ok(topics)
    }

    fn insert(&mut self, name: Arc<str>, topic: Topic) {
        self.partitions += topic.partitions.len();
        Arc::make_mut(&mut self.names).insert(topic.id, name.clone());
        Arc::make_mut(&mut self.alike).insert(names::alike(&name), name.clone());
        self.by_name.insert(name, Arc::new(topic));
    }

    /// For who changes it.
    fn get_mut(&mut self, name: &str) -> Option<&mut Topic> {
        self.by_name.get_mut(name).map(Arc::make_mut)
    }

    fn grow(&mut self, name: &str, more: Vec<Partition>) {
        if let Some(topic) = self.by_name.get_mut(name).map(Arc::make_mut) {
            self.partitions += more.len();
            topic.partitions.extend(more);
        }
    }

    fn remove(&mut self, name: &str) -> Option<Arc<Topic>> {
        let topic = self.by_name.remove(name)?;
        self.partitions -= topic.partitions.len();
        Arc::make_mut(&mut self.names).remove(&topic.id);
        Arc::make_mut(&mut self.alike).remove(&names::alike(name));
        Some(topic)
    }
}

fn unread(node: StreamsNode) -> Unread {
    let path = node.path().into();
    Unread { path }
}

fn children<'a>(tree: &'a Tree, path: &str) -> impl Iterator<Item = (&'a Arc<str>, Slot)> {
    let children = tree.find(path).map(|slot| tree.children(slot));
    children
        .into_iter()
        .flatten()
        .map(|(name, &slot)| (name, slot))
}

fn read_topic(tree: &Tree, name: &str, slot: Slot) -> Option<Topic> {
    let record: TopicRecord = nodes::read(&tree.node(slot).data)?;
    let folder = tree.child(slot, "partitions")?;
    let partition = |n: u32| {
        let place = tree.child(folder, &n.to_string())?;
        let node = tree.node(tree.child(place, "state")?);
        let holders = record.holders(PartitionId(n))?;
        let state = nodes::read::<StateRecord>(&node.data)?;
        let partition = state.read(node.version, holders);
        partition.is_sound().then_some(partition)
    };
    let count = record.partitions() as u32;
    if count == 0 {
        return None;
    }
    Some(Topic {
        id: record.id()?,
        partitions: (0..count).map(partition).collect::<Option<_>>()?,
        settings: read_settings(tree, name),
    })
}

/// Whatever of it is known to this build; where it means nothing, the defaults.
fn read_settings(tree: &Tree, name: &str) -> TopicSettings {
    let slot = tree.find(&StreamsNode::Settings(name).path());
    let data = slot.map(|slot| &tree.node(slot).data);
    let record = data.and_then(|data| nodes::read::<SettingsRecord>(data));
    TopicSettings::known_of(&record.unwrap_or_default().config)
}
