//! What goes when the event log has more than its share of the disk: the oldest
//! segments, whosever they are. Pure.

use crate::ids::Offset;
use crate::streams::Key;
use std::collections::BTreeMap;

/// A segment that may go, with all before it of its partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub key: Key,
    /// The offset behind its last record.
    pub until: Offset,
    pub bytes: u64,
    /// The greatest timestamp up to its end.
    pub latest: i64,
}

/// What one partition is to lose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    pub until: Offset,
    pub bytes: u64,
}

/// The oldest that have so many bytes together, or all. Of one partition never a
/// segment before those that stand before it.
pub fn surplus(mut candidates: Vec<Candidate>, bytes: u64) -> BTreeMap<Key, Loss> {
    candidates.sort_unstable_by_key(|one| (one.latest, one.key, one.until));
    let (mut losses, mut freed) = (BTreeMap::<Key, Loss>::new(), 0);
    for one in candidates {
        if freed >= bytes {
            break;
        }
        let loss = losses.entry(one.key).or_default();
        loss.until = loss.until.max(one.until);
        loss.bytes += one.bytes;
        freed += one.bytes;
    }
    losses
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{PartitionId, TopicId};

    fn candidate(topic: u8, until: u64, latest: i64) -> Candidate {
        Candidate {
            key: key(topic),
            until: Offset(until),
            bytes: 10,
            latest,
        }
    }

    fn key(topic: u8) -> Key {
        Key {
            topic: TopicId([topic; 16]),
            partition: PartitionId(0),
        }
    }

    #[test]
    fn the_oldest_go_whosever_they_are_and_no_more_than_needed() {
        let all = vec![
            candidate(1, 30, 9),
            candidate(1, 20, 3),
            candidate(1, 10, 3),
            candidate(2, 10, 5),
            candidate(2, 20, 6),
        ];
        let lost = |bytes| {
            let losses = surplus(all.clone(), bytes);
            let each = losses
                .iter()
                .map(|(&key, loss)| (key, loss.until.0, loss.bytes));
            each.collect::<Vec<_>>()
        };
        assert_eq!(lost(0), []);
        assert_eq!(lost(1), [(key(1), 10, 10)]);
        assert_eq!(lost(10), [(key(1), 10, 10)]);
        assert_eq!(lost(11), [(key(1), 20, 20)]);
        assert_eq!(lost(21), [(key(1), 20, 20), (key(2), 10, 10)]);
        assert_eq!(lost(999), [(key(1), 30, 30), (key(2), 20, 20)]);
    }
}
