//! Writes down now and then what is known of a partition, so that a start need
//! not read its whole log.

use super::Event;
use super::checkpoint::Checkpoint;
use super::holding::{Hands, Holding};
use super::reading;
use crate::disk::Disk;
use crate::ids::{LogId, Offset};
use crate::limits::{STREAMS_CHECKPOINT_EVERY_BYTES, STREAMS_READ_STEP_BYTES};
use std::io;

#[derive(Default)]
pub(super) struct Keeping {
    /// Bytes of the log that no checkpoint knows of.
    unwritten_bytes: u64,
    /// They are worth one.
    is_due: bool,
    /// As encoded at an offset, to be written once all below is durable.
    captured: Option<(Offset, Vec<u8>)>,
    is_writing: bool,
    /// Which of the two files is next.
    turn: usize,
}

impl Keeping {
    /// So many bytes were appended.
    pub fn note(&mut self, bytes: usize) {
        self.unwritten_bytes += bytes as u64;
        self.is_due |= self.unwritten_bytes >= STREAMS_CHECKPOINT_EVERY_BYTES;
    }

    /// What is known was read from the log, so many bytes of it behind the last
    /// checkpoint. Where that was much the next start need not do it again.
    pub fn has_read(&mut self, bytes: u64) {
        self.unwritten_bytes = bytes;
        self.is_due = bytes >= STREAMS_READ_STEP_BYTES as u64;
    }

    /// All that is known is being written down.
    fn has_captured(&mut self, captured: Option<(Offset, Vec<u8>)>) {
        if captured.is_some() {
            (self.unwritten_bytes, self.is_due) = (0, false);
        }
        self.captured = captured;
    }

    pub fn forget(&mut self) {
        self.captured = None;
    }

    pub fn next_name(&mut self, log: LogId) -> String {
        self.turn = 1 - self.turn;
        let [a, b] = reading::checkpoint_names(log);
        if self.turn == 0 { a } else { b }
    }
}

impl Holding {
    /// Captures what is known once enough has come, and writes it once all of it
    /// is durable: a checkpoint never knows more than the log.
    pub(super) fn write_down(&mut self, hands: &mut Hands) {
        if !self.is_open() || self.keeping.is_writing {
            return;
        }
        if self.keeping.captured.is_none() && self.keeping.is_due {
            let captured = self.capture();
            self.keeping.has_captured(captured);
        }
        let durable = self.shelf.durable_until().0;
        let is_durable = |(next, _): &mut (Offset, Vec<u8>)| next.0 <= durable;
        let Some((_, bytes)) = self.keeping.captured.take_if(is_durable) else {
            return;
        };
        self.keeping.is_writing = true;
        let name = self.keeping.next_name(self.log());
        let disk = hands.device.disk().clone();
        let (events, key, serial) = (hands.events.clone(), self.key, self.serial);
        let task = move || reading::write_checkpoint(&*disk, &name, &bytes);
        let done = move |outcome| events.put(key, serial, Event::CheckpointWritten { outcome });
        hands.device.errand(Box::new(task), Box::new(done));
    }

    /// Something has come to be known that reading the log again would not tell.
    pub(super) fn write_down_soon(&mut self) {
        let captured = self.capture();
        self.keeping.has_captured(captured);
    }

    fn capture(&self) -> Option<(Offset, Vec<u8>)> {
        let partition = self.partition.as_ref()?;
        let checkpoint = Checkpoint {
            key: self.key,
            first: partition.first(),
            next: partition.next(),
            clean_until: self.compaction.clean_until,
            epochs: partition.epochs().clone(),
            times: self.times.clone(),
            producers: self.producers.clone(),
        };
        Some((checkpoint.next, checkpoint.encode()))
    }

    /// The node stops, and everything is durable.
    pub fn leave(&mut self, disk: &dyn Disk) {
        if !self.is_open() || self.keeping.unwritten_bytes == 0 {
            return;
        }
        let name = self.keeping.next_name(self.log());
        let captured = self
            .capture()
            .filter(|(next, _)| next.0 <= self.shelf.durable_until().0);
        if let Some((_, bytes)) = captured
            && let Err(error) = reading::write_checkpoint(disk, &name, &bytes)
        {
            tracing::warn!(partition = %self.key, %error, "no checkpoint was written");
        }
    }

    pub(super) fn has_written(&mut self, outcome: io::Result<()>) {
        self.keeping.is_writing = false;
        if let Err(error) = outcome {
            tracing::debug!(partition = %self.key, %error, "no checkpoint was written");
        }
    }
}
