//! `dolmen log append`: lines in, offsets out, each once it is durable.
//!
//! A thread reads lines and hands them to the log, as far ahead as the window
//! allows; this thread prints what comes back, in the order of the lines. The
//! window is what makes one sync carry many lines.

use super::{Place, told};
use crate::cli::{Failure, signals};
use crate::clock::MachineClock;
use crate::disk::choose::Wanted;
use crate::disk::{Disk, Engine, UnsyncedDisk, end_process};
use crate::ids::{LogId, Term};
use crate::limits::{APPEND_QUEUE_BYTES, APPEND_QUEUE_LENGTH, RECORD_BYTES_MAX};
use crate::log::{
    Appended, FRAMES, Hooks, LogHandle, Logs, Payload, Records, Refused, Request, start,
};
use std::collections::BTreeMap;
use std::io::{self, BufRead, Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::Duration;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    /// The log to append to
    #[arg(long, value_name = "N", default_value_t = 1)]
    log: u64,
    /// Lines that may be on their way at once
    #[arg(long, value_name = "LINES", default_value_t = 64,
          value_parser = clap::value_parser!(u64).range(1..=APPEND_QUEUE_LENGTH as u64))]
    window: u64,
    /// Who makes writes durable; auto measures both
    #[arg(long, value_enum, default_value_t = Choice::Auto)]
    engine: Choice,
    /// Print JSON, one object a line
    #[arg(long)]
    json: bool,
    /// Acknowledge what was never synced, to see the power-cut test fail
    #[arg(long, hide = true)]
    unsafe_no_sync: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Choice {
    Auto,
    Uring,
    Threads,
}

const PERMISSION: &str = "DOLMEN_UNSAFE_NO_SYNC";

/// Idle, the log's thread is asked this often whether something is due.
const TICK: Duration = Duration::from_millis(500);

pub(super) fn run(args: Args) -> Result<(), Failure> {
    if args.unsafe_no_sync && std::env::var(PERMISSION).as_deref() != Ok("1") {
        return Err(Failure::wrong_usage(format!(
            "--unsafe-no-sync loses what it acknowledges; it is for a test, which sets \
             {PERMISSION}=1"
        )));
    }
    let dir = &args.place.dir;
    if let Err(error) = std::fs::create_dir(dir)
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        return Err(Failure::failed(format!("make {}: {error}", dir.display())));
    }
    let _lock = args.place.lock("dolmen log append")?;
    // Listened for before anything is acknowledged, so that a stop is clean.
    let (events, inbox) = channel();
    let stop = events.clone();
    signals::on_stop(move || drop(stop.send(Event::Stop)))
        .map_err(|error| Failure::failed(format!("listen for signals: {error}")))?;
    let (disk, reason) = disk(&args)?;
    let hooks = Hooks {
        beat: Box::new(|| ()),
        fatal: Box::new(|fatal| end_process(fatal)),
    };
    let clock = Arc::new(MachineClock::new());
    let opened = start(move || super::open_device(disk), clock, hooks);
    let (owner, report) = opened.map_err(Failure::failed)?;
    eprintln!("{}: {}; engine {reason}", dir.display(), told(&report));
    let log = owner
        .logs()
        .open(LogId(args.log), &FRAMES)
        .map_err(Failure::failed)?;
    let window = Arc::new(Window::new(args.window));
    let input = Input {
        log,
        logs: owner.logs().clone(),
        window: window.clone(),
        events,
    };
    Builder::new()
        .name("lines".into())
        .spawn(move || input.run())
        .map_err(|error| Failure::failed(format!("start a thread: {error}")))?;
    let mut output = Output::new(args.json);
    let outcome = answer_all(&inbox, &window, owner.logs(), &mut output);
    if let Err(fatal) = owner.close() {
        end_process(fatal);
    }
    eprintln!("{}; stopped cleanly", output.summary(args.log));
    outcome?;
    output.verdict()
}

