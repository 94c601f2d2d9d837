//! Which brokers hold a partition: rendezvous hashing with a bound on the load.
//! Topics and brokers go in, an assignment comes out and is stored; nothing is
//! ever placed anew because a broker came or went.
//!
//! Every broker draws a number for a partition, from the topic's id and both
//! numbers. The highest wins among those that are equally good otherwise:
//!
//! 1. it is up,
//! 2. its rack holds the fewest of the partition's replicas,
//! 3. it holds the fewest replicas of the topic, then of all topics,
//! 4. it is the preferred leader of the fewest partitions, likewise.
//!
//! So replicas are even within one wherever racks allow it, of each topic and of
//! all. Leaders are chosen among those who hold the partition, and are even within
//! one of each topic; of all they are as even as the holders leave room for.
//! Replicas apply
//! this: what comes out for what went in is a promise, and a change of it is a
//! new feature level.

use super::digest::{Hash, Part};
use super::topics::Topics;
use crate::ids::{NodeId, PartitionId, TopicId};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The brokers with what they hold.
#[derive(Clone, Debug, Default)]
pub struct Loads {
    brokers: BTreeMap<NodeId, Load>,
}

#[derive(Clone, Debug, Default)]
struct Load {
    rack: Option<Box<str>>,
    is_up: bool,
    all: Held,
    /// Of the topic that is being placed.
    own: Held,
}

/// How much of something.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    replicas: usize,
    leaders: usize,
}

/// A replica that had better be elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    pub topic: Box<str>,
    pub partition: PartitionId,
    /// Who shall hold it, the preferred leader first.
    pub target: Vec<NodeId>,
}

impl Loads {
    /// Where a topic is to be placed: what it holds already counts for more
    /// than what others do.
    pub fn of(topics: &Topics, own: Option<TopicId>) -> Self {
        let broker = |(node, broker): (NodeId, &super::topics::Broker)| {
            let load = Load {
                rack: broker.rack.clone(),
                is_up: broker.up.is_some(),
                ..Load::default()
            };
            (node, load)
        };
        let mut loads = Self {
            brokers: topics.brokers().iter().map(broker).collect(),
        };
        for (_, topic) in topics.iter() {
            for partition in &topic.partitions {
                let is_own = Some(topic.id) == own;
                loads.count(partition.target(), is_own, |count| *count += 1);
            }
        }
        loads
    }

    /// Brokers of which a partition may have replicas.
    pub fn brokers(&self) -> usize {
        self.brokers.len()
    }

    pub fn brokers_up(&self) -> usize {
        let up = self.brokers.values().filter(|load| load.is_up);
        up.count()
    }

    fn add(&mut self, replicas: &[NodeId], is_own: bool) {
        self.count(replicas.iter().copied(), is_own, |count| *count += 1);
    }

    fn take(&mut self, replicas: &[NodeId], is_own: bool) {
        self.count(replicas.iter().copied(), is_own, |count| *count -= 1);
    }

    fn count(
        &mut self,
        replicas: impl Iterator<Item = NodeId>,
        is_own: bool,
        step: impl Fn(&mut usize),
    ) {
        for (place, node) in replicas.enumerate() {
            // One that has left is no broker any more.
            let Some(load) = self.brokers.get_mut(&node) else {
                continue;
            };
            let own = is_own.then_some(&mut load.own);
            for held in [Some(&mut load.all), own].into_iter().flatten() {
                step(&mut held.replicas);
                if place == 0 {
                    step(&mut held.leaders);
                }
            }
        }
    }

    /// Replicas for so many partitions of a topic from `first` on; no more of
    /// each than there are brokers. The loads are as if they stood.
    pub fn spread(
        &mut self,
        id: TopicId,
        first: PartitionId,
        count: u32,
        factor: usize,
    ) -> Vec<Vec<NodeId>> {
        let partitions = (first.0..first.0 + count).map(PartitionId);
        let spread = partitions.map(|partition| {
            let mut replicas = Vec::with_capacity(factor);
            while replicas.len() < factor {
                let Some(next) = self.next(id, partition, &replicas) else {
                    break;
                };
                replicas.push(next);
            }
            self.lead(id, partition, &mut replicas);
            self.add(&replicas, true);
            replicas
        });
        let mut spread: Vec<_> = spread.collect();
        self.level(&mut spread);
        spread
    }

    /// Who holds a partition beside those who do.
    fn next(&self, id: TopicId, partition: PartitionId, held: &[NodeId]) -> Option<NodeId> {
        let others = self.brokers.iter().filter(|(node, _)| !held.contains(node));
        let rank = |(&node, load): (&NodeId, &Load)| {
            let key = (
                !load.is_up,
                self.of_rack(node, load, held),
                (load.own.replicas, load.all.replicas),
                (load.own.leaders, load.all.leaders),
                Reverse(draw(id, partition, node)),
            );
            (key, node)
        };
        others.map(rank).min().map(|(_, node)| node)
    }

