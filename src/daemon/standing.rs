//! How the node stands, as its doors tell it: in which step of its life it
//! is, where it listens, when the log's thread was last heard of.

use crate::clock::Clock;
use crate::metrics::{Counter, Page};
use crate::ports::operator;
use serde_json::json;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The log's thread beats at least once a second. A sync that takes 5 s is a
/// disk that nobody should be waiting for, and half of the unit's watchdog.
const SILENCE_MAX: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    Starting,
    Serving,
    /// After too many quick failures.
    Reduced {
        reason: String,
    },
    Stopping,
}

impl Phase {
    pub fn word(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Serving => "serving",
            Self::Reduced { .. } => "reduced",
            Self::Stopping => "stopping",
        }
    }
}

pub struct Standing {
    clock: Arc<dyn Clock>,
    data: PathBuf,
    phase: Mutex<Phase>,
    doors: Mutex<BTreeMap<&'static str, SocketAddr>>,
    heard_ms: AtomicU64,
    beats: Counter,
    pub operator: Arc<operator::Counts>,
}

impl Standing {
    pub fn new(clock: Arc<dyn Clock>, data: PathBuf) -> Self {
        Self {
            clock,
            data,
            phase: Mutex::new(Phase::Starting),
            doors: Mutex::default(),
            heard_ms: AtomicU64::new(0),
            beats: Counter::new(),
            operator: Arc::default(),
        }
    }

    pub fn phase(&self) -> Phase {
        self.phase
            .lock()
            .expect("a phase is never left half set")
            .clone()
    }

    pub fn enter(&self, phase: Phase) {
        *self.phase.lock().expect("a phase is never left half set") = phase;
    }

    pub fn door_opened(&self, door: &'static str, address: SocketAddr) {
        let mut doors = self.doors.lock().expect("a door is never left half listed");
        doors.insert(door, address);
    }

    /// The log's thread is well. Answers how long it had been silent.
    pub fn beat(&self) -> Duration {
        self.beats.add(1);
        let now_ms = self.clock.monotonic().as_millis() as u64;
        let heard_ms = self.heard_ms.swap(now_ms, Relaxed);
        Duration::from_millis(now_ms.saturating_sub(heard_ms))
    }

    /// None while no log runs.
    fn silence(&self) -> Option<Duration> {
        let now_ms = self.clock.monotonic().as_millis() as u64;
        let silent_ms = now_ms.saturating_sub(self.heard_ms.load(Relaxed));
        (self.beats.get() > 0).then(|| Duration::from_millis(silent_ms))
    }

    pub fn status(&self) -> serde_json::Value {
        let phase = self.phase();
        let doors = self.doors.lock().expect("a door is never left half listed");
        let doors: BTreeMap<_, _> = doors
            .iter()
            .map(|(door, address)| (*door, address.to_string()))
            .collect();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "state": phase.word(),
            "reason": operator::Report::out_of_service(self),
            "uptime_s": self.clock.monotonic().as_secs(),
            "data": self.data,
            "doors": doors,
            "log_silence_ms": self.silence().map(|silence| silence.as_millis() as u64),
        })
    }
}

impl operator::Report for Standing {
    fn out_of_service(&self) -> Option<String> {
        match self.phase() {
            Phase::Serving => self
                .silence()
                .filter(|silence| *silence > SILENCE_MAX)
                .map(|silence| format!("the log has been silent for {} s", silence.as_secs())),
            Phase::Starting => Some("starting: the log is being read".into()),
            Phase::Reduced { reason } => Some(format!(
                "reduced after quick failures, the last one: {reason}; remove the cause, then \
                 restart dolmen"
            )),
            Phase::Stopping => Some("stopping".into()),
        }
    }

    fn status_json(&self) -> String {
        format!("{}\n", self.status())
    }

    fn metrics_text(&self) -> String {
        let mut page = Page::default();
        let serves = u64::from(self.out_of_service().is_none());
        page.gauge("dolmen_serving", "1 where the node serves", serves);
        let uptime = self.clock.monotonic().as_secs();
        page.gauge("dolmen_uptime_seconds", "Since the process began", uptime);
        let beats = self.beats.get();
        page.counter(
            "dolmen_log_beats_total",
            "Signs of life of the log's thread",
            beats,
        );
        let counts = &self.operator;
        page.gauge(
            "dolmen_operator_connections",
            "Open connections of the operator door",
            counts.connections.get(),
        );
        page.counter(
            "dolmen_operator_requests_total",
            "Requests that the operator door has read",
            counts.requests.get(),
        );
        page.counter(
            "dolmen_operator_turned_away_total",
            "Connections turned away because the operator door was full",
            counts.turned_away.get(),
        );
        page.counter(
            "dolmen_operator_timed_out_total",
            "Exchanges cut off because the client took too long",
            counts.timed_out.get(),
        );
        page.into_text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Millis;
    use operator::Report;

    struct Hand(AtomicU64);

    impl Clock for Hand {
        fn now(&self) -> Millis {
            Millis(0)
        }
        fn monotonic(&self) -> Duration {
            Duration::from_secs(self.0.load(Relaxed))
        }
    }

    #[test]
    fn a_silent_log_is_out_of_service_until_it_beats_again() {
        let clock = Arc::new(Hand(AtomicU64::new(0)));
        let standing = Standing::new(clock.clone(), "/data".into());
        assert!(standing.out_of_service().is_some());
        standing.enter(Phase::Serving);
        standing.beat();
        assert_eq!(standing.out_of_service(), None);
        clock.0.store(7, Relaxed);
        let reason = standing.out_of_service().unwrap();
        assert_eq!(reason, "the log has been silent for 7 s");
        assert_eq!(standing.beat(), Duration::from_secs(7));
        assert_eq!(standing.out_of_service(), None);
    }
}
