use super::super::stage::Stage;
use super::*;
use crate::ports::kafka::messages::alter_configs as replace;
use crate::ports::kafka::messages::incremental_alter_configs as alter;
use crate::state::topics::overrides::BROKER_TABLE;
use crate::state::topics::settings::Given;
use crate::state::topics::table::{Kind, Row, Standing, TABLE};

fn request(owner: i8, name: &str, keys: Option<&[&str]>) -> DescribeConfigsRequest {
    let keys = keys.map(|keys| keys.iter().map(|&key| key.into()).collect());
    DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type: owner,
            resource_name: name.into(),
            configuration_keys: keys,
        }],
        ..DescribeConfigsRequest::default()
    }
}

fn ask(stage: &Stage, owner: i8, name: &str) -> DescribeConfigsResult {
    let request = request(owner, name, None);
    stage.ask::<DescribeConfigs>(4, request).results.remove(0)
}

fn value(result: &DescribeConfigsResult, name: &str) -> String {
    let found = result.configs.iter().find(|config| config.name == *name);
    let found = found.unwrap_or_else(|| panic!("{name} is not there"));
    found.value.as_deref().unwrap_or("null").into()
}

#[test]
fn each_has_its_code() {
    let stage = Stage::new(1);
    for (owner, name, code) in [
        (2, "x", 3),
        (2, "a b", 17),
        (2, "", 17),
        (4, "1", 0),
        (4, "", 0),
        (4, "2", 42),
        (4, "one", 42),
        (8, "1", 42),
        (16, "all", 42),
        (32, "readers", 0),
        (32, "", 42),
        (0, "x", 42),
        (-1, "x", 42),
    ] {
        for version in 1..=4 {
            let request = request(owner, name, None);
            let result = stage
                .ask::<DescribeConfigs>(version, request)
                .results
                .remove(0);
            assert_eq!(result.error_code.number(), code, "{owner} {name}");
            assert_eq!(result.error_message.is_some(), code != 0);
            assert_eq!(
                (result.resource_type, &*result.resource_name),
                (owner, name)
            );
        }
    }
    let mut twice = request(4, "1", None);
    twice.resources.extend(twice.resources.clone());
    let results = stage.ask::<DescribeConfigs>(4, twice).results;
    let codes: Vec<_> = results.iter().map(|one| one.error_code.number()).collect();
    assert_eq!(codes, [42]);
    assert!(ask(&stage, 4, "").configs.is_empty());
}

#[test]
fn there_is_an_end_to_what_one_request_is_told() {
    let stage = Stage::new(1);
    let resource = |n: usize| DescribeConfigsResource {
        resource_type: 32,
        resource_name: n.to_string().into(),
        configuration_keys: None,
    };
    let request = DescribeConfigsRequest {
        resources: (0..=CONFIGS_TOLD_MAX).map(resource).collect(),
        ..DescribeConfigsRequest::default()
    };
    let mut results = stage.ask::<DescribeConfigs>(4, request).results;
    let refused = results.pop().expect("each has its answer");
    assert_eq!(
        (refused.error_code.number(), refused.configs.len()),
        (42, 0)
    );
    let is_told =
        |one: &DescribeConfigsResult| one.error_code == ErrorCode::None && !one.configs.is_empty();
    assert!(results.len() == CONFIGS_TOLD_MAX && results.iter().all(is_told));
}

#[test]
fn keys_choose_and_none_of_them_means_all() {
    let stage = Stage::new(1);
    stage.create("a", 1, 1);
    for (keys, count) in [
        (None, TABLE.len()),
        (Some(&[][..]), TABLE.len()),
        (
            Some(&["retention.ms", "no.such", "segment.ms", "segment.ms"]),
            2,
        ),
        (Some(&["no.such"]), 0),
    ] {
        let response = stage.ask::<DescribeConfigs>(4, request(2, "a", keys));
        assert_eq!(response.results[0].configs.len(), count);
    }
}

