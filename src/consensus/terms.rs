//! Which term each entry of the log is of, also where the entries themselves
//! have left the memory. Terms never fall along a log, so a few runs say it
//! all: one for each term that still has an entry.

/// Knows the term of every index from `dummy` to `last`.
#[derive(Debug)]
pub(super) struct Terms {
    /// (first index, term), both growing. Never empty; the first run begins at
    /// the entry before the log's first, whose term is kept for matching.
    runs: Vec<(u64, u64)>,
    last: u64,
}

impl Terms {
    pub(super) fn new(dummy: u64, term: u64) -> Self {
        Self {
            runs: vec![(dummy, term)],
            last: dummy,
        }
    }

    pub(super) fn dummy(&self) -> u64 {
        self.runs[0].0
    }

    pub(super) fn last(&self) -> u64 {
        self.last
    }

    pub(super) fn last_term(&self) -> u64 {
        self.runs[self.runs.len() - 1].1
    }

    pub(super) fn at(&self, index: u64) -> Option<u64> {
        if index < self.dummy() || index > self.last {
            return None;
        }
        Some(self.runs[self.run_of(index)].1)
    }

    fn run_of(&self, index: u64) -> usize {
        self.runs.partition_point(|(first, _)| *first <= index) - 1
    }

    /// Puts an entry at the end, or in the place of one: what followed it is
    /// then gone.
    pub(super) fn put(&mut self, index: u64, term: u64) {
        assert!(
            index > self.dummy() && index <= self.last + 1,
            "entry {index} leaves a gap"
        );
        self.runs.truncate(self.run_of(index.min(self.last)) + 1);
        if self.runs[self.runs.len() - 1].0 == index {
            self.runs.pop();
        }
        assert!(self.last_term() <= term, "the term falls at entry {index}");
        if self.last_term() != term {
            self.runs.push((index, term));
        }
        self.last = index;
    }

    /// Forgets what is before `dummy`.
    pub(super) fn cut_before(&mut self, dummy: u64) {
        assert!(dummy >= self.dummy() && dummy <= self.last);
        let run = self.run_of(dummy);
        self.runs.drain(..run);
        self.runs[0].0 = dummy;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every term by its index, as a plain list would hold it.
    fn shown(terms: &Terms) -> Vec<u64> {
        assert_eq!(terms.at(terms.last() + 1), None);
        assert_eq!(terms.dummy().checked_sub(1).and_then(|i| terms.at(i)), None);
        (terms.dummy()..=terms.last())
            .map(|index| terms.at(index).unwrap())
            .collect()
    }

    #[test]
    fn runs_say_what_a_list_would() {
        let mut terms = Terms::new(4, 2);
        for (index, term) in [(5, 2), (6, 2), (7, 3), (8, 5), (9, 5)] {
            terms.put(index, term);
        }
        assert_eq!(shown(&terms), [2, 2, 2, 3, 5, 5]);
        terms.put(7, 6);
        assert_eq!(shown(&terms), [2, 2, 2, 6]);
        terms.put(6, 6);
        assert_eq!(shown(&terms), [2, 2, 6]);
        terms.put(7, 6);
        terms.cut_before(5);
        assert_eq!(shown(&terms), [2, 6, 6]);
        terms.cut_before(7);
        assert_eq!(shown(&terms), [6]);
        terms.put(8, 6);
        assert_eq!(shown(&terms), [6, 6]);
    }

    #[test]
    #[should_panic(expected = "leaves a gap")]
    fn a_gap_is_refused() {
        Terms::new(4, 2).put(6, 2);
    }
}
