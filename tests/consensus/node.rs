//! One node: what its disk keeps, and its life until the next crash.

use super::truth::{FOUNDED, Held, Truth, chained, hold};
use dolmen::consensus::{
    Body, Consensus, Entry, Fetch, Hard, Members, ReadId, Ready, Role, Settings, Snapshot,
};
use dolmen::entropy::Seeded;
use dolmen::ids::{Index, NodeId, Term};
use std::collections::{BTreeMap, VecDeque};

/// A message on its way.
#[derive(Clone)]
pub struct Letter {
    pub from: NodeId,
    pub to: NodeId,
    pub bytes: Vec<u8>,
}

/// What survives a crash.
#[derive(Clone, Default)]
pub struct Durable {
    pub hard: Hard,
    pub snapshot: Option<Snapshot>,
    pub log: BTreeMap<u64, Entry>,
}

impl Durable {
    pub fn founded(members: &Members) -> Self {
        let snapshot = Snapshot {
            index: Index(1),
            term: Term(1),
            members: members.clone(),
            manifest: FOUNDED.to_le_bytes().to_vec(),
        };
        Self {
            snapshot: Some(snapshot),
            ..Self::default()
        }
    }

    /// Writes a turn. All of what one turn holds becomes durable at once.
    fn write(&mut self, turn: &Ready, truth: &mut Truth) -> Held {
        if let Some(snapshot) = &turn.snapshot {
            self.log.clear();
            self.snapshot = Some(snapshot.clone());
        }
        if let Some(first) = turn.entries.first() {
            self.log.split_off(&first.index.0);
        }
        let entries = turn.entries.iter();
        self.log
            .extend(entries.map(|entry| (entry.index.0, entry.clone())));
        for entry in &turn.entries {
            truth.writes(entry, self.term_at(entry.index.0 - 1))?;
        }
        if let Some(hard) = turn.hard {
            self.hard = hard;
        }
        Ok(())
    }

    fn term_at(&self, index: u64) -> Option<Term> {
        let of_snapshot = self.snapshot.iter().filter(|held| held.index.0 == index);
        let of_log = self.log.get(&index).map(|entry| entry.term);
        of_log.or_else(|| of_snapshot.map(|held| held.term).next())
    }

    pub fn has(&self, entry: &Entry) -> bool {
        self.snapshot
            .as_ref()
            .is_some_and(|snapshot| snapshot.index >= entry.index)
            || self.log.get(&entry.index.0) == Some(entry)
    }

    fn snapshot_index(&self) -> u64 {
        self.snapshot
            .as_ref()
            .map_or(0, |snapshot| snapshot.index.0)
    }

    fn last(&self) -> u64 {
        let last = self.log.last_key_value().map_or(0, |(index, _)| *index);
        last.max(self.snapshot_index())
    }
}

enum Apply {
    Entry(Entry),
    Snapshot(Snapshot),
}

/// From start to crash.
pub struct Life {
    pub consensus: Consensus,
    number: u64,
    /// Taken, not durable yet.
    writing: VecDeque<Ready>,
    to_apply: VecDeque<Apply>,
    applied: u64,
    state: u64,
    pub fetches: Vec<Fetch>,
    reads: BTreeMap<ReadId, u64>,
    counter: u64,
    wants_snapshot: bool,
    /// Snapshots that were sent, to be reported on.
    pub sent: Vec<NodeId>,
}

pub struct Node {
    pub id: NodeId,
    pub durable: Durable,
    pub life: Option<Life>,
    lives: u64,
    pub settings: Settings,
    /// What the state machine kept by itself through the last crash.
    kept: Option<(u64, u64)>,
}

impl Node {
    pub fn new(id: NodeId, dice: &mut Seeded, durable: Durable) -> Self {
        let message_bytes_max = [1, 300, 4000][dice.below(3) as usize];
        let settings = Settings {
            node: id,
            seed: dice.next_u64(),
            election_ticks: 10,
            heartbeat_ticks: 2,
            inflight_max: 1 + dice.below(8) as usize,
            message_bytes_max,
            uncommitted_bytes_max: message_bytes_max + 500 + dice.below(4000),
            window_bytes: dice.below(3000) as usize,
        };
        Self {
            id,
            durable,
            life: None,
            lives: 0,
            settings,
            kept: None,
        }
    }

