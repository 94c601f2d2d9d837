//! The real binary on loopback: its doors, its life, its last words.
//!
//! `DOLMEN_BIN` names another binary to try, the packaged one for instance.

mod admin;
mod backup;
mod bad_data;
mod cli;
mod cluster;
mod demo;
mod dev;
mod doors;
mod kills;
mod life;
mod log;
mod named;
mod reduced;
mod refusals;
mod support_bundle;
mod systemd;
mod threads;
mod topic;
mod tune;

use dolmen::daemon::ask::ask;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

/// Much longer than anything takes; a machine may be busy.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);

/// A log that is made in no time: nothing is measured, and little is zeroed.
const SMALL: &str = "log.engine = \"threads\"\nlog.journal_file_mib = 8\nlog.reserve_mib = 1\n";

/// Polls a condition until it holds, and gives up loudly.
fn until<T>(what: &str, mut holds: impl FnMut() -> Option<T>) -> T {
    let mut waited = Duration::ZERO;
    loop {
        if let Some(value) = holds() {
            return value;
        }
        assert!(waited < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(POLL);
        waited += POLL;
    }
}

fn binary() -> PathBuf {
    match std::env::var_os("DOLMEN_BIN") {
        Some(named) => named.into(),
        None => env!("CARGO_BIN_EXE_dolmen").into(),
    }
}

/// A command of ours that hears nothing of who started the test.
fn dolmen() -> Command {
    clean(Command::new(binary()))
}

fn clean(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        let is_ours = name.starts_with("DOLMEN_") || name.starts_with("WATCHDOG_");
        if is_ours || name == "NOTIFY_SOCKET" || name == "JOURNAL_STREAM" {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    status.lines().any(|line| line.starts_with("Uid:\t0\t0"))
}

/// Signals one process that this test started.
fn send(signal: &str, pid: u32) {
    let kill = format!("kill -{signal} {pid}");
    let status = Command::new("sh").args(["-c", &kill]).status().unwrap();
    assert!(status.success(), "{kill}");
}

/// A folder of one test, removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Relaxed);
        let name = format!("dolmen-{}-{count}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(folder.join("data")).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// Writes the node's settings: everything in this folder, the operator
    /// door on `listen`, and some lines more.
    fn write_settings(&self, listen: &str, more: &str) -> PathBuf {
        let file = self.path("dolmen.toml");
        // Any port that is free, where nothing is said of it.
        let kafka = match more.contains("doors.kafka.listen") {
            true => "",
            false => "doors.kafka.listen = \"127.0.0.1:0\"\n",
        };
        let text = format!(
            "admin.socket = \"{}\"\ndoors.operator.listen = \"{listen}\"\ndoors.zookeeper.listen = \"127.0.0.1:0\"\n{kafka}node.data = \"{}\"\n{more}\n",
            self.path("admin.sock").display(),
            self.data().display(),
        );
        fs::write(&file, text).unwrap();
        file
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A running daemon. Killed where the test ends before it.
struct Node {
    child: Child,
    admin: PathBuf,
    words: PathBuf,
}

impl Node {
    /// Starts a node in the folder and waits until it says what it is.
    fn start(folder: &Folder) -> Self {
        Self::start_with(folder, SMALL)
    }

    fn start_with(folder: &Folder, more: &str) -> Self {
        let settings = folder.write_settings("127.0.0.1:0", more);
        let node = Self::spawn(folder, dolmen().args(["serve", "--config"]).arg(settings));
        node.await_start();
        node
    }

    fn spawn(folder: &Folder, command: &mut Command) -> Self {
        let words = folder.path("words");
        let child = command.stderr(File::create(&words).unwrap()).spawn();
        Self {
            child: child.unwrap(),
            admin: folder.path("admin.sock"),
            words,
        }
    }

    fn await_start(&self) {
        let what = "the node has started";
        until(what, || match self.ask("status") {
            Ok(status) if status["state"] != "starting" => Some(()),
            Ok(_) | Err(_) => None,
        });
    }

    fn ask(&self, what: &str) -> Result<Value, String> {
        ask(&self.admin, &json!({ "ask": what })).map_err(|error| error.to_string())
    }

    /// The last records of the chronicle, oldest first.
    fn chronicle(&self) -> Vec<Value> {
        let asked = json!({ "ask": "chronicle", "last": 1000 });
        let records = ask(&self.admin, &asked).unwrap();
        records.as_array().unwrap().clone()
    }

    /// Stops it and waits for a clean end.
    fn stop(mut self) {
        send("TERM", self.pid());
        assert_eq!(self.ended().code(), Some(0), "{}", self.words());
    }

    /// Kills it and forgets that this counts as a quick failure.
    fn kill(mut self, folder: &Folder) {
        self.child.kill().unwrap();
        self.ended();
        let _ = fs::remove_file(folder.path("data/dolmen.starts"));
    }

    fn operator(&self) -> SocketAddr {
        let status = self.ask("status").unwrap();
        status["doors"]["operator"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has said on stderr so far.
    fn words(&self) -> String {
        fs::read_to_string(&self.words).unwrap()
    }

    fn until_it_says(&self, text: &str) {
        until(&format!("it says {text}"), || {
            self.words().contains(text).then_some(())
        });
    }

    fn ended(&mut self) -> ExitStatus {
        until("the node has ended", || self.child.try_wait().unwrap())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command to its end: status, stdout, stderr.
fn run(command: &mut Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code().expect("no signal ended it");
    (code, text(output.stdout), text(output.stderr))
}

/// Starts `serve` with a settings file that must be refused: one line, status
/// 1. Answers the line.
fn refusal(settings: &Path) -> String {
    refused(dolmen().args(["serve", "--config"]).arg(settings))
}

fn refused(command: &mut Command) -> String {
    let (code, _, words) = run(command);
    assert_eq!(code, 1, "{words}");
    let last = words.lines().last().unwrap_or_default();
    assert!(last.starts_with("dolmen: "), "{words}");
    let spoken: Vec<_> = words
        .lines()
        .filter(|line| !line.starts_with("<5>"))
        .collect();
    assert_eq!(spoken.len(), 1, "one line is enough: {words}");
    last.into()
}

struct Reply {
    status: u16,
    head: String,
    body: String,
}

/// One exchange; the request's head is ended here.
fn http(address: SocketAddr, request: &str) -> Reply {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("{request}\r\nhost: node\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    reply(&mut stream)
}

fn reply(stream: &mut TcpStream) -> Reply {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    Reply {
        status: status.unwrap_or_else(|| panic!("not HTTP: {text:?}")),
        head: head.to_ascii_lowercase(),
        body: body.into(),
    }
}

fn get(address: SocketAddr, path: &str) -> Reply {
    http(address, &format!("GET {path} HTTP/1.1"))
}
