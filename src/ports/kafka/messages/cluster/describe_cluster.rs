//! `DescribeCluster`, key 60.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text};

api! {
    /// The brokers of the cluster and who controls it.
    DescribeCluster = 60: DescribeClusterRequest -> DescribeClusterResponse,
        versions 0..=2, flexible from 0;

    DescribeClusterRequest {
        include_cluster_authorized_operations: bool,
        /// 1: brokers; 2: controllers.
        endpoint_type: i8 [1..] = 1,
        include_fenced_brokers: bool [2..],
    }

    DescribeClusterResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<Text>,
        endpoint_type: i8 [1..] = 1,
        cluster_id: Text,
        controller_id: i32 = -1,
        brokers: Vec<DescribeClusterBroker>,
        cluster_authorized_operations: i32 = i32::MIN,
    }

    DescribeClusterBroker {
        broker_id: i32,
        host: Text,
        port: i32,
        rack: Option<Text>,
        is_fenced: bool [2..],
    }
}
