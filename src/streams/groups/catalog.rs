//! The topics that there are, as far as groups must know: what a coordinator
//! shares out.

use super::Name;
use crate::ids::Uid;
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    pub topics: BTreeMap<Name, Topic>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic {
    pub id: Uid,
    pub partitions: u32,
}

impl Catalog {
    /// Topics that were here under this id and are not in the next.
    pub fn lost_in<'a>(&'a self, next: &'a Self) -> impl Iterator<Item = (&'a Name, Uid)> {
        let is_lost = |name: &Name, topic: &Topic| {
            next.topics
                .get(name)
                .is_none_or(|there| there.id != topic.id)
        };
        self.topics
            .iter()
            .filter(move |(name, topic)| is_lost(name, topic))
            .map(|(name, topic)| (name, topic.id))
    }
}
