//! Transactions: the coordinator of those transactional ids that hash to one
//! partition of the internal topic, as a pure machine.
//!
//! A node that gains the partition calls `gain`, then `replay` for each of its
//! records, then `serve`; one that loses it calls `lose`, and everything is
//! forgotten. In between come requests, ticks, and what became of what
//! partitions were told. What comes of them is taken with `take_effects`:
//! records to append, answers, and ends of transactions for partitions to be
//! told. The records of one `Append` are one batch of the topic, all of it or
//! nothing; when they are durable on the in-sync set, `durable` says so, and
//! what rests on them leaves. If an append fails the partition is lost: the
//! machine is ahead of its records, and only reading them again mends that.
//!
//! A transaction is decided by the record that says so (`PrepareCommit`,
//! `PrepareAbort`). Once that is durable every partition is told, by this
//! coordinator or by the next, until each has answered; only then may the next
//! transaction of the same producer begin. `steps` has the rules, `marking` how
//! what is late or comes twice does no harm.

mod codec;
mod desk;
mod error;
mod ids;
mod marking;
mod place;
pub mod record;
pub mod request;
mod settings;
mod shelf;
mod steps;

#[cfg(test)]
mod history;
#[cfg(test)]
mod tests;

pub use codec::{Malformed, encode, encode_key, parse, parse_key};
pub use error::Error;
pub use marking::{Marked, Term};
pub use place::{Identity, Place};
pub use settings::Settings;

use crate::clock::Millis;
use crate::limits::{
    CLOCK_UNSET_BEFORE_MS, TRANSACTIONAL_ID_BYTES_MAX, TRANSACTIONAL_IDS_SWEPT_AT_ONCE,
    TRANSACTIONS_PARKED_MAX,
};
use crate::planted;
use crate::streams::ages::Ages;
use desk::{Desk, Held};
use ids::Ids;
use marking::Marking;
use record::{Stage, Transaction};
use request::{Described, Listed, Reply, Request, Token};
use shelf::Shelf;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use steps::{Begun, Ended};

/// What a client calls something: held in many places, written once.
pub type Name = Arc<str>;

/// The time, by the clock that never goes back, for deadlines, and by the one
/// on the wall, for what must be told after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    pub since: Duration,
    pub wall: Millis,
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
    WriteMarkers(Markers),
    /// To be answered by `drawn`.
    DrawProducerIds,
}

/// The end of a transaction for each of these partitions to be told, each of
/// which is to be answered by `marked`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Markers {
    pub id: Name,
    /// Of the end, and of this try to tell it.
    pub order: u64,
    pub attempt: u64,
    pub places: Vec<Place>,
    pub producer: Identity,
    pub coordinator_epoch: i32,
    /// No record of the transaction has this epoch.
    pub raises_epoch: bool,
    pub is_committed: bool,
}

pub struct Coordinator {
    settings: Settings,
    phase: Phase,
    term: Term,
    shelf: Shelf,
    desk: Desk,
    ids: Ids,
    /// Who waits for producer ids.
    parked: VecDeque<(Token, Request)>,
    /// Transactions whose time is over and that wait for them too.
    starved: BTreeSet<Name>,
    is_drawing: bool,
    effects: Vec<Effect>,
    /// Counted on whoever has the partition in between, so that an answer to
    /// what was told before is known as such.
    order: u64,
    attempt: u64,
    sweep: Sweep,
    ages: Ages,
}

enum Phase {
    Elsewhere,
    Loading(BTreeMap<Name, Transaction>),
    Serving,
}

/// Looking through the ids for those to forget, a few at a time.
#[derive(Clone, Debug, Default)]
struct Sweep {
    due: Duration,
    after: Option<Name>,
}

