//! Quotas in force. Bytes that have gone through are counted, and who is over its
//! rate is told how long to wait, and not heard for so long if it does not: nobody
//! is refused, and nothing that has arrived is dropped.

use super::handlers::Call;
use crate::limits::{KAFKA_QUOTA_BUCKETS_MAX, KAFKA_QUOTA_BURST_SECONDS, KAFKA_THROTTLE_MS_MAX};
use crate::state::topics::access::{Entity, Part, QuotaKey};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What all connections of a node share. Without a quota in the cluster it costs
/// a look.
#[derive(Debug, Default)]
pub struct Quotas(Mutex<Buckets>);

impl Quotas {
    /// Counts what was appended: how long the producer is to wait.
    pub fn produced(&self, call: &Call, bytes: usize) -> Duration {
        self.count(call, QuotaKey::Produced, bytes)
    }

    /// Counts what was read: how long the consumer is to wait.
    pub fn fetched(&self, call: &Call, bytes: usize) -> Duration {
        self.count(call, QuotaKey::Fetched, bytes)
    }

    fn count(&self, call: &Call, key: QuotaKey, bytes: usize) -> Duration {
        let topics = call.door.site.topics();
        let quotas = &topics.access().quotas;
        if quotas.is_empty() {
            return Duration::ZERO;
        }
        let client = call.client_id.as_deref().unwrap_or_default();
        let user = call.who.name();
        let Some((entity, rate)) = quotas.rate(key, user, client) else {
            return Duration::ZERO;
        };
        let payer = Payer::of(key, entity, user, client);
        let now = call.door.clock.monotonic();
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = buckets.take(now, payer, rate, bytes as u64);
        // As long as it is told, so that who waits by itself waits no longer.
        let told = Duration::from_millis(throttle_time_ms(wait) as u64);
        call.connection.mute_until(now + told);
        wait
    }
}

/// As answers say it, in milliseconds. What is there is waited out: none is said
/// where there is only a part of one.
pub fn throttle_time_ms(wait: Duration) -> i32 {
    wait.as_millis().min(u128::from(KAFKA_THROTTLE_MS_MAX)) as i32
}

/// Who shares a rate: all clients of a user, one client of it, or whoever calls
/// itself so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Payer {
    key: QuotaKey,
    user: Option<Box<str>>,
    client: Option<Box<str>>,
}

impl Payer {
    /// A default is a rate for each that it holds for, and none that they share.
    fn of(key: QuotaKey, entity: &Entity, user: &str, client: &str) -> Self {
        let named = |part: &Option<Part>, name: &str| part.as_ref().map(|_| Box::from(name));
        Self {
            key,
            user: named(&entity.user, user),
            client: named(&entity.client, client),
        }
    }
}

#[derive(Debug, Default)]
pub struct Buckets(BTreeMap<Payer, Bucket>);

/// How much has been taken ahead of the rate.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// When all that was taken will have been earned. In the past where nothing
    /// is owed.
    even_at: Duration,
}

impl Buckets {
    /// How long to wait after taking so many bytes.
    pub fn take(&mut self, now: Duration, payer: Payer, rate: u64, bytes: u64) -> Duration {
        if self.0.len() >= KAFKA_QUOTA_BUCKETS_MAX && !self.0.contains_key(&payer) {
            self.forget(now);
        }
        let bucket = self.0.entry(payer).or_insert(Bucket { even_at: now });
        let spent = Duration::from_secs_f64((bytes as f64 / rate as f64).min(SPENT_SECONDS_MAX));
        bucket.even_at = bucket.even_at.max(now) + spent;
        // What cannot be waited for once is not owed: a rate may be a mistake.
        bucket.even_at = bucket.even_at.min(now + BURST + WAIT_MAX);
        (bucket.even_at - now).saturating_sub(BURST)
    }

    /// Those that owe nothing, and where all do, the one that owes the least.
    fn forget(&mut self, now: Duration) {
        self.0.retain(|_, bucket| bucket.even_at > now);
        if self.0.len() >= KAFKA_QUOTA_BUCKETS_MAX {
            let least = self.0.iter().min_by_key(|(_, bucket)| bucket.even_at);
            let least = least.map(|(payer, _)| payer.clone());
            least.map(|payer| self.0.remove(&payer));
        }
    }
}

