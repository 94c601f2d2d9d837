//! The producer ids of this node that are nobody's yet, a block of the
//! replicated state at a time, and who waits for some.

use crate::ids::{PartitionId, ProducerId};
use crate::limits::TRANSACTIONS_PARKED_MAX;
use crate::streams::transactions::Error;
use std::collections::VecDeque;
use std::ops::Range;
use tokio::sync::oneshot;

/// What one coordinator is given at a time: a program's producers.
const OF_A_COORDINATOR: u64 = 16;

pub(super) enum Wish {
    Producer(oneshot::Sender<Result<ProducerId, Error>>),
    /// A seat, in one of its lives.
    Seat(PartitionId, u64),
}

/// What a seat is given; None where nothing is to be had.
pub(super) type Given = (PartitionId, u64, Option<Range<u64>>);

#[derive(Default)]
pub(super) struct Stock {
    rest: Range<u64>,
    wishes: VecDeque<Wish>,
    is_drawing: bool,
}

impl Stock {
    pub(super) fn wish(&mut self, wish: Wish) {
        match wish {
            Wish::Producer(answer) if self.wishes.len() >= TRANSACTIONS_PARKED_MAX => {
                // A caller that has gone away needs no answer.
                let _ = answer.send(Err(Error::Busy));
            }
            // A seat has one wish at a time.
            wish => self.wishes.push_back(wish),
        }
    }

    /// Whether a block is to be drawn now.
    pub(super) fn wants_block(&mut self) -> bool {
        let wants = !self.is_drawing && !self.wishes.is_empty();
        self.is_drawing |= wants;
        wants
    }

    pub(super) fn drawn(&mut self, block: Option<Range<u64>>) -> Vec<Given> {
        self.is_drawing = false;
        match block {
            Some(block) => {
                self.rest = block;
                self.serve()
            }
            None => std::mem::take(&mut self.wishes)
                .into_iter()
                .filter_map(refuse)
                .collect(),
        }
    }

    /// Fulfils what can be.
    pub(super) fn serve(&mut self) -> Vec<Given> {
        let mut given = Vec::new();
        while !self.rest.is_empty()
            && let Some(wish) = self.wishes.pop_front()
        {
            match wish {
                Wish::Producer(answer) => {
                    let id = self.take(1).start;
                    let _ = answer.send(Ok(ProducerId(id)));
                }
                Wish::Seat(partition, life) => {
                    given.push((partition, life, Some(self.take(OF_A_COORDINATOR))));
                }
            }
        }
        given
    }

    fn take(&mut self, most: u64) -> Range<u64> {
        let start = self.rest.start;
        self.rest.start = self.rest.end.min(start.saturating_add(most));
        start..self.rest.start
    }
}

fn refuse(wish: Wish) -> Option<Given> {
    match wish {
        Wish::Producer(answer) => {
            let _ = answer.send(Err(Error::NoProducerIds));
            None
        }
        Wish::Seat(partition, life) => Some((partition, life, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_id_is_given_twice() {
        let mut stock = Stock::default();
        let mut heard = Vec::new();
        for n in 0..3 {
            let (put, given) = oneshot::channel();
            stock.wish(Wish::Producer(put));
            heard.push(given);
            stock.wish(Wish::Seat(PartitionId(n), 7));
        }
        assert!(stock.wants_block());
        assert!(!stock.wants_block(), "one is on its way");
        assert!(stock.serve().is_empty());
        let mut ids: Vec<u64> = Vec::new();
        for block in [100..120, 120..140] {
            let given = stock.drawn(Some(block)).into_iter();
            ids.extend(given.flat_map(|(_, life, ids)| {
                assert_eq!(life, 7);
                ids.unwrap()
            }));
            stock.wants_block();
        }
        let producers = heard.into_iter().filter_map(|mut one| one.try_recv().ok());
        ids.extend(producers.map(|id| id.unwrap().0));
        ids.sort_unstable();
        let given = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), given);
        assert!(ids.iter().all(|id| (100..140).contains(id)));
    }

    #[test]
    fn who_waits_hears_that_there_are_none() {
        let mut stock = Stock::default();
        let (put, mut given) = oneshot::channel();
        stock.wish(Wish::Producer(put));
        stock.wish(Wish::Seat(PartitionId(3), 1));
        assert!(stock.wants_block());
        assert_eq!(stock.drawn(None), [(PartitionId(3), 1, None)]);
        assert_eq!(given.try_recv().unwrap(), Err(Error::NoProducerIds));
        assert!(!stock.wants_block(), "nobody waits any more");
    }
}
