//! The groups of one coordinator, and which of them is to be looked at next.

use super::consumer::Consumer;
use super::group::{Body, Group};
use super::ledger::Ledger;
use super::record::Of;
use super::request::{CommitInTransaction, EndTransaction, Listed, Reply, Request, Token};
use super::turn::Turn;
use super::{Catalog, Error, Name};
use crate::ids::ProducerId;
use crate::limits::{COORDINATOR_BYTES_MAX, GROUPS_PER_COORDINATOR_MAX, GROUPS_SWEPT_AT_ONCE};
use crate::streams::producers::Ends;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

#[derive(Debug, Default)]
pub(super) struct Shelf {
    groups: BTreeMap<Name, Group>,
    /// Invariant: the alarm of every group that has one.
    alarms: BTreeSet<(Duration, Name)>,
    /// Where a producer may have offsets pending.
    producers: BTreeMap<i64, BTreeSet<Name>>,
    /// Of transactions, since the partition was read.
    ends: Ends,
    /// Invariant: what the groups were last counted to take.
    bytes: usize,
}

/// What of a group a request may have changed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Touched {
    Members,
    /// Not its members, and no deadline comes earlier.
    Offsets,
}

impl Touched {
    /// None for what only reads. Signs of life, which are frequent, move
    /// deadlines back alone, and an alarm may ring early.
    fn by(request: &Request) -> Option<Self> {
        match request {
            Request::Heartbeat(_)
            | Request::Fetch(_)
            | Request::Describe { .. }
            | Request::DescribeConsumer { .. }
            | Request::List => None,
            Request::Commit(_)
            | Request::CommitInTransaction(_)
            | Request::EndTransaction(_)
            | Request::DeleteOffsets { .. } => Some(Self::Offsets),
            Request::Join(_)
            | Request::Sync(_)
            | Request::Leave(_)
            | Request::ConsumerHeartbeat(_)
            | Request::Delete { .. } => Some(Self::Members),
        }
    }
}

impl Shelf {
    /// With nothing on it. In another life than the one before, it has not heard
    /// of all ends.
    pub(super) fn of_life(life: u64) -> Self {
        Self {
            ends: Ends::of_life(life),
            ..Self::default()
        }
    }

    pub(super) fn read_back(&mut self, turn: &mut Turn, mut ledger: Ledger) {
        for (name, topic, partition, producer) in std::mem::take(&mut ledger.unsaid) {
            // The group may have been deleted since.
            let image = ledger.groups.entry(name.clone()).or_default();
            let spot = (topic, partition);
            image.offsets.write_ended(turn, &name, &spot, producer);
        }
        for (name, image) in ledger.groups {
            let group = Group::read_back(turn, &name, image);
            for producer in group.offsets.producers() {
                let of_producer = self.producers.entry(producer).or_default();
                of_producer.insert(name.clone());
            }
            self.groups.insert(name.clone(), group);
            self.settle(&name, Touched::Members);
        }
        self.look_again(turn);
    }

    /// Whether a commit was let into its transaction, and that has not ended since.
    pub(super) fn check_verified(&self, commit: &CommitInTransaction) -> Result<(), Error> {
        let checked = self.ends.check(commit.verified, id_of(commit.producer));
        checked.map_err(Error::Unverified)
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes >= COORDINATOR_BYTES_MAX
    }

    pub(super) fn next_alarm(&self) -> Option<Duration> {
        self.alarms.first().map(|(at, _)| *at)
    }

    pub(super) fn serve(&mut self, turn: &mut Turn, token: Token, request: Request) {
        let Some(name) = request.group().cloned() else {
            let reply = match request {
                Request::EndTransaction(end) => self.end_transaction(turn, &end),
                _ => Reply::Listed(self.list()),
            };
            turn.answer(token, Ok(reply));
            return;
        };
        let touched = Touched::by(&request);
        match self.serve_group(turn, token, &name, request) {
            Ok(None) => {}
            Ok(Some(reply)) => turn.answer(token, Ok(reply)),
            Err(error) => turn.answer(token, Err(error)),
        }
        if let Some(touched) = touched {
            self.settle(&name, touched);
        }
    }

