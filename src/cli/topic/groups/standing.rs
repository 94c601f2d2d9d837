//! Where groups stand: the offsets that they committed, and how far they are
//! behind the ends of the partitions.

use crate::cli::Failure;
use crate::cli::kafka::{Cluster, Trouble};
use crate::cli::topic::offsets::{self, LATEST};
use crate::cli::topic::shape;
use crate::ports::kafka::messages::Text;
use crate::ports::kafka::messages::offset_commit::{
    OffsetCommit, OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use crate::ports::kafka::messages::offset_fetch::{
    OffsetFetch, OffsetFetchRequest, OffsetFetchRequestGroup,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// By topic and partition.
pub type Offsets = BTreeMap<(String, i32), i64>;

/// All that the group has committed.
pub fn committed(cluster: &mut Cluster, group: &str) -> Result<Offsets, Trouble> {
    let request = OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup {
            group_id: Text::from(group),
            topics: None,
            ..OffsetFetchRequestGroup::default()
        }],
        ..OffsetFetchRequest::default()
    };
    cluster.insist(|cluster| {
        let answer = cluster.ask_coordinator::<OffsetFetch>(group, &request)?;
        let told = answer.groups.into_iter().next().unwrap_or_default();
        if !told.error_code.is_none() {
            return Err(Trouble::refused(told.error_code, None));
        }
        let mut offsets = Offsets::new();
        for topic in told.topics {
            let name = String::from(topic.name);
            for one in topic.partitions {
                if !one.error_code.is_none() {
                    return Err(Trouble::refused(one.error_code, None));
                }
                if one.committed_offset >= 0 {
                    offsets.insert((name.clone(), one.partition_index), one.committed_offset);
                }
            }
        }
        Ok(offsets)
    })
}

/// For a group without members.
pub fn commit(cluster: &mut Cluster, group: &str, offsets: &Offsets) -> Result<(), Trouble> {
    let mut topics: BTreeMap<&str, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
    for ((topic, number), offset) in offsets {
        let of_topic = topics.entry(topic).or_default();
        of_topic.push(OffsetCommitRequestPartition {
            partition_index: *number,
            committed_offset: *offset,
            committed_metadata: Some(Text::default()),
            ..OffsetCommitRequestPartition::default()
        });
    }
    let topic = |(name, partitions)| OffsetCommitRequestTopic {
        name: Text::from(name),
        partitions,
    };
    let request = OffsetCommitRequest {
        group_id: Text::from(group),
        topics: topics.into_iter().map(topic).collect(),
        ..OffsetCommitRequest::default()
    };
    cluster.insist(|cluster| {
        let answer = cluster.ask_coordinator::<OffsetCommit>(group, &request)?;
        let partitions = answer.topics.into_iter().flat_map(|topic| topic.partitions);
        let refused = partitions.map(|one| one.error_code);
        match refused.into_iter().find(|code| !code.is_none()) {
            None => Ok(()),
            Some(code) => Err(Trouble::refused(code, None)),
        }
    })
}

/// A group in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub topic: String,
    pub partition: i32,
    pub committed: i64,
    /// None where nobody leads it, or it is gone.
    pub end: Option<i64>,
}

impl Standing {
    pub fn lag(&self) -> Option<i64> {
        self.end.map(|end| (end - self.committed).max(0))
    }

    pub fn json(&self) -> Value {
        json!({
            "topic": self.topic, "partition": self.partition, "committed": self.committed,
            "end": self.end, "lag": self.lag(),
        })
    }

    /// Topic, partition, committed, end and lag.
    pub fn cells(&self) -> [String; 5] {
        let dash = |value: Option<i64>| value.map_or("-".into(), |value| value.to_string());
        [
            self.topic.clone(),
            self.partition.to_string(),
            self.committed.to_string(),
            dash(self.end),
            dash(self.lag()),
        ]
    }
}

/// What the group has committed beside the ends of the partitions. Those are
/// asked for afterwards, so that a group that goes on meanwhile is never ahead
/// of them.
pub fn of_group(cluster: &mut Cluster, group: &str) -> Result<Vec<Standing>, Failure> {
    let named = |trouble: Trouble| shape::about(&format!("group {group}"), trouble);
    let committed = committed(cluster, group).map_err(named)?;
    let mut topics: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for (topic, number) in committed.keys() {
        topics.entry(topic.clone()).or_default().push(*number);
    }
    let mut ends = offsets::Found::new();
    for (topic, numbers) in topics {
        // A topic that is gone has no ends.
        if let Ok(shape) = shape::one(cluster, &topic) {
            ends.extend(offsets::ask(cluster, &[(&shape, &numbers)], LATEST, false));
        }
    }
    let standing = |(place, committed): (_, i64)| {
        let end = ends.get(&place).and_then(|end| end.as_ref().ok()).copied();
        let (topic, partition) = place;
        Standing {
            topic,
            partition,
            committed,
            end,
        }
    };
    Ok(committed.into_iter().map(standing).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lag_is_what_is_left_to_read() {
        let standing = |committed, end| Standing {
            topic: "orders".into(),
            partition: 3,
            committed,
            end,
        };
        assert_eq!(standing(7, Some(10)).lag(), Some(3));
        assert_eq!(standing(10, Some(10)).lag(), Some(0));
        assert_eq!(standing(11, Some(10)).lag(), Some(0));
        let gone = standing(7, None);
        assert_eq!(gone.lag(), None);
        assert_eq!(gone.cells().join(" "), "orders 3 7 - -");
        assert_eq!(gone.json()["lag"], Value::Null);
    }
}
