//! Keeps how far a group has read.

use super::groups::{CONFUSED, codes_of_each, name, optional_name};
use super::named::Named;
use super::proposing::Deadline;
use super::{Call, Handle};
use crate::ids::{TopicId, Uid};
use crate::ports::kafka::access::Operation;
use crate::ports::kafka::errors::groups::commit_code;
use crate::ports::kafka::messages::ErrorCode;
use crate::ports::kafka::messages::offset_commit::*;
use crate::streams::groups::Name;
use crate::streams::groups::request::{Caller, Commit, NewOffset, Request};

impl Handle for OffsetCommit {
    async fn run(call: Call, request: OffsetCommitRequest) -> Option<OffsetCommitResponse> {
        if let Err(code) = call.may_on_group(Operation::Read, &request.group_id) {
            return Some(response(request.topics, |_| Err(code), &[]));
        }
        let named = request.topics.iter().map(|topic| &*topic.name);
        let topics = call.topics_with(named, Deadline::of_a_look()).await;
        let looked = request.topics.iter();
        let verdicts: Vec<_> = looked
            .map(|topic| call.topic(&topics, Operation::Read, &topic.name))
            .collect();
        let offsets = offsets(&request.topics, &verdicts);
        let count = offsets.len();
        let codes = match count {
            0 => Vec::new(),
            _ => {
                let commit = Request::Commit(commit(&request, offsets));
                let answer = call.door.groups.ask(&request.group_id, commit).await;
                codes_of_each(answer, count, |error| commit_code(error, call.version))
            }
        };
        Some(response(request.topics, |at| verdicts[at], &codes))
    }
}

fn commit(request: &OffsetCommitRequest, offsets: Vec<NewOffset>) -> Commit {
    Commit {
        caller: Caller {
            group: name(&request.group_id),
            member: name(&request.member_id),
            instance: optional_name(&request.group_instance_id),
            generation: request.generation_id_or_member_epoch,
        },
        retention_ms: u64::try_from(request.retention_time_ms).ok(),
        offsets,
    }
}

/// Of each partition the last that is said of it, at the place of the first: each
/// becomes a record of the log, which has the names of its group and topic besides.
fn offsets(
    topics: &[OffsetCommitRequestTopic],
    verdicts: &[Result<TopicId, ErrorCode>],
) -> Vec<NewOffset> {
    let (mut places, mut offsets) = (Named::default(), Vec::new());
    for (topic, verdict) in topics.iter().zip(verdicts) {
        let Ok(id) = verdict else {
            continue;
        };
        let (topic_name, places) = (name(&topic.name), places.of(&topic.name));
        for partition in &topic.partitions {
            let offset = offset(topic_name.clone(), *id, partition);
            let place = *places
                .entry(partition.partition_index)
                .or_insert(offsets.len());
            match offsets.get_mut(place) {
                Some(before) => *before = offset,
                None => offsets.push(offset),
            }
        }
    }
    offsets
}

fn offset(topic: Name, id: TopicId, partition: &OffsetCommitRequestPartition) -> NewOffset {
    NewOffset {
        topic,
        topic_id: Uid(id.0),
        partition: partition.partition_index,
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata: partition
            .committed_metadata
            .as_ref()
            .map_or_else(|| "".into(), name),
    }
}

/// `verdict` is that of each topic, and `codes` are those of the partitions
/// whose topics passed, each once, in their order.
fn response(
    topics: Vec<OffsetCommitRequestTopic>,
    verdict: impl Fn(usize) -> Result<TopicId, ErrorCode>,
    codes: &[ErrorCode],
) -> OffsetCommitResponse {
    let (mut codes, mut told) = (codes.iter().copied(), Named::default());
    let mut topic = |(at, topic): (usize, OffsetCommitRequestTopic)| {
        let (verdict, told) = (verdict(at), told.of(&topic.name));
        let partitions = topic.partitions.iter().map(|partition| {
            let error_code = match verdict {
                Ok(_) => *told
                    .entry(partition.partition_index)
                    .or_insert_with(|| codes.next().unwrap_or(CONFUSED)),
                Err(code) => code,
            };
            OffsetCommitResponsePartition {
                partition_index: partition.partition_index,
                error_code,
            }
        });
        OffsetCommitResponseTopic {
            partitions: partitions.collect(),
            name: topic.name,
        }
    };
    OffsetCommitResponse {
        topics: topics.into_iter().enumerate().map(&mut topic).collect(),
        ..OffsetCommitResponse::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::kafka::handlers::shapes::says;

    fn topic(name: &str, partitions: &[i32]) -> OffsetCommitRequestTopic {
        let partition = |&partition_index: &i32| OffsetCommitRequestPartition {
            partition_index,
            ..OffsetCommitRequestPartition::default()
        };
        OffsetCommitRequestTopic {
            name: name.into(),
            partitions: partitions.iter().map(partition).collect(),
        }
    }

    #[test]
    fn every_partition_is_told_what_came_of_it() {
        says::<OffsetCommit>(|_| {
            let topics = vec![topic("a", &[0, 1]), topic("gone", &[0]), topic("b", &[4])];
            let verdict = |at| match at {
                1 => Err(ErrorCode::UnknownTopicOrPartition),
                _ => Ok(TopicId::default()),
            };
            let codes = [
                ErrorCode::None,
                ErrorCode::OffsetMetadataTooLarge,
                ErrorCode::IllegalGeneration,
            ];
            let said = response(topics, verdict, &codes);
            let told = said.topics.iter().flat_map(|topic| {
                let partitions = topic.partitions.iter();
                partitions.map(|it| (&*topic.name, it.partition_index, it.error_code))
            });
            assert_eq!(
                told.collect::<Vec<_>>(),
                [
                    ("a", 0, ErrorCode::None),
                    ("a", 1, ErrorCode::OffsetMetadataTooLarge),
                    ("gone", 0, ErrorCode::UnknownTopicOrPartition),
                    ("b", 4, ErrorCode::IllegalGeneration),
                ]
            );
            said
        });
    }

    #[test]
    fn only_old_clients_name_a_time_to_keep_offsets() {
        for (given, kept) in [(-1, None), (0, Some(0)), (5000, Some(5000))] {
            let request = OffsetCommitRequest {
                retention_time_ms: given,
                ..OffsetCommitRequest::default()
            };
            assert_eq!(commit(&request, Vec::new()).retention_ms, kept);
        }
    }
}
