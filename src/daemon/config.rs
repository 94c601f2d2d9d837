//! The settings of one node, from every layer, each value with its origin.
//!
//! `Config::load` is the one way to them: the daemon at start, `check-config`
//! and `profile show` call it alike. It first settles what no hardware profile
//! may say, because the data directory tells which disk the profile is for and
//! holds the probe; then it lays all layers in their order.

mod known;

pub use known::Known;

use super::place::Place;
use crate::disk::class::Core;
use crate::limits::RACK_BYTES_MAX;
use crate::ports::zookeeper::Secret;
use crate::profile::{
    Choice, Document, Fault, Given, KNOBS, Kind, Knob, Layer, Layers, Machine, Origin, PROBE_FILE,
    Probe, Shelf, Tables, Value, check, choose, expect,
};
use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tracing::level_filters::LevelFilter;

/// What a node is told to be.
#[derive(Clone, Debug)]
pub struct Config {
    /// `node.data`: where everything durable lives.
    pub data: PathBuf,
    /// `node.log_level`: how much is told to the journal.
    pub log_level: LevelFilter,
    /// `admin.socket`: where the CLI on the same host talks to the daemon.
    pub admin_socket: PathBuf,
    /// `doors.operator.listen`: health, metrics, status; None where the door is off.
    pub operator_listen: Option<SocketAddr>,
    pub zookeeper: ZooKeeperDoor,
    pub kafka: KafkaDoor,
    /// `eventlog.disk_percent`.
    pub event_log_disk_percent: u64,
    /// `node.rack`.
    pub rack: Option<String>,
    pub peers: PeersConfig,
    pub coordination: Coordination,
    pub log: LogKnobs,
}

/// `[doors.zookeeper]`.
#[derive(Clone, Debug)]
pub struct ZooKeeperDoor {
    /// None where the door is off.
    pub listen: Option<SocketAddr>,
    /// Where clients are told to come; else the address it listens on.
    pub advertise: Option<String>,
    /// The four-letter words that are answered.
    pub words: Vec<String>,
    /// `user:hash` of who may do everything, as ZooKeeper's
    /// superDigest; None where nobody may by a password.
    pub super_digest: Option<Secret>,
    /// Lines `user:password` for SASL.
    pub sasl_users_file: Option<PathBuf>,
    pub tls: Option<DoorTls>,
    pub serves_read_only: bool,
}

