//! The transactions of one partition: open, ended, and aborted.

use crate::ids::{Offset, ProducerId};
use crate::planted;
use std::collections::BTreeMap;

/// A transaction that was aborted and whose records are still in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aborted {
    pub id: ProducerId,
    pub first: Offset,
    /// The marker's.
    pub last: Offset,
    /// The first offset of what was open beside it, or the one after it: no
    /// transaction that ended later began below.
    pub last_stable: Offset,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Transactions {
    /// By their first record.
    pub(super) open: BTreeMap<Offset, ProducerId>,
    /// First record and marker of those that the watermark had not settled,
    /// in the order of the markers.
    pub(super) ended: Vec<(Offset, Offset)>,
    /// In the order of the markers.
    pub(super) aborted: Vec<Aborted>,
}

impl Transactions {
    pub(super) fn end(&mut self, id: ProducerId, first: Offset, last: Offset, is_aborted: bool) {
        self.open.remove(&first);
        self.ended.push((first, last));
        if is_aborted && !planted!(AbortNotNoted) {
            let after = Offset(last.0 + 1);
            let last_stable = self.open.keys().next().copied().unwrap_or(after);
            self.aborted.push(Aborted {
                id,
                first,
                last,
                last_stable,
            });
        }
    }

    /// What there would be if all that are open were aborted.
    pub(super) fn aborted_at_most(&self) -> usize {
        self.aborted.len() + self.open.len()
    }

    pub(super) fn first_unstable(&self, watermark: Offset) -> Option<Offset> {
        let open = self.open.keys().next().copied();
        let ended = self.ended.iter().filter(|(_, last)| *last >= watermark);
        let ended = ended.map(|&(first, _)| first).min();
        match () {
            () if planted!(OpenNotMinded) => ended,
            () if planted!(EndedTooSoon) => open,
            () => open.into_iter().chain(ended).min(),
        }
    }

    pub(super) fn settle(&mut self, watermark: Offset) {
        let settled = self.ended.partition_point(|(_, last)| *last < watermark);
        self.ended.drain(..settled);
    }

    pub(super) fn aborted(&self, from: Offset, until: Offset) -> impl Iterator<Item = &Aborted> {
        let begin = self.aborted.partition_point(|one| one.last < from);
        let mut is_through = false;
        let near = self.aborted[begin..].iter().take_while(move |one| {
            let was_through = is_through;
            is_through = match planted!(AbortedCutShort) {
                true => one.first >= until,
                false => one.last_stable >= until,
            };
            !was_through
        });
        near.filter(move |one| one.first < until)
    }

    pub(super) fn forget_aborted(&mut self, until: Offset) {
        let gone = self.aborted.partition_point(|one| one.last < until);
        self.aborted.drain(..gone);
    }
}