impl Coordinator {
    /// Of a partition that another node has, until `gain`.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            phase: Phase::Elsewhere,
            term: Term::default(),
            shelf: Shelf::default(),
            desk: Desk::default(),
            ids: Ids::default(),
            parked: VecDeque::new(),
            starved: BTreeSet::new(),
            is_drawing: false,
            effects: Vec::new(),
            order: 0,
            attempt: 0,
            sweep: Sweep::default(),
            ages: Ages::default(),
        }
    }

    pub fn term(&self) -> Term {
        self.term
    }

    pub fn is_serving(&self) -> bool {
        matches!(self.phase, Phase::Serving)
    }

    /// This node leads the partition now, and reads it. Where it has led it in
    /// this leader epoch before, the term is `raised` from the last, for what was
    /// told then may still be on its way.
    pub fn gain(&mut self, term: Term) {
        self.lose();
        self.term = term;
        self.phase = Phase::Loading(BTreeMap::new());
    }

    /// A record of the partition, from its beginning, in its order. After an
    /// error the partition is not to be served: a later release has written it,
    /// or it is damaged.
    pub fn replay(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), Malformed> {
        let id = parse_key(key)?;
        let transaction = value.map(parse).transpose()?;
        if let Phase::Loading(ledger) = &mut self.phase {
            match transaction {
                Some(transaction) => ledger.insert(id, transaction),
                None => ledger.remove(&id),
            };
        }
        Ok(())
    }

    /// Every record has been read.
    pub fn serve(&mut self, now: Now) {
        let Phase::Loading(ledger) = &mut self.phase else {
            return;
        };
        let ledger = std::mem::take(ledger);
        self.phase = Phase::Serving;
        self.sweep = Sweep {
            due: now.since + Duration::from_millis(self.settings.sweep_every_ms),
            after: None,
        };
        let newest = ledger.values().map(|transaction| transaction.updated);
        let newest = newest.filter(|&at| at <= now.wall).max();
        self.ages.begin(newest, now.since, now.wall);
        for (id, transaction) in ledger {
            self.take_up(now, id, transaction);
        }
        self.let_out(now);
    }

    /// Goes on where the last coordinator stopped.
    fn take_up(&mut self, now: Now, id: Name, transaction: Transaction) {
        let stage = transaction.stage;
        let left = left_ms(&transaction, now.wall);
        self.shelf.put(id.clone(), transaction);
        match stage {
            Stage::Ongoing => {
                let at = now.since + Duration::from_millis(left);
                self.shelf.set_alarm(&id, Some(at));
            }
            Stage::PrepareCommit | Stage::PrepareAbort if !planted!(EndingNotTakenUp) => {
                self.hold_end(&id);
            }
            _ => {}
        }
    }

    /// Another node has the partition, or what was appended is lost.
    pub fn lose(&mut self) {
        let parked = std::mem::take(&mut self.parked).into_iter();
        let held = self.desk.clear().into_iter();
        let waiting: Vec<Token> = held.chain(parked.map(|(token, _)| token)).collect();
        self.phase = Phase::Elsewhere;
        self.shelf = Shelf::default();
        self.starved.clear();
        self.is_drawing = false;
        // What is not taken yet was not promised to anybody, but for answers.
        self.effects
            .retain(|effect| matches!(effect, Effect::Answer { .. }));
        for token in waiting {
            self.say(token, Err(Error::NotCoordinator));
        }
    }

    pub fn request(&mut self, now: Now, token: Token, request: Request) {
        let refusal = match self.phase {
            Phase::Elsewhere => Some(Error::NotCoordinator),
            Phase::Loading(_) => Some(Error::Loading),
            Phase::Serving if self.desk.is_full() => Some(Error::Busy),
            Phase::Serving => None,
        };
        match refusal {
            Some(error) => self.say(token, Err(error)),
            None => self.admit(now, token, request),
        }
        self.let_out(now);
    }

    fn admit(&mut self, now: Now, token: Token, request: Request) {
        self.ages.look(now.since, now.wall);
        let answer = self.answer(now, &request);
        if answer == Err(Error::NoProducerIds) && self.parked.len() < TRANSACTIONS_PARKED_MAX {
            self.parked.push_back((token, request));
            return self.draw();
        }
        self.desk.hold(Held::Answer(token, answer));
    }

    fn draw(&mut self) {
        if !self.is_drawing {
            self.is_drawing = true;
            self.effects.push(Effect::DrawProducerIds);
        }
    }

    /// Ids that are this coordinator's alone; None where there are none to be
    /// had.
    pub fn drawn(&mut self, now: Now, ids: Option<Range<u64>>) {
        if !self.is_serving() {
            return;
        }
        self.is_drawing = false;
        let has_some = ids.as_ref().is_some_and(|ids| !ids.is_empty());
        if let Some(ids) = ids {
            self.ids.fill(ids);
        }
        for id in std::mem::take(&mut self.starved) {
            if has_some {
                self.alarm(now, &id);
            }
        }
        for (token, request) in std::mem::take(&mut self.parked) {
            match has_some {
                true => self.admit(now, token, request),
                false => {
                    let answer = Err(Error::NoProducerIds);
                    self.desk.hold(Held::Answer(token, answer));
                }
            }
        }
        self.let_out(now);
    }

    /// So many records since `gain` are durable.
    pub fn durable(&mut self, now: Now, records: u64) {
        self.desk.make_durable(records);
        self.let_out(now);
    }

    /// What came of telling a partition.
    pub fn marked(&mut self, now: Now, told: &Markers, place: &Place, marked: Marked) {
        let again = now.since + Duration::from_millis(self.settings.retry_ms);
        let Some(entry) = self.shelf.get_mut(&told.id) else {
            return;
        };
        let Some(marking) = &mut entry.marking else {
            return;
        };
        if marking.order != told.order {
            return;
        }
        let raise = (!told.raises_epoch).then_some(&mut self.term);
        marking.hear(place, told.attempt, marked, again, raise);
        self.go_on(now, &told.id);
        self.let_out(now);
    }

    /// Time goes on: at `wake_at` at the latest.
    pub fn tick(&mut self, now: Now) {
        if !self.is_serving() {
            return;
        }
        self.ages.look(now.since, now.wall);
        for id in self.shelf.due(now.since) {
            self.alarm(now, &id);
        }
        if self.sweep.due <= now.since {
            self.sweep_on(now);
        }
        self.let_out(now);
    }

    /// When `tick` is wanted next.
    pub fn wake_at(&self) -> Option<Duration> {
        let sweep = self.is_serving().then_some(self.sweep.due);
        self.shelf.next_alarm().into_iter().chain(sweep).min()
    }

    /// Partitions have other leaders: whoever did not take the end of a
    /// transaction may now.
    pub fn hasten(&mut self, now: Now) {
        for id in self.shelf.ending() {
            if let Some(entry) = self.shelf.get_mut(&id)
                && let Some(marking) = &mut entry.marking
                && marking.next_due().is_some()
            {
                marking.hasten(now.since);
                self.go_on(now, &id);
            }
        }
        self.let_out(now);
    }

    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    fn answer(&mut self, now: Now, request: &Request) -> Result<Reply, Error> {
        match request {
            Request::Init {
                id,
                was,
                timeout_ms,
            } => self.init(now, id, *was, *timeout_ms).map(Reply::Begun),
            Request::Add {
                id,
                who,
                places,
                is_raised,
            } => self
                .add(now, id, *who, places, *is_raised)
                .map(|()| Reply::Added),
            Request::Verify { id, who, places } => {
                let verified = self.known(id)?.verify(*who, places)?;
                Ok(Reply::Verified(verified))
            }
            Request::End {
                id,
                who,
                is_committed,
                is_raised,
            } => self
                .end(now, id, *who, *is_committed, *is_raised)
                .map(Reply::Ended),
            Request::Describe { id } => self.known(id).map(described).map(Reply::Described),
            Request::List => Ok(Reply::Listed(self.shelf.iter().map(listed).collect())),
        }
    }

    fn known(&self, id: &Name) -> Result<&Transaction, Error> {
        let entry = self.shelf.get(id).ok_or(Error::UnknownId)?;
        Ok(&entry.transaction)
    }

    fn init(
        &mut self,
        now: Now,
        id: &Name,
        was: Option<Identity>,
        timeout_ms: i32,
    ) -> Result<Identity, Error> {
        let timeout = self.check_init(id, timeout_ms)?;
        let Some(entry) = self.shelf.get_mut(id) else {
            if self.shelf.is_full() {
                return Err(Error::Full);
            }
            let transaction = Transaction::first(timeout, now.wall, &mut self.ids)?;
            let holder = transaction.holder;
            self.shelf.put(id.clone(), transaction);
            self.write(id);
            return Ok(holder);
        };
        let begun = entry
            .transaction
            .init(was, timeout, now.wall, &mut self.ids)?;
        self.write(id);
        match begun {
            Begun::As(holder) => Ok(holder),
            Begun::Aborting => {
                self.hold_end(id);
                Err(Error::Concurrent)
            }
        }
    }

    fn check_init(&self, id: &Name, given: i32) -> Result<u32, Error> {
        if id.is_empty() || id.len() > TRANSACTIONAL_ID_BYTES_MAX {
            return Err(Error::InvalidRequest(
                "the transactional id is empty or too long",
            ));
        }
        let most = self.settings.timeout_ms_max;
        let timeout = u32::try_from(given).ok();
        let timeout = timeout.filter(|timeout| (1..=most).contains(timeout));
        timeout.ok_or(Error::InvalidTimeout { given, most })
    }

    fn add(
        &mut self,
        now: Now,
        id: &Name,
        who: Identity,
        places: &BTreeSet<Place>,
        is_raised: bool,
    ) -> Result<(), Error> {
        let before = self.known(id)?;
        let is_open = before.stage == Stage::Ongoing;
        let (timeout, more) = (before.timeout_ms, places.difference(&before.places).count());
        if !self.shelf.has_room(more) {
            return Err(Error::Full);
        }
        let changed = self
            .shelf
            .change(id, |one| one.add(who, places, is_raised, now.wall));
        if changed.unwrap_or(Err(Error::UnknownId))? {
            self.write(id);
        }
        if !is_open {
            let at = now.since + Duration::from_millis(timeout.into());
            self.shelf.set_alarm(id, Some(at));
        }
        Ok(())
    }

    fn end(
        &mut self,
        now: Now,
        id: &Name,
        who: Identity,
        is_committed: bool,
        is_raised: bool,
    ) -> Result<Identity, Error> {
        let entry = self.shelf.get_mut(id).ok_or(Error::UnknownId)?;
        let transaction = &mut entry.transaction;
        let Ended { holder, is_known } =
            transaction.end(who, is_committed, is_raised, now.wall, &mut self.ids)?;
        if !is_known {
            if !planted!(EndNotWritten) {
                self.write(id);
            }
            self.hold_end(id);
        }
        Ok(holder)
    }

    /// The transaction is decided, and its partitions are told once that is
    /// durable.
    fn hold_end(&mut self, id: &Name) {
        self.order += 1;
        let order = self.order;
        if let Some(entry) = self.shelf.get_mut(id) {
            entry.marking = Some(Marking::new(order, &entry.transaction.places));
        }
        self.shelf.set_alarm(id, None);
        let id = id.clone();
        self.desk.hold(Held::End { id, order });
    }

    fn alarm(&mut self, now: Now, id: &Name) {
        let stage = self.shelf.get(id).map(|entry| entry.transaction.stage);
        match stage {
            Some(Stage::Ongoing) => self.time_out(now, id),
            Some(Stage::PrepareCommit | Stage::PrepareAbort) => self.go_on(now, id),
            _ => self.shelf.set_alarm(id, None),
        }
    }

    fn time_out(&mut self, now: Now, id: &Name) {
        let again = now.since + Duration::from_millis(self.settings.retry_ms);
        let Some(entry) = self.shelf.get_mut(id) else {
            return;
        };
        match entry.transaction.time_out(now.wall, &mut self.ids) {
            Ok(()) if planted!(TimeoutNotTold) => self.shelf.set_alarm(id, None),
            Ok(()) => {
                self.write(id);
                self.hold_end(id);
            }
            Err(_) => {
                self.starved.insert(id.clone());
                self.draw();
                self.shelf.set_alarm(id, Some(again));
            }
        }
    }

    /// Tells partitions what they are to be told now; completes the transaction
    /// when all have been.
    fn go_on(&mut self, now: Now, id: &Name) {
        let attempt = self.attempt + 1;
        let term = self.term;
        let Some(entry) = self.shelf.get_mut(id) else {
            return;
        };
        let Some(marking) = &mut entry.marking else {
            return;
        };
        if marking.is_over() {
            return self.complete(now, id);
        }
        let places = marking.due(now.since, attempt, term);
        let (order, due) = (marking.order, marking.next_due());
        let transaction = &entry.transaction;
        if !places.is_empty() {
            self.attempt = attempt;
            self.effects.push(Effect::WriteMarkers(Markers {
                id: id.clone(),
                order,
                attempt,
                places,
                producer: transaction.holder,
                coordinator_epoch: term.epoch(),
                raises_epoch: transaction.is_raised,
                is_committed: transaction.stage.is_committed(),
            }));
        }
        self.shelf.set_alarm(id, due);
    }

    fn complete(&mut self, now: Now, id: &Name) {
        self.shelf.change(id, |one| one.complete(now.wall));
        if let Some(entry) = self.shelf.get_mut(id) {
            entry.marking = None;
        }
        self.shelf.set_alarm(id, None);
        self.write(id);
    }

    fn sweep_on(&mut self, now: Now) {
        let after = self.sweep.after.take();
        let few = self
            .shelf
            .after(after.as_ref(), TRANSACTIONAL_IDS_SWEPT_AT_ONCE);
        let is_last = few.len() < TRANSACTIONAL_IDS_SWEPT_AT_ONCE;
        let last = few.last().filter(|_| !is_last).cloned();
        for id in few {
            self.expire(now, &id);
        }
        if last.is_none() {
            self.sweep.due = now.since + Duration::from_millis(self.settings.sweep_every_ms);
        }
        self.sweep.after = last;
    }

    fn expire(&mut self, now: Now, id: &Name) {
        let Some(entry) = self.shelf.get_mut(id) else {
            return;
        };
        let transaction = &mut entry.transaction;
        if now.wall.0 < CLOCK_UNSET_BEFORE_MS {
            return;
        }
        if transaction.updated.0 < CLOCK_UNSET_BEFORE_MS {
            // Nobody knows how old it is: it counts from now on.
            transaction.updated = now.wall;
        }
        let begun = self.ages.begun(transaction.updated);
        let idle = now.wall.0.saturating_sub(begun.0);
        let is_idle = transaction.stage == Stage::Empty || transaction.stage.is_ended();
        if is_idle && idle >= self.settings.expiration_ms {
            self.shelf.remove(id);
            self.append(encode_key(id), None);
        }
    }

    fn write(&mut self, id: &Name) {
        if let Some(entry) = self.shelf.get(id) {
            let value = encode(&entry.transaction);
            self.append(encode_key(id), Some(value));
        }
    }

    fn append(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        let upto = self.desk.write(1);
        let records = vec![(key, value)];
        self.effects.push(Effect::Append { records, upto });
    }

    fn let_out(&mut self, now: Now) {
        while let Some(held) = self.desk.release() {
            match held {
                Held::Answer(token, answer) => self.say(token, answer),
                Held::End { id, order } => self.begin(now, &id, order),
            }
        }
    }

    fn begin(&mut self, now: Now, id: &Name, order: u64) {
        let entry = self.shelf.get_mut(id);
        let marking = entry.and_then(|entry| entry.marking.as_mut());
        if let Some(marking) = marking.filter(|marking| marking.order == order) {
            marking.begin();
            self.go_on(now, id);
        }
    }

    fn say(&mut self, token: Token, answer: Result<Reply, Error>) {
        self.effects.push(Effect::Answer { token, answer });
    }
}

/// How long it may stay open yet. The time of a clock that was not set when it
/// began, or has been set back since, says nothing: it has all of it again.
fn left_ms(transaction: &Transaction, now: Millis) -> u64 {
    let timeout = u64::from(transaction.timeout_ms);
    let started = transaction.started.map_or(0, |started| started.0);
    let is_known = started >= CLOCK_UNSET_BEFORE_MS && started <= now.0;
    match is_known {
        true => timeout.saturating_sub(now.0 - started),
        false => timeout,
    }
}

fn described(transaction: &Transaction) -> Described {
    Described {
        stage: transaction.stage,
        holder: transaction.holder,
        timeout_ms: transaction.timeout_ms,
        started: transaction.started,
        places: transaction.places.clone(),
    }
}

fn listed((id, entry): (&Name, &shelf::Entry)) -> Listed {
    let transaction = &entry.transaction;
    Listed {
        id: id.clone(),
        holder: transaction.holder,
        stage: transaction.stage,
        started: transaction.started,
    }
}
