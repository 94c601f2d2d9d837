//! A node's partitions, with a replicated state that is this test's own.

use crate::folder::Folder;
use dolmen::clock::{Clock, MachineClock, Millis};
use dolmen::disk::{Disk, Engine, RealDisk};
use dolmen::entropy::MachineEntropy;
use dolmen::ids::{NodeId, Offset, PartitionId, SessionId, TopicId, Uid};
use dolmen::log::{FRAMES, Hooks, OpenError, Opening, Owner, open, start_with};
use dolmen::state::topics::Topics;
use dolmen::streams::batch::build::Builder;
use dolmen::streams::batch::check::{Rules, check};
use dolmen::streams::batch::codec::{Codec, Unpacker};
use dolmen::streams::batch::format::BATCHES;
use dolmen::streams::batch::header::Claim;
use dolmen::streams::batch::records::{Headers, Record};
use dolmen::streams::desk::{Append, Appended, NotAppended, Word};
use dolmen::streams::follow::{self, Asked, Told};
use dolmen::streams::house::{House, Settings};
use dolmen::streams::partition::{Acks, Answer};
use dolmen::streams::producers::Moment;
use dolmen::streams::{Key, Site, Streams, View};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// In which node 1 is a broker.
pub const SESSION: SessionId = SessionId(1);

pub const PATIENCE: Duration = Duration::from_secs(20);

/// One node with its log's thread.
pub struct Node {
    pub streams: Streams,
    pub site: Arc<Site>,
    owner: Option<Owner>,
}

impl Node {
    pub fn start(folder: &Folder, topics: &Arc<Topics>) -> Self {
        Self::start_with(folder, topics, Settings::default())
    }

    pub fn start_with(folder: &Folder, topics: &Arc<Topics>, settings: Settings) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(MachineClock::new());
        let (house, streams) = House::new(settings, clock.clone());
        let place = folder.0.clone();
        let open_here = move || {
            let settings = dolmen::disk::Settings {
                engine: Engine::Threads,
                entries: 8,
                lone_blocking: false,
            };
            let disk = RealDisk::open(&place, settings).map_err(OpenError::io("open"))?;
            let disk: Arc<dyn Disk> = Arc::new(disk);
            let lane = disk.lane().map_err(OpenError::io("make a lane"))?;
            open(Opening {
                disk,
                lane,
                entropy: &MachineEntropy,
                settings: dolmen::log::Settings {
                    journal_file_bytes: 1 << 20,
                    segment_bytes: 256 << 10,
                    ..Default::default()
                },
                formats: &[&FRAMES, &BATCHES],
            })
        };
        let hooks = Hooks {
            beat: Box::new(|| ()),
            fatal: Box::new(|fatal| panic!("{fatal}")),
        };
        let (owner, _) = start_with(open_here, clock, hooks, Some(Box::new(house))).unwrap();
        let propose: dolmen::streams::site::Propose = Box::new(|_, answer| {
            answer(Err("nobody proposes here".into()));
        });
        let node = Self {
            streams,
            site: Arc::new(alone(propose)),
            owner: Some(owner),
        };
        node.streams.say(Word::Begin(node.site.clone()));
        node.streams.say(Word::Topics(topics.clone()));
        node.streams.say(Word::CaughtUp);
        node
    }

    pub fn close(mut self) {
        self.owner.take().unwrap().close().unwrap();
    }

    /// Says a word and waits for its answer.
    pub fn ask<T: Send + 'static>(
        &self,
        word: impl FnOnce(Box<dyn FnOnce(T) + Send>) -> Word,
    ) -> T {
        let (put, given) = channel();
        let answer = Box::new(move |answer| put.send(answer).unwrap());
        self.streams.say(word(answer));
        given.recv_timeout(PATIENCE).expect("answered")
    }

    /// Waits until the partition can be asked for something.
    pub fn view(&self, key: Key) -> Arc<View> {
        let clock = MachineClock::new();
        while clock.monotonic() < PATIENCE {
            let answer = self.ask(|answer| Word::LatestTime { key, answer });
            if answer.is_ok() {
                return self.streams.view(key).expect("it answers");
            }
            std::thread::yield_now();
        }
        panic!("{key} is not opened");
    }

    pub fn begin_append(&self, key: Key, batch: Batch) -> Receiver<Result<Appended, NotAppended>> {
        self.offer(key, &batch, None)
    }

    /// The transaction's coordinator was asked at this moment.
    pub fn offer(
        &self,
        key: Key,
        batch: &Batch,
        verified: Option<Moment>,
    ) -> Receiver<Result<Appended, NotAppended>> {
        let (put, given) = channel();
        let answer = move |outcome| put.send(outcome).unwrap();
        self.streams.append(Append {
            verified,
            ..append(key, batch.bytes(), Acks::All, answer)
        });
        given
    }

    pub fn append(&self, key: Key, batch: Batch) -> Result<u64, NotAppended> {
        let hear = |given: Receiver<_>| given.recv_timeout(PATIENCE).expect("answered");
        let outcome = match hear(self.offer(key, &batch, None)) {
            Err(NotAppended::BeginsTransaction(now)) if batch.is_verified => {
                hear(self.offer(key, &batch, Some(now)))
            }
            outcome => outcome,
        };
        outcome.map(|appended| appended.base.0)
    }
}