    /// None where the answer is given already, or comes later.
    fn serve_group(
        &mut self,
        turn: &mut Turn,
        token: Token,
        name: &Name,
        request: Request,
    ) -> Result<Option<Reply>, Error> {
        request.check_name()?;
        let reply = match request {
            Request::Join(join) => {
                let is_new = join.member.is_empty();
                let group = self.open(turn, name, is_new, Error::UnknownMember)?;
                group.as_classic(is_new)?.join(turn, token, join);
                return Ok(None);
            }
            Request::Sync(sync) => {
                self.member_group(name)?
                    .as_classic(false)?
                    .sync(turn, token, sync);
                return Ok(None);
            }
            Request::Heartbeat(caller) => {
                let group = self.member_group(name)?;
                group.as_classic(false)?.heartbeat(turn, &caller)?
            }
            Request::Leave(leave) => {
                match self
                    .member_group(name)
                    .and_then(|group| group.as_classic(false))
                {
                    Ok(classic) => classic.leave(turn, leave),
                    Err(error) => Reply::Left(vec![Err(error); leave.members.len()]),
                }
            }
            Request::ConsumerHeartbeat(beat) => {
                let is_new = beat.epoch == 0;
                let group = self.open(turn, name, is_new, Error::UnknownMember)?;
                Reply::ConsumerAlive(group.as_consumer(is_new)?.heartbeat(turn, beat)?)
            }
            Request::Commit(commit) => {
                let is_simple = commit.caller.generation < 0;
                let group = self.open(turn, name, is_simple, Error::GroupNotFound)?;
                group.commit(turn, commit)?
            }
            Request::CommitInTransaction(commit) => {
                let (is_simple, producer) = (commit.caller.generation < 0, commit.producer);
                let group = self.open(turn, name, is_simple, Error::GroupNotFound)?;
                let reply = group.commit_in_transaction(turn, commit)?;
                let of_producer = self.producers.entry(producer).or_default();
                of_producer.insert(name.clone());
                reply
            }
            Request::Fetch(fetch) => match self.groups.get(name) {
                Some(group) => group.fetch(fetch)?,
                None => Group::new(turn).fetch(fetch)?,
            },
            Request::DeleteOffsets { spots, .. } => {
                let group = self.groups.get_mut(name).ok_or(Error::GroupNotFound)?;
                group.delete_offsets(turn, name, &spots)?
            }
            Request::Describe { .. } => {
                let group = self.groups.get(name).ok_or(Error::GroupNotFound)?;
                Reply::Described(group.described()?)
            }
            Request::DescribeConsumer { .. } => {
                let group = self.groups.get(name).ok_or(Error::GroupNotFound)?;
                Reply::ConsumerDescribed(group.consumer_described()?)
            }
            Request::Delete { .. } => self.delete(turn, name)?,
            // Answered before: they are about no one group.
            Request::EndTransaction(_) | Request::List => return Ok(None),
        };
        Ok(Some(reply))
    }

    /// The group, which is made where that may be.
    fn open(
        &mut self,
        turn: &Turn,
        name: &Name,
        may_begin: bool,
        otherwise: Error,
    ) -> Result<&mut Group, Error> {
        if !self.groups.contains_key(name) {
            if !may_begin {
                return Err(otherwise);
            }
            if turn.is_full || self.groups.len() >= GROUPS_PER_COORDINATOR_MAX {
                return Err(Error::Full);
            }
        }
        let name = name.clone();
        Ok(self.groups.entry(name).or_insert_with(|| Group::new(turn)))
    }

    fn member_group(&mut self, name: &Name) -> Result<&mut Group, Error> {
        self.groups.get_mut(name).ok_or(Error::UnknownMember)
    }

    fn list(&self) -> Vec<Listed> {
        let listed = |(name, group): (&Name, &Group)| group.listed(name);
        self.groups.iter().map(listed).collect()
    }

    fn delete(&mut self, turn: &mut Turn, name: &Name) -> Result<Reply, Error> {
        let group = self.groups.get_mut(name).ok_or(Error::GroupNotFound)?;
        if !group.has_no_members() {
            return Err(Error::GroupNotEmpty);
        }
        let producers: Vec<i64> = group.offsets.producers().collect();
        group.offsets.delete_all(turn, name);
        for producer in producers {
            self.forget_producer(producer, name);
        }
        self.forget(turn, name);
        Ok(Reply::Deleted)
    }

    /// The group is no more. Its head goes last: what is cut off before that
    /// leaves a group that can be deleted again.
    fn forget(&mut self, turn: &mut Turn, name: &Name) {
        let Some(group) = self.groups.remove(name) else {
            return;
        };
        if !group.is_headless() {
            turn.erase(name, Of::Head);
        }
        self.bytes -= group.bytes;
        if let Some(at) = group.alarm {
            self.alarms.remove(&(at, name.clone()));
        }
    }

    fn end_transaction(&mut self, turn: &mut Turn, end: &EndTransaction) -> Reply {
        self.ends.note(id_of(end.producer));
        let names = self.producers.get(&end.producer).cloned();
        for name in names.into_iter().flatten() {
            let Some(group) = self.groups.get_mut(&name) else {
                continue;
            };
            group.offsets.end(turn, &name, end);
            if !group.offsets.producers().any(|it| it == end.producer) {
                self.forget_producer(end.producer, &name);
            }
            self.settle(&name, Touched::Offsets);
        }
        Reply::TransactionEnded
    }

