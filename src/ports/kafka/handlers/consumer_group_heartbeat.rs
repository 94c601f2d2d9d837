//! All that a member of a group of KIP-848 says, and what it is to read.

use super::groups::{CONFUSED, name, optional_name, uuid};
use super::{Call, Handle};
use crate::ids::Uid;
use crate::ports::kafka::access::{Operation, Resource};
use crate::ports::kafka::errors::groups::code;
use crate::ports::kafka::messages::consumer_group_heartbeat::*;
use crate::ports::kafka::messages::{ErrorCode, Text};
use crate::streams::coordinators::groups::Sees;
use crate::streams::coordinators::groups::pattern::Pattern;
use crate::streams::groups::request::{Beat, ConsumerAlive, Reply, Request};
use crate::streams::groups::{Error, Partitions};

type Asked = ConsumerGroupHeartbeatRequest;
type Answered = ConsumerGroupHeartbeatResponse;

impl Handle for ConsumerGroupHeartbeat {
    async fn run(call: Call, request: Asked) -> Option<Answered> {
        let beat = may(&call, &request)
            .and_then(|()| check(call.version, &request))
            .and_then(|()| beat(&call, &request));
        let beat = match beat {
            Ok(beat) => beat,
            Err(refused) => return Some(refusal(refused)),
        };
        let sees: Sees = Box::new({
            let call = call.clone();
            move |topic: &str| call.may(Operation::Describe, Resource::Topic(topic))
        });
        let (groups, request) = (&call.door.groups, Request::ConsumerHeartbeat(beat));
        let group = request.group().cloned().unwrap_or_default();
        let answer = groups.ask_seeing(&group, request, Some(sees)).await;
        Some(response(answer))
    }
}

/// A code, and a sentence for a person.
type Refused = (ErrorCode, Option<String>);

fn may(call: &Call, request: &Asked) -> Result<(), Refused> {
    let on_group = call.may_on_group(Operation::Read, &request.group_id);
    on_group.map_err(|code| (code, None))?;
    let mut named = request.subscribed_topic_names.iter().flatten();
    let may = |topic: &Text| call.may(Operation::Describe, Resource::Topic(topic));
    match named.all(may) {
        true => Ok(()),
        false => Err((ErrorCode::TopicAuthorizationFailed, None)),
    }
}

/// From version 1 on a member names itself.
fn check(version: i16, request: &Asked) -> Result<(), Refused> {
    if version >= 1 && request.member_id.is_empty() {
        let why = "a member names itself from version 1 on";
        return Err((ErrorCode::InvalidRequest, Some(why.into())));
    }
    match &request.subscribed_topic_regex {
        Some(pattern) if !pattern.is_empty() => {
            let parsed = Pattern::parse(pattern);
            let refused = |why: String| (ErrorCode::InvalidRegularExpression, Some(why));
            parsed.map(drop).map_err(|why| refused(why.to_string()))
        }
        _ => Ok(()),
    }
}

fn beat(call: &Call, request: &Asked) -> Result<Beat, Refused> {
    let names = |names: &Vec<Text>| names.iter().map(name).collect();
    let rebalance_ms = request.rebalance_timeout_ms;
    Ok(Beat {
        group: name(&request.group_id),
        member: name(&request.member_id),
        epoch: request.member_epoch,
        instance: optional_name(&request.instance_id),
        rack: optional_name(&request.rack_id),
        client_id: call.client_name(),
        client_host: call.client_host(),
        rebalance_ms: Some(rebalance_ms).filter(|&ms| ms != -1),
        topics: request.subscribed_topic_names.as_ref().map(names),
        pattern: optional_name(&request.subscribed_topic_regex),
        assignor: optional_name(&request.server_assignor),
        held: request.topic_partitions.as_deref().map(held),
        chance: call.chance().map_err(|code| (code, None))?,
    })
}

