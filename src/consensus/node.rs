//! The surface.

use super::codec::{self, Kind, Unparsed};
use super::entry::{Entry, Hard, Snapshot};
use super::errors::{NotTaken, StepError};
use super::members::{Members, MembersChange};
use super::ready::{Fetch, PeerStatus, ReadId, Role, Standing, Status};
use super::settings::Settings;
use super::window::Window;
use crate::ids::{Index, NodeId, Term};
use crate::limits::{CONSENSUS_ENTRY_BYTES_MAX, CONSENSUS_FETCHED_MESSAGES};
use crate::planted;
use raft::eraftpb::MessageType;
use raft::{ProgressState, RawNode, SnapshotStatus, StateRole};
use std::collections::{BTreeMap, BTreeSet};

/// One node's part in consensus.
pub struct Consensus {
    pub(super) settings: Settings,
    pub(super) raft: RawNode<Window>,
    /// The number of the last turn that was given out.
    /// Invariant: persisted <= given.
    pub(super) given: u64,
    pub(super) persisted: u64,
    /// The last turn that carries a new term or vote. Until it is durable this
    /// life may be forgotten whole, and then nobody may have heard of it.
    pub(super) vote_in: u64,
    /// What was given out last.
    pub(super) hard: Hard,
    pub(super) standing: Standing,
    /// The last entry that was given out as committed, or the last snapshot.
    pub(super) handed_out: Index,
    /// Committed entries up to here were applied in an earlier life.
    pub(super) applied_before: Index,
    /// What the replica has said of its applying.
    pub(super) applied: Index,
    /// The members as of each change that is not before the snapshot.
    pub(super) history: BTreeMap<Index, Members>,
    /// Entries that the replica was asked for and has not brought yet.
    pub(super) fetching: BTreeSet<Index>,
    /// Reads answered without a majority: only where a test plants that.
    pub(super) local_reads: Vec<(ReadId, Index)>,
}

impl Consensus {
    /// Everything that reaches the library goes through here: wherever it may
    /// have drawn an election timeout by chance, ours takes its place.
    pub(super) fn call<T>(&mut self, what: impl FnOnce(&mut RawNode<Window>) -> T) -> T {
        let outcome = what(&mut self.raft);
        let term = Term(self.raft.raft.term);
        let ticks = self.settings.election_ticks_in(term);
        self.raft.raft.set_randomized_election_timeout(ticks);
        outcome
    }

    /// Time passes. It stands still for a node that may not ask for votes yet.
    pub fn tick(&mut self) {
        if self.is_leader() || self.may_campaign() {
            self.call(|raft| raft.tick());
        }
        self.leave_joint_when_due();
    }

    /// Takes a peer's message. `from` is the node whose certificate the
    /// connection showed.
    pub fn step(&mut self, from: NodeId, message: &[u8]) -> Result<(), StepError> {
        let message = codec::parse_message(message)?;
        self.admit(from, &message)?;
        if !self.has_use_for(&message) {
            return Ok(());
        }
        let wants_no_answer = codec::wants_no_answer(&message);
        let answers_before = self.raft.raft.msgs.len();
        match self.call(|raft| raft.step(message)) {
            Ok(()) => {
                if wants_no_answer {
                    self.withhold_the_answer(answers_before);
                }
                Ok(())
            }
            Err(raft::Error::StepPeerNotFound) => Err(StepError::Stranger(from)),
            Err(error) => unreachable!("the library refuses no parsed message so: {error}"),
        }
    }

    /// A rejection goes all the same: the leader took this log for another.
    fn withhold_the_answer(&mut self, answers_before: usize) {
        let answers = &mut self.raft.raft.msgs;
        let is_new = answers.len() > answers_before;
        answers.pop_if(|answer| {
            let is_answer = answer.msg_type == MessageType::MsgAppendResponse;
            is_new && is_answer && !answer.reject
        });
    }

    /// What a message is, so that a snapshot can be held back until its chunks
    /// are here.
    pub fn peek(message: &[u8]) -> Result<Kind, Unparsed> {
        codec::peek(message)
    }

