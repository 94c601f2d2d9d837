//! Clients that say too much, too little, too slowly or nothing at all, and
//! those beside them that must not notice.

use super::House;
use super::basic::node;
use super::client::{Client, greeting};
use super::identity::Authority;
use crate::full;
use dolmen::ids::Zxid;
use dolmen::ports::zookeeper::codec::{FRAME_HEAD_BYTES, Jute, RequestHeader, Watched};
use dolmen::ports::zookeeper::errors;
use dolmen::ports::zookeeper::handlers::{Create, GetData, Operation, Ping, Sync};
use dolmen::replica::desk::Reply;
use dolmen::state::ChangeKind;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

const FRAME_BYTES_MAX: usize = (1 << 20) - 1;
const OUTSTANDING_MAX: usize = 10_000;

/// Waits for what must come to be.
fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(20), "never {what}");
        std::thread::yield_now();
    }
}

fn ping(client: &mut Client) {
    client.send_as(-2, Ping::CODE, &());
    assert_eq!(client.reply().0.xid, -2);
}

#[test]
fn a_frame_has_a_longest_length() {
    let house = House::new();
    let mut client = house.client();
    // The header, the path, the data's length, the access list, the flags.
    let around = 8 + (4 + 2) + 4 + (4 + 4 + 9 + 10) + 4;
    let longest = node("/a", &vec![7; FRAME_BYTES_MAX - around]);
    client.call::<Create>(&longest).unwrap();
    let read = Watched {
        path: "/a".into(),
        watch: false,
    };
    let data = client.call::<GetData>(&read).unwrap().data;
    assert_eq!(data.len(), FRAME_BYTES_MAX - around);
    client.say(&(FRAME_BYTES_MAX as i32 + 1).to_be_bytes());
    assert_eq!(client.frame(), None);
    assert_eq!(house.counts.cut_off.get(), 1);
}

#[test]
fn what_is_no_frame_ends_the_connection() {
    let house = House::new();
    let ends = |bytes: &[u8], is_open: bool| {
        let mut client = Client::dial(house.door.address());
        if is_open {
            client.open();
        }
        client.say(bytes);
        assert_eq!(client.frame(), None, "{bytes:?}");
    };
    ends(&(-1i32).to_be_bytes(), false);
    ends(&(-1i32).to_be_bytes(), true);
    ends(&i32::MIN.to_be_bytes(), true);
    // A greeting may not be as long as what follows it.
    ends(&(48i32 * 1024 - 3).to_be_bytes(), false);
    ends(b"GET / HTTP/1.1\r\n\r\n", false);
    // Whole frames that are neither greeting nor request.
    ends(&[0, 0, 0, 2, 7, 7], false);
    ends(&[0, 0, 0, 2, 7, 7], true);
    // A TLS handshake where TLS is not spoken.
    ends(&[0x16, 3, 1, 0, 5, 1, 2, 3, 4, 5], false);
}

/// So many callers who say `first_words` and no more: they are closed at their
/// deadline, and those who work beside them are answered all the while.
fn many_wait(
    count: usize,
    house: &House,
    workers: &mut [Client],
    first_words: impl Fn(usize) -> Vec<u8>,
) {
    let before = house.counts.cut_off.get();
    let half_open: Vec<TcpStream> = (0..count)
        .map(|n| {
            let mut socket = TcpStream::connect(house.door.address()).unwrap();
            socket.write_all(&first_words(n)).unwrap();
            socket
        })
        .collect();
    for _ in 0..500 {
        workers.iter_mut().for_each(ping);
    }
    for (n, mut socket) in half_open.into_iter().enumerate() {
        let patience = Some(Duration::from_secs(20));
        socket.set_read_timeout(patience).unwrap();
        // What the door says of itself, then the end.
        let ended = loop {
            match socket.read(&mut [0; 4096]) {
                Ok(length) if length > 0 => {}
                ended => break ended,
            }
        };
        let is_late = |kind| matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut);
        assert!(!ended.is_err_and(|error| is_late(error.kind())));
        if n % 10 == 0 {
            workers.iter_mut().for_each(ping);
        }
    }
    assert_eq!(house.counts.cut_off.get(), before + count as u64);
    workers.iter_mut().for_each(ping);
}

