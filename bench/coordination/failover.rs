//! From the loss of the leader to the first write that the others accept.
//!
//! Clients of the surviving nodes keep trying, on new connections too, and
//! overlap, so that the figure is the servers' and not a client's patience.

use super::failure::{Failure, go_on};
use super::line::Line;
use super::median::median;
use super::process::{eventually, signal, wait_until_stopped};
use super::table::{KEYS_FOLDER, prepare};
use super::talk::{Heard, Verb, Way};
use super::targets::{Cluster, START_WITHIN, Site, Target};
use serde::Serialize;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};

/// Clients of each surviving node, that begin one after the other within
/// `OPEN_WITHIN`: together they look every 50 ms at the latest.
const CLIENTS_PER_NODE: u32 = 4;
const OPEN_WITHIN: Duration = Duration::from_millis(200);
/// Writes of one connection.
const WRITE_EVERY: Duration = Duration::from_millis(10);
/// A connection on which nothing is answered for so long is left for another.
const LEAVE_AFTER: Duration = Duration::from_secs(1);
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(5);
/// From the signal to the last thread.
const STOP_WITHIN: Duration = Duration::from_secs(5);
/// Longer than any setting that is measured could take.
const ACCEPT_WITHIN: Duration = Duration::from_secs(90);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Loss {
    Killed,
    /// As a machine that hangs: its connections stay open.
    Stopped,
}

#[derive(Serialize)]
pub struct Failover {
    pub target: String,
    pub settings: String,
    pub loss: Loss,
    pub ms: Vec<f64>,
}

pub fn measure(
    target: Target,
    times: usize,
    folder: &Path,
    site: &Site,
    settings: &str,
) -> Result<Vec<Failover>, Failure> {
    let mut cluster = Cluster::start(target, folder, site)?;
    prepare(&cluster)?;
    let mut found = Vec::new();
    for loss in [Loss::Killed, Loss::Stopped] {
        let mut ms = Vec::new();
        for _ in 0..times {
            ms.push(once(&mut cluster, loss)?.as_secs_f64() * 1e3);
        }
        found.push(Failover {
            target: target.name(),
            settings: settings.to_owned(),
            loss,
            ms,
        });
    }
    Ok(found)
}

fn once(cluster: &mut Cluster, loss: Loss) -> Result<Duration, Failure> {
    cluster.await_answers(Instant::now(), Verb::SyncGet, KEYS_FOLDER)?;
    let leader = eventually(START_WITHIN, || cluster.leader())?;
    let mut ways = cluster.ways(KEYS_FOLDER);
    ways.remove(leader);
    let pid = cluster.nodes[leader].pid().expect("a leader that runs");
    let lost_at = Instant::now();
    match loss {
        Loss::Killed => cluster.kill(leader)?,
        Loss::Stopped => {
            signal(pid, "STOP")?;
            wait_until_stopped(pid, STOP_WITHIN)?;
        }
    }
    let accepted = first_accepted(&ways);
    match loss {
        Loss::Killed => cluster.restart(leader)?,
        Loss::Stopped => signal(pid, "CONT")?,
    }
    Ok(accepted? - lost_at)
}

fn first_accepted(ways: &[Way]) -> Result<Instant, Failure> {
    let is_over = AtomicBool::new(false);
    let (found, accepted) = mpsc::channel();
    std::thread::scope(|scope| {
        for way in ways {
            for turn in 0..CLIENTS_PER_NODE {
                let (found, is_over) = (found.clone(), &is_over);
                scope.spawn(move || {
                    std::thread::sleep(OPEN_WITHIN / CLIENTS_PER_NODE * turn);
                    try_on(way, is_over, &found);
                });
            }
        }
        let until = Instant::now() + ACCEPT_WITHIN;
        let first = loop {
            match accepted.recv_timeout(Duration::from_millis(100)) {
                Ok(at) => break Ok(at),
                Err(_) if Instant::now() > until => {
                    let why = format!("no write was accepted within {ACCEPT_WITHIN:?}");
                    break Err(Failure::Lost(why));
                }
                Err(_) => {
                    if let Err(interrupted) = go_on() {
                        break Err(interrupted);
                    }
                }
            }
        };
        is_over.store(true, Relaxed);
        first
    })
}

fn try_on(way: &Way, is_over: &AtomicBool, found: &Sender<Instant>) {
    while !is_over.load(Relaxed) {
        match try_once(way, is_over) {
            // The first of all counts; nobody listens to the others.
            Ok(Some(at)) => {
                let _ = found.send(at);
                return;
            }
            Ok(None) => {}
            // Refused, closed, an error of the protocol: that is the failover.
            Err(_) => std::thread::sleep(TRY_AGAIN_AFTER),
        }
    }
}

fn try_once(way: &Way, is_over: &AtomicBool) -> Result<Option<Instant>, Failure> {
    let mut line = Line::open(way, OPEN_WITHIN)?;
    let leave_at = Instant::now() + LEAVE_AFTER;
    while Instant::now() < leave_at && !is_over.load(Relaxed) {
        line.ask(Verb::Set, 0)?;
        if let Some(Heard::Answer { .. }) = line.hear(WRITE_EVERY)? {
            let at = Instant::now();
            line.part();
            return Ok(Some(at));
        }
    }
    Ok(None)
}

impl Failover {
    pub fn print(&self) {
        let worst = self.ms.iter().copied().fold(0.0, f64::max);
        let who = format!("{}, {}", self.target, self.settings);
        println!(
            "  {who:<52} {:<8} median {:>7.0} ms, worst {worst:>7.0} ms, of {}",
            format!("{:?}", self.loss).to_lowercase(),
            median(self.ms.clone()),
            self.ms.len()
        );
    }
}
