//! Producer ids that were handed to this coordinator and are nobody's yet.

use super::Error;
use crate::ids::ProducerId;
use std::ops::Range;

#[derive(Debug, Default)]
pub(super) struct Ids {
    rest: Range<u64>,
}

impl Ids {
    /// What is left of the last is wasted: there are 2^63.
    pub fn fill(&mut self, ids: Range<u64>) {
        self.rest = ids;
    }

    pub fn take(&mut self) -> Result<ProducerId, Error> {
        self.rest.next().map(ProducerId).ok_or(Error::NoProducerIds)
    }
}
