//! `AlterClientQuotas`, key 49.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text};

api! {
    /// Sets and deletes quotas.
    AlterClientQuotas = 49: AlterClientQuotasRequest -> AlterClientQuotasResponse,
        versions 0..=1, flexible from 1;

    AlterClientQuotasRequest {
        entries: Vec<EntryData>,
        validate_only: bool,
    }

    EntryData {
        entity: Vec<EntityData>,
        ops: Vec<OpData>,
    }

    EntityData {
        entity_type: Text,
        entity_name: Option<Text>,
    }

    OpData {
        key: Text,
        value: f64,
        remove: bool,
    }

    AlterClientQuotasResponse {
        throttle_time_ms: i32,
        entries: Vec<EntryResult>,
    }

    EntryResult {
        error_code: ErrorCode,
        error_message: Option<Text>,
        entity: Vec<EntityData>,
    }
}