#[test]
fn a_value_is_told_with_where_it_comes_from() {
    let stage = Stage::new(1);
    stage.create_with("a", &[("retention.ms", "5"), ("durability", "replicated")]);
    let keys = ["durability", "retention.ms", "segment.ms", "preallocate"];
    let mut asked = request(2, "a", Some(&keys));
    asked.include_synonyms = true;
    let plain = stage.ask::<DescribeConfigs>(3, asked.clone());
    assert!(
        plain.results[0]
            .configs
            .iter()
            .all(|one| one.documentation.is_none())
    );
    asked.include_documentation = true;
    let response = stage.ask::<DescribeConfigs>(4, asked);
    let told = response.results[0].configs.iter().map(|one| {
        let synonyms = one.synonyms.iter().map(|synonym| {
            let value = synonym.value.as_deref().unwrap();
            format!(" {}={value}@{}", synonym.name, synonym.source)
        });
        assert!(!one.read_only && !one.is_sensitive);
        let value = one.value.as_deref().unwrap();
        let is_without = one
            .documentation
            .as_ref()
            .unwrap()
            .starts_with("(Without effect.)");
        assert_eq!(is_without, one.name == "preallocate");
        format!(
            "{}={value}@{} {}{}",
            one.name,
            one.config_source,
            one.config_type,
            synonyms.collect::<String>()
        )
    });
    let told: Vec<_> = told.collect();
    assert_eq!(
        told,
        [
            "durability=replicated@1 2 durability=replicated@1",
            "preallocate=false@5 1 log.preallocate=false@5",
            "retention.ms=5@1 5 retention.ms=5@1 log.retention.ms=604800000@5",
            "segment.ms=604800000@5 5 log.roll.ms=604800000@5",
        ]
    );
}

/// A value that is not the default, where one may be set.
fn other(row: &Row) -> &'static str {
    match (row.name, row.kind) {
        ("cleanup.policy", _) => "compact",
        ("compression.type", _) => "zstd",
        ("durability", _) => "replicated",
        ("message.timestamp.type", _) => "LogAppendTime",
        ("segment.bytes", _) => "2097152",
        (_, Kind::Boolean) => "true",
        (_, Kind::Int(_) | Kind::Long(_)) => "8",
        (_, Kind::Double) => "0.25",
        (_, Kind::List) => "*",
        (name, Kind::Choice(_) | Kind::Choices(_)) => panic!("{name} has no other value here"),
    }
}

/// A setting, set to a value alone, or changed among others.
fn set(stage: &Stage, given: (&str, &str), replaces: bool) -> ErrorCode {
    set_of(stage, (2, "a"), given, replaces)
}

/// The same of something of that kind and name.
fn set_of(
    stage: &Stage,
    (owner, whose): (i8, &str),
    (name, value): (&str, &str),
    replaces: bool,
) -> ErrorCode {
    if replaces {
        let request = replace::AlterConfigsRequest {
            resources: vec![replace::AlterConfigsResource {
                resource_type: owner,
                resource_name: whose.into(),
                configs: vec![replace::AlterableConfig {
                    name: name.into(),
                    value: Some(value.into()),
                }],
            }],
            validate_only: false,
        };
        let response = stage.ask::<replace::AlterConfigs>(2, request);
        return response.responses[0].error_code;
    }
    let request = alter::IncrementalAlterConfigsRequest {
        resources: vec![alter::AlterConfigsResource {
            resource_type: owner,
            resource_name: whose.into(),
            configs: vec![alter::AlterableConfig {
                name: name.into(),
                config_operation: 0,
                value: Some(value.into()),
            }],
        }],
        validate_only: false,
    };
    let response = stage.ask::<alter::IncrementalAlterConfigs>(1, request);
    response.responses[0].error_code
}