    /// How many of these stand in the broker's rack. One without a rack stands
    /// by itself.
    fn of_rack(&self, node: NodeId, load: &Load, held: &[NodeId]) -> usize {
        let is_beside = |other: &&NodeId| {
            let rack = self.brokers.get(other).and_then(|load| load.rack.as_ref());
            **other != node && rack.is_some() && rack == load.rack.as_ref()
        };
        held.iter().filter(is_beside).count()
    }

    /// Puts whoever had best lead first.
    fn lead(&self, id: TopicId, partition: PartitionId, replicas: &mut [NodeId]) {
        let rank = |(place, node): (usize, &NodeId)| {
            let load = &self.brokers[node];
            let leaders = (load.own.leaders, load.all.leaders);
            let key = (!load.is_up, leaders, Reverse(draw(id, partition, *node)));
            (key, place)
        };
        if let Some((_, place)) = replicas.iter().enumerate().map(rank).min() {
            replicas[..=place].rotate_right(1);
        }
    }

    /// Hands leaders on from brokers that lead more to those that lead fewer,
    /// maybe by way of others: the greedy choice may end in a corner.
    fn level(&mut self, spread: &mut [Vec<NodeId>]) {
        // Each round makes the topic's leaders more even, or else those of all.
        for _ in 0..2 * spread.len() {
            let most_first = |node: &NodeId| {
                let load = &self.brokers[node];
                (Reverse((load.own.leaders, load.all.leaders)), *node)
            };
            let mut starts: Vec<_> = self.brokers.keys().copied().collect();
            starts.sort_by_key(most_first);
            let mut ways = starts.into_iter();
            let Some(way) = ways.find_map(|start| self.way_to_less(start, spread)) else {
                return;
            };
            for (at, to) in way {
                self.take(&spread[at], true);
                let place = spread[at].iter().position(|&node| node == to);
                spread[at][..=place.expect("the way leads to replicas")].rotate_right(1);
                self.add(&spread[at], true);
            }
        }
    }

    /// Which partitions to hand to whom so that the start leads one fewer and the
    /// end, which led fewer, one more; the shortest way.
    fn way_to_less(&self, start: NodeId, spread: &[Vec<NodeId>]) -> Option<Vec<(usize, NodeId)>> {
        let most = &self.brokers[&start];
        let leads_less = |node: &NodeId| {
            let (own, all) = (most.own.leaders, most.all.leaders);
            let less = &self.brokers[node];
            let is_far = own >= less.own.leaders + 2;
            is_far || (own > less.own.leaders && all >= less.all.leaders + 2)
        };
        // By whom each broker was reached, and over which partition.
        let mut reached: BTreeMap<NodeId, (NodeId, usize)> = BTreeMap::new();
        let mut waiting = VecDeque::from([start]);
        while let Some(from) = waiting.pop_front() {
            if leads_less(&from) {
                return Some(back(&reached, start, from));
            }
            let led = spread.iter().enumerate();
            for (at, replicas) in led.filter(|(_, replicas)| replicas.first() == Some(&from)) {
                let others = replicas[1..].iter();
                for &to in others.filter(|node| self.brokers[node].is_up) {
                    if to != start && !reached.contains_key(&to) {
                        reached.insert(to, (from, at));
                        waiting.push_back(to);
                    }
                }
            }
        }
        None
    }

    /// One more who holds a partition: up, and none of those who do. It counts
    /// from now on.
    pub fn substitute(
        &mut self,
        id: TopicId,
        partition: PartitionId,
        replicas: &[NodeId],
    ) -> Option<NodeId> {
        let next = self.next(id, partition, replicas)?;
        if !self.brokers[&next].is_up {
            return None;
        }
        let load = self.brokers.get_mut(&next);
        let load = load.expect("it was found among them");
        load.all.replicas += 1;
        load.own.replicas += 1;
        Some(next)
    }
}

/// From the end of a way to its beginning: the last step is taken first, so that
/// whoever hands on still leads what it hands on.
fn back(
    reached: &BTreeMap<NodeId, (NodeId, usize)>,
    start: NodeId,
    end: NodeId,
) -> Vec<(usize, NodeId)> {
    let (mut way, mut to) = (Vec::new(), end);
    while to != start {
        let (from, at) = reached[&to];
        way.push((at, to));
        to = from;
    }
    way
}

/// What a broker draws for a partition.
fn draw(id: TopicId, partition: PartitionId, node: NodeId) -> u64 {
    Hash::of(Part::Placement)
        .bytes(&id.0)
        .word(partition.0.into())
        .word(node.0)
        .value()
}