const BURST: Duration = Duration::from_secs(KAFKA_QUOTA_BURST_SECONDS);
const WAIT_MAX: Duration = Duration::from_millis(KAFKA_THROTTLE_MS_MAX);
/// So that no sum of durations overflows.
const SPENT_SECONDS_MAX: f64 = 1e6;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::kafka::handlers::stage::Stage;
    use crate::state::topics::StreamsCommand;
    use crate::state::topics::access::{AccessCommand, QuotaAlteration};

    fn who(client: &str) -> Payer {
        Payer {
            key: QuotaKey::Produced,
            user: None,
            client: Some(client.into()),
        }
    }

    /// As a client that waits when it is told to: over time it gets its rate.
    #[test]
    fn over_time_the_rate_is_kept() {
        for (rate, bytes) in [(1000, 300), (1000, 30_000), (1 << 30, 1 << 20), (1, 5)] {
            let mut buckets = Buckets::default();
            let (mut now, mut taken) = (Duration::ZERO, 0);
            while now < Duration::from_secs(1000) {
                now += buckets.take(now, who("app"), rate, bytes) + Duration::from_micros(10);
                taken += bytes;
            }
            let allowed = rate * (1000 + KAFKA_QUOTA_BURST_SECONDS);
            let most = allowed + bytes + rate * KAFKA_THROTTLE_MS_MAX / 1000;
            assert!(taken <= most, "{rate}: {taken} > {most}");
            assert!(taken * 10 >= allowed * 9, "{rate}: {taken} of {allowed}");
        }
    }

    #[test]
    fn below_the_rate_nobody_waits_and_what_is_saved_is_bounded() {
        let mut buckets = Buckets::default();
        for second in 0..100 {
            let now = Duration::from_secs(second);
            assert_eq!(buckets.take(now, who("app"), 1000, 1000), Duration::ZERO);
        }
        // A pause saves no more than the burst.
        let now = Duration::from_secs(10_000);
        let wait = buckets.take(now, who("app"), 1000, 11_000);
        assert_eq!(wait, Duration::from_secs(1));
        assert_eq!(
            buckets.take(now, who("other"), 1000, 10_000),
            Duration::ZERO
        );
    }

    #[test]
    fn nobody_waits_without_end() {
        let mut buckets = Buckets::default();
        let wait = buckets.take(Duration::ZERO, who("app"), 1, u64::MAX);
        assert_eq!(wait, WAIT_MAX);
        // The rate was lowered by mistake: an hour later nothing is owed.
        let now = Duration::from_secs(3600);
        assert_eq!(buckets.take(now, who("app"), 1 << 30, 1), Duration::ZERO);
        assert_eq!(throttle_time_ms(Duration::from_secs(1 << 40)), 60_000);
        assert_eq!(throttle_time_ms(Duration::from_micros(999)), 0);
    }

    #[test]
    fn who_is_told_to_wait_is_muted_for_as_long() {
        let stage = Stage::new(1);
        let call = stage.call(12);
        assert_eq!(call.door.quotas.produced(&call, 1 << 30), Duration::ZERO);
        assert_eq!(call.connection.muted_until(), Duration::ZERO);
        let set = QuotaAlteration {
            entity: Entity {
                user: Some(Part::Default),
                client: None,
            },
            changes: vec![
                (QuotaKey::Produced, Some(1000)),
                (QuotaKey::Fetched, Some(1000)),
            ],
        };
        stage.command(StreamsCommand::Access(AccessCommand::AlterQuotas {
            alterations: vec![set],
            validates_only: false,
        }));
        type Count = fn(&Quotas, &Call, usize) -> Duration;
        for count in [Quotas::produced as Count, Quotas::fetched] {
            let call = stage.call(12);
            let before = call.door.clock.monotonic();
            assert_eq!(count(&call.door.quotas, &call, 9000), Duration::ZERO);
            assert!(call.connection.muted_until() <= call.door.clock.monotonic());
            let told = throttle_time_ms(count(&call.door.quotas, &call, 6000));
            assert!((4000..=5000).contains(&told), "{told}");
            let told = Duration::from_millis(told as u64);
            let left = call.connection.muted_until() - before;
            let took = call.door.clock.monotonic() - before;
            // It is told in whole milliseconds, of which the last may not be full.
            let least = told - Duration::from_millis(1);
            assert!(left > least && left <= told + took, "{left:?} for {told:?}");
        }
    }

    #[test]
    fn who_owes_the_least_is_forgotten_first() {
        let mut buckets = Buckets::default();
        for n in 0..KAFKA_QUOTA_BUCKETS_MAX as u64 {
            buckets.take(Duration::ZERO, who(&n.to_string()), 1, 2 + n % 10);
        }
        buckets.take(Duration::from_secs(1), who("one more"), 1, 20);
        assert_eq!(buckets.0.len(), KAFKA_QUOTA_BUCKETS_MAX);
        assert!(buckets.0.contains_key(&who("one more")) && !buckets.0.contains_key(&who("0")));
        buckets.take(Duration::from_secs(12), who("and another"), 1, 1);
        assert_eq!(buckets.0.len(), 2, "those that owe");
    }

    #[test]
    fn a_default_is_for_each_by_itself() {
        let entity = |user, client| Entity { user, client };
        let named = |name: &str| Some(Part::Named(name.into()));
        let each = Some(Part::Default);
        for (of, user, client) in [
            (entity(named("ann"), None), Some("ann"), None),
            (entity(each.clone(), None), Some("ann"), None),
            (entity(None, each.clone()), None, Some("app")),
            (entity(named("ann"), each), Some("ann"), Some("app")),
        ] {
            let payer = Payer::of(QuotaKey::Produced, &of, "ann", "app");
            assert_eq!(payer.user.as_deref(), user);
            assert_eq!(payer.client.as_deref(), client);
        }
    }
}
