//! `LeaveGroup`, key 13.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text};

api! {
    /// Members leave their group.
    LeaveGroup = 13: LeaveGroupRequest -> LeaveGroupResponse, versions 0..=5, flexible from 4;

    LeaveGroupRequest {
        group_id: Text,
        member_id: Text [..=2],
        members: Vec<MemberIdentity> [3..],
    }

    MemberIdentity {
        member_id: Text,
        group_instance_id: Option<Text>,
        reason: Option<Text> [5.., ignorable],
    }

    LeaveGroupResponse {
        throttle_time_ms: i32 [1.., ignorable],
        error_code: ErrorCode,
        members: Vec<MemberResponse> [3..],
    }

    MemberResponse {
        member_id: Text,
        group_instance_id: Option<Text>,
        error_code: ErrorCode,
    }
}
