//! What only a leader does, and what every node does at a tick.

use super::codec::Frame;
use super::desk::{Question, Role, SessionShown, Shown, Standing, WatchShown};
use super::{Now, Replica};
use crate::consensus::{self, MemberStep, MembersChange};
use crate::ids::{Index, NodeId, SessionId};
use crate::limits::{REAP_EVERY_TICKS, REAPED_AT_ONCE, TOUCHED_PER_FRAME_MAX};
use crate::log::Fatal;
use crate::peers::Plane;
use crate::planted;
use crate::state::{Command, MemberCommand, Role as Wanted};
use std::time::Duration;

/// Ticks between two looks at the disk's log.
pub(super) const STORAGE_EVERY_TICKS: u64 = 16;
/// Ticks between two looks at the room on the disk.
const ROOM_EVERY_TICKS: u64 = 4;
/// Ticks between two tries to hand over: nothing is proposed during one.
const HAND_OVER_EVERY_TICKS: u64 = 100;
/// Ticks between two looks at how long elections should take.
const SETTLE_EVERY_TICKS: u64 = 64;
/// A gap between two ticks that is longer than this many of them is time in
/// which this process did not run.
const PAUSE_TICKS: u32 = 4;

/// How long a removed node that is there is given to hear of it.
const FAREWELL: Duration = Duration::from_secs(3);

/// A removed node, and what it must know before majorities count without it.
pub(super) struct Farewell {
    node: NodeId,
    since: Duration,
    knows: Index,
}

/// What a node says by itself, at a tick, for as long as it is so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Word {
    Expire(SessionId),
    Reap(Box<str>),
    Role(NodeId),
    Room,
}

impl Replica {
    /// Called every `settings.tick`; late calls are one call.
    pub fn tick(&mut self, now: Now) -> Result<(), Fatal> {
        self.now = now;
        if !self.takes_part() {
            return self.lacking_tick(now);
        }
        let gap = now.monotonic.saturating_sub(self.ticked_at);
        if gap > self.settings.tick * PAUSE_TICKS {
            self.leases.forgive(gap - self.settings.tick);
        }
        self.ticked_at = now.monotonic;
        self.ticks += 1;
        self.said
            .retain(|_, number| self.pending.contains_key(number));
        self.tick_consensus();
        if self.ticks.is_multiple_of(STORAGE_EVERY_TICKS) {
            self.storage.tick()?;
        }
        self.keeping_tick();
        self.mind_room();
        self.mind_no_leader();
        self.look_for_lost();
        if self.is_leader() {
            self.end_silent_sessions();
            self.reap();
            self.mind_members();
        } else {
            self.report_touched();
        }
        Ok(())
    }

    /// What was heard of sessions before another led is not known here: each
    /// has its whole timeout from now.
    pub(super) fn begin_leading(&mut self) {
        if planted!(TimersNotRestarted) {
            return;
        }
        let sessions = self.state.sessions();
        let sessions = sessions.map(|(id, session)| (id, session.timeout_ms));
        self.leases.begin(self.now.monotonic, sessions);
    }

    pub(super) fn stop_leading(&mut self) {
        self.leases.end();
        self.gathered.clear();
        self.gathered_bytes = 0;
        self.farewell = None;
    }

    /// A node that waits for a leader waits longer where disk and peers are
    /// slow: fewer ticks count.
    fn tick_consensus(&mut self) {
        if self.ticks.is_multiple_of(SETTLE_EVERY_TICKS) {
            self.pace.settle();
        }
        if self.is_leader() || self.ticks.is_multiple_of(u64::from(self.pace.stretch())) {
            self.consensus.tick();
        }
    }

    /// Not again while it is on its way: on a full disk that may be for long,
    /// and all of it would wait in memory.
    fn say(&mut self, word: Word, command: Command) {
        if !self.is_saying(&word) {
            self.submit_inside(command, None);
            self.said.insert(word, self.last_number);
        }
    }

    fn is_saying(&self, word: &Word) -> bool {
        let number = self.said.get(word);
        number.is_some_and(|number| self.pending.contains_key(number))
    }

    pub(super) fn touch(&mut self, session: SessionId) {
        match self.is_leader() {
            true => self.leases.touch(self.now.monotonic, session),
            false => {
                self.touched.insert(session);
            }
        }
    }

