//! The seat of one coordinator: its machine while this node leads the
//! partition, and what is on its way into the partition. It decides and touches
//! nothing: what is to be done is taken with `take_deeds`, what came of that it
//! is told.
//!
//! One batch is on its way at a time; what comes up meanwhile is the next. Where
//! a batch is not acknowledged, the machine is ahead of its records: it is let
//! go, and the partition is read again.

use super::super::failed;
use super::super::pages::Pairs;
use super::ground::Unkept;
use crate::limits::{
    COORDINATOR_BUSY_PAUSE_MS, TRANSACTION_BATCH_BYTES, TRANSACTION_QUEUED_BYTES_MAX,
};
use crate::state::topics::names::TRANSACTION_STATE;
use crate::streams::partition::LeaderEpoch;
use crate::streams::transactions::request::{Reply, Request, Token};
use crate::streams::transactions::{
    Coordinator, Effect, Error, Marked, Markers, Now, Place, Settings, Term,
};
use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

/// What is to be done for a seat.
pub(super) enum Deed {
    /// Its answer arrives as `appended`.
    Append(Pairs),
    /// The machine comes back as `read`.
    Read(Box<Coordinator>),
    Answer(Token, Result<Reply, Error>),
    /// Each of its places arrives as `marked`.
    Tell(Markers),
    /// The ids arrive as `drawn`.
    Draw,
}

pub(super) struct Seat {
    settings: Settings,
    /// Led here since then.
    pub epoch: LeaderEpoch,
    term: Term,
    /// What was said in an earlier one is heard no more.
    pub life: u64,
    stage: Stage,
    queue: VecDeque<Batch>,
    queued_bytes: usize,
    /// What is on its way.
    flight: Option<Batch>,
    busy_until: Option<Duration>,
    /// Since a batch was last acknowledged.
    failures: u32,
    deeds: Vec<Deed>,
}

enum Stage {
    Waiting { until: Duration },
    Reading,
    Serving(Box<Coordinator>),
}

struct Batch {
    pairs: Pairs,
    bytes: usize,
    upto: u64,
}

impl Seat {
    pub(super) fn new(settings: Settings, epoch: LeaderEpoch, life: u64, now: Now) -> Self {
        let mut seat = Self {
            settings,
            epoch,
            term: Term::new(epoch),
            life,
            stage: Stage::Waiting { until: now.since },
            queue: VecDeque::new(),
            queued_bytes: 0,
            flight: None,
            busy_until: None,
            failures: 0,
            deeds: Vec::new(),
        };
        seat.go_on(now);
        seat
    }

    pub(super) fn take_deeds(&mut self) -> Vec<Deed> {
        std::mem::take(&mut self.deeds)
    }

    pub(super) fn request(&mut self, now: Now, token: Token, request: Request) {
        let refusal = match &mut self.stage {
            Stage::Waiting { .. } | Stage::Reading => Error::Loading,
            Stage::Serving(_) if self.queued_bytes >= TRANSACTION_QUEUED_BYTES_MAX => Error::Busy,
            Stage::Serving(machine) => {
                machine.request(now, token, request);
                return self.go_on(now);
            }
        };
        self.deeds.push(Deed::Answer(token, Err(refusal)));
    }

    pub(super) fn appended(&mut self, now: Now, outcome: Result<(), Unkept>) {
        let Some(flight) = self.flight.take() else {
            return;
        };
        match outcome {
            Ok(()) => {
                self.queued_bytes -= flight.bytes;
                self.failures = 0;
                if let Stage::Serving(machine) = &mut self.stage {
                    machine.durable(now, flight.upto);
                }
            }
            Err(Unkept::Busy) => {
                let pause = Duration::from_millis(COORDINATOR_BUSY_PAUSE_MS);
                self.busy_until = Some(now.since + pause);
                self.queue.push_front(flight);
            }
            Err(Unkept::Lost(why)) => self.fail(now, &why),
        }
        self.go_on(now);
    }

    pub(super) fn read(&mut self, now: Now, read: Result<Box<Coordinator>, String>) {
        if !matches!(self.stage, Stage::Reading) {
            return;
        }
        match read {
            Ok(mut machine) => {
                machine.serve(now);
                self.stage = Stage::Serving(machine);
            }
            Err(why) => self.fail(now, &why),
        }
        self.go_on(now);
    }

