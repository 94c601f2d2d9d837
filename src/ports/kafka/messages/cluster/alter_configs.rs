//! `AlterConfigs`, key 33.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text};

api! {
    /// Sets all settings of topics or brokers: what is not named falls back to its
    /// default.
    AlterConfigs = 33: AlterConfigsRequest -> AlterConfigsResponse, versions 0..=2, flexible from 2;

    AlterConfigsRequest {
        resources: Vec<AlterConfigsResource>,
        validate_only: bool,
    }

    AlterConfigsResource {
        resource_type: i8,
        resource_name: Text,
        configs: Vec<AlterableConfig>,
    }

    AlterableConfig {
        name: Text,
        value: Option<Text>,
    }

    AlterConfigsResponse {
        throttle_time_ms: i32,
        responses: Vec<AlterConfigsResourceResponse>,
    }

    AlterConfigsResourceResponse {
        error_code: ErrorCode,
        error_message: Option<Text>,
        resource_type: i8,
        resource_name: Text,
    }
}