/// `[doors.kafka]`.
#[derive(Clone, Debug)]
pub struct KafkaDoor {
    /// None where the door is off.
    pub listen: Option<SocketAddr>,
    /// Where clients are told to come; else the address it listens on.
    pub advertise: Option<Place>,
    pub tls: Option<DoorTls>,
    /// Whether nothing is answered to clients that have not shown who they are.
    pub needs_sasl: bool,
    /// Users who may do everything.
    pub super_users: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct DoorTls {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Whose clients' certificates are believed.
    pub client_ca: Option<PathBuf>,
    /// Whether clients without TLS are turned away.
    pub is_required: bool,
}

/// `[peers]`.
#[derive(Clone, Debug)]
pub struct PeersConfig {
    pub control_listen: SocketAddr,
    pub bulk_listen: SocketAddr,
    /// What may leave by one interface; else by what that carries.
    pub bulk_mb_per_second: Option<u64>,
    /// The host by which the other nodes reach this one; else the address that
    /// the machine uses to reach them.
    pub advertise: Option<String>,
}

/// `[coordination]`.
#[derive(Clone, Debug)]
pub struct Coordination {
    pub tick_ms: u64,
    pub election_timeout_ms: u64,
}

/// The knobs of `[log]`, as in `profile`.
#[derive(Clone, Debug)]
pub struct LogKnobs {
    pub engine: EngineChoice,
    pub ring_entries: u32,
    pub core: Core,
    /// Zero where the core may sleep.
    pub keep_awake: Duration,
    pub journal_direct_io: bool,
    pub journal_file_mib: u64,
    pub journal_files_max: u64,
    pub journal_bypass_kib: u64,
    pub segment_mib: u64,
    pub reserve_mib: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineChoice {
    /// By a start-up probe.
    Auto,
    Uring,
    Threads,
}

/// The admin socket of an installed daemon.
pub const ADMIN_SOCKET: &str = "/run/dolmen/admin.sock";

/// What dolmen.toml holds beside the knobs: what this node is, not what its
/// machine is good at, so no hardware profile and no probe may say it.
pub static NODE: &[Knob] = &[
    Knob {
        key: "node.data",
        kind: Kind::Path,
        default: Some(Value::Text(Cow::Borrowed("/var/lib/dolmen"))),
        doc: "Where everything durable lives. The hardware profile is chosen for the disk under it.",
    },
    Knob {
        key: "node.log_level",
        kind: Kind::Choice(&["off", "error", "warn", "info", "debug", "trace"]),
        default: Some(Value::Text(Cow::Borrowed("info"))),
        doc: "How much is told to the journal. A running node takes a new level with `systemctl reload dolmen`.",
    },
    Knob {
        key: "node.rack",
        kind: Kind::Text,
        default: None,
        doc: "Where this node stands, as its owner calls it: the replicas of a partition are spread over racks.",
    },
    Knob {
        key: "admin.socket",
        kind: Kind::Path,
        default: Some(Value::Text(Cow::Borrowed(ADMIN_SOCKET))),
        doc: "Where the commands on the same host reach the daemon.",
    },
    Knob {
        key: "doors.operator.listen",
        kind: Kind::Listen,
        default: Some(Value::Text(Cow::Borrowed("127.0.0.1:7080"))),
        doc: "Health, metrics and status over HTTP.",
    },
    Knob {
        key: "doors.operator.open",
        kind: Kind::Switch,
        default: Some(Value::Switch(false)),
        doc: "Allows the operator door on an address that other machines reach; it asks nobody who they are.",
    },
    Knob {
        key: "doors.zookeeper.listen",
        kind: Kind::Listen,
        default: Some(Value::Text(Cow::Borrowed("127.0.0.1:2181"))),
        doc: "The coordination service, for ZooKeeper's clients.",
    },
    Knob {
        key: "doors.zookeeper.advertise",
        kind: Kind::Text,
        default: None,
        doc: "Where clients are told to come, as host:port; without it the address that the door listens on.",
    },
    Knob {
        key: "doors.zookeeper.open",
        kind: Kind::Switch,
        default: Some(Value::Switch(false)),
        doc: "Allows the ZooKeeper door without TLS on an address that other machines reach; access lists are then all that stands between a stranger and the data.",
    },
    Knob {
        key: "doors.zookeeper.words",
        kind: Kind::Words(&[]),
        default: Some(Value::Text(Cow::Borrowed(
            "srvr ruok mntr stat isro conf envi",
        ))),
        doc: "The four-letter words that are answered, or * for all: ruok srvr stat mntr envi conf cons dump isro wchs wchc wchp dirs crst srst hash.",
    },
    Knob {
        key: "doors.zookeeper.super_digest",
        kind: Kind::Secret,
        default: None,
        doc: "Who may do everything, as super:HASH, the HASH being base64(sha1(\"super:password\")), as ZooKeeper's superDigest.",
    },
    Knob {
        key: "doors.zookeeper.sasl_users_file",
        kind: Kind::Path,
        default: None,
        doc: "Users that may authenticate by SASL (DIGEST-MD5): a file with one user:password a line, readable by the service only.",
    },
    Knob {
        key: "doors.zookeeper.tls_certificate",
        kind: Kind::Path,
        default: None,
        doc: "The door's certificate chain, PEM. With it, TLS and plain connections are taken on the same port.",
    },
    Knob {
        key: "doors.zookeeper.tls_key",
        kind: Kind::Path,
        default: None,
        doc: "The key of the door's certificate, PEM.",
    },
    Knob {
        key: "doors.zookeeper.tls_client_ca",
        kind: Kind::Path,
        default: None,
        doc: "The authority whose clients' certificates are believed, PEM; its clients have the x509 identity of their certificate.",
    },
    Knob {
        key: "doors.zookeeper.tls_required",
        kind: Kind::Switch,
        default: Some(Value::Switch(false)),
        doc: "Turns away clients that do not speak TLS.",
    },
    Knob {
        key: "doors.zookeeper.read_only",
        kind: Kind::Switch,
        default: Some(Value::Switch(true)),
        doc: "Serves clients that ask for it (ZooKeeper's read-only mode) while the node has no majority.",
    },
    Knob {
        key: "doors.kafka.listen",
        kind: Kind::Listen,
        default: Some(Value::Text(Cow::Borrowed("127.0.0.1:9092"))),
        doc: "The event log, for Kafka's clients. Where it is off the node holds no partitions.",
    },
    Knob {
        key: "doors.kafka.advertise",
        kind: Kind::Text,
        default: None,
        doc: "Where clients are told to come, as host:port; without it the address that the door listens on, or else the one by which the other nodes reach this one.",
    },
    Knob {
        key: "doors.kafka.open",
        kind: Kind::Switch,
        default: Some(Value::Switch(false)),
        doc: "Allows the Kafka door without TLS on an address that other machines reach; access rules are then all that stands between a stranger and the data.",
    },
    Knob {
        key: "doors.kafka.tls_certificate",
        kind: Kind::Path,
        default: None,
        doc: "The door's certificate chain, PEM. With it, TLS and plain connections are taken on the same port.",
    },
    Knob {
        key: "doors.kafka.tls_key",
        kind: Kind::Path,
        default: None,
        doc: "The key of the door's certificate, PEM.",
    },
    Knob {
        key: "doors.kafka.tls_client_ca",
        kind: Kind::Path,
        default: None,
        doc: "The authority whose clients' certificates are believed, PEM; a client is then the user that its certificate names.",
    },
    Knob {
        key: "doors.kafka.tls_required",
        kind: Kind::Switch,
        default: Some(Value::Switch(false)),
        doc: "Turns away clients that do not speak TLS.",
    },
    Knob {
        key: "doors.kafka.sasl_required",
        kind: Kind::Switch,
        default: Some(Value::Switch(false)),
        doc: "Answers nothing to clients that have not shown by SASL who they are. The users are the cluster's own: `dolmen user add`.",
    },
    Knob {
        key: "doors.kafka.super_users",
        kind: Kind::Words(&[]),
        default: None,
        doc: "Users who may do everything at the Kafka door whatever the access rules say, by name: those who make the first rules.",
    },
    Knob {
        key: "eventlog.disk_percent",
        kind: Kind::Number {
            unit: "percent",
            min: 1,
            max: 100,
        },
        default: Some(Value::Number(50)),
        doc: "What the event log may take of the disk under node.data. Beyond it the oldest segments of all topics are deleted before their time, but for compacted topics and its own.",
    },
    Knob {
        key: "peers.control.listen",
        kind: Kind::Listen,
        default: Some(Value::Text(Cow::Borrowed("0.0.0.0:7300"))),
        doc: "Where other nodes reach this one with votes, heartbeats and writes, over UDP; opened by `dolmen init` and `dolmen join`.",
    },
    Knob {
        key: "peers.bulk.listen",
        kind: Kind::Listen,
        default: Some(Value::Text(Cow::Borrowed("0.0.0.0:7301"))),
        doc: "Where other nodes reach this one with bulk data, over UDP.",
    },
    Knob {
        key: "peers.bulk.mb_per_second",
        kind: Kind::Number {
            unit: "MB",
            min: 1,
            max: 100_000,
        },
        default: None,
        doc: "How much bulk data may leave in a second by one interface, to all nodes together; without it four fifths of what the interface says it carries, and 1000 where it does not say.",
    },
    Knob {
        key: "peers.advertise",
        kind: Kind::Text,
        default: None,
        doc: "The host name or address by which the other nodes reach this one; without it the address that it listens on, or else that of the interface towards them.",
    },
    Knob {
        key: "coordination.tick_ms",
        kind: Kind::Number {
            unit: "milliseconds",
            min: 5,
            max: 1000,
        },
        default: Some(Value::Number(50)),
        doc: "How often the replica looks at its timers. The same on every node.",
    },
    Knob {
        key: "coordination.election_timeout_ms",
        kind: Kind::Number {
            unit: "milliseconds",
            min: 100,
            max: 60_000,
        },
        default: Some(Value::Number(500)),
        doc: "The least time without a word from the leader after which a node asks for votes; raised by itself where the disk or the network is slower than a tenth of it. The same on every node.",
    },
];

/// All that dolmen.toml, the environment and `--set` may say.
pub const SETTINGS: Tables<'static> = &[NODE, KNOBS];

/// Where the settings of a node come from.
pub struct Sources<'a> {
    /// None where the node has no file.
    pub file: Option<PathBuf>,
    /// A data directory given on the command line.
    pub data: Option<PathBuf>,
    /// `std::env::vars_os()`, or nothing.
    pub environment: Vec<(OsString, OsString)>,
    /// Each `key=value`, the last one of a key winning.
    pub set: Vec<String>,
    /// What the machine is, for a data directory.
    pub machine: &'a dyn Fn(&Path) -> Machine,
    /// Hardware profiles over those built in, the later folder winning.
    pub profile_folders: Vec<PathBuf>,
}

/// The settings of a node and how they came about.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    /// Every setting with its origin, in the order of the tables.
    pub layers: Layers,
    /// None only where no profile fits.
    pub profile: Option<Choice>,
    pub machine: Machine,
    /// What an operator should know and need not act on at once.
    pub notes: Vec<String>,
}

