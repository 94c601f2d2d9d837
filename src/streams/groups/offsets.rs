//! The offsets of one group: committed ones, and those that transactions hold
//! pending. Who may commit is decided elsewhere.

use super::record::{Committed, Of, Pending, Value};
use super::request::{EndTransaction, Fetched, FetchedOffset, NewOffset};
use super::turn::Turn;
use super::{Error, Name};
use crate::clock::Millis;
use crate::ids::Uid;
use crate::limits::{GROUP_OFFSET_METADATA_BYTES_MAX, GROUP_OFFSETS_MAX};
use crate::planted;
use std::collections::{BTreeMap, BTreeSet};

/// A partition by its topic's name.
pub(super) type Spot = (Name, i32);

/// What an offset takes beside its metadata: a node of a tree, the name's
/// count and the figures.
const OFFSET_BYTES: usize = 160;

#[derive(Debug, Default)]
pub(super) struct Offsets {
    committed: BTreeMap<Spot, Committed>,
    /// By producer.
    pending: BTreeMap<i64, BTreeMap<Spot, Pending>>,
    /// The place of the next commit among all of the group's.
    next_order: u64,
    /// Invariant: what `committed` and `pending` take, by `bytes_of`.
    bytes: usize,
    count: usize,
}

fn bytes_of(committed: &Committed) -> usize {
    OFFSET_BYTES + committed.metadata.len()
}

impl Offsets {
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn dates(&self) -> impl Iterator<Item = Millis> {
        let pending = self.pending.values().flat_map(BTreeMap::values);
        let pending = pending.map(|pending| &pending.offset);
        let all = self.committed.values().chain(pending);
        all.map(|committed| committed.committed_at)
    }

    pub(super) fn producers(&self) -> impl Iterator<Item = i64> {
        self.pending.keys().copied()
    }

    /// A record read back.
    pub(super) fn replay(&mut self, of: &Of, value: Option<&Value>) {
        match (of, value) {
            (Of::Offset { topic, partition }, Some(Value::Offset(committed))) => {
                self.put((topic.clone(), *partition), committed.clone());
            }
            (Of::Offset { topic, partition }, _) => {
                self.take(&(topic.clone(), *partition));
            }
            (
                Of::Pending {
                    topic,
                    partition,
                    producer,
                },
                value,
            ) => {
                let spot = (topic.clone(), *partition);
                match value {
                    Some(Value::Pending(pending)) => {
                        self.put_pending(*producer, spot, pending.clone());
                    }
                    _ => self.take_pending(*producer, &spot),
                }
            }
            _ => {}
        }
    }

    pub(super) fn commit(
        &mut self,
        turn: &mut Turn,
        group: &Name,
        retention_ms: Option<u64>,
        offsets: Vec<NewOffset>,
    ) -> Vec<Result<(), Error>> {
        let mut commit_one = |new: NewOffset| {
            let spot = (new.topic.clone(), new.partition);
            self.admit(turn, &new, self.committed.get(&spot))?;
            let committed = self.dated(turn, new, retention_ms);
            write_offset(turn, group, &spot, &committed);
            self.put(spot, committed);
            Ok(())
        };
        offsets.into_iter().map(&mut commit_one).collect()
    }

    pub(super) fn commit_pending(
        &mut self,
        turn: &mut Turn,
        group: &Name,
        (producer, producer_epoch): (i64, i16),
        offsets: Vec<NewOffset>,
    ) -> Result<Vec<Result<(), Error>>, Error> {
        self.check_producer(producer, producer_epoch)?;
        let mut commit_one = |new: NewOffset| {
            let spot = (new.topic.clone(), new.partition);
            let held = self.pending.get(&producer).and_then(|held| held.get(&spot));
            self.admit(turn, &new, held.map(|pending| &pending.offset))?;
            let pending = Pending {
                producer_epoch,
                offset: self.dated(turn, new, None),
            };
            if !planted!(PendingNotWritten) {
                let of = of_pending(&spot, producer);
                turn.write(group, of, Value::Pending(pending.clone()));
            }
            self.put_pending(producer, spot, pending);
            Ok(())
        };
        Ok(offsets.into_iter().map(&mut commit_one).collect())
    }

