//! The memory that requests and answers of all connections have together.
//!
//! A frame asks for more as its bytes arrive, and waits where there is no more:
//! its connection is not read on. Frames that are not large have a reserve of
//! their own, so that heartbeats go on where producers wait. And frames that are
//! half here cannot wait for each other for ever: one at a time of each kind, the
//! first that waits, may go beyond the bound until it is answered, and asks for
//! more past all who wait. So what is held is the bound, the reserve and one frame
//! of each kind.

use super::counts::Counts;
use crate::limits::{KAFKA_ANSWER_MEMORY_BYTES_MAX, KAFKA_OWN_BYTES, KAFKA_SMALL_MEMORY_BYTES};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

pub struct Budget {
    state: Mutex<State>,
    counts: Arc<Counts>,
}

struct State {
    bytes_max: usize,
    /// Held by requests within the bound and the reserve.
    within: usize,
    /// Held by the frames that go beyond.
    beyond: Beyond,
    /// Held by answers. They are noted and not asked for: an answer that is made
    /// has its memory.
    answers: usize,
    next_ticket: u64,
    waiting: BTreeMap<(For, u64), Waker>,
}

/// One frame of each kind.
#[derive(Clone, Copy, Debug, Default)]
struct Beyond {
    small: usize,
    large: usize,
}

impl Beyond {
    fn of(&mut self, of: For) -> &mut usize {
        match of {
            For::Small => &mut self.small,
            For::Large | For::Answers => &mut self.large,
        }
    }

    fn sum(self) -> usize {
        self.small + self.large
    }
}

/// What is waited for. Each has a queue of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum For {
    Small,
    Large,
    Answers,
}

impl Budget {
    pub fn new(bytes_max: usize, counts: Arc<Counts>) -> Self {
        let state = State {
            bytes_max,
            within: 0,
            beyond: Beyond::default(),
            answers: 0,
            next_ticket: 0,
            waiting: BTreeMap::new(),
        };
        Self {
            state: Mutex::new(state),
            counts,
        }
    }

    /// What is held beyond a bound that was lowered stays, and no more is given
    /// out until it is less.
    pub fn set_bytes_max(&self, bytes_max: usize) {
        self.change(|state| state.bytes_max = bytes_max);
    }

    /// Answers that clients do not take use up what there is for them.
    pub fn is_pressed(&self) -> bool {
        self.state().answers >= KAFKA_ANSWER_MEMORY_BYTES_MAX
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is held, and wakes who is first in each queue to look again.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state();
        let changed = change(&mut state);
        let firsts = [For::Small, For::Large, For::Answers].map(|of| state.first(of));
        self.counts.held_bytes.set(state.held() as u64);
        drop(state);
        firsts.into_iter().flatten().for_each(Waker::wake);
        changed
    }
}

impl State {
    fn held(&self) -> usize {
        self.within + self.beyond.sum() + self.answers
    }

    fn first(&self, of: For) -> Option<Waker> {
        let mut queue = self.waiting.range((of, 0)..=(of, u64::MAX));
        queue.next().map(|(_, waker)| waker.clone())
    }

    /// Nobody who waits for the same came before.
    fn is_first(&self, of: For, ticket: Option<u64>) -> bool {
        let mut queue = self.waiting.range((of, 0)..=(of, u64::MAX));
        let first = queue.next().map(|((_, ticket), _)| *ticket);
        first.is_none() || first == ticket
    }

    fn has_room(&self, of: For, bytes: usize) -> bool {
        let bytes_max = match of {
            For::Small => self.bytes_max.saturating_add(KAFKA_SMALL_MEMORY_BYTES),
            For::Large => self.bytes_max,
            For::Answers => return self.answers < KAFKA_ANSWER_MEMORY_BYTES_MAX,
        };
        self.within.saturating_add(bytes) <= bytes_max
    }
}

/// What one connection has of it. Dropped, it is given back.
pub struct Share {
    budget: Arc<Budget>,
    within: usize,
    beyond: Beyond,
    answers: usize,
    /// Its places in the queues: one for the frame that arrives, one for the
    /// answer that is next.
    waits: Option<Place>,
    waits_to_answer: Option<Place>,
}

type Place = (For, u64);

