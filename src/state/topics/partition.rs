//! One partition: who holds it, who leads it, and by which rules that changes.
//! Nothing here knows of other partitions, and nothing of the tree.
//!
//! What is acknowledged is on every member of the in-sync set, whichever it was
//! at that time: so each of them may lead, and whoever is taken out of the set
//! may not. Four rules keep it so, and the set from wasting away:
//!
//! - Who is lost leaves the set, so that the others go on without it, unless
//!   the set would then be smaller than its `Floor`. Below the floor nothing is
//!   acknowledged anyway; who stays misses nothing, and may lead when it is
//!   back, whoever else is not. (Kafka's KIP-966 keeps such members in a list of
//!   their own; here they have not left.)
//! - A leader that is up and shall not lead any more is asked to hand it on. It
//!   does so once others have all that it has taken: what clients were told of and
//!   nobody waited for (acks=1) is not lost by a move.
//! - When no member is up there is no leader. The first member that comes back
//!   with the disk it left with leads.
//! - When the disk of the last member is gone, the partition is lost: it takes
//!   an unclean election, which is asked for or allowed, to go on without what
//!   was in it.

use super::command::StreamsRefused;
use super::settings::{Durability, TopicSettings};
use crate::ids::NodeId;
use crate::planted;
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    pub leader: Option<NodeId>,
    /// Raised with each change of leader, also to none; never falls.
    pub leader_epoch: i32,
    /// Raised with each change; the version of the node that holds it.
    pub epoch: i32,
    /// Whoever holds it, the preferred leader first. While it is reassigned,
    /// those who shall, then those who shall no more.
    pub replicas: Vec<NodeId>,
    /// In order. Never empty, a part of the replicas, with the leader in it.
    pub in_sync: Vec<NodeId>,
    pub adding: Vec<NodeId>,
    pub removing: Vec<NodeId>,
    /// In which epoch a replica was added, where it was not one from the first. One
    /// that is added again has a log of its own for that: what it had before may show
    /// what was deleted meanwhile, and of which the others keep no trace.
    pub since: BTreeMap<NodeId, i32>,
    /// The disk of the only in-sync member is gone.
    pub is_lost: bool,
    /// Somebody has asked for the first of the replicas, and whoever leads is to
    /// hand it on.
    pub is_called_off: bool,
}

/// How many in-sync members an acknowledgement needs at the least, by what the
/// topic means by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Floor {
    /// Of the replicas: `durability = "synced"`.
    Majority,
    /// `min.insync.replicas`, as in Kafka: `durability = "replicated"`.
    AtLeast(usize),
}

impl Floor {
    pub fn of(settings: &TopicSettings) -> Self {
        match settings.durability() {
            Durability::Synced => Self::Majority,
            Durability::Replicated => Self::AtLeast(settings.min_insync_replicas()),
        }
    }

    fn among(self, replicas: usize) -> usize {
        match self {
            Self::Majority => replicas / 2 + 1,
            Self::AtLeast(least) => least.min(replicas),
        }
    }
}

/// Who is up.
pub type IsUp<'a> = &'a dyn Fn(NodeId) -> bool;

impl Partition {
    /// A new one: it is empty, so whoever is up has all of it. None where
    /// nobody is.
    pub fn new(replicas: Vec<NodeId>, is_up: IsUp) -> Option<Self> {
        let leader = replicas.iter().copied().find(|&node| is_up(node))?;
        let mut in_sync: Vec<_> = replicas.clone();
        in_sync.retain(|&node| is_up(node));
        in_sync.sort_unstable();
        Some(Self {
            leader: Some(leader),
            leader_epoch: 0,
            epoch: 0,
            replicas,
            in_sync,
            adding: Vec::new(),
            removing: Vec::new(),
            since: BTreeMap::new(),
            is_lost: false,
            is_called_off: false,
        })
    }

    /// In which epoch this replica was added.
    pub fn since(&self, node: NodeId) -> i32 {
        self.since.get(&node).copied().unwrap_or(0)
    }

