//! Which partition a record goes to.

use super::super::shape::Shape;
use super::murmur;

pub struct Spread {
    /// The one that was asked for.
    only: Option<i32>,
    /// What goes to one partition before the next has its turn, so that batches
    /// are few and full.
    turn_bytes: usize,
    turn: usize,
    left: usize,
}

impl Spread {
    pub fn new(only: Option<i32>, turn_bytes: usize) -> Self {
        Self {
            only,
            turn_bytes,
            turn: 0,
            left: turn_bytes,
        }
    }

    /// By the key where there is one, or else to those that have a leader in
    /// turn.
    pub fn partition(&mut self, shape: &Shape, key: Option<&[u8]>, bytes: usize) -> i32 {
        if let Some(only) = self.only {
            return only;
        }
        let all = &shape.partitions;
        if let Some(key) = key {
            return all[murmur::partition(key, all.len())].number;
        }
        let led: Vec<i32> = all
            .iter()
            .filter(|one| one.leader.is_some())
            .map(|one| one.number)
            .collect();
        match led.is_empty() {
            true => all[self.next(all.len(), bytes)].number,
            false => led[self.next(led.len(), bytes)],
        }
    }

    fn next(&mut self, count: usize, bytes: usize) -> usize {
        let place = self.turn % count;
        match self.left.checked_sub(bytes.max(1)) {
            Some(left) => self.left = left,
            None => {
                self.turn = self.turn.wrapping_add(1);
                self.left = self.turn_bytes;
            }
        }
        place
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::shape::tests::{partition, shape};
    use super::*;

    #[test]
    fn keys_stay_and_others_go_to_those_that_are_led() {
        let shape = shape(
            (0..4)
                .map(|number| partition(number, number - 1, &[]))
                .collect(),
        );
        let mut spread = Spread::new(None, 100);
        let by_key: Vec<_> = (0..9)
            .map(|_| spread.partition(&shape, Some(b"abc"), 50))
            .collect();
        assert_eq!(by_key, [by_key[0]; 9]);
        let in_turn: Vec<_> = (0..9).map(|_| spread.partition(&shape, None, 50)).collect();
        assert_eq!(in_turn, [1, 1, 1, 2, 2, 2, 3, 3, 3]);
        let mut only = Spread::new(Some(0), 100);
        assert_eq!(only.partition(&shape, Some(b"abc"), 50), 0);
    }
}
