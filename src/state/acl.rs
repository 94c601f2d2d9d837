//! Who may do what with a node: identities, and lists of what they may.

/// Someone, as a scheme and a name within it: `world:anyone`, `ip:10.0.0.7`,
/// `digest:user:hash`, `sasl:user`, `x509:CN=...`, `super:name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    pub scheme: Box<str>,
    pub id: Box<str>,
}

impl Identity {
    pub fn new(scheme: &str, id: &str) -> Self {
        Self {
            scheme: scheme.into(),
            id: id.into(),
        }
    }
}

/// What an entry of an access list allows, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permissions(pub u32);

impl Permissions {
    pub const READ: Self = Self(1);
    pub const WRITE: Self = Self(2);
    pub const CREATE: Self = Self(4);
    pub const DELETE: Self = Self(8);
    pub const ADMIN: Self = Self(16);
    pub const ALL: Self = Self(31);

    pub fn has(self, wanted: Self) -> bool {
        self.0 & wanted.0 != 0
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AclEntry {
    pub permissions: Permissions,
    pub who: Identity,
}

/// A node's access list. Few differ, so nodes share them.
pub type Acl = Vec<AclEntry>;
