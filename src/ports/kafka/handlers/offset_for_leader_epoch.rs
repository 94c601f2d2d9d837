//! `OffsetForLeaderEpoch`: where the records of a leader end, by which a client
//! finds out that what it read was cut off.

use super::fetch::end_of_epoch;
use super::{Call, Handle};
use crate::ports::kafka::access::{Operation, Resource};
use crate::ports::kafka::messages::ErrorCode;
use crate::ports::kafka::messages::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpoch, OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse, OffsetForLeaderPartition, OffsetForLeaderTopic,
    OffsetForLeaderTopicResult,
};
use crate::state::topics::Topic;
use crate::streams::desk::{NotHere, Word};

impl Handle for OffsetForLeaderEpoch {
    async fn run(
        call: Call,
        request: OffsetForLeaderEpochRequest,
    ) -> Option<OffsetForLeaderEpochResponse> {
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            topics.push(ends_of(&call, topic).await);
        }
        Some(OffsetForLeaderEpochResponse {
            topics,
            ..OffsetForLeaderEpochResponse::default()
        })
    }
}

async fn ends_of(call: &Call, asked: OffsetForLeaderTopic) -> OffsetForLeaderTopicResult {
    let topics = call.door.site.topics();
    let topic = match call.may(Operation::Describe, Resource::Topic(&asked.topic)) {
        true => topics
            .get(&asked.topic)
            .ok_or(ErrorCode::UnknownTopicOrPartition),
        false => Err(ErrorCode::TopicAuthorizationFailed),
    };
    let mut partitions = Vec::with_capacity(asked.partitions.len());
    for one in &asked.partitions {
        let end = match topic {
            Ok(topic) => end(call, topic, one).await,
            Err(code) => Err(code),
        };
        let partition = one.partition;
        partitions.push(end.unwrap_or_else(|error_code| EpochEndOffset {
            error_code,
            partition,
            ..EpochEndOffset::default()
        }));
    }
    OffsetForLeaderTopicResult {
        topic: asked.topic,
        partitions,
    }
}

async fn end(
    call: &Call,
    topic: &Topic,
    asked: &OffsetForLeaderPartition,
) -> Result<EpochEndOffset, ErrorCode> {
    let view = call.led(topic, asked.partition, asked.current_leader_epoch);
    let view = view.map_err(|why| why.code)?;
    let (key, epoch) = (view.key, asked.leader_epoch);
    let ask = |answer| Word::EndOfEpoch { key, epoch, answer };
    let found = call.door.streams.ask(ask).await;
    let found = found.unwrap_or(Err(NotHere::NotLeader))?;
    let end = end_of_epoch(epoch, view.leader_epoch(), view.marks().first, found);
    let undefined = EpochEndOffset {
        partition: asked.partition,
        ..EpochEndOffset::default()
    };
    Ok(match end {
        None => undefined,
        Some((leader_epoch, end)) => EpochEndOffset {
            leader_epoch,
            end_offset: end.0 as i64,
            ..undefined
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::NodeId;
    use crate::ports::kafka::handlers::trial::{Trial, batch, run};

    #[test]
    fn an_epoch_ends_where_the_next_begins() {
        let trial = Trial::new(&[("a", 1, &[])]);
        trial.append("a", 0, &batch(&[1, 1]));
        trial.house.lead(trial.key("a", 0), NodeId(1), 3);
        trial.append("a", 0, &batch(&[1]));
        trial.house.lead(trial.key("a", 0), NodeId(1), 5);
        run(async {
            for (index, current, asked, expected) in [
                (0, -1, 0, Ok((0, 2))),
                (0, 5, 2, Ok((0, 2))),
                (0, 5, 3, Ok((3, 3))),
                (0, 5, 5, Ok((5, 3))),
                (0, 5, 6, Ok((-1, -1))),
                (0, 4, 0, Err(ErrorCode::FencedLeaderEpoch)),
                (0, 6, 0, Err(ErrorCode::UnknownLeaderEpoch)),
                (1, -1, 0, Err(ErrorCode::UnknownTopicOrPartition)),
            ] {
                let request = OffsetForLeaderEpochRequest {
                    topics: vec![OffsetForLeaderTopic {
                        topic: "a".into(),
                        partitions: vec![OffsetForLeaderPartition {
                            partition: index,
                            current_leader_epoch: current,
                            leader_epoch: asked,
                        }],
                    }],
                    ..OffsetForLeaderEpochRequest::default()
                };
                let response = trial.ask::<OffsetForLeaderEpoch>(4, request).await;
                let one = &response.topics[0].partitions[0];
                assert_eq!(one.partition, index);
                let found = match one.error_code {
                    ErrorCode::None => Ok((one.leader_epoch, one.end_offset)),
                    code => Err(code),
                };
                assert_eq!(found, expected, "{index} {current} {asked}");
            }
        });
    }
}
