//! The loop of the door's one thread. A turn reads every socket that is ready,
//! hands all whole requests to the replica as one batch, takes what the
//! replica has answered, and writes once to each connection that it concerns.

use super::connection::{Connection, End};
use super::counts::Counts;
use super::seat::Seat;
use super::session::{AtHand, Session};
use super::words::{self, ConnectionShown, Figures, Latency, Sight, Word};
use super::{Limits, Settings, Shared};
use crate::clock::{Clock, Millis};
use crate::disk::class::{self, Class};
use crate::replica::desk::{Ask, ConnectionId, Desk, Reply, Shown};
use crate::state::Identity;
use mio::event::Event;
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token, Waker};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const LISTENER: Token = Token(usize::MAX - 1);
const CALLED: Token = Token(usize::MAX - 2);

/// Events of one turn. More come in the next.
const EVENTS: usize = 1024;
/// Connections accepted in one turn, so that a flood of them leaves the others
/// their turn.
const ACCEPTS_PER_TURN: usize = 64;
/// One read. A turn of 64 clients with a request each fits many times.
const BUFFER_BYTES: usize = 64 << 10;
/// The pace of accepting while the machine has no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// How often deadlines are looked at, where none is nearer.
const SWEEP: Duration = Duration::from_secs(1);
/// The journal's pace of telling that connections are turned away: who knocks
/// too often does so a thousand times a second.
const TELLING_PAUSE: Duration = Duration::from_secs(10);
/// How long a connection that has heard all may take to leave, and how long
/// closing the door waits for what is owed.
const LEAVING_TIME_MAX: Duration = Duration::from_secs(2);
/// A connection's number holds its slot in the low bits, so that finding it
/// costs a look; the rest counts up for the life of the process.
const SLOT_BITS: u32 = 20;

/// What all sessions work with.
struct Work {
    settings: Settings,
    counts: Arc<Counts>,
    latency: Latency,
    asks: Vec<Ask>,
    /// How many more requests are taken.
    room: usize,
    /// Requests beyond a bound that was lowered: their answers make no room.
    debt: usize,
    now_us: u64,
    now: Millis,
    nonce_seed: [u8; 32],
}

impl Work {
    fn outstanding(&self) -> usize {
        self.settings.outstanding_max + self.debt - self.room
    }

    /// So many requests are outstanding no more.
    fn make_room(&mut self, count: usize) {
        let paid = count.min(self.debt);
        self.debt -= paid;
        self.room += count - paid;
    }

    fn take_limits(&mut self, limits: Limits) {
        let outstanding = self.outstanding();
        self.settings.take(limits);
        self.room = limits.outstanding_max.saturating_sub(outstanding);
        self.debt = outstanding.saturating_sub(limits.outstanding_max);
    }

    fn hand(&mut self) -> AtHand<'_> {
        AtHand {
            terms: &self.settings.terms,
            counts: &self.counts,
            latency: &mut self.latency,
            asks: &mut self.asks,
            room: &mut self.room,
            now_us: self.now_us,
            now: self.now,
            nonce_seed: &self.nonce_seed,
        }
    }
}

pub struct Server {
    poll: Poll,
    listener: Option<TcpListener>,
    address: SocketAddr,
    wake: Arc<dyn Fn() + Send + Sync>,
    desk: Arc<dyn Desk>,
    clock: Arc<dyn Clock>,
    shared: Arc<Shared>,
    work: Work,
    slots: Vec<Option<Connection>>,
    free: Vec<usize>,
    per_address: BTreeMap<IpAddr, usize>,
    next_number: u64,
    replies: Vec<Reply>,
    /// Slots to read from in this turn.
    busy: Vec<usize>,
    /// Slots to write to at its end.
    dirty: Vec<usize>,
    /// Slots whose requests wait for answers to make room.
    held_up: Vec<usize>,
    buffer: Vec<u8>,
    may_accept: bool,
    accept_after_us: u64,
    next_sweep_us: u64,
    tell_after_us: u64,
    figures_since: Millis,
    received_before: u64,
    sent_before: u64,
    closing_until_us: Option<u64>,
    seat: Seat,
}

