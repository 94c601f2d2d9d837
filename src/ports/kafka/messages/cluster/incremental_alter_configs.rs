//! `IncrementalAlterConfigs`, key 44.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text};

api! {
    /// Changes single settings of topics or brokers.
    IncrementalAlterConfigs = 44: IncrementalAlterConfigsRequest -> IncrementalAlterConfigsResponse,
        versions 0..=1, flexible from 1;

    IncrementalAlterConfigsRequest {
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
        /// 0: set; 1: delete; 2: append to the list; 3: subtract from it.
        config_operation: i8,
        value: Option<Text>,
    }

    IncrementalAlterConfigsResponse {
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