impl Share {
    pub fn of(budget: &Arc<Budget>) -> Self {
        Self {
            budget: budget.clone(),
            within: 0,
            beyond: Beyond::default(),
            answers: 0,
            waits: None,
            waits_to_answer: None,
        }
    }

    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Holds so many bytes of requests in all, or waits for them.
    pub fn poll_hold(&mut self, wake: &mut Context<'_>, bytes: usize, is_small: bool) -> Poll<()> {
        let wanted = bytes.saturating_sub(KAFKA_OWN_BYTES);
        let more = wanted.saturating_sub(self.within + self.beyond.sum());
        let of = if is_small { For::Small } else { For::Large };
        if more == 0 || self.take(of, more) {
            self.leave(of);
            return Poll::Ready(());
        }
        self.wait(of, wake);
        Poll::Pending
    }

    fn take(&mut self, of: For, bytes: usize) -> bool {
        let ticket = self.place(of).map(|(_, ticket)| ticket);
        let mut state = self.budget.state();
        // Who is beyond already does not queue: those who wait may wait for it.
        let is_beyond = *self.beyond.of(of) > 0;
        if !is_beyond && !state.is_first(of, ticket) {
            return false;
        }
        if state.has_room(of, bytes) {
            state.within += bytes;
            self.within += bytes;
        } else if is_beyond || *state.beyond.of(of) == 0 {
            *state.beyond.of(of) += bytes;
            *self.beyond.of(of) += bytes;
        } else {
            return false;
        }
        self.budget.counts.held_bytes.set(state.held() as u64);
        true
    }

    /// Holds so many bytes of requests and no more.
    pub fn hold_only(&mut self, bytes: usize) {
        let kept = bytes.saturating_sub(KAFKA_OWN_BYTES);
        let given = (self.within + self.beyond.sum()).saturating_sub(kept);
        if given == 0 {
            return;
        }
        // What went beyond the bound first: another may be waiting to.
        let large = given.min(self.beyond.large);
        let small = (given - large).min(self.beyond.small);
        let within = given - large - small;
        self.beyond.large -= large;
        self.beyond.small -= small;
        self.within -= within;
        self.budget.change(|state| {
            state.beyond.large -= large;
            state.beyond.small -= small;
            state.within -= within;
        });
    }

    /// Notes how many bytes of answers the client has not taken.
    pub fn owe(&mut self, bytes: usize) {
        let before = std::mem::replace(&mut self.answers, bytes);
        if bytes > before {
            let mut state = self.budget.state();
            state.answers += bytes - before;
            self.budget.counts.held_bytes.set(state.held() as u64);
        } else if bytes < before {
            self.budget.change(|state| state.answers -= before - bytes);
        }
    }

    /// Whether there is room for an answer that may be large.
    pub fn poll_answer(&mut self, wake: &mut Context<'_>) -> Poll<()> {
        let ticket = self.waits_to_answer.map(|(_, ticket)| ticket);
        let state = self.budget.state();
        let may = state.is_first(For::Answers, ticket) && state.has_room(For::Answers, 0);
        drop(state);
        if may {
            self.leave(For::Answers);
            return Poll::Ready(());
        }
        self.wait(For::Answers, wake);
        Poll::Pending
    }

    fn place(&mut self, of: For) -> &mut Option<Place> {
        match of {
            For::Small | For::Large => &mut self.waits,
            For::Answers => &mut self.waits_to_answer,
        }
    }

    fn wait(&mut self, of: For, wake: &mut Context<'_>) {
        if self.place(of).is_some_and(|(waits_for, _)| waits_for != of) {
            self.leave(of);
        }
        let held = *self.place(of);
        let mut state = self.budget.state();
        let place = held.unwrap_or_else(|| {
            self.budget.counts.waits.add(1);
            state.next_ticket += 1;
            (of, state.next_ticket)
        });
        state.waiting.insert(place, wake.waker().clone());
        drop(state);
        *self.place(of) = Some(place);
    }

    /// Leaves the queue to those behind.
    fn leave(&mut self, of: For) {
        if let Some(place) = self.place(of).take() {
            self.budget.change(|state| state.waiting.remove(&place));
        }
    }

