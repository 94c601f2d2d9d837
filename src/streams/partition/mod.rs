//! One partition on one node: who may append to it, how its replicas are kept
//! alike, what is acknowledged, and how far readers see. Pure: what happened
//! goes in, what is to be done comes out, and the log's bytes stay with the
//! caller.
//!
//! ```text
//! stand      the replicated state says who leads and who is in sync
//! offer      a producer's batches get their place        -> the caller appends
//! taken      what was appended is in this node's log, and not synced yet
//! landed     it is durable here
//! asked      a follower asks the leader for more, and says what it has
//! answered   the leader's answer                         -> append, cut, begin anew
//! tick       time has gone by
//! ```
//!
//! A record is acknowledged once every in-sync member, and a majority of the
//! replicas, have it on stable storage: then the **watermark** is behind it. So
//! each in-sync member has all that was acknowledged, and one of them leads
//! next. A topic may be content with less (`durability = "replicated"`, Kafka's
//! meaning): with all in-sync members that have it in memory. A follower that parts from its leader cuts its log where their epochs
//! part (`epochs`); what it cuts was never acknowledged, for the leader has all
//! that was.

mod epochs;
mod following;
#[cfg(test)]
mod haste;
#[cfg(test)]
mod lags;
mod leading;
#[cfg(test)]
mod tests;

pub use epochs::{Epochs, LeaderEpoch};
pub use following::Span;
pub use leading::{Acks, Place, Refused, Settings};

use crate::ids::{NodeId, Offset, Zxid};
use crate::planted;
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
    /// An acknowledgement needs a majority of the replicas, and what counts is
    /// what is durable; else what is in the memory of the in-sync members.
    pub needs_majority: bool,
    /// Whoever leads is to hand it on.
    pub hands_on: bool,
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
    /// Up to which it has heard how the partition stands. What it says of its log
    /// by an older one may be of a log that it gives up when it hears of the next:
    /// it was removed, and added again.
    pub partition_epoch: i32,
    /// The life in which it asks.
    pub life: Zxid,
    /// Where its log ends, with what is on its way to its disk.
    pub next: Offset,
    /// Of the record before `next`; None where its log has none.
    pub last_epoch: Option<LeaderEpoch>,
    /// What it has up to here, as its topic counts it. Never above `next`.
    pub has: Offset,
    /// By which it means on stable storage. The topic may have been altered, and
    /// one of the two may not have heard of it.
    pub is_durable: bool,
}

