//! Reads of the tree, each with the check that ZooKeeper makes.

use super::State;
use super::access;
use super::acl::{Acl, Identity, Permissions};
use super::command::Stat;
use super::data::Data;
use super::error::Error;
use super::node::Slot;
use super::writes::is_reapable;
use crate::clock::Millis;
use crate::ids::SessionId;

impl State {
    pub fn exists(&self, path: &str, who: &[Identity]) -> Result<Stat, Error> {
        let slot = self.readable(path, Permissions::READ, who)?;
        Ok(self.stat(slot))
    }

    /// What the system itself sees, whoever may read it.
    pub fn stat_of(&self, path: &str) -> Result<Stat, Error> {
        self.find(path).map(|slot| self.stat(slot))
    }

    pub fn data(&self, path: &str, who: &[Identity]) -> Result<(Data, Stat), Error> {
        let slot = self.readable(path, Permissions::READ, who)?;
        Ok((self.tree.node(slot).data.clone(), self.stat(slot)))
    }

    /// The names, in order.
    pub fn children(&self, path: &str, who: &[Identity]) -> Result<(Vec<Box<str>>, Stat), Error> {
        let slot = self.readable(path, Permissions::READ, who)?;
        let names = self.tree.children(slot).keys();
        let names = names.map(|name| Box::from(&**name)).collect();
        Ok((names, self.stat(slot)))
    }

    /// All nodes below the path.
    pub fn children_count(&self, path: &str, who: &[Identity]) -> Result<u32, Error> {
        let slot = self.readable(path, Permissions::READ, who)?;
        Ok(self.tree.count_below(slot) as u32)
    }

    /// With hashes masked for who may read and not administer.
    pub fn acl(&self, path: &str, who: &[Identity]) -> Result<(Acl, Stat), Error> {
        let wanted = Permissions(Permissions::READ.0 | Permissions::ADMIN.0);
        let slot = self.readable(path, wanted, who)?;
        let acl = self.tree.acl(slot);
        let shown = match access::allows(acl, Permissions::ADMIN, who) {
            true => Acl::clone(acl),
            false => access::masked(acl),
        };
        Ok((shown, self.stat(slot)))
    }

    /// A session's ephemeral nodes whose paths begin so, in order.
    pub fn ephemerals(&self, session: SessionId, prefix: &str) -> Vec<Box<str>> {
        let slots = self.tree.ephemerals(session);
        let paths = slots.map(|slot| self.tree.path(slot));
        let mut paths: Vec<_> = paths.filter(|path| path.starts_with(prefix)).collect();
        paths.sort_unstable();
        paths
    }

    pub fn may_read(&self, acl: &Acl, who: &[Identity]) -> bool {
        access::allows(acl, Permissions::READ, who)
    }

    /// Empty containers and outlived nodes, for the leader to propose `Reap`.
    pub fn reapable(&self, now: Millis, at_most: usize) -> Vec<Box<str>> {
        let slots = self.tree.passing();
        let slots = slots.filter(|&slot| is_reapable(&self.tree, slot, now));
        slots
            .take(at_most)
            .map(|slot| self.tree.path(slot))
            .collect()
    }

    fn readable(&self, path: &str, wanted: Permissions, who: &[Identity]) -> Result<Slot, Error> {
        let slot = self.find(path)?;
        match access::allows(self.tree.acl(slot), wanted, who) {
            true => Ok(slot),
            false => Err(Error::NoAuth),
        }
    }

    fn find(&self, path: &str) -> Result<Slot, Error> {
        if path.contains('\0') {
            return Err(Error::BadArguments);
        }
        self.tree.find(path).ok_or(Error::NoNode)
    }

    fn stat(&self, slot: Slot) -> Stat {
        self.tree.node(slot).stat(self.tree.children(slot).len())
    }
}