    fn check_producer(&self, producer: i64, given: i16) -> Result<(), Error> {
        let mut held = self.pending.get(&producer).into_iter().flatten();
        match held.find(|(_, pending)| pending.producer_epoch > given) {
            Some((_, pending)) => Err(Error::ProducerFenced {
                given,
                current: pending.producer_epoch,
            }),
            None => Ok(()),
        }
    }

    fn admit(&self, turn: &Turn, new: &NewOffset, old: Option<&Committed>) -> Result<(), Error> {
        let bytes = new.metadata.len();
        if bytes > GROUP_OFFSET_METADATA_BYTES_MAX {
            return Err(Error::OffsetMetadataTooLarge { bytes });
        }
        let is_longer = old.is_none_or(|old| old.metadata.len() < bytes);
        match is_longer && turn.is_full || old.is_none() && self.count >= GROUP_OFFSETS_MAX {
            true => Err(Error::TooManyOffsets),
            false => Ok(()),
        }
    }

    fn dated(&mut self, turn: &Turn, new: NewOffset, retention_ms: Option<u64>) -> Committed {
        let order = self.next_order;
        self.next_order = order.saturating_add(1);
        let wall = turn.now.wall;
        Committed {
            offset: new.offset,
            leader_epoch: new.leader_epoch,
            metadata: new.metadata,
            topic_id: new.topic_id,
            committed_at: wall,
            expires_at: retention_ms.map(|ms| Millis(wall.0.saturating_add(ms))),
            order,
        }
    }

    /// Commits or drops what the producer has pending here. Told twice, there
    /// is nothing left to do at the second time.
    pub(super) fn end(&mut self, turn: &mut Turn, group: &Name, end: &EndTransaction) {
        for (spot, offset) in self.ended_by(end) {
            if end.is_committed && self.is_latest(&spot, &offset) {
                write_offset(turn, group, &spot, &offset);
                self.put(spot.clone(), offset);
            }
            // Behind the offset: whatever is cut off between them is told
            // once more.
            turn.erase(group, of_pending(&spot, end.producer));
            self.take_pending(end.producer, &spot);
        }
    }

    /// The same for a transaction whose marker is read back. Gives what was
    /// pending, for `write_ended`.
    pub(super) fn replay_end(&mut self, end: &EndTransaction) -> Vec<Spot> {
        let ended = self.ended_by(end).into_iter();
        let end_one = |(spot, offset): (Spot, Committed)| {
            if end.is_committed && self.is_latest(&spot, &offset) {
                self.put(spot.clone(), offset);
            }
            self.take_pending(end.producer, &spot);
            spot
        };
        ended.map(end_one).collect()
    }

    /// Writes what `replay_end` did, as it stands now that all is read.
    pub(super) fn write_ended(&self, turn: &mut Turn, group: &Name, spot: &Spot, producer: i64) {
        if let Some(committed) = self.committed.get(spot) {
            write_offset(turn, group, spot, committed);
        }
        let held = self.pending.get(&producer);
        if held.is_none_or(|held| !held.contains_key(spot)) {
            turn.erase(group, of_pending(spot, producer));
        }
    }

    fn ended_by(&self, end: &EndTransaction) -> Vec<(Spot, Committed)> {
        let held = self.pending.get(&end.producer).into_iter().flatten();
        held.filter(|(_, pending)| pending.producer_epoch <= end.producer_epoch)
            .map(|(spot, pending)| (spot.clone(), pending.offset.clone()))
            .collect()
    }

    /// What was committed behind it has gone over it already: the order is
    /// that of the commits, not of the transactions' ends.
    fn is_latest(&self, spot: &Spot, offset: &Committed) -> bool {
        let newer = self.committed.get(spot);
        newer.is_none_or(|newer| newer.order < offset.order) || planted!(PendingOverNewer)
    }

    pub(super) fn fetch(&self, spots: Option<Vec<Spot>>, is_stable_required: bool) -> Vec<Fetched> {
        let unstable: BTreeSet<&Spot> = match is_stable_required {
            true => self.pending.values().flat_map(BTreeMap::keys).collect(),
            false => BTreeSet::new(),
        };
        let spots = spots.unwrap_or_else(|| {
            let all: BTreeSet<&Spot> = self.committed.keys().chain(unstable.clone()).collect();
            all.into_iter().cloned().collect()
        });
        let fetch_one = |spot: Spot| {
            let offset = match unstable.contains(&spot) {
                true => Err(Error::UnstableOffset),
                false => Ok(self.committed.get(&spot).map(shown)),
            };
            let (topic, partition) = spot;
            Fetched {
                topic,
                partition,
                offset,
            }
        };
        spots.into_iter().map(fetch_one).collect()
    }