/// Where an installed node has its settings.
pub const FILE: &str = "/etc/dolmen/dolmen.toml";

/// The file of an installed node, where there is one.
pub fn installed_file() -> Option<PathBuf> {
    let file = PathBuf::from(FILE);
    file.exists().then_some(file)
}

/// Where profiles are looked for on an installed machine.
pub fn profile_folders() -> Vec<PathBuf> {
    vec![
        "/usr/share/dolmen/hw-profiles".into(),
        "/etc/dolmen/hw-profiles.d".into(),
    ]
}

impl Config {
    /// What holds where nothing else is said, not even by a profile.
    pub fn built_in() -> Self {
        Self::of(&Layers::built_in(SETTINGS))
    }

    /// All settings, or everything that is wrong with them.
    pub fn load(sources: Sources<'_>) -> Result<Loaded, Vec<Fault>> {
        let own = Own::read(&sources)?;
        let data = {
            let mut layers = Layers::built_in(SETTINGS);
            layers.lay(&own.given);
            PathBuf::from(layers.text("node.data"))
        };
        let machine = (sources.machine)(&data);
        let shelf = Shelf::open(&sources.profile_folders)?;
        let profile = choose(&shelf, &machine);
        let mut notes = Vec::new();

        let mut layers = Layers::built_in(SETTINGS);
        match &profile {
            Some(choice) => shelf
                .lay(&choice.name, &mut layers)
                .map_err(|fault| vec![fault])?,
            None => notes.push("no hardware profile fits this machine".into()),
        }
        match read_probe(&data.join(PROBE_FILE))? {
            Found::Probe(probe) => match probe.stale(&machine) {
                Some(why) => notes.push(why),
                None => layers.lay(&probe.given),
            },
            Found::Closed(why) => notes.push(why),
            Found::Nothing => {}
        }
        layers.lay(&own.given);

        check_doors(&layers)?;
        Ok(Loaded {
            config: Self::of(&layers),
            layers,
            profile,
            machine,
            notes,
        })
    }

