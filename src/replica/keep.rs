//! Snapshots: taken in slices between batches, handed to peers, fetched from
//! them, installed; and the entries behind them forgotten.
//!
//! All writing and reading of files is the device's worker's; what came of it
//! lies in `outcomes` until the next turn.

use super::Replica;
use super::desk::CloseReason;
use super::snapshots::{self, Fetching, Head, Loaded, Manifest, NotLoaded, Place, Taking};
use crate::consensus::{Fetch, Snapshot};
use crate::ids::{Index, NodeId, Term};
use crate::limits::{
    CONSENSUS_MESSAGE_BYTES, SNAPSHOT_BYTES_PER_TICK, SNAPSHOT_FETCH_PATIENCE_TICKS,
    SNAPSHOT_LOG_BYTES, SNAPSHOT_NODES_PER_SLICE, SNAPSHOT_REST_TICKS, SNAPSHOT_REST_TICKS_MAX,
};
use crate::log::Fatal;
use crate::peers::Plane;
use crate::planted;
use crate::state::{Setting, State};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// What a start finds of snapshots.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    pub index: Index,
    pub bytes: u64,
}

pub(super) struct Keeping {
    /// The named files, the newest first.
    places: Vec<Place>,
    taking: Option<Taking>,
    fetching: Option<Fetching>,
    /// Numbers the fetches.
    fetches: u64,
    /// When the last piece came, in ticks.
    fetched_at: u64,
    /// Fetched, checked and named; consensus has yet to say that it counts.
    loaded: Option<Box<Loaded>>,
    /// The worker has a piece of the taking.
    is_writing: bool,
    outcomes: Outcomes,
    bytes_this_tick: usize,
    /// Of the entries applied since the last snapshot was begun.
    pub(super) log_bytes: u64,
    pub(super) kept: Kept,
    /// No other is begun before this many ticks: the last one failed.
    rests_until: u64,
    /// How long that rest was, for the next: twice as long. Zero after one that
    /// went well.
    rest: u64,
    /// Followers that are being sent a snapshot, and when they last asked.
    asked: BTreeMap<NodeId, u64>,
}

type Outcomes = Arc<Mutex<Vec<Outcome>>>;

enum Outcome {
    Wrote(io::Result<()>),
    Took(Snapshot, io::Result<()>),
    /// By the number of the fetch: it may have given way to another.
    WrotePiece(u64, io::Result<()>),
    Fetched(u64, Result<Box<Loaded>, NotLoaded>),
    Piece(NodeId, Vec<u8>),
}

impl Keeping {
    pub fn new(places: Vec<Place>, kept: Kept) -> Self {
        Self {
            places,
            taking: None,
            fetching: None,
            fetches: 0,
            fetched_at: 0,
            loaded: None,
            is_writing: false,
            outcomes: Outcomes::default(),
            bytes_this_tick: 0,
            log_bytes: 0,
            kept,
            rests_until: 0,
            rest: 0,
            asked: BTreeMap::new(),
        }
    }

    fn put(&self) -> impl Fn(Outcome) + Send + use<> {
        let outcomes = self.outcomes.clone();
        move |outcome| {
            let mut outcomes = outcomes.lock().unwrap_or_else(PoisonError::into_inner);
            outcomes.push(outcome);
        }
    }

    fn fetching_of(&mut self, number: u64) -> Option<&mut Fetching> {
        let fetching = self.fetching.as_mut();
        fetching.filter(|fetching| fetching.number == number)
    }

    /// The newest file and its length.
    pub fn newest(&self) -> Option<(Place, u64)> {
        let newest = self.places.iter().max()?;
        (newest.index == self.kept.index).then_some((*newest, self.kept.bytes))
    }