#[test]
fn every_setting_is_told_and_those_that_may_be_set_can_be() {
    let stage = Stage::new(1);
    stage.create("a", 1, 1);
    let told = ask(&stage, 2, "a").configs;
    let names: Vec<_> = told.iter().map(|one| one.name.clone()).collect();
    let rows: Vec<_> = TABLE.iter().map(|row| row.name).collect();
    assert_eq!(names, rows);
    for (row, one) in TABLE.iter().zip(told) {
        assert_eq!(one.value.as_deref(), Some(row.default));
        assert_eq!(one.config_source, 5);
        assert_eq!(
            one.read_only,
            row.standing == Standing::Refused,
            "{}",
            row.name
        );
        let given: Given = (row.name.into(), other(row).into());
        assert_ne!(&*given.1, row.default);
        for replaces in [false, true] {
            let code = set(&stage, (&given.0, &given.1), replaces);
            let shown = ask(&stage, 2, "a");
            if one.read_only {
                assert_eq!(code, ErrorCode::InvalidConfig, "{}", row.name);
                assert_eq!(value(&shown, row.name), row.default);
                let code = set(&stage, (row.name, row.default), replaces);
                assert_eq!(code, ErrorCode::None, "{}", row.name);
            } else {
                assert_eq!(code, ErrorCode::None, "{}", row.name);
                assert_eq!(value(&shown, row.name), *given.1);
            }
        }
    }
}

#[test]
fn a_broker_is_told_as_it_is() {
    let stage = Stage::new(2);
    let own = ask(&stage, 4, "1");
    for (name, expected) in [
        ("auto.create.topics.enable", "true"),
        ("broker.id", "1"),
        ("broker.rack", "null"),
        ("default.replication.factor", "2"),
        ("delete.topic.enable", "true"),
        ("group.max.session.timeout.ms", "1800000"),
        ("listeners", "INTERNAL://node-1:9091,EDGE://edge-1:19091"),
        (
            "advertised.listeners",
            "INTERNAL://node-1:9091,EDGE://edge-1:19091",
        ),
        (
            "listener.security.protocol.map",
            "INTERNAL:PLAINTEXT,EDGE:PLAINTEXT",
        ),
        ("log.cleanup.policy", "delete"),
        ("log.retention.bytes", "-1"),
        ("log.retention.hours", "168"),
        ("log.retention.ms", "604800000"),
        ("message.max.bytes", "1048588"),
        ("min.insync.replicas", "1"),
        ("num.partitions", "1"),
        ("offsets.retention.minutes", "10080"),
        ("offsets.topic.num.partitions", "16"),
        ("unclean.leader.election.enable", "false"),
    ] {
        assert_eq!(value(&own, name), expected, "{name}");
    }
    let names: Vec<_> = own.configs.iter().map(|one| one.name.clone()).collect();
    assert!(names.is_sorted_by(|one, other| one < other), "{names:?}");
    let alterable = own.configs.iter().filter(|one| !one.read_only);
    let alterable: Vec<_> = alterable.map(|one| &*one.name).collect();
    let rows: Vec<_> = BROKER_TABLE.iter().map(|row| row.name).collect();
    assert_eq!(alterable, rows);
    // Of any other as well, and of one that is down what is known.
    assert_eq!(value(&ask(&stage, 4, "2"), "broker.rack"), "attic");
    stage.take_down(2);
    assert_eq!(value(&ask(&stage, 4, "2"), "listeners"), "null");
}

#[test]
fn what_a_topic_is_said_to_be_made_with_it_is_made_with() {
    let stage = Stage::new(2);
    let broker = ask(&stage, 4, "1");
    stage.create_with("a", &[]);
    let partition = stage.partition("a", 0);
    let factor = partition.replicas.len().to_string();
    assert_eq!(value(&broker, "default.replication.factor"), factor);
    let topics = stage.site.topics();
    let count = topics.get("a").unwrap().partitions.len().to_string();
    assert_eq!(value(&broker, "num.partitions"), count);
}

