//! Random histories against a naive twin, which keeps all that ever happened
//! and answers every question by looking through it. `History::run` repeats one.

use super::*;
use crate::entropy::Seeded;
use crate::ids::{PartitionId, TopicId};
use crate::limits::{PRODUCER_BATCHES_KEPT, TURNED_AWAY_MS};
use crate::planted::{Fault, hunt};
use crate::streams::Key;
use std::time::Duration;

const KEY: Key = Key {
    topic: TopicId([1; 16]),
    partition: PartitionId(0),
};

#[derive(Clone, Debug)]
enum Happened {
    Stood(Stored, Millis),
    /// Who was idle at this time was forgotten.
    Expired(Millis),
    /// A batch was turned away for want of room.
    TurnedAway(Claim, Duration),
}

#[derive(Clone, Debug, Default)]
struct Twin {
    happened: Vec<Happened>,
    start: Offset,
}

/// What the twin finds about a producer.
#[derive(Debug, Default)]
struct Found {
    epoch: i16,
    coordinator_epoch: i32,
    seen: Millis,
    open: Option<Offset>,
    /// Sequence, count and first offset of the numbered batches of its epoch.
    batches: Vec<(i64, i64, Offset)>,
}

impl Twin {
    fn stood(&self) -> impl Iterator<Item = &Stored> {
        self.happened.iter().filter_map(|one| match one {
            Happened::Stood(stored, _) => Some(stored),
            Happened::Expired(_) | Happened::TurnedAway(..) => None,
        })
    }

    fn find(&self, id: ProducerId) -> Option<Found> {
        let mut found: Option<Found> = None;
        for one in &self.happened {
            match one {
                Happened::Expired(now) => {
                    let is_idle = |one: &mut Found| {
                        one.open.is_none() && now.0 >= one.seen.0 + PRODUCER_IDLE_MS
                    };
                    if found.as_mut().is_some_and(is_idle) {
                        found = None;
                    }
                }
                Happened::TurnedAway(..) => {}
                Happened::Stood(stored, now) => {
                    let Some(claim) = stored.claim.filter(|claim| claim.id == id) else {
                        continue;
                    };
                    let one = found.get_or_insert(Found {
                        epoch: claim.epoch,
                        coordinator_epoch: -1,
                        ..Found::default()
                    });
                    if one.epoch != claim.epoch {
                        one.batches.clear();
                    }
                    one.epoch = claim.epoch;
                    one.seen = *now;
                    match stored.kind {
                        Kind::Marker(marker) => {
                            one.coordinator_epoch = marker.coordinator_epoch;
                            one.open = None;
                        }
                        _ => {
                            let count = (stored.next.0 - stored.first.0) as i64;
                            one.batches
                                .push((claim.sequence.into(), count, stored.first));
                            if stored.is_transactional {
                                one.open = one.open.or(Some(stored.first));
                            }
                        }
                    }
                }
            }
        }
        found
    }

    /// The lowest number of a producer's newest epoch that was turned away and may
    /// come again.
    fn awaited(&self, id: ProducerId, now: Duration) -> Option<(i16, i32)> {
        let mut lowest: Option<(i16, i32, Duration)> = None;
        for one in &self.happened {
            let Happened::TurnedAway(claim, at) = one else {
                continue;
            };
            if claim.id != id {
                continue;
            }
            let is_over = |(.., until): (i16, i32, Duration)| *at >= until;
            let is_newer = |(epoch, sequence, _): (i16, i32, Duration)| {
                let is_lower = !comes_behind(claim.sequence, sequence);
                claim.epoch > epoch || claim.epoch == epoch && is_lower
            };
            if lowest.is_none_or(|lowest| is_over(lowest) || is_newer(lowest)) {
                let until = *at + Duration::from_millis(TURNED_AWAY_MS);
                lowest = Some((claim.epoch, claim.sequence, until));
            }
        }
        let (epoch, sequence, until) = lowest?;
        (now < until).then_some((epoch, sequence))
    }

