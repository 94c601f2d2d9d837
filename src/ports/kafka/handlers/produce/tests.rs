use super::*;
use crate::ids::{ProducerId, TopicId};
use crate::ports::kafka::handlers::Fault;
use crate::ports::kafka::handlers::trial::{
    FAR, NOW, OTHER, Topic, Trial, batch, numbered, run, transactional, transactional_by,
};
use crate::ports::kafka::messages::produce::PartitionProduceData;
use crate::streams::batch::control::{Ending, Marker};
use crate::streams::coordinators::transactions::trial;
use crate::streams::desk::{Mark, Word};
use crate::streams::producers::Closing;
use crate::streams::transactions::request::{Reply, Request};
use crate::streams::transactions::{Error, Identity, Place};
use crate::streams::trial::OWN;

const NEWEST: i16 = 13;

fn request(trial: &Trial, acks: i16, parts: &[(&str, i32, &Bytes)]) -> ProduceRequest {
    let topic_data = parts
        .iter()
        .map(|&(name, index, records)| TopicProduceData {
            name: name.into(),
            topic_id: match trial.topics.get(name) {
                Some(topic) => topic.id.into(),
                None => TopicId([99; 16]).into(),
            },
            partition_data: vec![PartitionProduceData {
                index,
                records: Some(records.clone()),
            }],
        });
    ProduceRequest {
        transactional_id: None,
        acks,
        timeout_ms: 1000,
        topic_data: topic_data.collect(),
    }
}

/// Error and base offset of each part.
async fn send(trial: &Trial, version: i16, request: ProduceRequest) -> Vec<(&'static str, i64)> {
    let response = trial.ask::<Produce>(version, request).await;
    let topics = response.responses.iter();
    let all = topics.flat_map(|topic| &topic.partition_responses);
    all.map(|one| (one.error_code.name(), one.base_offset))
        .collect()
}

fn now() -> i64 {
    NOW.0 as i64
}

#[test]
fn batches_go_where_they_are_sent() {
    let trial = Trial::new(&[("a", 2, &[]), ("b", 1, &[])]);
    let two = batch(&[now(), now()]);
    run(async {
        for version in [3, 8, 9, 12, 13] {
            let parts = [("a", 0, &two), ("a", 1, &two), ("b", 0, &two)];
            let sent = send(&trial, version, request(&trial, -1, &parts)).await;
            let base = trial.house.heard().len() as i64 / 3 * 2 - 2;
            assert_eq!(sent, [("NONE", base); 3], "{version}");
        }
        let view = trial.door.streams.view(trial.key("a", 1)).unwrap();
        assert_eq!(view.marks().next.0, 10);
    });
}

#[test]
fn what_is_not_there_or_not_a_clients_is_refused() {
    let topics: [Topic; 2] = [("a", 1, &[]), ("__consumer_offsets", 1, &[])];
    let trial = Trial::new(&topics);
    let good = batch(&[now()]);
    let broken = Bytes::from_static(b"no batch");
    run(async {
        let cases = [
            (("a", 1, &good), "UNKNOWN_TOPIC_OR_PARTITION"),
            (("a", -1, &good), "UNKNOWN_TOPIC_OR_PARTITION"),
            (("__consumer_offsets", 0, &good), "INVALID_TOPIC_EXCEPTION"),
            (("a", 0, &broken), "CORRUPT_MESSAGE"),
        ];
        for version in [12, NEWEST] {
            for (part, code) in &cases {
                let asked = request(&trial, 1, &[*part]);
                assert_eq!(
                    send(&trial, version, asked).await,
                    [(*code, -1)],
                    "{part:?}"
                );
            }
            let unknown = match version {
                NEWEST => "UNKNOWN_TOPIC_ID",
                _ => "UNKNOWN_TOPIC_OR_PARTITION",
            };
            // One that is refused holds up no other.
            let asked = request(&trial, 1, &[("never", 0, &good), ("a", 0, &good)]);
            let base = i64::from(version - 12);
            let sent = send(&trial, version, asked).await;
            assert_eq!(sent, [(unknown, -1), ("NONE", base)]);
        }
        let asked = request(&trial, 2, &[("a", 0, &good), ("never", 0, &good)]);
        let sent = send(&trial, NEWEST, asked).await;
        assert_eq!(sent, [("INVALID_REQUIRED_ACKS", -1); 2]);
    });
}