    /// Proposes one entry. Only a leader takes it: what a follower is asked to
    /// write travels in the replica's own frames, which keep a session's order.
    pub fn propose(&mut self, data: Vec<u8>) -> Result<(), NotTaken> {
        let bytes = data.len();
        if bytes == 0 {
            return Err(NotTaken::Blank);
        }
        if bytes > CONSENSUS_ENTRY_BYTES_MAX {
            return Err(NotTaken::TooLong {
                bytes,
                bytes_max: CONSENSUS_ENTRY_BYTES_MAX,
            });
        }
        self.check_leads()?;
        self.call(|raft| raft.propose(Vec::new(), data))
            .map_err(|_| NotTaken::Full)
    }

    /// Proposes a change of members. Until it is applied no other is taken.
    pub fn change_members(&mut self, change: MembersChange) -> Result<(), NotTaken> {
        self.check_leads()?;
        // Checked before, because the library puts an empty entry in the place
        // of a change it does not like, and says nothing.
        if self.may_have_pending_change() {
            return Err(NotTaken::ChangePending);
        }
        self.members().check(&change)?;
        self.call(|raft| raft.propose_conf_change(Vec::new(), change.to_raft()))
            .map_err(|_| NotTaken::Full)
    }

    /// A leader that has not committed an entry of its own term does not know
    /// whether another change was made behind its back.
    fn may_have_pending_change(&self) -> bool {
        self.raft.raft.has_pending_conf() || !self.raft.raft.commit_to_current_term()
    }

    fn check_leads(&self) -> Result<(), NotTaken> {
        if !self.is_leader() {
            return Err(NotTaken::NotLeader {
                leader: self.standing().leader,
            });
        }
        match self.raft.raft.lead_transferee {
            Some(_) => Err(NotTaken::Transferring),
            None => Ok(()),
        }
    }

    /// Asks for votes without waiting for a leader's silence: for a node that
    /// knows it is the only voter.
    pub fn campaign(&mut self) {
        if !self.is_leader() && self.may_campaign() {
            // Refused only while a change of members is not applied.
            let _ = self.call(|raft| raft.campaign());
        }
    }

    /// The last entry of the log, durable or not.
    pub fn last_index(&self) -> Index {
        Index(self.raft.raft.raft_log.last_index())
    }

    /// Whether word of what is committed may wait for the next entry, which
    /// carries it. Where none follows, `spread_commit` is due.
    pub fn hold_commit(&mut self, hold: bool) {
        self.call(|raft| raft.skip_bcast_commit(hold));
    }

    /// Tells the followers at once how far it is committed.
    pub fn spread_commit(&mut self) {
        if self.is_leader() {
            self.call(|raft| raft.raft.bcast_append());
        }
    }

    /// Hands leadership to another voter, or gives up after an election
    /// timeout. Does nothing on a node that does not lead.
    pub fn transfer(&mut self, to: NodeId) {
        if self.is_leader() {
            self.call(|raft| raft.transfer_leader(to.0));
        }
    }

    /// To whom the leadership is being handed.
    pub fn heir(&self) -> Option<NodeId> {
        self.raft.raft.lead_transferee.map(NodeId)
    }

    /// Asks which index a read that begins now must see applied. The question
    /// or its answer may be lost: the caller asks again, under the same id if
    /// it likes.
    pub fn read_index(&mut self, id: ReadId) {
        if planted!(LocalRead) {
            let known = Index(self.raft.raft.raft_log.committed);
            return self.local_reads.push((id, known));
        }
        self.call(|raft| raft.read_index(id.encode()));
    }

    /// The replica has a durable snapshot. Entries below `keep_from` may leave
    /// the log; those that are not covered by the snapshot may not.
    pub fn compact(&mut self, snapshot: Snapshot, keep_from: Index) {
        let index = snapshot.index;
        let applied = self.raft.raft.raft_log.applied;
        assert!(index.0 <= applied, "entry {index} is not applied");
        if self
            .store()
            .snapshot_index()
            .is_some_and(|held| held > index.0)
        {
            return;
        }
        let members = self.members_at(index);
        assert_eq!(snapshot.members, members, "the members at entry {index}");
        let term = self.store().term_at(index.0);
        assert_eq!(term, Some(snapshot.term.0), "the term at entry {index}");
        self.history.retain(|&at, _| at > index);
        self.history.insert(index, members);
        let keep_from = keep_from.0.min(index.0 + 1);
        self.call(|raft| raft.mut_store().compact(snapshot, keep_from));
    }

