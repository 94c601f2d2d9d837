//! A device on a thread of its own, and the handles that others hold.
//!
//! Requests come through a channel without a lock, so that an ordinary thread
//! that loses the processor can never hold up the log's; answers go back by
//! callback or by unparking who waits.

use super::device::{Answer, Appended, Device, Figures, Records, Request};
use super::errors::{Fatal, OpenError, ReadError, Refused};
use super::format::Format;
use super::recover::Report;
use super::shelf::{Read, Shelf, Way};
use super::tenant::Tenant;
use crate::clock::Clock;
use crate::disk::Waker;
use crate::ids::{Index, LogId};
use crate::limits::{APPEND_QUEUE_BYTES, APPEND_QUEUE_LENGTH};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

/// What the log's thread tells the daemon, called on that thread.
pub struct Hooks {
    /// At least once a second while the thread is well.
    pub beat: Box<dyn FnMut() + Send>,
    /// A write or sync failed. It should end the process.
    pub fatal: Box<dyn FnOnce(&Fatal) + Send>,
}

enum Message {
    Request(Request, Answer),
    Open(
        LogId,
        &'static dyn Format,
        Sender<Result<Arc<Shelf>, Refused>>,
    ),
    Ids(Sender<Vec<LogId>>),
    Figures(Sender<Figures>),
    Tick,
    Close,
}

struct Shared {
    sender: Sender<Message>,
    waker: Waker,
    queued: AtomicUsize,
    queued_bytes: AtomicUsize,
    is_closed: AtomicBool,
}

impl Shared {
    fn send(&self, message: Message) -> Result<(), Refused> {
        self.sender.send(message).map_err(|_| Refused::Closed)?;
        self.waker.wake();
        Ok(())
    }

    /// Takes a place among the outstanding, or refuses.
    fn enter(&self, bytes: usize) -> Result<(), Refused> {
        if self.is_closed.load(Ordering::Acquire) {
            return Err(Refused::Closed);
        }
        let count = self.queued.fetch_add(1, Ordering::AcqRel);
        let before = self.queued_bytes.fetch_add(bytes, Ordering::AcqRel);
        // One request always fits, however large.
        if count >= APPEND_QUEUE_LENGTH || (count > 0 && before + bytes > APPEND_QUEUE_BYTES) {
            self.leave(bytes);
            return Err(Refused::Busy);
        }
        Ok(())
    }

    fn leave(&self, bytes: usize) {
        self.queued.fetch_sub(1, Ordering::AcqRel);
        self.queued_bytes.fetch_sub(bytes, Ordering::AcqRel);
    }
}

/// The logs of one device, on their thread. Clones share it.
#[derive(Clone)]
pub struct Logs {
    shared: Arc<Shared>,
}

/// The thread itself; `close` ends it in order.
pub struct Owner {
    logs: Logs,
    thread: JoinHandle<Result<(), Fatal>>,
    engine: &'static str,
}

/// Starts the thread. `open` runs on it, so that the lane it makes belongs to
/// it, after the thread has taken its class.
pub fn start(
    open: impl FnOnce() -> Result<(Device, Report), OpenError> + Send + 'static,
    clock: Arc<dyn Clock>,
    hooks: Hooks,
) -> Result<(Owner, Report), OpenError> {
    start_with(open, clock, hooks, None)
}

/// The same, with somebody who lives on the thread.
pub fn start_with(
    open: impl FnOnce() -> Result<(Device, Report), OpenError> + Send + 'static,
    clock: Arc<dyn Clock>,
    hooks: Hooks,
    tenant: Option<Box<dyn Tenant>>,
) -> Result<(Owner, Report), OpenError> {
    let (sender, receiver) = channel();
    let (opened, when_open) = sync_channel(1);
    let body = move || {
        let (device, report) = match open() {
            Ok(open) => open,
            Err(error) => {
                let _ = opened.send(Err(error));
                return Ok(());
            }
        };
        let (waker, engine) = (device.waker(), device.engine());
        let shared = Arc::new(Shared {
            sender,
            waker,
            queued: AtomicUsize::new(0),
            queued_bytes: AtomicUsize::new(0),
            is_closed: AtomicBool::new(false),
        });
        let (mut device, mut tenant) = (device, tenant);
        if let Some(tenant) = &mut tenant {
            tenant.move_in(&mut device);
        }
        let _ = opened.send(Ok((shared.clone(), engine, report)));
        Loop {
            device,
            tenant,
            receiver,
            shared,
            clock,
            hooks: Some(hooks),
            last_tick: Duration::ZERO,
            idle_since: None,
            is_quick: false,
        }
        .run()
    };
    let thread = thread::Builder::new()
        .name("log".into())
        .spawn(body)
        .map_err(OpenError::io("start the log's thread"))?;
    match when_open.recv() {
        Ok(Ok((shared, engine, report))) => Ok((
            Owner {
                logs: Logs { shared },
                thread,
                engine,
            },
            report,
        )),
        Ok(Err(error)) => {
            let _ = thread.join();
            Err(error)
        }
        Err(_) => {
            let reason = match thread.join() {
                Ok(_) => "the log's thread ended while it opened",
                Err(_) => "the log's thread panicked while it opened",
            };
            Err(OpenError::Identity(reason.into()))
        }
    }
}

