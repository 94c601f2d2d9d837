//! One group: its members, under either protocol, and its offsets.

use super::classic::{Classic, Subscribed};
use super::consumer::Consumer;
use super::ledger::{GroupImage, Head};
use super::offsets::Offsets;
use super::record::{Committed, Of};
use super::request::{
    Caller, Commit, CommitInTransaction, ConsumerDescribed, Described, Fetch, GroupKind, Listed,
    Reply,
};
use super::turn::Turn;
use super::{Error, Name};
use crate::clock::Millis;
use crate::limits::CLOCK_UNSET_BEFORE_MS;
use std::time::Duration;

#[derive(Debug)]
pub(super) enum Body {
    Classic(Classic),
    Consumer(Consumer),
}

#[derive(Debug)]
pub(super) struct Group {
    pub body: Body,
    pub offsets: Offsets,
    /// When `tick` is to be called: at the next deadline or, since signs of
    /// life only move deadlines back, before.
    pub alarm: Option<Duration>,
    /// What the members said takes, and the group as a whole, as it was last
    /// counted.
    pub member_bytes: usize,
    pub bytes: usize,
    /// Since when it is held here, for ages of which the wall clock knows no
    /// beginning.
    held_since: Millis,
}

/// A group's own names, trees and figures.
const GROUP_BYTES: usize = 512;

impl Group {
    pub(super) fn new(turn: &Turn) -> Self {
        Self {
            body: Body::Classic(Classic::default()),
            offsets: Offsets::default(),
            alarm: None,
            member_bytes: 0,
            bytes: 0,
            held_since: turn.now.wall,
        }
    }

    pub(super) fn read_back(turn: &mut Turn, name: &Name, image: GroupImage) -> Self {
        let body = match image.head {
            Some(Head::Consumer(head)) => {
                Body::Consumer(Consumer::read_back(turn, name, head, image.members))
            }
            head => {
                for id in image.members.into_keys() {
                    for of in [Of::Member, Of::Target, Of::Current] {
                        turn.erase(name, of(id.clone()));
                    }
                }
                Body::Classic(match head {
                    Some(Head::Classic(head)) => Classic::read_back(turn, head),
                    _ => Classic::default(),
                })
            }
        };
        Self {
            body,
            offsets: image.offsets,
            ..Self::new(turn)
        }
    }

    /// The group as one of the classic protocol. One of the other that has no
    /// members becomes one, where `may_become` says so.
    pub(super) fn as_classic(&mut self, may_become: bool) -> Result<&mut Classic, Error> {
        if let Body::Consumer(consumer) = &self.body {
            if !may_become {
                return Err(Error::UnknownMember);
            }
            if !consumer.has_no_members() {
                return Err(Error::InconsistentProtocol);
            }
            let (epoch, emptied_at) = (consumer.epoch(), consumer.emptied_at());
            self.body = Body::Classic(Classic::after(epoch, emptied_at));
        }
        match &mut self.body {
            Body::Classic(classic) => Ok(classic),
            Body::Consumer(_) => Err(Error::UnknownMember),
        }
    }

    /// The same the other way.
    pub(super) fn as_consumer(&mut self, may_become: bool) -> Result<&mut Consumer, Error> {
        if let Body::Classic(classic) = &self.body {
            if !classic.has_no_members() {
                return Err(Error::GroupNotFound);
            }
            if !may_become {
                return Err(Error::UnknownMember);
            }
            let (generation, emptied_at) = (classic.generation(), classic.emptied_at());
            self.body = Body::Consumer(Consumer::after(generation, emptied_at));
        }
        match &mut self.body {
            Body::Consumer(consumer) => Ok(consumer),
            Body::Classic(_) => Err(Error::GroupNotFound),
        }
    }

    pub(super) fn has_no_members(&self) -> bool {
        match &self.body {
            Body::Classic(classic) => classic.has_no_members(),
            Body::Consumer(consumer) => consumer.has_no_members(),
        }
    }

    /// Nothing would be lost with it, but the count of its generations.
    pub(super) fn is_vacant(&self) -> bool {
        let is_deserted = match &self.body {
            Body::Classic(classic) => classic.is_deserted(),
            Body::Consumer(consumer) => consumer.has_no_members(),
        };
        is_deserted && self.offsets.is_empty()
    }

