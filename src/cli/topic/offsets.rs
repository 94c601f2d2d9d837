//! Where partitions begin, end, and stand at a time.

use super::shape::{self, Shape, about};
use crate::cli::Failure;
use crate::cli::kafka::{At, Cluster, Pace, Trouble};
use crate::ports::kafka::messages::list_offsets::{
    ListOffsets, ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use crate::ports::kafka::messages::{ErrorCode, Text};
use std::collections::BTreeMap;

/// What stands for a time where it is none.
pub const LATEST: i64 = -1;
pub const EARLIEST: i64 = -2;
/// A consumer asks, and no replica.
const CONSUMER: i32 = -1;

/// By topic and partition. Less than none where no record is of that time.
pub type Found = BTreeMap<(String, i32), Result<i64, Trouble>>;

/// Asks each leader once. `is_stable`: what may yet be aborted is not counted.
pub fn ask(
    cluster: &mut Cluster,
    wanted: &[(&Shape, &[i32])],
    timestamp: i64,
    is_stable: bool,
) -> Found {
    let mut found = Found::new();
    let mut by_leader: BTreeMap<i32, BTreeMap<&str, Vec<ListOffsetsPartition>>> = BTreeMap::new();
    for (shape, numbers) in wanted {
        for &number in *numbers {
            let place = (shape.name.clone(), number);
            let partition = shape.partition(number);
            let Some(leader) = partition.and_then(|one| one.leader) else {
                let trouble = Trouble::refused(ErrorCode::LeaderNotAvailable, None);
                found.insert(place, Err(trouble));
                continue;
            };
            let of_topic = by_leader.entry(leader).or_default();
            of_topic
                .entry(&shape.name)
                .or_default()
                .push(ListOffsetsPartition {
                    partition_index: number,
                    timestamp,
                    ..ListOffsetsPartition::default()
                });
        }
    }
    for (leader, topics) in by_leader {
        ask_leader(cluster, leader, topics, is_stable, &mut found);
    }
    found
}

fn ask_leader(
    cluster: &mut Cluster,
    leader: i32,
    topics: BTreeMap<&str, Vec<ListOffsetsPartition>>,
    is_stable: bool,
    found: &mut Found,
) {
    let asked: Vec<(String, i32)> = topics
        .iter()
        .flat_map(|(name, list)| {
            list.iter()
                .map(|one| ((*name).to_owned(), one.partition_index))
        })
        .collect();
    let topic = |(name, partitions)| ListOffsetsTopic {
        name: Text::from(name),
        partitions,
    };
    let request = ListOffsetsRequest {
        replica_id: CONSUMER,
        isolation_level: is_stable.into(),
        topics: topics.into_iter().map(topic).collect(),
        timeout_ms: cluster.patience_ms(),
    };
    match cluster.ask::<ListOffsets>(At::Broker(leader), &request) {
        Ok(answer) => {
            for topic in answer.topics {
                let name = String::from(topic.name);
                for one in topic.partitions {
                    let offset = match one.error_code.is_none() {
                        true => Ok(one.offset),
                        false => Err(Trouble::refused(one.error_code, None)),
                    };
                    found.insert((name.clone(), one.partition_index), offset);
                }
            }
            // What a door passes over has no leader there.
            let unsaid = || Err(Trouble::refused(ErrorCode::NotLeaderOrFollower, None));
            for place in asked {
                found.entry(place).or_insert_with(unsaid);
            }
        }
        Err(trouble) => {
            let mut trouble = Some(trouble);
            for place in asked {
                let why = trouble
                    .take()
                    .unwrap_or_else(|| Trouble::refused(ErrorCode::NetworkException, None));
                found.insert(place, Err(why));
            }
        }
    }
}

/// Those of one topic, all of them: what passes is asked for again.
pub fn all(
    cluster: &mut Cluster,
    topic: &str,
    numbers: &[i32],
    timestamp: i64,
    is_stable: bool,
) -> Result<BTreeMap<i32, i64>, Failure> {
    let mut pace = Pace::new(cluster.patience());
    loop {
        let shape = shape::topic(cluster, topic)?;
        let found = ask(cluster, &[(&shape, numbers)], timestamp, is_stable);
        let mut offsets = BTreeMap::new();
        let mut trouble = None;
        for ((_, number), offset) in found {
            match offset {
                Ok(offset) => drop(offsets.insert(number, offset)),
                Err(why) => trouble = trouble.or(Some((number, why))),
            }
        }
        match trouble {
            None => return Ok(offsets),
            Some((_, why)) if why.is_passing() && pace.again() => {}
            Some((number, why)) => {
                return Err(about(&format!("{topic}, partition {number}"), why));
            }
        }
    }
}
