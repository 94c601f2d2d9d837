//! Makes topics. What a request has wrong is said of each topic; the others are
//! made.

use super::configs::topic_entries;
use super::named::{each_once, own_topic};
use super::proposing::{Deadline, propose_each, unexpected};
use super::{Call, Handle};
use crate::ids::NodeId;
use crate::limits::{CONFIGS_TOLD_MAX, PARTITIONS_PER_TOPIC_MAX};
use crate::ports::kafka::access::{Operation, Resource};
use crate::ports::kafka::errors::Refusal;
use crate::ports::kafka::messages::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfigs, CreatableTopicResult,
    CreateTopics, CreateTopicsRequest, CreateTopicsResponse,
};
use crate::ports::kafka::messages::{ErrorCode, Uuid};
use crate::ports::kafka::topics::draw_id;
use crate::state::topics::settings::Given;
use crate::state::topics::{
    Brokers, CreateTopic, Layout, StreamsCommand, StreamsOutcome, StreamsRefused, TopicSettings,
    names,
};
use std::collections::BTreeMap;

/// Left to the cluster.
const UNSAID: i32 = -1;

impl Handle for CreateTopics {
    async fn run(call: Call, request: CreateTopicsRequest) -> Option<CreateTopicsResponse> {
        let deadline = Deadline::of(request.timeout_ms);
        let mut results = Vec::new();
        let (mut places, mut commands) = (Vec::new(), Vec::new());
        for (topic, is_once) in each_once(request.topics, |topic| topic.name.clone()) {
            let command = match is_once {
                _ if commands.len() >= CONFIGS_TOLD_MAX => Err(StreamsRefused::TopicsMax.into()),
                true => command(&call, &topic, request.validate_only),
                false => Err(twice()),
            };
            match command {
                Ok(command) => {
                    places.push(results.len());
                    commands.push(command);
                    results.push(created(&topic));
                }
                Err(refusal) => results.push(refused(topic, refusal)),
            }
        }
        let settings: Vec<_> = commands.iter().map(settings_of).collect();
        let commands = commands.into_iter().map(StreamsCommand::CreateTopic);
        let outcomes = propose_each(&call.door.site, commands.collect(), deadline).await;
        for ((place, settings), outcome) in places.into_iter().zip(settings).zip(outcomes) {
            tell(
                &call,
                &mut results[place],
                outcome,
                &settings,
                request.validate_only,
            );
        }
        Some(CreateTopicsResponse {
            topics: results,
            ..CreateTopicsResponse::default()
        })
    }
}

fn twice() -> Refusal {
    Refusal::new(ErrorCode::InvalidRequest, "the topic is named twice")
}

fn command(
    call: &Call,
    topic: &CreatableTopic,
    validates_only: bool,
) -> Result<CreateTopic, Refusal> {
    let name = &*topic.name;
    let may = call.may(Operation::Create, Resource::Cluster)
        || call.may(Operation::Create, Resource::Topic(name));
    if !may {
        return Err(ErrorCode::TopicAuthorizationFailed.into());
    }
    names::check(name).map_err(|fault| Refusal::from(StreamsRefused::from(fault)))?;
    own_topic(name)?;
    let settings = given(topic)?;
    let topics = call.door.site.topics();
    let layout = layout(topic, topics.brokers())?;
    let id = draw_id(&*call.door.entropy);
    let id = id.map_err(|why| Refusal::new(ErrorCode::UnknownServerError, why))?;
    Ok(CreateTopic {
        name: name.into(),
        id,
        layout,
        settings,
        validates_only,
    })
}

/// Looked at here, so that what the state would refuse is not sent around first.
fn given(topic: &CreatableTopic) -> Result<Vec<Given>, Refusal> {
    let given = topic.configs.iter().map(|config| match &config.value {
        Some(value) => Ok(((*config.name).into(), (**value).into())),
        None => Err(Refusal::new(
            ErrorCode::InvalidConfig,
            format_args!("{} is given no value", config.name),
        )),
    });
    let given: Vec<Given> = given.collect::<Result<_, _>>()?;
    TopicSettings::of(&given)?;
    Ok(given)
}

