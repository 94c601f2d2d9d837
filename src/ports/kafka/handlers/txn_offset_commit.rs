//! Keeps how far a group has read, once a transaction is committed.

use super::groups::{CONFUSED, codes_of_each, name, optional_name};
use super::named::Named;
use super::proposing::Deadline;
use super::{Call, Handle};
use crate::ids::{TopicId, Uid};
use crate::limits::BEGIN_VERIFIED_MAX;
use crate::ports::kafka::access::{Operation, Resource};
use crate::ports::kafka::errors::groups::transactional_commit_code;
use crate::ports::kafka::errors::transactions::Vocabulary;
use crate::ports::kafka::messages::ErrorCode;
use crate::ports::kafka::messages::txn_offset_commit::*;
use crate::streams::groups::request::{Caller, CommitInTransaction, NewOffset, Request};
use crate::streams::groups::{self, Name};
use crate::streams::transactions::Error;

impl Handle for TxnOffsetCommit {
    async fn run(call: Call, request: TxnOffsetCommitRequest) -> Option<TxnOffsetCommitResponse> {
        let may = may(&call, &request);
        if let Err(code) = may {
            return Some(response(request.topics, |_| Err(code), &[]));
        }
        let named = request.topics.iter().map(|topic| &*topic.name);
        let topics = call.topics_with(named, Deadline::of_a_look()).await;
        let looked = request.topics.iter();
        let verdicts: Vec<_> = looked
            .map(|topic| call.topic(&topics, Operation::Read, &topic.name))
            .collect();
        let offsets = offsets(&request.topics, &verdicts);
        let codes = match offsets.is_empty() {
            true => Vec::new(),
            false => keep(&call, &request, offsets).await,
        };
        Some(response(request.topics, |at| verdicts[at], &codes))
    }
}

fn may(call: &Call, request: &TxnOffsetCommitRequest) -> Result<(), ErrorCode> {
    let id = Resource::TransactionalId(&request.transactional_id);
    match call.may(Operation::Write, id) {
        true => call.may_on_group(Operation::Read, &request.group_id),
        false => Err(ErrorCode::TransactionalIdAuthorizationFailed),
    }
}

async fn keep(
    call: &Call,
    request: &TxnOffsetCommitRequest,
    offsets: Vec<NewOffset>,
) -> Vec<ErrorCode> {
    let count = offsets.len();
    let mut commit = commit(request, offsets);
    let mut tries = BEGIN_VERIFIED_MAX;
    loop {
        let asked = Request::CommitInTransaction(commit.clone());
        let answer = call.door.groups.ask(&request.group_id, asked).await;
        match answer {
            Err(groups::Error::Unverified(now)) if tries > 0 => {
                if let Err(code) = verify(call, request).await {
                    return vec![code; count];
                }
                commit.verified = Some(now);
                tries -= 1;
            }
            answer => return codes_of_each(answer, count, transactional_commit_code),
        }
    }
}

/// Whether the producer's transaction is open and knows of the group's
/// partition, or hears of it now, from version 5 on. What came behind its end
/// would be pending for ever.
async fn verify(call: &Call, request: &TxnOffsetCommitRequest) -> Result<(), ErrorCode> {
    let transactions = &call.door.transactions;
    let place = transactions.place_of_group(&request.group_id);
    let place = place.ok_or(ErrorCode::CoordinatorNotAvailable)?;
    let producer = (request.producer_id, request.producer_epoch);
    let (is_v2, id) = (
        call.version >= TRANSACTIONS_V2_FROM,
        &request.transactional_id,
    );
    let of_group = (&*place.topic, place.partition);
    let verified = transactions.verify(id, producer, of_group, is_v2).await;
    verified.map_err(|why| unverified(&why, call.version))
}

/// As a client takes it that asks the group's coordinator: that of transactions
/// is not there for it to look for.
fn unverified(why: &Error, version: i16) -> ErrorCode {
    match Vocabulary::since(version, i16::MAX, ABORTABLE_FROM).code(why) {
        ErrorCode::NotCoordinator => ErrorCode::CoordinatorNotAvailable,
        ErrorCode::ConcurrentTransactions if version < TRANSACTIONS_V2_FROM => {
            ErrorCode::CoordinatorLoadInProgress
        }
        code => code,
    }
}

/// The first version that knows TRANSACTION_ABORTABLE.
const ABORTABLE_FROM: i16 = 4;
/// The first version by which a group's offsets come into a transaction
/// (KIP-890), without AddOffsetsToTxn before.
const TRANSACTIONS_V2_FROM: i16 = 5;

fn commit(request: &TxnOffsetCommitRequest, offsets: Vec<NewOffset>) -> CommitInTransaction {
    CommitInTransaction {
        caller: Caller {
            group: name(&request.group_id),
            member: name(&request.member_id),
            instance: optional_name(&request.group_instance_id),
            generation: request.generation_id,
        },
        producer: request.producer_id,
        producer_epoch: request.producer_epoch,
        offsets,
        verified: None,
    }
}

/// Of each partition the last that is said of it, at the place of the first: each
/// becomes a record of the log, which has the names of its group and topic besides.
fn offsets(
    topics: &[TxnOffsetCommitRequestTopic],
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

fn offset(topic: Name, id: TopicId, partition: &TxnOffsetCommitRequestPartition) -> NewOffset {
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
    topics: Vec<TxnOffsetCommitRequestTopic>,
    verdict: impl Fn(usize) -> Result<TopicId, ErrorCode>,
    codes: &[ErrorCode],
) -> TxnOffsetCommitResponse {
    let (mut codes, mut told) = (codes.iter().copied(), Named::default());
    let mut topic = |(at, topic): (usize, TxnOffsetCommitRequestTopic)| {
        let (verdict, told) = (verdict(at), told.of(&topic.name));
        let partitions = topic.partitions.iter().map(|partition| {
            let error_code = match verdict {
                Ok(_) => *told
                    .entry(partition.partition_index)
                    .or_insert_with(|| codes.next().unwrap_or(CONFUSED)),
                Err(code) => code,
            };
            TxnOffsetCommitResponsePartition {
                partition_index: partition.partition_index,
                error_code,
            }
        });
        TxnOffsetCommitResponseTopic {
            partitions: partitions.collect(),
            name: topic.name,
        }
    };
    TxnOffsetCommitResponse {
        topics: topics.into_iter().enumerate().map(&mut topic).collect(),
        ..TxnOffsetCommitResponse::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::kafka::handlers::shapes::says;

    fn topic(name: &str, partitions: &[i32]) -> TxnOffsetCommitRequestTopic {
        let partition = |&partition_index: &i32| TxnOffsetCommitRequestPartition {
            partition_index,
            ..TxnOffsetCommitRequestPartition::default()
        };
        TxnOffsetCommitRequestTopic {
            name: name.into(),
            partitions: partitions.iter().map(partition).collect(),
        }
    }

    #[test]
    fn every_partition_is_told_what_came_of_it() {
        says::<TxnOffsetCommit>(|_| {
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
}
