//! Servers as processes: started, signalled, counted, and ended by the ids
//! that were started, whatever happens to the bench.

use super::failure::{Failure, go_on};
use serde::Serialize;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How often something outside is asked whether it has come about.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// What a server is given to leave by itself.
const LEAVE_WITHIN: Duration = Duration::from_secs(15);

/// Asks until there is an answer. The reason of the last refusal is told when
/// none comes in time.
pub fn eventually<T>(
    within: Duration,
    mut ask: impl FnMut() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let until = Instant::now() + within;
    loop {
        go_on()?;
        match ask() {
            Err(Failure::Lost(_) | Failure::Answered(_)) if Instant::now() < until => {
                std::thread::sleep(LOOK_EVERY);
            }
            answer => return answer,
        }
    }
}

/// A child. Asked to leave when it goes, so that it takes its own children
/// with it.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// In a group of its own, so that Ctrl-C reaches the bench alone, and
    /// killed by the kernel if the bench is killed itself.
    pub fn start(argv: &[String], folder: &Path, log: &Path) -> Result<Self, Failure> {
        let cannot = |error: io::Error| {
            let program = &argv[0];
            Failure::NotRunning(format!("cannot start {program}: {error}"))
        };
        let output = File::options().append(true).create(true).open(log);
        let output = output.map_err(cannot)?;
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "--"])
            .args(argv)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(output.try_clone().map_err(cannot)?)
            .stderr(output)
            .process_group(0)
            .spawn()
            .map_err(cannot)?;
        let log = log.to_path_buf();
        Ok(Self { child, log })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// An ended server has said why, mostly.
    pub fn check(&mut self) -> Result<(), Failure> {
        let Some(status) = self.child.try_wait()? else {
            return Ok(());
        };
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let last: Vec<&str> = text.lines().rev().take(3).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        let last = last.join(" | ");
        Err(Failure::NotRunning(format!("it ended, {status}: {last}")))
    }

    pub fn kill(&mut self) {
        // One that has ended already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asked to leave, and killed only if it does not.
    pub fn end(&mut self) {
        let mut until = None;
        // The id of a child that has been waited for may be another's by now.
        while matches!(self.child.try_wait(), Ok(None)) {
            let now = Instant::now();
            let until = *until.get_or_insert_with(|| {
                // Unheard, it is killed.
                let _ = signal(self.child.id(), "TERM");
                now + LEAVE_WITHIN
            });
            if now >= until {
                return self.kill();
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// By the program, as only `unsafe` could do it from here.
pub fn signal(pid: u32, name: &str) -> Result<(), Failure> {
    let status = Command::new("kill")
        .args([&format!("-{name}"), "--", &pid.to_string()])
        .stderr(Stdio::null())
        .status()?;
    match status.success() {
        true => Ok(()),
        false => Err(Failure::NotRunning(format!("no process {pid} to {name}"))),
    }
}

/// Until no thread of it runs any more: a signal is only asked for when the
/// one who sends it goes on.
pub fn wait_until_stopped(pid: u32, within: Duration) -> Result<(), Failure> {
    eventually(within, || {
        let gone = |error: io::Error| Failure::NotRunning(format!("process {pid}: {error}"));
        for task in fs::read_dir(format!("/proc/{pid}/task")).map_err(gone)? {
            let file = task.map_err(gone)?.path().join("stat");
            // A thread that has ended since does not run either.
            let Ok(text) = fs::read_to_string(file) else {
                continue;
            };
            let stat = parse_stat(pid, &text)?;
            if stat.state != "T" {
                return Err(Failure::Lost(format!("process {pid} is not stopped")));
            }
        }
        Ok(())
    })
}

/// Whether it is there and has not ended. A zombie has once it is alone: its
/// other threads hold its files and its locks until they are gone as well.
pub fn is_alive(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    stat(pid).is_ok_and(|stat| (stat.state != "Z" && stat.state != "X") || threads > 1)
}

pub fn wait_until_gone(pid: u32, within: Duration) -> Result<(), Failure> {
    eventually(within, || match is_alive(pid) {
        true => Err(Failure::Lost(format!("process {pid} is still there"))),
        false => Ok(()),
    })
}

struct Stat {
    state: String,
    ticks: u64,
}

fn stat(pid: u32) -> Result<Stat, Failure> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))
        .map_err(|error| Failure::NotRunning(format!("process {pid}: {error}")))?;
    parse_stat(pid, &text)
}

fn parse_stat(pid: u32, text: &str) -> Result<Stat, Failure> {
    // The name may hold anything, parentheses too.
    let after_name = text.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let fields: Vec<&str> = after_name.split(' ').collect();
    // proc(5): state is field 3, utime 14, stime 15.
    let number = |field: usize| {
        fields
            .get(field - 3)
            .and_then(|text| text.parse::<u64>().ok())
    };
    match (fields.first(), number(14), number(15)) {
        (Some(state), Some(user), Some(system)) => Ok(Stat {
            state: state.to_string(),
            ticks: user + system,
        }),
        _ => Err(Failure::NotRunning(format!("process {pid}: no stat"))),
    }
}

/// Ticks of /proc are 10 ms on all machines that Dolmen runs on.
const TICK_SECONDS: f64 = 0.01;

/// Processor seconds so far, of the load generator and of servers.
#[derive(Clone, Copy)]
pub struct Cpu {
    pub client: f64,
    pub servers: f64,
}

impl Cpu {
    pub fn of(servers: &[u32]) -> Result<Self, Failure> {
        let seconds = |pid: &u32| Ok::<f64, Failure>(stat(*pid)?.ticks as f64 * TICK_SECONDS);
        Ok(Self {
            client: this_thread()?,
            servers: servers.iter().map(seconds).sum::<Result<f64, _>>()?,
        })
    }

    pub fn since(self, before: Self) -> Self {
        Self {
            client: self.client - before.client,
            servers: self.servers - before.servers,
        }
    }
}

/// The generator has one thread, and for one thread the kernel tells
/// nanoseconds: ticks would be too coarse for what it does in a short cell.
fn this_thread() -> Result<f64, Failure> {
    let file = "/proc/thread-self/schedstat";
    let text = fs::read_to_string(file)?;
    let first = text
        .split(' ')
        .next()
        .and_then(|text| text.parse::<u64>().ok());
    first
        .map(|ns| ns as f64 / 1e9)
        .ok_or_else(|| Failure::NotRunning(format!("{file} is empty")))
}

/// RssAnon + RssShmem is what a process needs; VmRSS counts mapped files too,
/// which the kernel can drop.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Memory {
    pub own_kib: u64,
    pub resident_kib: u64,
}

impl Memory {
    pub fn of(pid: u32) -> Result<Self, Failure> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))
            .map_err(|error| Failure::NotRunning(format!("process {pid}: {error}")))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|rest| rest.split_whitespace().next());
            number
                .and_then(|text| text.parse::<u64>().ok())
                .ok_or_else(|| Failure::NotRunning(format!("process {pid} has ended: no {name}")))
        };
        Ok(Self {
            own_kib: field("RssAnon:")? + field("RssShmem:")?,
            resident_kib: field("VmRSS:")?,
        })
    }
}
