//! The gate of the Kafka door on loopback, with clients that behave and clients
//! that do not. What stands behind it here does what a request's number asks.

mod hostile;
mod muted;
mod tls;

use bytes::Bytes;
use dolmen::clock::{Clock, MachineClock};
use dolmen::ports::kafka::access::Principal;
use dolmen::ports::kafka::handlers::{Answering, Call, Handler};
use dolmen::ports::kafka::messages::api_versions::ApiVersions;
use dolmen::ports::kafka::messages::fetch::Fetch;
use dolmen::ports::kafka::messages::heartbeat::Heartbeat;
use dolmen::ports::kafka::messages::metadata::Metadata;
use dolmen::ports::kafka::messages::produce::Produce;
use dolmen::ports::kafka::messages::{Api, Peek, write_bare};
use dolmen::ports::kafka::session::Answers;
use dolmen::ports::kafka::{ConnectionState, Counts, Opening, Running, Settings, Threads};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::{Duration, Instant};

/// Longer than anything here takes on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(20);

const fn nobody(_: Call, _: Bytes) -> Answering {
    panic!("the desk answers")
}

const TABLE: &[Handler] = &[
    Handler::elsewhere::<Produce>(nobody),
    Handler::elsewhere::<Fetch>(nobody),
    Handler::elsewhere::<Metadata>(nobody),
    Handler::elsewhere::<Heartbeat>(nobody),
    Handler::elsewhere::<ApiVersions>(nobody),
];

/// Answers a Metadata with who asks, a Fetch with as many bytes as it asks for
/// or never, a Produce when it is let go, and all else at once. A Heartbeat may
/// ask to be muted for so many milliseconds.
#[derive(Default)]
struct Desk {
    /// The numbers of the Produces in the order in which they were first polled.
    appended: Mutex<Vec<i32>>,
    /// Produces below this number are let go.
    let_go: tokio::sync::watch::Sender<i32>,
    ended: AtomicUsize,
    fetched: AtomicUsize,
    changed: Condvar,
}

impl Desk {
    fn let_go(&self, below: i32) {
        self.let_go.send_replace(below);
    }

    fn appended(&self) -> Vec<i32> {
        self.appended.lock().unwrap().clone()
    }

    /// Waits until so many Produces have begun.
    fn wait_appended(&self, count: usize) -> Vec<i32> {
        let appended = self.appended.lock().unwrap();
        let wait = self
            .changed
            .wait_timeout_while(appended, PATIENCE, |all| all.len() < count);
        let (appended, late) = wait.unwrap();
        assert!(!late.timed_out(), "{appended:?} and no more");
        appended.clone()
    }
}

impl Answers for Seen {
    fn table(&self) -> &'static [Handler] {
        TABLE
    }

    fn begin(
        &self,
        _: &'static Handler,
        connection: &Arc<ConnectionState>,
        frame: Bytes,
    ) -> Answering {
        let (desk, clock, connection) = (self.0.clone(), self.1.clone(), connection.clone());
        let peek = Peek::of(&frame).unwrap();
        let id = peek.correlation_id;
        let who = match connection.principal() {
            Principal::Anonymous => "nobody".to_owned(),
            Principal::User(name) => name.to_string(),
        };
        let bytes = frame
            .get(10..14)
            .map(|asked| i32::from_be_bytes(asked.try_into().unwrap()));
        Box::pin(async move {
            let mut body = id.to_be_bytes().to_vec();
            match peek.key {
                Produce::KEY => {
                    desk.appended.lock().unwrap().push(id);
                    desk.changed.notify_all();
                    let mut let_go = desk.let_go.subscribe();
                    let _ = let_go.wait_for(|below| id < *below).await;
                    desk.ended.fetch_add(1, Ordering::Relaxed);
                }
                Fetch::KEY => {
                    desk.fetched.fetch_add(1, Ordering::Relaxed);
                    match bytes {
                        Some(bytes) => body.resize(4 + bytes as usize, 7),
                        None => std::future::pending().await,
                    }
                }
                Metadata::KEY => body.extend(who.as_bytes()),
                Heartbeat::KEY => {
                    let ms = bytes.unwrap_or(0) as u64;
                    connection.mute_until(clock.monotonic() + Duration::from_millis(ms));
                }
                _ => {}
            }
            Ok(Some(write_bare(&body.into()).unwrap()))
        })
    }
}

