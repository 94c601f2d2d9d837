//! Reads a partition back: what its last checkpoint says, and every batch behind
//! it. Runs on the lane's worker, beside the log's thread.

use super::checkpoint::Checkpoint;
use super::times::Times;
use crate::clock::Millis;
use crate::disk::{Disk, How};
use crate::ids::{Index, LogId, Offset};
use crate::limits::STREAMS_CHECKPOINT_BYTES_MAX;
use crate::log::{Shelf, Way};
use crate::streams::Key;
use crate::streams::batch::header::Header;
use crate::streams::batch::stored::Stored;
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
    pub epochs: Epochs,
    pub times: Times,
    pub producers: Producers,
    /// What was read behind the checkpoint.
    pub bytes: u64,
}

/// Two files a partition, written in turn: the one that is not the newest
/// serves where a cut has made the newest too new.
pub fn checkpoint_names(log: LogId) -> [String; 2] {
    ["a", "b"].map(|turn| format!("{FOLDER}/{:016x}.{turn}", log.0))
}

pub fn read_back(
    disk: &dyn Disk,
    shelf: &Arc<Shelf>,
    key: Key,
    now: Millis,
) -> io::Result<ReadBack> {
    let (first, next) = (Offset(shelf.first().0), Offset(shelf.durable_until().0));
    let from = newest_checkpoint(disk, shelf.id, key, first, next);
    let mut read = match from {
        Some(found) => ReadBack {
            first,
            next: found.next,
            epochs: found.epochs,
            times: found.times,
            producers: found.producers,
            bytes: 0,
        },
        None => ReadBack {
            first,
            next: first,
            epochs: Epochs::default(),
            times: Times::default(),
            producers: Producers::new(first),
            bytes: 0,
        },
    };
    read.producers.forget_before(first);
    read.epochs.drop_prefix(first);
    read.times.drop_prefix(first);
    while read.next < next {
        let at = Index(read.next.0);
        let chunk = shelf.read(at, READ_BYTES, Way::Plain);
        let chunk = chunk.map_err(|error| io::Error::other(error.to_string()))?;
        let Some(chunk) = chunk else {
            return Err(io::Error::other(format!(
                "the log has nothing to read at {at}, and goes on to {next}"
            )));
        };
        read.take(&chunk.bytes, now)?;
    }
    Ok(read)
}

impl ReadBack {
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
                let latest = latest(&stored, now);
                self.times.note(stored.first.max(self.first), latest, total);
                self.producers.take(&stored, now);
                self.next = stored.next;
                self.bytes += total as u64;
            }
            bytes = rest;
        }
        Ok(())
    }
}

/// Records without a time are as old as what was found of them.
pub fn latest(stored: &Stored, now: Millis) -> i64 {
    match stored.max_timestamp {
        ..0 => now.0 as i64,
        latest => latest,
    }
}

/// The newest that reads well and fits the log as it is.
fn newest_checkpoint(
    disk: &dyn Disk,
    log: LogId,
    key: Key,
    first: Offset,
    next: Offset,
) -> Option<Checkpoint> {
    let names = checkpoint_names(log);
    let found = names.iter().filter_map(|name| read_checkpoint(disk, name));
    let fits = |one: &Checkpoint| one.key == key && (first..=next).contains(&one.next);
    found.filter(fits).max_by_key(|one| one.next)
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
