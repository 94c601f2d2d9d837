//! Which segments of a partition may be compacted, and whether it is worth it.
//!
//! A segment may be where it is sealed, everything in it is stable, and its last
//! record is as old as the topic asks for. It is worth it once the part that is not
//! compacted yet is large beside the whole, or has waited too long.

use crate::clock::Millis;
use crate::ids::Offset;

/// One sealed segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    pub first: Offset,
    /// Where the next one begins.
    pub next: Offset,
    pub bytes: u64,
    /// The greatest timestamp in it, or a little more.
    pub latest: i64,
}

/// A partition, as far as compaction minds it.
#[derive(Clone, Copy, Debug)]
pub struct Dirt<'a> {
    /// The sealed segments, the oldest first.
    pub parts: &'a [Part],
    /// Compacted up to here.
    pub clean_until: Offset,
    /// Every transaction that began below is ended.
    pub last_stable: Offset,
    /// Timestamp of the first batch that is not compacted, where it is known.
    pub oldest: Option<i64>,
    pub min_lag_ms: i64,
    pub max_lag_ms: i64,
    pub min_ratio: f64,
}

/// What is to be compacted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// Where to note keys from.
    pub from: Offset,
    /// Where the last segment ends that may be compacted.
    pub until: Offset,
}

impl Dirt<'_> {
    /// None where there is nothing to do, or not yet.
    pub fn work(&self, now: Millis) -> Option<Work> {
        let parts = self.may_be_compacted(now);
        let until = parts.last()?.next;
        let bytes = |part: &&Part| part.bytes;
        let is_dirty = |part: &&Part| part.next > self.clean_until;
        let all: u64 = parts.iter().map(|part| part.bytes).sum();
        let dirty: u64 = parts.iter().filter(is_dirty).map(|part| bytes(&part)).sum();
        let ratio = dirty as f64 / all.max(1) as f64;
        let is_late = self.oldest.is_some_and(|oldest| {
            self.max_lag_ms < i64::MAX && oldest < (now.0 as i64).saturating_sub(self.max_lag_ms)
        });
        let from = self.clean_until.max(parts[0].first);
        let is_worth_it = dirty > 0 && (ratio > self.min_ratio || is_late);
        is_worth_it.then_some(Work { from, until })
    }

    fn may_be_compacted(&self, now: Millis) -> &[Part] {
        let newest = (now.0 as i64).saturating_sub(self.min_lag_ms);
        let may = |part: &Part| {
            let is_old = self.min_lag_ms <= 0 || part.latest <= newest;
            // What was compacted once may be again, whatever its records say.
            part.next <= self.last_stable && (is_old || part.next <= self.clean_until)
        };
        let count = self.parts.iter().take_while(|part| may(part)).count();
        &self.parts[..count]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four segments of ten records and a hundred bytes, the n-th as late as n
    /// thousand.
    fn work(change: impl Fn(&mut Dirt)) -> Option<(u64, u64)> {
        let part = |n: u64| Part {
            first: Offset(n * 10),
            next: Offset(n * 10 + 10),
            bytes: 100,
            latest: n as i64 * 1000,
        };
        let parts: Vec<Part> = (0..4).map(part).collect();
        let mut dirt = Dirt {
            parts: &parts,
            clean_until: Offset(0),
            last_stable: Offset(100),
            oldest: None,
            min_lag_ms: 0,
            max_lag_ms: i64::MAX,
            min_ratio: 0.5,
        };
        change(&mut dirt);
        let work = dirt.work(Millis(5000));
        work.map(|work| (work.from.0, work.until.0))
    }

    #[test]
    fn it_is_worth_it_once_enough_is_dirty() {
        assert_eq!(work(|_| ()), Some((0, 40)));
        assert_eq!(work(|dirt| dirt.clean_until = Offset(10)), Some((10, 40)));
        assert_eq!(
            work(|dirt| dirt.clean_until = Offset(20)),
            None,
            "just half"
        );
        // A segment that is dirty in part counts as a whole.
        assert_eq!(work(|dirt| dirt.clean_until = Offset(19)), Some((19, 40)));
        assert_eq!(work(|dirt| dirt.clean_until = Offset(40)), None);
        let any = |dirt: &mut Dirt| (dirt.clean_until, dirt.min_ratio) = (Offset(30), 0.0);
        assert_eq!(work(any), Some((30, 40)));
        assert_eq!(work(|dirt| dirt.min_ratio = 1.0), None, "as Kafka has it");
        assert_eq!(work(|dirt| dirt.parts = &[]), None);
    }

    #[test]
    fn what_is_open_or_young_is_left_alone() {
        assert_eq!(work(|dirt| dirt.last_stable = Offset(29)), Some((0, 20)));
        assert_eq!(work(|dirt| dirt.last_stable = Offset(9)), None);
        assert_eq!(work(|dirt| dirt.min_lag_ms = 3000), Some((0, 30)));
        assert_eq!(work(|dirt| dirt.min_lag_ms = 3001), Some((0, 20)));
        assert_eq!(work(|dirt| dirt.min_lag_ms = i64::MAX), None);
    }

    #[test]
    fn what_has_waited_too_long_is_worth_it() {
        let waits = |oldest, max| {
            work(move |dirt| {
                dirt.clean_until = Offset(30);
                (dirt.oldest, dirt.max_lag_ms) = (oldest, max);
            })
        };
        assert_eq!(waits(Some(3000), 1999), Some((30, 40)));
        assert_eq!(waits(Some(3000), 2000), None);
        assert_eq!(waits(None, 0), None);
        assert_eq!(waits(Some(i64::MIN), i64::MAX), None);
    }
}
