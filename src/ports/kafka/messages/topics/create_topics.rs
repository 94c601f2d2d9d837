//! `CreateTopics`, key 19.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text, Uuid};

api! {
    /// Creates topics.
    CreateTopics = 19: CreateTopicsRequest -> CreateTopicsResponse, versions 2..=7, flexible from 5;

    CreateTopicsRequest {
        topics: Vec<CreatableTopic>,
        timeout_ms: i32 = 60000,
        validate_only: bool,
    }

    CreatableTopic {
        name: Text,
        /// -1 for the cluster's default, or where `assignments` say it.
        num_partitions: i32,
        /// -1 for the cluster's default, or where `assignments` say it.
        replication_factor: i16,
        assignments: Vec<CreatableReplicaAssignment>,
        configs: Vec<CreatableTopicConfig>,
    }

    CreatableReplicaAssignment {
        partition_index: i32,
        broker_ids: Vec<i32>,
    }

    CreatableTopicConfig {
        name: Text,
        value: Option<Text>,
    }

    CreateTopicsResponse {
        throttle_time_ms: i32,
        topics: Vec<CreatableTopicResult>,
    }

    CreatableTopicResult {
        name: Text,
        topic_id: Uuid [7.., ignorable],
        error_code: ErrorCode,
        error_message: Option<Text>,
        /// Why the settings are not shown.
        topic_config_error_code: ErrorCode [5.., tag 0, ignorable],
        num_partitions: i32 [5.., ignorable] = -1,
        replication_factor: i16 [5.., ignorable] = -1,
        configs: Option<Vec<CreatableTopicConfigs>> [5.., ignorable] = Some(Vec::new()),
    }

    CreatableTopicConfigs {
        name: Text,
        value: Option<Text>,
        read_only: bool,
        config_source: i8 = -1,
        is_sensitive: bool,
    }
}
