//! `AlterPartitionReassignments`, key 45.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text};

api! {
    /// Moves partitions to other brokers, or stops such a move.
    AlterPartitionReassignments = 45:
        AlterPartitionReassignmentsRequest -> AlterPartitionReassignmentsResponse,
        versions 0..=1, flexible from 0;

    AlterPartitionReassignmentsRequest {
        timeout_ms: i32 = 60000,
        allow_replication_factor_change: bool [1..] = true,
        topics: Vec<ReassignableTopic>,
    }

    ReassignableTopic {
        name: Text,
        partitions: Vec<ReassignablePartition>,
    }

    ReassignablePartition {
        partition_index: i32,
        /// None stops a move that is under way.
        replicas: Option<Vec<i32>>,
    }

    AlterPartitionReassignmentsResponse {
        throttle_time_ms: i32,
        allow_replication_factor_change: bool [1.., ignorable] = true,
        error_code: ErrorCode,
        error_message: Option<Text>,
        responses: Vec<ReassignableTopicResponse>,
    }

    ReassignableTopicResponse {
        name: Text,
        partitions: Vec<ReassignablePartitionResponse>,
    }

    ReassignablePartitionResponse {
        partition_index: i32,
        error_code: ErrorCode,
        error_message: Option<Text>,
    }
}
