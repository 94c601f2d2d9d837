//! The partitions of a node: who lives on the log's thread and owns them all.
//!
//! Words come in from doors and daemon (`desk`), answers from the log as events;
//! each is taken to its partition's `Holding`, which decides by the pure parts
//! (`partition`, `producers`) and asks the log for what follows. Nothing here
//! waits: what takes its time (reading a partition back, writing a checkpoint)
//! is an errand of the lane's worker.

mod checkpoint;
mod dealings;
mod holding;
mod reading;
mod retention;
mod standing;
mod times;
mod watchers;

pub use checkpoint::{Checkpoint, Unsound};
pub use times::Times;

use super::desk::{NotAppended, NotDropped, NotHere, Streams, Word};
use super::site::Propose;
use crate::clock::Clock;
use crate::disk::Waker;
use crate::ids::{LogId, NodeId};
use crate::log::{Appended, Device, Logs, Refused, Request, Tenant};
use crate::state::topics::Topics;
use crate::streams::{Key, partition};
use holding::{Hands, Holding};
use reading::ReadBack;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use watchers::Watchers;

/// What the daemon chooses.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// A follower that has not had all of a log for so long is not in sync.
    pub lag_max: Duration,
    /// How often it is looked what may be dropped.
    pub retention_every: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lag_max: Duration::from_secs(10),
            retention_every: Duration::from_secs(30),
        }
    }
}

/// How often deadlines are looked at. The log's thread is woken as often.
const TICK: Duration = Duration::from_millis(400);

/// What has come of something that was asked of the log.
enum Event {
    /// An append is durable.
    Landed {
        run: u64,
        appended: Appended,
    },
    /// An append was not taken.
    Failed {
        attempt: u64,
        from: u64,
        why: Refused,
    },
    /// The log was cut, and ends here.
    Cut {
        run: u64,
        outcome: Result<Appended, Refused>,
    },
    /// Its prefix is dropped.
    Dropped {
        outcome: Result<Appended, Refused>,
    },
    ReadBack {
        run: u64,
        outcome: io::Result<ReadBack>,
    },
    CheckpointWritten {
        outcome: io::Result<()>,
    },
    /// The in-sync set that was proposed does not hold.
    NotTaken {
        leader_epoch: i32,
        partition_epoch: i32,
    },
}

/// Events on their way back to whoever asked. All but the answers of proposals
/// are called on the log's own thread.
#[derive(Clone, Default)]
struct Events(Arc<EventsShared>);

#[derive(Default)]
struct EventsShared {
    list: Mutex<Vec<(Key, u64, Event)>>,
    waker: Mutex<Option<Waker>>,
}

impl Events {
    fn put(&self, key: Key, serial: u64, event: Event) {
        self.list().push((key, serial, event));
    }

    /// From another thread.
    fn put_and_wake(&self, key: Key, serial: u64, event: Event) {
        self.put(key, serial, event);
        let waker = self.0.waker.lock();
        if let Some(waker) = &*waker.unwrap_or_else(PoisonError::into_inner) {
            waker.wake();
        }
    }

    fn list(&self) -> MutexGuard<'_, Vec<(Key, u64, Event)>> {
        self.0.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub struct House {
    settings: Settings,
    clock: Arc<dyn Clock>,
    streams: Streams,
    events: Events,
    logs: Option<Logs>,
    own: Option<(NodeId, Arc<Propose>)>,
    holdings: BTreeMap<Key, Holding>,
    topics: Arc<Topics>,
    watchers: Watchers,
    /// Tells a partition's life here from the one before.
    serial: u64,
    ticked_at: Duration,
    swept_at: Duration,
    words: Vec<Word>,
}

impl House {
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> (Self, Streams) {
        let streams = Streams::new();
        let house = Self {
            settings,
            clock,
            streams: streams.clone(),
            events: Events::default(),
            logs: None,
            own: None,
            holdings: BTreeMap::new(),
            topics: Arc::default(),
            watchers: Watchers::default(),
            serial: 0,
            ticked_at: Duration::ZERO,
            swept_at: Duration::ZERO,
            words: Vec::new(),
        };
        (house, streams)
    }

