//! A thread for the replica, and the ways to it: doors by `Doorway`, peers and
//! the daemon by `ReplicaHandle`. All meet in one queue; a wake costs a load
//! where the thread is awake.

use super::desk::{Ask, ConnectionId, Desk, Reply};
use super::{Done, Now, Opened, Outgoing, Replica};
use crate::clock::Clock;
use crate::disk::Waker;
use crate::ids::NodeId;
use crate::log::{Fatal, OpenError};
use crate::peers::Release;
use crate::state::{Command, Topics};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Shows topics and brokers to whoever wants to see them.
pub type ShowTopics = Box<dyn FnMut(&Arc<Topics>) + Send>;

/// What the thread does beside the replica's own work.
pub struct Hooks {
    /// Called about once a second: the thread is alive.
    pub beat: Box<dyn FnMut() + Send>,
    /// Called when a write or sync has failed: the process ends.
    pub fatal: Box<dyn FnOnce(&Fatal) + Send>,
    /// Takes frames on their way. Never waits.
    pub send: Box<dyn FnMut(Vec<Outgoing>) + Send>,
    /// The members' list has changed.
    pub members: Box<dyn FnMut(&Replica) + Send>,
    /// Shows topics and brokers as they are now, at most once a turn, before
    /// anybody hears what came of a command of that turn.
    pub topics: ShowTopics,
}

type Look = Box<dyn FnOnce(&mut Replica, Now) + Send>;

enum Message {
    Asks(u64, Vec<Ask>),
    Door(u64, Replies, Arc<OnceLock<Wake>>),
    Heard(NodeId, Vec<u8>),
    PeerUp(NodeId, Release),
    PeerDown(NodeId),
    Command(Box<Command>, Done),
    Look(Look),
}

type Wake = Arc<dyn Fn() + Send + Sync>;

struct Shared {
    inbox: Mutex<Inbox>,
    waker: Waker,
    doors: AtomicU64,
    is_closing: AtomicBool,
}

/// What came since the thread last looked. Held for a push or a swap, never
/// longer: a queue without a lock would have the thread, which goes before all
/// others, wait in a loop for a sender that is not let run.
#[derive(Default)]
struct Inbox {
    messages: Vec<Message>,
    /// Something came that is looked at without delay.
    is_urgent: bool,
    /// Writes that came, which may wait while the thread holds others.
    patient: usize,
    /// So many of them wake the thread.
    enough: usize,
    /// The thread has ended: nobody waits for an answer, the process is ending.
    is_over: bool,
}

impl Inbox {
    fn is_quiet(&self) -> bool {
        !self.is_urgent && self.patient < self.enough.max(1)
    }
}

impl Message {
    /// How many writes it is, where it is nothing but writes.
    fn patient(&self) -> Option<usize> {
        let Self::Asks(_, asks) = self else {
            return None;
        };
        asks.iter().all(Ask::is_write).then_some(asks.len())
    }
}

impl Shared {
    fn send(&self, message: Message) {
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        if inbox.is_over {
            return;
        }
        match message.patient() {
            Some(count) => inbox.patient += count,
            None => inbox.is_urgent = true,
        }
        inbox.messages.push(message);
        let is_quiet = inbox.is_quiet();
        drop(inbox);
        if !is_quiet {
            self.waker.wake();
        }
    }

    /// Swaps what came for an empty list.
    fn swap(&self, with: &mut Vec<Message>) {
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut inbox.messages, with);
        inbox.is_urgent = false;
        inbox.patient = 0;
        inbox.enough = 1;
    }

    /// Whether there is nothing to come back for. Fewer than `enough` patient
    /// asks are not.
    fn is_quiet(&self, enough: usize) -> bool {
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        inbox.enough = enough;
        inbox.is_quiet() && !self.is_closing.load(Ordering::Acquire)
    }

    fn end(&self) {
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        inbox.is_over = true;
        inbox.messages.clear();
    }
}

/// What a door has not taken yet.
type Replies = Arc<Mutex<Vec<Reply>>>;

/// The way to the replica for peers and for the daemon.
#[derive(Clone)]
pub struct ReplicaHandle {
    shared: Arc<Shared>,
}

impl ReplicaHandle {
    pub fn heard(&self, from: NodeId, bytes: Vec<u8>) {
        self.shared.send(Message::Heard(from, bytes));
    }

    pub fn peer_up(&self, node: NodeId, release: Release) {
        self.shared.send(Message::PeerUp(node, release));
    }

