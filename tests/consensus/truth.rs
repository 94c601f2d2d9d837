//! What must hold, whatever happens. Knows everything that any node has said;
//! a broken invariant is an `Err` that names it.

use dolmen::consensus::{Body, Entry, MemberStep, Members, MembersChange};
use dolmen::ids::{NodeId, Term};
use std::collections::BTreeMap;

pub type Held = Result<(), String>;

/// Fails with the words unless the condition holds.
macro_rules! hold {
    ($holds:expr, $($words:tt)+) => {
        if !$holds {
            return Err(format!($($words)+));
        }
    };
}
pub(super) use hold;

pub struct Truth {
    /// The only entry that may ever be committed at an index.
    committed: BTreeMap<u64, Entry>,
    /// The state after an index: a chain over all entries up to it.
    chain: BTreeMap<u64, u64>,
    /// The members after an index that changed them.
    members: BTreeMap<u64, Members>,
    /// Who led a term, in which of its lives.
    leaders: BTreeMap<u64, (NodeId, u64)>,
    /// What stands at (index, term) in any log, with the term before it.
    written: BTreeMap<(u64, u64), (Entry, Option<Term>)>,
    pub counts: Counts,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub terms: u64,
    pub committed: u64,
    pub changes: u64,
    pub reads: u64,
    pub snapshots: u64,
    pub fetches: u64,
    pub crashes: u64,
    pub refused: u64,
}

impl Truth {
    pub fn new(founders: Members) -> Self {
        Self {
            committed: BTreeMap::new(),
            chain: BTreeMap::from([(1, FOUNDED)]),
            members: BTreeMap::from([(1, founders)]),
            leaders: BTreeMap::new(),
            written: BTreeMap::new(),
            counts: Counts::default(),
        }
    }

    pub fn last_committed(&self) -> u64 {
        self.chain.last_key_value().map_or(0, |(index, _)| *index)
    }

    pub fn state_at(&self, index: u64) -> Option<u64> {
        self.chain.get(&index).copied()
    }

    pub fn members_at(&self, index: u64) -> &Members {
        let found = self.members.range(..=index).next_back();
        found.expect("the founders stand at index 1").1
    }

    pub fn members(&self) -> &Members {
        self.members_at(u64::MAX)
    }

    /// The proposals that are committed.
    pub fn data(&self) -> impl Iterator<Item = &[u8]> {
        self.committed
            .values()
            .filter_map(|entry| match &entry.body {
                Body::Data(data) => Some(&data[..]),
                _ => None,
            })
    }

    /// Two leaders never share a term, nor do two lives of one.
    pub fn leads(&mut self, term: Term, node: NodeId, life: u64) -> Held {
        let held = *self.leaders.entry(term.0).or_insert((node, life));
        hold!(
            held == (node, life),
            "term {term} has two leaders: node {} in life {} and node {node} in life {life}",
            held.0,
            held.1
        );
        self.counts.terms = self.leaders.len() as u64;
        Ok(())
    }

    /// Two logs with an entry of one index and term hold the same up to it.
    pub fn writes(&mut self, entry: &Entry, term_before: Option<Term>) -> Held {
        let key = (entry.index.0, entry.term.0);
        let (known, before) = self
            .written
            .entry(key)
            .or_insert_with(|| (entry.clone(), term_before));
        hold!(
            known == entry && (*before == term_before || before.is_none() || term_before.is_none()),
            "two logs differ at (index, term) {key:?}"
        );
        *before = before.or(term_before);
        Ok(())
    }

    /// What is committed never changes, and has no gap. True where an entry is
    /// heard of for the first time.
    pub fn commits(&mut self, entry: &Entry) -> Result<bool, String> {
        let index = entry.index.0;
        if let Some(known) = self.committed.get(&index) {
            hold!(
                known == entry,
                "entry {index} was committed twice, differently"
            );
            return Ok(false);
        }
        hold!(
            index == self.last_committed() + 1,
            "entry {index} is committed behind a gap"
        );
        let state = chained(self.chain[&(index - 1)], entry);
        self.chain.insert(index, state);
        self.committed.insert(index, entry.clone());
        if let Body::Members(change) = &entry.body {
            let mut members = self.members().clone();
            if change_members(&mut members, change) {
                self.members.insert(index, members);
                self.counts.changes += 1;
            }
        }
        self.counts.committed += 1;
        Ok(true)
    }

    /// What is committed is durable on a majority. The leader that committed
    /// may not yet have taken the last change of members before it.
    pub fn majority_has(&self, index: u64, has: impl Fn(NodeId) -> bool) -> Held {
        let before: Vec<&Members> = self
            .members
            .range(..index)
            .rev()
            .take(2)
            .map(|(_, members)| members)
            .collect();
        let holds = |members: &&Members| {
            let majority = |voters: &Vec<NodeId>| {
                voters.iter().filter(|&&node| has(node)).count() * 2 > voters.len()
            };
            majority(&members.voters)
                && (members.outgoing.is_empty() || majority(&members.outgoing))
        };
        hold!(
            before.iter().any(holds),
            "entry {index} is committed and no majority has it durable"
        );
        Ok(())
    }
}

/// The state of a founded cluster, which stands at index 1.
pub const FOUNDED: u64 = 0x5eed;

pub fn chained(state: u64, entry: &Entry) -> u64 {
    let body: &[u8] = match &entry.body {
        Body::Data(data) => data,
        _ => &[],
    };
    body.iter()
        .copied()
        .chain(entry.index.0.to_le_bytes())
        .fold(state, |sum, byte| {
            (sum.rotate_left(7) ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        })
}

/// A naive version of the change of members, to compare with.
fn change_members(members: &mut Members, change: &MembersChange) -> bool {
    let was_joint = !members.outgoing.is_empty();
    match (was_joint, change.steps.len()) {
        (true, 0) => {
            members.learners.append(&mut members.learners_next);
            members.outgoing.clear();
            members.auto_leave = false;
        }
        (true, _) | (false, 0) => return false,
        (false, steps) => {
            if steps > 1 {
                members.outgoing = members.voters.clone();
                members.auto_leave = true;
            }
            for &step in &change.steps {
                let node = step.node();
                members.voters.retain(|&voter| voter != node);
                members.learners.retain(|&learner| learner != node);
                match step {
                    MemberStep::Voter(_) => members.voters.push(node),
                    MemberStep::Learner(_) if members.outgoing.contains(&node) => {
                        members.learners_next.push(node);
                    }
                    MemberStep::Learner(_) => members.learners.push(node),
                    MemberStep::Remove(_) => {}
                }
            }
        }
    }
    members.voters.sort_unstable();
    members.learners.sort_unstable();
    members.learners_next.sort_unstable();
    true
}
