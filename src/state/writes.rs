//! Writes on the tree, by ZooKeeper's rules and in the order in which it
//! checks them: of two things that are wrong, a client hears the same one.

use super::access;
use super::acl::{Acl, Identity, Permissions};
use super::command::{Change, ChangeKind, Create, Outcome, Stat, Write};
use super::data::Data;
use super::error::Error;
use super::node::{Node, Owner, OwnerKind, Slot, check_version, next_version};
use super::paths;
use super::quota::{self, QuotaNode, Quotas};
use super::settings::Settings;
use super::topics::check_write;
use super::tree::Tree;
use crate::clock::Millis;
use crate::ids::{SessionId, Zxid};
use crate::limits::{NODE_DATA_BYTES_MAX, TREE_NODES_MAX};
use crate::wire::crc32c;

/// One transaction on the tree.
pub(super) struct Writes<'a> {
    pub tree: &'a mut Tree,
    pub quotas: &'a mut Quotas,
    pub zxid: Zxid,
    pub now: Millis,
    pub session: SessionId,
    pub who: &'a [Identity],
    pub changes: &'a mut Vec<Change>,
}

impl Writes<'_> {
    pub fn write(&mut self, write: &Write) -> Result<Outcome, Error> {
        match write {
            Write::Create(create) => self.create(create),
            Write::Delete { path, version } => self.delete(path, *version),
            Write::SetData {
                path,
                data,
                version,
            } => self.set_data(path, data, *version),
            Write::SetAcl { path, acl, version } => self.set_acl(path, acl, *version),
            Write::Check { path, version } => self.check(path, *version),
        }
    }

    fn create(&mut self, create: &Create) -> Result<Outcome, Error> {
        let owner = Owner::of(create.kind, self.session)?;
        let (above, _) = paths::split(&create.path)?;
        let acl = access::resolve(&create.acl, self.who)?;
        let parent = self.tree.find(above).ok_or(Error::NoNode)?;
        self.allow(parent, Permissions::CREATE)?;
        let path = self.named(create, parent);
        paths::check(&path)?;
        if self.tree.find(&path).is_some() {
            return Err(Error::NodeExists);
        }
        if self.tree.node(parent).owner.is_session() {
            return Err(Error::NoChildrenForEphemerals);
        }
        self.check_data(&path, &create.data)?;
        let bytes = create.data.len() as i64;
        self.quotas.check(self.tree, &path, 1, bytes)?;
        if self.tree.count() >= TREE_NODES_MAX {
            return Err(Error::Unavailable);
        }
        let slot = self.add(parent, &path, create.data.clone(), &acl, owner);
        let stat = self.stat(slot);
        Ok(Outcome::Created { path, stat })
    }

    /// The path, with the parent's count behind it if the name is to be
    /// sequential.
    fn named(&self, create: &Create, parent: Slot) -> Box<str> {
        match create.is_sequential {
            true => {
                let number = self.tree.node(parent).children_created;
                format!("{}{number:010}", create.path).into()
            }
            false => create.path.clone(),
        }
    }

    /// Also for what the system creates by itself.
    pub fn add(&mut self, parent: Slot, path: &str, data: Data, acl: &Acl, owner: Owner) -> Slot {
        let (_, name) = paths::split(path).expect("the path was checked");
        let bytes = data.len() as i64;
        let node = Node {
            parent,
            name: name.into(),
            data_crc: crc32c(&data),
            data,
            acl: self.tree.acls.intern(acl),
            path_hash: self.tree.child_hash(parent, name),
            created_zxid: self.zxid,
            modified_zxid: self.zxid,
            children_zxid: self.zxid,
            created: self.now,
            modified: self.now,
            version: 0,
            children_created: 0,
            acl_version: 0,
            owner,
        };
        let slot = self.tree.insert(node);
        let zxid = self.zxid;
        self.tree.change(parent, |parent| {
            parent.children_created = parent.children_created.wrapping_add(1);
            parent.children_zxid = zxid;
        });
        self.quotas.created(path);
        if let Some(QuotaNode::Stats(of)) = QuotaNode::of(path) {
            quota::count_anew(self.tree, slot, of);
        }
        self.quotas.charge(self.tree, path, 1, bytes);
        self.tell(ChangeKind::Created, path.into(), slot);
        self.tell(ChangeKind::ChildrenChanged, self.tree.path(parent), parent);
        slot
    }

    fn delete(&mut self, path: &str, version: i32) -> Result<Outcome, Error> {
        let (above, name) = paths::split(path)?;
        if paths::is_special(path) {
            return Err(Error::BadArguments);
        }
        if paths::is_fixed(path)
            || (paths::is_within(path, paths::DOLMEN) && !access::is_super(self.who))
        {
            return Err(Error::NoAuth);
        }
        let parent = self.tree.find(above).ok_or(Error::NoNode)?;
        self.allow(parent, Permissions::DELETE)?;
        let slot = self.tree.child(parent, name).ok_or(Error::NoNode)?;
        check_version(self.tree.node(slot).version, version)?;
        if !self.tree.children(slot).is_empty() {
            return Err(Error::NotEmpty);
        }
        self.remove(slot, path);
        Ok(Outcome::Deleted)
    }

    pub fn remove(&mut self, slot: Slot, path: &str) {
        let node = self.tree.node(slot);
        let (parent, bytes) = (node.parent, node.data.len() as i64);
        self.tell(ChangeKind::Deleted, path.into(), slot);
        self.tree.remove(slot);
        let zxid = self.zxid;
        self.tree
            .change(parent, |parent| parent.children_zxid = zxid);
        self.quotas.deleted(path);
        self.quotas.charge(self.tree, path, -1, -bytes);
        self.tell(ChangeKind::ChildrenChanged, self.tree.path(parent), parent);
    }

    fn set_data(&mut self, path: &str, data: &Data, version: i32) -> Result<Outcome, Error> {
        let slot = self.find(path)?;
        self.allow(slot, Permissions::WRITE)?;
        self.check_data(path, data)?;
        let node = self.tree.node(slot);
        let more = data.len() as i64 - node.data.len() as i64;
        self.quotas.check(self.tree, path, 0, more)?;
        check_version(node.version, version)?;
        let next = next_version(node.version);
        self.replace(slot, path, data.clone(), next);
        self.quotas.charge(self.tree, path, 0, more);
        Ok(Outcome::Set(self.stat(slot)))
    }

    /// Also for what the system writes by itself.
    pub fn replace(&mut self, slot: Slot, path: &str, data: Data, version: i32) {
        let (zxid, now) = (self.zxid, self.now);
        self.tree.change(slot, |node| {
            node.set_data(data);
            node.version = version;
            node.modified_zxid = zxid;
            node.modified = now;
        });
        self.tell(ChangeKind::DataChanged, path.into(), slot);
    }

    fn set_acl(&mut self, path: &str, acl: &Acl, version: i32) -> Result<Outcome, Error> {
        paths::check(path)?;
        let acl = access::resolve(acl, self.who)?;
        let slot = self.find(path)?;
        self.allow(slot, Permissions::ADMIN)?;
        let actual = self.tree.node(slot).acl_version;
        check_version(actual, version)?;
        let acl = self.tree.acls.intern(&acl);
        self.tree.change(slot, |node| {
            node.acl = acl;
            node.acl_version = next_version(actual);
        });
        Ok(Outcome::Set(self.stat(slot)))
    }

    fn check(&mut self, path: &str, version: i32) -> Result<Outcome, Error> {
        let slot = self.find(path)?;
        self.allow(slot, Permissions::READ)?;
        check_version(self.tree.node(slot).version, version)?;
        Ok(Outcome::Checked)
    }

    fn find(&self, path: &str) -> Result<Slot, Error> {
        paths::check(path)?;
        self.tree.find(path).ok_or(Error::NoNode)
    }

    pub fn allow(&self, slot: Slot, wanted: Permissions) -> Result<(), Error> {
        match access::allows(self.tree.acl(slot), wanted, self.who) {
            true => Ok(()),
            false => Err(Error::NoAuth),
        }
    }

    /// What the system reads from a node's data must mean something, and what
    /// it writes there is its own.
    fn check_data(&self, path: &str, data: &[u8]) -> Result<(), Error> {
        let is_the_systems = matches!(path, paths::ZOOKEEPER_CONFIG | paths::DOLMEN_RESTORE);
        if data.len() > NODE_DATA_BYTES_MAX || is_the_systems {
            return Err(Error::BadArguments);
        }
        if let Some(node) = QuotaNode::of(path) {
            node.check(data)?;
        }
        if paths::is_within(path, paths::STREAMS) {
            return check_write(self.tree, path, data);
        }
        match path.strip_prefix(paths::DOLMEN_CONFIG) {
            Some(name) if name.starts_with('/') => {
                Settings::read(self.tree).check(&name[1..], data)
            }
            _ => Ok(()),
        }
    }

    /// Removes what a session leaves behind, in the order of the paths.
    pub fn remove_ephemerals(&mut self, session: SessionId) {
        let slots = self.tree.ephemerals(session);
        let mut ephemerals: Vec<_> = slots.map(|slot| (self.tree.path(slot), slot)).collect();
        ephemerals.sort_unstable();
        for (path, slot) in ephemerals {
            self.remove(slot, &path);
        }
    }

    /// Removes an empty container or an outlived node, if that is what it
    /// still is.
    pub fn reap(&mut self, path: &str) -> Result<Outcome, Error> {
        let slot = self.find(path)?;
        if !self.tree.children(slot).is_empty() {
            return Err(Error::NotEmpty);
        }
        if !is_reapable(self.tree, slot, self.now) {
            return Err(Error::BadVersion);
        }
        self.remove(slot, path);
        Ok(Outcome::Deleted)
    }

    pub fn stat(&self, slot: Slot) -> Stat {
        self.tree.node(slot).stat(self.tree.children(slot).len())
    }

    pub fn tell(&mut self, kind: ChangeKind, path: Box<str>, slot: Slot) {
        let acl = self.tree.acl(slot).clone();
        self.changes.push(Change { kind, path, acl });
    }
}

/// A container has had children and has none; a TTL node has none and was not
/// changed for longer than it may live.
pub(super) fn is_reapable(tree: &Tree, slot: Slot, now: Millis) -> bool {
    let node = tree.node(slot);
    tree.children(slot).is_empty()
        && match node.owner.kind() {
            OwnerKind::Container => node.children_created > 0,
            OwnerKind::Ttl { ttl_ms } => now.0.saturating_sub(node.modified.0) > ttl_ms,
            OwnerKind::Nobody | OwnerKind::Session(_) => false,
        }
}
