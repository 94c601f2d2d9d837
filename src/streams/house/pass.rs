//! One pass of compaction over one partition, from exchange to exchange. It reads by
//! the shelf and writes new segments beside the old ones; only their exchange goes
//! over the log's thread, where appends go before it. It is waited for: in the place
//! of a tombstone nothing may stand as long as what it deleted is still there before
//! it.

use super::reading::timed;
use super::times::Times;
use crate::clock::Millis;
use crate::ids::{Index, Offset};
use crate::log::{ReadError, Refused, Rewrite, Run, Shelf, Way, Written};
use crate::streams::Key;
use crate::streams::batch::header::Header;
use crate::streams::compact::{Figures, Sieve, Work};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const READ_BYTES: usize = 1 << 20;

/// What is to be done.
pub(super) struct Job {
    pub key: Key,
    pub serial: u64,
    /// Of the partition, as it is now.
    pub run: u64,
    pub shelf: Arc<Shelf>,
    /// The first offset that counts.
    pub first: Offset,
    /// What records without a time count as.
    pub now: Millis,
    pub work: Work,
    pub sieve: Sieve,
    /// The segments, each run to become one.
    pub runs: Vec<Run>,
}

/// What came of it.
#[derive(Default)]
pub(super) struct Compacted {
    pub run: u64,
    pub until: Offset,
    /// The times of all batches below `times_until`.
    pub times: Times,
    pub times_until: Offset,
    pub bytes_before: u64,
    pub bytes_after: u64,
    pub figures: Figures,
}

/// Why a pass came to no end.
#[derive(Debug)]
pub(super) enum NotCompacted {
    /// What it was about was dropped or cut meanwhile. The next one looks at what is
    /// left.
    Overtaken,
    /// The node stops, or does not hold the partition any more.
    GivenUp,
    /// New segments have no room beside the old ones.
    NoRoom,
    Failed(io::Error),
}

impl fmt::Display for NotCompacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overtaken => f.write_str("what was to be compacted has been dropped"),
            Self::GivenUp => f.write_str("the partition is not held here any more"),
            Self::NoRoom => f.write_str(
                "new segments have no room beside the old ones: free some space; until then it \
                 is tried again without another word",
            ),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl From<io::Error> for NotCompacted {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoRoom,
            _ => Self::Failed(error),
        }
    }
}

impl From<ReadError> for NotCompacted {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::BelowFirst { .. } => Self::Overtaken,
            ReadError::Closed => Self::GivenUp,
            error => Self::Failed(io::Error::other(error.to_string())),
        }
    }
}

/// Of an exchange.
impl From<Refused> for NotCompacted {
    fn from(why: Refused) -> Self {
        match why {
            Refused::OtherSegments | Refused::NoSuchLog(_) => Self::Overtaken,
            Refused::Full(_) => Self::NoRoom,
            why => Self::Failed(io::Error::other(why.to_string())),
        }
    }
}

/// What is next.
pub(super) enum Step {
    /// This is to be exchanged before the pass goes on.
    Exchange(Box<Written>),
    Done(Box<Compacted>),
}

pub(super) struct Pass {
    shelf: Arc<Shelf>,
    first: Offset,
    now: Millis,
    work: Work,
    sieve: Sieve,
    runs: std::vec::IntoIter<Run>,
    has_noted: bool,
    compacted: Compacted,
    is_stopping: Arc<AtomicBool>,
}

impl Pass {
    pub fn new(job: Job, is_stopping: Arc<AtomicBool>) -> Self {
        let compacted = Compacted {
            run: job.run,
            times_until: job.first,
            ..Compacted::default()
        };
        Self {
            shelf: job.shelf,
            first: job.first,
            now: job.now,
            work: job.work,
            sieve: job.sieve,
            runs: job.runs.into_iter(),
            has_noted: false,
            compacted,
            is_stopping,
        }
    }

