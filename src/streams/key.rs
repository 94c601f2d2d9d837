//! Which partition is meant.

use crate::ids::{PartitionId, TopicId};
use std::fmt;

/// A partition, whatever its topic is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub topic: TopicId,
    pub partition: PartitionId,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}
