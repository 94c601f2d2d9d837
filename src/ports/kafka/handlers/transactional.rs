//! The handlers of transactions, asked by way of the table and of their bytes:
//! what a version cannot say is noticed.

use super::{Call, Handle, of};
use crate::clock::MachineClock;
use crate::entropy::MachineEntropy;
use crate::ids::{PartitionId, ProducerId};
use crate::ports::kafka::messages::add_offsets_to_txn::*;
use crate::ports::kafka::messages::add_partitions_to_txn::*;
use crate::ports::kafka::messages::describe_transactions::*;
use crate::ports::kafka::messages::end_txn::*;
use crate::ports::kafka::messages::init_producer_id::*;
use crate::ports::kafka::messages::list_transactions::*;
use crate::ports::kafka::messages::offset_fetch::*;
use crate::ports::kafka::messages::txn_offset_commit::*;
use crate::ports::kafka::messages::{Api, ErrorCode, read_response, write_request};
use crate::ports::kafka::{Door, Means};
use crate::streams::coordinators::Groups;
use crate::streams::coordinators::groups::memory::Memory;
use crate::streams::coordinators::groups::settings_of;
use crate::streams::coordinators::transactions::trial::Trial;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

struct Stage {
    door: Arc<Door>,
    trial: Trial,
}

fn run(work: impl AsyncFnOnce(Stage)) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().build().unwrap();
    runtime.block_on(async {
        let trial = Trial::new();
        let clock = Arc::new(MachineClock::new());
        let groups = Groups::over(
            trial.site.clone(),
            Arc::new(Memory::default()),
            clock.clone(),
            settings_of,
            &tokio::runtime::Handle::current(),
        );
        let means = Means {
            groups,
            transactions: trial.transactions.clone(),
            ..Means::idle(trial.site.clone(), clock, Arc::new(MachineEntropy))
        };
        let door = Door::new(means).unwrap();
        let stage = Stage {
            door: Arc::new(door),
            trial,
        };
        let limit = Duration::from_secs(20);
        let done = tokio::time::timeout(limit, work(stage)).await;
        done.expect("in time");
    });
}

impl Stage {
    async fn ask<A: Handle>(&self, version: i16, request: &A::Request) -> A::Response {
        let frame = write_request::<A>(version, 7, None, request).unwrap();
        let call = Call::local(&self.door);
        let frame = Bytes::from(frame.to_vec()).slice(4..);
        let handler = of(A::KEY).expect("a line of the table");
        let answer = handler.run(call, frame).await.unwrap().unwrap();
        let answer = Bytes::from(answer.to_vec()).slice(4..);
        read_response::<A>(version, answer).unwrap().1
    }

