//! How long bytes must wait so that a rate is kept. Stream priorities do not
//! protect a heartbeat from a bulk stream; pacing the bulk does, since what
//! delays it is processor time and queues. What is shared is the interface, so
//! all that leaves by one address of this node is paced together.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What may leave in a second by an address of this node; 0 is unpaced. None is
/// an address that is not known.
pub type RateOf = Arc<dyn Fn(Option<IpAddr>) -> u64 + Send + Sync>;

/// The buckets of a plane, one for each address that its links have.
pub(super) struct Paces {
    rate_of: RateOf,
    by_address: Mutex<BTreeMap<Option<IpAddr>, Arc<Pace>>>,
}

impl Paces {
    pub(super) fn new(rate_of: RateOf) -> Self {
        Self {
            rate_of,
            by_address: Mutex::default(),
        }
    }

    /// For a new link. Its interface is asked again how fast it is: a cable may
    /// have been moved.
    pub(super) fn of(&self, address: Option<IpAddr>) -> Arc<Pace> {
        let address = address.map(|address| address.to_canonical());
        let rate = (self.rate_of)(address);
        let by_address = self.by_address.lock();
        let mut by_address = by_address.unwrap_or_else(PoisonError::into_inner);
        let pace = by_address.entry(address).or_default();
        pace.bucket().set_rate(rate);
        pace.clone()
    }
}

/// What links share that leave by one address.
#[derive(Default)]
pub(super) struct Pace(Mutex<Bucket>);

impl Pace {
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
    /// What was granted is paid for at the old rate.
    fn set_rate(&mut self, bytes_per_second: u64) {
        self.bytes_per_second = bytes_per_second;
    }

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
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    const fn millis(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        // 100 kB a second, so 100 bytes are a millisecond and a burst has 300.
        let mut bucket = Bucket::default();
        bucket.set_rate(100_000);
        let now = millis(5000);
        assert_eq!(bucket.take(now, 300), Duration::ZERO);
        assert_eq!(bucket.take(now, 200), millis(2));
        assert_eq!(bucket.take(now, 200), millis(4));
        assert_eq!(bucket.take(millis(5004), 100), millis(1));
        // A pause earns one burst and no more.
        assert_eq!(bucket.take(millis(90_000), 300), Duration::ZERO);
        assert_eq!(bucket.take(millis(90_000), 100), millis(1));
        // A slower link: what comes now takes longer.
        bucket.set_rate(10_000);
        assert_eq!(bucket.take(millis(90_001), 100), millis(10));
    }

    #[test]
    fn over_time_the_rate_is_kept() {
        let mut bucket = Bucket::default();
        bucket.set_rate(1 << 20);
        let (mut now, mut sent) = (Duration::ZERO, 0);
        while now < Duration::from_secs(10) {
            now += bucket.take(now, 4096);
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
        let mut bucket = Bucket::default();
        assert_eq!(bucket.take(Duration::ZERO, usize::MAX), Duration::ZERO);
    }

    #[test]
    fn links_by_one_address_share_a_pace_and_a_new_link_asks_again() {
        let rate = Arc::new(AtomicU64::new(1000));
        let told = rate.clone();
        let paces = Paces::new(Arc::new(move |_| told.load(Relaxed)));
        let address = |text: &str| Some(text.parse().unwrap());
        let one = paces.of(address("10.0.0.1"));
        let same = paces.of(address("::ffff:10.0.0.1"));
        let other = paces.of(address("10.0.1.1"));
        assert_eq!(one.take(Duration::ZERO, 1000), Duration::from_secs(1));
        assert_eq!(same.take(Duration::ZERO, 1000), Duration::from_secs(2));
        assert_eq!(other.take(Duration::ZERO, 1000), Duration::from_secs(1));
        rate.store(2000, Relaxed);
        let again = paces.of(address("10.0.1.1"));
        assert_eq!(again.take(Duration::ZERO, 1000), millis(1500));
        assert_eq!(other.take(Duration::ZERO, 1000), millis(2000));
    }
}
