//! What a door asks of a coordinator, and what it is answered.

use super::record::Stage;
use super::{Error, Identity, Name, Place};
use crate::clock::Millis;
use std::collections::BTreeSet;

/// The caller's own mark on a request, given back with its one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Token(pub u64);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A producer wants the transactional id.
    Init {
        id: Name,
        /// Who it says it was; None for one that begins.
        was: Option<Identity>,
        timeout_ms: i32,
    },
    /// These partitions are written to, in a transaction that begins with the
    /// first of them.
    Add {
        id: Name,
        who: Identity,
        places: BTreeSet<Place>,
        /// The producer's epoch is raised with each transaction.
        is_raised: bool,
    },
    /// Are these partitions part of what is open?
    Verify {
        id: Name,
        who: Identity,
        places: BTreeSet<Place>,
    },
    End {
        id: Name,
        who: Identity,
        is_committed: bool,
        /// The producer can be told that it goes on under a new epoch.
        is_raised: bool,
    },
    Describe {
        id: Name,
    },
    List,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Begun(Identity),
    Added,
    /// For each of the places, in their order.
    Verified(Vec<Result<(), Error>>),
    /// As whom the producer goes on.
    Ended(Identity),
    Described(Described),
    Listed(Vec<Listed>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    pub stage: Stage,
    pub holder: Identity,
    pub timeout_ms: u32,
    pub started: Option<Millis>,
    pub places: BTreeSet<Place>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub id: Name,
    pub holder: Identity,
    pub stage: Stage,
    pub started: Option<Millis>,
}

impl Request {
    /// None for what is asked about all.
    pub fn id(&self) -> Option<&Name> {
        match self {
            Self::Init { id, .. }
            | Self::Add { id, .. }
            | Self::Verify { id, .. }
            | Self::End { id, .. }
            | Self::Describe { id } => Some(id),
            Self::List => None,
        }
    }
}
