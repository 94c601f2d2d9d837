//! The bodies of requests and answers, field by field as ZooKeeper has them.

use super::record;
use crate::ids::Zxid;
use crate::state::{Acl, Stat};
use std::sync::Arc;

record! {
    /// create, create2 and createContainer; what is made stands in `flags`.
    CreateRequest { path: Box<str>, data: Arc<[u8]>, acl: Acl, flags: i32 }

    CreateTtlRequest { path: Box<str>, data: Arc<[u8]>, acl: Acl, flags: i32, ttl_ms: i64 }

    Created { path: Box<str> }

    /// The answer to create2, createContainer and createTTL.
    CreatedWithStat { path: Box<str>, stat: Stat }

    /// delete and check.
    AtVersion { path: Box<str>, version: i32 }

    /// exists, getData, getChildren and getChildren2.
    Watched { path: Box<str>, watch: bool }

    SetDataRequest { path: Box<str>, data: Arc<[u8]>, version: i32 }

    SetAclRequest { path: Box<str>, acl: Acl, version: i32 }

    /// sync, getACL, getAllChildrenNumber and getEphemerals ask for one, sync
    /// answers with one.
    OfPath { path: Box<str> }

    OfStat { stat: Stat }

    DataWithStat { data: Arc<[u8]>, stat: Stat }

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

    AuthPacket { kind: i32, scheme: Box<str>, auth: Arc<[u8]> }

    /// sasl asks and answers with one.
    SaslToken { token: Arc<[u8]> }

    ReconfigRequest {
        joining: Option<Box<str>>,
        leaving: Option<Box<str>>,
        members: Option<Box<str>>,
        from_version: i64,
    }

    WhoAmI { who: Vec<ClientInfo> }

    ClientInfo { scheme: Box<str>, user: Box<str> }
}
