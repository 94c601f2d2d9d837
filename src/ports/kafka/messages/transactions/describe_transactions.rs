//! `DescribeTransactions`, key 65.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text};

api! {
    /// Transactional ids and what their transactions stand at.
    DescribeTransactions = 65: DescribeTransactionsRequest -> DescribeTransactionsResponse,
        versions 0..=0, flexible from 0;

    DescribeTransactionsRequest {
        transactional_ids: Vec<Text>,
    }

    DescribeTransactionsResponse {
        throttle_time_ms: i32,
        transaction_states: Vec<TransactionState>,
    }

    TransactionState {
        error_code: ErrorCode,
        transactional_id: Text,
        transaction_state: Text,
        transaction_timeout_ms: i32,
        /// -1 where none is open.
        transaction_start_time_ms: i64,
        producer_id: i64,
        producer_epoch: i16,
        topics: Vec<TopicData>,
    }

    TopicData {
        topic: Text,
        partitions: Vec<i32>,
    }
}
