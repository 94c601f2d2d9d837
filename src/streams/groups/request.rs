//! What a door asks of a coordinator, and what it is answered. One request is
//! about one group, for another group may have another coordinator: the door
//! parts and gathers what its protocol puts together.

use super::partitions::Partitions;
use super::{Blob, Error, Name, is_named};
use crate::clock::Millis;
use crate::ids::Uid;
use crate::streams::producers::Moment;
use std::collections::BTreeSet;

pub use super::record::{About, Protocol};

/// The caller's own mark on a request, given back with its one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Token(pub u64);

#[derive(Clone, Debug)]
pub enum Request {
    Join(Join),
    Sync(Sync),
    Heartbeat(Caller),
    Leave(Leave),
    ConsumerHeartbeat(Beat),
    Commit(Commit),
    CommitInTransaction(CommitInTransaction),
    EndTransaction(EndTransaction),
    Fetch(Fetch),
    DeleteOffsets {
        group: Name,
        spots: Vec<(Name, i32)>,
    },
    Describe {
        group: Name,
    },
    DescribeConsumer {
        group: Name,
    },
    List,
    Delete {
        group: Name,
    },
}

/// Who says something, and as of which generation or member epoch. A simple
/// consumer has no member and says -1.
#[derive(Clone, Debug)]
pub struct Caller {
    pub group: Name,
    pub member: Name,
    pub instance: Option<Name>,
    pub generation: i32,
}

#[derive(Clone, Debug)]
pub struct Join {
    pub group: Name,
    /// Empty at the first time.
    pub member: Name,
    pub instance: Option<Name>,
    pub client_id: Name,
    pub client_host: Name,
    pub session_ms: i32,
    /// Before version 1 the door says the session timeout.
    pub rebalance_ms: i32,
    pub protocol_type: Name,
    /// The best first.
    pub protocols: Vec<Protocol>,
    /// From version 4: without an id the member is given one and sent back.
    pub is_known_id_required: bool,
    /// From version 9: a leader may be told that there is nothing to assign.
    pub can_skip_assignment: bool,
    /// Chance for the member's id, should it be given one.
    pub chance: Uid,
}

#[derive(Clone, Debug)]
pub struct Sync {
    pub caller: Caller,
    /// From version 5.
    pub protocol_type: Option<Name>,
    pub protocol: Option<Name>,
    /// The leader's alone.
    pub assignments: Vec<(Name, Blob)>,
}

#[derive(Clone, Debug)]
pub struct Leave {
    pub group: Name,
    /// Each by its id, its instance, or both.
    pub members: Vec<(Name, Option<Name>)>,
}

/// A heartbeat of KIP-848. None is "as I said before".
#[derive(Clone, Debug)]
pub struct Beat {
    pub group: Name,
    /// Empty in version 0 at the first time.
    pub member: Name,
    /// 0 to join, -1 to leave, -2 to leave and come back.
    pub epoch: i32,
    pub instance: Option<Name>,
    pub rack: Option<Name>,
    pub client_id: Name,
    pub client_host: Name,
    pub rebalance_ms: Option<i32>,
    pub topics: Option<BTreeSet<Name>>,
    /// The door has looked whether it compiles. Empty is none.
    pub pattern: Option<Name>,
    pub assignor: Option<Name>,
    /// What the member reads.
    pub held: Option<Partitions>,
    /// As in `Join`.
    pub chance: Uid,
}

#[derive(Clone, Debug)]
pub struct NewOffset {
    pub topic: Name,
    /// All zero where the door does not know it.
    pub topic_id: Uid,
    pub partition: i32,
    pub offset: i64,
    pub leader_epoch: i32,
    pub metadata: Name,
}

#[derive(Clone, Debug)]
pub struct Commit {
    pub caller: Caller,
    /// Until version 4; None where it is -1.
    pub retention_ms: Option<u64>,
    pub offsets: Vec<NewOffset>,
}

/// What comes behind the transaction's end would be pending for ever, so its
/// coordinator is asked first.
#[derive(Clone, Debug)]
pub struct CommitInTransaction {
    pub caller: Caller,
    pub producer: i64,
    pub producer_epoch: i16,
    pub offsets: Vec<NewOffset>,
    /// It was asked after `Error::Unverified` gave this, and the transaction was
    /// open.
    pub verified: Option<Moment>,
}

/// Said by the transaction's coordinator to that of each group with offsets in
/// it, again and again until it is answered.
#[derive(Clone, Debug)]
pub struct EndTransaction {
    pub producer: i64,
    pub producer_epoch: i16,
    pub is_committed: bool,
}

