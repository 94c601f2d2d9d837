//! One partition that this node holds: its log, and what is known of it.

use super::checkpoint::Checkpoint;
use super::reading::{self, ReadBack};
use super::retention::{self, Kept};
use super::times::Times;
use super::watchers::Watchers;
use super::{Event, Events};
use crate::clock::Millis;
use crate::disk::Disk;
use crate::ids::{Index, LogId, NodeId, Offset, ProducerId};
use crate::limits::STREAMS_CHECKPOINT_EVERY_BYTES;
use crate::log::{Device, LogHandle, Refused, Request, Shelf};
use crate::state::topics::{
    BrokerLife, InSyncChange, StreamsCommand, StreamsOutcome, TopicSettings, Topics,
};
use crate::streams::Key;
use crate::streams::desk::{Answer, Appended, NotAppended, NotHere, ProducerShown};
use crate::streams::partition::{self, Effect, Found, LeaderEpoch, Partition, Standing};
use crate::streams::producers::{Aborted, Producers};
use crate::streams::site::Propose;
use crate::streams::view::{Marks, View};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a partition works with.
pub(super) struct Hands<'a> {
    pub device: &'a mut Device,
    pub events: &'a Events,
    pub watchers: &'a mut Watchers,
    pub propose: Option<&'a Arc<Propose>>,
    pub topics: &'a Topics,
    pub since: Duration,
    pub wall: Millis,
}

pub(super) struct Holding {
    pub(super) serial: u64,
    own: NodeId,
    pub(super) key: Key,
    shelf: Arc<Shelf>,
    view: Arc<View>,
    pub(super) settings: TopicSettings,
    /// The last that was heard, for when the partition is open.
    standing: Option<Standing>,
    rules: partition::Settings,
    pub(super) partition: Option<Partition<u64>>,
    pub(super) producers: Producers,
    pub(super) times: Times,
    /// What is known of the log is to be read from it again before anything is
    /// appended.
    is_stale: bool,
    /// It is being read.
    is_reading: bool,
    /// It could not be read, and this was said.
    is_unreadable: bool,
    /// Cuts that the log has not made yet.
    cuts: usize,
    /// Why the log took no append, when it last did not.
    refusal: Box<str>,
    /// Who waits for what was appended, by token.
    pub(super) waiting: BTreeMap<u64, Waiting>,
    pub(super) next_token: u64,
    /// Who sent again what is here already, and waits for the watermark.
    pub(super) repeats: Vec<Repeat>,
    /// Bytes appended since it was last written down.
    pub(super) unwritten_bytes: u64,
    /// As encoded at an offset, to be written once all below is durable.
    captured: Option<(Offset, Vec<u8>)>,
    is_writing: bool,
    /// Which of its two checkpoint files is next.
    turn: usize,
}

pub(super) enum Waiting {
    Append {
        appended: Appended,
        answer: Answer<Result<Appended, NotAppended>>,
    },
    Marker {
        at: Offset,
        answer: Answer<Result<Offset, NotAppended>>,
    },
}

pub(super) struct Repeat {
    pub first: Offset,
    pub last: Offset,
    pub until: Duration,
    pub answer: Answer<Result<Appended, NotAppended>>,
}

impl Waiting {
    pub fn answer(self, outcome: Result<(), NotAppended>) {
        match self {
            Self::Append { appended, answer } => answer(outcome.map(|()| appended)),
            Self::Marker { at, answer } => answer(outcome.map(|()| at)),
        }
    }
}

impl Holding {
    pub fn new(
        serial: u64,
        own: NodeId,
        key: Key,
        name: Arc<str>,
        shelf: Arc<Shelf>,
        log: LogHandle,
        rules: partition::Settings,
    ) -> Self {
        Self {
            serial,
            own,
            key,
            shelf,
            view: Arc::new(View::new(key, name, own, log)),
            settings: TopicSettings::default(),
            standing: None,
            rules,
            partition: None,
            producers: Producers::default(),
            times: Times::default(),
            is_stale: true,
            is_reading: false,
            is_unreadable: false,
            cuts: 0,
            refusal: Box::default(),
            waiting: BTreeMap::new(),
            next_token: 0,
            repeats: Vec::new(),
            unwritten_bytes: 0,
            captured: None,
            is_writing: false,
            turn: 0,
        }
    }

