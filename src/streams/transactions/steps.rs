//! How a transactional id comes from one stage to the next: the rules of
//! KIP-98, and of KIP-360, by which a producer may go on under a new epoch, and
//! KIP-890, by which each transaction has an epoch of its own where the client
//! can follow.
//!
//! ```text
//!            add              end                   all told
//! Empty ----------> Ongoing ------> PrepareCommit ----------> CompleteCommit
//!   ^                  |  end, fence,                               |
//!   |                  |  time_out                                  | add: Ongoing
//!   |                  +----------> PrepareAbort ---> CompleteAbort | init: Empty
//!   +----- init ----------------------------------------------------+
//! ```
//!
//! A step that is refused has changed nothing.

use super::ids::Ids;
use super::record::{Stage, Transaction};
use super::{Error, Identity, Place};
use crate::clock::Millis;
use crate::limits::TRANSACTION_PLACES_MAX;
use crate::planted;
use std::collections::BTreeSet;

/// What became of a producer's wish to have the transactional id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begun {
    As(Identity),
    /// What is open is being aborted, under an epoch that nobody else gets. To
    /// be asked again.
    Aborting,
}

/// What became of the wish to end a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    /// As whom the producer goes on.
    pub holder: Identity,
    /// It was asked before, and nothing has changed.
    pub is_known: bool,
}

/// The last epoch that a producer is given: one more is left to fence it with.
const EPOCH_MAX: i16 = i16::MAX - 1;

impl Transaction {
    /// Of an id that nobody has had.
    pub(super) fn first(timeout_ms: u32, now: Millis, ids: &mut Ids) -> Result<Self, Error> {
        let holder = Identity {
            id: ids.take()?,
            epoch: 0,
        };
        Ok(Self {
            holder,
            before: None,
            next: None,
            timeout_ms,
            stage: Stage::Empty,
            places: BTreeSet::new(),
            started: None,
            updated: now,
            is_client_raised: false,
            is_raised: false,
        })
    }

    /// A producer wants the id: a new one, which fences whoever had it, or the
    /// one that it says it was, which then goes on under a new epoch.
    pub(super) fn init(
        &mut self,
        was: Option<Identity>,
        timeout_ms: u32,
        now: Millis,
        ids: &mut Ids,
    ) -> Result<Begun, Error> {
        let is_again = was.is_some() && was == self.before;
        if let Some(was) = was
            && was != self.holder
            && !is_again
        {
            return Err(self.fenced(was));
        }
        if self.stage.is_ending() {
            return Err(Error::Concurrent);
        }
        if self.stage == Stage::Ongoing {
            self.fence(was, now, ids)?;
            return Ok(Begun::Aborting);
        }
        if !is_again {
            self.follow(was, ids)?;
        }
        self.timeout_ms = timeout_ms;
        self.stage = Stage::Empty;
        self.updated = now;
        Ok(Begun::As(self.holder))
    }

    fn follow(&mut self, was: Option<Identity>, ids: &mut Ids) -> Result<(), Error> {
        let Identity { id, epoch } = self.holder;
        self.holder = match epoch < EPOCH_MAX {
            true if planted!(EpochNotRaisedForNext) => Identity { id, epoch },
            true => Identity {
                id,
                epoch: epoch + 1,
            },
            false => Identity {
                id: ids.take()?,
                epoch: 0,
            },
        };
        self.before = was;
        Ok(())
    }

    /// The open transaction is aborted under a new epoch, which its producer
    /// does not know.
    fn fence(&mut self, was: Option<Identity>, now: Millis, ids: &mut Ids) -> Result<(), Error> {
        self.raise(ids)?;
        self.before = was;
        self.turn(Stage::PrepareAbort, now);
        Ok(())
    }

    /// Its time is over. The producer is fenced, and may go on as another.
    pub(super) fn time_out(&mut self, now: Millis, ids: &mut Ids) -> Result<(), Error> {
        self.fence(Some(self.holder), now, ids)
    }

    fn raise(&mut self, ids: &mut Ids) -> Result<(), Error> {
        let epoch = self.holder.epoch + 1;
        if epoch == i16::MAX {
            self.next = Some(ids.take()?);
        }
        self.holder.epoch = epoch;
        self.is_raised = true;
        Ok(())
    }

