//! The replicated state of the simulated cluster, which all machines hear of in
//! the same order, each at its own time.

use dolmen::clock::Millis;
use dolmen::ids::{NodeId, SessionId, TopicId, Uid};
use dolmen::state::topics::{
    Announce, CreateTopic, Kept, Layout, Listener, Security, StreamsCommand, StreamsOutcome, Topics,
};
use dolmen::state::{Command, OpenSession, Outcome, State, Submission};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

type Answer = Box<dyn FnOnce(Result<StreamsOutcome, String>) + Send>;

/// What machines have asked for and nothing has come of yet.
pub type Proposals = Arc<Mutex<Vec<(NodeId, StreamsCommand, Answer)>>>;

pub struct Authority {
    state: State,
    next_session: u64,
    sequences: BTreeMap<SessionId, u64>,
    tags: u64,
}

impl Authority {
    pub fn new() -> Self {
        Self {
            state: State::new(Uid([7; 16])),
            next_session: 1,
            sequences: BTreeMap::new(),
            tags: 0,
        }
    }

    pub fn topics(&self) -> Arc<Topics> {
        Arc::new(self.state.topics().clone())
    }

    fn submit(&mut self, now: Millis, session: SessionId, command: Command) -> Option<Outcome> {
        self.tags += 1;
        let is_system = session.0 == 0;
        let sequence = match is_system {
            true => self.tags,
            false => {
                let sequence = self.sequences.entry(session).or_default();
                *sequence += 1;
                *sequence
            }
        };
        let submission = Submission {
            origin: NodeId(1),
            tag: self.tags,
            session,
            connection: if is_system { 0 } else { 1 },
            sequence,
            who: Vec::new(),
            command,
        };
        let applied = self.state.apply(now, &submission, &mut Vec::new());
        applied.outcome.ok()
    }

    pub fn streams(
        &mut self,
        now: Millis,
        session: SessionId,
        command: StreamsCommand,
    ) -> Result<StreamsOutcome, String> {
        match self.submit(now, session, Command::Streams(command)) {
            Some(Outcome::Streams(outcome)) => Ok(outcome),
            other => Err(format!("{other:?}")),
        }
    }

    pub fn announce(&mut self, now: Millis, node: NodeId, disk: Uid, was_clean: bool) -> SessionId {
        let session = SessionId(self.next_session);
        self.next_session += 1;
        let open = Command::OpenSession(OpenSession {
            session,
            password: [1; 16],
            timeout_ms: 10_000,
        });
        self.submit(now, SessionId(0), open);
        let announce = Announce {
            node,
            disk,
            kept: Kept::of(was_clean),
            listeners: vec![Listener {
                name: "PLAINTEXT".into(),
                security: Security::Plaintext,
                host: "127.0.0.1".into(),
                port: 9092 + node.0 as u16,
            }],
            rack: None,
        };
        let announced = self.streams(now, session, StreamsCommand::Announce(announce));
        let is_announced = matches!(announced, Ok(StreamsOutcome::Announced(_)));
        assert!(is_announced, "{announced:?}");
        session
    }

    pub fn expire(&mut self, now: Millis, session: SessionId) {
        let outcome = self.submit(now, session, Command::CloseSession);
        assert!(outcome.is_some(), "the session was open");
    }

    /// A topic on all brokers, whose id is sixteen times that number.
    pub fn create(&mut self, now: Millis, id: u8, partitions: u32, settings: &[(&str, &str)]) {
        let settings = settings.iter();
        let brokers = self.state.topics().brokers();
        let factor = (1..=3).filter(|&node| brokers.get(NodeId(node)).is_some());
        let factor = factor.count() as u16;
        let create = StreamsCommand::CreateTopic(CreateTopic {
            name: format!("topic-{id}").into(),
            id: TopicId([id; 16]),
            layout: Layout::Spread {
                partitions: Some(partitions),
                factor: Some(factor),
            },
            settings: settings
                .map(|&(name, value)| (name.into(), value.into()))
                .collect(),
            validates_only: false,
        });
        let created = self.streams(now, SessionId(0), create);
        let is_created = matches!(created, Ok(StreamsOutcome::Created { .. }));
        assert!(is_created, "{created:?}");
    }

    /// Whether nobody but this node has what is in some partition.
    pub fn holds_alone(&self, node: NodeId) -> bool {
        let topics = self.state.topics();
        let mut all = topics.iter().flat_map(|(_, topic)| &topic.partitions);
        all.any(|one| one.in_sync == [node])
    }
}
