//! Submissions to the leader, entries to the log, messages to peers.
//!
//! Nothing that says "I have it" leaves before the disk has it: such messages
//! wait with the number of their Ready until the storage names it.

use super::codec::{Frame, decode};
use super::desk::{ConnectionId, NotOpened, Reply};
use super::gather::Gather;
use super::levels::level_of;
use super::{Done, Now, Pending, Replica, Sender};
use crate::consensus::{self, Consensus, Kind, Ready, Role};
use crate::ids::{Index, NodeId, SessionId};
use crate::limits::{
    ENTRY_BYTES, FORWARDED_BYTES, FORWARDED_PER_FRAME_MAX, GATHERED_BYTES_MAX, RESEND_AFTER_TICKS,
};
use crate::log::Fatal;
use crate::peers::{Plane, Release};
use crate::state::{Command, Error, Submission, codec};
use std::sync::Arc;

impl Replica {
    pub(super) fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Sends a command on to be committed. `from` is the connection and its
    /// sequence number where a client sent it.
    pub(super) fn submit(
        &mut self,
        number: u64,
        from: Option<(ConnectionId, u64)>,
        command: Command,
        sender: Sender,
    ) {
        let mut submission = Submission {
            origin: self.settings.node,
            tag: number,
            session: SessionId(0),
            connection: 0,
            sequence: 0,
            who: Vec::new(),
            command,
        };
        if let Some((connection, sequence)) = from
            && let Some(line) = self.lines.get(&connection)
        {
            submission.session = line.session;
            submission.connection = line.attachment;
            submission.sequence = sequence;
            submission.who = line.who.clone();
        }
        let encoded: Arc<[u8]> = codec::encode(self.level(), &submission).into();
        self.route(number, &encoded);
        self.pending.insert(number, Pending { encoded, sender });
    }

    pub(super) fn submit_inside(&mut self, command: Command, done: Option<Done>) {
        let number = self.next_number();
        self.submit(number, None, command, Sender::Inside(done));
    }

    fn route(&mut self, number: u64, encoded: &Arc<[u8]>) {
        if self.is_leader() {
            self.gather(encoded.clone());
        } else if self.lead.leader.is_some() {
            self.to_forward.push(number);
        }
        // Without a leader it waits among the pending for the next one.
    }

    fn gather(&mut self, encoded: Arc<[u8]>) {
        self.gathered_bytes += encoded.len();
        self.gathered.push_back(encoded);
    }

    /// The submissions that have come go on: into an entry, or to the leader.
    pub(super) fn send_on(&mut self) {
        if self.is_leader() {
            self.propose();
        } else {
            self.forward();
        }
    }

    /// What was gathered while the last entry was on its way to the disk is
    /// the next entry.
    fn propose(&mut self) {
        if self.applied < self.proposed {
            return;
        }
        self.batch.back(self.now.monotonic, self.gathered.len());
        if self.gathered.is_empty() || self.is_held(self.gathered.len(), self.gathered_bytes) {
            return;
        }
        let (mut count, mut bytes) = (0, 0);
        for submission in &self.gathered {
            if count > 0 && bytes + submission.len() > ENTRY_BYTES {
                break;
            }
            count += 1;
            bytes += submission.len();
        }
        let submissions: Vec<&[u8]> = self.gathered.iter().take(count).map(|one| &**one).collect();
        let entry = codec::encode_entry(self.level(), self.now.wall, &submissions);
        match self.consensus.propose(entry) {
            Ok(()) => {
                self.gathered.drain(..count);
                self.gathered_bytes -= bytes;
                self.batch.went(self.now.monotonic, count);
                self.proposed = self.consensus.last_index();
                // The entry carries the commit mark.
                self.spread = self.applied;
            }
            // During a transfer, or with too much uncommitted: at a later turn.
            Err(refused) => tracing::debug!(?refused, "an entry waits"),
        }
    }

    /// Whether what waits is held for more. What fills an entry is not.
    fn is_held(&mut self, waiting: usize, bytes: usize) -> bool {
        self.held_until = self.batch.holds(self.now.monotonic, waiting);
        self.held_until.take_if(|_| bytes > ENTRY_BYTES);
        self.held_until.is_some()
    }

    /// Tells the followers what is committed, unless an entry that does has
    /// just gone, or is about to.
    pub(super) fn spread_commit(&mut self) {
        if self.is_leader() && self.spread < self.applied {
            self.spread = self.applied;
            self.consensus.spread_commit();
        }
    }