/// Batches as a door offers them that has looked at them.
pub fn append(
    key: Key,
    bytes: Vec<u8>,
    acks: Acks,
    answer: impl FnOnce(Result<Appended, NotAppended>) + Send + 'static,
) -> Append {
    let rules = Rules {
        batch_bytes_max: 1 << 20,
        is_compacted: false,
        timestamps: 0..=i64::MAX,
    };
    let offered = check(&bytes, &rules, &mut Unpacker::default()).unwrap();
    Append {
        key,
        bytes,
        offered,
        acks,
        timeout: Duration::from_secs(10),
        led_since: None,
        raises_epoch: false,
        verified: None,
        append_time_ms: None,
        answer: Box::new(answer),
    }
}

/// What a leader answers to an ask.
pub fn told(asked: &Asked, answer: Answer, batches: Vec<u8>) -> Word {
    let stored = follow::check(&batches).unwrap();
    Word::Told(vec![Told {
        key: asked.key,
        number: asked.number,
        answer,
        batches,
        stored,
        room: None,
    }])
}

/// Node 1, a broker in its session. What it sees of the cluster comes to its
/// partitions by words.
pub fn alone(propose: dolmen::streams::site::Propose) -> Site {
    let (_, none) = tokio::sync::watch::channel(Arc::default());
    let site = Site::new(
        NodeId(1),
        Uid([7; 16]),
        none,
        propose,
        Box::new(|end| end()),
    );
    site.live_in(SESSION);
    site
}

/// A value that says that its key is gone.
pub const GONE: &str = "gone";

/// A batch as a producer sends it.
#[derive(Clone, Default)]
pub struct Batch {
    /// One for each value, or none at all.
    pub keys: Vec<String>,
    pub values: Vec<String>,
    pub claim: Option<Claim>,
    pub is_transactional: bool,
    pub is_verified: bool,
    pub timestamp: i64,
    /// As it comes, in the place of all else.
    pub packed: Option<Vec<u8>>,
}

pub fn batch(values: &[&str]) -> Batch {
    Batch {
        values: values.iter().map(ToString::to_string).collect(),
        timestamp: 1000,
        ..Batch::default()
    }
}

impl Batch {
    pub fn bytes(&self) -> Vec<u8> {
        if let Some(bytes) = &self.packed {
            return bytes.clone();
        }
        let mut builder = Builder::new(Offset(0), Codec::None);
        if let Some(claim) = self.claim {
            builder = builder.producer(claim, self.is_transactional);
        }
        for (n, value) in self.values.iter().enumerate() {
            let record = Record {
                offset: Offset(n as u64),
                timestamp: self.timestamp,
                key: self.keys.get(n).map(|key| key.as_bytes()),
                value: (value != GONE).then_some(value.as_bytes()),
                headers: Headers::NONE,
            };
            builder.add(&record).unwrap();
        }
        builder.finish().unwrap()
    }
}

pub fn key(topic: u8, partition: u32) -> Key {
    Key {
        topic: TopicId([topic; 16]),
        partition: PartitionId(partition),
    }
}

pub fn now() -> Millis {
    MachineClock::new().now()
}
