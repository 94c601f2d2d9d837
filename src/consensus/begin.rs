//! The beginning of a node's life: what the disk holds, checked before anything
//! rests on it.

use super::Consensus;
use super::entry::{Entry, Hard, Snapshot};
use super::errors::Unsound;
use super::logger::logger;
use super::members::Members;
use super::ready::Standing;
use super::settings::Settings;
use super::window::Window;
use crate::ids::{Index, Term};
use crate::planted;
use raft::RawNode;
use std::collections::{BTreeMap, BTreeSet};

impl Consensus {
    /// Begins with what the disk holds. `tail` are the log's entries, without
    /// a gap: it may begin before the end of the snapshot. Of a tail that does
    /// not lead to the snapshot's last entry nothing is used: the snapshot came
    /// from a leader and replaced it. `applied` is what the state holds.
    pub fn new(
        settings: Settings,
        hard: Hard,
        snapshot: Option<Snapshot>,
        tail: Vec<Entry>,
        applied: Index,
    ) -> Result<Self, Unsound> {
        let config = settings.config(snapshot.as_ref().map_or(0, |snapshot| snapshot.index.0));
        config
            .validate()
            .map_err(|why| Unsound::Settings(why.to_string()))?;
        let members = match &snapshot {
            Some(snapshot) if !snapshot.members.are_sound() => return Err(Unsound::Members),
            Some(snapshot) => snapshot.members.clone(),
            None => Members::default(),
        };
        let from = snapshot
            .as_ref()
            .map_or(Index(0), |snapshot| snapshot.index);
        let mut window = window_of(&settings, snapshot, tail, hard)?;
        let last = Index(window.last());
        if applied < from || applied > last {
            return Err(Unsound::AppliedOutside {
                applied,
                from,
                to: last,
            });
        }
        let hard = sound_hard(hard, applied, &window)?;
        window.begin_with(hard.into_raft(), members.to_raft());
        let raft = RawNode::new(&config, window, &logger())
            .map_err(|why| Unsound::Settings(why.to_string()))?;
        let mut consensus = Self {
            settings,
            raft,
            given: 0,
            persisted: 0,
            vote_in: 0,
            hard,
            standing: Standing::default(),
            handed_out: from,
            applied_before: applied,
            applied,
            history: BTreeMap::from([(from, members)]),
            fetching: BTreeSet::new(),
            local_reads: Vec::new(),
        };
        consensus.call(|raft| raft.raft.raft_log.store.ease(from.0));
        Ok(consensus)
    }
}

/// The window over a log as it was found, checked entry by entry.
fn window_of(
    settings: &Settings,
    snapshot: Option<Snapshot>,
    mut tail: Vec<Entry>,
    hard: Hard,
) -> Result<Window, Unsound> {
    let (index, term) = snapshot
        .as_ref()
        .map_or((0, 0), |snapshot| (snapshot.index.0, snapshot.term.0));
    let begins = tail.first().map_or(index + 1, |entry| entry.index.0);
    if begins > index + 1 {
        return Err(Unsound::Gap {
            expected: Index(index + 1),
            found: Index(begins),
        });
    }
    let mut before = Term(0);
    for (entry, expected) in tail.iter().zip(begins..) {
        if entry.index.0 != expected {
            return Err(Unsound::Gap {
                expected: Index(expected),
                found: entry.index,
            });
        }
        if entry.term < before {
            return Err(Unsound::TermFalls { at: entry.index });
        }
        before = entry.term;
    }
    let mut dummy = (index, term);
    if begins <= index {
        let leads_there = tail
            .get((index - begins) as usize)
            .is_some_and(|entry| entry.term.0 == term);
        if leads_there {
            let first = tail.remove(0);
            dummy = (first.index.0, first.term.0);
        } else {
            tail.clear();
        }
    } else if tail.first().is_some_and(|entry| entry.term.0 < term) {
        return Err(Unsound::TermFalls { at: Index(begins) });
    }
    if planted!(TailLost) {
        tail.retain(|entry| entry.index <= hard.commit);
    }
    let mut window = Window::new(dummy.0, dummy.1, snapshot, settings.window_bytes);
    window.append(tail.into_iter().map(Entry::into_raft));
    Ok(window)
}

/// The hard state that fits the log. A founder has none yet: it is in the term
/// of the snapshot it was founded with. The commit is not synced by itself, so
/// it may lag behind what was applied.
fn sound_hard(mut hard: Hard, applied: Index, window: &Window) -> Result<Hard, Unsound> {
    if hard == Hard::default() {
        hard.term = Term(window.last_term());
    }
    hard.commit = hard.commit.max(applied);
    let (log, last) = (Term(window.last_term()), Index(window.last()));
    if hard.term < log {
        return Err(Unsound::TermBehindLog {
            term: hard.term,
            log,
        });
    }
    if hard.commit > last {
        return Err(Unsound::CommitBeyondLog {
            commit: hard.commit,
            last,
        });
    }
    Ok(hard)
}
