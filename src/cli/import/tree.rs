//! The tree of a ZooKeeper as its snapshot holds it, and the transactions
//! replayed on top.
//!
//! A snapshot is taken while the server writes, so it holds some of what later
//! transactions did. These are replayed all the same, as ZooKeeper itself does
//! on start: one that finds its work done, or its node gone, is passed over,
//! and since every later one follows, the tree ends as it was.

use super::jute::Fault;
use super::txn::{Change, Create, Header, Kind};
use crate::ids::Zxid;
use crate::state::{Acl, Data};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[derive(Default)]
pub struct Tree {
    nodes: BTreeMap<Box<str>, Node>,
    acls: BTreeSet<Arc<Acl>>,
    /// Sessions that were open, with their timeouts in milliseconds.
    sessions: BTreeMap<u64, i32>,
    ephemerals: BTreeMap<u64, BTreeSet<Box<str>>>,
}

#[derive(Debug)]
pub struct Node {
    pub data: Data,
    /// None where a snapshot names a list that it does not hold: the node was
    /// written after the lists were. The transaction that wrote it says.
    pub acl: Option<Arc<Acl>>,
    pub figures: Figures,
    pub children: BTreeSet<Box<str>>,
}

/// What ZooKeeper writes down of a node, beside what it can count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub created_zxid: Zxid,
    pub modified_zxid: Zxid,
    pub created: i64,
    pub modified: i64,
    pub version: i32,
    /// How many children it was ever given. Clients are shown twice that less
    /// the children it has, which counts the deletions too.
    pub creates: i32,
    pub acl_version: i32,
    pub owner: u64,
    pub children_zxid: Zxid,
}

/// The work of a transaction is done already, or its node is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassedOver {
    NoNode,
    NodeExists,
}

const CONTAINER: u64 = 1 << 63;
const TTL: u64 = 0xff << 56;
const TTL_MS: u64 = (1 << 40) - 1;

impl Kind {
    /// Reads ZooKeeper's mark. A session that was opened by server 255 has the
    /// highest byte of a TTL too; but its second and third are a clock's,
    /// which are zero for one in 65,536, and a TTL's always.
    pub fn of(owner: u64) -> Self {
        match owner {
            0 => Self::Persistent,
            CONTAINER => Self::Container,
            _ if owner & !TTL_MS == TTL => Self::Ttl((owner & TTL_MS) as i64),
            _ => Self::Ephemeral,
        }
    }

    fn owner(self, session: u64) -> u64 {
        match self {
            Self::Persistent => 0,
            Self::Ephemeral => session,
            Self::Container => CONTAINER,
            Self::Ttl(ms) => TTL | (ms as u64 & TTL_MS),
        }
    }
}

/// The parent's path and the name in it; None for the root.
pub fn split(path: &str) -> Option<(&str, &str)> {
    match path.rsplit_once('/')? {
        (_, "") => None,
        ("", name) => Some(("/", name)),
        both => Some(both),
    }
}

