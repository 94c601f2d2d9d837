//! Why a request on a group was refused. A door maps each to its protocol's
//! code.

use super::Name;
use crate::streams::producers::Moment;
use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Another node has the group, or none has.
    NotCoordinator,
    /// The groups are still being read.
    Loading,
    /// More answers wait for the disk than may.
    Busy,
    /// As much is held here as may be.
    Full,
    InvalidGroupId,
    InvalidRequest(&'static str),
    InvalidSessionTimeout {
        given: i32,
        least: u32,
        most: u32,
    },
    /// Joined without an id: this is the one to come back with.
    MemberIdRequired(Name),
    UnknownMember,
    FencedInstance,
    /// The instance's last member has not said that it leaves.
    UnreleasedInstance,
    IllegalGeneration {
        given: i32,
        current: i32,
    },
    RebalanceInProgress,
    InconsistentProtocol,
    GroupFull {
        members_max: usize,
    },
    /// Members' metadata or assignments are more than a member's or a group's
    /// may be.
    TooLarge {
        bytes: usize,
        bytes_max: usize,
    },
    GroupNotFound,
    GroupNotEmpty,
    SubscribedToTopic,
    /// The member must give up what it reads and join anew.
    FencedEpoch {
        given: i32,
        current: i32,
    },
    /// The member hears of its new epoch with its next heartbeat.
    StaleEpoch {
        given: i32,
        current: i32,
    },
    UnsupportedAssignor(Name),
    OffsetMetadataTooLarge {
        bytes: usize,
    },
    TooManyOffsets,
    /// A transaction that is not ended has an offset here.
    UnstableOffset,
    /// The transaction's coordinator is to be asked whether it is open: then
    /// again, with this. Also where it was asked, and another of the producer's
    /// has ended here since.
    Unverified(Moment),
    /// A later producer of the same transactional id has been here.
    ProducerFenced {
        given: i16,
        current: i16,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotCoordinator => f.write_str("this node does not coordinate the group"),
            Self::Loading => f.write_str("the groups are still being read"),
            Self::Busy => f.write_str("too many answers wait for the disk"),
            Self::Full => f.write_str("the coordinator holds as much as it may"),
            Self::InvalidGroupId => f.write_str("the group's name is empty or too long"),
            Self::InvalidRequest(why) => f.write_str(why),
            Self::InvalidSessionTimeout { given, least, most } => write!(
                f,
                "a session timeout of {given} ms is not between {least} and {most}"
            ),
            Self::MemberIdRequired(member) => write!(f, "join again as {member}"),
            Self::UnknownMember => f.write_str("the group has no such member"),
            Self::FencedInstance => f.write_str("another member has taken the instance over"),
            Self::UnreleasedInstance => f.write_str("another member still has the instance"),
            Self::IllegalGeneration { given, current } => {
                write!(f, "generation {given} is not {current}")
            }
            Self::RebalanceInProgress => f.write_str("the group rebalances: join again"),
            Self::InconsistentProtocol => {
                f.write_str("the group's other members do not support the member's protocols")
            }
            Self::GroupFull { members_max } => write!(f, "the group has {members_max} members"),
            Self::TooLarge { bytes, bytes_max } => {
                write!(f, "{bytes} bytes of members where {bytes_max} are the most")
            }
            Self::GroupNotFound => f.write_str("there is no such group of this kind"),
            Self::GroupNotEmpty => f.write_str("the group has members"),
            Self::SubscribedToTopic => f.write_str("the group is subscribed to the topic"),
            Self::FencedEpoch { given, current } => {
                write!(f, "epoch {given} is fenced by {current}: join anew")
            }
            Self::StaleEpoch { given, current } => write!(f, "epoch {given} is not {current}"),
            Self::UnsupportedAssignor(name) => write!(f, "there is no assignor {name}"),
            Self::OffsetMetadataTooLarge { bytes } => {
                write!(f, "{bytes} bytes of metadata with one offset")
            }
            Self::TooManyOffsets => f.write_str("the group has as many offsets as it may"),
            Self::UnstableOffset => f.write_str("a transaction with the offset is not ended"),
            Self::Unverified(_) => {
                f.write_str("the transaction's coordinator has not said that it is open")
            }
            Self::ProducerFenced { given, current } => {
                write!(f, "producer epoch {given} is fenced by {current}")
            }
        }
    }
}

impl std::error::Error for Error {}
