//! What clients have heard of each path, held against the one history that
//! all of them must have seen.
//!
//! A zxid names one state of the tree. So every answer is a fact about a path
//! at a zxid, and all facts about a path must fit into one sequence of values,
//! whoever heard them, from whichever node, in whichever life of it. Together
//! with the order of zxids in true time, which clients check as they go, that
//! is linearizability: of writes, and of reads behind a sync.

use dolmen::ids::{SessionId, Zxid};
use dolmen::state::{ChangeKind, Stat};
use std::collections::{BTreeMap, BTreeSet};

/// What a writer put into a node: unique in a run.
pub type Value = u64;

pub fn value_of(data: &[u8]) -> Value {
    let first = data.first_chunk::<8>();
    first.map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    Seen {
        created: Zxid,
        modified: Zxid,
        version: i32,
        owner: u64,
        value: Option<Value>,
    },
    Absent,
}

impl Fact {
    pub fn of(stat: &Stat, value: Option<Value>) -> Self {
        Fact::Seen {
            created: stat.created_zxid,
            modified: stat.modified_zxid,
            version: stat.version,
            owner: stat.owner,
            value,
        }
    }
}

/// What became of a request that changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Not answered: maybe applied.
    Open,
    Done(Zxid),
    Refused,
}

#[derive(Debug)]
struct Attempt {
    path: Box<str>,
    fate: Fate,
}

/// One watch from when it was set until it fired, was removed, or its
/// connection had heard the last.
#[derive(Clone, Debug)]
pub struct Watched {
    pub path: Box<str>,
    pub kind: Kind,
    pub since: Zxid,
    pub until: Zxid,
    /// All that it told, each with its own path.
    pub told: Vec<(Zxid, ChangeKind, Box<str>)>,
    /// Whether the first of them ended it.
    pub is_spent: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Data,
    Exist,
    Child,
    Persistent,
    Recursive,
}

impl Kind {
    pub fn is_lasting(self) -> bool {
        matches!(self, Kind::Persistent | Kind::Recursive)
    }

    /// Whether a change at a path concerns a watch at `own`.
    pub fn is_fired_by(self, own: &str, kind: ChangeKind, path: &str) -> bool {
        let is_child = kind == ChangeKind::ChildrenChanged;
        match self {
            Kind::Data | Kind::Exist => path == own && !is_child,
            Kind::Child => path == own && (is_child || kind == ChangeKind::Deleted),
            Kind::Persistent => path == own,
            Kind::Recursive => !is_child && is_within(path, own),
        }
    }
}

fn is_within(path: &str, above: &str) -> bool {
    let rest = path.strip_prefix(above);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || above == "/")
}

#[derive(Default)]
pub struct History {
    /// The highest that any client has heard by now.
    pub heard: Zxid,
    facts: BTreeMap<Box<str>, Vec<(Zxid, Fact)>>,
    attempts: BTreeMap<Value, Attempt>,
    /// By path: what was known when each delete was asked for, and its fate.
    deletes: BTreeMap<Box<str>, Vec<(Zxid, Fate)>>,
    /// Names that were given to sequential nodes.
    sequential: BTreeSet<Box<str>>,
    /// When each session was gone, at the latest.
    pub ended: BTreeMap<SessionId, Zxid>,
    pub watched: Vec<Watched>,
}

impl History {
    pub fn learn(&mut self, path: &str, at: Zxid, fact: Fact) {
        match self.facts.get_mut(path) {
            Some(facts) => facts.push((at, fact)),
            None => drop(self.facts.insert(path.into(), vec![(at, fact)])),
        }
    }

    pub fn attempt(&mut self, value: Value, path: &str) {
        let attempt = Attempt {
            path: path.into(),
            fate: Fate::Open,
        };
        let before = self.attempts.insert(value, attempt);
        assert!(before.is_none(), "values are unique");
    }

    pub fn attempted(&mut self, value: Value, fate: Fate, path: Option<&str>) {
        let attempt = self.attempts.get_mut(&value).expect("it was attempted");
        attempt.fate = fate;
        if let Some(path) = path {
            attempt.path = path.into();
        }
    }

    /// Gives the delete's number at its path.
    pub fn delete(&mut self, path: &str) -> usize {
        let heard = self.heard;
        let deletes = self.deletes.entry(path.into()).or_default();
        deletes.push((heard, Fate::Open));
        deletes.len() - 1
    }