fn held(topics: &[TopicPartitions]) -> Partitions {
    let of = |topic: &TopicPartitions| {
        let id = Uid(topic.topic_id.0);
        let numbers = topic.partitions.iter();
        numbers.map(|&number| (id, number)).collect::<Vec<_>>()
    };
    topics.iter().flat_map(of).collect()
}

fn response(answer: Result<Reply, Error>) -> Answered {
    match answer {
        Ok(Reply::ConsumerAlive(alive)) => told(alive),
        Ok(_) => refusal((CONFUSED, None)),
        Err(error) => refusal((code(&error), Some(error.to_string()))),
    }
}

fn told(alive: ConsumerAlive) -> Answered {
    let topic = |(id, partitions): (Uid, Vec<i32>)| TopicPartitions {
        topic_id: uuid(id),
        partitions,
    };
    let assignment = |assigned: Partitions| Assignment {
        topic_partitions: assigned.by_topic().into_iter().map(topic).collect(),
    };
    Answered {
        member_id: Some(Text::from(&*alive.member)),
        member_epoch: alive.epoch,
        heartbeat_interval_ms: i32::try_from(alive.heartbeat_ms).unwrap_or(i32::MAX),
        assignment: alive.assigned.map(assignment),
        ..Answered::default()
    }
}

fn refusal((error_code, why): Refused) -> Answered {
    Answered {
        error_code,
        error_message: why.map(Text::from),
        ..Answered::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::kafka::handlers::shapes::says;
    use crate::ports::kafka::messages::Uuid;

    #[test]
    fn what_cannot_be_a_member_is_told_so() {
        let asked = |member: &str, pattern: Option<&str>| Asked {
            member_id: member.into(),
            subscribed_topic_regex: pattern.map(Text::from),
            ..Asked::default()
        };
        for (version, request, expected) in [
            (0, asked("", None), None),
            (1, asked("", None), Some(ErrorCode::InvalidRequest)),
            (1, asked("m", None), None),
            (1, asked("m", Some("")), None),
            (1, asked("m", Some("a.*")), None),
            (
                1,
                asked("m", Some("(")),
                Some(ErrorCode::InvalidRegularExpression),
            ),
        ] {
            let refused = check(version, &request).err();
            assert_eq!(refused.as_ref().map(|(code, _)| *code), expected);
            assert!(refused.is_none_or(|(_, why)| why.is_some()));
        }
    }

    #[test]
    fn partitions_keep_their_topics() {
        let topics = [
            TopicPartitions {
                topic_id: Uuid([2; 16]),
                partitions: vec![1, 0],
            },
            TopicPartitions {
                topic_id: Uuid([1; 16]),
                partitions: vec![4],
            },
        ];
        let alive = ConsumerAlive {
            member: "m".into(),
            epoch: 3,
            heartbeat_ms: 5000,
            assigned: Some(held(&topics)),
        };
        let said = told(alive).assignment.unwrap().topic_partitions;
        let said: Vec<_> = said
            .into_iter()
            .map(|it| (it.topic_id.0[0], it.partitions))
            .collect();
        assert_eq!(said, [(1, vec![4]), (2, vec![0, 1])]);
    }

    #[test]
    fn every_version_says_each_answer() {
        for assigned in [None, Some(Partitions::default())] {
            says::<ConsumerGroupHeartbeat>(|_| {
                let alive = ConsumerAlive {
                    member: "m".into(),
                    epoch: 3,
                    heartbeat_ms: 5000,
                    assigned: assigned.clone(),
                };
                let said = response(Ok(Reply::ConsumerAlive(alive)));
                assert_eq!(said.assignment.is_some(), assigned.is_some());
                said
            });
        }
        says::<ConsumerGroupHeartbeat>(|_| {
            let error = Error::FencedEpoch {
                given: 1,
                current: 2,
            };
            let said = response(Err(error));
            assert_eq!(said.error_code, ErrorCode::FencedMemberEpoch);
            assert!(said.error_message.is_some());
            said
        });
    }
}
