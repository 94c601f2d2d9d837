//! `ConsumerGroupHeartbeat`, key 68.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text, Uuid};

api! {
    /// All that a member of a group of the newer kind says: that it joins, is alive,
    /// has taken up its partitions, leaves.
    ConsumerGroupHeartbeat = 68: ConsumerGroupHeartbeatRequest -> ConsumerGroupHeartbeatResponse,
        versions 0..=1, flexible from 0;

    ConsumerGroupHeartbeatRequest {
        group_id: Text,
        member_id: Text,
        /// 0 joins, -1 leaves, -2 leaves for a while and keeps the place of a static
        /// member.
        member_epoch: i32,
        instance_id: Option<Text>,
        rack_id: Option<Text>,
        /// -1, and null below, where nothing has changed since the last heartbeat.
        rebalance_timeout_ms: i32 = -1,
        subscribed_topic_names: Option<Vec<Text>>,
        subscribed_topic_regex: Option<Text> [1..],
        server_assignor: Option<Text>,
        /// The partitions that the member has.
        topic_partitions: Option<Vec<TopicPartitions>>,
    }

    TopicPartitions {
        topic_id: Uuid,
        partitions: Vec<i32>,
    }

    ConsumerGroupHeartbeatResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<Text>,
        member_id: Option<Text>,
        member_epoch: i32,
        heartbeat_interval_ms: i32,
        /// None where nothing has changed.
        assignment: Option<Assignment>,
    }

    Assignment {
        topic_partitions: Vec<TopicPartitions>,
    }
}
