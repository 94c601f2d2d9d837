//! What one node's connections watch, and whom an event concerns. Not
//! replicated: a watch lives as long as its connection, and clients set it
//! again when they come back.

use super::command::{Change, ChangeKind};
use super::error::Error;
use crate::limits::WATCHES_MAX;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchKind {
    /// Fires once when the node is created, changed or deleted. ZooKeeper
    /// calls it data or exist by the read that set it; they are the same.
    Data,
    Exist,
    /// Fires once when a child comes or goes, or the node is deleted.
    Child,
    /// Fires for all of these, until it is removed.
    Persistent,
    /// Fires for every node at or below the path that comes, changes or goes,
    /// never for children as such.
    Recursive,
}

/// Which of a connection's watches on a path are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchSelection {
    Children,
    Data,
    Any,
    Persistent,
    Recursive,
}

/// The kinds that a connection has on a path, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Kinds(u8);

impl Kinds {
    const NONE: Self = Self(0);
    const DATA: Self = Self(1);
    const CHILD: Self = Self(2);
    const PERSISTENT: Self = Self(4);
    const RECURSIVE: Self = Self(8);
    const ALL: Self = Self(15);

    fn of(kind: WatchKind) -> Self {
        match kind {
            WatchKind::Data | WatchKind::Exist => Self::DATA,
            WatchKind::Child => Self::CHILD,
            WatchKind::Persistent => Self::PERSISTENT,
            WatchKind::Recursive => Self::RECURSIVE,
        }
    }

    fn selected(selection: WatchSelection) -> Self {
        match selection {
            WatchSelection::Children => Self::CHILD,
            WatchSelection::Data => Self::DATA,
            WatchSelection::Any => Self::ALL,
            WatchSelection::Persistent => Self::PERSISTENT,
            WatchSelection::Recursive => Self::RECURSIVE,
        }
    }

    /// Those that an event at their own path fires.
    fn fired_by(event: ChangeKind) -> Self {
        match event {
            ChangeKind::Created | ChangeKind::DataChanged => {
                Self(Self::DATA.0 | Self::PERSISTENT.0 | Self::RECURSIVE.0)
            }
            ChangeKind::Deleted => Self::ALL,
            ChangeKind::ChildrenChanged => Self(Self::CHILD.0 | Self::PERSISTENT.0),
        }
    }

    fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    fn count(self) -> usize {
        self.0.count_ones() as usize
    }
}

/// How many watch what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchCounts {
    pub watches: u64,
    pub paths: u64,
    pub connections: u64,
}

#[derive(Debug)]
pub struct Watches<C> {
    by_path: BTreeMap<Arc<str>, BTreeMap<C, Kinds>>,
    by_connection: BTreeMap<C, BTreeSet<Arc<str>>>,
    watches: usize,
    /// While there is none, no event looks above its own path.
    recursive: usize,
}

impl<C> Default for Watches<C> {
    fn default() -> Self {
        Self {
            by_path: BTreeMap::new(),
            by_connection: BTreeMap::new(),
            watches: 0,
            recursive: 0,
        }
    }
}

impl<C: Copy + Ord> Watches<C> {
    pub fn new() -> Self {
        Self::default()
    }

    /// Watching twice is watching once.
    pub fn add(&mut self, connection: C, path: &str, kind: WatchKind) -> Result<(), Error> {
        if self.watches >= WATCHES_MAX {
            return Err(Error::Unavailable);
        }
        let had = self.kinds(connection, path);
        self.set(connection, path, had.or(Kinds::of(kind)));
        Ok(())
    }

    /// Whether there is one of those.
    pub fn has(&self, connection: C, path: &str, selection: WatchSelection) -> bool {
        self.kinds(connection, path).and(Kinds::selected(selection)) != Kinds::NONE
    }

    pub fn remove(
        &mut self,
        connection: C,
        path: &str,
        selection: WatchSelection,
    ) -> Result<(), Error> {
        if !self.has(connection, path, selection) {
            return Err(Error::NoWatcher);
        }
        let left = self
            .kinds(connection, path)
            .without(Kinds::selected(selection));
        self.set(connection, path, left);
        Ok(())
    }