impl Owner {
    pub fn logs(&self) -> &Logs {
        &self.logs
    }

    pub fn engine(&self) -> &'static str {
        self.engine
    }

    /// Answers what was asked for, seals, and ends the thread.
    pub fn close(self) -> Result<(), Fatal> {
        self.logs.shared.is_closed.store(true, Ordering::Release);
        let _ = self.logs.shared.send(Message::Close);
        match self.thread.join() {
            Ok(outcome) => outcome,
            Err(_) => Err(Fatal {
                reason: "the log's thread panicked".into(),
            }),
        }
    }
}

struct Loop {
    device: Device,
    tenant: Option<Box<dyn Tenant>>,
    receiver: Receiver<Message>,
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    hooks: Option<Hooks>,
    last_tick: Duration,
    /// When the last of the work was done; None while there is some.
    idle_since: Option<Duration>,
    /// The last request came so soon that the next is worth waiting for.
    is_quick: bool,
}

/// After an answer the thread looks out for the next request this long before
/// it sleeps, but only where the one before came as soon. To be woken on
/// another core costs 20 to 50 us on a virtual machine and 3 to 5 on bare
/// metal, and who waits one append at a time is back within twice that.
const LINGER: Duration = Duration::from_micros(150);

/// How often the thread shows that it is alive, and proves its last batch.
const TICK: Duration = Duration::from_millis(900);

impl Loop {
    fn run(mut self) -> Result<(), Fatal> {
        let mut late = None;
        loop {
            let mut message = late.take().or_else(|| self.next());
            if message.is_some() || self.tenant_has_work() {
                self.note_arrival();
            }
            let mut is_closing = false;
            while let Some(one) = message {
                is_closing |= matches!(one, Message::Close);
                self.take(one);
                message = self.receiver.try_recv().ok();
            }
            self.beat();
            if let Some(tenant) = &mut self.tenant {
                tenant.turn(&mut self.device);
            }
            if let Err(fatal) = self.device.turn() {
                return self.die(fatal);
            }
            if is_closing {
                return self.close();
            }
            if self.idle_since.is_none() && !self.device.is_busy() {
                self.idle_since = Some(self.clock.monotonic());
            }
            if self.device.is_waiting() && !(self.is_quick && self.idle_since.is_some()) {
                let shared = &self.shared;
                // A message in the channel shows only by taking it, so the
                // waker alone tells: it rings after each send.
                let (receiver, tenant) = (&self.receiver, &self.tenant);
                self.device.wait(None, &mut || {
                    late = receiver.try_recv().ok();
                    let is_idle = tenant.as_ref().is_none_or(|one| one.is_idle());
                    late.is_none() && is_idle && !shared.is_closed.load(Ordering::Acquire)
                });
            }
        }
    }

    fn close(mut self) -> Result<(), Fatal> {
        if let Some(mut tenant) = self.tenant.take() {
            // What it had asked for is answered, and what follows from that.
            self.device.settle()?;
            while !tenant.is_idle() {
                tenant.turn(&mut self.device);
                self.device.settle()?;
            }
            tenant.move_out(&mut self.device);
        }
        self.device.close()
    }

    /// The next message that is there, or comes while it is worth waiting.
    fn next(&mut self) -> Option<Message> {
        let until = match self.idle_since {
            Some(since) if self.is_quick => since + LINGER,
            _ => return self.receiver.try_recv().ok(),
        };
        loop {
            if let Ok(message) = self.receiver.try_recv() {
                return Some(message);
            }
            if self.tenant_has_work() {
                return None;
            }
            if self.clock.monotonic() >= until {
                self.is_quick = false;
                return None;
            }
            std::hint::spin_loop();
        }
    }

    fn tenant_has_work(&self) -> bool {
        self.tenant.as_ref().is_some_and(|tenant| !tenant.is_idle())
    }

    /// Learns from each arrival whether the next is worth looking out for.
    fn note_arrival(&mut self) {
        if let Some(since) = self.idle_since.take() {
            self.is_quick = self.clock.monotonic().saturating_sub(since) <= LINGER;
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Request(request, answer) => self.device.submit(request, answer),
            Message::Open(id, format, back) => drop(back.send(self.device.log(id, format))),
            Message::Ids(back) => drop(back.send(self.device.log_ids())),
            Message::Figures(back) => drop(back.send(self.device.figures())),
            Message::Tick | Message::Close => {}
        }
    }

    fn beat(&mut self) {
        let now = self.clock.monotonic();
        if now.saturating_sub(self.last_tick) >= TICK {
            self.last_tick = now;
            if let Some(hooks) = &mut self.hooks {
                (hooks.beat)();
            }
            // An error shows again in the turn that follows.
            let _ = self.device.tick();
        }
    }

    fn die(mut self, fatal: Fatal) -> Result<(), Fatal> {
        self.shared.is_closed.store(true, Ordering::Release);
        if let Some(hooks) = self.hooks.take() {
            (hooks.fatal)(&fatal);
        }
        Err(fatal)
    }
}

