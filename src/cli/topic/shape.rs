//! A topic as the cluster has it: its partitions, and who holds and leads each.

use super::alike::alike;
use crate::cli::Failure;
use crate::cli::kafka::{Cluster, Trouble};
use crate::ports::kafka::messages::metadata::{MetadataResponsePartition, MetadataResponseTopic};
use crate::ports::kafka::messages::{ErrorCode, Uuid};
use serde_json::{Value, json};

#[derive(Clone, Debug)]
pub struct Shape {
    pub name: String,
    pub id: Uuid,
    pub is_internal: bool,
    /// By their numbers.
    pub partitions: Vec<Partition>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    pub number: i32,
    pub leader: Option<i32>,
    pub leader_epoch: i32,
    pub replicas: Vec<i32>,
    pub in_sync: Vec<i32>,
    pub offline: Vec<i32>,
}

impl Shape {
    pub fn of(topic: MetadataResponseTopic) -> Result<Self, Trouble> {
        match topic.error_code {
            ErrorCode::None => {}
            // Of a partition, and said of it.
            ErrorCode::LeaderNotAvailable if !topic.partitions.is_empty() => {}
            code => return Err(Trouble::refused(code, None)),
        }
        let mut partitions: Vec<_> = topic.partitions.into_iter().map(Partition::of).collect();
        partitions.sort_by_key(|partition| partition.number);
        Ok(Self {
            name: topic.name.map_or_else(String::new, String::from),
            id: topic.topic_id,
            is_internal: topic.is_internal,
            partitions,
        })
    }

    /// The most that any of its partitions has.
    pub fn replicas(&self) -> usize {
        let counts = self.partitions.iter().map(|one| one.replicas.len());
        counts.max().unwrap_or(0)
    }

    pub fn partition(&self, number: i32) -> Option<&Partition> {
        self.partitions.iter().find(|one| one.number == number)
    }

    pub fn numbers(&self) -> Vec<i32> {
        self.partitions.iter().map(|one| one.number).collect()
    }

    /// Those that were asked for, or all.
    pub fn chosen(&self, wanted: &[i32]) -> Result<Vec<i32>, Failure> {
        if let Some(other) = wanted.iter().find(|one| self.partition(**one).is_none()) {
            let (name, count) = (&self.name, self.partitions.len());
            return Err(Failure::failed(format!(
                "{name} has no partition {other}: it has {count}, counted from 0"
            )));
        }
        Ok(match wanted.is_empty() {
            true => self.numbers(),
            false => wanted.to_vec(),
        })
    }

    /// How it stands, in a few words.
    pub fn state(&self) -> String {
        let count = self.partitions.len();
        let of = |number: usize, says: &str| match (number, count) {
            (0, _) => None,
            (number, count) if number == count => Some(format!("all {says}")),
            (number, count) => Some(format!("{number} of {count} {says}")),
        };
        let leaderless = self.partitions.iter().filter(|one| one.leader.is_none());
        let behind = self.partitions.iter().filter(|one| one.is_behind());
        let troubles = [
            of(leaderless.count(), "without a leader"),
            of(behind.count(), "with replicas behind"),
        ];
        let troubles: Vec<_> = troubles.into_iter().flatten().collect();
        match troubles.is_empty() {
            true => "in sync".into(),
            false => troubles.join(", "),
        }
    }
}

impl Partition {
    fn of(one: MetadataResponsePartition) -> Self {
        Self {
            number: one.partition_index,
            leader: (one.leader_id >= 0).then_some(one.leader_id),
            leader_epoch: one.leader_epoch,
            replicas: one.replica_nodes,
            in_sync: one.isr_nodes,
            offline: one.offline_replicas,
        }
    }

    /// Whether a replica is not in the set that is in sync.
    pub fn is_behind(&self) -> bool {
        self.in_sync.len() < self.replicas.len()
    }

    pub fn json(&self) -> Value {
        json!({
            "partition": self.number, "leader": self.leader, "replicas": self.replicas,
            "in_sync": self.in_sync, "offline": self.offline,
        })
    }
}

