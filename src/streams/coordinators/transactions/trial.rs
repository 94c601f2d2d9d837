//! Transactions with lists in memory for partitions, over the replicated state
//! of a few brokers with nothing around it, for tests.

use super::super::pages::{Page, replay};
use super::Transactions;
use super::ground::{Ground, Soon, Unkept};
use crate::clock::{MachineClock, Millis};
use crate::ids::{NodeId, Offset, PartitionId, SessionId, Term, TopicId, Uid};
use crate::state::topics::names::{CONSUMER_OFFSETS, TRANSACTION_STATE};
use crate::state::topics::{
    Announce, BrokerLife, CreateTopic, Kept, Layout, Listener, Security, StreamsCommand,
    StreamsOutcome, TopicKey,
};
use crate::state::{Command, OpenSession, Outcome, State, Submission};
use crate::streams::Key;
use crate::streams::Site;
use crate::streams::batch::codec::Unpacker;
use crate::streams::batch::control::Ending;
use crate::streams::batch::header::BatchMut;
use crate::streams::batch::stored::Stored;
use crate::streams::catch_up::is_current;
use crate::streams::partition::LeaderEpoch;
use crate::streams::producers::Closing;
use crate::streams::transactions::{Coordinator, Identity, Marked, Settings};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;

pub(crate) struct Trial {
    pub site: Arc<Site>,
    pub memory: Memory,
    pub transactions: Transactions,
    play: Arc<Mutex<Play>>,
}

struct Play {
    state: State,
    shown: watch::Sender<Arc<crate::state::topics::Topics>>,
    sequences: BTreeMap<SessionId, u64>,
    lives: BTreeMap<NodeId, BrokerLife>,
    draws: bool,
}

impl Trial {
    /// Two brokers, seen from the first, which leads every partition: two of each
    /// internal topic, and two of "t".
    pub(crate) fn new() -> Self {
        let (shown, topics) = watch::channel(Arc::default());
        let mut state = State::new(Uid([1; 16]));
        state.begin_term(Term(1));
        let play = Arc::new(Mutex::new(Play {
            state,
            shown,
            sequences: BTreeMap::new(),
            lives: BTreeMap::new(),
            draws: true,
        }));
        let proposed = play.clone();
        let propose = move |command, answer: Box<dyn FnOnce(_) + Send>| {
            let mut play = proposed.lock().unwrap();
            let outcome = match play.draws {
                true => Ok(play.say(NodeId(1), command)),
                false => Err("there is no majority".into()),
            };
            drop(play);
            answer(outcome);
        };
        let site = Site::new(
            NodeId(1),
            Uid([1; 16]),
            topics,
            Box::new(propose),
            is_current(),
        );
        let site = Arc::new(site);
        {
            let mut play = play.lock().unwrap();
            play.bring_up(NodeId(1));
            play.bring_up(NodeId(2));
            for topic in [TRANSACTION_STATE, CONSUMER_OFFSETS, "t"] {
                play.create(topic);
            }
        }
        let memory = Memory::default();
        let told = memory.clone();
        let transactions = Transactions::over(
            site.clone(),
            Arc::new(memory.clone()),
            Arc::new(MachineClock::new()),
            Settings {
                retry_ms: 5,
                ..Settings::default()
            },
            Arc::new(Box::new(move |partition, who: Identity, is_committed| {
                let told = told.clone();
                Box::pin(async move {
                    let mut inside = told.0.lock().unwrap();
                    inside
                        .groups_told
                        .push((partition, who.id.0, who.epoch, is_committed));
                })
            })),
            &Handle::current(),
        );
        Self {
            site,
            memory,
            transactions,
            play,
        }
    }

    /// No producer ids are to be had, or again.
    pub(crate) fn draws(&self, draws: bool) {
        self.play.lock().unwrap().draws = draws;
    }

    /// What a node leads is led by the other.
    pub(crate) fn hand_on(&self, node: u64) {
        let mut play = self.play.lock().unwrap();
        let leader = play.lives[&NodeId(node)];
        let partitions = None;
        play.say(NodeId(node), StreamsCommand::HandOn { leader, partitions });
    }

    pub(crate) fn delete(&self, topic: &str) {
        let topic = TopicKey::Name(topic.into());
        let mut play = self.play.lock().unwrap();
        play.say(NodeId(1), StreamsCommand::DeleteTopic { topic });
    }

    pub(crate) fn key(&self, topic: &str, partition: u32) -> Key {
        Key {
            topic: self.site.topics().get(topic).unwrap().id,
            partition: PartitionId(partition),
        }
    }
}

