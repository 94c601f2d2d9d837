//! `SyncGroup`, key 14.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text};
use bytes::Bytes;

api! {
    /// The group's leader hands in the assignment, and each member gets its part.
    SyncGroup = 14: SyncGroupRequest -> SyncGroupResponse, versions 0..=5, flexible from 4;

    SyncGroupRequest {
        group_id: Text,
        generation_id: i32,
        member_id: Text,
        group_instance_id: Option<Text> [3..],
        protocol_type: Option<Text> [5.., ignorable],
        protocol_name: Option<Text> [5.., ignorable],
        /// From the leader; the others' are empty.
        assignments: Vec<SyncGroupRequestAssignment>,
    }

    SyncGroupRequestAssignment {
        member_id: Text,
        assignment: Bytes,
    }

    SyncGroupResponse {
        throttle_time_ms: i32 [1.., ignorable],
        error_code: ErrorCode,
        protocol_type: Option<Text> [5.., ignorable],
        protocol_name: Option<Text> [5.., ignorable],
        assignment: Bytes,
    }
}