    /// What the settings come to, once all layers are laid.
    pub fn of(layers: &Layers) -> Self {
        Self {
            data: layers.text("node.data").into(),
            log_level: layers
                .text("node.log_level")
                .parse()
                .expect("checked to be a level"),
            admin_socket: layers.text("admin.socket").into(),
            operator_listen: listen(layers, "doors.operator.listen"),
            zookeeper: ZooKeeperDoor {
                listen: listen(layers, "doors.zookeeper.listen"),
                advertise: optional(layers, "doors.zookeeper.advertise"),
                words: words(layers, "doors.zookeeper.words"),
                super_digest: optional(layers, "doors.zookeeper.super_digest")
                    .map(|digest| Secret(digest.into())),
                sasl_users_file: path(layers, "doors.zookeeper.sasl_users_file"),
                tls: DoorTls::of(layers, "zookeeper"),
                serves_read_only: layers.switch("doors.zookeeper.read_only"),
            },
            kafka: KafkaDoor {
                listen: listen(layers, "doors.kafka.listen"),
                advertise: optional(layers, "doors.kafka.advertise")
                    .and_then(|text| Place::parse(&text).ok()),
                tls: DoorTls::of(layers, "kafka"),
                needs_sasl: layers.switch("doors.kafka.sasl_required"),
                super_users: words(layers, "doors.kafka.super_users"),
            },
            event_log_disk_percent: layers.number("eventlog.disk_percent"),
            rack: optional(layers, "node.rack"),
            peers: PeersConfig {
                control_listen: listen(layers, "peers.control.listen").expect("checked to be on"),
                bulk_listen: listen(layers, "peers.bulk.listen").expect("checked to be on"),
                bulk_mb_per_second: optional_number(layers, "peers.bulk.mb_per_second"),
                advertise: optional(layers, "peers.advertise"),
            },
            coordination: Coordination {
                tick_ms: layers.number("coordination.tick_ms"),
                election_timeout_ms: layers.number("coordination.election_timeout_ms"),
            },
            log: LogKnobs {
                engine: match layers.text("log.engine") {
                    "uring" => EngineChoice::Uring,
                    "threads" => EngineChoice::Threads,
                    _ => EngineChoice::Auto,
                },
                ring_entries: layers.number("log.ring_entries") as u32,
                core: match layers.text("log.core") {
                    "any" => Core::Any,
                    _ => Core::Last,
                },
                keep_awake: Duration::from_micros(layers.number("log.keep_awake_us")),
                journal_direct_io: layers.switch("log.journal_direct_io"),
                journal_file_mib: layers.number("log.journal_file_mib"),
                journal_files_max: layers.number("log.journal_files_max"),
                journal_bypass_kib: layers.number("log.journal_bypass_kib"),
                segment_mib: layers.number("log.segment_mib"),
                reserve_mib: layers.number("log.reserve_mib"),
            },
        }
    }
}