    /// It was `before`, and is about to be of the next epoch.
    pub(super) fn note_holders(&mut self, before: &Self) {
        self.since.retain(|node, _| self.replicas.contains(node));
        let new = self
            .replicas
            .iter()
            .filter(|node| !before.replicas.contains(node));
        let epoch = before.epoch.saturating_add(1);
        self.since.extend(new.map(|&node| (node, epoch)));
    }

    /// Whether it keeps to what is said of its fields: it may have been read.
    pub(super) fn is_sound(&self) -> bool {
        let holds = |nodes: &[NodeId]| nodes.iter().all(|node| self.replicas.contains(node));
        let leads = |leader| self.in_sync.contains(&leader) && !self.is_lost;
        !self.in_sync.is_empty()
            && self.since.keys().all(|node| self.replicas.contains(node))
            && [&self.in_sync, &self.adding, &self.removing]
                .into_iter()
                .all(|one| holds(one))
            && self.target().next().is_some()
            && self.leader.is_none_or(leads)
    }

    /// The replicas of whom a majority is counted: those that are being added
    /// do not count before all of them are in sync.
    pub fn standing(&self) -> impl Iterator<Item = NodeId> {
        let replicas = self.replicas.iter().copied();
        replicas.filter(|node| !self.adding.contains(node))
    }

    /// Who shall hold it once it is reassigned.
    pub fn target(&self) -> impl Iterator<Item = NodeId> {
        let replicas = self.replicas.iter().copied();
        replicas.filter(|node| !self.removing.contains(node))
    }

    pub fn is_reassigned(&self) -> bool {
        !self.adding.is_empty() || !self.removing.is_empty()
    }

    /// Whether whoever leads is to hand it on: it is called off or to go, and
    /// those who stay can do without it.
    pub fn is_to_be_handed_on(&self, floor: Floor, is_up: IsUp) -> bool {
        let is_preferred = self.leader == self.replicas.first().copied();
        let may_lead = |node: &NodeId| self.in_sync.contains(node) && is_up(*node);
        let is_called = self.is_called_off && !is_preferred;
        let is_called = is_called && self.replicas.first().is_some_and(may_lead);
        is_called || (self.leader_is_to_go() && self.is_due(floor, is_up))
    }

    fn leader_is_to_go(&self) -> bool {
        let leader = self.leader;
        leader.is_some_and(|leader| self.removing.contains(&leader))
    }

    /// In-sync members without which nothing is acknowledged.
    pub fn floor(&self, floor: Floor) -> usize {
        floor.among(self.standing().count()).max(1)
    }

    /// The in-sync members that are up: what a client is shown, and what
    /// `min.insync.replicas` is compared with.
    pub fn in_sync_up(&self, is_up: IsUp) -> Vec<NodeId> {
        let in_sync = self.in_sync.iter().copied();
        in_sync.filter(|&node| is_up(node)).collect()
    }

    /// A broker is down, and `is_up` says so.
    pub(super) fn lose(&mut self, node: NodeId, floor: Floor, is_up: IsUp) {
        if self.in_sync.len() > self.floor(floor) || planted!(InSyncEmptied) {
            self.in_sync.retain(|&member| member != node);
        }
        if self.leader == Some(node) {
            self.lead(self.candidate(is_up));
        }
    }

    /// What a broker held of it is gone, while the broker is down.
    pub(super) fn forget(&mut self, node: NodeId, is_up: IsUp) {
        if planted!(StaleDiskTrusted) {
            return;
        }
        match self.in_sync[..] {
            [last] if last == node => {
                self.is_lost = true;
                self.lead(None);
            }
            _ => self.in_sync.retain(|&member| member != node),
        }
        if self.leader == Some(node) {
            self.lead(self.candidate(is_up));
        }
    }

    /// A broker has lost some of what it was said to have, while it was down. Who
    /// else was in sync has it, though it may be down as well: that is waited for.
    /// Where nobody else was, what is left is all that there is.
    pub(super) fn yield_to_others(&mut self, node: NodeId, is_up: IsUp) {
        if self.in_sync.len() > 1 {
            self.in_sync.retain(|&member| member != node);
        }
        if self.leader == Some(node) && !self.in_sync.contains(&node) {
            self.lead(self.candidate(is_up));
        }
    }