    pub fn peer_down(&self, node: NodeId) {
        self.shared.send(Message::PeerDown(node));
    }

    /// Has a command committed; `done` is called on the replica's thread.
    pub fn command(&self, command: Command, done: Done) {
        self.shared.send(Message::Command(Box::new(command), done));
    }

    /// Runs something on the replica's thread, between two turns. It must be
    /// brief.
    pub fn look(&self, look: impl FnOnce(&mut Replica, Now) + Send + 'static) {
        self.shared.send(Message::Look(Box::new(look)));
    }

    /// A way in for one more door.
    pub fn doorway(&self) -> Doorway {
        let number = self.shared.doors.fetch_add(1, Ordering::Relaxed);
        let (replies, wake) = (Replies::default(), Arc::new(OnceLock::new()));
        let door = Message::Door(number, replies.clone(), wake.clone());
        self.shared.send(door);
        Doorway {
            shared: self.shared.clone(),
            number,
            replies,
            wake,
        }
    }

    /// Asks the thread to end; `Running::join` waits for it.
    fn close(&self) {
        self.shared.is_closing.store(true, Ordering::Release);
        self.shared.waker.wake();
    }
}

/// One door's way in. Connections are the door's own numbers; here they are
/// told apart from other doors' by the high bits.
pub struct Doorway {
    shared: Arc<Shared>,
    number: u64,
    replies: Replies,
    wake: Arc<OnceLock<Wake>>,
}

const DOOR_SHIFT: u32 = 48;

impl Desk for Doorway {
    fn say(&self, asks: &mut Vec<Ask>) {
        if !asks.is_empty() {
            let asks = std::mem::take(asks);
            self.shared.send(Message::Asks(self.number, asks));
        }
    }

    fn take(&self, into: &mut Vec<Reply>) {
        let mut replies = self.replies.lock().unwrap_or_else(PoisonError::into_inner);
        match into.is_empty() {
            true => std::mem::swap(&mut *replies, into),
            false => into.append(&mut replies),
        }
    }

    fn call(&self, wake: Wake) {
        let _ = self.wake.set(wake);
    }
}

/// The thread; `close` ends it in order.
pub struct Running {
    handle: ReplicaHandle,
    thread: JoinHandle<Result<(), Fatal>>,
}

impl Running {
    pub fn handle(&self) -> &ReplicaHandle {
        &self.handle
    }

    pub fn close(self) -> Result<(), Fatal> {
        self.handle.close();
        match self.thread.join() {
            Ok(outcome) => outcome,
            Err(_) => Err(Fatal {
                reason: "the replica's thread panicked".into(),
            }),
        }
    }
}

/// Starts the thread. `open` runs on it, so that the lane it makes belongs to
/// it.
#[allow(clippy::disallowed_methods)] // the home of the replica's thread
pub fn start(
    open: impl FnOnce() -> Result<(Replica, Opened), OpenError> + Send + 'static,
    clock: Arc<dyn Clock>,
    hooks: Hooks,
) -> Result<(Running, Opened), OpenError> {
    let (opened, when_open) = sync_channel(1);
    let body = move || {
        let (replica, found) = match open() {
            Ok(open) => open,
            Err(error) => {
                let _ = opened.send(Err(error));
                return Ok(());
            }
        };
        let shared = Arc::new(Shared {
            inbox: Mutex::default(),
            waker: replica.waker(),
            doors: AtomicU64::new(0),
            is_closing: AtomicBool::new(false),
        });
        let _ = opened.send(Ok((shared.clone(), found)));
        Loop {
            replica,
            shared,
            clock,
            hooks,
            doors: BTreeMap::new(),
            shown: None,
            next_tick: Duration::ZERO,
            next_beat: Duration::ZERO,
        }
        .run()
    };
    let thread = thread::Builder::new()
        .name("replica".into())
        .spawn(body)
        .map_err(OpenError::io("start the replica's thread"))?;
    match when_open.recv() {
        Ok(Ok((shared, found))) => {
            let handle = ReplicaHandle { shared };
            Ok((Running { handle, thread }, found))
        }
        Ok(Err(error)) => {
            let _ = thread.join();
            Err(error)
        }
        Err(_) => Err(OpenError::Identity(
            "the replica's thread panicked while it opened".into(),
        )),
    }
}

/// A thread of this class that runs a second without a pause is taken for a
/// runaway, and the process ends. One that has much to do pauses by itself, and
/// others are let run.
const REST_EVERY: Duration = Duration::from_millis(100);
const REST: Duration = Duration::from_micros(100);

