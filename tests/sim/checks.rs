//! What must hold of the nodes after each turn, and of everything at the end.

use super::clients::Clients;
use super::history::{Fact, History, value_of};
use super::wishes::{QUEUE, RUNS, creation};
use super::world::World;
use dolmen::ids::{Index, NodeId, SessionId, Term, Zxid};
use dolmen::replica::Replica;
use dolmen::state::{Command, NodeKind, State, Write};
use std::collections::{BTreeMap, BTreeSet};

/// Ephemeral nodes are counted once in so many entries.
const COUNT_EVERY: u64 = 8;

#[derive(Default)]
pub struct Checks {
    /// What the state summed to at an index, and who said so first.
    digests: BTreeMap<Index, (u64, NodeId)>,
    leaders: BTreeMap<Term, NodeId>,
    epochs: BTreeMap<Term, u64>,
    last: BTreeMap<NodeId, Index>,
    furthest: Index,
    sessions: BTreeSet<SessionId>,
    /// A disk of theirs fails: they may stop.
    pub may_die: BTreeSet<NodeId>,
    pub is_short_of_room: BTreeSet<NodeId>,
    /// Creates were refused at times, and a client may not have heard which.
    has_refused_growth: bool,
    /// Nodes that are down, and of whose newest snapshot a bit has turned.
    pub rotten: BTreeSet<NodeId>,
}

impl Checks {
    /// Looks at a node between two turns. Gives the sum of its state where
    /// that is new.
    pub fn after_turn(&mut self, replica: &Replica, history: &mut History) -> Option<u64> {
        let node = replica.node();
        if replica.is_leader() {
            let first = *self.leaders.entry(replica.term()).or_insert(node);
            assert_eq!(first, node, "two lead in term {}", replica.term());
        }
        let applied = replica.applied();
        if replica.outgrown().is_some() {
            // It gave up in the middle of an entry.
            return None;
        }
        if self.last.insert(node, applied) == Some(applied) || applied == Index(0) {
            return None;
        }
        let state = replica.state();
        self.has_refused_growth |= !state.members().have_room();
        self.check_digest(node, applied, state.digest());
        self.check_epoch(state);
        assert!(!replica.has_diverged(), "node {node} raises the alarm");
        if applied > self.furthest {
            self.furthest = applied;
            self.follow_sessions(state, history);
            if applied.0.is_multiple_of(COUNT_EVERY) {
                count_ephemerals(state);
            }
        }
        Some(state.digest())
    }

    /// A node that starts again may know less than it did.
    pub fn forget(&mut self, node: NodeId) {
        self.last.remove(&node);
    }

    fn check_digest(&mut self, node: NodeId, applied: Index, digest: u64) {
        let (held, first) = *self.digests.entry(applied).or_insert((digest, node));
        assert_eq!(
            held, digest,
            "node {node} holds something else at {applied} than node {first} did"
        );
    }

    fn check_epoch(&mut self, state: &State) {
        let (term, epoch) = (state.term(), state.zxid().0 >> 32);
        if self.epochs.insert(term, epoch).is_none() {
            let earlier = self.epochs.range(..term).next_back();
            let is_raised = earlier.is_none_or(|(_, before)| *before < epoch);
            assert!(is_raised, "term {term} goes on in the epoch before it");
        }
    }

    fn follow_sessions(&mut self, state: &State, history: &mut History) {
        let now: BTreeSet<SessionId> = state.sessions().map(|(id, _)| id).collect();
        for gone in self.sessions.difference(&now) {
            let end = history.ended.entry(*gone).or_insert(state.zxid());
            *end = (*end).min(state.zxid());
        }
        self.sessions = now;
    }
}

/// Every ephemeral node belongs to a session that lives.
fn count_ephemerals(state: &State) {
    let of_session = |(id, _)| state.ephemerals(id, "/").len() as u64;
    let owned: u64 = state.sessions().map(of_session).sum();
    assert_eq!(
        owned,
        state.figures().ephemerals,
        "ephemeral nodes without a session at {}",
        state.zxid()
    );
}

/// What the tree has before the clients come.
pub fn layout(snapshot_entries: u64) -> Vec<Command> {
    let folder = |path: &str| {
        let create = creation(path, [].into(), NodeKind::Persistent, false);
        Command::Write(Write::Create(create))
    };
    let set = |name: &str, value: u64| {
        Command::Write(Write::SetData {
            path: format!("/dolmen/config/{name}").into(),
            data: value.to_string().into_bytes().into(),
            version: -1,
        })
    };
    vec![
        folder(QUEUE),
        folder(RUNS),
        set("zookeeper.session_timeout_min_ms", 1000),
        set("replica.snapshot_entries", snapshot_entries),
    ]
}

impl World {
    /// After the last fault: everybody is there, agrees, and is answered.
    pub fn is_well(&mut self) -> bool {
        self.settle_members();
        self.why_not_well().is_none()
    }

    pub fn why_not_well(&self) -> Option<String> {
        let Some(leader) = self.leader() else {
            return Some("nobody leads".into());
        };
        let state = leader.state();
        let listed: Vec<NodeId> = state.members().iter().map(|member| member.node).collect();
        let members = leader.members();
        if members.voters != listed || members.is_joint() || !members.learners.is_empty() {
            return Some(format!("{listed:?} are listed, {members:?} take part"));
        }
        for id in &listed {
            let Some(replica) = self.nodes.get(id).and_then(|node| node.replica.as_ref()) else {
                return Some(format!("node {id} is down"));
            };
            let same = replica.applied() == leader.applied()
                && replica.leader() == Some(leader.node())
                && replica.state().digest() == state.digest();
            if !same {
                return Some(format!("node {id} does not follow"));
            }
        }
        for (number, client) in self.clients.all.iter().enumerate() {
            if !client.is_dead && !client.is_last_answered {
                return Some(format!("client {number} is not served: {:?}", client.link));
            }
            let session = client.session.filter(|_| client.is_dead);
            if let Some((session, _)) = session
                && state.session(session).is_some()
            {
                return Some(format!(
                    "the session of client {number}, who is gone, lives"
                ));
            }
        }
        None
    }

    pub fn check_end(&mut self) {
        let leader = self.leader().expect("all is well");
        let (zxid, state) = (leader.state().zxid(), leader.state());
        count_ephemerals(state);
        let clients = &mut self.clients;
        for link in clients.links.values_mut().filter(|link| !link.is_over) {
            link.end(&mut clients.history);
        }
        let state = self
            .nodes
            .values()
            .filter_map(|node| node.replica.as_ref())
            .find(|replica| replica.is_leader())
            .expect("looked at above")
            .state();
        learn_all(clients, state, zxid);
        let has_refused = self.checks.has_refused_growth;
        clients.check_runs(|path| state.exists(path, &[]).is_ok(), has_refused);
        clients.history.check();
    }
}

/// What stands at the end is one more sight of every path.
fn learn_all(clients: &mut Clients, state: &State, zxid: Zxid) {
    for path in clients.history.paths() {
        let fact = match state.data(&path, &[]) {
            Ok(_) if [QUEUE, RUNS].contains(&&*path) => continue,
            Ok((data, stat)) => Fact::of(&stat, Some(value_of(&data))),
            Err(_) => Fact::Absent,
        };
        clients.history.learn(&path, zxid, fact);
    }
}
