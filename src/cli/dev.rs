//! `dolmen dev`: nodes on loopback, for trying things by hand.
//!
//! Each node is a process of its own (`dolmen serve` with a file written
//! here), in a process group of its own, so that Ctrl-C reaches this process
//! alone and the nodes are then asked to stop. A node tells this process that
//! it is ready the way it would tell systemd. The first of several founds a
//! cluster and the others join it, by the same questions that `dolmen init`
//! and `dolmen join` ask. A node killed from outside may be started again by
//! hand with its file; Ctrl-C stops that one too.

use super::{Failure, print, status};
use crate::daemon::ask::ask;
use crate::daemon::compose::{self, Sources};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram as StdDatagram};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;
use tokio::net::UnixDatagram;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// Run nodes on loopback, for trying things by hand
#[derive(clap::Args)]
pub struct Args {
    /// Where the nodes keep their data; made where it is absent
    #[arg(long, value_name = "DIR", default_value = "dolmen-data")]
    data: PathBuf,
    /// Ports from PORT + 100 on; without it one node takes the default ones and
    /// several begin at 20100
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..=64_000))]
    base_port: Option<u16>,
    /// Override one setting; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// How many nodes
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=7))]
    nodes: u16,
}

/// A door's number among the ports of a node.
const DOORS: &[(&str, u16)] = &[
    ("doors.zookeeper.listen", 1),
    ("doors.kafka.listen", 2),
    ("doors.operator.listen", 6),
    ("peers.control.listen", 7),
    ("peers.bulk.listen", 8),
];
const PORTS_PER_NODE: u16 = 100;
const BASE_PORT_OF_SEVERAL: u16 = 20_000;

pub fn run(args: Args) -> Result<(), Failure> {
    let places: Vec<Place> = (1..=args.nodes)
        .map(|number| Place::make(&args.data, number))
        .collect::<Result<_, _>>()?;
    for place in &places {
        place.write_settings(&args)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::failed)?;
    runtime.block_on(watch(&places))
}

/// The admin socket of a node that runs in a `dev` folder.
pub(super) fn admin_socket(folder: &Path, node: u16) -> PathBuf {
    folder.join(format!("node-{node}/data/admin.sock"))
}

/// The settings of such a node.
pub(super) fn settings_file(folder: &Path, node: u16) -> PathBuf {
    folder.join(format!("node-{node}/dolmen.toml"))
}

/// The folders of one node.
struct Place {
    number: u16,
    folder: PathBuf,
    settings: PathBuf,
    data: PathBuf,
}

impl Place {
    fn make(folder: &Path, number: u16) -> Result<Self, Failure> {
        let cannot = |error: io::Error| {
            let folder = folder.display();
            Failure::failed(format!(
                "cannot use {folder} ({error}): name another with --data"
            ))
        };
        let own = format!("node-{number}");
        fs::create_dir_all(folder.join(&own).join("data")).map_err(cannot)?;
        let folder = folder.canonicalize().map_err(cannot)?;
        Ok(Self {
            number,
            settings: folder.join(&own).join("dolmen.toml"),
            data: folder.join(&own).join("data"),
            folder,
        })
    }

    fn admin_socket(&self) -> PathBuf {
        admin_socket(&self.folder, self.number)
    }

    fn ask(&self, question: &Value) -> Result<Value, Failure> {
        ask(&self.admin_socket(), question).map_err(Failure::failed)
    }

