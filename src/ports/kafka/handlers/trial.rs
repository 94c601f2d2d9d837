//! A door for the tests of its handlers: one node with some topics, which it
//! leads all but `FAR`, and requests that go the whole way through their frames.

use super::{Call, Fault, Handle, of};
use crate::clock::{Clock, MachineClock, Millis};
use crate::entropy::Seeded;
use crate::ids::{NodeId, Offset, PartitionId, ProducerId, SessionId, TopicId, Uid};
use crate::ports::kafka::messages::{read_response, write_request};
use crate::ports::kafka::{Door, Means};
use crate::state::topics::{
    Announce, CreateTopic, Kept, Layout, Listener, Security, StreamsCommand, StreamsOutcome, Topics,
};
use crate::state::{Command, Member, MemberCommand, OpenSession, Outcome, Role, State, Submission};
use crate::streams::batch::build::Builder;
use crate::streams::batch::check::{Rules, check};
use crate::streams::batch::codec::{Codec, Unpacker};
use crate::streams::batch::header::Claim;
use crate::streams::batch::records::{Headers, Record};
use crate::streams::catch_up::is_current;
use crate::streams::coordinators::Transactions;
use crate::streams::desk::Append;
use crate::streams::partition::Acks;
use crate::streams::trial::{House, OWN};
use crate::streams::{Key, Site};
use bytes::Bytes;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub const NOW: Millis = Millis(1_700_000_000_000);
const CORRELATION: i32 = 77;

/// The name of a topic that another broker leads.
pub const FAR: &str = "far";
pub const OTHER: NodeId = NodeId(2);

pub struct Trial {
    pub house: House,
    pub door: Arc<Door>,
    pub topics: Arc<Topics>,
}

struct Chance(Mutex<Seeded>);

impl crate::entropy::Entropy for Chance {
    fn fill(&self, into: &mut [u8]) -> std::io::Result<()> {
        let mut seeded = self.0.lock().unwrap();
        into.iter_mut()
            .for_each(|byte| *byte = seeded.next_u64() as u8);
        Ok(())
    }
}

/// The wall clock stands still.
struct Still(MachineClock);

impl Clock for Still {
    fn now(&self) -> Millis {
        NOW
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }
}

pub type Topic<'a> = (&'a str, u32, &'a [(&'a str, &'a str)]);

impl Trial {
    /// Topics with their partitions and settings.
    pub fn new(topics: &[Topic]) -> Self {
        Self::with_segments(64 << 10, topics)
    }

    /// With these to coordinate transactions. They have topics of their own, of the
    /// same names.
    pub fn with_transactions(topics: &[Topic], transactions: Transactions) -> Self {
        Self::with(64 << 10, topics, |means| means.transactions = transactions)
    }

    pub fn with_segments(segment_bytes: u64, topics: &[Topic]) -> Self {
        Self::with(segment_bytes, topics, |_| ())
    }

    fn with(segment_bytes: u64, topics: &[Topic], change: impl FnOnce(&mut Means)) -> Self {
        let house = House::new(segment_bytes);
        let topics = Arc::new(state(topics).topics().clone());
        for (name, topic) in topics.iter().filter(|(name, _)| ***name != *FAR) {
            for partition in (0..topic.partitions.len() as u32).map(PartitionId) {
                let topic = topic.id;
                house.add(Key { topic, partition }, name);
            }
        }
        let (_, shown) = tokio::sync::watch::channel(topics.clone());
        let site = Site::new(OWN, Uid([1; 16]), shown, Box::new(|_, _| {}), is_current());
        let clock = Arc::new(Still(MachineClock::new()));
        let chance = Arc::new(Chance(Mutex::new(Seeded::new(1))));
        let mut means = Means {
            streams: house.streams.clone(),
            ..Means::idle(Arc::new(site), clock, chance)
        };
        change(&mut means);
        let door = Arc::new(Door::new(means).unwrap());
        Self {
            house,
            door,
            topics,
        }
    }

    pub fn id(&self, name: &str) -> TopicId {
        self.topics.get(name).unwrap().id
    }

    pub fn key(&self, name: &str, partition: u32) -> Key {
        let (topic, partition) = (self.id(name), PartitionId(partition));
        Key { topic, partition }
    }

    pub fn call(&self) -> Call {
        Call::local(&self.door)
    }

    /// Appends a batch whatever Produce would say, as if it were verified.
    pub fn append(&self, topic: &str, partition: u32, records: &Bytes) {
        let rules = Rules {
            batch_bytes_max: 1 << 20,
            is_compacted: false,
            timestamps: i64::MIN..=i64::MAX,
        };
        let offered = check(records, &rules, &mut Unpacker::default());
        self.door.streams.append(Append {
            key: self.key(topic, partition),
            bytes: records.to_vec(),
            offered: offered.unwrap(),
            acks: Acks::All,
            timeout: Duration::from_secs(1),
            led_since: None,
            raises_epoch: false,
            verified: Some(self.house.moment(self.key(topic, partition))),
            append_time_ms: None,
            answer: Box::new(|outcome| assert!(outcome.is_ok())),
        });
    }

    /// What a client would read, if it is answered; by way of the table.
    pub async fn try_ask<A: Handle>(
        &self,
        version: i16,
        request: A::Request,
    ) -> Result<Option<A::Response>, Fault> {
        let frame = write_request::<A>(version, CORRELATION, None, &request).unwrap();
        let frame = Bytes::from(frame.to_vec()).slice(4..);
        let handler = of(A::KEY).expect("a line of the table");
        let answered = handler.run(self.call(), frame).await?;
        Ok(answered.map(|parts| {
            let frame = Bytes::from(parts.to_vec()).slice(4..);
            let (correlation, response) = read_response::<A>(version, frame).unwrap();
            assert_eq!(correlation, CORRELATION);
            response
        }))
    }