    fn forward(&mut self) {
        let Some(leader) = self.lead.leader else {
            self.to_forward.clear();
            return;
        };
        if self
            .forwarded
            .is_some_and(|last| self.pending.contains_key(&last))
        {
            return;
        }
        let waiting = self.to_forward.len();
        self.batch.back(self.now.monotonic, waiting);
        if waiting == 0 || self.is_held(waiting, 0) {
            return;
        }
        let numbers = std::mem::take(&mut self.to_forward);
        self.batch.went(self.now.monotonic, waiting);
        self.forwarded = numbers.last().copied();
        let mut frame = Vec::new();
        let mut bytes = 0;
        for number in &numbers {
            let Some(pending) = self.pending.get(number) else {
                continue;
            };
            if frame.len() == FORWARDED_PER_FRAME_MAX || bytes > FORWARDED_BYTES {
                let forward = Frame::Forward(std::mem::take(&mut frame)).encode();
                self.sends.push((leader, Plane::Control, forward));
                bytes = 0;
            }
            bytes += pending.encoded.len();
            frame.push(&*pending.encoded);
        }
        if !frame.is_empty() {
            let forward = Frame::Forward(frame).encode();
            self.sends.push((leader, Plane::Control, forward));
        }
    }

    /// Sends all that is not applied once more, in order: to a new leader, or
    /// where the way there may have lost some. The state takes each once.
    pub(super) fn send_again(&mut self) {
        self.resent_at = self.now.monotonic;
        if self.is_leader() {
            self.gathered.clear();
            self.gathered_bytes = 0;
            let pending: Vec<_> = self
                .pending
                .values()
                .map(|one| one.encoded.clone())
                .collect();
            pending.into_iter().for_each(|encoded| self.gather(encoded));
        } else {
            self.forwarded = None;
            self.to_forward = self.pending.keys().copied().collect();
        }
    }

    /// A submission that got lost on its way is sent again after a while.
    pub(super) fn look_for_lost(&mut self) {
        let after = self.settings.tick * RESEND_AFTER_TICKS;
        let is_due = self.now.monotonic.saturating_sub(self.resent_at) >= after;
        if !self.is_leader() && is_due && !self.pending.is_empty() {
            self.send_again();
        } else if self.pending.is_empty() {
            self.resent_at = self.now.monotonic;
        }
    }

    /// A frame from a peer that has shown who it is.
    pub fn heard(&mut self, now: Now, from: NodeId, bytes: &[u8]) {
        self.now = now;
        match decode(bytes) {
            Ok(frame) => self.take_frame(from, frame),
            Err(bad) => tracing::warn!(%from, %bad, "a frame that cannot be read"),
        }
    }

    fn take_frame(&mut self, from: NodeId, frame: Frame<'_>) {
        if self.outgrown().is_some() {
            return;
        }
        if self.lacks_state() {
            return self.lacking_frame(from, frame);
        }
        match frame {
            Frame::Consensus(message) => self.step(from, message),
            Frame::Forward(submissions) => {
                for submission in submissions {
                    if !self.is_leader() || self.gathered_bytes > GATHERED_BYTES_MAX {
                        break;
                    }
                    // Of a follower that has seen the level raised before this new
                    // leader: it is sent again.
                    if codec::level_of(submission) <= self.level() {
                        self.gather(submission.into());
                    }
                }
            }
            Frame::Touch(sessions) => {
                for session in sessions {
                    self.leases.touch(self.now.monotonic, session);
                }
            }
            Frame::Digest { index, digest } => self.compare_digest(from, index, digest),
            Frame::AskPiece { index, term, at } => self.hand_on(from, index, term, at),
            Frame::Piece {
                index,
                term,
                at,
                bytes,
            } => self.take_piece(from, index, term, at, bytes),
            Frame::NoPiece { index, term } => self.no_piece(from, index, term),
            Frame::AskSnapshot { least } => self.offer_snapshot(from, least),
            // It came after the state did.
            Frame::HaveSnapshot { .. } => {}
        }
    }

    /// A snapshot's message is held back until the snapshot itself is here.
    fn step(&mut self, from: NodeId, message: &[u8]) {
        match Consensus::peek(message) {
            Ok(Kind::Snapshot {
                index,
                term,
                manifest,
            }) if index > self.applied => self.fetch(from, index, term, &manifest, message),
            Ok(_) => self.step_now(from, message),
            Err(bad) => tracing::warn!(%from, %bad, "a message of consensus that cannot be read"),
        }
    }

    pub(super) fn step_now(&mut self, from: NodeId, message: &[u8]) {
        if let Err(refused) = self.consensus.step(from, message) {
            tracing::debug!(%from, ?refused, "a message of consensus is not taken");
        }
    }

    pub fn peer_up(&mut self, now: Now, node: NodeId, release: Release) {
        self.now = now;
        self.levels.up(node, release);
        self.note_peer(node, true);
        // What was on its way when the connection broke is lost.
        if self.lead.leader == Some(node) {
            self.send_again();
        }
    }

    pub fn peer_down(&mut self, now: Now, node: NodeId) {
        self.now = now;
        self.levels.down(node);
        self.levels.forget_strangers(self.state.members());
        self.note_peer(node, false);
        if self.takes_part() {
            self.consensus.report_unreachable(node);
        }
    }

    /// Has the disk go on; what it has made durable lets messages go and
    /// consensus count.
    pub(super) fn persist(&mut self) -> Result<bool, Fatal> {
        let Some(number) = self.storage.turn()? else {
            return Ok(false);
        };
        self.consensus.persisted(number);
        while let Some((first, _)) = self.unpersisted.front()
            && *first <= number
        {
            let (_, messages) = self.unpersisted.pop_front().expect("looked at above");
            self.send_messages(messages);
        }
        self.persisted = Some(number);
        Ok(true)
    }