    /// There is no record of it but of its offsets.
    pub(super) fn is_headless(&self) -> bool {
        match &self.body {
            Body::Classic(classic) => classic.generation() == 0,
            Body::Consumer(consumer) => consumer.epoch() == 0,
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        match &self.body {
            Body::Classic(classic) => classic.next_deadline(),
            Body::Consumer(consumer) => consumer.next_deadline(),
        }
    }

    /// Counts anew: the members only where they may have changed.
    pub(super) fn count_bytes(&mut self, of_members: bool) {
        if of_members {
            self.member_bytes = match &self.body {
                Body::Classic(classic) => classic.bytes(),
                Body::Consumer(consumer) => consumer.bytes(),
            };
        }
        self.bytes = GROUP_BYTES + self.member_bytes + self.offsets.bytes();
    }

    pub(super) fn tick(&mut self, turn: &mut Turn, name: &Name) {
        match &mut self.body {
            Body::Classic(classic) => classic.tick(turn, name),
            Body::Consumer(consumer) => consumer.tick(turn, name),
        }
    }

    pub(super) fn commit(&mut self, turn: &mut Turn, commit: Commit) -> Result<Reply, Error> {
        self.check_commit(turn, &commit.caller, false)?;
        let (group, retention_ms) = (&commit.caller.group, commit.retention_ms);
        let done = self
            .offsets
            .commit(turn, group, retention_ms, commit.offsets);
        Ok(Reply::Committed(done))
    }

    pub(super) fn commit_in_transaction(
        &mut self,
        turn: &mut Turn,
        commit: CommitInTransaction,
    ) -> Result<Reply, Error> {
        self.check_commit(turn, &commit.caller, true)?;
        let producer = (commit.producer, commit.producer_epoch);
        let group = &commit.caller.group;
        let done = self
            .offsets
            .commit_pending(turn, group, producer, commit.offsets)?;
        Ok(Reply::Committed(done))
    }

    fn check_commit(
        &mut self,
        turn: &Turn,
        caller: &Caller,
        is_transactional: bool,
    ) -> Result<(), Error> {
        match &mut self.body {
            Body::Classic(classic) => classic.check_commit(turn, caller, is_transactional),
            Body::Consumer(consumer) => {
                consumer.check_commit(&caller.member, caller.generation, is_transactional)
            }
        }
    }

    pub(super) fn fetch(&self, fetch: Fetch) -> Result<Reply, Error> {
        if let Body::Consumer(consumer) = &self.body {
            consumer.check_commit(&fetch.caller.member, fetch.caller.generation, true)?;
        }
        let found = self.offsets.fetch(fetch.spots, fetch.is_stable_required);
        Ok(Reply::Fetched(found))
    }

    pub(super) fn delete_offsets(
        &mut self,
        turn: &mut Turn,
        name: &Name,
        spots: &[(Name, i32)],
    ) -> Result<Reply, Error> {
        if let Body::Classic(classic) = &self.body
            && !classic.has_no_members()
            && !classic.is_of_consumers()
        {
            return Err(Error::GroupNotEmpty);
        }
        let subscribed = self.subscribed();
        let mut delete_one = |spot: &(Name, i32)| match subscribed.may_be_to(&spot.0) {
            true => Err(Error::SubscribedToTopic),
            false => {
                self.offsets.delete(turn, name, spot);
                Ok(())
            }
        };
        Ok(Reply::OffsetsDeleted(
            spots.iter().map(&mut delete_one).collect(),
        ))
    }

    fn subscribed(&self) -> Subscribed {
        match &self.body {
            Body::Classic(classic) => classic.subscribed(),
            Body::Consumer(consumer) => consumer.subscribed(),
        }
    }

    /// Takes away the offsets that nobody has wanted for long: those of an
    /// empty group, and where there are members, those of topics that none of
    /// them reads.
    pub(super) fn expire_offsets(&mut self, turn: &mut Turn, name: &Name) {
        let (wall, held_since) = (turn.now.wall, self.held_since);
        if is_unset(wall) {
            return;
        }
        let subscribed = self.subscribed();
        let emptied_at = self.emptied_at();
        let retention_ms = turn.settings.offsets_retention_ms;
        // An age from before the clock was set is not known: it counts from
        // when this node began to hold the group, or from when it knew better. One
        // from before the clock was set forward is shorter than it seems.
        let ages = turn.ages;
        let begun = |at: Millis| match is_unset(at) {
            true if is_unset(held_since) => wall,
            true => held_since,
            false => ages.begun(at),
        };
        if is_unset(held_since) {
            self.held_since = wall;
        }
        let is_expired = |topic: &Name, committed: &Committed| {
            if subscribed.may_be_to(topic) {
                return false;
            }
            let since = begun(committed.committed_at);
            let since = emptied_at.map_or(since, |emptied| since.max(begun(emptied)));
            let until = match committed.expires_at {
                Some(at) => {
                    let kept_ms = at.0.saturating_sub(committed.committed_at.0);
                    begun(committed.committed_at).0.saturating_add(kept_ms)
                }
                None => since.0.saturating_add(retention_ms),
            };
            until <= wall.0
        };
        self.offsets.expire(turn, name, is_expired);
    }

    /// Since when nobody is here; None where somebody is, or never was.
    fn emptied_at(&self) -> Option<Millis> {
        match &self.body {
            Body::Classic(it) if it.has_no_members() && !it.is_simple() => Some(it.emptied_at()),
            Body::Consumer(it) if it.has_no_members() => Some(it.emptied_at()),
            _ => None,
        }
    }

    pub(super) fn listed(&self, name: &Name) -> Listed {
        let (protocol_type, state, kind) = match &self.body {
            Body::Classic(it) => (it.protocol_type_shown(), it.state(), GroupKind::Classic),
            Body::Consumer(it) => ("consumer".into(), it.state(), GroupKind::Consumer),
        };
        Listed {
            group: name.clone(),
            protocol_type,
            state,
            kind,
        }
    }

    pub(super) fn described(&self) -> Result<Described, Error> {
        match &self.body {
            Body::Classic(classic) => Ok(classic.described()),
            Body::Consumer(_) => Err(Error::GroupNotFound),
        }
    }

    pub(super) fn consumer_described(&self) -> Result<ConsumerDescribed, Error> {
        match &self.body {
            Body::Classic(_) => Err(Error::GroupNotFound),
            Body::Consumer(consumer) => Ok(consumer.described()),
        }
    }
}

fn is_unset(wall: Millis) -> bool {
    wall.0 < CLOCK_UNSET_BEFORE_MS
}
