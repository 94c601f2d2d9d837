//! How the node stands, as its doors tell it: in which step of its life it
//! is, where it listens, how its log fares and when that was last heard of.
//! `status` and `metrics` are the two forms in which it is told.

mod metrics;
mod status;

use super::chronicle;
use crate::clock::{Clock, Millis};
use crate::disk::class::Granted;
use crate::log::{Figures, Report};
use crate::metrics::Counter;
use crate::peers::{PeerFigures, Plane};
use crate::ports::{kafka, operator, zookeeper};
use crate::replica::desk;
use crate::streams::Streams;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};
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
    /// The cluster was raised above this release while the node ran.
    Outgrown {
        reason: String,
    },
    Stopping,
}

impl Phase {
    pub fn word(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Serving => "serving",
            Self::Reduced { .. } | Self::Outgrown { .. } => "reduced",
            Self::Stopping => "stopping",
        }
    }
}

/// How the log was opened.
pub struct LogStanding {
    pub engine: &'static str,
    /// Why this engine.
    pub reason: String,
    /// Whether the journal goes past the page cache.
    pub is_direct: bool,
    /// What the log's thread was granted.
    pub class: Option<Granted>,
    pub report: Report,
}

pub struct Standing {
    clock: Arc<dyn Clock>,
    data: PathBuf,
    phase: Mutex<Phase>,
    doors: Mutex<BTreeMap<&'static str, SocketAddr>>,
    heard_ms: AtomicU64,
    beats: Counter,
    log: OnceLock<LogStanding>,
    figures: Mutex<Figures>,
    is_reserve_held: AtomicBool,
    doors_class: OnceLock<Granted>,
    pub operator: Arc<operator::Counts>,
    pub zookeeper: Arc<zookeeper::Counts>,
    pub kafka: Arc<kafka::Counts>,
    streams: OnceLock<Streams>,
    replica_beats: Counter,
    coordination: Mutex<Option<desk::Standing>>,
    peers: Mutex<Vec<PeerFigures>>,
    /// A join that did not come to its end.
    join_warning: OnceLock<String>,
    certificate_until: Mutex<Option<Millis>>,
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
            log: OnceLock::new(),
            figures: Mutex::default(),
            is_reserve_held: AtomicBool::new(false),
            doors_class: OnceLock::new(),
            operator: Arc::default(),
            zookeeper: Arc::default(),
            kafka: Arc::default(),
            streams: OnceLock::new(),
            replica_beats: Counter::default(),
            coordination: Mutex::default(),
            peers: Mutex::default(),
            join_warning: OnceLock::new(),
            certificate_until: Mutex::default(),
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

    /// The log's thread is well.
    pub fn beat(&self) {
        self.beats.add(1);
        let now_ms = self.clock.monotonic().as_millis() as u64;
        self.heard_ms.store(now_ms, Relaxed);
    }

    /// None while no log runs.
    fn silence(&self) -> Option<Duration> {
        let now_ms = self.clock.monotonic().as_millis() as u64;
        let silent_ms = now_ms.saturating_sub(self.heard_ms.load(Relaxed));
        (self.beats.get() > 0).then(|| Duration::from_millis(silent_ms))
    }

    /// Said once, when the log is open.
    pub fn log_opened(&self, log: LogStanding) {
        self.log.get_or_init(|| log);
    }

    /// Said once, where the node holds partitions.
    pub fn partitions_are_held(&self, streams: &Streams) {
        self.streams.get_or_init(|| streams.clone());
    }

    /// The engine, and what opening the log found.
    pub fn opening(&self) -> Option<(&'static str, chronicle::Opening)> {
        let log = self.log.get()?;
        Some((log.engine, (&log.report).into()))
    }

    /// The last known.
    pub fn log_figures(&self, figures: Figures) {
        *self.figures.lock().expect("figures are set whole") = figures;
    }

    pub fn reserve_is_held(&self, is_held: bool) {
        self.is_reserve_held.store(is_held, Relaxed);
    }

    /// Said once, by the doors' thread.
    pub fn doors_take(&self, class: Granted) {
        self.doors_class.get_or_init(|| class);
    }