    /// Takes what consensus has ready, one portion of it.
    pub(super) fn agree(&mut self) -> Result<bool, Fatal> {
        match self.consensus.take_ready() {
            Some(ready) => self.take_ready(ready).map(|()| true),
            None => Ok(false),
        }
    }

    fn take_ready(&mut self, ready: Ready) -> Result<(), Fatal> {
        let number = ready.number;
        if !self.may_keep(level_of(&ready.entries))? {
            return Ok(());
        }
        if let Some(standing) = ready.standing {
            self.lead_changes(standing);
        }
        self.wants_snapshot |= ready.wants_snapshot;
        for (node, _) in &ready.snapshots_sent {
            self.snapshot_sent(*node);
        }
        self.send_messages(ready.send_now);
        let installed = match ready.snapshot {
            Some(snapshot) => Some(self.install(snapshot)?),
            None => None,
        };
        let is_empty = ready.entries.is_empty() && ready.hard.is_none() && installed.is_none();
        if is_empty && self.unpersisted.is_empty() && self.storage.is_quiet() {
            self.consensus.persisted(number);
            self.send_messages(ready.send_when_persisted);
        } else {
            self.storage
                .remember(number, installed, ready.entries, ready.hard);
            self.pace.flush_begins(number, self.now.monotonic);
            self.unpersisted
                .push_back((number, ready.send_when_persisted));
        }
        for entry in &ready.committed {
            self.apply_entry(entry)?;
            if !self.takes_part() {
                return Ok(());
            }
        }
        // A snapshot counts as well: a node that has not said so may not ask for
        // votes, and its time stands still for consensus.
        if installed.is_some() || !ready.committed.is_empty() {
            self.consensus.applied(self.applied);
        }
        for (id, index) in ready.reads {
            if id.node == self.settings.node && id.boot == self.boot {
                self.syncs.confirm(id.counter, index);
            }
        }
        for fetch in ready.fetches {
            self.read_for(fetch);
        }
        Ok(())
    }

    fn send_messages(&mut self, messages: Vec<(NodeId, Vec<u8>)>) {
        for (to, message) in messages {
            let frame = Frame::Consensus(&message).encode();
            self.sends.push((to, Plane::Control, frame));
        }
    }

    /// Another leads, or this node, or nobody.
    fn lead_changes(&mut self, lead: consensus::Standing) {
        let (before, is_same) = (self.lead, self.lead == lead);
        if is_same {
            return;
        }
        self.lead = lead;
        self.proposed = Index(0);
        self.forwarded = None;
        self.batch = Gather::default();
        self.held_until = None;
        if before.leader == lead.leader && before.role == lead.role {
            return;
        }
        tracing::info!(role = ?lead.role, leader = ?lead.leader, term = %lead.term, "who leads");
        match lead.role {
            Role::Leader => self.begin_leading(),
            _ => self.stop_leading(),
        }
        if lead.leader.is_some() {
            self.led_at = self.now.monotonic;
            self.end_read_only();
            self.send_again();
        }
    }

    /// Nobody has led for so long that clients should try another node.
    pub(super) fn mind_no_leader(&mut self) {
        if self.has_left() {
            self.end_read_only();
            return self.turn_away();
        }
        if self.lead.leader.is_some() {
            self.led_at = self.now.monotonic;
            return;
        }
        let patience = self.pace.election_timeout() * 4;
        if self.now.monotonic.saturating_sub(self.led_at) >= patience {
            self.turn_away();
        }
    }

    fn turn_away(&mut self) {
        let serving: Vec<_> = self
            .lines
            .iter()
            .filter(|(_, line)| !line.is_read_only)
            .map(|(connection, _)| *connection)
            .collect();
        for connection in serving {
            self.close(connection, super::desk::CloseReason::NotServing);
        }
        self.give_up_all();
    }

    pub(super) fn give_up_all(&mut self) {
        let numbers: Vec<u64> = self.pending.keys().copied().collect();
        for number in numbers {
            self.give_up(number);
        }
    }

    /// Stops waiting for a submission. It may be applied all the same.
    pub(super) fn give_up(&mut self, number: u64) {
        let Some(pending) = self.pending.remove(&number) else {
            return;
        };
        match pending.sender {
            Sender::Opening(opening) => self.replies.push(Reply::NotOpened {
                connection: opening.connection,
                why: NotOpened::NotServing,
            }),
            Sender::Inside(Some(done)) => self.outcomes.push((done, Err(Error::Unavailable))),
            Sender::Line(_) | Sender::Inside(None) => {}
        }
    }

    fn end_read_only(&mut self) {
        let read_only: Vec<_> = self
            .lines
            .iter()
            .filter(|(_, line)| line.is_read_only)
            .map(|(connection, _)| *connection)
            .collect();
        for connection in read_only {
            self.close(connection, super::desk::CloseReason::NotServing);
        }
    }
}
