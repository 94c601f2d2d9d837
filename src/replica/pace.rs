//! How long this node waits for a leader before it asks for votes: by what its
//! disk and its peers are seen to take, and never less than it was told.
//!
//! Only the wait is stretched. A leader goes on at the pace that it was told,
//! so that a follower which stretches less still hears it in time.

use crate::limits::FLUSHES_MEASURED;
use std::collections::VecDeque;
use std::time::Duration;

pub struct Pace {
    /// As configured.
    least: Duration,
    /// What the last durable appends took, the oldest first.
    flushes: VecDeque<Duration>,
    /// Those that are on their way: the number of each, and since when.
    under_way: VecDeque<(u64, Duration)>,
    round_trip: Duration,
    stretch: u32,
}

impl Pace {
    pub fn new(least: Duration) -> Self {
        Self {
            least,
            flushes: VecDeque::new(),
            under_way: VecDeque::new(),
            round_trip: Duration::ZERO,
            stretch: 1,
        }
    }

    pub fn flush_begins(&mut self, number: u64, now: Duration) {
        self.under_way.push_back((number, now));
    }

    /// Everything up to this number is durable.
    pub fn flushed(&mut self, number: u64, now: Duration) {
        while let Some((_, began)) = self.under_way.pop_front_if(|(first, _)| *first <= number) {
            if self.flushes.len() == FLUSHES_MEASURED {
                self.flushes.pop_front();
            }
            self.flushes.push_back(now.saturating_sub(began));
        }
    }

    pub fn note_round_trip(&mut self, round_trip: Duration) {
        self.round_trip = round_trip;
    }

    /// One in a hundred takes longer.
    pub fn flush_p99(&self) -> Duration {
        let mut sorted: Vec<Duration> = self.flushes.iter().copied().collect();
        sorted.sort_unstable();
        let at = sorted.len() * 99 / 100;
        sorted.get(at).copied().unwrap_or_default()
    }

    /// Called now and then.
    pub fn settle(&mut self) {
        let wanted = election_timeout(self.flush_p99(), self.round_trip);
        let times = wanted.as_millis().div_ceil(self.least.as_millis().max(1));
        self.stretch = u32::try_from(times).unwrap_or(u32::MAX).max(1);
    }

    /// How many of the replica's ticks are one of a node that waits.
    pub fn stretch(&self) -> u32 {
        self.stretch
    }

    pub fn election_timeout(&self) -> Duration {
        self.least * self.stretch
    }
}

/// How long a follower waits before it asks for votes, given what a durable
/// append and a round trip take at their worst, and never less than half a
/// second, which a busy scheduler may take.
///
/// A heartbeat needs no disk: its way is what the wait has to outlast, several
/// times. A vote needs two appends, one after the other, that of who asks and
/// that of who gives; were the wait shorter, no election would end in one try.
fn election_timeout(flush: Duration, round_trip: Duration) -> Duration {
    const LEAST: Duration = Duration::from_millis(500);
    const MOST: Duration = Duration::from_secs(5);
    (flush * 3 + round_trip * 10).clamp(LEAST, MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// A node that was told `least`, whose appends took `flush` each, and the
    /// wait that follows.
    fn check(least: u64, flushes: &[u64], round_trip: u64, waits: u64) {
        let mut pace = Pace::new(ms(least));
        for (number, flush) in (1..).zip(flushes) {
            pace.flush_begins(number, ms(0));
            pace.flushed(number, ms(*flush));
        }
        pace.note_round_trip(ms(round_trip));
        pace.settle();
        assert_eq!(
            pace.election_timeout(),
            ms(waits),
            "{flushes:?} {round_trip}"
        );
    }

    #[test]
    fn a_quick_disk_waits_as_told() {
        check(1000, &[], 0, 1000);
        check(1000, &[1; 300], 1, 1000);
        check(3000, &[300; 300], 50, 3000);
    }

    #[test]
    fn less_than_half_a_second_is_never_enough() {
        check(200, &[1; 300], 1, 600);
    }

    #[test]
    fn a_slow_disk_or_a_far_peer_stretches_it() {
        check(1000, &[400; 300], 0, 2000);
        check(1000, &[1; 300], 299, 3000);
        check(1000, &[300; 300], 100, 2000);
        check(1000, &[60_000; 300], 0, 5000);
    }

    #[test]
    fn one_slow_append_in_many_is_forgotten_and_two_are_not() {
        let mut flushes = vec![1; FLUSHES_MEASURED];
        flushes[7] = 500;
        check(1000, &flushes, 0, 1000);
        for at in [9, 30] {
            flushes[at] = 500;
        }
        check(1000, &flushes, 0, 2000);
        flushes.extend([1; FLUSHES_MEASURED]);
        check(1000, &flushes, 0, 1000);
    }

    #[test]
    fn appends_that_become_durable_together_count_each() {
        let mut pace = Pace::new(ms(1000));
        pace.flush_begins(1, ms(10));
        pace.flush_begins(2, ms(30));
        pace.flush_begins(3, ms(40));
        pace.flushed(2, ms(60));
        assert_eq!(pace.flushes, [ms(50), ms(30)]);
        assert_eq!(pace.flush_p99(), ms(50));
    }
}
