//! The records of one partition on their way: those that wait, and the batch
//! that is under way.

use super::sending::{Entry, Gone};
use crate::ids::{Offset, ProducerId};
use crate::streams::batch::build::Builder;
use crate::streams::batch::codec::Codec;
use crate::streams::batch::header::Claim;
use crate::streams::batch::records::Record;
use bytes::Bytes;
use std::collections::VecDeque;

#[derive(Default)]
pub struct Lane {
    waiting: VecDeque<Entry>,
    flying: Option<Batch>,
    /// The number of the next record, among all that went here.
    sequence: i32,
    /// The most that the next batch may have, after one was refused.
    records_max: Option<usize>,
}

pub struct Batch {
    entries: Vec<Entry>,
    pub bytes: Bytes,
    pub plain_bytes: usize,
}

impl Batch {
    pub fn lines(&self) -> Vec<u64> {
        self.entries.iter().map(|entry| entry.line).collect()
    }
}

impl Lane {
    pub fn add(&mut self, entry: Entry) {
        self.waiting.push_back(entry);
    }

    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.flying.is_none()
    }

    pub fn flying(&self) -> Option<&Batch> {
        self.flying.as_ref()
    }

    /// Makes a batch of what waits, where none is under way. Answers the bytes
    /// that wait no more.
    pub fn fill(
        &mut self,
        codec: Codec,
        claim: Option<(ProducerId, i16)>,
        batch_bytes: usize,
        gone: &mut Vec<Gone>,
    ) -> usize {
        let mut freed = 0;
        while self.flying.is_none() && !self.waiting.is_empty() {
            let entries = self.next(batch_bytes);
            let bytes: usize = entries.iter().map(Entry::bytes).sum();
            freed += entries.iter().map(Entry::held_bytes).sum::<usize>();
            match self.build(&entries, codec, claim) {
                Ok(built) => {
                    self.flying = Some(Batch {
                        entries,
                        bytes: built.into(),
                        plain_bytes: bytes,
                    });
                }
                Err(why) => gone.push(Gone {
                    lines: entries.iter().map(|entry| entry.line).collect(),
                    why,
                }),
            }
        }
        freed
    }

    /// One record at the least, however long.
    fn next(&mut self, batch_bytes: usize) -> Vec<Entry> {
        let most = self.records_max.unwrap_or(usize::MAX);
        let mut entries = Vec::new();
        let mut bytes = 0;
        while let Some(entry) = self.waiting.front() {
            bytes += entry.bytes();
            let is_full = bytes > batch_bytes || entries.len() >= most;
            if is_full && !entries.is_empty() {
                break;
            }
            entries.extend(self.waiting.pop_front());
        }
        entries
    }

    fn build(
        &self,
        entries: &[Entry],
        codec: Codec,
        claim: Option<(ProducerId, i16)>,
    ) -> Result<Vec<u8>, String> {
        let mut builder = Builder::new(Offset(0), codec);
        if let Some((id, epoch)) = claim {
            let sequence = self.sequence;
            let claim = Claim {
                id,
                epoch,
                sequence,
            };
            builder = builder.producer(claim, false);
        }
        for (offset, entry) in (0..).zip(entries) {
            let added = builder.add(&Record {
                offset: Offset(offset),
                timestamp: entry.timestamp,
                key: entry.record.key.as_deref(),
                value: entry.record.value.as_deref(),
                headers: entry.record.headers.view(),
            });
            added.map_err(|unfit| unfit.to_string())?;
        }
        builder.finish().map_err(|unfit| unfit.to_string())
    }

    /// It has been written, and has its numbers.
    pub fn is_done(&mut self) -> Option<Batch> {
        let batch = self.flying.take()?;
        // Numbers go around after the greatest.
        let records = batch.entries.len() as i64;
        let next = i64::from(self.sequence) + records;
        self.sequence = (next & i64::from(i32::MAX)) as i32;
        self.records_max = self
            .records_max
            .map(|most| most.saturating_mul(2).max(batch.entries.len()));
        Some(batch)
    }

    /// Nothing was written, for one of its records: the half of it is tried
    /// next, until that one stands alone and is given up. Answers the bytes that
    /// wait again.
    pub fn split(&mut self, gone: &mut Vec<Gone>, why: impl Fn() -> String) -> usize {
        let Some(batch) = self.flying.take() else {
            return 0;
        };
        if let [only] = &batch.entries[..] {
            gone.push(Gone {
                lines: vec![only.line],
                why: why(),
            });
            return 0;
        }
        self.records_max = Some(batch.entries.len() / 2);
        let held_bytes = batch.entries.iter().map(Entry::held_bytes).sum();
        for entry in batch.entries.into_iter().rev() {
            self.waiting.push_front(entry);
        }
        held_bytes
    }

    /// The lines of all that is not done, which is dropped.
    pub fn take_lines(&mut self) -> Vec<u64> {
        let flying = self.flying.take();
        let mut lines = flying.map_or_else(Vec::new, |batch| batch.lines());
        lines.extend(self.waiting.drain(..).map(|entry| entry.line));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::format::Read;
    use super::*;
    use crate::limits::BATCH_PLAIN_BYTES_MAX;
    use crate::streams::batch::codec::Unpacker;
    use crate::streams::batch::header::Header;
    use crate::streams::batch::records::Records;

    const CLAIM: Option<(ProducerId, i16)> = Some((ProducerId(9), 2));

    fn entry(line: u64, bytes: usize) -> Entry {
        let record = Read {
            value: Some(vec![b'v'; bytes]),
            ..Read::default()
        };
        Entry::new(line, record, 1000 + line as i64)
    }

    fn lane(lines: std::ops::RangeInclusive<u64>) -> Lane {
        let mut lane = Lane::default();
        lines.for_each(|line| lane.add(entry(line, 84)));
        lane
    }

    /// Fills it and says which lines fly.
    fn fly(lane: &mut Lane) -> Vec<u64> {
        let mut gone = Vec::new();
        lane.fill(Codec::Lz4, CLAIM, 1000, &mut gone);
        assert_eq!(gone, []);
        lane.flying().map_or_else(Vec::new, Batch::lines)
    }

    #[test]
    fn a_batch_is_full_or_all_that_there_is_and_numbered_on() {
        let mut lane = lane(1..=23);
        for (first, last) in [(1, 10), (11, 20), (21, 23)] {
            let expected: Vec<_> = (first..=last).collect();
            assert_eq!(fly(&mut lane), expected);
            // What is not answered is sent as it was.
            assert_eq!(fly(&mut lane), expected);
            let bytes = lane.flying().unwrap().bytes.clone();
            let claim = Header::of(&bytes).unwrap().claim().unwrap();
            let (id, epoch) = CLAIM.unwrap();
            assert_eq!((claim.id, claim.epoch), (id, epoch));
            assert_eq!(claim.sequence, first as i32 - 1);
            let mut unpacker = Unpacker::default();
            let records = Records::of(&bytes, BATCH_PLAIN_BYTES_MAX, &mut unpacker).unwrap();
            let times: Vec<_> = records.iter().map(|one| one.unwrap().timestamp).collect();
            let lines = expected.iter().map(|line| 1000 + *line as i64);
            assert_eq!(times, lines.collect::<Vec<_>>());
            lane.is_done();
        }
        assert!(lane.is_idle());
    }

    #[test]
    fn a_record_that_is_refused_is_found_and_the_others_go_on() {
        let mut lane = lane(1..=10);
        let (mut written, mut gone) = (Vec::new(), Vec::new());
        let mut rounds = 0;
        while !lane.is_idle() {
            let lines = fly(&mut lane);
            match lines.contains(&7) {
                true => drop(lane.split(&mut gone, || "too large".into())),
                false => {
                    let bytes = lane.flying().unwrap().bytes.clone();
                    let claim = Header::of(&bytes).unwrap().claim().unwrap();
                    assert_eq!(claim.sequence, written.len() as i32);
                    written.extend(lines);
                    lane.is_done();
                }
            }
            rounds += 1;
            assert!(rounds < 20);
        }
        assert_eq!(written, [1, 2, 3, 4, 5, 6, 8, 9, 10]);
        let seven = Gone {
            lines: vec![7],
            why: "too large".into(),
        };
        assert_eq!(gone, [seven]);
    }

    #[test]
    fn what_fits_no_batch_is_given_up_alone() {
        let mut lane = Lane::default();
        lane.add(entry(1, BATCH_PLAIN_BYTES_MAX));
        lane.add(entry(2, 3));
        let mut gone = Vec::new();
        lane.fill(Codec::None, None, 1000, &mut gone);
        assert_eq!(gone.len(), 1);
        assert_eq!(gone[0].lines, [1]);
        assert_eq!(lane.take_lines(), [2]);
        assert!(lane.is_idle());
    }

    #[test]
    fn numbers_go_around() {
        let mut lane = lane(1..=3);
        lane.sequence = i32::MAX - 1;
        fly(&mut lane);
        lane.is_done();
        assert_eq!(lane.sequence, 1);
    }
}
