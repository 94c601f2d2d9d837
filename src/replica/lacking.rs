//! A node whose state cannot be read back, and whose log and votes are sound:
//! its newest snapshot has rotted, and the log begins behind it, because it
//! came from a leader.
//!
//! Until another has handed on a snapshot that leads to the log, this node
//! takes no part in anything. Consensus hears nothing and its time stands
//! still, so to the others the node is down: nobody counts on its vote, and no
//! entry counts as held here. Then it goes on with the term, the vote and the
//! log that it had, as if it had started from that snapshot. It never votes as
//! one that has forgotten what it agreed to.

use super::codec::Frame;
use super::keep::Keeping;
use super::lead::STORAGE_EVERY_TICKS;
use super::snapshots::{Loaded, Manifest, Place};
use super::start::{Agreed, Found, Unread};
use super::{Now, Replica};
use crate::consensus::Hard;
use crate::ids::{Index, NodeId};
use crate::limits::SNAPSHOT_FETCH_PATIENCE_TICKS;
use crate::log::{Fatal, OpenError};
use crate::peers::Plane;
use std::collections::BTreeSet;

/// What is known while the state is missing.
pub(super) struct Lacking {
    /// A snapshot of this index or a later one leads to the log.
    least: Index,
    hard: Hard,
    /// Connected peers, and the one that was asked last.
    up: BTreeSet<NodeId>,
    asked: NodeId,
    asked_at: u64,
}

impl Lacking {
    pub fn new(least: Index, hard: Hard) -> Self {
        Self {
            least,
            hard,
            up: BTreeSet::new(),
            asked: NodeId(0),
            asked_at: 0,
        }
    }

    /// Each in its turn.
    fn next_to_ask(&self) -> Option<NodeId> {
        let behind = self.up.iter().find(|node| **node > self.asked);
        behind.or(self.up.first()).copied()
    }
}

impl Replica {
    /// Whether this node waits for another to give it the state.
    pub fn lacks_state(&self) -> bool {
        self.lacking.is_some()
    }

    pub(super) fn lacking_tick(&mut self, now: Now) -> Result<(), Fatal> {
        self.ticked_at = now.monotonic;
        self.ticks += 1;
        self.keeping_tick();
        self.mind_no_leader();
        self.ask_snapshot_when_due();
        match self.ticks.is_multiple_of(STORAGE_EVERY_TICKS) {
            true => self.storage.tick(),
            false => Ok(()),
        }
    }

    pub(super) fn lacking_turn(&mut self) -> Result<(), Fatal> {
        self.storage.turn()?;
        self.take_outcomes()
    }

    pub(super) fn lacking_frame(&mut self, from: NodeId, frame: Frame<'_>) {
        match frame {
            Frame::HaveSnapshot { index, term, bytes } => {
                self.fetch_what_is_lacking(from, Place { index, term }, Manifest { bytes });
            }
            Frame::Piece {
                index,
                term,
                at,
                bytes,
            } => self.take_piece(from, index, term, at, bytes),
            Frame::NoPiece { index, term } => self.no_piece(from, index, term),
            // What the others agree on, they agree on without this node.
            _ => {}
        }
    }

    pub(super) fn note_peer(&mut self, node: NodeId, is_up: bool) {
        let Some(lacking) = &mut self.lacking else {
            return;
        };
        match is_up {
            true => drop(lacking.up.insert(node)),
            false => {
                lacking.up.remove(&node);
                self.give_up_fetching_from(node);
            }
        }
    }

    fn ask_snapshot_when_due(&mut self) {
        let (is_fetching, is_still) = (self.is_fetching(), self.outgrown().is_some());
        let ticks = self.ticks;
        let Some(lacking) = self.lacking.as_mut().filter(|_| !is_still) else {
            return;
        };
        let is_due = ticks.saturating_sub(lacking.asked_at) >= SNAPSHOT_FETCH_PATIENCE_TICKS;
        let Some(next) = lacking.next_to_ask().filter(|_| is_due && !is_fetching) else {
            return;
        };
        (lacking.asked, lacking.asked_at) = (next, ticks);
        let least = lacking.least;
        let ask = Frame::AskSnapshot { least }.encode();
        self.sends.push((next, Plane::Control, ask));
    }

    fn fetch_what_is_lacking(&mut self, from: NodeId, place: Place, manifest: Manifest) {
        let least = self.lacking.as_ref().map(|lacking| lacking.least);
        if least.is_some_and(|least| place.index >= least) && !self.is_fetching() {
            self.begin_fetching(from, place, manifest, Vec::new());
        }
    }

    /// Tells one that lacks its state of a snapshot that will do; where there
    /// is none, one is taken, and the other asks again.
    pub(super) fn offer_snapshot(&mut self, to: NodeId, least: Index) {
        match self.keeping.newest() {
            Some((Place { index, term }, bytes)) if index >= least => {
                let have = Frame::HaveSnapshot { index, term, bytes }.encode();
                self.sends.push((to, Plane::Control, have));
            }
            _ => self.wants_snapshot |= self.applied >= least,
        }
    }

    /// The snapshot is here, checked and named: what an open would have found.
    pub(super) fn end_lacking(&mut self, loaded: Loaded) -> Result<(), Fatal> {
        let Some(lacking) = self.lacking.take() else {
            return Ok(());
        };
        let place = loaded.head.place;
        let begun = match Found::behind(&mut self.storage, vec![place], loaded) {
            Ok(found) => self.begin_with(found, lacking.hard),
            Err(Unread::Lacks(why)) => {
                tracing::warn!(
                    why,
                    "the snapshot does not lead to the log; another is asked for"
                );
                self.lacking = Some(lacking);
                return Ok(());
            }
            Err(unread) => Err(unread.refused()),
        };
        begun.map_err(|error| Fatal {
            reason: format!("go on from a fetched snapshot: {error}"),
        })?;
        tracing::info!(index = %place.index, "the state is here again: this node takes part");
        Ok(())
    }

    fn begin_with(&mut self, mut found: Found, hard: Hard) -> Result<(), OpenError> {
        let mut consensus = Agreed::of(hard, &mut found).begin(&self.settings)?;
        consensus.hold_commit(true);
        self.consensus = consensus;
        self.lead = self.consensus.standing();
        self.led_at = self.now.monotonic;
        (self.applied, self.applied_term) = found.applied();
        self.keeping = Keeping::new(found.places.clone(), found.kept());
        self.state = found.into_state(self.settings.cluster);
        self.members_changed = true;
        self.lead_at_once_if_alone(self.now);
        Ok(())
    }
}
