//! What has a bound: beyond it is refused, and what is there goes on.

use dolmen::clock::Millis;
use dolmen::ids::Uid;
use dolmen::limits::{
    COORDINATOR_ANSWERS_MAX, GROUP_MEMBER_BYTES_MAX, GROUP_OFFSET_METADATA_BYTES_MAX,
    GROUP_OFFSETS_MAX, GROUP_PROTOCOLS_MAX, GROUPS_PER_COORDINATOR_MAX,
};
use dolmen::state::topics::overrides::GroupOverrides;
use dolmen::streams::groups::record::Protocol;
use dolmen::streams::groups::request::*;
use dolmen::streams::groups::{Coordinator, Effect, Error, Name, Now, Partitions, Settings};
use std::sync::Arc;
use std::time::Duration;

struct Stage {
    machine: Coordinator,
    now: Now,
    asked: u64,
    appended: u64,
}

impl Stage {
    fn new(settings: Settings) -> Self {
        let mut stage = Self {
            machine: Coordinator::new(settings),
            now: Now {
                since: Duration::ZERO,
                wall: Millis(1_767_225_600_000),
            },
            asked: 0,
            appended: 0,
        };
        stage.machine.gain(Default::default());
        stage.machine.serve(stage.now);
        stage
    }

    /// The answer, where there is one by now.
    fn ask(&mut self, request: Request) -> Option<Result<Reply, Error>> {
        self.asked += 1;
        self.machine.request(self.now, Token(self.asked), request);
        let mut said = self.follow();
        self.machine.durable(self.appended);
        said.extend(self.follow());
        said.pop()
    }

    fn follow(&mut self) -> Vec<Result<Reply, Error>> {
        let mut said = Vec::new();
        for effect in self.machine.take_effects() {
            match effect {
                Effect::Append { upto, .. } => self.appended = upto,
                Effect::Answer { answer, .. } => said.push(answer),
                Effect::Resolve { .. } => {}
            }
        }
        said
    }

    fn commit(&mut self, group: &str, partition: i32, metadata: &str) -> Result<(), Error> {
        match self.ask(commit(group, partition, metadata)) {
            Some(Ok(Reply::Committed(mut done))) => done.remove(0),
            Some(Err(error)) => Err(error),
            other => panic!("{other:?}"),
        }
    }

    fn refusal(&mut self, request: Request) -> Option<Error> {
        self.ask(request)?.err()
    }
}

fn commit(group: &str, partition: i32, metadata: &str) -> Request {
    Request::Commit(Commit {
        caller: nobody(group),
        retention_ms: None,
        offsets: vec![NewOffset {
            topic: "t".into(),
            topic_id: Uid::default(),
            partition,
            offset: 1,
            leader_epoch: -1,
            metadata: metadata.into(),
        }],
    })
}

fn nobody(group: &str) -> Caller {
    Caller {
        group: group.into(),
        member: Name::default(),
        instance: None,
        generation: -1,
    }
}

fn join(group: &str, chance: u8, metadata_bytes: &[usize]) -> Request {
    let protocol = |(at, bytes): (usize, &usize)| Protocol {
        name: format!("p{at}").into(),
        metadata: vec![0; *bytes].into(),
    };
    Request::Join(Join {
        group: group.into(),
        member: Name::default(),
        instance: None,
        client_id: "c".into(),
        client_host: "h".into(),
        session_ms: 10_000,
        rebalance_ms: 10_000,
        protocol_type: "consumer".into(),
        protocols: metadata_bytes.iter().enumerate().map(protocol).collect(),
        is_known_id_required: true,
        can_skip_assignment: true,
        chance: Uid([chance; 16]),
    })
}

fn beat(group: &str, member: &str) -> Request {
    Request::ConsumerHeartbeat(Beat {
        group: group.into(),
        member: member.into(),
        epoch: 0,
        instance: None,
        rack: None,
        client_id: "c".into(),
        client_host: "h".into(),
        rebalance_ms: Some(1000),
        topics: Some(["t".into()].into()),
        pattern: None,
        assignor: None,
        held: Some(Partitions::default()),
        chance: Uid([1; 16]),
    })
}

