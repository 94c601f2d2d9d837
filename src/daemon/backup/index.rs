//! What a backup's file holds, in an order in which it can be put back. A
//! backup has its nodes in the order of their slots, where a child may come
//! before its parent; here each is found, with its place in the file, and all
//! that could keep the restore from its end is found before it begins.

use super::codec::{Head, Part};
use crate::ids::Zxid;
use crate::limits::{IMPORT_BATCH_BYTES, IMPORTED_BYTES_MAX, TREE_NODES_MAX};
use crate::state::restore::RESTORED_ZXID_END;
use crate::state::snapshot::backup::{LoadError, Saved, SavedNode, Sums};
use crate::state::topics::ABOVE_KEPT;
use crate::state::topics::nodes::TOPIC_SETTINGS;
use crate::state::{Acl, Error, FEATURES, ImportedNode, check_restored, check_restored_path};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;

/// The root's.
const ROOT: u32 = 0;
/// Nodes that only lead to the settings; others lead to the topics.
const ABOVE_SETTINGS: [&str; 2] = ["/dolmen", "/dolmen/config"];
/// Frames that are held while nodes are taken out of them.
const FRAMES_HELD: usize = 4;
/// What a node weighs on its way, beside its texts.
const NODE_BYTES: usize = 128;
const ACL_ENTRY_BYTES: usize = 16;

/// Why a file whose checksums are right cannot be restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsound {
    Frame {
        at: u64,
        why: LoadError,
    },
    Features {
        found: u32,
        known: u32,
    },
    TooMany,
    NoRoot,
    /// Numbers of transactions that no state has.
    Zxid {
        zxid: Zxid,
    },
    Slot {
        slot: u32,
    },
    Acl {
        slot: u32,
    },
    Orphan {
        slot: u32,
    },
    Twice {
        path: Box<str>,
    },
    Node {
        path: Box<str>,
        why: Error,
    },
    TooLarge {
        path: Box<str>,
        bytes: usize,
    },
    Count {
        declared: u64,
        found: u64,
    },
    NotWhole,
}

impl fmt::Display for Unsound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frame { at, why } => write!(f, "byte {at}: {why}"),
            Self::Features { found, known } => write!(
                f,
                "it was made at feature level {found} and this build knows level {known}: \
                 restore it with a newer dolmen"
            ),
            Self::TooMany => write!(f, "more than {TREE_NODES_MAX} znodes, the most of a tree"),
            Self::NoRoot => f.write_str("it has no root"),
            Self::Zxid { zxid } => write!(f, "zxid {:#x} in it is too high", zxid.0),
            Self::Slot { slot } => write!(f, "the node in slot {slot} is out of its place"),
            Self::Acl { slot } => write!(f, "the node in slot {slot} has no access list"),
            Self::Orphan { slot } => write!(f, "the node in slot {slot} hangs nowhere"),
            Self::Twice { path } => write!(f, "{path} is in it twice"),
            Self::Node { path, why } => write!(f, "{path} cannot be restored: {why}"),
            Self::TooLarge { path, bytes } => write!(
                f,
                "{path} with its access list is {bytes} bytes, and {IMPORTED_BYTES_MAX} is the most"
            ),
            Self::Count { declared, found } => {
                write!(f, "{found} znodes where {declared} are declared")
            }
            Self::NotWhole => f.write_str("it is not whole"),
        }
    }
}

/// Takes a file's parts in their order, then says how to put them back.
#[derive(Debug, Default)]
pub struct Index {
    head: Option<Head>,
    sums: Option<Sums>,
    frames: Vec<Place>,
    acls: BTreeMap<u32, Acl>,
    nodes: BTreeMap<u32, Entry>,
}

/// A frame's, in the file.
#[derive(Clone, Copy, Debug)]
struct Place {
    at: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    parent: u32,
    frame: u32,
    /// What it weighs on its way, less its path.
    bytes: usize,
    name: Box<str>,
}

impl Index {
    pub fn add(&mut self, part: Part) -> Result<(), Unsound> {
        match part {
            Part::Head(head) => self.head = Some(known(head)?),
            Part::Frame { at, bytes } => {
                let frame = Saved::read(&bytes).map_err(|why| Unsound::Frame { at, why })?;
                let bytes = bytes.len();
                self.frames.push(Place { at, bytes });
                match frame {
                    Saved::Acls(acls) => self.acls.extend(acls),
                    Saved::Nodes(nodes) => {
                        nodes.iter().try_for_each(|node| self.add_node(node))?;
                    }
                }
            }
            Part::End(sums) => self.sums = Some(sums),
        }
        Ok(())
    }

