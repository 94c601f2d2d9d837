//! How old something is that was dated by the clock on the wall, which may have been
//! behind at that time: a box without a battery begins with the last time that it
//! has saved, or with that of its system's build, until somebody sets its clock. What
//! is taken away by its age would go at that moment, hardly dated. Pure.
//!
//! While this looks, the clock that never goes back says by how much the other has
//! gone ahead of it, and that is taken off the age of all that was dated before. A
//! machine that stood still, as a laptop that was shut, looks the same and is not
//! told from it.

use crate::clock::Millis;
use crate::limits::{CLOCK_STEP_MS, CLOCK_STEPS_MAX, CLOCK_UNSET_BEFORE_MS};
use crate::planted;
use std::collections::VecDeque;
use std::time::Duration;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ages {
    last: Option<(Duration, Millis)>,
    /// The oldest first.
    /// Invariant: at most CLOCK_STEPS_MAX.
    steps: VecDeque<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    /// What the clock said behind it. Nothing that is dated up to here was dated
    /// later.
    at: Millis,
    by_ms: u64,
}

impl Ages {
    /// To be called before anything is dated, or taken for old.
    pub fn look(&mut self, since: Duration, wall: Millis) {
        let Some((since_before, wall_before)) = self.last.replace((since, wall)) else {
            return;
        };
        let passed = since.saturating_sub(since_before).as_millis() as u64;
        let expected = wall_before.0.saturating_add(passed);
        let ahead = wall.0.saturating_sub(expected);
        let behind = expected.saturating_sub(wall.0);
        if ahead > CLOCK_STEP_MS {
            self.step(wall, ahead);
        } else if behind > CLOCK_STEP_MS {
            self.step_back(behind);
        }
    }

    /// What was dated by others, or in an earlier life, is to be judged now, and this
    /// is the newest of their dates. Nobody is known to have been here since, so that
    /// time counts for nobody's age: the box may have been off, or the clock have
    /// been set. Where this has looked before it knows better.
    pub fn begin(&mut self, newest: Option<Millis>, since: Duration, wall: Millis) {
        let newest = newest.filter(|newest| newest.0 >= CLOCK_UNSET_BEFORE_MS);
        if let (None, Some(newest)) = (self.last, newest) {
            let unseen = wall.0.saturating_sub(newest.0);
            if unseen > CLOCK_STEP_MS {
                self.step(wall, unseen);
            }
        }
        self.look(since, wall);
    }

    fn step(&mut self, at: Millis, by_ms: u64) {
        self.steps.push_back(Step { at, by_ms });
        if self.steps.len() > CLOCK_STEPS_MAX
            && let Some(oldest) = self.steps.pop_front()
            && let Some(next) = self.steps.front_mut()
        {
            // What was dated between the two comes to be younger than it is.
            next.by_ms = next.by_ms.saturating_add(oldest.by_ms);
        }
    }

    /// The clock was ahead, and what it had gone forward by was wrong.
    fn step_back(&mut self, mut by_ms: u64) {
        while let Some(last) = self.steps.back_mut() {
            if last.by_ms > by_ms {
                last.by_ms -= by_ms;
                last.at.0 -= by_ms;
                return;
            }
            by_ms -= last.by_ms;
            self.steps.pop_back();
        }
    }