fn disk(args: &Args) -> Result<(Arc<dyn Disk>, String), Failure> {
    if args.unsafe_no_sync {
        if args.engine == Choice::Uring {
            let message = "--unsafe-no-sync works with --engine threads only";
            return Err(Failure::wrong_usage(message));
        }
        eprintln!("warning: nothing is synced; whatever is acknowledged may be lost");
        let plain = args.place.plain_disk()?;
        let disk = Arc::new(UnsyncedDisk::over(plain));
        return Ok((disk, "threads, never syncing".into()));
    }
    args.place.disk(match args.engine {
        Choice::Auto => Wanted::Auto,
        Choice::Uring => Wanted::Only(Engine::Uring),
        Choice::Threads => Wanted::Only(Engine::Threads),
    })
}

enum Event {
    /// The line with this number, counted from 0, that took so many bytes.
    Answered(u64, usize, Result<Appended, Refused>),
    InputEnded(io::Result<()>),
    Stop,
}

/// Prints answers until the input is through and all of it is answered.
fn answer_all(
    inbox: &Receiver<Event>,
    window: &Window,
    logs: &Logs,
    output: &mut Output,
) -> Result<(), Failure> {
    let mut outcome = Ok(());
    let mut is_ended = false;
    loop {
        match inbox.recv_timeout(TICK) {
            Ok(Event::Answered(number, bytes, answer)) => {
                window.leave(bytes);
                output.take(number, answer);
            }
            Ok(Event::InputEnded(ended)) => {
                is_ended = true;
                if let Err(error) = ended {
                    outcome = Err(Failure::failed(format!("read standard input: {error}")));
                }
            }
            Ok(Event::Stop) => {
                window.close();
                is_ended = true;
            }
            Err(RecvTimeoutError::Timeout) => logs.tick(),
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if output.is_due()
            && let Err(error) = output.print()
        {
            // Nobody reads on: what is on its way is waited for, not printed.
            window.close();
            is_ended = true;
            outcome = Err(Failure::failed(format!(
                "print an offset: {error}; what was appended stays"
            )));
        }
        if is_ended && output.answered == window.entered() {
            break;
        }
    }
    outcome
}

/// Lines on their way: so many at once, and so many bytes.
struct Window {
    lines_max: u64,
    state: Mutex<OnTheWay>,
    freed: Condvar,
}

#[derive(Default)]
struct OnTheWay {
    lines: u64,
    bytes: usize,
    entered: u64,
    is_closed: bool,
}

impl Window {
    fn new(lines_max: u64) -> Self {
        Self {
            lines_max,
            state: Mutex::default(),
            freed: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, OnTheWay> {
        // Plain numbers, whole between any two statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for room and gives the line its number; None once closed.
    fn enter(&self, bytes: usize) -> Option<u64> {
        let mut state = self.state();
        loop {
            if state.is_closed {
                return None;
            }
            // One line always fits, however long.
            let fits = state.lines == 0 || state.bytes + bytes <= APPEND_QUEUE_BYTES;
            if fits && state.lines < self.lines_max {
                break;
            }
            let woken = self.freed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
        state.lines += 1;
        state.bytes += bytes;
        state.entered += 1;
        Some(state.entered - 1)
    }

    fn leave(&self, bytes: usize) {
        let mut state = self.state();
        state.lines -= 1;
        state.bytes -= bytes;
        drop(state);
        self.freed.notify_one();
    }

    fn close(&self) {
        self.state().is_closed = true;
        self.freed.notify_one();
    }

    fn entered(&self) -> u64 {
        self.state().entered
    }
}

/// The thread that reads lines.
struct Input {
    log: LogHandle,
    logs: Logs,
    window: Arc<Window>,
    events: Sender<Event>,
}

impl Input {
    fn run(self) {
        let ended = self.read(&mut io::stdin().lock());
        let _ = self.events.send(Event::InputEnded(ended));
    }

    fn read(&self, from: &mut impl BufRead) -> io::Result<()> {
        loop {
            let mut line = Vec::new();
            let most = RECORD_BYTES_MAX as u64 + 1;
            if from.by_ref().take(most).read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            let is_whole = line.last() == Some(&b'\n');
            if is_whole {
                line.pop();
            }
            let length = line.len();
            let Some(number) = self.window.enter(length) else {
                return Ok(());
            };
            let events = self.events.clone();
            let answer = Box::new(move |answer| {
                let _ = events.send(Event::Answered(number, length, answer));
            });
            if !is_whole && length as u64 == most {
                let bytes = length + from.skip_until(b'\n')?;
                answer(Err(Refused::TooLarge {
                    bytes,
                    most: RECORD_BYTES_MAX,
                }));
                continue;
            }
            let request = Request::Append {
                log: self.log.id(),
                records: Records::Frames(vec![Payload::new(Term(0), 0, line)]),
            };
            self.logs.submit(request, answer);
        }
    }
}

/// What has been answered, and how much of it is printed.
struct Output {
    is_json: bool,
    /// Answers that came before the one of a line further up.
    early: BTreeMap<u64, Result<Appended, Refused>>,
    answered: u64,
    next: u64,
    refused: u64,
    first_and_last: Option<(u64, u64)>,
}

impl Output {
    fn new(is_json: bool) -> Self {
        Self {
            is_json,
            early: BTreeMap::new(),
            answered: 0,
            next: 0,
            refused: 0,
            first_and_last: None,
        }
    }

    fn take(&mut self, number: u64, answer: Result<Appended, Refused>) {
        self.answered += 1;
        match &answer {
            Ok(Appended { first, .. }) => {
                let (from, to) = self.first_and_last.unwrap_or((first.0, first.0));
                self.first_and_last = Some((from.min(first.0), to.max(first.0)));
            }
            Err(_) => self.refused += 1,
        }
        self.early.insert(number, answer);
    }

    fn is_due(&self) -> bool {
        self.early.contains_key(&self.next)
    }

    /// What is due, in one write: a batch that was synced together is told
    /// together.
    fn print(&mut self) -> io::Result<()> {
        let mut text = String::new();
        while let Some(answer) = self.early.remove(&self.next) {
            self.next += 1;
            match (answer, self.is_json) {
                (Ok(appended), false) => text += &format!("{}\n", appended.first),
                (Ok(appended), true) => {
                    let line = serde_json::json!({ "offset": appended.first.0 });
                    text += &format!("{line}\n");
                }
                (Err(refused), false) => {
                    eprintln!("line {} was not appended: {refused}", self.next);
                }
                (Err(refused), true) => {
                    let line = serde_json::json!({ "refused": refused.to_string() });
                    text += &format!("{line}\n");
                }
            }
        }
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    fn summary(&self, log: u64) -> String {
        let count = self.answered - self.refused;
        match self.first_and_last {
            Some((from, to)) => format!("appended {count} records to log {log}, {from} to {to}"),
            None => format!("appended nothing to log {log}"),
        }
    }

    fn verdict(&self) -> Result<(), Failure> {
        match self.refused {
            0 => Ok(()),
            refused => Err(Failure::failed(format!(
                "{refused} of {} lines were not appended",
                self.answered
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Index;

    fn appended(first: u64) -> Result<Appended, Refused> {
        Ok(Appended {
            first: Index(first),
            next: Index(first + 1),
        })
    }

    #[test]
    fn answers_are_told_in_the_order_of_the_lines() {
        let mut output = Output::new(false);
        output.take(1, Err(Refused::Busy));
        assert!(!output.is_due());
        output.take(0, appended(7));
        assert!(output.is_due());
        output.print().unwrap();
        assert_eq!((output.next, output.refused), (2, 1));
        assert_eq!(output.summary(3), "appended 1 records to log 3, 7 to 7");
        assert!(output.verdict().is_err());
    }

    #[test]
    fn a_closed_window_lets_nobody_in_and_counts_who_came_before() {
        let window = Window::new(2);
        assert_eq!(window.enter(APPEND_QUEUE_BYTES * 2), Some(0));
        window.leave(APPEND_QUEUE_BYTES * 2);
        assert_eq!(window.enter(10), Some(1));
        window.close();
        assert_eq!((window.enter(10), window.entered()), (None, 2));
    }
}
