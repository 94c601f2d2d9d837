//! How the node stands, as its doors tell it: in which step of its life it
//! is, where it listens, how its log fares and when that was last heard of.

use super::chronicle;
use crate::clock::{Clock, Millis};
use crate::disk::class::Granted;
use crate::log::{Figures, Report};
use crate::metrics::{Counter, Page};
use crate::peers::{PeerFigures, Plane};
use crate::ports::{operator, zookeeper};
use crate::replica::desk;
use serde_json::{Value, json};
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
        of_room.chain(unreached).collect()
    }

    fn log_json(&self) -> Value {
        let Some(log) = self.log.get() else {
            return Value::Null;
        };
        let figures = self.figures.lock().expect("figures are set whole");
        let opening = chronicle::Opening::from(&log.report);
        json!({
            "engine": log.engine,
            "engine_reason": log.reason,
            "is_direct": log.is_direct,
            "class": log.class.as_ref().map(class_word),
            "silence_ms": self.silence().map(|silence| silence.as_millis() as u64),
            "opened": opening.to_string(),
            "opening": opening,
            "is_reserve_held": self.is_reserve_held.load(Relaxed),
            "logs": figures.logs,
            "appends": figures.appends,
            "batches": figures.batches,
            "straight_batches": figures.straight_batches,
            "journal_bytes": figures.journal_bytes,
            "journal_files": figures.journal_files,
            "sweeps": figures.sweeps,
            "stalls": figures.stalls,
            "refused_full": figures.refused_full,
            "tidy_failures": figures.tidy_failures,
        })
    }

    pub fn status(&self) -> Value {
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
            "log": self.log_json(),
            "coordination": self.coordination_json(),
            "doors_class": self.doors_class.get().map(class_word),
            "warnings": self.warnings(),
        })
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

    fn coordination_json(&self) -> Value {
        let held = self.coordination.lock().expect("set whole");
        let Some(standing) = held.as_ref() else {
            return Value::Null;
        };
        let peers = self.peers.lock().expect("set whole");
        let peers = peers.iter().map(|peer| {
            let connection = peer.connection.as_ref();
            json!({
                "node": peer.node.0,
                "plane": format!("{:?}", peer.plane).to_lowercase(),
                "connected": connection.is_some(),
                "unreached": peer.unreached,
                "round_trip_us": connection.map(|one| one.round_trip.as_micros() as u64),
                "path_mtu": connection.map(|one| one.path_mtu),
                "lost_packets": connection.map(|one| one.lost_packets),
                "sent_bytes": connection.map(|one| one.sent_bytes),
                "received_bytes": connection.map(|one| one.received_bytes),
                "queued_bytes": connection.map(|one| one.queued_bytes),
                "dropped_frames": peer.dropped_frames,
            })
        });
        let until = *self.certificate_until.lock().expect("set whole");
        let role = match standing.role {
            _ if standing.has_left => "removed",
            desk::Role::Alone => "alone",
            desk::Role::Leader => "leader",
            desk::Role::Follower => "follower",
            desk::Role::Learner => "learner",
            desk::Role::Looking => "looking for a leader",
        };
        json!({
            "node": standing.node.0,
            "role": role,
            "leader": standing.leader.map(|node| node.0),
            "term": standing.term,
            "zxid": format!("{:#x}", standing.zxid.0),
            "voters": standing.voters,
            "learners": standing.learners,
            "nodes": standing.nodes,
            "data_bytes": standing.data_bytes,
            "ephemerals": standing.ephemerals,
            "watches": standing.watches,
            "sessions": standing.sessions,
            "connections": standing.connections,
            "outstanding": standing.outstanding,
            "log_index": standing.log_index,
            "snapshot_index": standing.snapshot_index,
            "digest": format!("{:016x}", standing.digest),
            "election_timeout_ms": standing.election_timeout_ms,
            "flush_p99_us": standing.flush_p99_us,
            "certificate_until": until.map(|until| until.to_string()),
            "peers": peers.collect::<Vec<_>>(),
        })
    }

    fn log_metrics(&self, page: &mut Page) {
        let Some(log) = self.log.get() else { return };
        let is = |fact: bool| u64::from(fact);
        let held = is(self.is_reserve_held.load(Relaxed));
        let figures = self.figures.lock().expect("figures are set whole");
        let report = &log.report;
        for (name, help, value) in [
            (
                "dolmen_log_engine_uring",
                "1 where the log's engine is uring, 0 where it is threads",
                is(log.engine == "uring"),
            ),
            (
                "dolmen_log_direct",
                "1 where the journal goes past the page cache",
                is(log.is_direct),
            ),
            (
                "dolmen_log_real_time",
                "1 where the log's thread has its real-time priority",
                is(log.class == Some(Granted::Full)),
            ),
            (
                "dolmen_log_opened_clean",
                "1 where the stop before this start was clean",
                is(report.was_clean),
            ),
            (
                "dolmen_log_opening_replayed_bytes",
                "Bytes replayed from the journal at this start",
                report.replayed_bytes,
            ),
            (
                "dolmen_log_opening_scanned_bytes",
                "Bytes of segments checked at this start",
                report.scanned_bytes,
            ),
            (
                "dolmen_log_reserve_held",
                "1 where room is held for a full disk",
                held,
            ),
            ("dolmen_logs", "Logs on the device", figures.logs),
            (
                "dolmen_log_journal_files",
                "Journal files that recovery would read",
                figures.journal_files,
            ),
        ] {
            page.gauge(name, help, value);
        }
        for (name, help, value) in [
            (
                "dolmen_log_appends_total",
                "Appends answered as durable",
                figures.appends,
            ),
            (
                "dolmen_log_batches_total",
                "Batches written to the journal",
                figures.batches,
            ),
            (
                "dolmen_log_straight_batches_total",
                "Batches that went straight to their segment",
                figures.straight_batches,
            ),
            (
                "dolmen_log_journal_bytes_total",
                "Bytes written to the journal",
                figures.journal_bytes,
            ),
            (
                "dolmen_log_sweeps_total",
                "Times that segments were synced to free a journal file",
                figures.sweeps,
            ),
            (
                "dolmen_log_stalls_total",
                "Times that appends waited for a journal file",
                figures.stalls,
            ),
            (
                "dolmen_log_refused_full_total",
                "Appends refused because the disk was full",
                figures.refused_full,
            ),
            (
                "dolmen_log_tidy_failures_total",
                "Files that could not be put away; the next start does it",
                figures.tidy_failures,
            ),
        ] {
            page.counter(name, help, value);
        }
    }
}

/// What a thread was granted, in a word.
fn class_word(granted: &Granted) -> String {
    match granted {
        Granted::Full => "as designed".into(),
        Granted::Nice(nice) => format!("nice {nice}"),
        Granted::Ordinary { .. } => "ordinary".into(),
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
        self.log_metrics(&mut page);
        self.zookeeper.write(&mut page);
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
