//! The time index of a partition: how late the records of each stretch of its
//! log are. Sparse, in memory, and always possible to build again. Pure.

use crate::ids::Offset;

/// One mark is 24 bytes, so a terabyte has 96 MiB of them; a search reads a
/// stretch to its end at most.
const STRETCH_BYTES: u64 = 256 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub first: Offset,
    /// The greatest timestamp of the stretch that begins here.
    pub latest: i64,
    bytes: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Times {
    marks: Vec<Mark>,
}

impl Times {
    /// A batch stands behind all others.
    pub fn note(&mut self, first: Offset, latest: i64, bytes: usize) {
        match self.marks.last_mut() {
            Some(last) if last.bytes < STRETCH_BYTES => {
                last.latest = last.latest.max(latest);
                last.bytes += bytes as u64;
            }
            _ => self.marks.push(Mark {
                first,
                latest,
                bytes: bytes as u64,
            }),
        }
    }

    /// Where to look for the first record at or after this time: no record
    /// below has it. None where no record has.
    pub fn find(&self, at_ms: i64) -> Option<Offset> {
        let mark = self.marks.iter().find(|mark| mark.latest >= at_ms);
        mark.map(|mark| mark.first)
    }

    /// The greatest of all, and the first stretch that has it.
    pub fn latest(&self) -> Option<(i64, Offset)> {
        // The first of equals: `max_by_key` gives the last.
        let mark = self.marks.iter().rev().max_by_key(|mark| mark.latest)?;
        Some((mark.latest, mark.first))
    }

    /// The greatest below an offset, of stretches that begin below it.
    pub fn latest_below(&self, until: Offset) -> Option<i64> {
        let marks = self.marks.iter();
        let below = marks.take_while(|mark| mark.first < until);
        below.map(|mark| mark.latest).max()
    }

    /// The greatest below each of some offsets, which rise.
    pub fn latest_below_each(&self, untils: impl Iterator<Item = Offset>) -> Vec<Option<i64>> {
        let (mut marks, mut latest) = (self.marks.iter().peekable(), None);
        let below = |until: Offset| {
            while let Some(mark) = marks.next_if(|mark| mark.first < until) {
                latest = latest.max(Some(mark.latest));
            }
            latest
        };
        untils.map(below).collect()
    }

    /// The greatest between two offsets, of all stretches that have a part there.
    pub fn latest_between(&self, from: Offset, until: Offset) -> Option<i64> {
        let begin = self.marks.partition_point(|mark| mark.first <= from);
        let marks = self.marks[begin.saturating_sub(1)..].iter();
        let there = marks.take_while(|mark| mark.first < until);
        there.map(|mark| mark.latest).max()
    }

    /// Compaction has left these of the times below `until`. The stretch that goes on
    /// there keeps its time, which may be one of a record that is gone: that costs a
    /// search in vain.
    pub fn replace_below(&mut self, until: Offset, left: Self) {
        let behind = self.marks.partition_point(|mark| mark.first < until);
        let kept = self.marks.split_off(behind);
        let is_whole = kept.first().is_some_and(|next| next.first == until);
        let last = self.marks.last().filter(|_| !is_whole);
        let goes_on = last.map(|last| Mark {
            first: until,
            ..*last
        });
        self.marks = left.marks;
        self.marks.extend(goes_on);
        self.marks.extend(kept);
    }

    /// The log ends here now. The last stretch may say later than it is, which
    /// costs a search in vain.
    pub fn truncate(&mut self, next: Offset) {
        self.marks.retain(|mark| mark.first < next);
    }

    /// The log begins here now.
    pub fn drop_prefix(&mut self, first: Offset) {
        let behind = self.marks.partition_point(|mark| mark.first <= first);
        self.marks.drain(..behind.saturating_sub(1));
        if let Some(mark) = self.marks.first_mut() {
            mark.first = mark.first.max(first);
        }
    }

    pub fn clear(&mut self) {
        self.marks.clear();
    }

    pub fn marks(&self) -> &[Mark] {
        &self.marks
    }

    /// One that was written down. None where they do not rise.
    pub fn push_read(&mut self, first: Offset, latest: i64) -> Option<()> {
        let rises = self.marks.last().is_none_or(|last| last.first < first);
        rises.then(|| {
            self.marks.push(Mark {
                first,
                latest,
                bytes: STRETCH_BYTES,
            });
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times() -> Times {
        let mut times = Times::default();
        for n in 0..8 {
            // Two batches a stretch; the third stretch is the latest.
            let latest = [10, 12, 20, 18, 90, 80, 30, 31][n as usize];
            times.note(Offset(n * 5), latest, 128 << 10);
        }
        times
    }

    #[test]
    fn a_time_is_looked_for_from_the_first_stretch_that_has_it() {
        let times = times();
        assert_eq!(times.marks().len(), 4);
        let find = |at| times.find(at).map(|offset| offset.0);
        assert_eq!(find(0), Some(0));
        assert_eq!(find(12), Some(0));
        assert_eq!(find(13), Some(10));
        assert_eq!(find(21), Some(20));
        assert_eq!(find(90), Some(20));
        assert_eq!(find(91), None);
        assert_eq!(times.latest(), Some((90, Offset(20))));
        assert_eq!(times.latest_below(Offset(20)), Some(20));
        assert_eq!(times.latest_below(Offset(21)), Some(90));
        assert_eq!(times.latest_below(Offset(0)), None);
        let untils = [0, 20, 20, 21, 999].map(Offset);
        let each = times.latest_below_each(untils.into_iter());
        assert_eq!(each, untils.map(|until| times.latest_below(until)));
    }

    #[test]
    fn what_compaction_leaves_takes_the_place_of_what_was_there() {
        let mut times = times();
        let between =
            |times: &Times, from, until| times.latest_between(Offset(from), Offset(until));
        assert_eq!(between(&times, 0, 10), Some(12));
        assert_eq!(between(&times, 5, 11), Some(20));
        assert_eq!(between(&times, 25, 30), Some(90), "a part of it");
        assert_eq!(between(&Times::default(), 0, 9), None);
        let mut left = Times::default();
        left.note(Offset(13), 19, 50);
        times.replace_below(Offset(25), left.clone());
        let marks = |times: &Times| -> Vec<_> {
            times
                .marks()
                .iter()
                .map(|mark| (mark.first.0, mark.latest))
                .collect()
        };
        assert_eq!(marks(&times), [(13, 19), (25, 90), (30, 31)]);
        times.replace_below(Offset(30), left.clone());
        assert_eq!(marks(&times), [(13, 19), (30, 31)]);
        times.replace_below(Offset(40), left);
        assert_eq!(marks(&times), [(13, 19), (40, 31)], "the last one grows on");
    }

    #[test]
    fn both_ends_may_be_cut() {
        let mut times = times();
        times.truncate(Offset(25));
        assert_eq!(times.find(85), Some(Offset(20)), "later than it is");
        assert_eq!(times.marks().len(), 3);
        times.drop_prefix(Offset(13));
        assert_eq!(times.find(0), Some(Offset(13)));
        times.drop_prefix(Offset(24));
        assert_eq!(times.marks().len(), 1);
        assert_eq!(times.find(0), Some(Offset(24)));
        times.truncate(Offset(24));
        assert_eq!(times.latest(), None);
    }
}
