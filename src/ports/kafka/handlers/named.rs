//! What requests name: each thing once, and no topic of the brokers' own where it
//! would be taken from them.

use crate::ports::kafka::errors::Refusal;
use crate::ports::kafka::messages::{ErrorCode, Text};
use crate::ports::kafka::topics::Internal;
use std::collections::BTreeMap;

/// Each thing at the place where it is named first, and whether it is named there
/// alone. One that comes again is dropped: it is answered once.
pub fn each_once<T, K: Ord>(all: Vec<T>, key: impl Fn(&T) -> K) -> Vec<(T, bool)> {
    let mut places = BTreeMap::new();
    let mut once: Vec<(T, bool)> = Vec::new();
    for one in all {
        let place = *places.entry(key(&one)).or_insert(once.len());
        match once.get_mut(place) {
            Some((_, is_once)) => *is_once = false,
            None => once.push((one, true)),
        }
    }
    once
}

/// The partitions that a request has named so far, and what is to be known of each.
/// A name that stands for a hundred thousand of them is neither copied nor compared
/// for each: it may have 32 KiB where a partition's number has four bytes.
pub struct Named<V = ()>(BTreeMap<Text, BTreeMap<i32, V>>);

impl<V> Default for Named<V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<V> Named<V> {
    /// Those of one topic, to which its next are added.
    pub fn of(&mut self, topic: &Text) -> &mut BTreeMap<i32, V> {
        self.0.entry(topic.clone()).or_default()
    }

    pub fn has(&self, topic: &str, partition: i32) -> bool {
        let of_topic = self.0.get(topic);
        of_topic.is_some_and(|partitions| partitions.contains_key(&partition))
    }
}

/// What was not among them, and is from here on.
pub fn is_new(named: &mut BTreeMap<i32, ()>, partition: i32) -> bool {
    named.insert(partition, ()).is_none()
}

/// The brokers make and keep some topics for themselves. What groups and
/// transactions know is in them, and found there by their number of partitions:
/// nobody makes, deletes or widens them.
pub fn own_topic(name: &str) -> Result<(), Refusal> {
    match Internal::named(name) {
        None => Ok(()),
        Some(_) => Err(Refusal::new(
            ErrorCode::PolicyViolation,
            format_args!("{name} is the brokers' own: they make it, and keep it as it is"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_again_is_told_at_its_first_place() {
        let all = each_once(vec!["b", "a", "b", "c", "b"], |name| *name);
        assert_eq!(all, [("b", false), ("a", true), ("c", true)]);
    }

    #[test]
    fn a_topic_that_comes_again_has_the_partitions_it_had() {
        let mut named = Named::default();
        let mut add = |topic: &str, partition| is_new(named.of(&topic.into()), partition);
        assert!(add("a", 0) && add("b", 0) && add("a", 1));
        assert!(!add("a", 0));
        assert!(named.has("b", 0) && !named.has("b", 1) && !named.has("c", 0));
    }
}
