//! create, create2, createContainer, createTTL: one request, and two ways to
//! answer it.

use super::super::codec::{CreateRequest, CreateTtlRequest, Created, CreatedWithStat, code};
use super::super::errors::BAD_ARGUMENTS;
use super::{Asked, Kept, Operation, misfit};
use crate::replica::desk::{Answer, Request};
use crate::state::{self, Command, Error, NodeKind, Outcome, Stat, Write};

/// createTTL alone brings one.
const NO_TTL: i64 = -1;
/// What no node can have: the state refuses it where it stands, among the
/// other operations of a multi.
const NEVER: NodeKind = NodeKind::Ttl { ttl_ms: 0 };

pub struct Create;
pub struct Create2;
pub struct CreateContainer;
pub struct CreateTtl;

/// A node that a client asks for; None where the flags mean nothing. A TTL
/// that makes no sense is for the state to refuse.
pub fn node(request: CreateRequest) -> Option<state::Create> {
    node_with_ttl(CreateTtlRequest {
        path: request.path,
        data: request.data,
        acl: request.acl,
        flags: request.flags,
        ttl_ms: NO_TTL,
    })
}

pub fn node_with_ttl(request: CreateTtlRequest) -> Option<state::Create> {
    let (kind, is_sequential) = match request.flags {
        0 => (NodeKind::Persistent, false),
        1 => (NodeKind::Ephemeral, false),
        2 => (NodeKind::Persistent, true),
        3 => (NodeKind::Ephemeral, true),
        4 => (NodeKind::Container, false),
        5 => (ttl(request.ttl_ms), false),
        6 => (ttl(request.ttl_ms), true),
        _ => return None,
    };
    let takes_ttl = matches!(kind, NodeKind::Ttl { .. });
    let kind = match request.ttl_ms {
        0.. if !takes_ttl => NEVER,
        _ => kind,
    };
    Some(state::Create {
        path: request.path,
        data: request.data,
        acl: request.acl,
        kind,
        is_sequential,
    })
}

fn ttl(ttl_ms: i64) -> NodeKind {
    u64::try_from(ttl_ms).map_or(NEVER, |ttl_ms| NodeKind::Ttl { ttl_ms })
}

fn ask(node: Option<state::Create>) -> Asked {
    match node {
        Some(node) => {
            let write = Command::Write(Write::Create(node));
            Asked::Replica(Request::Submit(write))
        }
        None => Asked::Refused(BAD_ARGUMENTS),
    }
}

fn created(operation: &str, answer: Answer) -> (Box<str>, Stat) {
    match answer {
        Answer::Outcome(Outcome::Created { path, stat }) => (path, stat),
        other => misfit(operation, &other),
    }
}

impl Operation for Create {
    const CODE: i32 = code::CREATE;
    const NAME: &'static str = "create";
    const SHORT: &'static str = "CREA";
    const IS_WRITE: bool = true;
    type Request = CreateRequest;
    type Response = Created;

    fn ask(request: CreateRequest) -> Asked {
        ask(node(request))
    }

    fn answer(answer: Answer, _: Kept) -> Result<Created, Error> {
        let (path, _) = created(Self::NAME, answer);
        Ok(Created { path })
    }
}

macro_rules! with_stat {
    ($operation:ident, $code:expr, $name:literal, $short:literal, $request:ty, $node:expr) => {
        impl Operation for $operation {
            const CODE: i32 = $code;
            const NAME: &'static str = $name;
            const SHORT: &'static str = $short;
            const IS_WRITE: bool = true;
            type Request = $request;
            type Response = CreatedWithStat;

            fn ask(request: $request) -> Asked {
                ask($node(request))
            }

            fn answer(answer: Answer, _: Kept) -> Result<CreatedWithStat, Error> {
                let (path, stat) = created(Self::NAME, answer);
                Ok(CreatedWithStat { path, stat })
            }
        }
    };
}

with_stat!(
    Create2,
    code::CREATE2,
    "create2",
    "CREA",
    CreateRequest,
    node
);
with_stat!(
    CreateContainer,
    code::CREATE_CONTAINER,
    "createContainer",
    "CREA",
    CreateRequest,
    node
);
with_stat!(
    CreateTtl,
    code::CREATE_TTL,
    "createTTL",
    "CREA",
    CreateTtlRequest,
    node_with_ttl
);
