//! How long bytes must wait so that a rate is kept. Stream priorities do not
//! protect a heartbeat from a bulk stream; pacing the bulk does, since what
//! delays it is processor time and queues.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What links share that leave by one address.
#[derive(Default)]
pub(super) struct Pace(Mutex<Bucket>);

impl Pace {
    /// For what comes from now on; what was granted is paid for at the old rate.
    pub(super) fn set_rate(&self, bytes_per_second: u64) {
        self.bucket().bytes_per_second = bytes_per_second;
    }

    /// How long bytes must wait that are to go now.
    pub(super) fn take(&self, now: Duration, bytes: usize) -> Duration {
        self.bucket().take(now, bytes)
    }

    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct Bucket {
    /// 0 is unpaced.
    bytes_per_second: u64,
    /// When the bytes granted so far are paid for. Time is counted from a
    /// point that the caller chose.
    paid_until: Duration,
}

/// What may go at once after a pause, in time. Timers wake a millisecond late
/// and more, and what was missed by it is caught up with.
const BURST: Duration = Duration::from_millis(3);

impl Bucket {
    /// Grants bytes and says how long to wait before they go. More than the
    /// burst may be asked for: who comes next waits for it.
    fn take(&mut self, now: Duration, bytes: usize) -> Duration {
        if self.bytes_per_second == 0 {
            return Duration::ZERO;
        }
        let nanos = bytes as u128 * 1_000_000_000 / u128::from(self.bytes_per_second);
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let oldest = now.saturating_sub(BURST);
        self.paid_until = self.paid_until.max(oldest).saturating_add(cost);
        self.paid_until.saturating_sub(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn millis(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        // 100 kB a second, so 100 bytes are a millisecond and a burst has 300.
        let pace = Pace::default();
        pace.set_rate(100_000);
        let now = millis(5000);
        assert_eq!(pace.take(now, 300), Duration::ZERO);
        assert_eq!(pace.take(now, 200), millis(2));
        assert_eq!(pace.take(now, 200), millis(4));
        assert_eq!(pace.take(millis(5004), 100), millis(1));
        // A pause earns one burst and no more.
        assert_eq!(pace.take(millis(90_000), 300), Duration::ZERO);
        assert_eq!(pace.take(millis(90_000), 100), millis(1));
        // A slower link: what comes now takes longer.
        pace.set_rate(10_000);
        assert_eq!(pace.take(millis(90_001), 100), millis(10));
    }

    #[test]
    fn over_time_the_rate_is_kept() {
        let pace = Pace::default();
        pace.set_rate(1 << 20);
        let (mut now, mut sent) = (Duration::ZERO, 0);
        while now < Duration::from_secs(10) {
            now += pace.take(now, 4096);
            sent += 4096;
        }
        // A burst is 3 ms.
        assert!(
            (10 << 20..(10 << 20) + 3146 + 8192).contains(&sent),
            "{sent}"
        );
    }

    #[test]
    fn without_a_rate_nothing_waits() {
        let pace = Pace::default();
        assert_eq!(pace.take(Duration::ZERO, usize::MAX), Duration::ZERO);
    }
}
