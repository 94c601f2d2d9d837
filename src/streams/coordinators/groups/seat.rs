//! The seat of one coordinator: its machine while this node leads the
//! partition, and what is on its way into the partition and out of it. It
//! decides and touches nothing: what is to be done it tells its `Ground`, what
//! came of that it is told.
//!
//! The partition is read, and then served. Where a batch is not acknowledged,
//! the machine is ahead of its records: it is let go, and the partition is read
//! again, but not before all that was said has been answered, for it may still
//! find its way into the log.

use super::super::failed;
use super::super::pages::Pairs;
use super::pattern::Pattern;
use crate::ids::PartitionId;
use crate::limits::{
    COORDINATOR_APPENDS_MAX, COORDINATOR_BUSY_PAUSE_MS, COORDINATOR_ENDS_MAX,
    COORDINATOR_QUEUED_BYTES_MAX,
};
use crate::state::topics::names;
use crate::state::topics::names::CONSUMER_OFFSETS;
use crate::streams::ages::Ages;
use crate::streams::groups::request::{EndTransaction, Reply, Request, Token};
use crate::streams::groups::{Catalog, Coordinator, Effect, Error, Name, Now, Settings};
use crate::streams::partition::LeaderEpoch;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// What the seat has done for it.
pub(super) trait Ground {
    /// Says a batch to the partition, whose answer arrives as `Seat::appended`.
    /// It is for the reign that began with `epoch`, and no other.
    fn append(&mut self, ticket: u64, epoch: LeaderEpoch, pairs: &Pairs) -> Said;
    /// Reads the partition into the machine, which arrives as `Seat::read`.
    fn read(&mut self, reading: Reading);
    fn answer(&mut self, token: Token, answer: Result<Reply, Error>);
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    Gone,
    /// Too much waits to be written. Nothing was said.
    Busy,
    /// It makes no batch.
    Never(String),
}

pub(super) struct Reading {
    /// Of which of the seat's lives it is: one that is over is heard no more.
    pub life: u64,
    pub epoch: LeaderEpoch,
    pub machine: Box<Coordinator>,
}

/// Whether the one who asks may know of a topic.
pub type Sees = Box<dyn Fn(&str) -> bool + Send>;

pub(super) struct Seat {
    partition: PartitionId,
    settings: Settings,
    catalog: Arc<Catalog>,
    /// While this node leads, since this epoch.
    reign: Option<LeaderEpoch>,
    stage: Stage,
    life: u64,
    next_ticket: u64,
    /// Batches that are said and not answered, of whichever life.
    flights: VecDeque<Flight>,
    queue: VecDeque<Batch>,
    queued_bytes: usize,
    /// Ends that the machine is to be told of when it can hear. They keep their
    /// order: one that came behind the next, told twice, would end what its
    /// producer has begun since.
    ends: VecDeque<(Token, EndTransaction)>,
    /// When the first of the queue may be offered again.
    busy_until: Option<Duration>,
    /// Failures since a batch was last acknowledged.
    failures: u32,
    /// Patterns whose topics the machine has asked for: answered when one of
    /// the group's members is heard, who may not see every topic.
    owed: BTreeMap<Name, BTreeSet<Name>>,
    /// As the last machine knew of this node's clock.
    ages: Ages,
}

enum Stage {
    Away,
    Waiting { until: Duration },
    Reading,
    Serving(Box<Coordinator>),
}

struct Flight {
    ticket: u64,
    upto: u64,
    is_durable: bool,
}

struct Batch {
    pairs: Pairs,
    bytes: usize,
    upto: u64,
}

impl Seat {
    pub(super) fn new(partition: PartitionId, settings: Settings, catalog: Arc<Catalog>) -> Self {
        Self {
            partition,
            settings,
            catalog,
            reign: None,
            stage: Stage::Away,
            life: 0,
            next_ticket: 0,
            flights: VecDeque::new(),
            queue: VecDeque::new(),
            queued_bytes: 0,
            ends: VecDeque::new(),
            busy_until: None,
            failures: 0,
            owed: BTreeMap::new(),
            ages: Ages::default(),
        }
    }

    pub(super) fn go_by(&mut self, settings: &Settings) {
        self.settings = settings.clone();
        if let Stage::Serving(machine) = &mut self.stage {
            machine.go_by(settings.clone());
        }
    }

    pub(super) fn is_serving(&self) -> bool {
        matches!(self.stage, Stage::Serving(_))
    }

    /// Whether this node leads the partition, and since which epoch.
    pub(super) fn stand(&mut self, now: Now, reign: Option<LeaderEpoch>, ground: &mut impl Ground) {
        if self.reign == reign {
            return;
        }
        self.let_go(ground);
        // Whoever leads now reads their markers.
        for (token, _) in self.ends.drain(..) {
            ground.answer(token, Err(Error::NotCoordinator));
        }
        self.reign = reign;
        self.failures = 0;
        self.stage = match reign {
            Some(_) => Stage::Waiting { until: now.since },
            None => Stage::Away,
        };
        self.go_on(now, ground);
    }

