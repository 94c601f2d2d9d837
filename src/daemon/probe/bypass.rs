//! From which size on a batch had better go past the journal. Through it, the
//! bytes are written twice and waited for once; past it, they are written
//! once, and both the segment and a mark in the journal are waited for.

use super::bench::{Bench, full, write_one};
use crate::disk::{Disk, File, How, Lane, RealDisk};
use crate::limits::BLOCK_BYTES;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// What one batch of a size costs by either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bypass {
    pub kib: usize,
    pub journal: Duration,
    pub straight: Duration,
}

const SIZES_KIB: [usize; 6] = [16, 32, 64, 128, 256, 512];
const ROUNDS: u32 = 2;
const SHARE: u32 = 180;
/// The largest batch with its block of headers, and 30 times that.
const JOURNAL_BYTES: u64 = 16 << 20;
const SEGMENT_BYTES: u64 = 64 << 20;
const JOURNAL: &str = "bypass-journal";
const SEGMENT: &str = "bypass-segment";

pub(super) fn measure(bench: &Bench<'_>, disk: &RealDisk, how: How) -> io::Result<Vec<Bypass>> {
    bench.zeroed(JOURNAL, JOURNAL_BYTES)?;
    bench.enter("journal or straight");
    let time = bench.share(SHARE) / (2 * ROUNDS * SIZES_KIB.len() as u32);
    let of_size = |kib: usize| {
        let mut ways = Ways {
            bench,
            disk,
            journal: disk.open(JOURNAL, how)?,
            lane: disk.lane()?,
            bytes: kib << 10,
            time,
        };
        let (mut journal, mut straight) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ways.through_journal(&mut journal)?;
            ways.straight(&mut straight)?;
        }
        Ok(Bypass {
            kib,
            journal: median(journal),
            straight: median(straight),
        })
    };
    SIZES_KIB.into_iter().map(of_size).collect()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

struct Ways<'a> {
    bench: &'a Bench<'a>,
    disk: &'a RealDisk,
    journal: Arc<dyn File>,
    lane: Box<dyn Lane>,
    bytes: usize,
    time: Duration,
}

impl Ways<'_> {
    /// The segment's sync serves all batches before it, so each bears a part.
    fn through_journal(&mut self, times: &mut Vec<Duration>) -> io::Result<()> {
        let segment = self.segment()?;
        let framed = self.bytes + BLOCK_BYTES;
        let turns = JOURNAL_BYTES / framed as u64;
        let batch = full(self.bytes);
        let mut held = Some(full(framed));
        let measured = self.bench.repeat(self.time, |turn| {
            let at = turn as u64 % turns * framed as u64;
            let block = held.take().expect("given back by the write before");
            held = Some(write_one(&mut *self.lane, &self.journal, at, block)?);
            segment.write_all_at(self.at(turn), &batch)
        })?;
        let sync = self.bench.repeat(Duration::ZERO, |_| segment.sync())?[0];
        let part = sync / measured.len() as u32;
        times.extend(measured.into_iter().map(|time| time + part));
        self.disk.remove(SEGMENT)
    }

    fn straight(&mut self, times: &mut Vec<Duration>) -> io::Result<()> {
        let segment = self.segment()?;
        let batch = full(self.bytes);
        let mut held = Some(full(BLOCK_BYTES));
        times.extend(self.bench.repeat(self.time, |turn| {
            segment.write_all_at(self.at(turn), &batch)?;
            segment.sync()?;
            let at = (turn * BLOCK_BYTES) as u64 % JOURNAL_BYTES;
            let block = held.take().expect("given back by the write before");
            held = Some(write_one(&mut *self.lane, &self.journal, at, block)?);
            Ok(())
        })?);
        self.disk.remove(SEGMENT)
    }

    /// With room and without zeros, as a log's segments are.
    fn segment(&self) -> io::Result<Arc<dyn File>> {
        let segment = self.disk.open(SEGMENT, How::Create)?;
        segment.allocate(SEGMENT_BYTES)?;
        segment.sync()?;
        Ok(segment)
    }

    fn at(&self, turn: usize) -> u64 {
        (turn * self.bytes) as u64 % SEGMENT_BYTES
    }
}