    fn admit(&self, offer: &Offer, since: Duration) -> Result<Admitted, Refused> {
        let Claim {
            id,
            epoch,
            sequence: found,
        } = offer.claim;
        let begins = offer.is_transactional;
        let Some(one) = self.find(id) else {
            let expected = 0;
            return match offer.raises_epoch && found != 0 {
                true => Err(Refused::OutOfOrder {
                    id,
                    expected,
                    found,
                }),
                false => match self.awaited(id, since) {
                    Some((of, awaited)) if of == epoch && comes_behind(found, awaited) => {
                        Err(Refused::Awaited { id, awaited, found })
                    }
                    _ => Ok(Admitted::New { begins }),
                },
            };
        };
        if epoch < one.epoch {
            let current = one.epoch;
            return Err(Refused::Fenced { id, epoch, current });
        }
        let batches = match epoch == one.epoch {
            true => &one.batches[..],
            false => &[],
        };
        let last_five = batches.iter().rev().take(PRODUCER_BATCHES_KEPT);
        for &(sequence, count, first) in last_five {
            if sequence == i64::from(found) && count == i64::from(offer.count) {
                let last = Offset(first.0 + count as u64 - 1);
                return Ok(Admitted::Known { first, last });
            }
        }
        let expected = batches
            .last()
            .map_or(0, |last| (last.0 + last.1) % (1 << 31)) as i32;
        if found != expected {
            return Err(Refused::OutOfOrder {
                id,
                expected,
                found,
            });
        }
        match one.open {
            Some(open) if !begins => Err(Refused::NotTransactional { id, open }),
            Some(_) if epoch == one.epoch => Ok(Admitted::New { begins: false }),
            Some(_) | None => Ok(Admitted::New { begins }),
        }
    }

    fn admit_marker(&self, closing: &Closing) -> Result<(), Refused> {
        let Some(one) = self.find(closing.id) else {
            return Ok(());
        };
        let (id, epoch, current) = (closing.id, closing.epoch, one.epoch);
        let is_old = match closing.raises_epoch && one.open.is_some() {
            true => epoch <= current,
            false => epoch < current,
        };
        if is_old {
            return Err(Refused::Fenced { id, epoch, current });
        }
        let (epoch, current) = (closing.marker.coordinator_epoch, one.coordinator_epoch);
        match epoch < current {
            true => Err(Refused::OldCoordinator { epoch, current }),
            false => Ok(()),
        }
    }

    /// The marker that decides a batch of a transaction.
    fn decided(&self, batch: &Stored) -> Option<(Offset, Ending)> {
        let id = batch.claim.map(|claim| claim.id);
        self.stood().find_map(|later| match later.kind {
            Kind::Marker(marker)
                if later.first > batch.first && later.claim.map(|claim| claim.id) == id =>
            {
                Some((later.first, marker.ending))
            }
            _ => None,
        })
    }

    fn last_stable(&self, watermark: Offset) -> Offset {
        let unstable = self.stood().find(|batch| {
            batch.is_transactional
                && batch.kind == Kind::Data
                && self
                    .decided(batch)
                    .is_none_or(|(marker, _)| marker >= watermark)
        });
        unstable.map_or(watermark, |batch| {
            batch.first.max(self.start).min(watermark)
        })
    }

    /// Producer, first batch and marker of every transaction that was aborted.
    fn aborted(&self, from: Offset, until: Offset) -> Vec<(ProducerId, Offset, Offset)> {
        let mut aborted: Vec<(ProducerId, Offset, Offset)> = Vec::new();
        for batch in self
            .stood()
            .filter(|one| one.is_transactional && one.kind == Kind::Data)
        {
            if let (Some((last, Ending::Abort)), Some(claim)) = (self.decided(batch), batch.claim) {
                let is_first = aborted.iter().all(|one| (one.0, one.2) != (claim.id, last));
                if is_first {
                    aborted.push((claim.id, batch.first, last));
                }
            }
        }
        aborted.retain(|one| one.2 >= from.max(self.start) && one.1 < until);
        aborted.sort_by_key(|one| one.2);
        aborted
    }

