//! A backup: what users keep in the state, in frames of a snapshot. Sessions
//! and their ephemeral nodes, members and tokens are not in it, and of the
//! system's own nodes only the settings and the topics are, without what was in
//! them.
//!
//! It is taken as a snapshot is, in slices between the transactions, but at
//! the pace of whoever writes it down. So what changes ahead of it is kept
//! within a bound, and beyond it the backup is lost rather than the memory.

use super::load::{archived, open};
use super::records::{ArchivedNodeRecord, ArchivedPiece, NodeRecord, Piece};
use super::{frame, some_acls, some_nodes};
use crate::clock::Millis;
use crate::ids::Zxid;
use crate::limits::BACKUP_IMAGE_BYTES_MAX;
use crate::state::State;
use crate::state::acl::Acl;
use crate::state::acls::AclId;
use crate::state::command::{ImportedNode, Stat};
use crate::state::data::Data;
use crate::state::node::{Node, Slot};
use crate::state::paths;
use crate::state::topics::kept_by_backups;
use crate::state::tree::Tree;
use crate::state::walk::{Purpose, Walk};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

pub use super::HEAD_BYTES as FRAME_HEAD_BYTES;
pub use super::load::{LoadError, body_bytes, check_frame};

/// What a backup will hold, known when it is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    pub zxid: Zxid,
    pub features: u32,
    /// Nodes that are the users', the root among them.
    pub nodes: u64,
    /// Left out.
    pub ephemerals: u64,
    pub sessions: u64,
}

/// What it came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub frames: u64,
    /// Nodes that are the users'.
    pub nodes: u64,
    /// Nodes that hold settings and topics, and those above them.
    pub settings: u64,
    pub data_bytes: u64,
    /// Of the users' nodes, as the state sums them.
    pub digest: u64,
}

#[derive(Debug)]
pub enum Slice {
    Frame(Vec<u8>),
    /// What was looked at is left out; more is to come.
    Nothing,
    End(Sums),
}

/// Why a backup does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    TooSlow,
    /// The node has another state since: it took a snapshot over.
    OtherState,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooSlow => write!(
                f,
                "more than {} MiB changed while the backup was being written: write it to a \
                 faster disk, then copy it",
                BACKUP_IMAGE_BYTES_MAX >> 20
            ),
            Self::OtherState => f.write_str(
                "the node fell behind and took its state from another meanwhile: try again",
            ),
        }
    }
}

/// A backup under way; its nodes are in the tree's walk of that purpose.
#[derive(Debug)]
pub(in crate::state) struct Saving {
    number: u64,
    acls: std::vec::IntoIter<(AclId, Arc<Acl>)>,
    acl_hashes: BTreeMap<AclId, u64>,
    held: Option<(Slot, Node)>,
    ours: Ours,
    sums: Sums,
}

/// The system's own nodes: those that a backup keeps, and those that it does
/// not.
#[derive(Debug, Default)]
struct Ours {
    settings: BTreeSet<Slot>,
    others: BTreeSet<Slot>,
}

impl Ours {
    fn of(tree: &Tree) -> Self {
        let found = |path| tree.find(path);
        let mut ours = Self::default();
        for top in [paths::DOLMEN, paths::DOLMEN_CONFIG] {
            ours.settings.extend(found(top));
        }
        if let Some(folder) = found(paths::DOLMEN_CONFIG) {
            ours.settings.extend(tree.children(folder).values());
        }
        ours.settings.extend(kept_by_backups(tree));
        let within = found(paths::DOLMEN).into_iter();
        let within = within.flat_map(|top| tree.below(top));
        let others = within.filter(|slot| !ours.settings.contains(slot));
        ours.others = others.chain(found(paths::ZOOKEEPER_CONFIG)).collect();
        ours
    }

    fn all(&self) -> impl Iterator<Item = Slot> {
        self.settings.iter().chain(&self.others).copied()
    }
}