    /// A broker may have lost what it had in memory alone, while it was down. It
    /// stays where no other member is up: after a power cut somebody must go on
    /// with what it has.
    pub(super) fn distrust(&mut self, node: NodeId, is_up: IsUp) {
        let mut others = self.in_sync.iter().filter(|&&member| member != node);
        if others.any(|&member| is_up(member)) {
            self.in_sync.retain(|&member| member != node);
        }
    }

    /// Somebody who may lead has come back, or it has been allowed that anybody
    /// does.
    pub(super) fn revive(&mut self, is_up: IsUp, may_be_unclean: bool) {
        if self.leader.is_none() {
            self.lead(self.candidate(is_up));
        }
        if self.leader.is_none() && may_be_unclean {
            // Where nobody is up either, the next who comes asks again.
            let _ = self.elect_unclean(is_up);
        }
    }

    /// The leader's word on who is in sync, which was checked against the
    /// epochs. `is_fit` says who may join: it is up, and it is the one that the
    /// leader means.
    pub(super) fn change_in_sync(
        &mut self,
        in_sync: &[NodeId],
        floor: Floor,
        is_fit: IsUp,
    ) -> Result<(), StreamsRefused> {
        let mut sorted = in_sync.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let is_a_part = sorted.iter().all(|node| self.replicas.contains(node));
        let has_leader = self.leader.is_some_and(|leader| sorted.contains(&leader));
        if sorted.len() != in_sync.len() || !is_a_part || !has_leader {
            return Err(StreamsRefused::NotAnInSyncSet);
        }
        let mut joining = sorted.iter().filter(|node| !self.in_sync.contains(node));
        if let Some(&node) = joining.find(|&&node| !is_fit(node)) {
            return Err(StreamsRefused::Ineligible { node });
        }
        let least = self.floor(floor);
        if sorted.len() < least.min(self.in_sync.len()) {
            return Err(StreamsRefused::BelowFloor { floor: least });
        }
        self.in_sync = sorted;
        Ok(())
    }

    /// The first of the replicas leads, if it may, as soon as whoever leads has
    /// handed it on.
    pub(super) fn elect_preferred(&mut self, is_up: IsUp) -> Result<(), StreamsRefused> {
        let preferred = self.replicas[0];
        if self.leader == Some(preferred) {
            return Err(StreamsRefused::ElectionNotNeeded);
        }
        let may = self.in_sync.contains(&preferred) && is_up(preferred) && !self.is_lost;
        if !may {
            return Err(StreamsRefused::PreferredNotAvailable);
        }
        match self.leader {
            Some(_) if !planted!(MovedUndrained) => self.is_called_off = true,
            _ => self.lead(Some(preferred)),
        }
        Ok(())
    }

    /// Where there is no leader, whoever is up leads, even if it lacks what was
    /// acknowledged: who was added lately only if no other is up, and last of
    /// all who is known to have nothing.
    pub(super) fn elect_unclean(&mut self, is_up: IsUp) -> Result<(), StreamsRefused> {
        if self.leader.is_some() {
            return Err(StreamsRefused::ElectionNotNeeded);
        }
        let has_nothing = |node: &NodeId| self.is_lost && self.in_sync.contains(node);
        let added = self.adding.iter().copied();
        let mut others: Vec<_> = self.standing().chain(added).collect();
        others.sort_by_key(has_nothing);
        let clean = self.candidate(is_up);
        let other = others.into_iter().find(|&node| is_up(node));
        let Some(leader) = clean.or(other) else {
            return Err(StreamsRefused::NobodyEligible);
        };
        if clean.is_none() {
            self.in_sync = vec![leader];
            self.is_lost = false;
        }
        self.lead(Some(leader));
        Ok(())
    }

    /// The leader hands it on to the next who may lead.
    pub(super) fn hand_on(&mut self, is_up: IsUp) -> Result<(), StreamsRefused> {
        let leader = self.leader;
        let next = self.candidate(&|node| Some(node) != leader && is_up(node));
        let next = next.ok_or(StreamsRefused::NobodyEligible)?;
        self.lead(Some(next));
        Ok(())
    }

