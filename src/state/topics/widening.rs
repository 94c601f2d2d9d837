//! Topics of the brokers' own get the replicas that they could not have when they
//! were made: one made by the first node of a site would else keep all groups and
//! transactions on that node for ever. `apply` decides it, like all that is done
//! for a broker that comes: with the broker that makes it possible, and again with
//! each partition that has caught up. So there is nobody who could forget it, and
//! nothing to be done twice.
//!
//! A partition is widened by an ordinary reassignment: who leads goes on, nobody
//! who is being added counts before all of them are in sync, and
//! ListPartitionReassignments shows it. Topics of others stay as they were made,
//! as in Kafka.

use super::Topics;
use super::brokers::Brokers;
use super::names::is_internal;
use super::partition::Partition;
use super::streams::Streams;
use crate::ids::TopicId;
use crate::limits::INTERNAL_WIDENED_MAX;
use crate::state::placement::{self, Proposal};

/// Replicas of a partition of such a topic, as far as there are as many brokers.
pub const INTERNAL_FACTOR: usize = 3;

impl Streams<'_> {
    /// Begins what there is room for.
    pub(super) fn widen_internal(&mut self) {
        for Proposal {
            topic,
            partition,
            target,
        } in due(self.topics)
        {
            let begun = self.change(&topic, partition, |partition, floor, brokers| {
                partition.reassign(&target, floor, &|node| brokers.is_up(node))
            });
            // Whoever is in sync stays, so that nothing speaks against it. If
            // something did, one replica too few is no reason to end every node.
            debug_assert!(begun.is_ok(), "{topic} {partition}: {begun:?}");
        }
    }

    pub(super) fn is_internal(&self, topic: TopicId) -> bool {
        let found = self.topics.by_id(topic);
        found.is_some_and(|(name, _)| is_internal(name))
    }
}

/// What is to be widened now, first what has the fewest replicas. Placement looks
/// at every partition of the cluster, so it is asked only where something comes
/// of it.
fn due(topics: &Topics) -> Vec<Proposal> {
    let brokers = topics.brokers();
    let internal = || topics.iter().filter(|(name, _)| is_internal(name));
    let all = internal().flat_map(|(_, topic)| &topic.partitions);
    let under_way = all.filter(|one| is_under_way(one, brokers)).count();
    let room = INTERNAL_WIDENED_MAX.saturating_sub(under_way);
    let is_due = |one: &Partition| may_be_widened(one, brokers);
    let mut due = Vec::new();
    for (name, topic) in internal() {
        if room == 0 || !topic.partitions.iter().any(is_due) {
            continue;
        }
        let widened = placement::widen(topics, name, INTERNAL_FACTOR);
        due.extend(widened.into_iter().filter_map(|proposal| {
            let partition = topic.partition(proposal.partition)?;
            let count = partition.replicas.len();
            is_due(partition).then_some((count, proposal))
        }));
    }
    due.sort_by_key(|(count, _)| *count);
    due.truncate(room);
    due.into_iter().map(|(_, proposal)| proposal).collect()
}

/// Somebody who is up is being added and reads what there is. Who is down adds
/// nothing to what a site has to carry, and holds up no other partition.
fn is_under_way(partition: &Partition, brokers: &Brokers) -> bool {
    let mut adding = partition.adding.iter();
    adding.any(|&node| brokers.is_up(node) && !partition.in_sync.contains(&node))
}

/// Somebody is up who does not hold it and should. While it is moved it stays
/// as whoever moves it wants it, and without a leader nobody could read it.
fn may_be_widened(partition: &Partition, brokers: &Brokers) -> bool {
    let is_other = |node| brokers.is_up(node) && !partition.replicas.contains(&node);
    partition.leader.is_some()
        && !partition.is_reassigned()
        && partition.replicas.len() < INTERNAL_FACTOR
        && brokers.iter().any(|(node, _)| is_other(node))
}
