//! What of a tree moves in, and in which form: persistent nodes with their
//! access lists and figures, parents before children, in batches that travel
//! whole.
//!
//! Left out is what has no life without its server: ephemeral nodes, whose
//! sessions cannot go on here, and `/zookeeper/config`, which lists servers.

use super::tree::{Node, Tree, split};
use super::txn::Kind;
use crate::clock::Millis;
use crate::limits::{IMPORT_BATCH_BYTES, IMPORTED_BYTES_MAX};
use crate::state::{ImportedNode, Stat};
use std::fmt;

/// The servers of the ensemble that is left behind.
const CONFIG: &str = "/zookeeper/config";
/// Where quotas stand; they move in as nodes.
const QUOTA: &str = "/zookeeper/quota/";
/// Owned by the system that moves them in.
const RESERVED: &str = "/dolmen";

/// Who can be on an access list.
const SCHEMES: &[&str] = &["world", "digest", "ip", "sasl", "x509"];

/// What a node weighs beside its texts: its figures, and the lengths before
/// each part.
const NODE_BYTES: usize = 128;
const ACL_ENTRY_BYTES: usize = 16;

/// Counts of what moves in and of what stays behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    pub nodes: u64,
    pub data_bytes: u64,
    pub containers: u64,
    pub ttls: u64,
    pub quotas: u64,
    pub sessions: u64,
    pub ephemerals: u64,
    /// By the wish of who imports.
    pub skipped: u64,
    /// No path leads to them from the root; no client ever saw them.
    pub unreachable: u64,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Immovable {
    Reserved,
    NoRoot,
    /// The snapshot names a list that it does not hold, and no later
    /// transaction says which.
    NoAcl(Box<str>),
    /// Its access list names someone that only code at the source could know.
    Scheme {
        path: Box<str>,
        scheme: Box<str>,
    },
    TooLarge {
        path: Box<str>,
        bytes: usize,
    },
}

impl fmt::Display for Immovable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reserved => write!(
                f,
                "{RESERVED} is a node of the source and owned by the system here: rename it at \
                 the source, or leave it out with --skip {RESERVED}"
            ),
            Self::NoRoot => f.write_str("the snapshot has no root"),
            Self::NoAcl(path) => write!(
                f,
                "the access list of {path} is in none of the files: copy them again from a \
                 stopped server"
            ),
            Self::Scheme { path, scheme } => write!(
                f,
                "the access list of {path} has an entry of the scheme {scheme:?}, which is \
                 unknown here: change it at the source, or leave it out with --skip {path}"
            ),
            Self::TooLarge { path, bytes } => write!(
                f,
                "{path} with its access list is {bytes} bytes, and {IMPORTED_BYTES_MAX} is the \
                 most: leave it out with --skip {path}"
            ),
        }
    }
}

/// A tree on its way.
pub struct Moving {
    tree: Tree,
    skip: Vec<Box<str>>,
    /// Paths still to come, the next one last.
    waiting: Vec<Box<str>>,
}

enum Fate {
    Moves,
    Ephemeral,
    Config,
    Skipped,
    /// Its parent names it and it is not there.
    Missing,
}

impl Moving {
    /// Counts everything first: what cannot move is said before anything does.
    pub fn new(tree: Tree, skip: Vec<Box<str>>) -> Result<(Self, Survey), Immovable> {
        let moving = Self {
            tree,
            skip,
            waiting: vec!["/".into()],
        };
        let survey = moving.survey()?;
        Ok((moving, survey))
    }

    fn survey(&self) -> Result<Survey, Immovable> {
        let mut survey = Survey {
            sessions: self.tree.sessions() as u64,
            ..Survey::default()
        };
        let mut reached = 0;
        let mut waiting: Vec<Box<str>> = vec!["/".into()];
        while let Some(path) = waiting.pop() {
            let Some(node) = self.tree.node(&path) else {
                return Err(Immovable::NoRoot);
            };
            reached += 1;
            count(&path, node, &mut survey)?;
            for name in &node.children {
                let child = joined(&path, name);
                match self.fate(&child) {
                    Fate::Moves => waiting.push(child),
                    Fate::Ephemeral => survey.ephemerals += 1,
                    Fate::Skipped => survey.skipped += self.size(&child),
                    Fate::Config => reached += 1,
                    Fate::Missing => {}
                }
            }
        }
        let left = reached + survey.ephemerals + survey.skipped;
        survey.unreachable = (self.tree.len() as u64).saturating_sub(left);
        Ok(survey)
    }

