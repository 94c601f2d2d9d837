//! `dolmen dev`: a node on loopback, for trying things by hand.
//!
//! The node is a process of its own (`dolmen serve` with a file written
//! here), in a process group of its own, so that Ctrl-C reaches this process
//! alone and the node is then asked to stop. It tells this process that it is
//! ready the way it would tell systemd. A node killed from outside may be
//! started again by hand with its file; Ctrl-C stops that one too.

use super::{Failure, print, status};
use crate::daemon::ask::ask;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram as StdDatagram};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use tokio::net::UnixDatagram;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Run a node on loopback, for trying things by hand
#[derive(clap::Args)]
pub struct Args {
    /// Where the node keeps its data; made where it is absent
    #[arg(long, value_name = "DIR", default_value = "dolmen-data")]
    data: PathBuf,
    /// Ports from PORT + 100 on instead of the default ones
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
const DOORS: &[(&str, u16)] = &[("operator", 6)];
const PORTS_PER_NODE: u16 = 100;

pub fn run(args: Args) -> Result<(), Failure> {
    if args.nodes > 1 {
        let message = format!(
            "dev --nodes {}: several nodes are not there yet; leave --nodes out to run one",
            args.nodes
        );
        return Err(Failure::failed(message));
    }
    let place = Place::make(&args.data)?;
    place.write_settings(&args)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::failed)?;
    runtime.block_on(watch(&place))
}

/// The admin socket of the node that runs in a `dev` folder.
pub(super) fn admin_socket(folder: &Path) -> PathBuf {
    folder.join("node-1/data/admin.sock")
}

/// The folders of one node.
struct Place {
    folder: PathBuf,
    settings: PathBuf,
    data: PathBuf,
}

impl Place {
    fn make(folder: &Path) -> Result<Self, Failure> {
        let cannot = |error: io::Error| {
            let folder = folder.display();
            Failure::failed(format!(
                "cannot use {folder} ({error}): name another with --data"
            ))
        };
        fs::create_dir_all(folder.join("node-1/data")).map_err(cannot)?;
        let folder = folder.canonicalize().map_err(cannot)?;
        Ok(Self {
            settings: folder.join("node-1/dolmen.toml"),
            data: folder.join("node-1/data"),
            folder,
        })
    }

    fn admin_socket(&self) -> PathBuf {
        admin_socket(&self.folder)
    }

    fn cluster(&self) -> PathBuf {
        self.folder.join("cluster.json")
    }

    /// Written anew at each run, so that it says what was asked last.
    fn write_settings(&self, args: &Args) -> Result<(), Failure> {
        let mut lines = BTreeMap::new();
        let mut put = |key: &str, value: &str| lines.insert(key.to_owned(), as_toml(value));
        put("node.data", &self.data.display().to_string());
        put("admin.socket", &self.admin_socket().display().to_string());
        for (door, number) in DOORS {
            if let Some(base) = args.base_port {
                let address = format!("127.0.0.1:{}", base + PORTS_PER_NODE + number);
                put(&format!("doors.{door}.listen"), &address);
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
        write_whole(&self.settings, &text)
    }

    /// What runs, in the form that test tools read.
    fn write_cluster(&self, status: &Value) -> Result<(), Failure> {
        let cluster = json!({ "nodes": [{
            "id": 1,
            "pid": status["pid"],
            "config": self.settings,
            "data": self.data,
            "doors": status["doors"],
        }]});
        write_whole(&self.cluster(), &format!("{cluster}\n"))
    }
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

/// Starts the node, tells when it is ready, and stops it at Ctrl-C.
async fn watch(place: &Place) -> Result<(), Failure> {
    let machine = |error: io::Error| Failure::failed(format!("cannot watch a node: {error}"));
    let mut children = Children(signal(SignalKind::child()).map_err(machine)?);
    let mut stops = Stops::listen().map_err(machine)?;
    let (notices, name) = listen_for_notices().map_err(machine)?;
    let mut node = Command::new(std::env::current_exe().map_err(machine)?)
        .args(["serve", "--config"])
        .arg(&place.settings)
        .env("NOTIFY_SOCKET", format!("@{name}"))
        .process_group(0)
        .spawn()
        .map_err(machine)?;

    let ready = tokio::select! {
        ready = until_ready(&notices) => ready.map_err(machine),
        ended = children.end_of(&mut node) => {
            let ended = ended.map_err(machine)?;
            Err(Failure::failed(format!("the node did not start ({ended}): its own words are above")))
        }
        () = stops.next() => Ok(false),
    }?;
    if ready {
        announce(place)?;
        tokio::select! {
            ended = children.end_of(&mut node) => {
                let ended = ended.map_err(machine)?;
                if ended.success() {
                    return forget(place);
                }
                eprintln!(
                    "the node ended ({ended}); start it again with: dolmen serve --config {}; \
                     Ctrl-C ends dev",
                    place.settings.display()
                );
                stops.next().await;
            }
            () = stops.next() => {}
        }
    }
    stop(place, &mut node, &mut children, &mut stops).await.map_err(machine)?;
    forget(place)
}

/// A socket with a name of this process, and the name.
fn listen_for_notices() -> io::Result<(UnixDatagram, String)> {
    let name = format!("dolmen-dev-{}", std::process::id());
    let socket = StdDatagram::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
    socket.set_nonblocking(true)?;
    Ok((UnixDatagram::from_std(socket)?, name))
}

async fn until_ready(notices: &UnixDatagram) -> io::Result<bool> {
    let mut notice = [0; 4096];
    loop {
        let length = notices.recv(&mut notice).await?;
        if notice[..length].split(|byte| *byte == b'\n').any(|line| line == b"READY=1") {
            return Ok(true);
        }
    }
}

fn announce(place: &Place) -> Result<(), Failure> {
    let question = json!({ "ask": "status" });
    let status = ask(&place.admin_socket(), &question).map_err(Failure::failed)?;
    place.write_cluster(&status)?;
    let doors = status::doors(&status);
    let operator = status["doors"]["operator"].as_str();
    let to_try = match operator {
        Some(address) => format!("curl http://{address}/health"),
        None => format!("dolmen status --data {}", place.folder.display()),
    };
    let reason = match status["reason"].as_str() {
        Some(reason) => format!("the node does not serve: {reason}\n"),
        None => String::new(),
    };
    print(&format!("{doors}\n{reason}try: {to_try}\nCtrl-C stops the node\n"))
}

/// Asks whoever runs there to stop, which may be a node that was started
/// again by hand, and waits for our own. A second Ctrl-C kills it.
async fn stop(
    place: &Place,
    node: &mut Child,
    children: &mut Children,
    stops: &mut Stops,
) -> io::Result<()> {
    // A node that has ended, or has no socket yet, cannot be asked.
    let asked = ask(&place.admin_socket(), &json!({ "ask": "stop" }));
    if node.try_wait()?.is_none() && asked.is_err() {
        node.kill()?;
    }
    tokio::select! {
        ended = children.end_of(node) => ended.map(|_| ()),
        () = stops.next() => node.kill(),
    }
}

/// Nothing runs there any more.
fn forget(place: &Place) -> Result<(), Failure> {
    match fs::remove_file(place.cluster()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Failure::failed(error)),
        _ => Ok(()),
    }
}

/// A child of this process has ended.
struct Children(Signal);

impl Children {
    async fn end_of(&mut self, node: &mut Child) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = node.try_wait()? {
                return Ok(status);
            }
            self.0.recv().await;
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