impl State {
    /// Begins a backup of the state as it is now, under the caller's number.
    /// None while another is under way.
    pub fn begin_backup(&mut self, number: u64) -> Option<Begun> {
        if self.saving.is_some() {
            return None;
        }
        let ours = Ours::of(&self.tree);
        let acls = self.tree.acls.iter();
        let acls: Vec<_> = acls.map(|(id, acl)| (id, acl.clone())).collect();
        let hashes = acls.iter().map(|(id, _)| (*id, self.tree.acls.hash(*id)));
        let (nodes, ephemerals) = self.counts_beside(&ours);
        let begun = Begun {
            zxid: self.zxid,
            features: self.members.features(),
            nodes,
            ephemerals,
            sessions: self.clients_sessions().count() as u64,
        };
        self.saving = Some(Saving {
            number,
            acl_hashes: hashes.collect(),
            acls: acls.into_iter(),
            held: None,
            ours,
            sums: Sums::default(),
        });
        let walk = Walk::bounded(self.tree.slots(), BACKUP_IMAGE_BYTES_MAX);
        self.tree.walks[Purpose::Backup as usize] = Some(walk);
        Some(begun)
    }

    /// The next frame, after a look at no more than so many nodes.
    pub fn backup_slice(&mut self, number: u64, budget_nodes: usize) -> Result<Slice, Lost> {
        let saving = self.saving.as_mut();
        let saving = saving.filter(|saving| saving.number == number);
        let saving = saving.ok_or(Lost::OtherState)?;
        let walk = self.tree.walks[Purpose::Backup as usize].as_ref();
        if walk.is_none_or(Walk::is_lost) {
            self.drop_backup(number);
            return Err(Lost::TooSlow);
        }
        let slice = saving.next(&mut self.tree, budget_nodes.max(1));
        if let Slice::End(_) = slice {
            self.drop_backup(number);
        }
        Ok(slice)
    }

    /// Gives up the backup of that number, if it is the one under way.
    pub fn drop_backup(&mut self, number: u64) {
        if self
            .saving
            .take_if(|saving| saving.number == number)
            .is_some()
        {
            self.tree.walks[Purpose::Backup as usize] = None;
        }
    }

    /// The users' nodes that a backup would hold now, and what they sum to.
    pub(in crate::state) fn users_part(&self) -> (u64, u64) {
        let ours = Ours::of(&self.tree);
        let (nodes, _) = self.counts_beside(&ours);
        let beside = ours.all().chain(self.users_ephemerals(&ours));
        let digest = beside.fold(self.tree.digest(), |digest, slot| {
            let node = self.tree.node(slot);
            digest.wrapping_sub(node.hash(self.tree.acls.hash(node.acl)))
        });
        (nodes, digest)
    }

    fn counts_beside(&self, ours: &Ours) -> (u64, u64) {
        let is_passing = |slot: &Slot| self.tree.node(*slot).owner.is_session();
        let own_ephemerals = ours.all().filter(is_passing).count() as u64;
        let ephemerals = self.tree.ephemeral_count() - own_ephemerals;
        let nodes = self.tree.count() - ours.all().count() as u64 - ephemerals;
        (nodes, ephemerals)
    }

    fn users_ephemerals<'a>(&'a self, ours: &'a Ours) -> impl Iterator<Item = Slot> + 'a {
        let is_ours = |slot: &Slot| ours.settings.contains(slot) || ours.others.contains(slot);
        let ephemerals = self.tree.all_ephemerals();
        ephemerals.filter(move |slot| !is_ours(slot))
    }
}

impl Saving {
    fn next(&mut self, tree: &mut Tree, budget_nodes: usize) -> Slice {
        if self.acls.len() > 0 {
            let some = some_acls(&mut self.acls);
            return self.framed(&Piece::Acls(some));
        }
        let nodes = self.some_nodes(tree, budget_nodes);
        if !nodes.is_empty() {
            return self.framed(&Piece::Nodes(nodes));
        }
        let walk = tree.walks[Purpose::Backup as usize].as_ref();
        match walk.is_none_or(Walk::is_over) {
            true => Slice::End(self.sums),
            false => Slice::Nothing,
        }
    }

    fn framed(&mut self, piece: &Piece) -> Slice {
        self.sums.frames += 1;
        Slice::Frame(frame(piece))
    }

