//! Moves partitions to other brokers, or stops such moves.

use super::create_topics::nodes;
use super::grouped::{Grouped, each_of, merged, partition_in};
use super::named::each_once;
use super::proposing::{Deadline, propose_each, unexpected};
use super::{Call, Handle};
use crate::limits::PARTITIONS_NAMED_MAX;
use crate::ports::kafka::access::{Operation, Resource};
use crate::ports::kafka::errors::Refusal;
use crate::ports::kafka::messages::ErrorCode;
use crate::ports::kafka::messages::alter_partition_reassignments::{
    AlterPartitionReassignments, AlterPartitionReassignmentsRequest,
    AlterPartitionReassignmentsResponse, ReassignablePartition, ReassignablePartitionResponse,
    ReassignableTopicResponse,
};
use crate::state::topics::{
    Partition, Reassignment, StreamsCommand, StreamsRefused, Topic, Topics,
};

type Request = AlterPartitionReassignmentsRequest;
type Response = AlterPartitionReassignmentsResponse;

impl Handle for AlterPartitionReassignments {
    async fn run(call: Call, request: Request) -> Option<Response> {
        let keeps_factor = !request.allow_replication_factor_change;
        let mut response = Response {
            allow_replication_factor_change: request.allow_replication_factor_change,
            ..Response::default()
        };
        if !call.may(Operation::Alter, Resource::Cluster) {
            let refusal = ErrorCode::ClusterAuthorizationFailed.into();
            (response.error_code, response.error_message) = Refusal::said(Some(refusal));
            return Some(response);
        }
        let deadline = Deadline::of(request.timeout_ms);
        let named = request.topics.iter().map(|topic| &*topic.name);
        let topics = call.topics_with(named, deadline).await;
        let asked = request.topics.into_iter();
        let asked = merged(asked.map(|topic| (topic.name, topic.partitions)));
        let mut moves = Vec::new();
        let mut told: Vec<_> = asked
            .into_iter()
            .map(|asked| look(&topics, asked, keeps_factor, &mut moves))
            .collect();
        let count = moves.len();
        let commands = moves.chunks(PARTITIONS_NAMED_MAX);
        let commands = commands.map(|some| StreamsCommand::Reassign {
            moves: some.to_vec(),
        });
        let outcomes = propose_each(&call.door.site, commands.collect(), deadline).await;
        let mut each = each_of(outcomes, count).into_iter();
        let all = told.iter_mut().flat_map(|topic| &mut topic.partitions);
        let proposed = all.filter(|(_, refusal)| refusal.is_none());
        proposed.for_each(|(_, refusal)| *refusal = each.next().unwrap_or(Some(unexpected())));
        response.responses = answers(told);
        Some(response)
    }
}

/// A topic's partitions by their numbers, and why each is not moved.
type Told = Grouped<(i32, Option<Refusal>)>;

/// What can be moved is; the rest is refused.
fn look(
    topics: &Topics,
    asked: Grouped<ReassignablePartition>,
    keeps_factor: bool,
    moves: &mut Vec<Reassignment>,
) -> Told {
    let found = topics.get(&asked.name).ok_or(StreamsRefused::UnknownTopic);
    let found = found.map_err(Refusal::from);
    // A partition that is named a thousand times would be moved as often.
    let once = each_once(asked.partitions, |one| one.partition_index);
    let partitions = once.into_iter().map(|(one, is_once)| {
        let moved = match (&found, is_once) {
            (Err(refusal), _) => Err(refusal.clone()),
            (_, false) => Err(twice()),
            (Ok(topic), true) => reassignment(topics, &asked.name, topic, &one, keeps_factor),
        };
        let refusal = moved.map(|one| moves.push(one)).err();
        (one.partition_index, refusal)
    });
    let partitions = partitions.collect();
    Grouped {
        name: asked.name,
        partitions,
    }
}

fn twice() -> Refusal {
    Refusal::new(ErrorCode::InvalidRequest, "the partition is named twice")
}

fn reassignment(
    topics: &Topics,
    name: &str,
    topic: &Topic,
    asked: &ReassignablePartition,
    keeps_factor: bool,
) -> Result<Reassignment, Refusal> {
    let number = partition_in(topic, asked.partition_index);
    let number = number.ok_or(StreamsRefused::UnknownPartition)?;
    let partition = topic.partition(number);
    let partition = partition.ok_or(StreamsRefused::UnknownPartition)?;
    let replicas = asked.replicas.as_deref();
    if let Some(replicas) = replicas.filter(|_| keeps_factor) {
        check_factor(partition, replicas.len())?;
    }
    let target = replicas.map(|replicas| nodes(replicas, topics.brokers()));
    Ok(Reassignment {
        topic: name.into(),
        partition: number,
        target: target.transpose()?,
    })
}

