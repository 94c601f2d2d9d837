//! The partitions of a node: who lives on the log's thread and owns them all.
//!
//! Words come in from doors and daemon (`desk`), answers from the log as events;
//! each is taken to its partition's `Holding`, which decides by the pure parts
//! (`partition`, `producers`) and asks the log for what follows. Nothing here
//! waits: what takes its time (reading a partition back, writing a checkpoint)
//! is an errand of the lane's worker, and compaction has a thread of its own.

mod asking;
mod checkpoint;
mod compaction;
mod compactor;
mod dealings;
mod dropping;
mod holding;
mod keeping;
mod orphans;
mod parting;
mod pass;
mod reading;
mod rereading;
mod retention;
mod rolling;
mod segments;
mod serving;
mod share;
mod standing;
mod times;
mod watchers;

pub use checkpoint::{Checkpoint, Unsound};
pub use times::Times;

use super::desk::{NotAppended, NotDropped, NotHere, Streams, Word};
use super::follow::Tell;
use super::site::Site;
use crate::clock::Clock;
use crate::disk::Waker;
use crate::ids::{LogId, NodeId, Offset, PartitionId, TopicId};
use crate::limits::{FOLLOW_EARLY_MAX, FOLLOW_WAIT_MS};
use crate::log::{Appended, Device, Refused, Request, Tenant, Written};
use crate::state::topics::{BrokerLife, Topics};
use crate::streams::{Key, partition};
use compaction::Cramped;
use compactor::Compactor;
use holding::{Hands, Holding};
use parting::Parting;
use pass::{Compacted, NotCompacted};
use reading::ReadBack;
use rereading::Rereading;
use serving::Early;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
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
    /// What all partitions may have of the disk; None for no bound.
    pub bytes_max: Option<u64>,
    /// How often it is looked who leads in the place of the first of the
    /// replicas. What is found twice is handed on.
    pub balance_every: Duration,
    /// How often it is looked what is worth being compacted, while nothing is.
    pub compaction_every: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lag_max: Duration::from_secs(10),
            retention_every: Duration::from_secs(30),
            bytes_max: None,
            balance_every: Duration::from_secs(60),
            compaction_every: Duration::from_secs(15),
        }
    }
}

/// How often each partition's deadlines are looked at. The log's thread is woken
/// as often.
const TICK: Duration = Duration::from_millis(400);
/// In how many parts, where the thread comes by often enough.
const SLICES: u32 = 32;

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
    /// Its log was read, or a step of it.
    ReadBack {
        run: u64,
        outcome: io::Result<ReadBack>,
    },
    CheckpointWritten {
        outcome: io::Result<()>,
    },
    /// How old the first batch is that is not compacted.
    OldestFound {
        at: Offset,
        found: Option<i64>,
    },
    /// A segment is written that takes the place of others.
    Rewritten {
        written: Box<Written>,
        answer: SyncSender<Result<(), Refused>>,
    },
    /// A pass of compaction is over.
    Compacted {
        outcome: Result<Box<Compacted>, NotCompacted>,
    },
    /// A log that was given up is gone, or could not be removed.
    Removed {
        log: LogId,
    },
    /// The in-sync set that was proposed does not hold, and will not.
    NotTaken {
        leader_epoch: i32,
        partition_epoch: i32,
    },
    /// It is not known whether it holds.
    NotAnswered {
        leader_epoch: i32,
        partition_epoch: i32,
    },
    /// Nobody could take the leadership.
    NotHandedOn,
    /// It is not known whether somebody took it.
    HandingUnanswered,
}

/// Events on their way back to whoever asked. All but the answers of proposals
/// are called on the log's own thread.
#[derive(Clone, Default)]
struct Events(Arc<EventsShared>);