    /// Written anew at each run, so that it says what was asked last.
    fn write_settings(&self, args: &Args) -> Result<(), Failure> {
        let mut lines = BTreeMap::new();
        let mut put = |key: &str, value: &str| lines.insert(key.to_owned(), as_toml(value));
        put("node.data", &self.data.display().to_string());
        put("admin.socket", &self.admin_socket().display().to_string());
        let several = (args.nodes > 1).then_some(BASE_PORT_OF_SEVERAL);
        for (door, number) in DOORS {
            if let Some(base) = args.base_port.or(several) {
                let port = base + PORTS_PER_NODE * self.number + number;
                put(door, &format!("127.0.0.1:{port}"));
            } else if door.starts_with("peers.") {
                put(door, &format!("127.0.0.1:{}", 7293 + number));
            }
        }
        for set in &args.set {
            let (key, value) = set.split_once('=').ok_or_else(|| {
                Failure::wrong_usage(format!("--set {set}: write it as key=value"))
            })?;
            put(key, value);
        }
        let lines: String = lines
            .iter()
            .map(|(key, value)| format!("{key} = {value}\n"))
            .collect();
        let text = format!("# Written by dolmen dev at each run.\n{lines}");
        self.check_ports(&text)?;
        write_whole(&self.settings, &text)
    }

    /// Members know each other by their ports. Were all of them moved at once,
    /// no majority could tell anybody the new ones.
    fn check_ports(&self, text: &str) -> Result<(), Failure> {
        let before = fs::read_to_string(&self.settings).unwrap_or_default();
        let (before, now) = (control_port(&before), control_port(text));
        let is_moved = before.is_some() && before != now;
        if !is_moved || !self.data.join("membership").exists() {
            return Ok(());
        }
        let base = before
            .unwrap_or(0)
            .saturating_sub(PORTS_PER_NODE * self.number + 7);
        Err(Failure::failed(format!(
            "the nodes in {} are a cluster on ports from {base} on: run it with --base-port {base}, \
             or name another folder with --data",
            self.folder.display()
        )))
    }

    /// As the node reads its settings: the environment is above its file.
    fn wants_kafka(&self) -> Result<bool, Failure> {
        let sources = Sources {
            file: Some(self.settings.clone()),
            sets: Vec::new(),
        };
        let loaded = compose::load(&sources).map_err(Failure::failed)?;
        Ok(loaded.config.kafka.listen.is_some())
    }

    fn listed(&self, status: &Value) -> Value {
        json!({
            "id": self.number,
            "pid": status["pid"],
            "config": self.settings,
            "data": self.data,
            "doors": status["doors"],
        })
    }
}

/// Of a file that `write_settings` wrote.
fn control_port(settings: &str) -> Option<u16> {
    let mut lines = settings.lines();
    let line = lines.find(|line| line.starts_with("peers.control.listen = "))?;
    line.trim_end_matches('"').rsplit_once(':')?.1.parse().ok()
}

/// What runs, in the form that test tools read.
fn cluster_file(places: &[Place]) -> PathBuf {
    places[0].folder.join("cluster.json")
}

/// Numbers and switches as they are; what is left is text, whose quotes and
/// escapes TOML shares with JSON.
fn as_toml(value: &str) -> String {
    let is_number = value.parse::<f64>().is_ok() && !value.ends_with(char::is_alphabetic);
    match is_number || value.parse::<bool>().is_ok() {
        true => value.into(),
        false => Value::from(value).to_string(),
    }
}

/// A reader finds the old text or the new one, never half of it.
fn write_whole(path: &Path, text: &str) -> Result<(), Failure> {
    let unfinished = path.with_extension("new");
    fs::write(&unfinished, text)
        .and_then(|()| fs::rename(&unfinished, path))
        .map_err(|error| Failure::failed(format!("cannot write {} ({error})", path.display())))
}

/// Starts the nodes, tells when all are ready, and stops them at Ctrl-C.
async fn watch(places: &[Place]) -> Result<(), Failure> {
    let machine = |error: io::Error| Failure::failed(format!("cannot watch a node: {error}"));
    let mut children = Children(signal(SignalKind::child()).map_err(machine)?);
    let mut stops = Stops::listen().map_err(machine)?;
    let (mut nodes, mut notices) = (Vec::new(), Vec::new());
    for place in places {
        let (node, notice) = Running::start(place).map_err(machine)?;
        nodes.push(node);
        notices.push(notice);
    }
    let outcome = tokio::select! {
        ready = all_ready(places, &mut notices) => ready.map(|()| true),
        ended = children.any_end(&mut nodes) => {
            let (number, ended) = ended.map_err(machine)?;
            Err(Failure::failed(format!(
                "node {number} did not start ({ended}): its own words are above"
            )))
        }
        () = stops.next() => Ok(false),
    };
    let mut told = Ok(());
    if let Ok(true) = outcome {
        told = announce(places);
        if told.is_ok() {
            attend(places, &mut nodes, &mut children, &mut stops)
                .await
                .map_err(machine)?;
        }
    }
    stop_all(places, &mut nodes, &mut children, &mut stops)
        .await
        .map_err(machine)?;
    forget(places)?;
    outcome.map(|_| ()).and(told)
}

