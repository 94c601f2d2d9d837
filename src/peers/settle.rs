//! Which of two connections with the same peer stays. Both sides may dial, so
//! both decide, and come to the same answer without a word.

use crate::ids::NodeId;

/// What both sides know of a connection once they have greeted each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub dialed_by: NodeId,
    /// Which start of the peer's process speaks; grows with each.
    pub incarnation: u64,
}

impl Standing {
    /// Whether a connection that was just greeted takes the place of the one
    /// that is held.
    ///
    /// A later start of the peer knows nothing of what its earlier one held.
    /// Of two that were dialed by the same side the newer stays: who dials has
    /// lost the older. Of two that crossed, the lower id's stays.
    pub(super) fn takes_the_place_of(self, held: Standing) -> bool {
        if self.incarnation != held.incarnation {
            return self.incarnation > held.incarnation;
        }
        self.dialed_by <= held.dialed_by
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(dialed_by: u64, incarnation: u64) -> Standing {
        Standing {
            dialed_by: NodeId(dialed_by),
            incarnation,
        }
    }

    #[test]
    fn both_orders_of_arrival_leave_the_same_connection() {
        let (low, high) = (standing(1, 7), standing(2, 7));
        assert!(low.takes_the_place_of(high));
        assert!(!high.takes_the_place_of(low));
        let (before, after) = (standing(1, 7), standing(2, 8));
        assert!(after.takes_the_place_of(before));
        assert!(!before.takes_the_place_of(after));
    }

    #[test]
    fn who_dials_again_has_lost_the_first() {
        assert!(standing(1, 7).takes_the_place_of(standing(1, 7)));
        assert!(standing(2, 7).takes_the_place_of(standing(2, 7)));
    }
}
