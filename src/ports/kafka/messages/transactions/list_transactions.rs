//! `ListTransactions`, key 66.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text};

api! {
    /// The transactional ids that this broker keeps.
    ListTransactions = 66: ListTransactionsRequest -> ListTransactionsResponse,
        versions 0..=2, flexible from 0;

    ListTransactionsRequest {
        state_filters: Vec<Text>,
        producer_id_filters: Vec<i64>,
        /// Only those that have been open for so many milliseconds.
        duration_filter: i64 [1..] = -1,
        transactional_id_pattern: Option<Text> [2..],
    }

    ListTransactionsResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        unknown_state_filters: Vec<Text>,
        transaction_states: Vec<TransactionState>,
    }

    TransactionState {
        transactional_id: Text,
        producer_id: i64,
        transaction_state: Text,
    }
}
