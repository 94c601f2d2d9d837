//! A worker of a lane: one thread that does one task after another. One of
//! class Bulk takes what may take its time, one of class Log what an append
//! waits for, and another of class Log the durable writes of a slow disk.
//!
//! It sets its own class. SCHED_RESET_ON_FORK on the log thread would do it
//! too, but would also take the class from the kernel's workers of a ring,
//! which are to have it.
#![allow(unsafe_code)]

use std::ptr;
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::sync::{Arc, mpsc};
use std::thread::{Builder, JoinHandle};
use std::{io, panic};

use super::class::{self, Class};
use super::wake::Bell;
use super::{Block, Done, Task, Token};

/// What a worker does, and the memory that it gives back.
pub(super) type Work = Box<dyn FnOnce() -> (io::Result<()>, Option<Block>) + Send>;

struct Worker {
    /// None once the lane is going.
    tasks: Option<mpsc::Sender<(Token, Work)>>,
    finished: Arc<Finished>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    fn start(bell: Arc<Bell>, class: Class) -> io::Result<Self> {
        let (tasks, queue) = mpsc::channel();
        let finished = Arc::new(Finished::default());
        let thread = Builder::new().name("disk-worker".into()).spawn({
            let finished = finished.clone();
            move || {
                class::take(class);
                work(&queue, &finished, &bell);
            }
        })?;
        Ok(Self {
            tasks: Some(tasks),
            finished,
            thread: Some(thread),
        })
    }

    fn give(&self, token: Token, work: Work) {
        let tasks = self
            .tasks
            .as_ref()
            .expect("present until the lane is dropped");
        tasks
            .send((token, work))
            .expect("the worker lives as long as the lane");
    }

    fn has_finished(&self) -> bool {
        !self.finished.newest.load(Relaxed).is_null()
    }

    fn reap(&self, done: &mut Vec<Done>) {
        if self.has_finished() {
            self.finished.take_into(done);
        }
    }
}

/// The workers of one lane.
pub(super) struct Workers {
    bell: Arc<Bell>,
    background: Worker,
    /// Of the lane's own class, as the next; each is started when it is first
    /// needed.
    beside: Option<Worker>,
    /// Durable writes wait for nothing but each other.
    durable: Option<Worker>,
}

impl Workers {
    pub(super) fn start(bell: Arc<Bell>) -> io::Result<Self> {
        Ok(Self {
            background: Worker::start(bell.clone(), Class::Bulk)?,
            beside: None,
            durable: None,
            bell,
        })
    }

    pub(super) fn background(&self, token: Token, task: Task) {
        self.background.give(token, work_of(task));
    }

    pub(super) fn beside(&mut self, token: Token, task: Task) {
        start_where_needed(&mut self.beside, &self.bell);
        let worker = self.beside.as_ref().unwrap_or(&self.background);
        worker.give(token, work_of(task));
    }

    pub(super) fn durable(&mut self, token: Token, work: Work) {
        start_where_needed(&mut self.durable, &self.bell);
        let worker = self.durable.as_ref().unwrap_or(&self.background);
        worker.give(token, work);
    }

    fn all(&self) -> impl Iterator<Item = &Worker> {
        std::iter::once(&self.background)
            .chain(&self.beside)
            .chain(&self.durable)
    }

    pub(super) fn has_finished(&self) -> bool {
        self.all().any(Worker::has_finished)
    }

    pub(super) fn reap(&self, done: &mut Vec<Done>) {
        self.all().for_each(|worker| worker.reap(done));
    }
}

/// Where no further thread is to be had, the one at hand does it all.
fn start_where_needed(worker: &mut Option<Worker>, bell: &Arc<Bell>) {
    if worker.is_none() {
        *worker = Worker::start(bell.clone(), Class::Log).ok();
    }
}

fn work_of(task: Task) -> Work {
    Box::new(|| (task(), None))
}

fn work(queue: &mpsc::Receiver<(Token, Work)>, finished: &Finished, bell: &Bell) {
    for (token, work) in queue {
        // A panic must reach the lane: a task that never finishes would stall
        // whoever waits for it.
        let (result, block) = panic::catch_unwind(panic::AssertUnwindSafe(work))
            .unwrap_or_else(|_| (Err(io::Error::other("a background task panicked")), None));
        finished.push(Done {
            token,
            result,
            block,
        });
        bell.ring();
    }
}

/// Finishes what was handed over; its answers are lost with the lane.
impl Drop for Worker {
    fn drop(&mut self) {
        self.tasks = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the worker has finished and the lane has not yet taken, newest first.
///
/// A stack without a lock: a worker put off the processor with a lock held
/// would keep the log thread waiting for as long as queries keep the machine
/// busy.
#[derive(Default)]
struct Finished {
    newest: AtomicPtr<Entry>,
}

struct Entry {
    done: Done,
    older: *mut Entry,
}

impl Finished {
    fn push(&self, done: Done) {
        let older = self.newest.load(Relaxed);
        let entry = Box::into_raw(Box::new(Entry { done, older }));
        let mut seen = older;
        while let Err(newest) = self
            .newest
            .compare_exchange_weak(seen, entry, AcqRel, Relaxed)
        {
            seen = newest;
            // SAFETY: the entry is ours until the exchange succeeds.
            unsafe { (*entry).older = newest };
        }
    }

    /// Takes all at once, so no entry is ever freed under a reader.
    fn take_into(&self, done: &mut Vec<Done>) {
        let start = done.len();
        let mut next = self.newest.swap(ptr::null_mut(), Acquire);
        while !next.is_null() {
            // SAFETY: made by Box in `push`; the swap made it ours alone.
            let entry = unsafe { Box::from_raw(next) };
            next = entry.older;
            done.push(entry.done);
        }
        done[start..].reverse();
    }
}

impl Drop for Finished {
    fn drop(&mut self) {
        self.take_into(&mut Vec::new());
    }
}
