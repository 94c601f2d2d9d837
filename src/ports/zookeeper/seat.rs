//! Where the door's thread sits: on the log's core, or wherever the kernel puts
//! it.
//!
//! A write goes from the door to the replica and back, and only one of the two
//! has it at a time. On one core that is a switch of threads; across cores it
//! wakes one that sleeps, twice, and the kernel likes to put the door on the
//! core of its own clients, which then wait for it. With reads it is the other
//! way round: both are busy at once. And on a core that the log's threads fill,
//! a door would only wait.

use crate::disk::class;
use std::time::Duration;

/// Between two looks.
const LOOK_US: u64 = 20_000;
/// Fewer asks than this say nothing.
const ASKS_MIN: u64 = 16;
/// The part of its time that a door may wait there. It waits a fifth beside a
/// replica that has the core to itself, and a third on the core of its clients;
/// four fifths and more beside three replicas.
const CROWDED_PERCENT: u64 = 50;
/// So many looks in a row must say so.
const CROWDED_LOOKS: u32 = 2;
/// How long a crowded core is left alone; twice as long each time.
const AWAY_US: u64 = 5_000_000;
const AWAY_US_MAX: u64 = 60_000_000;

/// The thread's, and what it goes by.
#[derive(Default)]
pub struct Seat {
    choice: Choice,
    looked_us: u64,
    waited: Duration,
    asks: u64,
    writes: u64,
}

impl Seat {
    /// So many requests go to the replica, so many of them to be written.
    pub fn count(&mut self, asks: usize, writes: usize) {
        self.asks += asks as u64;
        self.writes += writes as u64;
    }

    /// Called at each turn; moves the thread where that pays.
    pub fn look(&mut self, now_us: u64) {
        let span_us = now_us.saturating_sub(self.looked_us);
        if span_us < LOOK_US || !class::has_place() {
            return;
        }
        self.looked_us = now_us;
        let (asks, writes) = (self.asks, self.writes);
        (self.asks, self.writes) = (0, 0);
        let Some(waited) = class::waited() else {
            return;
        };
        let waited_us = waited.saturating_sub(self.waited).as_micros() as u64;
        self.waited = waited;
        if asks < ASKS_MIN {
            return;
        }
        let seen = Seen {
            now_us,
            is_for_writes: writes * 2 > asks,
            waited_percent: waited_us * 100 / span_us,
        };
        let was_beside = self.choice.is_beside_log;
        self.choice.see(seen);
        if self.choice.is_beside_log != was_beside {
            class::sit(self.choice.is_beside_log);
        }
    }
}

#[derive(Clone, Copy)]
struct Seen {
    now_us: u64,
    /// Most requests wait for the log.
    is_for_writes: bool,
    waited_percent: u64,
}

#[derive(Default)]
struct Choice {
    is_beside_log: bool,
    since_us: u64,
    crowded_looks: u32,
    away_us: u64,
    away_until_us: u64,
}

impl Choice {
    fn see(&mut self, seen: Seen) {
        let is_crowded = self.is_beside_log && seen.waited_percent > CROWDED_PERCENT;
        self.crowded_looks = if is_crowded {
            self.crowded_looks + 1
        } else {
            0
        };
        if self.crowded_looks >= CROWDED_LOOKS {
            let has_lasted = seen.now_us - self.since_us > AWAY_US_MAX;
            self.away_us = match has_lasted {
                true => AWAY_US,
                false => (self.away_us * 2).clamp(AWAY_US, AWAY_US_MAX),
            };
            self.away_until_us = seen.now_us + self.away_us;
        }
        let is_wanted = seen.is_for_writes && seen.now_us >= self.away_until_us;
        if is_wanted != self.is_beside_log {
            self.is_beside_log = is_wanted;
            self.since_us = seen.now_us;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1000;

    fn see(choice: &mut Choice, at_ms: u64, is_for_writes: bool, waited_percent: u64) -> bool {
        choice.see(Seen {
            now_us: at_ms * MS,
            is_for_writes,
            waited_percent,
        });
        choice.is_beside_log
    }

    #[test]
    fn it_follows_what_is_asked() {
        let mut choice = Choice::default();
        assert!(!see(&mut choice, 20, false, 0));
        assert!(see(&mut choice, 40, true, 0));
        assert!(see(&mut choice, 60, true, 90), "once is chance");
        assert!(see(&mut choice, 70, true, 40));
        assert!(!see(&mut choice, 80, false, 0));
        assert!(see(&mut choice, 100, true, 90), "that was elsewhere");
    }

    #[test]
    fn a_crowded_core_is_left_alone_for_longer_each_time() {
        let mut choice = Choice::default();
        let mut at_ms = 20;
        for away_ms in [5_000, 10_000, 20_000, 40_000, 60_000, 60_000] {
            assert!(see(&mut choice, at_ms, true, 0));
            assert!(see(&mut choice, at_ms + 20, true, 60));
            assert!(!see(&mut choice, at_ms + 40, true, 60));
            assert!(!see(&mut choice, at_ms + 39 + away_ms, true, 0));
            at_ms += 40 + away_ms;
        }
        assert!(see(&mut choice, at_ms, true, 0));
        let later_ms = at_ms + 100_000;
        assert!(see(&mut choice, later_ms - 20, true, 60));
        assert!(!see(&mut choice, later_ms, true, 60));
        assert!(see(&mut choice, later_ms + 5_000, true, 0));
    }
}