    pub fn deleted(&mut self, path: &str, number: usize, fate: Fate) {
        let deletes = self.deletes.get_mut(path).expect("it was asked for");
        deletes[number].1 = fate;
    }

    pub fn number_given(&mut self, path: &str) {
        let is_new = self.sequential.insert(path.into());
        assert!(is_new, "the sequential name {path} was given twice");
    }

    pub fn counts(&self) -> (usize, usize) {
        let facts = self.facts.values().map(Vec::len).sum();
        (facts, self.watched.len())
    }

    pub fn paths(&self) -> Vec<Box<str>> {
        self.facts.keys().cloned().collect()
    }

    /// Everything that can be said only when all is heard.
    pub fn check(&mut self) {
        for facts in self.facts.values_mut() {
            facts.sort_by_key(|(at, _)| *at);
        }
        for (path, facts) in &self.facts {
            self.check_values(path, facts);
            self.check_sequence(path, facts);
        }
        self.check_watches();
    }

    /// Nothing is read that nobody wrote, or that was refused, or that was
    /// applied at another place.
    fn check_values(&self, path: &str, facts: &[(Zxid, Fact)]) {
        for (at, fact) in facts {
            let Fact::Seen {
                modified,
                value: Some(value),
                ..
            } = fact
            else {
                continue;
            };
            let attempt = self.attempts.get(value);
            let attempt = attempt
                .unwrap_or_else(|| panic!("{path} at {at} holds {value:x}, which nobody wrote"));
            let is_sequential = path.starts_with(&*attempt.path) && path.len() > attempt.path.len();
            assert!(
                *attempt.path == *path || is_sequential,
                "{path} at {at} holds {value:x}, which was written to {}",
                attempt.path
            );
            match attempt.fate {
                Fate::Refused => panic!("{path} at {at} holds {value:x}, which was refused"),
                Fate::Done(done) => assert_eq!(
                    done, *modified,
                    "{path} at {at} holds {value:x}: acknowledged there, changed here"
                ),
                Fate::Open => {}
            }
        }
    }

    fn check_sequence(&self, path: &str, facts: &[(Zxid, Fact)]) {
        let mut open_deletes = self.open_deletes(path);
        for pair in facts.windows(2) {
            let [(before, old), (after, new)] = pair else {
                continue;
            };
            let what = || format!("{path}: {old:?} at {before}, then {new:?} at {after}");
            let (Fact::Seen { created: c0, .. }, Fact::Seen { .. }) = (old, new) else {
                match (old, new) {
                    (Fact::Absent, Fact::Seen { created, .. }) => {
                        assert!(created > before, "it was not there: {}", what());
                    }
                    (Fact::Seen { owner, .. }, Fact::Absent) => {
                        assert!(before < after, "both at once: {}", what());
                        let is_gone = *owner != 0 || self.was_deleted(path, *before, *after);
                        if !is_gone {
                            let place = open_deletes.iter().position(|known| known < after);
                            assert!(place.is_some(), "lost, nobody deleted it: {}", what());
                            open_deletes.remove(place.expect("looked at above"));
                        }
                    }
                    _ => {}
                }
                continue;
            };
            check_step(*c0, *before, *old, *new, &what);
        }
        for (at, fact) in facts {
            self.check_owner(path, *at, *fact);
        }
    }

    fn open_deletes(&self, path: &str) -> Vec<Zxid> {
        let deletes = self.deletes.get(path).into_iter().flatten();
        let open = deletes.filter(|(_, fate)| *fate == Fate::Open);
        open.map(|(known, _)| *known).collect()
    }

    fn was_deleted(&self, path: &str, after: Zxid, until: Zxid) -> bool {
        let deletes = self.deletes.get(path).into_iter().flatten();
        let is_there = |fate: &Fate| matches!(fate, Fate::Done(at) if *at > after && *at <= until);
        deletes.map(|(_, fate)| fate).any(is_there)
    }

    /// An ephemeral node leaves with its session.
    fn check_owner(&self, path: &str, at: Zxid, fact: Fact) {
        if let Fact::Seen { owner, .. } = fact
            && owner != 0
            && let Some(end) = self.ended.get(&SessionId(owner))
        {
            assert!(
                at <= *end,
                "{path} is there at {at}, its session {owner:x} ended by {end}"
            );
        }
    }