    /// What a reader of what was committed is to see.
    fn committed(&self, from: Offset, until: Offset) -> Vec<Offset> {
        let in_range = |batch: &&Stored| batch.first >= from && batch.first < until;
        let batches = self
            .stood()
            .filter(in_range)
            .filter(|one| one.kind == Kind::Data);
        let seen = batches.filter(|batch| {
            let decided = self.decided(batch).map(|decided| decided.1);
            !batch.is_transactional || decided == Some(Ending::Commit)
        });
        seen.map(|batch| batch.first).collect()
    }
}

/// Of numbers that begin again at their end, the half ahead of one is behind it.
fn comes_behind(sequence: i32, other: i32) -> bool {
    let (sequence, other) = (i64::from(sequence), i64::from(other));
    let steps = (sequence - other).rem_euclid(1 << 31);
    steps > 0 && steps < 1 << 30
}

/// How a client reads: it begins to leave out a producer's records where a
/// transaction that was aborted begins, and stops at its marker.
fn read_committed(producers: &Producers, twin: &Twin, from: Offset, until: Offset) -> Vec<Offset> {
    let mut to_come: Vec<_> = producers.aborted(from, until).copied().collect();
    to_come.sort_by_key(|one| one.first);
    to_come.reverse();
    let mut left_out = Vec::new();
    let mut seen = Vec::new();
    for batch in twin
        .stood()
        .filter(|one| one.first >= from && one.first < until)
    {
        while let Some(next) = to_come.pop_if(|next| next.first < batch.next) {
            left_out.push(next.id);
        }
        let id = batch.claim.map(|claim| claim.id);
        match batch.kind {
            Kind::Data if batch.is_transactional && id.is_some_and(|id| left_out.contains(&id)) => {
            }
            Kind::Data => seen.push(batch.first),
            Kind::Marker(marker) if marker.ending == Ending::Abort => {
                left_out.retain(|&one| Some(one) != id);
            }
            _ => (),
        }
    }
    seen
}

struct History {
    chance: Seeded,
    now: Millis,
    since: Duration,
    watermark: Offset,
    producers: Producers,
    awaited: Awaited,
    twin: Twin,
    /// An earlier state, to build upon when the log is cut.
    snapshot: Vec<u8>,
    /// Producers are forgotten in some histories, and the log is cut in others:
    /// who builds its state anew does not know who was forgotten.
    is_cutting: bool,
}

type Checked = Result<(), String>;

fn same<T: PartialEq + fmt::Debug>(what: &str, ours: T, theirs: T) -> Checked {
    match ours == theirs {
        true => Ok(()),
        false => Err(format!("{what}: {ours:?}, the twin says {theirs:?}")),
    }
}

impl History {
    fn new(seed: u64) -> Self {
        let mut chance = Seeded::new(seed);
        let is_cutting = chance.one_in(2);
        let producers = Producers::default();
        Self {
            chance,
            now: Millis(1 << 40),
            since: Duration::ZERO,
            watermark: Offset(0),
            snapshot: encode(&producers),
            producers,
            awaited: Awaited::default(),
            twin: Twin::default(),
            is_cutting,
        }
    }

    fn run(seed: u64) -> Checked {
        let mut history = Self::new(seed);
        for step in 0..120 {
            let checked = history.step().and_then(|()| history.compare());
            checked.map_err(|says| format!("seed {seed}, step {step}: {says}"))?;
        }
        Ok(())
    }

    fn step(&mut self) -> Checked {
        self.now.0 += self.chance.below(PRODUCER_IDLE_MS / 30);
        self.since += Duration::from_millis(self.chance.below(TURNED_AWAY_MS / 8));
        match self.chance.below(20) {
            0..=9 => self.offer(),
            10..=13 => self.close(),
            14 => {
                let count = 1 + self.chance.below(3);
                self.append(None, count, false, Kind::Data);
                Ok(())
            }
            15 | 16 => {
                let ahead = self.producers.next().0 - self.watermark.0;
                self.watermark.0 += self.chance.below(ahead + 1);
                if self.chance.one_in(2) {
                    self.producers.settle(self.watermark);
                }
                Ok(())
            }
            17 => self.take_snapshot(),
            18 if self.is_cutting => self.cut(),
            18 => {
                self.producers.expire(self.now);
                self.twin.happened.push(Happened::Expired(self.now));
                Ok(())
            }
            _ if self.is_cutting => Ok(()),
            _ => {
                let start = self.chance.below(self.watermark.0 + 1);
                self.twin.start = self.twin.start.max(Offset(start));
                self.producers.forget_before(Offset(start));
                Ok(())
            }
        }
    }

