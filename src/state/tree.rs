//! The tree: a table of nodes, and what is derived from it: children, owners,
//! figures, digest. `put` is the one place where a slot changes; it keeps all
//! that is derived, the undo log of a multi and the images of a walk.

use super::acl::Acl;
use super::acls::Acls;
use super::digest::{Hash, Part};
use super::node::{Node, Owner, OwnerKind, Slot, path_hash};
use super::table::Table;
use super::walk::{Purpose, Walk};
use crate::clock::Millis;
use crate::ids::{SessionId, Zxid};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(super) type Children = BTreeMap<Arc<str>, Slot>;

pub(super) const ROOT: Slot = Slot(0);

#[derive(Debug)]
pub(super) struct Tree {
    table: Table,
    pub acls: Acls,
    ephemerals: BTreeMap<SessionId, BTreeSet<Slot>>,
    containers: BTreeSet<Slot>,
    ttls: BTreeSet<Slot>,
    nodes: u64,
    ephemeral_count: u64,
    data_bytes: u64,
    digest: u64,
    /// While a multi runs: each change's slot and what was in it.
    undo: Option<Vec<(Slot, Option<Node>)>>,
    /// By their purpose.
    pub walks: [Option<Walk>; Purpose::COUNT],
}

impl Tree {
    /// A tree with a root.
    pub fn new(acl: &Acl) -> Self {
        let mut tree = Self::empty();
        let acl = tree.acls.intern(acl);
        let root = Node {
            parent: ROOT,
            name: "".into(),
            data: [].into(),
            data_crc: 0,
            acl,
            path_hash: root_hash(),
            created_zxid: Zxid(0),
            modified_zxid: Zxid(0),
            children_zxid: Zxid(0),
            created: Millis(0),
            modified: Millis(0),
            version: 0,
            children_created: 0,
            acl_version: 0,
            owner: Owner::NOBODY,
        };
        tree.insert(root);
        tree
    }

    fn empty() -> Self {
        Self {
            table: Table::default(),
            acls: Acls::default(),
            ephemerals: BTreeMap::new(),
            containers: BTreeSet::new(),
            ttls: BTreeSet::new(),
            nodes: 0,
            ephemeral_count: 0,
            data_bytes: 0,
            digest: 0,
            undo: None,
            walks: Default::default(),
        }
    }

    /// A tree from its nodes, for a snapshot: all that is derived is derived
    /// anew. Fails with the slot of a node that hangs nowhere.
    pub fn assemble(table: Table, acls: Acls) -> Result<Self, Slot> {
        let mut tree = Self::empty();
        tree.acls = acls;
        tree.table = table;
        tree.table.get(ROOT).ok_or(ROOT)?;
        let nodes = hang(&mut tree.table)?;
        let mut reached = 0;
        let mut waiting = vec![(ROOT, root_hash())];
        while let Some((slot, hash)) = waiting.pop() {
            reached += 1;
            let node = tree.table.get_mut(slot);
            node.expect("children are nodes").path_hash = hash;
            tree.count_in(slot);
            let children = tree.table.children(slot).iter();
            waiting.extend(children.map(|(name, &child)| (child, path_hash(hash, name))));
        }
        tree.nodes = reached;
        tree.acls.settle();
        // Nodes that are each other's parents are reached from nowhere.
        match reached == nodes {
            true => Ok(tree),
            false => Err(ROOT),
        }
    }

    pub fn find(&self, path: &str) -> Option<Slot> {
        if path.is_empty() || path == "/" {
            return Some(ROOT);
        }
        let mut names = path.strip_prefix('/')?.split('/');
        names.try_fold(ROOT, |slot, name| self.child(slot, name))
    }

    pub fn child(&self, parent: Slot, name: &str) -> Option<Slot> {
        self.children(parent).get(name).copied()
    }

    pub fn children(&self, slot: Slot) -> &Children {
        self.table.children(slot)
    }

    pub fn node(&self, slot: Slot) -> &Node {
        self.get(slot).expect("a slot that was found is taken")
    }

    pub fn get(&self, slot: Slot) -> Option<&Node> {
        self.table.get(slot)
    }

    pub fn acl(&self, slot: Slot) -> &Arc<Acl> {
        self.acls.get(self.node(slot).acl)
    }

    pub fn path(&self, slot: Slot) -> Box<str> {
        if slot == ROOT {
            return "/".into();
        }
        let mut slots = vec![slot];
        while self.node(slots[slots.len() - 1]).parent != ROOT {
            slots.push(self.node(slots[slots.len() - 1]).parent);
        }
        let mut path = String::new();
        for slot in slots.into_iter().rev() {
            path.push('/');
            path.push_str(&self.node(slot).name);
        }
        path.into()
    }

    pub fn insert(&mut self, node: Node) -> Slot {
        let slot = self.table.next_free();
        self.put(slot, Some(node));
        slot
    }

    pub fn change(&mut self, slot: Slot, change: impl FnOnce(&mut Node)) {
        let mut node = self.node(slot).clone();
        change(&mut node);
        self.put(slot, Some(node));
    }

    pub fn remove(&mut self, slot: Slot) {
        assert!(
            self.children(slot).is_empty(),
            "a removed node is childless"
        );
        self.put(slot, None);
    }

    fn put(&mut self, slot: Slot, new: Option<Node>) {
        let is_taken = new.is_some();
        let old = self.table.replace(slot, new);
        for walk in self.walks.iter_mut().flatten() {
            walk.note(slot, &old);
        }
        match (&old, is_taken) {
            (None, true) => self.link(slot),
            (Some(old), false) => self.unlink(old),
            _ => {}
        }
        self.count_in(slot);
        if let Some(old) = &old {
            self.count_out(slot, old);
        }
        if let Some(undo) = &mut self.undo {
            undo.push((slot, old));
        }
    }