/// Moves after which every broker holds as much as any other, within one: the
/// fewest that do, each from a broker that holds too much to the one that holds
/// least. For a broker that has joined.
pub fn balance(topics: &Topics) -> Vec<Proposal> {
    let mut loads = Loads::of(topics, None);
    let mut targets = targets(topics);
    let mut moved = BTreeSet::new();
    let most_moves: usize = targets.iter().map(|one| one.target.len()).sum();
    for _ in 0..most_moves {
        let Some((at, from, to)) = best_move(&loads, &targets) else {
            break;
        };
        let target = &mut targets[at].target;
        loads.take(target, false);
        exchange(target, from, to);
        loads.add(target, false);
        moved.insert(at);
    }
    moved.into_iter().map(|at| targets[at].proposal()).collect()
}

/// Moves after which a broker holds nothing that another can hold. For one that
/// is to be removed.
pub fn drain(topics: &Topics, node: NodeId) -> Vec<Proposal> {
    let mut loads = Loads::of(topics, None);
    loads.brokers.remove(&node);
    let mut proposals = Vec::new();
    for mut placed in targets(topics) {
        if !placed.target.contains(&node) {
            continue;
        }
        if let Some(to) = loads.substitute(placed.id, placed.partition, &placed.target) {
            exchange(&mut placed.target, node, to);
            proposals.push(placed.proposal());
        }
    }
    proposals
}

/// Moves after which each partition of a topic has so many replicas, where there
/// are as many brokers: those it has stay, in their order. For a topic that was
/// made when there were fewer brokers.
pub fn widen(topics: &Topics, name: &str, factor: usize) -> Vec<Proposal> {
    let id = topics.get(name).map(|topic| topic.id);
    let mut loads = Loads::of(topics, id);
    let mut proposals = Vec::new();
    for mut placed in targets(topics).into_iter().filter(|one| one.name == name) {
        let has = placed.target.len();
        while placed.target.len() < factor {
            let next = loads.substitute(placed.id, placed.partition, &placed.target);
            let Some(next) = next else {
                break;
            };
            placed.target.push(next);
        }
        if placed.target.len() > has {
            proposals.push(placed.proposal());
        }
    }
    proposals
}

struct Placed<'a> {
    name: &'a str,
    id: TopicId,
    partition: PartitionId,
    target: Vec<NodeId>,
}

impl Placed<'_> {
    fn proposal(&self) -> Proposal {
        Proposal {
            topic: self.name.into(),
            partition: self.partition,
            target: self.target.clone(),
        }
    }
}

fn targets(topics: &Topics) -> Vec<Placed<'_>> {
    let mut all = Vec::with_capacity(topics.partitions());
    for (name, topic) in topics.iter() {
        for (n, partition) in (0..).zip(&topic.partitions) {
            all.push(Placed {
                name,
                id: topic.id,
                partition: PartitionId(n),
                target: partition.target().collect(),
            });
        }
    }
    all
}

/// From the fullest broker that can give to the emptiest that is up. Racks do
/// not get worse, and the preferred leader moves last.
fn best_move(loads: &Loads, targets: &[Placed]) -> Option<(usize, NodeId, NodeId)> {
    let up = loads.brokers.iter().filter(|(_, load)| load.is_up);
    let (&to, least) = up.min_by_key(|(node, load)| (load.all.replicas, **node))?;
    let mut fuller: Vec<_> = loads.brokers.iter().collect();
    fuller.retain(|(_, load)| load.all.replicas >= least.all.replicas + 2);
    fuller.sort_by_key(|(node, load)| (Reverse(load.all.replicas), **node));
    fuller.into_iter().find_map(|(&from, load)| {
        let may = |placed: &Placed| {
            let target = &placed.target;
            let others: Vec<_> = target
                .iter()
                .copied()
                .filter(|&node| node != from)
                .collect();
            let before = loads.of_rack(from, load, &others);
            let after = loads.of_rack(to, least, &others);
            target.contains(&from) && !target.contains(&to) && after <= before
        };
        let leads_fewer = least.all.leaders < load.all.leaders;
        let rank = |(at, placed): (usize, &Placed)| {
            let is_led = placed.target[0] == from;
            let drawn = draw(placed.id, placed.partition, to);
            (is_led == leads_fewer, drawn, Reverse(at))
        };
        let movable = targets.iter().enumerate().filter(|(_, placed)| may(placed));
        let (_, _, Reverse(at)) = movable.map(rank).max()?;
        Some((at, from, to))
    })
}

