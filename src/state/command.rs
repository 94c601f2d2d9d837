//! What every replica applies, and what comes of it.

use super::acl::{Acl, Identity};
use super::data::Data;
use super::error::Error;
use super::members::MemberCommand;
use super::restore::{Restore, RestoreOutcome, RestoreStep};
use super::topics::{StreamsCommand, StreamsOutcome};
use crate::clock::Millis;
use crate::ids::{NodeId, SessionId, Zxid};
use std::sync::Arc;

/// A command with who sent it. The order of a connection's writes is kept by
/// (session, connection, sequence): the state takes only the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// The node that answers the sender.
    pub origin: NodeId,
    /// The origin's own number for it, unique for the life of its process.
    pub tag: u64,
    /// The sender's session; `SessionId(0)` for what no session sent.
    pub session: SessionId,
    /// Which of the session's connections, in order of attachment.
    pub connection: u32,
    /// From 1 on each connection.
    pub sequence: u64,
    pub who: Vec<Identity>,
    pub command: Command,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    OpenSession(OpenSession),
    /// A client returns, maybe by another node.
    AttachSession(AttachSession),
    /// The client says goodbye.
    CloseSession,
    /// The leader found the session silent for longer than its timeout.
    /// `connection` is the one it had then: a session that was attached anew
    /// in between is left alone.
    ExpireSession {
        session: SessionId,
        connection: u32,
    },
    Write(Write),
    /// All of it or nothing.
    Multi(Vec<Write>),
    /// The leader found an empty container or an outlived TTL node. Looked at
    /// once more when applied.
    Reap {
        path: Box<str>,
    },
    /// ZooKeeper's reconfig, by a client.
    Reconfigure(Reconfigure),
    /// A change among the members, tokens and features; by the nodes
    /// themselves.
    Members(MemberCommand),
    /// Nodes of another coordination service, moved in with their stat.
    Import(Vec<ImportedNode>),
    /// A step of a backup's way back.
    Restore(Restore),
    /// A change among brokers and topics.
    Streams(StreamsCommand),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenSession {
    pub session: SessionId,
    pub password: [u8; 16],
    pub timeout_ms: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachSession {
    pub session: SessionId,
    pub password: [u8; 16],
    pub timeout_ms: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    Create(Create),
    Delete {
        path: Box<str>,
        version: i32,
    },
    SetData {
        path: Box<str>,
        data: Data,
        version: i32,
    },
    SetAcl {
        path: Box<str>,
        acl: Acl,
        version: i32,
    },
    /// Only inside a multi.
    Check {
        path: Box<str>,
        version: i32,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create {
    pub path: Box<str>,
    pub data: Data,
    /// As the client sent it: `auth` and the like are resolved when applied.
    pub acl: Acl,
    pub kind: NodeKind,
    pub is_sequential: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    Persistent,
    Ephemeral,
    Container,
    /// Reaped when it is childless and this long unchanged.
    Ttl {
        ttl_ms: u64,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconfigure {
    pub joining: Option<Box<str>>,
    pub leaving: Option<Box<str>>,
    pub members: Option<Box<str>>,
    /// -1 for any.
    pub from_version: i64,
}

/// A node as the other service's files keep it: `stat.children_version` counts
/// the children ever created; `data_length` and `children` are not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedNode {
    /// Its parent stands already, or comes before it.
    pub path: Box<str>,
    pub data: Data,
    pub acl: Acl,
    pub stat: Stat,
}

impl Command {
    /// Whether it adds to what is to be kept, so that a disk which is nearly
    /// full has no room for it. What Dolmen writes in its own part is little,
    /// and of use then.
    pub fn grows(&self) -> bool {
        match self {
            Self::Write(write) => write.grows(),
            Self::Multi(writes) => writes.iter().any(Write::grows),
            Self::Import(_) => true,
            Self::Restore(Restore { step, .. }) => matches!(step, RestoreStep::Fill(_)),
            Self::Streams(command) => command.grows(),
            _ => false,
        }
    }
}

impl Write {
    fn grows(&self) -> bool {
        let (Self::Create(Create { path, .. })
        | Self::SetData { path, .. }
        | Self::SetAcl { path, .. }) = self
        else {
            return false;
        };
        !path.starts_with("/dolmen/")
    }
}

/// A node's figures, as ZooKeeper's clients know them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stat {
    pub created_zxid: Zxid,
    pub modified_zxid: Zxid,
    pub created: Millis,
    pub modified: Millis,
    pub version: i32,
    pub children_version: i32,
    pub acl_version: i32,
    /// The session of an ephemeral node, else 0. For a node that is imported
    /// also ZooKeeper's marks for containers and TTL nodes, which its files
    /// have and its clients never see.
    pub owner: u64,
    pub data_length: i32,
    pub children: i32,
    pub children_zxid: Zxid,
}

/// What came of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The state's number with it. An error takes a number too; what is
    /// refused for its place in the session's order (SessionExpired,
    /// SessionMoved, Gap, Repeat) takes none.
    pub zxid: Zxid,
    pub outcome: Result<Outcome, Error>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Created {
        path: Box<str>,
        stat: Stat,
    },
    Deleted,
    Set(Stat),
    Checked,
    /// One for each write; all are Ok, or one failed and the others read
    /// `NotReached` (behind it) or `Ok(Checked)` (before it).
    Multi(Vec<Result<Outcome, Error>>),
    /// A session was opened or attached. `connection` numbers this connection.
    Attached {
        session: SessionId,
        password: [u8; 16],
        timeout_ms: u32,
        connection: u32,
    },
    Closed,
    /// The content of /zookeeper/config and its stat.
    Reconfigured {
        config: Data,
        stat: Stat,
    },
    /// What a change among the members gives back.
    Members(super::members::MemberOutcome),
    /// What a step of a restore gives back.
    Restore(RestoreOutcome),
    /// What a change among brokers and topics gives back.
    Streams(StreamsOutcome),
    Done,
}

/// What watchers may see of an applied command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub kind: ChangeKind,
    pub path: Box<str>,
    /// Who may read the node; events go to nobody else.
    pub acl: Arc<Acl>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    Created,
    Deleted,
    DataChanged,
    ChildrenChanged,
}
