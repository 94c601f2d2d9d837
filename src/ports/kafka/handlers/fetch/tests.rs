use super::*;
use crate::disk::sim::When;
use crate::ids::{NodeId, Offset, ProducerId, TopicId};
use crate::limits::{FETCH_WARM_BYTES_MIN, PARTITION_WARM_BYTES};
use crate::ports::kafka::handlers::trial::{
    FAR, NOW, OTHER, Trial, batch, run, transactional, valued,
};
use crate::ports::kafka::messages::fetch::{
    FetchPartition, FetchTopic, PartitionData, ReplicaState,
};
use crate::streams::batch::control::{Ending, Marker};
use crate::streams::batch::header::Header;
use crate::streams::desk::Mark;
use crate::streams::producers::Closing;

const NEWEST: i16 = 18;

fn now() -> i64 {
    NOW.0 as i64
}

fn end(trial: &Trial, topic: &str, ending: Ending) {
    trial.door.streams.say(Word::Mark(Mark {
        key: trial.key(topic, 0),
        closing: Closing {
            id: ProducerId(9),
            epoch: 0,
            marker: Marker {
                ending,
                coordinator_epoch: 0,
            },
            raises_epoch: false,
        },
        answer: Box::new(|outcome| assert!(outcome.is_ok())),
    }));
}

fn partition(partition: i32, from: i64) -> FetchPartition {
    FetchPartition {
        partition,
        fetch_offset: from,
        partition_max_bytes: 1 << 20,
        ..FetchPartition::default()
    }
}

fn topic(trial: &Trial, name: &str, partitions: Vec<FetchPartition>) -> FetchTopic {
    FetchTopic {
        topic: name.into(),
        topic_id: match trial.topics.get(name) {
            Some(topic) => topic.id.into(),
            None => TopicId([99; 16]).into(),
        },
        partitions,
    }
}

fn request(topics: Vec<FetchTopic>) -> FetchRequest {
    FetchRequest {
        max_wait_ms: 0,
        min_bytes: 1,
        topics,
        ..FetchRequest::default()
    }
}

fn one(trial: &Trial, from: i64) -> FetchRequest {
    request(vec![topic(trial, "a", vec![partition(0, from)])])
}

async fn ask(trial: &Trial, version: i16, request: FetchRequest) -> FetchResponse {
    trial.ask::<Fetch>(version, request).await
}

/// Of the only partition that was asked for.
async fn ask_one(trial: &Trial, request: FetchRequest) -> PartitionData {
    let mut response = ask(trial, NEWEST, request).await;
    assert_eq!(response.error_code, ErrorCode::None);
    response.responses.remove(0).partitions.remove(0)
}

/// The base offsets of the batches.
fn bases(data: &PartitionData) -> Vec<i64> {
    let whole = data.records.clone().into_bytes();
    let (mut rest, mut found) = (&whole[..], Vec::new());
    while let Some(header) = Header::of(rest) {
        found.push(header.base_offset());
        rest = &rest[header.total_bytes().unwrap()..];
    }
    assert!(rest.is_empty());
    found
}

#[test]
fn records_come_as_they_stand_in_every_version() {
    let trial = Trial::new(&[("a", 1, &[])]);
    let two = batch(&[now(), now()]);
    (0..3).for_each(|_| trial.append("a", 0, &two));
    run(async {
        for version in 4..=NEWEST {
            let response = ask(&trial, version, one(&trial, 3)).await;
            let data = &response.responses[0].partitions[0];
            assert_eq!(data.error_code, ErrorCode::None, "{version}");
            assert_eq!(bases(data), [2, 4], "{version}");
            assert_eq!(data.high_watermark, 6);
            assert_eq!(data.records.len(), 2 * two.len());
        }
    });
}

