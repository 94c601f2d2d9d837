//! What keeps the words of clients about their groups and transactions: pure
//! machines, each with the partitions of an internal topic as its memory.

pub mod groups;
mod pages;
mod reading;
pub mod transactions;

pub use groups::Groups;
pub use transactions::Transactions;

use crate::ids::PartitionId;
use crate::limits::{COORDINATOR_PAUSE_MS, COORDINATOR_PAUSE_MS_MAX};
use crate::streams::Site;
use std::fmt;
use std::time::Duration;

/// Which partition of an internal topic a name belongs to. None while the topic
/// is not there.
fn hashed(site: &Site, topic: &str, name: &str) -> Option<PartitionId> {
    let topics = site.topics();
    let count = topics.get(topic)?.partitions.len();
    super::groups::partition_of(name, count as u32).map(PartitionId)
}

/// The partitions of an internal topic that this node leads.
fn led(site: &Site, topic: &str) -> Vec<PartitionId> {
    let topics = site.topics();
    let partitions = topics.get(topic).map(|topic| &topic.partitions);
    let numbered = (0..).map(PartitionId).zip(partitions.into_iter().flatten());
    numbered
        .filter(|(_, partition)| partition.leader == Some(site.node))
        .map(|(id, _)| id)
        .collect()
}

/// Counts a failure, says it, and gives how long to wait before the partition is
/// read again. The first passes by itself where leaders change.
fn failed(failures: &mut u32, whose: fmt::Arguments<'_>, why: &str) -> Duration {
    let pause_ms = COORDINATOR_PAUSE_MS << (*failures).min(16);
    let pause_ms = pause_ms.min(COORDINATOR_PAUSE_MS_MAX);
    *failures = failures.saturating_add(1);
    match *failures {
        1 => tracing::debug!("{whose} are read again in {pause_ms} ms: {why}"),
        _ => tracing::warn!("{whose} are read again in {pause_ms} ms: {why}"),
    }
    Duration::from_millis(pause_ms)
}
