//! Answers on their way out. None leaves before every record that was written
//! before it is durable: who is told something must find it again, whichever
//! node answers next.

use super::turn::Answer;
use crate::limits::COORDINATOR_ANSWERS_MAX;
use crate::planted;
use std::collections::VecDeque;

#[derive(Debug, Default)]
pub(super) struct Desk {
    /// Records since the partition was gained.
    written: u64,
    durable: u64,
    /// Each with the records that must be durable, in the order of those.
    held: VecDeque<(u64, Answer)>,
}

impl Desk {
    pub(super) fn is_full(&self) -> bool {
        self.held.len() >= COORDINATOR_ANSWERS_MAX
    }

    /// The count of records with these.
    pub(super) fn write(&mut self, records: usize) -> u64 {
        self.written += records as u64;
        self.written
    }

    pub(super) fn hold(&mut self, answer: Answer) {
        let after = match planted!(GroupAnswerEarly) {
            true => 0,
            false => self.written,
        };
        self.held.push_back((after, answer));
    }

    pub(super) fn make_durable(&mut self, records: u64) {
        self.durable = self.durable.max(records.min(self.written));
    }

    /// What may leave now.
    pub(super) fn release(&mut self) -> Vec<Answer> {
        let ready = self
            .held
            .partition_point(|(after, _)| *after <= self.durable);
        self.held.drain(..ready).map(|(_, answer)| answer).collect()
    }

    /// What was held, none of which may be told any more.
    pub(super) fn clear(&mut self) -> Vec<Answer> {
        let held = std::mem::take(self).held;
        held.into_iter().map(|(_, answer)| answer).collect()
    }
}
