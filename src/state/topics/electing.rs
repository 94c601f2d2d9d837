//! Who leads and who is in sync, as leaders and people ask for it.

use super::command::{
    BrokerLife, Election, InSyncChange, Reassignment, Stand, StreamsOutcome, StreamsRefused,
};
use super::creating::check_replicas;
use super::nodes::{self, PRODUCER_IDS, ProducerIdsRecord};
use super::partition::Partition;
use super::streams::{Streams, check_named};
use crate::ids::{NodeId, PartitionId, TopicId};
use crate::limits::PRODUCER_IDS_PER_BLOCK;
use crate::planted;
use std::sync::Arc;

impl Streams<'_> {
    pub(super) fn change_in_sync(
        &mut self,
        leader: BrokerLife,
        changes: &[InSyncChange],
    ) -> Result<StreamsOutcome, StreamsRefused> {
        self.check_alive(leader)?;
        check_named(changes.len())?;
        let each = changes.iter();
        let each = each.map(|change| self.change_one_in_sync(leader.node, change));
        let each: Vec<_> = each.collect();
        let mut taken = changes.iter().zip(&each).filter(|(_, one)| one.is_ok());
        if taken.any(|(change, _)| self.is_internal(change.topic)) {
            self.widen_internal();
        }
        Ok(StreamsOutcome::Each(each))
    }

    fn change_one_in_sync(
        &mut self,
        leader: NodeId,
        change: &InSyncChange,
    ) -> Result<Stand, StreamsRefused> {
        let name = self.name_of(change.topic)?;
        let in_sync: Vec<_> = change.in_sync.iter().map(|life| life.node).collect();
        self.change(&name, change.partition, |partition, floor, brokers| {
            check_epochs(partition, leader, change)?;
            let is_fit = |node| {
                let mut lives = change.in_sync.iter();
                lives.any(|&life| life.node == node && brokers.is_alive(life))
            };
            partition.change_in_sync(&in_sync, floor, &is_fit)?;
            partition.complete(floor, &|node| brokers.is_up(node));
            Ok(())
        })
    }

    pub(super) fn elect(
        &mut self,
        election: Election,
        partitions: Option<&[(Box<str>, PartitionId)]>,
    ) -> Result<StreamsOutcome, StreamsRefused> {
        let Some(named) = partitions else {
            let all = self.all(|_| true);
            let each = all.into_iter().map(|(name, partition)| {
                let elected = self.elect_one(election, &name, partition);
                (name, partition, elected)
            });
            let mut each: Vec<_> = each.collect();
            each.retain(|(_, _, elected)| *elected != Err(StreamsRefused::ElectionNotNeeded));
            return Ok(StreamsOutcome::All(each));
        };
        check_named(named.len())?;
        let named = named.iter();
        let each = named.map(|(name, partition)| self.elect_one(election, name, *partition));
        Ok(StreamsOutcome::Each(each.collect()))
    }

    fn elect_one(
        &mut self,
        election: Election,
        name: &str,
        partition: PartitionId,
    ) -> Result<Stand, StreamsRefused> {
        self.change(name, partition, |partition, floor, brokers| {
            let is_up = |node| brokers.is_up(node);
            match election {
                Election::Preferred => partition.elect_preferred(&is_up)?,
                Election::Unclean => partition.elect_unclean(&is_up)?,
            }
            partition.complete(floor, &is_up);
            Ok(())
        })
    }

    pub(super) fn hand_on(
        &mut self,
        leader: BrokerLife,
        partitions: Option<&[(TopicId, PartitionId)]>,
    ) -> Result<StreamsOutcome, StreamsRefused> {
        self.check_alive(leader)?;
        let Some(named) = partitions else {
            let led = self.all(|partition| partition.leader == Some(leader.node));
            let each = led.into_iter().map(|(name, partition)| {
                let handed = self.hand_one_on(leader.node, &name, partition);
                (name, partition, handed)
            });
            return Ok(StreamsOutcome::All(each.collect()));
        };
        check_named(named.len())?;
        let named = named.iter();
        let each = named.map(|&(topic, partition)| {
            let name = self.name_of(topic)?;
            self.hand_one_on(leader.node, &name, partition)
        });
        Ok(StreamsOutcome::Each(each.collect()))
    }

    fn hand_one_on(
        &mut self,
        leader: NodeId,
        name: &str,
        partition: PartitionId,
    ) -> Result<Stand, StreamsRefused> {
        self.change(name, partition, |partition, floor, brokers| {
            if partition.leader != Some(leader) {
                return Err(StreamsRefused::NotLeader);
            }
            let is_up = |node| brokers.is_up(node);
            partition.hand_on(&is_up)?;
            partition.complete(floor, &is_up);
            Ok(())
        })
    }

    pub(super) fn reassign(
        &mut self,
        moves: &[Reassignment],
    ) -> Result<StreamsOutcome, StreamsRefused> {
        check_named(moves.len())?;
        let each = moves.iter().map(|one| {
            self.change(&one.topic, one.partition, |partition, floor, brokers| {
                let is_up = |node| brokers.is_up(node);
                match &one.target {
                    Some(target) => {
                        check_replicas(target, brokers)?;
                        partition.reassign(target, floor, &is_up)
                    }
                    None => partition.cancel(&is_up),
                }
            })
        });
        Ok(StreamsOutcome::Each(each.collect()))
    }

    pub(super) fn draw_producer_ids(
        &mut self,
        broker: BrokerLife,
    ) -> Result<StreamsOutcome, StreamsRefused> {
        self.check_alive(broker)?;
        let first = self.topics.next_producer_id;
        // Clients see a signed number.
        let next = first.saturating_add(PRODUCER_IDS_PER_BLOCK);
        if next > i64::MAX as u64 {
            return Err(StreamsRefused::NoProducerIds);
        }
        self.lay_out();
        let record = ProducerIdsRecord::of(broker.node, first, next - 1);
        self.put(PRODUCER_IDS, nodes::bytes(&record));
        self.topics_mut().next_producer_id = next;
        let count = PRODUCER_IDS_PER_BLOCK;
        Ok(StreamsOutcome::ProducerIds { first, count })
    }

    fn check_alive(&self, life: BrokerLife) -> Result<(), StreamsRefused> {
        match self.topics.brokers().is_alive(life) {
            true => Ok(()),
            false => Err(StreamsRefused::StaleBroker { node: life.node }),
        }
    }

    fn name_of(&self, topic: TopicId) -> Result<Arc<str>, StreamsRefused> {
        let found = self.topics.by_id(topic);
        let (name, _) = found.ok_or(StreamsRefused::UnknownTopicId)?;
        Ok(name.clone())
    }

    fn all(&self, wanted: impl Fn(&Partition) -> bool) -> Vec<(Arc<str>, PartitionId)> {
        let mut all = Vec::new();
        for (name, topic) in self.topics.iter() {
            let numbered = (0..).zip(&topic.partitions);
            let some = numbered.filter(|(_, partition)| wanted(partition));
            all.extend(some.map(|(n, _)| (name.clone(), PartitionId(n))));
        }
        all
    }
}

/// As KIP-497 has it checked: whoever asks leads the partition, and knows how it
/// stands.
fn check_epochs(
    partition: &Partition,
    leader: NodeId,
    change: &InSyncChange,
) -> Result<(), StreamsRefused> {
    let (leader_epoch, epoch) = (partition.leader_epoch, partition.epoch);
    if change.leader_epoch > leader_epoch || change.partition_epoch > epoch {
        return Err(StreamsRefused::Ahead);
    }
    if change.leader_epoch < leader_epoch && !planted!(FencedLeaderHeard) {
        let current = leader_epoch;
        return Err(StreamsRefused::FencedLeaderEpoch { current });
    }
    if partition.leader != Some(leader) {
        return Err(StreamsRefused::NotLeader);
    }
    if change.partition_epoch < epoch {
        let current = epoch;
        return Err(StreamsRefused::StalePartitionEpoch { current });
    }
    Ok(())
}
