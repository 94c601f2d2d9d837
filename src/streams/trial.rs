//! A house of partitions for the tests of those who speak to it: one node, which
//! leads them all, over a log on the simulated disk. Words are answered where
//! they are said.

use super::Key;
use super::batch::format::BATCHES;
use super::batch::header::{BatchMut, Header};
use super::batch::stored::Stored;
use super::desk::{
    Append, Appended, NotAppended, NotDropped, NotHere, ProducerShown, Streams, Watch, Word,
};
use super::partition::{Epochs, LeaderEpoch};
use super::producers::{Admitted, Ends, Moment, Offer, Producers};
use super::view::{Marks, View};
use crate::clock::{MachineClock, Millis};
use crate::disk::sim::SimDisk;
use crate::disk::{Disk, Waker};
use crate::entropy::{Entropy, Seeded};
use crate::ids::{LogId, NodeId, Offset, ProducerId};
use crate::log::format::Format;
use crate::log::{Hooks, LogHandle, Opening, Owner, Records, Settings, open, start};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

pub(crate) const OWN: NodeId = NodeId(1);

pub(crate) struct House {
    pub streams: Streams,
    pub disk: SimDisk,
    /// Until it is dropped.
    owner: Option<Owner>,
    rooms: Arc<Mutex<Rooms>>,
}

#[derive(Default)]
struct Rooms {
    by_key: BTreeMap<Key, Room>,
    streams: Option<Streams>,
    watches: Vec<Watch>,
    /// What the next appends come to, instead of what they would.
    refusals: VecDeque<NotAppended>,
    /// Appends that were said, in order: the base sequence of each.
    heard: Vec<i32>,
    /// The watermark stays where it is.
    is_held: bool,
}

impl Drop for House {
    /// A simulated disk never lets its thread sleep: one that is left behind takes
    /// a core from all tests that follow.
    fn drop(&mut self) {
        if let Some(owner) = self.owner.take() {
            let closed = owner.close();
            assert!(closed.is_ok() || std::thread::panicking(), "{closed:?}");
        }
    }
}

struct Room {
    view: Arc<View>,
    log: LogHandle,
    producers: Producers,
    ends: Ends,
    epochs: Epochs,
    epoch: LeaderEpoch,
    marks: Marks,
}

struct Dice(Mutex<Seeded>);

impl Entropy for Dice {
    fn fill(&self, into: &mut [u8]) -> io::Result<()> {
        let mut seeded = self.0.lock().unwrap();
        into.iter_mut()
            .for_each(|byte| *byte = seeded.next_u64() as u8);
        Ok(())
    }
}

impl House {
    /// With segments of so many bytes.
    pub(crate) fn new(segment_bytes: u64) -> Self {
        let disk = SimDisk::new(1);
        let its_own = disk.clone();
        let open_here = move || {
            let settings = Settings {
                segment_bytes,
                segment_first_bytes: 8 << 10,
                journal_file_bytes: 1 << 20,
                ..Settings::default()
            };
            open(Opening {
                disk: Arc::new(its_own.clone()),
                lane: its_own.lane().expect("a simulated disk has lanes"),
                entropy: &Dice(Mutex::new(Seeded::new(1))),
                settings,
                formats: &[&BATCHES as &dyn Format],
            })
        };
        let hooks = Hooks {
            beat: Box::new(|| ()),
            fatal: Box::new(|fatal| panic!("{fatal}")),
        };
        let (owner, _) = start(open_here, Arc::new(MachineClock::new()), hooks).unwrap();
        let rooms = Arc::new(Mutex::new(Rooms::default()));
        let streams = Streams::new(None, Arc::new(MachineClock::new()));
        rooms.lock().unwrap().streams = Some(streams.clone());
        let there = rooms.clone();
        let way = streams.clone();
        let waker = Waker::new(move || {
            let mut words = Vec::new();
            way.take(&mut words);
            let mut rooms = there.lock().unwrap();
            words.into_iter().for_each(|word| rooms.hear(word));
        });
        streams.wake_with(waker);
        Self {
            streams,
            disk,
            owner: Some(owner),
            rooms,
        }
    }