    /// Takes away what is committed there; what is pending stays with its
    /// transaction.
    pub(super) fn delete(&mut self, turn: &mut Turn, group: &Name, spot: &Spot) {
        if self.take(spot) {
            turn.erase(group, of_offset(spot));
        }
    }

    pub(super) fn delete_all(&mut self, turn: &mut Turn, group: &Name) {
        for spot in self.committed.keys() {
            turn.erase(group, of_offset(spot));
        }
        for (producer, held) in &self.pending {
            for spot in held.keys() {
                turn.erase(group, of_pending(spot, *producer));
            }
        }
        *self = Self::default();
    }

    /// The topic of this name and id is no more.
    pub(super) fn forget_topic(&mut self, turn: &mut Turn, group: &Name, topic: &Name, id: Uid) {
        let is_its = |committed: &Committed| [id, Uid::default()].contains(&committed.topic_id);
        let of_topic = (topic.clone(), i32::MIN)..=(topic.clone(), i32::MAX);
        let lost: Vec<Spot> = (self.committed.range(of_topic))
            .filter(|(_, committed)| is_its(committed))
            .map(|(spot, _)| spot.clone())
            .collect();
        for spot in lost {
            self.delete(turn, group, &spot);
        }
    }

    /// Takes away what `is_expired` says, but not where a transaction has
    /// something pending: it may be about to be renewed.
    pub(super) fn expire(
        &mut self,
        turn: &mut Turn,
        group: &Name,
        is_expired: impl Fn(&Name, &Committed) -> bool,
    ) {
        let pending: BTreeSet<&Spot> = self.pending.values().flat_map(BTreeMap::keys).collect();
        let expired: Vec<Spot> = (self.committed.iter())
            .filter(|(spot, committed)| is_expired(&spot.0, committed) && !pending.contains(spot))
            .map(|(spot, _)| spot.clone())
            .collect();
        for spot in expired {
            self.delete(turn, group, &spot);
        }
    }

    fn put(&mut self, spot: Spot, committed: Committed) {
        self.take(&spot);
        self.count += 1;
        self.bytes += bytes_of(&committed);
        self.next_order = self.next_order.max(committed.order.saturating_add(1));
        self.committed.insert(spot, committed);
    }

    fn take(&mut self, spot: &Spot) -> bool {
        let Some(committed) = self.committed.remove(spot) else {
            return false;
        };
        self.count -= 1;
        self.bytes -= bytes_of(&committed);
        true
    }

    fn put_pending(&mut self, producer: i64, spot: Spot, pending: Pending) {
        self.take_pending(producer, &spot);
        self.count += 1;
        self.bytes += bytes_of(&pending.offset);
        self.next_order = self.next_order.max(pending.offset.order.saturating_add(1));
        let held = self.pending.entry(producer).or_default();
        held.insert(spot, pending);
    }

    fn take_pending(&mut self, producer: i64, spot: &Spot) {
        let Some(held) = self.pending.get_mut(&producer) else {
            return;
        };
        if let Some(pending) = held.remove(spot) {
            self.count -= 1;
            self.bytes -= bytes_of(&pending.offset);
        }
        if held.is_empty() {
            self.pending.remove(&producer);
        }
    }
}

fn of_offset((topic, partition): &Spot) -> Of {
    Of::Offset {
        topic: topic.clone(),
        partition: *partition,
    }
}

fn of_pending((topic, partition): &Spot, producer: i64) -> Of {
    Of::Pending {
        topic: topic.clone(),
        partition: *partition,
        producer,
    }
}

fn write_offset(turn: &mut Turn, group: &Name, spot: &Spot, committed: &Committed) {
    let value = Value::Offset(committed.clone());
    turn.write(group, of_offset(spot), value);
}

fn shown(committed: &Committed) -> FetchedOffset {
    FetchedOffset {
        offset: committed.offset,
        leader_epoch: committed.leader_epoch,
        metadata: committed.metadata.clone(),
        topic_id: committed.topic_id,
        committed_at: committed.committed_at,
    }
}