    fn forget_producer(&mut self, producer: i64, name: &Name) {
        if let Some(names) = self.producers.get_mut(&producer) {
            names.remove(name);
            if names.is_empty() {
                self.producers.remove(&producer);
            }
        }
    }

    /// Lets every group whose time has come look who fell silent.
    pub(super) fn tick(&mut self, turn: &mut Turn) {
        debug_assert!(self.is_sound());
        let due = |(at, _): &&(Duration, Name)| turn.is_due(*at);
        let names: Vec<Name> = (self.alarms.iter().take_while(due))
            .map(|(_, name)| name.clone())
            .collect();
        for name in names {
            if let Some(group) = self.groups.get_mut(&name) {
                group.tick(turn, &name);
            }
            self.settle(&name, Touched::Members);
        }
    }

    /// Looks through some groups behind `after` for what is not wanted any
    /// more. Gives the last, or None where there are no more.
    pub(super) fn sweep(&mut self, turn: &mut Turn, after: Option<Name>) -> Option<Name> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let behind = self.groups.range((from, Bound::Unbounded));
        let names: Vec<Name> = behind
            .take(GROUPS_SWEPT_AT_ONCE)
            .map(|(name, _)| name.clone())
            .collect();
        for name in &names {
            if let Some(group) = self.groups.get_mut(name) {
                group.expire_offsets(turn, name);
                match group.is_vacant() {
                    true => self.forget(turn, name),
                    false => self.settle(name, Touched::Offsets),
                }
            }
        }
        let has_more = names.len() == GROUPS_SWEPT_AT_ONCE;
        names.last().filter(|_| has_more).cloned()
    }

    /// The topics are others than before.
    pub(super) fn take_catalog(&mut self, turn: &mut Turn, before: &Catalog) {
        let lost: Vec<_> = before.lost_in(turn.catalog).collect();
        for (name, group) in &mut self.groups {
            for (topic, id) in &lost {
                group.offsets.forget_topic(turn, name, topic, *id);
            }
            if let Body::Consumer(consumer) = &mut group.body {
                consumer.ask_patterns(turn, name);
            }
        }
        self.look_again(turn);
    }

    fn look_again(&mut self, turn: &mut Turn) {
        for (name, group) in &mut self.groups {
            if let Body::Consumer(consumer) = &mut group.body {
                consumer.look_again(turn, name);
            }
        }
    }

    pub(super) fn resolved(
        &mut self,
        turn: &mut Turn,
        name: &Name,
        resolve: impl FnOnce(&mut Consumer, &mut Turn),
    ) {
        if let Some(group) = self.groups.get_mut(name)
            && let Body::Consumer(consumer) = &mut group.body
        {
            resolve(consumer, turn);
        }
    }

    /// Everybody that waits for a rebalance.
    pub(super) fn waiting(&mut self) -> Vec<Token> {
        let waiting = |group: &mut Group| match &mut group.body {
            Body::Classic(classic) => classic.waiting(),
            Body::Consumer(_) => Vec::new(),
        };
        self.groups.values_mut().flat_map(waiting).collect()
    }

    /// The sums are those of the groups, and no group is looked at too late.
    fn is_sound(&self) -> bool {
        let bytes: usize = self.groups.values().map(|group| group.bytes).sum();
        let alarm_of = |(name, group): (&Name, &Group)| Some((group.alarm?, name.clone()));
        let alarms: BTreeSet<_> = self.groups.iter().filter_map(alarm_of).collect();
        let is_in_time = |group: &Group| match (group.alarm, group.next_deadline()) {
            (Some(alarm), Some(deadline)) => alarm <= deadline,
            (None, Some(_)) => false,
            (_, None) => true,
        };
        bytes == self.bytes && alarms == self.alarms && self.groups.values().all(is_in_time)
    }

    /// Counts a group anew that may have changed. One that is nothing, and of
    /// which nothing is written, is let go at once.
    fn settle(&mut self, name: &Name, touched: Touched) {
        let Some(group) = self.groups.get_mut(name) else {
            return;
        };
        let (bytes_before, alarm_before) = (group.bytes, group.alarm);
        group.count_bytes(touched == Touched::Members);
        if touched == Touched::Members {
            group.alarm = group.next_deadline();
        }
        self.bytes = self.bytes - bytes_before + group.bytes;
        if group.alarm != alarm_before {
            alarm_before.map(|at| self.alarms.remove(&(at, name.clone())));
            group.alarm.map(|at| self.alarms.insert((at, name.clone())));
        }
        if group.is_vacant() && group.is_headless() {
            self.bytes -= group.bytes;
            self.groups.remove(name);
        }
    }
}

/// A number that no producer has, where a client makes one up, ends nothing.
fn id_of(producer: i64) -> ProducerId {
    ProducerId(producer as u64)
}
