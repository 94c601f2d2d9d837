//! `OffsetCommit`, key 8.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text};

api! {
    /// Keeps how far a group has read. Version 10, which names topics by id, is not
    /// stable in Kafka 4.1 and not spoken here.
    OffsetCommit = 8: OffsetCommitRequest -> OffsetCommitResponse, versions 2..=9, flexible from 8;

    OffsetCommitRequest {
        group_id: Text,
        /// -1 where a group without members is written to.
        generation_id_or_member_epoch: i32 = -1,
        member_id: Text,
        group_instance_id: Option<Text> [7..],
        retention_time_ms: i64 [..=4, ignorable] = -1,
        topics: Vec<OffsetCommitRequestTopic>,
    }

    OffsetCommitRequestTopic {
        name: Text,
        partitions: Vec<OffsetCommitRequestPartition>,
    }

    OffsetCommitRequestPartition {
        partition_index: i32,
        committed_offset: i64,
        committed_leader_epoch: i32 [6.., ignorable] = -1,
        committed_metadata: Option<Text>,
    }

    OffsetCommitResponse {
        throttle_time_ms: i32 [3.., ignorable],
        topics: Vec<OffsetCommitResponseTopic>,
    }

    OffsetCommitResponseTopic {
        name: Text,
        partitions: Vec<OffsetCommitResponsePartition>,
    }

    OffsetCommitResponsePartition {
        partition_index: i32,
        error_code: ErrorCode,
    }
}
