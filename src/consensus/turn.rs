//! Work handed out, and told as done.
//!
//! A turn's changes go into the window before the library hears that the turn
//! is on its way: from then on it reads them there. They may still be lost with
//! the power; what rests on them waits for `persisted`.

use super::codec;
use super::entry::{Body, Entry, Hard, Snapshot};
use super::members::{MemberStep, MembersChange};
use super::node::Consensus;
use super::ready::{Fetch, ReadId, Ready};
use crate::ids::{Index, NodeId, Term};
use crate::planted;
use raft::INVALID_ID;
use raft::eraftpb::{Message, MessageType};

impl Consensus {
    pub fn has_ready(&self) -> bool {
        self.raft.has_ready()
            || self.standing != self.standing()
            || self.store().has_wishes()
            || !self.local_reads.is_empty()
    }

    /// The next turn's work, if there is any.
    pub fn take_ready(&mut self) -> Option<Ready> {
        if !self.has_ready() {
            return None;
        }
        let mut turn = self.raft.ready();
        let mut ready = Ready {
            number: turn.number(),
            must_sync: turn.must_sync(),
            ..Ready::default()
        };
        assert_eq!(ready.number, self.given + 1);
        self.given = ready.number;
        self.hand_out_hard(turn.hs().map(Hard::from_raft), &mut ready);
        if !turn.snapshot().is_empty() {
            self.hand_out_snapshot(Snapshot::from_raft(turn.snapshot()), &mut ready);
        }
        let entries = turn.take_entries();
        ready.entries = entries.iter().map(Entry::from_raft).collect();
        self.raft.mut_store().append(entries);
        self.hand_out_messages(turn.take_messages(), true, &mut ready);
        self.hand_out_messages(turn.take_persisted_messages(), false, &mut ready);
        let reads = turn.take_read_states();
        let committed = turn.take_committed_entries();
        self.call(|raft| raft.advance_append_async(turn));

        self.hand_out_reads(reads, &mut ready);
        for entry in committed {
            self.hand_out_committed(Entry::from_raft(&entry), &mut ready);
        }
        self.press_on();
        self.hand_out_wishes(&mut ready);
        let standing = self.standing();
        ready.standing = (standing != self.standing).then_some(standing);
        self.standing = standing;
        Some(ready)
    }

    fn hand_out_hard(&mut self, hard: Option<Hard>, ready: &mut Ready) {
        let Some(hard) = hard else {
            return;
        };
        if (hard.term, hard.vote) != (self.hard.term, self.hard.vote) {
            self.vote_in = ready.number;
        }
        self.hard = hard;
        ready.hard = Some(hard);
        if planted!(VoteNotStored) {
            ready.hard = Some(Hard { vote: None, ..hard });
        }
    }

    fn hand_out_snapshot(&mut self, snapshot: Snapshot, ready: &mut Ready) {
        self.handed_out = snapshot.index;
        self.history.clear();
        self.history
            .insert(snapshot.index, snapshot.members.clone());
        self.raft.mut_store().restore(snapshot.clone());
        ready.snapshot = Some(snapshot);
    }

    /// A leader's entries may leave while its own disk still writes them: its
    /// vote in this term is durable, so it never leads the term again and never
    /// puts another entry in their place. That holds only once its term and
    /// vote are durable; a voter that is alone leads before they are.
    fn hand_out_messages(&mut self, messages: Vec<Message>, leads: bool, ready: &mut Ready) {
        let is_known = self.persisted >= self.vote_in;
        for mut message in messages {
            let peer = NodeId(message.to);
            self.spare_the_answer(&mut message);
            if message.msg_type == MessageType::MsgSnapshot {
                let index = Index(message.get_snapshot().get_metadata().index);
                ready.snapshots_sent.push((peer, index));
            }
            let Some(bytes) = codec::encode_message(&message) else {
                continue;
            };
            let promises_nothing = leads && is_known && is_leaders(&message);
            if promises_nothing || planted!(SentBeforePersisted) {
                ready.send_now.push((peer, bytes));
            } else {
                ready.send_when_persisted.push((peer, bytes));
            }
        }
    }

    /// Mere word of what is committed asks nothing of a follower that has
    /// answered for all before it: that answer would cost both a wake-up and
    /// tell nothing.
    fn spare_the_answer(&self, message: &mut Message) {
        if message.msg_type != MessageType::MsgAppend || !message.entries.is_empty() {
            return;
        }
        let progress = self.raft.raft.prs().get(message.to);
        if progress.is_some_and(|peer| peer.matched >= message.index) {
            message.context = codec::NO_ANSWER.into();
        }
    }

