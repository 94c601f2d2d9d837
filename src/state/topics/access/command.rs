//! What is asked of the rules of access, and what comes of it. A door maps each
//! refusal to Kafka's code, which is named beside it.

use super::binding::{AclFilter, Binding, CLUSTER_NAME, Operation, ResourceKind};
use super::quotas::{QuotaAlteration, QuotaKey};
use super::users::{ITERATIONS, Mechanism, Secret, UserAlteration};
use crate::limits::{
    ACL_BINDINGS_MAX, ACL_NAME_BYTES_MAX, CLIENT_QUOTAS_MAX, SCRAM_SALT_BYTES_MAX, SCRAM_USERS_MAX,
    USER_NAME_BYTES_MAX,
};
use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessCommand {
    AlterUsers {
        /// Drawn by the proposer; kept where there is none yet.
        secret: Secret,
        users: Vec<UserAlteration>,
    },
    CreateAcls {
        bindings: Vec<Binding>,
    },
    DeleteAcls {
        filters: Vec<AclFilter>,
    },
    AlterQuotas {
        alterations: Vec<QuotaAlteration>,
        validates_only: bool,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessOutcome {
    /// One for each that was named, in that order.
    Each(Vec<Result<(), AccessRefused>>),
    /// What each filter matched, all of which is gone.
    Deleted(Vec<Vec<Binding>>),
    /// None of it is done.
    Refused(AccessRefused),
}

/// Why something is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessRefused {
    /// UNACCEPTABLE_CREDENTIAL, as the next three; INVALID_REQUEST in a rule.
    UserName {
        bytes: usize,
    },
    Iterations {
        asked: u32,
    },
    Salt {
        bytes: usize,
    },
    Key {
        mechanism: Mechanism,
        bytes: usize,
    },
    /// RESOURCE_NOT_FOUND.
    NoCredential,
    /// DUPLICATE_RESOURCE.
    Twice,
    /// POLICY_VIOLATION, as the next four.
    UsersMax,
    AclsMax,
    QuotasMax,
    NamedMax {
        named: usize,
        most: usize,
    },
    NoRoom,
    /// INVALID_REQUEST, as all that follow.
    ResourceName {
        bytes: usize,
    },
    ClusterName,
    NoOperationOf {
        kind: ResourceKind,
        operation: Operation,
    },
    /// What is written of it would be read as another.
    NotAsWritten,
    NoEntity,
    Rate {
        key: QuotaKey,
    },
}

impl fmt::Display for AccessRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UserName { bytes } => write!(
                f,
                "a user's or client's name has 1 to {USER_NAME_BYTES_MAX} bytes, not {bytes}"
            ),
            Self::Iterations { asked } => write!(
                f,
                "{asked} iterations, where {} to {} are taken",
                ITERATIONS.start(),
                ITERATIONS.end()
            ),
            Self::Salt { bytes } => write!(
                f,
                "a salt has 1 to {SCRAM_SALT_BYTES_MAX} bytes, not {bytes}"
            ),
            Self::Key { mechanism, bytes } => write!(
                f,
                "what {} makes of a password has {} bytes, not {bytes}",
                mechanism.name(),
                mechanism.key_bytes()
            ),
            Self::NoCredential => f.write_str("the user has no such credential"),
            Self::Twice => f.write_str("the same is altered twice at once"),
            Self::UsersMax => write!(f, "{SCRAM_USERS_MAX} users are the most"),
            Self::AclsMax => write!(f, "{ACL_BINDINGS_MAX} access rules are the most"),
            Self::QuotasMax => write!(f, "quotas for {CLIENT_QUOTAS_MAX} are the most"),
            Self::NamedMax { named, most } => {
                write!(f, "{named} named, and {most} are the most at once")
            }
            Self::NoRoom => f.write_str("the rules of access are as long as they may be"),
            Self::ResourceName { bytes } => write!(
                f,
                "a resource's name has 1 to {ACL_NAME_BYTES_MAX} bytes, not {bytes}"
            ),
            Self::ClusterName => write!(f, "the cluster is called {CLUSTER_NAME}"),
            Self::NoOperationOf { kind, operation } => {
                write!(
                    f,
                    "{} is nothing done to a {}",
                    operation.name(),
                    kind.name()
                )
            }
            Self::NotAsWritten => {
                f.write_str("a rule is for User:* or a name, from * or an address")
            }
            Self::NoEntity => f.write_str("a quota is for a user, a client, or both"),
            Self::Rate { key } => write!(f, "{} is at least 1", key.name()),
        }
    }
}

impl std::error::Error for AccessRefused {}
