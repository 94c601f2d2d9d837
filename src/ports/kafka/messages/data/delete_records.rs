//! `DeleteRecords`, key 21.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text};

api! {
    /// Deletes the records of partitions before an offset.
    DeleteRecords = 21: DeleteRecordsRequest -> DeleteRecordsResponse,
        versions 0..=2, flexible from 2;

    DeleteRecordsRequest {
        topics: Vec<DeleteRecordsTopic>,
        timeout_ms: i32,
    }

    DeleteRecordsTopic {
        name: Text,
        partitions: Vec<DeleteRecordsPartition>,
    }

    DeleteRecordsPartition {
        partition_index: i32,
        offset: i64,
    }

    DeleteRecordsResponse {
        throttle_time_ms: i32,
        topics: Vec<DeleteRecordsTopicResult>,
    }

    DeleteRecordsTopicResult {
        name: Text,
        partitions: Vec<DeleteRecordsPartitionResult>,
    }

    DeleteRecordsPartitionResult {
        partition_index: i32,
        low_watermark: i64,
        error_code: ErrorCode,
    }
}
