//! Which batches of a partition belong to transactions that were aborted.

use crate::ports::kafka::messages::fetch::AbortedTransaction;
use crate::streams::batch::header::{Attributes, Header};
use std::collections::BTreeSet;

/// Of one answer, whose batches are shown to it in their order.
pub struct Aborted {
    /// The last first.
    to_come: Vec<AbortedTransaction>,
    /// Producers whose transaction at hand was aborted.
    under_way: BTreeSet<i64>,
}

impl Aborted {
    pub fn new(mut listed: Vec<AbortedTransaction>) -> Self {
        listed.sort_by_key(|one| std::cmp::Reverse(one.first_offset));
        Self {
            to_come: listed,
            under_way: BTreeSet::new(),
        }
    }

    /// Whether its records are to be passed over. A marker ends what is under
    /// way of its producer, and is no record itself.
    pub fn passes_over(&mut self, header: &Header<'_>) -> bool {
        let last = header.base_offset() + i64::from(header.last_offset_delta());
        while let Some(begun) = self.to_come.pop_if(|one| one.first_offset <= last) {
            self.under_way.insert(begun.producer_id);
        }
        let attributes = header.attributes();
        if attributes.has(Attributes::CONTROL) {
            self.under_way.remove(&header.producer_id());
            return true;
        }
        attributes.has(Attributes::TRANSACTIONAL) && self.under_way.contains(&header.producer_id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Millis;
    use crate::ids::{Offset, ProducerId};
    use crate::streams::batch::build::Builder;
    use crate::streams::batch::codec::Codec;
    use crate::streams::batch::control::{Ending, Marker, Place};
    use crate::streams::batch::header::Claim;
    use crate::streams::batch::records::{Headers, Record};

    fn batch(base: u64, producer: u64, is_transactional: bool) -> Vec<u8> {
        let claim = Claim {
            id: ProducerId(producer),
            epoch: 0,
            sequence: 0,
        };
        let mut builder = Builder::new(Offset(base), Codec::None).producer(claim, is_transactional);
        builder
            .add(&Record {
                offset: Offset(base),
                timestamp: 0,
                key: None,
                value: None,
                headers: Headers::NONE,
            })
            .unwrap();
        builder.finish().unwrap()
    }

    fn marker(offset: u64, producer: u64, ending: Ending) -> Vec<u8> {
        let place = Place {
            offset: Offset(offset),
            leader_epoch: 0,
            id: ProducerId(producer),
            epoch: 0,
        };
        let marker = Marker {
            ending,
            coordinator_epoch: 0,
        };
        marker.batch(place, Millis(0))
    }

    #[test]
    fn what_was_aborted_ends_with_its_marker() {
        let history = [
            // Producer 1 commits, aborts and commits; 2 has no transaction; 3 aborts.
            (batch(0, 1, true), false),
            (marker(1, 1, Ending::Commit), true),
            (batch(2, 1, true), true),
            (batch(3, 2, false), false),
            (batch(4, 3, true), true),
            (batch(5, 1, true), true),
            (marker(6, 1, Ending::Abort), true),
            (batch(7, 1, true), false),
            (batch(8, 3, true), true),
            (marker(9, 3, Ending::Abort), true),
            (batch(10, 3, true), false),
        ];
        let listed = |producer_id, first_offset| AbortedTransaction {
            producer_id,
            first_offset,
        };
        let mut aborted = Aborted::new(vec![listed(3, 4), listed(1, 2)]);
        for (bytes, is_passed_over) in &history {
            let header = Header::of(bytes).unwrap();
            let at = header.base_offset();
            assert_eq!(aborted.passes_over(&header), *is_passed_over, "{at}");
        }
        // Without a list nothing but markers is passed over.
        let mut none = Aborted::new(Vec::new());
        let shown = history
            .iter()
            .filter(|(bytes, _)| !none.passes_over(&Header::of(bytes).unwrap()));
        assert_eq!(shown.count(), 8);
    }
}
