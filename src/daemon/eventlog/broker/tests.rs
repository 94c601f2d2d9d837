//! A broker beside the replicated state that it speaks to.

use super::*;
use crate::clock::Millis;
use crate::ids::NodeId;
use crate::state::topics::{Listener, StreamsRefused};
use crate::state::{Command, Identity, OpenSession, State, Submission};
use crate::streams::catch_up::is_current;
use tokio::sync::watch;

const NODE: NodeId = NodeId(1);

struct Room {
    state: State,
    show: watch::Sender<Arc<Topics>>,
    broker: Broker,
    sequences: std::collections::BTreeMap<SessionId, u64>,
    tag: u64,
}

impl Room {
    fn new(was_clean: bool) -> Self {
        let (show, shown) = watch::channel(Arc::default());
        let site = Site::new(NODE, Uid([1; 16]), shown, Box::new(|_, _| ()), is_current());
        let config = Config {
            rack: Some("left".into()),
            ..Config::built_in()
        };
        let address = "0.0.0.0:9092".parse().unwrap();
        Self {
            state: State::new(Uid([1; 16])),
            show,
            broker: Broker::new(
                Arc::new(site),
                Uid([7; 16]),
                Kept::of(was_clean),
                &config,
                address,
            ),
            sequences: std::collections::BTreeMap::new(),
            tag: 0,
        }
    }

    fn apply(&mut self, session: u64, command: Command) -> Result<Outcome, String> {
        self.tag += 1;
        let session = SessionId(session);
        let sequence = self.sequences.entry(session).or_default();
        *sequence += 1;
        let submission = Submission {
            origin: NODE,
            tag: self.tag,
            session,
            connection: u32::from(session.0 != 0),
            sequence: *sequence,
            who: vec![Identity::new("super", "dolmen")],
            command,
        };
        let now = Millis(1_700_000_000_000 + self.tag);
        let applied = self.state.apply(now, &submission, &mut Vec::new());
        self.show.send_replace(self.state.shared_topics().clone());
        applied.outcome.map_err(|error| error.to_string())
    }

    fn open(&mut self, session: u64) {
        let open = OpenSession {
            session: SessionId(session),
            password: [0; 16],
            timeout_ms: 10_000,
        };
        self.apply(0, Command::OpenSession(open)).unwrap();
    }

    fn expire(&mut self, session: u64) {
        let session = SessionId(session);
        let connection = 1;
        let expire = Command::ExpireSession {
            session,
            connection,
        };
        self.apply(0, expire).unwrap();
    }

    /// What is due in a session, said and heard.
    fn speak(&mut self, session: u64) -> Option<Announce> {
        let due = self.broker.due(SessionId(session))?;
        let outcome = self.apply(session, Command::Streams(due.clone()));
        self.broker.hear(outcome);
        let StreamsCommand::Announce(announce) = due else {
            panic!("{due:?}");
        };
        Some(announce)
    }

    fn move_to(&self, host: &str) {
        self.broker.look_around(|| Some(host.into()));
    }
}

fn hosts(listeners: &[Listener]) -> Vec<&str> {
    listeners.iter().map(|one| &*one.host).collect()
}

#[test]
fn it_is_announced_once() {
    let mut room = Room::new(true);
    room.open(5);
    assert_eq!(room.speak(5), None, "nobody knows where it is reached");
    room.move_to("10.0.0.1");
    let said = room.speak(5).unwrap();
    assert_eq!((said.node, said.disk), (NODE, Uid([7; 16])));
    assert_eq!(hosts(&said.listeners), ["10.0.0.1"]);
    assert_eq!((said.rack.as_deref(), said.kept), (Some("left"), Kept::All));
    let life = room.broker.site.life();
    assert_eq!(life, room.state.topics().brokers().life(NODE));
    assert!(life.is_some());
    assert_eq!(room.speak(5), None);
}

#[test]
fn while_one_is_on_its_way_no_other_is_said() {
    let mut room = Room::new(true);
    room.open(5);
    room.move_to("a");
    let due = room.broker.due(SessionId(5)).unwrap();
    assert_eq!(room.broker.due(SessionId(5)), None);
    let outcome = room.apply(5, Command::Streams(due));
    assert_eq!(room.broker.due(SessionId(5)), None, "not heard yet");
    room.broker.hear(outcome);
    assert_eq!(room.broker.due(SessionId(5)), None);
}

/// What it wrote since it was started is still in its memory.
#[test]
fn it_is_announced_again_when_its_session_has_ended_and_is_clean_then() {
    let mut room = Room::new(false);
    room.open(5);
    room.move_to("a");
    assert_eq!(room.speak(5).unwrap().kept, Kept::Synced);
    let first = room.broker.site.life().unwrap();
    room.expire(5);
    assert_eq!(room.broker.site.life(), None);
    room.open(6);
    assert_eq!(room.speak(6).unwrap().kept, Kept::All);
    let second = room.broker.site.life().unwrap();
    assert!(second.epoch > first.epoch);
    assert_eq!(room.speak(6), None);
}

/// Whether it was heard is not known: it may not have been applied.
#[test]
fn it_is_not_clean_before_it_has_heard_of_its_first_life() {
    let mut room = Room::new(false);
    room.open(5);
    room.move_to("a");
    assert!(room.broker.due(SessionId(5)).is_some());
    room.broker.hear(Err("lost".into()));
    let said = (0..=RESTS).find_map(|_| room.speak(5)).unwrap();
    assert_eq!(said.kept, Kept::Synced);
}

#[test]
fn another_address_is_said_in_the_same_life() {
    let mut room = Room::new(true);
    room.open(5);
    room.move_to("a");
    room.speak(5).unwrap();
    let life = room.broker.site.life();
    room.move_to("b");
    assert_eq!(hosts(&room.speak(5).unwrap().listeners), ["b"]);
    assert_eq!(room.broker.site.life(), life);
    assert_eq!(room.speak(5), None);
}

/// The session of the start before is not over when this one begins.
#[test]
fn a_life_of_an_earlier_start_is_not_its_own() {
    let mut room = Room::new(true);
    room.open(4);
    room.move_to("a");
    room.speak(4).unwrap();
    let before = room.state.topics().brokers().life(NODE);
    room.open(5);
    let due = room.broker.due(SessionId(5));
    assert_eq!(room.state.topics().brokers().life(NODE), before);
    assert_eq!(room.broker.site.life(), None, "that one is another's");
    room.broker.hear(room_apply(&mut room.state, due));
}

/// Applies without showing: what is shown is the first life still.
fn room_apply(state: &mut State, due: Option<StreamsCommand>) -> Result<Outcome, String> {
    let submission = Submission {
        origin: NODE,
        tag: 99,
        session: SessionId(5),
        connection: 1,
        sequence: 1,
        who: Vec::new(),
        command: Command::Streams(due.expect("it is not its own")),
    };
    let applied = state.apply(Millis(0), &submission, &mut Vec::new());
    applied.outcome.map_err(|error| error.to_string())
}

#[test]
fn what_is_refused_is_said_again_after_a_while() {
    let mut room = Room::new(true);
    room.open(5);
    room.move_to("a");
    assert!(room.broker.due(SessionId(5)).is_some());
    let refused = StreamsOutcome::Refused(StreamsRefused::NoMember { node: NODE });
    room.broker.hear(Ok(Outcome::Streams(refused)));
    for look in 0..RESTS {
        assert_eq!(room.broker.due(SessionId(5)), None, "look {look}");
    }
    assert!(room.speak(5).is_some());
}
