//! One node of the tree, and whose it is.

use super::acls::AclId;
use super::command::{NodeKind, Stat};
use super::data::Data;
use super::digest::{Hash, Part};
use super::error::Error;
use crate::clock::Millis;
use crate::ids::{SessionId, Zxid};
use crate::wire::crc32c;
use std::sync::Arc;

/// A place in the tree's table of nodes. Every replica gives the same node the
/// same slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot(pub u32);

/// What is kept of a node; its children are kept beside it, so that a node is
/// small to copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    /// The root's is itself.
    pub parent: Slot,
    pub name: Arc<str>,
    pub data: Data,
    pub data_crc: u32,
    pub acl: AclId,
    /// Of the path's components, so that the digest needs no path.
    pub path_hash: u64,
    pub created_zxid: Zxid,
    pub modified_zxid: Zxid,
    pub children_zxid: Zxid,
    pub created: Millis,
    pub modified: Millis,
    pub version: i32,
    /// Children ever created: the next sequential child's number.
    pub children_created: i32,
    pub acl_version: i32,
    pub owner: Owner,
}

impl Node {
    pub fn set_data(&mut self, data: Data) {
        self.data_crc = crc32c(&data);
        self.data = data;
    }

    /// ZooKeeper shows creations and deletions of children as one number:
    /// with c created and n left, c + (c - n).
    pub fn stat(&self, children: usize) -> Stat {
        let children = children as i32;
        Stat {
            created_zxid: self.created_zxid,
            modified_zxid: self.modified_zxid,
            created: self.created,
            modified: self.modified,
            version: self.version,
            children_version: self.children_created.wrapping_mul(2).wrapping_sub(children),
            acl_version: self.acl_version,
            owner: self.owner.shown(),
            data_length: self.data.len() as i32,
            children,
            children_zxid: self.children_zxid,
        }
    }

    pub fn hash(&self, acl_hash: u64) -> u64 {
        let pair = |high: i32, low: u32| u64::from(high as u32) << 32 | u64::from(low);
        // Nothing is longer than any data.
        let length = self
            .data
            .bytes()
            .map_or(u64::MAX, |bytes| bytes.len() as u64);
        Hash::of(Part::Node)
            .word(self.path_hash)
            .word(length)
            .word(pair(self.version, self.data_crc))
            .word(pair(self.acl_version, self.children_created as u32))
            .word(acl_hash)
            .word(self.created_zxid.0)
            .word(self.modified_zxid.0)
            .word(self.children_zxid.0)
            .word(self.created.0)
            .word(self.modified.0)
            .word(self.owner.0)
            .value()
    }
}

/// The hash of a child's path.
pub(super) fn path_hash(parent: u64, name: &str) -> u64 {
    Hash::after(parent).bytes(name.as_bytes()).value()
}

/// The version after this one. -1 is left out: it means any version to those
/// who ask.
pub(super) fn next_version(version: i32) -> i32 {
    match version.wrapping_add(1) {
        -1 => 0,
        next => next,
    }
}

pub(super) fn check_version(actual: i32, wanted: i32) -> Result<(), Error> {
    if wanted == -1 || wanted == actual {
        Ok(())
    } else {
        Err(Error::BadVersion)
    }
}

/// Whose a node is, in ZooKeeper's one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner(pub u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OwnerKind {
    Nobody,
    Session(SessionId),
    Container,
    Ttl { ttl_ms: u64 },
}

/// 40 bits of milliseconds: 34 years.
const TTL_MS_MAX: u64 = 0xff_ffff_ffff;
const TTL_MARK: u64 = 0xff << 56;

impl Owner {
    pub const NOBODY: Self = Self(0);
    pub const CONTAINER: Self = Self(1 << 63);

    pub fn of(kind: NodeKind, session: SessionId) -> Result<Self, Error> {
        match kind {
            NodeKind::Persistent => Ok(Self::NOBODY),
            NodeKind::Ephemeral if session.0 == 0 => Err(Error::BadArguments),
            NodeKind::Ephemeral => Ok(Self(session.0)),
            NodeKind::Container => Ok(Self::CONTAINER),
            NodeKind::Ttl { ttl_ms } if (1..=TTL_MS_MAX).contains(&ttl_ms) => {
                Ok(Self(TTL_MARK | ttl_ms))
            }
            NodeKind::Ttl { .. } => Err(Error::BadArguments),
        }
    }

    pub fn kind(self) -> OwnerKind {
        match self {
            Self::NOBODY => OwnerKind::Nobody,
            Self::CONTAINER => OwnerKind::Container,
            Self(mark) if mark & TTL_MARK == TTL_MARK => OwnerKind::Ttl {
                ttl_ms: mark & TTL_MS_MAX,
            },
            Self(session) => OwnerKind::Session(SessionId(session)),
        }
    }

    /// As clients are told: containers and TTL nodes are nobody's.
    pub fn shown(self) -> u64 {
        match self.kind() {
            OwnerKind::Session(session) => session.0,
            OwnerKind::Nobody | OwnerKind::Container | OwnerKind::Ttl { .. } => 0,
        }
    }

    pub fn is_session(self) -> bool {
        matches!(self.kind(), OwnerKind::Session(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_never_becomes_minus_one() {
        assert_eq!(next_version(0), 1);
        assert_eq!(next_version(i32::MAX), i32::MIN);
        assert_eq!(next_version(-2), 0);
    }

    #[test]
    fn owners_read_back_as_they_were_made() {
        let none = SessionId(0);
        let ttl = |ttl_ms| Owner::of(NodeKind::Ttl { ttl_ms }, none);
        assert_eq!(ttl(1000), Ok(Owner(0xff00_0000_0000_03e8)));
        assert_eq!(ttl(1000).unwrap().shown(), 0);
        assert_eq!(ttl(0), Err(Error::BadArguments));
        assert_eq!(ttl(TTL_MS_MAX + 1), Err(Error::BadArguments));
        let kind = ttl(TTL_MS_MAX).unwrap().kind();
        assert_eq!(kind, OwnerKind::Ttl { ttl_ms: TTL_MS_MAX });
        let container = Owner::of(NodeKind::Container, none).unwrap();
        assert_eq!(container.0, 0x8000_0000_0000_0000);
        assert_eq!(container.kind(), OwnerKind::Container);
        assert_eq!(container.shown(), 0);
        let ephemeral = Owner::of(NodeKind::Ephemeral, SessionId(7)).unwrap();
        assert_eq!(ephemeral.kind(), OwnerKind::Session(SessionId(7)));
        assert_eq!(ephemeral.shown(), 7);
        assert!(Owner::of(NodeKind::Ephemeral, none).is_err());
    }
}
