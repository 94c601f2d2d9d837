//! Why a request on the replicated state was refused. A door maps each to its
//! protocol's code.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    NoNode,
    NodeExists,
    BadVersion,
    NotEmpty,
    NoChildrenForEphemerals,
    InvalidAcl,
    NoAuth,
    BadArguments,
    /// Text where a number must stand.
    Unreadable,
    QuotaExceeded,
    NoWatcher,
    /// The session is unknown, expired or closed.
    SessionExpired,
    /// Another connection has taken the session over: this one is closed
    /// without an answer.
    SessionMoved,
    /// A write of this connection was lost before this one: nothing later of
    /// the connection may be applied, and it is closed.
    Gap,
    /// Already applied; its answer has been given.
    Repeat,
    /// Before a multi's failed operation, or behind it.
    NotReached,
    NotReadOnly,
    ReconfigInProgress,
    NewConfigNoQuorum,
    Unimplemented,
    /// The node cannot take the write now (no leader, queue full, disk full).
    Unavailable,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::NoNode => "there is no such node",
            Error::NodeExists => "the node exists",
            Error::BadVersion => "the node has another version",
            Error::NotEmpty => "the node has children",
            Error::NoChildrenForEphemerals => "an ephemeral node has no children",
            Error::InvalidAcl => "the access list is not valid",
            Error::NoAuth => "the access list does not allow it",
            Error::BadArguments => "the arguments are not valid",
            Error::Unreadable => "the arguments cannot be read",
            Error::QuotaExceeded => "the quota is exceeded",
            Error::NoWatcher => "there is no such watch",
            Error::SessionExpired => "the session is expired",
            Error::SessionMoved => "the session has moved to another connection",
            Error::Gap => "an earlier write of the connection was lost",
            Error::Repeat => "the write was applied before",
            Error::NotReached => "another operation of the multi failed",
            Error::NotReadOnly => "the node serves reads only",
            Error::ReconfigInProgress => "another change of members is under way",
            Error::NewConfigNoQuorum => "the new members would have no majority",
            Error::Unimplemented => "this is not there",
            Error::Unavailable => "the write cannot be taken now",
        })
    }
}

impl std::error::Error for Error {}
