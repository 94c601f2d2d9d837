//! What requests name: each thing once, and no topic of the brokers' own where it
//! would be taken from them.

use crate::ports::kafka::errors::Refusal;
use crate::ports::kafka::messages::ErrorCode;
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
}
