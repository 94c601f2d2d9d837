//! Sets of partitions: what a member is to read, reads, or must let go of.

use crate::ids::Uid;
use std::collections::BTreeSet;

/// A partition by the id of its topic: a topic that is deleted and made again
/// is another.
pub type Partition = (Uid, i32);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partitions(pub BTreeSet<Partition>);

impl Partitions {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Partition> {
        self.0.iter()
    }

    pub fn contains(&self, partition: &Partition) -> bool {
        self.0.contains(partition)
    }

    pub fn and(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0).copied().collect())
    }

    pub fn without(&self, other: &Self) -> Self {
        Self(self.0.difference(&other.0).copied().collect())
    }

    pub fn or(&self, other: &Self) -> Self {
        Self(self.0.union(&other.0).copied().collect())
    }

    pub fn is_within(&self, other: &Self) -> bool {
        self.0.is_subset(&other.0)
    }

    pub fn is_apart_from(&self, other: &Self) -> bool {
        self.0.is_disjoint(&other.0)
    }

    /// By topic, each with its partitions in order.
    pub fn by_topic(&self) -> Vec<(Uid, Vec<i32>)> {
        let mut topics: Vec<(Uid, Vec<i32>)> = Vec::new();
        for (topic, partition) in &self.0 {
            match topics.last_mut() {
                Some((last, partitions)) if last == topic => partitions.push(*partition),
                _ => topics.push((*topic, vec![*partition])),
            }
        }
        topics
    }
}

impl FromIterator<Partition> for Partitions {
    fn from_iter<I: IntoIterator<Item = Partition>>(partitions: I) -> Self {
        Self(partitions.into_iter().collect())
    }
}
