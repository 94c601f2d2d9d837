//! Which leader's records a log has, and from where on: what two replicas
//! compare to find where they part.

use crate::ids::Offset;

/// The epoch of a partition's leader. Raised with each change of leader.
pub type LeaderEpoch = i32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Begun {
    epoch: LeaderEpoch,
    at: Offset,
}

/// Of one log. Epochs without a record are not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Epochs {
    /// Both rise along it.
    begun: Vec<Begun>,
}

impl Epochs {
    /// A record of this epoch stands at this offset, behind all that are known.
    pub fn note(&mut self, epoch: LeaderEpoch, at: Offset) {
        if self.begun.last().is_none_or(|last| last.epoch < epoch) {
            self.begun.push(Begun { epoch, at });
        }
    }

    /// Of the last record.
    pub fn last(&self) -> Option<LeaderEpoch> {
        self.begun.last().map(|last| last.epoch)
    }

    /// Of the record that holds this offset.
    pub fn at(&self, offset: Offset) -> Option<LeaderEpoch> {
        let behind = self.begun.partition_point(|begun| begun.at <= offset);
        behind.checked_sub(1).map(|place| self.begun[place].epoch)
    }

    /// Where the last epoch that is not above this one ends, in a log that ends
    /// at `next`. None where the log has nothing of it or of an older one.
    pub fn end_of(&self, epoch: LeaderEpoch, next: Offset) -> Option<(LeaderEpoch, Offset)> {
        let behind = self.begun.partition_point(|begun| begun.epoch <= epoch);
        let place = behind.checked_sub(1)?;
        let end = self.begun.get(behind).map_or(next, |after| after.at);
        Some((self.begun[place].epoch, end))
    }

    /// The log ends here now.
    pub fn truncate(&mut self, next: Offset) {
        self.begun.retain(|begun| begun.at < next);
    }

    /// The log begins here now. What its first record belongs to is known on.
    pub fn drop_prefix(&mut self, first: Offset) {
        let behind = self.begun.partition_point(|begun| begun.at <= first);
        self.begun.drain(..behind.saturating_sub(1));
        if let Some(begun) = self.begun.first_mut() {
            begun.at = begun.at.max(first);
        }
    }

    pub fn clear(&mut self) {
        self.begun.clear();
    }

    /// Epoch and first offset of each, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (LeaderEpoch, Offset)> {
        self.begun.iter().map(|begun| (begun.epoch, begun.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(begun: &[(LeaderEpoch, u64)]) -> Epochs {
        let mut epochs = Epochs::default();
        begun
            .iter()
            .for_each(|&(epoch, at)| epochs.note(epoch, Offset(at)));
        epochs
    }

    fn shown(epochs: &Epochs) -> Vec<(LeaderEpoch, u64)> {
        epochs.iter().map(|(epoch, at)| (epoch, at.0)).collect()
    }

    #[test]
    fn each_offset_has_its_leader() {
        let epochs = epochs(&[(1, 0), (1, 5), (4, 10), (6, 20)]);
        assert_eq!(shown(&epochs), [(1, 0), (4, 10), (6, 20)]);
        let at = |offset| epochs.at(Offset(offset));
        assert_eq!(
            [at(0), at(9), at(10), at(25)].map(Option::unwrap),
            [1, 1, 4, 6]
        );
        assert_eq!(epochs.last(), Some(6));
        assert_eq!(Epochs::default().at(Offset(3)), None);
    }

    #[test]
    fn an_epoch_ends_where_the_next_begins() {
        let epochs = epochs(&[(1, 0), (4, 10), (6, 20)]);
        let end = |epoch| epochs.end_of(epoch, Offset(25));
        assert_eq!(end(0), None);
        assert_eq!(end(1), Some((1, Offset(10))));
        assert_eq!(end(3), Some((1, Offset(10))), "3 has left nothing here");
        assert_eq!(end(4), Some((4, Offset(20))));
        assert_eq!(end(9), Some((6, Offset(25))));
    }

    #[test]
    fn both_ends_of_a_log_may_be_cut() {
        let mut cut = epochs(&[(1, 0), (4, 10), (6, 20)]);
        cut.truncate(Offset(20));
        assert_eq!(shown(&cut), [(1, 0), (4, 10)]);
        cut.drop_prefix(Offset(7));
        assert_eq!(shown(&cut), [(1, 7), (4, 10)]);
        cut.drop_prefix(Offset(10));
        assert_eq!(shown(&cut), [(4, 10)]);
        cut.drop_prefix(Offset(15));
        assert_eq!(shown(&cut), [(4, 15)]);
        cut.truncate(Offset(15));
        assert_eq!(shown(&cut), []);
    }
}
