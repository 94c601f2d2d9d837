//! `DeleteAcls`, key 31.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text};

api! {
    /// Deletes the access rules that match filters.
    DeleteAcls = 31: DeleteAclsRequest -> DeleteAclsResponse, versions 1..=3, flexible from 2;

    DeleteAclsRequest {
        filters: Vec<DeleteAclsFilter>,
    }

    DeleteAclsFilter {
        resource_type_filter: i8,
        resource_name_filter: Option<Text>,
        pattern_type_filter: i8 = 3,
        principal_filter: Option<Text>,
        host_filter: Option<Text>,
        operation: i8,
        permission_type: i8,
    }

    DeleteAclsResponse {
        throttle_time_ms: i32,
        filter_results: Vec<DeleteAclsFilterResult>,
    }

    DeleteAclsFilterResult {
        error_code: ErrorCode,
        error_message: Option<Text>,
        matching_acls: Vec<DeleteAclsMatchingAcl>,
    }

    DeleteAclsMatchingAcl {
        error_code: ErrorCode,
        error_message: Option<Text>,
        resource_type: i8,
        resource_name: Text,
        pattern_type: i8 = 3,
        principal: Text,
        host: Text,
        operation: i8,
        permission_type: i8,
    }
}
