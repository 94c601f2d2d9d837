//! What waits for the disk. An answer does not leave, nor is a partition told
//! how a transaction ends, before every record that was written before it is
//! durable: who is told something must find it again, whichever node answers
//! next.

use super::request::{Reply, Token};
use super::{Error, Name};
use crate::limits::COORDINATOR_ANSWERS_MAX;
use crate::planted;
use std::collections::VecDeque;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Held {
    Answer(Token, Result<Reply, Error>),
    /// The end of a transaction, by its order among all.
    End {
        id: Name,
        order: u64,
    },
}

#[derive(Debug, Default)]
pub(super) struct Desk {
    /// Records since the partition was gained.
    written: u64,
    durable: u64,
    /// Each with the records that must be durable, in the order of those.
    held: VecDeque<(u64, Held)>,
}

impl Desk {
    pub fn is_full(&self) -> bool {
        self.held.len() >= COORDINATOR_ANSWERS_MAX
    }

    /// The count of records with these.
    pub fn write(&mut self, records: usize) -> u64 {
        self.written += records as u64;
        self.written
    }

    pub fn hold(&mut self, held: Held) {
        let is_early = match held {
            Held::Answer(..) => planted!(TransactionAnswerEarly),
            Held::End { .. } => planted!(MarkerEarly),
        };
        // An early one goes first, or it would wait for those before it.
        match is_early {
            true => self.held.push_front((0, held)),
            false => self.held.insert(self.place_of(&held), (self.written, held)),
        }
    }

    /// Whoever waits hears of what was written before partitions are told of it.
    fn place_of(&self, held: &Held) -> usize {
        let is_beside =
            |(after, one): &&(u64, Held)| *after == self.written && matches!(one, Held::End { .. });
        match held {
            Held::Answer(..) => {
                self.held.len() - self.held.iter().rev().take_while(is_beside).count()
            }
            Held::End { .. } => self.held.len(),
        }
    }

    pub fn make_durable(&mut self, records: u64) {
        self.durable = self.durable.max(records.min(self.written));
    }

    /// The next that may leave now.
    pub fn release(&mut self) -> Option<Held> {
        let (after, _) = self.held.front()?;
        match *after <= self.durable {
            true => self.held.pop_front().map(|(_, held)| held),
            false => None,
        }
    }

    /// Who waits for an answer that can be given by nobody here any more.
    pub fn clear(&mut self) -> Vec<Token> {
        let held = std::mem::take(self).held;
        let token = |(_, held)| match held {
            Held::Answer(token, _) => Some(token),
            Held::End { .. } => None,
        };
        held.into_iter().filter_map(token).collect()
    }
}
