//! Gives topics more partitions.

use super::create_topics::nodes;
use super::named::{each_once, own_topic};
use super::proposing::{Deadline, propose_each};
use super::{Call, Handle};
use crate::limits::PARTITIONS_PER_TOPIC_MAX;
use crate::ports::kafka::access::{Operation, Resource};
use crate::ports::kafka::errors::Refusal;
use crate::ports::kafka::messages::ErrorCode;
use crate::ports::kafka::messages::create_partitions::{
    CreatePartitions, CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic,
    CreatePartitionsTopicResult,
};
use crate::state::topics::{AddPartitions, StreamsCommand, StreamsRefused, TopicKey, Topics};

impl Handle for CreatePartitions {
    async fn run(call: Call, request: CreatePartitionsRequest) -> Option<CreatePartitionsResponse> {
        let deadline = Deadline::of(request.timeout_ms);
        let topics = call
            .topics_with(request.topics.iter().map(|topic| &*topic.name), deadline)
            .await;
        let mut results = Vec::new();
        let (mut places, mut commands) = (Vec::new(), Vec::new());
        for (topic, is_once) in each_once(request.topics, |topic| topic.name.clone()) {
            let add = match is_once {
                true => add(&call, &topics, &topic, request.validate_only),
                false => Err(Refusal::new(
                    ErrorCode::InvalidRequest,
                    "the topic is named twice",
                )),
            };
            let refusal = match add {
                Ok(add) => {
                    places.push(results.len());
                    commands.push(StreamsCommand::AddPartitions(add));
                    None
                }
                Err(refusal) => Some(refusal),
            };
            results.push((topic.name, refusal));
        }
        let outcomes = propose_each(&call.door.site, commands, deadline).await;
        for (place, outcome) in places.into_iter().zip(outcomes) {
            results[place].1 = outcome.err();
        }
        let results = results.into_iter().map(|(name, refusal)| {
            let (error_code, error_message) = Refusal::said(refusal);
            CreatePartitionsTopicResult {
                name,
                error_code,
                error_message,
            }
        });
        Some(CreatePartitionsResponse {
            results: results.collect(),
            ..CreatePartitionsResponse::default()
        })
    }
}

fn add(
    call: &Call,
    topics: &Topics,
    topic: &CreatePartitionsTopic,
    validates_only: bool,
) -> Result<AddPartitions, Refusal> {
    let name = &*topic.name;
    if !call.may(Operation::Alter, Resource::Topic(name)) {
        return Err(ErrorCode::TopicAuthorizationFailed.into());
    }
    if topics.get(name).is_none() {
        return Err(StreamsRefused::UnknownTopic.into());
    }
    own_topic(name)?;
    let count = u32::try_from(topic.count).map_err(|_| {
        let why = format_args!("{} is no number of partitions", topic.count);
        Refusal::new(ErrorCode::InvalidPartitions, why)
    })?;
    let assigned = topic.assignments.as_ref();
    let asked = assigned.map_or(0, Vec::len);
    if asked > PARTITIONS_PER_TOPIC_MAX {
        return Err(StreamsRefused::PartitionsPerTopicMax { asked }.into());
    }
    let assigned = assigned.map(|each| {
        let each = each.iter();
        each.map(|one| nodes(&one.broker_ids, topics.brokers()))
            .collect()
    });
    Ok(AddPartitions {
        topic: TopicKey::Name(name.into()),
        count,
        assigned: assigned.transpose()?,
        validates_only,
    })
}

#[cfg(test)]
mod tests {
    use super::super::stage::Stage;
    use super::*;
    use crate::ports::kafka::messages::create_partitions::CreatePartitionsAssignment;

    type Assigned<'a> = Option<&'a [&'a [i32]]>;

    fn topic(name: &str, count: i32, assigned: Assigned) -> CreatePartitionsTopic {
        let each = assigned.map(|lists| {
            let lists = lists.iter().map(|list| CreatePartitionsAssignment {
                broker_ids: list.to_vec(),
            });
            lists.collect()
        });
        CreatePartitionsTopic {
            name: name.into(),
            count,
            assignments: each,
        }
    }

    fn ask(stage: &Stage, topics: Vec<CreatePartitionsTopic>, validate_only: bool) -> Vec<i16> {
        let request = CreatePartitionsRequest {
            topics,
            timeout_ms: 20,
            validate_only,
        };
        let results = stage
            .ask::<CreatePartitions>(3, request)
            .results
            .into_iter();
        let codes = results.map(|result| {
            assert_eq!(result.error_message.is_some(), !result.error_code.is_none());
            result.error_code.number()
        });
        codes.collect()
    }

    #[test]
    fn what_cannot_be_added_is_said_of_each_topic() {
        let stage = Stage::new(2);
        stage.create("a", 2, 2);
        stage.create("__transaction_state", 2, 1);
        let many = vec![&[1, 2][..]; PARTITIONS_PER_TOPIC_MAX + 1];
        for (name, count, assigned, code) in [
            ("x", 3, None, 3),
            ("a", 2, None, 37),
            ("a", 1, None, 37),
            ("a", 0, None, 37),
            ("a", -1, None, 37),
            ("a", 1001, None, 44),
            ("a", 4, Some(&[&[1, 2][..]][..]), 39),
            ("a", 3, Some(&[]), 39),
            ("a", 3, Some(&[&[1, 9]]), 39),
            ("a", 3, Some(&[&[1, -2]]), 39),
            ("a", 3, Some(&[&[1, 1]]), 39),
            ("a", 3, Some(&[&[1]]), 39),
            ("a", 3, Some(&many), 44),
            ("__transaction_state", 3, None, 44),
        ] {
            let codes = ask(&stage, vec![topic(name, count, assigned)], false);
            assert_eq!(codes, [code], "{name} {count}");
        }
        let twice = vec![topic("a", 3, None), topic("a", 4, None)];
        assert_eq!(ask(&stage, twice, false), [42]);
        assert_eq!(stage.site.topics().get("a").unwrap().partitions.len(), 2);
    }

    #[test]
    fn partitions_are_added_where_they_are_assigned() {
        let stage = Stage::new(2);
        stage.create("a", 1, 1);
        let more = || vec![topic("a", 3, Some(&[&[2], &[1]]))];
        let count = || stage.site.topics().get("a").unwrap().partitions.len();
        assert_eq!((ask(&stage, more(), true), count()), (vec![0], 1));
        assert_eq!((ask(&stage, more(), false), count()), (vec![0], 3));
        assert_eq!(stage.partition("a", 1).replicas, [crate::ids::NodeId(2)]);
        assert_eq!(
            (ask(&stage, vec![topic("a", 5, None)], false), count()),
            (vec![0], 5)
        );
        stage.fall_silent();
        assert_eq!(ask(&stage, vec![topic("a", 6, None)], false), [7]);
    }
}
