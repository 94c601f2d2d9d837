//! Boxes that are restarted one after the other, under clients that write, and
//! that come back to their session as unmodified clients do.

use super::*;
use dolmen::ids::{SessionId, Zxid};
use dolmen::ports::zookeeper::codec::{
    self, ConnectRequest, ConnectResponse, CreateRequest, Jute, ReplyHeader, Watched, code,
};
use dolmen::ports::zookeeper::errors;
use dolmen::state::{AclEntry, Identity, Permissions};
use dolmen::wire::Cursor;
use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

const CLIENTS: usize = 4;
/// As `Machine` sets it: what a killed leader costs at the least.
const ELECTION: Duration = Duration::from_millis(1500);
const PAUSE: Duration = Duration::from_millis(5);

/// Where the doors are, and what became of the writes.
#[derive(Default)]
struct Shared {
    doors: Mutex<Vec<SocketAddr>>,
    is_over: AtomicBool,
    /// When a write was acknowledged, to whom.
    acknowledged: Mutex<Vec<(Instant, usize)>>,
}

/// One client: writes, and tries elsewhere where its connection is lost.
struct Writer {
    number: usize,
    shared: Arc<Shared>,
    at: usize,
    session: SessionId,
    password: Vec<u8>,
    seen: Zxid,
    stream: Option<TcpStream>,
    xid: i32,
    lost: u64,
}

impl Writer {
    fn start(number: usize, shared: Arc<Shared>) -> JoinHandle<(u64, u64)> {
        let mut writer = Self {
            number,
            shared,
            at: number,
            session: SessionId(0),
            password: vec![0; 16],
            seen: Zxid(0),
            stream: None,
            xid: 0,
            lost: 0,
        };
        std::thread::spawn(move || writer.run())
    }

    /// How many writes were acknowledged, and how many connections were lost.
    fn run(&mut self) -> (u64, u64) {
        let ephemeral = format!("/e-{}", self.number);
        self.create(&ephemeral, 1);
        let mut count = 0;
        while !self.shared.is_over.load(SeqCst) {
            self.create(&format!("/w-{}-{count}", self.number), 0);
            count += 1;
            let now = (Instant::now(), self.number);
            self.shared.acknowledged.lock().unwrap().push(now);
        }
        // The session is the one of the beginning.
        let exists = ask(
            &mut self.stream,
            &mut self.xid,
            &mut self.seen,
            &exists(&ephemeral),
        );
        assert_eq!(exists.unwrap(), errors::OK, "{ephemeral} is gone");
        (count, self.lost)
    }

    /// Until it is known to be there.
    fn create(&mut self, path: &str, flags: i32) {
        let request = create(path, flags);
        let mut is_again = false;
        loop {
            self.connect();
            match ask(&mut self.stream, &mut self.xid, &mut self.seen, &request) {
                Ok(errors::OK) => return,
                // It was done, and the answer lost.
                Ok(errors::NODE_EXISTS) if is_again => return,
                Ok(code) => panic!("{path} is refused with {code}"),
                Err(_) => {
                    (self.stream, is_again) = (None, true);
                    self.lost += 1;
                    self.at += 1;
                }
            }
        }
    }

