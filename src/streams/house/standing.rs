//! What the replicated state says of the partitions that a node holds. Pure.

use crate::ids::{NodeId, PartitionId, Zxid};
use crate::state::topics::{Durability, Partition, Topic, Topics};
use crate::streams::partition::Standing;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Those of this node, each with how it stands.
pub fn held(
    topics: &Topics,
    own: NodeId,
) -> impl Iterator<Item = (&Arc<str>, &Topic, PartitionId, Standing)> {
    topics.iter().flat_map(move |(name, topic)| {
        let partitions = topic.partitions.iter().enumerate();
        let held = partitions.filter(move |(_, one)| one.replicas.contains(&own));
        held.map(move |(n, one)| {
            let standing = standing(topics, topic, one);
            (name, topic, PartitionId(n as u32), standing)
        })
    })
}

fn standing(topics: &Topics, topic: &Topic, partition: &Partition) -> Standing {
    let life = |&node: &NodeId| Some((node, topics.brokers().life(node)?.epoch));
    let lives: BTreeMap<NodeId, Zxid> = partition.replicas.iter().filter_map(life).collect();
    Standing {
        leader: partition.leader,
        leader_epoch: partition.leader_epoch,
        partition_epoch: partition.epoch,
        replicas: partition.replicas.clone(),
        counted: partition.standing().collect(),
        in_sync: partition.in_sync.clone(),
        lives,
        floor: partition.floor(topic.floor()),
        needs_majority: topic.settings.durability() == Durability::Synced,
    }
}
