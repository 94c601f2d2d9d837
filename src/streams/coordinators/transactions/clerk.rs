//! The one task that keeps the coordinators of transactions of a node: it hears
//! of requests, of what came of batches, readings and words to partitions, of
//! topics and of the time, and tells each coordinator's seat.

use super::super::pages::{Page, Pairs};
use super::TellGroups;
use super::ground::{Ground, Unkept};
use super::seat::{Deed, Seat};
use super::stock::{Given, Stock, Wish};
use crate::clock::Clock;
use crate::ids::{PartitionId, ProducerId, TopicId};
use crate::limits::COORDINATOR_REQUESTS_AT_ONCE;
use crate::state::topics::names::{CONSUMER_OFFSETS, TRANSACTION_STATE};
use crate::state::topics::{StreamsCommand, StreamsOutcome, Topics};
use crate::streams::Key;
use crate::streams::Site;
use crate::streams::batch::control::{Ending, Marker};
use crate::streams::partition::LeaderEpoch;
use crate::streams::producers::Closing;
use crate::streams::transactions::request::{Reply, Request, Token};
use crate::streams::transactions::{Coordinator, Error, Marked, Markers, Now, Place, Settings};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// What a door says.
pub(super) enum Said {
    Ask {
        partition: PartitionId,
        request: Request,
        answer: oneshot::Sender<Result<Reply, Error>>,
    },
    ProducerId(oneshot::Sender<Result<ProducerId, Error>>),
    Close(oneshot::Sender<()>),
}

/// What came of a seat's deeds, in one of its lives.
struct Heard {
    partition: PartitionId,
    life: u64,
    what: What,
}

enum What {
    Appended(Result<(), Unkept>),
    Read(Result<Box<Coordinator>, String>),
    Marked(Arc<Markers>, Place, Marked),
}

pub(super) struct Clerk {
    site: Arc<Site>,
    ground: Arc<dyn Ground>,
    clock: Arc<dyn Clock>,
    settings: Settings,
    tell_groups: Arc<TellGroups>,
    said: mpsc::Receiver<Said>,
    /// Bounded by what the seats have under way: a batch or a reading each, and
    /// a word for each partition of a transaction.
    heard: mpsc::UnboundedReceiver<Heard>,
    tell: mpsc::UnboundedSender<Heard>,
    drawn: mpsc::UnboundedReceiver<Option<Range<u64>>>,
    tell_drawn: mpsc::UnboundedSender<Option<Range<u64>>>,
    changes: watch::Receiver<Arc<Topics>>,
    topic: TopicId,
    seats: BTreeMap<PartitionId, Seat>,
    callers: BTreeMap<Token, oneshot::Sender<Result<Reply, Error>>>,
    stock: Stock,
    next_token: u64,
    next_life: u64,
}

impl Clerk {
    pub(super) fn new(
        site: Arc<Site>,
        ground: Arc<dyn Ground>,
        clock: Arc<dyn Clock>,
        settings: Settings,
        tell_groups: Arc<TellGroups>,
        said: mpsc::Receiver<Said>,
    ) -> Self {
        let (tell, heard) = mpsc::unbounded_channel();
        let (tell_drawn, drawn) = mpsc::unbounded_channel();
        Self {
            changes: site.changes(),
            site,
            ground,
            clock,
            settings,
            tell_groups,
            said,
            heard,
            tell,
            drawn,
            tell_drawn,
            topic: TopicId::default(),
            seats: BTreeMap::new(),
            callers: BTreeMap::new(),
            stock: Stock::default(),
            next_token: 0,
            next_life: 0,
        }
    }

    pub(super) async fn run(mut self) {
        self.take_topics();
        loop {
            let pause = self.pause();
            tokio::select! {
                biased;
                Some(heard) = self.heard.recv() => self.hear(heard),
                Some(drawn) = self.drawn.recv() => self.take_drawn(drawn),
                changed = self.changes.changed() => match changed {
                    Ok(()) => self.take_topics(),
                    // Whoever keeps the state has gone.
                    Err(_) => return self.end(),
                },
                said = self.said.recv() => {
                    let Some(said) = said else { return };
                    if let Some(done) = self.take_said(said) {
                        self.end();
                        let _ = done.send(());
                        return;
                    }
                }
                () = tokio::time::sleep(pause) => {}
            }
            self.tick();
        }
    }

    fn now(&self) -> Now {
        Now {
            since: self.clock.monotonic(),
            wall: self.clock.now(),
        }
    }

    /// For how long there is nothing to do by itself.
    fn pause(&self) -> Duration {
        let next = self.seats.values().filter_map(Seat::wake_at).min();
        next.map_or(Duration::MAX, |at| {
            at.saturating_sub(self.clock.monotonic())
        })
    }

