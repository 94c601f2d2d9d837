//! A node's partitions, with a replicated state that is this test's own.

use crate::folder::Folder;
use dolmen::clock::{Clock, MachineClock, Millis};
use dolmen::disk::{Disk, Engine, RealDisk};
use dolmen::entropy::MachineEntropy;
use dolmen::ids::{NodeId, Offset, PartitionId, TopicId};
use dolmen::log::{FRAMES, Hooks, OpenError, Opening, Owner, open, start_with};
use dolmen::state::topics::Topics;
use dolmen::streams::batch::build::Builder;
use dolmen::streams::batch::check::{Rules, check};
use dolmen::streams::batch::codec::{Codec, Unpacker};
use dolmen::streams::batch::format::BATCHES;
use dolmen::streams::batch::header::Claim;
use dolmen::streams::batch::records::{Headers, Record};
use dolmen::streams::desk::{Append, Appended, NotAppended, Word};
use dolmen::streams::house::{House, Settings};
use dolmen::streams::partition::Acks;
use dolmen::streams::{Key, Streams, View};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

pub const PATIENCE: Duration = Duration::from_secs(20);

/// One node with its log's thread.
pub struct Node {
    pub streams: Streams,
    owner: Option<Owner>,
}

impl Node {
    pub fn start(folder: &Folder, topics: &Arc<Topics>) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(MachineClock::new());
        let (house, streams) = House::new(Settings::default(), clock.clone());
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
        let node = Self {
            streams,
            owner: Some(owner),
        };
        let propose: dolmen::streams::site::Propose = Box::new(|_, answer| {
            answer(Err("nobody proposes here".into()));
        });
        node.streams.say(Word::Begin {
            own: NodeId(1),
            propose: Arc::new(propose),
        });
        node.streams.say(Word::Topics(topics.clone()));
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
        let (put, given) = channel();
        let rules = Rules {
            batch_bytes_max: 1 << 20,
            is_compacted: false,
            timestamps: 0..=i64::MAX,
        };
        let bytes = batch.bytes();
        let offered = check(&bytes, &rules, &mut Unpacker::default()).unwrap();
        self.streams.append(Append {
            key,
            bytes,
            offered,
            acks: Acks::All,
            timeout: Duration::from_secs(10),
            raises_epoch: false,
            is_verified: batch.is_verified,
            append_time_ms: None,
            answer: Box::new(move |outcome| put.send(outcome).unwrap()),
        });
        given
    }

    pub fn append(&self, key: Key, batch: Batch) -> Result<u64, NotAppended> {
        let given = self.begin_append(key, batch);
        let outcome = given.recv_timeout(PATIENCE).expect("answered");
        outcome.map(|appended| appended.base.0)
    }
}

/// A batch as a producer sends it.
#[derive(Clone, Default)]
pub struct Batch {
    pub values: Vec<String>,
    pub claim: Option<Claim>,
    pub is_transactional: bool,
    pub is_verified: bool,
    pub timestamp: i64,
}

pub fn batch(values: &[&str]) -> Batch {
    Batch {
        values: values.iter().map(ToString::to_string).collect(),
        timestamp: 1000,
        ..Batch::default()
    }
}

impl Batch {
    fn bytes(&self) -> Vec<u8> {
        let mut builder = Builder::new(Offset(0), Codec::None);
        if let Some(claim) = self.claim {
            builder = builder.producer(claim, self.is_transactional);
        }
        for (n, value) in self.values.iter().enumerate() {
            let record = Record {
                offset: Offset(n as u64),
                timestamp: self.timestamp,
                key: None,
                value: Some(value.as_bytes()),
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
