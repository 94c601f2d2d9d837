//! `DeleteTopics`, key 20.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text, Uuid};

api! {
    /// Deletes topics, by name or by id.
    DeleteTopics = 20: DeleteTopicsRequest -> DeleteTopicsResponse, versions 1..=6, flexible from 4;

    DeleteTopicsRequest {
        /// Each by its name or by its id.
        topics: Vec<DeleteTopicState> [6..],
        topic_names: Vec<Text> [..=5, ignorable],
        timeout_ms: i32,
    }

    DeleteTopicState {
        name: Option<Text>,
        topic_id: Uuid,
    }

    DeleteTopicsResponse {
        throttle_time_ms: i32,
        responses: Vec<DeletableTopicResult>,
    }

    DeletableTopicResult {
        name: Option<Text> [null 6..],
        topic_id: Uuid [6.., ignorable],
        error_code: ErrorCode,
        error_message: Option<Text> [5.., ignorable],
    }
}