    fn report_touched(&mut self) {
        let Some(leader) = self.lead.leader else {
            return;
        };
        let touched: Vec<SessionId> = std::mem::take(&mut self.touched).into_iter().collect();
        for sessions in touched.chunks(TOUCHED_PER_FRAME_MAX) {
            let frame = Frame::Touch(sessions.to_vec()).encode();
            self.sends.push((leader, Plane::Control, frame));
        }
    }

    fn end_silent_sessions(&mut self) {
        for session in self.leases.due(self.now.monotonic) {
            let Some(found) = self.state.session(session) else {
                self.leases.close(session);
                continue;
            };
            if planted!(ExpiryNotProposed) {
                continue;
            }
            let connection = found.connection;
            tracing::info!(
                session = format!("{:#x}", session.0),
                "a session is silent and ends"
            );
            let expire = Command::ExpireSession {
                session,
                connection,
            };
            self.say(Word::Expire(session), expire);
        }
    }

    fn reap(&mut self) {
        if !self.ticks.is_multiple_of(REAP_EVERY_TICKS) {
            return;
        }
        for path in self.state.reapable(self.now.wall, REAPED_AT_ONCE) {
            self.say(Word::Reap(path.clone()), Command::Reap { path });
        }
    }

    /// Tells all when this node's disk is nearly full, while there is room to
    /// say so, and when it is no more. A leader whose disk is full goes on
    /// holding in memory what the others keep: another leads soon.
    fn mind_room(&mut self) {
        let (own, members) = (self.settings.node, self.state.members());
        let was_short = members.is_short_of_room(own);
        let is_heard = self.lead.leader.is_some() && !self.has_left();
        if !is_heard || self.is_saying(&Word::Room) || !self.ticks.is_multiple_of(ROOM_EVERY_TICKS)
        {
            return;
        }
        let Ok(free) = self.storage.disk().free_bytes() else {
            return;
        };
        let low = self.settings.room_low_bytes;
        let enough = if was_short { low / 2 * 3 } else { low };
        let is_short = self.storage.is_full() || free < enough;
        if is_short != was_short {
            tracing::warn!(is_short, free, low, "room on the disk");
            let node = own;
            let room = MemberCommand::Room { node, is_short };
            self.say(Word::Room, Command::Members(room));
        } else if is_short && self.ticks.is_multiple_of(HAND_OVER_EVERY_TICKS) {
            self.hand_over_to_one_with_room();
        }
    }

    fn hand_over_to_one_with_room(&mut self) {
        let (own, members) = (self.settings.node, self.state.members());
        let voters = self.consensus.members().voters;
        let mut heirs = voters.into_iter().filter(|&node| {
            node != own && members.get(node).is_some() && !members.is_short_of_room(node)
        });
        if let Some(heir) = heirs.find(|&node| self.has_caught_up(node)) {
            self.consensus.transfer(heir);
        }
    }

    /// Who should lead where this node leaves: of the voters that are there and
    /// have room the one that has most of the log. None where this node does not
    /// lead, or nobody else can.
    pub fn heir(&self, but: &[NodeId]) -> Option<NodeId> {
        if !self.is_leader() {
            return None;
        }
        let (own, members) = (self.settings.node, self.state.members());
        let voters = self.consensus.members().voters;
        let status = self.consensus.status();
        let may_lead = status.peers.iter().filter(|peer| {
            let node = peer.node;
            let is_fit = members.get(node).is_some() && !members.is_short_of_room(node);
            // At each look for a majority all are taken for silent until they
            // answer; a connection says more, where one is known.
            let is_there = self.levels.is_up(node) || peer.is_active;
            let is_voter = node != own && voters.contains(&node);
            is_voter && is_fit && is_there && peer.matched > Index(0) && !but.contains(&node)
        });
        let heir = may_lead.max_by_key(|peer| (self.levels.is_up(peer.node), peer.matched));
        heir.map(|peer| peer.node)
    }

