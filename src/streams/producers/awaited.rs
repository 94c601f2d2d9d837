//! Batches that were turned away and are likely to come again, of producers that
//! number theirs. A partition takes any number for the first of a producer that it
//! does not know; so where one was turned away for want of room, what follows it
//! must not pass for the first, or the one before could never be taken. A client
//! that hears of an acknowledgement behind a batch takes that for acknowledged, too
//! (librdkafka), or tries it until it gives up.
//!
//! This is not in the log, and the next leader does not know it. It may be
//! forgotten at any time, which is then as if it had never been noted.

use super::Refused;
use crate::ids::ProducerId;
use crate::limits::{TURNED_AWAY_MS, TURNED_AWAY_NOTED_MAX};
use crate::planted;
use crate::streams::Key;
use crate::streams::batch::header::Claim;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

type Whose = (Key, ProducerId);

/// For all partitions of a node.
#[derive(Clone, Debug, Default)]
pub struct Awaited {
    /// Invariant: at most TURNED_AWAY_NOTED_MAX.
    notes: BTreeMap<Whose, Note>,
    /// Invariant: the ends of all notes.
    ends: BTreeSet<(Duration, Whose)>,
}

#[derive(Clone, Copy, Debug)]
struct Note {
    epoch: i16,
    /// The lowest of the epoch that was turned away.
    sequence: i32,
    until: Duration,
}

impl Awaited {
    /// A batch was turned away, and nothing of it is in the log.
    pub fn note(&mut self, now: Duration, at: Key, claim: &Claim) {
        let whose = (at, claim.id);
        let before = self.notes.get(&whose).copied();
        let before = before.filter(|note| now < note.until);
        if before.is_some_and(|note| note.outlasts(claim)) {
            return;
        }
        self.forget(whose);
        if self.notes.len() >= TURNED_AWAY_NOTED_MAX
            && let Some(&(_, oldest)) = self.ends.first()
        {
            self.forget(oldest);
        }
        let note = Note {
            epoch: claim.epoch,
            sequence: claim.sequence,
            until: now + Duration::from_millis(TURNED_AWAY_MS),
        };
        self.ends.insert((note.until, whose));
        self.notes.insert(whose, note);
    }

    fn forget(&mut self, whose: Whose) {
        if let Some(note) = self.notes.remove(&whose) {
            self.ends.remove(&(note.until, whose));
        }
    }

    /// Whether a batch may be the first of a producer that the partition does not
    /// know.
    pub fn check(&self, now: Duration, at: Key, claim: &Claim) -> Result<(), Refused> {
        let (id, found) = (claim.id, claim.sequence);
        let note = self.notes.get(&(at, id)).filter(|note| now < note.until);
        match note {
            Some(note) if note.is_before(claim) && !planted!(TurnedAwayNotMinded) => {
                let awaited = note.sequence;
                Err(Refused::Awaited { id, awaited, found })
            }
            _ => Ok(()),
        }
    }
}

impl Note {
    /// What is noted is lower, or of a later epoch.
    fn outlasts(&self, claim: &Claim) -> bool {
        self.epoch > claim.epoch || self.is_before(claim)
    }

    /// Of the same epoch, for who raised it has given up what was before.
    fn is_before(&self, claim: &Claim) -> bool {
        self.epoch == claim.epoch && follows(claim.sequence, self.sequence)
    }
}

