//! The four-letter words: what a person with `nc` or a monitoring tool asks,
//! and the texts that tools have learnt to read.

use crate::clock::Millis;
use crate::ids::{SessionId, Zxid};
use crate::replica::desk::{Question, Role, SessionShown, Shown, Standing, WatchShown};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// The version of ZooKeeper whose protocol is spoken; clients choose by it
/// what they may ask.
pub const SPOKEN_VERSION: &str = "3.9.5";

const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests";

macro_rules! words {
    ($($word:ident $text:literal $needs:expr, $says:literal;)+) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Word { $($word),+ }

        impl Word {
            pub const ALL: &[Word] = &[$(Word::$word),+];

            pub fn text(self) -> &'static str {
                match self { $(Word::$word => $text),+ }
            }

            /// What the replica has to show for it.
            pub fn question(self) -> Option<Question> {
                match self { $(Word::$word => $needs),+ }
            }

            /// For the page of what is spoken.
            pub fn says(self) -> &'static str {
                match self { $(Word::$word => $says),+ }
            }
        }
    };
}

words! {
    Conf "conf" Some(Question::Standing), "the door's settings";
    Cons "cons" None, "every connection, with its figures";
    Crst "crst" None, "sets the connections' figures to zero";
    Dirs "dirs" Some(Question::Standing), "the size of snapshots and log";
    Dump "dump" Some(Question::Sessions), "sessions and their ephemeral nodes";
    Envi "envi" None, "the version spoken, and the host";
    Hash "hash" Some(Question::Standing), "the digest of the tree, and its zxid";
    Isro "isro" Some(Question::Standing), "ro where only reads are served, else rw";
    Mntr "mntr" Some(Question::Standing), "figures for monitoring";
    Ruok "ruok" None, "imok";
    Srst "srst" None, "sets the door's figures to zero";
    Srvr "srvr" Some(Question::Standing), "how the node stands";
    Stat "stat" Some(Question::Standing), "the same, with the connections";
    Wchc "wchc" Some(Question::Watches), "watches by session";
    Wchp "wchp" Some(Question::Watches), "watches by path";
    Wchs "wchs" Some(Question::Standing), "how many watches";
}

impl Word {
    pub fn parse(bytes: [u8; 4]) -> Option<Self> {
        let is_it = |word: &&Word| word.text().as_bytes() == bytes;
        Word::ALL.iter().find(is_it).copied()
    }

    pub fn named(text: &str) -> Option<Self> {
        Self::parse(text.as_bytes().try_into().ok()?)
    }

    /// What a word that is known and not allowed is answered with.
    pub fn refusal(self) -> String {
        let word = self.text();
        format!("{word} is not executed because it is not in the whitelist.\n")
    }
}

/// What the answers are made of.
pub struct Sight<'a> {
    pub about: &'a About,
    pub shown: Option<Shown>,
    pub figures: Figures,
    pub connections: Vec<ConnectionShown>,
}

/// What the daemon knows of itself, for `conf` and `envi`.
#[derive(Clone, Debug, Default)]
pub struct About {
    pub data_dir: String,
    pub tick_ms: u32,
    pub node: u64,
    /// Lines of `envi` beside the version: `host.name` and the like.
    pub environment: Vec<(String, String)>,
    /// Asked for `mntr`, where it is known whom to ask.
    pub open_files: Option<fn() -> OpenFiles>,
    /// Set by the door.
    pub client_port: u16,
    pub is_tls_only: bool,
    pub connections_per_address_max: usize,
    pub timeout_ms_min: u32,
    pub timeout_ms_max: u32,
}

/// The door's figures since it opened, or since `srst`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    pub latency: Latency,
    pub received: u64,
    pub sent: u64,
    pub connections: u64,
    pub outstanding: u64,
    pub uptime_ms: u64,
    /// Looked at for `mntr` alone.
    pub open_files: OpenFiles,
}

/// The process's files; None where it is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenFiles {
    pub count: Option<u64>,
    pub most: Option<u64>,
}

/// How long requests took, from the read to the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    count: u64,
    sum_us: u64,
    min_us: u64,
    max_us: u64,
}

