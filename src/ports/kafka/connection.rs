//! One connection as a task: reads while the session wants bytes, lets it begin
//! what may begin, writes what it puts out, and ends it in time.

use super::counts::Counts;
use super::session::{Cut, Session};
use super::socket::{Ended, Here, Socket};
use crate::clock::Clock;
use crate::limits::KAFKA_READ_BYTES_PER_TURN;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Sleep, sleep, timeout};

/// How long what has begun is carried on for a client that has left.
const CARRYING_TIME_MAX: Duration = Duration::from_secs(30);
/// How long a closing door waits for what is owed.
pub const DRAINING_TIME_MAX: Duration = Duration::from_secs(2);
/// A client that takes nothing for so long is closed where others want the memory
/// that it has. This is also how often that is looked at.
const PRESSED_TIME_MAX: Duration = Duration::from_secs(10);
/// And one that takes its answers slower than this: it gives up itself at 256 kbit/s.
const PRESSED_BYTES_PER_SECOND: u64 = 32 << 10;

/// How long a connection may be silent, or wait.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Until its first request from who is admitted.
    pub first_request: Duration,
    /// A frame for memory.
    pub memory: Duration,
    pub idle: Duration,
}

pub struct Connection {
    socket: Socket,
    session: Session,
    clock: Arc<dyn Clock>,
    counts: Arc<Counts>,
    patience: Patience,
    accepted: Duration,
    /// When bytes last went either way.
    moved: Duration,
    /// When the client last took something, or was owed nothing.
    took: Duration,
    /// When it was last owed nothing, and what it has taken since.
    even: Duration,
    taken_bytes: u64,
    timer: Pin<Box<Sleep>>,
    timer_due: Duration,
}

/// Why there is nothing to do in turns.
enum Rest {
    /// The client is not heard before then.
    Muted(Duration),
    /// Its frame waits for memory, and nothing else is to be done.
    HeldUp,
    Ever(Last),
}

/// How a turn ends that is the last one.
enum Last {
    /// All is said.
    Over,
    /// The client is not there any more.
    Left,
}

impl Connection {
    pub fn new(
        socket: Socket,
        session: Session,
        clock: Arc<dyn Clock>,
        counts: Arc<Counts>,
        patience: Patience,
        accepted: Duration,
    ) -> Self {
        let now = clock.monotonic();
        Self {
            socket,
            session,
            clock,
            counts,
            patience,
            accepted,
            moved: now,
            took: now,
            even: now,
            taken_bytes: 0,
            timer: Box::pin(sleep(Duration::ZERO)),
            timer_due: now,
        }
    }

    /// Serves the client until it leaves, is cut off, or the door is closed, and
    /// tells for what it was cut off.
    pub async fn serve(mut self, mut closing: watch::Receiver<bool>) -> Option<Cut> {
        let last = tokio::select! {
            last = self.run() => last,
            _ = closing.wait_for(|is_closing| *is_closing) => Last::Over,
        };
        if matches!(last, Last::Over) && !self.session.is_over() {
            self.session.give_up_fetch();
            self.session.leave();
            let drained = poll_fn(|wake| self.poll(wake));
            let _ = timeout(DRAINING_TIME_MAX, drained).await;
        }
        let cut = self.session.take_cut();
        match last {
            Last::Over => self.socket.say_goodbye().await,
            Last::Left => drop(self.socket),
        }
        self.session.client_left();
        if self.session.has_begun() {
            tokio::select! {
                () = carry_on(&mut self.session, &*self.clock) => {}
                _ = closing.wait_for(|is_closing| *is_closing) => {}
            }
        }
        cut
    }

    async fn run(&mut self) -> Last {
        loop {
            match poll_fn(|wake| self.poll(wake)).await {
                Rest::Muted(until) => self.sit_out(until).await,
                Rest::HeldUp => self.wait_for_memory().await,
                Rest::Ever(last) => return last,
            }
        }
    }

    /// All is answered, and what comes is left in the network until then: it
    /// costs nothing but a timer. That the client closes is seen all the same.
    async fn sit_out(&mut self, until: Duration) {
        let left = until.saturating_sub(self.clock.monotonic());
        tokio::select! {
            () = sleep(left) => {}
            () = self.socket.client_closes() => self.session.client_closes(),
        }
        self.moved = self.clock.monotonic();
    }

    /// Nothing is read before there is memory for it, so that the client has left
    /// is looked for by itself: what it sent of its frame has memory that others
    /// wait for. It is seen where the kernel has room for all that was sent before.
    /// Who was muted and has closed since is carried on all the same.
    async fn wait_for_memory(&mut self) {
        let Self {
            socket,
            session,
            clock,
            timer,
            ..
        } = self;
        let is_watched = !session.is_closing();
        let room = poll_fn(|wake| session.poll_held_up(wake, clock.monotonic()));
        let has_left = tokio::select! {
            () = room => false,
            () = timer.as_mut() => false,
            () = socket.client_closes(), if is_watched => true,
        };
        if has_left {
            self.session.end_of_input();
        }
    }

