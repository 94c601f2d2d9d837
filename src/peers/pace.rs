//! A token bucket: how long bytes must wait so that a rate is kept. Stream
//! priorities do not protect a heartbeat from a bulk stream; pacing the bulk
//! does, since what delays it is processor time and queues.

use std::time::Duration;

#[derive(Debug)]
pub(super) struct Bucket {
    /// 0 is unpaced.
    bytes_per_second: u64,
    /// What may go at once after a pause.
    burst_bytes: u64,
    /// When the bytes granted so far are paid for. Time is counted from a
    /// point that the caller chose.
    paid_until: Duration,
}

impl Bucket {
    pub(super) fn new(bytes_per_second: u64, burst_bytes: u64) -> Self {
        Self {
            bytes_per_second,
            burst_bytes,
            paid_until: Duration::ZERO,
        }
    }

    /// Grants bytes and says how long to wait before they go. More than the
    /// burst may be asked for: who comes next waits for it.
    pub(super) fn take(&mut self, now: Duration, bytes: usize) -> Duration {
        if self.bytes_per_second == 0 {
            return Duration::ZERO;
        }
        let cost = |bytes: u64| {
            let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second);
            Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
        };
        let oldest = now.saturating_sub(cost(self.burst_bytes));
        self.paid_until = self.paid_until.max(oldest) + cost(bytes as u64);
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
        // 1000 bytes a second, so a byte is a millisecond.
        let mut bucket = Bucket::new(1000, 100);
        let now = millis(5000);
        assert_eq!(bucket.take(now, 100), Duration::ZERO);
        assert_eq!(bucket.take(now, 50), millis(50));
        assert_eq!(bucket.take(now, 50), millis(100));
        assert_eq!(bucket.take(millis(5100), 10), millis(10));
        // A pause earns one burst and no more.
        assert_eq!(bucket.take(millis(90_000), 100), Duration::ZERO);
        assert_eq!(bucket.take(millis(90_000), 1), millis(1));
    }

    #[test]
    fn over_time_the_rate_is_kept() {
        let mut bucket = Bucket::new(1 << 20, 64 << 10);
        let (mut now, mut sent) = (Duration::ZERO, 0);
        while now < Duration::from_secs(10) {
            now += bucket.take(now, 4096);
            sent += 4096;
        }
        assert!(
            (10 << 20..(10 << 20) + (64 << 10) + 8192).contains(&sent),
            "{sent}"
        );
    }

    #[test]
    fn without_a_rate_nothing_waits() {
        let mut bucket = Bucket::new(0, 0);
        assert_eq!(bucket.take(Duration::ZERO, usize::MAX), Duration::ZERO);
    }
}
