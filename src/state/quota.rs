//! Quotas: the limits and the running figures that ZooKeeper's clients keep in
//! nodes under /zookeeper/quota. The nearest limit above a node holds, and
//! only hard limits refuse.

use super::error::Error;
use super::node::Slot;
use super::paths::{DOLMEN, ZOOKEEPER, ZOOKEEPER_QUOTA, is_within};
use super::tree::Tree;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

const LIMITS: &str = "zookeeper_limits";
const STATS: &str = "zookeeper_stats";

/// The paths that have limits.
#[derive(Debug, Default)]
pub(super) struct Quotas(BTreeSet<Box<str>>);

/// A node under /zookeeper/quota that means something, by the path it is for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum QuotaNode<'a> {
    Limits(&'a str),
    Stats(&'a str),
}

impl<'a> QuotaNode<'a> {
    pub fn of(path: &'a str) -> Option<Self> {
        let inside = path.strip_prefix(ZOOKEEPER_QUOTA)?;
        match inside.rsplit_once('/')? {
            (of, LIMITS) => Some(Self::Limits(of)),
            (of, STATS) => Some(Self::Stats(of)),
            _ => None,
        }
    }

    /// The root and the system's own nodes have no quota, and what is no
    /// figures cannot be counted with.
    pub fn check(&self, data: &[u8]) -> Result<(), Error> {
        let (Self::Limits(of) | Self::Stats(of)) = self;
        let is_free = !of.is_empty() && !is_within(of, ZOOKEEPER) && !is_within(of, DOLMEN);
        if is_free && Figures::parse(data).is_some() {
            Ok(())
        } else {
            Err(Error::BadArguments)
        }
    }
}

impl Quotas {
    /// All limits of a tree.
    pub fn read(tree: &Tree) -> Self {
        let mut quotas = Self::default();
        if let Some(top) = tree.find(ZOOKEEPER_QUOTA) {
            for slot in tree
                .below(top)
                .filter(|&slot| &*tree.node(slot).name == LIMITS)
            {
                quotas.created(&tree.path(slot));
            }
        }
        quotas
    }

    pub fn created(&mut self, path: &str) {
        if let Some(QuotaNode::Limits(of)) = QuotaNode::of(path)
            && !of.is_empty()
        {
            self.0.insert(of.into());
        }
    }

    pub fn deleted(&mut self, path: &str) {
        if let Some(QuotaNode::Limits(of)) = QuotaNode::of(path) {
            self.0.remove(of);
        }
    }

    /// The nearest path with limits, the node's own included.
    fn nearest<'a>(&self, path: &'a str) -> Option<&'a str> {
        if self.0.is_empty() {
            return None;
        }
        let mut above = path;
        while !self.0.contains(above) {
            above = above.rsplit_once('/')?.0;
        }
        Some(above)
    }

    /// Whether so much more may stand at or below the path.
    pub fn check(&self, tree: &Tree, path: &str, nodes: i64, bytes: i64) -> Result<(), Error> {
        let Some(of) = self.nearest(path) else {
            return Ok(());
        };
        let figures = |name| find(tree, of, name).and_then(|slot| read(tree, slot));
        let (Some(limits), Some(used)) = (figures(LIMITS), figures(STATS)) else {
            return Ok(());
        };
        let exceeds = |more: i64, used: i64, limit: i64| {
            more != 0 && limit > -1 && used.saturating_add(more) > limit
        };
        if exceeds(nodes, used.count(), limits.get("countHardLimit"))
            || exceeds(bytes, used.bytes(), limits.get("byteHardLimit"))
        {
            return Err(Error::QuotaExceeded);
        }
        Ok(())
    }

    /// Counts what has changed. The figures' node keeps its stat.
    pub fn charge(&self, tree: &mut Tree, path: &str, nodes: i64, bytes: i64) {
        let Some(of) = self.nearest(path).filter(|_| nodes != 0 || bytes != 0) else {
            return;
        };
        let Some(slot) = find(tree, of, STATS) else {
            return;
        };
        if let Some(mut figures) = read(tree, slot) {
            figures.set("count", figures.count().saturating_add(nodes));
            figures.set("bytes", figures.bytes().saturating_add(bytes));
            write(tree, slot, &figures);
        }
    }
}