/// The desk as the gate has it.
struct Seen(Arc<Desk>, Arc<MachineClock>);

struct Gate {
    running: Option<Running>,
    /// Dropped behind the door.
    _threads: Threads,
    address: SocketAddr,
    desk: Arc<Desk>,
    counts: Arc<Counts>,
}

impl Gate {
    fn open(set: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::new(SocketAddr::from(([127, 0, 0, 1], 0)));
        set(&mut settings);
        let desk = Arc::new(Desk::default());
        let counts = Arc::new(Counts::of(TABLE));
        let clock = Arc::new(MachineClock::new());
        let answers = Arc::new(Seen(desk.clone(), clock.clone()));
        let threads = Threads::start().unwrap();
        let (given, handle) = (counts.clone(), threads.handle());
        let (tell, opened) = mpsc::channel();
        let opening = Opening {
            after: Box::pin(std::future::ready(())),
            tell: Box::new(move |address| tell.send(address).unwrap()),
        };
        let running = Running::open(settings, opening, answers, clock, given, handle).unwrap();
        assert_eq!(opened.recv_timeout(PATIENCE), Ok(running.address()));
        Self {
            address: running.address(),
            running: Some(running),
            _threads: threads,
            desk,
            counts,
        }
    }

    fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    fn dial(&self) -> Client<TcpStream> {
        let socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_nodelay(true).unwrap();
        Client(socket)
    }

    /// A new client is answered.
    fn is_well(&self) {
        let mut client = self.dial();
        client.send(&heartbeat(1));
        assert_eq!(client.answer(), Some(1));
    }

