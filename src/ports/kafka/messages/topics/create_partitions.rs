//! `CreatePartitions`, key 37.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text};

api! {
    /// Gives topics more partitions.
    CreatePartitions = 37: CreatePartitionsRequest -> CreatePartitionsResponse,
        versions 0..=3, flexible from 2;

    CreatePartitionsRequest {
        topics: Vec<CreatePartitionsTopic>,
        timeout_ms: i32,
        validate_only: bool,
    }

    CreatePartitionsTopic {
        name: Text,
        /// The number of partitions afterwards.
        count: i32,
        /// Of the new partitions; None leaves the choice to the cluster.
        assignments: Option<Vec<CreatePartitionsAssignment>> = Some(Vec::new()),
    }

    CreatePartitionsAssignment {
        broker_ids: Vec<i32>,
    }

    CreatePartitionsResponse {
        throttle_time_ms: i32,
        results: Vec<CreatePartitionsTopicResult>,
    }

    CreatePartitionsTopicResult {
        name: Text,
        error_code: ErrorCode,
        error_message: Option<Text>,
    }
}
