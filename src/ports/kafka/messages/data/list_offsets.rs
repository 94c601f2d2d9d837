//! `ListOffsets`, key 2.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text};

api! {
    /// The offset at which a partition stands at a time, begins or ends.
    ListOffsets = 2: ListOffsetsRequest -> ListOffsetsResponse, versions 1..=10, flexible from 6;

    ListOffsetsRequest {
        /// -1 for a consumer.
        replica_id: i32,
        isolation_level: i8 [2..],
        topics: Vec<ListOffsetsTopic>,
        timeout_ms: i32 [10.., ignorable],
    }

    ListOffsetsTopic {
        name: Text,
        partitions: Vec<ListOffsetsPartition>,
    }

    ListOffsetsPartition {
        partition_index: i32,
        current_leader_epoch: i32 [4.., ignorable] = -1,
        /// Milliseconds, or -1 for the end, -2 for the begin, -3 for the largest time.
        timestamp: i64,
    }

    ListOffsetsResponse {
        throttle_time_ms: i32 [2.., ignorable],
        topics: Vec<ListOffsetsTopicResponse>,
    }

    ListOffsetsTopicResponse {
        name: Text,
        partitions: Vec<ListOffsetsPartitionResponse>,
    }

    ListOffsetsPartitionResponse {
        partition_index: i32,
        error_code: ErrorCode,
        timestamp: i64 = -1,
        offset: i64 = -1,
        leader_epoch: i32 [4..] = -1,
    }
}