    /// What an operator should see to, while the node serves all the same.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let log = self.log.get();
        let log_class = log.and_then(|log| log.class.as_ref());
        warnings.extend(not_granted("the log's thread", log_class));
        warnings.extend(not_granted("the doors' thread", self.doors_class.get()));
        if log.is_some() && !self.is_reserve_held.load(Relaxed) {
            warnings.push("no reserve is held: there is too little room on the disk".into());
        }
        warnings.extend(self.join_warning.get().cloned());
        warnings.extend(self.certificate_warning());
        warnings.extend(self.membership_warnings());
        warnings
    }

    /// A certificate is renewed with a third of its life left; one that is
    /// near its end was not.
    fn certificate_warning(&self) -> Option<String> {
        const NEAR: u64 = 14 * 24 * 3600 * 1000;
        let until = (*self.certificate_until.lock().expect("set whole"))?;
        let now = self.clock.now();
        if until <= now {
            return Some(format!(
                "this node's certificate ended at {until}, and no peer accepts it: dolmen token \
                 create on a member, and here dolmen join --discard TOKEN"
            ));
        }
        let is_near = until.0 - now.0 < NEAR;
        is_near.then(|| format!("this node's certificate ends at {until} and is not renewed yet"))
    }

    fn membership_warnings(&self) -> Vec<String> {
        let held = self.coordination.lock().expect("set whole");
        let Some(standing) = held.as_ref() else {
            return Vec::new();
        };
        if standing.has_left {
            return vec![format!(
                "node {} was removed from its cluster and serves no more: to come back, dolmen \
                 token create on a member, and here dolmen join --discard TOKEN",
                standing.node
            )];
        }
        let full = match (standing.is_disk_full, standing.is_short_of_room) {
            (true, _) => {
                Some("the disk is full: nothing can be agreed on here until there is room")
            }
            (_, true) => Some("the disk is nearly full: make room on it"),
            _ => None,
        };
        let refuses = (!standing.takes_more).then_some(
            "too few voters have room on their disks: create and set are refused, delete is not",
        );
        let of_room = [full, refuses].into_iter().flatten().map(String::from);
        let peers = self.peers.lock().expect("set whole");
        let control = peers.iter().filter(|peer| peer.plane == Plane::Control);
        let unreached = control.filter_map(|peer| {
            let why = peer.unreached.as_ref()?;
            Some(format!("node {} is not reached: {why}", peer.node))
        });
        let differs = standing.differs.map(|node| {
            format!(
                "the replicated state of node {node} is not this node's: keep a copy of both data \
                 folders, and replace the one that stands against the others"
            )
        });
        let half = standing.restoration.is_under_way().then(|| {
            format!(
                "a restore is under way or broke off ({}), and clients are kept out: type dolmen \
                 backup restore again to its end",
                standing.restoration
            )
        });
        let lacks = standing.lacks_state.then(|| {
            "the replicated state cannot be read back from this disk: the node takes no part \
             before a member that it reaches has given it one"
                .to_string()
        });
        lacks
            .into_iter()
            .chain(half)
            .chain(differs)
            .chain(of_room)
            .chain(unreached)
            .collect()
    }

    pub fn replica_beat(&self) {
        self.replica_beats.add(1);
    }

    pub fn coordination_stands(&self, standing: desk::Standing) {
        *self.coordination.lock().expect("set whole") = Some(standing);
    }

    pub fn warn_of_join(&self, warning: String) {
        self.join_warning.get_or_init(|| warning);
    }

    pub fn certificate_ends(&self, until: Option<Millis>) {
        *self.certificate_until.lock().expect("set whole") = until;
    }

    pub fn peers_stand(&self, figures: Option<Vec<PeerFigures>>) {
        *self.peers.lock().expect("set whole") = figures.unwrap_or_default();
    }
}

fn not_granted(thread: &str, granted: Option<&Granted>) -> Option<String> {
    match granted? {
        Granted::Full => None,
        Granted::Nice(nice) => Some(format!(
            "{thread} runs at nice {nice} and not at a real-time priority: set LimitRTPRIO= in \
             the unit, or give the user CAP_SYS_NICE"
        )),
        Granted::Ordinary { why } => Some(format!("{thread} has an ordinary priority: {why}")),
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
            Phase::Outgrown { reason } => Some(format!("reduced: {reason}")),
            Phase::Stopping => Some("stopping".into()),
        }
    }

    fn status_json(&self) -> String {
        format!("{}\n", self.status())
    }

    fn metrics_text(&self) -> String {
        self.metrics().into_text()
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
    fn what_is_not_granted_is_a_warning_that_says_what_to_do() {
        let ordinary = Granted::Ordinary {
            why: "nice -10 is refused: set LimitNICE=-10".into(),
        };
        let warnings = |granted: &Granted| not_granted("the log's thread", Some(granted));
        assert_eq!(warnings(&Granted::Full), None);
        assert_eq!(
            warnings(&ordinary).unwrap(),
            "the log's thread has an ordinary priority: nice -10 is refused: set LimitNICE=-10"
        );
        assert!(
            warnings(&Granted::Nice(-15))
                .unwrap()
                .contains("LimitRTPRIO=")
        );
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
        standing.beat();
        assert_eq!(standing.out_of_service(), None);
    }
}
