//! What a thread is to the scheduler. An append that takes 0.1 ms on a
//! real-time thread takes 3 to 600 ms on an ordinary one while queries use
//! every core, so the classes are part of the design.
//!
//! A thread takes its class before it makes a ring: the kernel starts a ring's
//! workers when they are first needed, at the class that the thread has then,
//! and they are meant to have it. A thread of our own inherits it too, so
//! whoever is started by a log thread takes a class of its own.
//!
//! What computes for long, such as recovery, comes before class Log is taken:
//! a real-time thread that does not block for a second ends the process.
//! `late` is the lane of a thread that has both to do.
#![allow(unsafe_code)]

use std::io;
use std::sync::{Once, OnceLock};
use std::time::Duration;

use libc::c_int;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A device's log; replica and control share it.
    Log,
    /// Connections of clients.
    Doors,
    /// What may take its time: copies, background syncs, scans of a log.
    Bulk,
    /// Queries, which take all they are given.
    Compute,
    /// What keeps the log's core awake, and gives way to everybody.
    Vigil,
}

/// How much of a class the machine granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Granted {
    Full,
    /// This nice value in place of a real-time priority.
    Nice(c_int),
    /// Nothing, with what to do about it.
    Ordinary {
        why: String,
    },
}

/// Above every ordinary thread, and below the kernel's own interrupt threads,
/// which run at 50 and must not wait for us.
const LOG_PRIORITY: c_int = 10;
/// The next best for a log: at -15 the median under load is as good as with a
/// real-time priority, and the 99th percentile a hundred times worse.
const LOG_NICE: c_int = -15;
/// A door that goes before its clients is back for every single request, and
/// hands it on alone: decision 11.
const DOORS_NICE: c_int = 0;
const COMPUTE_NICE: c_int = 10;

/// Processor time without a blocking call after which a real-time thread is
/// taken for a runaway and the process is ended (SIGXCPU). One batch costs
/// milliseconds, and a machine that stands still for a second has already lost
/// its leases.
const RUNAWAY_US: libc::rlim_t = 1_000_000;

/// Where the threads of class Log run. They hand work to each other many times
/// for one write: on one core such a hand-over is a switch of threads, across
/// cores it wakes a core that sleeps (5 us, on a virtual machine 50). And where
/// they are, they stop no door in the middle of its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Core {
    /// The last that the process may use, where it may use several.
    Last,
    Any,
}

/// The cores of the process, and of class Log among them.
struct Places {
    all: libc::cpu_set_t,
    log: libc::cpu_set_t,
}

static PLACES: OnceLock<Places> = OnceLock::new();

/// Says where class Log runs, for all threads that take a class from here on.
pub fn place(core: Core) {
    if core == Core::Last
        && let Some(places) = places()
    {
        let _ = PLACES.set(places);
    }
}

/// None where there is nothing to choose.
fn places() -> Option<Places> {
    // SAFETY: a set of bits, for which zeros are a value.
    let mut all: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    let mut log = all;
    let size = size_of::<libc::cpu_set_t>();
    // SAFETY: fills one set of the size told.
    if unsafe { libc::sched_getaffinity(0, size, &mut all) } != 0 {
        return None;
    }
    // SAFETY: looks at one bit within the set.
    let may_use = |core: &usize| unsafe { libc::CPU_ISSET(*core, &all) };
    let last = (0..libc::CPU_SETSIZE as usize).rfind(may_use)?;
    (0..last).any(|core| may_use(&core)).then(|| {
        // SAFETY: sets one bit within the set.
        unsafe { libc::CPU_SET(last, &mut log) };
        Places { all, log }
    })
}

/// Has the calling thread, which is none of class Log, run on the log's core
/// with it, or on any.
pub fn sit(beside_log: bool) {
    take_place(if beside_log { Class::Log } else { Class::Doors });
}

/// How long the calling thread has been ready to run and was not let, in all.
/// None where this kernel does not tell.
#[allow(clippy::disallowed_methods)] // the kernel's word, not a file of ours
pub fn waited() -> Option<Duration> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let waited_ns = told.split_whitespace().nth(1)?.parse().ok()?;
    Some(Duration::from_nanos(waited_ns))
}

/// A thread inherits the place of its maker, so every class takes its own. It
/// is a matter of speed: where it is refused, the thread runs anywhere.
fn take_place(class: Class) {
    if let Some(places) = PLACES.get() {
        let set = match class {
            Class::Log | Class::Vigil => &places.log,
            Class::Doors | Class::Bulk | Class::Compute => &places.all,
        };
        // SAFETY: reads one set of the size told; 0 is the calling thread.
        let taken = unsafe { libc::sched_setaffinity(0, size_of_val(set), set) };
        if let Err(refused) = answer(taken) {
            tracing::info!(?class, %refused, "the core of a thread cannot be chosen");
        }
    }
}

