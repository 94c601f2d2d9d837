//! What links share: all that leaves by one address of this node goes by one
//! interface, and is paced together.

use super::pace::Pace;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

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
        pace.set_rate(rate);
        pace.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    use std::time::Duration;

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
        assert_eq!(
            again.take(Duration::ZERO, 1000),
            Duration::from_millis(1500)
        );
        assert_eq!(
            other.take(Duration::ZERO, 1000),
            Duration::from_millis(2000)
        );
    }
}
