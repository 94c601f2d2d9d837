//! Who takes part, and how that changes: a learner first, then a voter; one
//! change at a time, and several voters at once only by way of a joint
//! configuration, in which the old and the new majority must both agree.

use super::errors::NotTaken;
use crate::ids::NodeId;
use crate::limits::CONSENSUS_MEMBERS_MAX;
use bytes::Bytes;
use protobuf::Message as _;
use raft::eraftpb::{ConfChangeSingle, ConfChangeType, ConfChangeV2, ConfState};

/// Every list is sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    pub voters: Vec<NodeId>,
    /// They follow the log and do not vote.
    pub learners: Vec<NodeId>,
    /// The voters of the configuration that is being left; not empty only
    /// while it is joint.
    pub outgoing: Vec<NodeId>,
    /// Voters of `outgoing` that become learners when it is left.
    pub learners_next: Vec<NodeId>,
    /// The leader leaves the joint configuration by itself.
    pub auto_leave: bool,
}

/// One step leads straight to the new configuration, several lead to a joint
/// one that the leader leaves by itself, none leaves a joint one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MembersChange {
    pub steps: Vec<MemberStep>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberStep {
    /// A stranger or a voter becomes a learner.
    Learner(NodeId),
    /// A learner becomes a voter.
    Voter(NodeId),
    Remove(NodeId),
}

impl MemberStep {
    pub fn node(self) -> NodeId {
        match self {
            Self::Learner(node) | Self::Voter(node) | Self::Remove(node) => node,
        }
    }
}

impl Members {
    /// The first members of a cluster.
    pub fn of_voters(voters: impl IntoIterator<Item = NodeId>) -> Self {
        let mut voters: Vec<NodeId> = voters.into_iter().collect();
        voters.sort_unstable();
        Self {
            voters,
            ..Self::default()
        }
    }

    pub fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Has a say in one of the majorities.
    pub fn is_voter(&self, node: NodeId) -> bool {
        self.voters.contains(&node) || self.outgoing.contains(&node)
    }

    pub fn contains(&self, node: NodeId) -> bool {
        self.is_voter(node) || self.learners.contains(&node)
    }

    /// Lists that could have come from a chain of changes. The library stops
    /// the process on others.
    pub(super) fn are_sound(&self) -> bool {
        let lists = [
            &self.voters,
            &self.learners,
            &self.outgoing,
            &self.learners_next,
        ];
        let is_list = |list: &&Vec<NodeId>| {
            list.len() <= CONSENSUS_MEMBERS_MAX
                && list.first() != Some(&NodeId(0))
                && list.is_sorted_by(|a, b| a < b)
        };
        lists.iter().all(is_list)
            && !self.voters.is_empty()
            && !self.learners.iter().any(|&node| self.is_voter(node))
            && self
                .learners_next
                .iter()
                .all(|node| self.outgoing.contains(node) && !self.voters.contains(node))
            && (self.is_joint() || !self.auto_leave)
    }

    /// Whether a leader with these members may propose the change.
    pub(super) fn check(&self, change: &MembersChange) -> Result<(), NotTaken> {
        match (self.is_joint(), change.steps.is_empty()) {
            (true, true) => return Ok(()),
            (true, false) => return Err(NotTaken::Joint),
            (false, true) => return Err(NotTaken::NotJoint),
            (false, false) => {}
        }
        let mut after = self.clone();
        for (at, &step) in change.steps.iter().enumerate() {
            let node = step.node();
            if node == NodeId(0) || change.steps[..at].iter().any(|s| s.node() == node) {
                return Err(NotTaken::StepUnsound(node));
            }
            after.take(step)?;
        }
        if after.voters.is_empty() {
            return Err(NotTaken::NoVoterLeft);
        }
        if after.voters.len() + after.learners.len() > CONSENSUS_MEMBERS_MAX {
            return Err(NotTaken::TooManyMembers);
        }
        Ok(())
    }

    fn take(&mut self, step: MemberStep) -> Result<(), NotTaken> {
        let node = step.node();
        let (was_voter, was_learner) = (self.voters.contains(&node), self.learners.contains(&node));
        match step {
            MemberStep::Voter(_) if was_voter => return Err(NotTaken::AlreadySo(node)),
            MemberStep::Voter(_) if !was_learner => return Err(NotTaken::LearnerFirst(node)),
            MemberStep::Learner(_) if was_learner => return Err(NotTaken::AlreadySo(node)),
            MemberStep::Remove(_) if !was_voter && !was_learner => {
                return Err(NotTaken::NoMember(node));
            }
            _ => {}
        }
        self.voters.retain(|&other| other != node);
        self.learners.retain(|&other| other != node);
        match step {
            MemberStep::Voter(_) => self.voters.push(node),
            MemberStep::Learner(_) => self.learners.push(node),
            MemberStep::Remove(_) => {}
        }
        Ok(())
    }

    pub(super) fn from_raft(conf: &ConfState) -> Self {
        let sorted = |ids: &[u64]| {
            let mut nodes: Vec<NodeId> = ids.iter().map(|&id| NodeId(id)).collect();
            nodes.sort_unstable();
            nodes
        };
        Self {
            voters: sorted(&conf.voters),
            learners: sorted(&conf.learners),
            outgoing: sorted(&conf.voters_outgoing),
            learners_next: sorted(&conf.learners_next),
            auto_leave: conf.auto_leave,
        }
    }

    pub(super) fn to_raft(&self) -> ConfState {
        let ids = |nodes: &[NodeId]| nodes.iter().map(|node| node.0).collect::<Vec<u64>>();
        let mut conf = ConfState::default();
        conf.set_voters(ids(&self.voters));
        conf.set_learners(ids(&self.learners));
        conf.set_voters_outgoing(ids(&self.outgoing));
        conf.set_learners_next(ids(&self.learners_next));
        conf.auto_leave = self.auto_leave;
        conf
    }
}

impl MembersChange {
    pub fn one(step: MemberStep) -> Self {
        Self { steps: vec![step] }
    }

    pub fn leave_joint() -> Self {
        Self::default()
    }

    /// Reads what `to_protobuf` of this process wrote: what comes from peers
    /// and disk is in our own encoding and translated by `codec`.
    pub(super) fn from_protobuf(data: &Bytes) -> Self {
        let mut change = ConfChangeV2::default();
        change
            .merge_from_bytes(data)
            .expect("this process wrote it");
        let steps = change.changes.iter().map(|step| {
            let node = NodeId(step.node_id);
            match step.change_type {
                ConfChangeType::AddNode => MemberStep::Voter(node),
                ConfChangeType::AddLearnerNode => MemberStep::Learner(node),
                ConfChangeType::RemoveNode => MemberStep::Remove(node),
            }
        });
        Self {
            steps: steps.collect(),
        }
    }

    pub(super) fn to_protobuf(&self) -> Bytes {
        self.to_raft()
            .write_to_bytes()
            .expect("memory takes all bytes")
            .into()
    }

    /// The transition is left to the library: straight for one step, joint and
    /// left by itself for several.
    pub(super) fn to_raft(&self) -> ConfChangeV2 {
        let mut change = ConfChangeV2::default();
        for &step in &self.steps {
            let mut single = ConfChangeSingle::default();
            single.node_id = step.node().0;
            single.change_type = match step {
                MemberStep::Voter(_) => ConfChangeType::AddNode,
                MemberStep::Learner(_) => ConfChangeType::AddLearnerNode,
                MemberStep::Remove(_) => ConfChangeType::RemoveNode,
            };
            change.mut_changes().push(single);
        }
        change
    }
}