/// Gives the calling thread a class, as far as the machine grants it.
pub fn take(class: Class) -> Granted {
    take_place(class);
    match class {
        Class::Log => take_real_time(),
        Class::Doors => take_ordinary(libc::SCHED_OTHER, DOORS_NICE),
        Class::Bulk => take_ordinary(libc::SCHED_OTHER, 0),
        Class::Compute => take_ordinary(libc::SCHED_BATCH, COMPUTE_NICE),
        Class::Vigil => take_ordinary(libc::SCHED_IDLE, 0),
    }
}

/// Whether class Log has a core of its own.
pub fn has_place() -> bool {
    PLACES.get().is_some()
}

fn take_real_time() -> Granted {
    static GUARD: Once = Once::new();
    GUARD.call_once(guard_against_runaways);
    let Err(refused) = set_policy(libc::SCHED_FIFO, LOG_PRIORITY) else {
        return Granted::Full;
    };
    match set_nice(LOG_NICE) {
        Ok(()) => Granted::Nice(LOG_NICE),
        Err(_) => Granted::Ordinary {
            why: format!(
                "real-time priority {LOG_PRIORITY} and nice {LOG_NICE} are refused ({refused}): \
                 set LimitRTPRIO={LOG_PRIORITY} in the unit, or give the user CAP_SYS_NICE"
            ),
        },
    }
}

fn take_ordinary(policy: c_int, nice: c_int) -> Granted {
    match set_policy(policy, 0).and_then(|()| set_nice(nice)) {
        Ok(()) => Granted::Full,
        Err(refused) => Granted::Ordinary {
            why: format!(
                "nice {nice} is refused ({refused}): set LimitNICE={nice:+} in the unit, \
                 or give the user CAP_SYS_NICE"
            ),
        },
    }
}

fn set_policy(policy: c_int, priority: c_int) -> io::Result<()> {
    let parameters = libc::sched_param {
        sched_priority: priority,
    };
    // SAFETY: reads one sched_param; 0 is the calling thread.
    answer(unsafe { libc::sched_setscheduler(0, policy, &parameters) })
}

fn set_nice(nice: c_int) -> io::Result<()> {
    // SAFETY: takes three numbers; on Linux "process" 0 is the calling thread.
    answer(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) })
}

/// Leaves a tighter limit as it is, and the hard limit too: that one ends the
/// process without a word.
fn guard_against_runaways() {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: both calls get one rlimit, alive for the call.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_RTTIME, &mut limit) == 0 && limit.rlim_cur > RUNAWAY_US {
            limit.rlim_cur = RUNAWAY_US;
            libc::setrlimit(libc::RLIMIT_RTTIME, &limit);
        }
    }
}

fn answer(code: c_int) -> io::Result<()> {
    if code < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On a thread of its own, for a class cannot be given back.
    fn on_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| scope.spawn(work).join().unwrap())
    }

    fn policy_and_nice() -> (c_int, c_int) {
        // SAFETY: both take numbers only.
        unsafe {
            let policy = libc::sched_getscheduler(0);
            (policy, libc::getpriority(libc::PRIO_PROCESS, 0))
        }
    }

    #[test]
    fn a_thread_started_by_a_log_thread_can_step_down() {
        let granted = on_a_thread(|| {
            let log = take(Class::Log);
            let worker = on_a_thread(|| {
                take(Class::Bulk);
                policy_and_nice()
            });
            (log, policy_and_nice(), worker)
        });
        assert_eq!(granted.2, (libc::SCHED_OTHER, 0));
        assert!(runaway_limit() <= RUNAWAY_US);
        if granted.0 == Granted::Full {
            assert_eq!(granted.1.0, libc::SCHED_FIFO);
        }
    }

    #[test]
    fn compute_is_granted_to_anybody() {
        let granted = on_a_thread(|| {
            forget_capabilities();
            (take(Class::Compute), policy_and_nice())
        });
        assert_eq!(granted, (Granted::Full, (libc::SCHED_BATCH, 10)));
    }

    #[test]
    fn a_refusal_says_what_to_set() {
        let granted = on_a_thread(|| {
            forget_capabilities();
            // A nice process, to which the doors' 0 is more than it may have.
            set_nice(5).unwrap();
            (take(Class::Log), take(Class::Doors))
        });
        // A machine with LimitRTPRIO or LimitNICE grants them all the same.
        if let Granted::Ordinary { why } = granted.0 {
            assert!(why.contains("LimitRTPRIO=10"), "{why}");
        }
        if let Granted::Ordinary { why } = granted.1 {
            assert!(why.contains("LimitNICE=+0"), "{why}");
        }
    }

    fn runaway_limit() -> libc::rlim_t {
        let mut limit = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        // SAFETY: one rlimit, alive for the call.
        unsafe { libc::getrlimit(libc::RLIMIT_RTTIME, &mut limit) };
        limit.rlim_cur
    }

    /// Capabilities belong to a thread, so the other tests keep theirs.
    fn forget_capabilities() {
        let header = [0x2008_0522_u32, 0];
        let none = [0_u32; 6];
        // SAFETY: a version 3 header and its two data records, all zero.
        unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) };
    }
}
