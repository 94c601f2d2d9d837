//! Tells of transactional ids what their transactions stand at.

use super::named::each_once;
use super::{Call, Handle};
use crate::ports::kafka::access::{Operation, Resource};
use crate::ports::kafka::errors::transactions::Vocabulary;
use crate::ports::kafka::messages::describe_transactions::{
    DescribeTransactions, DescribeTransactionsRequest, DescribeTransactionsResponse, TopicData,
    TransactionState,
};
use crate::ports::kafka::messages::{ErrorCode, Text};
use crate::streams::transactions::request::{Described, Reply, Request};
use crate::streams::transactions::{Error, Place};
use std::collections::BTreeSet;

impl Handle for DescribeTransactions {
    const MAY_BE_LARGE: bool = true;

    async fn run(
        call: Call,
        request: DescribeTransactionsRequest,
    ) -> Option<DescribeTransactionsResponse> {
        let mut response = DescribeTransactionsResponse::default();
        // One that is named a thousand times is described once.
        for (id, _) in each_once(request.transactional_ids, Text::clone) {
            let mut state = match described(&call, &id).await {
                Ok(described) => shown(&call, &described),
                Err(error_code) => TransactionState {
                    error_code,
                    producer_id: -1,
                    producer_epoch: -1,
                    transaction_start_time_ms: -1,
                    ..TransactionState::default()
                },
            };
            state.transactional_id = id;
            response.transaction_states.push(state);
        }
        Some(response)
    }
}

async fn described(call: &Call, id: &Text) -> Result<Described, ErrorCode> {
    if !call.may(Operation::Describe, Resource::TransactionalId(id)) {
        return Err(ErrorCode::TransactionalIdAuthorizationFailed);
    }
    if id.is_empty() {
        return Err(ErrorCode::InvalidRequest);
    }
    let asked = Request::Describe { id: (**id).into() };
    match call.door.transactions.ask(asked).await {
        Ok(Reply::Described(described)) => Ok(described),
        Ok(_) => Err(ErrorCode::UnknownServerError),
        Err(Error::UnknownId) => Err(ErrorCode::TransactionalIdNotFound),
        Err(error) => Err(Vocabulary::since(call.version, 0, 0).code(&error)),
    }
}

fn shown(call: &Call, described: &Described) -> TransactionState {
    let started = described.started.map_or(-1, |started| started.0 as i64);
    TransactionState {
        transaction_state: Text::from_static(described.stage.name()),
        transaction_timeout_ms: i32::try_from(described.timeout_ms).unwrap_or(i32::MAX),
        transaction_start_time_ms: started,
        producer_id: described.holder.id.0 as i64,
        producer_epoch: described.holder.epoch,
        topics: topics(call, &described.places),
        ..TransactionState::default()
    }
}

/// Those that the client may know of.
fn topics(call: &Call, places: &BTreeSet<Place>) -> Vec<TopicData> {
    let places: Vec<&Place> = places.iter().collect();
    let by_topic = places.chunk_by(|a, b| a.topic == b.topic);
    let seen = by_topic.filter(|places| {
        let topic = &places[0].topic;
        call.may(Operation::Describe, Resource::Topic(topic))
    });
    seen.map(|places| TopicData {
        topic: Text::from(&*places[0].topic),
        partitions: places.iter().map(|one| one.partition.0 as i32).collect(),
    })
    .collect()
}
