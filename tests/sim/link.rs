//! One connection as its client sees it: what was asked and not answered, what
//! is watched, and the rules that hold between one answer and the next.

use super::history::{Fate, History, Kind, Value, Watched};
use dolmen::ids::{NodeId, SessionId, Zxid};
use dolmen::replica::desk::ConnectionId;
use dolmen::state::ChangeKind;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// A request on its way.
#[derive(Debug)]
pub struct Sent {
    pub tag: u64,
    pub at: Duration,
    /// What any client had heard when it was sent.
    pub heard: Zxid,
    pub asked: Asked,
}

/// What it is, as far as the answer's meaning depends on it.
#[derive(Debug)]
pub enum Asked {
    Data {
        path: Box<str>,
        watch: bool,
    },
    Exists {
        path: Box<str>,
        watch: bool,
    },
    Children {
        path: Box<str>,
        watch: bool,
    },
    Write(Vec<Part>),
    Sync,
    Ping,
    AddWatch {
        path: Box<str>,
        kind: Kind,
    },
    SetWatches(Vec<(Box<str>, Kind, Zxid)>),
    RemoveWatch {
        path: Box<str>,
        kind: Kind,
    },
    Close,
    /// Written before all others come.
    Layout,
}

/// One write, alone or in a multi.
#[derive(Clone, Debug)]
pub enum Part {
    Create {
        path: Box<str>,
        value: Value,
        is_sequential: bool,
        /// Its place in a run of creates sent one behind the other.
        run: Option<u32>,
    },
    Set {
        path: Box<str>,
        value: Value,
        version: i32,
    },
    Delete {
        path: Box<str>,
        number: usize,
    },
    Check,
}

pub struct Link {
    pub id: ConnectionId,
    pub client: usize,
    pub node: NodeId,
    pub node_life: u64,
    pub session: SessionId,
    pub is_open: bool,
    pub is_read_only: bool,
    pub is_over: bool,
    pub asked_at: Duration,
    /// What the client had seen when it came.
    pub floor: Zxid,
    pub sent: VecDeque<Sent>,
    pub last_tag: u64,
    pub answered: Zxid,
    pub told: Zxid,
    watches: BTreeMap<(Box<str>, Kind), Watched>,
    /// Told while the client's old watches are set again.
    early: Vec<(ChangeKind, Box<str>)>,
}

impl Link {
    pub fn new(id: ConnectionId, client: usize, node: (NodeId, u64), now: Duration) -> Self {
        Self {
            id,
            client,
            node: node.0,
            node_life: node.1,
            session: SessionId(0),
            is_open: false,
            is_read_only: false,
            is_over: false,
            asked_at: now,
            floor: Zxid(0),
            sent: VecDeque::new(),
            last_tag: 0,
            answered: Zxid(0),
            told: Zxid(0),
            watches: BTreeMap::new(),
            early: Vec::new(),
        }
    }

    /// The oldest request, which this answers; and what must hold of the zxid.
    pub fn answer(&mut self, tag: u64, zxid: Zxid) -> Sent {
        let sent = self.sent.pop_front();
        let sent = sent.unwrap_or_else(|| panic!("{:?} answers {tag}, unasked", self.id));
        assert_eq!(sent.tag, tag, "{:?} answers out of order", self.id);
        assert!(
            zxid >= self.answered && zxid >= self.floor && zxid >= self.told,
            "time goes back on {:?}: {zxid} after {} on it, {} before it, events to {}",
            self.id,
            self.answered,
            self.floor,
            self.told
        );
        self.answered = zxid;
        sent
    }