    /// Every change that is known for sure, by path, in order.
    fn changes(&self) -> BTreeMap<Box<str>, BTreeMap<Zxid, ChangeKind>> {
        let mut changes: BTreeMap<Box<str>, BTreeMap<Zxid, ChangeKind>> = BTreeMap::new();
        let mut note = |path: &str, at: Zxid, kind: ChangeKind| {
            changes.entry(path.into()).or_default().insert(at, kind);
            if kind != ChangeKind::DataChanged
                && let Some((above, _)) = path.rsplit_once('/')
                && !above.is_empty()
            {
                let above = changes.entry(above.into()).or_default();
                above.insert(at, ChangeKind::ChildrenChanged);
            }
        };
        for (path, facts) in &self.facts {
            for (_, fact) in facts {
                if let Fact::Seen {
                    created, modified, ..
                } = fact
                {
                    if modified > created {
                        note(path, *modified, ChangeKind::DataChanged);
                    }
                    note(path, *created, ChangeKind::Created);
                }
            }
        }
        for (path, deletes) in &self.deletes {
            for (_, fate) in deletes {
                if let Fate::Done(at) = fate {
                    note(path, *at, ChangeKind::Deleted);
                }
            }
        }
        changes
    }

    /// No watch misses a change, none tells of one twice or of one that was
    /// not.
    fn check_watches(&self) {
        let changes = self.changes();
        for watched in &self.watched {
            match watched.kind.is_lasting() {
                true => check_lasting(watched, &changes),
                false => check_once(watched, &changes),
            }
        }
    }
}

/// Two sights of a node, one after the other.
fn check_step(c0: Zxid, before: Zxid, old: Fact, new: Fact, what: &dyn Fn() -> String) {
    let Fact::Seen {
        modified: m0,
        version: v0,
        value: x0,
        ..
    } = old
    else {
        return;
    };
    let Fact::Seen {
        created: c1,
        modified: m1,
        version: v1,
        value: x1,
        ..
    } = new
    else {
        return;
    };
    if c1 > before {
        return;
    }
    assert_eq!(c0, c1, "made at two places: {}", what());
    if m1 > before {
        assert!(v1 > v0, "a change without a new version: {}", what());
        return;
    }
    assert_eq!(m0, m1, "changed behind a later sight: {}", what());
    assert_eq!(v0, v1, "one change, two versions: {}", what());
    let is_same = x0.is_none() || x1.is_none() || x0 == x1;
    assert!(is_same, "one change, two values: {}", what());
}

type Changes = BTreeMap<Box<str>, BTreeMap<Zxid, ChangeKind>>;

fn check_once(watched: &Watched, changes: &Changes) {
    let Some(known) = changes.get(&watched.path) else {
        return;
    };
    if watched.since >= watched.until {
        return;
    }
    let inside = (
        std::ops::Bound::Excluded(watched.since),
        match watched.is_spent {
            true => std::ops::Bound::Excluded(watched.until),
            false => std::ops::Bound::Included(watched.until),
        },
    );
    let path = &watched.path;
    for (at, kind) in known.range(inside) {
        let is_missed = watched.kind.is_fired_by(path, *kind, path);
        assert!(
            !is_missed,
            "the change {kind:?} at {at} was missed: {watched:?}"
        );
    }
}

fn check_lasting(watched: &Watched, changes: &Changes) {
    let mut told: Vec<_> = watched.told.clone();
    told.sort_by(|a, b| (a.0, a.1, &a.2).cmp(&(b.0, b.1, &b.2)));
    for pair in told.windows(2) {
        // A session that ends takes several children with it, each told.
        let is_twice = pair[0] == pair[1] && pair[0].1 != ChangeKind::ChildrenChanged;
        assert!(!is_twice, "told twice: {watched:?}");
    }
    if watched.since >= watched.until {
        return;
    }
    for (path, known) in changes {
        if !is_within(path, &watched.path) {
            continue;
        }
        let inside = (
            std::ops::Bound::Excluded(watched.since),
            std::ops::Bound::Included(watched.until),
        );
        for (at, kind) in known.range(inside) {
            if !watched.kind.is_fired_by(&watched.path, *kind, path) {
                continue;
            }
            let is_told = watched
                .told
                .iter()
                .any(|one| one.0 == *at && one.2 == *path);
            assert!(
                is_told,
                "{kind:?} of {path} at {at} was missed: {watched:?}"
            );
        }
    }
}
