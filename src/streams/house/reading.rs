//! Reads a partition back: what its last checkpoint says, and every batch behind
//! it, a step at a time. Runs on the lane's worker, beside the log's thread.

use super::checkpoint::Checkpoint;
use super::rolling::Rolling;
use super::times::Times;
use crate::clock::Millis;
use crate::disk::{Disk, How};
use crate::ids::{Index, LogId, Offset};
use crate::limits::{STREAMS_CHECKPOINT_BYTES_MAX, STREAMS_READ_STEP_BYTES};
use crate::log::{Device, Shelf, Way};
use crate::planted;
use crate::streams::Key;
use crate::streams::batch::header::Header;
use crate::streams::batch::stored::{Kind, Stored};
use crate::streams::partition::Epochs;
use crate::streams::producers::Producers;
use std::io;
use std::sync::Arc;

pub const FOLDER: &str = "streams";
const READ_BYTES: usize = 1 << 20;

/// What a log says of its partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadBack {
    pub first: Offset,
    pub next: Offset,
    /// Compacted up to here.
    pub clean_until: Offset,
    pub epochs: Epochs,
    pub times: Times,
    pub producers: Producers,
    /// What was read behind the last checkpoint.
    pub bytes: u64,
    /// The segment that is written to; None where it has no record.
    pub rolling: Option<Rolling>,
    /// Where the log ended when this was begun.
    until: Offset,
}

/// Two files a partition, written in turn: the one that is not the newest
/// serves where a cut has made the newest too new.
pub fn checkpoint_names(log: LogId) -> [String; 2] {
    ["a", "b"].map(|turn| format!("{FOLDER}/{:016x}.{turn}", log.0))
}

/// Has the lane's worker remove them.
pub fn forget_checkpoints(device: &mut Device, log: LogId) {
    let disk = device.disk().clone();
    let task = move || {
        for name in checkpoint_names(log) {
            // It may never have been written.
            let _ = disk.remove(&name);
        }
        Ok(())
    };
    device.errand(Box::new(task), Box::new(|_| ()));
}

/// From the first record of the segment that is written to. One that cannot be
/// read begins with the next record: it lasts too long, once.
fn rolling(shelf: &Arc<Shelf>, now: Millis) -> Option<Rolling> {
    let first = shelf.active_first()?.max(shelf.first());
    let read = shelf.read(first, 1, Way::Plain).ok()??;
    let stored = Stored::read(&read.bytes).ok()?;
    let latest = latest(&stored, now).unwrap_or(now.0 as i64);
    Some(Rolling::begun(Offset(first.0), latest))
}

/// The checkpoint may know of transactions whose last trace compaction has taken
/// away since. Only where segments were written anew is that looked for.
fn keep_marked(shelf: &Shelf, producers: &mut Producers) -> io::Result<()> {
    let spans = shelf.spans();
    let is_rewritten = |at: Offset| {
        let behind = spans.partition_point(|span| span.first.0 <= at.0);
        let span = behind.checked_sub(1).map(|place| spans[place]);
        span.is_some_and(|span| span.is_rewritten)
    };
    let mut outcome = Ok(());
    producers.keep_aborted(|one| {
        if outcome.is_err() || !is_rewritten(one.last) {
            return true;
        }
        match is_marker(shelf, one.last) {
            Ok(is_there) => is_there,
            Err(error) => {
                outcome = Err(error);
                true
            }
        }
    });
    outcome
}

/// Whether a marker stands at this offset.
fn is_marker(shelf: &Shelf, at: Offset) -> io::Result<bool> {
    let read = shelf.read(Index(at.0), 1, Way::Plain);
    let read = read.map_err(|error| io::Error::other(error.to_string()))?;
    let Some(read) = read else {
        return Ok(false);
    };
    let total = Header::of(&read.bytes).and_then(|header| header.total_bytes());
    let batch = total.and_then(|total| read.bytes.get(..total));
    let batch = batch.ok_or_else(|| io::Error::other("a batch is cut"))?;
    let stored = Stored::read(batch).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(stored.first == at && matches!(stored.kind, Kind::Marker(_)))
}

impl ReadBack {
    /// Of a log that ends at `until`, before anything is read.
    pub fn new(first: Offset, until: Offset) -> Self {
        Self {
            first,
            next: first,
            clean_until: Offset(0),
            epochs: Epochs::default(),
            times: Times::default(),
            producers: Producers::new(first),
            bytes: 0,
            rolling: None,
            until,
        }
    }

    /// What the newest checkpoint says, where there is one.
    pub fn begin(disk: &dyn Disk, shelf: &Arc<Shelf>, key: Key) -> io::Result<Self> {
        let (first, until) = (Offset(shelf.first().0), Offset(shelf.durable_until().0));
        let mut read = Self::new(first, until);
        if let Some(found) = newest_checkpoint(disk, shelf, key, first, until) {
            read.next = found.next;
            read.clean_until = found.clean_until.min(found.next);
            read.epochs = found.epochs;
            read.times = found.times;
            read.producers = found.producers;
        }
        read.forget_before(first);
        keep_marked(shelf, &mut read.producers)?;
        Ok(read)
    }