    pub fn log(&self) -> LogId {
        self.shelf.id
    }

    pub fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// Whether it can be asked for anything.
    pub fn is_open(&self) -> bool {
        self.partition.is_some() && !self.is_stale
    }

    pub fn leads(&self) -> bool {
        self.partition.as_ref().is_some_and(Partition::leads)
    }

    pub fn marks(&self) -> Marks {
        let Some(partition) = &self.partition else {
            return Marks::default();
        };
        let watermark = partition.watermark();
        Marks {
            first: partition.first(),
            watermark,
            last_stable: self.producers.last_stable(watermark),
            next: partition.next(),
        }
    }

    pub fn find_time(&self, at_ms: i64) -> Option<Offset> {
        self.times.find(at_ms)
    }

    pub fn latest_time(&self) -> Option<(i64, Offset)> {
        self.times.latest()
    }

    pub fn aborted(&self, from: Offset, until: Offset) -> Vec<Aborted> {
        self.producers.aborted(from, until).copied().collect()
    }

    pub fn end_of_epoch(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        let partition = self.partition.as_ref()?;
        let newest = partition.standing().leader_epoch;
        match epoch == newest {
            // What is not acknowledged yet may still go.
            true => Some((newest, partition.watermark())),
            false => partition.epochs().end_of(epoch, partition.watermark()),
        }
    }

    pub fn is_open_by(&self, producer: ProducerId) -> bool {
        let mut all = self.producers.iter();
        all.any(|(id, one)| id == producer && one.open.is_some())
    }

    pub fn producers_shown(&self) -> Vec<ProducerShown> {
        let shown = |(id, one): (ProducerId, &crate::streams::producers::Producer)| ProducerShown {
            id,
            epoch: one.epoch,
            last_sequence: one.last_sequence().unwrap_or(-1),
            last_timestamp_ms: one.seen.0 as i64,
            coordinator_epoch: one.coordinator_epoch,
            open_since: one.open,
        };
        self.producers.iter().map(shown).collect()
    }

    /// The replicated state says how it stands.
    pub fn stand(&mut self, hands: &mut Hands, standing: Standing, settings: &TopicSettings) {
        if self.settings != *settings {
            self.settings = settings.clone();
        }
        if self.standing.as_ref() == Some(&standing) {
            return;
        }
        self.standing = Some(standing.clone());
        if let Some(partition) = &mut self.partition {
            partition.stand(hands.since, standing);
            self.go_on(hands);
        }
    }

    /// Has everything that is known of the log read from it.
    pub fn read_back(&mut self, hands: &mut Hands) {
        let is_empty = self.shelf.written_until() == Index(0);
        if is_empty && self.partition.is_none() {
            // A new one: nothing to read, and nothing to wait for.
            let nothing = ReadBack {
                first: Offset(0),
                next: Offset(0),
                epochs: Default::default(),
                times: Times::default(),
                producers: Producers::default(),
                bytes: 0,
            };
            return self.take_read(hands, nothing);
        }
        self.is_reading = true;
        hands.device.rest();
        let (disk, shelf, key) = (hands.device.disk().clone(), self.shelf.clone(), self.key);
        let run = self.partition.as_ref().map_or(0, Partition::run);
        let (events, serial, wall) = (hands.events.clone(), self.serial, hands.wall);
        let read: Arc<Mutex<Option<ReadBack>>> = Arc::default();
        let put = read.clone();
        let task = move || {
            let found = reading::read_back(&*disk, &shelf, key, wall)?;
            *put.lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(found);
            Ok(())
        };
        let done = move |outcome: std::io::Result<()>| {
            let found = read
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .take();
            let missing = || std::io::Error::other("nothing was read");
            let outcome = outcome.and_then(|()| found.ok_or_else(missing));
            events.put(key, serial, Event::ReadBack { run, outcome });
        };
        hands.device.errand(Box::new(task), Box::new(done));
    }