    fn tick(&mut self) {
        let now = self.now();
        for partition in self.seated() {
            self.at(partition, |seat| seat.tick(now));
        }
    }

    fn seated(&self) -> Vec<PartitionId> {
        self.seats.keys().copied().collect()
    }

    /// Tells a seat something, and does what it wants then.
    fn at(&mut self, partition: PartitionId, run: impl FnOnce(&mut Seat)) {
        let Some(seat) = self.seats.get_mut(&partition) else {
            return;
        };
        run(seat);
        let (life, epoch, deeds) = (seat.life, seat.epoch, seat.take_deeds());
        for deed in deeds {
            self.carry_out(partition, life, epoch, deed);
        }
        self.supply();
    }

    /// What has arrived is heard before deadlines are looked at.
    fn take_said(&mut self, first: Said) -> Option<oneshot::Sender<()>> {
        let mut said = first;
        for left in (0..COORDINATOR_REQUESTS_AT_ONCE).rev() {
            match said {
                Said::Close(done) => return Some(done),
                Said::Ask {
                    partition,
                    request,
                    answer,
                } => self.ask(partition, request, answer),
                Said::ProducerId(answer) => {
                    self.stock.wish(Wish::Producer(answer));
                    self.supply();
                }
            }
            if left == 0 {
                break;
            }
            said = self.said.try_recv().ok()?;
        }
        None
    }

    fn ask(
        &mut self,
        partition: PartitionId,
        request: Request,
        answer: oneshot::Sender<Result<Reply, Error>>,
    ) {
        if !self.seats.contains_key(&partition) {
            // A caller that has gone away needs no answer.
            let _ = answer.send(Err(Error::NotCoordinator));
            return;
        }
        self.next_token += 1;
        let token = Token(self.next_token);
        self.callers.insert(token, answer);
        let now = self.now();
        self.at(partition, |seat| seat.request(now, token, request));
    }

    fn hear(&mut self, heard: Heard) {
        let now = self.now();
        let is_of = |seat: &Seat| seat.life == heard.life;
        if !self.seats.get(&heard.partition).is_some_and(is_of) {
            return;
        }
        self.at(heard.partition, |seat| match heard.what {
            What::Appended(outcome) => seat.appended(now, outcome),
            What::Read(read) => seat.read(now, read),
            What::Marked(told, place, marked) => seat.marked(now, &told, &place, marked),
        });
    }

    fn take_topics(&mut self) {
        let topics = self.changes.borrow_and_update().clone();
        let now = self.now();
        let (topic, reigns) = reigns_of(&topics, &self.site);
        for partition in self.seated() {
            let epoch = self.seats.get(&partition).map(|seat| seat.epoch);
            // Another topic of the name: whatever was held is gone with the old.
            if topic != self.topic || epoch != reigns.get(&partition).copied() {
                self.at(partition, Seat::let_go);
                self.seats.remove(&partition);
            }
        }
        self.topic = topic;
        for (partition, epoch) in reigns {
            if !self.seats.contains_key(&partition) {
                self.next_life = self.next_life.saturating_add(LIVES_OF_A_SEAT);
                let seat = Seat::new(self.settings.clone(), epoch, self.next_life, now);
                self.seats.insert(partition, seat);
            }
            self.at(partition, |seat| seat.hasten(now));
        }
    }

    fn carry_out(&mut self, partition: PartitionId, life: u64, epoch: LeaderEpoch, deed: Deed) {
        let key = Key {
            topic: self.topic,
            partition,
        };
        match deed {
            Deed::Append(pairs) => {
                let appending = self.append(key, epoch, &pairs);
                self.begin(
                    partition,
                    life,
                    async move { What::Appended(appending.await) },
                );
            }
            Deed::Read(machine) => {
                let reading = self.ground.read(key, epoch, machine);
                self.begin(partition, life, async move { What::Read(reading.await) });
            }
            Deed::Answer(token, answer) => {
                if let Some(caller) = self.callers.remove(&token) {
                    // A caller that has gone away needs no answer.
                    let _ = caller.send(answer);
                }
            }
            Deed::Tell(markers) => {
                let markers = Arc::new(markers);
                for place in &markers.places {
                    let telling = self.told(&markers, place.clone());
                    let (markers, place) = (markers.clone(), place.clone());
                    self.begin(partition, life, async move {
                        What::Marked(markers, place, telling.await)
                    });
                }
            }
            Deed::Draw => self.stock.wish(Wish::Seat(partition, life)),
        }
    }