/// Nothing is copied between what was appended, or its map, and the socket.
#[test]
fn what_is_warm_is_a_piece_of_what_was_appended() {
    let trial = Trial::new(&[("a", 1, &[])]);
    trial.append("a", 0, &batch(&[now()]));
    let view = trial.door.streams.view(trial.key("a", 0)).unwrap();
    let chunk = |from| view.read(Offset(from), Offset(1), 1, crate::log::Way::Map);
    let (one, two) = (chunk(0).unwrap().unwrap(), chunk(0).unwrap().unwrap());
    assert_eq!(one.bytes.as_ptr(), two.bytes.as_ptr());
    run(async {
        let call = Call {
            version: NEWEST,
            ..trial.call()
        };
        let response = Fetch::run(call, self::one(&trial, 0)).await.unwrap();
        let records = response.responses[0].partitions[0].records.clone();
        assert_eq!(records.into_bytes().as_ptr(), one.bytes.as_ptr());
    });
}

#[test]
fn what_cannot_be_read_is_said_at_its_partition() {
    let trial = Trial::new(&[("a", 2, &[])]);
    trial.append("a", 0, &batch(&[now()]));
    trial.house.lead(trial.key("a", 1), OTHER, 3);
    let of_epoch = |epoch| FetchPartition {
        current_leader_epoch: epoch,
        ..partition(1, 0)
    };
    let cases = [
        ("a", partition(0, 2), "OFFSET_OUT_OF_RANGE"),
        ("a", partition(0, -1), "OFFSET_OUT_OF_RANGE"),
        ("a", partition(0, 1), "NONE"),
        ("a", partition(2, 0), "UNKNOWN_TOPIC_OR_PARTITION"),
        ("a", partition(-1, 0), "UNKNOWN_TOPIC_OR_PARTITION"),
        ("a", of_epoch(-1), "NOT_LEADER_OR_FOLLOWER"),
        ("a", of_epoch(2), "FENCED_LEADER_EPOCH"),
        ("a", of_epoch(4), "UNKNOWN_LEADER_EPOCH"),
        ("never", partition(0, 0), "UNKNOWN_TOPIC_ID"),
    ];
    run(async {
        for (name, wanted, code) in cases {
            let asked = request(vec![topic(&trial, name, vec![wanted.clone()])]);
            let data = ask_one(&trial, asked).await;
            assert_eq!(data.error_code.name(), code, "{wanted:?}");
            let is_known = data.error_code == ErrorCode::None;
            assert_eq!(data.high_watermark, if is_known { 1 } else { -1 });
        }
        let asked = request(vec![topic(&trial, "never", vec![partition(0, 0)])]);
        let response = ask(&trial, 12, asked).await;
        let data = &response.responses[0].partitions[0];
        assert_eq!(data.error_code, ErrorCode::UnknownTopicOrPartition);
    });
}

#[test]
fn bytes_are_bounded_over_partitions_and_the_first_batch_always_comes() {
    let trial = Trial::new(&[("a", 3, &[])]);
    let some = batch(&[now(); 10]);
    for partition in 0..3 {
        (0..4).for_each(|_| trial.append("a", partition, &some));
    }
    let size = some.len() as i32;
    let counts = |bytes_max: i32, each: i32| {
        let partitions = (0..3).map(|n| FetchPartition {
            partition_max_bytes: each,
            ..partition(n, 0)
        });
        let asked = FetchRequest {
            max_bytes: bytes_max,
            ..request(vec![topic(&trial, "a", partitions.collect())])
        };
        let response = run(ask(&trial, NEWEST, asked));
        let partitions = response.responses[0].partitions.iter();
        partitions.map(|one| bases(one).len()).collect::<Vec<_>>()
    };
    for (bytes_max, each, expected) in [
        (i32::MAX, i32::MAX, [4, 4, 4]),
        (i32::MAX, 2 * size, [2, 2, 2]),
        (5 * size, i32::MAX, [4, 1, 0]),
        (5 * size, 2 * size, [2, 2, 1]),
        (0, 0, [1, 0, 0]),
        (-1, 10, [1, 0, 0]),
        (size - 1, size, [1, 0, 0]),
        (i32::MAX, size - 1, [1, 0, 0]),
    ] {
        assert_eq!(counts(bytes_max, each), expected, "{bytes_max} {each}");
    }
}

#[test]
fn a_read_goes_on_where_a_segment_ends() {
    let trial = Trial::with_segments(16 << 10, &[("a", 1, &[])]);
    let some = batch(&[now(); 20]);
    let count = 40 << 10 >> some.len().ilog2();
    (0..count).for_each(|_| trial.append("a", 0, &some));
    let data = run(ask_one(&trial, one(&trial, 0)));
    assert_eq!(bases(&data).len(), count);
    assert!(data.records.len() > 2 * (16 << 10));
}

