//! `OffsetForLeaderEpoch`, key 23.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text};

api! {
    /// Where the records of a leader end: how a client finds out that what it has read
    /// was cut off.
    OffsetForLeaderEpoch = 23: OffsetForLeaderEpochRequest -> OffsetForLeaderEpochResponse,
        versions 2..=4, flexible from 4;

    OffsetForLeaderEpochRequest {
        replica_id: i32 [3.., ignorable] = -2,
        topics: Vec<OffsetForLeaderTopic>,
    }

    OffsetForLeaderTopic {
        topic: Text,
        partitions: Vec<OffsetForLeaderPartition>,
    }

    OffsetForLeaderPartition {
        partition: i32,
        current_leader_epoch: i32 = -1,
        leader_epoch: i32,
    }

    OffsetForLeaderEpochResponse {
        throttle_time_ms: i32,
        topics: Vec<OffsetForLeaderTopicResult>,
    }

    OffsetForLeaderTopicResult {
        topic: Text,
        partitions: Vec<EpochEndOffset>,
    }

    EpochEndOffset {
        error_code: ErrorCode,
        partition: i32,
        leader_epoch: i32 = -1,
        end_offset: i64 = -1,
    }
}