impl DoorTls {
    fn of(layers: &Layers, door: &str) -> Option<Self> {
        let key = |name: &str| format!("doors.{door}.{name}");
        let certificate = path(layers, &key("tls_certificate"))?;
        Some(Self {
            certificate,
            key: path(layers, &key("tls_key")).unwrap_or_default(),
            client_ca: path(layers, &key("tls_client_ca")),
            is_required: layers.switch(&key("tls_required")),
        })
    }
}

/// What the node itself is told: file, environment and command line, checked.
struct Own {
    given: Vec<Given>,
}

impl Own {
    fn read(sources: &Sources<'_>) -> Result<Self, Vec<Fault>> {
        let mut own = Own { given: Vec::new() };
        let mut faults = Vec::new();
        if let Some(file) = &sources.file {
            faults.extend(own.read_file(file).err().into_iter().flatten());
        }
        faults.extend(own.read_environment(&sources.environment));
        faults.extend(own.read_command_line(sources));
        match faults.is_empty() {
            true => Ok(own),
            false => Err(faults),
        }
    }

    fn read_file(&mut self, file: &Path) -> Result<(), Vec<Fault>> {
        let document = Document::read(file).map_err(|fault| vec![fault])?;
        check(&document, SETTINGS)?;
        self.given
            .extend(Given::of(SETTINGS, &Layer::File, &document));
        Ok(())
    }

    /// `DOLMEN_LOG_ENGINE` is log.engine. A variable of a section that exists
    /// must name a key of it; other variables, such as DOLMEN_SEED of the
    /// tests, are not settings.
    fn read_environment(&mut self, environment: &[(OsString, OsString)]) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (name, text) in environment {
            let name = name.to_string_lossy();
            if let Some(key) = key_of(&name) {
                let origin = of_no_place(Layer::Environment, &name);
                faults.extend(self.take(&key, text, origin).err());
            }
        }
        faults
    }

    fn read_command_line(&mut self, sources: &Sources<'_>) -> Vec<Fault> {
        let mut faults = Vec::new();
        for set in &sources.set {
            let origin = of_no_place(Layer::CommandLine, "--set");
            faults.extend(match set.split_once('=') {
                Some((key, text)) => self.take(key.trim(), text.as_ref(), origin).err(),
                None => Some(origin.fault(format!("{set:?} is not of the form key=value"))),
            });
        }
        if let Some(data) = &sources.data {
            let origin = of_no_place(Layer::CommandLine, "--data");
            let taken = match std::path::absolute(data) {
                Ok(data) => self.take("node.data", data.as_os_str(), origin),
                Err(error) => Err(origin.fault(format!("{}: {error}", data.display()))),
            };
            faults.extend(taken.err());
        }
        faults
    }

    fn take(&mut self, key: &str, text: &OsStr, origin: Origin) -> Result<(), Fault> {
        let text = text
            .to_str()
            .ok_or_else(|| origin.fault(format!("{key} is not UTF-8")))?;
        let knob = expect(SETTINGS, key).map_err(|message| origin.fault(message))?;
        let value = knob.read(text).map_err(|message| origin.fault(message))?;
        self.given.push(Given {
            knob,
            value,
            origin,
        });
        Ok(())
    }
}