    /// Goes on to the next exchange, or to the end. Not to be called behind that.
    pub fn go_on(&mut self) -> Result<Step, NotCompacted> {
        if !std::mem::replace(&mut self.has_noted, true) {
            self.note_keys()?;
        }
        let until = self.sieve.until();
        self.compacted.until = until;
        while let Some(run) = self.runs.next()
            && Offset(run.start().next.0) < until
        {
            self.compacted.times_until = Offset(run.next().0);
            if let Some(written) = self.write_anew(run)? {
                return Ok(Step::Exchange(Box::new(written)));
            }
        }
        self.compacted.figures = self.sieve.figures();
        Ok(Step::Done(Box::new(std::mem::take(&mut self.compacted))))
    }

    fn note_keys(&mut self) -> Result<(), NotCompacted> {
        let (from, until) = (self.work.from.max(self.first), self.work.until);
        let sieve = &mut self.sieve;
        each_batch(&self.shelf, from, until, &self.is_stopping, |batch| {
            sieve.note(batch, from).map_err(io::Error::other)
        })
    }

    /// Writes one run anew; None where it stays as it is.
    fn write_anew(&mut self, run: Run) -> Result<Option<Written>, NotCompacted> {
        let (start, next) = (run.start(), Offset(run.next().0));
        let from = self.first.max(Offset(start.next.0));
        if from >= next {
            // All of it was dropped from the front: what it ended with is not read.
            return Ok(None);
        }
        let (bytes_before, is_alone) = (run.bytes(), run.is_alone());
        let mut rewrite = run.begin()?;
        let (sieve, times, now) = (&mut self.sieve, &mut self.compacted.times, self.now);
        let (mut out, mut has_begun, mut is_changed) = (Vec::new(), false, false);
        each_batch(&self.shelf, from, next, &self.is_stopping, |batch| {
            if !std::mem::replace(&mut has_begun, true) {
                // What was dropped from the front leaves its place here.
                let first = Header::of(batch).map_or(0, |header| header.base_offset() as u64);
                let (begins, epoch) = (Offset(start.next.0), start.term.0 as i32);
                is_changed |= begins.0 < first;
                sieve.begin_gap(begins, Offset(first), epoch);
            }
            is_changed |= sieve.take(batch, &mut out).map_err(io::Error::other)?;
            put(&mut out, times, now, &mut rewrite)?;
            Ok(true)
        })?;
        sieve.close_gap(&mut out);
        put(&mut out, times, now, &mut rewrite)?;
        self.compacted.bytes_before += bytes_before;
        if is_alone && !is_changed {
            self.compacted.bytes_after += bytes_before;
            return Ok(None);
        }
        let written = rewrite.finish()?;
        self.compacted.bytes_after += written.bytes();
        Ok(Some(written))
    }
}

fn put(out: &mut Vec<u8>, times: &mut Times, now: Millis, rewrite: &mut Rewrite) -> io::Result<()> {
    let mut rest = &out[..];
    while let Some(header) = Header::of(rest) {
        let total = header.total_bytes().unwrap_or(rest.len());
        // An empty batch says how late its records were that are gone.
        if header.count() > 0 {
            let first = Offset(header.base_offset() as u64);
            times.note(first, timed(header.max_timestamp(), now), total);
        }
        rest = rest.get(total..).unwrap_or_default();
    }
    rewrite.write(out)?;
    out.clear();
    Ok(())
}

/// Every batch that has an offset from `from` on, below `until`, as long as it is
/// wanted.
fn each_batch(
    shelf: &Shelf,
    from: Offset,
    until: Offset,
    is_stopping: &AtomicBool,
    mut take: impl FnMut(&[u8]) -> io::Result<bool>,
) -> Result<(), NotCompacted> {
    let mut at = from;
    while at < until {
        if is_stopping.load(Ordering::Acquire) {
            return Err(NotCompacted::GivenUp);
        }
        // What is sealed reads, unless the log has begun anew since.
        let read = shelf.read(Index(at.0), READ_BYTES, Way::Plain)?;
        let read = read.ok_or(NotCompacted::Overtaken)?;
        let mut rest = &read.bytes[..];
        while !rest.is_empty() {
            let total = Header::of(rest).and_then(|header| header.total_bytes());
            let total = total.filter(|&total| total <= rest.len());
            let total = total.ok_or_else(|| io::Error::other("a batch is cut"))?;
            let (batch, behind) = rest.split_at(total);
            if !take(batch)? {
                return Ok(());
            }
            rest = behind;
        }
        at = Offset(read.next.0);
    }
    Ok(())
}
