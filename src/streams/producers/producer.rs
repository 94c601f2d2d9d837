//! One producer in one partition: its epoch and the last batches it sent.

use super::Refused;
use crate::clock::Millis;
use crate::ids::{Offset, ProducerId};
use crate::limits::PRODUCER_BATCHES_KEPT;
use crate::planted;
use crate::streams::batch::header::Claim;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Producer {
    pub epoch: i16,
    /// Of who ended its last transaction here; -1 for nobody.
    pub coordinator_epoch: i32,
    pub seen: Millis,
    /// The first record of the transaction that is open.
    pub open: Option<Offset>,
    /// Batches of this epoch, the oldest first.
    /// Invariant: at most PRODUCER_BATCHES_KEPT.
    pub recent: Vec<Sent>,
}

/// A batch that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Of the first record.
    pub sequence: i32,
    pub first: Offset,
    /// Records behind the first.
    pub delta: i32,
}

impl Default for Producer {
    fn default() -> Self {
        Self {
            epoch: -1,
            coordinator_epoch: -1,
            seen: Millis(0),
            open: None,
            recent: Vec::new(),
        }
    }
}

impl Producer {
    /// The number that its next batch begins with.
    pub fn expected(&self) -> i32 {
        match self.recent.last() {
            Some(last) => following(last.sequence, last.delta),
            None => 0,
        }
    }

    /// The number of its last record; None where none is known.
    pub fn last_sequence(&self) -> Option<i32> {
        let last = self.recent.last()?;
        Some(following(last.sequence, last.delta - 1))
    }

    /// Where a batch of exactly these numbers stands, if it is one of the last.
    pub(super) fn known(&self, claim: &Claim, count: u32) -> Option<(Offset, Offset)> {
        if claim.epoch != self.epoch || planted!(KnownBatchTaken) {
            return None;
        }
        let is_same = |sent: &&Sent| {
            sent.sequence == claim.sequence && i64::from(sent.delta) + 1 == i64::from(count)
        };
        let sent = self.recent.iter().find(is_same)?;
        Some((sent.first, Offset(sent.first.0 + sent.delta as u64)))
    }

    pub(super) fn check_epoch(&self, id: ProducerId, epoch: i16) -> Result<(), Refused> {
        let current = self.epoch;
        match epoch < current && !planted!(FencedProducerTaken) {
            true => Err(Refused::Fenced { id, epoch, current }),
            false => Ok(()),
        }
    }

    pub(super) fn check_sequence(&self, claim: &Claim) -> Result<(), Refused> {
        let (id, found) = (claim.id, claim.sequence);
        let is_new_epoch = claim.epoch != self.epoch;
        let expected = match is_new_epoch {
            true if planted!(EpochBegunAnywhere) => found,
            true => 0,
            false => self.expected(),
        };
        match found < 0 || found == expected || planted!(SequenceGapTaken) {
            true => Ok(()),
            false => Err(Refused::OutOfOrder {
                id,
                expected,
                found,
            }),
        }
    }

    /// A new epoch begins to count anew.
    pub(super) fn meet(&mut self, epoch: i16, now: Millis) {
        if epoch != self.epoch {
            self.epoch = epoch;
            self.recent.clear();
        }
        self.seen = self.seen.max(now);
    }

    pub(super) fn note(&mut self, claim: &Claim, first: Offset, next: Offset) {
        let delta = i32::try_from(next.0 - first.0 - 1);
        if let (Ok(delta), 0..) = (delta, claim.sequence) {
            if self.recent.len() == PRODUCER_BATCHES_KEPT {
                self.recent.remove(0);
            }
            self.recent.push(Sent {
                sequence: claim.sequence,
                first,
                delta,
            });
        }
    }
}

/// The number after so many more; 0 comes after 2^31 - 1.
fn following(sequence: i32, delta: i32) -> i32 {
    let sum = i64::from(sequence) + i64::from(delta) + 1;
    match planted!(SequenceNotWrapped) {
        true => sum.min(i32::MAX.into()) as i32,
        false => (sum & i64::from(i32::MAX)) as i32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_begin_again_at_their_end() {
        for (sequence, delta, next) in [
            (0, 0, 1),
            (10, 4, 15),
            (i32::MAX, 0, 0),
            (i32::MAX - 1, 0, i32::MAX),
            (i32::MAX - 1, 3, 2),
            (i32::MAX, i32::MAX, i32::MAX),
        ] {
            assert_eq!(following(sequence, delta), next, "{sequence} and {delta}");
        }
    }
}