/// A client may know sooner than this node that it leads.
#[test]
fn what_follows_a_batch_that_came_too_early_is_sent_again_behind_it() {
    let trial = Trial::new(&[("a", 1, &[])]);
    trial.house.lead(trial.key("a", 0), OTHER, 1);
    let first = numbered(0, &[now(), now()]);
    let second = numbered(2, &[now()]);
    run(async {
        let sent = async |records: &Bytes| {
            let asked = request(&trial, -1, &[("a", 0, records)]);
            send(&trial, NEWEST, asked).await[0]
        };
        assert_eq!(sent(&first).await, ("NOT_LEADER_OR_FOLLOWER", -1));
        trial.house.lead(trial.key("a", 0), OWN, 2);
        assert_eq!(sent(&second).await, ("NOT_ENOUGH_REPLICAS", -1));
        assert_eq!(sent(&first).await, ("NONE", 0));
        assert_eq!(sent(&second).await, ("NONE", 2));
    });
}

#[test]
fn a_record_at_fault_is_named() {
    let trial = Trial::new(&[("a", 1, &[])]);
    let late = batch(&[now(), now() + 9 * 3_600_000]);
    run(async {
        let asked = request(&trial, -1, &[("a", 0, &late)]);
        let response = trial.ask::<Produce>(NEWEST, asked).await;
        let one = &response.responses[0].partition_responses[0];
        assert_eq!(one.error_code, ErrorCode::InvalidTimestamp);
        assert_eq!(one.record_errors.len(), 1);
        assert_eq!(one.record_errors[0].batch_index, 1);
        assert!(one.error_message.as_ref().unwrap().contains("record 1"));
    });
}

#[test]
fn who_wants_no_answer_has_none_or_loses_the_connection() {
    let trial = Trial::new(&[("a", 1, &[])]);
    let good = batch(&[now()]);
    run(async {
        let asked = request(&trial, 0, &[("a", 0, &good)]);
        let answered = trial.try_ask::<Produce>(NEWEST, asked).await;
        assert!(matches!(answered, Ok(None)));
        assert_eq!(trial.house.heard().len(), 1);
        for part in [("a", 7, &good), ("never", 0, &good)] {
            let asked = request(&trial, 0, &[part, ("a", 0, &good)]);
            let answered = trial.try_ask::<Produce>(NEWEST, asked).await;
            assert!(matches!(answered, Err(Fault::Unheard)), "{part:?}");
        }
        trial.house.refuse_next(NotAppended::Busy);
        let asked = request(&trial, 0, &[("a", 0, &good)]);
        let answered = trial.try_ask::<Produce>(NEWEST, asked).await;
        assert!(matches!(answered, Err(Fault::Unheard)));
    });
}

#[test]
fn what_the_partition_says_is_told_with_its_sentence() {
    let trial = Trial::new(&[("a", 1, &[])]);
    let good = batch(&[now()]);
    run(async {
        for why in [
            NotAppended::Busy,
            NotAppended::NotHere(NotHere::Opening),
            NotAppended::Partition(partition::Refused::NotEnough { up: 1, floor: 2 }),
            NotAppended::Disk("no room".into()),
        ] {
            trial.house.refuse_next(why.clone());
            let asked = request(&trial, -1, &[("a", 0, &good)]);
            let response = trial.ask::<Produce>(NEWEST, asked).await;
            let one = &response.responses[0].partition_responses[0];
            assert_eq!(one.error_code, ErrorCode::from(&why));
            assert_eq!(one.error_message.as_deref(), Some(&*why.to_string()));
        }
    });
}

#[test]
fn who_does_not_lead_says_who_does() {
    let trial = Trial::new(&[("a", 1, &[]), (FAR, 2, &[])]);
    trial.house.lead(trial.key("a", 0), OTHER, 1);
    let good = batch(&[now()]);
    run(async {
        let asked = request(&trial, -1, &[("a", 0, &good)]);
        let sent = send(&trial, NEWEST, asked).await;
        assert_eq!(sent, [("NOT_LEADER_OR_FOLLOWER", -1)]);
        for version in [9, 10, NEWEST] {
            let asked = request(&trial, -1, &[(FAR, 0, &good), (FAR, 1, &good)]);
            let response = trial.ask::<Produce>(version, asked).await;
            for topic in &response.responses {
                let one = &topic.partition_responses[0];
                assert_eq!(one.error_code, ErrorCode::NotLeaderOrFollower);
                let leader_id = if version < 10 { -1 } else { 2 };
                assert_eq!(one.current_leader.leader_id, leader_id);
            }
            let endpoints = response.node_endpoints.iter();
            let endpoints: Vec<_> = endpoints
                .map(|one| (one.node_id, &*one.host, one.port, one.rack.as_deref()))
                .collect();
            let expected = [(2, "10.0.0.2", 9092, Some("hall"))];
            assert_eq!(endpoints, expected[usize::from(version < 10)..]);
        }
        assert!(trial.house.heard().is_empty());
    });
}

