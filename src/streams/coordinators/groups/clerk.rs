//! The one task that keeps the coordinators of a node: it hears of requests, of
//! what came of batches and readings, of topics and of the time, and tells each
//! coordinator's seat.

use super::super::pages::{Page, Pairs};
use super::SettingsOf;
use super::partitions::Partitions;
use super::seat::{Ground, Reading, Said, Seat, Sees};
use crate::clock::Clock;
use crate::ids::{NodeId, PartitionId, TopicId, Uid};
use crate::limits::{COORDINATOR_LATE_MS, COORDINATOR_LOOK_MS, COORDINATOR_REQUESTS_AT_ONCE};
use crate::state::topics::Topics;
use crate::state::topics::names::CONSUMER_OFFSETS;
use crate::streams::Key;
use crate::streams::Site;
use crate::streams::desk::NotAppended;
use crate::streams::groups::request::{Reply, Request, Token};
use crate::streams::groups::{Catalog, Coordinator, Error, Now, Settings, Topic};
use crate::streams::partition::LeaderEpoch;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// What is asked of a coordinator.
pub(super) struct Asked {
    pub partition: PartitionId,
    pub request: Request,
    pub sees: Option<Sees>,
    pub answer: oneshot::Sender<Result<Reply, Error>>,
}

/// What the partitions say to the clerk.
enum Heard {
    Appended {
        partition: PartitionId,
        ticket: u64,
        outcome: Result<(), String>,
    },
    Read {
        partition: PartitionId,
        life: u64,
        read: Result<Box<Coordinator>, String>,
    },
    Close(oneshot::Sender<()>),
}

/// For who tells the clerk to stop.
#[derive(Clone)]
pub(super) struct Rope(mpsc::UnboundedSender<Heard>);

impl Rope {
    /// At which nobody hangs.
    #[cfg(test)]
    pub(super) fn loose() -> Self {
        Self(mpsc::unbounded_channel().0)
    }

    /// Waits until everybody who waits has been answered.
    pub(super) async fn pull(&self) {
        let (put, given) = oneshot::channel();
        if self.0.send(Heard::Close(put)).is_ok() {
            // An error is a clerk that is gone already.
            let _ = given.await;
        }
    }
}

pub(super) struct Clerk {
    node: NodeId,
    settings_of: SettingsOf,
    settings: Settings,
    clock: Arc<dyn Clock>,
    changes: watch::Receiver<Arc<Topics>>,
    asked: mpsc::Receiver<Asked>,
    /// Bounded by what the seats have under way.
    heard: mpsc::UnboundedReceiver<Heard>,
    /// Of every partition that was ever led here: what is still said of an
    /// earlier reign must not be taken for this one's.
    seats: BTreeMap<PartitionId, Seat>,
    catalog: Arc<Catalog>,
    /// When the clerk wants to look at the time, while something is served.
    look_at: Option<Duration>,
    floor: Floor,
}

/// What the seats stand on.
struct Floor {
    partitions: Arc<dyn Partitions>,
    clock: Arc<dyn Clock>,
    tell: mpsc::UnboundedSender<Heard>,
    topic: TopicId,
    callers: BTreeMap<Token, oneshot::Sender<Result<Reply, Error>>>,
    readings: BTreeMap<PartitionId, JoinHandle<()>>,
    next_token: u64,
}

impl Clerk {
    pub(super) fn new(
        site: &Site,
        partitions: Arc<dyn Partitions>,
        clock: Arc<dyn Clock>,
        settings_of: SettingsOf,
        asked: mpsc::Receiver<Asked>,
    ) -> (Self, Rope) {
        let (tell, heard) = mpsc::unbounded_channel();
        let rope = Rope(tell.clone());
        let clerk = Self {
            node: site.node,
            settings_of,
            settings: Settings::default(),
            changes: site.changes(),
            asked,
            heard,
            seats: BTreeMap::new(),
            catalog: Arc::default(),
            look_at: None,
            floor: Floor {
                partitions,
                clock: clock.clone(),
                tell,
                topic: TopicId::default(),
                callers: BTreeMap::new(),
                readings: BTreeMap::new(),
                next_token: 0,
            },
            clock,
        };
        (clerk, rope)
    }

    pub(super) async fn run(mut self) {
        self.take_topics();
        loop {
            let pause = self.pause();
            tokio::select! {
                biased;
                heard = self.heard.recv() => {
                    let Some(heard) = heard else { return };
                    if let Some(close) = self.hear(heard) {
                        return self.close(close);
                    }
                }
                changed = self.changes.changed() => match changed {
                    Ok(()) => self.take_topics(),
                    // Whoever keeps the state has gone.
                    Err(_) => return,
                },
                asked = self.asked.recv() => {
                    let Some(asked) = asked else { return };
                    self.ask(asked);
                    self.ask_more();
                }
                () = tokio::time::sleep(pause) => {}
            }
            self.look();
        }
    }

