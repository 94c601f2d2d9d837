//! A cluster for tests of handlers: the replicated state alone, with nothing
//! around it. What is proposed is applied at once, and shown.

use super::{Call, Handle};
use crate::clock::{MachineClock, Millis};
use crate::entropy::{Entropy, Seeded};
use crate::ids::{NodeId, PartitionId, SessionId, Term, TopicId, Uid};
use crate::ports::kafka::access::Principal;
use crate::ports::kafka::messages::{self, Message, Reader, Writer};
use crate::ports::kafka::{ConnectionState, Door, Means};
use crate::state::topics::{
    Announce, CreateTopic, Kept, Layout, Listener, Partition, Security, StreamsCommand,
    StreamsOutcome, Topics,
};
use crate::state::{Command, OpenSession, Outcome, State, Submission};
use crate::streams::Site;
use crate::streams::catch_up::{BeginRound, RoundEnd, is_current};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

type Told = Box<dyn FnOnce(Result<StreamsOutcome, String>) + Send>;

pub struct Stage {
    pub site: Arc<Site>,
    play: Arc<Play>,
    entropy: Arc<dyn Entropy>,
}

struct Play {
    state: Mutex<State>,
    shown: watch::Sender<Arc<Topics>>,
    /// What is applied is shown with the next round of catching up only.
    is_behind: Mutex<bool>,
    rounds: Mutex<usize>,
    mood: Mutex<Mood>,
    /// Kept, so that nobody hears that the node stops.
    unanswered: Mutex<Vec<Told>>,
    proposed: Mutex<usize>,
    /// Leaders that are called off hand on at once, as if nobody lacked anything.
    hands_on: Mutex<bool>,
}

#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Applies,
    Silent,
    NoMajority,
}

/// Chance that is none.
struct Dice(Mutex<Seeded>);

impl Entropy for Dice {
    fn fill(&self, into: &mut [u8]) -> std::io::Result<()> {
        let mut seeded = self.0.lock().unwrap();
        into.fill_with(|| seeded.next_u64() as u8);
        Ok(())
    }
}

pub fn dice() -> impl Entropy {
    Dice(Mutex::new(Seeded::new(1)))
}

pub fn run<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(work)
}

impl Stage {
    /// Brokers from 1 on, all up, seen from the first. They are reached within as
    /// node-1:9091 and from outside as edge-1:19091.
    pub fn new(brokers: u64) -> Self {
        let mut state = State::new(Uid([7; 16]));
        state.begin_term(Term(1));
        let (shown, topics) = watch::channel(Arc::default());
        let play = Arc::new(Play {
            state: Mutex::new(state),
            shown,
            is_behind: Mutex::new(false),
            rounds: Mutex::new(0),
            mood: Mutex::new(Mood::Applies),
            unanswered: Mutex::default(),
            proposed: Mutex::new(0),
            hands_on: Mutex::new(true),
        });
        let proposing = play.clone();
        let propose = move |command, answer| proposing.propose(command, answer);
        let catching_up = play.clone();
        let begin_round: BeginRound = Box::new(move |end| catching_up.catch_up(end));
        let site = Site::new(
            NodeId(1),
            Uid([7; 16]),
            topics,
            Box::new(propose),
            begin_round,
        );
        let stage = Self {
            site: Arc::new(site),
            play,
            entropy: Arc::new(dice()),
        };
        (1..=brokers).for_each(|node| stage.bring_up(node));
        stage
    }

    /// What this one sees, where another decides.
    pub fn blind_to(&self, other: &Self) -> Site {
        let play = other.play.clone();
        let propose = move |command, answer| play.propose(command, answer);
        let topics = self.site.changes();
        Site::new(
            NodeId(1),
            Uid([7; 16]),
            topics,
            Box::new(propose),
            is_current(),
        )
    }

