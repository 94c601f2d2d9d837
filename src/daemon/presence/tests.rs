//! A session without a replica: what is said, and what is heard.

use super::*;
use crate::clock::Millis;
use crate::state::{Error, StreamsCommand, topics::TopicKey};
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Default)]
struct Table {
    said: Mutex<Vec<Ask>>,
    ready: Mutex<Vec<Reply>>,
}

impl Desk for Table {
    fn say(&self, asks: &mut Vec<Ask>) {
        self.said.lock().unwrap().append(asks);
    }

    fn take(&self, into: &mut Vec<Reply>) {
        into.append(&mut self.ready.lock().unwrap());
    }

    fn call(&self, _wake: Arc<dyn Fn() + Send + Sync>) {}
}

#[derive(Default)]
struct Hand(AtomicU64);

impl Clock for Hand {
    fn now(&self) -> Millis {
        Millis(0)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::Relaxed))
    }
}

struct Room {
    table: Arc<Table>,
    hand: Arc<Hand>,
    presence: Arc<Presence>,
    heard: Arc<Mutex<Vec<String>>>,
}

const PASSWORD: [u8; 16] = [3; 16];

impl Room {
    fn new() -> Self {
        let (table, hand) = (Arc::new(Table::default()), Arc::new(Hand::default()));
        Self {
            presence: Arc::new(Presence::new(table.clone(), hand.clone())),
            table,
            hand,
            heard: Arc::default(),
        }
    }

    /// With a session.
    fn open() -> Self {
        let room = Self::new();
        room.pump();
        room.opened(1, 5);
        room.pump();
        room.said();
        room
    }

    fn pump(&self) {
        let line = (NodeId(1), "line".to_string());
        self.presence.pump(&line, None);
    }

    fn reply(&self, reply: Reply) {
        self.table.ready.lock().unwrap().push(reply);
        self.presence.hear();
    }

    fn opened(&self, connection: u64, session: u64) {
        self.reply(Reply::Opened {
            connection: ConnectionId(connection),
            session: SessionId(session),
            password: PASSWORD,
            timeout_ms: TIMEOUT_MS,
            is_read_only: false,
        });
    }

    fn answer(&self, tag: u64, answer: Result<Answer, Error>) {
        self.reply(Reply::Answer {
            connection: ConnectionId(1),
            tag,
            zxid: Zxid(1),
            answer,
        });
    }

    fn close(&self, why: CloseReason) {
        let connection = ConnectionId(1);
        self.reply(Reply::Close { connection, why });
    }

    fn propose(&self, name: &str) {
        let delete = StreamsCommand::DeleteTopic {
            topic: TopicKey::Name(name.into()),
        };
        let (heard, name) = (self.heard.clone(), name.to_string());
        let told = Box::new(move |outcome: Result<Outcome, String>| {
            let what = match outcome {
                Ok(outcome) => format!("{outcome:?}"),
                Err(why) => why.split([' ', ';']).take(3).collect::<Vec<_>>().join(" "),
            };
            heard.lock().unwrap().push(format!("{name}: {what}"));
        });
        self.presence.propose(Command::Streams(delete), told);
    }

    fn catch_up(&self, name: &str) {
        let (heard, name) = (self.heard.clone(), name.to_string());
        let ended = Box::new(move || heard.lock().unwrap().push(name));
        self.presence.catch_up(ended);
    }

    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.heard.lock().unwrap())
    }

    /// What was said since, in short.
    fn said(&self) -> Vec<String> {
        let said = std::mem::take(&mut *self.table.said.lock().unwrap());
        let word = |ask: Ask| match ask {
            Ask::Open { hello, .. } => {
                format!("open {} {}", hello.session.0, hello.password == PASSWORD)
            }
            Ask::Request { tag, request, .. } => match request {
                Request::Ping => "ping".into(),
                Request::Submit(Command::Write(Write::Delete { .. })) => "remove".into(),
                Request::Submit(Command::Write(Write::Create(_))) => "create".into(),
                Request::Submit(Command::Streams(_)) => format!("streams {tag}"),
                other => format!("{other:?}"),
            },
            other => format!("{other:?}"),
        };
        said.into_iter().map(word).collect()
    }
}

fn synced() -> Result<Answer, Error> {
    Ok(Answer::Synced)
}

fn closed() -> Result<Answer, Error> {
    Ok(Answer::Outcome(Outcome::Closed))
}

#[test]
fn the_line_is_written_and_then_only_a_sign_of_life() {
    let room = Room::new();
    room.pump();
    room.pump();
    assert_eq!(room.said(), ["open 0 false"]);
    room.opened(1, 5);
    room.pump();
    room.pump();
    assert_eq!(room.said(), ["remove", "create", "ping"]);
}

