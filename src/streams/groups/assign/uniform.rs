//! Evenly. What a member had it keeps; what nobody has goes to whoever has
//! least; then partitions move, one at a time, from members that have too many
//! to such that have two less, over others where the two share no topic. When
//! no such way is left, no assignment is more even.

use super::Seat;
use crate::ids::Uid;
use crate::limits::GROUP_BALANCING_STEPS_MAX;
use crate::streams::groups::Name;
use crate::streams::groups::partitions::{Partition, Partitions};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

pub(super) fn share_out(
    seats: &BTreeMap<Name, Seat>,
    counts: &BTreeMap<Uid, u32>,
) -> BTreeMap<Name, Partitions> {
    let mut table = Table::new(seats, counts);
    let unowned = table.keep(counts);
    table.hand_out(unowned);
    table.even_out();
    table.into_shares()
}

/// A member's place in the order of names.
type At = usize;

struct Table<'a> {
    names: Vec<&'a Name>,
    seats: Vec<&'a Seat<'a>>,
    /// What each has, by topic.
    held: Vec<BTreeMap<Uid, BTreeSet<i32>>>,
    loads: Vec<usize>,
    wanting: BTreeMap<Uid, Vec<At>>,
    steps_left: usize,
}

impl<'a> Table<'a> {
    fn new(seats: &'a BTreeMap<Name, Seat>, counts: &BTreeMap<Uid, u32>) -> Self {
        let mut wanting: BTreeMap<Uid, Vec<At>> = BTreeMap::new();
        for (at, seat) in seats.values().enumerate() {
            for topic in seat
                .topics
                .iter()
                .filter(|topic| counts.contains_key(topic))
            {
                wanting.entry(*topic).or_default().push(at);
            }
        }
        Self {
            names: seats.keys().collect(),
            seats: seats.values().collect(),
            held: vec![BTreeMap::new(); seats.len()],
            loads: vec![0; seats.len()],
            wanting,
            steps_left: GROUP_BALANCING_STEPS_MAX,
        }
    }

    /// Everybody keeps what it had and still wants. What is left over comes
    /// back: first the topics that fewest want, whose partitions have the least
    /// choice.
    fn keep(&mut self, counts: &BTreeMap<Uid, u32>) -> Vec<(Uid, Vec<i32>)> {
        let mut owned: BTreeSet<Partition> = BTreeSet::new();
        for (at, seat) in self.seats.clone().into_iter().enumerate() {
            for partition in seat.before.iter() {
                let (topic, number) = partition;
                let count = counts.get(topic).copied().unwrap_or(0);
                let is_there = u32::try_from(*number).is_ok_and(|number| number < count);
                if is_there && seat.topics.contains(topic) && owned.insert(*partition) {
                    self.give(at, *partition);
                }
            }
        }
        let mut topics: Vec<&Uid> = self.wanting.keys().collect();
        topics.sort_by_key(|topic| self.wanting[topic].len());
        let unowned_of = |topic: &Uid| {
            let count = i32::try_from(counts[topic]).unwrap_or(i32::MAX);
            let unowned = (0..count).filter(|number| !owned.contains(&(*topic, *number)));
            (*topic, unowned.collect())
        };
        topics.into_iter().map(unowned_of).collect()
    }

    fn hand_out(&mut self, unowned: Vec<(Uid, Vec<i32>)>) {
        for (topic, numbers) in unowned
            .into_iter()
            .filter(|(_, numbers)| !numbers.is_empty())
        {
            let with_load = |at: &At| Reverse((self.loads[*at], *at));
            let mut least: BinaryHeap<_> = self.wanting[&topic].iter().map(with_load).collect();
            for number in numbers {
                if let Some(Reverse((load, at))) = least.pop() {
                    self.give(at, (topic, number));
                    least.push(Reverse((load + 1, at)));
                }
            }
        }
    }

    fn even_out(&mut self) {
        loop {
            let mut has_moved = false;
            let mut fullest: Vec<At> = (0..self.loads.len()).collect();
            fullest.sort_by_key(|at| Reverse(self.loads[*at]));
            let least = self.loads.iter().min().copied().unwrap_or(0);
            for at in fullest {
                while self.loads[at] >= least + 2 && self.relieve(at) {
                    has_moved = true;
                }
            }
            if !has_moved {
                return;
            }
        }
    }

    /// Finds the nearest member that has at least two less, nearest by how many
    /// partitions must move, and moves them. Breadth first, over the topics
    /// that one has something of and the next wants.
    fn relieve(&mut self, from: At) -> bool {
        let enough = self.loads[from] - 2;
        let mut came_over: BTreeMap<At, (At, Uid)> = BTreeMap::new();
        let mut topics_seen: BTreeSet<Uid> = BTreeSet::new();
        let mut frontier = vec![from];
        while !frontier.is_empty() {
            let mut next = Vec::new();
            for giver in frontier {
                for topic in self.held[giver].keys() {
                    if !topics_seen.insert(*topic) {
                        continue;
                    }
                    for &taker in &self.wanting[topic] {
                        if taker != from && !came_over.contains_key(&taker) {
                            came_over.insert(taker, (giver, *topic));
                            next.push(taker);
                        }
                    }
                }
            }
            let Some(left) = self.steps_left.checked_sub(next.len()) else {
                return false;
            };
            self.steps_left = left;
            let least = next.iter().copied().min_by_key(|at| self.loads[*at]);
            if let Some(taker) = least.filter(|at| self.loads[*at] <= enough) {
                self.pass_along(&came_over, taker);
                return true;
            }
            frontier = next;
        }
        false
    }

    fn pass_along(&mut self, came_over: &BTreeMap<At, (At, Uid)>, mut taker: At) {
        while let Some(&(giver, topic)) = came_over.get(&taker) {
            let number = self.choose(giver, taker, topic);
            self.take(giver, (topic, number));
            self.give(taker, (topic, number));
            taker = giver;
        }
    }

    /// Rather what the taker had before, then what the giver had not.
    fn choose(&self, giver: At, taker: At, topic: Uid) -> i32 {
        let preference = |number: &i32| {
            let had = |at: At| self.seats[at].before.contains(&(topic, *number));
            (had(taker), !had(giver), *number)
        };
        let held = &self.held[giver][&topic];
        let best = held.iter().copied().max_by_key(preference);
        best.expect("a topic without partitions is not held")
    }

    fn give(&mut self, to: At, (topic, number): Partition) {
        self.held[to].entry(topic).or_default().insert(number);
        self.loads[to] += 1;
    }

    fn take(&mut self, from: At, (topic, number): Partition) {
        if let Some(numbers) = self.held[from].get_mut(&topic) {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.held[from].remove(&topic);
            }
            self.loads[from] -= 1;
        }
    }

    fn into_shares(self) -> BTreeMap<Name, Partitions> {
        let flat = |held: BTreeMap<Uid, BTreeSet<i32>>| {
            let partitions = held.into_iter().flat_map(|(topic, numbers)| {
                numbers.into_iter().map(move |number| (topic, number))
            });
            partitions.collect()
        };
        let names = self.names.into_iter().cloned();
        names.zip(self.held.into_iter().map(flat)).collect()
    }
}
