//! A session driven by scripts, without a socket.

use super::super::codec::{Created, OfPath, Watched, write_request};
use super::super::errors;
use super::*;
use crate::replica::desk::{Answered, CloseReason};
use crate::state::Stat;
use std::sync::Arc;

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
    assert!(!scene.session.wants_bytes(), "more than 64 KiB wait");
    scene.hear(opened());
    assert_eq!(scene.session.owed(), 32, "as many as large answers allow");
}

#[test]
fn answers_take_the_place_of_their_requests() {
    let mut scene = Scene::open();
    let mut bytes = Vec::new();
    let path = OfPath { path: "/s".into() };
    write_request(1, code::SYNC, &path, &mut bytes);
    write_request(2, code::WHO_AM_I, &(), &mut bytes);
    write_request(3, 999, &(), &mut bytes);
    write_request(4, code::GET_DATA, &-5i32, &mut bytes);
    scene.arrive(&bytes);
    assert_eq!(scene.asks.len(), 4);
    assert!(scene.frames().is_empty(), "nothing overtakes the sync");
    scene.answer(1, Ok(Answer::Synced));
    (2..=4).for_each(|tag| scene.answer(tag, Ok(Answer::Pass)));
    let codes = [0, 0, errors::UNIMPLEMENTED, errors::MARSHALLING_ERROR];
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
    let data: Arc<[u8]> = Arc::from(*b"xyz");
    scene.answer(2, Ok(Answer::Read(Answered::Data { data, stat })));
    scene.answer(3, Err(Error::NoNode));
    let lengths: Vec<usize> = scene.frames().iter().map(Vec::len).collect();
    assert_eq!(lengths, [16 + 68, 16 + 4 + 3 + 68, 16]);
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
    scene.arrive(&pings(0..300));
    assert_eq!((scene.asks.len(), scene.room), (10, 0));
    assert!(scene.session.is_held_up());
    scene.room = 1000;
    scene.step(|session, out, hand| session.proceed(out, hand));
    assert_eq!(
        scene.asks.len(),
        256,
        "one connection has no more under way"
    );
    (1..=256).for_each(|tag| scene.answer(tag, Ok(Answer::Pong)));
    scene.step(|session, out, hand| session.proceed(out, hand));
    assert_eq!(scene.asks.len(), 300);
    assert!(!scene.session.is_held_up());
    (257..=300).for_each(|tag| scene.answer(tag, Ok(Answer::Pong)));
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
