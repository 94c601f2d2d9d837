//! `DeleteRecords`: the oldest records of partitions, up to an offset. What is
//! not acknowledged stays.
//!
//! A partition is answered once they are gone for good, here and with all who may
//! lead it next. The time that a client gives is for the others to follow.

use super::led::NO_EPOCH;
use super::{Call, Handle};
use crate::ids::Offset;
use crate::ports::kafka::access::{Operation, Resource};
use crate::ports::kafka::messages::delete_records::{
    DeleteRecords, DeleteRecordsPartition, DeleteRecordsPartitionResult, DeleteRecordsRequest,
    DeleteRecordsResponse, DeleteRecordsTopic, DeleteRecordsTopicResult,
};
use crate::ports::kafka::messages::{ErrorCode, Text};
use crate::state::topics::Topic;
use crate::state::topics::names::is_internal;
use crate::streams::desk::{NotDropped, NotHere, Word};
use std::time::Duration;

/// Up to all that is acknowledged.
const WATERMARK: i64 = -1;
/// Where a partition begins is not known.
const UNKNOWN: i64 = -1;

impl Handle for DeleteRecords {
    async fn run(call: Call, request: DeleteRecordsRequest) -> Option<DeleteRecordsResponse> {
        let timeout = Duration::from_millis(request.timeout_ms.max(0) as u64);
        let topics = request.topics.into_iter();
        // All are said before one is waited for: they have the time together.
        let said: Vec<_> = topics.map(|topic| say_of(&call, topic, timeout)).collect();
        let mut topics = Vec::with_capacity(said.len());
        for (name, partitions) in said {
            topics.push(come_of(name, partitions).await);
        }
        Some(DeleteRecordsResponse {
            topics,
            ..DeleteRecordsResponse::default()
        })
    }
}

/// A partition by its number, and how to wait for what comes of it.
type Said<F> = Vec<(i32, Result<F, ErrorCode>)>;

fn say_of(
    call: &Call,
    asked: DeleteRecordsTopic,
    timeout: Duration,
) -> (
    Text,
    Said<impl Future<Output = Result<Offset, ErrorCode>> + use<>>,
) {
    let topics = call.door.site.topics();
    let topic = match call.may(Operation::Delete, Resource::Topic(&asked.name)) {
        true => topics
            .get(&asked.name)
            .ok_or(ErrorCode::UnknownTopicOrPartition),
        false => Err(ErrorCode::TopicAuthorizationFailed),
    };
    let topic = match is_internal(&asked.name) {
        true => topic.and(Err(ErrorCode::InvalidTopicException)),
        false => topic,
    };
    let partitions = asked.partitions.iter();
    let said = partitions.map(|one| {
        let said = topic.and_then(|topic| say(call, topic, one, timeout));
        (one.partition_index, said)
    });
    let said = said.collect();
    (asked.name, said)
}

async fn come_of<F: Future<Output = Result<Offset, ErrorCode>>>(
    name: Text,
    said: Said<F>,
) -> DeleteRecordsTopicResult {
    let mut partitions = Vec::with_capacity(said.len());
    for (partition_index, said) in said {
        let begin = match said {
            Ok(said) => said.await,
            Err(code) => Err(code),
        };
        partitions.push(DeleteRecordsPartitionResult {
            partition_index,
            low_watermark: begin.map_or(UNKNOWN, |begin| begin.0 as i64),
            error_code: begin.err().unwrap_or_default(),
        });
    }
    DeleteRecordsTopicResult { name, partitions }
}

/// Gives where the partition begins then.
fn say(
    call: &Call,
    topic: &Topic,
    asked: &DeleteRecordsPartition,
    timeout: Duration,
) -> Result<impl Future<Output = Result<Offset, ErrorCode>> + use<>, ErrorCode> {
    let view = call.led(topic, asked.partition_index, NO_EPOCH);
    let key = view.map_err(|why| why.code)?.key;
    // Compaction keeps the last record of each key, and so does this.
    if !topic.settings.is_deleted_by_age() {
        return Err(ErrorCode::PolicyViolation);
    }
    let until = match asked.offset {
        WATERMARK => None,
        offset => {
            let offset = u64::try_from(offset).map_err(|_| ErrorCode::OffsetOutOfRange)?;
            Some(Offset(offset))
        }
    };
    let dropped = call.door.streams.ask(move |answer| Word::DropPrefix {
        key,
        until,
        timeout,
        answer,
    });
    Ok(async move {
        let stopping = Err(NotDropped::NotHere(NotHere::NotLeader));
        dropped.await.unwrap_or(stopping).map_err(ErrorCode::from)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::kafka::handlers::trial::{Topic, Trial, batch, run};

    #[test]
    fn records_are_deleted_up_to_what_is_acknowledged() {
        let topics: [Topic; 3] = [
            ("a", 1, &[]),
            ("compacted", 1, &[("cleanup.policy", "compact")]),
            ("__consumer_offsets", 1, &[]),
        ];
        let trial = Trial::new(&topics);
        (0..5).for_each(|_| trial.append("a", 0, &batch(&[1])));
        run(async {
            for (name, partition_index, offset, expected) in [
                ("a", 0, 2, Ok(2)),
                ("a", 0, 1, Ok(2)),
                ("a", 0, 6, Err(ErrorCode::OffsetOutOfRange)),
                ("a", 0, -2, Err(ErrorCode::OffsetOutOfRange)),
                ("a", 0, -1, Ok(5)),
                ("a", 1, 0, Err(ErrorCode::UnknownTopicOrPartition)),
                ("never", 0, 0, Err(ErrorCode::UnknownTopicOrPartition)),
                ("compacted", 0, 0, Err(ErrorCode::PolicyViolation)),
                (
                    "__consumer_offsets",
                    0,
                    0,
                    Err(ErrorCode::InvalidTopicException),
                ),
            ] {
                let request = DeleteRecordsRequest {
                    topics: vec![DeleteRecordsTopic {
                        name: name.into(),
                        partitions: vec![DeleteRecordsPartition {
                            partition_index,
                            offset,
                        }],
                    }],
                    timeout_ms: 0,
                };
                let response = trial.ask::<DeleteRecords>(2, request).await;
                let one = &response.topics[0].partitions[0];
                let found = match one.error_code {
                    ErrorCode::None => Ok(one.low_watermark),
                    code => Err(code),
                };
                assert_eq!(found, expected, "{name} {partition_index} {offset}");
            }
        });
    }
}