/// The first poll of each says its batches, whatever is polled later.
#[test]
fn requests_keep_their_order() {
    let trial = Trial::new(&[("a", 1, &[])]);
    run(async {
        let claimed = |sequence| {
            let mut plain = transactional(sequence, &[now()]).to_vec();
            // Without the transaction: attributes stand at 21, the sum at 17.
            plain[22] &= !(1 << 4);
            let sum = crate::streams::batch::header::sum(&plain);
            plain[17..21].copy_from_slice(&sum.to_be_bytes());
            Bytes::from(plain)
        };
        let batches: Vec<Bytes> = (0..5).map(claimed).collect();
        let mut futures: Vec<_> = batches
            .iter()
            .map(|one| {
                let asked = request(&trial, -1, &[("a", 0, one)]);
                Box::pin(Produce::run(
                    Call {
                        version: NEWEST,
                        ..trial.call()
                    },
                    asked,
                ))
            })
            .collect();
        for future in &mut futures {
            let waker = std::task::Waker::noop();
            let _ = future
                .as_mut()
                .poll(&mut std::task::Context::from_waker(waker));
        }
        assert_eq!(trial.house.heard(), [0, 1, 2, 3, 4]);
    });
}

#[test]
fn a_transaction_needs_its_id_and_its_coordinator() {
    let trial = Trial::new(&[("a", 1, &[])]);
    let records = transactional(0, &[now()]);
    run(async {
        let asked = request(&trial, -1, &[("a", 0, &records)]);
        let sent = send(&trial, NEWEST, asked).await;
        assert_eq!(sent, [("TRANSACTIONAL_ID_AUTHORIZATION_FAILED", -1)]);
        assert!(trial.house.heard().is_empty());
        // A transaction that is open goes on without the coordinator.
        let asked = ProduceRequest {
            transactional_id: Some("t".into()),
            ..request(&trial, -1, &[("a", 0, &records)])
        };
        trial.append("a", 0, &records);
        let again = transactional(1, &[now()]);
        let asked = ProduceRequest {
            topic_data: request(&trial, -1, &[("a", 0, &again)]).topic_data,
            ..asked
        };
        assert_eq!(send(&trial, NEWEST, asked).await, [("NONE", 1)]);
    });
}

/// A producer with a coordinator that is real, whose batch for t/0 waits to be
/// verified there.
struct Beginning {
    trial: Trial,
    coordinator: trial::Trial,
    who: Identity,
}

impl Beginning {
    async fn new() -> Self {
        let coordinator = trial::Trial::new();
        let transactions = coordinator.transactions.clone();
        let mut this = Self {
            trial: Trial::with_transactions(&[("t", 2, &[])], transactions),
            coordinator,
            who: Identity {
                id: ProducerId(0),
                epoch: 0,
            },
        };
        let init = Request::Init {
            id: "x".into(),
            was: None,
            timeout_ms: 60_000,
        };
        match this.ask(init).await {
            Reply::Begun(who) => this.who = who,
            other => panic!("{other:?}"),
        }
        this
    }