#[test]
fn who_reads_what_is_committed_stops_at_what_is_open_and_hears_of_aborts() {
    let trial = Trial::new(&[("a", 1, &[])]);
    trial.append("a", 0, &batch(&[now()]));
    trial.append("a", 0, &transactional(0, &[now()]));
    trial.append("a", 0, &batch(&[now()]));
    let committed = |from| FetchRequest {
        isolation_level: READ_COMMITTED,
        ..one(&trial, from)
    };
    run(async {
        let data = ask_one(&trial, committed(0)).await;
        assert_eq!(bases(&data), [0]);
        assert_eq!((data.high_watermark, data.last_stable_offset), (3, 1));
        assert_eq!(data.aborted_transactions, Some(vec![]));
        let data = ask_one(&trial, one(&trial, 0)).await;
        assert_eq!(bases(&data), [0, 1, 2]);
        assert_eq!(data.aborted_transactions, None);
        end(&trial, "a", Ending::Abort);
        let data = ask_one(&trial, committed(0)).await;
        assert_eq!(bases(&data), [0, 1, 2, 3]);
        let aborted = data.aborted_transactions.unwrap();
        let named: Vec<_> = aborted
            .iter()
            .map(|one| (one.producer_id, one.first_offset))
            .collect();
        assert_eq!(named, [(9, 1)]);
    });
}

#[test]
fn nothing_is_shown_above_the_watermark() {
    let trial = Trial::new(&[("a", 1, &[])]);
    trial.append("a", 0, &batch(&[now()]));
    trial.house.hold(true);
    trial.append("a", 0, &batch(&[now(), now()]));
    run(async {
        for (from, expected) in [(0, &[0][..]), (1, &[]), (3, &[])] {
            let data = ask_one(&trial, one(&trial, from)).await;
            assert_eq!(data.error_code, ErrorCode::None);
            assert_eq!(bases(&data), expected);
        }
    });
}

#[test]
fn a_request_waits_for_records_and_no_longer_than_it_says() {
    let trial = Trial::new(&[("a", 1, &[]), ("b", 1, &[])]);
    let some = batch(&[now()]);
    run(async {
        let patient = |min_bytes, wait| FetchRequest {
            max_wait_ms: wait,
            min_bytes,
            ..request(vec![
                topic(&trial, "a", vec![partition(0, 0)]),
                topic(&trial, "b", vec![partition(0, 0)]),
            ])
        };
        let begun = trial.door.clock.monotonic();
        let response = ask(&trial, NEWEST, patient(1, 80)).await;
        assert_eq!(response.responses.len(), 2);
        let waited = trial.door.clock.monotonic() - begun;
        assert!(waited >= Duration::from_millis(80), "{waited:?}");
        // The second batch makes it enough.
        let both = (2 * some.len()) as i32;
        let later = async {
            for topic in ["b", "a"] {
                tokio::time::sleep(Duration::from_millis(20)).await;
                trial.append(topic, 0, &some);
            }
        };
        let minute = 60_000;
        let (response, ()) = tokio::join!(ask(&trial, NEWEST, patient(both, minute)), later);
        let all = response.responses.iter().flat_map(|one| &one.partitions);
        assert_eq!(all.map(bases).collect::<Vec<_>>(), [[0], [0]]);
    });
}

