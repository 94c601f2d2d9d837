//! `OffsetFetch`, key 9.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text};

api! {
    /// How far groups have read. Version 10, which names topics by id, is not stable in
    /// Kafka 4.1 and not spoken here.
    OffsetFetch = 9: OffsetFetchRequest -> OffsetFetchResponse, versions 1..=9, flexible from 6;

    OffsetFetchRequest {
        group_id: Text [..=7],
        /// None for all.
        topics: Option<Vec<OffsetFetchRequestTopic>> [..=7, null 2..] = Some(Vec::new()),
        groups: Vec<OffsetFetchRequestGroup> [8..],
        /// Fails while a transaction still holds an offset.
        require_stable: bool [7..],
    }

    OffsetFetchRequestTopic {
        name: Text,
        partition_indexes: Vec<i32>,
    }

    OffsetFetchRequestGroup {
        group_id: Text,
        member_id: Option<Text> [9.., ignorable],
        member_epoch: i32 [9.., ignorable] = -1,
        /// None for all.
        topics: Option<Vec<OffsetFetchRequestTopics>> = Some(Vec::new()),
    }

    OffsetFetchRequestTopics {
        name: Text,
        partition_indexes: Vec<i32>,
    }

    OffsetFetchResponse {
        throttle_time_ms: i32 [3.., ignorable],
        topics: Vec<OffsetFetchResponseTopic> [..=7],
        error_code: ErrorCode [2..=7, ignorable],
        groups: Vec<OffsetFetchResponseGroup> [8..],
    }

    OffsetFetchResponseTopic {
        name: Text,
        partitions: Vec<OffsetFetchResponsePartition>,
    }

    OffsetFetchResponsePartition {
        partition_index: i32,
        /// -1 where there is none.
        committed_offset: i64,
        committed_leader_epoch: i32 [5.., ignorable] = -1,
        metadata: Option<Text>,
        error_code: ErrorCode,
    }

    OffsetFetchResponseGroup {
        group_id: Text,
        topics: Vec<OffsetFetchResponseTopics>,
        error_code: ErrorCode,
    }

    OffsetFetchResponseTopics {
        name: Text,
        partitions: Vec<OffsetFetchResponsePartitions>,
    }

    OffsetFetchResponsePartitions {
        partition_index: i32,
        /// -1 where there is none.
        committed_offset: i64,
        committed_leader_epoch: i32 = -1,
        metadata: Option<Text>,
        error_code: ErrorCode,
    }
}