    /// Asks the coordinator until nothing is in the way.
    async fn ask(&self, request: Request) -> Reply {
        loop {
            match self.coordinator.transactions.ask(request.clone()).await {
                Err(Error::Loading | Error::Concurrent | Error::NotCoordinator) => {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                answer => return answer.unwrap(),
            }
        }
    }

    async fn add(&self, is_raised: bool) {
        let places = [0, 1].map(|partition| Place {
            topic: "t".into(),
            partition: crate::ids::PartitionId(partition),
        });
        let add = Request::Add {
            id: "x".into(),
            who: self.who,
            places: places.into(),
            is_raised,
        };
        assert_eq!(self.ask(add).await, Reply::Added);
    }

    fn produce(&self, version: i16) -> impl Future<Output = Option<ProduceResponse>> {
        let records = transactional_by((self.who.id, self.who.epoch), 0, &[now()]);
        let asked = ProduceRequest {
            transactional_id: Some("x".into()),
            ..request(&self.trial, -1, &[("t", 0, &records)])
        };
        let call = Call {
            version,
            ..self.trial.call()
        };
        Produce::run(call, asked)
    }

    /// The marker of an end comes to t/0.
    async fn mark(&self) {
        let closing = Closing {
            id: self.who.id,
            epoch: self.who.epoch,
            marker: Marker {
                ending: Ending::Abort,
                coordinator_epoch: 0,
            },
            raises_epoch: false,
        };
        let key = self.trial.key("t", 0);
        let marked = self.trial.house.streams.ask(|answer| {
            Word::Mark(Mark {
                key,
                closing,
                answer,
            })
        });
        assert!(matches!(marked.await, Some(Ok(_))));
    }

    fn is_open(&self) -> bool {
        let view = self.trial.door.streams.view(self.trial.key("t", 0));
        let marks = view.unwrap().marks();
        marks.last_stable < marks.next
    }
}

fn code(response: Option<ProduceResponse>) -> ErrorCode {
    response.unwrap().responses[0].partition_responses[0].error_code
}

/// Its coordinator has let it begin, but it is over before it is heard of: what
/// would be begun, nobody would end.
#[test]
fn a_batch_that_was_verified_before_the_end_comes_too_late() {
    run(async {
        for (version, refused) in [
            (9, ErrorCode::InvalidTxnState),
            (11, ErrorCode::TransactionAbortable),
        ] {
            let beginning = Beginning::new().await;
            beginning.add(false).await;
            let mut asked = Box::pin(beginning.produce(version));
            let waker = std::task::Waker::noop();
            let mut context = std::task::Context::from_waker(waker);
            assert!(asked.as_mut().poll(&mut context).is_pending());
            let end = Request::End {
                id: "x".into(),
                who: beginning.who,
                is_committed: false,
                is_raised: false,
            };
            let ended = Reply::Ended(beginning.who);
            assert_eq!(beginning.ask(end).await, ended);
            beginning.mark().await;
            assert_eq!(code(asked.await), refused);
            assert!(!beginning.is_open());
        }
    });
}

/// The end of the transaction before is no end of this one.
#[test]
fn a_batch_is_verified_again_where_the_end_before_comes_late() {
    run(async {
        let beginning = Beginning::new().await;
        let mut asked = Box::pin(beginning.produce(NEWEST));
        let waker = std::task::Waker::noop();
        let mut context = std::task::Context::from_waker(waker);
        assert!(asked.as_mut().poll(&mut context).is_pending());
        beginning.mark().await;
        assert_eq!(code(asked.await), ErrorCode::None);
        assert_eq!(beginning.trial.house.heard(), [0; 3]);
        assert!(beginning.is_open());
    });
}

/// One after the other, and those behind a failure with it.
#[test]
fn a_transactional_producer_takes_turns() {
    let trial = Trial::new(&[("a", 1, &[])]);
    run(async {
        trial.append("a", 0, &transactional(0, &[now()]));
        let ask = |sequence| {
            let records = transactional(sequence, &[now()]);
            let asked = ProduceRequest {
                transactional_id: Some("t".into()),
                ..request(&trial, -1, &[("a", 0, &records)])
            };
            Box::pin(Produce::run(
                Call {
                    version: NEWEST,
                    ..trial.call()
                },
                asked,
            ))
        };
        // Somebody has the turn while these come.
        let turn = trial.door.turns.enter(ProducerId(9));
        let (mut one, mut two) = (ask(1), ask(2));
        let waker = std::task::Waker::noop();
        let mut context = std::task::Context::from_waker(waker);
        assert!(one.as_mut().poll(&mut context).is_pending());
        assert!(two.as_mut().poll(&mut context).is_pending());
        assert_eq!(trial.house.heard(), [0]);
        trial.house.refuse_next(NotAppended::Busy);
        drop(turn);
        assert_eq!(code(one.await), ErrorCode::NotEnoughReplicas);
        assert_eq!(code(two.await), ErrorCode::NotEnoughReplicas);
        assert_eq!(trial.house.heard(), [0, 1]);
        assert_eq!(code(ask(1).await), ErrorCode::None);
        assert_eq!(code(ask(2).await), ErrorCode::None);
    });
}
