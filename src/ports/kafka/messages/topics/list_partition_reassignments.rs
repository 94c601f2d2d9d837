//! `ListPartitionReassignments`, key 46.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text};

api! {
    /// The moves of partitions that are under way.
    ListPartitionReassignments = 46:
        ListPartitionReassignmentsRequest -> ListPartitionReassignmentsResponse,
        versions 0..=0, flexible from 0;

    ListPartitionReassignmentsRequest {
        timeout_ms: i32 = 60000,
        /// None for all.
        topics: Option<Vec<ListPartitionReassignmentsTopics>>,
    }

    ListPartitionReassignmentsTopics {
        name: Text,
        partition_indexes: Vec<i32>,
    }

    ListPartitionReassignmentsResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<Text>,
        topics: Vec<OngoingTopicReassignment>,
    }

    OngoingTopicReassignment {
        name: Text,
        partitions: Vec<OngoingPartitionReassignment>,
    }

    OngoingPartitionReassignment {
        partition_index: i32,
        replicas: Vec<i32>,
        adding_replicas: Vec<i32>,
        removing_replicas: Vec<i32>,
    }
}