    fn add_node(&mut self, node: &SavedNode) -> Result<(), Unsound> {
        let slot = node.slot;
        let last = self.nodes.last_key_value();
        let is_next = last.is_none_or(|(&last, _)| last < slot);
        let is_root = slot == ROOT;
        let is_named = !node.name.is_empty() && !node.name.contains('/');
        if !is_next || is_root != (node.parent == slot) || is_root == is_named {
            return Err(Unsound::Slot { slot });
        }
        if self.nodes.len() as u64 >= TREE_NODES_MAX {
            return Err(Unsound::TooMany);
        }
        let acl = self.acls.get(&node.acl).ok_or(Unsound::Acl { slot })?;
        let zxid = node.zxid_max();
        if self.head.as_ref().is_none_or(|head| zxid > head.zxid) {
            return Err(Unsound::Zxid { zxid });
        }
        let as_it_is = node.at(node.name.clone(), acl.clone());
        check_restored(&as_it_is).map_err(|why| Unsound::Node {
            path: node.name.clone(),
            why,
        })?;
        let entry = Entry {
            parent: node.parent,
            frame: self.frames.len() as u32 - 1,
            bytes: weight(&as_it_is) - node.name.len(),
            name: node.name.clone(),
        };
        self.nodes.insert(slot, entry);
        Ok(())
    }

    pub fn finish(self) -> Result<Plan, Unsound> {
        let (Some(head), Some(sums)) = (self.head, self.sums) else {
            return Err(Unsound::NotWhole);
        };
        let order = order(&self.nodes)?;
        let mut plan = Plan {
            head,
            sums,
            frames: self.frames,
            acls: self.acls,
            nodes: self.nodes,
            order,
        };
        plan.check_names()?;
        plan.check_paths()?;
        plan.order
            .retain(|&slot| !only_leads(&path(&plan.nodes, slot)));
        // A topic comes before its settings, wherever they stand in the file.
        let (settings, others): (Vec<_>, Vec<_>) = plan
            .order
            .iter()
            .partition(|&&slot| path(&plan.nodes, slot).starts_with(TOPIC_SETTINGS));
        plan.order = [others, settings].concat();
        Ok(plan)
    }
}

fn known(head: Head) -> Result<Head, Unsound> {
    let (found, zxid) = (head.features, head.zxid);
    if found > FEATURES {
        let known = FEATURES;
        return Err(Unsound::Features { found, known });
    }
    match zxid >= RESTORED_ZXID_END {
        true => Err(Unsound::Zxid { zxid }),
        false => Ok(head),
    }
}

/// The slots, parents first, and otherwise as they stand in the file.
fn order(nodes: &BTreeMap<u32, Entry>) -> Result<Vec<u32>, Unsound> {
    if !nodes.contains_key(&ROOT) {
        return Err(Unsound::NoRoot);
    }
    let mut order = Vec::with_capacity(nodes.len());
    let mut placed = Slots::default();
    let mut waiting = Vec::new();
    for &slot in nodes.keys() {
        let mut next = slot;
        while !placed.has(next) {
            let entry = nodes.get(&next).ok_or(Unsound::Orphan { slot })?;
            // Nodes that are each other's parents would wait for ever.
            if waiting.len() >= nodes.len() {
                return Err(Unsound::Orphan { slot });
            }
            waiting.push(next);
            if next == ROOT {
                break;
            }
            next = entry.parent;
        }
        while let Some(slot) = waiting.pop() {
            placed.add(slot);
            order.push(slot);
        }
    }
    Ok(order)
}

/// A bit for each slot, in words that are there only where one is set.
#[derive(Default)]
struct Slots(BTreeMap<u32, u64>);

impl Slots {
    fn has(&self, slot: u32) -> bool {
        let word = self.0.get(&(slot / 64));
        word.is_some_and(|word| word >> (slot % 64) & 1 == 1)
    }

    fn add(&mut self, slot: u32) {
        *self.0.entry(slot / 64).or_default() |= 1 << (slot % 64);
    }
}

fn path(nodes: &BTreeMap<u32, Entry>, slot: u32) -> Box<str> {
    if slot == ROOT {
        return "/".into();
    }
    let mut names = Vec::new();
    let mut next = slot;
    while next != ROOT {
        let entry = &nodes[&next];
        names.push(&*entry.name);
        next = entry.parent;
    }
    let mut path = String::new();
    for name in names.iter().rev() {
        path.push('/');
        path.push_str(name);
    }
    path.into()
}

fn only_leads(path: &str) -> bool {
    ABOVE_SETTINGS.contains(&path) || ABOVE_KEPT.contains(&path)
}

/// A whole backup, and how to put it back.
#[derive(Debug)]
pub struct Plan {
    pub head: Head,
    pub sums: Sums,
    frames: Vec<Place>,
    acls: BTreeMap<u32, Acl>,
    nodes: BTreeMap<u32, Entry>,
    order: Vec<u32>,
}