    pub(super) fn topics(&mut self, now: Now, catalog: Arc<Catalog>, ground: &mut impl Ground) {
        self.catalog = catalog.clone();
        if let Stage::Serving(machine) = &mut self.stage {
            // It asks anew for all.
            self.owed.clear();
            machine.topics(now, catalog);
            self.go_on(now, ground);
        }
    }

    pub(super) fn request(
        &mut self,
        now: Now,
        token: Token,
        request: Request,
        sees: Option<&Sees>,
        ground: &mut impl Ground,
    ) {
        let is_full = self.is_full();
        let request = match request {
            Request::EndTransaction(end) => return self.end(now, token, end, ground),
            request => request,
        };
        let refusal = match &mut self.stage {
            Stage::Away => Error::NotCoordinator,
            Stage::Waiting { .. } | Stage::Reading => Error::Loading,
            Stage::Serving(_) if is_full => Error::Busy,
            Stage::Serving(machine) => {
                let group = request.group().cloned();
                machine.request(now, token, request);
                self.take_effects(ground);
                if let (Some(group), Some(sees)) = (group, sees) {
                    self.resolve(now, &group, sees);
                }
                return self.go_on(now, ground);
            }
        };
        ground.answer(token, Err(refusal));
    }

    fn is_full(&self) -> bool {
        self.queued_bytes >= COORDINATOR_QUEUED_BYTES_MAX
    }

    fn end(&mut self, now: Now, token: Token, end: EndTransaction, ground: &mut impl Ground) {
        let refusal = match self.stage {
            Stage::Away => Error::NotCoordinator,
            _ if self.ends.len() >= COORDINATOR_ENDS_MAX => Error::Busy,
            _ => {
                self.ends.push_back((token, end));
                return self.go_on(now, ground);
            }
        };
        ground.answer(token, Err(refusal));
    }

    fn tell_ends(&mut self, now: Now, ground: &mut impl Ground) {
        while !self.is_full()
            && let Stage::Serving(machine) = &mut self.stage
            && machine.has_room()
            && let Some((token, end)) = self.ends.pop_front()
        {
            machine.request(now, token, Request::EndTransaction(end));
            self.take_effects(ground);
        }
    }

    /// What came of a batch; an error is for a person.
    pub(super) fn appended(
        &mut self,
        now: Now,
        ticket: u64,
        outcome: Result<(), String>,
        ground: &mut impl Ground,
    ) {
        let Some(at) = self.flights.iter().position(|it| it.ticket == ticket) else {
            return;
        };
        let Stage::Serving(machine) = &mut self.stage else {
            // Of a life that is over.
            self.flights.remove(at);
            return self.go_on(now, ground);
        };
        match outcome {
            Ok(()) => {
                self.failures = 0;
                self.flights[at].is_durable = true;
                while self.flights.front().is_some_and(|it| it.is_durable) {
                    if let Some(flight) = self.flights.pop_front() {
                        machine.durable(flight.upto);
                    }
                }
            }
            Err(why) => {
                self.flights.remove(at);
                self.fail(now, &why, ground);
            }
        }
        self.go_on(now, ground);
    }

    /// The machine has read the partition, or could not.
    pub(super) fn read(
        &mut self,
        now: Now,
        life: u64,
        read: Result<Box<Coordinator>, String>,
        ground: &mut impl Ground,
    ) {
        if life != self.life || !matches!(self.stage, Stage::Reading) {
            return;
        }
        match read {
            Ok(mut machine) => {
                machine.go_by(self.settings.clone());
                machine.topics(now, self.catalog.clone());
                machine.serve(now);
                self.stage = Stage::Serving(machine);
            }
            Err(why) => self.fail(now, &why, ground),
        }
        self.go_on(now, ground);
    }

    /// Time goes on: at `wake_at` at the latest.
    pub(super) fn tick(&mut self, now: Now, ground: &mut impl Ground) {
        if let Stage::Serving(machine) = &mut self.stage
            && machine.wake_at().is_some_and(|at| at <= now.since)
        {
            machine.tick(now);
        }
        self.go_on(now, ground);
    }

    /// The process stood still for so long.
    pub(super) fn slept(&mut self, gap: Duration) {
        if let Stage::Serving(machine) = &mut self.stage {
            machine.slept(gap);
        }
    }

    pub(super) fn wake_at(&self) -> Option<Duration> {
        match &self.stage {
            Stage::Away | Stage::Reading => None,
            Stage::Waiting { until } => self.flights.is_empty().then_some(*until),
            Stage::Serving(machine) => machine.wake_at().into_iter().chain(self.busy_until).min(),
        }
    }

