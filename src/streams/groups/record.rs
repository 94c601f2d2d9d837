//! What outlives a coordinator: records with keys, of which compaction keeps
//! the newest of each key. So the state is what the last values say, in
//! whatever order the keys are met.

use super::partitions::Partitions;
use super::{Blob, Name};
use crate::clock::Millis;
use crate::ids::Uid;
use std::collections::BTreeSet;

/// A change that is to be written. Without a value it takes the key away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub key: Key,
    pub value: Option<Value>,
}

impl Record {
    /// Whether it takes away that an offset is pending, which the record before it
    /// commits: what is lost of that one is never written again.
    pub(super) fn settles(&self, before: &Self) -> bool {
        let (Of::Offset { topic, partition }, None) = (&before.key.of, &self.value) else {
            return false;
        };
        let is_of_spot = matches!(&self.key.of, Of::Pending { topic: its, partition: at, .. }
            if (its, at) == (topic, partition));
        is_of_spot && self.key.group == before.key.group
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub group: Name,
    pub of: Of,
}

/// What of the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Of {
    Head,
    /// What a member of KIP-848 says about itself.
    Member(Name),
    /// What it is to read in the end.
    Target(Name),
    /// What it reads now, and its epoch.
    Current(Name),
    Offset {
        topic: Name,
        partition: i32,
    },
    /// An offset that a producer's transaction will commit or drop.
    Pending {
        topic: Name,
        partition: i32,
        producer: i64,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Classic(ClassicImage),
    Consumer(ConsumerImage),
    Member(About),
    Target(Partitions),
    Current(Standing),
    Offset(Committed),
    Pending(Pending),
}

/// A classic group is one record: a generation is there as a whole or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassicImage {
    pub generation: i32,
    pub protocol_type: Option<Name>,
    pub protocol: Option<Name>,
    pub leader: Option<Name>,
    /// The leader has said who reads what.
    pub is_assigned: bool,
    pub emptied_at: Millis,
    pub members: Vec<ClassicMember>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicMember {
    pub id: Name,
    pub instance: Option<Name>,
    pub client_id: Name,
    pub client_host: Name,
    pub session_ms: u32,
    pub rebalance_ms: u32,
    pub protocols: Vec<Protocol>,
    pub assignment: Blob,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocol {
    pub name: Name,
    pub metadata: Blob,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsumerImage {
    pub epoch: i32,
    pub emptied_at: Millis,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    pub instance: Option<Name>,
    pub rack: Option<Name>,
    pub client_id: Name,
    pub client_host: Name,
    pub rebalance_ms: u32,
    pub topics: BTreeSet<Name>,
    /// A regular expression for names of more topics.
    pub pattern: Option<Name>,
    pub assignor: Option<Name>,
}

/// Where a member stands on its way to its target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    pub epoch: i32,
    /// A heartbeat with this epoch comes from a member that missed an answer.
    pub previous_epoch: i32,
    pub assigned: Partitions,
    /// No longer the member's, but not given on until it has let go of them.
    pub revoking: Partitions,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    pub offset: i64,
    /// -1 where the client said none.
    pub leader_epoch: i32,
    pub metadata: Name,
    /// The topic's id, all zero where the door did not know it.
    pub topic_id: Uid,
    pub committed_at: Millis,
    /// Set by clients of old that named a retention time of their own.
    pub expires_at: Option<Millis>,
    /// Which commit of the group this was: of two, the later counts.
    pub order: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    pub producer_epoch: i16,
    pub offset: Committed,
}
