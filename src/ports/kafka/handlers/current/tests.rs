use super::super::stage::{Stage, uuid_of};
use crate::ports::kafka::messages::add_partitions_to_txn::*;
use crate::ports::kafka::messages::alter_partition_reassignments::*;
use crate::ports::kafka::messages::create_partitions::*;
use crate::ports::kafka::messages::delete_topics::*;
use crate::ports::kafka::messages::describe_configs::*;
use crate::ports::kafka::messages::describe_topic_partitions::*;
use crate::ports::kafka::messages::elect_leaders::*;
use crate::ports::kafka::messages::incremental_alter_configs::*;
use crate::ports::kafka::messages::metadata::*;
use crate::ports::kafka::messages::offset_commit::*;
use crate::ports::kafka::messages::txn_offset_commit::*;
use crate::ports::kafka::messages::{ErrorCode, Text};

const NAME: &str = "orders";
/// A topic's, among the kinds of resources.
const TOPIC: i8 = 2;

fn name() -> Text {
    NAME.into()
}

/// What each way to ask says of the topic, where it has not got further than to
/// look it up.
type Way = (&'static str, fn(&Stage) -> ErrorCode);

fn metadata(stage: &Stage, topic: MetadataRequestTopic) -> ErrorCode {
    let request = MetadataRequest {
        topics: Some(vec![topic]),
        allow_auto_topic_creation: false,
        ..MetadataRequest::default()
    };
    let response = stage.ask::<Metadata>(13, request);
    response.topics[0].error_code
}

fn delete(stage: &Stage, topic: DeleteTopicState) -> ErrorCode {
    let request = DeleteTopicsRequest {
        topics: vec![topic],
        timeout_ms: 1000,
        ..DeleteTopicsRequest::default()
    };
    let response = stage.ask::<DeleteTopics>(6, request);
    response.responses[0].error_code
}

const WAYS: [Way; 13] = [
    ("Metadata by name", |stage| {
        let topic = MetadataRequestTopic {
            name: Some(name()),
            ..MetadataRequestTopic::default()
        };
        metadata(stage, topic)
    }),
    ("Metadata by id", |stage| {
        let topic = MetadataRequestTopic {
            name: None,
            topic_id: uuid_of(NAME),
        };
        metadata(stage, topic)
    }),
    ("DescribeTopicPartitions", |stage| {
        let request = DescribeTopicPartitionsRequest {
            topics: vec![TopicRequest { name: name() }],
            response_partition_limit: 10,
            ..DescribeTopicPartitionsRequest::default()
        };
        let response = stage.ask::<DescribeTopicPartitions>(0, request);
        response.topics[0].error_code
    }),
    ("DescribeConfigs", |stage| {
        let request = DescribeConfigsRequest {
            resources: vec![DescribeConfigsResource {
                resource_type: TOPIC,
                resource_name: name(),
                configuration_keys: None,
            }],
            ..DescribeConfigsRequest::default()
        };
        let response = stage.ask::<DescribeConfigs>(4, request);
        response.results[0].error_code
    }),
    ("DeleteTopics by name", |stage| {
        let topic = DeleteTopicState {
            name: Some(name()),
            ..DeleteTopicState::default()
        };
        delete(stage, topic)
    }),
    ("DeleteTopics by id", |stage| {
        let topic = DeleteTopicState {
            name: None,
            topic_id: uuid_of(NAME),
        };
        delete(stage, topic)
    }),
    ("CreatePartitions", |stage| {
        let request = CreatePartitionsRequest {
            topics: vec![CreatePartitionsTopic {
                name: name(),
                count: 2,
                assignments: None,
            }],
            timeout_ms: 1000,
            validate_only: false,
        };
        let response = stage.ask::<CreatePartitions>(3, request);
        response.results[0].error_code
    }),
    ("IncrementalAlterConfigs", |stage| {
        let request = IncrementalAlterConfigsRequest {
            resources: vec![AlterConfigsResource {
                resource_type: TOPIC,
                resource_name: name(),
                configs: Vec::new(),
            }],
            validate_only: false,
        };
        let response = stage.ask::<IncrementalAlterConfigs>(1, request);
        response.responses[0].error_code
    }),
    ("ElectLeaders", |stage| {
        let request = ElectLeadersRequest {
            topic_partitions: Some(vec![TopicPartitions {
                topic: name(),
                partitions: vec![0],
            }]),
            timeout_ms: 1000,
            ..ElectLeadersRequest::default()
        };
        let response = stage.ask::<ElectLeaders>(2, request);
        response.replica_election_results[0].partition_result[0].error_code
    }),
    ("AlterPartitionReassignments", |stage| {
        let request = AlterPartitionReassignmentsRequest {
            topics: vec![ReassignableTopic {
                name: name(),
                partitions: vec![ReassignablePartition {
                    partition_index: 0,
                    replicas: Some(vec![1]),
                }],
            }],
            timeout_ms: 1000,
            ..AlterPartitionReassignmentsRequest::default()
        };
        let response = stage.ask::<AlterPartitionReassignments>(0, request);
        response.responses[0].partitions[0].error_code
    }),
    ("AddPartitionsToTxn", |stage| {
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: "till".into(),
            v3_and_below_topics: vec![AddPartitionsToTxnTopic {
                name: name(),
                partitions: vec![0],
            }],
            ..AddPartitionsToTxnRequest::default()
        };
        let response = stage.ask::<AddPartitionsToTxn>(3, request);
        let topic = &response.results_by_topic_v3_and_below[0];
        topic.results_by_partition[0].partition_error_code
    }),
    ("OffsetCommit", |stage| {
        let request = OffsetCommitRequest {
            group_id: "readers".into(),
            topics: vec![OffsetCommitRequestTopic {
                name: name(),
                partitions: vec![OffsetCommitRequestPartition::default()],
            }],
            ..OffsetCommitRequest::default()
        };
        let response = stage.ask::<OffsetCommit>(9, request);
        response.topics[0].partitions[0].error_code
    }),
    ("TxnOffsetCommit", |stage| {
        let request = TxnOffsetCommitRequest {
            transactional_id: "till".into(),
            group_id: "readers".into(),
            topics: vec![TxnOffsetCommitRequestTopic {
                name: name(),
                partitions: vec![TxnOffsetCommitRequestPartition::default()],
            }],
            ..TxnOffsetCommitRequest::default()
        };
        let response = stage.ask::<TxnOffsetCommit>(5, request);
        response.topics[0].partitions[0].error_code
    }),
];