    fn go_on(&mut self, now: Now, ground: &mut impl Ground) {
        match &self.stage {
            Stage::Waiting { until } if *until <= now.since && self.flights.is_empty() => {
                self.begin_reading(ground);
            }
            Stage::Serving(_) => {
                self.tell_ends(now, ground);
                self.take_effects(ground);
                self.send(now, ground);
            }
            Stage::Away | Stage::Waiting { .. } | Stage::Reading => {}
        }
    }

    fn begin_reading(&mut self, ground: &mut impl Ground) {
        let Some(epoch) = self.reign else {
            return;
        };
        let machine = Coordinator::new(self.settings.clone()).in_life(self.life);
        let mut machine = Box::new(machine.with_ages(self.ages.clone()));
        machine.gain(self.catalog.clone());
        self.stage = Stage::Reading;
        ground.read(Reading {
            life: self.life,
            epoch,
            machine,
        });
    }

    fn take_effects(&mut self, ground: &mut impl Ground) {
        let Stage::Serving(machine) = &mut self.stage else {
            return;
        };
        for effect in machine.take_effects() {
            match effect {
                Effect::Append { records, upto } => {
                    let bytes_of = |(key, value): &(Vec<u8>, Option<Vec<u8>>)| {
                        key.len() + value.as_ref().map_or(0, Vec::len)
                    };
                    let bytes = records.iter().map(bytes_of).sum();
                    self.queued_bytes += bytes;
                    self.queue.push_back(Batch {
                        pairs: records,
                        bytes,
                        upto,
                    });
                }
                Effect::Answer { token, answer } => ground.answer(token, answer),
                Effect::Resolve { group, pattern } => {
                    self.owed.entry(group).or_default().insert(pattern);
                }
            }
        }
    }

    /// Says what waits, in its order, as far as that may be under way at once.
    fn send(&mut self, now: Now, ground: &mut impl Ground) {
        if self.busy_until.is_some_and(|until| now.since < until) {
            return;
        }
        self.busy_until = None;
        let Some(epoch) = self.reign else {
            return;
        };
        while self.flights.len() < COORDINATOR_APPENDS_MAX
            && let Some(batch) = self.queue.pop_front()
        {
            let ticket = self.next_ticket;
            match ground.append(ticket, epoch, &batch.pairs) {
                Said::Gone => {
                    self.next_ticket += 1;
                    self.queued_bytes -= batch.bytes;
                    self.flights.push_back(Flight {
                        ticket,
                        upto: batch.upto,
                        is_durable: false,
                    });
                }
                Said::Busy => {
                    let pause = Duration::from_millis(COORDINATOR_BUSY_PAUSE_MS);
                    self.busy_until = Some(now.since + pause);
                    self.queue.push_front(batch);
                    return;
                }
                Said::Never(why) => return self.fail(now, &why, ground),
            }
        }
    }

    /// Answers the patterns that the machine has asked for, as a member of the
    /// group sees the topics. Kafka's own topics are for nobody's pattern.
    fn resolve(&mut self, now: Now, group: &Name, sees: &Sees) {
        let Stage::Serving(machine) = &mut self.stage else {
            return;
        };
        for pattern in self.owed.remove(group).into_iter().flatten() {
            // The door has looked at it; one that a later build wrote and this
            // one cannot read stays unanswered, and takes nothing from anybody.
            let Ok(parsed) = Pattern::parse(&pattern) else {
                continue;
            };
            let is_meant =
                |name: &&Name| !names::is_internal(name) && parsed.matches(name) && sees(name);
            let topics = self.catalog.topics.keys().filter(is_meant).cloned();
            machine.resolved(now, group, &pattern, topics.collect());
        }
    }

    fn fail(&mut self, now: Now, why: &str, ground: &mut impl Ground) {
        let partition = self.partition;
        let whose = format_args!("the groups of partition {partition} of {CONSUMER_OFFSETS}");
        let pause = failed(&mut self.failures, whose, why);
        self.let_go(ground);
        self.stage = Stage::Waiting {
            until: now.since + pause,
        };
    }

    /// Ends a life: whoever waits hears that there is no coordinator.
    fn let_go(&mut self, ground: &mut impl Ground) {
        self.life += 1;
        // Those that wait for an earlier one have had their answers.
        self.flights.retain(|flight| !flight.is_durable);
        self.queue.clear();
        self.queued_bytes = 0;
        self.busy_until = None;
        self.owed.clear();
        if let Stage::Serving(machine) = &mut self.stage {
            machine.lose();
            self.ages = machine.ages().clone();
            for effect in machine.take_effects() {
                if let Effect::Answer { token, answer } = effect {
                    ground.answer(token, answer);
                }
            }
        }
        self.stage = Stage::Away;
    }
}