impl Plan {
    /// How many nodes are put back, those with settings among them.
    pub fn nodes(&self) -> u64 {
        self.order.len() as u64
    }

    fn check_names(&self) -> Result<(), Unsound> {
        let nodes = self.nodes.iter().filter(|(slot, _)| **slot != ROOT);
        let mut names: Vec<_> = nodes
            .map(|(&slot, entry)| (entry.parent, &*entry.name, slot))
            .collect();
        names.sort_unstable();
        let twice = names
            .windows(2)
            .find(|two| (two[0].0, two[0].1) == (two[1].0, two[1].1));
        match twice {
            None => Ok(()),
            Some(two) => Err(Unsound::Twice {
                path: path(&self.nodes, two[0].2),
            }),
        }
    }

    fn check_paths(&self) -> Result<(), Unsound> {
        let mut users = 0;
        for &slot in &self.order {
            let path = path(&self.nodes, slot);
            if only_leads(&path) {
                continue;
            }
            users += u64::from(!path.starts_with("/dolmen/"));
            let bytes = self.nodes[&slot].bytes + path.len();
            if bytes > IMPORTED_BYTES_MAX {
                return Err(Unsound::TooLarge { path, bytes });
            }
            if let Err(why) = check_restored_path(&path) {
                return Err(Unsound::Node { path, why });
            }
        }
        for declared in [self.head.nodes, self.sums.nodes] {
            if declared != users {
                return Err(Unsound::Count {
                    declared,
                    found: users,
                });
            }
        }
        Ok(())
    }

    /// The nodes in batches that travel whole. `read` gives the bytes of the
    /// file from a place on, so many; they may have rotted since.
    pub fn batches<'a>(
        &'a self,
        read: impl FnMut(u64, usize) -> Result<Vec<u8>, String> + 'a,
    ) -> impl Iterator<Item = Result<Vec<ImportedNode>, String>> + 'a {
        let mut batches = Batches {
            plan: self,
            read,
            held: VecDeque::new(),
            next: 0,
        };
        std::iter::from_fn(move || batches.next_batch().transpose())
    }
}

struct Batches<'a, R> {
    plan: &'a Plan,
    read: R,
    /// Frames by their number, the oldest first.
    held: VecDeque<(u32, Vec<SavedNode>)>,
    /// The place in the order.
    next: usize,
}

impl<R: FnMut(u64, usize) -> Result<Vec<u8>, String>> Batches<'_, R> {
    fn next_batch(&mut self) -> Result<Option<Vec<ImportedNode>>, String> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while let Some(&slot) = self.plan.order.get(self.next) {
            let node = self.node(slot)?;
            bytes += weight(&node);
            if !batch.is_empty() && bytes > IMPORT_BATCH_BYTES {
                break;
            }
            batch.push(node);
            self.next += 1;
        }
        Ok((!batch.is_empty()).then_some(batch))
    }

    fn node(&mut self, slot: u32) -> Result<ImportedNode, String> {
        let number = self.plan.nodes[&slot].frame;
        if !self.held.iter().any(|(held, _)| *held == number) {
            let frame = self.frame(number)?;
            if self.held.len() == FRAMES_HELD {
                self.held.pop_front();
            }
            self.held.push_back((number, frame));
        }
        let frame = self.held.iter().find(|(held, _)| *held == number);
        let (_, frame) = frame.expect("held since above");
        let changed = || "the file is not what it was a moment ago: is the medium sound?";
        let at = frame.binary_search_by_key(&slot, |node| node.slot);
        let node = &frame[at.map_err(|_| changed())?];
        let acl = self.plan.acls.get(&node.acl).ok_or_else(changed)?;
        Ok(node.at(path(&self.plan.nodes, slot), acl.clone()))
    }

    fn frame(&mut self, number: u32) -> Result<Vec<SavedNode>, String> {
        let Place { at, bytes } = self.plan.frames[number as usize];
        let bytes = (self.read)(at, bytes)?;
        match Saved::read(&bytes) {
            Ok(Saved::Nodes(nodes)) => Ok(nodes),
            Ok(Saved::Acls(_)) => Err(format!("byte {at}: another frame than a moment ago")),
            Err(why) => Err(format!("byte {at}: {why}")),
        }
    }
}

/// About what a node takes on its way.
fn weight(node: &ImportedNode) -> usize {
    let entries = node.acl.iter();
    let acl: usize = entries
        .map(|entry| ACL_ENTRY_BYTES + entry.who.scheme.len() + entry.who.id.len())
        .sum();
    NODE_BYTES + node.path.len() + node.data.len() + acl
}
