//! The one place that asks the machine for the time. Everything that decides
//! takes `now` as an argument.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970, by the wall clock. May jump; never used to measure
/// how long something took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(pub u64);

/// The seam: one real form here, one simulated form in tests.
pub trait Clock: Send + Sync {
    fn now(&self) -> Millis;
    /// Time since some fixed point of this process; never goes back.
    fn monotonic(&self) -> Duration;
}

/// The machine's own clock.
pub struct MachineClock {
    origin: Instant,
}

impl MachineClock {
    #[allow(clippy::disallowed_methods)] // the home of the clock
    pub fn new() -> Self {
        Self {
            origin: Instant::now(),
        }
    }
}

impl Default for MachineClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for MachineClock {
    #[allow(clippy::disallowed_methods)] // the home of the clock
    fn now(&self) -> Millis {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Millis(since.as_millis() as u64)
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }
}
