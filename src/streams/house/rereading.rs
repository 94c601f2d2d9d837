//! Has what is known of a partition read from its log: at the start, and again
//! wherever the log may end elsewhere than it was to. What else the lane's worker
//! has to do waits for one step of one partition at the most, and small partitions
//! do not wait for large ones.

use super::holding::{Hands, Holding};
use super::reading::{self, ReadBack};
use super::{Event, House};
use crate::ids::{Index, Offset};
use crate::limits::STREAMS_CHECKPOINT_EVERY_BYTES;
use crate::log::{Device, Way};
use crate::streams::Key;
use crate::streams::batch::header::Header;
use crate::streams::partition::{Found, Partition};
use std::collections::BTreeSet;
use std::io;
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};

/// Whose logs are to be read.
#[derive(Default)]
pub(super) struct Rereading {
    due: BTreeSet<Key>,
    /// Whose turn was last.
    last: Option<Key>,
    /// The lane's worker has a step.
    is_out: bool,
}

impl Rereading {
    /// A step has come back.
    pub fn has_come(&mut self) {
        self.is_out = false;
    }

    /// Each has a step in turn.
    fn next(&mut self) -> Option<Key> {
        let behind = self.last.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = self.due.range((behind, Bound::Unbounded));
        let next = rest.next().or_else(|| self.due.first()).copied()?;
        self.due.remove(&next);
        self.last = Some(next);
        Some(next)
    }
}

impl House {
    /// Has the next step done where none is under way.
    pub(super) fn read_on(&mut self, device: &mut Device) {
        while !self.rereading.is_out {
            let Some(key) = self.rereading.next() else {
                return;
            };
            if let Some((holding, mut hands)) = self.any(device, key) {
                self.rereading.is_out = holding.read_on(&mut hands);
            }
        }
    }
}

impl Holding {
    /// Has everything that is known of the log read from it.
    pub fn read_back(&mut self, hands: &mut Hands) {
        let is_empty = self.shelf.written_until() == Index(0);
        if is_empty && self.partition.is_none() {
            // A new one: nothing to read, and nothing to wait for. Nor is anything in
            // it too old yet: records of long ago are there for as long as with Kafka.
            self.swept_at = hands.since;
            return self.take_read(hands, ReadBack::new(Offset(0), Offset(0)));
        }
        self.is_reading = true;
        hands.rereading.due.insert(self.key);
    }

    /// Gives the lane's worker the next step; false where none is wanted.
    fn read_on(&mut self, hands: &mut Hands) -> bool {
        if !self.is_reading {
            return false;
        }
        let begun = self.half_read.take();
        // A log of which no checkpoint tells is long: a start that comes between
        // goes on from here.
        let is_much = |read: &ReadBack| read.bytes >= STREAMS_CHECKPOINT_EVERY_BYTES;
        let name = begun.as_ref().is_some_and(is_much);
        let name = name.then(|| self.keeping.next_name(self.log()));
        let (disk, shelf, key) = (hands.device.disk().clone(), self.shelf.clone(), self.key);
        let run = self.partition.as_ref().map_or(0, Partition::run);
        let (events, serial, wall) = (hands.events.clone(), self.serial, hands.wall);
        let read: Arc<Mutex<Option<ReadBack>>> = Arc::default();
        let put = read.clone();
        let task = move || {
            let mut found = match begun {
                Some(begun) => begun,
                None => ReadBack::begin(&*disk, &shelf, key)?,
            };
            if let Some(name) = name {
                // It is tried again as much later.
                let _ = reading::write_checkpoint(&*disk, &name, &found.checkpoint(key).encode());
                found.bytes = 0;
            }
            found.go_on(&shelf, wall)?;
            *put.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
            Ok(())
        };
        let done = move |outcome: io::Result<()>| {
            let found = read.lock().unwrap_or_else(PoisonError::into_inner).take();
            let missing = || io::Error::other("nothing was read");
            let outcome = outcome.and_then(|()| found.ok_or_else(missing));
            events.put(key, serial, Event::ReadBack { run, outcome });
        };
        hands.device.errand(Box::new(task), Box::new(done));
        true
    }

    fn take_read(&mut self, hands: &mut Hands, read: ReadBack) {
        self.keeping.has_read(read.bytes);
        self.producers = read.producers;
        self.times = read.times;
        self.rolling = read.rolling.or(self.rolling);
        self.compaction.clean_until(read.clean_until);
        (self.is_stale, self.is_unreadable) = (false, false);
        if self.partition.is_none() {
            let found = Found {
                first: read.first,
                next: read.next,
                epochs: read.epochs,
            };
            let mut partition = Partition::new(self.own, self.rules, found);
            if let Some(standing) = self.standing.clone() {
                partition.stand(hands.since, standing);
            }
            self.partition = Some(partition);
        }
        self.go_on(hands);
    }

    pub(super) fn has_read(&mut self, hands: &mut Hands, run: u64, outcome: io::Result<ReadBack>) {
        let is_current = self.partition.as_ref().is_none_or(|one| one.run() == run);
        if let Ok(read) = &outcome
            && is_current
            && !read.is_through()
        {
            self.half_read = outcome.ok();
            hands.rereading.due.insert(self.key);
            return;
        }
        self.is_reading = false;
        match outcome {
            Ok(read) if is_current => {
                self.realign(&read);
                self.take_read(hands, read);
            }
            Ok(_) => self.go_on(hands),
            // It is tried again at each tick, and answers nothing meanwhile.
            Err(error) if !self.is_unreadable => {
                self.is_unreadable = true;
                tracing::error!(partition = %self.key, %error, "the partition cannot be read");
            }
            Err(_) => {}
        }
    }

    /// Takes the log's word where it ends elsewhere than it was to: a cut was not
    /// made, or only where a batch begins. Nothing is appended meanwhile, so that
    /// else the two agree.
    fn realign(&mut self, read: &ReadBack) {
        let partition = self.partition.as_mut();
        let is_other = |one: &&mut Partition<u64>| one.next() != read.next;
        if let Some(partition) = partition.filter(is_other) {
            tracing::warn!(
                partition = %self.key, meant = %partition.next(), found = %read.next,
                "the log ends elsewhere than it was to be cut"
            );
            partition.found_again(Found {
                first: read.first,
                next: read.next,
                epochs: read.epochs.clone(),
            });
        }
    }

    /// Where the batch begins that holds an offset. Compaction leaves one empty
    /// batch for several, and a log is cut between batches only; what is cut of it
    /// in vain, the leader has as well.
    pub(super) fn batch_at(&self, offset: Offset) -> Index {
        let at = Index(offset.0);
        let read = self.shelf.read_taken(at, 1, Way::Plain).ok().flatten();
        let base = read.and_then(|read| Some(Header::of(&read.bytes)?.base_offset()));
        let base = base.and_then(|base| u64::try_from(base).ok());
        base.map_or(at, |base| at.min(Index(base)))
    }
}
