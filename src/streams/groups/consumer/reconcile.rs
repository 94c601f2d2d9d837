//! One member's next step to its target. A partition goes from one member to
//! another in three: the first is told to let go, says that it has, and only
//! then the second is told to read.

use crate::planted;
use crate::streams::groups::partitions::{Partition, Partitions};
use crate::streams::groups::record::Standing;

/// What the member's standing is to be. `held` is what it says it reads, where
/// it says so; `is_free` tells what nobody else has.
pub(super) fn step(
    standing: &Standing,
    target: &Partitions,
    epoch: i32,
    held: Option<&Partitions>,
    is_free: impl Fn(&Partition) -> bool,
) -> Standing {
    if !standing.revoking.is_empty() {
        let has_let_go = held.is_some_and(|held| held.is_apart_from(&standing.revoking));
        if !has_let_go && !planted!(PartitionGivenEarly) {
            return still_revoking(standing, target);
        }
    }
    let kept = standing.assigned.and(target);
    let lost = standing.assigned.without(target);
    if !lost.is_empty() {
        return Standing {
            assigned: kept,
            revoking: lost,
            ..*standing
        };
    }
    let gained: Partitions = (target.without(&kept).iter().copied())
        .filter(|partition| is_free(partition))
        .collect();
    let previous_epoch = match epoch == standing.epoch {
        true => standing.previous_epoch,
        false => standing.epoch,
    };
    Standing {
        epoch,
        previous_epoch,
        assigned: kept.or(&gained),
        revoking: Partitions::default(),
    }
}

/// The target may have moved on while the member lets go: what it is to lose
/// now joins the rest. What it is to have again it gets when it has let go.
fn still_revoking(standing: &Standing, target: &Partitions) -> Standing {
    Standing {
        assigned: standing.assigned.and(target),
        revoking: standing.revoking.or(&standing.assigned.without(target)),
        ..*standing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Uid;

    fn set(numbers: &str) -> Partitions {
        let number = |digit: u8| (Uid([1; 16]), i32::from(digit - b'0'));
        numbers.bytes().map(number).collect()
    }

    /// "epoch/previous assigned-revoking", of a member in a group of epoch 9
    /// where 7 and 8 are another's.
    fn check(before: &str, target: &str, held: Option<&str>, after: &str) {
        let (epochs, rest) = before.split_once(' ').unwrap();
        let (epoch, previous) = epochs.split_once('/').unwrap();
        let (assigned, revoking) = rest.split_once('-').unwrap();
        let standing = Standing {
            epoch: epoch.parse().unwrap(),
            previous_epoch: previous.parse().unwrap(),
            assigned: set(assigned),
            revoking: set(revoking),
        };
        let held = held.map(set);
        let is_free = |partition: &Partition| !set("78").contains(partition);
        let next = step(&standing, &set(target), 9, held.as_ref(), is_free);
        let digits = |set: &Partitions| -> String {
            set.iter().map(|(_, number)| number.to_string()).collect()
        };
        let found = format!(
            "{}/{} {}-{}",
            next.epoch,
            next.previous_epoch,
            digits(&next.assigned),
            digits(&next.revoking)
        );
        assert_eq!(found, after, "{before} to {target} holding {held:?}");
    }

    #[test]
    fn a_member_moves_step_by_step() {
        // Nothing changes but the epoch, and then nothing at all.
        check("4/3 12-", "12", None, "9/4 12-");
        check("9/4 12-", "12", None, "9/4 12-");
        // What is free is there at once, what is another's comes later.
        check("0/0 -", "17", Some(""), "9/0 1-");
        check("9/0 1-", "17", None, "9/0 1-");
        // What is to go is asked back first, in the old epoch.
        check("4/3 12-", "23", Some("12"), "4/3 2-1");
        check("4/3 2-1", "23", None, "4/3 2-1");
        check("4/3 2-1", "23", Some("12"), "4/3 2-1");
        check("4/3 2-1", "23", Some("2"), "9/4 23-");
        // Even from one that does not say it has it: it may be about to.
        check("4/3 12-", "2", Some("2"), "4/3 2-1");
        // The target moves on meanwhile.
        check("4/3 2-1", "3", Some("12"), "4/3 -12");
        check("4/3 2-1", "12", Some("12"), "4/3 2-1");
        check("4/3 2-1", "3", Some("2"), "4/3 -2");
    }
}