    fn poll(&mut self, wake: &mut Context<'_>) -> Poll<Rest> {
        let now = self.clock.monotonic();
        self.session.heed_mute(now);
        if self.session.unsent() == 0 {
            (self.took, self.even, self.taken_bytes) = (now, now, 0);
        }
        self.session.poll_begun(wake, now);
        match self.turn(wake, now) {
            Ok(()) => {}
            Err(Ended::Left) => return Poll::Ready(Rest::Ever(Last::Left)),
            Err(Ended::Cut(cut)) => {
                self.session.cut_off(cut);
                return Poll::Ready(Rest::Ever(Last::Over));
            }
        }
        let is_idle = self.session.is_idle() && self.socket.is_flushed();
        if self.session.is_over() && is_idle {
            return Poll::Ready(Rest::Ever(Last::Over));
        }
        self.session.heed_mute(now);
        match self.session.muted_until(now) {
            Some(until) if is_idle => return Poll::Ready(Rest::Muted(until)),
            _ => {}
        }
        match self.look_at_time(wake, now) {
            Poll::Ready(last) => Poll::Ready(Rest::Ever(last)),
            Poll::Pending if is_idle && self.session.is_only_held_up() => Poll::Ready(Rest::HeldUp),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Reads, begins and writes until nothing moves.
    fn turn(&mut self, wake: &mut Context<'_>, now: Duration) -> Result<(), Ended> {
        let mut left = KAFKA_READ_BYTES_PER_TURN;
        loop {
            self.session.begin(wake, now);
            let sent = self.socket.poll_send(wake, &mut self.session)?;
            let received = self.read(wake, now, &mut left)?;
            if sent > 0 {
                self.counts.sent_bytes.add(sent as u64);
                (self.moved, self.took) = (now, now);
                self.taken_bytes += sent as u64;
            }
            if received {
                self.moved = now;
            }
            if sent == 0 && !received {
                return Ok(());
            }
        }
    }

    /// Whether something came.
    fn read(
        &mut self,
        wake: &mut Context<'_>,
        now: Duration,
        left: &mut usize,
    ) -> Result<bool, Ended> {
        let mut has_come = false;
        if self.session.is_held_up() {
            self.session.arrive(&mut &[][..], wake, now);
        }
        while self.session.wants_bytes(now) && !self.session.is_held_up() {
            match self.socket.here()? {
                Here::Bytes(bytes) => {
                    let mut rest = bytes;
                    self.session.arrive(&mut rest, wake, now);
                    let taken = bytes.len() - rest.len();
                    self.socket.take(taken);
                    has_come |= taken > 0;
                    continue;
                }
                Here::End => {
                    self.session.end_of_input();
                    return Ok(true);
                }
                Here::Nothing => {}
            }
            if *left == 0 {
                wake.waker().wake_by_ref();
                break;
            }
            match self.socket.poll_fill(wake, self.session.place())? {
                Poll::Pending => break,
                Poll::Ready(0) => {
                    self.session.end_of_input();
                    return Ok(true);
                }
                Poll::Ready(bytes) => {
                    *left = left.saturating_sub(bytes);
                    self.counts.received_bytes.add(bytes as u64);
                    self.session.arrive(&mut &[][..], wake, now);
                    has_come = true;
                }
            }
        }
        Ok(has_come)
    }

    /// Ends what takes too long, and sets the timer for when to look again.
    fn look_at_time(&mut self, wake: &mut Context<'_>, now: Duration) -> Poll<Last> {
        let due = match self.due(now) {
            Ok(due) => due,
            Err(cut) => {
                cut.into_iter().for_each(|cut| self.session.cut_off(cut));
                self.session.leave();
                return Poll::Ready(Last::Over);
            }
        };
        if due < self.timer_due || self.timer_due <= now {
            self.timer.set(sleep(due - now));
            self.timer_due = due;
        }
        while self.timer.as_mut().poll(wake).is_ready() {
            // It was set for an earlier time than is meant by now, or rings just
            // before what the clock says.
            let wait = due.saturating_sub(now).max(Duration::from_millis(1));
            self.timer.set(sleep(wait));
            self.timer_due = now + wait;
        }
        Poll::Pending
    }

    /// When time will be up for something, or what it is up for: None for a
    /// client that was idle.
    fn due(&self, now: Duration) -> Result<Duration, Option<Cut>> {
        let mut next = now + self.patience.idle;
        let mut may_last = |until: Duration, cut: Option<Cut>| {
            next = next.min(until);
            if until > now { Ok(()) } else { Err(cut) }
        };
        if let Some(until) = self.session.muted_until(now) {
            may_last(until, None)?;
        }
        if let Some(until) = self.session.frame_due() {
            may_last(until, Some(self.session.slow_frame()))?;
        }
        if let Some(since) = self.session.waits_since() {
            may_last(since + self.patience.memory, Some(self.session.no_memory()))?;
        }
        let unsent = self.session.unsent();
        if unsent > 0 {
            let until = self.took + self.patience.idle;
            let until = match self.session.is_pressed() {
                true => until.min(self.pressed_until()),
                false => until,
            };
            may_last(until, Some(Cut::SlowReader { unsent }))?;
            may_last(now + PRESSED_TIME_MAX, None)?;
        } else if !self.session.has_begun() && !self.session.is_held_up() {
            may_last(self.moved + self.patience.idle, None)?;
        }
        if !self.session.has_introduced_itself() && !self.session.has_begun() {
            let until = self.accepted + self.patience.first_request;
            may_last(until, Some(Cut::Silent))?;
        }
        Ok(next)
    }

    /// When a client that owes others the memory of its answers must have taken more.
    fn pressed_until(&self) -> Duration {
        let more = Duration::from_secs(self.taken_bytes / PRESSED_BYTES_PER_SECOND);
        self.took.min(self.even + more) + PRESSED_TIME_MAX
    }
}

/// Carries on what the client began and will not hear of.
async fn carry_on(session: &mut Session, clock: &dyn Clock) {
    let carried = poll_fn(|wake| {
        session.poll_begun(wake, clock.monotonic());
        match session.has_begun() {
            true => Poll::Pending,
            false => Poll::Ready(()),
        }
    });
    let _ = timeout(CARRYING_TIME_MAX, carried).await;
}
