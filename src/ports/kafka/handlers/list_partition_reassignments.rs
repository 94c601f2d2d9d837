//! The moves of partitions that are under way.

use super::reached::{numbers, text};
use super::{Call, Handle};
use crate::ids::PartitionId;
use crate::ports::kafka::access::{Operation, Resource};
use crate::ports::kafka::errors::Refusal;
use crate::ports::kafka::messages::list_partition_reassignments::{
    ListPartitionReassignments, ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse, ListPartitionReassignmentsTopics,
    OngoingPartitionReassignment, OngoingTopicReassignment,
};
use crate::ports::kafka::messages::{ErrorCode, Text};
use crate::state::topics::{Partition, Topic};
use std::collections::{BTreeMap, BTreeSet};

type Request = ListPartitionReassignmentsRequest;
type Response = ListPartitionReassignmentsResponse;

impl Handle for ListPartitionReassignments {
    const MAY_BE_LARGE: bool = true;

    /// From memory, so that whatever time the request allows suffices.
    async fn run(call: Call, request: Request) -> Option<Response> {
        let mut response = Response::default();
        if !call.may(Operation::Describe, Resource::Cluster) {
            let refusal = ErrorCode::ClusterAuthorizationFailed.into();
            (response.error_code, response.error_message) = Refusal::said(Some(refusal));
            return Some(response);
        }
        let topics = call.door.site.topics();
        let moving = |name: Text, topic: &Topic, wanted: Option<&BTreeSet<i32>>| {
            let partitions = moving(topic, wanted);
            let has_some = !partitions.is_empty();
            has_some.then_some(OngoingTopicReassignment { name, partitions })
        };
        response.topics = match request.topics {
            None => {
                let all = topics.iter();
                let all = all.filter_map(|(name, topic)| moving(text(name), topic, None));
                all.collect()
            }
            Some(named) => {
                let named = merged(named).into_iter();
                let named = named.filter_map(|(name, wanted)| {
                    let topic = topics.get(&name)?;
                    moving(name, topic, Some(&wanted))
                });
                named.collect()
            }
        };
        Some(response)
    }
}

fn merged(named: Vec<ListPartitionReassignmentsTopics>) -> BTreeMap<Text, BTreeSet<i32>> {
    let mut topics: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for topic in named {
        let partitions = topics.entry(topic.name).or_default();
        partitions.extend(topic.partition_indexes);
    }
    topics
}

fn moving(topic: &Topic, wanted: Option<&BTreeSet<i32>>) -> Vec<OngoingPartitionReassignment> {
    let all = 0..topic.partitions.len() as i32;
    let some = all.filter(|number| wanted.is_none_or(|wanted| wanted.contains(number)));
    let moving = some.filter_map(|number| {
        let partition = topic.partition(PartitionId(number as u32))?;
        partition.is_reassigned().then(|| told(number, partition))
    });
    moving.collect()
}

fn told(partition_index: i32, partition: &Partition) -> OngoingPartitionReassignment {
    OngoingPartitionReassignment {
        partition_index,
        replicas: numbers(&partition.replicas),
        adding_replicas: numbers(&partition.adding),
        removing_replicas: numbers(&partition.removing),
    }
}

#[cfg(test)]
mod tests {
    use super::super::stage::Stage;
    use super::*;
    use crate::ids::NodeId;
    use crate::state::topics::{Reassignment, StreamsCommand};

    #[test]
    fn only_what_moves_is_listed() {
        let stage = Stage::new(3);
        stage.create_on("a", &[&[1, 2], &[1, 2]]);
        stage.create_on("b", &[&[1]]);
        let moved = |topic: &str, partition, target: &[u64]| Reassignment {
            topic: topic.into(),
            partition: PartitionId(partition),
            target: Some(target.iter().copied().map(NodeId).collect()),
        };
        let moves = vec![moved("a", 1, &[2, 3]), moved("b", 0, &[3])];
        stage.command(StreamsCommand::Reassign { moves });
        let ask = |named: Option<&[(&str, &[i32])]>| {
            let topic = |&(name, partitions): &(&str, &[i32])| ListPartitionReassignmentsTopics {
                name: name.into(),
                partition_indexes: partitions.to_vec(),
            };
            let request = Request {
                topics: named.map(|named| named.iter().map(topic).collect()),
                ..Request::default()
            };
            let response = stage.ask::<ListPartitionReassignments>(0, request);
            let topics = response.topics.iter().map(|topic| {
                let each = topic.partitions.iter().map(|one| {
                    let OngoingPartitionReassignment {
                        partition_index,
                        replicas,
                        adding_replicas,
                        removing_replicas,
                    } = one;
                    format!(
                        " {partition_index}:{replicas:?}+{adding_replicas:?}-{removing_replicas:?}"
                    )
                });
                format!("{}{}; ", topic.name, each.collect::<String>())
            });
            topics.collect::<String>()
        };
        let (a, b) = ("a 1:[2, 3, 1]+[3]-[1]; ", "b 0:[3, 1]+[3]-[1]; ");
        assert_eq!(ask(None), [a, b].concat());
        assert_eq!(ask(Some(&[])), "");
        assert_eq!(ask(Some(&[("b", &[0, 1]), ("x", &[0])])), b);
        assert_eq!(ask(Some(&[("a", &[0]), ("a", &[1, -1, 1])])), a);
        assert_eq!(ask(Some(&[("a", &[0])])), "");
    }
}