    fn fate(&self, path: &str) -> Fate {
        match self.tree.node(path) {
            _ if path == CONFIG => Fate::Config,
            _ if self.skip.iter().any(|skipped| **skipped == *path) => Fate::Skipped,
            None => Fate::Missing,
            Some(node) if Kind::of(node.figures.owner) == Kind::Ephemeral => Fate::Ephemeral,
            Some(_) => Fate::Moves,
        }
    }

    /// How many nodes stand at and under a path.
    fn size(&self, top: &str) -> u64 {
        let mut count = 0;
        let mut waiting: Vec<Box<str>> = vec![top.into()];
        while let Some(path) = waiting.pop() {
            if let Some(node) = self.tree.node(&path) {
                count += 1;
                waiting.extend(node.children.iter().map(|name| joined(&path, name)));
            }
        }
        count
    }

    fn next_node(&mut self) -> Option<ImportedNode> {
        let path = self.waiting.pop()?;
        let node = self.tree.take(&path).expect("surveyed, and taken once");
        let mut children = 0;
        // Backwards, so that the first is on top.
        for name in node.children.iter().rev() {
            let child = joined(&path, name);
            if let Fate::Moves = self.fate(&child) {
                children += 1;
                self.waiting.push(child);
            }
        }
        Some(imported(path, node, children))
    }
}

impl Iterator for Moving {
    type Item = Vec<ImportedNode>;

    fn next(&mut self) -> Option<Vec<ImportedNode>> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while let Some(path) = self.waiting.last() {
            let node = self.tree.node(path).expect("surveyed, and taken once");
            bytes += weight(path, node);
            if !batch.is_empty() && bytes > IMPORT_BATCH_BYTES {
                break;
            }
            batch.extend(self.next_node());
        }
        (!batch.is_empty()).then_some(batch)
    }
}

fn count(path: &str, node: &Node, survey: &mut Survey) -> Result<(), Immovable> {
    if path == RESERVED {
        return Err(Immovable::Reserved);
    }
    let Some(acl) = &node.acl else {
        return Err(Immovable::NoAcl(path.into()));
    };
    let mut schemes = acl.iter().map(|entry| &entry.who.scheme);
    if let Some(scheme) = schemes.find(|scheme| !SCHEMES.contains(&&***scheme)) {
        let (path, scheme) = (path.into(), scheme.clone());
        return Err(Immovable::Scheme { path, scheme });
    }
    let bytes = weight(path, node);
    if bytes > IMPORTED_BYTES_MAX {
        let path = path.into();
        return Err(Immovable::TooLarge { path, bytes });
    }
    survey.nodes += 1;
    survey.data_bytes += node.data.len() as u64;
    match Kind::of(node.figures.owner) {
        Kind::Container => survey.containers += 1,
        Kind::Ttl(_) => survey.ttls += 1,
        Kind::Persistent | Kind::Ephemeral => {}
    }
    let is_quota = path.starts_with(QUOTA) && path.ends_with("/zookeeper_limits");
    survey.quotas += u64::from(is_quota);
    Ok(())
}

/// About what a node takes on its way.
fn weight(path: &str, node: &Node) -> usize {
    let entries = node.acl.iter().flat_map(|acl| acl.iter());
    let acl: usize = entries
        .map(|entry| ACL_ENTRY_BYTES + entry.who.scheme.len() + entry.who.id.len())
        .sum();
    NODE_BYTES + path.len() + node.data.len() + acl
}

/// The figures as the files keep them: `children_version` counts the children
/// ever given, from which the next sequential child takes its number.
fn imported(path: Box<str>, node: Node, children: i32) -> ImportedNode {
    let figures = node.figures;
    ImportedNode {
        path,
        acl: node.acl.map(|acl| (*acl).clone()).expect("surveyed"),
        stat: Stat {
            created_zxid: figures.created_zxid,
            modified_zxid: figures.modified_zxid,
            created: millis(figures.created),
            modified: millis(figures.modified),
            version: figures.version,
            children_version: figures.creates,
            acl_version: figures.acl_version,
            owner: figures.owner,
            data_length: node.data.len() as i32,
            children,
            children_zxid: figures.children_zxid,
        },
        data: node.data,
    }
}

/// A clock that stood before 1970 is taken to have stood at it.
fn millis(written: i64) -> Millis {
    Millis(u64::try_from(written).unwrap_or(0))
}

fn joined(parent: &str, name: &str) -> Box<str> {
    debug_assert!(split(parent).is_some() || parent == "/");
    match parent {
        "/" => format!("/{name}").into(),
        _ => format!("{parent}/{name}").into(),
    }
}