impl Logs {
    /// The log with this number; made where there is none.
    pub fn open(&self, id: LogId, format: &'static dyn Format) -> Result<LogHandle, Refused> {
        let (sender, receiver) = channel();
        self.shared.send(Message::Open(id, format, sender))?;
        let shelf = receiver.recv().map_err(|_| Refused::Closed)??;
        Ok(LogHandle {
            shelf,
            logs: self.clone(),
        })
    }

    pub fn ids(&self) -> Result<Vec<LogId>, Refused> {
        let (sender, receiver) = channel();
        self.shared.send(Message::Ids(sender))?;
        receiver.recv().map_err(|_| Refused::Closed)
    }

    pub fn figures(&self) -> Result<Figures, Refused> {
        let (sender, receiver) = channel();
        self.shared.send(Message::Figures(sender))?;
        receiver.recv().map_err(|_| Refused::Closed)
    }

    /// Asks the thread to beat and tick if it is due. Somebody calls this
    /// about twice a second; an idle thread has no timer of its own.
    pub fn tick(&self) {
        let _ = self.shared.send(Message::Tick);
    }

    /// Sends a request; `answer` is called on the log's thread.
    pub fn submit(&self, request: Request, answer: Answer) {
        let bytes = match &request {
            Request::Append { records, .. } => records.bytes(),
            _ => 0,
        };
        if let Err(refused) = self.shared.enter(bytes) {
            return answer(Err(refused));
        }
        // The place is given up when it is answered: what the log has taken in
        // and not yet written counts as well.
        let shared = self.shared.clone();
        let answer = Box::new(move |outcome| {
            shared.leave(bytes);
            answer(outcome);
        });
        // A closed channel drops the answer, and with it whoever waits knows.
        let _ = self.shared.send(Message::Request(request, answer));
    }

    /// Sends a request; the ticket waits for what comes of it.
    pub fn ask(&self, request: Request) -> Ticket {
        let ticket = Ticket::new();
        self.submit(request, ticket.answer());
        ticket
    }
}

/// One log, for any thread.
#[derive(Clone)]
pub struct LogHandle {
    shelf: Arc<Shelf>,
    logs: Logs,
}

impl LogHandle {
    pub fn id(&self) -> LogId {
        self.shelf.id
    }

    pub fn shelf(&self) -> &Arc<Shelf> {
        &self.shelf
    }

    pub fn append(&self, records: Records) -> Ticket {
        self.logs.ask(Request::Append {
            log: self.id(),
            records,
        })
    }

    pub fn first(&self) -> Index {
        self.shelf.first()
    }

    pub fn written_until(&self) -> Index {
        self.shelf.written_until()
    }

    pub fn durable_until(&self) -> Index {
        self.shelf.durable_until()
    }

    /// Whether a read from here would wait for bytes on their way to the
    /// segment.
    pub fn would_wait(&self, from: Index) -> bool {
        let shelf = &self.shelf;
        !shelf.keeps_fresh() && from < shelf.durable_until() && from >= shelf.readable_until()
    }

    /// Reads whole records from `from` on. What is durable can be read: where
    /// our own frames are still on their way to the segment, this waits for them.
    /// May wait for the disk; not for an async worker.
    pub fn read(&self, from: Index, bytes_max: usize, way: Way) -> Result<Option<Read>, ReadError> {
        if self.would_wait(from) {
            self.logs.submit(Request::Show, Box::new(|_| ()));
            if !self.shelf.wait_readable(from) {
                return Err(ReadError::Closed);
            }
        }
        self.shelf.read(from, bytes_max, way)
    }
}

/// Waits for one answer.
pub struct Ticket {
    slot: Arc<Slot>,
}

struct Slot {
    outcome: OnceLock<Result<Appended, Refused>>,
    waiter: Thread,
}

/// Answers `Closed` where the log goes away without an answer.
struct Promise(Option<Arc<Slot>>);

impl Promise {
    fn keep(mut self, outcome: Result<Appended, Refused>) {
        if let Some(slot) = self.0.take() {
            let _ = slot.outcome.set(outcome);
            slot.waiter.unpark();
        }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        if let Some(slot) = self.0.take() {
            let _ = slot.outcome.set(Err(Refused::Closed));
            slot.waiter.unpark();
        }
    }
}

impl Ticket {
    /// For an answer that the calling thread will wait for.
    fn new() -> Self {
        Self {
            slot: Arc::new(Slot {
                outcome: OnceLock::new(),
                waiter: thread::current(),
            }),
        }
    }

    fn answer(&self) -> Answer {
        let promise = Promise(Some(self.slot.clone()));
        Box::new(move |outcome| promise.keep(outcome))
    }

    /// Waits, on the thread that asked.
    pub fn wait(self) -> Result<Appended, Refused> {
        loop {
            if let Some(outcome) = self.slot.outcome.get() {
                return outcome.clone();
            }
            thread::park();
        }
    }

    /// What came of it, if it is known already.
    pub fn peek(&self) -> Option<&Result<Appended, Refused>> {
        self.slot.outcome.get()
    }
}