    /// Begins to hand the leadership on, unless that is under way, but to none
    /// of those that were tried. Gives who is to lead. Nothing is proposed before
    /// another leads or it was given up, an election timeout later.
    pub fn hand_over(&mut self, tried: &[NodeId]) -> Option<NodeId> {
        if let Some(heir) = self.consensus.heir().filter(|_| self.is_leader()) {
            return Some(heir);
        }
        let heir = self.heir(tried)?;
        tracing::info!(%heir, "the leadership is handed on");
        self.consensus.transfer(heir);
        Some(heir)
    }

    /// Brings consensus' members one step nearer to the list that the state
    /// holds: a newcomer follows first and votes when it has caught up.
    fn mind_members(&mut self) {
        let (have, wanted) = (self.consensus.members(), self.state.members());
        // A node by itself has no list.
        if wanted.iter().next().is_none() {
            return;
        }
        let may_vote = |node| wanted.promised().any(|promised| promised == node);
        let newcomer = wanted.iter().find(|member| !have.contains(member.node));
        let grown_up = have.learners.iter().find(|node| {
            let is_voter = wanted
                .get(**node)
                .is_some_and(|one| one.role == Wanted::Voter);
            (is_voter || may_vote(**node)) && self.has_caught_up(**node)
        });
        let gone = || {
            let mut all = have.voters.iter().chain(&have.learners);
            all.find(|node| wanted.get(**node).is_none())
        };
        let step = match (newcomer, grown_up) {
            (Some(member), _) => Some(MemberStep::Learner(member.node)),
            (None, Some(&node)) => Some(MemberStep::Voter(node)),
            (None, None) => gone().map(|&node| MemberStep::Remove(node)),
        };
        let own = self.settings.node;
        let is_heir = |node: &&NodeId| **node != own && wanted.get(**node).is_some();
        let heirs: Vec<NodeId> = have.voters.iter().filter(is_heir).copied().collect();
        // The list says voter once consensus does.
        let become_voter: Vec<NodeId> = wanted
            .iter()
            .filter(|member| member.role == Wanted::Learner && have.voters.contains(&member.node))
            .map(|member| member.node)
            .collect();
        for node in become_voter {
            let role = Wanted::Voter;
            let command = MemberCommand::SetRole { node, role };
            self.say(Word::Role(node), Command::Members(command));
        }
        let Some(step) = step else {
            return;
        };
        if step == MemberStep::Remove(own) {
            // Another leads first, so that nobody waits for an election.
            if let Some(heir) = heirs.into_iter().find(|node| self.has_caught_up(*node)) {
                self.consensus.transfer(heir);
            }
            return;
        }
        if let MemberStep::Remove(node) = step
            && !self.has_said_farewell(node)
        {
            return;
        }
        match self.consensus.change_members(MembersChange::one(step)) {
            Ok(()) => tracing::info!(?step, "the members change"),
            Err(refused) => tracing::debug!(?step, ?refused, "a change of members waits"),
        }
    }

    /// Once majorities count without a node nothing goes there any more: before
    /// that it is to know that it was removed, or it would knock for ever at
    /// doors that are shut. Who is not there is not waited for.
    fn has_said_farewell(&mut self, node: NodeId) -> bool {
        let (now, applied) = (self.now.monotonic, self.applied);
        let farewell = match self.farewell.take() {
            Some(begun) if begun.node == node => begun,
            _ => Farewell {
                node,
                since: now,
                knows: applied,
            },
        };
        let status = self.consensus.status();
        let peer = status.peers.iter().find(|peer| peer.node == node);
        let is_there = |peer: &&consensus::PeerStatus| peer.is_active || self.levels.is_up(node);
        let waits_for = peer.filter(is_there);
        let has_heard = waits_for.is_none_or(|peer| peer.committed >= farewell.knows);
        let is_over = has_heard || now.saturating_sub(farewell.since) >= FAREWELL;
        self.farewell = Some(farewell);
        is_over
    }

    /// Little enough is missing that it has it within one election timeout. A
    /// newcomer has answered for nothing yet, however short the log is: made a
    /// voter before it runs, it could take a majority with it.
    fn has_caught_up(&self, node: NodeId) -> bool {
        const NEAR: u64 = 64;
        let status = self.consensus.status();
        let peer = status.peers.iter().find(|peer| peer.node == node);
        peer.is_some_and(|peer| {
            let is_near = peer.matched.0 + NEAR >= status.last.0;
            peer.is_active && peer.matched > Index(0) && is_near
        })
    }

