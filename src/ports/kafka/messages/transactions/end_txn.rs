//! `EndTxn`, key 26.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text};

api! {
    /// Commits or aborts a transaction.
    EndTxn = 26: EndTxnRequest -> EndTxnResponse, versions 0..=5, flexible from 3;

    EndTxnRequest {
        transactional_id: Text,
        producer_id: i64,
        producer_epoch: i16,
        committed: bool,
    }

    EndTxnResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        /// What the next transaction is written with, from the version on in which each
        /// has an epoch of its own.
        producer_id: i64 [5.., ignorable] = -1,
        producer_epoch: i16 [5.., ignorable] = -1,
    }
}
