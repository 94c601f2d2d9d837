//! `DescribeProducers`: who numbers what it sends to a partition, and whose
//! transaction holds up its readers.

use super::led::NO_EPOCH;
use super::named::{Named, is_new};
use super::{Call, Handle};
use crate::ports::kafka::access::{Operation, Resource};
use crate::ports::kafka::messages::ErrorCode;
use crate::ports::kafka::messages::describe_producers::{
    DescribeProducers, DescribeProducersRequest, DescribeProducersResponse, PartitionResponse,
    ProducerState, TopicRequest, TopicResponse,
};
use crate::state::topics::Topic;
use crate::streams::desk::{NotHere, ProducerShown, Word};

impl Handle for DescribeProducers {
    const MAY_BE_LARGE: bool = true;

    async fn run(
        call: Call,
        request: DescribeProducersRequest,
    ) -> Option<DescribeProducersResponse> {
        let mut named = Named::default();
        let mut topics = Vec::with_capacity(request.topics.len());
        for mut topic in request.topics {
            // A partition that is named a thousand times is shown once.
            let named = named.of(&topic.name);
            topic
                .partition_indexes
                .retain(|&index| is_new(named, index));
            topics.push(producers_of(&call, topic).await);
        }
        Some(DescribeProducersResponse {
            topics,
            ..DescribeProducersResponse::default()
        })
    }
}

async fn producers_of(call: &Call, asked: TopicRequest) -> TopicResponse {
    let topics = call.door.site.topics();
    let topic = match call.may(Operation::Read, Resource::Topic(&asked.name)) {
        true => topics
            .get(&asked.name)
            .ok_or(ErrorCode::UnknownTopicOrPartition),
        false => Err(ErrorCode::TopicAuthorizationFailed),
    };
    let mut partitions = Vec::with_capacity(asked.partition_indexes.len());
    for &partition_index in &asked.partition_indexes {
        let found = match topic {
            Ok(topic) => producers(call, topic, partition_index).await,
            Err(code) => Err(code),
        };
        let error_code = found.as_ref().err().copied().unwrap_or_default();
        let active = found.unwrap_or_default();
        partitions.push(PartitionResponse {
            partition_index,
            error_code,
            error_message: None,
            active_producers: active.into_iter().map(state).collect(),
        });
    }
    TopicResponse {
        name: asked.name,
        partitions,
    }
}

async fn producers(
    call: &Call,
    topic: &Topic,
    index: i32,
) -> Result<Vec<ProducerShown>, ErrorCode> {
    let view = call.led(topic, index, NO_EPOCH);
    let key = view.map_err(|why| why.code)?.key;
    let asked = call
        .door
        .streams
        .ask(|answer| Word::Producers { key, answer });
    let found = asked.await.unwrap_or(Err(NotHere::NotLeader));
    found.map_err(ErrorCode::from)
}

fn state(producer: ProducerShown) -> ProducerState {
    ProducerState {
        producer_id: producer.id.0 as i64,
        producer_epoch: producer.epoch.into(),
        last_sequence: producer.last_sequence,
        last_timestamp: producer.last_timestamp_ms,
        coordinator_epoch: producer.coordinator_epoch,
        current_txn_start_offset: producer.open_since.map_or(-1, |open| open.0 as i64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::kafka::handlers::trial::{Trial, batch, run, transactional};

    #[test]
    fn an_open_transaction_shows_where_it_began() {
        let trial = Trial::new(&[("a", 1, &[])]);
        trial.append("a", 0, &batch(&[1]));
        trial.append("a", 0, &transactional(0, &[1, 1, 1]));
        run(async {
            let request = DescribeProducersRequest {
                topics: [vec![0, 1, 0], vec![1]]
                    .map(|partition_indexes| TopicRequest {
                        name: "a".into(),
                        partition_indexes,
                    })
                    .into(),
            };
            let response = trial.ask::<DescribeProducers>(0, request).await;
            assert!(response.topics[1].partitions.is_empty(), "told already");
            let [one, none] = &response.topics[0].partitions[..] else {
                panic!("{response:?}");
            };
            let expected = ProducerState {
                producer_id: 9,
                producer_epoch: 0,
                last_sequence: 2,
                last_timestamp: 1,
                coordinator_epoch: -1,
                current_txn_start_offset: 1,
            };
            assert_eq!(one.active_producers, [expected]);
            assert_eq!(none.error_code, ErrorCode::UnknownTopicOrPartition);
        });
    }
}