    fn hear(&mut self, device: &mut Device, word: Word) {
        match word {
            Word::Begin { own, propose } => self.own = Some((own, propose)),
            Word::Topics(topics) => self.take_topics(device, topics),
            Word::Append(append) => {
                let key = append.key;
                match self.with(device, key) {
                    Ok((holding, mut hands)) => holding.append(&mut hands, append),
                    Err(why) => (append.answer)(Err(NotAppended::NotHere(why))),
                }
            }
            Word::Mark(mark) => match self.with(device, mark.key) {
                Ok((holding, mut hands)) => holding.mark(&mut hands, mark),
                Err(why) => (mark.answer)(Err(NotAppended::NotHere(why))),
            },
            Word::Watch(watch) => self.watch(watch),
            Word::FindTime { key, at_ms, answer } => {
                answer(self.led(key).map(|holding| holding.find_time(at_ms)));
            }
            Word::LatestTime { key, answer } => {
                answer(self.led(key).map(Holding::latest_time));
            }
            Word::Aborted {
                key,
                from,
                until,
                answer,
            } => answer(self.open(key).map(|holding| holding.aborted(from, until))),
            Word::EndOfEpoch { key, epoch, answer } => {
                answer(self.led(key).map(|holding| holding.end_of_epoch(epoch)));
            }
            Word::DropPrefix { key, until, answer } => match self.with(device, key) {
                Ok((holding, mut hands)) => holding.drop_prefix(&mut hands, until, answer),
                Err(why) => answer(Err(NotDropped::NotHere(why))),
            },
            Word::Producers { key, answer } => {
                answer(self.open(key).map(Holding::producers_shown));
            }
            Word::IsOpen {
                key,
                producer,
                answer,
            } => answer(self.led(key).map(|holding| holding.is_open_by(producer))),
        }
    }

    /// Who has missed something already is answered at once.
    fn watch(&mut self, watch: super::desk::Watch) {
        let has_more = |&(key, from): &(Key, crate::ids::Offset)| {
            let Ok(holding) = self.open(key) else {
                return true;
            };
            let marks = holding.marks();
            let mark = match watch.reads_committed {
                true => marks.last_stable,
                false => marks.watermark,
            };
            mark > from || !holding.leads()
        };
        match watch.wants.iter().any(has_more) {
            true => (watch.answer)(()),
            false => self.watchers.add(watch),
        }
    }

    fn open(&self, key: Key) -> Result<&Holding, NotHere> {
        let holding = self.holdings.get(&key).ok_or(NotHere::Unknown)?;
        match holding.is_open() {
            true => Ok(holding),
            false => Err(NotHere::Opening),
        }
    }

    fn led(&self, key: Key) -> Result<&Holding, NotHere> {
        let holding = self.open(key)?;
        match holding.leads() {
            true => Ok(holding),
            false => Err(NotHere::NotLeader),
        }
    }

    /// A partition that is open, and what it works with.
    fn with<'a>(
        &'a mut self,
        device: &'a mut Device,
        key: Key,
    ) -> Result<(&'a mut Holding, Hands<'a>), NotHere> {
        self.open(key)?;
        self.any(device, key).ok_or(NotHere::Unknown)
    }

