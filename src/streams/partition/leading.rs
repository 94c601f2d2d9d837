//! What a leader does: places, acknowledgements, and who is in sync.

use super::{Answer, Ask, Effect, LeaderEpoch, Partition, Role, Standing};
use crate::ids::{NodeId, Offset, Zxid};
use crate::planted;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// A follower that has not had all of the log for so long is not in sync.
    pub lag_max: Duration,
}

/// When a producer has its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// In the leader's log, synced or not.
    Leader,
    /// Acknowledged.
    All,
}

/// Why a producer's batches have no place, or no acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    NotLeader,
    /// Fewer in-sync members are up than an acknowledgement needs.
    NotEnough {
        up: usize,
        floor: usize,
    },
    /// It is in the log, and too few have it yet.
    TimedOut,
    /// The log did not take it.
    Storage,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLeader => write!(f, "this node does not lead the partition"),
            Self::NotEnough { up, floor } => write!(
                f,
                "{up} in-sync replicas are up, and an acknowledgement needs {floor}"
            ),
            Self::TimedOut => write!(f, "too few replicas have it in the time that was given"),
            Self::Storage => write!(f, "the log did not take it"),
        }
    }
}

impl std::error::Error for Refused {}

/// Where a producer's batches go, and what to name if the log does not take
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub base: Offset,
    pub epoch: LeaderEpoch,
    pub attempt: u64,
}

pub(super) struct Waiting<T> {
    pub token: T,
    pub acks: Acks,
    /// The offset behind its last record.
    pub next: Offset,
    pub until: Duration,
}

struct Follower {
    life: Zxid,
    /// The partition epoch by which it said so.
    heard: i32,
    has: Offset,
    /// When it last had all that the leader had when it asked before.
    caught_up_at: Duration,
    /// Its last ask, and where this log ended then.
    asked_at: Duration,
    end_then: Offset,
}

impl Follower {
    /// Given the whole time from now on.
    fn unheard(now: Duration, end_then: Offset) -> Self {
        Self {
            life: Zxid(0),
            heard: -1,
            has: Offset(0),
            caught_up_at: now,
            asked_at: now,
            end_then,
        }
    }

    fn has_heard(&self, epoch: i32) -> bool {
        self.heard >= epoch || planted!(RemovalNotMinded)
    }
}

pub(super) struct Leading<T> {
    /// Where this leader's first record goes.
    pub began_at: Offset,
    /// In the order of their offsets.
    pub waiting: Vec<Waiting<T>>,
    followers: BTreeMap<NodeId, Follower>,
    /// Asked for and not known to be refused. Both sets count until it is known
    /// which one holds.
    proposed: Option<Proposed>,
    is_handing_on: bool,
    is_drained: bool,
}

struct Proposed {
    in_sync: Vec<(NodeId, Zxid)>,
    /// Something is still to come of it.
    is_out: bool,
}

impl<T> Leading<T> {
    pub fn new(now: Duration, own: NodeId, next: Offset, standing: &Standing) -> Self {
        let others = standing.replicas.iter().filter(|&&node| node != own);
        Self {
            began_at: next,
            waiting: Vec::new(),
            followers: others
                .map(|node| (*node, Follower::unheard(now, next)))
                .collect(),
            proposed: None,
            is_handing_on: false,
            is_drained: false,
        }
    }

    /// The same leader, and something else has changed.
    pub fn heed(&mut self, now: Duration, standing: &Standing, has_moved: bool) {
        if has_moved {
            self.proposed = None;
        }
        self.followers
            .retain(|node, _| standing.replicas.contains(node));
        for (node, life) in &standing.lives {
            let follower = self.followers.get_mut(node);
            // Another life may be another disk: it says anew what it has.
            if let Some(follower) = follower.filter(|one| one.life != *life) {
                follower.has = Offset(0);
            }
        }
        let strangers = standing.replicas.iter();
        for node in strangers.filter(|&&node| Some(node) != standing.leader) {
            let unheard = || Follower::unheard(now, Offset(0));
            self.followers.entry(*node).or_insert_with(unheard);
        }
    }