    /// To whichever node takes it, with the session that it has.
    fn connect(&mut self) {
        while self.stream.is_none() {
            match self.dial() {
                Ok(stream) => self.stream = Some(stream),
                Err(error) => {
                    assert_ne!(error.kind(), io::ErrorKind::Other, "{error}");
                    self.at += 1;
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }

    fn dial(&mut self) -> io::Result<TcpStream> {
        let doors = self.shared.doors.lock().unwrap().clone();
        let mut stream = TcpStream::connect(doors[self.at % doors.len()])?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let mut greeting = Vec::new();
        ConnectRequest {
            protocol: 0,
            last_zxid_seen: self.seen,
            timeout_ms: 10_000,
            session: self.session,
            password: self.password.clone(),
            takes_read_only: Some(false),
        }
        .write(&mut greeting);
        stream.write_all(&greeting)?;
        let response = ConnectResponse::read(&frame(&mut stream)?).unwrap();
        if response.session == SessionId(0) {
            return Err(io::Error::other("the session is expired"));
        }
        assert!(self.session == SessionId(0) || self.session == response.session);
        (self.session, self.password) = (response.session, response.password);
        Ok(stream)
    }
}

fn create(path: &str, flags: i32) -> (i32, Vec<u8>) {
    let open = AclEntry {
        permissions: Permissions::ALL,
        who: Identity::new("world", "anyone"),
    };
    let request = CreateRequest {
        path: path.into(),
        data: b"value".as_slice().into(),
        acl: vec![open],
        flags,
    };
    (code::CREATE, written(&request))
}

fn exists(path: &str) -> (i32, Vec<u8>) {
    let request = Watched {
        path: path.into(),
        watch: false,
    };
    (code::EXISTS, written(&request))
}

fn written(request: &impl Jute) -> Vec<u8> {
    let mut body = Vec::new();
    request.write(&mut body);
    body
}

/// The code of the answer; an error is a lost connection.
fn ask(
    stream: &mut Option<TcpStream>,
    xid: &mut i32,
    seen: &mut Zxid,
    (operation, body): &(i32, Vec<u8>),
) -> io::Result<i32> {
    let stream = stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
    *xid += 1;
    let mut bytes = Vec::new();
    codec::frame(&mut bytes, |out| {
        out.extend_from_slice(&xid.to_be_bytes());
        out.extend_from_slice(&operation.to_be_bytes());
        out.extend_from_slice(body);
    });
    stream.write_all(&bytes)?;
    let payload = frame(stream)?;
    let header = ReplyHeader::read(&mut Cursor::new(&payload)).unwrap();
    assert_eq!(header.xid, *xid);
    *seen = (*seen).max(header.zxid);
    Ok(header.error)
}

fn frame(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = [0; 4];
    stream.read_exact(&mut head)?;
    let mut payload = vec![0; u32::from_be_bytes(head) as usize];
    stream.read_exact(&mut payload)?;
    Ok(payload)
}

/// Three boxes that are one cluster.
fn three() -> Vec<Machine> {
    let first = Machine::start();
    first.type_in(&["init"]).answer();
    let others = [Machine::start(), Machine::start()];
    for other in &others {
        other.join(&first, &[]);
    }
    first.until_voters(3);
    [first].into_iter().chain(others).collect()
}

fn doors(machines: &[Machine]) -> Vec<SocketAddr> {
    let running = machines.iter().filter(|machine| machine.node.is_some());
    running
        .map(|machine| machine.door("zookeeper").parse().unwrap())
        .collect()
}

/// As the node itself has it at this moment.
fn leads(machine: &Machine) -> bool {
    let is_it = |member: &Value| member["here"] == true && member["leads"] == true;
    machine.members().iter().any(is_it)
}

fn leader(machines: &[Machine]) -> usize {
    until("one leads", || machines.iter().position(leads))
}

/// The longest time without any acknowledged write, and without one for the
/// client that had to wait longest, from a moment on.
fn stalls(shared: &Shared, since: Instant) -> (Duration, Duration) {
    let all = shared.acknowledged.lock().unwrap();
    let recent = || all.iter().filter(|(at, _)| *at >= since);
    let longest = |times: Vec<Instant>| {
        let begins = [since].into_iter().chain(times.iter().copied());
        let gaps = begins.zip(times.iter()).map(|(a, b)| *b - a);
        gaps.max().unwrap_or_default()
    };
    let of = |number: usize| {
        let own = recent().filter(|(_, who)| *who == number);
        longest(own.map(|(at, _)| *at).collect())
    };
    let one = (0..CLIENTS).map(of).max().unwrap_or_default();
    (longest(recent().map(|(at, _)| *at).collect()), one)
}

/// Until every client has been answered since.
fn until_all_write(shared: &Shared, since: Instant) {
    until("every client writes", || {
        let all = shared.acknowledged.lock().unwrap();
        let recent = all.iter().filter(|(at, _)| *at >= since);
        let who: BTreeSet<usize> = recent.map(|(_, who)| *who).collect();
        (who.len() == CLIENTS).then_some(())
    });
}

#[test]
fn a_rolling_restart_loses_no_write_and_no_session() {
    let mut machines = three();
    let shared = Arc::new(Shared::default());
    *shared.doors.lock().unwrap() = doors(&machines);
    let writers: Vec<_> = (0..CLIENTS)
        .map(|number| Writer::start(number, shared.clone()))
        .collect();
    until_all_write(&shared, Instant::now());

    // The leader is among them; whoever leads then is restarted after it.
    for at in [0, 1, 2] {
        let led = leads(&machines[at]);
        let began = Instant::now();
        machines[at].stop();
        let stopped = began.elapsed();
        *shared.doors.lock().unwrap() = doors(&machines);
        let number = format!("/dolmen/nodes/{}", at + 1);
        let other = &machines[(at + 1) % 3];
        until("its line is gone", || {
            let listed = other.try_zk(&["stat", &number]);
            listed.words.contains("no such znode").then_some(())
        });
        assert!(
            began.elapsed() < Duration::from_secs(8),
            "it was left to expire"
        );
        until_all_write(&shared, Instant::now());
        machines[at].go_on();
        *shared.doors.lock().unwrap() = doors(&machines);
        machines[at].until_in(at as u64 + 1);
        until_all_write(&shared, Instant::now());
        let (stall, of_one) = stalls(&shared, began);
        println!(
            "node {} ({}) stopped in {stopped:?}; no write for {stall:?}, for one client {of_one:?}",
            at + 1,
            if led { "leader" } else { "follower" },
        );
        assert!(
            stall < ELECTION,
            "no better than a killed leader: {stall:?}"
        );
    }

    let leader = leader(&machines);
    let began = Instant::now();
    machines[leader].kill();
    *shared.doors.lock().unwrap() = doors(&machines);
    until_all_write(&shared, Instant::now());
    let (stall, of_one) = stalls(&shared, began);
    println!("a leader is killed: no write for {stall:?}, for one client {of_one:?}");
    machines[leader].go_on();

    shared.is_over.store(true, SeqCst);
    let counts: Vec<(u64, u64)> = writers
        .into_iter()
        .map(|writer| writer.join().unwrap())
        .collect();
    println!("writes and lost connections of each client: {counts:?}");
    let there = machines[(leader + 1) % 3].zk(&["ls", "/"]).answer();
    let there: BTreeSet<&str> = there.split_whitespace().collect();
    for (number, (count, lost)) in counts.iter().enumerate() {
        assert!(*lost > 0, "client {number} met no restart");
        for write in 0..*count {
            let name = format!("w-{number}-{write}");
            assert!(
                there.contains(&*name),
                "{name} was acknowledged and is lost"
            );
        }
    }
}

#[test]
fn a_stop_without_a_majority_does_not_hang() {
    let mut machines = three();
    let leader = leader(&machines);
    for at in (0..3).filter(|at| *at != leader) {
        machines[at].kill();
    }
    // At once, while it still takes itself for the leader.
    let began = Instant::now();
    machines[leader].stop();
    let took = began.elapsed();
    println!("alone, it stopped in {took:?}");
    assert!(took < Duration::from_secs(15), "{took:?}");
}
