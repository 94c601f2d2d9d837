//! Catching up with the others: a node that is about to say that there is no such
//! topic first asks whether it only has not heard of it yet. Who comes while a
//! round is under way waits for the next, so that one round at a time is enough
//! for any number of them, and who gave up leaves nothing behind.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Called at the end of a round.
pub type RoundEnd = Box<dyn FnOnce() + Send>;

/// Begins a round: it ends once this node shows all that had been agreed upon
/// anywhere when it began, or when it is found that no majority says so.
pub type BeginRound = Box<dyn Fn(RoundEnd) + Send + Sync>;

pub struct CatchUp {
    begin: BeginRound,
    rounds: Mutex<Rounds>,
    ended: watch::Sender<u64>,
}

#[derive(Default)]
struct Rounds {
    begun: u64,
    /// The last that somebody waits for, at most one beyond `begun`.
    wanted: u64,
}

impl CatchUp {
    pub fn new(begin: BeginRound) -> Arc<Self> {
        Arc::new(Self {
            begin,
            rounds: Mutex::default(),
            ended: watch::channel(0).0,
        })
    }

    /// To the end of a round that begins no earlier than now.
    pub async fn round(self: &Arc<Self>) {
        let mut ended = self.ended.subscribe();
        let wanted = self.want();
        self.go_on();
        // The sender is held above, so that the wait ends with the round alone.
        let _ = ended.wait_for(|ended| *ended >= wanted).await;
    }

    fn want(&self) -> u64 {
        let mut rounds = self.rounds();
        rounds.wanted = rounds.begun + 1;
        rounds.wanted
    }

    /// Begins the next round where it is wanted and the one before has ended.
    fn go_on(self: &Arc<Self>) {
        let mut rounds = self.rounds();
        let is_under_way = *self.ended.borrow() < rounds.begun;
        if is_under_way || rounds.wanted == rounds.begun {
            return;
        }
        rounds.begun = rounds.wanted;
        let number = rounds.begun;
        drop(rounds);
        let this = self.clone();
        (self.begin)(Box::new(move || this.end(number)));
    }

    fn end(self: &Arc<Self>, number: u64) {
        self.ended.send_replace(number);
        self.go_on();
    }

    fn rounds(&self) -> MutexGuard<'_, Rounds> {
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of a node that has always heard everything.
#[cfg(test)]
pub fn is_current() -> BeginRound {
    Box::new(|end| end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    type Begun = Arc<Mutex<Vec<RoundEnd>>>;

    fn by_hand() -> (Arc<CatchUp>, Begun) {
        let begun = Begun::default();
        let kept = begun.clone();
        let begin = move |end| kept.lock().unwrap().push(end);
        (CatchUp::new(Box::new(begin)), begun)
    }

    fn is_over(round: &mut (impl Future<Output = ()> + Unpin)) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        pin!(round).poll(&mut context) == Poll::Ready(())
    }

    fn end_one(begun: &Begun) {
        let end = begun.lock().unwrap().remove(0);
        end();
    }

    #[test]
    fn who_comes_during_a_round_waits_for_the_next_with_all_the_others() {
        let (catch_up, begun) = by_hand();
        let mut first = Box::pin(catch_up.round());
        assert!(!is_over(&mut first));
        let mut later: Vec<_> = (0..100).map(|_| Box::pin(catch_up.round())).collect();
        assert!(later.iter_mut().all(|one| !is_over(one)));
        assert_eq!(begun.lock().unwrap().len(), 1, "the others wait");
        end_one(&begun);
        assert!(is_over(&mut first));
        assert!(later.iter_mut().all(|one| !is_over(one)));
        assert_eq!(begun.lock().unwrap().len(), 1, "one for all of them");
        end_one(&begun);
        assert!(later.iter_mut().all(is_over));
        assert!(begun.lock().unwrap().is_empty(), "nobody waits for another");
    }

    #[test]
    fn a_round_that_ends_at_once_is_over_at_once() {
        let catch_up = CatchUp::new(is_current());
        (0..3).for_each(|_| assert!(is_over(&mut Box::pin(catch_up.round()))));
    }

    #[test]
    fn who_gives_up_leaves_nothing_behind() {
        let (catch_up, begun) = by_hand();
        for _ in 0..100 {
            assert!(!is_over(&mut Box::pin(catch_up.round())));
        }
        assert_eq!(begun.lock().unwrap().len(), 1);
        end_one(&begun);
        end_one(&begun);
        assert!(begun.lock().unwrap().is_empty());
    }
}
