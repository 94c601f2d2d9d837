//! What the event log asks of the replicated state, and what comes of it. A door
//! maps each refusal to Kafka's code, which is named beside it.

use super::access::{AccessCommand, AccessOutcome};
use super::names::NameFault;
use super::settings::{Alteration, Given, SettingFault};
use crate::ids::{LogId, NodeId, PartitionId, TopicId, Uid, Zxid};
use crate::limits::{
    GROUP_NAME_BYTES_MAX, GROUPS_OVERRIDDEN_MAX, PARTITIONS_MAX, PARTITIONS_NAMED_MAX,
    PARTITIONS_PER_TOPIC_MAX, TOPICS_MAX,
};
use std::fmt;
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamsCommand {
    Announce(Announce),
    CreateTopic(CreateTopic),
    DeleteTopic {
        topic: TopicKey,
    },
    AddPartitions(AddPartitions),
    AlterSettings(AlterSettings),
    AlterOverrides(AlterOverrides),
    /// A leader says who is in sync with it.
    ChangeInSync {
        leader: BrokerLife,
        changes: Vec<InSyncChange>,
    },
    Elect {
        election: Election,
        /// None for all that there are.
        partitions: Option<Vec<(Box<str>, PartitionId)>>,
    },
    /// A leader, which is about to stop, hands on what it leads.
    HandOn {
        leader: BrokerLife,
        /// None for all that it leads.
        partitions: Option<Vec<(TopicId, PartitionId)>>,
    },
    /// To whom, or back to those who held it when that is None.
    Reassign {
        moves: Vec<Reassignment>,
    },
    /// A broker takes a block of ids to hand to producers.
    DrawProducerIds {
        broker: BrokerLife,
    },
    /// Who may do what at the door.
    Access(AccessCommand),
}

/// One life of a broker: from its announcement in a session to the end of that
/// session. Its disk does not change in between, so that a leader which speaks
/// of a life speaks of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BrokerLife {
    pub node: NodeId,
    /// The transaction that announced it.
    pub epoch: Zxid,
}

/// A broker is up for as long as the session lives that sends this. Said again
/// in the same session it changes addresses and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announce {
    pub node: NodeId,
    /// Of the data folder that holds its partitions. Another one than before
    /// means that what it held is gone.
    pub disk: Uid,
    pub kept: Kept,
    /// What clients are told, the first for those that know of one only.
    pub listeners: Vec<Listener>,
    pub rack: Option<Box<str>>,
}

/// What the disk of a broker still has of all that it was said to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Everything, what was never synced too: it was stopped in order.
    All,
    /// What was on stable storage.
    Synced,
    /// Less: records were lost, and what is left was mended.
    Less(Lost),
}

/// Where records were lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// In any log, for all that is known.
    Anywhere,
    In(Vec<LogId>),
}

impl Lost {
    pub fn is_in(&self, log: LogId) -> bool {
        match self {
            Self::Anywhere => true,
            Self::In(logs) => logs.contains(&log),
        }
    }
}

