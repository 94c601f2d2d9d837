//! Whose turn it is among the requests of one transactional producer.
//!
//! The first batch that it sends to a partition may have to wait for the
//! transaction's coordinator, and the batches behind it must not go before:
//! a partition that has forgotten the producer would take them for its first.
//! So the requests of such a producer go one after the other, in the order in
//! which they came.

use crate::ids::ProducerId;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Producers of whom a request is on its way, with those that wait behind it.
/// There are no more than connections have requests under way.
#[derive(Default)]
pub struct Turns(Mutex<BTreeMap<ProducerId, VecDeque<oneshot::Sender<Called>>>>);

enum Called {
    Next,
    /// One before failed.
    Away,
}

/// One request's turn; the next has its own when this is dropped.
pub struct Turn {
    turns: Arc<Turns>,
    of: ProducerId,
    stands: Stands,
}

enum Stands {
    Waits(oneshot::Receiver<Called>),
    Has,
    Left,
}

/// A request before this one failed while this one waited: its batches follow on
/// some that are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentAway;

impl Turns {
    /// Takes a place. The order is that of these calls.
    pub fn enter(self: &Arc<Self>, of: ProducerId) -> Turn {
        let mut lines = self.lines();
        let stands = match lines.get_mut(&of) {
            None => {
                lines.insert(of, VecDeque::new());
                Stands::Has
            }
            Some(line) => {
                let (put, given) = oneshot::channel();
                line.push_back(put);
                Stands::Waits(given)
            }
        };
        drop(lines);
        Turn {
            turns: self.clone(),
            of,
            stands,
        }
    }

    fn lines(&self) -> MutexGuard<'_, BTreeMap<ProducerId, VecDeque<oneshot::Sender<Called>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pass_on(&self, of: ProducerId) {
        let mut lines = self.lines();
        let Some(line) = lines.get_mut(&of) else {
            return;
        };
        while let Some(next) = line.pop_front() {
            // Whoever is gone takes no turn.
            if next.send(Called::Next).is_ok() {
                return;
            }
        }
        lines.remove(&of);
    }
}

impl Turn {
    /// Where nobody is before, this is ready at once.
    pub async fn come(&mut self) -> Result<(), SentAway> {
        let Stands::Waits(given) = &mut self.stands else {
            return Ok(());
        };
        let called = given.await;
        let is_next = matches!(called, Ok(Called::Next));
        self.stands = match is_next {
            true => Stands::Has,
            false => Stands::Left,
        };
        match is_next {
            true => Ok(()),
            false => Err(SentAway),
        }
    }

    /// Sends away all that wait behind.
    pub fn fail(&mut self) {
        let mut lines = self.turns.lines();
        if let (Stands::Has, Some(line)) = (&self.stands, lines.get_mut(&self.of)) {
            for waiting in line.drain(..) {
                let _ = waiting.send(Called::Away);
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let has = match &mut self.stands {
            Stands::Has => true,
            Stands::Left => false,
            // It may have been called a moment ago.
            Stands::Waits(given) => {
                given.close();
                matches!(given.try_recv(), Ok(Called::Next))
            }
        };
        if has {
            self.turns.pass_on(self.of);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    const ONE: ProducerId = ProducerId(1);

    fn poll(turn: &mut Turn) -> Poll<Result<(), SentAway>> {
        pin!(turn.come()).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn turns_come_in_the_order_of_the_places() {
        let turns = Arc::new(Turns::default());
        let [mut a, mut b, mut c] = [ONE; 3].map(|id| turns.enter(id));
        let mut other = turns.enter(ProducerId(2));
        assert_eq!(poll(&mut a), Poll::Ready(Ok(())));
        assert_eq!(poll(&mut other), Poll::Ready(Ok(())));
        assert_eq!((poll(&mut c), poll(&mut b)), (Poll::Pending, Poll::Pending));
        drop(a);
        assert_eq!(poll(&mut c), Poll::Pending);
        assert_eq!(poll(&mut b), Poll::Ready(Ok(())));
        drop(b);
        assert_eq!(poll(&mut c), Poll::Ready(Ok(())));
        drop((c, other));
        assert!(turns.lines().is_empty());
    }

    #[test]
    fn whoever_goes_away_while_waiting_holds_nobody_up() {
        let turns = Arc::new(Turns::default());
        let [a, b, c, mut d] = [ONE; 4].map(|id| turns.enter(id));
        drop(b);
        drop(a);
        // Called, and gone before it looked.
        drop(c);
        assert_eq!(poll(&mut d), Poll::Ready(Ok(())));
        drop(d);
        assert!(turns.lines().is_empty());
    }

    #[test]
    fn what_waits_behind_a_failure_is_sent_away_and_what_comes_later_is_not() {
        let turns = Arc::new(Turns::default());
        let [mut a, mut b, mut c] = [ONE; 3].map(|id| turns.enter(id));
        a.fail();
        let mut later = turns.enter(ONE);
        assert_eq!(poll(&mut b), Poll::Ready(Err(SentAway)));
        assert_eq!(poll(&mut c), Poll::Ready(Err(SentAway)));
        drop((b, c));
        assert_eq!(poll(&mut later), Poll::Pending);
        drop(a);
        assert_eq!(poll(&mut later), Poll::Ready(Ok(())));
        drop(later);
        assert!(turns.lines().is_empty());
    }
}