    /// A producer near what the twin knows of it, often just wrong.
    fn offer(&mut self) -> Checked {
        let id = ProducerId(self.chance.below(4));
        let found = self.twin.find(id).unwrap_or_default();
        let near = self.chance.below(8);
        let epoch = found.epoch + [0, 0, 0, 0, 0, 0, 1, -1][near as usize];
        let batches = &found.batches;
        let next = batches
            .last()
            .map_or(0, |last| (last.0 + last.1) % (1 << 31));
        let mut count = 1 + self.chance.below(3) as u32;
        let mut sequence = match self.chance.below(12) {
            0 => 0,
            1 => next + 1,
            2 => (next - 1).max(0),
            3 => i64::from(i32::MAX) - self.chance.below(3) as i64,
            _ if epoch != found.epoch => 0,
            _ => next,
        };
        if self.chance.one_in(4) && !batches.is_empty() {
            let back = self.chance.below(batches.len().min(7) as u64) as usize;
            let again = batches[batches.len() - 1 - back];
            (sequence, count) = (again.0, again.1 as u32);
        }
        let offer = Offer {
            claim: Claim {
                id,
                epoch: epoch.max(0),
                sequence: sequence.min(i32::MAX.into()) as i32,
            },
            count,
            is_transactional: self.chance.below(4) != 0,
            raises_epoch: self.chance.one_in(2),
        };
        let admitted = self.admit(&offer);
        let theirs = self.twin.admit(&offer, self.since);
        same(&format!("{offer:?}"), admitted, theirs)?;
        if let Ok(Admitted::New { .. }) = admitted {
            if self.chance.one_in(4) {
                self.turn_away(offer.claim);
                return Ok(());
            }
            let (count, is_transactional) = (count.into(), offer.is_transactional);
            self.append(Some(offer.claim), count, is_transactional, Kind::Data);
        }
        Ok(())
    }

    /// As a partition does.
    fn admit(&self, offer: &Offer) -> Result<Admitted, Refused> {
        let admitted = self.producers.admit(offer)?;
        if !self.producers.knows(offer.claim.id) {
            self.awaited.check(self.since, KEY, &offer.claim)?;
        }
        Ok(admitted)
    }

    fn turn_away(&mut self, claim: Claim) {
        self.awaited.note(self.since, KEY, &claim);
        let turned_away = Happened::TurnedAway(claim, self.since);
        self.twin.happened.push(turned_away);
    }

    fn close(&mut self) -> Checked {
        let id = ProducerId(self.chance.below(4));
        let found = self.twin.find(id).unwrap_or_default();
        let closing = Closing {
            id,
            epoch: (found.epoch + [0, 0, 1, 1, -1][self.chance.below(5) as usize]).max(0),
            marker: Marker {
                ending: match self.chance.one_in(2) {
                    true => Ending::Abort,
                    false => Ending::Commit,
                },
                coordinator_epoch: self.chance.below(3) as i32,
            },
            raises_epoch: self.chance.one_in(2),
        };
        let admitted = self.producers.admit_marker(&closing);
        same(
            &format!("{closing:?}"),
            admitted,
            self.twin.admit_marker(&closing),
        )?;
        if admitted.is_ok() {
            let claim = Claim {
                id,
                epoch: closing.epoch,
                sequence: -1,
            };
            self.append(Some(claim), 1, true, Kind::Marker(closing.marker));
        }
        Ok(())
    }

