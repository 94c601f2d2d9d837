//! Snapshots: the whole state as a sequence of frames, taken in slices between
//! the transactions and equal to the state at the moment it was begun.
//!
//! A frame is `format id 4 | schema 4 | length of the body 4 | CRC-32C over
//! the rest 4 | body`, the body an rkyv archive that is read checked. The
//! first is the head; access lists, sessions and nodes follow it.

pub mod backup;
mod load;
mod records;

pub use load::{LoadError, Loader};

use super::State;
use super::acl::Acl;
use super::acls::AclId;
use super::node::{Node, Slot};
use super::sessions::Session;
use super::tree::Tree;
use super::walk::{Purpose, Walk};
use crate::ids::SessionId;
use crate::limits::SNAPSHOT_FRAME_BYTES;
use crate::planted;
use crate::wire::{crc32c, crc32c_append};
use records::{AclRecord, Head, NodeRecord, Piece, SessionRecord};
use rkyv::rancor;
use std::sync::Arc;

/// "dsnp", as it lies on the disk.
const FORMAT: u32 = u32::from_le_bytes(*b"dsnp");
const SCHEMA: u32 = 1;
pub const HEAD_BYTES: usize = 16;
/// What a frame leaves to its items: its own head, the archive's root and the
/// padding before it take less than 256 bytes.
const ROOM_BYTES: usize = SNAPSHOT_FRAME_BYTES - 256;

/// A snapshot under way: what was small enough to set aside when it was begun,
/// and what is still to be written of it. The nodes are in the tree's `Walk`.
#[derive(Debug)]
pub(super) struct Taking {
    head: Option<Head>,
    acls: std::vec::IntoIter<(AclId, Arc<Acl>)>,
    sessions: std::vec::IntoIter<(SessionId, Session)>,
    /// A node that did not fit the frame before.
    held: Option<(Slot, Node)>,
}

impl State {
    /// Begins a snapshot of the state as it is now. One that was under way is
    /// dropped.
    pub fn begin_walk(&mut self) {
        let acls = self.tree.acls.iter();
        let acls: Vec<_> = acls.map(|(id, acl)| (id, acl.clone())).collect();
        let sessions = self.sessions.iter();
        let mut sessions: Vec<_> = sessions
            .map(|(id, session)| (id, session.clone()))
            .collect();
        let mut head = Head::of(self, acls.len() as u64);
        if planted!(SessionsNotInSnapshot) {
            sessions.clear();
            head.sessions = 0;
        }
        self.tree.walks[Purpose::Snapshot as usize] = Some(Walk::new(self.tree.slots()));
        self.taking = Some(Taking {
            head: Some(head),
            acls: acls.into_iter(),
            sessions: sessions.into_iter(),
            held: None,
        });
    }

    /// The next frame, after a look at no more than so many nodes; None when
    /// the snapshot is complete, or none was begun.
    pub fn walk_slice(&mut self, budget_nodes: usize) -> Option<Vec<u8>> {
        let taking = self.taking.as_mut()?;
        let piece = taking.next(&mut self.tree, budget_nodes.max(1));
        if piece.is_none() {
            self.drop_walk();
        }
        piece.map(|piece| frame(&piece))
    }

    /// Gives up the snapshot that is under way.
    pub fn drop_walk(&mut self) {
        self.taking = None;
        self.tree.walks[Purpose::Snapshot as usize] = None;
    }
}

impl Taking {
    fn next(&mut self, tree: &mut Tree, budget_nodes: usize) -> Option<Piece> {
        if let Some(head) = self.head.take() {
            return Some(Piece::Head(head));
        }
        if self.acls.len() > 0 {
            return Some(Piece::Acls(some_acls(&mut self.acls)));
        }
        if self.sessions.len() > 0 {
            let some = self
                .sessions
                .by_ref()
                .take(ROOM_BYTES / SessionRecord::WEIGHT);
            let some = some.map(|(id, session)| SessionRecord::of(id, &session));
            return Some(Piece::Sessions(some.collect()));
        }
        let nodes = self.some_nodes(tree, budget_nodes);
        (!nodes.is_empty()).then_some(Piece::Nodes(nodes))
    }

    /// At least one, however large, unless none is left.
    fn some_nodes(&mut self, tree: &mut Tree, budget_nodes: usize) -> Vec<NodeRecord> {
        let purpose = Purpose::Snapshot as usize;
        let mut walk = tree.walks[purpose].take();
        let stepping = walk.as_mut().expect("a snapshot under way walks");
        let step = || stepping.step(|slot| tree.get(slot));
        let some = some_nodes(&mut self.held, budget_nodes, step);
        tree.walks[purpose] = walk;
        some
    }
}

/// At least one, however long.
fn some_acls(acls: &mut std::vec::IntoIter<(AclId, Arc<Acl>)>) -> Vec<AclRecord> {
    let (mut some, mut bytes) = (Vec::new(), 0);
    while let Some((id, acl)) = acls.as_slice().first() {
        let record = AclRecord::of(id.0, acl);
        bytes += record.weight();
        if !some.is_empty() && bytes > ROOM_BYTES {
            break;
        }
        some.push(record);
        acls.next();
    }
    some
}

/// What fits a frame of the nodes that come. The first that does not is held.
fn some_nodes(
    held: &mut Option<(Slot, Node)>,
    budget_nodes: usize,
    mut step: impl FnMut() -> Option<(Slot, Node)>,
) -> Vec<NodeRecord> {
    let (mut some, mut bytes) = (Vec::new(), 0);
    while some.len() < budget_nodes {
        let Some((slot, node)) = held.take().or_else(&mut step) else {
            break;
        };
        bytes += NodeRecord::weight(&node);
        if !some.is_empty() && bytes > ROOM_BYTES {
            *held = Some((slot, node));
            break;
        }
        some.push(NodeRecord::of(slot, &node));
    }
    some
}

fn frame(piece: &Piece) -> Vec<u8> {
    let body = rkyv::to_bytes::<rancor::Error>(piece);
    let body = body.expect("numbers, texts and bytes of a bounded frame always archive");
    let mut frame = Vec::with_capacity(HEAD_BYTES + body.len());
    for number in [FORMAT, SCHEMA, body.len() as u32] {
        frame.extend_from_slice(&number.to_le_bytes());
    }
    let crc = checksum(&frame, &body);
    frame.extend_from_slice(&crc.to_le_bytes());
    frame.extend_from_slice(&body);
    frame
}

fn checksum(head: &[u8], body: &[u8]) -> u32 {
    crc32c_append(crc32c(head), body)
}