fn layout(topic: &CreatableTopic, brokers: &Brokers) -> Result<Layout, Refusal> {
    if !topic.assignments.is_empty() {
        return assigned(topic, brokers).map(Layout::Assigned);
    }
    let partitions = match topic.num_partitions {
        UNSAID => None,
        1.. => Some(topic.num_partitions as u32),
        fewer => {
            let why = format_args!("{fewer} is no number of partitions");
            return Err(Refusal::new(ErrorCode::InvalidPartitions, why));
        }
    };
    let factor = match topic.replication_factor {
        -1 => None,
        1.. => Some(topic.replication_factor as u16),
        fewer => {
            let why = format_args!("{fewer} is no number of replicas");
            return Err(Refusal::new(ErrorCode::InvalidReplicationFactor, why));
        }
    };
    Ok(Layout::Spread { partitions, factor })
}

fn assigned(topic: &CreatableTopic, brokers: &Brokers) -> Result<Vec<Vec<NodeId>>, Refusal> {
    if topic.num_partitions != UNSAID || i32::from(topic.replication_factor) != UNSAID {
        let why = "with an assignment, the numbers of partitions and replicas are -1";
        return Err(Refusal::new(ErrorCode::InvalidRequest, why));
    }
    let asked = topic.assignments.len();
    if asked > PARTITIONS_PER_TOPIC_MAX {
        return Err(StreamsRefused::PartitionsPerTopicMax { asked }.into());
    }
    let by_number = |one: &CreatableReplicaAssignment| {
        nodes(&one.broker_ids, brokers).map(|nodes| (one.partition_index, nodes))
    };
    let assigned = topic.assignments.iter().map(by_number);
    let assigned: BTreeMap<_, _> = assigned.collect::<Result<_, _>>()?;
    // Each number once, from 0 on.
    let is_whole = assigned.keys().copied().eq(0..asked as i32);
    match is_whole {
        true => Ok(assigned.into_values().collect()),
        false => Err(Refusal::new(
            ErrorCode::InvalidReplicaAssignment,
            "the assigned partitions are not those from 0 on, each once",
        )),
    }
}

/// Brokers by their numbers. Whether they may hold a partition, the state says; a
/// list that is longer than all there are is not sent around first.
pub(super) fn nodes(numbers: &[i32], brokers: &Brokers) -> Result<Vec<NodeId>, Refusal> {
    let refusal = |why| Refusal::new(ErrorCode::InvalidReplicaAssignment, why);
    let (asked, count) = (numbers.len(), brokers.count());
    if asked > count {
        let why = format!("{asked} replicas are assigned, and there are {count} brokers");
        return Err(refusal(why));
    }
    let node = |&number: &i32| {
        let node = u64::try_from(number).map(NodeId);
        node.map_err(|_| refusal(format!("there is no broker {number}")))
    };
    numbers.iter().map(node).collect()
}

fn settings_of(create: &CreateTopic) -> TopicSettings {
    TopicSettings::of(&create.settings).expect("they were looked at")
}

fn created(topic: &CreatableTopic) -> CreatableTopicResult {
    CreatableTopicResult {
        name: topic.name.clone(),
        ..CreatableTopicResult::default()
    }
}

fn refused(topic: CreatableTopic, refusal: Refusal) -> CreatableTopicResult {
    let mut result = created(&topic);
    (result.error_code, result.error_message) = Refusal::said(Some(refusal));
    result
}

fn tell(
    call: &Call,
    result: &mut CreatableTopicResult,
    outcome: Result<StreamsOutcome, Refusal>,
    settings: &TopicSettings,
    validates_only: bool,
) {
    let created = outcome.and_then(|outcome| match outcome {
        StreamsOutcome::Created { id, replicas } => Ok((id, replicas)),
        _ => Err(unexpected()),
    });
    let (id, replicas) = match created {
        Ok(created) => created,
        Err(refusal) => {
            (result.error_code, result.error_message) = Refusal::said(Some(refusal));
            return;
        }
    };
    if !validates_only {
        result.topic_id = Uuid(id.0);
    }
    if !call.may(Operation::DescribeConfigs, Resource::Topic(&result.name)) {
        result.topic_config_error_code = ErrorCode::TopicAuthorizationFailed;
        return;
    }
    result.num_partitions = replicas.len() as i32;
    result.replication_factor = replicas.first().map_or(0, Vec::len) as i16;
    let configs = topic_entries(settings).into_iter();
    let configs = configs.map(|entry| CreatableTopicConfigs {
        name: entry.name,
        value: entry.value,
        read_only: entry.is_read_only,
        config_source: entry.source.number(),
        is_sensitive: false,
    });
    result.configs = Some(configs.collect());
}

#[cfg(test)]
mod tests;
