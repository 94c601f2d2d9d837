//! `DescribeConfigs`, key 32.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text};

api! {
    /// The settings of topics and brokers, and where their values come from.
    DescribeConfigs = 32: DescribeConfigsRequest -> DescribeConfigsResponse,
        versions 1..=4, flexible from 4;

    DescribeConfigsRequest {
        resources: Vec<DescribeConfigsResource>,
        include_synonyms: bool,
        include_documentation: bool [3..],
    }

    DescribeConfigsResource {
        /// 2: a topic; 4: a broker; 8: a broker's log levels; 16: client metrics; 32: a
        /// group.
        resource_type: i8,
        resource_name: Text,
        /// None for all.
        configuration_keys: Option<Vec<Text>> = Some(Vec::new()),
    }

    DescribeConfigsResponse {
        throttle_time_ms: i32,
        results: Vec<DescribeConfigsResult>,
    }

    DescribeConfigsResult {
        error_code: ErrorCode,
        error_message: Option<Text>,
        resource_type: i8,
        resource_name: Text,
        configs: Vec<DescribeConfigsResourceResult>,
    }

    DescribeConfigsResourceResult {
        name: Text,
        value: Option<Text>,
        read_only: bool,
        /// 1: the topic; 2: the broker, while it runs; 3: all brokers, while they run;
        /// 4: the file of the broker; 5: the default.
        config_source: i8 = -1,
        is_sensitive: bool,
        synonyms: Vec<DescribeConfigsSynonym>,
        /// 1: a boolean; 2: a text; 3 to 5: 32, 16 or 64 bits; 6: a fraction; 7: a
        /// list; 8: a class; 9: a password.
        config_type: i8 [3.., ignorable],
        documentation: Option<Text> [3.., ignorable],
    }

    DescribeConfigsSynonym {
        name: Text,
        value: Option<Text>,
        source: i8,
    }
}