    /// When that was by the clock as it is now.
    pub fn begun(&self, at: Millis) -> Millis {
        if planted!(ClockStepNotMinded) {
            return at;
        }
        let later = |at: Millis, step: &Step| match at <= step.at {
            true => Millis(at.0.saturating_add(step.by_ms)).min(step.at),
            false => at,
        };
        self.steps.iter().fold(at, later)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::Seeded;
    use crate::planted::{Fault, hunt};

    const HOUR: u64 = 3_600_000;
    const DAY: u64 = 24 * HOUR;
    const WALL: u64 = 1_767_225_600_000;

    /// A clock that steps, and things that are dated by it.
    struct History {
        chance: Seeded,
        ages: Ages,
        passed_ms: u64,
        wall: u64,
        /// What each was dated, and when that really was.
        dated: Vec<(Millis, u64)>,
        /// What steps that are too small to be minded come to.
        slack_ms: u64,
        steps: usize,
        has_gone_back: bool,
    }

    impl History {
        fn run(seed: u64) -> Result<(), String> {
            let mut history = Self {
                chance: Seeded::new(seed),
                ages: Ages::default(),
                passed_ms: 0,
                wall: WALL,
                dated: Vec::new(),
                slack_ms: 0,
                steps: 0,
                has_gone_back: false,
            };
            let is_forward_only = history.chance.one_in(2);
            for step in 0..200 {
                history.step(is_forward_only);
                let checked = history.check();
                checked.map_err(|says| format!("seed {seed}, step {step}: {says}"))?;
            }
            Ok(())
        }

        fn step(&mut self, is_forward_only: bool) {
            let passed = self.chance.below(9 * HOUR);
            self.passed_ms += passed;
            self.wall += passed;
            let is_large = self.steps < CLOCK_STEPS_MAX;
            match self.chance.below(30) {
                0 | 1 if is_large => {
                    self.steps += 1;
                    self.wall += 2 * HOUR + self.chance.below(30 * DAY);
                }
                2 if !is_forward_only => {
                    self.has_gone_back = true;
                    self.wall -= 2 * HOUR + self.chance.below(20 * DAY);
                }
                3 => {
                    let small = self.chance.below(CLOCK_STEP_MS);
                    self.slack_ms += small;
                    self.wall += small;
                }
                _ => {}
            }
            let since = Duration::from_millis(self.passed_ms);
            self.ages.look(since, Millis(self.wall));
            if self.chance.one_in(3) {
                self.dated.push((Millis(self.wall), self.passed_ms));
            }
        }

        /// Nothing is older than it is, and where the clock went forward alone,
        /// nothing is younger.
        fn check(&self) -> Result<(), String> {
            for &(at, since_ms) in &self.dated {
                let age = self.wall.saturating_sub(self.ages.begun(at).0);
                let true_age = self.passed_ms - since_ms;
                if age > true_age + self.slack_ms {
                    return Err(format!("{age} ms old after {true_age}"));
                }
                if age < true_age && !self.has_gone_back {
                    return Err(format!("only {age} ms old after {true_age}"));
                }
            }
            Ok(())
        }
    }

    #[test]
    fn nothing_is_older_than_it_is_however_the_clock_is_set() {
        for seed in 0..400 {
            History::run(seed).unwrap_or_else(|says| panic!("{says}"));
        }
    }

    #[test]
    fn a_step_that_is_not_minded_is_found() {
        let faults = &[Fault::ClockStepNotMinded];
        hunt(faults, &[(Fault::ClockStepNotMinded, 0)], History::run);
    }

    #[test]
    fn what_an_earlier_life_dated_was_dated_before_a_step() {
        let mut ages = Ages::default();
        let build_date = Millis(WALL - 300 * DAY);
        let newest = Some(Millis(WALL));
        ages.begin(newest, Duration::ZERO, build_date);
        assert_eq!(ages.begun(Millis(WALL)), Millis(WALL));
        let now = Millis(WALL + 8 * DAY);
        ages.look(Duration::from_secs(60), now);
        assert_eq!(ages.begun(Millis(WALL)), now);
        assert_eq!(ages.begun(build_date), Millis(now.0 - 60_000));
    }

    #[test]
    fn the_time_in_which_nobody_was_there_makes_nobody_older() {
        let now = Millis(WALL + 8 * DAY);
        let begun = |newest: u64, at: u64| {
            let mut ages = Ages::default();
            ages.begin(Some(Millis(newest)), Duration::ZERO, now);
            ages.begun(Millis(at)).0
        };
        assert_eq!(begun(WALL, WALL), now.0);
        assert_eq!(begun(WALL, WALL - DAY), now.0 - DAY);
        // Somebody was, a moment ago.
        assert_eq!(begun(now.0 - HOUR, WALL), WALL);
        // The newest date is of no clock that was set.
        assert_eq!(begun(5, WALL), WALL);
    }

    #[test]
    fn steps_beyond_the_bound_become_one() {
        let mut ages = Ages::default();
        let mut wall = Millis(WALL);
        let all = 3 * CLOCK_STEPS_MAX as u64;
        for step in 0..=all {
            ages.look(Duration::from_secs(step), wall);
            wall.0 += 1000 + DAY;
        }
        assert_eq!(ages.steps.len(), CLOCK_STEPS_MAX);
        assert_eq!(ages.begun(Millis(WALL)).0, WALL + all * DAY);
    }
}