    fn take_read(&mut self, hands: &mut Hands, read: ReadBack) {
        self.unwritten_bytes = read.bytes;
        self.producers = read.producers;
        self.times = read.times;
        (self.is_stale, self.is_unreadable) = (false, false);
        if self.partition.is_none() {
            let found = Found {
                first: read.first,
                next: read.next,
                epochs: read.epochs,
            };
            let mut partition = Partition::new(self.own, self.rules, found);
            if let Some(standing) = self.standing.clone() {
                partition.stand(hands.since, standing);
            }
            self.partition = Some(partition);
        }
        self.go_on(hands);
    }

    pub fn happened(&mut self, hands: &mut Hands, event: Event) {
        match event {
            Event::ReadBack { run, outcome } => self.has_read(hands, run, outcome),
            Event::CheckpointWritten { outcome } => {
                self.is_writing = false;
                if let Err(error) = outcome {
                    tracing::debug!(partition = %self.key, %error, "no checkpoint was written");
                }
            }
            event => {
                let Some(partition) = &mut self.partition else {
                    return;
                };
                match event {
                    Event::Landed { run, appended } => {
                        partition.landed(run, Offset(appended.next.0));
                    }
                    Event::Failed { attempt, from, why } => {
                        // Its producer is told, and the node's status.
                        self.refusal = why.to_string().into();
                        partition.failed(attempt, Offset(from));
                        self.is_stale = true;
                    }
                    Event::Cut { run, outcome } => {
                        self.cuts -= 1;
                        match outcome {
                            Ok(appended) => partition.landed(run, Offset(appended.next.0)),
                            Err(why) => say_uncut(self.key, &why),
                        }
                    }
                    Event::Dropped { outcome: Err(why) } => say_uncut(self.key, &why),
                    Event::NotTaken {
                        leader_epoch,
                        partition_epoch,
                    } => partition.not_taken(leader_epoch, partition_epoch),
                    Event::Dropped { .. }
                    | Event::ReadBack { .. }
                    | Event::CheckpointWritten { .. } => {}
                }
                self.go_on(hands);
            }
        }
    }

    fn has_read(&mut self, hands: &mut Hands, run: u64, outcome: std::io::Result<ReadBack>) {
        self.is_reading = false;
        let is_current = self.partition.as_ref().is_none_or(|one| one.run() == run);
        match outcome {
            Ok(read) if is_current && !self.has_moved(&read) => self.take_read(hands, read),
            Ok(_) => self.go_on(hands),
            // It is tried again at each tick, and answers nothing meanwhile.
            Err(error) if !self.is_unreadable => {
                self.is_unreadable = true;
                tracing::error!(partition = %self.key, %error, "the partition cannot be read");
            }
            Err(_) => {}
        }
    }

    fn has_moved(&self, read: &ReadBack) -> bool {
        let partition = self.partition.as_ref();
        partition.is_some_and(|partition| partition.next() != read.next)
    }

    /// Carries out what the partition has decided, and shows how far it is.
    pub(super) fn go_on(&mut self, hands: &mut Hands) {
        let Some(partition) = &mut self.partition else {
            return;
        };
        let effects = partition.take_effects();
        // Who is answered finds what it was answered about.
        self.producers.settle(partition.watermark());
        self.show(hands);
        let has_effects = !effects.is_empty();
        for effect in effects {
            self.carry_out(hands, effect);
        }
        if has_effects {
            self.show(hands);
        }
        let Some(partition) = &self.partition else {
            return;
        };
        let is_still = partition.durable() == partition.next();
        if self.is_stale && !self.is_reading && is_still && self.cuts == 0 {
            self.read_back(hands);
        }
        self.write_down(hands);
    }

    fn show(&mut self, hands: &mut Hands) {
        let marks = self.marks();
        self.view.set_marks(marks);
        if let Some(standing) = &self.standing {
            let leader = standing
                .leader
                .filter(|&leader| leader != self.own || self.is_open());
            self.view.set_leader(leader, standing.leader_epoch);
        }
        hands.watchers.reached(self.key, marks);
        self.answer_repeats(marks);
    }

    fn answer_repeats(&mut self, marks: Marks) {
        let done = self
            .repeats
            .extract_if(.., |one| marks.watermark > one.last);
        for one in done {
            (one.answer)(Ok(Appended {
                base: one.first,
                first: marks.first,
                append_time_ms: None,
            }));
        }
    }

