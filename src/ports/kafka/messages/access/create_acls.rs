//! `CreateAcls`, key 30.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text};

api! {
    /// Adds access rules.
    CreateAcls = 30: CreateAclsRequest -> CreateAclsResponse, versions 1..=3, flexible from 2;

    CreateAclsRequest {
        creations: Vec<AclCreation>,
    }

    AclCreation {
        resource_type: i8,
        resource_name: Text,
        resource_pattern_type: i8 = 3,
        principal: Text,
        host: Text,
        operation: i8,
        permission_type: i8,
    }

    CreateAclsResponse {
        throttle_time_ms: i32,
        results: Vec<AclCreationResult>,
    }

    AclCreationResult {
        error_code: ErrorCode,
        error_message: Option<Text>,
    }
}
