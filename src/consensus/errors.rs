//! Why something was not taken.

use super::codec::Unparsed;
use crate::ids::{Index, NodeId, Term};
use std::fmt;

/// Why a proposal was not taken. One that was taken may still be lost with the
/// leader; it is certain only once it comes back committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    NotLeader {
        leader: Option<NodeId>,
    },
    /// Leadership is on its way to another node.
    Transferring,
    /// Too many bytes wait to be committed.
    Full,
    Blank,
    TooLong {
        bytes: usize,
        bytes_max: usize,
    },
    /// An earlier change of members may not be applied yet.
    ChangePending,
    Joint,
    NotJoint,
    LearnerFirst(NodeId),
    AlreadySo(NodeId),
    NoMember(NodeId),
    StepUnsound(NodeId),
    NoVoterLeft,
    TooManyMembers,
}

impl fmt::Display for NotTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLeader { leader: None } => write!(f, "no leader is known"),
            Self::NotLeader { leader: Some(node) } => write!(f, "node {node} leads"),
            Self::Transferring => write!(f, "leadership is being handed over"),
            Self::Full => write!(f, "too much waits to be committed"),
            Self::Blank => write!(f, "there is nothing in it"),
            Self::TooLong { bytes, bytes_max } => {
                write!(f, "an entry of {bytes} bytes where {bytes_max} is the most")
            }
            Self::ChangePending => write!(f, "an earlier change of members is under way"),
            Self::Joint => write!(f, "the joint configuration must be left first"),
            Self::NotJoint => write!(f, "there is no joint configuration to leave"),
            Self::LearnerFirst(node) => write!(f, "node {node} must be a learner first"),
            Self::AlreadySo(node) => write!(f, "node {node} is that already"),
            Self::NoMember(node) => write!(f, "node {node} is not a member"),
            Self::StepUnsound(node) => write!(f, "node {node} is named twice or is 0"),
            Self::NoVoterLeft => write!(f, "no voter would be left"),
            Self::TooManyMembers => write!(f, "there would be too many members"),
        }
    }
}

impl std::error::Error for NotTaken {}

/// Why a peer's message was refused. Nothing has changed by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepError {
    Unparsed(Unparsed),
    /// The message names another sender than the one whose certificate the
    /// connection showed.
    Impersonates {
        claimed: NodeId,
        from: NodeId,
    },
    NotForUs {
        to: NodeId,
    },
    /// It answers as a member and is none, as this node knows.
    Stranger(NodeId),
    /// It speaks of an entry that no sound log has in its place: one of the
    /// two nodes has lost what it had promised to keep.
    BeyondLog {
        says: Index,
        last: Index,
    },
}

impl From<Unparsed> for StepError {
    fn from(unparsed: Unparsed) -> Self {
        Self::Unparsed(unparsed)
    }
}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unparsed(unparsed) => write!(f, "a consensus message does not parse: {unparsed}"),
            Self::Impersonates { claimed, from } => {
                write!(
                    f,
                    "node {from} sent a message in the name of node {claimed}"
                )
            }
            Self::NotForUs { to } => write!(f, "the message is for node {to}"),
            Self::Stranger(node) => write!(f, "node {node} answers and is no member"),
            Self::BeyondLog { says, last } => write!(
                f,
                "a message speaks of entry {says} where the log ends at {last}: a node has lost entries"
            ),
        }
    }
}

impl std::error::Error for StepError {}

/// Why a node cannot begin with what it found on its disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsound {
    Settings(String),
    Members,
    /// The entry that should be at an index is not there.
    Gap {
        expected: Index,
        found: Index,
    },
    TermFalls {
        at: Index,
    },
    /// The log has entries of a later term than the node says it was in.
    TermBehindLog {
        term: Term,
        log: Term,
    },
    CommitBeyondLog {
        commit: Index,
        last: Index,
    },
    AppliedOutside {
        applied: Index,
        from: Index,
        to: Index,
    },
}

impl fmt::Display for Unsound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(why) => write!(f, "the consensus settings do not fit: {why}"),
            Self::Members => write!(f, "the snapshot's members are not sound"),
            Self::Gap { expected, found } => {
                write!(f, "entry {found} stands where entry {expected} belongs")
            }
            Self::TermFalls { at } => write!(f, "the term falls at entry {at}"),
            Self::TermBehindLog { term, log } => {
                write!(f, "the node was in term {term}, its log is of term {log}")
            }
            Self::CommitBeyondLog { commit, last } => {
                write!(f, "entry {commit} was committed, the log ends at {last}")
            }
            Self::AppliedOutside { applied, from, to } => {
                write!(f, "entry {applied} was applied, the log has {from} to {to}")
            }
        }
    }
}

impl std::error::Error for Unsound {}