fn is_unknown(code: ErrorCode) -> bool {
    [
        ErrorCode::UnknownTopicOrPartition,
        ErrorCode::UnknownTopicId,
    ]
    .contains(&code)
}

#[test]
fn a_topic_that_was_made_elsewhere_a_moment_ago_is_there_for_every_way_to_ask() {
    for (way, ask) in WAYS {
        let stage = Stage::new(1);
        stage.create_elsewhere(NAME);
        let code = ask(&stage);
        assert!(!is_unknown(code), "{way}: {code:?}");
    }
}

#[test]
fn what_is_there_is_told_without_asking_anybody() {
    for (way, ask) in WAYS {
        let stage = Stage::new(1);
        stage.create(NAME, 1, 1);
        ask(&stage);
        assert_eq!(stage.rounds(), 0, "{way}");
    }
}

#[test]
fn what_is_nowhere_is_asked_for_once_and_said_not_to_be() {
    for (way, ask) in WAYS {
        let stage = Stage::new(1);
        let code = ask(&stage);
        assert!(is_unknown(code), "{way}: {code:?}");
        assert_eq!(stage.rounds(), 1, "{way}");
    }
}

#[test]
fn without_a_majority_this_node_says_what_it_knows() {
    let stage = Stage::new(1);
    stage.create_elsewhere(NAME);
    stage.lose_majority();
    for (way, ask) in WAYS {
        let code = ask(&stage);
        assert!(is_unknown(code), "{way}: {code:?}");
    }
}

#[test]
fn a_name_that_no_topic_can_have_is_not_asked_for() {
    let stage = Stage::new(1);
    let topic = MetadataRequestTopic {
        name: Some("..".into()),
        ..MetadataRequestTopic::default()
    };
    assert_eq!(metadata(&stage, topic), ErrorCode::InvalidTopicException);
    assert_eq!(stage.rounds(), 0);
}