    /// From now on what is in memory alone counts no more: all say anew what they
    /// have.
    pub fn forget_memory(&mut self) {
        if !planted!(MemoryCountedOn) {
            let followers = self.followers.values_mut();
            followers.for_each(|one| one.has = Offset(0));
        }
    }

    /// What a follower has said that it has.
    pub fn has_of(&self, node: NodeId) -> Offset {
        self.followers.get(&node).map_or(Offset(0), |one| one.has)
    }

    /// The same, where it has heard how the partition stands since this epoch.
    pub fn has_by(&self, node: NodeId, epoch: i32) -> Offset {
        let follower = self.followers.get(&node);
        let follower = follower.filter(|one| one.has_heard(epoch));
        follower.map_or(Offset(0), |one| one.has)
    }

    /// Whether a producer waits only for the leader's log to take something in.
    pub fn has_hasty(&self, taken: Offset) -> bool {
        let behind = self.waiting.iter().rev().take_while(|one| one.next > taken);
        behind.into_iter().any(|one| one.acks == Acks::Leader)
    }

    /// Those whose time is up.
    pub fn late(&mut self, now: Duration) -> impl Iterator<Item = Waiting<T>> {
        self.waiting.extract_if(.., move |one| one.until <= now)
    }
}

impl<T> Partition<T> {
    /// A producer's batches, of so many offsets in all, get their place: the
    /// first offset and the epoch. The caller appends them there, in the order
    /// of the places, and says when they have landed.
    pub fn offer(
        &mut self,
        acks: Acks,
        token: T,
        offsets: u64,
        until: Duration,
    ) -> Result<Place, (T, Refused)> {
        let (up, floor) = (self.standing.in_sync_up(), self.standing.floor);
        let leading = match &mut self.role {
            Role::Leads(leading) if !leading.is_handing_on => leading,
            _ => return Err((token, Refused::NotLeader)),
        };
        if acks == Acks::All && up < floor {
            return Err((token, Refused::NotEnough { up, floor }));
        }
        let base = self.next;
        let epoch = self.standing.leader_epoch;
        self.next = Offset(base.0 + offsets);
        self.epochs.note(epoch, base);
        let next = self.next;
        leading.waiting.push(Waiting {
            token,
            acks,
            next,
            until,
        });
        let attempt = self.attempt;
        Ok(Place {
            base,
            epoch,
            attempt,
        })
    }

    /// A follower asks. What it has may complete what others wait for.
    pub fn asked(&mut self, now: Duration, from: NodeId, ask: Ask) -> Answer {
        let is_known = self.standing.lives.get(&from) == Some(&ask.life);
        let is_ours = ask.leader_epoch == self.standing.leader_epoch;
        if !self.leads() || !is_known || !is_ours {
            return Answer::NotNow;
        }
        let answer = self.compare(&ask);
        if let Answer::Alike { .. } = answer {
            self.note_progress(now, from, &ask);
            self.advance();
            self.mind_in_sync(now);
        }
        match answer {
            Answer::Alike { first, .. } => Answer::Alike {
                watermark: self.watermark,
                first,
                everywhere: self.everywhere(),
            },
            answer => answer,
        }
    }

    fn compare(&self, ask: &Ask) -> Answer {
        let (first, watermark) = (self.first, self.watermark);
        let alike = Answer::Alike {
            watermark,
            first,
            everywhere: Offset(0),
        };
        let Some(epoch) = ask.last_epoch else {
            // It has nothing, or nothing any more: all of it was dropped, so that it
            // was acknowledged, and it goes on where that ended. Sent back to an
            // older beginning it would lose its place, and give offsets away again
            // if it led before it had caught up. The batch that holds the first
            // record may begin below it: whether it can go on from there is for the
            // caller to see, who sends records from there or says where they begin.
            return match ask.next <= self.next {
                true => alike,
                false => Answer::Gone { first },
            };
        };
        if ask.next < first {
            return Answer::Gone { first };
        }
        let before = Offset(ask.next.0.saturating_sub(1));
        let is_known = self.epochs.at(before) == Some(epoch) || planted!(EpochsNotCompared);
        let is_alike = ask.next <= self.next && is_known;
        if is_alike || ask.next == first {
            return alike;
        }
        match self.epochs.end_of(epoch, self.next) {
            Some((epoch, end)) if end > first => Answer::Parted { epoch, end },
            _ => Answer::Gone { first },
        }
    }

