//! Compaction beside followers: each replica compacts its own log, and what is left
//! comes to the same. Of each key the newest record that was acknowledged is there
//! on every replica, and what was deleted stays deleted, whoever was away meanwhile.

use super::world::{Kind, NODES, PARTITIONS, World, place};
use crate::streams::kit::{GONE, key};
use dolmen::ids::{NodeId, Offset};
use dolmen::log::Way;
use dolmen::planted::{Fault, plant};
use dolmen::streams::View;
use dolmen::streams::batch::codec::Unpacker;
use dolmen::streams::batch::header::{Attributes, Header};
use dolmen::streams::batch::records::Records;
use dolmen::streams::partition::Acks;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Few, so that each is written again and again.
const KEYS: u64 = 9;
const SEEDS: u64 = 8;
const SEEDS_FULL: u64 = 300;

/// Key and value; None for one that is gone.
type Found = (String, Option<String>);
type Newest = (u64, u64, Option<String>);

impl World {
    /// What a producer writes next. One in five says that a key is gone.
    pub(super) fn keyed(&mut self, number: u64) -> Vec<(String, String)> {
        let count = 1 + self.chance.below(4);
        let record = |n: u64, drawn: u64| {
            let value = match drawn.is_multiple_of(5) {
                true => GONE.into(),
                false => format!("{:0>200}", number + n),
            };
            (format!("key {}", drawn / 5 % KEYS), value)
        };
        (0..count)
            .map(|n| record(n, self.chance.next_u64() >> 8))
            .collect()
    }

    /// What two replicas have of one offset is the same.
    pub(super) fn compare_records(&mut self) {
        for partition in 0..PARTITIONS {
            let logs = self.logs(partition);
            for (a, one) in &logs {
                for (b, other) in &logs {
                    for (offset, record) in one {
                        let twin = other.get(offset).unwrap_or(record);
                        assert_eq!(twin, record, "seed {}: {a} and {b} at {offset}", self.seed);
                    }
                }
            }
        }
    }

    fn logs(&self, partition: u32) -> Vec<(NodeId, BTreeMap<u64, Found>)> {
        let running = self.machines.iter().filter_map(|machine| {
            let dwelling = machine.dwelling.as_ref()?;
            let view = dwelling.streams.view(key(1, partition))?;
            Some((machine.id, records(&view)))
        });
        running.collect()
    }

    /// What readers see of each key.
    pub(super) fn compare_newest(&mut self) {
        for partition in 0..PARTITIONS {
            let first = self.first(partition);
            let expected = self.expected(partition, first);
            let mut shown = Vec::new();
            for (node, log) in self.logs(partition) {
                // A leader that has just dropped some has not told of it yet.
                let log = log.into_iter().filter(|(offset, _)| *offset >= first);
                let newest: BTreeMap<_, _> = log
                    .map(|(offset, (key, value))| (key, (offset, value)))
                    .collect();
                for (key, (offset, number, value)) in &expected {
                    let found = newest.get(key);
                    let is_deleted = value.is_none() || self.may_be_deleted(key, *number);
                    let is_gone = is_deleted && found.is_none();
                    let is_newer = found.is_some_and(|(at, _)| at > offset);
                    let is_it = found == Some(&(*offset, value.clone()));
                    assert!(
                        is_gone || is_newer || is_it,
                        "seed {}: {key:?} of {partition} on {node} is {found:?}, and was {value:?} \
                         at {offset}",
                        self.seed
                    );
                }
                let there = newest.into_iter();
                let there = there.filter_map(|(key, (_, value))| Some((key, value?)));
                shown.push(there.collect::<BTreeMap<_, _>>());
            }
            assert!(
                shown.windows(2).all(|pair| pair[0] == pair[1]),
                "seed {}: {shown:#?}",
                self.seed
            );
        }
    }

    pub(super) fn first(&self, partition: u32) -> u64 {
        let dwellings = self.machines.iter().filter_map(|one| one.dwelling.as_ref());
        let views = dwellings.filter_map(|one| one.streams.view(key(1, partition)));
        views.map(|view| view.marks().first.0).max().unwrap_or(0)
    }

    /// Whether somebody has deleted it later who was not told what came of that.
    fn may_be_deleted(&self, key: &str, number: u64) -> bool {
        let told: BTreeSet<u64> = self.acknowledged.values().copied().collect();
        let later = self.keyed.range(number + 1..);
        let mut untold = later.filter(|(number, _)| !told.contains(number));
        untold.any(|(_, records)| records.iter().any(|one| one.0 == key && one.1 == GONE))
    }

    /// Of each key the newest that was acknowledged: where, its number, and what.
    fn expected(&self, partition: u32, first: u64) -> BTreeMap<String, Newest> {
        let mut expected = BTreeMap::new();
        for (&(of, base), number) in &self.acknowledged {
            let records = self.keyed[number].iter();
            let records = (base..).zip(records).filter(|(at, _)| *at >= first);
            for (at, (record_key, value)) in records.filter(|_| of == key(1, partition)) {
                let value = Some(value.clone()).filter(|value| value != GONE);
                expected.insert(record_key.clone(), (at, *number, value));
            }
        }
        expected
    }

