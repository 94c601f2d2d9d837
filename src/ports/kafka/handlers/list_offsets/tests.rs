use super::*;
use crate::ids::NodeId;
use crate::ports::kafka::handlers::trial::{Trial, batch, run, transactional};

const NEWEST: i16 = 10;

#[test]
fn a_wish_is_known_from_its_version_on() {
    for (timestamp, wish, first) in [
        (-1, Wish::Latest, 1),
        (-2, Wish::Earliest, 1),
        (-3, Wish::GreatestTime, 7),
        (-4, Wish::Earliest, 8),
        (-5, Wish::Tiered, 9),
        (0, Wish::AtTime(0), 1),
        (i64::MAX, Wish::AtTime(i64::MAX), 1),
    ] {
        for version in 1..=10 {
            let expected = (version >= first).then_some(wish);
            assert_eq!(
                Wish::of(timestamp, version),
                expected,
                "{timestamp} {version}"
            );
        }
    }
    assert_eq!(Wish::of(-6, 10), None);
    assert_eq!(Wish::of(i64::MIN, 10), None);
}

async fn ask(
    trial: &Trial,
    version: i16,
    isolation_level: i8,
    wishes: &[i64],
) -> Vec<Result<(i64, i64, i32), ErrorCode>> {
    let mut all = Vec::new();
    for &timestamp in wishes {
        let request = ListOffsetsRequest {
            replica_id: -1,
            isolation_level,
            topics: vec![ListOffsetsTopic {
                name: "a".into(),
                partitions: vec![ListOffsetsPartition {
                    timestamp,
                    ..ListOffsetsPartition::default()
                }],
            }],
            ..ListOffsetsRequest::default()
        };
        let response = trial.ask::<ListOffsets>(version, request).await;
        let one = &response.topics[0].partitions[0];
        all.push(match one.error_code {
            ErrorCode::None => Ok((one.timestamp, one.offset, one.leader_epoch)),
            code => Err(code),
        });
    }
    all
}

#[test]
fn a_partition_stands_where_it_does() {
    let trial = Trial::new(&[("a", 1, &[])]);
    let nowhere = Ok((-1, -1, -1));
    run(async {
        let empty = ask(&trial, NEWEST, 0, &[-1, -2, -3, -4, -5, 0]).await;
        let begin = Ok((-1, 0, -1));
        let end = Ok((-1, 0, 0));
        assert_eq!(empty, [end, begin, nowhere, begin, nowhere, nowhere]);
        // Offsets 0 to 2, 3 and 4, 5; the times go back in between.
        trial.append("a", 0, &batch(&[100, 300, 200]));
        trial.house.lead(trial.key("a", 0), NodeId(1), 2);
        trial.append("a", 0, &batch(&[150, 400]));
        trial.append("a", 0, &batch(&[400]));
        for (wish, expected) in [
            (-1, (-1, 6, 2)),
            (-2, (-1, 0, 0)),
            (-3, (400, 4, 2)),
            (0, (100, 0, 0)),
            (100, (100, 0, 0)),
            (101, (300, 1, 0)),
            (300, (300, 1, 0)),
            (301, (400, 4, 2)),
            (400, (400, 4, 2)),
            (401, (-1, -1, -1)),
        ] {
            let found = ask(&trial, NEWEST, 0, &[wish]).await;
            assert_eq!(found, [Ok(expected)], "{wish}");
        }
        let old = ask(&trial, 1, 0, &[-1, -2, 301]).await;
        assert_eq!(old, [Ok((-1, 6, -1)), Ok((-1, 0, -1)), Ok((400, 4, -1))]);
        let refused = Err(ErrorCode::UnsupportedVersion);
        assert_eq!(ask(&trial, 6, 0, &[-3]).await, [refused]);
    });
}

#[test]
fn who_reads_what_is_committed_sees_no_further() {
    let trial = Trial::new(&[("a", 1, &[])]);
    run(async {
        trial.append("a", 0, &batch(&[100]));
        trial.append("a", 0, &transactional(0, &[200]));
        let committed = ask(&trial, NEWEST, READ_COMMITTED, &[-1, -3, 150]).await;
        let nowhere = Ok((-1, -1, -1));
        assert_eq!(committed, [Ok((-1, 1, 0)), nowhere, nowhere]);
        let plain = ask(&trial, NEWEST, 0, &[-1, -3, 150]).await;
        assert_eq!(plain, [Ok((-1, 2, 0)), Ok((200, 1, 0)), Ok((200, 1, 0))]);
    });
}

/// KIP-207: its watermark is below where the leader before may have shown more.
#[test]
fn a_new_leader_says_no_end_before_it_knows_it() {
    let trial = Trial::new(&[("a", 1, &[])]);
    run(async {
        trial.house.hold(true);
        trial.append("a", 0, &batch(&[100]));
        assert_eq!(ask(&trial, NEWEST, 0, &[-1]).await, [Ok((-1, 0, 0))]);
        trial.house.lead(trial.key("a", 0), NodeId(1), 1);
        let unknown = [Err(ErrorCode::OffsetNotAvailable)];
        // Nor that nothing is as late as the record that may have been shown.
        for wish in [-1, 100, -3] {
            assert_eq!(ask(&trial, NEWEST, 0, &[wish]).await, unknown, "{wish}");
        }
        let unknown = [Err(ErrorCode::LeaderNotAvailable)];
        assert_eq!(ask(&trial, 4, 0, &[-1]).await, unknown);
        trial.append("a", 0, &batch(&[100]));
        trial.house.hold(false);
        assert_eq!(ask(&trial, NEWEST, 0, &[-1]).await, [Ok((-1, 2, 1))]);
        assert_eq!(ask(&trial, NEWEST, 0, &[100]).await, [Ok((100, 0, 0))]);
        assert_eq!(ask(&trial, NEWEST, 0, &[101]).await, [Ok((-1, -1, -1))]);
    });
}

#[test]
fn a_partition_is_named_once_and_is_there() {
    let trial = Trial::new(&[("a", 1, &[])]);
    let partition = |partition_index| ListOffsetsPartition {
        partition_index,
        timestamp: -1,
        ..ListOffsetsPartition::default()
    };
    let request = |replica_id| ListOffsetsRequest {
        replica_id,
        topics: vec![
            ListOffsetsTopic {
                name: "a".into(),
                partitions: vec![partition(0), partition(0), partition(1)],
            },
            ListOffsetsTopic {
                name: "never".into(),
                partitions: vec![partition(0)],
            },
        ],
        ..ListOffsetsRequest::default()
    };
    run(async {
        let response = trial.ask::<ListOffsets>(NEWEST, request(-1)).await;
        let all = response.topics.iter().flat_map(|topic| &topic.partitions);
        let codes: Vec<_> = all.map(|one| one.error_code.name()).collect();
        let unknown = "UNKNOWN_TOPIC_OR_PARTITION";
        assert_eq!(codes, ["NONE", "INVALID_REQUEST", unknown, unknown]);
        let response = trial.ask::<ListOffsets>(NEWEST, request(5)).await;
        let code = response.topics[0].partitions[0].error_code;
        assert_eq!(code, ErrorCode::ClusterAuthorizationFailed);
    });
}
