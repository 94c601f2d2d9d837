//! The priorities of the threads: those of a running daemon as they are, else
//! those that this user is granted on trial.

use super::{Finding, Site};
use crate::disk::class::{Class, Granted, take};
use std::fs;
use std::thread;

/// The thread's name in the kernel, as `log` gives it.
const LOG_THREAD: &str = "log";
/// sched(7).
const SCHED_FIFO: i64 = 1;

pub(super) fn check(site: &Site) -> Vec<Finding> {
    match site.holder_pid().and_then(|pid| log_thread(site, pid)) {
        Some(thread) => vec![of_daemon(&thread)],
        None => vec![on_trial()],
    }
}

/// The fields of a thread's stat, from the state on (proc(5) counts it as 3).
struct Stat(Vec<i64>);

impl Stat {
    fn field(&self, number: usize) -> i64 {
        self.0.get(number - 4).copied().unwrap_or(0)
    }
}

fn log_thread(site: &Site, pid: u32) -> Option<Stat> {
    let tasks = site.roots.proc.join(pid.to_string()).join("task");
    let task = fs::read_dir(tasks).ok()?.flatten().find(|task| {
        let name = fs::read_to_string(task.path().join("comm"));
        name.is_ok_and(|name| name.trim_end() == LOG_THREAD)
    })?;
    let stat = fs::read_to_string(task.path().join("stat")).ok()?;
    // The name may hold blanks; it ends with the last bracket.
    let (_, fields) = stat.rsplit_once(") ")?;
    let numbers = fields.split_whitespace().skip(1);
    Some(Stat(
        numbers.map(|number| number.parse().unwrap_or(0)).collect(),
    ))
}

fn of_daemon(stat: &Stat) -> Finding {
    let (nice, priority, policy) = (stat.field(19), stat.field(40), stat.field(41));
    match policy {
        SCHED_FIFO => Finding::ok(format!(
            "the running daemon's log thread has real-time priority {priority}"
        )),
        _ => Finding::warning(
            format!("the running daemon's log thread has no real-time priority (nice {nice})"),
            "set LimitRTPRIO=10 and RestrictRealtime=no in the unit and restart it",
        ),
    }
}

fn on_trial() -> Finding {
    // A class cannot be given back, so each is tried on a thread of its own.
    let granted = |class| thread::spawn(move || take(class)).join().ok();
    let doors = match granted(Class::Doors) {
        Some(Granted::Ordinary { why }) => format!("; to the doors' threads {why}"),
        _ => String::new(),
    };
    match granted(Class::Log) {
        Some(Granted::Full) => Finding::ok(format!(
            "the log's thread is granted a real-time priority, tried as this user{doors}"
        )),
        Some(Granted::Nice(nice)) => Finding::warning(
            format!(
                "the log's thread is granted nice {nice} and no real-time priority, tried as \
                 this user{doors}"
            ),
            "set LimitRTPRIO=10 in the unit: the p99 of an append beside queries is a hundred \
             times better",
        ),
        Some(Granted::Ordinary { why }) => Finding::warning(
            format!("the log's thread is granted nothing, tried as this user{doors}"),
            why,
        ),
        None => Finding::note("could not be tried"),
    }
}