    /// Adds partitions, and begins a transaction where none is open. Whether
    /// that changes anything.
    pub(super) fn add(
        &mut self,
        who: Identity,
        places: &BTreeSet<Place>,
        is_raised: bool,
        now: Millis,
    ) -> Result<bool, Error> {
        self.check_holder(who)?;
        if self.stage.is_ending() {
            return Err(Error::Concurrent);
        }
        if self.stage == Stage::Ongoing && places.is_subset(&self.places) {
            return Ok(false);
        }
        let more = places.difference(&self.places).count();
        if self.places.len() + more > TRANSACTION_PLACES_MAX {
            return Err(Error::Full);
        }
        if self.stage != Stage::Ongoing {
            self.stage = Stage::Ongoing;
            self.started = Some(now);
            self.before = None;
            self.is_raised = false;
        }
        self.is_client_raised = is_raised;
        self.places.extend(places.iter().cloned());
        self.updated = now;
        Ok(true)
    }

    /// For each of the partitions, whether it is part of the open transaction.
    pub(super) fn verify(
        &self,
        who: Identity,
        places: &BTreeSet<Place>,
    ) -> Result<Vec<Result<(), Error>>, Error> {
        self.check_holder(who)?;
        if self.stage.is_ending() {
            return Err(Error::Concurrent);
        }
        let is_part = |place| match self.places.contains(place) || planted!(UnknownPlaceVerified) {
            true => Ok(()),
            false => Err(Error::Abortable),
        };
        Ok(places.iter().map(is_part).collect())
    }

    /// The producer ends what is open. `raises`: it knows that it goes on under
    /// a new epoch, and is told which.
    pub(super) fn end(
        &mut self,
        who: Identity,
        is_committed: bool,
        raises: bool,
        now: Millis,
        ids: &mut Ids,
    ) -> Result<Ended, Error> {
        if raises && Some(who) == self.before && self.stage != Stage::Empty {
            return self.ended_before(is_committed);
        }
        self.check_holder(who)?;
        let stage = self.stage;
        let is_alike = stage.is_committed() == is_committed;
        let known = Ended {
            holder: self.holder,
            is_known: true,
        };
        match stage {
            Stage::Ongoing => {}
            // Of a transaction in which nothing was written the coordinator
            // need not have heard: what is on its way in it must come too late.
            Stage::Empty | Stage::CompleteCommit | Stage::CompleteAbort
                if raises && !is_committed => {}
            Stage::CompleteCommit | Stage::CompleteAbort if !raises && is_alike => {
                return Ok(known);
            }
            Stage::PrepareCommit | Stage::PrepareAbort if raises || is_alike => {
                return Err(Error::Concurrent);
            }
            _ => return Err(Error::InvalidState { stage }),
        }
        if raises && !planted!(EpochNotRaisedAtEnd) {
            self.raise(ids)?;
            self.before = Some(who);
        }
        self.is_client_raised = raises;
        let ending = match is_committed {
            true => Stage::PrepareCommit,
            false => Stage::PrepareAbort,
        };
        self.turn(ending, now);
        Ok(Ended {
            holder: self.after(),
            is_known: false,
        })
    }

    fn ended_before(&self, is_committed: bool) -> Result<Ended, Error> {
        match (self.stage.is_committed(), is_committed) {
            (true, true) | (false, false) => Ok(Ended {
                holder: self.after(),
                is_known: true,
            }),
            // Its time was over: the producer need not give up for that.
            (false, true) => Err(Error::Abortable),
            (true, false) => Err(Error::InvalidState { stage: self.stage }),
        }
    }

    fn turn(&mut self, ending: Stage, now: Millis) {
        self.stage = ending;
        self.started = self.started.or(Some(now));
        self.updated = now;
    }

    /// Every partition has been told.
    pub(super) fn complete(&mut self, now: Millis) {
        self.holder = self.after();
        self.next = None;
        self.stage = match self.stage.is_committed() {
            true => Stage::CompleteCommit,
            false => Stage::CompleteAbort,
        };
        self.places.clear();
        self.started = None;
        self.is_raised = false;
        self.updated = now;
    }

    /// Who writes next.
    fn after(&self) -> Identity {
        match self.next {
            Some(id) => Identity { id, epoch: 0 },
            None => self.holder,
        }
    }

    fn check_holder(&self, who: Identity) -> Result<(), Error> {
        match who {
            _ if who == self.holder => Ok(()),
            // It has heard who it is next before everything is ended.
            _ if self.next.is_some() && who == self.after() => Err(Error::Concurrent),
            _ if who.id != self.holder.id => Err(Error::OtherProducer),
            _ => Err(self.fenced(who)),
        }
    }

    fn fenced(&self, who: Identity) -> Error {
        Error::Fenced {
            given: who.epoch,
            current: self.holder.epoch,
        }
    }
}
