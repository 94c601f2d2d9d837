//! What the replicated state says of the partitions that a node holds. Pure.

use crate::ids::{NodeId, PartitionId, Zxid};
use crate::planted;
use crate::state::topics::{BrokerLife, Durability, Partition, Topic, Topics};
use crate::streams::Key;
use crate::streams::partition::Standing;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The partitions of a topic that this node holds.
pub fn held(topic: &Topic, own: NodeId) -> impl Iterator<Item = (Key, &Partition)> {
    let partitions = topic.partitions.iter().enumerate();
    let held = partitions.filter(move |(_, one)| one.replicas.contains(&own));
    held.map(move |(n, one)| {
        let partition = PartitionId(n as u32);
        let topic = topic.id;
        (Key { topic, partition }, one)
    })
}

/// A topic, before and after a change: one of them at least.
pub type Changed<'a> = (&'a Arc<str>, Option<&'a Topic>, Option<&'a Topic>);

/// Those that differ, by name. Copies of the replicated state share what has not
/// changed, so ten thousand that are the same take as many comparisons of two
/// addresses.
pub fn changed<'a>(before: &'a Topics, after: &'a Topics) -> Vec<Changed<'a>> {
    let (mut old, mut new) = (before.iter().peekable(), after.iter().peekable());
    let mut changed = Vec::new();
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return changed,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((one, _)), Some((other, _))) => one.cmp(other),
        };
        let was = if order.is_le() { old.next() } else { None };
        let is = if order.is_ge() { new.next() } else { None };
        let (was_topic, is_topic) = (was.map(|one| one.1), is.map(|one| one.1));
        let is_same = match (was_topic, is_topic) {
            (Some(one), Some(other)) => std::ptr::eq(one, other),
            _ => false,
        };
        if let Some((name, _)) = is.or(was).filter(|_| !is_same) {
            changed.push((name, was_topic, is_topic));
        }
    }
}

/// How one of them stands. The life is the one in which this process is a broker.
/// Before it has one, what is said of the node is said of what was here before:
/// another disk perhaps, and memory that is gone. Then it leads nothing and is no
/// follower whose word counts, whoever is told to lead.
pub fn standing(
    topics: &Topics,
    topic: &Topic,
    partition: &Partition,
    (own, life): (NodeId, Option<BrokerLife>),
) -> Standing {
    let mut standing = told(topics, topic, partition);
    if life.is_none() && !planted!(LeadsBeforeAlive) {
        standing.leader = standing.leader.filter(|&leader| leader != own);
        standing.lives.remove(&own);
    }
    standing
}

fn told(topics: &Topics, topic: &Topic, partition: &Partition) -> Standing {
    let life = |&node: &NodeId| Some((node, topics.brokers().life(node)?.epoch));
    let is_up = |node| topics.brokers().is_up(node);
    let lives: BTreeMap<NodeId, Zxid> = partition.replicas.iter().filter_map(life).collect();
    // One that has left for good reads no more, though its place is kept.
    let is_known = |node: &&NodeId| topics.brokers().get(**node).is_some();
    let replicas = partition.replicas.iter().filter(is_known);
    Standing {
        leader: partition.leader,
        leader_epoch: partition.leader_epoch,
        partition_epoch: partition.epoch,
        replicas: replicas.copied().collect(),
        counted: partition.standing().collect(),
        in_sync: partition.in_sync.clone(),
        lives,
        floor: partition.floor(topic.floor()),
        needs_majority: topic.settings.durability() == Durability::Synced,
        hands_on: partition.is_to_be_handed_on(topic.floor(), &is_up),
    }
}
