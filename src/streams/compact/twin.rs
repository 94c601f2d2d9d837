//! The sieve against a naive model, over random histories of plain, idempotent and
//! transactional producers. `DOLMEN_SEED=n` runs one.

use super::{Gone, Rules, Sieve};
use crate::clock::Millis;
use crate::entropy::Seeded;
use crate::ids::{Epoch, Index, Offset, ProducerId};
use crate::log::format::{End, Walk, Walked};
use crate::streams::batch::build::{Builder, HeaderList};
use crate::streams::batch::codec::{Codec, Unpacker};
use crate::streams::batch::control::{Ending, Marker, Place};
use crate::streams::batch::format::BATCHES;
use crate::streams::batch::header::{Attributes, Claim, Header};
use crate::streams::batch::records::{Record, Records};
use crate::streams::batch::stored::{Kind, Stored};
use crate::streams::partition::Epochs;
use crate::streams::producers::{Aborted, Producers};
use std::collections::{BTreeMap, BTreeSet};

const RETENTION_MS: i64 = 1000;
const KEYS: u64 = 12;

/// A record as the model has it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    offset: u64,
    batch: u64,
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: usize,
    /// How its transaction ended; None outside one, or where it is open.
    is_aborted: Option<bool>,
}

/// A marker, and the batches of its transaction by their base offsets.
#[derive(Clone, Debug)]
struct Ended {
    at: u64,
    id: ProducerId,
    epoch: i16,
    batches: Vec<u64>,
    /// When a pass first left nothing of them.
    empty_since: Option<i64>,
}

struct World {
    dice: Seeded,
    log: Vec<u8>,
    next: u64,
    leader_epoch: i32,
    now: i64,
    producers: Producers,
    /// Sequence and epoch of each that writes.
    writers: BTreeMap<ProducerId, (i32, i16)>,
    open: BTreeMap<ProducerId, Vec<u64>>,
    records: Vec<Known>,
    ended: Vec<Ended>,
    horizons: BTreeMap<u64, i64>,
    originals: BTreeMap<u64, Vec<u8>>,
    clean_until: u64,
    seed: u64,
}

