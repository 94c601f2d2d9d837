//! Who may do what at the door of the event log, and how much: users, rules of
//! access and quotas. The truth is in the tree (`nodes`); this is the index of it
//! from which a door answers.

pub mod acls;
pub mod binding;
pub mod command;
pub mod nodes;
pub mod quotas;
pub mod users;

mod changing;

pub use acls::{Acls, Verdict};
pub use binding::{
    AclFilter, Binding, CLUSTER_NAME, EVERY_NAME, Hosts, Operation, Operations, Pattern, Patterns,
    Permission, ResourceKind, Rule, Whom,
};
pub use command::{AccessCommand, AccessOutcome, AccessRefused};
pub use quotas::{Entity, Part, QuotaAlteration, QuotaKey, Quotas, Rates};
pub use users::{
    Credential, Credentials, ITERATIONS, Key, Mechanism, Secret, UserAlteration, Users,
};

use super::nodes::{ACCESS, StreamsNode, read};
use super::{Unread, unread};
use crate::state::tree::Tree;
use nodes::{AclsRecord, QuotasRecord, UsersRecord};
use serde::de::DeserializeOwned;

/// Equal where the nodes that it was read from are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    pub users: Users,
    pub acls: Acls,
    pub quotas: Quotas,
}

/// What one of the nodes is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shelf {
    Users,
    Acls,
    Quotas,
}

impl Shelf {
    pub const ALL: [Self; 3] = [Self::Users, Self::Acls, Self::Quotas];

    pub fn path(self) -> &'static str {
        match self {
            Self::Users => nodes::USERS,
            Self::Acls => nodes::ACLS,
            Self::Quotas => nodes::QUOTAS,
        }
    }

    pub fn of(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|shelf| shelf.path() == path)
    }
}

impl Access {
    pub(super) fn read(tree: &Tree) -> Result<Self, Unread> {
        if tree.find(ACCESS).is_none() {
            return Ok(Self::default());
        }
        Ok(Self {
            users: shelf(tree, Shelf::Users, UsersRecord::read)?,
            acls: shelf(tree, Shelf::Acls, AclsRecord::read)?,
            quotas: shelf(tree, Shelf::Quotas, QuotasRecord::read)?,
        })
    }

    fn bytes(&self, shelf: Shelf) -> Vec<u8> {
        match shelf {
            Shelf::Users => super::nodes::bytes(&UsersRecord::of(&self.users)),
            Shelf::Acls => super::nodes::bytes(&AclsRecord::of(&self.acls)),
            Shelf::Quotas => super::nodes::bytes(&QuotasRecord::of(&self.quotas)),
        }
    }
}

fn shelf<R: DeserializeOwned, T: Default>(
    tree: &Tree,
    shelf: Shelf,
    means: fn(R) -> Option<T>,
) -> Result<T, Unread> {
    match tree.find(shelf.path()) {
        None => Ok(T::default()),
        Some(slot) => read::<R>(&tree.node(slot).data)
            .and_then(means)
            .ok_or_else(|| unread(StreamsNode::Access(shelf))),
    }
}
