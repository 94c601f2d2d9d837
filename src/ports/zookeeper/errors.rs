//! Our errors to ZooKeeper's codes, and what becomes of the connection.

use crate::state::Error;

pub const OK: i32 = 0;
pub const RUNTIME_INCONSISTENCY: i32 = -2;
pub const MARSHALLING_ERROR: i32 = -5;
pub const UNIMPLEMENTED: i32 = -6;
pub const OPERATION_TIMEOUT: i32 = -7;
pub const BAD_ARGUMENTS: i32 = -8;
pub const NEW_CONFIG_NO_QUORUM: i32 = -13;
pub const RECONFIG_IN_PROGRESS: i32 = -14;
pub const NO_NODE: i32 = -101;
pub const NO_AUTH: i32 = -102;
pub const BAD_VERSION: i32 = -103;
pub const NO_CHILDREN_FOR_EPHEMERALS: i32 = -108;
pub const NODE_EXISTS: i32 = -110;
pub const NOT_EMPTY: i32 = -111;
pub const SESSION_EXPIRED: i32 = -112;
pub const INVALID_ACL: i32 = -114;
pub const AUTH_FAILED: i32 = -115;
pub const NOT_READ_ONLY: i32 = -119;
pub const NO_WATCHER: i32 = -121;
pub const QUOTA_EXCEEDED: i32 = -125;

/// What a client hears of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    Code(i32),
    /// Nothing: the connection is torn down, and the client takes it for lost.
    Loss,
}

pub fn heard(error: Error) -> Heard {
    Heard::Code(match error {
        Error::NoNode => NO_NODE,
        Error::NodeExists => NODE_EXISTS,
        Error::BadVersion => BAD_VERSION,
        Error::NotEmpty => NOT_EMPTY,
        Error::NoChildrenForEphemerals => NO_CHILDREN_FOR_EPHEMERALS,
        Error::InvalidAcl => INVALID_ACL,
        Error::NoAuth => NO_AUTH,
        Error::BadArguments => BAD_ARGUMENTS,
        Error::Unreadable => MARSHALLING_ERROR,
        Error::QuotaExceeded => QUOTA_EXCEEDED,
        Error::NoWatcher => NO_WATCHER,
        Error::SessionExpired => SESSION_EXPIRED,
        Error::NotReached => RUNTIME_INCONSISTENCY,
        Error::NotReadOnly => NOT_READ_ONLY,
        Error::ReconfigInProgress => RECONFIG_IN_PROGRESS,
        Error::NewConfigNoQuorum => NEW_CONFIG_NO_QUORUM,
        Error::Unimplemented => UNIMPLEMENTED,
        // Clients try again after it, and the session goes on.
        Error::Unavailable => OPERATION_TIMEOUT,
        // What the client may hope of its earlier writes is unknown.
        Error::SessionMoved | Error::Gap | Error::Repeat => return Heard::Loss,
    })
}

/// The code of an operation inside a multi, where nothing can be torn down.
pub fn code_within(error: Error) -> i32 {
    match heard(error) {
        Heard::Code(code) => code,
        Heard::Loss => RUNTIME_INCONSISTENCY,
    }
}