    pub(super) fn marked(&mut self, now: Now, told: &Markers, place: &Place, marked: Marked) {
        if let Stage::Serving(machine) = &mut self.stage {
            machine.marked(now, told, place, marked);
            self.go_on(now);
        }
    }

    pub(super) fn drawn(&mut self, now: Now, ids: Option<Range<u64>>) {
        if let Stage::Serving(machine) = &mut self.stage {
            machine.drawn(now, ids);
            self.go_on(now);
        }
    }

    /// Partitions have other leaders.
    pub(super) fn hasten(&mut self, now: Now) {
        if let Stage::Serving(machine) = &mut self.stage {
            machine.hasten(now);
            self.go_on(now);
        }
    }

    /// Time goes on: at `wake_at` at the latest.
    pub(super) fn tick(&mut self, now: Now) {
        if let Stage::Serving(machine) = &mut self.stage
            && machine.wake_at().is_some_and(|at| at <= now.since)
        {
            machine.tick(now);
        }
        self.go_on(now);
    }

    pub(super) fn wake_at(&self) -> Option<Duration> {
        match &self.stage {
            Stage::Waiting { until } => Some(*until),
            Stage::Reading => None,
            Stage::Serving(machine) => machine.wake_at().into_iter().chain(self.busy_until).min(),
        }
    }

    /// Whoever waits hears that there is no coordinator here.
    pub(super) fn let_go(&mut self) {
        self.life += 1;
        self.queue.clear();
        self.flight = None;
        self.queued_bytes = 0;
        self.busy_until = None;
        let before = std::mem::replace(&mut self.stage, Stage::Reading);
        if let Stage::Serving(mut machine) = before {
            self.term = machine.term().raised();
            machine.lose();
            self.follow(&mut machine);
        }
    }

    fn fail(&mut self, now: Now, why: &str) {
        let whose = format_args!("the transactions of a partition of {TRANSACTION_STATE}");
        let pause = failed(&mut self.failures, whose, why);
        self.let_go();
        let until = now.since + pause;
        self.stage = Stage::Waiting { until };
    }

    fn go_on(&mut self, now: Now) {
        match &mut self.stage {
            Stage::Waiting { until } if *until <= now.since => {
                let mut machine = Box::new(Coordinator::new(self.settings.clone()));
                machine.gain(self.term);
                self.stage = Stage::Reading;
                self.deeds.push(Deed::Read(machine));
            }
            Stage::Waiting { .. } | Stage::Reading => {}
            Stage::Serving(machine) => {
                let effects = machine.take_effects();
                effects.into_iter().for_each(|effect| self.note(effect));
                self.send(now);
            }
        }
    }

    fn follow(&mut self, machine: &mut Coordinator) {
        let effects = machine.take_effects();
        effects.into_iter().for_each(|effect| self.note(effect));
    }

    fn note(&mut self, effect: Effect) {
        match effect {
            Effect::Append { records, upto } => {
                let bytes = records.iter().map(bytes_of).sum();
                self.queued_bytes += bytes;
                self.queue.push_back(Batch {
                    pairs: records,
                    bytes,
                    upto,
                });
            }
            Effect::Answer { token, answer } => self.deeds.push(Deed::Answer(token, answer)),
            Effect::WriteMarkers(markers) => self.deeds.push(Deed::Tell(markers)),
            Effect::DrawProducerIds => self.deeds.push(Deed::Draw),
        }
    }

    /// All that waits goes as one batch, as far as it may.
    fn send(&mut self, now: Now) {
        if self.flight.is_some() || self.busy_until.is_some_and(|until| now.since < until) {
            return;
        }
        self.busy_until = None;
        let Some(mut batch) = self.queue.pop_front() else {
            return;
        };
        while let Some(next) = self.queue.front()
            && batch.bytes + next.bytes <= TRANSACTION_BATCH_BYTES
            && let Some(next) = self.queue.pop_front()
        {
            batch.pairs.extend(next.pairs);
            batch.bytes += next.bytes;
            batch.upto = next.upto;
        }
        self.deeds.push(Deed::Append(batch.pairs.clone()));
        self.flight = Some(batch);
    }
}

fn bytes_of((key, value): &(Vec<u8>, Option<Vec<u8>>)) -> usize {
    key.len() + value.as_ref().map_or(0, Vec::len)
}