/// A node's process.
struct Running {
    number: u16,
    child: Child,
}

impl Running {
    /// With what says each time that it is ready.
    fn start(place: &Place) -> io::Result<(Self, Notices)> {
        let (socket, name) = listen_for_notices(place.number)?;
        let (ready, notices) = mpsc::unbounded_channel();
        // Read as long as the node runs: one whose notices nobody reads waits
        // for somebody who does.
        tokio::spawn(hear_notices(socket, ready));
        let child = Command::new(std::env::current_exe()?)
            .args(["serve", "--config"])
            .arg(&place.settings)
            .env("NOTIFY_SOCKET", format!("@{name}"))
            .process_group(0)
            .spawn()?;
        let number = place.number;
        Ok((Self { number, child }, notices))
    }
}

/// A socket with a name of this process, and the name.
fn listen_for_notices(number: u16) -> io::Result<(UnixDatagram, String)> {
    let name = format!("dolmen-dev-{}-{number}", std::process::id());
    let socket = StdDatagram::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
    socket.set_nonblocking(true)?;
    Ok((UnixDatagram::from_std(socket)?, name))
}

type Notices = mpsc::UnboundedReceiver<()>;

async fn hear_notices(socket: UnixDatagram, ready: mpsc::UnboundedSender<()>) {
    let mut notice = [0; 4096];
    while let Ok(length) = socket.recv(&mut notice).await {
        let mut lines = notice[..length].split(|byte| *byte == b'\n');
        if lines.any(|line| line == b"READY=1") {
            // Nobody waits for it any more.
            let _ = ready.send(());
        }
    }
}

async fn until_ready(notices: &mut Notices) -> Result<(), Failure> {
    let heard = notices.recv().await;
    heard.ok_or_else(|| Failure::failed("a node can no longer be heard"))
}

/// Every node answers, and several are one cluster.
async fn all_ready(places: &[Place], notices: &mut [Notices]) -> Result<(), Failure> {
    for notices in notices.iter_mut() {
        until_ready(notices).await?;
    }
    let [first, others @ ..] = places else {
        return Ok(());
    };
    if others.is_empty() {
        return Ok(());
    }
    first.ask(&json!({ "ask": "init" }))?;
    for (place, notices) in others.iter().zip(&mut notices[1..]) {
        if place.data.join("membership").exists() {
            continue;
        }
        let create = json!({ "ask": "token_create", "role": "voter", "hours": 1 });
        let token = first.ask(&create)?;
        place.ask(&json!({ "ask": "join", "token": token["token"], "discard": false }))?;
        until_ready(notices).await?;
    }
    until_one_cluster(places).await
}

