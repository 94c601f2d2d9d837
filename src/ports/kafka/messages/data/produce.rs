//! `Produce`, key 0.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text, Uuid};
use bytes::Bytes;

api! {
    /// Appends batches of records to partitions.
    Produce = 0: ProduceRequest -> ProduceResponse, versions 3..=13, flexible from 9;

    ProduceRequest {
        transactional_id: Option<Text>,
        /// 0: no answer is wanted; 1: the leader has it; -1: all replicas in sync do.
        acks: i16,
        timeout_ms: i32,
        topic_data: Vec<TopicProduceData>,
    }

    TopicProduceData {
        name: Text [..=12, ignorable],
        topic_id: Uuid [13.., ignorable],
        partition_data: Vec<PartitionProduceData>,
    }

    PartitionProduceData {
        index: i32,
        /// One batch, as all clients send it.
        records: Option<Bytes>,
    }

    ProduceResponse {
        responses: Vec<TopicProduceResponse>,
        throttle_time_ms: i32,
        /// The addresses of the leaders that are hinted at.
        node_endpoints: Vec<NodeEndpoint> [10.., tag 0, ignorable],
    }

    TopicProduceResponse {
        name: Text [..=12, ignorable],
        topic_id: Uuid [13.., ignorable],
        partition_responses: Vec<PartitionProduceResponse>,
    }

    PartitionProduceResponse {
        index: i32,
        error_code: ErrorCode,
        /// The first record's offset.
        base_offset: i64,
        /// -1 where the records keep their producer's times.
        log_append_time_ms: i64 = -1,
        log_start_offset: i64 [5.., ignorable] = -1,
        record_errors: Vec<BatchIndexAndErrorMessage> [8.., ignorable],
        error_message: Option<Text> [8.., ignorable],
        /// Who leads, where this broker does not: a hint that old clients do without.
        current_leader: LeaderIdAndEpoch [10.., tag 0, ignorable],
    }

    BatchIndexAndErrorMessage {
        batch_index: i32,
        batch_index_error_message: Option<Text>,
    }

    LeaderIdAndEpoch {
        leader_id: i32 = -1,
        leader_epoch: i32 = -1,
    }

    NodeEndpoint {
        node_id: i32,
        host: Text,
        port: i32,
        rack: Option<Text>,
    }
}