    fn note_progress(&mut self, now: Duration, from: NodeId, ask: &Ask) {
        let end = self.has();
        let counts = ask.is_durable || !self.standing.needs_majority || planted!(MemoryCountedOn);
        let Role::Leads(leading) = &mut self.role else {
            return;
        };
        let Some(follower) = leading.followers.get_mut(&from) else {
            return;
        };
        (follower.life, follower.heard) = (ask.life, ask.partition_epoch);
        follower.has = match counts {
            true => ask.has,
            false => ask.has.min(follower.has),
        };
        if follower.has >= end {
            follower.caught_up_at = now;
        } else if follower.has >= follower.end_then {
            follower.caught_up_at = follower.caught_up_at.max(follower.asked_at);
        }
        (follower.asked_at, follower.end_then) = (now, end);
    }

    /// What everybody has is acknowledged.
    pub(super) fn advance_leading(&mut self) {
        let reached = match &self.role {
            Role::Leads(leading) => self.reached(leading),
            _ => return,
        };
        self.wake_behind(reached);
        self.acknowledge();
    }

    /// What each in-sync member has, and a majority of the replicas.
    fn reached(&self, leading: &Leading<T>) -> Offset {
        let has = |node: &NodeId| match *node == self.own {
            true => self.has(),
            false => leading.has_of(*node),
        };
        let proposed = leading.proposed.iter().flat_map(|one| &one.in_sync);
        let proposed = proposed.filter(|_| !planted!(ProposedNotAwaited));
        let proposed = proposed.map(|(node, _)| node);
        let in_sync = self.standing.in_sync.iter().chain(proposed);
        let in_sync = in_sync.filter(|&&node| node == self.own || !planted!(InSyncNotAwaited));
        let by_all = in_sync.map(has).min().unwrap_or(Offset(0));
        if !self.standing.needs_majority {
            return by_all.min(self.has());
        }
        let mut counted: Vec<Offset> = self.standing.counted.iter().map(has).collect();
        counted.sort_unstable_by(|a, b| b.cmp(a));
        let by_most = counted.get(counted.len() / 2).copied();
        by_all.min(by_most.unwrap_or(Offset(0))).min(self.has())
    }

    fn acknowledge(&mut self) {
        let (watermark, taken) = (self.watermark, self.taken);
        let (up, floor) = (self.standing.in_sync_up(), self.standing.floor);
        let Role::Leads(leading) = &mut self.role else {
            return;
        };
        let is_done = |one: &mut Waiting<T>| match one.acks {
            _ if planted!(LeaderSuffices) => taken >= one.next,
            Acks::Leader => taken >= one.next,
            Acks::All => watermark >= one.next,
        };
        let done = leading.waiting.extract_if(.., is_done);
        let told = done.map(|one| match one.acks == Acks::All && up < floor {
            true => Effect::Acknowledge(one.token, Err(Refused::NotEnough { up, floor })),
            false => Effect::Acknowledge(one.token, Ok(())),
        });
        self.effects.extend(told);
        if leading.is_handing_on && !leading.is_drained && watermark == self.next {
            leading.is_drained = true;
            self.effects.push(Effect::Drained);
        }
    }