    /// Passes of compaction, records that they left out, and empty batches that
    /// followers were sent, of those that run.
    fn tidied(&self) -> [u64; 3] {
        let mut sums = [0; 3];
        for dwelling in self.machines.iter().filter_map(|one| one.dwelling.as_ref()) {
            let counts = dwelling.streams.compaction();
            sums[0] += counts.passes.get();
            sums[1] += counts.records_left_out.get();
            sums[2] += dwelling.gaps as u64;
        }
        sums
    }

    /// A replica is away while a key that it has is deleted, and long after.
    fn delete_while_away(&mut self) {
        let key = key(1, 0);
        self.keeps_all = true;
        self.heal();
        self.until("all are well", Self::is_well);
        self.write(key, &[("mine", "here")]);
        self.until("all have it", Self::is_well);
        let away = self.away();
        self.cut_off(Some(away));
        self.until("it is not in sync any more", |world| {
            !world.partition(0).in_sync.contains(&away)
        });
        self.write(key, &[("mine", GONE)]);
        let before = self.tidied()[0];
        while self.tidied()[0] < before + 20 {
            let filler = format!("{:0>900}", self.tidied()[0]);
            self.write(key, &[("other", &filler), ("more", &filler)]);
        }
        self.cut_off(None);
        self.until("it is back", Self::is_well);
        self.conclude();
    }

    /// One that does not lead.
    fn away(&self) -> NodeId {
        let leader = self.partition(0).leader;
        let mut others = NODES.into_iter().filter(|&node| Some(node) != leader);
        others.next().expect("there are three")
    }

    fn cut_off(&mut self, node: Option<NodeId>) {
        self.cut_off = node;
        node.into_iter().for_each(|node| self.break_links(node));
    }

    /// Waits until it is acknowledged.
    fn write(&mut self, key: dolmen::streams::Key, records: &[(&str, &str)]) {
        let before = self.acknowledged.len();
        self.until("somebody takes it", |world| {
            if world.offered.is_empty() {
                let leader = world.partition(key.partition.0).leader;
                let Some(leader) = leader else { return false };
                let records = records.iter();
                let records = records.map(|(key, value)| (key.to_string(), value.to_string()));
                world.next_keyed = Some(records.collect());
                world.offer(place(leader), key, Acks::All);
                world.next_keyed = None;
            }
            world.take_outcomes();
            world.acknowledged.len() > before
        });
    }
}

/// Those that readers see, by their offsets.
fn records(view: &View) -> BTreeMap<u64, Found> {
    let marks = view.marks();
    let (mut at, mut found) = (marks.first, BTreeMap::new());
    while at < marks.watermark {
        let read = view.read(at, marks.watermark, 1, Way::Plain).unwrap();
        let Some(read) = read else { break };
        let header = Header::of(&read.bytes).unwrap();
        assert!(
            !header.attributes().has(Attributes::CONTROL),
            "nobody ends transactions"
        );
        let records = Records::of(&read.bytes, 1 << 20, &mut Unpacker::default()).unwrap();
        for record in records.iter().map(Result::unwrap) {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            if record.offset >= marks.first {
                let record_key = record.key.map(text).unwrap_or_default();
                found.insert(record.offset.0, (record_key, record.value.map(text)));
            }
        }
        assert!(read.next > at, "it reads on");
        at = read.next;
    }
    assert!(at >= marks.watermark || at == Offset(0) || found.is_empty());
    found
}

fn live(seed: u64, kind: Kind) -> World {
    super::live_in(seed, World::of(seed, kind))
}

fn seeds() -> std::ops::Range<u64> {
    match super::seed() {
        Some(seed) => seed..seed + 1,
        None => 0..if crate::full() { SEEDS_FULL } else { SEEDS },
    }
}

#[test]
fn replicas_that_compact_by_themselves_come_to_the_same() {
    for kind in [Kind::Compacted, Kind::Deleted] {
        let (mut sums, mut dropped) = ([0; 3], 0);
        for seed in seeds() {
            let world = live(seed, kind);
            let tidied = world.tidied();
            (0..3).for_each(|n| sums[n] += tidied[n]);
            dropped += u32::from(world.first(0) > 0 || world.first(1) > 0);
        }
        let [passes, left_out, gaps] = sums;
        println!(
            "{kind:?}: {passes} passes left out {left_out}, {gaps} gaps sent, {dropped} dropped"
        );
        if super::seed().is_none() {
            assert!(
                passes > 20 && left_out > 200 && gaps > 5,
                "{kind:?}: {sums:?}"
            );
        }
    }
}

/// What a history comes to, down to the bytes on the disks.
fn outcome(seed: u64) -> (World, Vec<u64>) {
    let world = live(seed, Kind::Deleted);
    let digests = world.machines.iter().map(|one| one.disk.digest());
    let digests = digests.collect();
    (world, digests)
}

#[test]
fn a_seed_is_one_history() {
    let [(one, disks), (other, same)] = [outcome(7), outcome(7)];
    assert!(one.tidied()[0] > 0, "some of it was compacted");
    assert_eq!(one.acknowledged, other.acknowledged);
    assert_eq!(disks, same);
}

#[test]
fn what_is_deleted_while_a_replica_is_away_stays_deleted() {
    let live = |seed| World::of(seed, Kind::Compacted).delete_while_away();
    (0..3).for_each(live);
    let planted = plant(Fault::DeletesForgotten);
    let lived = catch_unwind(AssertUnwindSafe(|| live(0)));
    drop(planted);
    assert!(lived.is_err(), "what comes back goes unseen");
}
