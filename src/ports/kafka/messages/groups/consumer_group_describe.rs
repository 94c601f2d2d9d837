//! `ConsumerGroupDescribe`, key 69.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text, Uuid};

api! {
    /// Groups of the newer kind and their members.
    ConsumerGroupDescribe = 69: ConsumerGroupDescribeRequest -> ConsumerGroupDescribeResponse,
        versions 0..=1, flexible from 0;

    ConsumerGroupDescribeRequest {
        group_ids: Vec<Text>,
        include_authorized_operations: bool,
    }

    ConsumerGroupDescribeResponse {
        throttle_time_ms: i32,
        groups: Vec<DescribedGroup>,
    }

    DescribedGroup {
        error_code: ErrorCode,
        error_message: Option<Text>,
        group_id: Text,
        group_state: Text,
        group_epoch: i32,
        assignment_epoch: i32,
        assignor_name: Text,
        members: Vec<Member>,
        authorized_operations: i32 = i32::MIN,
    }

    Member {
        member_id: Text,
        instance_id: Option<Text>,
        rack_id: Option<Text>,
        member_epoch: i32,
        client_id: Text,
        client_host: Text,
        subscribed_topic_names: Vec<Text>,
        subscribed_topic_regex: Option<Text>,
        assignment: Assignment,
        target_assignment: Assignment,
        /// 0: a member of the older kind; 1: of the newer; -1: not known.
        member_type: i8 [1.., ignorable] = -1,
    }

    Assignment {
        topic_partitions: Vec<TopicPartitions>,
    }

    TopicPartitions {
        topic_id: Uuid,
        topic_name: Text,
        partitions: Vec<i32>,
    }
}
