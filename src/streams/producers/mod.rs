//! What one partition knows of its producers: who numbers what it sends and how
//! far it came, which transactions are open, and how those before ended. Pure.
//!
//! The leader asks `admit` before a batch gets its place, and every replica
//! gives `take` each batch that stands in the log, in order: the leader when it
//! has given it its place, before the next is admitted; a follower as it
//! copies; anyone who starts, all that stand behind its snapshot. `take` never
//! refuses, and does not mind what it knows already. So the state is what the
//! log says, whoever made it, and a log that was cut is followed by building it
//! again: from a snapshot that is no newer than the cut, and the batches behind.
//!
//! A batch that is known already is answered with the offset that it has; not
//! before the partition's watermark has passed it, for the first try may still
//! be on its way to the disk.
//!
//! The rules are those of Kafka since 2.5 (KIP-360) and 4.0 (KIP-890):
//! UNKNOWN_PRODUCER_ID is answered to nobody. Who is not known, forgotten or
//! new, may begin with any number, but for a producer whose epoch is raised
//! with each transaction: it begins at 0. And but for one of whom a batch before
//! was just turned away (`awaited`): Kafka waits for that in transactions alone,
//! while the coordinator is asked about one.

mod awaited;
mod codec;
mod ends;
mod producer;
mod transactions;

pub use awaited::Awaited;
pub use codec::{Unsound, decode, encode};
pub use ends::{Ends, Moment};
pub use producer::{Producer, Sent};
pub use transactions::Aborted;

use crate::clock::Millis;
use crate::ids::{Offset, ProducerId};
use crate::limits::{
    ABORTED_PER_PARTITION_MAX, PRODUCER_IDLE_MS, PRODUCERS_FORGOTTEN_AT_ONCE,
    PRODUCERS_PER_PARTITION_MAX,
};
use crate::planted;
use crate::streams::batch::control::{Ending, Marker};
use crate::streams::batch::header::Claim;
use crate::streams::batch::stored::{Kind, Stored};
use std::collections::BTreeMap;
use std::fmt;
use transactions::Transactions;

/// A batch that a producer would like to have appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// With a sequence below 0 where the coordinator of a group writes for a
    /// producer: its batches have no numbers.
    pub claim: Claim,
    pub count: u32,
    pub is_transactional: bool,
    /// The producer's epoch is raised with each transaction.
    pub raises_epoch: bool,
}

/// The end of a transaction that its coordinator would like to have written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closing {
    pub id: ProducerId,
    pub epoch: i16,
    pub marker: Marker,
    /// The epoch was raised for this marker, so that what is still on its way
    /// in the transaction comes too late.
    pub raises_epoch: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// To be appended. Where it begins a transaction in this partition, the
    /// transaction's coordinator has to know of it first.
    New { begins: bool },
    /// It stands there already.
    Known { first: Offset, last: Offset },
}

/// Why a batch or a marker is not appended. What Kafka answers stands with
/// each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// INVALID_PRODUCER_EPOCH
    Fenced {
        id: ProducerId,
        epoch: i16,
        current: i16,
    },
    /// OUT_OF_ORDER_SEQUENCE_NUMBER
    OutOfOrder {
        id: ProducerId,
        expected: i32,
        found: i32,
    },
    /// INVALID_TXN_STATE
    NotTransactional { id: ProducerId, open: Offset },
    /// TRANSACTION_COORDINATOR_FENCED
    OldCoordinator { epoch: i32, current: i32 },
    /// Ours; to be tried again behind the one that is awaited.
    Awaited {
        id: ProducerId,
        awaited: i32,
        found: i32,
    },
    /// Ours; to be tried again when a transaction has ended.
    TooManyOpen { most: usize },
    /// Ours; to be tried again when the log has forgotten some.
    TooManyAborted { most: usize },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fenced { id, epoch, current } => {
                write!(
                    f,
                    "producer {id} has epoch {epoch}, and there was {current}"
                )
            }
            Self::OutOfOrder {
                id,
                expected,
                found,
            } => write!(
                f,
                "producer {id} goes on with number {found}, expected {expected}"
            ),
            Self::NotTransactional { id, open } => write!(
                f,
                "producer {id} has a transaction open since offset {open} and writes beside it"
            ),
            Self::OldCoordinator { epoch, current } => write!(
                f,
                "the transaction's coordinator has epoch {epoch}, and there was {current}"
            ),
            Self::Awaited { id, awaited, found } => write!(
                f,
                "producer {id} goes on with number {found}, and number {awaited} was turned away"
            ),
            Self::TooManyOpen { most } => {
                write!(f, "{most} producers have a transaction open here")
            }
            Self::TooManyAborted { most } => {
                write!(
                    f,
                    "{most} transactions that were aborted are still in the log"
                )
            }
        }
    }
}

