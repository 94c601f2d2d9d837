//! When what has come together goes on as one batch: into an entry on the
//! leader, to the leader on a follower.
//!
//! One batch is on its way at a time, and what comes meanwhile is the next. A
//! batch costs nearly the same whatever is in it, so the first client that is
//! back from the last one is not sent on alone: the batch waits for the others,
//! as many as there were, and never much longer than a batch takes.

use std::time::Duration;

/// A crowd that is back within so many times what a batch takes is worth the
/// wait: it costs the clients as long, and spares the cores all but one batch.
const HOLD_BATCHES: u32 = 3;
/// On a slow disk a batch takes long, and clients come back as soon as ever.
const HOLD_MAX: Duration = Duration::from_millis(2);
/// Batches that go at once after waits that were in vain, at the most.
const PASSES_MAX: u32 = 64;

#[derive(Debug, Default)]
pub struct Gather {
    /// As many as were on their way or waited when the last batch was done.
    crowd: usize,
    went_at: Duration,
    /// What the last batch held; None where none is on its way.
    count: Option<usize>,
    /// Until when the next waits for the crowd.
    until: Duration,
    is_held: bool,
    /// Waits in a row that the crowd did not come to.
    misses: u32,
    /// Batches that go at once.
    passes: u32,
}

impl Gather {
    /// A batch of so many goes on its way.
    pub fn went(&mut self, now: Duration, count: usize) {
        if self.is_held {
            let is_miss = count < self.crowd;
            self.misses = if is_miss { self.misses + 1 } else { 0 };
            if self.misses > 1 {
                self.passes = 1 << self.misses.min(PASSES_MAX.ilog2());
            }
        } else {
            self.passes = self.passes.saturating_sub(1);
        }
        self.is_held = false;
        self.went_at = now;
        self.count = Some(count);
    }

    /// It is done, if one was on its way; so many wait by now.
    pub fn back(&mut self, now: Duration, waiting: usize) {
        if let Some(count) = self.count.take() {
            let took = now.saturating_sub(self.went_at);
            self.crowd = count + waiting;
            self.until = now + (took * HOLD_BATCHES).min(HOLD_MAX);
        }
    }

    /// How long so many are held for the rest of the crowd; None: they go.
    pub fn holds(&mut self, now: Duration, waiting: usize) -> Option<Duration> {
        let is_held = waiting < self.crowd && now < self.until && self.passes == 0;
        self.is_held |= is_held;
        is_held.then_some(self.until)
    }

    /// So many more make the crowd whole.
    pub fn lacks(&self, waiting: usize) -> usize {
        self.crowd.saturating_sub(waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn us(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    /// One that had `count` in its last batch, which left at 0 and was done at
    /// 400 us with `waiting` behind it.
    fn after_one(count: usize, waiting: usize) -> Gather {
        let mut gather = Gather::default();
        gather.went(us(0), count);
        gather.back(us(400), waiting);
        gather
    }

    #[test]
    fn the_first_of_all_goes_at_once() {
        assert_eq!(Gather::default().holds(us(5), 1), None);
    }

    #[test]
    fn a_lone_client_is_never_held() {
        assert_eq!(after_one(1, 0).holds(us(410), 1), None);
    }

    #[test]
    fn who_comes_first_waits_for_as_many_as_there_were() {
        let mut gather = after_one(3, 1);
        assert_eq!(gather.holds(us(410), 1), Some(us(1600)));
        assert_eq!(gather.lacks(1), 3);
        assert_eq!(gather.holds(us(900), 3), Some(us(1600)));
        assert_eq!(gather.holds(us(1000), 4), None);
    }

    #[test]
    fn nobody_waits_longer_than_three_batches_take_or_than_the_bound() {
        assert_eq!(after_one(3, 0).holds(us(1600), 1), None);
        let mut slow = Gather::default();
        slow.went(us(0), 3);
        slow.back(us(500_000), 0);
        assert_eq!(slow.holds(us(500_001), 1), Some(us(502_000)));
    }

    #[test]
    fn waits_in_vain_become_rarer_and_one_that_pays_ends_that() {
        let mut gather = Gather::default();
        let mut now = us(0);
        let mut round = |gather: &mut Gather, comes: usize| {
            gather.went(now, comes);
            now += us(1000);
            gather.back(now, 3);
            let is_held = gather.holds(now, 1).is_some();
            now += us(1000);
            is_held
        };
        let held: Vec<bool> = (0..12).map(|_| round(&mut gather, 1)).collect();
        let [f, t] = [false, true];
        assert_eq!(held, [t, t, f, f, f, f, t, f, f, f, f, f]);
        let until = (0..100).position(|_| round(&mut gather, 1)).unwrap();
        assert!(until < PASSES_MAX as usize);
        // The batch that is held now is one to which all come.
        round(&mut gather, 99);
        assert_eq!((gather.misses, gather.passes), (0, 0));
    }

    #[test]
    fn the_end_of_a_batch_counts_once() {
        let mut gather = after_one(4, 0);
        gather.back(us(9000), 0);
        assert_eq!(gather.holds(us(9000), 1), None);
    }
}