#[derive(Default)]
struct EventsShared {
    list: Mutex<Vec<(Key, u64, Event)>>,
    /// Nobody takes any more.
    is_closed: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Events {
    fn put(&self, key: Key, serial: u64, event: Event) {
        let mut list = self.list();
        if !self.0.is_closed.load(Ordering::Acquire) {
            list.push((key, serial, event));
        }
    }

    /// Who waits for an answer to an event is let go.
    fn close(&self) {
        let mut list = self.list();
        self.0.is_closed.store(true, Ordering::Release);
        list.clear();
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
    site: Option<Arc<Site>>,
    /// The life in which this process was a broker when the topics came last.
    life: Option<BrokerLife>,
    tell: Option<Tell>,
    /// Asks of what was not heard of yet.
    early: BTreeMap<(NodeId, Key), Early>,
    /// It is worth looking at those again.
    is_early_due: bool,
    parting: Option<Parting>,
    /// What may be handed on now.
    drained: Vec<Key>,
    holdings: BTreeMap<Key, Holding>,
    topics: Arc<Topics>,
    /// Not all of what the topics say is taken in.
    is_behind: bool,
    /// The topics are as new as any that the node went by before. Until then they
    /// are history that is told again: what they do not have here may come back.
    is_caught_up: bool,
    /// Logs that are on their way out: who is to hold such a partition again waits
    /// for that, or it would open what is just being removed.
    removing: BTreeSet<LogId>,
    watchers: Watchers,
    rereading: Rereading,
    /// Partitions of which somebody waits for less than the disk.
    hasty: BTreeSet<Key>,
    compactor: Compactor,
    cramped: Cramped,
    /// The last that was compacted: the next one behind it goes before it.
    compacted: Option<Key>,
    looked_at: Duration,
    /// Tells a partition's life here from the one before.
    serial: u64,
    ticked_at: Duration,
    /// The partition that was looked at last.
    ticked: Key,
    watched_at: Duration,
    swept_at: Duration,
    balanced_at: Duration,
    words: Vec<Word>,
}

impl House {
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> (Self, Streams) {
        let streams = Streams::new(settings.bytes_max, clock.clone());
        let house = Self {
            settings,
            clock,
            streams: streams.clone(),
            events: Events::default(),
            site: None,
            life: None,
            tell: None,
            early: BTreeMap::new(),
            is_early_due: false,
            parting: None,
            drained: Vec::new(),
            holdings: BTreeMap::new(),
            topics: Arc::default(),
            is_behind: true,
            is_caught_up: false,
            removing: BTreeSet::new(),
            watchers: Watchers::default(),
            rereading: Rereading::default(),
            hasty: BTreeSet::new(),
            compactor: Compactor::default(),
            cramped: Cramped::default(),
            compacted: None,
            looked_at: Duration::ZERO,
            serial: 0,
            ticked_at: Duration::ZERO,
            ticked: Key {
                topic: TopicId([0; 16]),
                partition: PartitionId(0),
            },
            watched_at: Duration::ZERO,
            swept_at: Duration::ZERO,
            balanced_at: Duration::ZERO,
            words: Vec::new(),
        };
        (house, streams)
    }

    fn hear(&mut self, device: &mut Device, word: Word) {
        match word {
            Word::Begin(site) => {
                self.site = Some(site);
                // They may have been heard of before it was known who this is.
                let topics = self.topics.clone();
                self.take_topics(device, topics);
            }
            Word::Topics(topics) => self.take_topics(device, topics),
            Word::CaughtUp => {
                self.is_caught_up = true;
                self.remove_orphans(device);
            }
            Word::Follow(tell) => self.tell = Some(tell),
            Word::Reached(leader) => {
                for key in self.holdings.keys().copied().collect::<Vec<_>>() {
                    if let Some((holding, hands)) = self.any(device, key) {
                        holding.ask_anew(&hands, leader);
                    }
                }
            }
            Word::Asked { from, asks } => {
                let until = self.clock.monotonic() + Duration::from_millis(FOLLOW_WAIT_MS);
                for (asked, answer) in asks {
                    let early = Early {
                        from,
                        asked,
                        answer,
                        until,
                    };
                    self.asked(device, early);
                }
            }
            Word::Told(all) => {
                for told in all {
                    if let Some((holding, mut hands)) = self.any(device, told.key) {
                        holding.told(&mut hands, told);
                    }
                }
            }
            Word::HandOn { until, answer } => {
                self.begin_parting(device, Parting { until, answer });
            }
            Word::Append(append) => {
                let key = append.key;
                match self.with(device, key) {
                    Ok((holding, mut hands)) => holding.append(&mut hands, append),
                    Err(why) => {
                        let refused = self.holdings.get(&key);
                        let refused = refused.and_then(|one| one.refused(self.clock.monotonic()));
                        (append.answer)(Err(refused.unwrap_or(NotAppended::NotHere(why))));
                    }
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
            Word::DropPrefix {
                key,
                until,
                timeout,
                answer,
            } => match self.with(device, key) {
                Ok((holding, mut hands)) => {
                    holding.drop_prefix(&mut hands, until, timeout, answer);
                }
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

    fn asked(&mut self, device: &mut Device, early: Early) {
        let place = (early.from, early.asked.key);
        if let Some(before) = self.early.get_mut(&place) {
            // What was said before is heard before.
            return before.go_on_with(early);
        }
        let left = match self.any(device, place.1) {
            Some((holding, mut hands)) => holding.asked(&mut hands, early),
            None => Some(early),
        };
        match left {
            Some(early) if self.early.len() < FOLLOW_EARLY_MAX => {
                self.early.insert(place, early);
            }
            Some(early) => early.refuse(),
            None => {}
        }
    }

    /// Looks again at what came too early: something is known now that was not.
    fn look_at_early(&mut self, device: &mut Device) {
        let now = self.clock.monotonic();
        for (_, early) in std::mem::take(&mut self.early) {
            match early.until <= now {
                true => early.refuse(),
                false => self.asked(device, early),
            }
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
            streams: &self.streams,
            device,
            events: &self.events,
            watchers: &mut self.watchers,
            rereading: &mut self.rereading,
            hasty: &mut self.hasty,
            drained: &mut self.drained,
            site: self.site.as_deref(),
            tell: self.tell.as_ref(),
            topics: &self.topics,
            since: self.clock.monotonic(),
            wall: self.clock.now(),
        };
        Some((holding, hands))
    }

    fn take_events(&mut self, device: &mut Device) {
        let events = std::mem::take(&mut *self.events.list());
        let mut has_room = false;
        for (key, serial, event) in events {
            if let Event::Removed { log } = event {
                has_room |= self.removing.remove(&log);
                continue;
            }
            if let Event::ReadBack { .. } = event {
                self.rereading.has_come();
                self.is_early_due = true;
            }
            if let Event::Compacted { outcome } = &event {
                self.note_pass(key, outcome);
            }
            if let Some((holding, mut hands)) = self.any(device, key)
                && holding.serial == serial
            {
                holding.happened(&mut hands, event);
            }
        }
        if has_room && self.is_behind {
            let topics = self.topics.clone();
            self.take_topics(device, topics);
        }
    }

    /// Tells those who wait for less than the disk.
    fn look(&mut self, device: &mut Device) {
        if self.hasty.is_empty() {
            return;
        }
        for key in std::mem::take(&mut self.hasty) {
            if let Some((holding, mut hands)) = self.any(device, key) {
                holding.look(&mut hands);
                if holding.is_hasty() {
                    hands.hasty.insert(key);
                }
            }
        }
    }

    /// Only what has changed is looked at: with thousands of partitions somebody
    /// comes or goes often.
    fn take_topics(&mut self, device: &mut Device, topics: Arc<Topics>) {
        let before = std::mem::replace(&mut self.topics, topics.clone());
        let Some(site) = self.site.clone() else {
            return;
        };
        let (own, life) = (site.node, site.life_in(&topics));
        self.is_early_due = true;
        // Who is up is part of how each partition stands.
        let is_other = before.brokers() != topics.brokers() || life != self.life;
        let is_all = std::mem::take(&mut self.is_behind) || is_other;
        self.life = life;
        let nothing = Topics::default();
        let changed = standing::changed(if is_all { &nothing } else { &before }, &topics);
        for (name, _, topic) in changed {
            for (key, partition) in topic.into_iter().flat_map(|one| standing::held(one, own)) {
                let Some(topic) = topic else { continue };
                let log = log_of(key, partition.since(own));
                if self.holdings.get(&key).is_some_and(|one| one.log() != log) {
                    // It was given to others, and came back.
                    self.give_up(device, key);
                }
                if !self.holdings.contains_key(&key) && !self.take_in(device, own, key, log, name) {
                    self.is_behind = true;
                    continue;
                }
                let standing = standing::standing(&topics, topic, partition, (own, life));
                if let Some((holding, mut hands)) = self.any(device, key) {
                    holding.stand(&mut hands, standing, &topic.settings);
                }
            }
        }
        for (_, was, is) in standing::changed(&before, &topics) {
            let held = is.into_iter().flat_map(|one| standing::held(one, own));
            let held: BTreeSet<Key> = held.map(|(key, _)| key).collect();
            let before = was.into_iter().flat_map(|one| standing::held(one, own));
            for (key, _) in before.filter(|(key, _)| !held.contains(key)) {
                self.give_up(device, key);
            }
        }
    }

    /// False where its log cannot be had; tried again with the next change, and
    /// where one has been removed.
    fn take_in(
        &mut self,
        device: &mut Device,
        own: NodeId,
        key: Key,
        id: LogId,
        name: &Arc<str>,
    ) -> bool {
        if self.removing.contains(&id) {
            return false;
        }
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
        let rules = partition::Settings {
            lag_max: self.settings.lag_max,
        };
        let name = name.clone();
        let holding = Holding::new(self.serial, own, key, name, shelf, rules);
        self.holdings.insert(key, holding);
        if let Some((holding, mut hands)) = self.any(device, key) {
            holding.read_back(&mut hands);
        }
        if let Some(holding) = self.holdings.get(&key) {
            self.streams.show(holding.view().clone());
        }
        true
    }

    /// The topic is deleted, or others hold the partition; or so it once was, and
    /// its log may be the last copy of what has come since.
    fn give_up(&mut self, device: &mut Device, key: Key) {
        self.streams.hide(key);
        let Some(mut holding) = self.holdings.remove(&key) else {
            return;
        };
        holding.end();
        self.watchers.changed(key);
        if !self.is_caught_up {
            return;
        }
        let log = holding.log();
        self.remove(device, key, log);
        reading::forget_checkpoints(device, log);
    }

    fn remove(&mut self, device: &mut Device, key: Key, log: LogId) {
        self.removing.insert(log);
        let events = self.events.clone();
        let answer = move |outcome: Result<Appended, Refused>| {
            // The next start looks again.
            if let Err(why) = outcome {
                tracing::warn!(%log, %why, "the log was not removed");
            }
            events.put(key, 0, Event::Removed { log });
        };
        device.submit(Request::Remove { log }, Box::new(answer));
    }

    /// Looks at as many partitions as are due: in a busy node few at a time, for
    /// all at once would hold up whoever appends.
    fn tick(&mut self, device: &mut Device) {
        let now = self.clock.monotonic();
        let passed = now.saturating_sub(self.ticked_at);
        if passed < TICK / SLICES {
            return;
        }
        self.ticked_at = now;
        if now.saturating_sub(self.watched_at) >= TICK {
            self.watched_at = now;
            self.watchers.tick(now);
            self.is_early_due = true;
        }
        if now.saturating_sub(self.balanced_at) >= self.settings.balance_every {
            self.balanced_at = now;
            self.balance(device);
        }
        let all = self.holdings.len();
        let part = passed.min(TICK).as_micros() as usize * all;
        let count = part.div_ceil(TICK.as_micros() as usize);
        let behind = (Bound::Excluded(self.ticked), Bound::Unbounded);
        let rest = self.holdings.range(behind).map(|(&key, _)| key);
        let round = rest.chain(self.holdings.keys().copied());
        let due: Vec<Key> = round.take(count.min(all)).collect();
        for key in due {
            self.ticked = key;
            let every = self.settings.retention_every;
            if let Some((holding, mut hands)) = self.any(device, key) {
                holding.tick(&mut hands, every);
            }
        }
        if now.saturating_sub(self.swept_at) >= self.settings.retention_every {
            self.swept_at = now;
            self.mind_share(device);
        }
        let is_due = now.saturating_sub(self.looked_at) >= self.settings.compaction_every;
        if is_due && !self.compactor.is_busy() {
            self.looked_at = now;
            self.compact_one(device);
        }
    }

    /// Drops the oldest records of all where there are too many, before the disk
    /// is full for everybody.
    fn mind_share(&mut self, device: &mut Device) {
        let Some(most) = self.settings.bytes_max else {
            return;
        };
        let have: u64 = self.holdings.values().map(Holding::kept_bytes).sum();
        if have <= most {
            return;
        }
        let candidates = self.holdings.values().flat_map(Holding::candidates);
        for (key, loss) in share::surplus(candidates.collect(), have - most) {
            if let Some((holding, mut hands)) = self.any(device, key) {
                let share::Loss { until, bytes } = loss;
                tracing::warn!(
                    topic = %holding.view().name, partition = %key.partition, %until, bytes,
                    "old records are dropped before their time: the event log has {have} bytes, \
                     and its share of the disk is {most}"
                );
                holding.forget(&mut hands, until);
                holding.go_on(&mut hands);
            }
        }
    }

    fn serial_of(&self, key: Key) -> u64 {
        self.holdings.get(&key).map_or(0, |holding| holding.serial)
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.events.close();
        self.compactor.stop();
    }
}

impl Tenant for House {
    fn move_in(&mut self, device: &mut Device) {
        // A folder that cannot be made shows with the first checkpoint.
        let _ = device.disk().make_folder(reading::FOLDER);
        self.streams.wake_with(device.waker());
        let waker = self.events.0.waker.lock();
        *waker.unwrap_or_else(PoisonError::into_inner) = Some(device.waker());
    }

    fn turn(&mut self, device: &mut Device) {
        self.look(device);
        self.take_events(device);
        let mut words = std::mem::take(&mut self.words);
        self.streams.take(&mut words);
        for word in words.drain(..) {
            self.hear(device, word);
        }
        self.words = words;
        self.tick(device);
        if std::mem::take(&mut self.is_early_due) {
            self.look_at_early(device);
        }
        self.go_on_parting();
        self.read_on(device);
    }

    fn is_idle(&self) -> bool {
        // What the device has taken in since is worth another turn.
        let has_news = |key: &Key| self.holdings.get(key).is_some_and(Holding::has_news);
        let is_told = !self.hasty.iter().any(has_news);
        is_told && self.streams.is_quiet() && self.events.list().is_empty()
    }

    /// A start after a stop in order reads nothing but checkpoints.
    fn move_out(&mut self, device: &mut Device) {
        self.events.close();
        self.compactor.stop();
        for holding in self.holdings.values_mut() {
            holding.leave(&**device.disk());
        }
    }
}

/// A partition's log on a node that holds it since that epoch.
pub fn log_of(key: Key, since: i32) -> LogId {
    LogId::of_partition(key.topic, key.partition, since)
}
