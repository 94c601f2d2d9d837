//! The end of the log, in memory: what the library reads back of it.
//!
//! ```text
//!    first-1   first         front              applied   last
//!      |---------|-------------|------------------|---------|
//!     dummy       on disk only   held here, at least from applied on
//! ```
//!
//! Of every entry from `first` on the term is known. Below `front` a leader
//! that needs entries for a slow follower hears "not now", and the replica
//! reads them from the disk; below `first` it sends the snapshot.

use super::entry::Snapshot;
use super::terms::Terms;
use crate::ids::NodeId;
use raft::eraftpb::{self, ConfState, HardState};
use raft::{Error, GetEntriesContext, RaftState, Result, Storage, StorageError};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Counted for an entry beside its data.
const ENTRY_BYTES: u64 = 64;

pub(super) struct Window {
    /// What the library begins with; later it keeps its own.
    begins: RaftState,
    terms: Terms,
    /// The first entry that is held here; one after the last if none is.
    front: u64,
    /// Without a gap from `front` to the last entry.
    entries: VecDeque<eraftpb::Entry>,
    bytes: u64,
    bytes_max: u64,
    snapshot: Option<Snapshot>,
    /// What was read back from the disk, for each follower that is behind.
    fetched: BTreeMap<NodeId, Vec<eraftpb::Entry>>,
    /// Where entries were asked for that are on disk only. Noted here because
    /// the library reads through a shared reference.
    missed: RefCell<BTreeSet<u64>>,
    /// A follower needs a snapshot and the one at hand does not do.
    wants_snapshot: Cell<bool>,
}

impl Window {
    /// The log that follows (`dummy`, `term`), still without entries.
    pub(super) fn new(dummy: u64, term: u64, snapshot: Option<Snapshot>, bytes_max: usize) -> Self {
        Self {
            begins: RaftState::default(),
            terms: Terms::new(dummy, term),
            front: dummy + 1,
            entries: VecDeque::new(),
            bytes: 0,
            bytes_max: bytes_max as u64,
            snapshot,
            fetched: BTreeMap::new(),
            missed: RefCell::default(),
            wants_snapshot: Cell::new(false),
        }
    }

    pub(super) fn begin_with(&mut self, hard: HardState, members: ConfState) {
        self.begins = RaftState::new(hard, members);
    }

    pub(super) fn first(&self) -> u64 {
        self.terms.dummy() + 1
    }

    pub(super) fn last(&self) -> u64 {
        self.terms.last()
    }

    pub(super) fn last_term(&self) -> u64 {
        self.terms.last_term()
    }

    pub(super) fn term_at(&self, index: u64) -> Option<u64> {
        self.terms.at(index)
    }

    pub(super) fn snapshot_index(&self) -> Option<u64> {
        self.snapshot.as_ref().map(|snapshot| snapshot.index.0)
    }

    /// Takes entries at the end; those in their place before, and all that
    /// followed, are gone.
    pub(super) fn append(&mut self, entries: impl IntoIterator<Item = eraftpb::Entry>) {
        for entry in entries {
            assert!(
                entry.index >= self.front,
                "entry {} was applied",
                entry.index
            );
            while self.front + self.entries.len() as u64 > entry.index {
                self.bytes -= self.entries.pop_back().map_or(0, |gone| size_of(&gone));
            }
            self.terms.put(entry.index, entry.term);
            self.bytes += size_of(&entry);
            self.entries.push_back(entry);
        }
    }

    /// Begins anew behind a leader's snapshot.
    pub(super) fn restore(&mut self, snapshot: Snapshot) {
        self.terms = Terms::new(snapshot.index.0, snapshot.term.0);
        self.front = snapshot.index.0 + 1;
        self.entries.clear();
        self.bytes = 0;
        self.fetched.clear();
        self.snapshot = Some(snapshot);
    }

    /// Lets go of the oldest entries while there are too many bytes. What is
    /// not applied stays: the library reads it without waiting.
    pub(super) fn ease(&mut self, applied: u64) {
        while self.bytes > self.bytes_max
            && self
                .entries
                .front()
                .is_some_and(|entry| entry.index <= applied)
        {
            self.drop_front();
        }
    }

    fn drop_front(&mut self) {
        if let Some(gone) = self.entries.pop_front() {
            self.bytes -= size_of(&gone);
            self.front = gone.index + 1;
        }
    }