/// Counts for every limit of a tree anew, as the original does at a start.
pub(super) fn count_all_anew(tree: &mut Tree, quotas: &Quotas) {
    for of in &quotas.0 {
        if let Some(stats) = find(tree, of, STATS) {
            count_anew(tree, stats, of);
        }
    }
}

/// Fills in the figures' node of a path that was just created: what stands
/// there is counted.
pub(super) fn count_anew(tree: &mut Tree, stats: Slot, of: &str) {
    let Some(top) = tree.find(of) else {
        return;
    };
    let nodes = tree.below(top).chain([top]);
    let (count, bytes) = nodes.fold((0, 0), |(count, bytes), slot| {
        (count + 1, bytes + tree.node(slot).data.len() as i64)
    });
    let mut figures = Figures::default();
    figures.set("count", count);
    figures.set("bytes", bytes);
    write(tree, stats, &figures);
}

fn find(tree: &Tree, of: &str, name: &str) -> Option<Slot> {
    tree.find(&format!("{ZOOKEEPER_QUOTA}{of}/{name}"))
}

fn read(tree: &Tree, slot: Slot) -> Option<Figures> {
    Figures::parse(&tree.node(slot).data)
}

fn write(tree: &mut Tree, slot: Slot, figures: &Figures) {
    let text = figures.to_string();
    tree.change(slot, |node| node.set_data(text.as_bytes().into()));
}

/// `count=4,bytes=5=;byteHardLimit=10;countHardLimit=10`: names and numbers,
/// in the order and with the odd `=` that old readers need. What is not there
/// is -1, no limit.
#[derive(Debug, Default, PartialEq, Eq)]
struct Figures(BTreeMap<Box<str>, i64>);

impl Figures {
    fn parse(data: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(data).ok()?;
        let mut figures = Self::default();
        for pair in text.split([',', ';']).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=')?;
            let value = value.strip_suffix('=').unwrap_or(value);
            figures.set(name, value.parse().ok()?);
        }
        Some(figures)
    }

    fn get(&self, name: &str) -> i64 {
        self.0.get(name).copied().unwrap_or(-1)
    }

    fn set(&mut self, name: &str, value: i64) {
        self.0.insert(name.into(), value);
    }

    fn count(&self) -> i64 {
        self.get("count")
    }

    fn bytes(&self) -> i64 {
        self.get("bytes")
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "count={},bytes={}", self.count(), self.bytes())?;
        let all = self.0.iter().map(|(name, value)| (&**name, value));
        let mut others = all
            .filter(|(name, _)| !matches!(*name, "count" | "bytes"))
            .peekable();
        if others.peek().is_some() {
            f.write_str("=")?;
        }
        others.try_for_each(|(name, value)| write!(f, ";{name}={value}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_as_they_were_written() {
        let check = |text: &str, again: &str| {
            let figures = Figures::parse(text.as_bytes()).unwrap();
            assert_eq!(figures.to_string(), again);
            assert_eq!(
                Figures::parse(again.as_bytes()).map(|f| f.count()),
                Some(figures.count())
            );
        };
        check("", "count=-1,bytes=-1");
        check("count=4,bytes=5", "count=4,bytes=5");
        check(
            "count=4,bytes=5=;countHardLimit=7;byteHardLimit=9",
            "count=4,bytes=5=;byteHardLimit=9;countHardLimit=7",
        );
        for bad in [
            "count",
            "count=",
            "count=x",
            "count=4,bytes",
            "count=99999999999999999999",
        ] {
            assert_eq!(Figures::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn the_nearest_limit_holds() {
        let mut quotas = Quotas::default();
        assert_eq!(quotas.nearest("/a/b"), None);
        quotas.created("/zookeeper/quota/a/zookeeper_limits");
        quotas.created("/zookeeper/quota/a/b/c/zookeeper_limits");
        quotas.created("/zookeeper/quota/zookeeper_limits");
        quotas.created("/zookeeper/quota/x/zookeeper_stats");
        assert_eq!(quotas.nearest("/a"), Some("/a"));
        assert_eq!(quotas.nearest("/a/b"), Some("/a"));
        assert_eq!(quotas.nearest("/a/b/c/d"), Some("/a/b/c"));
        assert_eq!(quotas.nearest("/ab"), None);
        assert_eq!(quotas.nearest("/x"), None);
        quotas.deleted("/zookeeper/quota/a/zookeeper_limits");
        assert_eq!(quotas.nearest("/a/b"), None);
    }
}
