//! What is counted of a load, and the offsets held against each other: what was
//! acknowledged, and what readers were given.

use super::failure::Failure;
use super::follower::Seen;
use super::histogram::Histogram;
use super::process::Cpu;
use super::producer::Acked;
use super::rounds::{Reading, Round, Times};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

#[derive(Default)]
pub struct Tally {
    partitions: Vec<Ends>,
    /// Each batch is waited for on both sides.
    is_followed: bool,
    /// What was acknowledged and not yet read, and the other way round, by
    /// partition and first offset.
    unseen: BTreeMap<(usize, u64), Instant>,
    unacked: BTreeMap<(usize, u64), Instant>,
    /// The counted time.
    from: Option<Instant>,
    until: Option<Instant>,
    /// Of all that was acknowledged, counted or not.
    total_bytes: u64,
    bytes: u64,
    records: u64,
    batches: u64,
    read_bytes: u64,
    read_records: u64,
    acks: Histogram,
    sights: Histogram,
}

/// The acknowledged offsets of a partition.
#[derive(Clone, Default)]
struct Ends {
    /// Without a hole up to here.
    until: u64,
    /// Ranges behind a hole.
    ahead: BTreeMap<u64, u64>,
}

impl Ends {
    fn add(&mut self, base: u64, records: u64) -> Result<(), Failure> {
        let is_new = base >= self.until && self.ahead.insert(base, base + records).is_none();
        if !is_new {
            let why = format!("the offset {base} was given twice");
            return Err(Failure::Answered(why));
        }
        while let Some(next) = self.ahead.remove(&self.until) {
            self.until = next;
        }
        Ok(())
    }
}

impl Tally {
    pub fn of(partitions: usize, is_followed: bool) -> Self {
        Self {
            partitions: vec![Ends::default(); partitions],
            is_followed,
            ..Self::default()
        }
    }

    pub fn count_from(&mut self, at: Instant) {
        self.from = Some(at);
    }

    pub fn count_until(&mut self, at: Instant) {
        self.until = Some(at);
    }

    fn counts(&self, at: Instant) -> bool {
        self.from.is_some_and(|from| at >= from) && self.until.is_none_or(|until| at < until)
    }

    pub fn acked(&mut self, acked: &Acked, now: Instant) -> Result<(), Failure> {
        // The echo has no partitions.
        if let Some(ends) = self.partitions.get_mut(acked.partition) {
            ends.add(acked.base, acked.records)?;
        }
        self.total_bytes += acked.bytes;
        if self.counts(now) {
            self.bytes += acked.bytes;
            self.records += acked.records;
            self.batches += 1;
        }
        if self.counts(acked.sent_at) {
            self.acks.add(now - acked.sent_at);
        }
        if self.is_followed {
            let key = (acked.partition, acked.base);
            match self.unacked.remove(&key) {
                Some(seen_at) => self.sight(acked.sent_at, seen_at),
                None => drop(self.unseen.insert(key, acked.sent_at)),
            }
        }
        Ok(())
    }

    /// A reader may be told before the producer is.
    pub fn seen(&mut self, seen: &Seen, at: Instant) {
        self.read_bytes += seen.bytes;
        self.read_records += seen.records;
        if self.is_followed {
            let key = (seen.partition, seen.base);
            match self.unseen.remove(&key) {
                Some(sent_at) => self.sight(sent_at, at),
                None => drop(self.unacked.insert(key, at)),
            }
        }
    }

    fn sight(&mut self, sent_at: Instant, at: Instant) {
        if self.counts(sent_at) {
            self.sights.add(at.saturating_duration_since(sent_at));
        }
    }

    pub fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// Where each partition ends, as the acknowledgements say.
    pub fn ends(&self) -> Vec<u64> {
        self.partitions.iter().map(|one| one.until).collect()
    }

    pub fn is_everywhere(&self) -> bool {
        self.partitions.iter().all(|ends| ends.until > 0)
    }

    /// All that was acknowledged was read, and the other way round.
    pub fn is_even(&self) -> bool {
        self.unseen.is_empty() && self.unacked.is_empty()
    }

    /// Why it is not.
    pub fn uneven(&self) -> String {
        let (unseen, unacked) = (self.unseen.len(), self.unacked.len());
        format!(
            "{unseen} batches that were acknowledged are not read, {unacked} that were read not \
             acknowledged"
        )
    }

    /// What was acknowledged is there without a hole, and readers have come to
    /// its end.
    pub fn whole(&self, reached: impl Iterator<Item = (usize, u64)>) -> Result<(), Failure> {
        for (partition, ends) in self.partitions.iter().enumerate() {
            if let Some((base, _)) = ends.ahead.first_key_value() {
                let until = ends.until;
                let why =
                    format!("partition {partition}: nothing was given {until}, but {base} was");
                return Err(Failure::Answered(why));
            }
        }
        for (partition, next) in reached {
            let until = self.partitions[partition].until;
            if next != until {
                let why = format!("partition {partition} was read to {next} and ends at {until}");
                return Err(Failure::Answered(why));
            }
        }
        Ok(())
    }

    pub fn round(&self, spent: Duration, used: Cpu, peak_kib: u64) -> Result<Round, Failure> {
        if self.batches == 0 {
            return Err(Failure::Lost("nothing was acknowledged in time".into()));
        }
        let (seconds, mb) = (spent.as_secs_f64(), self.bytes as f64 / 1e6);
        Ok(Round {
            mb_per_s: mb / seconds,
            records_per_s: self.records as f64 / seconds,
            ack: Times::of(&self.acks),
            sight: Times::of(&self.sights),
            client_ms_per_mb: used.client * 1e3 / mb,
            server_ms_per_mb: used.servers * 1e3 / mb,
            memory_mib: peak_kib as f64 / 1024.0,
            batches: self.batches,
        })
    }

    /// Of readers alone, that were to read so many records.
    pub fn reading(&self, spent: Duration, used: Cpu, expected: u64) -> Result<Reading, Failure> {
        let (records, seconds) = (self.read_records, spent.as_secs_f64());
        if records != expected {
            let why = format!("{records} records were read of {expected}");
            return Err(Failure::Lost(why));
        }
        let mb = self.read_bytes as f64 / 1e6;
        Ok(Reading {
            mb_per_s: mb / seconds,
            records_per_s: records as f64 / seconds,
            client_ms_per_mb: used.client * 1e3 / mb,
            server_ms_per_mb: used.servers * 1e3 / mb,
        })
    }
}
