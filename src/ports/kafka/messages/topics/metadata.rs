//! `Metadata`, key 3.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text, Uuid};

api! {
    /// Which brokers and topics there are, and who leads which partition.
    Metadata = 3: MetadataRequest -> MetadataResponse, versions 0..=13, flexible from 9;

    MetadataRequest {
        /// None asks for all topics; so does an empty list at version 0, which has no
        /// null.
        topics: Option<Vec<MetadataRequestTopic>> [null 1..] = Some(Vec::new()),
        allow_auto_topic_creation: bool [4..] = true,
        include_cluster_authorized_operations: bool [8..=10],
        include_topic_authorized_operations: bool [8..],
    }

    MetadataRequestTopic {
        topic_id: Uuid [10.., ignorable],
        name: Option<Text> [null 10..],
    }

    MetadataResponse {
        throttle_time_ms: i32 [3.., ignorable],
        brokers: Vec<MetadataResponseBroker>,
        cluster_id: Option<Text> [2.., ignorable],
        /// Admin clients send their requests there.
        controller_id: i32 [1.., ignorable] = -1,
        topics: Vec<MetadataResponseTopic>,
        /// A bit for each operation; `i32::MIN` where it was not asked for.
        cluster_authorized_operations: i32 [8..=10] = i32::MIN,
        error_code: ErrorCode [13.., ignorable],
    }

    MetadataResponseBroker {
        node_id: i32,
        host: Text,
        port: i32,
        rack: Option<Text> [1.., ignorable],
    }

    MetadataResponseTopic {
        error_code: ErrorCode,
        name: Option<Text> [null 12..],
        topic_id: Uuid [10.., ignorable],
        is_internal: bool [1.., ignorable],
        partitions: Vec<MetadataResponsePartition>,
        /// A bit for each operation; `i32::MIN` where it was not asked for.
        topic_authorized_operations: i32 [8..] = i32::MIN,
    }

    MetadataResponsePartition {
        error_code: ErrorCode,
        partition_index: i32,
        leader_id: i32,
        leader_epoch: i32 [7.., ignorable] = -1,
        replica_nodes: Vec<i32>,
        isr_nodes: Vec<i32>,
        offline_replicas: Vec<i32> [5.., ignorable],
    }
}