#[test]
fn an_answer_that_can_have_no_more_is_not_waited_for() {
    let trial = Trial::new(&[("a", 1, &[])]);
    let some = batch(&[now()]);
    (0..3).for_each(|_| trial.append("a", 0, &some));
    let bytes = some.len() as i32;
    run(async {
        let patient = |partition_max_bytes, min_bytes, max_bytes| {
            let partition = FetchPartition {
                partition_max_bytes,
                ..partition(0, 0)
            };
            FetchRequest {
                max_wait_ms: 60_000,
                min_bytes,
                max_bytes,
                ..request(vec![topic(&trial, "a", vec![partition])])
            }
        };
        let most = 3 * bytes - 1;
        for (own, min, all) in [
            // Two batches go in, and do not quite fill what the partition may give,
            (most, most, i32::MAX),
            // or what the request may have; or it wants more than it may have.
            (1 << 20, most, most),
            (1 << 20, 1 << 20, 2 * bytes),
        ] {
            let asked = ask_one(&trial, patient(own, min, all));
            let data = tokio::time::timeout(Duration::from_secs(10), asked).await;
            assert_eq!(bases(&data.expect("at once")), [0, 1], "{own} {min} {all}");
        }
        // A partition that may give little is one of several that make enough.
        let begun = trial.door.clock.monotonic();
        let short = FetchRequest {
            max_wait_ms: 60,
            ..patient(bytes, 2 * bytes, i32::MAX)
        };
        assert_eq!(bases(&ask_one(&trial, short).await), [0]);
        let waited = trial.door.clock.monotonic() - begun;
        assert!(waited >= Duration::from_millis(60), "{waited:?}");
    });
}

#[test]
fn what_is_read_from_the_disk_has_its_memory_until_it_is_taken() {
    let trial = Trial::with_segments(4 << 20, &[("a", 1, &[])]);
    let large = valued(&vec![b'x'; 900 << 10]);
    let count = PARTITION_WARM_BYTES as usize / large.len() + 3;
    (0..count).for_each(|_| trial.append("a", 0, &large));
    let memory = &trial.door.cold_memory;
    let all = memory.left_bytes();
    let fetch = |from| {
        let call = Call {
            version: NEWEST,
            ..trial.call()
        };
        Fetch::run(call, one(&trial, from))
    };
    let found = |response: Option<FetchResponse>| {
        let partition = response.unwrap().responses.remove(0).partitions.remove(0);
        assert_eq!(partition.error_code, ErrorCode::None);
        partition.records
    };
    run(async {
        let records = found(fetch(0).await);
        assert_eq!(records.len(), large.len());
        assert!(memory.left_bytes() <= all - large.len(), "it is held");
        assert!(
            memory.left_bytes() > all - large.len() - 2048,
            "and no more"
        );
        drop(records);
        assert_eq!(memory.left_bytes(), all);

        let mut others = Vec::new();
        while !memory.is_used_up() {
            others.push(memory.room(usize::MAX).await);
        }
        // It is as if nothing were there, and what is in memory anyway is served.
        let (cold, warm) = tokio::join!(fetch(0), fetch(count as i64 - 1));
        assert!(found(cold).is_empty());
        assert_eq!(found(warm).len(), large.len());
        others.pop();
        let (cold, ()) = tokio::join!(fetch(0), async { others.clear() });
        assert_eq!(found(cold).len(), large.len());
    });
}

#[test]
fn what_is_in_memory_is_not_copied_as_long_as_others_hold_little() {
    let trial = Trial::with_segments(4 << 20, &[("a", 1, &[])]);
    let large = valued(&vec![b'x'; 900 << 10]);
    let count = PARTITION_WARM_BYTES as usize / large.len() + 3;
    (0..count).for_each(|_| trial.append("a", 0, &large));
    let disk = &trial.house.disk;
    disk.maps(true);
    let (cold, warm) = (&trial.door.cold_memory, &trial.door.warm_memory);
    let (all_cold, all_warm) = (cold.left_bytes(), warm.left_bytes());
    let fetch = async || {
        let wanted = FetchPartition {
            partition_max_bytes: i32::MAX,
            ..partition(0, 0)
        };
        let asked = request(vec![topic(&trial, "a", vec![wanted])]);
        let call = Call {
            version: NEWEST,
            ..trial.call()
        };
        let mut response = Fetch::run(call, asked).await.unwrap();
        response.responses.remove(0).partitions.remove(0).records
    };
    let held = || (all_cold - cold.left_bytes(), all_warm - warm.left_bytes());
    run(async {
        let records = fetch().await;
        assert!(records.len() > 7 * large.len(), "{}", records.len());
        assert_eq!(held(), (0, records.len()));
        drop(records);
        assert_eq!(held(), (0, 0));

        // What the page cache has lost on the way is left to the next request.
        disk.faults(|faults| faults.evicted = When::Nth(2));
        let records = fetch().await;
        assert!((1..7 * large.len()).contains(&records.len()));
        assert_eq!(held(), (0, records.len()));
        drop(records);

        let others: Vec<_> = (0..8).map(|_| warm.allow(usize::MAX)).collect();
        let before = held();
        let records = fetch().await;
        assert!(records.len() > 7 * large.len(), "{}", records.len());
        let copied = held().0 - before.0;
        assert!(
            (records.len()..records.len() + 2048).contains(&copied),
            "{copied}"
        );
        assert_eq!(held().1, before.1);
        drop((others, records));
        assert_eq!(held(), (0, 0));
    });
}