    /// From now on this is the snapshot, and entries below `keep_from` are
    /// nowhere any more.
    pub(super) fn compact(&mut self, snapshot: Snapshot, keep_from: u64) {
        assert!(
            keep_from <= snapshot.index.0 + 1,
            "entries after the snapshot are needed"
        );
        self.snapshot = Some(snapshot);
        if keep_from <= self.first() {
            return;
        }
        self.terms.cut_before(keep_from - 1);
        while self
            .entries
            .front()
            .is_some_and(|entry| entry.index < keep_from)
        {
            self.drop_front();
        }
    }

    pub(super) fn take_missed(&mut self) -> BTreeSet<u64> {
        self.missed.take()
    }

    pub(super) fn has_wishes(&self) -> bool {
        self.wants_snapshot.get() || !self.missed.borrow().is_empty()
    }

    pub(super) fn take_wants_snapshot(&mut self) -> bool {
        self.wants_snapshot.take()
    }

    /// Keeps what was read back for a follower, as far as it is of this log.
    pub(super) fn keep_fetched(
        &mut self,
        peer: NodeId,
        mut entries: Vec<eraftpb::Entry>,
        bytes_max: u64,
    ) {
        let begins = entries.first().map_or(0, |entry| entry.index);
        let of_this_log = entries
            .iter()
            .zip(begins..)
            .take_while(|(entry, index)| {
                entry.index == *index && self.terms.at(*index) == Some(entry.term)
            })
            .count();
        entries.truncate(of_this_log);
        entries.truncate(count_within(entries.iter(), bytes_max));
        self.fetched.remove(&peer);
        if !entries.is_empty() {
            self.fetched.insert(peer, entries);
        }
    }

    /// Keeps only what was fetched for those followers that still need it.
    pub(super) fn retain_fetched(&mut self, needs: impl Fn(NodeId, u64) -> bool) {
        self.fetched
            .retain(|&peer, entries| entries.last().is_some_and(|last| needs(peer, last.index)));
    }

    fn find_fetched(&self, low: u64, high: u64, bytes_max: u64) -> Option<Vec<eraftpb::Entry>> {
        self.fetched.values().find_map(|run| {
            let skip = low.checked_sub(run.first()?.index)? as usize;
            let run = run.get(skip..).filter(|run| !run.is_empty())?;
            let run = &run[..run.len().min((high - low) as usize)];
            Some(run[..count_within(run.iter(), bytes_max)].to_vec())
        })
    }
}

impl Storage for Window {
    fn initial_state(&self) -> Result<RaftState> {
        Ok(self.begins.clone())
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        context: GetEntriesContext,
    ) -> Result<Vec<eraftpb::Entry>> {
        assert!(
            high <= self.last() + 1,
            "entries to {high} were asked for, the last is {}",
            self.last()
        );
        let bytes_max = max_size.into().unwrap_or(u64::MAX);
        if low < self.first() {
            return Err(Error::Store(StorageError::Compacted));
        }
        if low >= self.front {
            let from = (low - self.front) as usize;
            let to = (high - self.front) as usize;
            let asked = self.entries.range(from..to);
            let count = count_within(asked.clone(), bytes_max);
            return Ok(asked.take(count).cloned().collect());
        }
        if let Some(entries) = self.find_fetched(low, high, bytes_max) {
            return Ok(entries);
        }
        // Whoever cannot wait asks for entries that are not applied.
        assert!(context.can_async(), "entry {low} left the window too early");
        self.missed.borrow_mut().insert(low);
        Err(Error::Store(StorageError::LogTemporarilyUnavailable))
    }

    fn term(&self, index: u64) -> Result<u64> {
        match self.terms.at(index) {
            Some(term) => Ok(term),
            None if index < self.first() => Err(Error::Store(StorageError::Compacted)),
            None => Err(Error::Store(StorageError::Unavailable)),
        }
    }

    fn first_index(&self) -> Result<u64> {
        Ok(self.first())
    }

    fn last_index(&self) -> Result<u64> {
        Ok(self.last())
    }

    /// A snapshot from before its receiver was a member would be thrown away
    /// there, and sent for ever: then a newer one is wanted.
    fn snapshot(&self, request_index: u64, to: u64) -> Result<eraftpb::Snapshot> {
        match &self.snapshot {
            Some(snapshot)
                if snapshot.index.0 >= request_index && snapshot.members.contains(NodeId(to)) =>
            {
                Ok(snapshot.to_raft())
            }
            _ => {
                self.wants_snapshot.set(true);
                Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable))
            }
        }
    }
}

fn size_of(entry: &eraftpb::Entry) -> u64 {
    entry.data.len() as u64 + ENTRY_BYTES
}