    fn append(&mut self, claim: Option<Claim>, count: u64, is_transactional: bool, kind: Kind) {
        let first = self.producers.next();
        let stored = Stored {
            first,
            next: Offset(first.0 + count),
            leader_epoch: 0,
            max_timestamp: Some(0),
            claim,
            is_transactional,
            kind,
        };
        self.producers.take(&stored, self.now);
        self.twin.happened.push(Happened::Stood(stored, self.now));
    }

    fn take_snapshot(&mut self) -> Checked {
        self.snapshot = encode(&self.producers);
        let read = decode(&self.snapshot).map_err(|unsound| unsound.to_string())?;
        // Who starts goes on with it, and is given what it knows once more.
        self.producers = read;
        self.replay();
        Ok(())
    }

    fn replay(&mut self) {
        for one in &self.twin.happened {
            if let Happened::Stood(stored, now) = one {
                self.producers.take(stored, *now);
            }
        }
    }

    /// Cuts the log above its watermark and builds the state again.
    fn cut(&mut self) -> Checked {
        let ends: Vec<_> = self.twin.stood().map(|one| one.next).collect();
        let ends: Vec<_> = ends
            .into_iter()
            .filter(|&end| end >= self.watermark)
            .collect();
        if ends.is_empty() {
            return Ok(());
        }
        let cut = ends[self.chance.below(ends.len() as u64) as usize];
        let remains = |one: &Happened| match one {
            Happened::Stood(stored, _) => stored.next <= cut,
            Happened::Expired(_) | Happened::TurnedAway(..) => true,
        };
        self.twin.happened.retain(remains);
        let snapshot = decode(&self.snapshot).map_err(|unsound| unsound.to_string())?;
        self.producers = match snapshot.next() <= cut {
            true => snapshot,
            false => Producers::default(),
        };
        self.snapshot = encode(&self.producers);
        self.replay();
        Ok(())
    }

    fn compare(&mut self) -> Checked {
        for id in (0..4).map(ProducerId) {
            let ours = self.producers.by_id.get(&id);
            let theirs = self.twin.find(id);
            let ours = ours.map(|one| (one.epoch, one.coordinator_epoch, one.open, one.seen));
            let theirs = theirs.map(|one| (one.epoch, one.coordinator_epoch, one.open, one.seen));
            same(&format!("producer {id}"), ours, theirs)?;
        }
        let watermark = self.watermark;
        let stable = self.producers.last_stable(watermark);
        same("last stable", stable, self.twin.last_stable(watermark))?;
        let start = self.twin.start.0;
        let from = Offset(start + self.chance.below(stable.0.saturating_sub(start) + 1));
        let until = Offset(from.0 + self.chance.below(stable.0.saturating_sub(from.0) + 1));
        let aborted = self.producers.aborted(from, until);
        let aborted: Vec<_> = aborted.map(|one| (one.id, one.first, one.last)).collect();
        let what = format!("aborted in {from}..{until}");
        same(&what, aborted, self.twin.aborted(from, until))?;
        let seen = read_committed(&self.producers, &self.twin, from, until);
        let what = format!("committed in {from}..{until}");
        same(&what, seen, self.twin.committed(from, until))
    }
}

const HISTORIES: u64 = 400;

#[test]
fn the_twin_agrees_with_every_history() {
    for seed in 0..HISTORIES {
        History::run(seed).unwrap_or_else(|says| panic!("{says}"));
    }
}

/// A seed for each.
const KNOWN: &[(Fault, u64)] = &[
    (Fault::KnownBatchTaken, 0),
    (Fault::SequenceGapTaken, 0),
    (Fault::SequenceNotWrapped, 0),
    (Fault::EpochBegunAnywhere, 0),
    (Fault::TurnedAwayNotMinded, 26),
    (Fault::FencedProducerTaken, 0),
    (Fault::OldCoordinatorTaken, 0),
    (Fault::BatchTakenTwice, 0),
    (Fault::OpenNotMinded, 0),
    (Fault::EndedTooSoon, 1),
    (Fault::AbortNotNoted, 0),
    (Fault::AbortedCutShort, 12),
    (Fault::OpenNotInSnapshot, 0),
];

#[test]
fn every_planted_mistake_is_found() {
    hunt(Fault::PRODUCERS, KNOWN, History::run);
}
