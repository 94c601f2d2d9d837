//! The nodes and the network between them.

use super::node::{Durable, Letter, Node};
use super::truth::{Held, Truth, hold};
use dolmen::consensus::Members;
use dolmen::consensus::{Consensus, Kind, MembersChange, NotTaken, Settings, StepError};
use dolmen::entropy::Seeded;
use dolmen::ids::NodeId;
use std::collections::{BTreeMap, BTreeSet};

pub struct Cluster {
    pub dice: Seeded,
    pub nodes: BTreeMap<NodeId, Node>,
    pub truth: Truth,
    pub on_the_way: Vec<Letter>,
    /// Pairs that do not hear each other, the smaller first.
    pub cut: BTreeSet<(NodeId, NodeId)>,
    proposed: u64,
    pub taken: u64,
}

impl Cluster {
    /// A cluster of so many founders, all running.
    pub fn found(seed: u64, size: u64) -> Self {
        Self::found_with(seed, size, |_| {})
    }

    pub fn found_with(seed: u64, size: u64, settle: impl Fn(&mut Settings)) -> Self {
        let mut dice = Seeded::new(seed);
        let members = Members::of_voters((1..=size).map(NodeId));
        let nodes = (1..=size).map(NodeId).map(|id| {
            let mut node = Node::new(id, &mut dice, Durable::founded(&members));
            settle(&mut node.settings);
            (id, node)
        });
        let nodes = nodes.collect();
        let mut cluster = Self {
            dice,
            nodes,
            truth: Truth::new(members),
            on_the_way: Vec::new(),
            cut: BTreeSet::new(),
            proposed: 0,
            taken: 0,
        };
        for node in cluster.nodes.values_mut() {
            node.start(&mut cluster.truth).expect("a founder starts");
        }
        cluster
    }

    /// A node that was never a member, running and empty.
    pub fn add_node(&mut self) -> NodeId {
        let id = NodeId(self.nodes.keys().next_back().map_or(1, |last| last.0 + 1));
        let mut node = Node::new(id, &mut self.dice, Durable::default());
        node.start(&mut self.truth).expect("an empty node starts");
        self.nodes.insert(id, node);
        id
    }

    pub fn node(&mut self, id: NodeId) -> &mut Node {
        self.nodes.get_mut(&id).expect("a node of this cluster")
    }

    pub fn consensus(&mut self, id: NodeId) -> Option<&mut Consensus> {
        self.node(id).life.as_mut().map(|life| &mut life.consensus)
    }

    pub fn any_node(&mut self) -> NodeId {
        let at = self.dice.below(self.nodes.len() as u64) as usize;
        *self.nodes.keys().nth(at).expect("below their number")
    }

    /// Of several that believe to lead, the one of the latest term.
    pub fn leader(&self) -> Option<NodeId> {
        let leading = self.nodes.values().filter(|node| node.leads());
        leading
            .max_by_key(|node| {
                node.life
                    .as_ref()
                    .map(|life| life.consensus.standing().term)
            })
            .map(|node| node.id)
    }

    pub fn tick(&mut self, id: NodeId) -> Held {
        if let Some(consensus) = self.consensus(id) {
            consensus.tick();
        }
        self.take(id)
    }

    /// Collects a node's work, and holds what is new to the invariants.
    pub fn take(&mut self, id: NodeId) -> Held {
        let mut out = Vec::new();
        let node = self.nodes.get_mut(&id).expect("a node of this cluster");
        let news = node.take(&mut self.truth, &mut out)?;
        for entry in &news {
            self.truth.majority_has(entry.index.0, |voter| {
                self.nodes
                    .get(&voter)
                    .is_some_and(|node| node.durable.has(entry))
            })?;
        }
        self.on_the_way.append(&mut out);
        Ok(())
    }

    pub fn persist(&mut self, id: NodeId, turns: usize) -> Held {
        let mut out = Vec::new();
        let node = self.nodes.get_mut(&id).expect("a node of this cluster");
        node.persist(turns, &mut self.truth, &mut out)?;
        self.on_the_way.append(&mut out);
        self.take(id)
    }

    pub fn apply(&mut self, id: NodeId, count: usize) -> Held {
        let node = self.nodes.get_mut(&id).expect("a node of this cluster");
        node.apply(count, &self.truth)?;
        self.take(id)
    }

    pub fn propose(&mut self) -> Held {
        let Some(leader) = self.leader() else {
            return Ok(());
        };
        self.proposed += 1;
        let mut data = vec![0; 8 + self.dice.below(200) as usize];
        data[..8].copy_from_slice(&self.proposed.to_le_bytes());
        if let Some(consensus) = self.consensus(leader)
            && consensus.propose(data).is_ok()
        {
            self.taken += 1;
        }
        self.take(leader)
    }

