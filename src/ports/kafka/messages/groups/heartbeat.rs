//! `Heartbeat`, key 12.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text};

api! {
    /// A member of a group says that it is alive.
    Heartbeat = 12: HeartbeatRequest -> HeartbeatResponse, versions 0..=4, flexible from 4;

    HeartbeatRequest {
        group_id: Text,
        generation_id: i32,
        member_id: Text,
        group_instance_id: Option<Text> [3..],
    }

    HeartbeatResponse {
        throttle_time_ms: i32 [1.., ignorable],
        error_code: ErrorCode,
    }
}