    /// Who has not kept up leaves the in-sync set, down to the floor; who has
    /// caught up comes in. One change at a time.
    pub(super) fn mind_in_sync(&mut self, now: Duration) {
        let (own, standing) = (self.own, &self.standing);
        let Role::Leads(leading) = &mut self.role else {
            return;
        };
        if leading.proposed.is_some() {
            return;
        }
        let lags = |node: &NodeId| {
            let follower = leading.followers.get(node);
            follower.is_some_and(|one| now.saturating_sub(one.caught_up_at) > self.settings.lag_max)
        };
        let has_all = |(node, follower): (&NodeId, &Follower)| {
            let is_up = standing.lives.get(node) == Some(&follower.life);
            let has_acknowledged = follower.has >= self.watermark || planted!(JoinsBehind);
            let has_older = follower.has >= leading.began_at || planted!(JoinsTooSoon);
            // Whoever is to decide knows of the same epoch, or refuses.
            let has_heard = follower.has_heard(standing.partition_epoch);
            let is_near = has_acknowledged && has_older && has_heard;
            (is_up && is_near && !standing.in_sync.contains(node)).then_some(*node)
        };
        // A member that is down stays where the set would be below the floor
        // without it, and goes when another has come in.
        let is_up = |node: &NodeId| *node == own || standing.lives.contains_key(node);
        let mut in_sync: Vec<NodeId> = standing.in_sync.clone();
        in_sync.retain(is_up);
        in_sync.extend(leading.followers.iter().filter_map(has_all));
        in_sync.sort_unstable();
        let room = in_sync.len().saturating_sub(standing.floor);
        let lagging: Vec<NodeId> = in_sync.iter().copied().filter(lags).take(room).collect();
        in_sync.retain(|node| !lagging.contains(node));
        if in_sync == standing.in_sync || in_sync.len() < standing.floor {
            return;
        }
        let life = |node: &NodeId| Some((*node, *standing.lives.get(node)?));
        let Some(in_sync) = in_sync.iter().map(life).collect() else {
            // This node's own life has ended: another leads soon.
            return;
        };
        leading.proposed = Some(Proposed {
            in_sync,
            is_out: false,
        });
        self.propose();
    }

    /// Says what is proposed, if nothing is to come any more of when it was said.
    pub(super) fn propose(&mut self) {
        let standing = &self.standing;
        let Role::Leads(leading) = &mut self.role else {
            return;
        };
        let silent = leading.proposed.as_mut().filter(|one| !one.is_out);
        if let Some(proposed) = silent {
            proposed.is_out = true;
            self.effects.push(Effect::Propose {
                leader_epoch: standing.leader_epoch,
                partition_epoch: standing.partition_epoch,
                in_sync: proposed.in_sync.clone(),
            });
        }
    }

    /// Nobody knows what came of the proposal: it may hold already, or come to
    /// hold. So it counts until something is heard of that, and is said again at
    /// the next tick, in the same words: one of the two is taken at most.
    pub fn not_answered(&mut self, leader_epoch: LeaderEpoch, partition_epoch: i32) {
        if planted!(SilenceTakenForRefusal) {
            return self.not_taken(leader_epoch, partition_epoch);
        }
        let (now_leads, now_stands) = (self.standing.leader_epoch, self.standing.partition_epoch);
        if let Role::Leads(leading) = &mut self.role
            && (leader_epoch, partition_epoch) == (now_leads, now_stands)
            && let Some(proposed) = &mut leading.proposed
        {
            proposed.is_out = false;
        }
    }

    /// The proposal was refused though nothing has changed since, and so was every
    /// one before it in the same words. Another may be made.
    pub fn not_taken(&mut self, leader_epoch: LeaderEpoch, partition_epoch: i32) {
        let (now_leads, now_stands) = (self.standing.leader_epoch, self.standing.partition_epoch);
        if let Role::Leads(leading) = &mut self.role
            && (leader_epoch, partition_epoch) == (now_leads, now_stands)
            && !planted!(RefusalNotHeard)
        {
            leading.proposed = None;
        }
    }

    /// Others who may lead next: those in sync, by what holds and by what may.
    pub fn heirs(&self) -> impl Iterator<Item = NodeId> {
        let proposed = match &self.role {
            Role::Leads(leading) => leading.proposed.as_ref(),
            _ => None,
        };
        let proposed = proposed.into_iter().flat_map(|one| &one.in_sync);
        let proposed = proposed.map(|(node, _)| node);
        let all = self.standing.in_sync.iter().chain(proposed);
        all.copied().filter(|&node| node != self.own)
    }

    /// Takes nothing more, and says when everything is where it should be.
    pub fn hand_on(&mut self) {
        if let Role::Leads(leading) = &mut self.role {
            leading.is_handing_on = true;
        }
        self.advance();
    }

    /// Nobody took the leadership: goes on.
    pub fn keep_leading(&mut self) {
        if let Role::Leads(leading) = &mut self.role {
            (leading.is_handing_on, leading.is_drained) = (false, false);
        }
    }
}