/// How many entries fit, the first one always.
fn count_within<'a>(entries: impl Iterator<Item = &'a eraftpb::Entry>, bytes_max: u64) -> usize {
    let mut bytes = 0u64;
    entries
        .enumerate()
        .take_while(|(at, entry)| {
            bytes = bytes.saturating_add(size_of(entry));
            *at == 0 || bytes <= bytes_max
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consensus::{Body, Entry, Members};
    use crate::ids::{Index, Term};

    const NO_LIMIT: Option<u64> = None;

    fn entry(index: u64, term: u64) -> eraftpb::Entry {
        let body = Body::Data(vec![7; 36].into());
        Entry {
            term: Term(term),
            index: Index(index),
            body,
        }
        .into_raft()
    }

    /// Every entry here counts as this many bytes.
    const EACH: u64 = 36 + ENTRY_BYTES;

    fn snapshot(index: u64, term: u64) -> Snapshot {
        Snapshot {
            index: Index(index),
            term: Term(term),
            members: Members::of_voters([NodeId(1), NodeId(2)]),
            manifest: vec![1, 2, 3],
        }
    }

    /// A log behind a snapshot of (4, 2) that holds 5 to 9, of terms 2 and 3.
    fn window(bytes_max: usize) -> Window {
        let mut window = Window::new(4, 2, Some(snapshot(4, 2)), bytes_max);
        window.append([(5, 2), (6, 2), (7, 3), (8, 3), (9, 3)].map(|(i, t)| entry(i, t)));
        window
    }

    fn entries(
        window: &Window,
        low: u64,
        high: u64,
        max: Option<u64>,
        waits: bool,
    ) -> Result<Vec<u64>> {
        let found = window.entries(low, high, max, GetEntriesContext::empty(waits))?;
        Ok(found.iter().map(|entry| entry.index).collect())
    }

    fn failed<T>(error: StorageError) -> Result<T> {
        Err(Error::Store(error))
    }

    #[test]
    fn first_and_last_name_the_entries_that_are_there() {
        let empty = Window::new(0, 0, None, 100);
        assert_eq!((empty.first_index(), empty.last_index()), (Ok(1), Ok(0)));
        let window = window(usize::MAX);
        assert_eq!((window.first_index(), window.last_index()), (Ok(5), Ok(9)));
    }

    #[test]
    fn the_term_is_known_from_before_the_first_to_the_last() {
        let window = window(usize::MAX);
        assert_eq!(window.term(3), failed(StorageError::Compacted));
        assert_eq!(window.term(4), Ok(2), "the snapshot's own");
        assert_eq!((window.term(6), window.term(7)), (Ok(2), Ok(3)));
        assert_eq!(window.term(9), Ok(3));
        assert_eq!(window.term(10), failed(StorageError::Unavailable));
    }

    #[test]
    fn entries_come_by_range_and_bytes_and_at_least_one() {
        let window = window(usize::MAX);
        assert_eq!(
            entries(&window, 5, 10, NO_LIMIT, false),
            Ok(vec![5, 6, 7, 8, 9])
        );
        assert_eq!(entries(&window, 6, 8, NO_LIMIT, false), Ok(vec![6, 7]));
        assert_eq!(entries(&window, 9, 9, NO_LIMIT, false), Ok(vec![]));
        assert_eq!(entries(&window, 5, 10, Some(0), false), Ok(vec![5]));
        assert_eq!(
            entries(&window, 5, 10, Some(2 * EACH - 1), false),
            Ok(vec![5])
        );
        assert_eq!(
            entries(&window, 5, 10, Some(2 * EACH), false),
            Ok(vec![5, 6])
        );
        assert_eq!(
            entries(&window, 4, 10, NO_LIMIT, true),
            failed(StorageError::Compacted)
        );
    }

    #[test]
    #[should_panic(expected = "the last is 9")]
    fn entries_beyond_the_last_are_a_slip() {
        let _ = entries(&window(usize::MAX), 5, 11, NO_LIMIT, false);
    }

    #[test]
    fn an_entry_takes_the_place_of_one_and_of_all_after_it() {
        let mut window = window(usize::MAX);
        window.append([entry(7, 5), entry(8, 6)]);
        assert_eq!(
            entries(&window, 5, 9, NO_LIMIT, false),
            Ok(vec![5, 6, 7, 8])
        );
        assert_eq!(window.last_index(), Ok(8));
        assert_eq!(
            (window.term(6), window.term(7), window.term(8)),
            (Ok(2), Ok(5), Ok(6))
        );
        assert_eq!(window.bytes, 4 * EACH);
    }

    #[test]
    fn what_left_the_memory_is_asked_for_and_can_be_brought() {
        let mut window = window(2 * EACH as usize);
        window.ease(8);
        assert_eq!(window.front, 8);
        assert_eq!((window.first_index(), window.term(6)), (Ok(5), Ok(2)));
        assert_eq!(
            entries(&window, 6, 10, NO_LIMIT, true),
            failed(StorageError::LogTemporarilyUnavailable)
        );
        assert_eq!(window.take_missed(), BTreeSet::from([6]));
        assert!(!window.has_wishes());
        window.keep_fetched(NodeId(2), vec![entry(6, 2), entry(7, 3)], 10 * EACH);
        assert_eq!(entries(&window, 6, 10, NO_LIMIT, true), Ok(vec![6, 7]));
        assert_eq!(entries(&window, 7, 10, Some(0), true), Ok(vec![7]));
        assert_eq!(entries(&window, 6, 7, NO_LIMIT, true), Ok(vec![6]));
        assert_eq!(
            entries(&window, 5, 10, NO_LIMIT, true),
            failed(StorageError::LogTemporarilyUnavailable)
        );
        window.retain_fetched(|peer, last| (peer, last) != (NodeId(2), 7));
        assert!(entries(&window, 6, 10, NO_LIMIT, true).is_err());
    }

    #[test]
    fn what_was_read_from_another_log_is_not_kept() {
        let mut window = window(0);
        window.ease(8);
        window.keep_fetched(NodeId(2), vec![entry(6, 2), entry(7, 9)], 10 * EACH);
        assert_eq!(entries(&window, 6, 10, NO_LIMIT, true), Ok(vec![6]));
        window.keep_fetched(NodeId(2), vec![entry(6, 1)], 10 * EACH);
        assert!(entries(&window, 6, 10, NO_LIMIT, true).is_err());
    }

    #[test]
    fn what_is_not_applied_stays_however_large() {
        let mut window = window(0);
        window.ease(6);
        assert_eq!(entries(&window, 7, 10, NO_LIMIT, false), Ok(vec![7, 8, 9]));
        window.ease(9);
        assert_eq!((window.first_index(), window.last_index()), (Ok(5), Ok(9)));
        window.append([entry(10, 3)]);
        assert_eq!(entries(&window, 10, 11, NO_LIMIT, false), Ok(vec![10]));
    }

    #[test]
    fn compaction_keeps_the_term_before_the_first() {
        let mut window = window(usize::MAX);
        window.compact(snapshot(8, 3), 8);
        assert_eq!((window.first_index(), window.last_index()), (Ok(8), Ok(9)));
        assert_eq!(window.term(6), failed(StorageError::Compacted));
        assert_eq!(window.term(7), Ok(3));
        assert_eq!(entries(&window, 8, 10, NO_LIMIT, false), Ok(vec![8, 9]));
        assert_eq!(
            entries(&window, 7, 10, NO_LIMIT, true),
            failed(StorageError::Compacted)
        );
        window.compact(snapshot(9, 3), 10);
        assert_eq!((window.first_index(), window.last_index()), (Ok(10), Ok(9)));
        assert_eq!((window.term(9), window.bytes), (Ok(3), 0));
    }

    #[test]
    fn a_leaders_snapshot_begins_the_log_anew() {
        let mut window = window(usize::MAX);
        window.restore(snapshot(20, 5));
        assert_eq!(
            (window.first_index(), window.last_index()),
            (Ok(21), Ok(20))
        );
        assert_eq!(window.term(20), Ok(5));
        assert_eq!(window.term(9), failed(StorageError::Compacted));
        window.append([entry(21, 5)]);
        assert_eq!(entries(&window, 21, 22, NO_LIMIT, false), Ok(vec![21]));
    }

    #[test]
    fn a_snapshot_that_does_not_do_is_wished_for() {
        let mut window = window(usize::MAX);
        assert_eq!(window.snapshot(4, 2).map(|s| s.get_metadata().index), Ok(4));
        assert!(!window.has_wishes());
        let not_now = || failed(StorageError::SnapshotTemporarilyUnavailable);
        assert_eq!(window.snapshot(5, 2).map(drop), not_now(), "too old");
        assert!(window.take_wants_snapshot());
        assert_eq!(
            window.snapshot(0, 3).map(drop),
            not_now(),
            "it does not know node 3"
        );
        assert!(window.take_wants_snapshot());
        assert_eq!(
            Window::new(0, 0, None, 0).snapshot(0, 1).map(drop),
            not_now()
        );
    }
}
