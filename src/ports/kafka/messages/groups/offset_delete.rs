//! `OffsetDelete`, key 47.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text};

api! {
    /// Forgets how far a group has read.
    OffsetDelete = 47: OffsetDeleteRequest -> OffsetDeleteResponse, versions 0..=0;

    OffsetDeleteRequest {
        group_id: Text,
        topics: Vec<OffsetDeleteRequestTopic>,
    }

    OffsetDeleteRequestTopic {
        name: Text,
        partitions: Vec<OffsetDeleteRequestPartition>,
    }

    OffsetDeleteRequestPartition {
        partition_index: i32,
    }

    OffsetDeleteResponse {
        error_code: ErrorCode,
        throttle_time_ms: i32,
        topics: Vec<OffsetDeleteResponseTopic>,
    }

    OffsetDeleteResponseTopic {
        name: Text,
        partitions: Vec<OffsetDeleteResponsePartition>,
    }

    OffsetDeleteResponsePartition {
        partition_index: i32,
        error_code: ErrorCode,
    }
}
