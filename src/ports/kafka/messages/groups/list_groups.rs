//! `ListGroups`, key 16.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text};

api! {
    /// The groups that this broker keeps.
    ListGroups = 16: ListGroupsRequest -> ListGroupsResponse, versions 0..=5, flexible from 3;

    ListGroupsRequest {
        states_filter: Vec<Text> [4..],
        types_filter: Vec<Text> [5..],
    }

    ListGroupsResponse {
        throttle_time_ms: i32 [1.., ignorable],
        error_code: ErrorCode,
        groups: Vec<ListedGroup>,
    }

    ListedGroup {
        group_id: Text,
        protocol_type: Text,
        group_state: Text [4.., ignorable],
        group_type: Text [5.., ignorable],
    }
}
