//! The transactions that have ended in one place, as far as it matters to who was
//! let begin one there: what was said of a producer's transaction before its end
//! says nothing of the next.

use crate::ids::ProducerId;
use crate::limits::ENDS_REMEMBERED_MAX;
use crate::planted;
use std::collections::VecDeque;

/// A point between two ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    life: u64,
    count: u64,
}

#[derive(Clone, Debug, Default)]
pub struct Ends {
    life: u64,
    count: u64,
    /// Whose the last were, the newest behind.
    /// Invariant: at most ENDS_REMEMBERED_MAX, and no more than `count`.
    last: VecDeque<ProducerId>,
}

impl Ends {
    /// Counted from nothing. Moments of other lives are not of this one: ends
    /// may have been missed between.
    pub fn of_life(life: u64) -> Self {
        Self {
            life,
            ..Self::default()
        }
    }

    pub fn note(&mut self, id: ProducerId) {
        self.count += 1;
        if self.last.len() == ENDS_REMEMBERED_MAX {
            self.last.pop_front();
        }
        self.last.push_back(id);
    }

    pub fn now(&self) -> Moment {
        Moment {
            life: self.life,
            count: self.count,
        }
    }

    /// Whether a producer may begin a transaction here, whose coordinator has
    /// said so, asked at some moment. If not, it is to be asked again, and that
    /// is now.
    pub fn check(&self, verified: Option<Moment>, id: ProducerId) -> Result<(), Moment> {
        match verified {
            Some(moment) if !self.may_have_ended(moment, id) => Ok(()),
            _ => Err(self.now()),
        }
    }

    /// True also where it is not known any more.
    fn may_have_ended(&self, since: Moment, id: ProducerId) -> bool {
        if planted!(EndNotMinded) {
            return false;
        }
        let of_life = (since.life == self.life).then_some(since.count);
        let ends = of_life.and_then(|count| self.count.checked_sub(count));
        let ends = ends.and_then(|ends| usize::try_from(ends).ok());
        match ends.filter(|&ends| ends <= self.last.len()) {
            Some(ends) => self.last.iter().rev().take(ends).any(|&one| one == id),
            None => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ends_of_the_producer_itself_count() {
        let (one, other) = (ProducerId(1), ProducerId(2));
        let mut ends = Ends::of_life(3);
        assert_eq!(ends.check(None, one), Err(ends.now()));
        ends.note(one);
        let moment = ends.now();
        assert_eq!(ends.check(Some(moment), one), Ok(()));
        ends.note(other);
        assert_eq!(ends.check(Some(moment), one), Ok(()));
        assert_eq!(ends.check(Some(moment), other), Err(ends.now()));
        ends.note(one);
        assert_eq!(ends.check(Some(moment), one), Err(ends.now()));
        assert_eq!(ends.check(Some(ends.now()), one), Ok(()));
    }

    #[test]
    fn what_is_not_known_any_more_is_no_leave() {
        let (one, other) = (ProducerId(1), ProducerId(2));
        let mut ends = Ends::of_life(3);
        let moment = ends.now();
        for _ in 0..ENDS_REMEMBERED_MAX {
            ends.note(other);
        }
        assert_eq!(ends.check(Some(moment), one), Ok(()));
        ends.note(other);
        assert_eq!(ends.check(Some(moment), one), Err(ends.now()));
        assert_eq!(ends.last.len(), ENDS_REMEMBERED_MAX);
        let next = Ends::of_life(4);
        assert_eq!(next.check(Some(ends.now()), one), Err(next.now()));
        assert_eq!(next.check(Some(moment), one), Err(next.now()));
    }
}