/// How often the thread shows that it is alive.
const BEAT: Duration = Duration::from_millis(900);

struct Loop {
    replica: Replica,
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    hooks: Hooks,
    doors: BTreeMap<u64, (Replies, Arc<OnceLock<Wake>>)>,
    /// The topics that were shown last.
    shown: Option<Arc<Topics>>,
    next_tick: Duration,
    next_beat: Duration,
}

impl Loop {
    fn run(mut self) -> Result<(), Fatal> {
        let pulse = Pulse::start(self.shared.waker.clone(), self.replica.settings.tick);
        let outcome = self.live();
        self.shared.end();
        pulse.stop();
        match outcome {
            Ok(()) => self.replica.seal(),
            Err(fatal) => {
                (self.hooks.fatal)(&fatal);
                Err(fatal)
            }
        }
    }

    fn live(&mut self) -> Result<(), Fatal> {
        let mut arrived = Vec::new();
        let mut rested = self.clock.monotonic();
        self.replica.lead_at_once_if_alone(self.now());
        while !self.shared.is_closing.load(Ordering::Acquire) {
            let now = self.now();
            self.shared.swap(&mut arrived);
            for message in arrived.drain(..) {
                self.take(now, message);
            }
            self.tick(now)?;
            self.replica.turn(now)?;
            self.deliver();
            if self.replica.is_waiting() {
                self.wait();
                rested = now.monotonic;
            } else if now.monotonic.saturating_sub(rested) > REST_EVERY {
                thread::park_timeout(REST);
                rested = now.monotonic;
            }
        }
        Ok(())
    }

    fn wait(&mut self) {
        let shared = &self.shared;
        let Some((until, enough)) = self.replica.holds() else {
            return self.replica.wait(None, &mut || shared.is_quiet(1));
        };
        let at_most = until.saturating_sub(self.clock.monotonic());
        if !at_most.is_zero() {
            let mut is_quiet = || shared.is_quiet(enough);
            self.replica.wait(Some(at_most), &mut is_quiet);
        }
    }

    fn now(&self) -> Now {
        Now {
            wall: self.clock.now(),
            monotonic: self.clock.monotonic(),
        }
    }

    fn take(&mut self, now: Now, message: Message) {
        match message {
            Message::Asks(door, asks) => {
                for ask in asks {
                    self.replica.ask(now, of_door(door, ask));
                }
            }
            Message::Door(number, replies, wake) => {
                self.doors.insert(number, (replies, wake));
            }
            Message::Heard(from, bytes) => self.replica.heard(now, from, &bytes),
            Message::PeerUp(node, release) => self.replica.peer_up(now, node, release),
            Message::PeerDown(node) => self.replica.peer_down(now, node),
            Message::Command(command, done) => self.replica.command(now, *command, Some(done)),
            Message::Look(look) => look(&mut self.replica, now),
        }
    }

    fn tick(&mut self, now: Now) -> Result<(), Fatal> {
        if now.monotonic >= self.next_beat {
            self.next_beat = now.monotonic + BEAT;
            (self.hooks.beat)();
        }
        if now.monotonic < self.next_tick {
            return Ok(());
        }
        self.next_tick = now.monotonic + self.replica.settings.tick;
        self.replica.tick(now)
    }

    /// Held on to, the ones that were shown cannot be changed: what is changed
    /// since is another `Arc`.
    fn show_topics(&mut self) {
        let Some(topics) = self.replica.topics() else {
            return;
        };
        let is_shown = |shown: &Arc<Topics>| Arc::ptr_eq(shown, topics);
        if !self.shown.as_ref().is_some_and(is_shown) {
            self.shown = Some(topics.clone());
            (self.hooks.topics)(topics);
        }
    }

    fn deliver(&mut self) {
        let sends = self.replica.take_sends();
        if !sends.is_empty() {
            (self.hooks.send)(sends);
        }
        if self.replica.take_members_changed() {
            (self.hooks.members)(&self.replica);
        }
        self.show_topics();
        let mut replies = Vec::new();
        self.replica.take_replies(&mut replies);
        if replies.is_empty() {
            return;
        }
        let door_of = |reply: &Reply| reply.connection().0 >> DOOR_SHIFT;
        let mut replies = replies.into_iter().peekable();
        while let Some(first) = replies.peek() {
            let number = door_of(first);
            let Some((queue, wake)) = self.doors.get(&number) else {
                replies.next();
                continue;
            };
            let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
            while let Some(reply) = replies.next_if(|reply| door_of(reply) == number) {
                queue.push(for_door(reply));
            }
            drop(queue);
            if let Some(wake) = wake.get() {
                wake();
            }
        }
    }
}