    fn link(&mut self, slot: Slot) {
        self.nodes += 1;
        if slot != ROOT {
            let node = self.node(slot);
            let (parent, name) = (node.parent, node.name.clone());
            self.table.children_mut(parent).insert(name, slot);
        }
    }

    fn unlink(&mut self, old: &Node) {
        self.nodes -= 1;
        self.table.children_mut(old.parent).remove(&old.name);
    }

    fn count_in(&mut self, slot: Slot) {
        let Some(node) = self.table.get(slot) else {
            return;
        };
        self.digest = self
            .digest
            .wrapping_add(node.hash(self.acls.hash(node.acl)));
        self.data_bytes += node.data.len() as u64;
        self.acls.retain(node.acl);
        match node.owner.kind() {
            OwnerKind::Nobody => {}
            OwnerKind::Container => drop(self.containers.insert(slot)),
            OwnerKind::Ttl { .. } => drop(self.ttls.insert(slot)),
            OwnerKind::Session(session) => {
                let is_new = self.ephemerals.entry(session).or_default().insert(slot);
                self.ephemeral_count += u64::from(is_new);
            }
        }
    }

    /// An owner changes only as its node comes or goes.
    fn count_out(&mut self, slot: Slot, old: &Node) {
        self.digest = self.digest.wrapping_sub(old.hash(self.acls.hash(old.acl)));
        self.data_bytes -= old.data.len() as u64;
        self.acls.release(old.acl);
        if self.get(slot).is_some_and(|node| node.owner == old.owner) {
            return;
        }
        match old.owner.kind() {
            OwnerKind::Nobody => {}
            OwnerKind::Container => drop(self.containers.remove(&slot)),
            OwnerKind::Ttl { .. } => drop(self.ttls.remove(&slot)),
            OwnerKind::Session(session) => {
                self.ephemeral_count -= 1;
                let slots = self.ephemerals.entry(session).or_default();
                slots.remove(&slot);
                if slots.is_empty() {
                    self.ephemerals.remove(&session);
                }
            }
        }
    }

    /// From here on changes can be undone, until `keep` or `undo`.
    pub fn begin(&mut self) {
        self.undo = Some(Vec::new());
    }

    pub fn keep(&mut self) {
        self.undo = None;
    }

    /// Every slot is as it was at `begin`.
    pub fn undo(&mut self) {
        let changes = self.undo.take().expect("a change that began can be undone");
        for (slot, old) in changes.into_iter().rev() {
            self.put(slot, old);
        }
    }

    pub fn ephemerals(&self, session: SessionId) -> impl Iterator<Item = Slot> {
        self.ephemerals.get(&session).into_iter().flatten().copied()
    }

    pub fn all_ephemerals(&self) -> impl Iterator<Item = Slot> {
        self.ephemerals.values().flatten().copied()
    }

    /// Those that may have to be reaped one day: containers and TTL nodes.
    pub fn passing(&self) -> impl Iterator<Item = Slot> {
        self.containers.iter().chain(&self.ttls).copied()
    }

    /// All nodes below one, itself left out.
    pub fn count_below(&self, slot: Slot) -> u64 {
        if slot == ROOT {
            return self.count() - 1;
        }
        self.below(slot).count() as u64
    }

    pub fn below(&self, slot: Slot) -> impl Iterator<Item = Slot> {
        let mut waiting: Vec<Slot> = self.children(slot).values().copied().collect();
        std::iter::from_fn(move || {
            let slot = waiting.pop()?;
            waiting.extend(self.children(slot).values().copied());
            Some(slot)
        })
    }

    pub fn count(&self) -> u64 {
        self.nodes
    }

    /// Slots in use or once used.
    pub fn slots(&self) -> u32 {
        self.table.slots()
    }

    pub fn ephemeral_count(&self) -> u64 {
        self.ephemeral_count
    }

    pub fn data_bytes(&self) -> u64 {
        self.data_bytes
    }

    pub fn digest(&self) -> u64 {
        self.digest
    }

    pub fn child_hash(&self, parent: Slot, name: &str) -> u64 {
        path_hash(self.node(parent).path_hash, name)
    }
}

pub(super) fn root_hash() -> u64 {
    Hash::of(Part::Path).value()
}

/// Hangs every node under its parent, and counts them. They are grouped by
/// parent first, so that each map is built once, from all that it will hold.
fn hang(table: &mut Table) -> Result<u64, Slot> {
    let mut pairs = Vec::new();
    for (slot, node) in table.iter().filter(|&(slot, _)| slot != ROOT) {
        let is_named = !node.name.is_empty() && !node.name.contains('/');
        if !is_named || table.get(node.parent).is_none() {
            return Err(slot);
        }
        pairs.push((node.parent, slot));
    }
    // Within a group they stay in the order of their slots, which is often
    // that of their names already.
    pairs.sort_unstable();
    for group in pairs.chunk_by(|one, other| one.0 == other.0) {
        *table.children_mut(group[0].0) = map_of(table, group)?;
    }
    Ok(pairs.len() as u64 + 1)
}

fn map_of(table: &Table, group: &[(Slot, Slot)]) -> Result<Children, Slot> {
    let name = |slot| {
        table
            .get(slot)
            .expect("only nodes are grouped")
            .name
            .clone()
    };
    let children: Children = group.iter().map(|&(_, slot)| (name(slot), slot)).collect();
    match children.len() == group.len() {
        true => Ok(children),
        false => Err(group[0].1),
    }
}
