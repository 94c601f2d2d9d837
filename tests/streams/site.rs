//! A replicated state of one broker, which this test changes as it likes.

use super::kit::{SESSION, now};
use dolmen::ids::{NodeId, SessionId, TopicId, Uid};
use dolmen::state::topics::{
    Announce, CreateTopic, Kept, Layout, Listener, Security, StreamsCommand, StreamsOutcome,
    TopicKey, Topics,
};
use dolmen::state::{Command, OpenSession, Outcome, State, Submission};
use std::sync::Arc;

pub struct Site {
    state: State,
    sequence: u64,
}

impl Site {
    pub fn new() -> Self {
        let mut site = Self {
            state: State::new(Uid([7; 16])),
            sequence: 0,
        };
        let open = Command::OpenSession(OpenSession {
            session: SESSION,
            password: [1; 16],
            timeout_ms: 10_000,
        });
        site.submit(SessionId(0), 0, open);
        site.streams(StreamsCommand::Announce(Announce {
            node: NodeId(1),
            disk: Uid([1; 16]),
            kept: Kept::All,
            listeners: vec![Listener {
                name: "PLAINTEXT".into(),
                security: Security::Plaintext,
                host: "127.0.0.1".into(),
                port: 9092,
            }],
            rack: None,
        }));
        site
    }

    fn submit(&mut self, session: SessionId, connection: u32, command: Command) -> Outcome {
        self.sequence += 1;
        let submission = Submission {
            origin: NodeId(1),
            tag: self.sequence,
            session,
            connection,
            sequence: self.sequence,
            who: Vec::new(),
            command,
        };
        let applied = self.state.apply(now(), &submission, &mut Vec::new());
        applied.outcome.expect("the state takes it")
    }

    fn streams(&mut self, command: StreamsCommand) -> StreamsOutcome {
        // The session's own writes are numbered from one.
        let sequence = std::mem::replace(&mut self.sequence, 0);
        let outcome = self.submit(SESSION, 1, Command::Streams(command));
        self.sequence += sequence;
        match outcome {
            Outcome::Streams(StreamsOutcome::Refused(why)) => panic!("refused: {why}"),
            Outcome::Streams(outcome) => outcome,
            other => panic!("an outcome of another kind: {other:?}"),
        }
    }

    fn system(&mut self, command: StreamsCommand) {
        let outcome = self.submit(SessionId(0), 0, Command::Streams(command));
        let is_refused = matches!(outcome, Outcome::Streams(StreamsOutcome::Refused(_)));
        assert!(!is_refused, "{outcome:?}");
    }

    /// A topic whose id is sixteen times that number.
    pub fn create(&mut self, id: u8, partitions: u32, settings: &[(&str, &str)]) {
        let settings = settings.iter();
        self.system(StreamsCommand::CreateTopic(CreateTopic {
            name: format!("topic-{id}").into(),
            id: TopicId([id; 16]),
            layout: Layout::Spread {
                partitions: Some(partitions),
                factor: Some(1),
            },
            settings: settings.map(|&(a, b)| (a.into(), b.into())).collect(),
            validates_only: false,
        }));
    }

    pub fn delete(&mut self, id: u8) {
        self.system(StreamsCommand::DeleteTopic {
            topic: TopicKey::Id(TopicId([id; 16])),
        });
    }

    pub fn topics(&self) -> Arc<Topics> {
        Arc::new(self.state.topics().clone())
    }
}
