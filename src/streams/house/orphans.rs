//! Logs of partitions that are no more: their topic was deleted, or they were
//! given to others, while this node was away or in what it was told again. They are
//! removed once it is known that the topics are as new as any that the node went by
//! before, not earlier.

use super::{House, log_of, reading, standing};
use crate::disk::Disk;
use crate::ids::{LogId, PartitionId, TopicId};
use crate::log::Device;
use crate::streams::Key;
use std::collections::BTreeSet;

/// Whose log it was is not known any more.
const NOBODYS: Key = Key {
    topic: TopicId([0; 16]),
    partition: PartitionId(0),
};

/// The logs of partitions; the others' numbers this node gives out by hand.
fn is_of_partition(log: LogId) -> bool {
    log.0 >> 63 == 1
}

impl House {
    pub(super) fn remove_orphans(&mut self, device: &mut Device) {
        let Some(own) = self.site.as_ref().map(|site| site.node) else {
            return;
        };
        // By the topics and not by what is open: a partition that could not be
        // taken in still has its records.
        let topics = self.topics.iter();
        let held = topics.flat_map(|(_, topic)| standing::held(topic, own));
        let held = held.map(|(key, partition)| log_of(key, partition.since(own)));
        let held: BTreeSet<LogId> = held.collect();
        let logs = device.log_ids().into_iter();
        for log in logs.filter(|&log| is_of_partition(log) && !held.contains(&log)) {
            tracing::info!(%log, "a log is removed: no topic has its partition here any more");
            self.remove(device, NOBODYS, log);
        }
        let disk = device.disk().clone();
        let task = move || remove_checkpoints(&*disk, &held);
        device.errand(Box::new(task), Box::new(|_| ()));
    }
}

/// Those of other logs than these, also where the log was removed before and the
/// power went between the two.
fn remove_checkpoints(disk: &dyn Disk, held: &BTreeSet<LogId>) -> std::io::Result<()> {
    for name in disk.list(reading::FOLDER)? {
        let digits = name.split('.').next();
        let log = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        if log.is_some_and(|log| !held.contains(&LogId(log))) {
            disk.remove(&format!("{}/{name}", reading::FOLDER))?;
        }
    }
    Ok(())
}
