//! The bodies of requests and answers, field by field as ZooKeeper has them.

use super::record;
use crate::ids::Zxid;
use crate::state::{Acl, Data, Stat};

record! {
    /// create, create2 and createContainer; what is made stands in `flags`.
    CreateRequest { path: Box<str>, data: Data, acl: Acl, flags: i32 }

    CreateTtlRequest { path: Box<str>, data: Data, acl: Acl, flags: i32, ttl_ms: i64 }

    Created { path: Box<str> }

    /// The answer to create2, createContainer and createTTL.
    CreatedWithStat { path: Box<str>, stat: Stat }

    /// delete and check.
    AtVersion { path: Box<str>, version: i32 }

    /// exists, getData, getChildren and getChildren2.
    Watched { path: Box<str>, watch: bool }

    SetDataRequest { path: Box<str>, data: Data, version: i32 }

    SetAclRequest { path: Box<str>, acl: Acl, version: i32 }

    /// getACL, getAllChildrenNumber and deleteContainer.
    OfPath { path: Box<str> }

    /// sync asks and answers with one, getEphemerals asks: here a path may be
    /// missing.
    OfAnyPath { path: Option<Box<str>> }

    /// createSession, which otherwise the servers send each other.
    OfTimeout { timeout_ms: i32 }

    OfStat { stat: Stat }

    DataWithStat { data: Data, stat: Stat }

    AclWithStat { acl: Acl, stat: Stat }

    Children { names: Vec<Box<str>> }

    ChildrenWithStat { names: Vec<Box<str>>, stat: Stat }

    ChildrenNumber { count: i32 }

    Ephemerals { paths: Vec<Box<str>> }

    SetWatchesRequest {
        since: Zxid,
        data: Vec<Box<str>>,
        exist: Vec<Box<str>>,
        children: Vec<Box<str>>,
    }

    SetWatches2Request {
        since: Zxid,
        data: Vec<Box<str>>,
        exist: Vec<Box<str>>,
        children: Vec<Box<str>>,
        persistent: Vec<Box<str>>,
        persistent_recursive: Vec<Box<str>>,
    }

    AddWatchRequest { path: Box<str>, mode: i32 }

    /// checkWatches and removeWatches.
    WatchesRequest { path: Box<str>, kind: i32 }

    /// A code where the header has one already; addWatch answers with it.
    ErrorCode { code: i32 }

    AuthPacket { kind: i32, scheme: Box<str>, auth: Data }

    /// sasl asks and answers with one.
    SaslToken { token: Data }

    ReconfigRequest {
        joining: Option<Box<str>>,
        leaving: Option<Box<str>>,
        members: Option<Box<str>>,
        from_version: i64,
    }

    WhoAmI { who: Vec<ClientInfo> }

    ClientInfo { scheme: Box<str>, user: Box<str> }
}