    /// Opens a partition, which this node leads in epoch 0.
    pub(crate) fn add(&self, key: Key, name: &str) -> Arc<View> {
        let mut rooms = self.rooms();
        let id = LogId(rooms.by_key.len() as u64 + 1);
        let owner = self.owner.as_ref().expect("it lives");
        let log = owner.logs().open(id, &BATCHES).unwrap();
        let view = Arc::new(View::new(key, name.into(), OWN, log.shelf().clone()));
        view.set_leader(Some(OWN), 0);
        self.streams.show(view.clone());
        let room = Room {
            view: view.clone(),
            log,
            producers: Producers::new(Offset(0)),
            ends: Ends::default(),
            epochs: Epochs::default(),
            epoch: 0,
            marks: Marks::default(),
        };
        rooms.by_key.insert(key, room);
        view
    }

    fn rooms(&self) -> MutexGuard<'_, Rooms> {
        self.rooms.lock().unwrap()
    }

    pub(crate) fn lead(&self, key: Key, leader: NodeId, epoch: LeaderEpoch) {
        let mut rooms = self.rooms();
        let room = rooms.by_key.get_mut(&key).unwrap();
        room.epoch = epoch;
        room.view.set_leader(Some(leader), epoch);
        self.streams.turn();
        rooms.wake();
    }

    /// The next append comes to this.
    pub(crate) fn refuse_next(&self, why: NotAppended) {
        self.rooms().refusals.push_back(why);
    }

    /// At which whoever begins a transaction now would be verified.
    pub(crate) fn moment(&self, key: Key) -> Moment {
        self.rooms().by_key[&key].ends.now()
    }

    /// The base sequences of the appends so far.
    pub(crate) fn heard(&self) -> Vec<i32> {
        self.rooms().heard.clone()
    }

    /// Whether what is appended stays above the watermark.
    pub(crate) fn hold(&self, is_held: bool) {
        let mut rooms = self.rooms();
        rooms.is_held = is_held;
        let keys: Vec<Key> = rooms.by_key.keys().copied().collect();
        keys.into_iter().for_each(|key| rooms.show(key));
        rooms.wake();
    }
}

impl Rooms {
    fn hear(&mut self, word: Word) {
        match word {
            Word::Begin(_)
            | Word::Topics(_)
            | Word::CaughtUp
            | Word::Follow(_)
            | Word::Reached(_)
            | Word::Asked { .. }
            | Word::Told(_) => {}
            Word::HandOn { answer, .. } => answer(0),
            Word::Append(append) => self.append(append),
            Word::Mark(mark) => {
                let place = super::batch::control::Place {
                    offset: Offset(0),
                    leader_epoch: 0,
                    id: mark.closing.id,
                    epoch: mark.closing.epoch,
                };
                let batch = mark.closing.marker.batch(place, Millis(1));
                let room = self.by_key.get_mut(&mark.key).unwrap();
                room.ends.note(mark.closing.id);
                (mark.answer)(Ok(self.put(mark.key, batch)));
                self.wake();
            }
            Word::Watch(watch) => {
                self.watches.push(watch);
                self.wake();
            }
            Word::FindTime { key, answer, .. } => answer(self.room(key).map(|room| {
                let marks = room.marks;
                (marks.first < marks.next).then_some(marks.first)
            })),
            Word::LatestTime { key, answer } => answer(self.room(key).map(Room::latest)),
            Word::Aborted {
                key,
                from,
                until,
                answer,
            } => answer(self.room(key).map(|room| {
                let aborted = room.producers.aborted(from, until);
                aborted.copied().collect()
            })),
            Word::EndOfEpoch { key, epoch, answer } => answer(
                self.room(key)
                    .map(|room| room.epochs.end_of(epoch, room.marks.next)),
            ),
            Word::DropPrefix {
                key, until, answer, ..
            } => answer(self.drop_prefix(key, until)),
            Word::Producers { key, answer } => answer(self.room(key).map(Room::producers)),
            Word::IsOpen {
                key,
                producer,
                answer,
            } => answer(self.room(key).map(|room| room.is_open(producer))),
        }
    }

    fn room(&mut self, key: Key) -> Result<&mut Room, NotHere> {
        let room = self.by_key.get_mut(&key).ok_or(NotHere::Unknown)?;
        match room.view.leads() {
            true => Ok(room),
            false => Err(NotHere::NotLeader),
        }
    }

    fn append(&mut self, append: Append) {
        let sequence = Header::of(&append.bytes).unwrap().base_sequence();
        self.heard.push(sequence);
        let outcome = match self.refusals.pop_front() {
            Some(why) => Err(why),
            None => self.admit(&append),
        };
        (append.answer)(outcome);
        self.wake();
    }