    pub fn bring_up(&self, node: u64) {
        let session = SessionId(node);
        let open = Command::OpenSession(OpenSession {
            session,
            password: [0; 16],
            timeout_ms: 10_000,
        });
        self.play.apply(SessionId(0), open).unwrap();
        let listener = |name: &str, host: &str, port| Listener {
            name: name.into(),
            security: Security::Plaintext,
            host: format!("{host}-{node}").into(),
            port,
        };
        let announce = StreamsCommand::Announce(Announce {
            node: NodeId(node),
            disk: Uid([node as u8; 16]),
            kept: Kept::All,
            listeners: vec![
                listener("INTERNAL", "node", 9090 + node as u16),
                listener("EDGE", "edge", 19_090 + node as u16),
            ],
            rack: (node == 2).then(|| "attic".into()),
        });
        let announced = self.play.apply(session, Command::Streams(announce));
        let is_announced = matches!(
            announced,
            Ok(Outcome::Streams(StreamsOutcome::Announced(_)))
        );
        assert!(is_announced, "{announced:?}");
    }

    pub fn take_down(&self, node: u64) {
        let closed = self.play.apply(SessionId(node), Command::CloseSession);
        assert!(closed.is_ok(), "{closed:?}");
    }

    /// From here on nothing is answered.
    pub fn fall_silent(&self) {
        *self.play.mood.lock().unwrap() = Mood::Silent;
    }

    /// From here on this broker hears of what comes to be when it asks, and no
    /// sooner.
    pub fn fall_behind(&self) {
        *self.play.is_behind.lock().unwrap() = true;
    }

    /// How often it has asked.
    pub fn rounds(&self) -> usize {
        *self.play.rounds.lock().unwrap()
    }

    /// From here on no leader hands anything on.
    pub fn leaders_stay(&self) {
        *self.play.hands_on.lock().unwrap() = false;
    }

    pub fn lose_majority(&self) {
        *self.play.mood.lock().unwrap() = Mood::NoMajority;
    }

    pub fn proposed(&self) -> usize {
        *self.play.proposed.lock().unwrap()
    }

    pub fn command(&self, command: StreamsCommand) -> StreamsOutcome {
        match self.play.apply(SessionId(0), Command::Streams(command)) {
            Ok(Outcome::Streams(outcome)) => outcome,
            other => panic!("{other:?}"),
        }
    }

    /// By another broker, which this one has not heard of yet.
    pub fn create_elsewhere(&self, name: &str) -> TopicId {
        self.fall_behind();
        let id = self.create(name, 1, 1);
        assert!(self.site.topics().get(name).is_none());
        id
    }

    /// Gives its id, which is made of its name.
    pub fn create(&self, name: &str, partitions: u32, factor: u16) -> TopicId {
        let layout = Layout::Spread {
            partitions: Some(partitions),
            factor: Some(factor),
        };
        self.create_as(name, layout, &[])
    }

    /// On these brokers, a list for each partition.
    pub fn create_on(&self, name: &str, assigned: &[&[u64]]) -> TopicId {
        let nodes = |list: &&[u64]| list.iter().copied().map(NodeId).collect();
        let layout = Layout::Assigned(assigned.iter().map(nodes).collect());
        self.create_as(name, layout, &[])
    }

    pub fn create_with(&self, name: &str, settings: &[(&str, &str)]) -> TopicId {
        let layout = Layout::Spread {
            partitions: None,
            factor: None,
        };
        self.create_as(name, layout, settings)
    }

    fn create_as(&self, name: &str, layout: Layout, settings: &[(&str, &str)]) -> TopicId {
        let settings = settings.iter();
        let given = settings.map(|&(name, value)| (name.into(), value.into()));
        let outcome = self.command(StreamsCommand::CreateTopic(CreateTopic {
            name: name.into(),
            id: id_of(name),
            layout,
            settings: given.collect(),
            validates_only: false,
        }));
        assert!(
            matches!(outcome, StreamsOutcome::Created { .. }),
            "{outcome:?}"
        );
        id_of(name)
    }

    pub fn partition(&self, name: &str, number: usize) -> Partition {
        let topics = self.site.topics();
        topics.get(name).unwrap().partitions[number].clone()
    }

    pub fn call(&self, version: i16) -> Call {
        self.call_by("INTERNAL", version)
    }

    pub fn call_by(&self, listener: &str, version: i16) -> Call {
        let from = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let who = Principal::Anonymous;
        let connection = ConnectionState::new(from, listener.into(), false, false, who);
        let clock = Arc::new(MachineClock::new());
        let means = Means::idle(self.site.clone(), clock, self.entropy.clone());
        let door = Door::new(means).unwrap();
        let mut call = Call::new(&Arc::new(connection), &Arc::new(door));
        call.version = version;
        call
    }

