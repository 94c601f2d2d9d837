//! `ElectLeaders`, key 43.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text};

api! {
    /// Makes the preferred replicas of partitions their leaders, or one that lags
    /// behind.
    ElectLeaders = 43: ElectLeadersRequest -> ElectLeadersResponse, versions 0..=2, flexible from 2;

    ElectLeadersRequest {
        /// 0: the preferred replica; 1: one that may lack records.
        election_type: i8 [1..],
        /// None for all.
        topic_partitions: Option<Vec<TopicPartitions>> = Some(Vec::new()),
        timeout_ms: i32 = 60000,
    }

    TopicPartitions {
        topic: Text,
        partitions: Vec<i32>,
    }

    ElectLeadersResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode [1..],
        replica_election_results: Vec<ReplicaElectionResult>,
    }

    ReplicaElectionResult {
        topic: Text,
        partition_result: Vec<PartitionResult>,
    }

    PartitionResult {
        partition_id: i32,
        error_code: ErrorCode,
        error_message: Option<Text>,
    }
}
