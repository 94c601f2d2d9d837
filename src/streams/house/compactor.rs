//! Who makes the passes of compaction, one after another: a thread of its own, or
//! whoever drives the house by hand, who gives them their time between other things.

use super::pass::{Job, NotCompacted, Pass, Step};
use super::{Event, Events};
use crate::disk::class::{self, Class};
use crate::log::Refused;
use crate::streams::Key;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;

#[derive(Default)]
pub(super) struct Compactor {
    by: By,
    busy_with: Option<Key>,
}

enum By {
    /// The thread is there once there was a job.
    Thread(Option<Running>),
    Hand(Option<Box<Making>>),
}

impl Default for By {
    fn default() -> Self {
        Self::Thread(None)
    }
}

struct Running {
    jobs: SyncSender<Job>,
    thread: JoinHandle<()>,
    is_stopping: Arc<AtomicBool>,
}

impl Compactor {
    /// One that does nothing by itself.
    pub(super) fn by_hand() -> Self {
        Self {
            by: By::Hand(None),
            busy_with: None,
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.busy_with.is_some()
    }

    pub(super) fn is_done(&mut self) {
        self.busy_with = None;
    }

    /// Begins a job.
    pub(super) fn begin(&mut self, job: Job, events: &Events) -> io::Result<()> {
        let key = job.key;
        match &mut self.by {
            By::Thread(running) => {
                let running = match running {
                    Some(running) => running,
                    None => running.insert(start(events.clone())?),
                };
                let gone = |_| io::Error::other("the thread that compacts is gone");
                running.jobs.try_send(job).map_err(gone)?;
            }
            By::Hand(making) => *making = Some(Box::new(Making::new(job, Arc::default()))),
        }
        self.busy_with = Some(key);
        Ok(())
    }

    /// Goes on with what is made by hand, as far as the next exchange.
    pub(super) fn go_on(&mut self, events: &Events) {
        if let By::Hand(making) = &mut self.by
            && let Some(one) = making
            && one.is_answered()
            && !one.go_on(events)
        {
            *making = None;
        }
    }

    /// Ends the thread. It gives up what it is about, and leaves nothing of it.
    /// Nobody answers it any more.
    pub(super) fn stop(&mut self) {
        match &mut self.by {
            By::Thread(running) => {
                let Some(running) = running.take() else {
                    return;
                };
                running.is_stopping.store(true, Ordering::Release);
                drop(running.jobs);
                let _ = running.thread.join();
            }
            By::Hand(making) => *making = None,
        }
    }
}

fn start(events: Events) -> io::Result<Running> {
    // One at a time, so that one place is enough.
    let (jobs, given) = sync_channel::<Job>(1);
    let is_stopping = Arc::new(AtomicBool::new(false));
    let stops = is_stopping.clone();
    let body = move || {
        class::take(Class::Bulk);
        while let Ok(job) = given.recv() {
            let mut making = Making::new(job, stops.clone());
            while making.go_on(&events) {
                making.wait();
            }
        }
    };
    let thread = std::thread::Builder::new().name("compact".into());
    Ok(Running {
        jobs,
        thread: thread.spawn(body)?,
        is_stopping,
    })
}

/// A pass, and how it stands with the exchange that it has asked for.
struct Making {
    key: Key,
    serial: u64,
    pass: Pass,
    answer: Option<Receiver<Result<(), Refused>>>,
    exchanged: Result<(), NotCompacted>,
}

impl Making {
    fn new(job: Job, is_stopping: Arc<AtomicBool>) -> Self {
        Self {
            key: job.key,
            serial: job.serial,
            pass: Pass::new(job, is_stopping),
            answer: None,
            exchanged: Ok(()),
        }
    }

    /// Goes on to the next exchange, and asks for it, or says what has come of the
    /// pass: false.
    fn go_on(&mut self, events: &Events) -> bool {
        let exchanged = std::mem::replace(&mut self.exchanged, Ok(()));
        let step = exchanged.and_then(|()| self.pass.go_on());
        let event = match step {
            Ok(Step::Exchange(written)) => {
                let (answer, given) = sync_channel(1);
                self.answer = Some(given);
                Event::Rewritten { written, answer }
            }
            Ok(Step::Done(compacted)) => Event::Compacted {
                outcome: Ok(compacted),
            },
            Err(why) => Event::Compacted { outcome: Err(why) },
        };
        let goes_on = matches!(event, Event::Rewritten { .. });
        events.put_and_wake(self.key, self.serial, event);
        goes_on
    }

    fn wait(&mut self) {
        if let Some(answer) = self.answer.take() {
            self.exchanged = match answer.recv() {
                Ok(outcome) => outcome.map_err(NotCompacted::from),
                Err(_) => Err(NotCompacted::GivenUp),
            };
        }
    }

    /// Whether there is nothing to wait for.
    fn is_answered(&mut self) -> bool {
        let Some(answer) = &self.answer else {
            return true;
        };
        self.exchanged = match answer.try_recv() {
            Ok(outcome) => outcome.map_err(NotCompacted::from),
            Err(TryRecvError::Empty) => return false,
            Err(TryRecvError::Disconnected) => Err(NotCompacted::GivenUp),
        };
        self.answer = None;
        true
    }
}
