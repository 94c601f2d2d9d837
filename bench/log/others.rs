//! Appends by threads that do not own the log: through its queue, answered to
//! a ticket or by a callback.

use super::figures::Samples;
use super::load::{Load, Variant, append, open_here};
use dolmen::clock::MachineClock;
use dolmen::disk::class::{self, Class};
use dolmen::ids::LogId;
use dolmen::ids::Term;
use dolmen::log::{FRAMES, Hooks, LogHandle, Logs, Owner, Payload, Records, Request, Settings};
use dolmen::log::{Ticket, start};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How the submitting thread learns of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It waits for the oldest, and the time ends when it has seen it.
    Ticket,
    /// The time ends on the log's thread, when it answers.
    Callback,
}

/// A log on its thread, as a node has it.
pub struct Others {
    owner: Owner,
}

impl Others {
    pub fn start(folder: PathBuf, variant: Variant, settings: Settings) -> Self {
        let open = move || {
            class::take(Class::Log);
            open_here(&folder, variant.1, settings)
        };
        let hooks = Hooks {
            beat: Box::new(|| ()),
            fatal: Box::new(|fatal| panic!("the bench's disk failed: {}", fatal.reason)),
        };
        let clock = Arc::new(MachineClock::new());
        let (owner, _) = start(open, clock, hooks).expect("a new folder opens");
        Self { owner }
    }

    pub fn close(self) {
        self.owner.close().expect("the bench's disk does not fail");
    }

    /// Keeps the load's appends outstanding from one thread, or from two where
    /// there are several.
    pub fn measure(&self, load: Load, class: Class, answer: Answer, time: Duration) -> Samples {
        let threads = load.outstanding.min(2);
        let handles: Vec<LogHandle> = (0..load.logs)
            .map(|id| self.owner.logs().open(LogId(id), &FRAMES))
            .collect::<Result<_, _>>()
            .expect("room for a hundred logs");
        let logs = self.owner.logs();
        let samples = thread::scope(|scope| {
            let submit = |place: usize| {
                let mine: Vec<&LogHandle> = handles.iter().skip(place % handles.len()).collect();
                move || {
                    class::take(class);
                    match answer {
                        Answer::Ticket => by_ticket(&mine, threads, load.share(threads), time),
                        Answer::Callback => by_callback(logs, load.share(threads), time),
                    }
                }
            };
            let all: Vec<_> = (0..threads)
                .map(|place| scope.spawn(submit(place)))
                .collect();
            let each = all.into_iter().map(|one| one.join().expect("no panic"));
            each.reduce(|mut sum, one| {
                sum.times.extend(one.times);
                sum.spent = sum.spent.max(one.spent);
                sum
            })
            .expect("one thread at least")
        });
        self.forget(&handles);
        samples
    }

    fn forget(&self, handles: &[LogHandle]) {
        let logs = self.owner.logs();
        let drop_all = |handle: &LogHandle| {
            let (log, until) = (handle.id(), handle.durable_until());
            logs.ask(Request::DropPrefix { log, until })
        };
        let tickets: Vec<Ticket> = handles.iter().map(drop_all).collect();
        for ticket in tickets {
            ticket.wait().expect("a prefix can be dropped");
        }
    }
}

/// Every `step`th of these logs is this thread's.
fn by_ticket(logs: &[&LogHandle], step: usize, load: Load, time: Duration) -> Samples {
    let record = vec![7; load.bytes];
    let ask = |log: usize| {
        let bytes = record.clone();
        let asked = Instant::now();
        let records = Records::Frames(vec![Payload::new(Term(1), 0, bytes)]);
        (log, asked, logs[log].append(records))
    };
    let start = Instant::now();
    let (counted_from, end) = (start + time / 8, start + time);
    let mut asked: VecDeque<(usize, Instant, Ticket)> = (0..load.outstanding)
        .map(|turn| ask(turn * step % logs.len()))
        .collect();
    let mut times = Vec::new();
    let mut last = counted_from;
    while let Some((log, began, ticket)) = asked.pop_front() {
        ticket.wait().expect("the bench's appends are taken");
        let now = Instant::now();
        if began >= counted_from {
            times.push(now - began);
            last = now;
        }
        if now < end || times.is_empty() {
            asked.push_back(ask(log));
        }
    }
    Samples {
        times,
        spent: last - counted_from,
    }
}

/// Answers refill from the submitting thread, which sleeps between them.
fn by_callback(logs: &Logs, load: Load, time: Duration) -> Samples {
    let record = vec![7; load.bytes];
    let answered: Arc<Mutex<Vec<(LogId, Instant, Instant)>>> = Arc::default();
    let ask = |log: LogId| {
        let (bytes, answered) = (record.clone(), answered.clone());
        let me = thread::current();
        let asked = Instant::now();
        let answer = move |outcome: Result<_, _>| {
            outcome.expect("the bench's appends are taken");
            let one = (log, asked, Instant::now());
            answered.lock().expect("nobody panics").push(one);
            me.unpark();
        };
        logs.submit(append(log, bytes), Box::new(answer));
    };
    let start = Instant::now();
    let (counted_from, end) = (start + time / 8, start + time);
    for turn in 0..load.outstanding as u64 {
        ask(LogId(turn % load.logs));
    }
    let mut left = load.outstanding;
    let mut times = Vec::new();
    let mut last = counted_from;
    while left > 0 {
        let batch = std::mem::take(&mut *answered.lock().expect("nobody panics"));
        if batch.is_empty() {
            thread::park();
        }
        for (log, asked, at) in batch {
            if asked >= counted_from {
                times.push(at - asked);
                last = at;
            }
            match at < end || times.is_empty() {
                true => ask(log),
                false => left -= 1,
            }
        }
    }
    Samples {
        times,
        spent: last - counted_from,
    }
}