    /// An event: it comes before any answer that shows the change, and only
    /// where it was asked for.
    pub fn event(&mut self, zxid: Zxid, kind: ChangeKind, path: &str, history: &mut History) {
        let sets = |sent: &Sent| matches!(sent.asked, Asked::SetWatches(_));
        if self.sent.front().is_some_and(sets) {
            // Of some time ago: which transaction it was is not told.
            self.early.push((kind, path.into()));
            return;
        }
        assert!(
            zxid > self.answered && zxid >= self.told,
            "{:?}: the event {kind:?} {path} of {zxid} comes behind an answer of {} or an event of {}",
            self.id,
            self.answered,
            self.told
        );
        self.told = zxid;
        let concerned: Vec<_> = self
            .watches
            .iter()
            .filter(|((own, watch), _)| watch.is_fired_by(own, kind, path))
            .map(|(key, _)| key.clone())
            .collect();
        assert!(
            !concerned.is_empty(),
            "{:?}: the event {kind:?} {path} of {zxid} was told twice or never asked for",
            self.id
        );
        for key in concerned {
            let watched = self.watches.get_mut(&key).expect("just found");
            watched.told.push((zxid, kind, path.into()));
            if !key.1.is_lasting() {
                let mut spent = self.watches.remove(&key).expect("just found");
                spent.until = zxid;
                spent.is_spent = true;
                history.watched.push(spent);
            }
        }
    }

    /// Watching twice is watching once, from the first time on.
    pub fn watch(&mut self, path: &str, kind: Kind, since: Zxid) {
        let key = (path.into(), kind);
        self.watches.entry(key).or_insert(Watched {
            path: path.into(),
            kind,
            since,
            until: since,
            told: Vec::new(),
            is_spent: false,
        });
    }

    pub fn unwatch(&mut self, path: &str, kind: Kind, at: Zxid, history: &mut History) {
        if let Some(mut watched) = self.watches.remove(&(path.into(), kind)) {
            watched.until = at;
            history.watched.push(watched);
        }
    }

    pub fn is_watching(&self, path: &str, kind: Kind) -> bool {
        self.watches.contains_key(&(path.into(), kind))
    }

    pub fn lasting(&self) -> Option<(Box<str>, Kind)> {
        let mut keys = self.watches.keys();
        keys.find(|(_, kind)| kind.is_lasting()).cloned()
    }

    /// The old watches stand again, but for those that told at once.
    pub fn watches_set(&mut self, list: Vec<(Box<str>, Kind, Zxid)>, at: Zxid) {
        let mut early = std::mem::take(&mut self.early);
        for (path, kind, since) in list {
            let tells = |told: &ChangeKind| match kind {
                Kind::Data => matches!(told, ChangeKind::DataChanged | ChangeKind::Deleted),
                Kind::Exist => *told == ChangeKind::Created,
                Kind::Child => matches!(told, ChangeKind::ChildrenChanged | ChangeKind::Deleted),
                Kind::Persistent | Kind::Recursive => false,
            };
            let place = early
                .iter()
                .position(|(told, at)| *at == path && tells(told));
            match (place, kind) {
                (Some(place), _) => drop(early.remove(place)),
                // What came and went while nobody watched is not told.
                (None, Kind::Exist | Kind::Persistent | Kind::Recursive) => {
                    self.watch(&path, kind, at);
                }
                (None, Kind::Data | Kind::Child) => self.watch(&path, kind, since),
            }
        }
        assert!(early.is_empty(), "{:?}: told unasked: {early:?}", self.id);
    }

    /// Nothing more is heard. Gives the watches, to be set again elsewhere.
    pub fn end(&mut self, history: &mut History) -> Vec<(Box<str>, Kind, Zxid)> {
        self.is_over = true;
        let mut again = Vec::new();
        if let Some(Sent {
            asked: Asked::SetWatches(list),
            ..
        }) = self.sent.front()
        {
            again.extend(list.iter().cloned());
        }
        for ((path, kind), mut watched) in std::mem::take(&mut self.watches) {
            again.push((path, kind, self.answered));
            watched.until = self.answered.max(self.told);
            // What was told at the last zxid may have been cut off.
            if self.told > self.answered {
                watched.until = self.answered;
            }
            watched.told.retain(|one| one.0 <= watched.until);
            history.watched.push(watched);
        }
        again
    }

    /// Settles what the client knows of its writes.
    pub fn settle(parts: &[Part], fate: Fate, history: &mut History) {
        for part in parts {
            match part {
                Part::Create {
                    path,
                    value,
                    is_sequential,
                    ..
                } => {
                    let path = (!is_sequential).then_some(&**path);
                    history.attempted(*value, fate, path);
                }
                Part::Set { path, value, .. } => history.attempted(*value, fate, Some(path)),
                Part::Delete { path, number, .. } => history.deleted(path, *number, fate),
                Part::Check => {}
            }
        }
    }
}
