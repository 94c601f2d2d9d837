//! The ZooKeeper door: the client protocol of ZooKeeper 3.9 and the four-letter
//! words, on one port, with TLS or without.
//!
//! One thread serves all connections. It reads what has arrived, hands every
//! whole request to the replica in one batch, and writes what the replica has
//! answered, one write a connection. `codec` knows the bytes, `session` what
//! may come next and what is owed, `handlers` what each operation means;
//! `server` alone touches a socket.

mod auth;
pub mod codec;
mod connection;
mod counts;
pub mod errors;
pub mod handlers;
mod sasl;
mod seat;
mod server;
pub mod session;
mod terms;
pub mod words;

pub use counts::Counts;
pub use terms::{SaslUser, Secret, Terms};

use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::limits::{
    ZOOKEEPER_CONNECTIONS_MAX, ZOOKEEPER_CONNECTIONS_PER_ADDRESS_MAX, ZOOKEEPER_OUTSTANDING_MAX,
};
use crate::replica::desk::Desk;
use server::Server;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use words::About;

/// What the door needs to know.
#[derive(Clone)]
pub struct Settings {
    pub listen: SocketAddr,
    /// With it TLS is taken on the same port.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Nothing but TLS is taken.
    pub tls_only: bool,
    pub terms: Terms,
    pub connections_max: usize,
    pub connections_per_address_max: usize,
    /// Requests of all clients that are not answered yet.
    pub outstanding_max: usize,
    /// From the accept to an open session.
    pub handshake_time_max: Duration,
    /// From a frame's first byte to its last.
    pub frame_time_max: Duration,
    pub about: About,
}

impl Settings {
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            tls: None,
            tls_only: false,
            terms: Terms::default(),
            connections_max: ZOOKEEPER_CONNECTIONS_MAX,
            connections_per_address_max: ZOOKEEPER_CONNECTIONS_PER_ADDRESS_MAX,
            outstanding_max: ZOOKEEPER_OUTSTANDING_MAX,
            handshake_time_max: Duration::from_secs(10),
            frame_time_max: Duration::from_secs(30),
            about: About::default(),
        }
    }
}

/// The bounds that may change while the door is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub outstanding_max: usize,
    pub connections_max: usize,
    pub connections_per_address_max: usize,
    pub timeout_ms_min: u32,
    pub timeout_ms_max: u32,
    pub frame_bytes_max: usize,
}

impl Settings {
    pub fn take(&mut self, limits: Limits) {
        self.outstanding_max = limits.outstanding_max;
        self.connections_max = limits.connections_max;
        self.connections_per_address_max = limits.connections_per_address_max;
        self.terms.timeout_ms_min = limits.timeout_ms_min;
        self.terms.timeout_ms_max = limits.timeout_ms_max.max(limits.timeout_ms_min);
        self.terms.frame_bytes_max = limits.frame_bytes_max;
        self.tell_about();
    }

    /// What people are told is what is in force.
    fn tell_about(&mut self) {
        let about = &mut self.about;
        about.connections_per_address_max = match self.connections_per_address_max {
            usize::MAX => 0,
            bound => bound,
        };
        about.timeout_ms_min = self.terms.timeout_ms_min;
        about.timeout_ms_max = self.terms.timeout_ms_max;
    }
}

/// An open door. Dropped, it is shut.
pub struct Door {
    address: SocketAddr,
    shared: Arc<Shared>,
    wake: Arc<dyn Fn() + Send + Sync>,
    thread: Option<JoinHandle<()>>,
}

/// What the door's thread and its owner both reach.
struct Shared {
    is_closing: AtomicBool,
    tls: Mutex<Option<Arc<rustls::ServerConfig>>>,
    /// There are limits that the thread has not taken yet.
    has_limits: AtomicBool,
    limits: Mutex<Option<Limits>>,
}

impl Shared {
    fn tls(&self) -> Option<Arc<rustls::ServerConfig>> {
        let held = self.tls.lock().unwrap_or_else(PoisonError::into_inner);
        held.clone()
    }

    fn take_limits(&self) -> Option<Limits> {
        if !self.has_limits.swap(false, Ordering::AcqRel) {
            return None;
        }
        let mut held = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        held.take()
    }
}

impl Door {
    /// From here on the door answers.
    pub fn open(
        settings: Settings,
        desk: Arc<dyn Desk>,
        clock: Arc<dyn Clock>,
        entropy: &dyn Entropy,
        counts: Arc<Counts>,
    ) -> io::Result<Self> {
        let mut nonce_seed = [0; 32];
        entropy.fill(&mut nonce_seed)?;
        let shared = Arc::new(Shared {
            is_closing: AtomicBool::new(false),
            tls: Mutex::new(settings.tls.clone()),
            has_limits: AtomicBool::new(false),
            limits: Mutex::default(),
        });
        let server = Server::listen(settings, desk, clock, nonce_seed, counts, shared.clone())?;
        let (address, wake) = (server.address(), server.wake());
        let thread = std::thread::Builder::new()
            .name("zookeeper".into())
            .spawn(move || server.run())?;
        Ok(Self {
            address,
            shared,
            wake,
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
        let mut held = self.shared.tls.lock();
        let held = held.as_mut().unwrap_or_else(|poisoned| poisoned.get_mut());
        **held = tls;
    }

    /// In force from the thread's next turn on. Connections and requests that
    /// are beyond a bound already stay, and no more are taken until they are
    /// fewer.
    pub fn set_limits(&self, limits: Limits) {
        let mut held = self
            .shared
            .limits
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *held = Some(limits);
        drop(held);
        self.shared.has_limits.store(true, Ordering::Release);
        (self.wake)();
    }

    /// Stops accepting and reading, lets the answers that are owed leave, and
    /// waits for the thread.
    pub fn close(mut self) {
        self.shut();
    }

    fn shut(&mut self) {
        self.shared.is_closing.store(true, Ordering::Release);
        (self.wake)();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(door = "zookeeper", "the door's thread ended badly");
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.shut();
    }
}