    /// From here on others shall hold it, as in KIP-455: they are added, catch
    /// up, and when all of them are in sync the old ones go. One that was under
    /// way is given up for this one.
    pub(super) fn reassign(
        &mut self,
        target: &[NodeId],
        floor: Floor,
        is_up: IsUp,
    ) -> Result<(), StreamsRefused> {
        let standing: Vec<_> = self.standing().collect();
        let adding = target.iter().filter(|node| !standing.contains(node));
        let adding: Vec<_> = adding.copied().collect();
        let removing: Vec<_> = standing
            .into_iter()
            .filter(|node| !target.contains(node))
            .collect();
        let replicas: Vec<_> = target.iter().chain(&removing).copied().collect();
        self.hold(replicas, is_up)?;
        (self.adding, self.removing) = (adding, removing);
        self.complete(floor, is_up);
        Ok(())
    }

    /// It stays with those who held it.
    pub(super) fn cancel(&mut self, is_up: IsUp) -> Result<(), StreamsRefused> {
        if !self.is_reassigned() {
            return Err(StreamsRefused::NoReassignment);
        }
        let standing = self.standing().collect();
        self.hold(standing, is_up)?;
        (self.adding, self.removing) = (Vec::new(), Vec::new());
        Ok(())
    }

    /// Others hold it from now on; of those some must be in sync.
    fn hold(&mut self, replicas: Vec<NodeId>, is_up: IsUp) -> Result<(), StreamsRefused> {
        let in_sync = self.in_sync.iter().copied();
        let kept: Vec<_> = in_sync.filter(|node| replicas.contains(node)).collect();
        if kept.is_empty() {
            return Err(StreamsRefused::NoneInSync);
        }
        (self.replicas, self.in_sync) = (replicas, kept);
        self.is_called_off &= self.leader != self.replicas.first().copied();
        if self
            .leader
            .is_some_and(|leader| !self.in_sync.contains(&leader))
        {
            self.lead(self.candidate(is_up));
        }
        Ok(())
    }

    /// Ends a reassignment that is due, once none leads it who is to go.
    pub(super) fn complete(&mut self, floor: Floor, is_up: IsUp) {
        let is_led_on = self.leader_is_to_go() && !planted!(MovedUndrained);
        if self.is_due(floor, is_up) && !is_led_on {
            let target = self.target().collect();
            (self.adding, self.removing) = (Vec::new(), Vec::new());
            let held = self.hold(target, is_up);
            held.expect("some of those who stay are in sync");
        }
    }

    /// Whether a reassignment can end: all who were added are in sync, those who
    /// stay can acknowledge by themselves, and one of them can lead.
    fn is_due(&self, floor: Floor, is_up: IsUp) -> bool {
        if !self.is_reassigned() || self.is_lost {
            return false;
        }
        let target: Vec<_> = self.target().collect();
        let in_sync = self.in_sync.iter().copied();
        let kept: Vec<_> = in_sync.filter(|node| target.contains(node)).collect();
        self.adding.iter().all(|node| kept.contains(node))
            && kept.len() >= floor.among(target.len())
            && kept.iter().any(|&node| is_up(node))
    }

    /// A node that has left for good, and whose disk was forgotten, makes room
    /// for another, which holds nothing yet; None where there is none. The room
    /// is then kept, unless the node was to go anyway.
    pub(super) fn substitute(&mut self, gone: NodeId, other: Option<NodeId>) {
        let instead = match self.removing.contains(&gone) {
            true => None,
            false if other.is_none() => return,
            false => other,
        };
        for list in [&mut self.replicas, &mut self.adding, &mut self.removing] {
            exchange(list, gone, instead);
        }
        // Only of a lost partition: nobody is elected cleanly from it.
        exchange(&mut self.in_sync, gone, instead);
        if self.in_sync.is_empty() {
            self.in_sync = vec![self.replicas[0]];
        }
        self.in_sync.sort_unstable();
    }

