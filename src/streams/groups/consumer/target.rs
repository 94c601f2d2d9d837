//! Who is to read what in the end.

use super::Consumer;
use crate::ids::Uid;
use crate::streams::groups::Name;
use crate::streams::groups::assign::{Assignor, Seat};
use crate::streams::groups::classic::Subscribed;
use crate::streams::groups::partitions::Partitions;
use crate::streams::groups::record::{About, Of, Value};
use crate::streams::groups::turn::Turn;
use std::collections::{BTreeMap, BTreeSet};

impl Consumer {
    /// The members or what they want have changed.
    pub(super) fn share_out_anew(&mut self, turn: &mut Turn, group: &Name) {
        self.watch_patterns(turn, group);
        self.epoch = self.epoch.checked_add(1).unwrap_or(1);
        if let Some(targets) = self.targets(turn) {
            self.take_targets(turn, group, targets);
        }
        self.write_head(turn, group);
    }

    /// Topics may have changed, which may or may not be of interest.
    pub(in crate::streams::groups) fn look_again(&mut self, turn: &mut Turn, group: &Name) {
        let Some(targets) = self.targets(turn) else {
            return;
        };
        let is_same = |(id, target): (&Name, &Partitions)| {
            let member = self.members.get(id);
            member.is_some_and(|member| member.target == *target)
        };
        if targets.iter().all(is_same) {
            return;
        }
        self.epoch = self.epoch.checked_add(1).unwrap_or(1);
        self.take_targets(turn, group, targets);
        self.write_head(turn, group);
    }

    /// Asks for the topics of every pattern: the catalog has changed.
    pub(in crate::streams::groups) fn ask_patterns(&self, turn: &mut Turn, group: &Name) {
        let asked = self
            .patterns
            .keys()
            .map(|pattern| (group.clone(), pattern.clone()));
        turn.unresolved.extend(asked);
    }

    pub(in crate::streams::groups) fn resolved(
        &mut self,
        turn: &mut Turn,
        group: &Name,
        pattern: &Name,
        topics: BTreeSet<Name>,
    ) {
        // It may be that no member names it any more.
        if let Some(held) = self.patterns.get_mut(pattern) {
            *held = Some(topics);
            self.look_again(turn, group);
        }
    }

    /// Keeps to the patterns that members name, and asks for what is new.
    pub(super) fn watch_patterns(&mut self, turn: &mut Turn, group: &Name) {
        let named = self
            .members
            .values()
            .filter_map(|it| it.about.pattern.clone());
        let named: BTreeSet<Name> = named.collect();
        self.patterns.retain(|pattern, _| named.contains(pattern));
        for pattern in named {
            let asked = (group.clone(), pattern.clone());
            self.patterns.entry(pattern).or_insert_with(|| {
                turn.unresolved.push(asked);
                None
            });
        }
    }

    pub(super) fn is_resolved(&self) -> bool {
        self.patterns.values().all(Option::is_some)
    }

    /// None while the topics of a pattern are not known: a guess would take
    /// partitions away from whoever reads them.
    fn targets(&self, turn: &Turn) -> Option<BTreeMap<Name, Partitions>> {
        if !self.is_resolved() {
            return None;
        }
        let catalog = &turn.catalog.topics;
        let id_of = |name: &Name| catalog.get(name).map(|topic| topic.id);
        let seats: BTreeMap<Name, Seat> = (self.members.iter())
            .map(|(id, member)| {
                let topics = self.topics_of(&member.about).filter_map(id_of).collect();
                let before = &member.target;
                (id.clone(), Seat { topics, before })
            })
            .collect();
        let wanted: BTreeSet<Uid> = seats
            .values()
            .flat_map(|seat| seat.topics.clone())
            .collect();
        let counts = (catalog.values())
            .filter(|topic| wanted.contains(&topic.id))
            .map(|topic| (topic.id, topic.partitions))
            .collect();
        Some(self.assignor().share_out(&seats, &counts))
    }

    fn topics_of<'a>(&'a self, about: &'a About) -> impl Iterator<Item = &'a Name> {
        let found = about.pattern.as_ref().and_then(|it| self.patterns.get(it));
        about
            .topics
            .iter()
            .chain(found.into_iter().flatten().flatten())
    }

    /// The assignor that most members ask for; of equals, the first.
    pub(super) fn assignor(&self) -> Assignor {
        let mut votes: BTreeMap<Assignor, usize> = BTreeMap::new();
        for member in self.members.values() {
            if let Some(assignor) = member.about.assignor.as_deref().and_then(Assignor::named) {
                *votes.entry(assignor).or_default() += 1;
            }
        }
        let most = votes.values().max().copied();
        let mut votes = votes.into_iter();
        let chosen = votes.find(|(_, count)| Some(*count) == most);
        chosen.map_or(Assignor::Uniform, |(assignor, _)| assignor)
    }

    fn take_targets(&mut self, turn: &mut Turn, group: &Name, targets: BTreeMap<Name, Partitions>) {
        for (id, target) in targets {
            if let Some(member) = self.members.get_mut(&id)
                && member.target != target
            {
                turn.write(group, Of::Target(id), Value::Target(target.clone()));
                member.target = target;
            }
        }
    }

    /// Which topics the members read.
    pub(in crate::streams::groups) fn subscribed(&self) -> Subscribed {
        if !self.is_resolved() {
            return Subscribed::Unknown;
        }
        let topics = self
            .members
            .values()
            .flat_map(|it| self.topics_of(&it.about));
        Subscribed::To(topics.cloned().collect())
    }
}
