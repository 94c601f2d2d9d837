//! The end of a transaction on its way to its partitions.
//!
//! What is told may be late, or come twice, for an answer may be lost. Where
//! the epoch was raised for the end, no harm is done: the partition knows the
//! end of an earlier transaction by its epoch. A producer whose epoch stays is
//! kept safe by the epoch of the coordinator: it is raised before something is
//! told again of which it is not known whether it still arrives, and a
//! partition takes no end from an older epoch than the last. So the end of a
//! transaction counts as told once the *last* word about it is answered; every
//! earlier one, wherever it is, comes too late from then on.

use super::Place;
use crate::limits::TRANSACTION_RESENDS_MAX;
use crate::planted;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// In which epoch a coordinator speaks: its partition's leader epoch, with room
/// below it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Term {
    leader_epoch: i32,
    resends: i32,
}

impl Term {
    pub fn new(leader_epoch: i32) -> Self {
        Self {
            leader_epoch,
            resends: 0,
        }
    }

    /// What partitions are told. 2^31 / 1024 is the two-millionth leader.
    pub(super) fn epoch(self) -> i32 {
        let leader_epoch = self.leader_epoch.saturating_mul(TRANSACTION_RESENDS_MAX);
        leader_epoch.saturating_add(self.resends)
    }

    /// The next, which leaves what was told until now behind. There is an end to
    /// that, and then the guard is no more than that of Kafka.
    pub fn raised(self) -> Self {
        let resends = match planted!(ResendNotRaised) {
            true => self.resends,
            false => (self.resends + 1).min(TRANSACTION_RESENDS_MAX - 1),
        };
        Self { resends, ..self }
    }
}

/// What came of telling a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marked {
    /// It is acknowledged there.
    Written,
    /// The partition is gone with its topic, or a later epoch of the producer
    /// has been there: nothing is open any more.
    Needless,
    /// It was not written, and will not be.
    Refused,
    /// It may have been written, or may still be.
    Unknown,
}

#[derive(Debug)]
pub(super) struct Marking {
    /// Among all ends that this coordinator has told.
    pub order: u64,
    left: BTreeMap<Place, Telling>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Telling {
    /// The last, by its number; 0 for none.
    attempt: u64,
    /// In which epoch of the coordinator.
    epoch: i32,
    /// Not under way: when to tell it next.
    due: Option<Duration>,
}

impl Marking {
    pub fn new(order: u64, places: &BTreeSet<Place>) -> Self {
        let left = places.iter().cloned();
        Self {
            order,
            left: left.map(|place| (place, Telling::default())).collect(),
        }
    }

    pub fn is_over(&self) -> bool {
        self.left.is_empty()
    }

    /// All of them are to be told now.
    pub fn begin(&mut self) {
        self.hasten(Duration::ZERO);
    }

    /// Whoever is not being told is to be told at once.
    pub fn hasten(&mut self, now: Duration) {
        for telling in self.left.values_mut() {
            if telling.attempt == 0 || telling.due.is_some() {
                telling.due = Some(now);
            }
        }
    }

    /// Those who are to be told now, and are taken as told by this attempt.
    pub fn due(&mut self, now: Duration, attempt: u64, term: Term) -> Vec<Place> {
        let mut places = Vec::new();
        for (place, telling) in &mut self.left {
            if telling.due.is_some_and(|due| due <= now) {
                *telling = Telling {
                    attempt,
                    epoch: term.epoch(),
                    due: None,
                };
                places.push(place.clone());
            }
        }
        places
    }

    pub fn next_due(&self) -> Option<Duration> {
        self.left.values().filter_map(|telling| telling.due).min()
    }

    /// What came of an attempt. Where it is not known, and the producer goes on
    /// under the same epoch, the coordinator's is raised.
    pub fn hear(
        &mut self,
        place: &Place,
        attempt: u64,
        marked: Marked,
        again: Duration,
        raise: Option<&mut Term>,
    ) {
        let Some(telling) = self.left.get_mut(place) else {
            return;
        };
        if telling.attempt != attempt {
            return;
        }
        match marked {
            Marked::Written | Marked::Needless if planted!(EndedAtFirst) => self.left.clear(),
            Marked::Written | Marked::Needless => {
                self.left.remove(place);
            }
            Marked::Refused => telling.due = Some(again),
            Marked::Unknown => {
                if let Some(term) = raise.filter(|term| term.epoch() == telling.epoch) {
                    *term = term.raised();
                }
                telling.due = Some(again);
            }
        }
    }
}