impl std::error::Error for Refused {}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Producers {
    by_id: BTreeMap<ProducerId, Producer>,
    transactions: Transactions,
    /// The first offset that the log still has.
    start: Offset,
    /// The offset after the last batch that was taken.
    next: Offset,
}

impl Producers {
    /// For a partition that begins at this offset.
    pub fn new(start: Offset) -> Self {
        Self {
            start,
            next: start,
            ..Self::default()
        }
    }

    /// The offset after the last batch that is known here.
    pub fn next(&self) -> Offset {
        self.next
    }

    pub fn iter(&self) -> impl Iterator<Item = (ProducerId, &Producer)> {
        self.by_id.iter().map(|(&id, producer)| (id, producer))
    }

    /// Of whom it does not know, any batch may be the first, as far as `awaited` has
    /// it.
    pub fn knows(&self, id: ProducerId) -> bool {
        self.by_id.contains_key(&id)
    }

    /// Whether a batch may be appended. Nothing has changed.
    pub fn admit(&self, offer: &Offer) -> Result<Admitted, Refused> {
        let id = offer.claim.id;
        let Some(producer) = self.by_id.get(&id) else {
            return self.admit_unknown(offer);
        };
        if let Some((first, last)) = producer.known(&offer.claim, offer.count) {
            return Ok(Admitted::Known { first, last });
        }
        producer.check_epoch(id, offer.claim.epoch)?;
        producer.check_sequence(&offer.claim)?;
        match producer.open {
            Some(open) if !offer.is_transactional => Err(Refused::NotTransactional { id, open }),
            // What is open is of an earlier epoch, and its end is still on its
            // way: the coordinator says when the next transaction may begin.
            Some(_) if offer.claim.epoch == producer.epoch => Ok(Admitted::New { begins: false }),
            Some(_) | None => self.admit_beginning(offer),
        }
    }

    fn admit_unknown(&self, offer: &Offer) -> Result<Admitted, Refused> {
        let (id, found) = (offer.claim.id, offer.claim.sequence);
        if offer.raises_epoch && found > 0 {
            let expected = 0;
            return Err(Refused::OutOfOrder {
                id,
                expected,
                found,
            });
        }
        // All others can be forgotten.
        let most = PRODUCERS_PER_PARTITION_MAX;
        match self.transactions.open.len() < most {
            true => self.admit_beginning(offer),
            false => Err(Refused::TooManyOpen { most }),
        }
    }

    fn admit_beginning(&self, offer: &Offer) -> Result<Admitted, Refused> {
        let begins = offer.is_transactional;
        let most = ABORTED_PER_PARTITION_MAX;
        match begins && self.transactions.aborted_at_most() >= most {
            true => Err(Refused::TooManyAborted { most }),
            false => Ok(Admitted::New { begins }),
        }
    }

    /// Whether a marker may be appended. Nothing has changed.
    pub fn admit_marker(&self, closing: &Closing) -> Result<(), Refused> {
        let Some(producer) = self.by_id.get(&closing.id) else {
            return Ok(());
        };
        producer.check_epoch(closing.id, closing.epoch)?;
        // The same marker once more, after its answer was lost, ends nothing.
        if closing.raises_epoch && closing.epoch == producer.epoch && producer.open.is_some() {
            return Err(Refused::Fenced {
                id: closing.id,
                epoch: closing.epoch,
                current: producer.epoch,
            });
        }
        let (epoch, current) = (closing.marker.coordinator_epoch, producer.coordinator_epoch);
        match epoch < current && !planted!(OldCoordinatorTaken) {
            true => Err(Refused::OldCoordinator { epoch, current }),
            false => Ok(()),
        }
    }

