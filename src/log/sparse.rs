//! The sparse index of a segment: every few kilobytes, which index starts
//! where. Pure, and always possible to build again from the records.

use crate::ids::Index;

/// Bytes between two points. One point is 16 bytes, so a segment of 64 MiB
/// has 4,096 of them in 64 KiB; a search reads at most one distance.
pub const DISTANCE_BYTES: u64 = 16 << 10;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sparse {
    points: Vec<(Index, u64)>,
    /// Up to where records have been looked at.
    until: u64,
}

impl Sparse {
    pub fn from_points(points: Vec<(Index, u64)>, until: u64) -> Self {
        Self { points, until }
    }

    /// Notes a record that starts at `at` and ends at `until`. Records come in
    /// order; one that was noted before changes nothing.
    pub fn note(&mut self, first: Index, at: u64, until: u64) {
        if at < self.until {
            return;
        }
        self.until = until;
        let is_due = match self.points.last() {
            Some(&(_, last)) => at >= last + DISTANCE_BYTES,
            None => true,
        };
        if is_due {
            self.points.push((first, at));
        }
    }

    /// The last point at or before `index`: where to start walking.
    pub fn before(&self, index: Index) -> Option<(Index, u64)> {
        let after = self.points.partition_point(|&(first, _)| first <= index);
        after.checked_sub(1).map(|place| self.points[place])
    }

    pub fn until(&self) -> u64 {
        self.until
    }

    pub fn points(&self) -> &[(Index, u64)] {
        &self.points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_starts_at_or_before_the_index() {
        let mut sparse = Sparse::default();
        for record in 0..100 {
            let at = 4096 + record * 1000;
            sparse.note(Index(record), at, at + 1000);
        }
        assert_eq!(sparse.before(Index(0)), Some((Index(0), 4096)));
        assert_eq!(sparse.before(Index(16)), Some((Index(0), 4096)));
        assert_eq!(sparse.before(Index(17)), Some((Index(17), 21096)));
        assert_eq!(sparse.points().len(), 6);
        sparse.note(Index(3), 4096, 5096);
        assert_eq!(sparse.points().len(), 6);
    }
}