impl Tree {
    pub fn node(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// Takes a node out: for the reading that empties the tree.
    pub fn take(&mut self, path: &str) -> Option<Node> {
        self.nodes.remove(path)
    }

    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    pub fn open_session(&mut self, session: u64, timeout_ms: i32) {
        self.sessions.insert(session, timeout_ms);
    }

    /// The one copy of an access list that all nodes with it share.
    pub fn share(&mut self, acl: Acl) -> Arc<Acl> {
        if let Some(shared) = self.acls.get(&acl) {
            return shared.clone();
        }
        let shared = Arc::new(acl);
        self.acls.insert(shared.clone());
        shared
    }

    /// Puts a node of a snapshot into its place. Parents come first.
    pub fn place(&mut self, path: Box<str>, node: Node) -> Result<(), Fault> {
        if let Some((parent, name)) = split(&path) {
            match self.nodes.get_mut(parent) {
                Some(parent) => drop(parent.children.insert(name.into())),
                None => return Err(Fault::NoParent(path)),
            }
        }
        self.insert(path, node);
        Ok(())
    }

    /// Replays a transaction. What it passed over, a multi's parts each by
    /// themselves.
    pub fn replay(&mut self, header: &Header, change: Change) -> Vec<PassedOver> {
        match change {
            Change::OpenSession { timeout_ms } => {
                self.open_session(header.session, timeout_ms);
                Vec::new()
            }
            Change::CloseSession { paths } => {
                self.close_session(header, paths);
                Vec::new()
            }
            Change::Multi(changes) => self.multi(header, changes),
            Change::Create(create) => told(self.create(header, create)),
            Change::Delete { path } => told(self.delete(header.zxid, &path)),
            Change::SetData {
                path,
                data,
                version,
            } => told(self.set_data(header, &path, data, version)),
            Change::SetAcl { path, acl, version } => told(self.set_acl(&path, acl, version)),
            Change::Check | Change::Refused => Vec::new(),
        }
    }

    /// A multi that was refused holds the refusals of its parts, and changed
    /// nothing.
    fn multi(&mut self, header: &Header, changes: Vec<Change>) -> Vec<PassedOver> {
        if changes.contains(&Change::Refused) {
            return Vec::new();
        }
        let replayed = changes.into_iter();
        replayed
            .flat_map(|change| self.replay(header, change))
            .collect()
    }

    fn create(&mut self, header: &Header, create: Create) -> Result<(), PassedOver> {
        let acl = self.share(create.acl);
        let Some((parent_path, name)) = split(&create.path) else {
            return Err(PassedOver::NodeExists);
        };
        let Some(parent) = self.nodes.get_mut(parent_path) else {
            return Err(PassedOver::NoNode);
        };
        parent.count_create(create.parent_creates, header.zxid);
        if !parent.children.insert(name.into()) {
            self.complete(&create.path, header.zxid, acl);
            return Err(PassedOver::NodeExists);
        }
        let figures = Figures {
            created_zxid: header.zxid,
            modified_zxid: header.zxid,
            created: header.time,
            modified: header.time,
            owner: create.kind.owner(header.session),
            children_zxid: header.zxid,
            ..Figures::default()
        };
        let node = Node {
            data: create.data,
            acl: Some(acl),
            figures,
            children: BTreeSet::new(),
        };
        self.insert(create.path, node);
        Ok(())
    }

    /// The node is this very transaction's and lacks only its access list.
    fn complete(&mut self, path: &str, zxid: Zxid, acl: Arc<Acl>) {
        if let Some(node) = self.nodes.get_mut(path)
            && node.acl.is_none()
            && node.figures.created_zxid == zxid
        {
            node.acl = Some(acl);
        }
    }

    fn delete(&mut self, zxid: Zxid, path: &str) -> Result<(), PassedOver> {
        let (parent, name) = split(path).ok_or(PassedOver::NoNode)?;
        let parent = self.nodes.get_mut(parent).ok_or(PassedOver::NoNode)?;
        parent.children.remove(name);
        let last = &mut parent.figures.children_zxid;
        *last = zxid.max(*last);
        let node = self.nodes.remove(path).ok_or(PassedOver::NoNode)?;
        self.forget_ephemeral(path, node.figures.owner);
        Ok(())
    }

    fn set_data(
        &mut self,
        header: &Header,
        path: &str,
        data: Data,
        version: i32,
    ) -> Result<(), PassedOver> {
        let node = self.nodes.get_mut(path).ok_or(PassedOver::NoNode)?;
        node.data = data;
        node.figures.modified_zxid = header.zxid;
        node.figures.modified = header.time;
        node.figures.version = version;
        Ok(())
    }

    fn set_acl(&mut self, path: &str, acl: Acl, version: i32) -> Result<(), PassedOver> {
        let acl = self.share(acl);
        let node = self.nodes.get_mut(path).ok_or(PassedOver::NoNode)?;
        node.acl = Some(acl);
        node.figures.acl_version = version;
        Ok(())
    }

    fn close_session(&mut self, header: &Header, paths: Vec<Box<str>>) {
        self.sessions.remove(&header.session);
        let held = self.ephemerals.remove(&header.session);
        for path in held.into_iter().flatten().chain(paths) {
            // Named by both, it is gone at the second time.
            let _ = self.delete(header.zxid, &path);
        }
    }

    fn insert(&mut self, path: Box<str>, node: Node) {
        let owner = node.figures.owner;
        if let Some(before) = self.nodes.insert(path.clone(), node) {
            self.forget_ephemeral(&path, before.figures.owner);
        }
        if Kind::of(owner) == Kind::Ephemeral {
            self.ephemerals.entry(owner).or_default().insert(path);
        }
    }

    fn forget_ephemeral(&mut self, path: &str, owner: u64) {
        if let Some(paths) = self.ephemerals.get_mut(&owner) {
            paths.remove(path);
        }
    }
}

impl Node {
    /// The count that the transaction brings is taken only where it is higher:
    /// the snapshot may have seen later ones.
    fn count_create(&mut self, creates: i32, zxid: Zxid) {
        let figures = &mut self.figures;
        let creates = match creates {
            -1 => figures.creates.wrapping_add(1),
            counted => counted,
        };
        if creates > figures.creates {
            figures.creates = creates;
            figures.children_zxid = zxid;
        }
    }
}

fn told(replayed: Result<(), PassedOver>) -> Vec<PassedOver> {
    replayed.err().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> Node {
        Node {
            data: [].into(),
            acl: None,
            figures: Figures::default(),
            children: BTreeSet::new(),
        }
    }

    fn at(zxid: u64) -> Header {
        Header {
            session: 7,
            zxid: Zxid(zxid),
            time: zxid as i64,
        }
    }

    fn create(path: &str, kind: Kind, parent_creates: i32) -> Change {
        Change::Create(Create {
            path: path.into(),
            data: [].into(),
            acl: Acl::new(),
            kind,
            parent_creates,
        })
    }

    fn delete(path: &str) -> Change {
        Change::Delete { path: path.into() }
    }

    #[test]
    fn a_history_replayed_over_its_own_end_ends_the_same() {
        let history = || {
            [
                create("/a", Kind::Persistent, 1),
                create("/a/x", Kind::Persistent, 1),
                delete("/a/x"),
                create("/a/y", Kind::Ephemeral, 2),
                delete("/a/y"),
                delete("/a"),
                create("/a", Kind::Container, 2),
                create("/a/x", Kind::Ttl(9), 1),
            ]
        };
        let mut tree = Tree::default();
        tree.place("/".into(), root()).unwrap();
        let mut rounds = Vec::new();
        for _ in 0..2 {
            for (zxid, change) in (1..).zip(history()) {
                tree.replay(&at(zxid), change);
            }
            let shown = tree
                .nodes
                .iter()
                .map(|(path, node)| (path.clone(), node.figures, node.children.clone()));
            rounds.push(shown.collect::<Vec<_>>());
        }
        assert_eq!(rounds[0].len(), 3);
        assert_eq!(rounds[0], rounds[1]);
    }

    #[test]
    fn a_node_without_its_list_takes_it_from_the_transaction_that_made_it() {
        let mut tree = Tree::default();
        tree.place("/".into(), root()).unwrap();
        let mut late = root();
        late.figures.created_zxid = Zxid(5);
        tree.place("/late".into(), late).unwrap();
        tree.replay(&at(4), create("/late", Kind::Persistent, 1));
        assert!(tree.node("/late").unwrap().acl.is_none());
        let passed_over = tree.replay(&at(5), create("/late", Kind::Persistent, 1));
        assert_eq!(passed_over, [PassedOver::NodeExists]);
        assert!(tree.node("/late").unwrap().acl.is_some());
    }

    #[test]
    fn a_goodbye_takes_the_ephemerals_and_nothing_else() {
        let mut tree = Tree::default();
        tree.place("/".into(), root()).unwrap();
        tree.replay(&at(1), Change::OpenSession { timeout_ms: 4000 });
        tree.replay(&at(2), create("/mine", Kind::Ephemeral, 1));
        tree.replay(&at(3), create("/stays", Kind::Persistent, 2));
        let mut other = at(4);
        other.session = 8;
        tree.replay(&other, create("/theirs", Kind::Ephemeral, 3));
        tree.replay(&at(5), Change::CloseSession { paths: Vec::new() });
        let left: Vec<_> = tree.nodes.keys().map(|path| &**path).collect();
        assert_eq!(left, ["/", "/stays", "/theirs"]);
        assert_eq!(tree.sessions(), 0);
        assert_eq!(tree.node("/").unwrap().figures.children_zxid, Zxid(5));
    }

    #[test]
    fn a_refused_multi_changes_nothing() {
        let mut tree = Tree::default();
        tree.place("/".into(), root()).unwrap();
        let parts = vec![create("/a", Kind::Persistent, 1), Change::Refused];
        tree.replay(&at(1), Change::Multi(parts));
        assert!(tree.node("/a").is_none());
    }

    #[test]
    fn marks_are_told_from_sessions() {
        for kind in [
            Kind::Persistent,
            Kind::Container,
            Kind::Ttl(0),
            Kind::Ttl(1 << 39),
        ] {
            assert_eq!(Kind::of(kind.owner(7)), kind);
        }
        for session in [
            1,
            0x0100_0a0b_0c0d_0000,
            0xff01_0a0b_0c0d_0000,
            CONTAINER | 1,
        ] {
            assert_eq!(Kind::of(session), Kind::Ephemeral);
        }
    }
}