    pub(super) fn report_digest(&mut self, index: Index, digest: u64) {
        if let Some(leader) = self.lead.leader
            && leader != self.settings.node
        {
            let frame = Frame::Digest { index, digest }.encode();
            self.sends.push((leader, Plane::Control, frame));
        }
    }

    /// Two replicas that applied the same must hold the same. An alarm: which
    /// of the two is wrong cannot be told from here.
    pub(super) fn compare_digest(&mut self, from: NodeId, index: Index, digest: u64) {
        let ours = self.digests.iter().find(|(at, _)| *at == index);
        if let Some((_, ours)) = ours
            && *ours != digest
        {
            self.differs.get_or_insert(from);
            tracing::error!(
                %from,
                %index,
                "the replicated state differs from this node's: run `dolmen doctor` on both"
            );
        }
    }

    pub fn has_diverged(&self) -> bool {
        self.differs.is_some()
    }

    pub(super) fn stand(&self) -> Standing {
        let (figures, watches) = (self.state.figures(), self.watches.counts());
        let members = self.consensus.members();
        let role = match self.lead.role {
            consensus::Role::Leader if members.voters.len() == 1 && members.learners.is_empty() => {
                Role::Alone
            }
            consensus::Role::Leader => Role::Leader,
            _ if self.lead.leader.is_none() => Role::Looking,
            _ if members.learners.contains(&self.settings.node) => Role::Learner,
            _ => Role::Follower,
        };
        let status = self.consensus.status();
        let is_synced =
            |peer: &&consensus::PeerStatus| peer.node != self.settings.node && peer.is_active;
        Standing {
            role,
            leader: self.lead.leader,
            node: self.settings.node,
            term: self.lead.term.0,
            zxid: self.state.zxid(),
            restoration: self.state.restoration(),
            nodes: figures.nodes,
            ephemerals: figures.ephemerals,
            data_bytes: figures.data_bytes,
            watches: watches.watches,
            watched_paths: watches.paths,
            watching_connections: watches.connections,
            sessions: figures.sessions,
            connections: self.lines.len() as u64,
            outstanding: self.pending.len() as u64,
            voters: members.voters.len() as u64,
            learners: members.learners.len() as u64,
            synced_followers: status.peers.iter().filter(is_synced).count() as u64,
            started: self.started,
            digest: self.state.digest(),
            snapshot_index: self.keeping.kept.index.0,
            log_index: status.last.0,
            snapshot_bytes: self.keeping.kept.bytes,
            log_bytes: self.keeping.log_bytes,
            is_disk_full: self.storage.is_full(),
            is_short_of_room: self.state.members().is_short_of_room(self.settings.node),
            takes_more: self.state.members().have_room(),
            has_left: self.has_left(),
            lacks_state: self.lacks_state(),
            features: self.level(),
            outgrown: self.outgrown().map(Into::into),
            differs: self.differs,
            election_timeout_ms: self.pace.election_timeout().as_millis() as u64,
            flush_p99_us: self.pace.flush_p99().as_micros() as u64,
            is_read_only: self.lead.leader.is_none() && self.serves_read_only(),
        }
    }

    pub(super) fn show(&self, question: Question) -> Shown {
        match question {
            Question::Standing => Shown::Standing(Box::new(self.stand())),
            Question::Sessions => Shown::Sessions(self.shown_sessions()),
            Question::Watches => Shown::Watches(self.shown_watches()),
        }
    }

    pub fn shown_sessions(&self) -> Vec<SessionShown> {
        let sessions = self.state.sessions();
        sessions
            .map(|(session, held)| SessionShown {
                session,
                timeout_ms: held.timeout_ms,
                connection: self.attached.get(&session).copied(),
                ephemerals: self.state.ephemerals(session, "/"),
            })
            .collect()
    }

    pub fn shown_watches(&self) -> Vec<WatchShown> {
        let watches = self.watches.iter();
        watches
            .filter_map(|(path, connection)| {
                let line = self.lines.get(&connection)?;
                Some(WatchShown {
                    path: path.into(),
                    session: line.session,
                })
            })
            .collect()
    }
}
