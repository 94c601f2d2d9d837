//! The door's socket and its threads.

use super::access::Principal;
use super::budget::{Budget, Share};
use super::connection::{Connection, DRAINING_TIME_MAX, Patience};
use super::connection_state::ConnectionState;
use super::counts::Counts;
use super::door::Door;
use super::handlers::{Answering, Call, Handler, TABLE};
use super::session::{Answers, Cut, Session, Terms};
use super::socket::{Ended, Socket};
use super::threads::take_class;
use crate::clock::Clock;
use crate::limits::{
    KAFKA_CONNECTIONS_MAX, KAFKA_CONNECTIONS_PER_ADDRESS_MAX, KAFKA_MEMORY_BYTES_MAX,
    KAFKA_REQUEST_BYTES_MAX,
};
use crate::state::topics::Security;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

/// Clients that knock at the same time; the system has a bound of its own.
const BACKLOG: u32 = 1024;
/// The pace of accepting while the machine has no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// The journal's pace of telling of clients that are turned away or cut off: who
/// knocks too often does so a thousand times a second.
const TELLING_PAUSE: Duration = Duration::from_secs(10);

/// What the door needs to know.
#[derive(Clone)]
pub struct Settings {
    pub listen: SocketAddr,
    /// With it TLS is taken on the same port.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Nothing but TLS is taken.
    pub tls_only: bool,
    /// Nothing is answered before a SASL conversation has ended well.
    pub needs_sasl: bool,
    pub limits: Limits,
    pub request_bytes_max: usize,
    /// From the accept to the first request, the handshakes of TLS and SASL
    /// between them.
    pub first_request_time_max: Duration,
    /// From a frame's first byte to its last, where it is short.
    pub frame_time_max: Duration,
    /// How long a frame waits for memory that others have.
    pub memory_time_max: Duration,
    /// `connections.max.idle.ms`.
    pub idle_time_max: Duration,
}

/// The bounds that may change while the door is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub connections_max: usize,
    pub connections_per_address_max: usize,
    /// What the requests of all connections may take of memory.
    pub memory_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: KAFKA_CONNECTIONS_MAX,
            connections_per_address_max: KAFKA_CONNECTIONS_PER_ADDRESS_MAX,
            memory_bytes_max: KAFKA_MEMORY_BYTES_MAX,
        }
    }
}

impl Settings {
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            tls: None,
            tls_only: false,
            needs_sasl: false,
            limits: Limits::default(),
            request_bytes_max: KAFKA_REQUEST_BYTES_MAX,
            first_request_time_max: Duration::from_secs(30),
            frame_time_max: Duration::from_secs(30),
            // Its client gives the request up after 30 s, or after 60 (librdkafka).
            memory_time_max: Duration::from_secs(60),
            idle_time_max: Duration::from_secs(600),
        }
    }
}

/// From when on clients are let in, and who hears of it. Until then they are
/// refused and go to another broker: one that is let in before the cluster names
/// this node among its brokers takes it for gone, and drops what it had to say.
pub struct Opening {
    pub after: Pin<Box<dyn Future<Output = ()> + Send>>,
    pub tell: Box<dyn FnOnce(SocketAddr) + Send>,
}

/// A door that has its address. Dropped, it is shut.
pub struct Running {
    address: SocketAddr,
    shared: Arc<Shared>,
    closing: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Door {
    pub fn open(
        self: &Arc<Self>,
        settings: Settings,
        opening: Opening,
        counts: Arc<Counts>,
        threads: &Handle,
    ) -> io::Result<Running> {
        let answers = Arc::new(Meaning(self.clone()));
        let clock = self.clock.clone();
        Running::open(settings, opening, answers, clock, counts, threads)
    }
}

/// The door as a session sees it.
struct Meaning(Arc<Door>);

impl Answers for Meaning {
    fn table(&self) -> &'static [Handler] {
        TABLE
    }

    fn begin(
        &self,
        handler: &'static Handler,
        connection: &Arc<ConnectionState>,
        frame: Bytes,
    ) -> Answering {
        handler.run(Call::new(connection, &self.0), frame)
    }

    fn is_pressed(&self) -> bool {
        self.0.cold_memory.is_used_up() || self.0.warm_memory.is_used_up()
    }
}

impl Running {
    /// `Door::open` for whoever gives requests another meaning.
    #[allow(clippy::disallowed_methods)] // a door's home
    pub fn open(
        settings: Settings,
        opening: Opening,
        answers: Arc<dyn Answers>,
        clock: Arc<dyn Clock>,
        counts: Arc<Counts>,
        threads: &Handle,
    ) -> io::Result<Self> {
        let socket = bind(settings.listen)?;
        let address = socket.local_addr()?;
        let memory_bytes_max = settings.limits.memory_bytes_max;
        let shared = Arc::new(Shared {
            tls: Mutex::new(settings.tls.clone()),
            places: Arc::new(Places::new(settings.limits, counts.clone())),
            budget: Arc::new(Budget::new(memory_bytes_max, counts.clone())),
            names: [false, true].map(|is_encrypted| {
                let security = Security::of(is_encrypted, settings.needs_sasl);
                security.name().into()
            }),
            settings,
            answers,
            clock,
            counts,
            tell_after_us: AtomicU64::new(0),
        });
        let (closing, is_closing) = watch::channel(false);
        let (accepting, threads) = (shared.clone(), threads.clone());
        let thread = std::thread::Builder::new()
            .name("kafka".into())
            .spawn(move || accepting.run(&threads, socket, opening, is_closing))?;
        Ok(Self {
            address,
            shared,
            closing,
            thread: Some(thread),
        })
    }