impl Kept {
    pub fn of(was_clean: bool) -> Self {
        match was_clean {
            true => Self::All,
            false => Self::Synced,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    pub name: Box<str>,
    pub security: Security,
    pub host: Box<str>,
    pub port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    Plaintext,
    Ssl,
    SaslPlaintext,
    SaslSsl,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicKey {
    Name(Box<str>),
    Id(TopicId),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateTopic {
    pub name: Box<str>,
    /// Drawn by the proposer.
    pub id: TopicId,
    pub layout: Layout,
    pub settings: Vec<Given>,
    pub validates_only: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layout {
    /// None for the defaults: one partition, and up to three replicas.
    Spread {
        partitions: Option<u32>,
        factor: Option<u16>,
    },
    /// The replicas of each partition, the preferred leader first.
    Assigned(Vec<Vec<NodeId>>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddPartitions {
    pub topic: TopicKey,
    /// How many there shall be in all.
    pub count: u32,
    /// The replicas of each that is added; None to have them spread.
    pub assigned: Option<Vec<Vec<NodeId>>>,
    pub validates_only: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterSettings {
    pub topic: TopicKey,
    pub change: SettingsChange,
    pub validates_only: bool,
}

/// Of what brokers or a group are given while they run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterOverrides {
    pub holder: Holder,
    pub change: SettingsChange,
    pub validates_only: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    Brokers,
    /// One of them by its name, who has nothing of its own but what has no effect.
    OneBroker,
    Group(Box<str>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingsChange {
    /// IncrementalAlterConfigs.
    Alter(Vec<(Box<str>, Alteration)>),
    /// AlterConfigs: what is not named is not set.
    Replace(Vec<Given>),
}

impl SettingsChange {
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let (altered, given): (&[_], &[_]) = match self {
            Self::Alter(altered) => (altered, &[]),
            Self::Replace(given) => (&[], given),
        };
        let altered = altered.iter().map(|(name, _)| &**name);
        altered.chain(given.iter().map(|(name, _)| &**name))
    }
}

/// As KIP-497 has it: all of the set, against the epochs that the leader knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InSyncChange {
    pub topic: TopicId,
    pub partition: PartitionId,
    pub leader_epoch: i32,
    pub partition_epoch: i32,
    /// Each in the life in which it was seen to have caught up.
    pub in_sync: Vec<BrokerLife>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Election {
    Preferred,
    Unclean,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reassignment {
    pub topic: Box<str>,
    pub partition: PartitionId,
    pub target: Option<Vec<NodeId>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamsOutcome {
    Announced(BrokerLife),
    /// A topic was made, or would have been.
    Created {
        id: TopicId,
        /// The replicas of each partition.
        replicas: Vec<Vec<NodeId>>,
    },
    Deleted {
        id: TopicId,
    },
    /// Partitions were added, or would have been: the replicas of each.
    Added {
        replicas: Vec<Vec<NodeId>>,
    },
    Altered,
    /// One for each that was named, in that order.
    Each(Vec<Result<Stand, StreamsRefused>>),
    /// Where all were meant: those that it did something to or should have.
    All(Vec<(Arc<str>, PartitionId, Result<Stand, StreamsRefused>)>),
    /// As many ids from this one on.
    ProducerIds {
        first: u64,
        count: u64,
    },
    Access(AccessOutcome),
    Refused(StreamsRefused),
}

/// How it stands with a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stand {
    pub leader: Option<NodeId>,
    pub leader_epoch: i32,
    pub partition_epoch: i32,
    pub in_sync: Vec<NodeId>,
}

/// Why something is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamsRefused {
    /// INVALID_TOPIC_EXCEPTION, as the next.
    Name(NameFault),
    Collides {
        with: Box<str>,
    },
    /// TOPIC_ALREADY_EXISTS.
    TopicExists,
    /// INVALID_REQUEST: reserved, or another topic's. Draw another.
    TopicId,
    /// UNKNOWN_TOPIC_OR_PARTITION.
    UnknownTopic,
    /// UNKNOWN_TOPIC_ID.
    UnknownTopicId,
    /// UNKNOWN_TOPIC_OR_PARTITION.
    UnknownPartition,
    /// INVALID_PARTITIONS, as the next.
    NoPartitions,
    NotMorePartitions {
        has: u32,
        asked: u32,
    },
    /// INVALID_REPLICATION_FACTOR.
    Factor {
        asked: u16,
        brokers: usize,
    },
    /// INVALID_REPLICA_ASSIGNMENT.
    Assignment(AssignmentFault),
    /// INVALID_CONFIG; INVALID_REQUEST where a name comes twice, or names what one
    /// broker cannot have for itself.
    Setting(SettingFault),
    /// POLICY_VIOLATION, as the next three.
    TopicsMax,
    PartitionsPerTopicMax {
        asked: usize,
    },
    PartitionsMax {
        asked: usize,
    },
    NoRoom,
    GroupsOverriddenMax,
    /// INVALID_REQUEST, as the next.
    GroupName {
        bytes: usize,
    },
    NamedMax {
        named: usize,
    },
    /// No door hears these three: a broker announces itself wrongly.
    NoSession,
    NoMember {
        node: NodeId,
    },
    Announcement {
        what: &'static str,
    },
    /// STALE_BROKER_EPOCH.
    StaleBroker {
        node: NodeId,
    },
    /// FENCED_LEADER_EPOCH.
    FencedLeaderEpoch {
        current: i32,
    },
    /// INVALID_UPDATE_VERSION.
    StalePartitionEpoch {
        current: i32,
    },
    /// NOT_CONTROLLER: who asks has seen more than there is.
    Ahead,
    /// INVALID_REQUEST, as the next.
    NotLeader,
    NotAnInSyncSet,
    /// INELIGIBLE_REPLICA.
    Ineligible {
        node: NodeId,
    },
    /// INVALID_REQUEST: nothing is acknowledged below it, so nobody leaves.
    BelowFloor {
        floor: usize,
    },
    /// ELECTION_NOT_NEEDED.
    ElectionNotNeeded,
    /// PREFERRED_LEADER_NOT_AVAILABLE.
    PreferredNotAvailable,
    /// ELIGIBLE_LEADERS_NOT_AVAILABLE.
    NobodyEligible,
    /// NO_REASSIGNMENT_IN_PROGRESS.
    NoReassignment,
    /// INVALID_REPLICA_ASSIGNMENT: nobody who is left has all of it.
    NoneInSync,
    /// UNKNOWN_SERVER_ERROR: 2^63 are used up.
    NoProducerIds,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssignmentFault {
    Empty,
    Twice {
        node: NodeId,
    },
    NoBroker {
        node: NodeId,
    },
    /// Partitions of a topic have as many replicas each.
    Uneven {
        replicas: usize,
        others: usize,
    },
    /// For other partitions than those that are added.
    Count {
        assigned: usize,
        added: usize,
    },
    /// Of those who should hold a partition none is up.
    NobodyUp,
}

impl fmt::Display for AssignmentFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a partition has at least one replica"),
            Self::Twice { node } => write!(f, "broker {node} is named twice for a partition"),
            Self::NoBroker { node } => write!(f, "there is no broker {node}"),
            Self::Uneven { replicas, others } => write!(
                f,
                "a partition has {replicas} replicas where the others have {others}"
            ),
            Self::Count { assigned, added } => write!(
                f,
                "{assigned} partitions are assigned where {added} are added"
            ),
            Self::NobodyUp => f.write_str("none of a partition's replicas is up"),
        }
    }
}

impl fmt::Display for StreamsRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(fault) => fault.fmt(f),
            Self::Collides { with } => write!(
                f,
                "the topic {with} differs in \".\" and \"_\" only, and metrics would mix the two"
            ),
            Self::TopicExists => f.write_str("there is a topic of this name"),
            Self::TopicId => f.write_str("the topic's id is taken: draw another"),
            Self::UnknownTopic => f.write_str("there is no topic of this name"),
            Self::UnknownTopicId => f.write_str("there is no topic of this id"),
            Self::UnknownPartition => f.write_str("the topic has no such partition"),
            Self::NoPartitions => f.write_str("a topic has at least one partition"),
            Self::NotMorePartitions { has, asked } => {
                write!(
                    f,
                    "the topic has {has} partitions, and {asked} are not more"
                )
            }
            Self::Factor { asked, brokers } => {
                write!(
                    f,
                    "{asked} replicas asked for, and there are {brokers} brokers"
                )
            }
            Self::Assignment(fault) => fault.fmt(f),
            Self::Setting(fault) => fault.fmt(f),
            Self::TopicsMax => write!(f, "{TOPICS_MAX} topics are the most"),
            Self::PartitionsPerTopicMax { asked } => write!(
                f,
                "{asked} partitions asked for, and {PARTITIONS_PER_TOPIC_MAX} are the most of a \
                 topic"
            ),
            Self::PartitionsMax { asked } => write!(
                f,
                "there would be {asked} partitions, and {PARTITIONS_MAX} are the most of a cluster"
            ),
            Self::NoRoom => f.write_str("the tree of znodes is full"),
            Self::GroupsOverriddenMax => write!(
                f,
                "{GROUPS_OVERRIDDEN_MAX} groups with settings of their own are the most"
            ),
            Self::GroupName { bytes } => write!(
                f,
                "a group's name has 1 to {GROUP_NAME_BYTES_MAX} bytes, not {bytes}"
            ),
            Self::NamedMax { named } => write!(
                f,
                "{named} partitions named, and {PARTITIONS_NAMED_MAX} are the most at once"
            ),
            Self::NoSession => f.write_str("a broker announces itself in a session"),
            Self::NoMember { node } => write!(f, "node {node} is no member"),
            Self::Announcement { what } => write!(f, "a broker's {what} is not valid"),
            Self::StaleBroker { node } => {
                write!(f, "broker {node} is down, or up anew: announce it first")
            }
            Self::FencedLeaderEpoch { current } => write!(f, "the leader epoch is {current}"),
            Self::StalePartitionEpoch { current } => {
                write!(f, "the partition epoch is {current}")
            }
            Self::Ahead => f.write_str("these epochs are still to come"),
            Self::NotLeader => f.write_str("another leads the partition"),
            Self::NotAnInSyncSet => {
                f.write_str("an in-sync set is a part of the replicas with the leader in it")
            }
            Self::Ineligible { node } => write!(
                f,
                "broker {node} is not the one that caught up: it is down, or up anew"
            ),
            Self::BelowFloor { floor } => write!(
                f,
                "fewer than {floor} in-sync replicas acknowledge nothing: nobody leaves the set"
            ),
            Self::ElectionNotNeeded => f.write_str("the partition has such a leader"),
            Self::PreferredNotAvailable => f.write_str("the first replica is down or not in sync"),
            Self::NobodyEligible => f.write_str("no replica that may lead is up"),
            Self::NoReassignment => f.write_str("the partition is not being reassigned"),
            Self::NoneInSync => f.write_str("none of those who are left is in sync"),
            Self::NoProducerIds => f.write_str("all producer ids are used up"),
        }
    }
}

impl std::error::Error for StreamsRefused {}

impl From<NameFault> for StreamsRefused {
    fn from(fault: NameFault) -> Self {
        Self::Name(fault)
    }
}

impl From<AssignmentFault> for StreamsRefused {
    fn from(fault: AssignmentFault) -> Self {
        Self::Assignment(fault)
    }
}

impl From<SettingFault> for StreamsRefused {
    fn from(fault: SettingFault) -> Self {
        Self::Setting(fault)
    }
}

impl StreamsCommand {
    /// Whether it adds to what is to be kept.
    pub(in crate::state) fn grows(&self) -> bool {
        match self {
            Self::CreateTopic(_) | Self::AddPartitions(_) => true,
            Self::Access(command) => command.grows(),
            _ => false,
        }
    }

    /// Whether brokers say it of themselves and of what they lead, without
    /// which nothing is written to what there is.
    pub(in crate::state) fn is_of_brokers(&self) -> bool {
        match self {
            Self::Announce(_)
            | Self::ChangeInSync { .. }
            | Self::Elect { .. }
            | Self::HandOn { .. }
            | Self::DrawProducerIds { .. } => true,
            Self::CreateTopic(_)
            | Self::DeleteTopic { .. }
            | Self::AddPartitions(_)
            | Self::AlterSettings(_)
            | Self::AlterOverrides(_)
            | Self::Reassign { .. }
            | Self::Access(_) => false,
        }
    }
}
