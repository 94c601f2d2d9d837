//! The memory that requests and answers of all connections have together.
//!
//! A frame asks for more as its bytes arrive, and waits where there is no more:
//! its connection is not read on. Frames that are not large have a reserve of
//! their own, so that heartbeats go on where producers wait. And frames that are
//! half here cannot wait for each other for ever: one at a time of each kind, the
//! first that waits, may go beyond the bound until it is answered, and asks for
//! more past all who wait. The next frame of its connection waits like the others.
//! So what is held is the bound, the reserve and one frame of each kind, and what
//! muted clients have left there.
//!
//! Answers are noted and not asked for: one that is made has its memory. Each kind
//! has a bound of its own, so that who is behind with one holds up no other, and
//! the records of a Fetch are not among them (`handlers::fetch`).

use super::counts::Counts;
use crate::limits::{
    KAFKA_FETCH_ANSWER_BYTES_MAX, KAFKA_LONG_ANSWER_BYTES_MAX, KAFKA_MUTED_MEMORY_BYTES_MAX,
    KAFKA_OWN_BYTES, KAFKA_SHORT_ANSWER_BYTES_MAX, KAFKA_SMALL_MEMORY_BYTES,
};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

pub struct Budget {
    state: Mutex<State>,
    /// Of the state, for who looks before each request.
    is_tight: AtomicBool,
    counts: Arc<Counts>,
}

struct State {
    bytes_max: usize,
    /// Held by requests within the bound and the reserve.
    within: usize,
    /// Held by the frames that go beyond.
    beyond: Beyond,
    /// Held by answers.
    answers: Owed,
    next_ticket: u64,
    waiting: BTreeMap<Place, Waker>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum FrameKind {
    Small,
    Large,
}

/// One frame of each kind.
#[derive(Clone, Copy, Debug, Default)]
struct Beyond {
    small: usize,
    large: usize,
}

impl Beyond {
    fn of(&mut self, kind: FrameKind) -> &mut usize {
        match kind {
            FrameKind::Small => &mut self.small,
            FrameKind::Large => &mut self.large,
        }
    }

