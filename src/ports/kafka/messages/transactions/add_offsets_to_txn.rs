//! `AddOffsetsToTxn`, key 25.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text};

api! {
    /// Makes a group's offsets part of a transaction.
    AddOffsetsToTxn = 25: AddOffsetsToTxnRequest -> AddOffsetsToTxnResponse,
        versions 0..=4, flexible from 3;

    AddOffsetsToTxnRequest {
        transactional_id: Text,
        producer_id: i64,
        producer_epoch: i16,
        group_id: Text,
    }

    AddOffsetsToTxnResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
    }
}