impl Latency {
    pub fn record(&mut self, us: u64) {
        self.min_us = if self.count == 0 {
            us
        } else {
            self.min_us.min(us)
        };
        self.max_us = self.max_us.max(us);
        self.sum_us += us;
        self.count += 1;
    }

    fn min_ms(&self) -> u64 {
        self.min_us / 1000
    }

    fn max_ms(&self) -> u64 {
        self.max_us / 1000
    }

    fn average_ms(&self) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        let ms = self.sum_us as f64 / self.count as f64 / 1000.0;
        (ms * 10_000.0).round() / 10_000.0
    }
}

/// One connection, for `stat` and `cons`.
#[derive(Clone, Debug, Default)]
pub struct ConnectionShown {
    pub peer: String,
    pub is_reading: bool,
    pub queued: usize,
    pub received: u64,
    pub sent: u64,
    /// 0: none yet.
    pub session: SessionId,
    pub timeout_ms: u32,
    pub last_operation: &'static str,
    pub established: Millis,
    pub last_xid: Option<i32>,
    pub last_zxid: Zxid,
    pub last_response: Millis,
    pub last_latency_us: u64,
    pub latency: Latency,
}

/// The answer to a word that is allowed.
pub fn answer(word: Word, sight: &Sight<'_>) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = match (word, &sight.shown) {
        (Word::Ruok, _) => text.write_str("imok"),
        (Word::Envi, _) => envi(sight.about, &mut text),
        (Word::Cons, _) => connections(sight, false, &mut text),
        (Word::Crst, _) => text.write_str("Connection stats reset.\n"),
        (Word::Srst, _) => text.write_str("Server stats reset.\n"),
        (Word::Isro, Some(Shown::Standing(standing))) => text.write_str(mode_of_access(standing)),
        (_, Some(Shown::Standing(standing))) if !serves(standing) => {
            writeln!(text, "{NOT_SERVING}")
        }
        (Word::Conf, Some(Shown::Standing(standing))) => conf(sight.about, standing, &mut text),
        (Word::Srvr, Some(Shown::Standing(standing))) => server(sight, standing, false, &mut text),
        (Word::Stat, Some(Shown::Standing(standing))) => server(sight, standing, true, &mut text),
        (Word::Mntr, Some(Shown::Standing(standing))) => monitor(sight, standing, &mut text),
        (Word::Dirs, Some(Shown::Standing(standing))) => directories(standing, &mut text),
        (Word::Hash, Some(Shown::Standing(standing))) => {
            writeln!(text, "{:x}: {}", standing.zxid.0, standing.digest)
        }
        (Word::Wchs, Some(Shown::Standing(standing))) => watches_summed(standing, &mut text),
        (Word::Wchc, Some(Shown::Watches(watches))) => watches_by_session(watches, &mut text),
        (Word::Wchp, Some(Shown::Watches(watches))) => watches_by_path(watches, &mut text),
        (Word::Dump, Some(Shown::Sessions(sessions))) => dump(sessions, &mut text),
        (word, shown) => panic!("the replica showed {shown:?} for {}", word.text()),
    };
    text
}

fn serves(standing: &Standing) -> bool {
    standing.role != Role::Looking || standing.is_read_only
}

fn mode_of_access(standing: &Standing) -> &'static str {
    match (serves(standing), standing.is_read_only) {
        (false, _) => "null",
        (true, true) => "ro",
        (true, false) => "rw",
    }
}

fn mode(standing: &Standing) -> &'static str {
    match standing.role {
        _ if standing.is_read_only => "read-only",
        Role::Alone => "standalone",
        Role::Leader => "leader",
        Role::Follower => "follower",
        Role::Learner => "observer",
        Role::Looking => "looking",
    }
}

/// Read by clients and tools: the version spoken, then our own.
pub fn version() -> String {
    format!("{SPOKEN_VERSION}-dolmen-{}", env!("CARGO_PKG_VERSION"))
}

type Written = std::fmt::Result;

