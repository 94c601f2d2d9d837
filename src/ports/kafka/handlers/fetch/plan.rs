//! What a Fetch gives from each of its partitions. Pure.
//!
//! As in KIP-74: the partitions are served in their order, each up to its own
//! bound and all up to the request's. So that nobody is stuck before a batch
//! that is larger than either, the first batch of all goes in whatever its size.
//! The first that does not fit into what is left of the request's ends it: to look
//! for a smaller one would read much and give little.

use crate::ids::Offset;
use crate::ports::kafka::messages::ErrorCode;
use crate::streams::partition::LeaderEpoch;
use crate::streams::view::Marks;

/// What is left of the bytes that a Fetch may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    left: usize,
    has_any: bool,
}

impl Budget {
    pub fn new(bytes_max: usize) -> Self {
        Self {
            left: bytes_max,
            has_any: false,
        }
    }

    /// Nothing more goes into the answer, though there may be more.
    pub fn is_used_up(&self) -> bool {
        self.left == 0 && self.has_any
    }

    /// How many bytes to read of a partition of which `given` bytes are in the
    /// answer already; None where nothing more fits.
    pub fn ask(&self, bytes_max: i32, given: usize) -> Option<usize> {
        let own = usize::try_from(bytes_max).unwrap_or(0);
        let room = self.left.min(own.saturating_sub(given));
        (room > 0 || !self.has_any).then_some(room)
    }

    /// Whether whole batches of `bytes`, read where `room` was asked for, go
    /// into the answer.
    pub fn take(&mut self, room: usize, bytes: usize) -> bool {
        let fits = bytes <= room || !self.has_any;
        if fits && bytes > 0 {
            self.left = self.left.saturating_sub(bytes);
            self.has_any = true;
        } else if bytes > self.left {
            self.left = 0;
        }
        fits
    }
}

/// From where and up to where somebody may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    pub from: Offset,
    /// May be below `from`, where what is there is not acknowledged yet.
    pub until: Offset,
}

/// Ahead of what is acknowledged there is nothing to read yet; only what the log
/// does not have is out of range.
pub fn stretch(marks: Marks, from: i64, reads_committed: bool) -> Result<Stretch, ErrorCode> {
    let known = u64::try_from(from).ok().map(Offset);
    let from = known.filter(|&from| marks.first <= from && from <= marks.next);
    let until = match reads_committed {
        true => marks.last_stable,
        false => marks.watermark,
    };
    match from {
        Some(from) => Ok(Stretch { from, until }),
        None => Err(ErrorCode::OffsetOutOfRange),
    }
}

/// Where the client's history parts from this one, if it does. `end` is the
/// largest epoch here that is not above the client's last, and where it ends.
pub fn parts(
    last_epoch: i32,
    from: i64,
    end: (LeaderEpoch, Offset),
) -> Option<(LeaderEpoch, Offset)> {
    let has_all = end.0 >= last_epoch && end.1.0 as i64 >= from;
    (!has_all).then_some(end)
}