    fn begin(
        &self,
        partition: PartitionId,
        life: u64,
        doing: impl Future<Output = What> + Send + 'static,
    ) {
        let tell = self.tell.clone();
        tokio::spawn(async move {
            let what = doing.await;
            // The clerk may be gone.
            let _ = tell.send(Heard {
                partition,
                life,
                what,
            });
        });
    }

    fn append(
        &self,
        key: Key,
        epoch: LeaderEpoch,
        pairs: &Pairs,
    ) -> super::ground::Soon<Result<(), Unkept>> {
        match Page::of(pairs, self.clock.now()) {
            Ok(page) => self.ground.append(key, epoch, page),
            Err(why) => Box::pin(std::future::ready(Err(Unkept::Lost(why.to_string())))),
        }
    }

    /// Tells one partition how a transaction ends; where it is one of groups'
    /// offsets, them as well.
    fn told(
        &self,
        markers: &Markers,
        place: Place,
    ) -> impl Future<Output = Marked> + Send + 'static {
        let topics = self.site.topics();
        let found = topics.get(&place.topic);
        let found = found.filter(|topic| topic.partition(place.partition).is_some());
        let marking = found.map(|topic| {
            let key = Key {
                topic: topic.id,
                partition: place.partition,
            };
            self.ground.mark(key, closing(markers))
        });
        let (who, is_committed) = (markers.producer, markers.is_committed);
        let tell_groups = self.tell_groups.clone();
        async move {
            let Some(marking) = marking else {
                // The topic is gone, and what was written with it.
                return Marked::Needless;
            };
            let marked = marking.await;
            if marked == Marked::Written && &*place.topic == CONSUMER_OFFSETS {
                tell_groups(place.partition, who, is_committed).await;
            }
            marked
        }
    }

    /// Hands out producer ids, and draws more where somebody waits for them.
    fn supply(&mut self) {
        let given = self.stock.serve();
        self.give(given);
        if self.stock.wants_block() {
            let (site, tell) = (self.site.clone(), self.tell_drawn.clone());
            tokio::spawn(async move {
                // The clerk may be gone.
                let _ = tell.send(draw(&site).await);
            });
        }
    }

    fn take_drawn(&mut self, block: Option<Range<u64>>) {
        let given = self.stock.drawn(block);
        self.give(given);
        self.supply();
    }

    fn give(&mut self, given: Vec<Given>) {
        let now = self.now();
        for (partition, life, ids) in given {
            // What a seat of an earlier life would have got is wasted.
            self.at(partition, |seat| {
                if seat.life == life {
                    seat.drawn(now, ids);
                }
            });
        }
    }

    fn end(&mut self) {
        for partition in self.seated() {
            self.at(partition, Seat::let_go);
        }
        self.seats.clear();
        self.said.close();
        while let Ok(said) = self.said.try_recv() {
            match said {
                Said::Ask { answer, .. } => {
                    let _ = answer.send(Err(Error::NotCoordinator));
                }
                // Dropped, they are answered.
                Said::ProducerId(_) | Said::Close(_) => {}
            }
        }
    }
}

/// More than a seat of one reign can live through: it takes one with each
/// failure, which are some milliseconds apart.
const LIVES_OF_A_SEAT: u64 = 1 << 40;

fn closing(markers: &Markers) -> Closing {
    let ending = match markers.is_committed {
        true => Ending::Commit,
        false => Ending::Abort,
    };
    Closing {
        id: markers.producer.id,
        epoch: markers.producer.epoch,
        marker: Marker {
            ending,
            coordinator_epoch: markers.coordinator_epoch,
        },
        raises_epoch: markers.raises_epoch,
    }
}

/// A block of producer ids of the replicated state; None where none is to be
/// had now.
async fn draw(site: &Site) -> Option<Range<u64>> {
    let broker = site.topics().brokers().life(site.node)?;
    let command = StreamsCommand::DrawProducerIds { broker };
    match site.propose(command).await {
        Ok(StreamsOutcome::ProducerIds { first, count }) => Some(first..first.checked_add(count)?),
        Ok(other) => {
            tracing::warn!("no producer ids are to be had: {other:?}");
            None
        }
        Err(why) => {
            tracing::warn!("no producer ids are to be had: {why}");
            None
        }
    }
}

/// The internal topic's id, and what this node leads of it.
fn reigns_of(topics: &Topics, site: &Site) -> (TopicId, BTreeMap<PartitionId, LeaderEpoch>) {
    let Some(topic) = topics.get(TRANSACTION_STATE) else {
        return Default::default();
    };
    let numbered = (0..).map(PartitionId).zip(&topic.partitions);
    let led = numbered.filter(|(_, partition)| partition.leader == Some(site.node));
    let reigns = led.map(|(id, partition)| (id, partition.leader_epoch));
    (topic.id, reigns.collect())
}
