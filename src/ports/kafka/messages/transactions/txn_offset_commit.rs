//! `TxnOffsetCommit`, key 28.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text};

api! {
    /// Keeps how far a group has read, once the transaction is committed.
    TxnOffsetCommit = 28: TxnOffsetCommitRequest -> TxnOffsetCommitResponse,
        versions 0..=5, flexible from 3;

    TxnOffsetCommitRequest {
        transactional_id: Text,
        group_id: Text,
        producer_id: i64,
        producer_epoch: i16,
        generation_id: i32 [3..] = -1,
        member_id: Text [3..],
        group_instance_id: Option<Text> [3..],
        topics: Vec<TxnOffsetCommitRequestTopic>,
    }

    TxnOffsetCommitRequestTopic {
        name: Text,
        partitions: Vec<TxnOffsetCommitRequestPartition>,
    }

    TxnOffsetCommitRequestPartition {
        partition_index: i32,
        committed_offset: i64,
        committed_leader_epoch: i32 [2.., ignorable] = -1,
        committed_metadata: Option<Text>,
    }

    TxnOffsetCommitResponse {
        throttle_time_ms: i32,
        topics: Vec<TxnOffsetCommitResponseTopic>,
    }

    TxnOffsetCommitResponseTopic {
        name: Text,
        partitions: Vec<TxnOffsetCommitResponsePartition>,
    }

    TxnOffsetCommitResponsePartition {
        partition_index: i32,
        error_code: ErrorCode,
    }
}
