//! What is remembered of one transactional id, through the loss of its
//! coordinator.

use super::{Identity, Place};
use crate::clock::Millis;
use crate::ids::ProducerId;
use std::collections::BTreeSet;

/// How far a transaction is. Numbers and names are Kafka's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// A producer has the id and has not begun.
    Empty = 0,
    Ongoing = 1,
    /// It is decided, and every partition is being told.
    PrepareCommit = 2,
    PrepareAbort = 3,
    /// Every partition has been told.
    CompleteCommit = 4,
    CompleteAbort = 5,
}

impl Stage {
    pub const ALL: [Self; 6] = [
        Self::Empty,
        Self::Ongoing,
        Self::PrepareCommit,
        Self::PrepareAbort,
        Self::CompleteCommit,
        Self::CompleteAbort,
    ];

    /// Kafka's names of what an id here never stands at, for it is forgotten or
    /// fenced in one step. Who asks for them is told that nobody is there.
    pub const NEVER: [&'static str; 2] = ["Dead", "PrepareEpochFence"];

    pub fn of(number: i8) -> Option<Self> {
        let place = usize::try_from(number).ok()?;
        Self::ALL.get(place).copied()
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.name() == name)
    }

    pub fn number(self) -> i8 {
        self as i8
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Ongoing => "Ongoing",
            Self::PrepareCommit => "PrepareCommit",
            Self::PrepareAbort => "PrepareAbort",
            Self::CompleteCommit => "CompleteCommit",
            Self::CompleteAbort => "CompleteAbort",
        }
    }

    pub fn is_ending(self) -> bool {
        matches!(self, Self::PrepareCommit | Self::PrepareAbort)
    }

    pub fn is_ended(self) -> bool {
        matches!(self, Self::CompleteCommit | Self::CompleteAbort)
    }

    /// Which way it is ended or being ended.
    pub fn is_committed(self) -> bool {
        matches!(self, Self::PrepareCommit | Self::CompleteCommit)
    }
}

/// A transactional id: whose it is, and how far its last transaction came. How
/// one follows from another is in `steps`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// Who may write. While it is ended with a raised epoch, as whom the end is
    /// written.
    /// Invariant: an epoch below the last there is, but where `next` follows.
    pub holder: Identity,
    /// Who the holder was until a step whose answer it may not have heard: as
    /// that one it may ask again. Never while a transaction is open.
    pub before: Option<Identity>,
    /// The epochs are used up, so the holder goes on with this id and epoch 0
    /// once the transaction is ended.
    /// Invariant: only while it is being ended.
    pub next: Option<ProducerId>,
    pub timeout_ms: u32,
    pub stage: Stage,
    /// Where it has written, or may.
    /// Invariant: empty where it is not open or being ended.
    pub places: BTreeSet<Place>,
    /// When the open transaction, or the one that is being ended, began.
    pub started: Option<Millis>,
    pub updated: Millis,
    /// Its client knows that the epoch is raised with each transaction.
    pub is_client_raised: bool,
    /// No record of the transaction has the epoch of its end: what comes late
    /// is refused by every partition.
    pub is_raised: bool,
}