    fn some_nodes(&mut self, tree: &mut Tree, budget_nodes: usize) -> Vec<NodeRecord> {
        let purpose = Purpose::Backup as usize;
        let Some(mut walk) = tree.walks[purpose].take() else {
            return Vec::new();
        };
        let (ours, hashes, sums) = (&self.ours, &self.acl_hashes, &mut self.sums);
        let mut looks = 0..budget_nodes;
        let step = || {
            loop {
                looks.next()?;
                let (slot, node) = walk.step(|slot| tree.get(slot))?;
                if !node.owner.is_session() && !ours.others.contains(&slot) {
                    sums.add(&node, ours.settings.contains(&slot), hashes[&node.acl]);
                    return Some((slot, node));
                }
            }
        };
        let some = some_nodes(&mut self.held, budget_nodes, step);
        tree.walks[purpose] = Some(walk);
        some
    }
}

impl Sums {
    fn add(&mut self, node: &Node, is_setting: bool, acl_hash: u64) {
        if is_setting {
            self.settings += 1;
            return;
        }
        self.nodes += 1;
        self.data_bytes += node.data.len() as u64;
        self.digest = self.digest.wrapping_add(node.hash(acl_hash));
    }
}

/// A frame read back. It came from a file that anybody may have written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Saved {
    /// With the numbers that the backup's nodes call them by.
    Acls(Vec<(u32, Acl)>),
    /// In the order of their slots, over all frames.
    Nodes(Vec<SavedNode>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedNode {
    pub slot: u32,
    /// The root's is itself.
    pub parent: u32,
    pub acl: u32,
    pub name: Box<str>,
    pub data: Data,
    /// `children_version` counts the children ever created, `owner` is as the
    /// tree has it, and the two counts are not filled in.
    pub stat: Stat,
}

impl Saved {
    pub fn read(frame: &[u8]) -> Result<Self, LoadError> {
        let aligned = archived(open(frame)?);
        let piece = rkyv::access::<ArchivedPiece, rkyv::rancor::Error>(&aligned);
        let piece = piece.map_err(|error| LoadError::Archive(error.to_string()))?;
        match piece {
            ArchivedPiece::Acls(acls) => {
                let acls = acls.iter();
                let acls = acls.map(|record| (record.id.to_native(), record.acl()));
                Ok(Self::Acls(acls.collect()))
            }
            ArchivedPiece::Nodes(nodes) => {
                Ok(Self::Nodes(nodes.iter().map(SavedNode::of).collect()))
            }
            ArchivedPiece::Head(_) | ArchivedPiece::Sessions(_) => Err(LoadError::NotInABackup),
        }
    }
}

impl SavedNode {
    fn of(record: &ArchivedNodeRecord) -> Self {
        let data: Data = record.data.as_ref().map(|data| data.as_slice()).into();
        Self {
            slot: record.slot.to_native(),
            parent: record.parent.to_native(),
            acl: record.acl.to_native(),
            name: record.name.as_str().into(),
            stat: Stat {
                created_zxid: Zxid(record.created_zxid.to_native()),
                modified_zxid: Zxid(record.modified_zxid.to_native()),
                children_zxid: Zxid(record.children_zxid.to_native()),
                created: Millis(record.created.to_native()),
                modified: Millis(record.modified.to_native()),
                version: record.version.to_native(),
                children_version: record.children_created.to_native(),
                acl_version: record.acl_version.to_native(),
                owner: record.owner.to_native(),
                data_length: 0,
                children: 0,
            },
            data,
        }
    }

    pub fn zxid_max(&self) -> Zxid {
        let stat = &self.stat;
        stat.created_zxid
            .max(stat.modified_zxid)
            .max(stat.children_zxid)
    }

    /// As it is put back.
    pub fn at(&self, path: Box<str>, acl: Acl) -> ImportedNode {
        ImportedNode {
            path,
            data: self.data.clone(),
            acl,
            stat: Stat {
                data_length: self.data.len() as i32,
                ..self.stat
            },
        }
    }
}