    /// Nothing more is read or begun: what is held stays until it is given back.
    pub fn stop_waiting(&mut self) {
        self.leave(For::Large);
        self.leave(For::Answers);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.stop_waiting();
        self.hold_only(0);
        self.owe(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::Seeded;
    use crate::limits::KAFKA_SMALL_REQUEST_BYTES;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    const MIB: usize = 1 << 20;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A connection, and how often it was called.
    struct One {
        share: Share,
        woken: Arc<Woken>,
    }

    impl One {
        fn of(budget: &Arc<Budget>) -> Self {
            Self {
                share: Share::of(budget),
                woken: Arc::default(),
            }
        }

        fn holds(&mut self, bytes: usize) -> bool {
            let waker = Waker::from(self.woken.clone());
            let is_small = bytes <= KAFKA_SMALL_REQUEST_BYTES;
            let bytes = bytes + KAFKA_OWN_BYTES;
            let held = self
                .share
                .poll_hold(&mut Context::from_waker(&waker), bytes, is_small);
            held.is_ready()
        }

        fn may_answer(&mut self) -> bool {
            let waker = Waker::from(self.woken.clone());
            let may = self.share.poll_answer(&mut Context::from_waker(&waker));
            may.is_ready()
        }

        fn gives_back_all(&mut self) {
            self.share.hold_only(0);
        }

        fn is_woken(&self) -> bool {
            self.woken.0.swap(0, Ordering::Relaxed) > 0
        }
    }

    fn budget(bytes_max: usize) -> (Arc<Budget>, Arc<Counts>) {
        let counts = Arc::new(Counts::default());
        (Arc::new(Budget::new(bytes_max, counts.clone())), counts)
    }

    #[test]
    fn the_first_bytes_of_a_connection_are_its_own() {
        let (budget, counts) = budget(0);
        let mut one = Share::of(&budget);
        let mut wake = Context::from_waker(Waker::noop());
        assert!(one.poll_hold(&mut wake, KAFKA_OWN_BYTES, true).is_ready());
        assert_eq!(counts.held_bytes.get(), 0);
    }

    #[test]
    fn one_frame_goes_beyond_the_bound_and_the_next_waits_for_it() {
        let (budget, counts) = budget(4 * MIB);
        let [mut a, mut b, mut c] = [(); 3].map(|()| One::of(&budget));
        assert!(a.holds(3 * MIB));
        assert!(b.holds(3 * MIB), "one always may");
        assert!(b.holds(50 * MIB), "and goes on");
        assert!(!c.holds(3 * MIB));
        assert!(c.holds(KAFKA_SMALL_REQUEST_BYTES), "small ones pass");
        c.gives_back_all();
        assert_eq!(counts.held_bytes.get(), 53 * MIB as u64);

        assert!(!c.holds(3 * MIB));
        assert!(!c.is_woken());
        b.gives_back_all();
        assert!(c.is_woken());
        assert!(c.holds(3 * MIB));
        assert_eq!(counts.held_bytes.get(), 6 * MIB as u64);
    }

    #[test]
    fn halves_of_frames_do_not_wait_for_each_other_for_ever() {
        let (budget, _) = budget(4 * MIB);
        let mut all = [(); 4].map(|()| One::of(&budget));
        for one in &mut all {
            assert!(one.holds(MIB));
        }
        // Each wants twice as much, and gives all back once it has that.
        for (turn, one) in all.iter_mut().enumerate() {
            assert!(one.holds(2 * MIB), "turn {turn}");
            one.gives_back_all();
        }
        assert_eq!(budget.state().held(), 0);
    }

    #[test]
    fn who_is_beyond_goes_on_though_others_wait() {
        let (budget, counts) = budget(4 * MIB);
        let [mut a, mut b, mut c] = [(); 3].map(|()| One::of(&budget));
        assert!(a.holds(4 * MIB));
        assert!(b.holds(MIB));
        assert!(!c.holds(MIB));
        assert!(b.holds(2 * MIB), "c may wait for it");
        assert_eq!(counts.held_bytes.get(), 6 * MIB as u64);
        b.gives_back_all();
        assert!(c.is_woken());
        assert!(c.holds(MIB) && c.holds(8 * MIB));
    }

    #[test]
    fn however_frames_come_together_all_of_them_come_to_an_end() {
        for seed in 0..200 {
            let mut chance = Seeded::new(seed);
            let (budget, _) = budget(4 * MIB);
            // Each doubles what it has until its frame is here, as bytes arrive.
            let mut all: Vec<(One, usize, usize)> = (0..40)
                .map(|_| {
                    let most = match chance.one_in(2) {
                        true => KAFKA_SMALL_REQUEST_BYTES,
                        false => MIB << chance.below(4),
                    };
                    (One::of(&budget), most >> (1 + chance.below(3)), most)
                })
                .collect();
            budget.state().within = KAFKA_SMALL_MEMORY_BYTES;
            let mut turns = 0;
            while !all.is_empty() {
                let place = chance.below(all.len() as u64) as usize;
                let (one, wants, most) = &mut all[place];
                let waker = Waker::from(one.woken.clone());
                let is_small = *most <= KAFKA_SMALL_REQUEST_BYTES;
                let mut wake = Context::from_waker(&waker);
                let bytes = *wants + KAFKA_OWN_BYTES;
                if one.share.poll_hold(&mut wake, bytes, is_small).is_ready() {
                    match *wants < *most {
                        true => *wants *= 2,
                        false => drop(all.swap_remove(place)),
                    }
                }
                turns += 1;
                assert!(turns < 100_000, "seed {seed}: {} wait for ever", all.len());
            }
        }
    }

    #[test]
    fn who_waits_is_served_in_turn_and_leaves_its_place_when_it_goes() {
        let (budget, _) = budget(2 * MIB);
        let [mut a, mut lane, mut b, mut c, mut d] = [(); 5].map(|()| One::of(&budget));
        assert!(a.holds(2 * MIB));
        assert!(lane.holds(MIB));
        assert!(!b.holds(MIB));
        assert!(!c.holds(MIB));
        a.gives_back_all();
        assert!(b.is_woken());
        assert!(!d.holds(MIB), "others came before");
        assert!(!c.holds(MIB), "another came before");
        drop(b);
        assert!(c.is_woken());
        assert!(c.holds(MIB));
        assert!(d.is_woken());
        assert!(d.holds(MIB));
    }

    #[test]
    fn small_frames_have_a_bound_too() {
        let (budget, _) = budget(0);
        let mut all = Vec::new();
        for _ in 0..KAFKA_SMALL_MEMORY_BYTES / KAFKA_SMALL_REQUEST_BYTES {
            let mut one = One::of(&budget);
            assert!(one.holds(KAFKA_SMALL_REQUEST_BYTES));
            all.push(one);
        }
        let [mut beyond, mut last] = [(); 2].map(|()| One::of(&budget));
        assert!(beyond.holds(KAFKA_SMALL_REQUEST_BYTES), "one always may");
        assert!(!last.holds(KAFKA_SMALL_REQUEST_BYTES));
        all.pop();
        assert!(last.is_woken());
        assert!(last.holds(KAFKA_SMALL_REQUEST_BYTES));
    }

    #[test]
    fn answers_that_nobody_takes_hold_up_fetches_alone() {
        let (budget, _) = budget(MIB);
        let [mut slow, mut a, mut b] = [(); 3].map(|()| One::of(&budget));
        assert!(slow.may_answer());
        slow.share.owe(KAFKA_ANSWER_MEMORY_BYTES_MAX);
        assert!(budget.is_pressed());
        assert!(!a.may_answer());
        assert!(!b.may_answer());
        assert!(a.holds(MIB), "requests have their own");
        slow.share.owe(KAFKA_ANSWER_MEMORY_BYTES_MAX - 1);
        assert!(a.is_woken());
        assert!(!b.may_answer(), "in turn");
        assert!(a.may_answer());
        assert!(b.is_woken());
        assert!(b.may_answer());
    }

    #[test]
    fn a_connection_waits_to_read_and_to_answer_at_once() {
        let (budget, _) = budget(MIB);
        let [mut slow, mut one] = [(); 2].map(|()| One::of(&budget));
        assert!(slow.holds(2 * MIB));
        slow.share.owe(KAFKA_ANSWER_MEMORY_BYTES_MAX);
        for _ in 0..3 {
            assert!(!one.holds(2 * MIB));
            assert!(!one.may_answer());
            assert!(!one.is_woken(), "nothing has changed");
        }
        drop(slow);
        assert!(one.is_woken());
        assert!(one.holds(2 * MIB) && one.may_answer());
        drop(one);
        assert_eq!(budget.state().held(), 0);
        assert!(budget.state().waiting.is_empty());
    }

    #[test]
    fn a_lowered_bound_takes_nothing_back() {
        let (budget, _) = budget(4 * MIB);
        let [mut a, mut b, mut c] = [(); 3].map(|()| One::of(&budget));
        assert!(a.holds(4 * MIB) && b.holds(MIB));
        budget.set_bytes_max(2 * MIB);
        assert!(!c.holds(MIB));
        budget.set_bytes_max(8 * MIB);
        assert!(c.is_woken());
        assert!(c.holds(MIB));
    }
}
