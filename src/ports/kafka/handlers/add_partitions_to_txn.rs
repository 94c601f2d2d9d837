//! Makes partitions part of a transaction before records are written to them.
//! From version 4 on brokers ask, for many transactions at once, and may only
//! want to know whether it is so.

use super::{Call, Handle};
use crate::ids::PartitionId;
use crate::ports::kafka::access::{Operation, Resource};
use crate::ports::kafka::errors::transactions::Vocabulary;
use crate::ports::kafka::messages::add_partitions_to_txn::{
    AddPartitionsToTxn, AddPartitionsToTxnPartitionResult, AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse, AddPartitionsToTxnResult, AddPartitionsToTxnTopic,
    AddPartitionsToTxnTopicResult, AddPartitionsToTxnTransaction,
};
use crate::ports::kafka::messages::{ErrorCode, Text};
use crate::state::topics::names;
use crate::streams::transactions::request::{Reply, Request};
use crate::streams::transactions::{Error, Identity, Place};
use std::collections::{BTreeMap, BTreeSet};

const BY_BROKERS_SINCE: i16 = 4;

/// What each partition of a transaction is answered.
type Codes = BTreeMap<Place, ErrorCode>;

impl Handle for AddPartitionsToTxn {
    async fn run(
        call: Call,
        request: AddPartitionsToTxnRequest,
    ) -> Option<AddPartitionsToTxnResponse> {
        let mut response = AddPartitionsToTxnResponse::default();
        if call.version < BY_BROKERS_SINCE {
            let transaction = AddPartitionsToTxnTransaction {
                transactional_id: request.v3_and_below_transactional_id,
                producer_id: request.v3_and_below_producer_id,
                producer_epoch: request.v3_and_below_producer_epoch,
                verify_only: false,
                topics: request.v3_and_below_topics,
            };
            let codes = add_for_client(&call, &transaction).await;
            response.results_by_topic_v3_and_below = told(&transaction.topics, &codes);
            return Some(response);
        }
        if !call.may(Operation::ClusterAction, Resource::Cluster) {
            response.error_code = ErrorCode::ClusterAuthorizationFailed;
            return Some(response);
        }
        for transaction in &request.transactions {
            let codes = add_for_broker(&call, transaction).await;
            response
                .results_by_transaction
                .push(AddPartitionsToTxnResult {
                    transactional_id: transaction.transactional_id.clone(),
                    topic_results: told(&transaction.topics, &codes),
                });
        }
        Some(response)
    }
}

/// All of the partitions or none.
async fn add_for_client(call: &Call, transaction: &AddPartitionsToTxnTransaction) -> Codes {
    let id = &transaction.transactional_id;
    if !call.may(Operation::Write, Resource::TransactionalId(id)) {
        let places = places(&transaction.topics);
        return all(places, ErrorCode::TransactionalIdAuthorizationFailed);
    }
    let refusal = |place: &Place| {
        let topic = &*place.topic;
        // What groups have in a transaction is added by `AddOffsetsToTxn`.
        let is_closed = names::is_internal(topic);
        match is_closed || !call.may(Operation::Write, Resource::Topic(topic)) {
            true => Some(ErrorCode::TopicAuthorizationFailed),
            false => missing(call, place),
        }
    };
    add(call, transaction, refusal, false).await
}

async fn add_for_broker(call: &Call, transaction: &AddPartitionsToTxnTransaction) -> Codes {
    match transaction.verify_only {
        true => ask(call, transaction, places(&transaction.topics), true).await,
        false => add(call, transaction, |place| missing(call, place), true).await,
    }
}

async fn add(
    call: &Call,
    transaction: &AddPartitionsToTxnTransaction,
    refusal: impl Fn(&Place) -> Option<ErrorCode>,
    is_raised: bool,
) -> Codes {
    let places = places(&transaction.topics);
    let refused = |place: &Place| Some((place.clone(), refusal(place)?));
    let refusals: Codes = places.iter().filter_map(refused).collect();
    let all_named = transaction
        .topics
        .iter()
        .flat_map(|topic| &topic.partitions);
    let are_numbers = all_named.into_iter().all(|&number| number >= 0);
    if refusals.is_empty() && are_numbers {
        return ask(call, transaction, places, is_raised).await;
    }
    let mut codes = all(places, ErrorCode::OperationNotAttempted);
    codes.extend(refusals);
    codes
}

fn missing(call: &Call, place: &Place) -> Option<ErrorCode> {
    let topics = call.door.site.topics();
    let found = topics.get(&place.topic);
    let found = found.and_then(|topic| topic.partition(place.partition));
    found
        .is_none()
        .then_some(ErrorCode::UnknownTopicOrPartition)
}

async fn ask(
    call: &Call,
    transaction: &AddPartitionsToTxnTransaction,
    places: BTreeSet<Place>,
    is_raised: bool,
) -> Codes {
    let words = Vocabulary::since(call.version, 2, 5);
    let who = Identity::of(transaction.producer_id, transaction.producer_epoch);
    let Some(who) = who else {
        return all(places, words.code(&Error::OtherProducer));
    };
    let id = (*transaction.transactional_id).into();
    let asked = places.clone();
    let request = match transaction.verify_only {
        true => Request::Verify {
            id,
            who,
            places: asked,
        },
        false => Request::Add {
            id,
            who,
            places: asked,
            is_raised,
        },
    };
    match call.door.transactions.ask(request).await {
        Ok(Reply::Verified(each)) => {
            let coded = |one: Result<(), Error>| {
                one.map_or_else(|error| words.code(&error), |()| ErrorCode::None)
            };
            places
                .into_iter()
                .zip(each.into_iter().map(coded))
                .collect()
        }
        Ok(_) => all(places, ErrorCode::None),
        Err(error) => all(places, words.code(&error)),
    }
}

fn all(places: BTreeSet<Place>, code: ErrorCode) -> Codes {
    places.into_iter().map(|place| (place, code)).collect()
}

fn place(topic: &Text, partition: i32) -> Option<Place> {
    let partition = PartitionId(u32::try_from(partition).ok()?);
    let topic = (**topic).into();
    Some(Place { topic, partition })
}

fn places(topics: &[AddPartitionsToTxnTopic]) -> BTreeSet<Place> {
    let of_topic = |topic: &AddPartitionsToTxnTopic| {
        let each = topic.partitions.iter();
        let places: Vec<_> = each.filter_map(|&one| place(&topic.name, one)).collect();
        places
    };
    topics.iter().flat_map(of_topic).collect()
}

/// In the order in which they were named.
fn told(topics: &[AddPartitionsToTxnTopic], codes: &Codes) -> Vec<AddPartitionsToTxnTopicResult> {
    let of_partition = |name: &Text, partition_index: i32| {
        let code = place(name, partition_index).and_then(|place| codes.get(&place));
        AddPartitionsToTxnPartitionResult {
            partition_index,
            // No partition has a number below 0.
            partition_error_code: code.copied().unwrap_or(ErrorCode::UnknownTopicOrPartition),
        }
    };
    let of_topic = |topic: &AddPartitionsToTxnTopic| AddPartitionsToTxnTopicResult {
        name: topic.name.clone(),
        results_by_partition: topic
            .partitions
            .iter()
            .map(|&partition| of_partition(&topic.name, partition))
            .collect(),
    };
    topics.iter().map(of_topic).collect()
}