    /// The first of the replicas that is in sync and up.
    fn candidate(&self, is_up: IsUp) -> Option<NodeId> {
        let may = |node: &NodeId| {
            let is_in_sync = self.in_sync.contains(node) || planted!(LaggardElected);
            is_in_sync && is_up(*node)
        };
        let mut replicas = self.replicas.iter().copied();
        replicas.find(may).filter(|_| !self.is_lost)
    }

    fn lead(&mut self, leader: Option<NodeId>) {
        if leader != self.leader {
            self.leader = leader;
            self.is_called_off = false;
            if !planted!(LeaderEpochKept) {
                self.leader_epoch = self.leader_epoch.saturating_add(1);
            }
        }
    }
}

fn exchange(list: &mut Vec<NodeId>, old: NodeId, new: Option<NodeId>) {
    match new {
        Some(new) => list
            .iter_mut()
            .filter(|node| **node == old)
            .for_each(|node| *node = new),
        None => list.retain(|&node| node != old),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(list: &str) -> Vec<NodeId> {
        let numbers = list.split(',').filter(|number| !number.is_empty());
        numbers
            .map(|number| NodeId(number.parse().unwrap()))
            .collect()
    }

    /// On these, in sync on those, led by the first of those that is up.
    fn partition(replicas: &str, in_sync: &str, up: &str) -> Partition {
        let up = nodes(up);
        let mut partition = Partition {
            leader: None,
            leader_epoch: 0,
            epoch: 0,
            replicas: nodes(replicas),
            in_sync: nodes(in_sync),
            adding: Vec::new(),
            removing: Vec::new(),
            since: BTreeMap::new(),
            is_lost: false,
            is_called_off: false,
        };
        partition.revive(&|node| up.contains(&node), false);
        partition
    }

    #[test]
    fn who_is_lost_leaves_the_set_down_to_its_floor() {
        let check = |replicas, in_sync, lost, floor, left: &str| {
            let mut partition = partition(replicas, in_sync, in_sync);
            partition.lose(NodeId(lost), floor, &|node| node != NodeId(lost));
            assert_eq!(
                partition.in_sync,
                nodes(left),
                "{replicas} {in_sync} -{lost} {floor:?}"
            );
        };
        let majority = Floor::Majority;
        check("1,2,3", "1,2,3", 3, majority, "1,2");
        check("1,2,3", "1,2", 2, majority, "1,2");
        check("1,2", "1,2", 2, majority, "1,2");
        check("1", "1", 1, majority, "1");
        check("1,2,3,4,5", "1,2,3,4", 4, majority, "1,2,3");
        check("1,2,3,4,5", "1,2,3", 3, majority, "1,2,3");
        check("1,2,3", "2,3", 1, majority, "2,3");
        // As in Kafka, where a topic means no more by an acknowledgement.
        check("1,2", "1,2", 2, Floor::AtLeast(1), "1");
        check("1,2,3", "1,2", 2, Floor::AtLeast(2), "1,2");
        check("1,2,3", "1,2,3", 2, Floor::AtLeast(9), "1,2,3");
    }

    #[test]
    fn the_floor_is_of_those_who_stand() {
        let mut partition = partition("1", "1", "1");
        let up = |_| true;
        partition
            .reassign(&nodes("2,3,4"), Floor::Majority, &up)
            .unwrap();
        assert_eq!(partition.replicas, nodes("2,3,4,1"));
        assert_eq!(partition.floor(Floor::Majority), 1, "1 goes on by itself");
        let joined = partition.change_in_sync(&nodes("1,2,3"), Floor::Majority, &up);
        assert_eq!(joined, Ok(()));
        partition.complete(Floor::Majority, &up);
        assert!(partition.is_reassigned(), "4 is not in sync");
        let joined = partition.change_in_sync(&nodes("1,2,3,4"), Floor::Majority, &up);
        assert_eq!(joined, Ok(()));
        partition.complete(Floor::Majority, &|node| node == NodeId(1));
        assert!(partition.is_reassigned(), "nobody who stays is up");
        assert!(!partition.is_to_be_handed_on(Floor::Majority, &|node| node == NodeId(1)));
        assert!(partition.is_to_be_handed_on(Floor::Majority, &up));
        partition.complete(Floor::Majority, &up);
        assert!(partition.is_reassigned(), "1 leads, and is to go");
        partition.hand_on(&up).unwrap();
        partition.complete(Floor::Majority, &up);
        assert_eq!(partition.replicas, nodes("2,3,4"));
        assert_eq!(
            (partition.leader, partition.leader_epoch),
            (Some(NodeId(2)), 2)
        );
        assert_eq!(partition.floor(Floor::Majority), 2);
    }

    #[test]
    fn who_leads_is_called_off_and_not_cut_off() {
        let up = |_| true;
        let mut partition = partition("1,2,3", "1,2,3", "2");
        let leads = |one: &Partition| (one.leader, one.leader_epoch, one.is_called_off);
        partition.elect_preferred(&up).unwrap();
        partition.elect_preferred(&up).unwrap();
        assert_eq!(leads(&partition), (Some(NodeId(2)), 1, true));
        let is_due = |one: &Partition, is_up: IsUp| one.is_to_be_handed_on(Floor::Majority, is_up);
        assert!(is_due(&partition, &up));
        assert!(
            !is_due(&partition, &|node| node != NodeId(1)),
            "nobody else was asked for"
        );
        // Whoever leads next, what was asked for is done with.
        let mut lost = partition.clone();
        lost.lose(NodeId(2), Floor::Majority, &|node| node != NodeId(2));
        assert_eq!(leads(&lost), (Some(NodeId(1)), 2, false));
        // Nobody else is preferred any more.
        let mut other = partition.clone();
        other
            .reassign(&nodes("2,1,3"), Floor::Majority, &up)
            .unwrap();
        assert_eq!(leads(&other), (Some(NodeId(2)), 1, false));
        partition.hand_on(&up).unwrap();
        assert_eq!(leads(&partition), (Some(NodeId(1)), 2, false));
        let again = partition.elect_preferred(&up);
        assert_eq!(again, Err(StreamsRefused::ElectionNotNeeded));
    }

    #[test]
    fn an_unclean_election_takes_who_has_nothing_last() {
        let mut partition = partition("1,2", "1", "");
        partition.forget(NodeId(1), &|_| false);
        assert!(partition.is_lost);
        partition.revive(&|_| true, false);
        assert_eq!(partition.leader, None, "nobody asked for it");
        partition.elect_unclean(&|_| true).unwrap();
        assert_eq!(
            (partition.leader, &partition.in_sync),
            (Some(NodeId(2)), &nodes("2"))
        );
        assert!(!partition.is_lost);
    }

    #[test]
    fn who_leaves_for_good_makes_room() {
        let check = |mut partition: Partition, gone, other, expected: [&str; 4]| {
            partition.substitute(NodeId(gone), other);
            let Partition {
                replicas,
                in_sync,
                adding,
                removing,
                ..
            } = &partition;
            let lists = [replicas, in_sync, adding, removing];
            assert_eq!(lists, expected.map(nodes).each_ref());
            assert!(partition.is_sound());
        };
        let plain = || partition("1,2,3", "1,3", "1,3");
        check(plain(), 2, Some(NodeId(4)), ["1,4,3", "1,3", "", ""]);
        check(plain(), 2, None, ["1,2,3", "1,3", "", ""]);
        let mut moving = plain();
        moving
            .reassign(&nodes("1,4"), Floor::Majority, &|_| true)
            .unwrap();
        check(moving.clone(), 2, None, ["1,4,3", "1,3", "4", "3"]);
        check(moving, 4, Some(NodeId(5)), ["1,5,2,3", "1,3", "5", "2,3"]);
        let mut lost = partition("1,2", "1", "");
        lost.forget(NodeId(1), &|_| false);
        check(lost.clone(), 1, Some(NodeId(3)), ["3,2", "3", "", ""]);
        lost.reassign(&nodes("2"), Floor::Majority, &|_| true)
            .unwrap();
        check(lost, 1, None, ["2", "2", "", ""]);
    }
}