    fn wait(&self, what: &str, is_so: impl Fn(&Counts) -> bool) {
        let begun = Instant::now();
        while !is_so(&self.counts) {
            assert!(begun.elapsed() < PATIENCE, "{what}: never");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

struct Client<S>(S);

impl<S: Read + Write> Client<S> {
    fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
        self.0.flush().unwrap();
    }

    /// The next answer whole; None where the connection has ended.
    fn frame(&mut self) -> Option<Vec<u8>> {
        let mut head = [0; 4];
        if !self.fill(&mut head) {
            return None;
        }
        let mut body = vec![0; u32::from_be_bytes(head) as usize];
        self.fill(&mut body).then_some(body)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> bool {
        match self.0.read_exact(bytes) {
            Ok(()) => true,
            Err(error) => {
                let kinds = [ErrorKind::WouldBlock, ErrorKind::TimedOut];
                assert!(!kinds.contains(&error.kind()), "nothing came");
                false
            }
        }
    }

    /// The number of the next answer.
    fn answer(&mut self) -> Option<i32> {
        let frame = self.frame()?;
        Some(i32::from_be_bytes(frame[..4].try_into().unwrap()))
    }

    fn is_closed(&mut self) -> bool {
        self.answer().is_none()
    }

    /// Whom the door takes the client for.
    fn who(&mut self) -> Option<String> {
        self.0.write_all(&request(Metadata::KEY, 9, 1, &[])).ok()?;
        self.0.flush().ok()?;
        let frame = self.frame()?;
        Some(String::from_utf8(frame[4..].to_vec()).unwrap())
    }
}

fn request(key: i16, version: i16, id: i32, rest: &[u8]) -> Vec<u8> {
    let mut frame = (10 + rest.len() as u32).to_be_bytes().to_vec();
    frame.extend(key.to_be_bytes());
    frame.extend(version.to_be_bytes());
    frame.extend(id.to_be_bytes());
    frame.extend((-1i16).to_be_bytes());
    frame.extend(rest);
    frame
}

fn heartbeat(id: i32) -> Vec<u8> {
    request(Heartbeat::KEY, 4, id, &[])
}

/// One behind which the client is not heard for so long.
fn muting(id: i32, ms: i32) -> Vec<u8> {
    request(Heartbeat::KEY, 4, id, &ms.to_be_bytes())
}

fn produce(id: i32, bytes: usize) -> Vec<u8> {
    request(Produce::KEY, 9, id, &vec![3; bytes])
}

fn fetch(id: i32, bytes: i32) -> Vec<u8> {
    request(Fetch::KEY, 12, id, &bytes.to_be_bytes())
}

/// One that is never answered.
fn long_poll(id: i32) -> Vec<u8> {
    request(Fetch::KEY, 12, id, &[])
}

#[test]
fn what_is_sent_ahead_is_answered_in_order() {
    let gate = Gate::open(|_| {});
    let mut client = gate.dial();
    let ahead: Vec<u8> = (1..=5).flat_map(|id| produce(id, 100)).collect();
    client.send(&ahead);
    client.send(&heartbeat(6));
    client.send(&produce(7, 100));
    // All five are with the partitions before one is acknowledged.
    assert_eq!(gate.desk.wait_appended(5), [1, 2, 3, 4, 5]);
    gate.desk.let_go(6);
    for id in 1..=6 {
        assert_eq!(client.answer(), Some(id));
    }
    assert_eq!(gate.desk.wait_appended(6), [1, 2, 3, 4, 5, 7]);
    gate.desk.let_go(8);
    assert_eq!(client.answer(), Some(7));
}

#[test]
fn large_frames_go_through_whole() {
    let gate = Gate::open(|_| {});
    gate.desk.let_go(100);
    let mut client = gate.dial();
    client.send(&produce(1, 30 << 20));
    assert_eq!(client.answer(), Some(1));
    client.send(&fetch(2, 30 << 20));
    let frame = client.frame().unwrap();
    assert_eq!(frame.len(), 4 + (30 << 20));
    assert!(frame[4..].iter().all(|byte| *byte == 7));
    gate.wait("memory is given back", |counts| {
        counts.held_bytes.get() == 0
    });
}

#[test]
fn who_says_no_more_is_answered_and_who_leaves_has_what_it_began() {
    let gate = Gate::open(|_| {});
    let mut client = gate.dial();
    client.send(&produce(1, 10));
    client.send(&heartbeat(2));
    client.0.shutdown(Shutdown::Write).unwrap();
    gate.desk.wait_appended(1);
    gate.desk.let_go(2);
    assert_eq!(client.answer(), Some(1));
    assert_eq!(client.answer(), Some(2));
    assert!(client.is_closed());

    // Everything that came before the end is worked on, as for a producer that
    // wants no answers.
    let mut client = gate.dial();
    let all: Vec<u8> = (2..=4).flat_map(|id| produce(id, 10)).collect();
    client.send(&all);
    gate.desk.wait_appended(4);
    drop(client);
    gate.desk.let_go(5);
    gate.wait("the produces end", |_| {
        gate.desk.ended.load(Ordering::Relaxed) == 4
    });
    gate.wait("the connection ends", |counts| {
        counts.connections.get() == 0
    });
}

#[test]
fn a_closing_door_answers_what_has_begun() {
    let mut gate = Gate::open(|_| {});
    let (mut producer, mut consumer, mut idle) = (gate.dial(), gate.dial(), gate.dial());
    idle.send(&heartbeat(1));
    assert_eq!(idle.answer(), Some(1));
    consumer.send(&long_poll(1));
    producer.send(&produce(1, 10));
    gate.desk.wait_appended(1);
    let running = gate.running.take().unwrap();
    let begun = Instant::now();
    let closing = std::thread::spawn(move || running.close());
    // Who only waits is let go at once.
    assert!(consumer.is_closed());
    assert!(idle.is_closed());
    drop((consumer, idle));
    gate.desk.let_go(2);
    assert_eq!(producer.answer(), Some(1));
    assert!(producer.is_closed());
    drop(producer);
    closing.join().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(TcpStream::connect(gate.address).is_err());
}

#[test]
fn a_closing_door_does_not_wait_for_ever() {
    let mut gate = Gate::open(|_| {});
    let mut client = gate.dial();
    client.send(&produce(1, 10));
    gate.desk.wait_appended(1);
    let begun = Instant::now();
    gate.running.take().unwrap().close();
    let took = begun.elapsed();
    assert!(
        took >= Duration::from_secs(2) && took < Duration::from_secs(8),
        "{took:?}"
    );
    assert!(client.is_closed());
}