fn of_no_place(layer: Layer, source: &str) -> Origin {
    Origin {
        layer,
        source: source.into(),
        place: None,
    }
}

/// The variable that sets a key.
pub fn variable(key: &str) -> String {
    format!("DOLMEN_{}", key.replace('.', "_").to_uppercase())
}

/// The key that a variable sets; None where it is no setting of ours. A name
/// that no key has stays as it is, to be refused with the nearest key.
fn key_of(name: &str) -> Option<String> {
    let known = || SETTINGS.iter().flat_map(|table| table.iter());
    if let Some(knob) = known().find(|knob| variable(knob.key) == name) {
        return Some(knob.key.into());
    }
    let section = |key: &'static str| key.split('.').next().unwrap_or(key);
    known()
        .map(|knob| section(knob.key))
        .find(|section| name.starts_with(&format!("{}_", variable(section))))
        .map(|section| {
            let rest = &name[variable(section).len() + 1..];
            format!("{section}.{}", rest.to_lowercase())
        })
}

/// What stands where a probe may be.
enum Found {
    Nothing,
    /// This user may not look. The daemon may: it owns the directory.
    Closed(String),
    Probe(Probe),
}

fn read_probe(path: &Path) -> Result<Found, Vec<Fault>> {
    let source = path.display().to_string();
    match Document::bytes(path) {
        Ok(bytes) => {
            let document = Document::parse(&source, &bytes).map_err(|fault| vec![fault])?;
            Probe::parse(document).map(Found::Probe)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
        Err(error) => Ok(Found::Closed(format!(
            "{source} is left out, if there is one: {error}; run this as root to include it"
        ))),
    }
}

fn listen(layers: &Layers, key: &str) -> Option<SocketAddr> {
    layers.text(key).parse().ok() // "off" is the one text that is no address
}

fn optional(layers: &Layers, key: &str) -> Option<String> {
    match &layers.setting(key).value {
        Some(Value::Text(text)) => Some(text.to_string()),
        _ => None,
    }
}

fn optional_number(layers: &Layers, key: &str) -> Option<u64> {
    match &layers.setting(key).value {
        Some(Value::Number(number)) => Some(*number as u64),
        _ => None,
    }
}

fn path(layers: &Layers, key: &str) -> Option<PathBuf> {
    optional(layers, key).map(PathBuf::from)
}

/// A list, or one text with blanks or commas between the words.
fn words(layers: &Layers, key: &str) -> Vec<String> {
    let apart = |text: &str| {
        let words = text.split([' ', ',']).filter(|word| !word.is_empty());
        words.map(str::to_string).collect::<Vec<_>>()
    };
    match &layers.setting(key).value {
        Some(Value::Text(text)) => apart(text),
        Some(Value::List(texts)) => {
            let texts = texts.iter().filter_map(|text| match text {
                Value::Text(text) => Some(apart(text)),
                _ => None,
            });
            texts.flatten().collect()
        }
        _ => Vec::new(),
    }
}

/// A door that asks nobody who they are stays on this machine until someone
/// says otherwise; and what belongs together is there together.
fn check_doors(layers: &Layers) -> Result<(), Vec<Fault>> {
    let mut faults = Vec::new();
    let mut fault = |key: &str, message: String| {
        faults.push(layers.setting(key).origin.fault(message));
    };
    let reached = |key: &str| {
        let address = listen(layers, key);
        address.filter(|address| !address.ip().to_canonical().is_loopback())
    };
    let key = "doors.operator.listen";
    if let Some(address) = reached(key)
        && !layers.switch("doors.operator.open")
    {
        fault(
            key,
            format!(
                "{key} is {address}, which other machines reach, and this door asks nobody who they are: listen on 127.0.0.1 or [::1], or set doors.operator.open = true"
            ),
        );
    }
    for door in ["doors.zookeeper", "doors.kafka"] {
        let key = format!("{door}.listen");
        let is_tls_only = layers.switch(&format!("{door}.tls_required"));
        if let Some(address) = reached(&key)
            && !layers.switch(&format!("{door}.open"))
            && !is_tls_only
        {
            fault(
                &key,
                format!(
                    "{key} is {address}, which other machines reach, and anybody there could read and write: set {door}.tls_certificate, tls_key and tls_required = true, or listen on 127.0.0.1 or [::1], or set {door}.open = true"
                ),
            );
        }
        let (certificate, tls_key) = (format!("{door}.tls_certificate"), format!("{door}.tls_key"));
        let is_set = |key: &str| path(layers, key).is_some();
        match (is_set(&certificate), is_set(&tls_key)) {
            (true, false) => fault(
                &certificate,
                format!("{certificate} is set and {tls_key} is not"),
            ),
            (false, true) => fault(
                &tls_key,
                format!("{tls_key} is set and {certificate} is not"),
            ),
            (false, false) if is_tls_only => {
                let key = format!("{door}.tls_required");
                fault(&key, format!("{key} is true and there is no {certificate}"));
            }
            _ => {}
        }
    }
    let key = "doors.kafka.advertise";
    if let Some(text) = optional(layers, key)
        && let Err(why) = Place::parse(&text)
    {
        fault(
            key,
            format!(
                "{key} is {text:?}, which is no place to come to ({why}): write it as host:port"
            ),
        );
    }
    let key = "node.rack";
    if let Some(rack) = optional(layers, key)
        && (!(1..=RACK_BYTES_MAX).contains(&rack.len()) || rack.contains(char::is_control))
    {
        fault(
            key,
            format!("{key} is a name of 1 to {RACK_BYTES_MAX} bytes without control characters"),
        );
    }
    for key in ["peers.control.listen", "peers.bulk.listen"] {
        if listen(layers, key).is_none() {
            fault(
                key,
                format!("{key} cannot be off: it is opened only when the node is one of several"),
            );
        }
    }
    match faults.is_empty() {
        true => Ok(()),
        false => Err(faults),
    }
}

/// dolmen.toml with every setting as a comment that shows what is built in.
/// packaging/dolmen.toml is this text, and a test keeps it so.
pub fn example() -> String {
    let mut text = String::from(
        "# /etc/dolmen/dolmen.toml: the settings of this node.\n\
         #\n\
         # Each setting below is what is built in; take the # away to change it. Those of\n\
         # [log] and [tune] are set by the hardware profile of this machine: `dolmen\n\
         # profile show` prints every value with its origin. After a change, run\n\
         # `dolmen check-config /etc/dolmen/dolmen.toml`.\n\
         #\n\
         # The environment and the command line are above this file:\n\
         # DOLMEN_LOG_ENGINE=threads, or --set log.engine=threads.\n",
    );
    let mut section_before = "";
    for knob in SETTINGS.iter().flat_map(|table| table.iter()) {
        let (section, name) = knob.key.rsplit_once('.').unwrap_or(("", knob.key));
        if section != section_before {
            text += &format!("\n[{section}]\n");
            section_before = section;
        }
        text += "\n";
        for line in wrapped(&format!("{} It is {}.", knob.doc, knob.kind.allowed()), 78) {
            text += &format!("# {line}\n");
        }
        if let Some(default) = &knob.default {
            text += &format!("#{name} = {default}\n");
        }
    }
    text
}

/// Breaks a sentence into lines at its blanks.
fn wrapped(sentence: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in sentence.split(' ') {
        let line = lines.last_mut().expect("there is always a line");
        match line.len() {
            0 => line.push_str(word),
            length if length + 1 + word.len() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.into()),
        }
    }
    lines
}