    /// Asks as a client does: what is asked and what is answered pass through
    /// their bytes, so that what a version cannot say is noticed.
    pub fn ask<A: Handle>(&self, version: i16, request: A::Request) -> A::Response {
        self.ask_by::<A>("INTERNAL", version, request)
    }

    pub fn ask_by<A: Handle>(
        &self,
        listener: &str,
        version: i16,
        request: A::Request,
    ) -> A::Response {
        let request = again(version, &request);
        let response = run(A::run(self.call_by(listener, version), request));
        again(version, &response.expect("all of these are answered"))
    }
}

fn again<M: Message>(version: i16, message: &M) -> M {
    let mut into = Writer::default();
    let written = message.encode(version, &mut into);
    written.unwrap_or_else(|unwritten| panic!("{unwritten}"));
    let bytes = into.into_parts().to_vec();
    M::decode(version, &mut Reader::new(bytes.into())).unwrap()
}

pub fn id_of(name: &str) -> TopicId {
    let mut id = [b'#'; 16];
    let length = name.len().min(16);
    id[..length].copy_from_slice(&name.as_bytes()[..length]);
    TopicId(id)
}

pub fn uuid_of(name: &str) -> messages::Uuid {
    messages::Uuid(id_of(name).0)
}

impl Play {
    fn propose(
        &self,
        command: StreamsCommand,
        answer: Box<dyn FnOnce(Result<StreamsOutcome, String>) + Send>,
    ) {
        *self.proposed.lock().unwrap() += 1;
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Silent => self.unanswered.lock().unwrap().push(answer),
            Mood::NoMajority => answer(Err("no majority is there".into())),
            Mood::Applies => match self.apply(SessionId(0), Command::Streams(command)) {
                Ok(Outcome::Streams(outcome)) => answer(Ok(outcome)),
                other => answer(Err(format!("{other:?}"))),
            },
        }
    }

    fn apply(&self, session: SessionId, command: Command) -> Result<Outcome, crate::state::Error> {
        let outcome = self.apply_one(session, command);
        let hands_on = *self.hands_on.lock().unwrap();
        for command in hands_on.then(|| self.due()).into_iter().flatten() {
            let handed = self.apply_one(SessionId(0), Command::Streams(command));
            assert!(handed.is_ok(), "{handed:?}");
        }
        outcome
    }

    /// What leaders hand on that are called off.
    fn due(&self) -> Vec<StreamsCommand> {
        let state = self.state.lock().unwrap();
        let topics = state.topics();
        let is_up = |node| topics.brokers().is_up(node);
        let mut due = Vec::new();
        for (_, topic) in topics.iter() {
            for (number, partition) in (0..).map(PartitionId).zip(&topic.partitions) {
                let life = partition
                    .leader
                    .and_then(|node| topics.brokers().life(node));
                if let Some(leader) = life
                    && partition.is_to_be_handed_on(topic.floor(), &is_up)
                {
                    let partitions = Some(vec![(topic.id, number)]);
                    due.push(StreamsCommand::HandOn { leader, partitions });
                }
            }
        }
        due
    }

    fn apply_one(
        &self,
        session: SessionId,
        command: Command,
    ) -> Result<Outcome, crate::state::Error> {
        let mut state = self.state.lock().unwrap();
        let submission = Submission {
            origin: NodeId(1),
            tag: 1,
            session,
            connection: u32::from(session.0 != 0),
            sequence: match command {
                Command::CloseSession => 2,
                _ => u64::from(session.0 != 0),
            },
            who: Vec::new(),
            command,
        };
        let applied = state.apply(Millis(1), &submission, &mut Vec::new());
        if !*self.is_behind.lock().unwrap() {
            self.show(&state);
        }
        applied.outcome
    }

    fn show(&self, state: &State) {
        let topics = Topics::clone(state.topics());
        self.shown.send_replace(Arc::new(topics));
    }

    fn catch_up(&self, end: RoundEnd) {
        *self.rounds.lock().unwrap() += 1;
        match *self.mood.lock().unwrap() {
            Mood::Applies => self.show(&self.state.lock().unwrap()),
            Mood::NoMajority => {}
            // Whoever waits hears nothing.
            Mood::Silent => return,
        }
        end();
    }
}
