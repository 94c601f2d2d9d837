//! Loading a snapshot, frame by frame. What is read here came from a disk or
//! a peer; a state comes out only if it is whole and its digest is right.

use super::records::{ArchivedNodeRecord, ArchivedPiece, Head};
use super::{FORMAT, HEAD_BYTES, SCHEMA, checksum};
use crate::clock::Millis;
use crate::ids::Zxid;
use crate::limits::{SESSIONS_MAX, SNAPSHOT_FRAME_BYTES_MAX, TREE_NODES_MAX};
use crate::state::State;
use crate::state::acls::{AclId, Acls};
use crate::state::data::Data;
use crate::state::members::{FEATURES, Raised};
use crate::state::node::{Node, Owner, Slot};
use crate::state::quota::Quotas;
use crate::state::restore::Restoration;
use crate::state::sessions::Sessions;
use crate::state::settings::Settings;
use crate::state::table::Table;
use crate::state::topics::{Topics, Unread};
use crate::state::tree::Tree;
use crate::wire::{Cursor, Short, crc32c};
use rkyv::rancor;
use rkyv::util::AlignedVec;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Why frames are no snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    Short(Short),
    NotASnapshot {
        found: u32,
    },
    Schema {
        found: u32,
        known: u32,
    },
    TooLong {
        bytes: usize,
        bytes_max: usize,
    },
    Length {
        declared: usize,
        found: usize,
    },
    Checksum {
        declared: u32,
        found: u32,
    },
    Archive(String),
    /// The head is missing, or came twice.
    Head,
    /// A backup has no frame of this kind.
    NotInABackup,
    Count {
        of: &'static str,
        declared: u64,
        found: u64,
    },
    /// A node whose access list, parent or place does not exist.
    Node {
        slot: u32,
    },
    Digest {
        declared: u64,
        found: u64,
    },
    /// A node of a broker or topic that means nothing.
    Streams(Unread),
    /// Sound as far as it was looked at, and not for this build.
    Raised(Raised),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short(short) => write!(f, "a frame is cut short: {short}"),
            Self::NotASnapshot { found } => {
                write!(f, "format {found:08x}, where {FORMAT:08x} is a snapshot's")
            }
            Self::Schema { found, known } => {
                write!(f, "schema {found}; this build reads schema {known}")
            }
            Self::TooLong { bytes, bytes_max } => {
                write!(f, "a frame of {bytes} bytes where {bytes_max} is the most")
            }
            Self::Length { declared, found } => {
                write!(f, "a frame of {found} bytes that declares {declared}")
            }
            Self::Checksum { declared, found } => {
                write!(f, "a frame's checksum is {found:08x}, not {declared:08x}")
            }
            Self::Archive(error) => write!(f, "a frame is no archive of ours: {error}"),
            Self::Head => f.write_str("the head is not the first frame, and the only head"),
            Self::NotInABackup => f.write_str("a frame of a kind that no backup has"),
            Self::Count {
                of,
                declared,
                found,
            } => write!(f, "{found} {of} where the head declares {declared}"),
            Self::Node { slot } => write!(f, "the node in slot {slot} belongs nowhere"),
            Self::Digest { declared, found } => {
                write!(f, "the digest is {found:016x}, not {declared:016x}")
            }
            Self::Streams(Unread { path }) => write!(f, "{path} means nothing"),
            Self::Raised(raised) => raised.fmt(f),
        }
    }
}

impl std::error::Error for LoadError {}

impl From<Short> for LoadError {
    fn from(short: Short) -> Self {
        Self::Short(short)
    }
}

/// Takes the frames in their order, then gives the state.
#[derive(Debug)]
pub struct Loader {
    slots_max: u64,
    /// The highest feature level that is read.
    features: u32,
    head: Option<Head>,
    acls: Acls,
    /// What the snapshot calls a list, and what it is called here.
    acl_ids: BTreeMap<u32, AclId>,
    sessions: Sessions,
    table: Table,
    nodes: u64,
}

impl Default for Loader {
    fn default() -> Self {
        Self::new()
    }
}

impl Loader {
    pub fn new() -> Self {
        Self::bounded(TREE_NODES_MAX)
    }