    fn now(&self) -> Now {
        Now {
            since: self.clock.monotonic(),
            wall: self.clock.now(),
        }
    }

    /// For how long there is nothing to do by itself. While something is served,
    /// the clerk looks at the time now and then, to see whether it was let.
    fn pause(&mut self) -> Duration {
        let now = self.clock.monotonic();
        let is_serving = self.seats.values().any(Seat::is_serving);
        self.look_at = is_serving.then(|| now + Duration::from_millis(COORDINATOR_LOOK_MS));
        let wakes = self.seats.values().filter_map(Seat::wake_at);
        let next = wakes.chain(self.look_at).min();
        next.map_or(Duration::MAX, |at| at.saturating_sub(now))
    }

    fn hear(&mut self, heard: Heard) -> Option<oneshot::Sender<()>> {
        let now = self.now();
        match heard {
            Heard::Appended {
                partition,
                ticket,
                outcome,
            } => self.at(partition, |seat, ground| {
                seat.appended(now, ticket, outcome, ground);
            }),
            Heard::Read {
                partition,
                life,
                read,
            } => {
                self.at(partition, |seat, ground| seat.read(now, life, read, ground));
            }
            Heard::Close(done) => return Some(done),
        }
        None
    }

    fn at(&mut self, partition: PartitionId, run: impl FnOnce(&mut Seat, &mut Place)) {
        if let Some(seat) = self.seats.get_mut(&partition) {
            run(seat, &mut self.floor.place(partition));
        }
    }

    fn ask(&mut self, asked: Asked) {
        let now = self.now();
        let Asked {
            partition,
            request,
            sees,
            answer,
        } = asked;
        let token = self.floor.token();
        self.floor.callers.insert(token, answer);
        match self.seats.contains_key(&partition) {
            true => self.at(partition, |seat, ground| {
                seat.request(now, token, request, sees.as_ref(), ground);
            }),
            false => self.floor.answer(token, Err(Error::NotCoordinator)),
        }
    }

    /// What has arrived is heard before deadlines are looked at.
    fn ask_more(&mut self) {
        for _ in 1..COORDINATOR_REQUESTS_AT_ONCE {
            let Ok(asked) = self.asked.try_recv() else {
                return;
            };
            self.ask(asked);
        }
    }

    /// Time goes on, if the clerk was let. Where it was not, nobody could be
    /// heard, and whoever spoke meanwhile stands in the queue.
    fn look(&mut self) {
        let now = self.now();
        let late = self.look_at.map(|at| now.since.saturating_sub(at));
        let late = late.filter(|late| late.as_millis() >= COORDINATOR_LATE_MS.into());
        for (&partition, seat) in &mut self.seats {
            if let Some(gap) = late {
                seat.slept(gap);
            }
            seat.tick(now, &mut self.floor.place(partition));
        }
    }

    fn take_topics(&mut self) {
        let topics = self.changes.borrow_and_update().clone();
        let now = self.now();
        let catalog = catalog_of(&topics);
        if catalog != *self.catalog {
            self.catalog = Arc::new(catalog);
            for (&partition, seat) in &mut self.seats {
                let ground = &mut self.floor.place(partition);
                seat.topics(now, self.catalog.clone(), ground);
            }
        }
        let settings = (self.settings_of)(&topics);
        if settings != self.settings {
            let seats = self.seats.values_mut();
            seats.for_each(|seat| seat.go_by(&settings));
            self.settings = settings;
        }
        let (topic, reigns) = reigns_of(&topics, self.node);
        if topic != self.floor.topic {
            // Another topic of the name: whatever was held is gone with the old.
            self.stand(now, &BTreeMap::new());
            self.floor.topic = topic;
        }
        self.stand(now, &reigns);
    }

    fn stand(&mut self, now: Now, reigns: &BTreeMap<PartitionId, LeaderEpoch>) {
        for &partition in reigns.keys() {
            let (settings, catalog) = (&self.settings, &self.catalog);
            let new = || Seat::new(partition, settings.clone(), catalog.clone());
            self.seats.entry(partition).or_insert_with(new);
        }
        for (&partition, seat) in &mut self.seats {
            let reign = reigns.get(&partition).copied();
            seat.stand(now, reign, &mut self.floor.place(partition));
            if reign.is_none() {
                self.floor.stop_reading(partition);
            }
        }
    }

    fn close(mut self, done: oneshot::Sender<()>) {
        let now = self.now();
        self.stand(now, &BTreeMap::new());
        self.asked.close();
        while let Ok(asked) = self.asked.try_recv() {
            // Whoever asked hears nothing more where the connection is gone.
            let _ = asked.answer.send(Err(Error::NotCoordinator));
        }
        let _ = done.send(());
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        self.readings.values().for_each(JoinHandle::abort);
    }
}

