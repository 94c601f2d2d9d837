//! A group of KIP-848: members say what they want with each heartbeat, the
//! coordinator assigns, and each member moves to its target by itself, letting
//! go of what it is to lose before another gets it. `heartbeat` hears members,
//! `target` decides who reads what, `reconcile` takes one member a step
//! further.

mod describe;
mod heartbeat;
mod image;
mod reconcile;
mod target;

use super::partitions::{Partition, Partitions};
use super::record::{About, ConsumerImage, Of, Standing, Value};
use super::turn::Turn;
use super::{Error, Name};
use crate::clock::Millis;
use crate::planted;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Said by a member that goes for good.
pub(super) const LEAVING: i32 = -1;
/// Said by a static member that will be back within its session.
pub(super) const AWAY: i32 = -2;

#[derive(Debug, Default)]
pub(super) struct Consumer {
    /// Grows by one whenever it is decided anew who reads what.
    epoch: i32,
    members: BTreeMap<Name, Member>,
    /// As in a classic group.
    instances: BTreeMap<Name, Name>,
    /// Who has a partition, or has not let go of it yet.
    /// Invariant: what the members' standings hold, each partition once.
    owners: BTreeMap<Partition, Name>,
    /// The topics of each pattern that a member names; none where the shell has
    /// not said them yet. Until it has, the targets stay as they are.
    patterns: BTreeMap<Name, Option<BTreeSet<Name>>>,
    emptied_at: Millis,
}

#[derive(Debug)]
struct Member {
    about: About,
    target: Partitions,
    standing: Standing,
    lives_until: Duration,
    /// By then it must have let go of what it is to lose.
    /// Invariant: some where `standing.revoking` is not empty.
    revoked_until: Option<Duration>,
}

impl Consumer {
    /// The successor of a classic group without members.
    pub(super) fn after(generation: i32, emptied_at: Millis) -> Self {
        Self {
            epoch: generation,
            emptied_at,
            ..Self::default()
        }
    }

    pub(super) fn epoch(&self) -> i32 {
        self.epoch
    }

    pub(super) fn emptied_at(&self) -> Millis {
        self.emptied_at
    }

    pub(super) fn has_no_members(&self) -> bool {
        self.members.is_empty()
    }

    /// What the members said. Partitions are the catalog's and not counted.
    pub(super) fn bytes(&self) -> usize {
        let of_member = |member: &Member| bytes_of(&member.about);
        self.members.values().map(of_member).sum()
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        let of_member = |member: &Member| {
            let revoked = member.revoked_until.unwrap_or(Duration::MAX);
            member.lives_until.min(revoked)
        };
        self.members.values().map(of_member).min()
    }

    pub(super) fn tick(&mut self, turn: &mut Turn, group: &Name) {
        let is_over = |member: &Member| {
            let is_due = |at: Duration| turn.is_due(at) && !planted!(SilenceNotMinded);
            is_due(member.lives_until) || member.revoked_until.is_some_and(is_due)
        };
        let over: Vec<Name> = (self.members.iter())
            .filter(|(_, member)| is_over(member))
            .map(|(id, _)| id.clone())
            .collect();
        self.remove(turn, group, &over);
    }

    /// Whether the caller may commit offsets, or see them as a member.
    pub(super) fn check_commit(
        &self,
        member: &Name,
        epoch: i32,
        may_be_nobody: bool,
    ) -> Result<(), Error> {
        if member.is_empty() && epoch < 0 {
            return match may_be_nobody || self.has_no_members() {
                true => Ok(()),
                false => Err(Error::UnknownMember),
            };
        }
        if self.has_no_members() && epoch < 0 {
            return Ok(());
        }
        let member = self.members.get(member).ok_or(Error::UnknownMember)?;
        let current = member.standing.epoch;
        match epoch == current || planted!(StaleCommitTaken) {
            true => Ok(()),
            false => Err(Error::StaleEpoch {
                given: epoch,
                current,
            }),
        }
    }

    /// They are no longer of the group; what they had is free.
    fn remove(&mut self, turn: &mut Turn, group: &Name, gone: &[Name]) {
        for id in gone {
            let Some(member) = self.members.remove(id) else {
                continue;
            };
            if let Some(instance) = &member.about.instance {
                self.instances.remove(instance);
            }
            self.move_owner(id, &member.standing, &Standing::default());
            erase_member(turn, group, id);
        }
        if gone.is_empty() {
            return;
        }
        if self.members.is_empty() {
            self.emptied_at = turn.now.wall;
        }
        self.share_out_anew(turn, group);
    }

    /// Takes a member's new standing into `owners`.
    fn move_owner(&mut self, id: &Name, before: &Standing, after: &Standing) {
        let held = |standing: &Standing| standing.assigned.or(&standing.revoking);
        let (before, after) = (held(before), held(after));
        for partition in before.without(&after).iter() {
            self.owners.remove(partition);
        }
        for partition in after.without(&before).iter() {
            self.owners.insert(*partition, id.clone());
        }
    }

    fn write_head(&self, turn: &mut Turn, group: &Name) {
        let image = ConsumerImage {
            epoch: self.epoch,
            emptied_at: self.emptied_at,
        };
        turn.write(group, Of::Head, Value::Consumer(image));
    }
}

fn bytes_of(about: &About) -> usize {
    let topics: usize = about.topics.iter().map(|topic| topic.len()).sum();
    topics + about.pattern.as_ref().map_or(0, |pattern| pattern.len())
}

fn erase_member(turn: &mut Turn, group: &Name, id: &Name) {
    for of in [Of::Member, Of::Target, Of::Current] {
        turn.erase(group, of(id.clone()));
    }
}