    /// For a tree that never had more than so many nodes at one time.
    pub fn bounded(slots_max: u64) -> Self {
        Self {
            slots_max,
            features: FEATURES,
            head: None,
            acls: Acls::default(),
            acl_ids: BTreeMap::new(),
            sessions: Sessions::default(),
            table: Table::default(),
            nodes: 0,
        }
    }

    /// For a build that knows the levels up to this one.
    pub fn knowing(features: u32) -> Self {
        Self {
            features,
            ..Self::new()
        }
    }

    pub fn frame(&mut self, bytes: &[u8]) -> Result<(), LoadError> {
        let aligned = archived(open(bytes)?);
        let piece = rkyv::access::<ArchivedPiece, rancor::Error>(&aligned);
        let piece = piece.map_err(|error| LoadError::Archive(error.to_string()))?;
        match piece {
            ArchivedPiece::Head(head) => {
                let head = rkyv::deserialize::<Head, rancor::Error>(head);
                let head = head.map_err(|error| LoadError::Archive(error.to_string()))?;
                return self.begin(head);
            }
            _ if self.head.is_none() => return Err(LoadError::Head),
            ArchivedPiece::Acls(acls) => {
                for record in acls.iter() {
                    let id = self.acls.intern(&record.acl());
                    self.acl_ids.insert(record.id.to_native(), id);
                }
            }
            ArchivedPiece::Sessions(sessions) => {
                for record in sessions.iter() {
                    let (id, session) = record.session();
                    self.sessions.put(id, session);
                }
            }
            ArchivedPiece::Nodes(nodes) => {
                nodes.iter().try_for_each(|record| self.node(record))?;
            }
        }
        Ok(())
    }

    fn begin(&mut self, head: Head) -> Result<(), LoadError> {
        let most = |of, declared: u64, most: u64| match declared > most {
            true => Err(LoadError::Count {
                of,
                declared,
                found: most,
            }),
            false => Ok(()),
        };
        // Before anything else: what follows may be of a form not known here.
        if let Some(raised) = Raised::above(self.features, head.members.features) {
            return Err(LoadError::Raised(raised));
        }
        most("nodes", head.nodes, self.slots_max)?;
        most("sessions", head.sessions, SESSIONS_MAX as u64)?;
        match self.head.replace(head) {
            None => Ok(()),
            Some(_) => Err(LoadError::Head),
        }
    }

    /// Nodes come in the order of their slots; those between are free.
    fn node(&mut self, record: &ArchivedNodeRecord) -> Result<(), LoadError> {
        let slot = record.slot.to_native();
        let acl = self.acl_ids.get(&record.acl.to_native());
        let is_next = slot >= self.table.slots() && u64::from(slot) < self.slots_max;
        let (Some(&acl), true) = (acl, is_next) else {
            return Err(LoadError::Node { slot });
        };
        let data: Data = record.data.as_ref().map(|data| data.as_slice()).into();
        let node = Node {
            parent: Slot(record.parent.to_native()),
            name: record.name.as_str().into(),
            data_crc: crc32c(&data),
            data,
            acl,
            path_hash: 0,
            created_zxid: Zxid(record.created_zxid.to_native()),
            modified_zxid: Zxid(record.modified_zxid.to_native()),
            children_zxid: Zxid(record.children_zxid.to_native()),
            created: Millis(record.created.to_native()),
            modified: Millis(record.modified.to_native()),
            version: record.version.to_native(),
            children_created: record.children_created.to_native(),
            acl_version: record.acl_version.to_native(),
            owner: Owner(record.owner.to_native()),
        };
        self.table.replace(Slot(slot), Some(node));
        self.nodes += 1;
        Ok(())
    }

