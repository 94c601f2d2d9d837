//! Consumer groups: the coordinator of those that hash to one partition of the
//! internal topic, as a pure machine.
//!
//! A node that gains the partition calls `gain`, then `replay` for each of its
//! records and `replay_end` for each transaction's marker, then `serve`; one that loses it calls `lose`, and everything is
//! forgotten. In between come requests, ticks and news of topics. What comes of
//! them is taken with `take_effects`: records to append, and answers. The
//! records of one `Append` are one batch of the topic, all of it or nothing;
//! when they are durable on the in-sync set, `durable` says so, and answers
//! that rest on them leave. If an append fails the partition is lost: the
//! machine is ahead of its records, and only reading them again mends that.

mod assign;
mod catalog;
mod classic;
mod codec;
mod consumer;
mod desk;
mod error;
mod group;
mod ledger;
mod offsets;
mod partitions;
mod place;
pub mod record;
pub mod request;
mod settings;
mod shelf;
mod turn;

pub use assign::Assignor;
pub use catalog::{Catalog, Topic};
pub use codec::Malformed;
pub use error::Error;
pub use partitions::{Partition, Partitions};
pub use place::partition_of;
pub use settings::Settings;
pub use turn::Now;

use crate::limits::{GROUP_BATCH_BYTES, GROUP_NAME_BYTES_MAX};
use crate::streams::ages::Ages;
use desk::Desk;
use ledger::Ledger;
use record::Record;
use request::{EndTransaction, Reply, Request, Token};
use shelf::Shelf;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use turn::{Answer, Turn};

/// What a client calls something: held in many places, written once.
pub type Name = Arc<str>;
/// Bytes that clients say to each other.
pub type Blob = Arc<[u8]>;

fn is_named(name: &Name) -> bool {
    name.len() <= GROUP_NAME_BYTES_MAX
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// One batch for the topic, in this order, each a key and a value; a key
    /// without a value is taken away. `upto` is what to tell `durable`.
    Append {
        records: Vec<(Vec<u8>, Option<Vec<u8>>)>,
        upto: u64,
    },
    Answer {
        token: Token,
        answer: Result<Reply, Error>,
    },
    /// Which topics have a name that the pattern matches as a whole, and may be
    /// seen by the group's members? To be answered by `resolved`, now and each
    /// time that it is asked.
    Resolve { group: Name, pattern: Name },
}

pub struct Coordinator {
    settings: Settings,
    catalog: Arc<Catalog>,
    phase: Phase,
    shelf: Shelf,
    desk: Desk,
    effects: Vec<Effect>,
    life: u64,
    /// Time in which nobody could be heard, for the process stood still.
    slept: Duration,
    sweep: Sweep,
    ages: Ages,
}

enum Phase {
    Elsewhere,
    Loading(Ledger),
    Serving,
}

/// Looking through the groups for offsets to forget, a few at a time.
#[derive(Clone, Debug, Default)]
struct Sweep {
    due: Duration,
    after: Option<Name>,
}

/// Whether the records of one event must survive together, each group's its
/// own. An offset and what takes away that it was pending always do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unity {
    Whole,
    Each,
}

