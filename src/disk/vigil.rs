//! Keeps the log's core from falling asleep while it waits for the disk.
//!
//! A durable write is two requests to the disk, and while they are under way
//! the core has nothing to do. One that has fallen asleep is late for the answer
//! to each, by 5 to 100 us on a machine and by 40 on a virtual one: as much as
//! the disk itself takes. A thread of the idle class, which gives way to whatever
//! else wants the core, looks at the clock meanwhile. It sleeps where no write
//! is under way, and where writes take so long that it would not matter.
#![allow(clippy::disallowed_methods)] // it does nothing but look at the clock

use std::hint::spin_loop;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread::{self, Builder, Thread};
use std::time::{Duration, Instant};

use super::class::{self, Class, Granted};

struct Vigil {
    began: Instant,
    longest: Duration,
    /// Until when the core is kept awake, in nanoseconds since it began.
    until: AtomicU64,
    is_asleep: AtomicBool,
    thread: OnceLock<Thread>,
}

static VIGIL: OnceLock<Vigil> = OnceLock::new();

/// From here on durable writes keep the log's core awake, for `longest` each at
/// the most; not at all where that is zero, or where the log has no core of its
/// own.
pub fn start(longest: Duration) {
    if longest.is_zero() || !class::has_place() || VIGIL.get().is_some() {
        return;
    }
    let vigil = VIGIL.get_or_init(|| Vigil::new(longest));
    let watch = || {
        if let Granted::Ordinary { why } = class::take(Class::Vigil) {
            // It must not take the core from anybody.
            return tracing::info!("the log's core is not kept awake: {why}");
        }
        vigil.watch();
    };
    match Builder::new().name("vigil".into()).spawn(watch) {
        Ok(thread) => drop(vigil.thread.set(thread.thread().clone())),
        Err(error) => tracing::info!("the log's core is not kept awake: {error}"),
    }
}

/// A durable write begins, which is likely to take so long.
pub(super) fn keep_for(likely: Duration) {
    if let Some(vigil) = VIGIL.get()
        && likely <= vigil.longest
    {
        vigil.keep();
    }
}

impl Vigil {
    fn new(longest: Duration) -> Self {
        Self {
            began: Instant::now(),
            longest,
            until: AtomicU64::new(0),
            is_asleep: AtomicBool::new(false),
            thread: OnceLock::new(),
        }
    }

    fn now(&self) -> u64 {
        self.began.elapsed().as_nanos() as u64
    }

    /// Costs a look at the clock where the core is kept awake already, which
    /// it is while one write follows the other.
    fn keep(&self) {
        let until = self.now() + self.longest.as_nanos() as u64;
        self.until.store(until, SeqCst);
        if self.is_asleep.load(SeqCst)
            && self.is_asleep.swap(false, SeqCst)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }

    fn watch(&self) {
        loop {
            self.look_on();
            self.is_asleep.store(true, SeqCst);
            // Either this sees the new time, or who set it sees the sleeper.
            if self.until.load(SeqCst) <= self.now() {
                thread::park();
            }
            self.is_asleep.store(false, SeqCst);
        }
    }

    fn look_on(&self) {
        while self.now() < self.until.load(Relaxed) {
            (0..32).for_each(|_| spin_loop());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A wake that got lost would leave the watcher asleep, and this waiting
    /// for ever.
    #[test]
    fn it_wakes_for_every_write_and_sleeps_in_between() {
        let vigil = Vigil::new(Duration::from_micros(50));
        let vigil: &'static Vigil = Box::leak(Box::new(vigil));
        let watcher = thread::spawn(|| vigil.watch());
        vigil.thread.set(watcher.thread().clone()).unwrap();
        for _ in 0..2000 {
            while !vigil.is_asleep.load(SeqCst) {
                thread::yield_now();
            }
            vigil.keep();
        }
    }
}
