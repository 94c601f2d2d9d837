//! What operators see of the group.

use super::{Consumer, Member};
use crate::streams::groups::Name;
use crate::streams::groups::request::{ConsumerDescribed, DescribedConsumer, GroupState};

impl Consumer {
    pub(in crate::streams::groups) fn state(&self) -> GroupState {
        let has_arrived = |member: &Member| {
            let standing = &member.standing;
            standing.epoch == self.epoch
                && standing.revoking.is_empty()
                && standing.assigned == member.target
        };
        if self.has_no_members() {
            GroupState::Empty
        } else if !self.is_resolved() {
            GroupState::Assigning
        } else if self.members.values().all(has_arrived) {
            GroupState::Stable
        } else {
            GroupState::Reconciling
        }
    }

    pub(in crate::streams::groups) fn described(&self) -> ConsumerDescribed {
        let member_shown = |(id, member): (&Name, &Member)| DescribedConsumer {
            id: id.clone(),
            epoch: member.standing.epoch,
            about: member.about.clone(),
            assigned: member.standing.assigned.clone(),
            target: member.target.clone(),
        };
        ConsumerDescribed {
            state: self.state(),
            epoch: self.epoch,
            assignor: self.assignor().name(),
            members: self.members.iter().map(member_shown).collect(),
        }
    }
}