    fn sum(self) -> usize {
        self.small + self.large
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AnswerKind {
    Short,
    Long,
    /// Without its records.
    Fetch,
}

impl AnswerKind {
    const ALL: [Self; 3] = [Self::Short, Self::Long, Self::Fetch];

    fn bytes_max(self) -> usize {
        match self {
            Self::Short => KAFKA_SHORT_ANSWER_BYTES_MAX,
            Self::Long => KAFKA_LONG_ANSWER_BYTES_MAX,
            Self::Fetch => KAFKA_FETCH_ANSWER_BYTES_MAX,
        }
    }
}

/// Bytes of answers that are not taken, of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owed([usize; 3]);

impl Owed {
    pub fn add(&mut self, kind: AnswerKind, bytes: usize) {
        self.0[kind as usize] += bytes;
    }

    pub fn subtract(&mut self, kind: AnswerKind, bytes: usize) {
        self.0[kind as usize] -= bytes;
    }

    fn of(&self, kind: AnswerKind) -> usize {
        self.0[kind as usize]
    }

    fn sum(&self) -> usize {
        self.0.iter().sum()
    }
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Queue {
    Frames(FrameKind),
    Answers(AnswerKind),
}

impl Queue {
    /// For a short answer nobody waits.
    const ALL: [Self; 4] = [
        Self::Frames(FrameKind::Small),
        Self::Frames(FrameKind::Large),
        Self::Answers(AnswerKind::Long),
        Self::Answers(AnswerKind::Fetch),
    ];
}

/// Where somebody stands in a queue.
type Place = (Queue, u64);

impl Budget {
    pub fn new(bytes_max: usize, counts: Arc<Counts>) -> Self {
        let state = State {
            bytes_max,
            within: 0,
            beyond: Beyond::default(),
            answers: Owed::default(),
            next_ticket: 0,
            waiting: BTreeMap::new(),
        };
        Self {
            state: Mutex::new(state),
            is_tight: AtomicBool::new(false),
            counts,
        }
    }

    /// What is held beyond a bound that was lowered stays, and no more is given
    /// out until it is less.
    pub fn set_bytes_max(&self, bytes_max: usize) {
        self.change(|state| state.bytes_max = bytes_max);
    }

    /// Answers of a kind that clients do not take use up what there is for them.
    pub fn is_pressed(&self) -> bool {
        let state = self.state();
        AnswerKind::ALL
            .into_iter()
            .any(|kind| !state.has_room(kind))
    }

    /// Half of it is used up.
    pub fn is_tight(&self) -> bool {
        self.is_tight.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is held, and wakes who is first in each queue to look again.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state();
        let changed = change(&mut state);
        let firsts = Queue::ALL.map(|queue| state.first(queue));
        self.tell(&state);
        drop(state);
        firsts.into_iter().flatten().for_each(Waker::wake);
        changed
    }

    fn tell(&self, state: &State) {
        self.counts.held_bytes.set(state.held() as u64);
        self.is_tight.store(state.is_tight(), Ordering::Relaxed);
    }
}

impl State {
    fn held(&self) -> usize {
        self.within + self.beyond.sum() + self.answers.sum()
    }

    fn is_tight(&self) -> bool {
        let is_half_used = |kind: AnswerKind| 2 * self.answers.of(kind) >= kind.bytes_max();
        AnswerKind::ALL.into_iter().any(is_half_used)
    }

    fn first(&self, queue: Queue) -> Option<Waker> {
        let mut places = self.waiting.range((queue, 0)..=(queue, u64::MAX));
        places.next().map(|(_, waker)| waker.clone())
    }

    /// Nobody who waits for the same came before.
    fn is_first(&self, queue: Queue, ticket: Option<u64>) -> bool {
        let mut places = self.waiting.range((queue, 0)..=(queue, u64::MAX));
        let first = places.next().map(|((_, ticket), _)| *ticket);
        first.is_none() || first == ticket
    }

    fn fits(&self, kind: FrameKind, bytes: usize) -> bool {
        let bytes_max = match kind {
            FrameKind::Small => self.bytes_max.saturating_add(KAFKA_SMALL_MEMORY_BYTES),
            FrameKind::Large => self.bytes_max,
        };
        self.within.saturating_add(bytes) <= bytes_max
    }

    fn has_room(&self, kind: AnswerKind) -> bool {
        self.answers.of(kind) < kind.bytes_max()
    }
}

/// What one connection has of it. Dropped, it is given back.
pub struct Share {
    budget: Arc<Budget>,
    within: usize,
    beyond: Beyond,
    /// The frame that arrives has gone beyond.
    is_beyond: bool,
    answers: Owed,
    /// Its places in the queues: one for the frame that arrives, one for the
    /// answer that is next.
    waits: Option<Place>,
    waits_to_answer: Option<Place>,
}

impl Share {
    pub fn of(budget: &Arc<Budget>) -> Self {
        Self {
            budget: budget.clone(),
            within: 0,
            beyond: Beyond::default(),
            is_beyond: false,
            answers: Owed::default(),
            waits: None,
            waits_to_answer: None,
        }
    }

    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Frames wait for memory, and this has some.
    pub fn is_wanted(&self) -> bool {
        let frames = |(queue, _): &Place| matches!(queue, Queue::Frames(_));
        self.held() > 0 && self.budget.state().waiting.keys().any(frames)
    }

    fn held(&self) -> usize {
        self.within + self.beyond.sum()
    }

    /// Holds so many bytes of requests in all, or waits for them.
    pub fn poll_hold(&mut self, wake: &mut Context<'_>, bytes: usize, is_small: bool) -> Poll<()> {
        let wanted = bytes.saturating_sub(KAFKA_OWN_BYTES);
        let more = wanted.saturating_sub(self.held());
        let kind = match is_small {
            true => FrameKind::Small,
            false => FrameKind::Large,
        };
        if more == 0 || self.take(kind, more) {
            self.leave(Queue::Frames(kind));
            return Poll::Ready(());
        }
        self.wait(Queue::Frames(kind), wake);
        Poll::Pending
    }

    fn take(&mut self, kind: FrameKind, bytes: usize) -> bool {
        let ticket = self.waits.map(|(_, ticket)| ticket);
        let mut state = self.budget.state();
        // A frame that is beyond already does not queue: those who wait may wait
        // for it.
        let is_beyond = self.is_beyond && *self.beyond.of(kind) > 0;
        if !is_beyond && !state.is_first(Queue::Frames(kind), ticket) {
            return false;
        }
        if state.fits(kind, bytes) {
            state.within += bytes;
            self.within += bytes;
        } else if is_beyond || *state.beyond.of(kind) == 0 {
            *state.beyond.of(kind) += bytes;
            *self.beyond.of(kind) += bytes;
            self.is_beyond = true;
        } else {
            return false;
        }
        self.budget.tell(&state);
        true
    }

    /// The frame is here. The next has to wait for its place beyond the bound, if
    /// it needs one, until this one is answered.
    pub fn end_frame(&mut self) {
        self.is_beyond = false;
    }

    /// Leaves the place beyond the bound to another, where not too much is left so:
    /// it counts as within from now on.
    pub fn leave_beyond(&mut self) {
        let Beyond { small, large } = self.beyond;
        if small + large == 0 {
            return;
        }
        let has_left = self.budget.change(|state| {
            let bytes_max = state.bytes_max.saturating_add(KAFKA_MUTED_MEMORY_BYTES_MAX);
            let may = state.within + small + large <= bytes_max;
            if may {
                state.within += small + large;
                state.beyond.small -= small;
                state.beyond.large -= large;
            }
            may
        });
        if has_left {
            self.within += small + large;
            self.beyond = Beyond::default();
        }
    }

    /// Holds so many bytes of requests and no more.
    pub fn hold_only(&mut self, bytes: usize) {
        let kept = bytes.saturating_sub(KAFKA_OWN_BYTES);
        let given = self.held().saturating_sub(kept);
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
    pub fn owe(&mut self, owed: Owed) {
        let before = std::mem::replace(&mut self.answers, owed);
        if before == owed {
            return;
        }
        let note = |state: &mut State| {
            for kind in AnswerKind::ALL {
                state.answers.add(kind, owed.of(kind));
                state.answers.subtract(kind, before.of(kind));
            }
        };
        if AnswerKind::ALL
            .into_iter()
            .any(|kind| owed.of(kind) < before.of(kind))
        {
            return self.budget.change(note);
        }
        let mut state = self.budget.state();
        note(&mut state);
        self.budget.tell(&state);
    }

    /// Whether there is room for an answer of this kind.
    pub fn poll_answer(&mut self, wake: &mut Context<'_>, kind: AnswerKind) -> Poll<()> {
        let queue = Queue::Answers(kind);
        let ticket = self.waits_to_answer.map(|(_, ticket)| ticket);
        let state = self.budget.state();
        let may = state.is_first(queue, ticket) && state.has_room(kind);
        drop(state);
        if may {
            self.leave(queue);
            return Poll::Ready(());
        }
        self.wait(queue, wake);
        Poll::Pending
    }

    fn place(&mut self, queue: Queue) -> &mut Option<Place> {
        match queue {
            Queue::Frames(_) => &mut self.waits,
            Queue::Answers(_) => &mut self.waits_to_answer,
        }
    }

    fn wait(&mut self, queue: Queue, wake: &mut Context<'_>) {
        if self.place(queue).is_some_and(|(other, _)| other != queue) {
            self.leave(queue);
        }
        let held = *self.place(queue);
        let mut state = self.budget.state();
        let place = held.unwrap_or_else(|| {
            self.budget.counts.waits.add(1);
            state.next_ticket += 1;
            (queue, state.next_ticket)
        });
        state.waiting.insert(place, wake.waker().clone());
        drop(state);
        *self.place(queue) = Some(place);
    }

    /// Leaves the queue to those behind.
    fn leave(&mut self, queue: Queue) {
        if let Some(place) = self.place(queue).take() {
            self.budget.change(|state| state.waiting.remove(&place));
        }
    }

    /// Nothing more is read or begun: what is held stays until it is given back.
    pub fn stop_waiting(&mut self) {
        let places = [self.waits.take(), self.waits_to_answer.take()];
        for place in places.into_iter().flatten() {
            self.budget.change(|state| state.waiting.remove(&place));
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.stop_waiting();
        self.hold_only(0);
        self.owe(Owed::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::Seeded;
    use crate::limits::KAFKA_SMALL_REQUEST_BYTES;
    use std::collections::VecDeque;
    use std::sync::atomic::AtomicUsize;
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
            self.holds_of(bytes, bytes)
        }

        /// For a frame of `declared` bytes.
        fn holds_of(&mut self, bytes: usize, declared: usize) -> bool {
            let waker = Waker::from(self.woken.clone());
            let is_small = declared <= KAFKA_SMALL_REQUEST_BYTES;
            let bytes = bytes + KAFKA_OWN_BYTES;
            let held = self
                .share
                .poll_hold(&mut Context::from_waker(&waker), bytes, is_small);
            held.is_ready()
        }

        fn may_answer(&mut self, kind: AnswerKind) -> bool {
            let waker = Waker::from(self.woken.clone());
            let mut wake = Context::from_waker(&waker);
            self.share.poll_answer(&mut wake, kind).is_ready()
        }

        fn owes(&mut self, kind: AnswerKind, bytes: usize) {
            let mut owed = Owed::default();
            owed.add(kind, bytes);
            self.share.owe(owed);
        }

        /// All that it sent is answered.
        fn gives_back_all(&mut self) {
            self.share.end_frame();
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

    /// A client that sends three frames ahead: each doubles what it has until it is
    /// here, as bytes arrive, and they are answered in their order.
    struct Sender {
        one: One,
        frames: VecDeque<usize>,
        /// What the frame that arrives asks for next.
        wants: usize,
        /// Here, and not answered.
        whole: VecDeque<usize>,
    }

    impl Sender {
        fn new(budget: &Arc<Budget>, chance: &mut Seeded) -> Self {
            let frames: VecDeque<_> = (0..3)
                .map(|_| match chance.one_in(2) {
                    true => KAFKA_SMALL_REQUEST_BYTES,
                    false => MIB << chance.below(4),
                })
                .collect();
            Self {
                one: One::of(budget),
                wants: frames[0] >> (1 + chance.below(3)),
                frames,
                whole: VecDeque::new(),
            }
        }

        fn go_on(&mut self, chance: &mut Seeded) {
            let before: usize = self.whole.iter().sum();
            let Some(&most) = self.frames.front().filter(|_| chance.one_in(2)) else {
                return self.is_answered();
            };
            if !self.one.holds_of(before + self.wants, most) {
                return;
            }
            if self.wants < most {
                self.wants *= 2;
                return;
            }
            self.one.share.end_frame();
            self.whole.extend(self.frames.pop_front());
            let next = self.frames.front().copied().unwrap_or_default();
            self.wants = next >> (1 + chance.below(3));
        }

        fn is_answered(&mut self) {
            let held: usize = self.whole.iter().sum();
            if let Some(answered) = self.whole.pop_front() {
                // Of the frame that arrives it may have as much as it asked for last.
                let arrived = match self.frames.front() {
                    Some(_) => self.one.share.held().saturating_sub(held),
                    None => 0,
                };
                let kept = held - answered + arrived;
                self.one.share.hold_only(kept + KAFKA_OWN_BYTES);
            }
        }

        fn is_over(&self) -> bool {
            self.frames.is_empty() && self.whole.is_empty()
        }
    }

    #[test]
    fn however_frames_come_together_all_of_them_come_to_an_end() {
        for seed in 0..200 {
            let mut chance = Seeded::new(seed);
            let (budget, _) = budget(4 * MIB);
            let mut all: Vec<_> = (0..40).map(|_| Sender::new(&budget, &mut chance)).collect();
            budget.state().within = KAFKA_SMALL_MEMORY_BYTES;
            let may_be_muted = seed % 2 == 1;
            let mut turns = 0;
            while !all.is_empty() {
                let place = chance.below(all.len() as u64) as usize;
                all[place].go_on(&mut chance);
                if may_be_muted && chance.one_in(20) {
                    all[place].one.share.stop_waiting();
                    all[place].one.share.leave_beyond();
                }
                if all[place].is_over() {
                    drop(all.swap_remove(place));
                }
                let Beyond { small, large } = budget.state().beyond;
                assert!(large <= 8 * MIB && small <= KAFKA_SMALL_REQUEST_BYTES);
                turns += 1;
                assert!(turns < 200_000, "seed {seed}: {} wait for ever", all.len());
            }
            assert_eq!(budget.state().held(), KAFKA_SMALL_MEMORY_BYTES);
        }
    }

    #[test]
    fn the_place_beyond_is_a_frames_and_not_its_connections() {
        let (budget, _) = budget(4 * MIB);
        let [mut half, mut a, mut b] = [(); 3].map(|()| One::of(&budget));
        assert!(half.holds(4 * MIB));
        assert!(a.holds(MIB) && a.holds(2 * MIB));
        a.share.end_frame();
        // Its next has to wait, whether others do or not.
        assert!(!a.holds(3 * MIB));
        assert!(!b.holds(MIB));
        assert!(!a.is_woken());
        // The first is answered, and the places are taken in turn.
        a.share.hold_only(KAFKA_OWN_BYTES);
        assert!(a.is_woken());
        assert!(a.holds(MIB) && a.holds(2 * MIB));
        a.share.end_frame();
        assert!(!a.holds(3 * MIB), "b came before");
        a.share.hold_only(KAFKA_OWN_BYTES);
        assert!(b.is_woken());
        assert!(b.holds(MIB));
        assert!(!a.holds(MIB), "b is beyond");
        b.gives_back_all();
        assert!(a.is_woken() && a.holds(MIB));
    }

    #[test]
    fn who_is_muted_leaves_its_place_to_another_and_is_counted_all_the_same() {
        let (budget, counts) = budget(4 * MIB);
        let [mut half, mut muted, mut b, mut c] = [(); 4].map(|()| One::of(&budget));
        assert!(half.holds(4 * MIB));
        assert!(muted.holds(2 * MIB));
        assert!(!b.holds(MIB));
        muted.share.leave_beyond();
        assert!(b.is_woken() && b.holds(MIB));
        assert_eq!(counts.held_bytes.get(), 7 * MIB as u64);
        // It goes on like everybody.
        assert!(!muted.holds(4 * MIB));
        assert!(!c.holds(MIB));
        b.gives_back_all();
        assert!(muted.is_woken() && !c.is_woken());
        assert!(muted.holds(4 * MIB));
        muted.gives_back_all();
        assert!(c.is_woken() && c.holds(MIB));
        drop((half, muted, c));
        assert_eq!(budget.state().held(), 0);
    }

    #[test]
    fn what_the_muted_leave_beyond_has_a_bound() {
        let (budget, _) = budget(0);
        let mut all = Vec::new();
        for _ in 0..KAFKA_MUTED_MEMORY_BYTES_MAX / (8 * MIB) {
            let mut muted = One::of(&budget);
            assert!(muted.holds(8 * MIB));
            muted.share.leave_beyond();
            all.push(muted);
        }
        let [mut last, mut other] = [(); 2].map(|()| One::of(&budget));
        assert!(last.holds(8 * MIB));
        last.share.leave_beyond();
        assert!(!other.holds(MIB), "it stays where it is");
        assert!(last.holds(16 * MIB), "and goes on there");
        all.pop();
        last.share.hold_only(8 * MIB);
        last.share.leave_beyond();
        assert!(other.is_woken() && other.holds(MIB));
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
    fn answers_that_nobody_takes_hold_up_those_of_their_kind_alone() {
        use AnswerKind::{Fetch, Long, Short};
        for (kind, other) in [(Fetch, Long), (Long, Fetch)] {
            let (budget, _) = budget(MIB);
            let [mut slow, mut a, mut b] = [(); 3].map(|()| One::of(&budget));
            assert!(slow.may_answer(kind));
            slow.owes(kind, kind.bytes_max());
            assert!(budget.is_pressed() && budget.is_tight());
            assert!(!a.may_answer(kind));
            assert!(!b.may_answer(kind));
            assert!(a.holds(MIB), "requests have their own");
            let mut elsewhere = One::of(&budget);
            assert!(elsewhere.may_answer(other));
            slow.owes(kind, kind.bytes_max() - 1);
            assert!(a.is_woken());
            assert!(!b.may_answer(kind), "in turn");
            assert!(a.may_answer(kind));
            assert!(b.is_woken());
            assert!(b.may_answer(kind));
        }
        let (budget, _) = budget(MIB);
        let [mut slow, mut one] = [(); 2].map(|()| One::of(&budget));
        slow.owes(Short, Short.bytes_max() / 2 - 1);
        assert!(!budget.is_tight());
        slow.owes(Short, Short.bytes_max());
        assert!(budget.is_pressed() && budget.is_tight());
        assert!(one.may_answer(Fetch) && one.may_answer(Long));
        slow.owes(Short, 0);
        assert!(!budget.is_pressed() && !budget.is_tight());
    }

    #[test]
    fn memory_is_wanted_of_who_has_some_while_others_wait() {
        let (budget, _) = budget(MIB);
        let [mut a, mut beyond, mut waits] = [(); 3].map(|()| One::of(&budget));
        assert!(a.holds(MIB) && beyond.holds(MIB));
        assert!(!a.share.is_wanted());
        assert!(!waits.holds(MIB));
        assert!(a.share.is_wanted() && beyond.share.is_wanted());
        assert!(!waits.share.is_wanted(), "it has none");
        drop(waits);
        assert!(!a.share.is_wanted());
    }

    #[test]
    fn a_connection_waits_to_read_and_to_answer_at_once() {
        let (budget, _) = budget(MIB);
        let [mut slow, mut one] = [(); 2].map(|()| One::of(&budget));
        assert!(slow.holds(2 * MIB));
        slow.owes(AnswerKind::Fetch, KAFKA_FETCH_ANSWER_BYTES_MAX);
        for _ in 0..3 {
            assert!(!one.holds(2 * MIB));
            assert!(!one.may_answer(AnswerKind::Fetch));
            assert!(!one.is_woken(), "nothing has changed");
        }
        drop(slow);
        assert!(one.is_woken());
        assert!(one.holds(2 * MIB) && one.may_answer(AnswerKind::Fetch));
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
