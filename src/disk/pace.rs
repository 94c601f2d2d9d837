//! Durable writes by pwrite and fdatasync, and how long they take. While the
//! disk is quick nothing beats doing them on the thread that wants them. Where
//! it is slow, that thread has better to do than to wait: reads of its clients,
//! and heartbeats.
#![allow(clippy::disallowed_methods)] // lanes of this machine look at its clock

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::{Block, Done, File, Token, vigil};

/// Far above what a hand-over to another thread costs (20 to 50 us), and below
/// what a client notices.
const SLOW: Duration = Duration::from_millis(1);
/// A disk between the two stays what it was.
const QUICK: Duration = Duration::from_micros(500);

/// The pace of one lane's writes, whoever does them.
#[derive(Clone, Default)]
pub(super) struct Pace(Arc<AtomicU64>);

/// Nanoseconds, and in the lowest bit whether that is slow.
#[derive(Clone, Copy)]
struct Average(u64);

impl Average {
    fn took(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    fn is_slow(self) -> bool {
        self.0 & 1 == 1
    }

    /// The last four count most: one slow write among quick ones changes little.
    fn with(self, took: Duration) -> Self {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX / 4);
        let average = self.0 - self.0 / 4 + took / 4;
        let bound = if self.is_slow() { QUICK } else { SLOW };
        Self(average & !1 | u64::from(Duration::from_nanos(average) > bound))
    }
}

impl Pace {
    fn average(&self) -> Average {
        Average(self.0.load(Relaxed))
    }

    /// The lane's thread should not wait for a write.
    pub(super) fn is_slow(&self) -> bool {
        self.average().is_slow()
    }

    /// One writer at a time tells.
    pub(super) fn note(&self, took: Duration) {
        self.0.store(self.average().with(took).0, Relaxed);
    }

    /// Writes and syncs on the calling thread.
    pub(super) fn write_now(
        &self,
        token: Token,
        file: &Arc<dyn File>,
        at: u64,
        block: Block,
    ) -> Done {
        vigil::keep_for(self.average().took());
        let begun = Instant::now();
        let result = file.write_all_at(at, &block).and_then(|()| file.sync());
        self.note(begun.elapsed());
        Done {
            token,
            result,
            block: Some(block),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(took_us: &[u64]) -> Average {
        let note = |average: Average, us: &u64| average.with(Duration::from_micros(*us));
        took_us.iter().fold(Average(0), note)
    }

    #[test]
    fn a_disk_is_slow_after_slow_writes_and_not_after_one() {
        assert!(!after(&[100; 9]).is_slow());
        assert!(!after(&[100, 100, 3000]).is_slow());
        assert!(after(&[100, 100, 3000, 3000]).is_slow());
        assert!(after(&[5000; 3]).is_slow());
    }

    #[test]
    fn it_is_quick_again_only_when_it_is_clearly_so() {
        let slow = [5000; 4];
        assert!(after(&[&slow[..], &[700; 40]].concat()).is_slow());
        assert!(!after(&[&slow[..], &[300; 40]].concat()).is_slow());
        assert!(!after(&[700; 40]).is_slow());
    }

    #[test]
    fn no_time_is_too_long() {
        assert!(Average(0).with(Duration::MAX).with(Duration::MAX).is_slow());
    }
}
