//! Where a transaction writes, and as whom.

use super::Name;
use crate::ids::{PartitionId, ProducerId};
use std::fmt;

/// A partition by its topic's name, as the clients and the log of transactions
/// have it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub topic: Name,
    pub partition: PartitionId,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// A producer as its batches say it. A later one of the same id has a greater
/// epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    pub id: ProducerId,
    pub epoch: i16,
}

impl Identity {
    /// What clients say and mean: no producer at all has a number below 0.
    pub fn of(id: i64, epoch: i16) -> Option<Self> {
        let id = ProducerId(u64::try_from(id).ok()?);
        (epoch >= 0).then_some(Self { id, epoch })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "producer {} of epoch {}", self.id, self.epoch)
    }
}
