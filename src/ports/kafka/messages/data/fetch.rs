//! `Fetch`, key 1.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Records, Text, Uuid};

api! {
    /// Reads batches of records from partitions on.
    Fetch = 1: FetchRequest -> FetchResponse, versions 4..=18, flexible from 12;

    FetchRequest {
        cluster_id: Option<Text> [12.., tag 0, ignorable],
        /// -1 for a consumer.
        replica_id: i32 [..=14] = -1,
        replica_state: ReplicaState [15.., tag 1],
        /// How long to wait for `min_bytes`.
        max_wait_ms: i32,
        min_bytes: i32,
        max_bytes: i32 = i32::MAX,
        /// 1: only what is committed.
        isolation_level: i8,
        /// A session remembers the partitions, so that later requests name the changes
        /// alone.
        session_id: i32 [7.., ignorable],
        /// 0 opens a session, -1 does without or closes it.
        session_epoch: i32 [7.., ignorable] = -1,
        topics: Vec<FetchTopic>,
        /// Partitions that leave the session.
        forgotten_topics_data: Vec<ForgottenTopic> [7..],
        rack_id: Text [11.., ignorable],
    }

    ReplicaState {
        replica_id: i32 = -1,
        replica_epoch: i64 = -1,
    }

    FetchTopic {
        topic: Text [..=12, ignorable],
        topic_id: Uuid [13.., ignorable],
        partitions: Vec<FetchPartition>,
    }

    FetchPartition {
        partition: i32,
        current_leader_epoch: i32 [9.., ignorable] = -1,
        fetch_offset: i64,
        /// The leader epoch of the record before `fetch_offset`, so that the broker
        /// sees where histories part.
        last_fetched_epoch: i32 [12..] = -1,
        log_start_offset: i64 [5.., ignorable] = -1,
        /// A first batch that is larger is sent all the same.
        partition_max_bytes: i32,
        replica_directory_id: Uuid [17.., tag 0, ignorable],
        high_watermark: i64 [18.., tag 1, ignorable] = i64::MAX,
    }

    ForgottenTopic {
        topic: Text [..=12, ignorable],
        topic_id: Uuid [13.., ignorable],
        partitions: Vec<i32>,
    }

    FetchResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode [7.., ignorable],
        session_id: i32 [7..],
        responses: Vec<FetchableTopicResponse>,
        /// The addresses of the leaders that are hinted at.
        node_endpoints: Vec<NodeEndpoint> [16.., tag 0, ignorable],
    }

    FetchableTopicResponse {
        topic: Text [..=12, ignorable],
        topic_id: Uuid [13.., ignorable],
        partitions: Vec<PartitionData>,
    }

    PartitionData {
        partition_index: i32,
        error_code: ErrorCode,
        high_watermark: i64,
        /// The first record of a transaction that is still open, or the high watermark.
        last_stable_offset: i64 = -1,
        log_start_offset: i64 [5.., ignorable] = -1,
        /// Where the history of the client parts from this one.
        diverging_epoch: EpochEndOffset [12.., tag 0],
        /// Who leads, where this broker does not: a hint that old clients do without.
        current_leader: LeaderIdAndEpoch [12.., tag 1, ignorable],
        snapshot_id: SnapshotId [12.., tag 2],
        aborted_transactions: Option<Vec<AbortedTransaction>> = Some(Vec::new()),
        /// A nearer replica to read from, and no records this time.
        preferred_read_replica: i32 [11..] = -1,
        records: Records,
    }

    EpochEndOffset {
        epoch: i32 = -1,
        end_offset: i64 = -1,
    }

    LeaderIdAndEpoch {
        leader_id: i32 = -1,
        leader_epoch: i32 = -1,
    }

    SnapshotId {
        end_offset: i64 = -1,
        epoch: i32 = -1,
    }

    AbortedTransaction {
        producer_id: i64,
        first_offset: i64,
    }

    NodeEndpoint {
        node_id: i32,
        host: Text,
        port: i32,
        rack: Option<Text>,
    }
}