    /// The address in use, which has a port of its own where the setting said 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections that begin from now on are given these certificates. None
    /// ends TLS.
    pub fn renew_tls(&self, tls: Option<Arc<rustls::ServerConfig>>) {
        *held(&self.shared.tls) = tls;
    }

    /// In force at once. What is beyond a bound already stays, and no more is
    /// taken until it is less.
    pub fn set_limits(&self, limits: Limits) {
        self.shared.places.set(limits);
        self.shared.budget.set_bytes_max(limits.memory_bytes_max);
    }

    /// Stops accepting and reading, lets the answers to what has begun leave, and
    /// waits for the threads.
    pub fn close(mut self) {
        self.shut();
    }

    fn shut(&mut self) {
        self.closing.send_replace(true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(door = "kafka", "the door's thread ended badly");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shut();
    }
}

/// The address is this door's from here on, and nobody is let in.
fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A node that is started again need not wait for the connections of before.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until clients may be let in; None where the door is closed before.
async fn begin(
    socket: TcpSocket,
    opening: Opening,
    closing: &watch::Receiver<bool>,
) -> io::Result<Option<TcpListener>> {
    let mut is_closing = closing.clone();
    tokio::select! {
        biased;
        _ = is_closing.wait_for(|is_closing| *is_closing) => return Ok(None),
        () = opening.after => {}
    }
    let listener = socket.listen(BACKLOG)?;
    (opening.tell)(listener.local_addr()?);
    Ok(Some(listener))
}

/// What all connections work with.
struct Shared {
    settings: Settings,
    /// Kafka has a name for each way of coming, and one port takes two: without
    /// TLS and with it.
    names: [Arc<str>; 2],
    tls: Mutex<Option<Arc<rustls::ServerConfig>>>,
    answers: Arc<dyn Answers>,
    clock: Arc<dyn Clock>,
    counts: Arc<Counts>,
    places: Arc<Places>,
    budget: Arc<Budget>,
    tell_after_us: AtomicU64,
}

impl Shared {
    /// The thread that accepts. It waits for all connections, so whoever closes
    /// the door waits for this one alone.
    fn run(
        self: Arc<Self>,
        threads: &Handle,
        socket: TcpSocket,
        opening: Opening,
        closing: watch::Receiver<bool>,
    ) {
        take_class();
        threads.block_on(async {
            let (alive, mut gone) = mpsc::channel::<()>(1);
            match begin(socket, opening, &closing).await {
                Ok(Some(listener)) => self.accept(&listener, &closing, &alive).await,
                Ok(None) => {}
                Err(error) => tracing::error!(door = "kafka", %error, "the door cannot be opened"),
            }
            drop(alive);
            // A goodbye comes behind the answers.
            let _ = timeout(2 * DRAINING_TIME_MAX, gone.recv()).await;
        });
    }

