//! `DescribeClientQuotas`, key 48.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text};

api! {
    /// The quotas that match a filter.
    DescribeClientQuotas = 48: DescribeClientQuotasRequest -> DescribeClientQuotasResponse,
        versions 0..=1, flexible from 1;

    DescribeClientQuotasRequest {
        components: Vec<ComponentData>,
        /// Leaves out entities with parts that were not asked for.
        strict: bool,
    }

    ComponentData {
        entity_type: Text,
        /// 0: the name in `matched`; 1: the default; 2: any name.
        match_type: i8,
        matched: Option<Text>,
    }

    DescribeClientQuotasResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<Text>,
        entries: Option<Vec<EntryData>> = Some(Vec::new()),
    }

    EntryData {
        entity: Vec<EntityData>,
        values: Vec<ValueData>,
    }

    EntityData {
        entity_type: Text,
        /// None for the default of its type.
        entity_name: Option<Text>,
    }

    ValueData {
        key: Text,
        value: f64,
    }
}