    pub async fn ask<A: Handle>(&self, version: i16, request: A::Request) -> A::Response {
        let answered = self.try_ask::<A>(version, request).await;
        answered.unwrap().expect("an answer")
    }
}

pub fn run<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().build().unwrap();
    runtime.block_on(future)
}

/// Records of one batch by their times, each with its number as its value.
pub fn batch(times: &[i64]) -> Bytes {
    claimed(times, None)
}

/// One record with this value.
pub fn valued(value: &[u8]) -> Bytes {
    let mut builder = Builder::new(Offset(0), Codec::None);
    let record = Record {
        offset: Offset(0),
        timestamp: NOW.0 as i64,
        key: None,
        value: Some(value),
        headers: Headers::NONE,
    };
    builder.add(&record).unwrap();
    builder.finish().unwrap().into()
}

pub fn transactional(sequence: i32, times: &[i64]) -> Bytes {
    transactional_by((ProducerId(9), 0), sequence, times)
}

pub fn transactional_by((id, epoch): (ProducerId, i16), sequence: i32, times: &[i64]) -> Bytes {
    let claim = Claim {
        id,
        epoch,
        sequence,
    };
    claimed(times, Some((claim, true)))
}

/// Of a producer that numbers its batches, outside of transactions.
pub fn numbered(sequence: i32, times: &[i64]) -> Bytes {
    let claim = Claim {
        id: ProducerId(9),
        epoch: 0,
        sequence,
    };
    claimed(times, Some((claim, false)))
}

fn claimed(times: &[i64], claim: Option<(Claim, bool)>) -> Bytes {
    let mut builder = Builder::new(Offset(0), Codec::None);
    if let Some((claim, is_transactional)) = claim {
        builder = builder.producer(claim, is_transactional);
    }
    for (n, &timestamp) in times.iter().enumerate() {
        let value = format!("value {n}");
        let record = Record {
            offset: Offset(n as u64),
            timestamp,
            key: Some(b"k"),
            value: Some(value.as_bytes()),
            headers: Headers::NONE,
        };
        builder.add(&record).unwrap();
    }
    builder.finish().unwrap().into()
}

/// Two brokers are up.
fn state(topics: &[Topic]) -> State {
    let mut state = State::new(Uid([1; 16]));
    let mut tag = 0;
    let mut submit = |session: u64, command| {
        tag += 1;
        let submission = Submission {
            origin: OWN,
            tag,
            session: SessionId(session),
            connection: u32::from(session > 0),
            // Each session has one thing to say.
            sequence: u64::from(session > 0),
            who: Vec::new(),
            command,
        };
        let applied = state.apply(NOW, &submission, &mut Vec::new());
        applied.outcome.unwrap()
    };
    submit(0, Command::Members(found(OWN)));
    for command in joining() {
        submit(0, Command::Members(command));
    }
    for node in [OWN, OTHER] {
        let session = SessionId(node.0);
        let open = OpenSession {
            session,
            password: [0; 16],
            timeout_ms: 10_000,
        };
        submit(0, Command::OpenSession(open));
        let announce = StreamsCommand::Announce(announce(node));
        let announced = submit(node.0, Command::Streams(announce));
        let is_up = matches!(announced, Outcome::Streams(StreamsOutcome::Announced(_)));
        assert!(is_up, "{announced:?}");
    }
    for (n, topic) in topics.iter().enumerate() {
        let create = StreamsCommand::CreateTopic(create(n, topic));
        let created = submit(0, Command::Streams(create));
        let is_there = matches!(created, Outcome::Streams(StreamsOutcome::Created { .. }));
        assert!(is_there, "{created:?}");
    }
    state
}

fn found(node: NodeId) -> MemberCommand {
    MemberCommand::Found(Member {
        node,
        role: Role::Voter,
        control: "a:1".into(),
        bulk: "a:2".into(),
        doors: Vec::new(),
        certificate: 1,
    })
}

/// Broker 2 becomes a member.
fn joining() -> [MemberCommand; 2] {
    let (token, secret_hash) = ([1; 8], [1; 32]);
    let create = MemberCommand::CreateToken {
        id: token,
        secret_hash,
        role: Role::Learner,
        until: Millis(u64::MAX),
    };
    let admit = MemberCommand::Admit {
        token,
        secret_hash,
        public_key: [2; 8].into(),
        control: "b:1".into(),
        bulk: "b:2".into(),
        in_place_of: None,
        features: 9,
    };
    [create, admit]
}

fn create(n: usize, &(name, partitions, settings): &Topic) -> CreateTopic {
    let leader = match name {
        FAR => OTHER,
        _ => OWN,
    };
    CreateTopic {
        name: name.into(),
        id: TopicId([n as u8 + 2; 16]),
        layout: Layout::Assigned(vec![vec![leader]; partitions as usize]),
        settings: settings
            .iter()
            .map(|&(n, v)| (n.into(), v.into()))
            .collect(),
        validates_only: false,
    }
}

fn announce(node: NodeId) -> Announce {
    Announce {
        node,
        disk: Uid([node.0 as u8; 16]),
        kept: Kept::All,
        listeners: vec![Listener {
            name: "PLAINTEXT".into(),
            security: Security::Plaintext,
            host: format!("10.0.0.{node}").into(),
            port: 9092,
        }],
        rack: Some("hall".into()),
    }
}
