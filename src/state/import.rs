//! Nodes of another coordination service or of a backup, moved in with the stat
//! they had.

use super::access;
use super::acl::Acl;
use super::command::{ChangeKind, ImportedNode, Outcome};
use super::error::Error;
use super::node::{Node, Owner, Slot};
use super::paths;
use super::quota::Quotas;
use super::settings;
use super::topics;
use super::writes::Writes;
use crate::ids::Zxid;
use crate::limits::{NODE_DATA_BYTES_MAX, TREE_NODES_MAX};
use crate::wire::crc32c;

impl Writes<'_> {
    /// All of them or none. The root and ZooKeeper's own nodes are there
    /// already and take what is imported; any other that is there must be the
    /// same, as when an import is sent twice. Gives the highest number among
    /// what was imported.
    pub fn import(
        &mut self,
        nodes: &[ImportedNode],
        source: Source,
    ) -> Result<(Outcome, Zxid), Error> {
        let told = self.changes.len();
        self.tree.begin();
        let done = nodes
            .iter()
            .try_for_each(|node| self.import_one(node, source));
        match done {
            Ok(()) => self.tree.keep(),
            Err(_) => {
                self.tree.undo();
                self.changes.truncate(told);
            }
        }
        *self.quotas = Quotas::read(self.tree);
        done.map(|()| {
            (
                Outcome::Done,
                nodes.iter().map(highest).max().unwrap_or_default(),
            )
        })
    }

    fn import_one(&mut self, imported: &ImportedNode, source: Source) -> Result<(), Error> {
        let ImportedNode {
            path, data, stat, ..
        } = imported;
        let acl = source.check(imported)?;
        let standing = self.tree.find(path);
        let is_setting = paths::is_within(path, paths::DOLMEN);
        if is_setting && (standing.is_none() || !settings::means_something(path, data)) {
            // Of a build that has other settings: what is in force here stays.
            return Ok(());
        }
        let (parent, name, path_hash) = match standing {
            Some(slot) => {
                let node = self.tree.node(slot);
                (node.parent, node.name.clone(), node.path_hash)
            }
            None => {
                let (above, name) = paths::split(path)?;
                let parent = self.tree.find(above).ok_or(Error::NoNode)?;
                (parent, name.into(), self.tree.child_hash(parent, name))
            }
        };
        let node = Node {
            parent,
            name,
            data: data.clone(),
            data_crc: crc32c(data),
            acl: self.tree.acls.intern(&acl),
            path_hash,
            created_zxid: stat.created_zxid,
            modified_zxid: stat.modified_zxid,
            children_zxid: stat.children_zxid,
            created: stat.created,
            modified: stat.modified,
            version: stat.version,
            children_created: stat.children_version,
            acl_version: stat.acl_version,
            owner: Owner(stat.owner),
        };
        match standing {
            Some(slot) if is_setting || paths::is_special(path) => {
                self.tree.change(slot, |old| *old = node)
            }
            Some(slot) if *self.tree.node(slot) == node => {}
            Some(_) => return Err(Error::NodeExists),
            None if self.tree.count() >= TREE_NODES_MAX => return Err(Error::Unavailable),
            None => self.place(parent, path, node)?,
        }
        Ok(())
    }

    fn place(&mut self, parent: Slot, path: &str, node: Node) -> Result<(), Error> {
        if self.tree.node(parent).owner.is_session() {
            return Err(Error::NoChildrenForEphemerals);
        }
        let slot = self.tree.insert(node);
        self.tell(ChangeKind::Created, path.into(), slot);
        self.tell(ChangeKind::ChildrenChanged, self.tree.path(parent), parent);
        Ok(())
    }
}

/// Where nodes that move in come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Elsewhere,
    /// Settings of the cluster come with it.
    Backup,
}

impl Source {
    /// Whether the node may move in, and with which list.
    fn check(self, imported: &ImportedNode) -> Result<Acl, Error> {
        self.check_path(&imported.path)?;
        check_content(imported)
    }

    fn check_path(self, path: &str) -> Result<(), Error> {
        paths::check(path)?;
        let is_setting = paths::is_setting(path) || topics::is_kept(path);
        let is_setting = is_setting && self == Self::Backup;
        let is_ours = paths::is_within(path, paths::DOLMEN) || path == paths::ZOOKEEPER_CONFIG;
        match is_setting || !is_ours {
            true => Ok(()),
            false => Err(Error::BadArguments),
        }
    }
}

fn check_content(imported: &ImportedNode) -> Result<Acl, Error> {
    let is_late = highest(imported) >= ZXID_END;
    let is_passing = Owner(imported.stat.owner).is_session();
    if is_late || is_passing || imported.data.len() > NODE_DATA_BYTES_MAX {
        return Err(Error::BadArguments);
    }
    access::resolve(&imported.acl, &[])
}

/// Whether a node of a backup could be put back, wherever it stood.
pub fn check_restored(node: &ImportedNode) -> Result<(), Error> {
    check_content(node).map(drop)
}

/// Whether there could be such a node of a backup, given that its parent is
/// there.
pub fn check_restored_path(path: &str) -> Result<(), Error> {
    Source::Backup.check_path(path)
}

/// Clients see a signed number, and history goes on for as long again.
pub(super) const ZXID_END: Zxid = Zxid(1 << 62);

fn highest(node: &ImportedNode) -> Zxid {
    let stat = &node.stat;
    stat.created_zxid
        .max(stat.modified_zxid)
        .max(stat.children_zxid)
}