/// What a leader answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// They are alike up to what was asked for. The caller sends the records
    /// from there on that its log has taken in, if there are any. A follower without
    /// records may ask from below the first: where no batch begins there that
    /// holds it, the caller says `Gone` instead, and where one does. One of which
    /// everything was dropped goes on where it ended.
    Alike {
        watermark: Offset,
        first: Offset,
        /// Every replica has all below.
        everywhere: Offset,
    },
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
    /// In this node's log up to this. Invariant: taken <= next.
    taken: Offset,
    /// Durable here up to this. Invariant: durable <= taken.
    durable: Offset,
    /// Acknowledged up to this, as far as this node knows: readers see what is
    /// below. Invariant: never falls but by `Lost`, and watermark <= taken; where
    /// what counts is what is durable, watermark <= durable.
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
            taken: found.next,
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

    pub fn taken(&self) -> Offset {
        self.taken
    }

    pub fn durable(&self) -> Offset {
        self.durable
    }

    /// What this replica has of the log, as the topic counts it.
    pub fn has(&self) -> Offset {
        match self.standing.needs_majority {
            true => self.durable,
            false => self.taken,
        }
    }

    /// Every replica has all below, in sync or not, as far as this node knows.
    /// What says that something is gone is not to go itself before that: whoever
    /// is behind would keep what was deleted, and show it when it leads.
    pub fn everywhere(&self) -> Offset {
        let known = match &self.role {
            Role::Idle => Offset(0),
            Role::Leads(leading) => {
                let others = self.standing.replicas.iter();
                let others = others.filter(|&&node| node != self.own);
                let epoch = self.standing.partition_epoch;
                let has = others.map(|node| leading.has_by(*node, epoch));
                has.min().unwrap_or(self.watermark)
            }
            Role::Follows(following) => following.everywhere,
        };
        known.min(self.watermark)
    }

    /// Whether somebody waits for less than the disk: then `take_in` is to be
    /// told as soon as it is so.
    pub fn is_hasty(&self) -> bool {
        let waits = match &self.role {
            Role::Idle => return false,
            // Followers sync it while it is synced here.
            Role::Leads(_) if self.standing.replicas.len() > 1 => true,
            Role::Leads(leading) => leading.has_hasty(self.taken),
            Role::Follows(_) => false,
        };
        self.taken < self.next && (waits || !self.standing.needs_majority)
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
        let are_others =
            standing.lives != self.standing.lives || standing.replicas != self.standing.replicas;
        let counts_disks = standing.needs_majority && !self.standing.needs_majority;
        self.standing = standing;
        match &mut self.role {
            Role::Leads(leading) if is_same => {
                leading.heed(now, &self.standing, has_moved);
                if counts_disks {
                    leading.forget_memory();
                }
            }
            // One of them may have begun anew.
            Role::Follows(following) if is_same && are_others => following.everywhere = Offset(0),
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
        if let Role::Leads(leading) = &mut self.role
            && !planted!(WaitingNotTold)
        {
            let waiting = leading.waiting.drain(..);
            let told = waiting.map(|one| Effect::Acknowledge(one.token, Err(Refused::NotLeader)));
            self.effects.extend(told);
        }
    }

    /// The log has taken in all up to `next`. It will not refuse it any more, and
    /// a power cut may still undo it.
    pub fn take_in(&mut self, run: u64, next: Offset) {
        if run == self.run && next > self.taken {
            self.taken = next.min(self.next);
            self.advance();
        }
    }

    /// The log up to `next` is durable here, in the run in which it was
    /// appended or cut.
    pub fn landed(&mut self, run: u64, next: Offset) {
        let is_of_this = run == self.run || planted!(OldRunLands);
        if is_of_this && next > self.durable {
            self.durable = next.min(self.next);
            self.taken = self.taken.max(self.durable);
            self.advance();
        }
    }

    /// What was appended from `from` on, at this try, was not taken by the log,
    /// and nothing of this try behind it will be: the place is given to others.
    /// Nobody has read it.
    pub fn failed(&mut self, attempt: u64, from: Offset) {
        let is_of_this = attempt == self.attempt || planted!(OldAttemptFails);
        if !is_of_this || from >= self.next {
            return;
        }
        self.attempt += 1;
        self.next = from.max(self.taken);
        self.epochs.truncate(self.next);
        if let Role::Leads(leading) = &mut self.role {
            let is_lost =
                |one: &mut leading::Waiting<T>| one.next > from && !planted!(FailureNotTold);
            let lost = leading.waiting.extract_if(.., is_lost);
            let told = lost.map(|one| Effect::Acknowledge(one.token, Err(Refused::Storage)));
            self.effects.extend(told);
        }
    }

    /// The log ends at `next` from now on.
    fn cut(&mut self, next: Offset) {
        self.run += 1;
        self.attempt += 1;
        self.next = next;
        if !planted!(EpochsNotCut) {
            self.epochs.truncate(next);
        }
        self.taken = self.taken.min(next);
        self.durable = self.durable.min(next);
        let until = self.watermark;
        self.watermark = until.min(next);
        // What is below the first record is not lost, but dropped.
        let from = next.max(self.first);
        if until > from {
            self.effects.push(Effect::Lost { from, until });
        }
    }

    /// The log was read again and ends elsewhere than it was to: a cut was not made,
    /// or not where it was meant. What the log has counts, and the leader is asked
    /// anew where the two part.
    pub fn found_again(&mut self, found: Found) {
        self.resign();
        (self.run, self.attempt) = (self.run + 1, self.attempt + 1);
        let Found {
            first,
            next,
            epochs,
        } = found;
        (self.first, self.next, self.epochs) = (first, next, epochs);
        (self.taken, self.durable) = (next, next);
        let until = self.watermark;
        self.watermark = until.min(next);
        let from = next.max(first);
        if until > from {
            self.effects.push(Effect::Lost { from, until });
        }
        self.watermark = self.watermark.max(first);
        if let Role::Leads(leading) = &mut self.role {
            leading.began_at = next;
        }
        self.effects.push(Effect::Wake);
        self.advance();
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
        self.propose();
        self.mind_in_sync(now);
    }

    fn advance(&mut self) {
        match &self.role {
            Role::Idle => {}
            Role::Leads(_) => self.advance_leading(),
            Role::Follows(following) => {
                let watermark = match planted!(WatermarkAheadOfDisk) {
                    true => following.watermark.min(self.next),
                    false => following.watermark.min(self.has()),
                };
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
