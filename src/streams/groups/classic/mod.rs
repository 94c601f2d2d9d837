//! A group of the classic protocol: members join, the coordinator waits until
//! all have, chooses a protocol and a leader, and hands on what the leader
//! assigns. What members may do is in `join`, `sync` and `leave`; `rebalance`
//! turns one generation into the next.

mod describe;
mod image;
mod join;
mod leave;
mod rebalance;
mod subscription;
mod sync;

use super::record::Protocol;
use super::request::{GroupState, Token};
use super::turn::Turn;
use super::{Blob, Error, Name};
use crate::clock::Millis;
use crate::planted;
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) use subscription::{Subscribed, topics_of};

#[derive(Debug, Default)]
pub(super) struct Classic {
    /// Grows by one with each rebalance, and is written before it is told.
    generation: i32,
    /// What the group's members have in common ("consumer", "connect"). None
    /// for a group of offsets alone.
    protocol_type: Option<Name>,
    protocol: Option<Name>,
    leader: Option<Name>,
    phase: Phase,
    members: BTreeMap<Name, Member>,
    /// Ids that were given and did not come back yet, and until when they may.
    expected: BTreeMap<Name, Duration>,
    /// Which member is an instance's.
    /// Invariant: each names a member that names the instance.
    instances: BTreeMap<Name, Name>,
    emptied_at: Millis,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Empty,
    /// Members join, until all have or the time is over.
    Joining {
        until: Duration,
        /// The group was empty: it waits a little for others that start with
        /// the first.
        gathering: Option<Gathering>,
    },
    /// The generation is told; the leader has yet to say who reads what.
    Syncing { until: Duration },
    /// Who has not asked for its assignment by then is gone.
    Stable { until: Option<Duration> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Gathering {
    until: Duration,
    /// Somebody came since: wait once more.
    has_grown: bool,
}

#[derive(Debug)]
struct Member {
    instance: Option<Name>,
    client_id: Name,
    client_host: Name,
    session_ms: u32,
    rebalance_ms: u32,
    protocols: Vec<Protocol>,
    assignment: Blob,
    /// Without a further sign. Does not count while an answer is owed.
    lives_until: Duration,
    /// Its JoinGroup that is not answered yet; so with SyncGroup.
    joining: Option<Token>,
    syncing: Option<Token>,
    /// It has asked for its assignment in this generation.
    has_synced: bool,
    /// It has not been in a generation yet.
    is_new: bool,
}

impl Member {
    fn metadata(&self, protocol: Option<&Name>) -> Blob {
        let chosen = |offered: &&Protocol| Some(&offered.name) == protocol;
        let offered = self.protocols.iter().find(chosen);
        offered.map_or_else(|| Blob::from([]), |offered| offered.metadata.clone())
    }

    fn bytes(&self) -> usize {
        bytes_of(&self.protocols) + self.assignment.len()
    }

    fn renew(&mut self, turn: &Turn) {
        self.lives_until = turn.after_ms(self.session_ms);
    }

    /// Until when it may say nothing. None while it waits for us, except that
    /// a new one may be a client that asked and is gone.
    fn deadline(&self) -> Option<Duration> {
        let waits = self.syncing.is_some() || self.joining.is_some() && !self.is_new;
        (!waits).then_some(self.lives_until)
    }
}

fn bytes_of(protocols: &[Protocol]) -> usize {
    let one = |protocol: &Protocol| protocol.name.len() + protocol.metadata.len();
    protocols.iter().map(one).sum()
}

impl Classic {
    /// The successor of a group of the other kind that has no members: its
    /// generations go on from that one's epochs.
    pub(super) fn after(epoch: i32, emptied_at: Millis) -> Self {
        Self {
            generation: epoch,
            emptied_at,
            ..Self::default()
        }
    }

    pub(super) fn generation(&self) -> i32 {
        self.generation
    }

    pub(super) fn emptied_at(&self) -> Millis {
        self.emptied_at
    }

    /// Nobody is here, and nobody is on the way.
    pub(super) fn is_deserted(&self) -> bool {
        self.has_no_members() && self.expected.is_empty()
    }

    pub(super) fn has_no_members(&self) -> bool {
        self.members.is_empty()
    }

    /// It holds offsets for consumers that keep no membership.
    pub(super) fn is_simple(&self) -> bool {
        self.protocol_type.is_none()
    }

    pub(super) fn state(&self) -> GroupState {
        match self.phase {
            Phase::Empty => GroupState::Empty,
            Phase::Joining { .. } => GroupState::PreparingRebalance,
            Phase::Syncing { .. } => GroupState::CompletingRebalance,
            Phase::Stable { .. } => GroupState::Stable,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.members.values().map(Member::bytes).sum()
    }

    /// The next time at which silence means something.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        let phase = match self.phase {
            Phase::Empty => None,
            Phase::Joining { until, gathering } => {
                Some(gathering.map_or(until, |gathering| gathering.until))
            }
            Phase::Syncing { until } => Some(until),
            Phase::Stable { until } => until,
        };
        let members = self.members.values().filter_map(Member::deadline);
        let expected = self.expected.values().copied();
        members.chain(expected).chain(phase).min()
    }

    /// Everybody who is owed an answer. None of them gets one from here any
    /// more.
    pub(super) fn waiting(&mut self) -> Vec<Token> {
        let of_member = |member: &mut Member| [member.joining.take(), member.syncing.take()];
        let waiting = self.members.values_mut().flat_map(of_member);
        waiting.flatten().collect()
    }

    pub(super) fn tick(&mut self, turn: &mut Turn, group: &Name) {
        self.expected.retain(|_, until| !turn.is_due(*until));
        let is_over = |member: &Member| {
            member.deadline().is_some_and(|at| turn.is_due(at)) && !planted!(SilenceNotMinded)
        };
        let over: Vec<Name> = (self.members.iter())
            .filter(|(_, member)| is_over(member))
            .map(|(id, _)| id.clone())
            .collect();
        self.remove(turn, group, &over);
        self.tick_phase(turn, group);
    }

    /// Members that are known to each other by id and, where it has one, by
    /// instance.
    fn check(&self, member: &Name, instance: Option<&Name>) -> Result<(), Error> {
        if let Some(instance) = instance {
            match self.instances.get(instance) {
                None => return Err(Error::UnknownMember),
                Some(holder) if holder != member => return Err(Error::FencedInstance),
                Some(_) => {}
            }
        }
        match self.members.contains_key(member) {
            true => Ok(()),
            false => Err(Error::UnknownMember),
        }
    }

    fn check_generation(&self, given: i32) -> Result<(), Error> {
        let current = self.generation;
        match given == current {
            true => Ok(()),
            false => Err(Error::IllegalGeneration { given, current }),
        }
    }

    /// They are no longer of the group; the others share out anew.
    fn remove(&mut self, turn: &mut Turn, group: &Name, gone: &[Name]) {
        for id in gone {
            let Some(member) = self.members.remove(id) else {
                continue;
            };
            if let Some(instance) = &member.instance {
                self.instances.remove(instance);
            }
            turn.refuse(member.joining, Error::UnknownMember);
            turn.refuse(member.syncing, Error::UnknownMember);
            if self.leader.as_ref() == Some(id) {
                self.leader = self.members.keys().next().cloned();
            }
        }
        if !gone.is_empty() {
            self.share_out_anew(turn, group);
        } else {
            self.complete_if_all_joined(turn, group);
        }
    }
}
