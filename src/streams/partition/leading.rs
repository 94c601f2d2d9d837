//! What a leader does: places, acknowledgements, and who is in sync.

use super::{Answer, Ask, Effect, LeaderEpoch, Partition, Role, Standing};
use crate::ids::{NodeId, Offset, Zxid};
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
    /// Durable on the leader.
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
            has: Offset(0),
            caught_up_at: now,
            asked_at: now,
            end_then,
        }
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
    proposed: Option<Vec<NodeId>>,
    is_handing_on: bool,
    is_drained: bool,
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
            },
            answer => answer,
        }
    }

    fn compare(&self, ask: &Ask) -> Answer {
        let (first, watermark) = (self.first, self.watermark);
        let is_empty_at = |offset: Offset| offset == first || offset.0 == 0;
        if ask.next < first {
            return Answer::Gone { first };
        }
        let Some(epoch) = ask.last_epoch else {
            return match is_empty_at(ask.next) {
                true => Answer::Alike { watermark, first },
                false => Answer::Gone { first },
            };
        };
        let before = Offset(ask.next.0.saturating_sub(1));
        let is_alike = ask.next <= self.next && self.epochs.at(before) == Some(epoch);
        if is_alike || ask.next == first {
            return Answer::Alike { watermark, first };
        }
        match self.epochs.end_of(epoch, self.next) {
            Some((epoch, end)) if end > first => Answer::Parted { epoch, end },
            _ => Answer::Gone { first },
        }
    }

    fn note_progress(&mut self, now: Duration, from: NodeId, ask: &Ask) {
        let end = self.durable;
        let Role::Leads(leading) = &mut self.role else {
            return;
        };
        let Some(follower) = leading.followers.get_mut(&from) else {
            return;
        };
        follower.life = ask.life;
        follower.has = ask.has;
        if ask.has >= end {
            follower.caught_up_at = now;
        } else if ask.has >= follower.end_then {
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
            true => self.durable,
            false => leading.followers.get(node).map_or(Offset(0), |one| one.has),
        };
        let proposed = leading.proposed.iter().flatten();
        let in_sync = self.standing.in_sync.iter().chain(proposed);
        let by_all = in_sync.map(has).min().unwrap_or(Offset(0));
        if !self.standing.needs_majority {
            return by_all.min(self.durable);
        }
        let mut counted: Vec<Offset> = self.standing.counted.iter().map(has).collect();
        counted.sort_unstable_by(|a, b| b.cmp(a));
        let by_most = counted.get(counted.len() / 2).copied();
        by_all.min(by_most.unwrap_or(Offset(0))).min(self.durable)
    }

    fn acknowledge(&mut self) {
        let (watermark, durable) = (self.watermark, self.durable);
        let (up, floor) = (self.standing.in_sync_up(), self.standing.floor);
        let Role::Leads(leading) = &mut self.role else {
            return;
        };
        let is_done = |one: &mut Waiting<T>| match one.acks {
            Acks::Leader => durable >= one.next,
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
            let is_near = follower.has >= self.watermark && follower.has >= leading.began_at;
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
        let Some(lives) = in_sync.iter().map(life).collect() else {
            // This node's own life has ended: another leads soon.
            return;
        };
        leading.proposed = Some(in_sync);
        self.effects.push(Effect::Propose {
            leader_epoch: standing.leader_epoch,
            partition_epoch: standing.partition_epoch,
            in_sync: lives,
        });
    }

    /// The proposal was not taken. What holds instead comes by `stand`; where
    /// nothing has changed, it may be proposed again.
    pub fn not_taken(&mut self, leader_epoch: LeaderEpoch, partition_epoch: i32) {
        let (now_leads, now_stands) = (self.standing.leader_epoch, self.standing.partition_epoch);
        if let Role::Leads(leading) = &mut self.role
            && (leader_epoch, partition_epoch) == (now_leads, now_stands)
        {
            leading.proposed = None;
        }
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