/// A topic by its name; where it is not there, those that are much like it.
pub fn topic(cluster: &mut Cluster, name: &str) -> Result<Shape, Failure> {
    let found = cluster.insist(|cluster| one(cluster, name));
    match found {
        Err(Trouble::Refused {
            code: ErrorCode::UnknownTopicOrPartition,
            ..
        }) => Err(absent(cluster, name)),
        Err(trouble) => Err(about(name, trouble)),
        Ok(shape) => Ok(shape),
    }
}

pub fn one(cluster: &mut Cluster, name: &str) -> Result<Shape, Trouble> {
    let topic = cluster.topics(Some(&[name]))?.into_iter().next();
    let unknown = || Trouble::refused(ErrorCode::UnknownTopicOrPartition, None);
    Shape::of(topic.ok_or_else(unknown)?)
}

/// All that can be seen, by name.
pub fn all(cluster: &mut Cluster) -> Result<Vec<Shape>, Failure> {
    let topics = cluster
        .insist(|cluster| cluster.topics(None))
        .map_err(Failure::failed)?;
    let shapes = topics.into_iter().map(Shape::of);
    let mut shapes: Vec<_> = shapes.collect::<Result<_, _>>().map_err(Failure::failed)?;
    shapes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(shapes)
}

pub fn about(what: &str, trouble: Trouble) -> Failure {
    Failure::failed(format!("{what}: {trouble}"))
}

/// Says that it is not there, and what may have been meant.
pub fn absent(cluster: &mut Cluster, name: &str) -> Failure {
    let topics = cluster.topics(None).unwrap_or_default();
    let names: Vec<String> = topics
        .into_iter()
        .filter(|topic| !topic.is_internal)
        .filter_map(|topic| topic.name.map(String::from))
        .collect();
    let near = alike(name, names.iter().map(String::as_str));
    let meant = match near.is_empty() {
        true => String::new(),
        false => format!(", but {}", near.join(", ")),
    };
    Failure::failed(format!(
        "there is no topic {name}{meant}: dolmen topic list shows all, dolmen topic create makes \
         one"
    ))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::ports::kafka::messages::Text;

    pub fn partition(number: i32, leader: i32, in_sync: &[i32]) -> MetadataResponsePartition {
        MetadataResponsePartition {
            partition_index: number,
            leader_id: leader,
            replica_nodes: vec![1, 2, 3],
            isr_nodes: in_sync.to_vec(),
            ..MetadataResponsePartition::default()
        }
    }

    pub fn shape(partitions: Vec<MetadataResponsePartition>) -> Shape {
        let topic = MetadataResponseTopic {
            name: Some(Text::from("orders")),
            partitions,
            ..MetadataResponseTopic::default()
        };
        Shape::of(topic).unwrap()
    }

    #[test]
    fn a_topic_s_state_is_a_few_words() {
        let check = |partitions: &[(i32, &[i32])], says: &str| {
            let partitions = (0..).zip(partitions);
            let partitions =
                partitions.map(|(number, (leader, in_sync))| partition(number, *leader, in_sync));
            assert_eq!(shape(partitions.collect()).state(), says);
        };
        check(&[(1, &[1, 2, 3]), (2, &[2, 3, 1])], "in sync");
        check(
            &[(1, &[1, 2, 3]), (2, &[2, 3])],
            "1 of 2 with replicas behind",
        );
        check(
            &[(-1, &[3]), (2, &[2, 3])],
            "1 of 2 without a leader, all with replicas behind",
        );
    }

    #[test]
    fn partitions_are_those_that_there_are() {
        let shape = shape(vec![partition(1, 1, &[1]), partition(0, 1, &[1])]);
        assert_eq!(shape.chosen(&[]).unwrap(), [0, 1]);
        assert_eq!(shape.chosen(&[1]).unwrap(), [1]);
        let why = shape.chosen(&[1, 2]).unwrap_err().message;
        assert_eq!(why, "orders has no partition 2: it has 2, counted from 0");
    }
}