fn for_many(settings: &mut dolmen::ports::zookeeper::Settings) {
    settings.connections_per_address_max = 5000;
    settings.handshake_time_max = Duration::from_secs(2);
}

#[test]
fn two_thousand_half_open_connections_hurt_nobody() {
    let house = House::with(for_many);
    let mut client = house.client();
    client.call::<Create>(&node("/a", b"x")).unwrap();
    many_wait(2000, &house, &mut [client], |n| match n % 2 {
        0 => Vec::new(),
        _ => vec![0, 0, 0, 45, 0, 0],
    });
}

/// Stuck in the first byte, in the middle of their first message, behind it, and
/// in the middle of their last.
#[test]
fn many_slow_tls_handshakes_hurt_nobody() {
    let authority = Authority::new();
    let house = House::with(|settings| {
        for_many(settings);
        settings.tls = Some(authority.server());
    });
    let mut by_tls = authority.dial(house.door.address(), &[]);
    by_tls.open();
    let hello = authority.hello();
    // The door's side of a handshake is work: 2,000 of them take ten seconds.
    let count = if full() { 2000 } else { 400 };
    many_wait(count, &house, &mut [house.client(), by_tls], |n| {
        match n % 4 {
            0 => hello[..1].to_vec(),
            1 => hello[..hello.len() / 2].to_vec(),
            2 => hello.clone(),
            _ => [&hello[..], &[0x16, 3, 3, 0x40]].concat(),
        }
    });
}

/// A hello that says it has nearly 64 KiB is not waited for to its end.
#[test]
fn a_tls_handshake_has_a_greatest_size() {
    let authority = Authority::new();
    let house = House::with(|settings| settings.tls = Some(authority.server()));
    let mut client = Client::dial(house.door.address());
    let mut hello = vec![1, 0, 0xf0, 0];
    hello.resize(12 << 10, 7);
    for _ in 0..4 {
        client.say(&[0x16, 3, 1, 0x30, 0]);
        client.say(&hello);
        hello.fill(7);
    }
    assert_eq!(client.frame(), None);
    assert_eq!(house.counts.cut_off.get(), 1);
    authority.dial(house.door.address(), &[]).open();
}

#[test]
fn a_frame_that_never_ends_is_cut_off_and_silence_is_not() {
    let house = House::with(|settings| settings.frame_time_max = Duration::from_millis(300));
    let mut silent = house.client();
    let mut slow = house.client();
    ping(&mut slow);
    slow.say(&[0, 0, 0, 8, 1, 2]);
    assert_eq!(slow.frame(), None);
    assert_eq!(house.counts.cut_off.get(), 1);
    until("gone", || house.stand.gone() == 1);
    ping(&mut silent);
}

/// A client that sends and does not read: what it is sent piles up to a bound.
#[test]
fn a_client_that_takes_nothing_is_cut_off() {
    let house = House::new();
    let (mut deaf, mut other) = (house.client(), house.client());
    let connection = house.stand.connection_of(deaf.session);
    let path: Box<str> = "/".repeat(1 << 20).into();
    // 64 MiB may wait here, some more in the kernel.
    for _ in 0..100 {
        house.stand.push([Reply::Event {
            connection,
            zxid: Zxid(1),
            kind: ChangeKind::Created,
            path: path.clone(),
        }]);
        ping(&mut other);
    }
    until("cut off", || house.counts.cut_off.get() == 1);
    ping(&mut other);
    // What had left arrives, then the end.
    let mut arrived = Vec::new();
    let _ = deaf.stream.read_to_end(&mut arrived);
    assert!(arrived.len() < 100 << 20);
}

#[test]
fn one_connection_has_so_many_requests_under_way() {
    let house = House::new();
    let mut client = house.client();
    house.stand.hold();
    for _ in 0..1000 {
        client.send_as(-2, Ping::CODE, &());
    }
    until("asked", || house.stand.asked() > 0);
    super::words::ask(&house, "srvr");
    super::words::ask(&house, "srvr");
    assert!(house.stand.asked() <= 256);
    house.stand.let_go();
    for _ in 0..1000 {
        assert_eq!(client.reply().0.xid, -2);
    }
    until("answered", || house.counts.outstanding.get() == 0);
}