/// Numbers begin again behind 2^31 - 1: what is less than half of them ahead is
/// behind.
fn follows(sequence: i32, other: i32) -> bool {
    let ahead = sequence.wrapping_sub(other) & i32::MAX;
    (1..1 << 30).contains(&ahead)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{PartitionId, TopicId};

    const SECOND: Duration = Duration::from_secs(1);
    const KEY: Key = Key {
        topic: TopicId([1; 16]),
        partition: PartitionId(0),
    };

    fn claim(id: u64, epoch: i16, sequence: i32) -> Claim {
        Claim {
            id: ProducerId(id),
            epoch,
            sequence,
        }
    }

    fn awaits(awaited: i32, found: i32) -> Result<(), Refused> {
        let id = ProducerId(7);
        Err(Refused::Awaited { id, awaited, found })
    }

    #[test]
    fn what_follows_a_batch_that_was_turned_away_waits_for_it() {
        let mut all = Awaited::default();
        assert_eq!(all.check(SECOND, KEY, &claim(7, 0, 100)), Ok(()));
        all.note(SECOND, KEY, &claim(7, 0, 100));
        let check = |all: &Awaited, sequence| all.check(SECOND, KEY, &claim(7, 0, sequence));
        assert_eq!(check(&all, 110), awaits(100, 110));
        assert_eq!(check(&all, 100), Ok(()));
        assert_eq!(check(&all, 40), Ok(()));
        // One before it was turned away, too; one behind it says nothing new.
        all.note(SECOND, KEY, &claim(7, 0, 40));
        all.note(SECOND, KEY, &claim(7, 0, 110));
        assert_eq!(check(&all, 100), awaits(40, 100));
        // Others are not meant.
        assert_eq!(all.check(SECOND, KEY, &claim(8, 0, 100)), Ok(()));
        let other = Key {
            partition: PartitionId(1),
            ..KEY
        };
        assert_eq!(all.check(SECOND, other, &claim(7, 0, 100)), Ok(()));
    }

    #[test]
    fn who_raises_its_epoch_has_given_up_what_was_before() {
        let mut all = Awaited::default();
        all.note(SECOND, KEY, &claim(7, 3, 0));
        assert_eq!(all.check(SECOND, KEY, &claim(7, 4, 5)), Ok(()));
        all.note(SECOND, KEY, &claim(7, 4, 0));
        assert_eq!(all.check(SECOND, KEY, &claim(7, 4, 5)), awaits(0, 5));
        // What is late of the epoch before changes nothing.
        all.note(SECOND, KEY, &claim(7, 3, 0));
        assert_eq!(all.check(SECOND, KEY, &claim(7, 4, 5)), awaits(0, 5));
    }

    #[test]
    fn it_is_waited_for_as_long_as_its_client_goes_on_trying() {
        let mut all = Awaited::default();
        let while_noted = Duration::from_millis(TURNED_AWAY_MS);
        all.note(SECOND, KEY, &claim(7, 0, 0));
        let again = while_noted;
        all.note(again, KEY, &claim(7, 0, 0));
        let last = again + while_noted - Duration::from_millis(1);
        assert_eq!(all.check(last, KEY, &claim(7, 0, 5)), awaits(0, 5));
        // What follows does not prolong it.
        all.note(last, KEY, &claim(7, 0, 5));
        let over = again + while_noted;
        assert_eq!(all.check(over, KEY, &claim(7, 0, 5)), Ok(()));
        all.note(over, KEY, &claim(7, 0, 5));
        assert_eq!(all.check(over, KEY, &claim(7, 0, 9)), awaits(5, 9));
    }

    #[test]
    fn numbers_follow_over_their_end() {
        for (sequence, other, is_behind) in [
            (1, 0, true),
            (0, 0, false),
            (0, 1, false),
            (0, i32::MAX, true),
            (i32::MAX, 0, false),
            (4, i32::MAX - 5, true),
        ] {
            assert_eq!(follows(sequence, other), is_behind, "{sequence}, {other}");
        }
    }

    #[test]
    fn the_oldest_note_gives_way_to_one_more() {
        let mut all = Awaited::default();
        let most = TURNED_AWAY_NOTED_MAX as u64;
        for id in 0..=most {
            all.note(SECOND + Duration::from_nanos(id), KEY, &claim(id, 0, 0));
        }
        assert_eq!(all.notes.len(), TURNED_AWAY_NOTED_MAX);
        assert_eq!(all.ends.len(), TURNED_AWAY_NOTED_MAX);
        assert_eq!(all.check(SECOND, KEY, &claim(0, 0, 1)), Ok(()));
        assert!(all.check(SECOND, KEY, &claim(1, 0, 1)).is_err());
        assert!(all.check(SECOND, KEY, &claim(most, 0, 1)).is_err());
    }
}
