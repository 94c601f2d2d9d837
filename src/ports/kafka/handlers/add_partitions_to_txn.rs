//! Makes partitions part of a transaction before records are written to them.
//! From version 4 on brokers ask, for many transactions at once, and may only
//! want to know whether it is so.

use super::grouped::partition_in;
use super::proposing::Deadline;
use super::{Call, Handle};
use crate::ids::PartitionId;
use crate::ports::kafka::access::{Operation, Resource};
use crate::ports::kafka::errors::transactions::Vocabulary;
use crate::ports::kafka::messages::ErrorCode;
use crate::ports::kafka::messages::add_partitions_to_txn::{
    AddPartitionsToTxn, AddPartitionsToTxnPartitionResult, AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse, AddPartitionsToTxnResult, AddPartitionsToTxnTopic,
    AddPartitionsToTxnTopicResult, AddPartitionsToTxnTransaction,
};
use crate::state::topics::{Topic, Topics, names};
use crate::streams::transactions::request::{Reply, Request};
use crate::streams::transactions::{Error, Identity, Name, Place};
use std::collections::{BTreeMap, BTreeSet};

const BY_BROKERS_SINCE: i16 = 4;

/// What the partitions of a transaction are answered, in the order in which they
/// were named.
type Told = Vec<AddPartitionsToTxnTopicResult>;

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
            response.results_by_topic_v3_and_below = add_for_client(&call, &transaction).await;
            return Some(response);
        }
        if !call.may(Operation::ClusterAction, Resource::Cluster) {
            response.error_code = ErrorCode::ClusterAuthorizationFailed;
            return Some(response);
        }
        for transaction in &request.transactions {
            let topic_results = add_for_broker(&call, transaction).await;
            response
                .results_by_transaction
                .push(AddPartitionsToTxnResult {
                    transactional_id: transaction.transactional_id.clone(),
                    topic_results,
                });
        }
        Some(response)
    }
}

/// All of the partitions or none.
async fn add_for_client(call: &Call, transaction: &AddPartitionsToTxnTransaction) -> Told {
    let id = &transaction.transactional_id;
    if !call.may(Operation::Write, Resource::TransactionalId(id)) {
        let code = ErrorCode::TransactionalIdAuthorizationFailed;
        return all(&transaction.topics, code);
    }
    // What groups have in a transaction is added by `AddOffsetsToTxn`.
    let is_open = |topic: &str| {
        !names::is_internal(topic) && call.may(Operation::Write, Resource::Topic(topic))
    };
    add(call, transaction, is_open, false).await
}

async fn add_for_broker(call: &Call, transaction: &AddPartitionsToTxnTransaction) -> Told {
    match transaction.verify_only {
        true => ask(call, transaction, true).await,
        false => add(call, transaction, |_| true, true).await,
    }
}

async fn add(
    call: &Call,
    transaction: &AddPartitionsToTxnTransaction,
    is_open: impl Fn(&str) -> bool,
    is_raised: bool,
) -> Told {
    let named = transaction.topics.iter().map(|topic| &*topic.name);
    let topics = call.topics_with(named, Deadline::of_a_look()).await;
    match refusals(&topics, &transaction.topics, is_open) {
        Some(told) => told,
        None => ask(call, transaction, is_raised).await,
    }
}

/// None where all of them may be added.
fn refusals(
    topics: &Topics,
    asked: &[AddPartitionsToTxnTopic],
    is_open: impl Fn(&str) -> bool,
) -> Option<Told> {
    const GOOD: ErrorCode = ErrorCode::OperationNotAttempted;
    let look = |name: &str| -> Result<&Topic, ErrorCode> {
        let topic = topics.get(name).ok_or(ErrorCode::UnknownTopicOrPartition);
        match is_open(name) {
            true => topic,
            false => Err(ErrorCode::TopicAuthorizationFailed),
        }
    };
    let told = told(asked, |name| {
        let topic = look(name);
        move |number| match topic.map(|topic| partition_in(topic, number)) {
            Ok(Some(_)) => GOOD,
            Ok(None) => ErrorCode::UnknownTopicOrPartition,
            Err(code) => code,
        }
    });
    let mut each = told.iter().flat_map(|topic| &topic.results_by_partition);
    let is_refused = each.any(|one| one.partition_error_code != GOOD);
    is_refused.then_some(told)
}

async fn ask(call: &Call, transaction: &AddPartitionsToTxnTransaction, is_raised: bool) -> Told {
    let topics = &transaction.topics;
    let words = Vocabulary::since(call.version, 2, 5);
    let who = Identity::of(transaction.producer_id, transaction.producer_epoch);
    let Some(who) = who else {
        return all(topics, words.code(&Error::OtherProducer));
    };
    let (id, places) = ((*transaction.transactional_id).into(), places(topics));
    if !transaction.verify_only {
        let request = Request::Add {
            id,
            who,
            places,
            is_raised,
        };
        let added = call.door.transactions.ask(request).await;
        let code = added.map_or_else(|error| words.code(&error), |_| ErrorCode::None);
        return all(topics, code);
    }
    let asked = places.clone();
    let request = Request::Verify { id, who, places };
    match call.door.transactions.ask(request).await {
        Ok(Reply::Verified(each)) => {
            let coded = each
                .into_iter()
                .map(|one| one.map_or_else(|error| words.code(&error), |()| ErrorCode::None));
            verified(topics, &asked.into_iter().zip(coded).collect())
        }
        Ok(_) => all(topics, ErrorCode::UnknownServerError),
        Err(error) => all(topics, words.code(&error)),
    }
}

/// Those that can be a partition of some topic, with one copy of each topic's name:
/// a name of 32 KiB may stand for a hundred thousand of them.
fn places(topics: &[AddPartitionsToTxnTopic]) -> BTreeSet<Place> {
    let topics = topics.iter();
    let can_be = topics.filter(|topic| names::check(&topic.name).is_ok());
    let places = can_be.flat_map(|topic| {
        let name: Name = (*topic.name).into();
        let numbers = topic.partitions.iter();
        numbers.filter_map(move |&number| place(&name, number))
    });
    places.collect()
}

/// No partition has a number below 0.
fn place(topic: &Name, number: i32) -> Option<Place> {
    let partition = PartitionId(u32::try_from(number).ok()?);
    let topic = topic.clone();
    Some(Place { topic, partition })
}

fn verified(topics: &[AddPartitionsToTxnTopic], codes: &BTreeMap<Place, ErrorCode>) -> Told {
    told(topics, |name| {
        let name: Name = name.into();
        move |number| {
            let code = place(&name, number).and_then(|place| codes.get(&place));
            code.copied().unwrap_or(ErrorCode::UnknownTopicOrPartition)
        }
    })
}

fn all(topics: &[AddPartitionsToTxnTopic], code: ErrorCode) -> Told {
    told(topics, |_| move |_| code)
}

/// `code_of` is asked once for each topic, and what it gives for each partition.
fn told<C: Fn(i32) -> ErrorCode>(
    topics: &[AddPartitionsToTxnTopic],
    code_of: impl Fn(&str) -> C,
) -> Told {
    let of_topic = |topic: &AddPartitionsToTxnTopic| {
        let code_of = code_of(&topic.name);
        let results = topic.partitions.iter();
        let results = results.map(|&partition_index| AddPartitionsToTxnPartitionResult {
            partition_index,
            partition_error_code: code_of(partition_index),
        });
        AddPartitionsToTxnTopicResult {
            name: topic.name.clone(),
            results_by_partition: results.collect(),
        }
    };
    topics.iter().map(of_topic).collect()
}
