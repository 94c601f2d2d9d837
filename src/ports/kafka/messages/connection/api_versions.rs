//! `ApiVersions`, key 18.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text};

api! {
    /// Which APIs the broker answers, at which versions. Its response has the oldest
    /// header at every version: a client asks before it knows what the broker
    /// understands.
    ApiVersions = 18: ApiVersionsRequest -> ApiVersionsResponse,
        versions 0..=4, flexible from 3, response header 0;

    ApiVersionsRequest {
        /// Letters, digits, dashes and dots.
        client_software_name: Text [3.., ignorable],
        client_software_version: Text [3.., ignorable],
    }

    ApiVersionsResponse {
        error_code: ErrorCode,
        api_keys: Vec<ApiVersion>,
        throttle_time_ms: i32 [1.., ignorable],
        supported_features: Vec<SupportedFeatureKey> [3.., tag 0, ignorable],
        finalized_features_epoch: i64 [3.., tag 1, ignorable] = -1,
        finalized_features: Vec<FinalizedFeatureKey> [3.., tag 2, ignorable],
        zk_migration_ready: bool [3.., tag 3, ignorable],
    }

    ApiVersion {
        api_key: i16,
        min_version: i16,
        max_version: i16,
    }

    SupportedFeatureKey {
        name: Text,
        min_version: i16,
        max_version: i16,
    }

    FinalizedFeatureKey {
        name: Text,
        max_version_level: i16,
        min_version_level: i16,
    }
}