#[test]
fn slow_readers_leave_something_to_the_next_and_nobody_waits() {
    let trial = Trial::new(&[("a", 1, &[])]);
    let large = valued(&vec![b'x'; 900 << 10]);
    (0..7).for_each(|_| trial.append("a", 0, &large));
    let memory = &trial.door.warm_memory;
    let all = memory.left_bytes();
    let fetch = async || {
        let wanted = FetchPartition {
            partition_max_bytes: i32::MAX,
            ..partition(0, 0)
        };
        let asked = FetchRequest {
            max_bytes: i32::MAX,
            max_wait_ms: 60_000,
            ..request(vec![topic(&trial, "a", vec![wanted])])
        };
        let call = Call {
            version: NEWEST,
            ..trial.call()
        };
        let mut response = Fetch::run(call, asked).await.unwrap();
        response.responses.remove(0).partitions.remove(0).records
    };
    run(async {
        let first = fetch().await;
        assert_eq!(first.len(), 7 * large.len());
        assert_eq!(memory.left_bytes(), all - first.len());
        drop(first);
        assert_eq!(memory.left_bytes(), all);

        let mut slow = Vec::new();
        while !memory.is_used_up() {
            slow.push(fetch().await);
        }
        assert!(slow.len() > 20, "{}", slow.len());
        assert!(memory.left_bytes() < FETCH_WARM_BYTES_MIN);
        // One batch always goes in, and at once though the client would wait.
        let next = fetch().await;
        assert_eq!(next.len(), large.len());
        drop((slow, next));
        assert_eq!(memory.left_bytes(), all);
    });
}

#[test]
fn an_error_or_a_new_leader_ends_the_waiting() {
    let trial = Trial::new(&[("a", 2, &[])]);
    run(async {
        let patient = |partitions| FetchRequest {
            max_wait_ms: 60_000,
            ..request(vec![topic(&trial, "a", partitions)])
        };
        let asked = patient(vec![partition(0, 0), partition(1, 9)]);
        let response = ask(&trial, NEWEST, asked).await;
        assert_eq!(response.responses[0].partitions.len(), 2);
        // Of what is not there, nobody is told sooner for it.
        let unknown = FetchRequest {
            max_wait_ms: 50,
            ..patient(vec![partition(0, 0), partition(7, 0)])
        };
        let begun = trial.door.clock.monotonic();
        ask(&trial, NEWEST, unknown).await;
        assert!(trial.door.clock.monotonic() - begun >= Duration::from_millis(50));
        ask(&trial, NEWEST, patient(vec![partition(7, 0)])).await;
        ask(&trial, NEWEST, patient(vec![])).await;
        let later = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            trial.house.lead(trial.key("a", 1), OTHER, 1);
        };
        let asked = patient(vec![partition(0, 0), partition(1, 0)]);
        let (response, ()) = tokio::join!(ask(&trial, NEWEST, asked), later);
        let codes = response.responses[0]
            .partitions
            .iter()
            .map(|one| one.error_code);
        let expected = [ErrorCode::None, ErrorCode::NotLeaderOrFollower];
        assert_eq!(codes.collect::<Vec<_>>(), expected);
    });
}