#[derive(Clone, Debug)]
pub struct Fetch {
    /// From version 9 the member may say who it is; else empty and -1.
    pub caller: Caller,
    /// None for all that there are.
    pub spots: Option<Vec<(Name, i32)>>,
    pub is_stable_required: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Joined(Joined),
    Synced(Synced),
    Alive,
    /// For each member of the request, in its order.
    Left(Vec<Result<(), super::Error>>),
    ConsumerAlive(ConsumerAlive),
    /// For each offset of the request, in its order.
    Committed(Vec<Result<(), super::Error>>),
    TransactionEnded,
    Fetched(Vec<Fetched>),
    /// For each partition of the request, in its order.
    OffsetsDeleted(Vec<Result<(), super::Error>>),
    Described(Described),
    ConsumerDescribed(ConsumerDescribed),
    Listed(Vec<Listed>),
    Deleted,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    pub generation: i32,
    pub protocol_type: Option<Name>,
    pub protocol: Option<Name>,
    pub leader: Name,
    pub member: Name,
    pub is_assignment_skipped: bool,
    /// For the leader: what each member said under the chosen protocol.
    pub members: Vec<JoinedMember>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedMember {
    pub id: Name,
    pub instance: Option<Name>,
    pub metadata: Blob,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synced {
    pub protocol_type: Option<Name>,
    pub protocol: Option<Name>,
    pub assignment: Blob,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerAlive {
    pub member: Name,
    pub epoch: i32,
    pub heartbeat_ms: u32,
    /// None where it is what the member was told before.
    pub assigned: Option<Partitions>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    pub topic: Name,
    pub partition: i32,
    /// None where nothing is committed.
    pub offset: Result<Option<FetchedOffset>, super::Error>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedOffset {
    pub offset: i64,
    pub leader_epoch: i32,
    pub metadata: Name,
    /// Where this is not zero and not the topic's id now, the offset was of a
    /// topic that is no more: the door answers that there is none.
    pub topic_id: Uid,
    pub committed_at: Millis,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupState {
    Empty,
    PreparingRebalance,
    CompletingRebalance,
    Assigning,
    Reconciling,
    Stable,
}

impl GroupState {
    /// As Kafka's tools print and filter it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Assigning => "Assigning",
            Self::Reconciling => "Reconciling",
            Self::Stable => "Stable",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupKind {
    Classic,
    Consumer,
}

impl GroupKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Consumer => "consumer",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub group: Name,
    /// Empty for a group of offsets alone.
    pub protocol_type: Name,
    pub state: GroupState,
    pub kind: GroupKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    pub state: GroupState,
    pub protocol_type: Name,
    pub protocol: Name,
    pub members: Vec<DescribedMember>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedMember {
    pub id: Name,
    pub instance: Option<Name>,
    pub client_id: Name,
    pub client_host: Name,
    /// Empty while the group rebalances.
    pub metadata: Blob,
    pub assignment: Blob,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerDescribed {
    pub state: GroupState,
    pub epoch: i32,
    pub assignor: &'static str,
    pub members: Vec<DescribedConsumer>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedConsumer {
    pub id: Name,
    pub epoch: i32,
    pub about: About,
    pub assigned: Partitions,
    pub target: Partitions,
}

impl Request {
    /// None for those that are about every group that is here.
    pub fn group(&self) -> Option<&Name> {
        match self {
            Self::Join(join) => Some(&join.group),
            Self::Sync(sync) => Some(&sync.caller.group),
            Self::Heartbeat(caller) => Some(&caller.group),
            Self::Leave(leave) => Some(&leave.group),
            Self::ConsumerHeartbeat(beat) => Some(&beat.group),
            Self::Commit(commit) => Some(&commit.caller.group),
            Self::CommitInTransaction(commit) => Some(&commit.caller.group),
            Self::Fetch(fetch) => Some(&fetch.caller.group),
            Self::DeleteOffsets { group, .. }
            | Self::Describe { group }
            | Self::DescribeConsumer { group }
            | Self::Delete { group } => Some(group),
            Self::EndTransaction(_) | Self::List => None,
        }
    }

    /// Members have a group that has a name; offsets may be kept for none. It is the
    /// first thing to be said of a request, whoever coordinates what the name would
    /// belong to.
    pub fn check_name(&self) -> Result<(), Error> {
        let is_of_members = matches!(
            self,
            Self::Join(_)
                | Self::Sync(_)
                | Self::Heartbeat(_)
                | Self::Leave(_)
                | Self::ConsumerHeartbeat(_)
        );
        let is_right = |name: &Name| is_named(name) && !(is_of_members && name.is_empty());
        match self.group().is_none_or(is_right) {
            true => Ok(()),
            false => Err(Error::InvalidGroupId),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::GROUP_NAME_BYTES_MAX;

    #[test]
    fn only_offsets_may_be_kept_for_a_group_without_a_name() {
        let caller = |group: &Name| Caller {
            group: group.clone(),
            member: "m".into(),
            instance: None,
            generation: 1,
        };
        let (none, long) = ("".into(), "x".repeat(GROUP_NAME_BYTES_MAX + 1).into());
        let beats = |name| Request::Heartbeat(caller(name)).check_name();
        assert_eq!(beats(&none), Err(Error::InvalidGroupId));
        assert_eq!(beats(&long), Err(Error::InvalidGroupId));
        assert_eq!(beats(&"g".into()), Ok(()));
        let describes = |group: &Name| {
            let group = group.clone();
            Request::Describe { group }.check_name()
        };
        assert_eq!(describes(&none), Ok(()));
        assert_eq!(describes(&long), Err(Error::InvalidGroupId));
        assert_eq!(Request::List.check_name(), Ok(()));
    }
}