fn batches(mut log: &[u8]) -> Vec<&[u8]> {
    let mut all = Vec::new();
    while let Some(header) = Header::of(log) {
        let (batch, rest) = log.split_at(header.total_bytes().unwrap());
        all.push(batch);
        log = rest;
    }
    all
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            dice: Seeded::new(seed),
            log: Vec::new(),
            next: 0,
            leader_epoch: 0,
            now: 10_000,
            producers: Producers::new(Offset(0)),
            writers: BTreeMap::new(),
            open: BTreeMap::new(),
            records: Vec::new(),
            ended: Vec::new(),
            horizons: BTreeMap::new(),
            originals: BTreeMap::new(),
            clean_until: 0,
            seed,
        }
    }

    fn push(&mut self, batch: Vec<u8>) {
        let stored = Stored::read(&batch).unwrap();
        self.producers.take(&stored, Millis(self.now as u64));
        self.next = stored.next.0;
        self.producers.settle(stored.next);
        self.log.extend_from_slice(&batch);
        self.originals.insert(stored.first.0, batch);
    }

    fn append(&mut self) {
        if self.dice.one_in(15) {
            self.leader_epoch += 1 + self.dice.below(2) as i32;
        }
        // Below 3 without a producer, below 6 with numbers, then transactions.
        let kind = self.dice.below(9);
        let id = ProducerId(kind);
        let codec = Codec::ALL[self.dice.below(5) as usize];
        let mut builder = Builder::new(Offset(self.next), codec).leader_epoch(self.leader_epoch);
        let count = 1 + self.dice.below(4);
        if kind >= 3 {
            let (sequence, epoch) = self.writers.entry(id).or_default();
            let claim = Claim {
                id,
                epoch: *epoch,
                sequence: *sequence,
            };
            *sequence += count as i32;
            builder = builder.producer(claim, kind >= 6);
        }
        for offset in self.next..self.next + count {
            let key = match self.dice.one_in(40) {
                true => None,
                false => Some(format!("key {}", self.dice.below(KEYS)).into_bytes()),
            };
            let value = (!self.dice.one_in(4)).then(|| vec![self.dice.below(250) as u8; 5]);
            let mut headers = HeaderList::default();
            for _ in 0..self.dice.below(2) {
                headers.add(b"same", Some(b"twice"));
            }
            let known = Known {
                offset,
                batch: self.next,
                timestamp: self.now - self.dice.below(500) as i64,
                key,
                value,
                headers: headers.view().into_iter().count(),
                is_aborted: None,
            };
            let record = Record {
                offset: Offset(offset),
                timestamp: known.timestamp,
                key: known.key.as_deref(),
                value: known.value.as_deref(),
                headers: headers.view(),
            };
            builder.add(&record).unwrap();
            self.records.push(known);
        }
        if kind >= 6 {
            self.open.entry(id).or_default().push(self.next);
        }
        self.push(builder.finish().unwrap());
    }

    fn end_one(&mut self) {
        let open: Vec<_> = self.open.keys().copied().collect();
        // Now and then a transaction that wrote nothing here is ended.
        let id = match open.is_empty() || self.dice.one_in(10) {
            true => ProducerId(6 + self.dice.below(3)),
            false => open[self.dice.below(open.len() as u64) as usize],
        };
        let ending = match self.dice.one_in(2) {
            true => Ending::Abort,
            false => Ending::Commit,
        };
        let (sequence, epoch) = self.writers.entry(id).or_default();
        // As in the second version of transactions, or the first.
        if self.dice.one_in(2) {
            (*sequence, *epoch) = (0, *epoch + 1);
        }
        let place = Place {
            offset: Offset(self.next),
            leader_epoch: self.leader_epoch,
            id,
            epoch: *epoch,
        };
        let marker = Marker {
            ending,
            coordinator_epoch: 1,
        };
        let batches = self.open.remove(&id).unwrap_or_default();
        for record in &mut self.records {
            if batches.contains(&record.batch) {
                record.is_aborted = Some(ending == Ending::Abort);
            }
        }
        self.ended.push(Ended {
            at: self.next,
            id,
            epoch: place.epoch,
            batches,
            empty_since: None,
        });
        self.push(marker.batch(place, Millis(self.now as u64)));
    }

    /// One pass over a stretch that ends between two batches, below all that is
    /// open.
    fn compact(&mut self) {
        let stable = self.producers.last_stable(Offset(self.next)).0;
        let before = self.log.clone();
        let all = batches(&before);
        let firsts = all
            .iter()
            .map(|batch| Header::of(batch).unwrap().base_offset() as u64);
        let ends: Vec<u64> = firsts.filter(|&first| first <= stable).collect();
        if ends.is_empty() {
            return;
        }
        let end = ends[self.dice.below(ends.len() as u64) as usize].max(self.clean_until);
        self.producers.forget_aborted(Offset(self.clean_until));
        let gone = Gone::of(&self.producers, Offset(0), Offset(end));
        let rules = Rules {
            now: Millis(self.now as u64),
            delete_retention_ms: RETENTION_MS,
            everywhere: Offset(u64::MAX),
        };
        let keys = 1 + self.dice.below(KEYS + 3) as usize;
        let mut sieve = Sieve::new(rules, gone, keys, Offset(end));
        for batch in all
            .iter()
            .filter(|batch| Stored::read(batch).unwrap().next.0 > self.clean_until)
        {
            if !sieve.note(batch, Offset(self.clean_until)).unwrap() {
                break;
            }
        }
        let until = sieve.until().0;
        assert!(
            until > self.clean_until || end <= self.clean_until,
            "no progress"
        );
        let (mut out, mut rest) = (Vec::new(), Vec::new());
        for &batch in &all {
            // Segments behind are not looked at.
            let stored = Stored::read(batch).unwrap();
            if stored.first.0 >= end {
                rest.extend_from_slice(batch);
                continue;
            }
            sieve.take(batch, &mut out).unwrap();
            if self.dice.one_in(9) {
                sieve.close_gap(&mut out);
            }
        }
        sieve.close_gap(&mut out);
        out.extend(rest);
        self.log = out;
        self.expect(until, &before);
        self.clean_until = until;
        self.check(&before);
    }

    /// What the model makes of a pass.
    fn expect(&mut self, until: u64, before: &[u8]) {
        let is_over = |batch: u64, horizons: &BTreeMap<u64, i64>, now| {
            horizons.get(&batch).is_some_and(|&at| at <= now)
        };
        let mut newest = BTreeMap::new();
        for record in &self.records {
            if record.offset < until && record.is_aborted != Some(true) {
                newest.insert(record.key.clone(), record.offset);
            }
        }
        let (horizons, now) = (self.horizons.clone(), self.now);
        self.records.retain(|one| {
            if one.is_aborted == Some(true) && one.batch < until {
                return false;
            }
            let is_newest = newest.get(&one.key) == Some(&one.offset);
            let is_late = one.value.is_none() && is_over(one.batch, &horizons, now);
            one.offset >= until || (one.key.is_some() && is_newest && !is_late)
        });
        for one in &self.records {
            if one.value.is_none() && one.offset < until {
                self.horizons.entry(one.batch).or_insert(now + RETENTION_MS);
            }
        }
        // Markers, by what is left of their transactions.
        let left: BTreeSet<u64> = data_batches(&self.log);
        let had: BTreeSet<u64> = batches(before).iter().map(|batch| base(batch)).collect();
        let has: BTreeSet<u64> = batches(&self.log).iter().map(|batch| base(batch)).collect();
        let kept = self.producers.clone();
        for one in &mut self.ended {
            if !had.contains(&one.at) || !is_marker(before, one.at) {
                continue;
            }
            let is_empty = !one.batches.iter().any(|batch| left.contains(batch));
            let is_there = has.contains(&one.at) && is_marker(&self.log, one.at);
            let at = format!("seed {}, the marker at {}", self.seed, one.at);
            // The last that is heard of a producer stays.
            let mut all = kept.iter();
            if all.any(|(id, it)| (id, it.epoch, it.recent.len()) == (one.id, one.epoch, 0)) {
                assert!(is_there, "{at} is gone, and its producer's epoch");
                continue;
            }
            let is_over = one
                .empty_since
                .is_some_and(|since| since + RETENTION_MS <= now);
            let is_due = is_over && is_empty && one.at < until;
            assert_eq!(is_there, !is_due, "{at}, empty since {:?}", one.empty_since);
            if is_empty && one.at < until {
                one.empty_since.get_or_insert(now);
            }
        }
    }

    fn check(&self, before: &[u8]) {
        let seed = self.seed;
        let walked = walk(&self.log, seed);
        assert_eq!(walked, walk(before, seed), "seed {seed}: ends elsewhere");
        let found: Vec<Known> = self.read(&[]);
        let expected: Vec<_> = self.records.iter().map(shown).collect();
        let found: Vec<_> = found.iter().map(shown).collect();
        assert_eq!(found, expected, "seed {seed}: other records");
        // Read as a client does that wants what was committed.
        let (mut rebuilt, mut epochs) = (Producers::new(Offset(0)), Epochs::default());
        for batch in batches(&self.log) {
            let stored = Stored::read(batch).unwrap();
            rebuilt.take(&stored, Millis(self.now as u64));
            epochs.note(stored.leader_epoch, stored.first);
        }
        let committed = self
            .records
            .iter()
            .filter(|one| one.is_aborted != Some(true));
        let committed: Vec<_> = committed.map(shown).collect();
        let next = Offset(self.next);
        for producers in [&self.producers, &rebuilt] {
            let aborted: Vec<_> = producers.aborted(Offset(0), next).copied().collect();
            let read = self.read(&aborted);
            let read: Vec<_> = read.iter().map(shown).collect();
            assert_eq!(
                read, committed,
                "seed {seed}: a client reads something else"
            );
        }
        assert_eq!(
            rebuilt.last_stable(next),
            self.producers.last_stable(next),
            "seed {seed}"
        );
        for (id, producer) in self.producers.iter() {
            let again = rebuilt.iter().find(|(other, _)| *other == id);
            let again = again
                .unwrap_or_else(|| panic!("seed {seed}: producer {id} is forgotten"))
                .1;
            let of = |one: &crate::streams::producers::Producer| (one.epoch, one.expected());
            assert_eq!(of(again), of(producer), "seed {seed}: producer {id}");
        }
        let mut whole = Epochs::default();
        for batch in self.originals.values() {
            let stored = Stored::read(batch).unwrap();
            whole.note(stored.leader_epoch, stored.first);
        }
        assert_eq!(epochs, whole, "seed {seed}: other leader epochs");
        self.check_bytes();
    }

    /// A batch that kept all its records, and got no horizon, is what it was.
    fn check_bytes(&self) {
        for batch in batches(&self.log) {
            let header = Header::of(batch).unwrap();
            let original = &self.originals.get(&(header.base_offset() as u64));
            if let Some(original) = original
                && Header::of(original).unwrap().count() == header.count()
                && !header.attributes().has(Attributes::DELETE_HORIZON)
            {
                assert_eq!(batch, &original[..], "seed {}", self.seed);
            }
        }
    }

    /// As the Java client reads: what is named as aborted is left out from its
    /// first offset until its marker.
    fn read(&self, aborted: &[Aborted]) -> Vec<Known> {
        let mut coming = aborted.to_vec();
        coming.sort_by_key(|one| one.first);
        let (mut out, mut found) = (BTreeSet::new(), Vec::new());
        for batch in batches(&self.log) {
            let stored = Stored::read(batch).unwrap();
            while coming.first().is_some_and(|one| one.first < stored.next) {
                out.insert(coming.remove(0).id);
            }
            let id = stored.claim.map(|claim| claim.id);
            if let Kind::Marker(marker) = stored.kind {
                if marker.ending == Ending::Abort {
                    out.remove(&id.unwrap());
                }
                continue;
            }
            if stored.is_transactional && out.contains(&id.unwrap()) {
                continue;
            }
            let records = Records::of(batch, 1 << 20, &mut Unpacker::default()).unwrap();
            for record in records.iter() {
                let record = record.unwrap();
                found.push(Known {
                    offset: record.offset.0,
                    batch: stored.first.0,
                    timestamp: record.timestamp,
                    key: record.key.map(<[u8]>::to_vec),
                    value: record.value.map(<[u8]>::to_vec),
                    headers: record.headers.into_iter().count(),
                    is_aborted: None,
                });
            }
        }
        found
    }
}