    fn carry_out(&mut self, hands: &mut Hands, effect: Effect<u64>) {
        match effect {
            Effect::Truncate { from } => {
                let log = self.log();
                let from = Index(from.0);
                self.cut(hands, Request::Truncate { log, from });
            }
            Effect::Restart { at } => {
                let log = self.log();
                let at = Index(at.0);
                self.cut(hands, Request::Restart { log, at });
            }
            Effect::DropPrefix { until } => {
                self.producers.forget_before(until);
                self.times.drop_prefix(until);
                let (events, key, serial) = (hands.events.clone(), self.key, self.serial);
                let (log, until) = (self.log(), Index(until.0));
                hands.device.submit(
                    Request::DropPrefix { log, until },
                    Box::new(move |outcome| events.put(key, serial, Event::Dropped { outcome })),
                );
            }
            Effect::Propose {
                leader_epoch,
                partition_epoch,
                in_sync,
            } => self.propose(hands, leader_epoch, partition_epoch, in_sync),
            Effect::Acknowledge(token, outcome) => {
                if let Some(waiting) = self.waiting.remove(&token) {
                    waiting.answer(outcome.map_err(|why| match why {
                        partition::Refused::Storage => NotAppended::Disk(self.refusal.clone()),
                        why => NotAppended::Partition(why),
                    }));
                }
            }
            Effect::Wake if !self.leads() => hands.watchers.changed(self.key),
            Effect::Wake | Effect::Drained => {}
            Effect::Lost { from, until } => tracing::error!(
                partition = %self.key, %from, %until,
                "records that were acknowledged are cut: an unclean election has chosen another leader"
            ),
        }
    }

    fn cut(&mut self, hands: &mut Hands, request: Request) {
        let run = self.partition.as_ref().map_or(0, Partition::run);
        let (events, key, serial) = (hands.events.clone(), self.key, self.serial);
        self.captured = None;
        self.is_stale = true;
        self.cuts += 1;
        hands.device.submit(
            request,
            Box::new(move |outcome| events.put(key, serial, Event::Cut { run, outcome })),
        );
    }

    fn propose(
        &mut self,
        hands: &mut Hands,
        leader_epoch: i32,
        partition_epoch: i32,
        in_sync: Vec<(NodeId, crate::ids::Zxid)>,
    ) {
        let not_taken = Event::NotTaken {
            leader_epoch,
            partition_epoch,
        };
        let (events, key, serial) = (hands.events.clone(), self.key, self.serial);
        // Its own life, while this broker is up.
        let life = hands.topics.brokers().life(self.own);
        let (Some(propose), Some(leader)) = (hands.propose, life) else {
            return events.put(key, serial, not_taken);
        };
        let in_sync = in_sync.into_iter();
        let change = InSyncChange {
            topic: key.topic,
            partition: key.partition,
            leader_epoch,
            partition_epoch,
            in_sync: in_sync
                .map(|(node, epoch)| BrokerLife { node, epoch })
                .collect(),
        };
        let command = StreamsCommand::ChangeInSync {
            leader,
            changes: vec![change],
        };
        propose(
            command,
            Box::new(move |outcome| {
                let is_taken = matches!(
                    outcome,
                    Ok(StreamsOutcome::Each(each)) if each.iter().all(Result::is_ok)
                );
                if !is_taken {
                    events.put_and_wake(key, serial, not_taken);
                }
            }),
        );
    }

    /// Captures what is known once enough has come, and writes it once all of it
    /// is durable: a checkpoint never knows more than the log.
    fn write_down(&mut self, hands: &mut Hands) {
        if !self.is_open() || self.is_writing {
            return;
        }
        if self.captured.is_none() && self.unwritten_bytes >= STREAMS_CHECKPOINT_EVERY_BYTES {
            self.captured = self.capture();
            self.unwritten_bytes = 0;
        }
        let durable = self.shelf.durable_until().0;
        let is_durable = |(next, _): &mut (Offset, Vec<u8>)| next.0 <= durable;
        let Some((_, bytes)) = self.captured.take_if(is_durable) else {
            return;
        };
        self.is_writing = true;
        let name = self.next_name();
        let disk = hands.device.disk().clone();
        let (events, key, serial) = (hands.events.clone(), self.key, self.serial);
        let task = move || reading::write_checkpoint(&*disk, &name, &bytes);
        let done = move |outcome| events.put(key, serial, Event::CheckpointWritten { outcome });
        hands.device.errand(Box::new(task), Box::new(done));
    }

