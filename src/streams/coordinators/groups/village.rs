//! A cluster's topics and brokers without the cluster, for tests: commands are
//! applied where they are proposed.

use crate::clock::Millis;
use crate::ids::{NodeId, PartitionId, SessionId, TopicId, Uid};
use crate::state::State;
use crate::state::command::{Command, OpenSession, Outcome, Submission};
use crate::state::topics::{
    Announce, BrokerLife, CreateTopic, Kept, Layout, Listener, Security, StreamsCommand,
    StreamsOutcome, TopicKey, Topics,
};
use crate::streams::Key;
use crate::streams::Site;
use crate::streams::catch_up::is_current;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

pub(crate) struct Village {
    pub site: Arc<Site>,
    inside: Arc<Mutex<Inside>>,
}

struct Inside {
    state: State,
    show: watch::Sender<Arc<Topics>>,
    tag: u64,
    sequences: BTreeMap<SessionId, u64>,
    lives: BTreeMap<NodeId, BrokerLife>,
}

impl Village {
    /// So many brokers, of which the first sees this.
    pub(crate) fn of(nodes: u64) -> Self {
        let (show, topics) = watch::channel(Arc::default());
        let inside = Arc::new(Mutex::new(Inside {
            state: State::new(Uid([1; 16])),
            show,
            tag: 0,
            sequences: BTreeMap::new(),
            lives: BTreeMap::new(),
        }));
        let proposed = inside.clone();
        let site = Site::new(
            NodeId(1),
            Uid([1; 16]),
            topics,
            Box::new(move |command, answer| {
                let mut inside = proposed.lock().unwrap();
                let outcome = inside.say(SessionId(1), command);
                answer(Ok(outcome));
            }),
            is_current(),
        );
        for node in (1..=nodes).map(NodeId) {
            inside.lock().unwrap().start(node);
        }
        Self {
            site: Arc::new(site),
            inside,
        }
    }

    pub(crate) fn topic(&self, name: &str, partitions: u32) -> TopicId {
        let mut inside = self.inside.lock().unwrap();
        let mut id = [0; 16];
        id[..8].copy_from_slice(&(inside.tag + 1000).to_be_bytes());
        let create = CreateTopic {
            name: name.into(),
            id: TopicId(id),
            layout: Layout::Spread {
                partitions: Some(partitions),
                factor: None,
            },
            settings: Vec::new(),
            validates_only: false,
        };
        match inside.say(SessionId(1), StreamsCommand::CreateTopic(create)) {
            StreamsOutcome::Created { id, .. } => id,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn delete(&self, name: &str) {
        let topic = TopicKey::Name(name.into());
        let mut inside = self.inside.lock().unwrap();
        inside.say(SessionId(1), StreamsCommand::DeleteTopic { topic });
    }

    /// The node hands on what it leads.
    pub(crate) fn hand_on(&self, node: NodeId) {
        let mut inside = self.inside.lock().unwrap();
        let command = StreamsCommand::HandOn {
            leader: inside.lives[&node],
            partitions: None,
        };
        inside.say(SessionId(node.0), command);
    }

    pub(crate) fn key(&self, topic: &str, partition: u32) -> Key {
        let topics = self.site.topics();
        Key {
            topic: topics.get(topic).expect("it was made").id,
            partition: PartitionId(partition),
        }
    }
}

impl Inside {
    fn start(&mut self, node: NodeId) {
        let session = SessionId(node.0);
        let open = OpenSession {
            session,
            password: [0; 16],
            timeout_ms: 10_000,
        };
        self.submit(SessionId(0), 0, Command::OpenSession(open));
        let announce = Announce {
            node,
            disk: Uid([node.0 as u8; 16]),
            kept: Kept::All,
            listeners: vec![Listener {
                name: "PLAINTEXT".into(),
                security: Security::Plaintext,
                host: format!("10.0.0.{node}").into(),
                port: 9092,
            }],
            rack: None,
        };
        match self.say(session, StreamsCommand::Announce(announce)) {
            StreamsOutcome::Announced(life) => self.lives.insert(node, life),
            other => panic!("{other:?}"),
        };
    }

    fn say(&mut self, session: SessionId, command: StreamsCommand) -> StreamsOutcome {
        let sequence = self.sequences.entry(session).or_default();
        *sequence += 1;
        let sequence = *sequence;
        match self.submit(session, sequence, Command::Streams(command)) {
            Outcome::Streams(outcome) => outcome,
            other => panic!("{other:?}"),
        }
    }

    fn submit(&mut self, session: SessionId, sequence: u64, command: Command) -> Outcome {
        self.tag += 1;
        let submission = Submission {
            origin: NodeId(1),
            tag: self.tag,
            session,
            connection: u32::from(session != SessionId(0)),
            sequence,
            who: Vec::new(),
            command,
        };
        let now = Millis(1_767_225_600_000);
        let applied = self.state.apply(now, &submission, &mut Vec::new());
        self.show
            .send_replace(Arc::new(self.state.topics().clone()));
        applied.outcome.expect("the state takes it")
    }
}