fn check_factor(partition: &Partition, asked: usize) -> Result<(), Refusal> {
    let has = partition.standing().count();
    match asked == has {
        true => Ok(()),
        false => Err(Refusal::new(
            ErrorCode::InvalidReplicationFactor,
            format_args!("{asked} replicas asked for where there are {has}"),
        )),
    }
}

fn answers(told: Vec<Told>) -> Vec<ReassignableTopicResponse> {
    let answer = |(partition_index, refusal)| {
        let (error_code, error_message) = Refusal::said(refusal);
        ReassignablePartitionResponse {
            partition_index,
            error_code,
            error_message,
        }
    };
    let answers = told.into_iter().map(|topic| ReassignableTopicResponse {
        name: topic.name,
        partitions: topic.partitions.into_iter().map(answer).collect(),
    });
    answers.collect()
}

#[cfg(test)]
mod tests {
    use super::super::stage::Stage;
    use super::*;
    use crate::ids::NodeId;
    use crate::ports::kafka::messages::alter_partition_reassignments::ReassignableTopic;

    fn ask(stage: &Stage, allows: bool, moves: &[(&str, i32, Option<&[i32]>)]) -> Vec<i16> {
        let topic = |&(name, partition_index, replicas): &(&str, i32, Option<&[i32]>)| {
            let partition = ReassignablePartition {
                partition_index,
                replicas: replicas.map(<[i32]>::to_vec),
            };
            ReassignableTopic {
                name: name.into(),
                partitions: vec![partition],
            }
        };
        let request = Request {
            timeout_ms: 20,
            allow_replication_factor_change: allows,
            topics: moves.iter().map(topic).collect(),
        };
        let response = stage.ask::<AlterPartitionReassignments>(1, request);
        assert_eq!(response.error_code, ErrorCode::None);
        assert_eq!(response.allow_replication_factor_change, allows);
        let each = response
            .responses
            .into_iter()
            .flat_map(|topic| topic.partitions);
        let codes = each.map(|one| {
            assert_eq!(one.error_message.is_some(), !one.error_code.is_none());
            one.error_code.number()
        });
        codes.collect()
    }

    #[test]
    fn moves_begin_and_are_stopped() {
        let stage = Stage::new(3);
        stage.create_on("a", &[&[1]]);
        assert_eq!(ask(&stage, true, &[("a", 0, None)]), [85]);
        assert_eq!(ask(&stage, true, &[("a", 0, Some(&[2, 3]))]), [0]);
        let moving = stage.partition("a", 0);
        assert_eq!(moving.adding, [NodeId(2), NodeId(3)]);
        assert_eq!(moving.removing, [NodeId(1)]);
        assert_eq!(ask(&stage, true, &[("a", 0, None)]), [0]);
        assert!(!stage.partition("a", 0).is_reassigned());
    }

    #[test]
    fn each_has_its_code() {
        let stage = Stage::new(3);
        stage.create_on("a", &[&[1], &[1]]);
        stage.create_on("b", &[&[1, 2]]);
        for (name, partition, replicas, code) in [
            ("x", 0, Some(&[1][..]), 3),
            ("a", 2, Some(&[1]), 3),
            ("a", -1, Some(&[1]), 3),
            ("a", 0, Some(&[]), 39),
            ("a", 0, Some(&[9]), 39),
            ("a", 0, Some(&[-1]), 39),
            ("a", 0, Some(&[1, 1]), 39),
            ("a", 0, Some(&[1, 2, 3, 1]), 39),
        ] {
            assert_eq!(
                ask(&stage, true, &[(name, partition, replicas)]),
                [code],
                "{replicas:?}"
            );
        }
        let some = [("b", 0, Some(&[2, 1][..])), ("a", 9, None), ("a", 0, None)];
        // What is said of one topic is answered together, at its first place.
        let some = [&some[..], &[("b", 9, None), ("a", 9, None)]].concat();
        assert_eq!(ask(&stage, true, &some), [0, 3, 42, 85]);
        stage.take_down(2);
        stage.take_down(3);
        assert_eq!(stage.partition("b", 0).in_sync, [NodeId(1), NodeId(2)]);
        assert_eq!(ask(&stage, false, &[("b", 0, Some(&[3]))]), [38]);
        assert_eq!(ask(&stage, false, &[("a", 0, Some(&[2]))]), [0]);
        stage.fall_silent();
        assert_eq!(ask(&stage, true, &[("a", 0, None), ("x", 0, None)]), [7, 3]);
    }
}
