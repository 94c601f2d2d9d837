//! `FindCoordinator`, key 10.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text};

api! {
    /// Which broker keeps a group or a transactional id.
    FindCoordinator = 10: FindCoordinatorRequest -> FindCoordinatorResponse,
        versions 0..=6, flexible from 3;

    FindCoordinatorRequest {
        key: Text [..=3],
        /// 0: a group; 1: a transactional id.
        key_type: i8 [1..],
        coordinator_keys: Vec<Text> [4..],
    }

    FindCoordinatorResponse {
        throttle_time_ms: i32 [1.., ignorable],
        error_code: ErrorCode [..=3],
        error_message: Option<Text> [1..=3, ignorable],
        node_id: i32 [..=3],
        host: Text [..=3],
        port: i32 [..=3],
        coordinators: Vec<Coordinator> [4..],
    }

    Coordinator {
        key: Text,
        node_id: i32,
        host: Text,
        port: i32,
        error_code: ErrorCode,
        error_message: Option<Text>,
    }
}