    fn admit(&mut self, append: &Append) -> Result<Appended, NotAppended> {
        let room = self.room(append.key).map_err(NotAppended::NotHere)?;
        let one = &append.offered[0];
        let first = room.marks.first;
        let appended = |base| Appended {
            base,
            first,
            append_time_ms: append.append_time_ms,
        };
        if let Some(claim) = one.claim {
            let offer = Offer {
                claim,
                count: one.count,
                is_transactional: one.is_transactional,
                raises_epoch: append.raises_epoch,
            };
            match room.producers.admit(&offer) {
                Ok(Admitted::Known { first, .. }) => return Ok(appended(first)),
                Ok(Admitted::New { begins: true }) => {
                    let checked = room.ends.check(append.verified, claim.id);
                    checked.map_err(NotAppended::BeginsTransaction)?;
                }
                Ok(Admitted::New { begins: false }) => {}
                Err(why) => return Err(NotAppended::Producer(why)),
            }
            if let (false, Some(streams)) = (room.producers.knows(claim.id), &self.streams) {
                let checked = streams.check_first(append.key, &claim);
                checked.map_err(NotAppended::Producer)?;
            }
        }
        Ok(appended(self.put(append.key, append.bytes.clone())))
    }

    /// Writes one batch at the end.
    fn put(&mut self, key: Key, mut batch: Vec<u8>) -> Offset {
        let room = self.by_key.get_mut(&key).unwrap();
        let base = room.marks.next;
        let mut open = BatchMut::of(&mut batch).unwrap();
        open.set_base_offset(base);
        open.set_leader_epoch(room.epoch);
        let stored = Stored::read(&batch).unwrap();
        room.epochs.note(room.epoch, base);
        room.producers.take(&stored, Millis(1));
        room.marks.next = stored.next;
        let bytes = batch.len() as u64;
        room.view.set_bytes(room.view.bytes() + bytes);
        room.log.append(Records::Whole(batch)).wait().unwrap();
        self.show(key);
        base
    }

    fn show(&mut self, key: Key) {
        let is_held = self.is_held;
        let room = self.by_key.get_mut(&key).unwrap();
        let marks = &mut room.marks;
        if !is_held {
            marks.watermark = marks.next;
            room.producers.settle(marks.watermark);
        }
        marks.last_stable = room.producers.last_stable(marks.watermark);
        room.view.set_marks(*marks);
    }

    fn drop_prefix(&mut self, key: Key, until: Option<Offset>) -> Result<Offset, NotDropped> {
        let room = self.room(key).map_err(NotDropped::NotHere)?;
        let until = until.unwrap_or(room.marks.watermark);
        if until > room.marks.watermark {
            return Err(NotDropped::OutOfRange);
        }
        room.marks.first = room.marks.first.max(until);
        room.producers.forget_before(until);
        room.epochs.drop_prefix(until);
        let first = room.marks.first;
        self.show(key);
        Ok(first)
    }

    /// Answers the watches that have what they wait for.
    fn wake(&mut self) {
        for watch in std::mem::take(&mut self.watches) {
            let has_come = watch.wants.iter().any(|&(key, offset)| {
                let Ok(room) = self.room(key) else {
                    return true;
                };
                match watch.reads_committed {
                    true => room.marks.last_stable > offset,
                    false => room.marks.watermark > offset,
                }
            });
            match has_come {
                true => (watch.answer)(()),
                false => self.watches.push(watch),
            }
        }
    }
}

impl Room {
    fn latest(&mut self) -> Option<(i64, Offset)> {
        let (mut at, mut latest) = (self.marks.first, None);
        let way = crate::log::Way::Map;
        while let Ok(Some(batches)) = self.view.read(at, self.marks.next, 1, way) {
            let time = Header::of(&batches.bytes).unwrap().max_timestamp();
            if latest.is_none_or(|(most, _)| time > most) {
                latest = Some((time, at));
            }
            at = batches.next;
        }
        latest
    }

    fn producers(&mut self) -> Vec<ProducerShown> {
        let shown = |(id, one): (ProducerId, &super::producers::Producer)| ProducerShown {
            id,
            epoch: one.epoch,
            last_sequence: one.expected() - 1,
            last_timestamp_ms: one.seen.0 as i64,
            coordinator_epoch: one.coordinator_epoch,
            open_since: one.open,
        };
        self.producers.iter().map(shown).collect()
    }

    fn is_open(&mut self, producer: ProducerId) -> bool {
        let mut all = self.producers.iter();
        all.any(|(id, one)| id == producer && one.open.is_some())
    }
}