fn conf(about: &About, standing: &Standing, text: &mut String) -> Written {
    let port = i64::from(about.client_port);
    let (plain, secure) = if about.is_tls_only {
        (-1, port)
    } else {
        (port, -1)
    };
    writeln!(text, "clientPort={plain}")?;
    writeln!(text, "secureClientPort={secure}")?;
    writeln!(text, "dataDir={}", about.data_dir)?;
    writeln!(text, "dataDirSize={}", standing.snapshot_bytes)?;
    writeln!(text, "dataLogDir={}", about.data_dir)?;
    writeln!(text, "dataLogSize={}", standing.log_bytes)?;
    writeln!(text, "tickTime={}", about.tick_ms)?;
    writeln!(text, "maxClientCnxns={}", about.connections_per_address_max)?;
    writeln!(text, "minSessionTimeout={}", about.timeout_ms_min)?;
    writeln!(text, "maxSessionTimeout={}", about.timeout_ms_max)?;
    // The system's own, as the original says where none is set.
    writeln!(text, "clientPortListenBacklog=-1")?;
    writeln!(text, "serverId={}", about.node)
}

fn envi(about: &About, text: &mut String) -> Written {
    writeln!(text, "Environment:\nzookeeper.version={}", version())?;
    let mut lines = about.environment.iter();
    lines.try_for_each(|(name, value)| writeln!(text, "{name}={value}"))
}

fn server(sight: &Sight<'_>, standing: &Standing, lists: bool, text: &mut String) -> Written {
    writeln!(text, "Zookeeper version: {}", version())?;
    if standing.is_read_only {
        writeln!(text, "READ-ONLY mode; serving only read-only clients")?;
    }
    if lists {
        writeln!(text, "Clients:")?;
        connections(sight, true, text)?;
    }
    let Figures {
        latency,
        received,
        sent,
        connections,
        outstanding,
        ..
    } = &sight.figures;
    writeln!(
        text,
        "Latency min/avg/max: {}/{:?}/{}",
        latency.min_ms(),
        latency.average_ms(),
        latency.max_ms()
    )?;
    writeln!(text, "Received: {received}\nSent: {sent}")?;
    writeln!(
        text,
        "Connections: {connections}\nOutstanding: {outstanding}"
    )?;
    writeln!(
        text,
        "Zxid: 0x{:x}\nMode: {}",
        standing.zxid.0,
        mode(standing)
    )?;
    writeln!(text, "Node count: {}", standing.nodes)
}

/// One line each, and an empty one behind them.
fn connections(sight: &Sight<'_>, is_brief: bool, text: &mut String) -> Written {
    for connection in &sight.connections {
        self::connection(connection, is_brief, text)?;
    }
    writeln!(text)
}

fn connection(shown: &ConnectionShown, is_brief: bool, text: &mut String) -> Written {
    let ConnectionShown {
        peer,
        is_reading,
        queued,
        received,
        sent,
        ..
    } = shown;
    let interest = u8::from(*is_reading);
    write!(
        text,
        " /{peer}[{interest}](queued={queued},recved={received},sent={sent}"
    )?;
    if !is_brief && shown.session != SessionId(0) {
        write!(
            text,
            ",sid=0x{:x},lop={},est={},to={}",
            shown.session.0, shown.last_operation, shown.established.0, shown.timeout_ms
        )?;
        if let Some(xid) = shown.last_xid.filter(|xid| *xid >= 0) {
            write!(text, ",lcxid=0x{xid:x}")?;
        }
        write!(
            text,
            ",lzxid=0x{:x},lresp={},llat={},minlat={},avglat={},maxlat={}",
            shown.last_zxid.0,
            shown.last_response.0,
            shown.last_latency_us / 1000,
            shown.latency.min_ms(),
            shown.latency.average_ms() as u64,
            shown.latency.max_ms()
        )?;
    }
    writeln!(text, ")")
}

