//! `DescribeTopicPartitions`, key 75.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text, Uuid};

api! {
    /// Topics with their partitions, page by page.
    DescribeTopicPartitions = 75: DescribeTopicPartitionsRequest -> DescribeTopicPartitionsResponse,
        versions 0..=0, flexible from 0;

    DescribeTopicPartitionsRequest {
        topics: Vec<TopicRequest>,
        response_partition_limit: i32 = 2000,
        /// Where the last page ended.
        cursor: Option<Cursor>,
    }

    TopicRequest {
        name: Text,
    }

    Cursor {
        topic_name: Text,
        partition_index: i32,
    }

    DescribeTopicPartitionsResponse {
        throttle_time_ms: i32,
        topics: Vec<DescribeTopicPartitionsResponseTopic>,
        /// None on the last page.
        next_cursor: Option<Cursor>,
    }

    DescribeTopicPartitionsResponseTopic {
        error_code: ErrorCode,
        name: Option<Text>,
        topic_id: Uuid,
        is_internal: bool,
        partitions: Vec<DescribeTopicPartitionsResponsePartition>,
        topic_authorized_operations: i32 = i32::MIN,
    }

    DescribeTopicPartitionsResponsePartition {
        error_code: ErrorCode,
        partition_index: i32,
        leader_id: i32,
        leader_epoch: i32 = -1,
        replica_nodes: Vec<i32>,
        isr_nodes: Vec<i32>,
        eligible_leader_replicas: Option<Vec<i32>>,
        last_known_elr: Option<Vec<i32>>,
        offline_replicas: Vec<i32>,
    }
}
