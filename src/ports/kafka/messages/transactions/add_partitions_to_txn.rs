//! `AddPartitionsToTxn`, key 24.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text};

api! {
    /// Makes partitions part of a transaction before records are written to them.
    AddPartitionsToTxn = 24: AddPartitionsToTxnRequest -> AddPartitionsToTxnResponse,
        versions 0..=5, flexible from 3;

    AddPartitionsToTxnRequest {
        transactions: Vec<AddPartitionsToTxnTransaction> [4..],
        v3_and_below_transactional_id: Text [..=3],
        v3_and_below_producer_id: i64 [..=3],
        v3_and_below_producer_epoch: i16 [..=3],
        v3_and_below_topics: Vec<AddPartitionsToTxnTopic> [..=3],
    }

    AddPartitionsToTxnTransaction {
        transactional_id: Text,
        producer_id: i64,
        producer_epoch: i16,
        /// Asks whether they are part of it, and adds nothing.
        verify_only: bool,
        topics: Vec<AddPartitionsToTxnTopic>,
    }

    AddPartitionsToTxnTopic {
        name: Text,
        partitions: Vec<i32>,
    }

    AddPartitionsToTxnResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode [4.., ignorable],
        results_by_transaction: Vec<AddPartitionsToTxnResult> [4..],
        results_by_topic_v3_and_below: Vec<AddPartitionsToTxnTopicResult> [..=3],
    }

    AddPartitionsToTxnResult {
        transactional_id: Text,
        topic_results: Vec<AddPartitionsToTxnTopicResult>,
    }

    AddPartitionsToTxnTopicResult {
        name: Text,
        results_by_partition: Vec<AddPartitionsToTxnPartitionResult>,
    }

    AddPartitionsToTxnPartitionResult {
        partition_index: i32,
        partition_error_code: ErrorCode,
    }
}
