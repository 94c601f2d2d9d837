//! One partition on one node: who may append to it, how its replicas are kept
//! alike, what is acknowledged, and how far readers see. Pure: what happened
//! goes in, what is to be done comes out, and the log's bytes stay with the
//! caller.
//!
//! ```text
//! stand      the replicated state says who leads and who is in sync
//! offer      a producer's batches get their place        -> the caller appends
//! landed     what was appended is durable here
//! asked      a follower asks the leader for more, and says what it has
//! answered   the leader's answer                         -> append, cut, begin anew
//! tick       time has gone by
//! ```
//!
//! A record is acknowledged once every in-sync member, and a majority of the
//! replicas, have it on stable storage: then the **watermark** is behind it. So
//! each in-sync member has all that was acknowledged, and one of them leads
//! next. A follower that parts from its leader cuts its log where their epochs
//! part (`epochs`); what it cuts was never acknowledged, for the leader has all
//! that was.

mod epochs;
mod following;
mod leading;
#[cfg(test)]
mod tests;

pub use epochs::{Epochs, LeaderEpoch};
pub use following::Span;
pub use leading::{Acks, Place, Refused, Settings};

use crate::ids::{NodeId, Offset, Zxid};
use following::Following;
use leading::Leading;
use std::collections::BTreeMap;
use std::time::Duration;

/// How it stands with a partition, as the replicated state has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    pub leader: Option<NodeId>,
    pub leader_epoch: LeaderEpoch,
    pub partition_epoch: i32,
    /// All that hold it.
    pub replicas: Vec<NodeId>,
    /// Those of whom a majority is counted: without those that are being added.
    pub counted: Vec<NodeId>,
    pub in_sync: Vec<NodeId>,
    /// The replicas that are up, each in the life that it announced last.
    pub lives: BTreeMap<NodeId, Zxid>,
    /// In-sync members that are up without whom nothing is acknowledged.
    pub floor: usize,
    /// An acknowledgement needs a majority of the replicas.
    pub needs_majority: bool,
}

impl Standing {
    fn in_sync_up(&self) -> usize {
        let in_sync = self.in_sync.iter();
        in_sync.filter(|node| self.lives.contains_key(node)).count()
    }
}

/// What a follower asks of the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The epoch in which it follows.
    pub leader_epoch: LeaderEpoch,
    /// The life in which it asks.
    pub life: Zxid,
    /// Where its log ends, with what is on its way to its disk.
    pub next: Offset,
    /// Of the record before `next`; None where its log has none.
    pub last_epoch: Option<LeaderEpoch>,
    /// Durable there up to here. Never above `next`.
    pub has: Offset,
}

/// What a leader answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// They are alike up to what was asked for. The caller sends the records
    /// from there on that are durable, if there are any.
    Alike { watermark: Offset, first: Offset },
    /// They part. The leader's records of this epoch, or of the last before the
    /// one that was named, end here.
    Parted { epoch: LeaderEpoch, end: Offset },
    /// The leader has nothing that the follower could go on from.
    Gone { first: Offset },
    /// It does not lead in that epoch, or does not know the follower's life
    /// yet.
    NotNow,
}

/// What the caller is to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect<T> {
    /// Removes every record from `from` on. Its completion is `landed`, with
    /// the run of this partition as it is then.
    Truncate { from: Offset },
    /// Empties the log; the next record has this offset. Completes likewise.
    Restart { at: Offset },
    /// Forgets every record below `until`.
    DropPrefix { until: Offset },
    /// Proposes this in-sync set.
    Propose {
        leader_epoch: LeaderEpoch,
        partition_epoch: i32,
        in_sync: Vec<(NodeId, Zxid)>,
    },
    /// A producer has its answer.
    Acknowledge(T, Result<(), Refused>),
    /// Readers may see more, or learn that the leader is another.
    Wake,
    /// Everything is on all in-sync members, and nothing more is taken: the
    /// leadership may be handed on.
    Drained,
    /// Records below the watermark were cut, as only an unclean election can
    /// bring about: for a person to know.
    Lost { from: Offset, until: Offset },
}

pub struct Partition<T> {
    own: NodeId,
    settings: Settings,
    standing: Standing,
    /// The oldest record that is kept.
    first: Offset,
    /// Where the next record goes.
    next: Offset,
    /// Durable here up to this. Invariant: durable <= next.
    durable: Offset,
    /// Acknowledged up to this, as far as this node knows: readers see what is
    /// below. Invariant: never falls but by `Lost`, and watermark <= durable.
    watermark: Offset,
    epochs: Epochs,
    /// Raised whenever the log is cut: what was appended before that and lands
    /// later says nothing any more.
    run: u64,
    /// Raised with each append that the log does not take, and with `run`.
    attempt: u64,
    role: Role<T>,
    effects: Vec<Effect<T>>,
}

enum Role<T> {
    Idle,
    Leads(Leading<T>),
    Follows(Following),
}

/// The log of a partition as it was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    pub first: Offset,
    pub next: Offset,
    pub epochs: Epochs,
}

impl<T> Partition<T> {
    /// From what a node finds on its disk, all of it durable. It takes no part
    /// before it is told how it stands.
    pub fn new(own: NodeId, settings: Settings, found: Found) -> Self {
        Self {
            own,
            settings,
            standing: Standing::default(),
            first: found.first,
            next: found.next,
            durable: found.next,
            watermark: found.first,
            epochs: found.epochs,
            run: 0,
            attempt: 0,
            role: Role::Idle,
            effects: Vec::new(),
        }
    }

