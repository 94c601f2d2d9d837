//! `InitProducerId`, key 22.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text};

api! {
    /// A producer gets its id, and with a transactional id an epoch that fences its
    /// predecessors. Version 6, two-phase commit, is not stable in Kafka 4.1 and not
    /// spoken here.
    InitProducerId = 22: InitProducerIdRequest -> InitProducerIdResponse,
        versions 0..=5, flexible from 2;

    InitProducerIdRequest {
        /// None for a producer that is idempotent only.
        transactional_id: Option<Text>,
        transaction_timeout_ms: i32,
        /// The id that is to be kept with a new epoch; -1 for none.
        producer_id: i64 [3..] = -1,
        producer_epoch: i16 [3..] = -1,
    }

    InitProducerIdResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        producer_id: i64 = -1,
        producer_epoch: i16,
    }
}
