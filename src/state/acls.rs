//! The access lists that nodes share: few differ, so each is kept once and
//! counted.

use super::acl::Acl;
use super::digest::{Hash, Part};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// An access list's number in this process; nothing outside depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AclId(pub u32);

#[derive(Debug, Default)]
pub(super) struct Acls {
    shared: Vec<Option<Shared>>,
    ids: BTreeMap<Arc<Acl>, AclId>,
    free: BTreeSet<AclId>,
    /// Those that are new or lost their last node. They are looked at when the
    /// transaction is over: until then its undoing may need them.
    emptied: Vec<AclId>,
}

#[derive(Debug)]
struct Shared {
    acl: Arc<Acl>,
    hash: u64,
    nodes: u64,
}

impl Acls {
    /// The list's number, good until the transaction is over unless a node
    /// takes it.
    pub fn intern(&mut self, acl: &Acl) -> AclId {
        if let Some(&id) = self.ids.get(acl) {
            return id;
        }
        let acl = Arc::new(acl.clone());
        let id = self.free.pop_first().unwrap_or_else(|| {
            self.shared.push(None);
            AclId(self.shared.len() as u32 - 1)
        });
        self.ids.insert(acl.clone(), id);
        self.emptied.push(id);
        self.shared[id.0 as usize] = Some(Shared {
            hash: hash(&acl),
            acl,
            nodes: 0,
        });
        id
    }

    pub fn retain(&mut self, id: AclId) {
        self.at(id).nodes += 1;
    }

    pub fn release(&mut self, id: AclId) {
        let shared = self.at(id);
        shared.nodes -= 1;
        if shared.nodes == 0 {
            self.emptied.push(id);
        }
    }

    /// Forgets the lists that no node has.
    pub fn settle(&mut self) {
        while let Some(id) = self.emptied.pop() {
            let shared = &mut self.shared[id.0 as usize];
            if let Some(unused) = shared.take_if(|shared| shared.nodes == 0) {
                self.ids.remove(&unused.acl);
                self.free.insert(id);
            }
        }
    }

    pub fn get(&self, id: AclId) -> &Arc<Acl> {
        &self.known(id).acl
    }

    pub fn hash(&self, id: AclId) -> u64 {
        self.known(id).hash
    }

    /// Every list that a node has, with its number.
    pub fn iter(&self) -> impl Iterator<Item = (AclId, &Arc<Acl>)> {
        let numbered = self.shared.iter().enumerate();
        numbered.filter_map(|(n, shared)| Some((AclId(n as u32), &shared.as_ref()?.acl)))
    }

    fn known(&self, id: AclId) -> &Shared {
        let shared = self.shared[id.0 as usize].as_ref();
        shared.expect("a node's access list is kept as long as the node")
    }

    fn at(&mut self, id: AclId) -> &mut Shared {
        let shared = self.shared[id.0 as usize].as_mut();
        shared.expect("a node's access list is kept as long as the node")
    }
}

fn hash(acl: &Acl) -> u64 {
    let entries = acl.iter().fold(Hash::of(Part::Acl), |hash, entry| {
        hash.word(entry.permissions.0.into())
            .bytes(entry.who.scheme.as_bytes())
            .bytes(entry.who.id.as_bytes())
    });
    entries.value()
}
