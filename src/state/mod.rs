//! Everything replicated: the tree of nodes, sessions, members, tokens.
//! Pure: a command comes in with the leader's time, an outcome goes out.

pub mod acl;
pub mod command;
pub mod error;
pub mod members;

pub use acl::{Acl, AclEntry, Identity, Permissions};
pub use command::{
    Applied, AttachSession, Change, ChangeKind, Command, Create, ImportedNode, NodeKind,
    OpenSession, Outcome, Reconfigure, Stat, Submission, Write,
};
pub use error::Error;