/// Each setting as `name=value@source read-only`, with those behind it.
fn told(stage: &Stage, owner: i8, name: &str, key: &str) -> String {
    let mut asked = request(owner, name, Some(&[key]));
    asked.include_synonyms = true;
    asked.include_documentation = true;
    let result = stage.ask::<DescribeConfigs>(4, asked).results.remove(0);
    let Some(one) = result.configs.first() else {
        return "nothing".into();
    };
    let synonyms = one.synonyms.iter().map(|synonym| {
        let value = synonym.value.as_deref().unwrap();
        format!(" {}={value}@{}", synonym.name, synonym.source)
    });
    let doc = one.documentation.as_ref().unwrap();
    let is_idle = doc.starts_with("(Without effect.)");
    assert!(!one.read_only);
    format!(
        "{}@{}{}{}",
        one.value.as_deref().unwrap(),
        one.config_source,
        if is_idle { " idle" } else { "" },
        synonyms.collect::<String>()
    )
}

#[test]
fn what_all_brokers_are_given_holds_and_is_told() {
    let stage = Stage::new(2);
    let all = (4, "");
    for row in BROKER_TABLE {
        let other = match row.kind {
            Kind::Boolean => "false",
            Kind::Double => "0.25",
            _ => "7",
        };
        let is_idle = if row.heeded.is_none() { " idle" } else { "" };
        let shown = match row.name {
            "default.replication.factor" => "2",
            _ => row.default,
        };
        let name = row.name;
        for (asked, is_told) in [
            ("1", format!("{shown}@5{is_idle} {name}={shown}@5")),
            ("", "nothing".into()),
        ] {
            assert_eq!(told(&stage, 4, asked, name), is_told);
        }
        assert_eq!(
            set_of(&stage, all, (name, other), false),
            ErrorCode::None,
            "{name}"
        );
        let is_told = format!("{other}@3{is_idle} {name}={other}@3 {name}={shown}@5");
        for asked in ["1", "2", ""] {
            assert_eq!(told(&stage, 4, asked, name), is_told);
        }
    }
    // What is heeded is in force.
    let topics = stage.site.topics();
    assert!(!topics.makes_what_is_asked_for());
    let settings = crate::streams::coordinators::groups::settings_of(&topics);
    assert_eq!((settings.session_ms_min, settings.initial_delay_ms), (7, 7));
    stage.create_with("a", &[]);
    assert_eq!(stage.site.topics().get("a").unwrap().partitions.len(), 7);
    // By its name one broker loses only what has no effect.
    let one = (4, "1");
    assert_eq!(
        set_of(&stage, one, ("num.io.threads", "3"), true),
        ErrorCode::None
    );
    let left = ask(&stage, 4, "").configs;
    let left: Vec<_> = left.iter().map(|one| &*one.name).collect();
    let heeded = BROKER_TABLE.iter().filter(|row| row.heeded.is_some());
    let mut expected: Vec<_> = heeded
        .map(|row| row.name)
        .chain(["num.io.threads"])
        .collect();
    expected.sort();
    assert_eq!(left, expected);
    assert_eq!(
        set_of(&stage, all, ("num.io.threads", "8"), true),
        ErrorCode::None
    );
    let left = ask(&stage, 4, "").configs;
    let left: Vec<_> = left.iter().map(|one| &*one.name).collect();
    assert_eq!(left, ["num.io.threads"]);
}

#[test]
fn groups_have_their_settings() {
    let stage = Stage::new(1);
    let session = "consumer.session.timeout.ms";
    let of_all = "group.consumer.session.timeout.ms=45000@5".to_string();
    let group = ask(&stage, 32, "readers");
    assert_eq!(value(&group, session), "45000");
    assert_eq!(value(&group, "consumer.heartbeat.interval.ms"), "5000");
    assert_eq!(group.configs.len(), 2);
    for replaces in [false, true] {
        let set = set_of(&stage, (32, "readers"), (session, "50000"), replaces);
        assert_eq!(set, ErrorCode::None);
        let is_told = format!("50000@8 {session}=50000@8 {of_all}");
        assert_eq!(told(&stage, 32, "readers", session), is_told);
        assert_eq!(
            told(&stage, 32, "others", session),
            format!("45000@5 {of_all}")
        );
    }
    // The coordinators go by it.
    let settings = crate::streams::coordinators::groups::settings_of(&stage.site.topics());
    assert_eq!(settings.session_ms_of("readers"), 50_000);
    assert_eq!(settings.session_ms_of("others"), 45_000);
}