    async fn init(&self, version: i16, id: Option<&str>) -> InitProducerIdResponse {
        let request = InitProducerIdRequest {
            transactional_id: id.map(Into::into),
            transaction_timeout_ms: 60_000,
            ..InitProducerIdRequest::default()
        };
        loop {
            let response = self.ask::<InitProducerId>(version, &request).await;
            if !is_passing(response.error_code) {
                return response;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// By the version of clients that say it themselves.
    async fn add(&self, who: (i64, i16), topic: &str) -> Vec<ErrorCode> {
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: "a".into(),
            v3_and_below_producer_id: who.0,
            v3_and_below_producer_epoch: who.1,
            v3_and_below_topics: topics(&[("t", &[1, 0]), (topic, &[0, 1])]),
            ..AddPartitionsToTxnRequest::default()
        };
        loop {
            let response = self.ask::<AddPartitionsToTxn>(3, &request).await;
            let codes = codes(&response.results_by_topic_v3_and_below);
            if !codes.iter().any(|&code| is_passing(code)) {
                return codes;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn end(&self, version: i16, who: (i64, i16), committed: bool) -> EndTxnResponse {
        let request = EndTxnRequest {
            transactional_id: "a".into(),
            producer_id: who.0,
            producer_epoch: who.1,
            committed,
        };
        self.ask::<EndTxn>(version, &request).await
    }
}

fn is_passing(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::CoordinatorLoadInProgress
            | ErrorCode::NotCoordinator
            | ErrorCode::ConcurrentTransactions
    )
}

fn topics(topics: &[(&str, &[i32])]) -> Vec<AddPartitionsToTxnTopic> {
    let topic = |&(name, partitions): &(&str, &[i32])| AddPartitionsToTxnTopic {
        name: name.into(),
        partitions: partitions.to_vec(),
    };
    topics.iter().map(topic).collect()
}

fn codes(topics: &[AddPartitionsToTxnTopicResult]) -> Vec<ErrorCode> {
    let all = topics.iter().flat_map(|topic| &topic.results_by_partition);
    all.map(|one| one.partition_error_code).collect()
}

#[test]
fn producers_have_ids_with_and_without_transactions() {
    run(async |stage| {
        for version in InitProducerId::VERSIONS {
            let plain = stage.init(version, None).await;
            assert_eq!(plain.error_code, ErrorCode::None);
            assert_eq!(plain.producer_epoch, 0);
            let other = stage.init(version, None).await;
            assert_ne!(plain.producer_id, other.producer_id);
            let own = stage.init(version, Some("a")).await;
            assert_eq!(own.producer_epoch, version, "raised each time");
            let empty = stage.init(version, Some("")).await;
            assert_eq!(empty.error_code, ErrorCode::InvalidRequest);
            assert_eq!((empty.producer_id, empty.producer_epoch), (-1, -1));
        }
        let long = InitProducerIdRequest {
            transactional_id: Some("b".into()),
            transaction_timeout_ms: 15 * 60 * 1000 + 1,
            ..InitProducerIdRequest::default()
        };
        let refused = stage.ask::<InitProducerId>(5, &long).await;
        assert_eq!(refused.error_code, ErrorCode::InvalidTransactionTimeout);
        let half = InitProducerIdRequest {
            producer_id: 5,
            ..long
        };
        let refused = stage.ask::<InitProducerId>(5, &half).await;
        assert_eq!(refused.error_code, ErrorCode::InvalidRequest);
    });
}

#[test]
fn producers_wait_where_no_ids_are_to_be_had() {
    run(async |stage| {
        // All partitions are read, and their coordinators have ids for some.
        for id in ["a", "b", "c", "d", "e", "f", "g", "h"] {
            stage.init(5, Some(id)).await;
        }
        stage.trial.draws(false);
        let mut others = (0..).map(|n| format!("later-{n}"));
        let request = |id: Option<&str>| InitProducerIdRequest {
            transactional_id: id.map(Into::into),
            transaction_timeout_ms: 60_000,
            ..InitProducerIdRequest::default()
        };
        // What was drawn before is given out first.
        for version in InitProducerId::VERSIONS {
            let refused = loop {
                let plain = stage.ask::<InitProducerId>(version, &request(None)).await;
                if plain.error_code != ErrorCode::None {
                    break plain;
                }
            };
            let loading = ErrorCode::CoordinatorLoadInProgress;
            assert_eq!(refused.error_code, loading);
            assert_eq!((refused.producer_id, refused.producer_epoch), (-1, -1));
            let refused = loop {
                let asked = request(others.next().as_deref());
                let own = stage.ask::<InitProducerId>(version, &asked).await;
                if own.error_code != ErrorCode::None {
                    break own;
                }
            };
            assert_eq!(refused.error_code, loading);
        }
    });
}

#[test]
fn who_was_fenced_is_told_so_in_words_it_knows() {
    run(async |stage| {
        let first = stage.init(5, Some("a")).await;
        stage.init(5, Some("a")).await;
        let who = (first.producer_id, first.producer_epoch);
        for version in EndTxn::VERSIONS {
            let response = stage.end(version, who, true).await;
            let expected = match version {
                0..2 => ErrorCode::InvalidProducerEpoch,
                _ => ErrorCode::ProducerFenced,
            };
            assert_eq!(response.error_code, expected);
            assert_eq!((response.producer_id, response.producer_epoch), (-1, -1));
        }
        for version in 3..=*InitProducerId::VERSIONS.end() {
            let request = InitProducerIdRequest {
                transactional_id: Some("a".into()),
                transaction_timeout_ms: 60_000,
                producer_id: who.0,
                producer_epoch: who.1,
            };
            let response = stage.ask::<InitProducerId>(version, &request).await;
            let expected = match version {
                ..4 => ErrorCode::InvalidProducerEpoch,
                _ => ErrorCode::ProducerFenced,
            };
            assert_eq!(response.error_code, expected);
        }
        for version in AddOffsetsToTxn::VERSIONS {
            let request = AddOffsetsToTxnRequest {
                transactional_id: "a".into(),
                producer_id: who.0,
                producer_epoch: who.1,
                group_id: "g".into(),
            };
            let response = stage.ask::<AddOffsetsToTxn>(version, &request).await;
            let expected = match version {
                ..2 => ErrorCode::InvalidProducerEpoch,
                _ => ErrorCode::ProducerFenced,
            };
            assert_eq!(response.error_code, expected);
        }
    });
}

#[test]
fn partitions_are_added_all_or_none() {
    use ErrorCode::{None, OperationNotAttempted, TopicAuthorizationFailed};
    run(async |stage| {
        let own = stage.init(5, Some("a")).await;
        let who = (own.producer_id, own.producer_epoch);
        let unknown = ErrorCode::UnknownTopicOrPartition;
        let no = OperationNotAttempted;
        assert_eq!(stage.add(who, "none").await, [no, no, unknown, unknown]);
        let internal = TopicAuthorizationFailed;
        let refused = stage.add(who, "__consumer_offsets").await;
        assert_eq!(refused, [no, no, internal, internal]);
        let committed = stage.end(4, who, true).await;
        assert_eq!(committed.error_code, ErrorCode::InvalidTxnState);
        assert_eq!(stage.add(who, "t").await, [None; 4]);
        assert_eq!(stage.end(4, who, true).await.error_code, None);
        let again = stage.end(4, who, true).await.error_code;
        assert!(again == None || is_passing(again), "{again}");
        let other = stage.add((who.0 + 1000, who.1), "t").await;
        assert_eq!(other, [ErrorCode::InvalidProducerIdMapping; 4]);
    });
}

#[test]
fn every_version_of_adding_has_its_shape() {
    run(async |stage| {
        for version in AddPartitionsToTxn::VERSIONS {
            let own = stage.init(5, Some("a")).await;
            let mut request = AddPartitionsToTxnRequest::default();
            let asked = topics(&[("t", &[0])]);
            match version {
                ..4 => {
                    request.v3_and_below_transactional_id = "a".into();
                    request.v3_and_below_producer_id = own.producer_id;
                    request.v3_and_below_producer_epoch = own.producer_epoch;
                    request.v3_and_below_topics = asked;
                }
                _ => {
                    let add = |verify_only, topics| AddPartitionsToTxnTransaction {
                        transactional_id: "a".into(),
                        producer_id: own.producer_id,
                        producer_epoch: own.producer_epoch,
                        verify_only,
                        topics,
                    };
                    let both = topics(&[("t", &[0, 1, -1, 9])]);
                    request.transactions = vec![
                        add(true, asked.clone()),
                        add(false, both.clone()),
                        add(false, asked),
                        add(true, both),
                    ];
                }
            }
            let response = stage.ask::<AddPartitionsToTxn>(version, &request).await;
            let old = codes(&response.results_by_topic_v3_and_below);
            let new = response.results_by_transaction.iter();
            let new: Vec<_> = new.map(|one| codes(&one.topic_results)).collect();
            let abortable = match version {
                5.. => ErrorCode::TransactionAbortable,
                _ => ErrorCode::InvalidTxnState,
            };
            let (none, unknown) = (ErrorCode::None, ErrorCode::UnknownTopicOrPartition);
            let no = ErrorCode::OperationNotAttempted;
            match version {
                ..4 => assert_eq!(old, [none]),
                _ => assert_eq!(
                    new,
                    [
                        vec![abortable],
                        vec![no, no, unknown, unknown],
                        vec![none],
                        vec![none, abortable, unknown, abortable],
                    ]
                ),
            }
            stage.init(5, Some("a")).await;
        }
    });
}

#[test]
fn the_end_says_as_whom_the_producer_goes_on_where_it_can() {
    run(async |stage| {
        for version in EndTxn::VERSIONS {
            let own = stage.init(5, Some("a")).await;
            let who = (own.producer_id, own.producer_epoch);
            assert_eq!(stage.add(who, "t").await, [ErrorCode::None; 4]);
            let ended = stage.end(version, who, version % 2 == 0).await;
            assert_eq!(ended.error_code, ErrorCode::None);
            let expected = match version {
                5.. => (who.0, who.1 + 1),
                _ => (-1, -1),
            };
            assert_eq!((ended.producer_id, ended.producer_epoch), expected);
        }
    });
}

#[test]
fn offsets_are_part_of_a_transaction() {
    run(async |stage| {
        for version in AddOffsetsToTxn::VERSIONS {
            let own = stage.init(5, Some("a")).await;
            let request = AddOffsetsToTxnRequest {
                transactional_id: "a".into(),
                producer_id: own.producer_id,
                producer_epoch: own.producer_epoch,
                group_id: "g".into(),
            };
            let response = stage.ask::<AddOffsetsToTxn>(version, &request).await;
            assert_eq!(response.error_code, ErrorCode::None);
            let described = DescribeTransactionsRequest {
                transactional_ids: vec!["a".into(), "b".into(), "a".into(), "".into()],
            };
            let response = stage.ask::<DescribeTransactions>(0, &described).await;
            let states = response.transaction_states;
            assert_eq!(states[0].transaction_state, "Ongoing");
            assert_eq!(states[0].topics[0].topic, "__consumer_offsets");
            assert_eq!(states[0].transaction_timeout_ms, 60_000);
            assert!(states[0].transaction_start_time_ms > 0);
            let codes = states.iter().map(|state| state.error_code);
            let expected = [
                ErrorCode::None,
                ErrorCode::TransactionalIdNotFound,
                ErrorCode::InvalidRequest,
            ];
            assert_eq!(codes.collect::<Vec<_>>(), expected);
        }
    });
}

impl Stage {
    async fn add_offsets(&self, own: &InitProducerIdResponse) {
        let request = AddOffsetsToTxnRequest {
            transactional_id: "a".into(),
            producer_id: own.producer_id,
            producer_epoch: own.producer_epoch,
            group_id: "g".into(),
        };
        let response = self.ask::<AddOffsetsToTxn>(3, &request).await;
        assert_eq!(response.error_code, ErrorCode::None);
    }

    async fn commit_offset(&self, version: i16, own: &InitProducerIdResponse) -> ErrorCode {
        let request = TxnOffsetCommitRequest {
            transactional_id: "a".into(),
            group_id: "g".into(),
            producer_id: own.producer_id,
            producer_epoch: own.producer_epoch,
            topics: vec![TxnOffsetCommitRequestTopic {
                name: "t".into(),
                partitions: vec![TxnOffsetCommitRequestPartition {
                    committed_offset: 40,
                    ..TxnOffsetCommitRequestPartition::default()
                }],
            }],
            ..TxnOffsetCommitRequest::default()
        };
        let response = self.ask::<TxnOffsetCommit>(version, &request).await;
        response.topics[0].partitions[0].error_code
    }

    /// What is committed of t/0, with nothing pending; once the coordinator has
    /// read.
    async fn fetch_stable(&self) -> Result<i64, ErrorCode> {
        let request = OffsetFetchRequest {
            group_id: "g".into(),
            topics: Some(vec![OffsetFetchRequestTopic {
                name: "t".into(),
                partition_indexes: vec![0],
            }]),
            require_stable: true,
            ..OffsetFetchRequest::default()
        };
        loop {
            let response = self.ask::<OffsetFetch>(7, &request).await;
            if !is_passing(response.error_code) {
                let one = &response.topics[0].partitions[0];
                return match one.error_code {
                    ErrorCode::None => Ok(one.committed_offset),
                    code => Err(code),
                };
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// All partitions have heard how the transaction has ended.
    async fn until_complete(&self) {
        let described = DescribeTransactionsRequest {
            transactional_ids: vec!["a".into()],
        };
        loop {
            let response = self.ask::<DescribeTransactions>(0, &described).await;
            let state = &response.transaction_states[0].transaction_state;
            if state.starts_with("Complete") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// The group's coordinator hears how the transaction has ended.
    async fn tell_group(&self, who: (i64, i16), is_committed: bool) {
        let groups = &self.door.groups;
        let partition: PartitionId = groups.partition_of("g").unwrap();
        let producer = ProducerId(who.0 as u64);
        let ended = groups.ended(partition, producer, who.1, is_committed);
        assert_eq!(ended.await, Ok(()));
    }
}

/// Its coordinator has said that the transaction is open, but it is over before
/// that is heard of: what would be pending, nobody would end.
#[test]
fn offsets_that_were_verified_before_the_end_come_too_late() {
    run(async |stage| {
        for (version, refused) in [
            (3, ErrorCode::InvalidTxnState),
            (4, ErrorCode::TransactionAbortable),
        ] {
            let own = stage.init(5, Some("a")).await;
            let who = (own.producer_id, own.producer_epoch);
            stage.add_offsets(&own).await;
            assert!(stage.fetch_stable().await.is_ok());
            let mut asked = Box::pin(stage.commit_offset(version, &own));
            let waker = std::task::Waker::noop();
            let mut context = std::task::Context::from_waker(waker);
            // It hears that it is to ask the coordinator, and does.
            assert!(asked.as_mut().poll(&mut context).is_pending());
            assert!(stage.fetch_stable().await.is_ok());
            assert!(asked.as_mut().poll(&mut context).is_pending());
            let ended = stage.end(version, who, false).await;
            assert_eq!(ended.error_code, ErrorCode::None);
            stage.until_complete().await;
            stage.tell_group(who, false).await;
            assert_eq!(asked.await, refused);
            assert_eq!(stage.fetch_stable().await, Ok(-1));
        }
    });
}

#[test]
fn offsets_are_kept_once_their_transaction_is_committed() {
    run(async |stage| {
        let own = stage.init(5, Some("a")).await;
        let who = (own.producer_id, own.producer_epoch);
        assert_eq!(stage.fetch_stable().await, Ok(-1));
        assert_eq!(stage.commit_offset(5, &own).await, ErrorCode::None);
        let unstable = Err(ErrorCode::UnstableOffsetCommit);
        assert_eq!(stage.fetch_stable().await, unstable);
        stage.tell_group(who, true).await;
        assert_eq!(stage.fetch_stable().await, Ok(40));
        // Behind an end that was late to be heard, it is verified again.
        let mut asked = Box::pin(stage.commit_offset(5, &own));
        let waker = std::task::Waker::noop();
        let mut context = std::task::Context::from_waker(waker);
        assert!(asked.as_mut().poll(&mut context).is_pending());
        assert_eq!(stage.fetch_stable().await, Ok(40));
        assert!(asked.as_mut().poll(&mut context).is_pending());
        stage.tell_group(who, false).await;
        assert_eq!(asked.await, ErrorCode::None);
        assert_eq!(stage.fetch_stable().await, unstable);
    });
}

#[test]
fn transactions_are_listed_as_asked_for() {
    run(async |stage| {
        let own = stage.init(5, Some("a")).await;
        let who = (own.producer_id, own.producer_epoch);
        stage.init(5, Some("ab")).await;
        stage.add(who, "t").await;
        let list = async |version: i16, change: fn(&mut ListTransactionsRequest)| {
            let mut request = ListTransactionsRequest::default();
            change(&mut request);
            let response = stage.ask::<ListTransactions>(version, &request).await;
            let mut ids: Vec<String> = response
                .transaction_states
                .iter()
                .map(|one| format!("{} {}", one.transactional_id, one.transaction_state))
                .collect();
            ids.sort_unstable();
            let unknown = response.unknown_state_filters;
            ids.extend(unknown.into_iter().map(|name| format!("{name}?")));
            if !response.error_code.is_none() {
                ids.push(response.error_code.name().into());
            }
            ids.join(", ")
        };
        for version in ListTransactions::VERSIONS {
            let all = list(version, |_| ()).await;
            assert_eq!(all, "a Ongoing, ab Empty");
            let empty = list(version, |one| {
                one.state_filters = vec!["Empty".into(), "Dead".into(), "Odd".into()];
            });
            assert_eq!(empty.await, "ab Empty, Odd?");
            let nobody = list(version, |one| one.producer_id_filters = vec![-7]).await;
            assert_eq!(nobody, "");
        }
        let long = list(1, |one| one.duration_filter = 100_000).await;
        assert_eq!(long, "");
        let match_one = list(2, |one| one.transactional_id_pattern = Some("[b]|a".into()));
        assert_eq!(match_one.await, "a Ongoing");
        let wrong = list(2, |one| one.transactional_id_pattern = Some("a)(".into()));
        assert_eq!(wrong.await, "INVALID_REGULAR_EXPRESSION");
    });
}
