//! `JoinGroup`, key 11.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text};
use bytes::Bytes;

api! {
    /// A member joins its group and waits for the others.
    JoinGroup = 11: JoinGroupRequest -> JoinGroupResponse, versions 0..=9, flexible from 6;

    JoinGroupRequest {
        group_id: Text,
        session_timeout_ms: i32,
        /// How long the others may take to join; the session timeout where it is -1.
        rebalance_timeout_ms: i32 [1.., ignorable] = -1,
        /// Empty until the coordinator has given one.
        member_id: Text,
        /// The name of a static member, which keeps its place over a restart.
        group_instance_id: Option<Text> [5..],
        protocol_type: Text,
        protocols: Vec<JoinGroupRequestProtocol>,
        reason: Option<Text> [8.., ignorable],
    }

    JoinGroupRequestProtocol {
        name: Text,
        /// A consumer writes a `ConsumerProtocolSubscription` there.
        metadata: Bytes,
    }

    JoinGroupResponse {
        throttle_time_ms: i32 [2.., ignorable],
        error_code: ErrorCode,
        generation_id: i32 = -1,
        protocol_type: Option<Text> [7.., ignorable],
        protocol_name: Option<Text> [null 7..],
        leader: Text,
        skip_assignment: bool [9..],
        member_id: Text,
        /// Filled in for the leader alone, which makes the assignment.
        members: Vec<JoinGroupResponseMember>,
    }

    JoinGroupResponseMember {
        member_id: Text,
        group_instance_id: Option<Text> [5.., ignorable],
        metadata: Bytes,
    }
}