fn monitor(sight: &Sight<'_>, standing: &Standing, text: &mut String) -> Written {
    let figures = &sight.figures;
    let mut line = |name: &str, value: &dyn std::fmt::Display| writeln!(text, "zk_{name}\t{value}");
    line("version", &version())?;
    line("server_state", &mode(standing))?;
    line("min_latency", &figures.latency.min_ms())?;
    line(
        "avg_latency",
        &format!("{:?}", figures.latency.average_ms()),
    )?;
    line("max_latency", &figures.latency.max_ms())?;
    line("packets_received", &figures.received)?;
    line("packets_sent", &figures.sent)?;
    line("num_alive_connections", &figures.connections)?;
    line("outstanding_requests", &figures.outstanding)?;
    line("uptime", &figures.uptime_ms)?;
    line("last_proc_zxid", &standing.zxid.0)?;
    line("znode_count", &standing.nodes)?;
    line("watch_count", &standing.watches)?;
    line("ephemerals_count", &standing.ephemerals)?;
    line("approximate_data_size", &standing.data_bytes)?;
    let files = figures.open_files;
    let known = |name: &'static str, value: Option<u64>| value.map(|value| (name, value));
    let files = [
        known("open_file_descriptor_count", files.count),
        known("max_file_descriptor_count", files.most),
    ];
    for (name, value) in files.into_iter().flatten() {
        line(name, &value)?;
    }
    line("global_sessions", &standing.sessions)?;
    line("quorum_size", &standing.voters)?;
    if standing.role == Role::Leader {
        line(
            "learners",
            &(standing.voters.saturating_sub(1) + standing.learners),
        )?;
        line("synced_followers", &standing.synced_followers)?;
        line("synced_observers", &standing.learners)?;
    }
    Ok(())
}

fn directories(standing: &Standing, text: &mut String) -> Written {
    let (snapshots, log) = (standing.snapshot_bytes, standing.log_bytes);
    writeln!(text, "datadir_size: {snapshots}\nlogdir_size: {log}")
}

fn watches_summed(standing: &Standing, text: &mut String) -> Written {
    let (connections, paths) = (standing.watching_connections, standing.watched_paths);
    writeln!(text, "{connections} connections watching {paths} paths")?;
    writeln!(text, "Total watches:{}", standing.watches)
}

fn watches_by_session(watches: &[WatchShown], text: &mut String) -> Written {
    let mut by_session: BTreeMap<SessionId, BTreeSet<&str>> = BTreeMap::new();
    for watch in watches {
        let paths = by_session.entry(watch.session).or_default();
        paths.insert(&watch.path);
    }
    for (session, paths) in by_session {
        writeln!(text, "0x{:x}", session.0)?;
        for path in paths {
            writeln!(text, "\t{path}")?;
        }
    }
    writeln!(text)
}

fn watches_by_path(watches: &[WatchShown], text: &mut String) -> Written {
    let mut by_path: BTreeMap<&str, BTreeSet<SessionId>> = BTreeMap::new();
    for watch in watches {
        by_path
            .entry(&watch.path)
            .or_default()
            .insert(watch.session);
    }
    for (path, sessions) in by_path {
        writeln!(text, "{path}")?;
        for session in sessions {
            writeln!(text, "\t0x{:x}", session.0)?;
        }
    }
    writeln!(text)
}

fn dump(sessions: &[SessionShown], text: &mut String) -> Written {
    writeln!(text, "SessionTracker dump:")?;
    writeln!(text, "Global Sessions({}):", sessions.len())?;
    for session in sessions {
        writeln!(text, "0x{:x}\t{}ms", session.session.0, session.timeout_ms)?;
    }
    let with_ephemerals = || sessions.iter().filter(|s| !s.ephemerals.is_empty());
    writeln!(text, "ephemeral nodes dump:")?;
    writeln!(
        text,
        "Sessions with Ephemerals ({}):",
        with_ephemerals().count()
    )?;
    for session in with_ephemerals() {
        writeln!(text, "0x{:x}:", session.session.0)?;
        for path in &session.ephemerals {
            writeln!(text, "\t{path}")?;
        }
    }
    let connected = || sessions.iter().filter(|s| s.connection.is_some());
    writeln!(text, "Connections dump:")?;
    writeln!(text, "Connections({}):", connected().count())?;
    for session in connected() {
        writeln!(text, "0x{:x}", session.session.0)?;
    }
    Ok(())
}
