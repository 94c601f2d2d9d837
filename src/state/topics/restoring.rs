//! What a backup keeps of the event log, and how it comes back. A backup has no
//! records, so that a topic comes back empty, as another topic: with as many
//! partitions, as many replicas as there are brokers for, and its settings, but
//! with an id and epochs of its own, placed on the brokers that are there. A
//! topic that is there already stays as it is, with all that is in it: nothing
//! that a restore does deletes records, also where it discards znodes. Users, rules
//! of access, quotas and what brokers and groups are given come back beside those
//! that are there.

use super::command::{CreateTopic, Layout};
use super::nodes::{
    self, ACCESS, BROKER_SETTINGS, BROKERS, CONFIG, GROUP_SETTINGS, SettingsRecord, StreamsNode,
    TOPIC_SETTINGS, TOPICS, TopicRecord,
};
use super::settings::TopicSettings;
use super::streams::Streams;
use crate::ids::{TopicId, Zxid};
use crate::state::command::ImportedNode;
use crate::state::digest::{Hash, Part};
use crate::state::node::Slot;
use crate::state::paths::{self, STREAMS};
use crate::state::tree::Tree;

/// Folders that only lead to what a backup keeps.
pub const ABOVE_KEPT: [&str; 6] = [STREAMS, BROKERS, TOPICS, CONFIG, TOPIC_SETTINGS, ACCESS];

/// Whether a node is one by which a topic, who may do what, or what brokers and
/// groups are given comes back.
pub fn is_kept(path: &str) -> bool {
    let node = StreamsNode::of(path);
    matches!(
        node,
        Some(
            StreamsNode::Topic(_)
                | StreamsNode::Settings(_)
                | StreamsNode::BrokerSettings
                | StreamsNode::GroupSettings
                | StreamsNode::Access(_)
        )
    )
}

/// The nodes that a backup keeps, with those above them.
pub(in crate::state) fn kept_by_backups(tree: &Tree) -> impl Iterator<Item = Slot> {
    let single = ABOVE_KEPT.iter().chain(&[BROKER_SETTINGS, GROUP_SETTINGS]);
    let single = single.filter_map(|path| tree.find(path));
    let kept = [TOPICS, TOPIC_SETTINGS, ACCESS].into_iter();
    let kept = kept.filter_map(|path| tree.find(path));
    single.chain(kept.flat_map(|folder| tree.children(folder).values().copied()))
}

impl Streams<'_> {
    /// A node of a backup. What this build cannot read, or there is no room or
    /// no broker for, is passed over, as settings are that it does not know.
    pub fn restore(&mut self, node: &ImportedNode) {
        match StreamsNode::of(&node.path) {
            Some(StreamsNode::Topic(name)) => self.restore_topic(name, &node.data),
            Some(StreamsNode::Settings(name)) => self.restore_settings(name, &node.data),
            Some(StreamsNode::BrokerSettings) => self.restore_broker_settings(&node.data),
            Some(StreamsNode::GroupSettings) => self.restore_group_settings(&node.data),
            Some(StreamsNode::Access(shelf)) => self.restore_access(shelf, &node.data),
            _ => {}
        }
    }

    fn restore_topic(&mut self, name: &str, data: &[u8]) {
        let record = nodes::read::<TopicRecord>(data);
        let read = record.and_then(|record| Some((record.id()?, record)));
        let (Some((id, record)), None) = (read, self.topics.get(name)) else {
            return;
        };
        let factor = record.factor().min(self.topics.brokers().count());
        let create = CreateTopic {
            name: name.into(),
            id: another(id, self.writes.zxid),
            layout: Layout::Spread {
                partitions: u32::try_from(record.partitions()).ok(),
                factor: u16::try_from(factor).ok(),
            },
            settings: Vec::new(),
            validates_only: false,
        };
        // A refusal is what is said above.
        let _ = self.create(&create);
    }

    /// Of a topic that has come back in this restore.
    fn restore_settings(&mut self, name: &str, data: &[u8]) {
        let came = self.created(&StreamsNode::Topic(name).path());
        let began = self.writes.tree.find(paths::DOLMEN_RESTORE);
        let began = began.map(|slot| self.writes.tree.node(slot).modified_zxid);
        if came.is_none() || came <= began {
            return;
        }
        let record = nodes::read::<SettingsRecord>(data).unwrap_or_default();
        let settings = TopicSettings::known_of(&record.config);
        let topic = self.topics.get(name);
        if topic.is_some_and(|topic| topic.settings != settings) {
            self.put_settings(name, settings);
        }
    }

    fn created(&self, path: &str) -> Option<Zxid> {
        let slot = self.writes.tree.find(path)?;
        Some(self.writes.tree.node(slot).created_zxid)
    }
}

/// An id that no other topic ever had: drawn from the one that the topic had,
/// which was drawn by chance, and from the transaction in which it comes back.
fn another(id: TopicId, zxid: Zxid) -> TopicId {
    let half = |half: u64| {
        let hash = Hash::of(Part::TopicId).word(half).word(zxid.0);
        hash.bytes(&id.0).value()
    };
    TopicId((u128::from(half(0)) << 64 | u128::from(half(1))).to_be_bytes())
}
