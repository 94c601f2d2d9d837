use super::super::stage::Stage;
use super::*;
use crate::ports::kafka::messages::create_topics::CreatableTopicConfig;

type Assigned<'a> = &'a [(i32, &'a [i32])];

fn topic(name: &str, partitions: i32, factor: i16) -> CreatableTopic {
    CreatableTopic {
        name: name.into(),
        num_partitions: partitions,
        replication_factor: factor,
        ..CreatableTopic::default()
    }
}

fn on(name: &str, assigned: Assigned) -> CreatableTopic {
    let one = |&(partition_index, brokers): &(i32, &[i32])| CreatableReplicaAssignment {
        partition_index,
        broker_ids: brokers.to_vec(),
    };
    CreatableTopic {
        assignments: assigned.iter().map(one).collect(),
        ..topic(name, -1, -1)
    }
}

fn with(name: &str, settings: &[(&str, Option<&str>)]) -> CreatableTopic {
    let one = |&(name, value): &(&str, Option<&str>)| CreatableTopicConfig {
        name: name.into(),
        value: value.map(Into::into),
    };
    CreatableTopic {
        configs: settings.iter().map(one).collect(),
        ..topic(name, -1, -1)
    }
}

fn ask(
    stage: &Stage,
    version: i16,
    topics: Vec<CreatableTopic>,
    validate_only: bool,
) -> Vec<CreatableTopicResult> {
    let request = CreateTopicsRequest {
        topics,
        timeout_ms: 20,
        validate_only,
    };
    stage.ask::<CreateTopics>(version, request).topics
}

fn codes(results: &[CreatableTopicResult]) -> Vec<i16> {
    let codes = results.iter().map(|result| {
        let has_words = result.error_message.is_some();
        assert_eq!(has_words, !result.error_code.is_none(), "{result:?}");
        result.error_code.number()
    });
    codes.collect()
}

#[test]
fn each_has_its_code() {
    let stage = Stage::new(2);
    stage.create("a", 1, 1);
    stage.create("a_b", 1, 1);
    let long = "n".repeat(250);
    let many: Vec<(i32, &[i32])> = (0..1001).map(|n| (n, &[1][..])).collect();
    let value = "v".repeat(20_000);
    let mut both = on("n", &[(0, &[1])]);
    both.num_partitions = 1;
    let mut factor = on("n", &[(0, &[1])]);
    factor.replication_factor = 1;
    for (topic, code) in [
        (topic("a", 1, 1), 36),
        (topic("a.b", 1, 1), 17),
        (topic("", 1, 1), 17),
        (topic("a b", 1, 1), 17),
        (topic(&long, 1, 1), 17),
        (topic("__consumer_offsets", 1, 1), 44),
        (topic("__transaction_state", -1, -1), 44),
        (topic("n", 0, 1), 37),
        (topic("n", -2, 1), 37),
        (topic("n", 1, 0), 38),
        (topic("n", 1, -2), 38),
        (topic("n", 1, 3), 38),
        (topic("n", 1001, 1), 44),
        (both, 42),
        (factor, 42),
        (on("n", &[(1, &[1])]), 39),
        (on("n", &[(0, &[1]), (2, &[1])]), 39),
        (on("n", &[(0, &[1]), (0, &[2])]), 39),
        (on("n", &[(0, &[1]), (1, &[1, 2])]), 39),
        (on("n", &[(0, &[])]), 39),
        (on("n", &[(0, &[1, 1])]), 39),
        (on("n", &[(0, &[3])]), 39),
        (on("n", &[(0, &[-1])]), 39),
        (on("n", &[(0, &[1, 2, 1])]), 39),
        (on("n", &many), 44),
        (with("n", &[("retention", Some("1"))]), 40),
        (with("n", &[("retention.ms", Some("long"))]), 40),
        (with("n", &[("retention.ms", None)]), 40),
        (with("n", &[("remote.storage.enable", Some("true"))]), 40),
        (
            with(
                "n",
                &[("leader.replication.throttled.replicas", Some(&value))],
            ),
            40,
        ),
        (
            with(
                "n",
                &[("retention.ms", Some("1")), ("retention.ms", Some("1"))],
            ),
            42,
        ),
    ] {
        let words = format!("{topic:.300?}");
        assert_eq!(
            codes(&ask(&stage, 7, vec![topic], false)),
            [code],
            "{words}"
        );
    }
    assert_eq!(stage.site.topics().count(), 2);
}

#[test]
fn one_that_is_wrong_does_not_keep_the_others_from_being_made() {
    let stage = Stage::new(3);
    let some = || {
        vec![
            topic("b", 2, 2),
            topic("twice", 1, 1),
            topic("..", 1, 1),
            topic("twice", 2, 1),
            on("c", &[(1, &[3, 1]), (0, &[2, 1])]),
        ]
    };
    for version in 2..=7 {
        let stage = Stage::new(3);
        assert_eq!(codes(&ask(&stage, version, some(), true)), [0, 42, 17, 0]);
        assert_eq!(stage.site.topics().count(), 0, "only looked at");
        assert_eq!(codes(&ask(&stage, version, some(), false)), [0, 42, 17, 0]);
        assert_eq!(stage.partition("c", 0).replicas, [NodeId(2), NodeId(1)]);
        assert_eq!(stage.partition("c", 1).replicas, [NodeId(3), NodeId(1)]);
        assert_eq!(stage.partition("b", 1).replicas.len(), 2);
    }
    let defaults = ask(&stage, 7, vec![topic("d", -1, -1)], false);
    assert_eq!(
        (defaults[0].num_partitions, defaults[0].replication_factor),
        (1, 3)
    );
}

#[test]
fn what_was_made_is_told_with_its_settings() {
    let stage = Stage::new(2);
    let mut wanted = with("a", &[("retention.ms", Some(" 5 "))]);
    wanted.num_partitions = 3;
    let validated = ask(&stage, 7, vec![wanted.clone()], true);
    assert_eq!(validated[0].topic_id, Uuid::NONE);
    let results = ask(&stage, 7, vec![wanted], false);
    let result = &results[0];
    let topics = stage.site.topics();
    assert_eq!(result.topic_id, Uuid(topics.get("a").unwrap().id.0));
    assert_eq!((result.num_partitions, result.replication_factor), (3, 2));
    assert_eq!(result.topic_config_error_code, ErrorCode::None);
    let configs = result.configs.as_ref().unwrap();
    assert_eq!(configs.len(), 34);
    let find = |name: &str| configs.iter().find(|config| config.name == *name).unwrap();
    let set = find("retention.ms");
    assert_eq!((set.value.as_deref(), set.config_source), (Some("5"), 1));
    let other = find("segment.ms");
    assert_eq!(
        (other.value.as_deref(), other.config_source),
        (Some("604800000"), 5)
    );
    assert!(find("remote.storage.enable").read_only && !other.read_only);
}

#[test]
fn the_requests_time_is_heeded() {
    let stage = Stage::new(1);
    stage.fall_silent();
    let some = vec![topic("a", 1, 1), topic("b", 0, 1)];
    assert_eq!(codes(&ask(&stage, 7, some, false)), [7, 37]);
    let stage = Stage::new(1);
    stage.lose_majority();
    let results = ask(&stage, 2, vec![topic("a", 1, 1)], false);
    assert_eq!(codes(&results), [41]);
    assert_eq!(
        results[0].error_message.as_deref(),
        Some("no majority is there")
    );
    let nobody = Stage::new(0);
    assert_eq!(
        codes(&ask(&nobody, 7, vec![topic("a", 1, -1)], false)),
        [38]
    );
}

#[test]
fn no_request_makes_more_topics_than_there_may_be() {
    let stage = Stage::new(1);
    let names = 0..=CONFIGS_TOLD_MAX;
    let topics = names.map(|n| topic(&format!("topic-{n}"), 1, 1)).collect();
    let results = ask(&stage, 7, topics, true);
    assert_eq!(results.len(), CONFIGS_TOLD_MAX + 1);
    let last = results.last().and_then(|one| one.error_message.as_deref());
    let says = StreamsRefused::TopicsMax.to_string();
    assert_eq!(last, Some(&*says));
}
