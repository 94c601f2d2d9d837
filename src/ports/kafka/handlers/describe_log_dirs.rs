//! `DescribeLogDirs`: the data folder as the one directory that there is, what
//! each partition takes in it, and how much room it has.

use super::named::Named;
use super::{Call, Handle};
use crate::disk::{Room, room};
use crate::ports::kafka::access::{Operation, Resource};
use crate::ports::kafka::messages::ErrorCode;
use crate::ports::kafka::messages::describe_log_dirs::{
    DescribableLogDirTopic, DescribeLogDirs, DescribeLogDirsPartition, DescribeLogDirsRequest,
    DescribeLogDirsResponse, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use crate::streams::View;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

impl Handle for DescribeLogDirs {
    const MAY_BE_LARGE: bool = true;

    async fn run(call: Call, request: DescribeLogDirsRequest) -> Option<DescribeLogDirsResponse> {
        if !call.may(Operation::Describe, Resource::Cluster) {
            return Some(DescribeLogDirsResponse {
                error_code: ErrorCode::ClusterAuthorizationFailed,
                ..DescribeLogDirsResponse::default()
            });
        }
        let folder = call.door.folder.clone();
        // Where the file system does not tell, the message's own word for that.
        let room = tokio::task::spawn_blocking(move || room(&folder)).await;
        let room = room.ok().and_then(Result::ok);
        let wanted = request.topics.as_deref().map(wanted);
        let views = call.door.streams.views();
        let result = describe(&call.door.folder, room, &views, wanted.as_ref());
        Some(DescribeLogDirsResponse {
            results: vec![result],
            ..DescribeLogDirsResponse::default()
        })
    }
}

fn wanted(topics: &[DescribableLogDirTopic]) -> Named {
    let mut wanted = Named::default();
    for topic in topics {
        let numbers = topic.partitions.iter();
        let numbers = numbers.map(|&number| (number, ()));
        wanted.of(&topic.topic).extend(numbers);
    }
    wanted
}

fn describe(
    folder: &Path,
    room: Option<Room>,
    views: &[Arc<View>],
    wanted: Option<&Named>,
) -> DescribeLogDirsResult {
    let is_wanted = |view: &&Arc<View>| {
        let number = view.key.partition.0 as i32;
        wanted.is_none_or(|wanted| wanted.has(&view.name, number))
    };
    let mut topics: BTreeMap<&str, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    for view in views.iter().filter(is_wanted) {
        let marks = view.marks();
        // What it is behind what it knows to be acknowledged.
        let lag = marks.watermark.0.saturating_sub(marks.next.0);
        let partition = DescribeLogDirsPartition {
            partition_index: view.key.partition.0 as i32,
            partition_size: view.bytes() as i64,
            offset_lag: lag as i64,
            is_future_key: false,
        };
        topics.entry(&view.name).or_default().push(partition);
    }
    let topics = topics.into_iter().map(|(name, partitions)| {
        let name = name.into();
        DescribeLogDirsTopic { name, partitions }
    });
    DescribeLogDirsResult {
        error_code: ErrorCode::None,
        log_dir: folder.display().to_string().into(),
        topics: topics.collect(),
        total_bytes: room.map_or(-1, |room| room.bytes_total as i64),
        usable_bytes: room.map_or(-1, |room| room.bytes_free as i64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::kafka::handlers::trial::{Trial, batch, run};

    #[test]
    fn a_partition_takes_what_was_appended() {
        let trial = Trial::new(&[("a", 2, &[]), ("b", 1, &[])]);
        let some = batch(&[1]);
        trial.append("a", 1, &some);
        let ask = |topics, version| {
            let request = DescribeLogDirsRequest { topics };
            let mut response = run(trial.ask::<DescribeLogDirs>(version, request));
            assert_eq!(response.results.len(), 1);
            response.results.remove(0)
        };
        let spots = |result: &DescribeLogDirsResult| {
            let topics = result.topics.iter();
            let all = topics.flat_map(|topic| {
                let partitions = topic.partitions.iter();
                partitions.map(|one| {
                    let name = topic.name.to_string();
                    (name, one.partition_index, one.partition_size)
                })
            });
            all.collect::<Vec<_>>()
        };
        let size = some.len() as i64;
        let all = [("a", 0, 0), ("a", 1, size), ("b", 0, 0)];
        let all = all.map(|(name, n, size)| (name.to_owned(), n, size));
        let result = ask(None, 4);
        assert_eq!(spots(&result), all);
        assert_eq!(result.log_dir, *trial.door.folder.to_str().unwrap());
        assert!(0 < result.usable_bytes && result.usable_bytes <= result.total_bytes);
        let topic = |name: &str, partitions| DescribableLogDirTopic {
            topic: name.into(),
            partitions,
        };
        let some = vec![topic("a", vec![1, 7, -1]), topic("never", vec![0])];
        assert_eq!(spots(&ask(Some(some), 1)), all[1..2]);
        assert_eq!(spots(&ask(Some(vec![]), 2)), []);
    }
}