/// Of two groups, one with settings of its own.
#[test]
fn a_member_is_missed_after_its_groups_own_time() {
    let own = GroupOverrides {
        session_ms: Some(7_000),
        heartbeat_ms: Some(2_000),
    };
    let mut stage = Stage::new(Settings {
        own: Arc::new([("hasty".into(), own)].into()),
        ..Settings::default()
    });
    for (group, told) in [("hasty", 2_000), ("patient", 5_000)] {
        match stage.ask(beat(group, "m")) {
            Some(Ok(Reply::ConsumerAlive(alive))) => assert_eq!(alive.heartbeat_ms, told),
            other => panic!("{group}: {other:?}"),
        }
    }
    for (at_ms, hasty, patient) in [(6_999, 1, 1), (7_000, 0, 1), (44_999, 0, 1), (45_000, 0, 0)] {
        stage.now.since = Duration::from_millis(at_ms);
        stage.machine.tick(stage.now);
        stage.follow();
        stage.machine.durable(stage.appended);
        for (group, members) in [("hasty", hasty), ("patient", patient)] {
            let asked = Request::DescribeConsumer {
                group: group.into(),
            };
            match stage.ask(asked) {
                Some(Ok(Reply::ConsumerDescribed(told))) => {
                    assert_eq!(told.members.len(), members, "{group} after {at_ms} ms");
                }
                other => panic!("{group}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_group_takes_so_many_members() {
    let mut stage = Stage::new(Settings {
        members_max: 2,
        ..Settings::default()
    });
    let full = Error::GroupFull { members_max: 2 };
    for chance in 0..2 {
        // Those count that are on the way with an id.
        let refused = stage.refusal(join("classic", chance, &[1]));
        assert!(
            matches!(refused, Some(Error::MemberIdRequired(_))),
            "{refused:?}"
        );
        assert_eq!(stage.refusal(beat("consumer", &chance.to_string())), None);
    }
    assert_eq!(stage.refusal(join("classic", 3, &[1])), Some(full.clone()));
    assert_eq!(stage.refusal(beat("consumer", "3")), Some(full));
    assert_eq!(stage.refusal(beat("consumer", "1")), None);
}

#[test]
fn a_member_brings_so_much() {
    let mut stage = Stage::new(Settings::default());
    let bytes_max = GROUP_MEMBER_BYTES_MAX;
    let error = stage.refusal(join("g", 1, &[bytes_max - 1]));
    let bytes = bytes_max + 1;
    assert_eq!(error, Some(Error::TooLarge { bytes, bytes_max }));
    let error = stage.refusal(join("g", 1, &[0; GROUP_PROTOCOLS_MAX + 1]));
    assert!(matches!(error, Some(Error::InvalidRequest(_))), "{error:?}");
    let error = stage.refusal(join(&"g".repeat(1025), 1, &[1]));
    assert_eq!(error, Some(Error::InvalidGroupId));
    // Nothing of it is left.
    assert_eq!(
        stage.ask(Request::List),
        Some(Ok(Reply::Listed(Vec::new())))
    );
}

#[test]
fn a_group_keeps_so_many_offsets() {
    let mut stage = Stage::new(Settings::default());
    for partition in 0..GROUP_OFFSETS_MAX as i32 {
        assert_eq!(stage.commit("g", partition, ""), Ok(()));
    }
    assert_eq!(stage.commit("g", -1, ""), Err(Error::TooManyOffsets));
    assert_eq!(stage.commit("g", 7, "words"), Ok(()));
    let bytes = GROUP_OFFSET_METADATA_BYTES_MAX + 1;
    assert_eq!(
        stage.commit("g", 7, &"w".repeat(bytes)),
        Err(Error::OffsetMetadataTooLarge { bytes })
    );
}

#[test]
fn a_coordinator_keeps_so_many_groups_and_so_much() {
    let mut stage = Stage::new(Settings::default());
    for group in 0..GROUPS_PER_COORDINATOR_MAX {
        assert_eq!(stage.commit(&group.to_string(), 0, ""), Ok(()));
    }
    assert_eq!(stage.commit("one more", 0, ""), Err(Error::Full));
    assert_eq!(stage.commit("7", 1, ""), Ok(()));

    let long = "w".repeat(GROUP_OFFSET_METADATA_BYTES_MAX);
    let refused = (0..).find(|partition| stage.commit("8", *partition, &long).is_err());
    assert!(refused.is_some_and(|count| (10_000..GROUP_OFFSETS_MAX as i32).contains(&count)));
    assert_eq!(stage.commit("7", 2, ""), Err(Error::TooManyOffsets));
    assert_eq!(stage.commit("7", 1, "longer"), Err(Error::TooManyOffsets));
    assert_eq!(stage.commit("8", 1, &long), Ok(()));
    assert_eq!(stage.refusal(beat("8", "m")), Some(Error::Full));
    let delete = Request::Delete { group: "8".into() };
    assert_eq!(stage.refusal(delete), None);
    assert_eq!(stage.commit("7", 2, ""), Ok(()));
}

#[test]
fn so_many_answers_wait_for_the_disk() {
    let mut stage = Stage::new(Settings::default());
    for _ in 0..COORDINATOR_ANSWERS_MAX {
        stage
            .machine
            .request(stage.now, Token(0), commit("g", 0, ""));
    }
    assert_eq!(stage.follow(), []);
    stage
        .machine
        .request(stage.now, Token(0), commit("g", 0, ""));
    assert_eq!(stage.follow(), [Err(Error::Busy)]);
    stage.machine.durable(stage.appended);
    assert_eq!(stage.follow().len(), COORDINATOR_ANSWERS_MAX);
}

#[test]
fn an_unset_clock_makes_nobody_old() {
    const DAY: Duration = Duration::from_secs(86_400);
    let mut stage = Stage::new(Settings::default());
    stage.now.wall = Millis(1000);
    assert_eq!(stage.commit("g", 0, ""), Ok(()));
    let mut groups_after = |days: u32, wall: Option<u64>| {
        stage.now.since += DAY * days;
        stage.now.wall.0 += DAY.as_millis() as u64 * u64::from(days);
        stage.now.wall.0 = wall.unwrap_or(stage.now.wall.0);
        stage.machine.tick(stage.now);
        match stage.ask(Request::List) {
            Some(Ok(Reply::Listed(groups))) => groups.len(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(groups_after(30, None), 1);
    // Somebody sets the clock: age counts from then.
    assert_eq!(groups_after(1, Some(1_767_225_600_000)), 1);
    assert_eq!(groups_after(6, None), 1);
    assert_eq!(groups_after(1, None), 0);
}