    async fn accept(
        self: &Arc<Self>,
        listener: &TcpListener,
        closing: &watch::Receiver<bool>,
        alive: &mpsc::Sender<()>,
    ) {
        let mut is_closing = closing.clone();
        loop {
            let accepted = tokio::select! {
                biased;
                _ = is_closing.wait_for(|is_closing| *is_closing) => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((tcp, peer)) => self.admit(tcp, peer, closing, alive),
                Err(error) if is_of_the_client(&error) => {}
                Err(error) => {
                    tracing::warn!(door = "kafka", %error, "accept failed");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn admit(
        self: &Arc<Self>,
        tcp: TcpStream,
        peer: SocketAddr,
        closing: &watch::Receiver<bool>,
        alive: &mpsc::Sender<()>,
    ) {
        let from = peer.ip().to_canonical();
        let place = match self.places.take(from) {
            Ok(place) => place,
            Err(full) => return self.turn_away(from, &full),
        };
        if tcp.set_nodelay(true).is_err() {
            return; // it has left already
        }
        let (shared, closing, alive) = (self.clone(), closing.clone(), alive.clone());
        tokio::spawn(async move {
            if let Some(cut) = shared.serve(tcp, from, closing).await {
                shared.cut_off(from, &cut);
            }
            drop((place, alive));
        });
    }

    async fn serve(
        &self,
        tcp: TcpStream,
        from: IpAddr,
        mut closing: watch::Receiver<bool>,
    ) -> Option<Cut> {
        let accepted = self.clock.monotonic();
        let tls = held(&self.tls).clone();
        let begin = Socket::begin(tcp, tls, self.settings.tls_only);
        let begun = tokio::select! {
            begun = timeout(self.settings.first_request_time_max, begin) => begun,
            _ = closing.wait_for(|is_closing| *is_closing) => return None,
        };
        let socket = match begun {
            Ok(Ok(socket)) => socket,
            Ok(Err(Ended::Left)) => return None,
            Ok(Err(Ended::Cut(cut))) => return Some(cut),
            Err(_) => return Some(Cut::Silent),
        };
        let session = self.session(&socket, from);
        let patience = Patience {
            first_request: self.settings.first_request_time_max,
            memory: self.settings.memory_time_max,
            idle: self.settings.idle_time_max,
        };
        let (clock, counts) = (self.clock.clone(), self.counts.clone());
        let connection = Connection::new(socket, session, clock, counts, patience, accepted);
        connection.serve(closing).await
    }

    fn session(&self, socket: &Socket, from: IpAddr) -> Session {
        let principal = match socket.subject() {
            Some(subject) => Principal::User(subject.into()),
            None => Principal::Anonymous,
        };
        let name = &self.names[usize::from(socket.is_encrypted())];
        let state = ConnectionState::new(
            from,
            name.clone(),
            socket.is_encrypted(),
            self.settings.needs_sasl,
            principal,
        );
        let terms = Terms {
            request_bytes_max: self.settings.request_bytes_max,
            frame_time_max: self.settings.frame_time_max,
        };
        let share = Share::of(&self.budget);
        let counts = self.counts.clone();
        Session::new(Arc::new(state), self.answers.clone(), share, counts, terms)
    }

    fn turn_away(&self, from: IpAddr, full: &Full) {
        self.counts.turned_away.add(1);
        if self.may_tell() {
            let all = self.counts.turned_away.get();
            tracing::warn!(
                door = "kafka",
                "{from} is turned away: {full} ({all} turned away since the start)"
            );
        }
    }

    fn cut_off(&self, from: IpAddr, cut: &Cut) {
        self.counts.cut_off.add(1);
        if self.may_tell() {
            if let Cut::Unwritten { .. } = cut {
                // Ours to mend.
                return tracing::error!(door = "kafka", "{from} asked for {cut}");
            }
            let all = self.counts.cut_off.get();
            tracing::warn!(
                door = "kafka",
                "{from} is cut off: it sent {cut} ({all} cut off since the start)"
            );
        }
    }

    fn may_tell(&self) -> bool {
        let now_us = self.clock.monotonic().as_micros() as u64;
        let pause_us = TELLING_PAUSE.as_micros() as u64;
        let told =
            self.tell_after_us
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |after_us| {
                    (now_us >= after_us).then_some(now_us + pause_us)
                });
        told.is_ok()
    }
}

/// The client left before it was accepted; the listener is well.
fn is_of_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted
    )
}

/// How many connections there are, in all and from where.
struct Places {
    connections_max: AtomicUsize,
    connections_per_address_max: AtomicUsize,
    taken: Mutex<Taken>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by_address: BTreeMap<IpAddr, usize>,
}

/// A connection's place. Dropped, it is free.
struct Place {
    places: Arc<Places>,
    from: IpAddr,
}

/// Which bound is met.
#[derive(Debug, PartialEq, Eq)]
enum Full {
    Door(usize),
    Address(usize),
}

impl std::fmt::Display for Full {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Door(count) => {
                write!(f, "the door has {count} connections, as many as it takes")
            }
            Self::Address(count) => {
                write!(f, "it has {count} connections, as many as one address may")
            }
        }
    }
}

impl Places {
    fn new(limits: Limits, counts: Arc<Counts>) -> Self {
        Self {
            connections_max: AtomicUsize::new(limits.connections_max),
            connections_per_address_max: AtomicUsize::new(limits.connections_per_address_max),
            taken: Mutex::default(),
            counts,
        }
    }

    fn set(&self, limits: Limits) {
        let (all, of_address) = (limits.connections_max, limits.connections_per_address_max);
        self.connections_max.store(all, Ordering::Relaxed);
        self.connections_per_address_max
            .store(of_address, Ordering::Relaxed);
    }

    fn take(self: &Arc<Self>, from: IpAddr) -> Result<Place, Full> {
        let mut taken = held(&self.taken);
        let of_address = taken.by_address.get(&from).copied().unwrap_or(0);
        if taken.all >= self.connections_max.load(Ordering::Relaxed) {
            return Err(Full::Door(taken.all));
        }
        if of_address >= self.connections_per_address_max.load(Ordering::Relaxed) {
            return Err(Full::Address(of_address));
        }
        taken.all += 1;
        taken.by_address.insert(from, of_address + 1);
        self.counts.connections.set(taken.all as u64);
        Ok(Place {
            places: self.clone(),
            from,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = held(&self.places.taken);
        taken.all -= 1;
        self.places.counts.connections.set(taken.all as u64);
        if let Some(of_address) = taken.by_address.get_mut(&self.from) {
            *of_address -= 1;
            if *of_address == 0 {
                taken.by_address.remove(&self.from);
            }
        }
    }
}