impl Coordinator {
    /// From now on; what is running already keeps its time.
    pub fn go_by(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Of a partition that another node has, until `gain`.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            catalog: Arc::default(),
            phase: Phase::Elsewhere,
            shelf: Shelf::default(),
            desk: Desk::default(),
            effects: Vec::new(),
            life: 0,
            slept: Duration::ZERO,
            sweep: Sweep::default(),
            ages: Ages::default(),
        }
    }

    /// Reads the partition anew, when another machine of this node had read it:
    /// each gets a number of its own.
    pub fn in_life(self, life: u64) -> Self {
        Self { life, ..self }
    }

    /// It goes on with what another machine of this node knew of its clock.
    pub fn with_ages(self, ages: Ages) -> Self {
        Self { ages, ..self }
    }

    pub fn ages(&self) -> &Ages {
        &self.ages
    }

    pub fn is_serving(&self) -> bool {
        matches!(self.phase, Phase::Serving)
    }

    /// This node has the partition now, and reads it. The catalog is to be as
    /// new as this node knows it.
    pub fn gain(&mut self, catalog: Arc<Catalog>) {
        self.lose();
        self.catalog = catalog;
        self.phase = Phase::Loading(Ledger::default());
    }

    /// A record of the partition, from its beginning, in its order. After an
    /// error the partition is not to be served: a later release has written it,
    /// or it is damaged.
    pub fn replay(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), Malformed> {
        let record = Record::parse(key, value)?;
        if let Phase::Loading(ledger) = &mut self.phase {
            ledger.take(record);
        }
        Ok(())
    }

    /// The marker that ends a transaction, at its place among the records. The
    /// coordinator before this one may not have come to act on it.
    pub fn replay_end(&mut self, end: &EndTransaction) {
        if let Phase::Loading(ledger) = &mut self.phase {
            ledger.end(end);
        }
    }

    /// Every record has been read.
    pub fn serve(&mut self, now: Now) {
        let Phase::Loading(ledger) = &mut self.phase else {
            return;
        };
        let ledger = std::mem::take(ledger);
        self.phase = Phase::Serving;
        self.ages
            .begin(ledger.newest(now.wall), now.since, now.wall);
        let now = self.heard(now);
        self.sweep = Sweep {
            due: now.since + Duration::from_millis(self.settings.sweep_every_ms),
            after: None,
        };
        self.turn(now, Unity::Whole, |shelf, turn| {
            shelf.read_back(turn, ledger)
        });
    }

    /// Another node has the partition, or what was appended is lost.
    pub fn lose(&mut self) {
        let held = self.desk.clear().into_iter().map(|(token, _)| token);
        let waiting: Vec<Token> = held.chain(self.shelf.waiting()).collect();
        self.phase = Phase::Elsewhere;
        self.shelf = Shelf::of_life(self.life);
        // What is not taken yet was not promised to anybody, but for answers.
        self.effects
            .retain(|effect| matches!(effect, Effect::Answer { .. }));
        for token in waiting {
            self.say((token, Err(Error::NotCoordinator)));
        }
    }

    /// Whether requests are taken now.
    pub fn has_room(&self) -> bool {
        self.is_serving() && !self.desk.is_full()
    }

    pub fn request(&mut self, now: Now, token: Token, request: Request) {
        let refusal = match self.phase {
            Phase::Elsewhere => Some(Error::NotCoordinator),
            Phase::Loading(_) => Some(Error::Loading),
            Phase::Serving if self.desk.is_full() => Some(Error::Busy),
            Phase::Serving => match &request {
                // Nothing that is written has to be durable for this.
                Request::CommitInTransaction(commit) => self.shelf.check_verified(commit).err(),
                _ => None,
            },
        };
        if let Some(error) = refusal {
            self.say((token, Err(error)));
            return;
        }
        let unity = match &request {
            Request::Commit(_)
            | Request::CommitInTransaction(_)
            | Request::EndTransaction(_)
            | Request::DeleteOffsets { .. }
            | Request::Delete { .. } => Unity::Each,
            _ => Unity::Whole,
        };
        let now = self.heard(now);
        self.turn(now, unity, |shelf, turn| shelf.serve(turn, token, request));
    }

    /// So many records since `gain` are durable.
    pub fn durable(&mut self, records: u64) {
        self.desk.make_durable(records);
        self.let_out();
    }

    /// Time goes on: at `wake_at` at the latest, and after what has arrived is
    /// heard, for its senders are not silent.
    pub fn tick(&mut self, now: Now) {
        if !self.is_serving() {
            return;
        }
        let now = self.heard(now);
        self.turn(now, Unity::Whole, |shelf, turn| shelf.tick(turn));
        if self.sweep.due <= now.since {
            self.sweep_on(now);
        }
    }

    fn sweep_on(&mut self, now: Now) {
        let after = self.sweep.after.take();
        let mut last = None;
        self.turn(now, Unity::Each, |shelf, turn| {
            last = shelf.sweep(turn, after)
        });
        if last.is_none() {
            self.sweep.due = now.since + Duration::from_millis(self.settings.sweep_every_ms);
        }
        self.sweep.after = last;
    }

    /// When `tick` is wanted next.
    pub fn wake_at(&self) -> Option<Duration> {
        let sweep = self.is_serving().then_some(self.sweep.due);
        let next = self.shelf.next_alarm().into_iter().chain(sweep).min();
        next.map(|at| at.saturating_add(self.slept))
    }

    /// The process did not run for so long: what members said meanwhile is
    /// still on its way, and nobody's silence counts for that time.
    pub fn slept(&mut self, gap: Duration) {
        self.slept += gap;
    }

    pub fn topics(&mut self, now: Now, catalog: Arc<Catalog>) {
        let before = std::mem::replace(&mut self.catalog, catalog);
        if self.is_serving() {
            let now = self.heard(now);
            self.turn(now, Unity::Whole, |shelf, turn| {
                shelf.take_catalog(turn, &before)
            });
        }
    }

    pub fn resolved(&mut self, now: Now, group: &Name, pattern: &Name, topics: BTreeSet<Name>) {
        if self.is_serving() {
            let now = self.heard(now);
            self.turn(now, Unity::Whole, |shelf, turn| {
                shelf.resolved(turn, group, |consumer, turn| {
                    consumer.resolved(turn, group, pattern, topics);
                });
            });
        }
    }

    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    fn heard(&mut self, now: Now) -> Now {
        self.ages.look(now.since, now.wall);
        Now {
            since: now.since.saturating_sub(self.slept),
            ..now
        }
    }

    fn turn(&mut self, now: Now, unity: Unity, run: impl FnOnce(&mut Shelf, &mut Turn)) {
        let mut turn = Turn::new(now, &self.settings, &self.catalog, &self.ages);
        turn.is_full = self.shelf.is_full();
        run(&mut self.shelf, &mut turn);
        let Turn {
            records,
            answers,
            unresolved,
            ..
        } = turn;
        self.append(records, unity);
        for answer in answers {
            self.desk.hold(answer);
        }
        let asked = unresolved.into_iter();
        self.effects
            .extend(asked.map(|(group, pattern)| Effect::Resolve { group, pattern }));
        self.let_out();
    }

    /// Cuts what is written into batches of some size, but not what must
    /// survive together.
    fn append(&mut self, records: Vec<Record>, unity: Unity) {
        let is_one = |before: &Record, next: &Record| {
            unity == Unity::Whole && before.key.group == next.key.group || next.settles(before)
        };
        let mut batch = Vec::new();
        let mut bytes = 0;
        for whole in records.chunk_by(is_one) {
            for (key, value) in whole.iter().map(Record::encode) {
                bytes += key.len() + value.as_ref().map_or(0, Vec::len);
                batch.push((key, value));
            }
            if bytes >= GROUP_BATCH_BYTES {
                self.append_batch(std::mem::take(&mut batch));
                bytes = 0;
            }
        }
        self.append_batch(batch);
    }

    fn append_batch(&mut self, records: Vec<(Vec<u8>, Option<Vec<u8>>)>) {
        if !records.is_empty() {
            let upto = self.desk.write(records.len());
            self.effects.push(Effect::Append { records, upto });
        }
    }

    fn let_out(&mut self) {
        for answer in self.desk.release() {
            self.say(answer);
        }
    }

    fn say(&mut self, (token, answer): Answer) {
        self.effects.push(Effect::Answer { token, answer });
    }
}
