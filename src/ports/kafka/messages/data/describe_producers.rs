//! `DescribeProducers`, key 61.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text};

api! {
    /// The producers that a partition remembers.
    DescribeProducers = 61: DescribeProducersRequest -> DescribeProducersResponse,
        versions 0..=0, flexible from 0;

    DescribeProducersRequest {
        topics: Vec<TopicRequest>,
    }

    TopicRequest {
        name: Text,
        partition_indexes: Vec<i32>,
    }

    DescribeProducersResponse {
        throttle_time_ms: i32,
        topics: Vec<TopicResponse>,
    }

    TopicResponse {
        name: Text,
        partitions: Vec<PartitionResponse>,
    }

    PartitionResponse {
        partition_index: i32,
        error_code: ErrorCode,
        error_message: Option<Text>,
        active_producers: Vec<ProducerState>,
    }

    ProducerState {
        producer_id: i64,
        producer_epoch: i32,
        last_sequence: i32 = -1,
        last_timestamp: i64 = -1,
        coordinator_epoch: i32,
        current_txn_start_offset: i64 = -1,
    }
}
