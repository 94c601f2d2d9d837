//! `DeleteGroups`, key 42.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text};

api! {
    /// Deletes groups that have no members.
    DeleteGroups = 42: DeleteGroupsRequest -> DeleteGroupsResponse, versions 0..=2, flexible from 2;

    DeleteGroupsRequest {
        groups_names: Vec<Text>,
    }

    DeleteGroupsResponse {
        throttle_time_ms: i32,
        results: Vec<DeletableGroupResult>,
    }

    DeletableGroupResult {
        group_id: Text,
        error_code: ErrorCode,
    }
}