    /// Brings what a `Fetch` asked for: the log's entries from `fetch.from` on,
    /// as many as are at hand; none if they cannot be had.
    pub fn entries_for(&mut self, fetch: Fetch, entries: Vec<Entry>) {
        let was_asked = self.fetching.remove(&fetch.from);
        let begins_there = entries
            .first()
            .is_some_and(|entry| entry.index == fetch.from);
        if !was_asked || !begins_there || !self.is_leader() {
            return;
        }
        let bytes_max = self.settings.message_bytes_max * CONSENSUS_FETCHED_MESSAGES;
        let entries = entries.into_iter().map(Entry::into_raft).collect();
        let waiting = self.peers_at(fetch.from);
        self.call(|raft| {
            raft.mut_store()
                .keep_fetched(fetch.peer, entries, bytes_max);
            waiting
                .iter()
                .for_each(|peer| raft.raft.send_append(peer.0));
        });
    }

    pub fn report_unreachable(&mut self, node: NodeId) {
        self.call(|raft| raft.report_unreachable(node.0));
    }

    /// How the sending of a snapshot ended. Entries flow to the node again
    /// only after this was said.
    pub fn report_snapshot(&mut self, node: NodeId, ok: bool) {
        let status = if ok {
            SnapshotStatus::Finish
        } else {
            SnapshotStatus::Failure
        };
        self.call(|raft| raft.report_snapshot(node.0, status));
    }

    pub fn standing(&self) -> Standing {
        let raft = &self.raft.raft;
        Standing {
            role: match raft.state {
                StateRole::Leader => Role::Leader,
                StateRole::Candidate | StateRole::PreCandidate => Role::Candidate,
                StateRole::Follower if raft.promotable() => Role::Follower,
                StateRole::Follower => Role::Learner,
            },
            leader: (raft.leader_id != raft::INVALID_ID).then_some(NodeId(raft.leader_id)),
            term: Term(raft.term),
        }
    }

    pub fn status(&self) -> Status {
        let log = &self.raft.raft.raft_log;
        let mut peers: Vec<PeerStatus> = Vec::new();
        if self.is_leader() {
            peers.extend(
                self.raft
                    .raft
                    .prs()
                    .iter()
                    .map(|(&id, progress)| PeerStatus {
                        node: NodeId(id),
                        matched: Index(progress.matched),
                        committed: Index(progress.committed_index),
                        next: Index(progress.next_idx),
                        is_active: id == self.settings.node.0 || progress.recent_active,
                        takes_snapshot: progress.state == ProgressState::Snapshot,
                    }),
            );
            peers.sort_unstable_by_key(|peer| peer.node);
        }
        Status {
            standing: self.standing(),
            first: Index(log.first_index()),
            last: Index(log.last_index()),
            commit: Index(log.committed),
            persisted: Index(log.persisted),
            applied: Index(log.applied),
            snapshot: self.store().snapshot_index().map(Index),
            peers,
        }
    }

    /// The members as of the last entry given out as committed.
    pub fn members(&self) -> Members {
        Members::from_raft(&self.raft.raft.prs().conf().to_conf_state())
    }

    /// The members once the entry at `index` is applied: what belongs into a
    /// snapshot of that index.
    pub fn members_at(&self, index: Index) -> Members {
        let (_, members) = self
            .history
            .range(..=index)
            .next_back()
            .expect("an index that the snapshot at hand does not cover");
        members.clone()
    }

    pub(super) fn is_leader(&self) -> bool {
        self.raft.raft.state == StateRole::Leader
    }

    pub(super) fn store(&self) -> &Window {
        self.raft.store()
    }

    /// Those that wait for the entry at an index.
    pub(super) fn peers_at(&self, index: Index) -> Vec<NodeId> {
        let waits =
            self.raft.raft.prs().iter().filter(|(id, progress)| {
                progress.next_idx == index.0 && **id != self.settings.node.0
            });
        let mut peers: Vec<NodeId> = waits.map(|(&id, _)| NodeId(id)).collect();
        peers.sort_unstable();
        peers
    }

    /// A leader leaves a joint configuration by itself when it has applied the
    /// entry that led there; but one that came to lead afterwards may not.
    fn leave_joint_when_due(&mut self) {
        let is_due = self.is_leader()
            && self.members().is_joint()
            && !self.may_have_pending_change()
            && self.raft.raft.lead_transferee.is_none();
        if is_due {
            let leave = MembersChange::leave_joint().to_raft();
            // Nothing in it, so no bound on bytes refuses it.
            let taken = self.call(|raft| raft.propose_conf_change(Vec::new(), leave));
            assert!(taken.is_ok(), "leaving takes no room");
        }
    }
}
