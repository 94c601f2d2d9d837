//! Who of a group's members reads what: the assignors that a coordinator runs
//! itself (KIP-848). Both start from what was assigned before and move as
//! little as their rule allows.

mod range;
mod uniform;

use super::Name;
use super::partitions::Partitions;
use crate::ids::Uid;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Assignor {
    /// As many partitions for each as for the others.
    Uniform,
    /// Neighbouring partitions for each, and of topics with equal counts the
    /// same ones, so that what belongs together meets in one member.
    Range,
}

/// One member: the topics it wants, and what was assigned to it before.
#[derive(Clone, Debug)]
pub struct Seat<'a> {
    pub topics: BTreeSet<Uid>,
    pub before: &'a Partitions,
}

impl Assignor {
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "uniform" => Some(Self::Uniform),
            "range" => Some(Self::Range),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }

    /// Every partition of the topics that somebody wants goes to one of those
    /// that want it. `counts` are the topics' partitions; a topic that is not
    /// in it has none.
    pub fn share_out(
        self,
        seats: &BTreeMap<Name, Seat>,
        counts: &BTreeMap<Uid, u32>,
    ) -> BTreeMap<Name, Partitions> {
        match self {
            Self::Uniform => uniform::share_out(seats, counts),
            Self::Range => range::share_out(seats, counts),
        }
    }
}

#[cfg(test)]
mod tests;