    pub fn change_members(&mut self, change: MembersChange) -> Result<(), NotTaken> {
        let leader = self.leader().ok_or(NotTaken::NotLeader { leader: None })?;
        let consensus = self.consensus(leader).expect("a leader runs");
        consensus.change_members(change)
    }

    pub fn hears(&self, a: NodeId, b: NodeId) -> bool {
        !self.cut.contains(&(a.min(b), a.max(b)))
    }

    /// A letter arrives, whatever its place in the order.
    pub fn deliver(&mut self, at: usize) -> Held {
        let letter = self.on_the_way.swap_remove(at);
        self.hand_over(letter)
    }

    pub fn hand_over(&mut self, letter: Letter) -> Held {
        if !self.hears(letter.from, letter.to) {
            return Ok(());
        }
        let Some(consensus) = self
            .nodes
            .get_mut(&letter.to)
            .and_then(|node| node.life.as_mut())
            .map(|life| &mut life.consensus)
        else {
            return Ok(());
        };
        let kind = Consensus::peek(&letter.bytes).map_err(|why| format!("{why}"))?;
        let stepped = consensus.step(letter.from, &letter.bytes);
        match stepped {
            Ok(()) => {}
            Err(StepError::Stranger(_)) => self.truth.counts.refused += 1,
            Err(why) => {
                return Err(format!(
                    "node {} refuses node {}: {why}",
                    letter.to, letter.from
                ));
            }
        }
        self.take(letter.to)?;
        if matches!(kind, Kind::Snapshot { .. }) {
            self.report_snapshot(letter.from, letter.to, true)?;
        }
        Ok(())
    }

    fn report_snapshot(&mut self, sender: NodeId, receiver: NodeId, ok: bool) -> Held {
        let Some(life) = &mut self.node(sender).life else {
            return Ok(());
        };
        if let Some(at) = life.sent.iter().position(|&to| to == receiver) {
            life.sent.swap_remove(at);
            life.consensus.report_snapshot(receiver, ok);
        }
        self.take(sender)
    }

    /// Whatever was lost: each snapshot that was sent is reported on.
    pub fn report_snapshots(&mut self, id: NodeId) -> Held {
        if let Some(life) = &mut self.node(id).life {
            for to in std::mem::take(&mut life.sent) {
                life.consensus.report_snapshot(to, false);
            }
        }
        self.take(id)
    }

    pub fn serve_fetches(&mut self, id: NodeId) -> Held {
        let node = self.nodes.get_mut(&id).expect("a node of this cluster");
        node.serve_fetches(&mut self.truth);
        self.take(id)
    }

    pub fn crash(&mut self, id: NodeId) -> Held {
        self.truth.counts.crashes += 1;
        let node = self.nodes.get_mut(&id).expect("a node of this cluster");
        node.crash(&mut self.dice, &mut self.truth)
    }

    pub fn start(&mut self, id: NodeId) -> Held {
        let node = self.nodes.get_mut(&id).expect("a node of this cluster");
        if !node.is_up() {
            node.start(&mut self.truth)?;
        }
        self.take(id)
    }

    /// One round without faults: every letter arrives in order, every disk
    /// keeps up, time passes once.
    pub fn round(&mut self) -> Held {
        let ids: Vec<NodeId> = self.nodes.keys().copied().collect();
        for &id in &ids {
            self.tick(id)?;
        }
        self.settle()
    }

    /// All that follows without time passing.
    pub fn settle(&mut self) -> Held {
        let ids: Vec<NodeId> = self.nodes.keys().copied().collect();
        for _ in 0..2000 {
            for &id in &ids {
                self.take(id)?;
                self.persist(id, usize::MAX)?;
                self.apply(id, usize::MAX)?;
                self.serve_fetches(id)?;
                if self.node(id).wants_snapshot() {
                    self.node(id).compact(3);
                    self.take(id)?;
                }
            }
            let letters = std::mem::take(&mut self.on_the_way);
            if letters.is_empty() {
                return Ok(());
            }
            for letter in letters {
                self.hand_over(letter)?;
            }
        }
        Err("the cluster does not come to rest".into())
    }

    /// Rounds until the condition holds; so many must do.
    pub fn until(&mut self, rounds: usize, what: &str, holds: impl Fn(&Self) -> bool) -> Held {
        for _ in 0..rounds {
            if holds(self) {
                return Ok(());
            }
            self.round()?;
        }
        hold!(holds(self), "after {rounds} quiet rounds still not: {what}");
        Ok(())
    }
}