    /// What is to be done, since the last time.
    pub fn take_effects(&mut self) -> Vec<Effect<T>> {
        std::mem::take(&mut self.effects)
    }

    pub fn first(&self) -> Offset {
        self.first
    }

    pub fn next(&self) -> Offset {
        self.next
    }

    pub fn durable(&self) -> Offset {
        self.durable
    }

    pub fn watermark(&self) -> Offset {
        self.watermark
    }

    pub fn epochs(&self) -> &Epochs {
        &self.epochs
    }

    pub fn run(&self) -> u64 {
        self.run
    }

    pub fn attempt(&self) -> u64 {
        self.attempt
    }

    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    pub fn leads(&self) -> bool {
        matches!(self.role, Role::Leads(_))
    }

    /// Whether the watermark of the leader before is known to be reached: until
    /// then a leader does not know how far its readers have seen.
    pub fn is_settled(&self) -> bool {
        match &self.role {
            Role::Leads(leading) => self.watermark >= leading.began_at,
            _ => false,
        }
    }

    /// The replicated state says how it stands.
    pub fn stand(&mut self, now: Duration, standing: Standing) {
        let epochs = |standing: &Standing| (standing.leader_epoch, standing.partition_epoch);
        if epochs(&standing) < epochs(&self.standing) {
            return;
        }
        let holds = |standing: &Standing| standing.replicas.contains(&self.own);
        let is_same = standing.leader_epoch == self.standing.leader_epoch
            && standing.leader == self.standing.leader
            && holds(&standing) == holds(&self.standing);
        let has_moved = standing.partition_epoch > self.standing.partition_epoch;
        self.standing = standing;
        match &mut self.role {
            Role::Leads(leading) if is_same => leading.heed(now, &self.standing, has_moved),
            _ if is_same => {}
            _ => self.begin(now),
        }
        self.advance();
    }

    fn begin(&mut self, now: Duration) {
        self.resign();
        let holds = self.standing.replicas.contains(&self.own);
        self.role = match self.standing.leader {
            Some(leader) if leader == self.own => {
                Role::Leads(Leading::new(now, self.own, self.next, &self.standing))
            }
            Some(leader) if holds => Role::Follows(Following::new(leader)),
            _ => Role::Idle,
        };
        self.effects.push(Effect::Wake);
    }

    /// Who waits for an acknowledgement is told that somebody else leads: what
    /// was written may be kept or not.
    fn resign(&mut self) {
        if let Role::Leads(leading) = &mut self.role {
            let waiting = leading.waiting.drain(..);
            let told = waiting.map(|one| Effect::Acknowledge(one.token, Err(Refused::NotLeader)));
            self.effects.extend(told);
        }
    }

    /// The log up to `next` is durable here, in the run in which it was
    /// appended or cut.
    pub fn landed(&mut self, run: u64, next: Offset) {
        if run == self.run && next > self.durable {
            self.durable = next.min(self.next);
            self.advance();
        }
    }

    /// What was appended from `from` on, at this try, was not taken by the log,
    /// and nothing of this try behind it will be: the place is given to others.
    /// Nobody has read it.
    pub fn failed(&mut self, attempt: u64, from: Offset) {
        if attempt != self.attempt || from >= self.next {
            return;
        }
        self.attempt += 1;
        self.next = from.max(self.durable);
        self.epochs.truncate(self.next);
        if let Role::Leads(leading) = &mut self.role {
            let lost = leading.waiting.extract_if(.., |one| one.next > from);
            let told = lost.map(|one| Effect::Acknowledge(one.token, Err(Refused::Storage)));
            self.effects.extend(told);
        }
    }

    /// The log ends at `next` from now on.
    fn cut(&mut self, next: Offset) {
        self.run += 1;
        self.attempt += 1;
        self.next = next;
        self.epochs.truncate(next);
        self.durable = self.durable.min(next);
        if self.watermark > next {
            let (from, until) = (next, self.watermark);
            self.watermark = next;
            self.effects.push(Effect::Lost { from, until });
        }
    }

    /// The oldest records are forgotten: by the leader's rules of retention, or
    /// because somebody asked for it. What is not acknowledged is kept.
    pub fn drop_prefix(&mut self, until: Offset) {
        let until = until.min(self.watermark);
        if until > self.first {
            self.first = until;
            self.epochs.drop_prefix(until);
            self.effects.push(Effect::DropPrefix { until });
        }
    }

    pub fn tick(&mut self, now: Duration) {
        let Role::Leads(leading) = &mut self.role else {
            return;
        };
        let late = leading.late(now);
        let told = late.map(|one| Effect::Acknowledge(one.token, Err(Refused::TimedOut)));
        self.effects.extend(told.collect::<Vec<_>>());
        self.mind_in_sync(now);
    }

    fn advance(&mut self) {
        match &self.role {
            Role::Idle => {}
            Role::Leads(_) => self.advance_leading(),
            Role::Follows(following) => {
                let watermark = following.watermark.min(self.durable);
                self.wake_behind(watermark);
            }
        }
    }

    fn wake_behind(&mut self, watermark: Offset) {
        if watermark > self.watermark {
            self.watermark = watermark;
            self.effects.push(Effect::Wake);
        }
    }
}