    pub fn is_up(&self) -> bool {
        self.life.is_some()
    }

    pub fn leads(&self) -> bool {
        let standing = self.life.as_ref().map(|life| life.consensus.standing());
        standing.is_some_and(|standing| standing.role == Role::Leader)
    }

    pub fn applied(&self) -> u64 {
        self.life.as_ref().map_or(0, |life| life.applied)
    }

    pub fn start(&mut self, truth: &mut Truth) -> Held {
        assert!(self.life.is_none());
        self.lives += 1;
        let from_snapshot = self.durable.snapshot.as_ref().map_or((0, 0), |snapshot| {
            (snapshot.index.0, state_of(&snapshot.manifest))
        });
        let kept = self.kept.take();
        let fits =
            kept.filter(|(index, _)| (from_snapshot.0..=self.durable.last()).contains(index));
        let (applied, state) = fits.unwrap_or(from_snapshot);
        let made = Consensus::new(
            self.settings.clone(),
            self.durable.hard,
            self.durable.snapshot.clone(),
            self.durable.log.values().cloned().collect(),
            Index(applied),
        );
        let consensus =
            made.map_err(|unsound| format!("node {} does not start: {unsound}", self.id))?;
        self.life = Some(Life {
            consensus,
            number: self.lives,
            writing: VecDeque::new(),
            to_apply: VecDeque::new(),
            applied,
            state,
            fetches: Vec::new(),
            reads: BTreeMap::new(),
            counter: 0,
            wants_snapshot: false,
            sent: Vec::new(),
        });
        hold!(
            applied == 0 || truth.state_at(applied) == Some(state),
            "node {} starts from a state that never was",
            self.id
        );
        Ok(())
    }

    /// The power goes. Of the turns that were being written some may have
    /// become durable, unheard.
    pub fn crash(&mut self, dice: &mut Seeded, truth: &mut Truth) -> Held {
        let Some(mut life) = self.life.take() else {
            return Ok(());
        };
        for _ in 0..dice.below(life.writing.len() as u64 + 1) {
            let turn = life.writing.pop_front().expect("counted above");
            self.durable.write(&turn, truth)?;
        }
        if dice.one_in(4) {
            self.kept = Some((life.applied, life.state));
        }
        Ok(())
    }

    /// Takes all the work there is. Messages that may leave at once do.
    pub fn take(&mut self, truth: &mut Truth, out: &mut Vec<Letter>) -> Result<Vec<Entry>, String> {
        let mut news = Vec::new();
        let Some(life) = &mut self.life else {
            return Ok(news);
        };
        while let Some(mut turn) = life.consensus.take_ready() {
            send(self.id, &mut turn.send_now, out);
            if let Some(snapshot) = &turn.snapshot {
                truth.counts.snapshots += 1;
                life.to_apply.push_back(Apply::Snapshot(snapshot.clone()));
            }
            for entry in &turn.committed {
                if truth.commits(entry)? {
                    news.push(entry.clone());
                }
                if let Body::Members(_) = entry.body {
                    hold!(
                        &life.consensus.members_at(entry.index) == truth.members_at(entry.index.0),
                        "node {} takes other members from entry {}: {:?}, not {:?}",
                        self.id,
                        entry.index,
                        life.consensus.members_at(entry.index),
                        truth.members_at(entry.index.0)
                    );
                }
                life.to_apply.push_back(Apply::Entry(entry.clone()));
            }
            for (id, index) in &turn.reads {
                if let Some(least) = life.reads.remove(id) {
                    truth.counts.reads += 1;
                    hold!(
                        index.0 >= least,
                        "a read on node {} sees entry {index}, {least} was committed before it began",
                        self.id
                    );
                }
            }
            life.fetches.extend(&turn.fetches);
            life.sent
                .extend(turn.snapshots_sent.iter().map(|(to, _)| *to));
            life.wants_snapshot |= turn.wants_snapshot;
            life.writing.push_back(turn);
        }
        Ok(news)
    }