    /// Whom the event concerns, each once, in order; what fires only once is
    /// gone then. Who may not read the node is for the caller to leave out.
    pub fn trigger(&mut self, change: &Change) -> Vec<C> {
        let path = &*change.path;
        let fired = Kinds::fired_by(change.kind);
        let mut concerned = self.at(path, fired);
        if self.recursive > 0 && change.kind != ChangeKind::ChildrenChanged {
            for above in above(path) {
                concerned.extend(self.at(above, Kinds::RECURSIVE));
            }
            concerned.sort_unstable();
            concerned.dedup();
        }
        for &connection in &concerned {
            let had = self.kinds(connection, path);
            let spent = fired.and(Kinds::DATA.or(Kinds::CHILD));
            self.set(connection, path, had.without(spent));
        }
        concerned
    }

    /// The connections that have one of these kinds on a path.
    fn at(&self, path: &str, kinds: Kinds) -> Vec<C> {
        let watchers = self.by_path.get(path).into_iter().flatten();
        let concerned = watchers.filter(|(_, had)| had.and(kinds) != Kinds::NONE);
        concerned.map(|(&connection, _)| connection).collect()
    }

    pub fn drop_connection(&mut self, connection: C) {
        for path in self
            .by_connection
            .get(&connection)
            .cloned()
            .unwrap_or_default()
        {
            self.set(connection, &path, Kinds::NONE);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.watches == 0
    }

    pub fn counts(&self) -> WatchCounts {
        WatchCounts {
            watches: self.watches as u64,
            paths: self.by_path.len() as u64,
            connections: self.by_connection.len() as u64,
        }
    }

    /// Each path that a connection watches, path by path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, C)> {
        let paths = self.by_path.iter();
        paths.flat_map(|(path, watchers)| watchers.keys().map(move |&one| (&**path, one)))
    }

    fn kinds(&self, connection: C, path: &str) -> Kinds {
        let watchers = self.by_path.get(path);
        let kinds = watchers.and_then(|watchers| watchers.get(&connection));
        kinds.copied().unwrap_or_default()
    }

    /// The one place where the table changes.
    fn set(&mut self, connection: C, path: &str, kinds: Kinds) {
        let had = self.kinds(connection, path);
        if had == kinds {
            return;
        }
        self.watches = self.watches + kinds.count() - had.count();
        let recursive = |kinds: Kinds| kinds.and(Kinds::RECURSIVE).count();
        self.recursive = self.recursive + recursive(kinds) - recursive(had);
        match kinds {
            Kinds::NONE => self.forget(connection, path),
            _ => self.keep(connection, path, kinds),
        }
    }

    fn keep(&mut self, connection: C, path: &str, kinds: Kinds) {
        let path: Arc<str> = match self.by_path.get_key_value(path) {
            Some((path, _)) => path.clone(),
            None => path.into(),
        };
        let paths = self.by_connection.entry(connection).or_default();
        paths.insert(path.clone());
        self.by_path
            .entry(path)
            .or_default()
            .insert(connection, kinds);
    }

    fn forget(&mut self, connection: C, path: &str) {
        if let Some(watchers) = self.by_path.get_mut(path) {
            watchers.remove(&connection);
            if watchers.is_empty() {
                self.by_path.remove(path);
            }
        }
        if let Some(paths) = self.by_connection.get_mut(&connection) {
            paths.remove(path);
            if paths.is_empty() {
                self.by_connection.remove(&connection);
            }
        }
    }
}

/// The paths above one, nearest first, the root last.
fn above(path: &str) -> impl Iterator<Item = &str> {
    let mut rest = path;
    std::iter::from_fn(move || {
        if rest == "/" {
            return None;
        }
        rest = match rest.rsplit_once('/')? {
            ("", _) => "/",
            (above, _) => above,
        };
        Some(rest)
    })
}