/// Where an epoch ends, as Kafka says it: `end` is what the partition's owner
/// found, `current` the epoch of its leader. An epoch that is still to come has
/// no end; one that is older than all records ends where they begin.
pub fn end_of_epoch(
    asked: i32,
    current: LeaderEpoch,
    first: Offset,
    end: Option<(LeaderEpoch, Offset)>,
) -> Option<(LeaderEpoch, Offset)> {
    match end {
        _ if asked < 0 || asked > current => None,
        None => Some((asked, first)),
        // The leader's own epoch stands though it may have no record yet.
        Some((_, end)) if asked == current => Some((current, end)),
        found => found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::Seeded;

    fn marks(first: u64, last_stable: u64, watermark: u64, next: u64) -> Marks {
        let [first, last_stable, watermark, next] =
            [first, last_stable, watermark, next].map(Offset);
        Marks {
            first,
            watermark,
            last_stable,
            next,
        }
    }

    #[test]
    fn only_what_the_log_does_not_have_is_out_of_range() {
        let marks = marks(10, 20, 30, 40);
        for (from, plain, committed) in [
            (-1, None, None),
            (9, None, None),
            (10, Some(30), Some(20)),
            (25, Some(30), Some(20)),
            (40, Some(30), Some(20)),
            (41, None, None),
            (i64::MAX, None, None),
        ] {
            let until = |committed| {
                let found = stretch(marks, from, committed).ok()?;
                assert_eq!(found.from.0 as i64, from);
                Some(found.until.0)
            };
            assert_eq!((until(false), until(true)), (plain, committed), "{from}");
        }
    }

    #[test]
    fn histories_part_where_the_client_read_more_than_there_was() {
        for (last_epoch, from, end, expected) in [
            (3, 50, (3, 80), None),
            (3, 80, (3, 80), None),
            (3, 81, (3, 80), Some((3, 80))),
            (3, 50, (2, 80), Some((2, 80))),
            (0, 0, (0, 0), None),
        ] {
            let offset = |(epoch, end)| (epoch, Offset(end));
            let found = parts(last_epoch, from, offset(end));
            assert_eq!(found, expected.map(offset), "{last_epoch} {from}");
        }
    }

    #[test]
    fn an_epoch_ends_as_kafka_says() {
        let first = Offset(7);
        for (asked, current, end, expected) in [
            (2, 5, Some((2, 30)), Some((2, 30))),
            (3, 5, Some((2, 30)), Some((2, 30))),
            (5, 5, Some((2, 90)), Some((5, 90))),
            (6, 5, Some((5, 90)), None),
            (-1, 5, None, None),
            (1, 5, None, Some((1, 7))),
            (5, 5, None, Some((5, 7))),
        ] {
            let offset = |(epoch, end)| (epoch, Offset(end));
            let found = end_of_epoch(asked, current, first, end.map(offset));
            assert_eq!(found, expected.map(offset), "{asked} {current} {end:?}");
        }
    }

    /// The rule as a sentence: a batch goes in if it is the first of all, or if
    /// with it neither its partition nor the answer has more than it may; and
    /// nothing behind one for which the answer has no room.
    fn naive(bytes_max: usize, partitions: &[(i32, Vec<usize>)]) -> Vec<usize> {
        let (mut all, mut given) = (0, Vec::new());
        let mut is_over = false;
        for (own_max, batches) in partitions {
            let (mut own, mut count) = (0, 0);
            for bytes in batches {
                let has_room = all + bytes <= bytes_max;
                let fits = own + bytes <= (*own_max).max(0) as usize && has_room;
                if (!fits && all > 0) || is_over {
                    is_over |= !has_room && own < (*own_max).max(0) as usize;
                    break;
                }
                (own, all, count) = (own + bytes, all + bytes, count + 1);
            }
            given.push(count);
        }
        given
    }

    /// Reads of a partition end with a segment, after one batch or some.
    fn by_budget(
        chance: &mut Seeded,
        bytes_max: usize,
        partitions: &[(i32, Vec<usize>)],
    ) -> Vec<usize> {
        let mut budget = Budget::new(bytes_max);
        let serve = |(own_max, batches): &(i32, Vec<usize>)| {
            let (mut own, mut count) = (0, 0);
            while count < batches.len()
                && let Some(room) = budget.ask(*own_max, own)
            {
                let segment = 1 + chance.below(4) as usize;
                let (mut bytes, mut taken) = (0, 0);
                for batch in batches[count..].iter().take(segment) {
                    if taken > 0 && bytes + batch > room {
                        break;
                    }
                    (bytes, taken) = (bytes + batch, taken + 1);
                }
                if !budget.take(room, bytes) {
                    break;
                }
                (own, count) = (own + bytes, count + taken);
            }
            count
        };
        partitions.iter().map(serve).collect()
    }

    #[test]
    fn bytes_are_given_out_as_the_sentence_says() {
        for seed in 0..5000 {
            let mut chance = Seeded::new(seed);
            let bytes_max = chance.below(600).saturating_sub(50) as usize;
            let partitions: Vec<_> = (0..chance.below(6))
                .map(|_| {
                    let own_max = chance.below(300) as i32 - 20;
                    let count = chance.below(7);
                    let batches = (0..count).map(|_| 1 + chance.below(120) as usize);
                    (own_max, batches.collect::<Vec<_>>())
                })
                .collect();
            let expected = naive(bytes_max, &partitions);
            let found = by_budget(&mut chance, bytes_max, &partitions);
            assert_eq!(found, expected, "seed {seed}: {bytes_max} {partitions:?}");
        }
    }
}