/// Votes take a moment after the last has joined, and a door more: the event log's
/// opens once its node is a broker.
async fn until_one_cluster(places: &[Place]) -> Result<(), Failure> {
    const PATIENCE: Duration = Duration::from_secs(60);
    const PAUSE: Duration = Duration::from_millis(50);
    let wants_kafka = places[0].wants_kafka()?;
    let is_in = |place: &Place| {
        let status = place.ask(&json!({ "ask": "status" }));
        status.is_ok_and(|status| {
            status["coordination"]["voters"].as_u64() == Some(places.len() as u64)
                && status["coordination"]["leader"].is_u64()
                && (status["doors"]["kafka"].is_string() || !wants_kafka)
        })
    };
    let all_in = async {
        while !places.iter().all(is_in) {
            tokio::time::sleep(PAUSE).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, all_in).await;
    waited.map_err(|_| Failure::failed("the nodes did not become one cluster in a minute"))
}

fn announce(places: &[Place]) -> Result<(), Failure> {
    let question = json!({ "ask": "status" });
    let statuses: Vec<Value> = places
        .iter()
        .map(|place| place.ask(&question))
        .collect::<Result<_, _>>()?;
    let listed = places.iter().zip(&statuses);
    let listed: Vec<Value> = listed.map(|(place, status)| place.listed(status)).collect();
    write_whole(
        &cluster_file(places),
        &format!("{}\n", json!({ "nodes": listed })),
    )?;
    let mut text = String::new();
    for (place, status) in places.iter().zip(&statuses) {
        if places.len() > 1 {
            text += &format!("node {}\n", place.number);
        }
        text += &format!("{}\n", status::doors(status));
        if let Some(reason) = status["reason"].as_str() {
            text += &format!("the node does not serve: {reason}\n");
        }
    }
    let to_try = match statuses[0]["doors"]["operator"].as_str() {
        Some(address) => format!("curl http://{address}/health"),
        None => format!("dolmen status --data {}", places[0].folder.display()),
    };
    print(&format!(
        "{text}try: {to_try}\nCtrl-C stops {}\n",
        match places.len() {
            1 => "the node",
            _ => "all nodes",
        }
    ))
}

/// Until Ctrl-C. A node that ends meanwhile may be started again by hand;
/// asked to stop, the only one ends this too.
async fn attend(
    places: &[Place],
    nodes: &mut [Running],
    children: &mut Children,
    stops: &mut Stops,
) -> io::Result<()> {
    let mut said = vec![false; nodes.len()];
    loop {
        tokio::select! {
            () = stops.next() => return Ok(()),
            ended = children.next() => ended,
        }
        for (at, node) in nodes.iter_mut().enumerate() {
            let Some(ended) = node.child.try_wait()? else {
                continue;
            };
            if ended.success() && places.len() == 1 {
                return Ok(());
            }
            if !std::mem::replace(&mut said[at], true) {
                eprintln!(
                    "node {} ended ({ended}); start it again with: dolmen serve --config {}; \
                     Ctrl-C ends dev",
                    node.number,
                    places[at].settings.display()
                );
            }
        }
    }
}

/// Asks whoever runs there to stop, which may be nodes that were started
/// again by hand, and waits for our own. A second Ctrl-C kills them.
async fn stop_all(
    places: &[Place],
    nodes: &mut [Running],
    children: &mut Children,
    stops: &mut Stops,
) -> io::Result<()> {
    for (place, node) in places.iter().zip(nodes.iter_mut()) {
        // A node that has ended, or has no socket yet, cannot be asked.
        let asked = ask(&place.admin_socket(), &json!({ "ask": "stop" }));
        if node.child.try_wait()?.is_none() && asked.is_err() {
            node.child.kill()?;
        }
    }
    while nodes
        .iter_mut()
        .any(|node| matches!(node.child.try_wait(), Ok(None)))
    {
        tokio::select! {
            () = children.next() => {}
            () = stops.next() => {
                for node in nodes.iter_mut() {
                    node.child.kill()?;
                }
            }
        }
    }
    Ok(())
}

/// Nothing runs there any more.
fn forget(places: &[Place]) -> Result<(), Failure> {
    match fs::remove_file(cluster_file(places)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Failure::failed(error)),
        _ => Ok(()),
    }
}

/// A child of this process has ended.
struct Children(Signal);

impl Children {
    async fn next(&mut self) {
        self.0.recv().await;
    }

    async fn any_end(&mut self, nodes: &mut [Running]) -> io::Result<(u16, ExitStatus)> {
        loop {
            for node in nodes.iter_mut() {
                if let Some(status) = node.child.try_wait()? {
                    return Ok((node.number, status));
                }
            }
            self.next().await;
        }
    }
}

/// This process is asked to stop.
struct Stops {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Stops {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}