    fn any<'a>(
        &'a mut self,
        device: &'a mut Device,
        key: Key,
    ) -> Option<(&'a mut Holding, Hands<'a>)> {
        let holding = self.holdings.get_mut(&key)?;
        let hands = Hands {
            device,
            events: &self.events,
            watchers: &mut self.watchers,
            propose: self.own.as_ref().map(|(_, propose)| propose),
            topics: &self.topics,
            since: self.clock.monotonic(),
            wall: self.clock.now(),
        };
        Some((holding, hands))
    }

    fn take_events(&mut self, device: &mut Device) {
        let events = std::mem::take(&mut *self.events.list());
        for (key, serial, event) in events {
            if let Some((holding, mut hands)) = self.any(device, key)
                && holding.serial == serial
            {
                holding.happened(&mut hands, event);
            }
        }
    }

    fn take_topics(&mut self, device: &mut Device, topics: Arc<Topics>) {
        let Some(own) = self.own.as_ref().map(|(own, _)| *own) else {
            return;
        };
        self.topics = topics.clone();
        let mut kept = BTreeSet::new();
        for (name, topic, partition, standing) in standing::held(&topics, own) {
            let key = Key {
                topic: topic.id,
                partition,
            };
            kept.insert(key);
            if !self.holdings.contains_key(&key) && !self.take_in(device, own, key, name) {
                continue;
            }
            if let Some((holding, mut hands)) = self.any(device, key) {
                holding.stand(&mut hands, standing, &topic.settings);
            }
        }
        let gone = self.holdings.keys().filter(|key| !kept.contains(key));
        for key in gone.copied().collect::<Vec<_>>() {
            self.give_up(device, key);
        }
    }

    /// False where its log cannot be had; tried again with the next change.
    fn take_in(&mut self, device: &mut Device, own: NodeId, key: Key, name: &Arc<str>) -> bool {
        let Some(logs) = &self.logs else {
            return false;
        };
        let id = log_of(key);
        // Of sixty-three bits, so it does not happen; and if it did, the one
        // partition's records would be the other's.
        if let Some(other) = self.holdings.values().find(|other| other.log() == id) {
            tracing::error!(partition = %key, other = %other.key, "two partitions have one log");
            return false;
        }
        let shelf = match device.log(id, &super::batch::format::BATCHES) {
            Ok(shelf) => shelf,
            Err(why) => {
                tracing::error!(partition = %key, %why, "the partition has no log");
                return false;
            }
        };
        self.serial += 1;
        let handle = logs.handle(shelf.clone());
        let rules = partition::Settings {
            lag_max: self.settings.lag_max,
        };
        let name = name.clone();
        let holding = Holding::new(self.serial, own, key, name, shelf, handle, rules);
        self.holdings.insert(key, holding);
        if let Some((holding, mut hands)) = self.any(device, key) {
            holding.read_back(&mut hands);
        }
        if let Some(holding) = self.holdings.get(&key) {
            self.streams.show(holding.view().clone());
        }
        true
    }

    /// The topic is deleted, or others hold the partition.
    fn give_up(&mut self, device: &mut Device, key: Key) {
        self.streams.hide(key);
        let Some(mut holding) = self.holdings.remove(&key) else {
            return;
        };
        holding.end();
        self.watchers.changed(key);
        let log = holding.log();
        device.submit(Request::Remove { log }, Box::new(|_| ()));
        let disk = device.disk().clone();
        let task = move || {
            for name in reading::checkpoint_names(log) {
                let _ = disk.remove(&name);
            }
            Ok(())
        };
        device.errand(Box::new(task), Box::new(|_| ()));
    }

    fn tick(&mut self, device: &mut Device) {
        let now = self.clock.monotonic();
        if now.saturating_sub(self.ticked_at) < TICK {
            return;
        }
        self.ticked_at = now;
        self.watchers.tick(now);
        let is_sweep = now.saturating_sub(self.swept_at) >= self.settings.retention_every;
        if is_sweep {
            self.swept_at = now;
        }
        for key in self.holdings.keys().copied().collect::<Vec<_>>() {
            if let Some((holding, mut hands)) = self.any(device, key) {
                holding.tick(&mut hands, is_sweep);
            }
        }
    }
}

impl Tenant for House {
    fn move_in(&mut self, logs: &Logs, device: &mut Device) {
        // A folder that cannot be made shows with the first checkpoint.
        let _ = device.disk().make_folder(reading::FOLDER);
        self.streams.wake_with(logs.waker());
        let waker = self.events.0.waker.lock();
        *waker.unwrap_or_else(PoisonError::into_inner) = Some(logs.waker());
        self.logs = Some(logs.clone());
    }

    fn turn(&mut self, device: &mut Device) {
        self.take_events(device);
        let mut words = std::mem::take(&mut self.words);
        self.streams.take(&mut words);
        for word in words.drain(..) {
            self.hear(device, word);
        }
        self.words = words;
        self.tick(device);
    }

    fn is_idle(&self) -> bool {
        self.streams.is_quiet() && self.events.list().is_empty()
    }

    /// A start after a stop in order reads nothing but checkpoints.
    fn move_out(&mut self, device: &mut Device) {
        for holding in self.holdings.values_mut() {
            holding.leave(&**device.disk());
        }
    }
}

/// A partition's log on this node. Topic ids are random; the top bit keeps it
/// from the numbers that this node gives out by hand.
pub fn log_of(key: Key) -> LogId {
    /// Odd, so that partitions of a topic have different logs.
    const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
    let (high, low) = key.topic.0.split_at(8);
    let number = |half: &[u8]| {
        let bytes = half.iter();
        bytes.fold(0, |sum, &byte| sum << 8 | u64::from(byte))
    };
    let topic = number(high).wrapping_mul(SPREAD) ^ number(low);
    LogId(topic.wrapping_add(u64::from(key.partition.0).wrapping_mul(SPREAD)) | 1 << 63)
}