    fn take_outcomes(&self) -> Vec<Outcome> {
        std::mem::take(&mut *self.outcomes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Replica {
    pub(super) fn go_on_keeping(&mut self) -> Result<(), Fatal> {
        self.take_outcomes()?;
        match self.keeping.taking {
            Some(_) => self.go_on_taking(),
            None => self.begin_taking(),
        }
        Ok(())
    }

    pub(super) fn take_outcomes(&mut self) -> Result<(), Fatal> {
        let outcomes = self.keeping.take_outcomes();
        outcomes
            .into_iter()
            .try_for_each(|outcome| self.take_outcome(outcome))
    }

    pub(super) fn keeping_tick(&mut self) {
        self.keeping.bytes_this_tick = 0;
        let silent = self.ticks.saturating_sub(self.keeping.fetched_at);
        if let Some(fetching) = &self.keeping.fetching
            && !fetching.is_writing
            && silent >= SNAPSHOT_FETCH_PATIENCE_TICKS
        {
            // The piece was lost on its way.
            self.keeping.fetched_at = self.ticks;
            self.ask_piece();
        }
        // Consensus had no use for it: the entries came, or another snapshot.
        let applied = self.applied;
        self.keeping
            .loaded
            .take_if(|loaded| loaded.head.place.index <= applied);
        let (ticks, mut given_up) = (self.ticks, Vec::new());
        self.keeping.asked.retain(|&node, &mut asked| {
            let is_silent = ticks.saturating_sub(asked) > 4 * SNAPSHOT_FETCH_PATIENCE_TICKS;
            if is_silent {
                given_up.push(node);
            }
            !is_silent
        });
        for node in given_up {
            self.consensus.report_snapshot(node, false);
        }
    }

    fn begin_taking(&mut self) {
        if self.keeping.is_writing {
            // The end of one that was abandoned.
            return;
        }
        let since = self.applied.0.saturating_sub(self.keeping.kept.index.0);
        let every = self.state.settings().get(Setting::SnapshotEntries);
        // The log behind a snapshot is to be read and applied at a start: it
        // may be as long as that takes a moment, or twice the state itself.
        let long = SNAPSHOT_LOG_BYTES.max(2 * self.keeping.kept.bytes);
        let is_long = self.keeping.log_bytes >= long;
        let is_wanted = since >= every || is_long || (self.wants_snapshot && since > 0);
        let is_due = is_wanted && self.ticks >= self.keeping.rests_until;
        if !is_due || self.keeping.fetching.is_some() {
            return;
        }
        let mut place = Place {
            index: self.applied,
            term: self.applied_term,
        };
        let before = Index(self.applied.0.saturating_sub(1));
        if planted!(SnapshotOfAnotherIndex)
            && let Some(term) = self.consensus.term_at(before)
        {
            place = Place {
                index: before,
                term,
            };
        }
        let head = Head {
            cluster: self.settings.cluster,
            place,
            members: self.consensus.members_at(place.index),
        };
        match Taking::begin(&**self.storage.disk(), head) {
            Ok((taking, task)) => {
                self.wants_snapshot = false;
                self.keeping.log_bytes = 0;
                self.state.begin_walk();
                self.keeping.taking = Some(taking);
                self.write(task, 0);
            }
            Err(error) => self.taking_failed(&error),
        }
    }

    fn write(&mut self, task: snapshots::Task, bytes: usize) {
        self.keeping.is_writing = true;
        self.keeping.bytes_this_tick += bytes;
        let put = self.keeping.put();
        self.storage
            .errand(task, move |done| put(Outcome::Wrote(done)));
    }

    fn go_on_taking(&mut self) {
        if self.keeping.is_writing || self.keeping.bytes_this_tick >= SNAPSHOT_BYTES_PER_TICK {
            return;
        }
        let Some(taking) = &mut self.keeping.taking else {
            return;
        };
        if let Some(frame) = self.state.walk_slice(SNAPSHOT_NODES_PER_SLICE) {
            let (task, bytes) = (taking.frame(&frame), frame.len());
            return self.write(task, bytes);
        }
        let taking = self.keeping.taking.take().expect("looked at above");
        let (task, snapshot) = taking.finish(self.storage.disk());
        self.keeping.is_writing = true;
        // Nothing else is begun until its outcome is here.
        self.keeping.rests_until = u64::MAX;
        let put = self.keeping.put();
        self.storage
            .errand(task, move |done| put(Outcome::Took(snapshot, done)));
    }

    fn taking_failed(&mut self, error: &io::Error) {
        tracing::warn!(%error, "no snapshot is taken; tried again later");
        self.state.drop_walk();
        let keeping = &mut self.keeping;
        keeping.rest = (2 * keeping.rest).clamp(SNAPSHOT_REST_TICKS, SNAPSHOT_REST_TICKS_MAX);
        keeping.rests_until = self.ticks + keeping.rest;
        self.abandon_taking();
    }

    fn abandon_taking(&mut self) {
        self.keeping.taking = None;
        let task = snapshots::abandon(self.storage.disk());
        self.storage.errand(task, |_| ());
    }

    fn take_outcome(&mut self, outcome: Outcome) -> Result<(), Fatal> {
        match outcome {
            Outcome::Wrote(done) => {
                self.keeping.is_writing = false;
                if let Err(error) = done {
                    check(&error)?;
                    self.taking_failed(&error);
                }
            }
            Outcome::Took(snapshot, done) => {
                self.keeping.is_writing = false;
                self.keeping.rests_until = 0;
                match done {
                    Ok(()) => {
                        self.keeping.rest = 0;
                        self.took(snapshot);
                    }
                    Err(error) => {
                        check(&error)?;
                        self.taking_failed(&error);
                    }
                }
            }
            Outcome::WrotePiece(number, done) => {
                let fetching = self.keeping.fetching_of(number);
                match (fetching, done) {
                    (None, _) => {}
                    (Some(fetching), Ok(())) => {
                        fetching.is_writing = false;
                        self.ask_piece();
                    }
                    (Some(_), Err(error)) => {
                        check(&error)?;
                        tracing::warn!(%error, "a snapshot cannot be fetched");
                        self.keeping.fetching = None;
                    }
                }
            }
            Outcome::Fetched(number, loaded) => self.fetched(number, loaded)?,
            Outcome::Piece(to, frame) => self.sends.push((to, Plane::Bulk, frame)),
        }
        Ok(())
    }

    /// A snapshot of this node's stands under its name.
    fn took(&mut self, snapshot: Snapshot) {
        tracing::debug!(index = %snapshot.index, "a snapshot is taken");
        self.note_place(&snapshot);
        let keep_from = self.entries_kept_from();
        // A leader's snapshot that is under way covers more.
        if self.consensus.term_at(snapshot.index).is_none() {
            return;
        }
        self.consensus.compact(snapshot, keep_from);
        self.storage.forget_below(keep_from);
    }

    fn note_place(&mut self, snapshot: &Snapshot) {
        let place = Place {
            index: snapshot.index,
            term: snapshot.term,
        };
        if !self.keeping.places.contains(&place) {
            self.keeping.places.push(place);
        }
        let bytes = Manifest::parse(&snapshot.manifest).map_or(0, |manifest| manifest.bytes);
        // One that was being named when a newer one was installed is older.
        if snapshot.index > self.keeping.kept.index {
            self.keeping.kept = Kept {
                index: snapshot.index,
                bytes,
            };
        }
        if let Some(task) = snapshots::prune(self.storage.disk(), &mut self.keeping.places) {
            self.storage.errand(task, |_| ());
        }
    }

    /// Entries behind the oldest snapshot that is kept.
    fn entries_kept_from(&self) -> Index {
        let oldest = self.keeping.places.last();
        Index(oldest.map_or(0, |place| place.index.0) + 1)
    }

    /// The leader has a snapshot for this node: it is fetched first.
    pub(super) fn fetch(
        &mut self,
        from: NodeId,
        index: Index,
        term: Term,
        manifest: &[u8],
        message: &[u8],
    ) {
        let place = Place { index, term };
        if let Some(fetching) = &mut self.keeping.fetching
            && fetching.place == place
        {
            // The leader asks again: maybe another leader, in another term.
            fetching.from = from;
            fetching.message = message.to_vec();
            return;
        }
        if self
            .keeping
            .loaded
            .as_ref()
            .is_some_and(|loaded| loaded.head.place == place)
        {
            return self.step_now(from, message);
        }
        if manifest.is_empty() {
            return self.step_now(from, message);
        }
        if self
            .keeping
            .fetching
            .as_ref()
            .is_some_and(Fetching::is_finishing)
        {
            // Its file is about to be named. The leader sends word again.
            return;
        }
        let Some(manifest) = Manifest::parse(manifest) else {
            return tracing::warn!(%from, "a snapshot whose manifest cannot be read");
        };
        self.begin_fetching(from, place, manifest, message.to_vec());
    }

    /// `message` is given to consensus when the file is whole.
    pub(super) fn begin_fetching(
        &mut self,
        from: NodeId,
        place: Place,
        manifest: Manifest,
        message: Vec<u8>,
    ) {
        let disk = self.storage.disk().clone();
        self.keeping.fetches += 1;
        let number = self.keeping.fetches;
        match Fetching::begin(&*disk, number, from, place, manifest, message) {
            Ok(fetching) => {
                tracing::info!(%from, index = %place.index, bytes = manifest.bytes, "a snapshot is fetched");
                self.keeping.fetching = Some(fetching);
                self.keeping.fetched_at = self.ticks;
                self.ask_piece();
            }
            Err(error) => tracing::warn!(%error, "a snapshot cannot be fetched"),
        }
    }

    pub(super) fn is_fetching(&self) -> bool {
        self.keeping.fetching.is_some()
    }

    pub(super) fn give_up_fetching_from(&mut self, node: NodeId) {
        // One whose file is about to be named is finished first.
        self.keeping
            .fetching
            .take_if(|fetching| fetching.from == node && !fetching.is_finishing());
    }

    fn ask_piece(&mut self) {
        let Some(fetching) = &mut self.keeping.fetching else {
            return;
        };
        if let Some(ask) = fetching.ask() {
            return self.sends.push((fetching.from, Plane::Bulk, ask));
        }
        let known = self.settings.release.features;
        let finish = fetching.finish(self.storage.disk(), &self.levels.file, known);
        fetching.is_writing = true;
        let number = fetching.number;
        let put = self.keeping.put();
        let task = Box::new(move || {
            put(Outcome::Fetched(number, finish().map(Box::new)));
            Ok(())
        });
        self.storage.errand(task, |_| ());
    }

    pub(super) fn take_piece(
        &mut self,
        from: NodeId,
        index: Index,
        term: Term,
        at: u64,
        bytes: &[u8],
    ) {
        let Some(fetching) = &mut self.keeping.fetching else {
            return;
        };
        if fetching.from != from {
            return;
        }
        if let Some(task) = fetching.take(Place { index, term }, at, bytes) {
            self.keeping.fetched_at = self.ticks;
            let (number, put) = (fetching.number, self.keeping.put());
            self.storage
                .errand(task, move |done| put(Outcome::WrotePiece(number, done)));
        }
    }

    /// The leader keeps it no more; it will send word of a newer one.
    pub(super) fn no_piece(&mut self, from: NodeId, index: Index, term: Term) {
        self.keeping
            .fetching
            .take_if(|fetching| fetching.from == from && fetching.place == Place { index, term });
    }

    fn fetched(
        &mut self,
        number: u64,
        loaded: Result<Box<Loaded>, NotLoaded>,
    ) -> Result<(), Fatal> {
        let is_same = |fetching: &mut Fetching| fetching.number == number;
        let Some(fetching) = self.keeping.fetching.take_if(is_same) else {
            return Ok(());
        };
        match loaded {
            Ok(loaded) if loaded.head.cluster == self.settings.cluster => {
                if self.lacks_state() {
                    return self.end_lacking(*loaded);
                }
                self.keeping.loaded = Some(loaded);
                self.step_now(fetching.from, &fetching.message);
            }
            Ok(loaded) => {
                tracing::error!(cluster = %loaded.head.cluster, "a snapshot of another cluster")
            }
            Err(NotLoaded::Damaged(wrong)) => {
                tracing::error!(wrong, "a fetched snapshot is not whole; asked for again")
            }
            Err(NotLoaded::Newer(why)) => self.stand_still(format!("the cluster was {why}")),
        }
        Ok(())
    }

    /// The leader's word of a snapshot is on its way; the follower will ask.
    pub(super) fn snapshot_sent(&mut self, node: NodeId) {
        self.keeping.asked.insert(node, self.ticks);
    }

    /// Hands a piece to a follower.
    pub(super) fn hand_on(&mut self, to: NodeId, index: Index, term: Term, at: u64) {
        self.keeping.asked.insert(to, self.ticks);
        let disk = self.storage.disk().clone();
        let put = self.keeping.put();
        let task = Box::new(move || {
            let frame = snapshots::piece(&*disk, Place { index, term }, at);
            put(Outcome::Piece(to, frame));
            Ok(())
        });
        self.storage.errand(task, |_| ());
    }

    /// Consensus has taken the snapshot that was fetched: the state is another
    /// one. What clients here watch and wait for belongs to the old one, so
    /// they are asked to come again.
    pub(super) fn install(&mut self, snapshot: Snapshot) -> Result<Index, Fatal> {
        if snapshot.manifest.is_empty() {
            // The founding of the cluster: the empty state.
            self.state = State::new(self.settings.cluster);
            return Ok(self.installed(&snapshot));
        }
        let fits = |loaded: &mut Box<Loaded>| {
            loaded.head.place.index == snapshot.index && loaded.head.place.term == snapshot.term
        };
        let Some(loaded) = self.keeping.loaded.take_if(fits) else {
            let reason = format!(
                "consensus counts on a snapshot at {} that is not here",
                snapshot.index
            );
            return Err(Fatal { reason });
        };
        self.state = loaded.state;
        self.note_place(&snapshot);
        Ok(self.installed(&snapshot))
    }

    fn installed(&mut self, snapshot: &Snapshot) -> Index {
        tracing::info!(index = %snapshot.index, "a snapshot is installed");
        if self.keeping.taking.is_some() {
            self.abandon_taking();
        }
        self.applied = snapshot.index;
        self.applied_term = snapshot.term;
        self.members_changed = true;
        self.digests.clear();
        self.close_all(CloseReason::NotServing);
        self.give_up_all();
        snapshot.index
    }

    /// Nothing more is taken, and nothing more is fetched.
    pub(super) fn stop_keeping(&mut self) {
        if self.keeping.taking.is_some() {
            self.state.drop_walk();
            self.abandon_taking();
        }
        (self.keeping.fetching, self.keeping.loaded) = (None, None);
    }

    /// Reads entries for a follower that is behind what is in memory.
    pub(super) fn read_for(&mut self, fetch: Fetch) {
        match self
            .storage
            .read_some(fetch.from, CONSENSUS_MESSAGE_BYTES as usize)
        {
            Ok(entries) => self.consensus.entries_for(fetch, entries),
            Err(error) => tracing::error!(%error, "entries cannot be read for a follower"),
        }
    }
}

/// Room may come back; any other error leaves files in a state that nobody
/// knows.
fn check(error: &io::Error) -> Result<(), Fatal> {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Ok(()),
        _ => Err(Fatal {
            reason: format!("write a snapshot: {error}"),
        }),
    }
}
