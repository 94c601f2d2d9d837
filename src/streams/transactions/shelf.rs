//! All transactional ids of one coordinator, and when each is to be looked at.

use super::Name;
use super::marking::Marking;
use super::record::Transaction;
use crate::limits::{TRANSACTION_PLACES_HELD_MAX, TRANSACTIONAL_IDS_MAX};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Entry {
    pub transaction: Transaction,
    /// While it is being ended.
    pub marking: Option<Marking>,
    alarm: Option<Duration>,
}

#[derive(Debug, Default)]
pub(super) struct Shelf {
    by_id: BTreeMap<Name, Entry>,
    /// Invariant: one for each entry that has one.
    alarms: BTreeSet<(Duration, Name)>,
    /// Invariant: the partitions of all transactions.
    places: usize,
}

impl Shelf {
    pub fn get(&self, id: &str) -> Option<&Entry> {
        self.by_id.get(id)
    }

    pub fn get_mut(&mut self, id: &str) -> Option<&mut Entry> {
        self.by_id.get_mut(id)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Name, &Entry)> {
        self.by_id.iter()
    }

    pub fn is_full(&self) -> bool {
        self.by_id.len() >= TRANSACTIONAL_IDS_MAX
    }

    pub fn has_room(&self, more: usize) -> bool {
        self.places + more <= TRANSACTION_PLACES_HELD_MAX
    }

    pub fn put(&mut self, id: Name, transaction: Transaction) {
        self.remove(&id);
        self.places += transaction.places.len();
        let entry = Entry {
            transaction,
            marking: None,
            alarm: None,
        };
        self.by_id.insert(id, entry);
    }

    pub fn remove(&mut self, id: &Name) {
        self.set_alarm(id, None);
        if let Some(entry) = self.by_id.remove(id) {
            self.places -= entry.transaction.places.len();
        }
    }

    /// Changes a transaction, and counts anew.
    pub fn change<T>(&mut self, id: &Name, run: impl FnOnce(&mut Transaction) -> T) -> Option<T> {
        let entry = self.by_id.get_mut(id)?;
        self.places -= entry.transaction.places.len();
        let out = run(&mut entry.transaction);
        self.places += entry.transaction.places.len();
        Some(out)
    }

    pub fn set_alarm(&mut self, id: &Name, at: Option<Duration>) {
        let Some(entry) = self.by_id.get_mut(id) else {
            return;
        };
        if let Some(before) = std::mem::replace(&mut entry.alarm, at) {
            self.alarms.remove(&(before, id.clone()));
        }
        if let Some(at) = at {
            self.alarms.insert((at, id.clone()));
        }
    }

    pub fn next_alarm(&self) -> Option<Duration> {
        self.alarms.first().map(|(at, _)| *at)
    }

    /// Those whose time has come.
    pub fn due(&self, now: Duration) -> Vec<Name> {
        let due = self.alarms.iter().take_while(|(at, _)| *at <= now);
        due.map(|(_, id)| id.clone()).collect()
    }

    /// Those that are being ended.
    pub fn ending(&self) -> Vec<Name> {
        let ending = self.by_id.iter().filter(|(_, one)| one.marking.is_some());
        ending.map(|(id, _)| id.clone()).collect()
    }

    /// So many behind one, or from the first on.
    pub fn after(&self, id: Option<&Name>, most: usize) -> Vec<Name> {
        let from = id.map_or(Bound::Unbounded, Bound::Excluded);
        let range = self.by_id.range::<Name, _>((from, Bound::Unbounded));
        range.take(most).map(|(id, _)| id.clone()).collect()
    }
}
