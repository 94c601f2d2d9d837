//! A session driven by scripts, without a socket.

use super::super::codec::{Created, OfAnyPath, Watched, write_request};
use super::super::errors;
use super::*;
use crate::replica::desk::{Answered, CloseReason};
use crate::state::{Data, Stat};

/// A session with all that it has at hand.
struct Scene {
    session: Session,
    terms: Terms,
    counts: Counts,
    latency: Latency,
    asks: Vec<Ask>,
    room: usize,
    now_us: u64,
    out: Vec<u8>,
}

const CONNECTION: ConnectionId = ConnectionId(7);

impl Scene {
    fn new() -> Self {
        Self {
            session: Session::new(CONNECTION, vec![Identity::new("ip", "10.0.0.1")]),
            terms: Terms::default(),
            counts: Counts::default(),
            latency: Latency::default(),
            asks: Vec::new(),
            room: 1000,
            now_us: 0,
            out: Vec::new(),
        }
    }

    fn open() -> Self {
        let mut scene = Self::new();
        scene.arrive(&greeting());
        scene.hear(opened());
        scene.asks.clear();
        scene.out.clear();
        scene
    }

    fn step(&mut self, step: impl FnOnce(&mut Session, &mut Vec<u8>, &mut AtHand<'_>)) {
        let mut hand = AtHand {
            terms: &self.terms,
            counts: &self.counts,
            latency: &mut self.latency,
            asks: &mut self.asks,
            room: &mut self.room,
            now_us: self.now_us,
            now: Millis(0),
            nonce_seed: &[0; 32],
        };
        step(&mut self.session, &mut self.out, &mut hand);
    }

    fn arrive(&mut self, bytes: &[u8]) {
        self.step(|session, out, hand| session.arrive(bytes, out, hand));
    }

    fn hear(&mut self, reply: Reply) {
        self.step(|session, out, hand| session.hear(reply, out, hand));
    }

    fn answer(&mut self, tag: u64, answer: Result<Answer, Error>) {
        self.hear(Reply::Answer {
            connection: CONNECTION,
            tag,
            zxid: Zxid(99),
            answer,
        });
    }

    /// What was put out since the last time, frame by frame.
    fn frames(&mut self) -> Vec<Vec<u8>> {
        let mut rest = &self.out[..];
        let mut frames = Vec::new();
        while let Cut::Whole(length) = codec::cut(rest, usize::MAX) {
            frames.push(rest[FRAME_HEAD_BYTES..FRAME_HEAD_BYTES + length].to_vec());
            rest = &rest[FRAME_HEAD_BYTES + length..];
        }
        assert!(rest.is_empty(), "a frame is not whole");
        self.out.clear();
        frames
    }

    fn errors(&mut self) -> Vec<(i32, i32)> {
        let header = |frame: &Vec<u8>| ReplyHeader::read(&mut Cursor::new(frame)).unwrap();
        let headers = self.frames().iter().map(header).collect::<Vec<_>>();
        headers.iter().map(|h| (h.xid, h.error)).collect()
    }
}

fn greeting() -> Vec<u8> {
    let mut bytes = Vec::new();
    ConnectRequest {
        protocol: 0,
        last_zxid_seen: Zxid(5),
        timeout_ms: 6000,
        session: SessionId(0),
        password: vec![0; 16],
        takes_read_only: Some(false),
    }
    .write(&mut bytes);
    bytes
}

fn opened() -> Reply {
    Reply::Opened {
        connection: CONNECTION,
        session: SessionId(3),
        password: [4; 16],
        timeout_ms: 6000,
        is_read_only: false,
    }
}

fn pings(xids: std::ops::Range<i32>) -> Vec<u8> {
    let mut bytes = Vec::new();
    xids.for_each(|xid| write_request(xid, code::PING, &(), &mut bytes));
    bytes
}

#[test]
fn a_ping_is_answered_under_its_own_number() {
    let mut scene = Scene::open();
    scene.arrive(&pings(7..8));
    scene.answer(1, Ok(Answer::Pong));
    assert_eq!(scene.errors(), [(codec::PING_XID, 0)]);
}

#[test]
fn a_greeting_asks_for_a_session_and_is_answered_in_its_own_shape() {
    for (takes_read_only, length) in [(None, 36), (Some(true), 37)] {
        let mut scene = Scene::new();
        let mut bytes = Vec::new();
        let mut request = ConnectRequest::read(&greeting()[FRAME_HEAD_BYTES..]).unwrap();
        request.takes_read_only = takes_read_only;
        request.write(&mut bytes);
        scene.arrive(&bytes);
        let [Ask::Open { hello, who, .. }] = &scene.asks[..] else {
            panic!("{:?}", scene.asks)
        };
        assert_eq!((hello.timeout_ms, hello.last_zxid_seen), (6000, Zxid(5)));
        assert_eq!(hello.takes_read_only, takes_read_only == Some(true));
        assert_eq!(who.len(), 1);
        scene.hear(opened());
        assert_eq!(scene.frames()[0].len(), length);
    }
}

#[test]
fn nothing_is_said_behind_a_greeting_before_it_is_answered() {
    let mut scene = Scene::new();
    scene.arrive(&[greeting(), pings(0..3)].concat());
    assert_eq!(scene.asks.len(), 1);
    assert!(scene.session.wants_bytes());
    scene.arrive(&pings(3..10_000));
    assert!(!scene.session.wants_bytes(), "as much as may waits");
    scene.hear(opened());
    assert_eq!(scene.session.owed(), 32, "as many as large answers allow");
}

#[test]
fn before_a_session_no_more_is_read_than_may_be_held() {
    let mut scene = Scene::new();
    let bytes = ZOOKEEPER_UNOPENED_BYTES_MAX - FRAME_HEAD_BYTES;
    scene.arrive(&(bytes as i32).to_be_bytes());
    assert_eq!(scene.session.bytes_wanted(), bytes);
    scene.arrive(&vec![0; bytes - 1]);
    assert_eq!(scene.session.bytes_wanted(), 1, "the greeting's last");

    let mut scene = Scene::new();
    scene.arrive(&greeting());
    scene.arrive(&vec![0; scene.session.bytes_wanted()]);
    assert_eq!(scene.session.bytes_wanted(), 0);
}

#[test]
fn answers_take_the_place_of_their_requests() {
    let mut scene = Scene::open();
    let mut bytes = Vec::new();
    let path = OfAnyPath {
        path: Some("/s".into()),
    };
    write_request(1, code::SYNC, &path, &mut bytes);
    write_request(2, code::WHO_AM_I, &(), &mut bytes);
    write_request(3, code::GET_DATA, &-5i32, &mut bytes);
    write_request(4, 999, &(), &mut bytes);
    scene.arrive(&bytes);
    assert_eq!(scene.asks.len(), 4);
    assert!(scene.frames().is_empty(), "nothing overtakes the sync");
    scene.answer(1, Ok(Answer::Synced));
    (2..=4).for_each(|tag| scene.answer(tag, Ok(Answer::Pass)));
    let codes = [0, 0, errors::MARSHALLING_ERROR, errors::UNIMPLEMENTED];
    let wanted: Vec<(i32, i32)> = (1..).zip(codes).collect();
    assert_eq!(scene.errors(), wanted);
}

#[test]
fn an_answer_has_the_shape_of_its_operation() {
    let mut scene = Scene::open();
    let mut bytes = Vec::new();
    let watched = || Watched {
        path: "/a".into(),
        watch: true,
    };
    write_request(1, code::EXISTS, &watched(), &mut bytes);
    write_request(2, code::GET_DATA, &watched(), &mut bytes);
    write_request(3, code::GET_DATA, &watched(), &mut bytes);
    scene.arrive(&bytes);
    let stat = Stat::default();
    scene.answer(1, Ok(Answer::Read(Answered::Exists(stat))));
    let data = Data::from(*b"xyz");
    scene.answer(2, Ok(Answer::Read(Answered::Data { data, stat })));
    scene.answer(3, Err(Error::NoNode));
    let lengths: Vec<usize> = scene.frames().iter().map(Vec::len).collect();
    assert_eq!(lengths, [16 + 68, 16 + 4 + 3 + 68, 16]);
}

#[test]
fn data_that_is_not_there_is_told_from_no_data() {
    let mut scene = Scene::open();
    let mut bytes = Vec::new();
    let (path, watch) = ("/a".into(), false);
    write_request(1, code::GET_DATA, &Watched { path, watch }, &mut bytes);
    scene.arrive(&bytes);
    let (data, stat) = (Data::NOTHING, Stat::default());
    scene.answer(1, Ok(Answer::Read(Answered::Data { data, stat })));
    assert_eq!(scene.frames()[0][16..20], (-1i32).to_be_bytes());
}

#[test]
fn an_unknown_operation_is_answered_outside_of_history_and_ends_the_connection() {
    for operation in [0, 10, code::CHECK, 999] {
        let mut scene = Scene::open();
        let mut bytes = Vec::new();
        write_request(1, operation, &(), &mut bytes);
        bytes.extend(pings(2..3));
        scene.arrive(&bytes);
        assert_eq!(scene.asks.len(), 1, "nothing is heard behind it");
        scene.answer(1, Ok(Answer::Pass));
        let frames = scene.frames();
        let header = ReplyHeader::read(&mut Cursor::new(&frames[0])).unwrap();
        let wanted = ReplyHeader {
            xid: 1,
            zxid: Zxid(u64::MAX),
            error: errors::UNIMPLEMENTED,
        };
        assert_eq!(header, wanted);
        assert!(scene.session.is_leaving());
        assert!(scene.session.is_known(), "the session is not closed");
    }
}

#[test]
fn proof_that_cannot_be_read_ends_the_connection_without_a_word() {
    let nothing = SaslToken {
        token: Data::NOTHING,
    };
    let mut token = Vec::new();
    write_request(1, code::SASL, &nothing, &mut token);
    let mut empty = Vec::new();
    write_request(1, code::AUTH, &(), &mut empty);
    for bytes in [token, empty] {
        let mut scene = Scene::open();
        scene.arrive(&bytes);
        scene.answer(1, Ok(Answer::Pass));
        assert!(scene.frames().is_empty());
        assert!(scene.session.is_leaving());
    }
}

#[test]
fn a_session_asked_for_on_a_connection_is_the_one_it_has() {
    let mut scene = Scene::new();
    scene.arrive(&greeting());
    scene.hear(opened());
    let greeted = scene.frames();
    let mut bytes = Vec::new();
    write_request(1, code::CREATE_SESSION, &10_000i32, &mut bytes);
    scene.arrive(&bytes);
    scene.answer(1, Ok(Answer::Pass));
    assert_eq!(scene.frames(), greeted);
    assert!(scene.session.is_open());
}

#[test]
fn a_multi_of_flags_that_mean_nothing_does_not_read() {
    let create = |flags| {
        codec::Part::Create(codec::CreateRequest {
            path: "/a".into(),
            data: Data::NOTHING,
            acl: vec![],
            flags,
        })
    };
    let asked = |flags| {
        let mut body = Vec::new();
        let parts = vec![create(0), create(flags)];
        codec::Multi { parts }.write(&mut body);
        let place = handlers::find(code::MULTI).unwrap();
        (TABLE[place].read)(&mut Cursor::new(&body)).unwrap()
    };
    assert!(matches!(asked(9), Asked::Refused(MARSHALLING_ERROR)));
    assert!(matches!(asked(-1), Asked::Refused(MARSHALLING_ERROR)));
    // A TTL node without a TTL reads, and is refused in its place.
    assert!(matches!(asked(5), Asked::Keeping(..)));
}

#[test]
fn a_multi_read_watches_nothing_and_writes_nothing() {
    let watched = || codec::Watched {
        path: "/a".into(),
        watch: true,
    };
    let asked = |parts| {
        let mut body = Vec::new();
        codec::MultiRead { parts }.write(&mut body);
        let place = handlers::find(code::MULTI_READ).unwrap();
        (TABLE[place].read)(&mut Cursor::new(&body)).unwrap()
    };
    let read = asked(vec![
        codec::PartRead::Data(watched()),
        codec::PartRead::Children(watched()),
    ]);
    let Asked::Replica(Request::MultiRead(reads)) = read else {
        panic!("{read:?}")
    };
    use crate::replica::desk::Read;
    assert!(matches!(
        reads[..],
        [
            Read::Data { watch: false, .. },
            Read::Children { watch: false, .. }
        ]
    ));
    let delete = codec::AtVersion {
        path: "/a".into(),
        version: -1,
    };
    let write = asked(vec![codec::PartRead::Write(codec::Part::Delete(delete))]);
    let Asked::RefusedWith(MARSHALLING_ERROR, body) = write else {
        panic!("{write:?}")
    };
    assert_eq!(body.len(), 9, "the row is closed");
}

#[test]
fn a_lost_write_ends_the_connection_without_a_word() {
    for error in [Error::SessionMoved, Error::Gap, Error::Repeat] {
        let mut scene = Scene::open();
        scene.arrive(&pings(0..2));
        scene.answer(1, Err(error));
        assert!(scene.frames().is_empty());
        assert!(scene.session.is_leaving());
        scene.answer(2, Ok(Answer::Pong));
        assert!(scene.frames().is_empty());
    }
}

#[test]
fn nothing_is_asked_behind_a_goodbye() {
    let mut scene = Scene::open();
    let mut bytes = Vec::new();
    write_request(1, code::CLOSE_SESSION, &(), &mut bytes);
    bytes.extend(pings(2..5));
    scene.arrive(&bytes);
    assert_eq!(scene.asks.len(), 1);
    scene.answer(1, Ok(Answer::Outcome(crate::state::Outcome::Closed)));
    assert_eq!(scene.errors(), [(1, 0)]);
    assert!(scene.session.is_leaving());
    let why = CloseReason::SessionClosed;
    let connection = CONNECTION;
    scene.hear(Reply::Close { connection, why });
    assert!(!scene.session.is_known(), "the replica knows already");
}

#[test]
fn requests_wait_for_room_and_go_on_in_order() {
    let mut scene = Scene::open();
    scene.session.answer_bytes = 20;
    scene.room = 10;
    let mut bytes = Vec::new();
    (0..300).for_each(|xid| write_request(xid, code::WHO_AM_I, &(), &mut bytes));
    scene.arrive(&bytes);
    assert_eq!((scene.asks.len(), scene.room), (10, 0));
    assert!(scene.session.is_held_up());
    scene.room = 1000;
    scene.step(|session, out, hand| session.proceed(out, hand));
    assert_eq!(
        scene.asks.len(),
        256,
        "one connection has no more under way"
    );
    (1..=256).for_each(|tag| scene.answer(tag, Ok(Answer::Pass)));
    scene.step(|session, out, hand| session.proceed(out, hand));
    assert_eq!(scene.asks.len(), 300);
    assert!(!scene.session.is_held_up());
    (257..=300).for_each(|tag| scene.answer(tag, Ok(Answer::Pass)));
    let wanted: Vec<(i32, i32)> = (0..300).map(|xid| (xid, 0)).collect();
    assert_eq!(scene.errors(), wanted);
}

#[test]
fn large_answers_slow_the_questions_down() {
    let mut scene = Scene::open();
    scene.arrive(&pings(0..100));
    assert_eq!(scene.session.owed(), 32);
    for tag in 1..=32 {
        scene.answer(tag, Ok(Answer::Pong));
        scene.step(|session, out, hand| session.proceed(out, hand));
    }
    assert_eq!(scene.asks.len(), 100, "small answers are noticed");
}

#[test]
fn a_byte_at_a_time_means_the_same() {
    let script = [greeting(), pings(0..3)].concat();
    let mut scene = Scene::new();
    for byte in script {
        scene.arrive(&[byte]);
        if scene.session.owed() == 0 && scene.session.session() == SessionId(0) {
            let is_asked = matches!(scene.asks[..], [Ask::Open { .. }]);
            if is_asked {
                scene.hear(opened());
            }
        }
    }
    assert_eq!(scene.asks.len(), 4);
    assert!(!scene.session.is_in_frame());
}

#[test]
fn the_time_that_a_request_took_is_noted() {
    let mut scene = Scene::open();
    scene.arrive(&pings(0..1));
    scene.now_us = 2500;
    scene.answer(1, Ok(Answer::Pong));
    assert_eq!(scene.session.figures().last_latency_us, 2500);
    assert_eq!(scene.counts.latency.count(), 1);
}

#[test]
fn create_answers_a_path_alone() {
    let mut bytes = Vec::new();
    let path = "/a".into();
    Created { path }.write(&mut bytes);
    assert_eq!(bytes, [0, 0, 0, 2, b'/', b'a']);
}