impl Floor {
    fn place(&mut self, partition: PartitionId) -> Place<'_> {
        Place {
            floor: self,
            partition,
        }
    }

    fn token(&mut self) -> Token {
        self.next_token += 1;
        Token(self.next_token)
    }

    fn answer(&mut self, token: Token, answer: Result<Reply, Error>) {
        if let Some(caller) = self.callers.remove(&token) {
            // A caller that has gone away needs no answer.
            let _ = caller.send(answer);
        }
    }

    fn stop_reading(&mut self, partition: PartitionId) {
        if let Some(reading) = self.readings.remove(&partition) {
            reading.abort();
        }
    }
}

/// Where one seat stands.
struct Place<'a> {
    floor: &'a mut Floor,
    partition: PartitionId,
}

impl Place<'_> {
    fn key(&self) -> Key {
        Key {
            topic: self.floor.topic,
            partition: self.partition,
        }
    }
}

/// How it stands with an append while it is said.
const SAYING: u8 = 0;
const BUSY: u8 = 1;
const GONE: u8 = 2;

impl Ground for Place<'_> {
    fn append(&mut self, ticket: u64, epoch: LeaderEpoch, pairs: &Pairs) -> Said {
        let page = match Page::of(pairs, self.floor.clock.now()) {
            Ok(page) => page,
            Err(why) => return Said::Never(why.to_string()),
        };
        let (tell, partition) = (self.floor.tell.clone(), self.partition);
        // "Busy" may be heard before the batch behind this one is said: then
        // nothing is lost, and this one is offered again.
        let state = Arc::new(AtomicU8::new(SAYING));
        let answered = Answered {
            tell,
            partition,
            ticket,
            is_told: false,
        };
        let seen = state.clone();
        let answer = Box::new(move |outcome| {
            let is_busy = matches!(outcome, Err(NotAppended::Busy));
            let at_once = is_busy
                && seen
                    .compare_exchange(SAYING, BUSY, Ordering::AcqRel, Ordering::Acquire)
                    .is_ok();
            match at_once {
                true => answered.forget(),
                false => answered.tell(outcome.map(drop).map_err(|why| why.to_string())),
            }
        });
        let partitions = &self.floor.partitions;
        partitions.append(self.key(), epoch, page, answer);
        let gone = state.compare_exchange(SAYING, GONE, Ordering::AcqRel, Ordering::Acquire);
        match gone {
            Ok(_) => Said::Gone,
            Err(_) => Said::Busy,
        }
    }

    fn read(&mut self, reading: Reading) {
        let Reading {
            life,
            epoch,
            machine,
        } = reading;
        let (tell, partition) = (self.floor.tell.clone(), self.partition);
        let read = self.floor.partitions.read(self.key(), epoch, machine);
        let task = tokio::spawn(async move {
            let read = read.await;
            // The clerk may be gone.
            let _ = tell.send(Heard::Read {
                partition,
                life,
                read,
            });
        });
        self.floor.stop_reading(partition);
        self.floor.readings.insert(partition, task);
    }

    fn answer(&mut self, token: Token, answer: Result<Reply, Error>) {
        self.floor.answer(token, answer);
    }
}

/// Tells what came of a batch, also where its answer is dropped.
struct Answered {
    tell: mpsc::UnboundedSender<Heard>,
    partition: PartitionId,
    ticket: u64,
    is_told: bool,
}

impl Answered {
    fn tell(mut self, outcome: Result<(), String>) {
        self.say(outcome);
    }

    fn forget(mut self) {
        self.is_told = true;
    }

    fn say(&mut self, outcome: Result<(), String>) {
        self.is_told = true;
        // The clerk may be gone.
        let _ = self.tell.send(Heard::Appended {
            partition: self.partition,
            ticket: self.ticket,
            outcome,
        });
    }
}

impl Drop for Answered {
    fn drop(&mut self) {
        if !self.is_told {
            self.say(Err("the node is stopping".into()));
        }
    }
}

fn catalog_of(topics: &Topics) -> Catalog {
    let known = topics.iter().map(|(name, topic)| {
        let partitions = topic.partitions.len() as u32;
        let id = Uid(topic.id.0);
        (name.clone(), Topic { id, partitions })
    });
    Catalog {
        topics: known.collect(),
    }
}

/// The internal topic's id, and what this node leads of it.
fn reigns_of(topics: &Topics, node: NodeId) -> (TopicId, BTreeMap<PartitionId, LeaderEpoch>) {
    let Some(topic) = topics.get(CONSUMER_OFFSETS) else {
        return Default::default();
    };
    let numbered = (0..).map(PartitionId).zip(&topic.partitions);
    let led = numbered.filter(|(_, partition)| partition.leader == Some(node));
    let reigns = led.map(|(id, partition)| (id, partition.leader_epoch));
    (topic.id, reigns.collect())
}