    pub fn finish(self) -> Result<State, LoadError> {
        let head = self.head.ok_or(LoadError::Head)?;
        let same = |of, declared: u64, found: u64| match declared == found {
            true => Ok(()),
            false => Err(LoadError::Count {
                of,
                declared,
                found,
            }),
        };
        same("access lists", head.acls, self.acl_ids.len() as u64)?;
        same("sessions", head.sessions, self.sessions.count() as u64)?;
        same("nodes", head.nodes, self.nodes)?;
        let tree = Tree::assemble(self.table, self.acls);
        let tree = tree.map_err(|slot| LoadError::Node { slot: slot.0 })?;
        let members = head.members.clone().read();
        let state = State {
            cluster: head.cluster(),
            term: head.term(),
            zxid: head.zxid(),
            settings: Settings::read(&tree),
            quotas: Quotas::read(&tree),
            restoration: Restoration::read(&tree),
            topics: Arc::new(Topics::read(&tree).map_err(LoadError::Streams)?),
            tree,
            sessions: self.sessions,
            members_hash: members.hash(),
            members,
            taking: None,
            saving: None,
        };
        match state.digest() {
            found if found == head.digest => Ok(state),
            found => Err(LoadError::Digest {
                declared: head.digest,
                found,
            }),
        }
    }
}

/// A body where an archive can be read: a frame stands anywhere in memory, an
/// archive on 16 bytes.
pub(super) fn archived(body: &[u8]) -> AlignedVec<16> {
    let mut aligned = AlignedVec::with_capacity(body.len());
    aligned.extend_from_slice(body);
    aligned
}

/// How many bytes follow a frame's head, as it declares.
pub fn body_bytes(head: &[u8; HEAD_BYTES]) -> Result<usize, LoadError> {
    let mut head = Cursor::new(head);
    let (format, schema) = (head.u32()?, head.u32()?);
    if format != FORMAT {
        return Err(LoadError::NotASnapshot { found: format });
    }
    if schema != SCHEMA {
        return Err(LoadError::Schema {
            found: schema,
            known: SCHEMA,
        });
    }
    let bytes = head.u32()? as usize;
    let bytes_max = SNAPSHOT_FRAME_BYTES_MAX - HEAD_BYTES;
    match bytes > bytes_max {
        true => Err(LoadError::TooLong { bytes, bytes_max }),
        false => Ok(bytes),
    }
}

/// Whether a frame is what was written.
pub fn check_frame(bytes: &[u8]) -> Result<(), LoadError> {
    open(bytes).map(drop)
}

/// The body of a frame that is what it says.
pub(super) fn open(bytes: &[u8]) -> Result<&[u8], LoadError> {
    let mut rest = Cursor::new(bytes);
    let head = rest.take(HEAD_BYTES)?;
    let declared = body_bytes(head.try_into().expect("as many as were taken"))?;
    if declared != rest.left() {
        return Err(LoadError::Length {
            declared,
            found: rest.left(),
        });
    }
    let body = rest.take(declared)?;
    let (covered, sum) = head.split_at(HEAD_BYTES - 4);
    let declared = Cursor::new(sum).u32()?;
    let found = checksum(covered, body);
    match found == declared {
        true => Ok(body),
        false => Err(LoadError::Checksum { declared, found }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Uid;
    use crate::state::snapshot::frame;
    use crate::state::snapshot::records::{NodeRecord, Piece};

    /// A tree that was once as large as a tree may be, and of which the root
    /// and one more are left, in the last slot.
    #[test]
    fn a_high_slot_takes_no_more_memory_than_a_low_one() {
        let last = (TREE_NODES_MAX - 1) as u32;
        let mut state = State::new(Uid([1; 16]));
        state.begin_walk();
        let mut frames: Vec<_> = std::iter::from_fn(|| state.walk_slice(1)).collect();
        let mut node = state.tree.node(Slot(0)).clone();
        node.name = "far".into();
        frames.push(frame(&Piece::Nodes(vec![NodeRecord::of(
            Slot(last),
            &node,
        )])));
        let mut loader = Loader::new();
        for frame in &frames {
            loader.frame(frame).unwrap();
        }
        assert!(loader.table.slots_held() <= 64);
        loader.head.as_mut().unwrap().nodes += 1;
        let refused = loader.finish().unwrap_err();
        assert!(matches!(refused, LoadError::Digest { .. }), "{refused}");
        let mut beyond = Loader::new();
        frames.pop();
        frames.push(frame(&Piece::Nodes(vec![NodeRecord::of(
            Slot(last + 1),
            &node,
        )])));
        let refused = frames.iter().try_for_each(|frame| beyond.frame(frame));
        assert_eq!(refused, Err(LoadError::Node { slot: last + 1 }));
    }
}