type Shown<'a> = (u64, i64, &'a Option<Vec<u8>>, &'a Option<Vec<u8>>, usize);

fn shown(one: &Known) -> Shown<'_> {
    (one.offset, one.timestamp, &one.key, &one.value, one.headers)
}

fn base(batch: &[u8]) -> u64 {
    Header::of(batch).unwrap().base_offset() as u64
}

fn data_batches(log: &[u8]) -> BTreeSet<u64> {
    let all = batches(log).into_iter();
    let data = all.filter(|batch| {
        let stored = Stored::read(batch).unwrap();
        stored.kind == Kind::Data && stored.claim.is_some()
    });
    data.map(base).collect()
}

fn is_marker(log: &[u8], at: u64) -> bool {
    let all = batches(log);
    let found = all.iter().find(|batch| base(batch) == at);
    found.is_some_and(|batch| matches!(Stored::read(batch).unwrap().kind, Kind::Marker(_)))
}

/// Every check that a recovery makes.
fn walk(log: &[u8], seed: u64) -> End {
    let mut walk = Walk {
        format: &BATCHES,
        epoch: Epoch(1),
        end: End {
            next: Index(0),
            ..End::default()
        },
    };
    let mut rest = log;
    while !rest.is_empty() {
        match walk
            .step(rest)
            .unwrap_or_else(|fault| panic!("seed {seed}: {fault}"))
        {
            Walked::Record(head) => rest = &rest[head.length..],
            other => panic!("seed {seed}: {other:?}"),
        }
    }
    walk.end
}

fn run(seed: u64) {
    let mut world = World::new(seed);
    for _ in 0..120 {
        world.now += world.dice.below(120) as i64;
        match world.dice.below(12) {
            0 => world.compact(),
            1..4 => world.end_one(),
            _ => world.append(),
        }
    }
    for _ in 0..3 {
        world.now += RETENTION_MS;
        world.compact();
    }
}

#[test]
fn what_is_left_is_what_the_model_leaves() {
    (1..=400).for_each(run);
}