impl Server {
    #[allow(clippy::disallowed_methods)] // a door's home
    pub fn listen(
        mut settings: Settings,
        desk: Arc<dyn Desk>,
        clock: Arc<dyn Clock>,
        nonce_seed: [u8; 32],
        counts: Arc<Counts>,
        shared: Arc<Shared>,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut listener = TcpListener::bind(settings.listen)?;
        let address = listener.local_addr()?;
        let registry = poll.registry();
        registry.register(&mut listener, LISTENER, Interest::READABLE)?;
        let waker = Waker::new(registry, CALLED)?;
        let wake: Arc<dyn Fn() + Send + Sync> = Arc::new(move || {
            if let Err(error) = waker.wake() {
                tracing::error!(door = "zookeeper", %error, "the door could not be woken");
            }
        });
        desk.call(wake.clone());
        settings.about.client_port = address.port();
        settings.about.is_tls_only = settings.tls_only;
        settings.tell_about();
        let room = settings.outstanding_max;
        let now = clock.now();
        Ok(Self {
            poll,
            listener: Some(listener),
            address,
            wake,
            desk,
            clock,
            shared,
            work: Work {
                settings,
                counts,
                latency: Latency::default(),
                asks: Vec::new(),
                room,
                debt: 0,
                now_us: 0,
                now,
                nonce_seed,
            },
            slots: Vec::new(),
            free: Vec::new(),
            per_address: BTreeMap::new(),
            next_number: 1,
            replies: Vec::new(),
            busy: Vec::new(),
            dirty: Vec::new(),
            held_up: Vec::new(),
            buffer: vec![0; BUFFER_BYTES],
            may_accept: true,
            accept_after_us: 0,
            next_sweep_us: 0,
            tell_after_us: 0,
            figures_since: now,
            received_before: 0,
            sent_before: 0,
            closing_until_us: None,
            seat: Seat::default(),
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn wake(&self) -> Arc<dyn Fn() + Send + Sync> {
        self.wake.clone()
    }

    /// Serves until the door is closed and what was owed has left.
    pub fn run(mut self) {
        let granted = class::take(Class::Doors);
        tracing::debug!(
            door = "zookeeper",
            ?granted,
            "the door's thread has its class"
        );
        let mut events = Events::with_capacity(EVENTS);
        while !self.is_done() {
            match self.poll.poll(&mut events, self.wait()) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                // The poll's own descriptor is gone: nothing can be served.
                Err(error) => panic!("the ZooKeeper door cannot wait: {error}"),
            }
            self.turn(&events);
        }
        for slot in 0..self.slots.len() {
            self.remove(slot, &End::Left);
        }
        self.say();
    }

    fn is_done(&self) -> bool {
        let is_empty = self.free.len() == self.slots.len();
        self.closing_until_us
            .is_some_and(|until_us| is_empty || self.work.now_us >= until_us)
    }

    fn wait(&self) -> Option<Duration> {
        if !self.busy.is_empty() || (self.may_accept && self.accept_after_us == 0) {
            return Some(Duration::ZERO);
        }
        let is_empty = self.free.len() == self.slots.len();
        let until_us = match (self.closing_until_us, self.may_accept) {
            (Some(until_us), _) => until_us.min(self.next_sweep_us),
            (None, true) => self.accept_after_us,
            (None, false) if is_empty => return None,
            (None, false) => self.next_sweep_us,
        };
        Some(Duration::from_micros(
            until_us.saturating_sub(self.now_us()),
        ))
    }

    fn now_us(&self) -> u64 {
        self.clock.monotonic().as_micros() as u64
    }

    fn turn(&mut self, events: &Events) {
        self.work.now_us = self.now_us();
        self.work.now = self.clock.now();
        let mut is_called = false;
        for event in events {
            match event.token() {
                LISTENER => self.may_accept = true,
                CALLED => is_called = true,
                Token(slot) => self.note(slot, event),
            }
        }
        if let Some(limits) = self.shared.take_limits() {
            self.work.take_limits(limits);
            self.try_held_up();
        }
        if self.shared.is_closing.load(Ordering::Acquire) && self.closing_until_us.is_none() {
            self.begin_closing();
        }
        if self.may_accept && self.work.now_us >= self.accept_after_us {
            self.accept();
        }
        self.read_all();
        self.say();
        if is_called {
            self.hear();
            self.read_all();
            self.say();
        }
        self.flush_all();
        self.seat.look(self.work.now_us);
        if self.work.now_us >= self.next_sweep_us {
            self.sweep();
        }
        let live = self.slots.len() - self.free.len();
        self.work.counts.connections.set(live as u64);
        let outstanding = self.work.outstanding() as u64;
        self.work.counts.outstanding.set(outstanding);
    }

    fn note(&mut self, slot: usize, event: &Event) {
        let Some(Some(connection)) = self.slots.get_mut(slot) else {
            return;
        };
        if event.is_readable() {
            connection.may_read = true;
        }
        connection.is_read_closed |= event.is_read_closed();
        connection.has_failed |= event.is_error();
        if event.is_writable() {
            connection.may_write = true;
        }
        self.mark_busy(slot);
        self.mark_dirty(slot);
    }

    fn mark_busy(&mut self, slot: usize) {
        if let Some(connection) = &mut self.slots[slot]
            && !connection.is_busy
        {
            connection.is_busy = true;
            self.busy.push(slot);
        }
    }

    fn mark_dirty(&mut self, slot: usize) {
        if let Some(connection) = &mut self.slots[slot]
            && !connection.is_dirty
        {
            connection.is_dirty = true;
            self.dirty.push(slot);
        }
    }

    fn mark_held_up(&mut self, slot: usize) {
        if let Some(connection) = &mut self.slots[slot]
            && !connection.is_held_up
        {
            connection.is_held_up = true;
            self.held_up.push(slot);
        }
    }

    fn accept(&mut self) {
        self.accept_after_us = 0;
        for _ in 0..ACCEPTS_PER_TURN {
            let Some(listener) = &self.listener else {
                self.may_accept = false;
                return;
            };
            match listener.accept() {
                Ok((socket, peer)) => self.admit(socket, peer),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.may_accept = false;
                    return;
                }
                Err(error) if is_of_the_client(&error) => {}
                Err(error) => {
                    tracing::warn!(door = "zookeeper", %error, "accept failed");
                    self.accept_after_us = self.work.now_us + ACCEPT_PAUSE.as_micros() as u64;
                    return;
                }
            }
        }
    }

    fn admit(&mut self, mut socket: mio::net::TcpStream, peer: SocketAddr) {
        let address = peer.ip().to_canonical();
        let live = self.slots.len() - self.free.len();
        let of_address = self.per_address.get(&address).copied().unwrap_or(0);
        let settings = &self.work.settings;
        if live >= settings.connections_max {
            return self.turn_away(address, "the door has", live, "connections_max");
        }
        if of_address >= settings.connections_per_address_max {
            return self.turn_away(address, "it has", of_address, "connections_per_ip_max");
        }
        let slot = self.free.last().copied().unwrap_or(self.slots.len());
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registered = self
            .poll
            .registry()
            .register(&mut socket, Token(slot), interest);
        if registered.is_err() || socket.set_nodelay(true).is_err() {
            return; // it has left already
        }
        let number = ConnectionId(self.next_number << SLOT_BITS | slot as u64);
        self.next_number += 1;
        let who = vec![Identity::new("ip", &address.to_string())];
        let session = Session::new(number, who);
        let mut connection = Connection::new(socket, peer, session, self.work.now_us);
        connection.established = self.work.now;
        if self.free.pop().is_some() {
            self.slots[slot] = Some(connection);
        } else {
            self.slots.push(Some(connection));
        }
        *self.per_address.entry(address).or_default() += 1;
        self.mark_busy(slot);
    }

    fn turn_away(&mut self, address: IpAddr, who_has: &str, count: usize, setting: &str) {
        let all = &self.work.counts.turned_away;
        all.add(1);
        if self.work.now_us < self.tell_after_us {
            return;
        }
        self.tell_after_us = self.work.now_us + TELLING_PAUSE.as_micros() as u64;
        let all = all.get();
        tracing::warn!(
            door = "zookeeper",
            "{address} is turned away: {who_has} {count} connections, as many as \
             /dolmen/config/zookeeper.{setting} allows ({all} turned away since the start)"
        );
    }

    /// Reads from every busy connection, and lets those go on that were held
    /// up. Who has more to read stays busy for the next turn.
    fn read_all(&mut self) {
        for slot in std::mem::take(&mut self.busy) {
            if let Err(end) = self.read(slot) {
                self.remove(slot, &end);
            }
        }
    }

    fn read(&mut self, slot: usize) -> Result<(), End> {
        let Some(connection) = &mut self.slots[slot] else {
            return Ok(());
        };
        connection.is_busy = false;
        if connection.has_failed {
            return Err(End::Left);
        }
        let tls_only = self.work.settings.tls_only;
        let mut hand = self.work.hand();
        if connection.session.is_held_up() {
            connection.session.proceed(&connection.out, &mut hand);
        }
        let shared = &self.shared;
        connection.read(&mut self.buffer, || shared.tls(), tls_only, &mut hand)?;
        let (is_held_up, has_more) = (connection.session.is_held_up(), connection.has_more());
        if connection.is_over() {
            return Err(End::Left);
        }
        let word = connection.session.word().filter(|_| !connection.has_asked);
        if connection.has_to_write() {
            self.mark_dirty(slot);
        }
        if is_held_up {
            self.mark_held_up(slot);
        }
        if has_more {
            self.mark_busy(slot);
        }
        if let Some(word) = word {
            self.ask(slot, word);
        }
        Ok(())
    }

    /// Hands over what has been asked, as one batch.
    fn say(&mut self) {
        if !self.work.asks.is_empty() {
            let writes = self.work.asks.iter().filter(|ask| ask.is_write()).count();
            self.seat.count(self.work.asks.len(), writes);
            self.desk.say(&mut self.work.asks);
            assert!(self.work.asks.is_empty(), "the replica takes every ask");
        }
    }

    /// Takes what the replica says. Answers make room for requests that were
    /// held up.
    fn hear(&mut self) {
        self.desk.take(&mut self.replies);
        let mut replies = std::mem::take(&mut self.replies);
        for reply in replies.drain(..) {
            self.hear_one(reply);
        }
        self.replies = replies;
        self.try_held_up();
    }

    /// There may be room for those that waited for it.
    fn try_held_up(&mut self) {
        for slot in std::mem::take(&mut self.held_up) {
            if let Some(connection) = &mut self.slots[slot] {
                connection.is_held_up = false;
            }
            self.mark_busy(slot);
        }
    }

    fn hear_one(&mut self, reply: Reply) {
        let number = reply.connection();
        let slot = (number.0 & ((1 << SLOT_BITS) - 1)) as usize;
        let Some(Some(connection)) = self.slots.get_mut(slot) else {
            return; // gone, and the replica did not know yet
        };
        if connection.session.connection() != number {
            return;
        }
        if let Reply::Shown { shown, .. } = reply {
            if let Some(word) = connection.session.word() {
                self.tell(slot, word, Some(shown));
            }
            return;
        }
        let is_answer = matches!(reply, Reply::Answer { .. });
        let owed_before = connection.session.owed();
        let mut hand = self.work.hand();
        connection
            .session
            .hear(reply, &mut connection.out, &mut hand);
        if is_answer {
            self.work.make_room(owed_before - connection.session.owed());
        }
        // A session that has just opened may have more to say.
        if connection.has_more() {
            self.mark_busy(slot);
        }
        let waits = |connection: &Connection| connection.session.is_held_up();
        if self.slots[slot].as_ref().is_some_and(waits) {
            self.mark_held_up(slot);
        }
        self.mark_dirty(slot);
    }

    /// A four-letter word: refused, answered, or asked of the replica first.
    fn ask(&mut self, slot: usize, word: Word) {
        let Some(connection) = &mut self.slots[slot] else {
            return;
        };
        connection.has_asked = true;
        if !self.work.settings.terms.words.contains(&word) {
            connection.out.extend_from_slice(word.refusal().as_bytes());
            connection.session.told(&self.work.hand());
            return self.mark_dirty(slot);
        }
        match word.question() {
            Some(question) => self.work.asks.push(Ask::Question {
                connection: connection.session.connection(),
                question,
            }),
            None => self.tell(slot, word, None),
        }
    }

    fn tell(&mut self, slot: usize, word: Word, shown: Option<Shown>) {
        match word {
            Word::Crst => self
                .connections_mut()
                .for_each(|c| c.session.reset_figures()),
            Word::Srst => self.reset_figures(),
            _ => {}
        }
        let lists = matches!(word, Word::Cons | Word::Stat);
        let look = self.work.settings.about.open_files;
        let look = look.filter(|_| word == Word::Mntr);
        let open_files = look.map(|look| look()).unwrap_or_default();
        let sight = Sight {
            about: &self.work.settings.about,
            shown,
            figures: Figures {
                open_files,
                ..self.figures()
            },
            connections: self.shown_connections(lists),
        };
        let text = words::answer(word, &sight);
        if let Some(connection) = &mut self.slots[slot] {
            connection.out.extend_from_slice(text.as_bytes());
            connection.session.told(&self.work.hand());
        }
        self.mark_dirty(slot);
    }

    fn connections_mut(&mut self) -> impl Iterator<Item = &mut Connection> {
        self.slots.iter_mut().flatten()
    }

    fn reset_figures(&mut self) {
        self.work.latency = Latency::default();
        self.received_before = self.work.counts.received.get();
        self.sent_before = self.work.counts.sent.get();
    }

    fn figures(&self) -> Figures {
        let counts = &self.work.counts;
        Figures {
            latency: self.work.latency,
            received: counts.received.get() - self.received_before,
            sent: counts.sent.get() - self.sent_before,
            connections: (self.slots.len() - self.free.len()) as u64,
            outstanding: self.work.outstanding() as u64,
            uptime_ms: self.work.now.0.saturating_sub(self.figures_since.0),
            ..Figures::default()
        }
    }

    fn shown_connections(&self, lists: bool) -> Vec<ConnectionShown> {
        let listed = self.slots.iter().flatten().filter(|_| lists);
        listed
            .map(|connection| {
                let session = &connection.session;
                let figures = session.figures();
                ConnectionShown {
                    peer: connection.peer.to_string(),
                    is_reading: session.wants_bytes(),
                    queued: session.owed(),
                    received: figures.received,
                    sent: figures.sent,
                    session: session.session(),
                    timeout_ms: session.timeout_ms(),
                    last_operation: figures.last_operation,
                    established: connection.established,
                    last_xid: figures.last_xid,
                    last_zxid: figures.last_zxid,
                    last_response: figures.last_response,
                    last_latency_us: figures.last_latency_us,
                    latency: figures.latency,
                }
            })
            .collect()
    }

    fn flush_all(&mut self) {
        for slot in std::mem::take(&mut self.dirty) {
            if let Err(end) = self.flush(slot) {
                self.remove(slot, &end);
            }
        }
        self.say(); // of those that are gone
    }

    fn flush(&mut self, slot: usize) -> Result<(), End> {
        let Some(connection) = &mut self.slots[slot] else {
            return Ok(());
        };
        connection.is_dirty = false;
        let unsent_before = connection.unsent();
        if connection.may_write && connection.has_to_write() {
            connection.flush(self.work.now_us, &self.work.hand())?;
        }
        // What has left makes room for requests, too.
        let goes_on = connection.session.is_held_up() && connection.unsent() < unsent_before;
        // Also where the socket takes nothing at all.
        if connection.is_drowning() {
            return Err(End::CutOff);
        }
        if connection.is_over() {
            return Err(End::Left);
        }
        if connection.has_more() || goes_on {
            self.mark_busy(slot);
        }
        Ok(())
    }

    fn remove(&mut self, slot: usize, end: &End) {
        let Some(mut connection) = self.slots[slot].take() else {
            return;
        };
        if *end == End::CutOff {
            self.work.counts.cut_off.add(1);
        }
        // A socket that cannot be taken off the list leaves it when it closes.
        let _ = self.poll.registry().deregister(&mut connection.socket);
        let session = &connection.session;
        self.work.make_room(session.owed());
        if session.is_known() {
            let connection = session.connection();
            self.work.asks.push(Ask::Gone { connection });
        }
        let address = connection.peer.ip().to_canonical();
        if let Some(count) = self.per_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.per_address.remove(&address);
            }
        }
        self.free.push(slot);
        self.try_held_up();
    }

    /// Closes what has had its time.
    fn sweep(&mut self) {
        let settings = &self.work.settings;
        let nearest = settings.handshake_time_max.min(settings.frame_time_max) / 4;
        self.next_sweep_us = self.work.now_us + SWEEP.min(nearest).as_micros() as u64;
        for slot in 0..self.slots.len() {
            if let Some(end) = self.overdue(slot) {
                self.remove(slot, &end);
            }
        }
        self.say();
    }

    fn overdue(&mut self, slot: usize) -> Option<End> {
        let now_us = self.work.now_us;
        let is_past = |since_us: u64, most: Duration| {
            now_us.saturating_sub(since_us) > most.as_micros() as u64
        };
        let connection = self.slots[slot].as_mut()?;
        let since = &mut connection.since;
        let settings = &self.work.settings;
        if let Some(leaving_us) = since.leaving_us {
            return is_past(leaving_us, LEAVING_TIME_MAX).then_some(End::Left);
        }
        if !connection.session.is_open() {
            let is_late = is_past(since.accepted_us, settings.handshake_time_max);
            return is_late.then_some(End::CutOff);
        }
        let frames = connection.session.figures().received;
        since.frame = match since.frame {
            _ if !connection.session.is_in_frame() => None,
            Some((began_us, before)) if before == frames => Some((began_us, before)),
            _ => Some((now_us, frames)),
        };
        let (began_us, _) = since.frame?;
        is_past(began_us, settings.frame_time_max).then_some(End::CutOff)
    }

    fn begin_closing(&mut self) {
        self.closing_until_us = Some(self.work.now_us + LEAVING_TIME_MAX.as_micros() as u64);
        if let Some(mut listener) = self.listener.take() {
            let _ = self.poll.registry().deregister(&mut listener);
        }
        for slot in 0..self.slots.len() {
            if let Some(connection) = &mut self.slots[slot] {
                connection.session.end_of_input();
            }
            self.mark_dirty(slot);
        }
    }
}

/// The client has left between its call and our answer, or was interrupted.
fn is_of_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted
    )
}
