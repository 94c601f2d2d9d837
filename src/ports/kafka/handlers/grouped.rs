//! Partitions by their topics, as answers have them.

use crate::ids::PartitionId;
use crate::limits::PARTITIONS_NAMED_MAX;
use crate::ports::kafka::errors::Refusal;
use crate::ports::kafka::messages::Text;
use crate::state::topics::{StreamsOutcome, Topic};
use std::collections::BTreeMap;

use super::proposing::unexpected;

/// What is said of the partitions of a topic.
pub struct Grouped<T> {
    pub name: Text,
    pub partitions: Vec<T>,
}

/// Topics in the order in which they come first.
pub fn group<T>(each: impl Iterator<Item = (Text, T)>) -> Vec<Grouped<T>> {
    let mut places = BTreeMap::new();
    let mut topics: Vec<Grouped<T>> = Vec::new();
    for (name, partition) in each {
        let place = *places.entry(name.clone()).or_insert(topics.len());
        if place == topics.len() {
            let partitions = Vec::new();
            topics.push(Grouped { name, partitions });
        }
        topics[place].partitions.push(partition);
    }
    topics
}

/// Topics with what a request says of their partitions, those of one name together.
/// No name is copied or compared for a partition: it may be much longer than what
/// the partition takes in the frame.
pub fn merged<T>(topics: impl Iterator<Item = (Text, Vec<T>)>) -> Vec<Grouped<T>> {
    let mut places = BTreeMap::new();
    let mut merged: Vec<Grouped<T>> = Vec::new();
    for (name, partitions) in topics {
        let place = *places.entry(name.clone()).or_insert(merged.len());
        match merged.get_mut(place) {
            Some(before) => before.partitions.extend(partitions),
            None => merged.push(Grouped { name, partitions }),
        }
    }
    merged
}

/// A partition that is there, by its number.
pub fn partition_in(topic: &Topic, number: i32) -> Option<PartitionId> {
    let partition = u32::try_from(number).ok().map(PartitionId)?;
    topic.partition(partition)?;
    Some(partition)
}

/// Of partitions that were named in commands of `PARTITIONS_NAMED_MAX` each, why
/// nothing came of each of them.
pub fn each_of(
    outcomes: Vec<Result<StreamsOutcome, Refusal>>,
    named: usize,
) -> Vec<Option<Refusal>> {
    let mut each = Vec::with_capacity(named);
    for outcome in outcomes {
        let count = PARTITIONS_NAMED_MAX.min(named - each.len());
        match outcome {
            Ok(StreamsOutcome::Each(some)) if some.len() == count => {
                each.extend(some.into_iter().map(|one| one.err().map(Refusal::from)));
            }
            Ok(_) => each.extend(vec![Some(unexpected()); count]),
            Err(refusal) => each.extend(vec![Some(refusal); count]),
        }
    }
    each
}
