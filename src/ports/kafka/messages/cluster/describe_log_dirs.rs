//! `DescribeLogDirs`, key 35.

use crate::ports::kafka::messages::declare::api;
use crate::ports::kafka::messages::{ErrorCode, Text};

api! {
    /// The broker's disks, and how much of them each partition takes.
    DescribeLogDirs = 35: DescribeLogDirsRequest -> DescribeLogDirsResponse,
        versions 1..=4, flexible from 2;

    DescribeLogDirsRequest {
        /// None for all.
        topics: Option<Vec<DescribableLogDirTopic>> = Some(Vec::new()),
    }

    DescribableLogDirTopic {
        topic: Text,
        partitions: Vec<i32>,
    }

    DescribeLogDirsResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode [3.., ignorable],
        results: Vec<DescribeLogDirsResult>,
    }

    DescribeLogDirsResult {
        error_code: ErrorCode,
        log_dir: Text,
        topics: Vec<DescribeLogDirsTopic>,
        total_bytes: i64 [4.., ignorable] = -1,
        usable_bytes: i64 [4.., ignorable] = -1,
    }

    DescribeLogDirsTopic {
        name: Text,
        partitions: Vec<DescribeLogDirsPartition>,
    }

    DescribeLogDirsPartition {
        partition_index: i32,
        partition_size: i64,
        /// How far the replica is behind.
        offset_lag: i64,
        is_future_key: bool,
    }
}