fn exchange(nodes: &mut [NodeId], old: NodeId, new: NodeId) {
    for node in nodes.iter_mut().filter(|node| **node == old) {
        *node = new;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::Seeded;

    fn loads(racks: &[Option<&str>]) -> Loads {
        let load = |rack: &Option<&str>| Load {
            rack: rack.map(Box::from),
            is_up: true,
            ..Load::default()
        };
        let brokers = (1..).map(NodeId).zip(racks.iter().map(load));
        Loads {
            brokers: brokers.collect(),
        }
    }

    fn id(n: u64) -> TopicId {
        TopicId((u128::from(n) << 64 | 7).to_be_bytes())
    }

    /// How far apart the brokers are, in replicas and in leaders.
    fn apart(counts: impl Iterator<Item = Held>) -> (usize, usize) {
        let (mut replicas, mut leaders) = (BTreeSet::new(), BTreeSet::new());
        for held in counts {
            replicas.insert(held.replicas);
            leaders.insert(held.leaders);
        }
        let range = |set: BTreeSet<usize>| set.last().unwrap() - set.first().unwrap();
        (range(replicas), range(leaders))
    }

    fn own_of(loads: &mut Loads) -> (usize, usize) {
        let own: Vec<_> = loads.brokers.values().map(|load| load.own).collect();
        for load in loads.brokers.values_mut() {
            load.own = Held::default();
        }
        apart(own.into_iter())
    }

    #[test]
    fn replicas_and_leaders_are_even_within_one() {
        for seed in 1..=300 {
            let mut seeded = Seeded::new(seed);
            let brokers = 1 + seeded.below(7) as usize;
            let mut loads = loads(&vec![None; brokers]);
            let some_factor = |seeded: &mut Seeded| 1 + seeded.below(brokers as u64) as usize;
            let (of_all, is_mixed) = (some_factor(&mut seeded), seeded.one_in(2));
            for n in 0..10 {
                let factor = match is_mixed {
                    true => some_factor(&mut seeded),
                    false => of_all,
                };
                let count = 1 + seeded.below(30) as u32;
                let spread = loads.spread(id(seed << 8 | n), PartitionId(0), count, factor);
                for replicas in &spread {
                    let distinct: BTreeSet<_> = replicas.iter().collect();
                    assert_eq!(distinct.len(), factor, "seed {seed}");
                }
                let (replicas, leaders) = own_of(&mut loads);
                assert!(replicas <= 1 && leaders <= 1, "seed {seed}: {spread:?}");
                let (replicas, leaders) = apart(loads.brokers.values().map(|load| load.all));
                assert!(replicas <= 1, "seed {seed}: {replicas} of all");
                // A topic of one partition is led by one of those who hold least,
                // though another may lead less.
                let most = if is_mixed { 4 } else { 2 };
                assert!(leaders <= most, "seed {seed}: {leaders} leaders of all");
            }
        }
    }

    #[test]
    fn replicas_stand_in_as_many_racks_as_there_are() {
        let three = [
            Some("a"),
            Some("a"),
            Some("b"),
            Some("b"),
            Some("c"),
            Some("c"),
        ];
        let mut loads = loads(&three);
        let spread = loads.spread(id(1), PartitionId(0), 30, 3);
        for replicas in &spread {
            let racks: BTreeSet<_> = replicas.iter().map(|node| (node.0 - 1) / 2).collect();
            assert_eq!(racks.len(), 3, "{replicas:?}");
        }
        assert_eq!(own_of(&mut loads), (0, 0));
        let spread = loads.spread(id(2), PartitionId(0), 10, 4);
        for replicas in &spread {
            let racks: BTreeSet<_> = replicas.iter().map(|node| (node.0 - 1) / 2).collect();
            assert_eq!(racks.len(), 3, "{replicas:?}");
        }
    }

    #[test]
    fn who_is_down_holds_only_what_nobody_else_can_and_leads_nothing() {
        let mut loads = loads(&[None; 3]);
        loads.brokers.get_mut(&NodeId(2)).unwrap().is_up = false;
        for replicas in loads.spread(id(1), PartitionId(0), 9, 2) {
            assert!(!replicas.contains(&NodeId(2)));
        }
        for replicas in loads.spread(id(2), PartitionId(0), 9, 3) {
            assert_eq!(replicas.len(), 3);
            assert_ne!(replicas[0], NodeId(2));
        }
    }

    /// What comes out for what went in must never change: replicas of two
    /// releases apply the same command.
    #[test]
    fn the_placement_is_the_same_for_ever() {
        let mut loads = loads(&[Some("a"), Some("b"), Some("a"), None]);
        let spread = loads.spread(id(1), PartitionId(0), 6, 2);
        let spread: Vec<_> = spread
            .iter()
            .map(|replicas| replicas.iter().map(|node| node.0).collect::<Vec<_>>())
            .collect();
        assert_eq!(
            format!("{spread:?}"),
            "[[3, 4], [2, 1], [4, 1], [3, 2], [1, 2], [4, 3]]"
        );
    }
}