    fn next_name(&mut self) -> String {
        self.turn = 1 - self.turn;
        let [a, b] = reading::checkpoint_names(self.log());
        if self.turn == 0 { a } else { b }
    }

    fn capture(&self) -> Option<(Offset, Vec<u8>)> {
        let partition = self.partition.as_ref()?;
        let checkpoint = Checkpoint {
            key: self.key,
            first: partition.first(),
            next: partition.next(),
            epochs: partition.epochs().clone(),
            times: self.times.clone(),
            producers: self.producers.clone(),
        };
        Some((checkpoint.next, checkpoint.encode()))
    }

    /// The node stops, and everything is durable.
    pub fn leave(&mut self, disk: &dyn Disk) {
        if !self.is_open() || self.unwritten_bytes == 0 {
            return;
        }
        let name = self.next_name();
        let captured = self
            .capture()
            .filter(|(next, _)| next.0 <= self.shelf.durable_until().0);
        if let Some((_, bytes)) = captured
            && let Err(error) = reading::write_checkpoint(disk, &name, &bytes)
        {
            tracing::warn!(partition = %self.key, %error, "no checkpoint was written");
        }
    }

    /// It is not held here any more.
    pub fn end(&mut self) {
        let gone = || NotAppended::NotHere(NotHere::Unknown);
        for (_, waiting) in std::mem::take(&mut self.waiting) {
            waiting.answer(Err(gone()));
        }
        for repeat in self.repeats.drain(..) {
            (repeat.answer)(Err(gone()));
        }
    }

    pub fn tick(&mut self, hands: &mut Hands, is_sweep: bool) {
        if self.partition.is_none() && !self.is_reading {
            return self.read_back(hands);
        }
        if let Some(partition) = &mut self.partition {
            partition.tick(hands.since);
        }
        let late = self.repeats.extract_if(.., |one| one.until <= hands.since);
        let timed_out = || NotAppended::Partition(partition::Refused::TimedOut);
        late.for_each(|one| (one.answer)(Err(timed_out())));
        if is_sweep && self.is_open() {
            self.sweep(hands);
        }
        self.go_on(hands);
    }

    /// Drops what the topic's rules no longer keep; forgets idle producers.
    fn sweep(&mut self, hands: &mut Hands) {
        self.producers.expire(hands.wall);
        let spans = self.shelf.spans();
        self.view
            .set_bytes(spans.iter().map(|span| span.bytes).sum());
        let Some(partition) = self.partition.as_mut().filter(|one| one.leads()) else {
            return;
        };
        let kept = Kept {
            spans: &spans,
            times: &self.times,
            watermark: partition.watermark(),
        };
        if let Some(begins) = retention::begins_at(&kept, &self.settings, hands.wall) {
            partition.drop_prefix(begins);
        }
    }

    pub(super) fn submit_append(
        &mut self,
        hands: &mut Hands,
        attempt: u64,
        from: Offset,
        bytes: Vec<u8>,
    ) {
        let run = self.partition.as_ref().map_or(0, Partition::run);
        let (events, key, serial) = (hands.events.clone(), self.key, self.serial);
        self.unwritten_bytes += bytes.len() as u64;
        let records = crate::log::Records::Whole(bytes);
        let log = self.log();
        let answer = move |outcome: Result<crate::log::Appended, Refused>| {
            let event = match outcome {
                Ok(appended) => Event::Landed { run, appended },
                Err(why) => Event::Failed {
                    attempt,
                    from: from.0,
                    why,
                },
            };
            events.put(key, serial, event);
        };
        hands
            .device
            .submit(Request::Append { log, records }, Box::new(answer));
    }
}

fn say_uncut(key: Key, why: &Refused) {
    tracing::error!(partition = %key, %why, "the log was not cut");
}