impl Play {
    fn bring_up(&mut self, node: NodeId) {
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
                host: format!("node-{node}").into(),
                port: 9092,
            }],
            rack: None,
        };
        match self.say(node, StreamsCommand::Announce(announce)) {
            StreamsOutcome::Announced(life) => self.lives.insert(node, life),
            other => panic!("{other:?}"),
        };
    }

    fn create(&mut self, name: &str) {
        let mut id = [b'#'; 16];
        id[..1].copy_from_slice(&name.as_bytes()[..1]);
        id[15] = name.len() as u8;
        let nodes = vec![NodeId(1), NodeId(2)];
        let create = CreateTopic {
            name: name.into(),
            id: TopicId(id),
            layout: Layout::Assigned(vec![nodes.clone(), nodes]),
            settings: Vec::new(),
            validates_only: false,
        };
        let created = self.say(NodeId(1), StreamsCommand::CreateTopic(create));
        assert!(
            matches!(created, StreamsOutcome::Created { .. }),
            "{created:?}"
        );
    }

    fn say(&mut self, node: NodeId, command: StreamsCommand) -> StreamsOutcome {
        let session = SessionId(node.0);
        let sequence = self.sequences.entry(session).or_default();
        *sequence += 1;
        let sequence = *sequence;
        match self.submit(session, sequence, Command::Streams(command)) {
            Outcome::Streams(outcome) => outcome,
            other => panic!("{other:?}"),
        }
    }

    fn submit(&mut self, session: SessionId, sequence: u64, command: Command) -> Outcome {
        let submission = Submission {
            origin: NodeId(1),
            tag: 1,
            session,
            connection: u32::from(session.0 != 0),
            sequence,
            who: Vec::new(),
            command,
        };
        let now = Millis(1_767_225_600_000);
        let applied = self.state.apply(now, &submission, &mut Vec::new());
        let topics = self.state.topics();
        self.shown.send_replace(Arc::new(topics.clone()));
        applied.outcome.expect("the state takes it")
    }
}

#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    logs: BTreeMap<Key, Vec<u8>>,
    next: BTreeMap<Key, u64>,
    marks: Vec<(Key, Closing)>,
    groups_told: Vec<(PartitionId, u64, i16, bool)>,
    reads: usize,
    appends: usize,
    busy: usize,
    failing: usize,
    refusing: usize,
    is_slow: bool,
}

impl Memory {
    /// Says to so many batches that too much waits.
    pub(crate) fn be_busy(&self, count: usize) {
        self.0.lock().unwrap().busy = count;
    }

    /// Fails so many batches, though they are in the log.
    pub(crate) fn fail(&self, count: usize) {
        self.0.lock().unwrap().failing = count;
    }

    /// Refuses so many ends of transactions.
    pub(crate) fn refuse(&self, count: usize) {
        self.0.lock().unwrap().refusing = count;
    }

    /// Takes nothing until it is not slow any more.
    pub(crate) fn be_slow(&self, is_slow: bool) {
        self.0.lock().unwrap().is_slow = is_slow;
    }

    pub(crate) fn reads(&self) -> usize {
        self.0.lock().unwrap().reads
    }

    pub(crate) fn appends(&self) -> usize {
        self.0.lock().unwrap().appends
    }

    pub(crate) fn refusals_left(&self) -> usize {
        self.0.lock().unwrap().refusing
    }

    /// Which partitions were told what: the producer, its epoch, and whether
    /// that is a commit.
    pub(crate) fn marks(&self) -> Vec<(Key, u64, i16, bool)> {
        let inside = self.0.lock().unwrap();
        let marks = inside.marks.iter();
        marks
            .map(|(key, closing)| {
                let is_committed = closing.marker.ending == Ending::Commit;
                (*key, closing.id.0, closing.epoch, is_committed)
            })
            .collect()
    }

    pub(crate) fn groups_told(&self) -> Vec<(PartitionId, u64, i16, bool)> {
        self.0.lock().unwrap().groups_told.clone()
    }

    fn take(&self, key: Key, page: &Page) -> Result<(), Unkept> {
        let mut inside = self.0.lock().unwrap();
        if inside.busy > 0 {
            inside.busy -= 1;
            return Err(Unkept::Busy);
        }
        let base = *inside.next.entry(key).or_default();
        let mut bytes = page.bytes.clone();
        let mut head = BatchMut::of(&mut bytes).expect("a whole batch");
        head.set_base_offset(Offset(base));
        let stored = Stored::read(&bytes).expect("a sound batch");
        inside.next.insert(key, stored.next.0);
        inside.logs.entry(key).or_default().extend(bytes);
        inside.appends += 1;
        if inside.failing > 0 {
            inside.failing -= 1;
            return Err(Unkept::Lost("it was pulled out".into()));
        }
        Ok(())
    }
}

impl Ground for Memory {
    fn append(&self, key: Key, _: LeaderEpoch, page: Page) -> Soon<Result<(), Unkept>> {
        let memory = self.clone();
        Box::pin(async move {
            while memory.0.lock().unwrap().is_slow {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            memory.take(key, &page)
        })
    }

    fn read(
        &self,
        key: Key,
        _: LeaderEpoch,
        mut machine: Box<Coordinator>,
    ) -> Soon<Result<Box<Coordinator>, String>> {
        let mut inside = self.0.lock().unwrap();
        inside.reads += 1;
        let bytes = inside.logs.get(&key).cloned().unwrap_or_default();
        Box::pin(async move {
            let read = replay(&bytes, &mut *machine, &mut Unpacker::default());
            read.map(|()| machine).map_err(|why| why.to_string())
        })
    }

    fn mark(&self, key: Key, closing: Closing) -> Soon<Marked> {
        let mut inside = self.0.lock().unwrap();
        let marked = match inside.refusing {
            0 => {
                inside.marks.push((key, closing));
                Marked::Written
            }
            _ => {
                inside.refusing -= 1;
                Marked::Refused
            }
        };
        Box::pin(std::future::ready(marked))
    }
}