    /// Notes a batch that stands in the log.
    pub fn take(&mut self, stored: &Stored, now: Millis) {
        // The log may begin within a batch, which is not known then.
        if stored.next <= self.next && !planted!(BatchTakenTwice) {
            return;
        }
        self.next = stored.next;
        let Some(claim) = stored.claim else {
            return;
        };
        match stored.kind {
            Kind::Data => self.take_data(stored, claim, now),
            Kind::Marker(marker) => self.take_marker(stored.first, claim, marker, now),
            Kind::Emptied => (),
        }
    }

    fn take_data(&mut self, stored: &Stored, claim: Claim, now: Millis) {
        self.make_room(claim.id);
        let producer = self.by_id.entry(claim.id).or_default();
        producer.meet(claim.epoch, now);
        producer.note(&claim, stored.first, stored.next);
        if stored.is_transactional && producer.open.is_none() {
            producer.open = Some(stored.first);
            self.transactions.open.insert(stored.first, claim.id);
        }
    }

    fn take_marker(&mut self, at: Offset, claim: Claim, marker: Marker, now: Millis) {
        if !self.make_room(claim.id) {
            return;
        }
        let producer = self.by_id.entry(claim.id).or_default();
        producer.meet(claim.epoch, now);
        producer.coordinator_epoch = marker.coordinator_epoch;
        if let Some(first) = producer.open.take() {
            let is_aborted = marker.ending == Ending::Abort;
            self.transactions.end(claim.id, first, at, is_aborted);
        }
    }

    /// Where there is none for one more, the idlest are forgotten. False where
    /// that brings none.
    fn make_room(&mut self, id: ProducerId) -> bool {
        if self.by_id.len() < PRODUCERS_PER_PARTITION_MAX || self.by_id.contains_key(&id) {
            return true;
        }
        let idle = self.by_id.iter().filter(|(_, one)| one.open.is_none());
        let mut idle: Vec<_> = idle.map(|(&id, one)| (one.seen, id)).collect();
        idle.sort_unstable();
        for (_, id) in idle.iter().take(PRODUCERS_FORGOTTEN_AT_ONCE) {
            self.by_id.remove(id);
        }
        !idle.is_empty()
    }

    /// Forgets producers that wrote nothing for a day and have nothing open.
    pub fn expire(&mut self, now: Millis) {
        self.by_id.retain(|_, producer| {
            producer.open.is_some() || now.0.saturating_sub(producer.seen.0) < PRODUCER_IDLE_MS
        });
    }

    /// How far who reads only what was committed may read: up to the first
    /// record of which it is not known at the watermark how it ends.
    pub fn last_stable(&self, watermark: Offset) -> Offset {
        let unstable = self.transactions.first_unstable(watermark);
        unstable.map_or(watermark, |first| first.max(self.start).min(watermark))
    }

    /// The watermark has come to this: what ended below it is settled. What is
    /// not takes 16 bytes for each marker in the log above the watermark, so it
    /// is told while a long log is taken, too.
    pub fn settle(&mut self, watermark: Offset) {
        self.transactions.settle(watermark);
    }

    /// The aborted transactions that have records or their end from `from` on
    /// and began before `until`, in the order in which they ended.
    pub fn aborted(&self, from: Offset, until: Offset) -> impl Iterator<Item = &Aborted> {
        self.transactions.aborted(from, until)
    }

    /// The log begins at this offset now. Producers are remembered as before:
    /// what they sent last may come again.
    pub fn forget_before(&mut self, start: Offset) {
        self.start = self.start.max(start);
        self.next = self.next.max(start);
        self.transactions.settle(start);
        self.transactions.forget_aborted(start);
    }

    /// Keeps of the transactions that were aborted those whose marker is there yet:
    /// where it is gone, so are all records, and a reader that was told of them would
    /// wait for their end in vain.
    pub fn keep_aborted(&mut self, is_there: impl FnMut(&Aborted) -> bool) {
        self.transactions.aborted.retain(is_there);
    }

    /// Compaction has left no record of transactions that were aborted before
    /// this offset.
    pub fn forget_aborted(&mut self, until: Offset) {
        self.transactions.forget_aborted(until);
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod twin;
