//! What is agreed on: entries, and the two records a node keeps beside them.

use super::members::{Members, MembersChange};
use crate::ids::{Index, NodeId, Term};
use bytes::Bytes;
use raft::eraftpb;

/// One place of the log. Two logs that hold an entry of the same index and
/// term hold the same entries up to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub term: Term,
    pub index: Index,
    pub body: Body,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// What a new leader begins its term with.
    Empty,
    /// What was proposed, never empty. A clone shares the bytes.
    Data(Bytes),
    Members(MembersChange),
}

/// What a node must not forget between two lives, beside its entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hard {
    pub term: Term,
    /// For whom it voted in this term. Forgotten, it could vote twice, and one
    /// term have two leaders.
    pub vote: Option<NodeId>,
    /// May lag behind; never beyond the last entry.
    pub commit: Index,
}

/// Stands for all entries up to its index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub index: Index,
    pub term: Term,
    /// The members once the entry at `index` is applied.
    pub members: Members,
    /// Names the chunks that travel and are kept apart.
    pub manifest: Vec<u8>,
}

impl Entry {
    pub(super) fn from_raft(entry: &eraftpb::Entry) -> Self {
        let body = match entry.entry_type {
            eraftpb::EntryType::EntryNormal if entry.data.is_empty() => Body::Empty,
            eraftpb::EntryType::EntryNormal => Body::Data(entry.data.clone()),
            eraftpb::EntryType::EntryConfChangeV2 => {
                Body::Members(MembersChange::from_protobuf(&entry.data))
            }
            eraftpb::EntryType::EntryConfChange => {
                unreachable!("only the second form of members change is ever proposed or parsed")
            }
        };
        Self {
            term: Term(entry.term),
            index: Index(entry.index),
            body,
        }
    }

    pub(super) fn into_raft(self) -> eraftpb::Entry {
        let mut entry = eraftpb::Entry::default();
        entry.term = self.term.0;
        entry.index = self.index.0;
        match self.body {
            Body::Empty => {}
            Body::Data(data) => entry.data = data,
            Body::Members(change) => {
                entry.entry_type = eraftpb::EntryType::EntryConfChangeV2;
                entry.data = change.to_protobuf();
            }
        }
        entry
    }
}

impl Hard {
    pub(super) fn from_raft(hard: &eraftpb::HardState) -> Self {
        Self {
            term: Term(hard.term),
            vote: (hard.vote != raft::INVALID_ID).then_some(NodeId(hard.vote)),
            commit: Index(hard.commit),
        }
    }

    pub(super) fn into_raft(self) -> eraftpb::HardState {
        let mut hard = eraftpb::HardState::default();
        hard.term = self.term.0;
        hard.vote = self.vote.map_or(raft::INVALID_ID, |node| node.0);
        hard.commit = self.commit.0;
        hard
    }
}

impl Snapshot {
    pub(super) fn from_raft(snapshot: &eraftpb::Snapshot) -> Self {
        let about = snapshot.get_metadata();
        Self {
            index: Index(about.index),
            term: Term(about.term),
            members: Members::from_raft(about.get_conf_state()),
            manifest: snapshot.data.to_vec(),
        }
    }

    pub(super) fn to_raft(&self) -> eraftpb::Snapshot {
        let mut snapshot = eraftpb::Snapshot::default();
        snapshot.data = self.manifest.clone().into();
        let about = snapshot.mut_metadata();
        about.index = self.index.0;
        about.term = self.term.0;
        about.set_conf_state(self.members.to_raft());
        snapshot
    }
}
