//! Topics made and deleted, and partitions added.

use super::brokers::Brokers;
use super::command::{
    AddPartitions, AssignmentFault, CreateTopic, Layout, StreamsOutcome, StreamsRefused, TopicKey,
};
use super::nodes::{self, SettingsRecord, StateRecord, StreamsNode, TopicRecord};
use super::partition::Partition;
use super::settings::TopicSettings;
use super::streams::Streams;
use super::{Topic, names};
use crate::ids::{NodeId, PartitionId, TopicId};
use crate::limits::{PARTITIONS_MAX, PARTITIONS_PER_TOPIC_MAX, TOPICS_MAX, TREE_NODES_MAX};
use crate::state::placement::Loads;
use std::sync::Arc;

/// A topic's own nodes, with the folders, beside two for each partition.
const NODES_BESIDE: u64 = 16;

type Replicas = Vec<Vec<NodeId>>;

impl Streams<'_> {
    pub(super) fn create(
        &mut self,
        create: &CreateTopic,
    ) -> Result<StreamsOutcome, StreamsRefused> {
        self.check_new(create)?;
        let settings = TopicSettings::of(&create.settings)?;
        let replicas = self.laid_out(create.id, &create.layout)?;
        let partitions = self.partitions_of(&replicas)?;
        if !create.validates_only {
            let topic = Topic {
                id: create.id,
                partitions,
                settings,
            };
            self.make(&create.name, topic);
        }
        let id = create.id;
        Ok(StreamsOutcome::Created { id, replicas })
    }

    fn check_new(&self, create: &CreateTopic) -> Result<(), StreamsRefused> {
        names::check(&create.name)?;
        if self.topics.get(&create.name).is_some() {
            return Err(StreamsRefused::TopicExists);
        }
        if let Some(other) = self.topics.alike(&create.name) {
            let with = Box::from(&**other);
            return Err(StreamsRefused::Collides { with });
        }
        if create.id.is_reserved() || self.topics.by_id(create.id).is_some() {
            return Err(StreamsRefused::TopicId);
        }
        match self.topics.count() >= TOPICS_MAX {
            true => Err(StreamsRefused::TopicsMax),
            false => Ok(()),
        }
    }

    fn laid_out(&self, id: TopicId, layout: &Layout) -> Result<Replicas, StreamsRefused> {
        let mut loads = Loads::of(self.topics, Some(id));
        match layout {
            Layout::Assigned(assigned) => {
                self.check_count(0, assigned.len())?;
                let factor = assigned.first().map_or(0, Vec::len);
                check_assigned(assigned, factor, self.topics.brokers())?;
                Ok(assigned.clone())
            }
            Layout::Spread { partitions, factor } => {
                let count = partitions.unwrap_or(self.topics.partitions_default());
                self.check_count(0, count as usize)?;
                let factor = self.factor_of(*factor, &loads)?;
                Ok(loads.spread(id, PartitionId(0), count, factor))
            }
        }
    }

    fn factor_of(&self, asked: Option<u16>, loads: &Loads) -> Result<usize, StreamsRefused> {
        let brokers = loads.brokers();
        let default = self.topics.replicas_default();
        let factor = asked.map_or(default.min(brokers), usize::from);
        if factor == 0 || factor > brokers || loads.brokers_up() == 0 {
            let brokers = if loads.brokers_up() == 0 { 0 } else { brokers };
            let asked = asked.unwrap_or(default as u16);
            return Err(StreamsRefused::Factor { asked, brokers });
        }
        Ok(factor)
    }

    /// Whether so many partitions may be added to so many of a topic.
    fn check_count(&self, has: usize, added: usize) -> Result<(), StreamsRefused> {
        if added == 0 {
            return Err(StreamsRefused::NoPartitions);
        }
        let asked = has.saturating_add(added);
        if asked > PARTITIONS_PER_TOPIC_MAX {
            return Err(StreamsRefused::PartitionsPerTopicMax { asked });
        }
        let asked = self.topics.partitions() + added;
        if asked > PARTITIONS_MAX {
            return Err(StreamsRefused::PartitionsMax { asked });
        }
        let needed = NODES_BESIDE + 2 * added as u64;
        match self.writes.tree.count() + needed > TREE_NODES_MAX {
            true => Err(StreamsRefused::NoRoom),
            false => Ok(()),
        }
    }

    fn partitions_of(&self, replicas: &Replicas) -> Result<Vec<Partition>, StreamsRefused> {
        let brokers = self.topics.brokers();
        let is_up = |node| brokers.is_up(node);
        let partition = |nodes: &Vec<NodeId>| Partition::new(nodes.clone(), &is_up);
        let partitions: Option<Vec<_>> = replicas.iter().map(partition).collect();
        partitions.ok_or(StreamsRefused::Assignment(AssignmentFault::NobodyUp))
    }

    fn make(&mut self, name: &str, topic: Topic) {
        self.lay_out();
        let path = StreamsNode::Topic(name).path();
        let record = TopicRecord::of(topic.id, &topic.partitions);
        self.add(&path, nodes::bytes(&record));
        self.add(&format!("{path}/partitions"), Vec::new());
        self.add_states(name, 0, &topic.partitions);
        let record = SettingsRecord::of(&topic.settings);
        let path = StreamsNode::Settings(name).path();
        self.add(&path, nodes::bytes(&record));
        self.topics_mut().insert(Arc::from(name), topic);
    }

    fn add_states(&mut self, name: &str, first: u32, partitions: &[Partition]) {
        for (n, partition) in (first..).zip(partitions) {
            let path = StreamsNode::Partition(name, PartitionId(n)).path();
            let (above, _) = path.rsplit_once('/').expect("our own paths have a slash");
            self.add(above, Vec::new());
            let record = StateRecord::of(self.term.0, partition);
            self.add(&path, nodes::bytes(&record));
        }
    }

    pub(super) fn delete(&mut self, key: &TopicKey) -> Result<StreamsOutcome, StreamsRefused> {
        let (name, _) = self.topics.find(key)?;
        let name = name.clone();
        let topic = self.topics_mut().remove(&name).expect("it was found");
        let path = StreamsNode::Topic(&name).path();
        for n in 0..topic.partitions.len() as u32 {
            let state = StreamsNode::Partition(&name, PartitionId(n)).path();
            self.remove(&state);
            self.remove(&format!("{path}/partitions/{n}"));
        }
        self.remove(&format!("{path}/partitions"));
        self.remove(&path);
        self.remove(&StreamsNode::Settings(&name).path());
        Ok(StreamsOutcome::Deleted { id: topic.id })
    }

    pub(super) fn add_partitions(
        &mut self,
        add: &AddPartitions,
    ) -> Result<StreamsOutcome, StreamsRefused> {
        let (name, topic) = self.topics.find(&add.topic)?;
        let (name, id, has) = (name.clone(), topic.id, topic.partitions.len());
        let factor = topic.partitions[0].target().count();
        let added = (add.count as usize).saturating_sub(has);
        if added == 0 {
            let (has, asked) = (has as u32, add.count);
            return Err(StreamsRefused::NotMorePartitions { has, asked });
        }
        self.check_count(has, added)?;
        let replicas = match &add.assigned {
            Some(assigned) if assigned.len() != added => {
                let assigned = assigned.len();
                return Err(AssignmentFault::Count { assigned, added }.into());
            }
            Some(assigned) => {
                check_assigned(assigned, factor, self.topics.brokers())?;
                assigned.clone()
            }
            None => {
                let mut loads = Loads::of(self.topics, Some(id));
                let factor = self.factor_of(Some(factor as u16), &loads)?;
                loads.spread(id, PartitionId(has as u32), added as u32, factor)
            }
        };
        let partitions = self.partitions_of(&replicas)?;
        if !add.validates_only {
            self.add_states(&name, has as u32, &partitions);
            self.topics_mut().grow(&name, partitions);
            let record = TopicRecord::of(id, &self.topics.by_name[&name].partitions);
            self.put(&StreamsNode::Topic(&name).path(), nodes::bytes(&record));
        }
        Ok(StreamsOutcome::Added { replicas })
    }
}

fn check_assigned(
    assigned: &Replicas,
    factor: usize,
    brokers: &Brokers,
) -> Result<(), AssignmentFault> {
    for replicas in assigned {
        check_replicas(replicas, brokers)?;
        if replicas.len() != factor {
            return Err(AssignmentFault::Uneven {
                replicas: replicas.len(),
                others: factor,
            });
        }
    }
    Ok(())
}

/// Whether these may hold a partition.
pub(super) fn check_replicas(
    replicas: &[NodeId],
    brokers: &Brokers,
) -> Result<(), AssignmentFault> {
    if replicas.is_empty() {
        return Err(AssignmentFault::Empty);
    }
    for (n, &node) in replicas.iter().enumerate() {
        // First, so that what is looked through is never longer than the brokers.
        if brokers.get(node).is_none() {
            return Err(AssignmentFault::NoBroker { node });
        }
        if replicas[..n].contains(&node) {
            return Err(AssignmentFault::Twice { node });
        }
    }
    Ok(())
}