/// A door's own number of a connection, made everybody's.
fn of_door(door: u64, mut ask: Ask) -> Ask {
    let whole = |own: &mut ConnectionId| own.0 |= door << DOOR_SHIFT;
    match &mut ask {
        Ask::Open { connection, .. }
        | Ask::Identify { connection, .. }
        | Ask::Request { connection, .. }
        | Ask::Question { connection, .. }
        | Ask::Gone { connection } => whole(connection),
    }
    ask
}

/// And back.
fn for_door(mut reply: Reply) -> Reply {
    match &mut reply {
        Reply::Opened { connection, .. }
        | Reply::NotOpened { connection, .. }
        | Reply::Answer { connection, .. }
        | Reply::Event { connection, .. }
        | Reply::Shown { connection, .. }
        | Reply::Close { connection, .. } => connection.0 &= (1 << DOOR_SHIFT) - 1,
    }
    reply
}

/// Wakes the replica's thread at every tick, which otherwise sleeps until the
/// disk or a message wakes it.
struct Pulse {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Pulse {
    #[allow(clippy::disallowed_methods)] // a thread of the replica's own
    fn start(waker: Waker, tick: Duration) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let seen = is_over.clone();
        let body = move || {
            while !seen.load(Ordering::Acquire) {
                thread::park_timeout(tick);
                waker.wake();
            }
        };
        let thread = thread::Builder::new().name("pulse".into()).spawn(body);
        Self {
            is_over,
            thread: thread.ok(),
        }
    }

    fn stop(mut self) {
        self.is_over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::desk::{Question, Request};

    fn ask(request: Request) -> Ask {
        Ask::Request {
            connection: ConnectionId(1),
            tag: 1,
            request,
        }
    }

    fn writes(count: usize) -> Message {
        let write = || ask(Request::Submit(Command::CloseSession));
        Message::Asks(1, (0..count).map(|_| write()).collect())
    }

    /// The wakes of a sleeper who comes back for `enough` writes.
    fn wakes(enough: usize, messages: Vec<Message>) -> Vec<bool> {
        let woken = Arc::new(AtomicU64::new(0));
        let seen = woken.clone();
        let shared = Shared {
            inbox: Mutex::default(),
            waker: Waker::new(move || _ = seen.fetch_add(1, Ordering::Relaxed)),
            doors: AtomicU64::new(0),
            is_closing: AtomicBool::new(false),
        };
        assert!(shared.is_quiet(enough), "nothing has come");
        let mut send = |message| {
            let before = woken.load(Ordering::Relaxed);
            shared.send(message);
            woken.load(Ordering::Relaxed) > before
        };
        messages.into_iter().map(&mut send).collect()
    }

    #[test]
    fn who_holds_nothing_is_woken_by_the_first() {
        assert_eq!(wakes(1, vec![writes(1)]), [true]);
        assert_eq!(wakes(0, vec![writes(1)]), [true]);
    }

    #[test]
    fn who_holds_writes_is_woken_when_enough_have_come() {
        let three = vec![writes(1), writes(1), writes(2), writes(1)];
        assert_eq!(wakes(4, three), [false, false, true, true]);
    }

    #[test]
    fn what_is_no_write_wakes_at_once() {
        let ping = Message::Asks(1, vec![ask(Request::Ping)]);
        assert_eq!(wakes(9, vec![writes(1), ping]), [false, true]);
        let question = Ask::Question {
            connection: ConnectionId(1),
            question: Question::Standing,
        };
        assert_eq!(wakes(9, vec![Message::Asks(1, vec![question])]), [true]);
        assert_eq!(wakes(9, vec![Message::PeerDown(NodeId(2))]), [true]);
    }

    #[test]
    fn what_was_taken_counts_no_more() {
        let shared = Shared {
            inbox: Mutex::default(),
            waker: Waker::new(|| {}),
            doors: AtomicU64::new(0),
            is_closing: AtomicBool::new(false),
        };
        shared.send(writes(3));
        assert!(!shared.is_quiet(2));
        shared.swap(&mut Vec::new());
        assert!(shared.is_quiet(2));
    }
}