    /// Reads one step further.
    pub fn go_on(&mut self, shelf: &Arc<Shelf>, now: Millis) -> io::Result<()> {
        let mut left = STREAMS_READ_STEP_BYTES;
        while self.next < self.until && left > 0 {
            let at = Index(self.next.0);
            let chunk = shelf.read(at, READ_BYTES, Way::Plain);
            let chunk = chunk.map_err(|error| io::Error::other(error.to_string()))?;
            let Some(chunk) = chunk else {
                let until = self.until;
                return Err(io::Error::other(format!(
                    "the log has nothing to read at {at}, and goes on to {until}"
                )));
            };
            left = left.saturating_sub(chunk.bytes.len());
            self.take(&chunk.bytes, now)?;
        }
        if self.is_through() {
            // More may have been dropped since it was begun.
            self.forget_before(Offset(shelf.first().0));
            self.rolling = rolling(shelf, now);
        }
        Ok(())
    }

    pub fn is_through(&self) -> bool {
        self.next >= self.until
    }

    /// What is known by now, for a start that would else begin before it.
    pub fn checkpoint(&self, key: Key) -> Checkpoint {
        Checkpoint {
            key,
            first: self.first,
            next: self.next,
            clean_until: self.clean_until,
            epochs: self.epochs.clone(),
            times: self.times.clone(),
            producers: self.producers.clone(),
        }
    }

    fn forget_before(&mut self, first: Offset) {
        self.first = self.first.max(first);
        self.producers.forget_before(first);
        self.epochs.drop_prefix(first);
        self.times.drop_prefix(first);
    }

    fn take(&mut self, mut bytes: &[u8], now: Millis) -> io::Result<()> {
        while !bytes.is_empty() {
            let total = Header::of(bytes).and_then(|header| header.total_bytes());
            let total = total.filter(|&total| total <= bytes.len());
            let total = total.ok_or_else(|| io::Error::other("a batch is cut"))?;
            let (batch, rest) = bytes.split_at(total);
            let stored = Stored::read(batch);
            let stored = stored.map_err(|error| io::Error::other(error.to_string()))?;
            // The first batch may begin below the first offset that counts.
            if stored.next > self.next {
                self.epochs
                    .note(stored.leader_epoch, stored.first.max(self.first));
                if let Some(latest) = latest(&stored, now) {
                    self.times.note(stored.first.max(self.first), latest, total);
                }
                self.producers.take(&stored, now);
                self.next = stored.next;
                self.bytes += total as u64;
            }
            bytes = rest;
        }
        Ok(())
    }
}

/// The time of a batch, where any record is left of it.
pub fn latest(stored: &Stored, now: Millis) -> Option<i64> {
    stored.max_timestamp.map(|latest| timed(latest, now))
}

/// Records without a time are as old as what was found of them.
pub fn timed(max_timestamp: i64, now: Millis) -> i64 {
    match max_timestamp {
        ..0 => now.0 as i64,
        latest => latest,
    }
}

/// The newest that reads well and fits the log as it is.
fn newest_checkpoint(
    disk: &dyn Disk,
    shelf: &Shelf,
    key: Key,
    first: Offset,
    next: Offset,
) -> Option<Checkpoint> {
    let names = checkpoint_names(shelf.id);
    let found = names.iter().filter_map(|name| read_checkpoint(disk, name));
    let fits = |one: &Checkpoint| {
        one.key == key && (first..=next).contains(&one.next) && is_of_this_history(shelf, one)
    };
    found.filter(fits).max_by_key(|one| one.next)
}

/// A log that was cut and went on otherwise may be as long as it was when the
/// checkpoint was made. A leader's epoch is one leader's alone: where the record
/// before the end is of the same epoch, all below it are the same.
fn is_of_this_history(shelf: &Shelf, one: &Checkpoint) -> bool {
    let before = match one.next.0.checked_sub(1) {
        Some(before) if before >= shelf.first().0 => before,
        // What it knows of is dropped. Where the log was begun anew it never was
        // in this one, but in one that had parted from the leader's.
        _ => return shelf.begun_at() != Some(Index(one.next.0)),
    };
    let found = shelf.read(Index(before), 1, Way::Plain).ok().flatten();
    let epoch = found.and_then(|read| Some(Header::of(&read.bytes)?.leader_epoch()));
    let is_same = epoch.is_some() && epoch == one.epochs.at(Offset(before));
    is_same || planted!(OtherHistoryTrusted)
}

/// None where it is not there or does not read: the log has everything.
fn read_checkpoint(disk: &dyn Disk, name: &str) -> Option<Checkpoint> {
    let file = disk.open(name, How::Read).ok()?;
    let length = file.len().ok()?;
    if length > STREAMS_CHECKPOINT_BYTES_MAX as u64 {
        return None;
    }
    let mut bytes = vec![0; length as usize];
    file.read_exact_at(0, &mut bytes).ok()?;
    Checkpoint::decode(&bytes).ok()
}

/// Written whole under another name first: a power cut leaves the old one.
pub fn write_checkpoint(disk: &dyn Disk, name: &str, bytes: &[u8]) -> io::Result<()> {
    let new = format!("{name}.new");
    let _ = disk.remove(&new);
    let file = disk.open(&new, How::Create)?;
    file.write_all_at(0, bytes)?;
    file.sync()?;
    disk.rename(&new, name)
}
