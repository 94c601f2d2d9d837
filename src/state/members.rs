//! The members of the cluster, the tokens by which others join, and the
//! feature level that all of them write.

use crate::clock::Millis;
use crate::ids::NodeId;

/// A member as all know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub node: NodeId,
    pub role: Role,
    /// `host:port` of its control and bulk endpoints.
    pub control: Box<str>,
    pub bulk: Box<str>,
    /// What it answers clients with: `zookeeper=host:port` and the like.
    pub doors: Vec<(Box<str>, Box<str>)>,
    /// The serial of its certificate; older ones are refused.
    pub certificate: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Takes part in votes.
    Voter,
    /// Follows the log and does not vote: on its way to voter, or a worker.
    Learner,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberCommand {
    /// A node takes its first member's place in its own new cluster.
    Found(Member),
    CreateToken {
        id: [u8; 8],
        secret_hash: [u8; 32],
        role: Role,
        until: Millis,
    },
    RevokeToken {
        id: [u8; 8],
    },
    /// A joiner showed a token's secret: it becomes a learner under the next
    /// free id, and the token is used up.
    Admit {
        token: [u8; 8],
        secret_hash: [u8; 32],
        public_key: Vec<u8>,
        control: Box<str>,
        bulk: Box<str>,
        /// The node id whose place it takes, after `node replace`.
        in_place_of: Option<NodeId>,
    },
    /// A member's certificate was renewed, or its addresses changed.
    Announce(Member),
    SetRole {
        node: NodeId,
        role: Role,
    },
    Remove {
        node: NodeId,
    },
    RaiseFeatures {
        level: u32,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberOutcome {
    Done,
    /// The joiner's id and the serial for its certificate.
    Admitted {
        node: NodeId,
        serial: u64,
    },
    Refused(Box<str>),
}