#[test]
fn whoever_proposes_hears_what_came_of_it() {
    let room = Room::open();
    room.propose("a");
    room.propose("b");
    assert_eq!(room.said(), ["streams 1", "streams 2"]);
    // Of what nobody waits for.
    room.answer(0, Ok(Answer::Pong));
    assert_eq!(room.heard(), [""; 0]);
    room.answer(1, closed());
    assert_eq!(room.heard(), ["a: Closed"]);
    room.answer(2, Err(Error::NoNode));
    room.answer(2, closed());
    let heard = room.heard();
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert!(heard[0].starts_with("b: ") && heard[0] != "b: Closed");
}

#[test]
fn catching_up_ends_with_the_answer_or_with_the_way_to_it() {
    let room = Room::new();
    room.catch_up("none");
    assert_eq!(room.heard(), ["none"], "there is no session yet");
    let room = Room::open();
    room.catch_up("a");
    room.catch_up("b");
    assert_eq!(room.said(), ["Sync", "Sync"]);
    assert_eq!(room.heard(), [""; 0]);
    room.answer(1, synced());
    assert_eq!(room.heard(), ["a"]);
    room.close(CloseReason::NotServing);
    assert_eq!(room.heard(), ["b"]);
}

#[test]
fn without_a_session_nothing_is_taken() {
    let room = Room::new();
    room.propose("a");
    room.pump();
    room.propose("b");
    assert_eq!(room.said(), ["open 0 false"]);
    assert_eq!(room.heard(), ["a: this node is", "b: this node is"]);
}

#[test]
fn the_session_outlives_its_connection() {
    let room = Room::open();
    room.propose("a");
    room.close(CloseReason::NotServing);
    assert_eq!(room.heard(), ["a: this node lost"]);
    room.said();
    room.pump();
    assert_eq!(room.said(), ["open 5 true"]);
    // What comes of the old one is nobody's.
    room.answer(1, closed());
    room.opened(2, 5);
    room.pump();
    assert_eq!(room.said(), ["remove", "create"]);
    assert_eq!(room.heard(), [""; 0]);
}

#[test]
fn a_session_that_is_over_is_followed_by_another() {
    for why in [
        CloseReason::SessionExpired,
        CloseReason::SessionMoved,
        CloseReason::SessionClosed,
    ] {
        let room = Room::open();
        room.close(why);
        room.pump();
        assert_eq!(room.said(), ["open 0 false"], "{why:?}");
    }
    let room = Room::open();
    room.close(CloseReason::WriteLost);
    room.pump();
    assert_eq!(room.said(), ["open 5 true"]);
    let connection = ConnectionId(2);
    for (why, next) in [
        (NotOpened::NotServing, "open 5 true"),
        (NotOpened::Expired, "open 0 false"),
    ] {
        let connection = match why {
            NotOpened::Expired => ConnectionId(3),
            _ => connection,
        };
        room.reply(Reply::NotOpened { connection, why });
        room.pump();
        assert_eq!(room.said(), [next], "{why:?}");
    }
}

#[test]
fn nobody_waits_longer_than_people_do() {
    let room = Room::open();
    room.propose("a");
    room.hand.0.store(7, Ordering::Relaxed);
    room.propose("b");
    room.pump();
    assert_eq!(room.heard(), [""; 0]);
    room.hand.0.store(8, Ordering::Relaxed);
    room.pump();
    assert_eq!(room.heard(), ["a: no majority agreed"]);
    room.answer(1, closed());
    room.answer(2, closed());
    assert_eq!(room.heard(), ["b: Closed"]);
}

#[test]
fn there_is_a_bound_which_what_is_late_counts_for_too() {
    let room = Room::open();
    (0..PROPOSALS_MAX).for_each(|_| room.propose("a"));
    assert_eq!(room.heard(), [""; 0]);
    room.propose("b");
    assert_eq!(room.heard(), ["b: too many changes"]);
    room.hand.0.store(9, Ordering::Relaxed);
    room.pump();
    assert_eq!(room.heard().len(), PROPOSALS_MAX);
    room.propose("b");
    assert_eq!(room.heard(), ["b: too many changes"]);
    room.answer(1, closed());
    room.propose("b");
    assert_eq!(room.heard(), [""; 0]);
}

#[test]
fn who_hears_may_propose_at_once() {
    let room = Room::open();
    let again = room.presence.clone();
    let told = Box::new(move |_| again.propose(Command::CloseSession, Box::new(|_| ())));
    room.presence.propose(Command::CloseSession, told);
    room.said();
    room.answer(1, closed());
    assert_eq!(room.said().len(), 1);
}

#[test]
fn a_stop_ends_the_session_and_waits_for_it() {
    let room = Room::open();
    let (table, presence) = (room.table.clone(), room.presence.clone());
    let leaving = std::thread::spawn(move || presence.leave());
    while table.said.lock().unwrap().is_empty() {
        std::thread::yield_now();
    }
    assert_eq!(room.said(), ["Submit(CloseSession)"]);
    room.answer(1, closed());
    leaving.join().unwrap();

    // Where there is none, nothing is waited for.
    Room::new().presence.leave();
}