    fn hand_out_reads(&mut self, reads: Vec<raft::ReadState>, ready: &mut Ready) {
        let own = self.settings.node;
        let answered = reads.iter().filter_map(|read| {
            let id = ReadId::parse(&read.request_ctx).filter(|id| id.node == own)?;
            Some((id, Index(read.index)))
        });
        ready.reads.extend(answered);
        ready.reads.append(&mut self.local_reads);
    }

    /// A change of members holds from here on; no other is proposed before the
    /// replica has applied this one.
    fn hand_out_committed(&mut self, entry: Entry, ready: &mut Ready) {
        self.handed_out = entry.index;
        if let Body::Members(change) = &entry.body {
            self.adopt(entry.index, change);
        }
        if entry.index > self.applied_before {
            ready.committed.push(entry);
        }
    }

    fn adopt(&mut self, index: Index, change: &MembersChange) {
        let mut change = change.clone();
        if planted!(RemovedStillVotes) {
            change
                .steps
                .retain(|step| !matches!(step, MemberStep::Remove(_)));
        }
        match self.call(|raft| raft.apply_conf_change(&change.to_raft())) {
            Ok(_) => {
                self.history.insert(index, self.members());
            }
            // Every node has the same members at this entry, so each one
            // leaves the change out.
            Err(why) => tracing::warn!("entry {index} changes no members: {why}"),
        }
        // The library lets a leader lead on that is no voter any more. It would
        // answer reads by itself, and stop the process at its next write.
        if self.is_leader() && !self.members().is_voter(self.settings.node) {
            self.call(|raft| {
                let term = raft.raft.term;
                raft.raft.become_follower(term, INVALID_ID);
            });
        }
    }

    fn hand_out_wishes(&mut self, ready: &mut Ready) {
        ready.wants_snapshot = self.raft.mut_store().take_wants_snapshot();
        let missed = self.raft.mut_store().take_missed();
        if !self.is_leader() {
            self.fetching.clear();
            return self.raft.mut_store().retain_fetched(|_, _| false);
        }
        for from in missed.into_iter().map(Index) {
            let peer = self.peers_at(from).first().copied();
            if let (Some(peer), false) = (peer, self.fetching.contains(&from)) {
                self.fetching.insert(from);
                ready.fetches.push(Fetch { peer, from });
            }
        }
    }

    /// Everything of this turn and of those before is durable.
    pub fn persisted(&mut self, number: u64) {
        assert!(number <= self.given, "turn {number} was not given out");
        if number <= self.persisted {
            return;
        }
        self.persisted = number;
        self.call(|raft| raft.on_persist_ready(number));
        self.press_on();
    }

    /// The replica has applied the committed entries, or the snapshot, up to
    /// here.
    pub fn applied(&mut self, index: Index) {
        let handed_out = self.handed_out;
        assert!(index <= handed_out, "entry {index} was not given out");
        self.applied = self.applied.max(index);
        self.press_on();
    }

    /// Tells the library what is applied. It takes nothing that is not durable
    /// too, and a snapshot may be applied before that; nor may it hear of what
    /// an earlier life applied before the changes of members in it are taken.
    fn press_on(&mut self) {
        let log = &self.raft.raft.raft_log;
        let applied = self.applied.min(self.handed_out).0;
        let applied = applied.min(log.committed).min(log.persisted);
        if applied <= log.applied {
            return;
        }
        let last = log.last_index();
        self.call(|raft| {
            raft.advance_apply_to(applied);
            // Only a leader that leaves a joint configuration appends here, and
            // it would not tell the others before its next heartbeat.
            if raft.raft.raft_log.last_index() > last {
                raft.raft.bcast_append();
            }
            raft.mut_store().ease(applied);
        });
        self.drop_fetched();
    }

    /// Lets go of what was read back for followers that have it now.
    fn drop_fetched(&mut self) {
        let raft = &mut self.raft.raft;
        let matched: Vec<(NodeId, u64)> = raft
            .prs()
            .iter()
            .map(|(&id, progress)| (NodeId(id), progress.matched))
            .collect();
        raft.mut_store().retain_fetched(|peer, last| {
            matched
                .iter()
                .any(|&(node, until)| node == peer && until < last)
        });
    }

    /// The term of an entry that is in the log or just before it.
    pub fn term_at(&self, index: Index) -> Option<Term> {
        self.store().term_at(index.0).map(Term)
    }
}

/// What a leader says as leader. A vote, and the answer to a vote or to an
/// append, is never of these.
fn is_leaders(message: &Message) -> bool {
    matches!(
        message.msg_type,
        MessageType::MsgAppend
            | MessageType::MsgHeartbeat
            | MessageType::MsgSnapshot
            | MessageType::MsgTimeoutNow
            | MessageType::MsgReadIndexResp
    )
}