#[test]
fn a_session_goes_from_request_to_request() {
    let trial = Trial::new(&[("a", 2, &[]), ("b", 1, &[])]);
    let go_on = |session_id, session_epoch, topics| FetchRequest {
        session_id,
        session_epoch,
        ..request(topics)
    };
    run(async {
        let begin = vec![
            topic(&trial, "a", vec![partition(0, 0), partition(1, 0)]),
            topic(&trial, "b", vec![partition(0, 0)]),
        ];
        let response = ask(&trial, NEWEST, go_on(0, 0, begin)).await;
        let id = response.session_id;
        assert_ne!(id, 0);
        assert_eq!(response.responses.len(), 2);
        let response = ask(&trial, NEWEST, go_on(id, 1, vec![])).await;
        assert_eq!((response.session_id, response.responses.len()), (id, 0));
        trial.append("b", 0, &batch(&[now()]));
        let response = ask(&trial, NEWEST, go_on(id, 2, vec![])).await;
        assert_eq!(response.responses.len(), 1);
        assert_eq!(response.responses[0].topic_id, trial.id("b").into());
        let next = vec![topic(&trial, "b", vec![partition(0, 1)])];
        let response = ask(&trial, NEWEST, go_on(id, 3, next)).await;
        assert_eq!(response.responses.len(), 0);
        let response = ask(&trial, NEWEST, go_on(id, 3, vec![])).await;
        assert_eq!(response.error_code, ErrorCode::InvalidFetchSessionEpoch);
        let response = ask(&trial, 12, go_on(id, 4, vec![])).await;
        assert_eq!(response.error_code, ErrorCode::FetchSessionTopicIdError);
        let response = ask(&trial, NEWEST, go_on(id + 1, 4, vec![])).await;
        assert_eq!(response.error_code, ErrorCode::FetchSessionIdNotFound);
    });
}

#[test]
fn a_history_that_parts_is_said() {
    let trial = Trial::new(&[("a", 1, &[])]);
    trial.append("a", 0, &batch(&[now(), now()]));
    trial.house.lead(trial.key("a", 0), NodeId(1), 4);
    trial.append("a", 0, &batch(&[now()]));
    let read_in = |epoch, from| {
        request(vec![topic(
            &trial,
            "a",
            vec![FetchPartition {
                last_fetched_epoch: epoch,
                ..partition(0, from)
            }],
        )])
    };
    run(async {
        for (epoch, from, expected) in [
            (0, 2, Ok((-1, -1))),
            (4, 3, Ok((-1, -1))),
            (0, 3, Ok((0, 2))),
            (2, 2, Ok((0, 2))),
            (5, 3, Err(ErrorCode::OffsetOutOfRange)),
        ] {
            let data = ask_one(&trial, read_in(epoch, from)).await;
            let found = match data.error_code {
                ErrorCode::None => {
                    let parting = data.diverging_epoch;
                    Ok((parting.epoch, parting.end_offset))
                }
                code => Err(code),
            };
            assert_eq!(found, expected, "{epoch} {from}");
        }
    });
}

#[test]
fn replicas_of_others_are_refused() {
    let trial = Trial::new(&[("a", 1, &[])]);
    run(async {
        for version in [4, 14, 15, NEWEST] {
            let mut asked = one(&trial, 0);
            match version {
                15.. => {
                    asked.replica_state = ReplicaState {
                        replica_id: 3,
                        replica_epoch: 1,
                    }
                }
                _ => asked.replica_id = 3,
            }
            let response = ask(&trial, version, asked).await;
            let code = response.responses[0].partitions[0].error_code;
            assert_eq!(code, ErrorCode::ClusterAuthorizationFailed);
        }
    });
}

#[test]
fn who_does_not_lead_says_who_does() {
    let trial = Trial::new(&[(FAR, 2, &[])]);
    let asked = || {
        request(vec![topic(
            &trial,
            FAR,
            vec![partition(0, 0), partition(1, 0)],
        )])
    };
    run(async {
        for version in [11, 12, 15, 16, NEWEST] {
            let response = ask(&trial, version, asked()).await;
            for data in &response.responses[0].partitions {
                assert_eq!(data.error_code, ErrorCode::NotLeaderOrFollower);
                let leader_id = if version < 12 { -1 } else { 2 };
                assert_eq!(data.current_leader.leader_id, leader_id, "{version}");
            }
            let endpoints = response.node_endpoints.iter();
            let endpoints: Vec<_> = endpoints.map(|one| (one.node_id, &*one.host)).collect();
            let expected = [(2, "10.0.0.2")];
            assert_eq!(
                endpoints,
                expected[usize::from(version < 16)..],
                "{version}"
            );
        }
    });
}