    /// The oldest turns become durable, and what rests on them leaves.
    pub fn persist(&mut self, turns: usize, truth: &mut Truth, out: &mut Vec<Letter>) -> Held {
        let Some(life) = &mut self.life else {
            return Ok(());
        };
        let mut last = None;
        let turns = turns.min(life.writing.len());
        let mut done: Vec<Ready> = life.writing.drain(..turns).collect();
        for turn in &done {
            self.durable.write(turn, truth)?;
            last = Some(turn.number);
            // A voter that is alone leads before its vote is durable. Nobody
            // hears of that life until then.
            if let Some(standing) = turn.standing
                && standing.role == Role::Leader
            {
                truth.leads(standing.term, self.id, life.number)?;
            }
        }
        if let Some(number) = last {
            life.consensus.persisted(number);
        }
        for turn in &mut done {
            send(self.id, &mut turn.send_when_persisted, out);
        }
        Ok(())
    }

    /// Applies committed entries to the state.
    pub fn apply(&mut self, count: usize, truth: &Truth) -> Held {
        let Some(life) = &mut self.life else {
            return Ok(());
        };
        for _ in 0..count.min(life.to_apply.len()) {
            match life.to_apply.pop_front().expect("counted above") {
                Apply::Entry(entry) => {
                    hold!(
                        entry.index.0 == life.applied + 1,
                        "node {} applies behind a gap",
                        self.id
                    );
                    life.state = chained(life.state, &entry);
                    life.applied = entry.index.0;
                }
                Apply::Snapshot(snapshot) => {
                    hold!(
                        snapshot.index.0 >= life.applied,
                        "node {} goes back in time",
                        self.id
                    );
                    life.state = state_of(&snapshot.manifest);
                    life.applied = snapshot.index.0;
                }
            }
            hold!(
                truth.state_at(life.applied) == Some(life.state),
                "node {} has another state at entry {}",
                self.id,
                life.applied
            );
            life.consensus.applied(Index(life.applied));
        }
        Ok(())
    }

    /// Takes a snapshot of what is applied and durable, and lets go of the log
    /// but for its last entries.
    pub fn compact(&mut self, keep: u64) {
        let Some(life) = &mut self.life else {
            return;
        };
        let index = life.consensus.status().applied;
        if index.0 != life.applied
            || index.0 <= self.durable.snapshot_index()
            || index.0 > self.durable.last()
        {
            return;
        }
        // A leader's snapshot is under way in its place.
        let Some(term) = life.consensus.term_at(index) else {
            return;
        };
        let snapshot = Snapshot {
            index,
            term,
            members: life.consensus.members_at(index),
            manifest: life.state.to_le_bytes().to_vec(),
        };
        life.wants_snapshot = false;
        self.durable.snapshot = Some(snapshot.clone());
        let keep_from = (index.0 + 1).saturating_sub(keep);
        self.durable.log = self.durable.log.split_off(&keep_from);
        life.consensus.compact(snapshot, Index(keep_from));
    }

    pub fn wants_snapshot(&self) -> bool {
        self.life.as_ref().is_some_and(|life| life.wants_snapshot)
    }

    /// Reads back what a follower needs.
    pub fn serve_fetches(&mut self, truth: &mut Truth) {
        let Some(life) = &mut self.life else {
            return;
        };
        for fetch in std::mem::take(&mut life.fetches) {
            truth.counts.fetches += 1;
            let run = self.durable.log.range(fetch.from.0..);
            let entries: Vec<Entry> = run.map(|(_, entry)| entry.clone()).take(20).collect();
            life.consensus.entries_for(fetch, entries);
        }
    }

    pub fn read(&mut self, truth: &Truth) {
        let Some(life) = &mut self.life else {
            return;
        };
        life.counter += 1;
        let id = ReadId {
            node: self.id,
            boot: life.number,
            counter: life.counter,
        };
        life.reads.insert(id, truth.last_committed());
        life.consensus.read_index(id);
    }

    /// Asks again for what was not answered.
    pub fn read_again(&mut self) {
        let Some(life) = &mut self.life else {
            return;
        };
        for id in life.reads.keys() {
            life.consensus.read_index(*id);
        }
    }

    pub fn unanswered(&self) -> usize {
        self.life.as_ref().map_or(0, |life| life.reads.len())
    }
}

fn send(from: NodeId, messages: &mut Vec<(NodeId, Vec<u8>)>, out: &mut Vec<Letter>) {
    out.extend(
        messages
            .drain(..)
            .map(|(to, bytes)| Letter { from, to, bytes }),
    );
}

fn state_of(manifest: &[u8]) -> u64 {
    u64::from_le_bytes(manifest.try_into().expect("8 bytes of state"))
}