#[test]
fn all_connections_have_so_many_requests_under_way() {
    let house = House::with(|settings| settings.connections_per_address_max = 1000);
    let mut clients: Vec<Client> = (0..400).map(|_| house.client()).collect();
    house.stand.hold();
    for client in &mut clients {
        for _ in 0..40 {
            client.send_as(-2, Ping::CODE, &());
        }
    }
    until("full", || house.stand.asked() == OUTSTANDING_MAX);
    super::words::ask(&house, "srvr");
    assert_eq!(house.stand.asked(), OUTSTANDING_MAX);
    house.stand.let_go();
    for mut client in clients {
        for _ in 0..40 {
            assert_eq!(client.reply().0.xid, -2);
        }
    }
    until("answered", || house.counts.outstanding.get() == 0);
}

/// Answers of a megabyte to a client that asks far ahead and reads late: asked
/// for as they leave, and all of them given.
#[test]
fn large_answers_are_asked_for_as_they_leave() {
    let house = House::new();
    let mut client = house.client();
    client
        .call::<Create>(&node("/a", &vec![7; 1_000_000]))
        .unwrap();
    let read = Watched {
        path: "/a".into(),
        watch: false,
    };
    for _ in 0..150 {
        client.send::<GetData>(&read);
    }
    for _ in 0..150 {
        assert_eq!(client.reply().1.len(), 4 + 1_000_000 + 68);
    }
    assert_eq!(house.counts.cut_off.get(), 0);
}

#[test]
fn connections_have_a_number_in_all_and_from_one_address() {
    for change in [
        (|settings: &mut dolmen::ports::zookeeper::Settings| settings.connections_max = 3)
            as fn(&mut _),
        |settings| settings.connections_per_address_max = 3,
    ] {
        let house = House::with(change);
        let mut clients: Vec<Client> = (0..3).map(|_| house.client()).collect();
        let mut fourth = Client::dial(house.door.address());
        assert_eq!(fourth.frame(), None);
        assert_eq!(house.counts.turned_away.get(), 1);
        clients.pop();
        until("a free place", || house.counts.connections.get() == 2);
        clients.push(house.client());
        clients.iter_mut().for_each(ping);
    }
}

#[test]
fn who_ends_the_conversation_is_still_answered() {
    let house = House::new();
    let mut client = house.client();
    for _ in 0..1000 {
        client.send_as(-2, Ping::CODE, &());
    }
    let socket = client.socket.take().unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    for _ in 0..1000 {
        assert_eq!(client.reply().0.xid, -2);
    }
    assert_eq!(client.frame(), None);
    until("gone", || house.stand.gone() == 1);
}

#[test]
fn requests_behind_the_first_words_wait_for_the_session() {
    let house = House::new();
    let mut client = Client::dial(house.door.address());
    let mut bytes = Vec::new();
    greeting().write(&mut bytes);
    client.say(&bytes);
    // Far more than is held before the session is open.
    let path: Box<str> = "x".repeat(100_000).into();
    let sync = dolmen::ports::zookeeper::codec::OfAnyPath { path: Some(path) };
    for _ in 0..5 {
        client.send::<Sync>(&sync);
    }
    client.frame().unwrap();
    for xid in 1..=5 {
        let (header, body) = client.reply();
        assert_eq!((header.xid, header.error), (xid, 0));
        assert_eq!(body.len(), 100_004);
    }
}

#[test]
fn counts_that_nobody_sent_are_not_believed() {
    let house = House::new();
    let mut client = house.client();
    let mut check = |operation: i32, write: &dyn Fn(&mut Vec<u8>)| {
        let mut payload = Vec::new();
        let xid = 3;
        RequestHeader { xid, operation }.write(&mut payload);
        write(&mut payload);
        let mut frame = (payload.len() as i32).to_be_bytes().to_vec();
        assert_eq!(frame.len(), FRAME_HEAD_BYTES);
        frame.extend(payload);
        client.say(&frame);
        let (header, _) = client.reply();
        assert_eq!((header.xid, header.error), (3, errors::MARSHALLING_ERROR));
    };
    for count in [i32::MAX, 100_000_000, -2, i32::MIN] {
        // An access list, a list of watches, a text, a buffer.
        check(Create::CODE, &|into| {
            node("/a", b"").path.write(into);
            0i32.write(into);
            count.write(into);
        });
        check(101, &|into| {
            0i64.write(into);
            count.write(into);
        });
        check(GetData::CODE, &|into| count.write(into));
    }
    ping(&mut client);
}
