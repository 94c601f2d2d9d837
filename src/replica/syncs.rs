//! Syncs on their way: what is asked for while one round is under way goes
//! with the next, so that many cost one round of messages.

use super::Replica;
use super::desk::ConnectionId;
use crate::ids::Index;
use std::time::Duration;

/// Who waits, and for what of theirs.
pub enum Waiter {
    Line {
        connection: ConnectionId,
        ticket: u64,
    },
    Inside(WhenCurrent),
}

/// Called once this node has applied all that was committed anywhere when it
/// was asked for.
pub type WhenCurrent = Box<dyn FnOnce(&mut Replica) + Send>;

pub struct Syncs<W> {
    /// Asked for after the round under way began: it would not count for them.
    next: Vec<W>,
    under_way: Option<Round<W>>,
    /// Confirmed, and waiting until this much is applied.
    confirmed: Vec<(Index, W)>,
    counter: u64,
}

struct Round<W> {
    counter: u64,
    since: Duration,
    waiters: Vec<W>,
}

impl<W> Default for Syncs<W> {
    fn default() -> Self {
        Self {
            next: Vec::new(),
            under_way: None,
            confirmed: Vec::new(),
            counter: 0,
        }
    }
}

impl<W> Syncs<W> {
    pub fn ask(&mut self, waiter: W) {
        self.next.push(waiter);
    }

    /// The number of a round to begin, if one is due. A round that brought no
    /// answer (no leader, a lost message) is begun again under a new number:
    /// an answer to the old one would be as good, but consensus merges equal
    /// numbers.
    pub fn begin(&mut self, now: Duration, retry_after: Duration) -> Option<u64> {
        match &mut self.under_way {
            Some(round) if now.saturating_sub(round.since) < retry_after => return None,
            Some(round) => {
                // Who came since may go with it: the new round begins now.
                round.waiters.append(&mut self.next);
                round.since = now;
            }
            None if self.next.is_empty() => return None,
            None => {
                self.under_way = Some(Round {
                    counter: 0,
                    since: now,
                    waiters: std::mem::take(&mut self.next),
                });
            }
        }
        self.counter += 1;
        let round = self.under_way.as_mut().expect("set above");
        round.counter = self.counter;
        Some(self.counter)
    }

    /// A round came back: all that was committed when it began is below
    /// `index`.
    pub fn confirm(&mut self, counter: u64, index: Index) {
        if let Some(round) = self.under_way.take_if(|round| round.counter == counter) {
            let waiters = round.waiters.into_iter();
            self.confirmed.extend(waiters.map(|waiter| (index, waiter)));
        }
    }

    /// Who may be answered now that this much is applied.
    pub fn done(&mut self, applied: Index) -> Vec<W> {
        if self.confirmed.is_empty() {
            return Vec::new();
        }
        let ready = self
            .confirmed
            .extract_if(.., |(index, _)| *index <= applied);
        ready.map(|(_, waiter)| waiter).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY: Duration = Duration::from_millis(100);

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn what_comes_during_a_round_waits_for_the_next() {
        let mut syncs = Syncs::default();
        assert_eq!(syncs.begin(at(0), RETRY), None);
        syncs.ask(1);
        assert_eq!(syncs.begin(at(0), RETRY), Some(1));
        syncs.ask(2);
        assert_eq!(syncs.begin(at(1), RETRY), None);
        syncs.confirm(1, Index(10));
        assert_eq!(syncs.done(Index(9)), [0; 0]);
        assert_eq!(syncs.done(Index(10)), [1]);
        assert_eq!(syncs.begin(at(2), RETRY), Some(2));
        syncs.confirm(2, Index(10));
        assert_eq!(syncs.done(Index(10)), [2]);
        assert_eq!(syncs.begin(at(9999), RETRY), None);
    }

    #[test]
    fn a_lost_round_is_begun_again_under_another_number() {
        let mut syncs = Syncs::default();
        syncs.ask(1);
        assert_eq!(syncs.begin(at(0), RETRY), Some(1));
        assert_eq!(syncs.begin(at(99), RETRY), None);
        assert_eq!(syncs.begin(at(100), RETRY), Some(2));
        syncs.confirm(1, Index(1));
        assert_eq!(syncs.done(Index(5)), [0; 0]);
        syncs.confirm(2, Index(2));
        assert_eq!(syncs.done(Index(5)), [1]);
    }
}
