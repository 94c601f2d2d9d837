//! The group from its records.

use super::{Consumer, Member, erase_member};
use crate::streams::groups::Name;
use crate::streams::groups::ledger::MemberImage;
use crate::streams::groups::partitions::Partitions;
use crate::streams::groups::record::{ConsumerImage, Standing};
use crate::streams::groups::turn::Turn;
use std::collections::BTreeMap;

impl Consumer {
    /// As the last coordinator left it; every member has its whole time from
    /// now. Records of a member that did not say what it is are of none.
    pub(in crate::streams::groups) fn read_back(
        turn: &mut Turn,
        group: &Name,
        image: ConsumerImage,
        members: BTreeMap<Name, MemberImage>,
    ) -> Self {
        let mut consumer = Self::after(image.epoch, image.emptied_at);
        for (id, member) in members {
            let Some(about) = member.about else {
                erase_member(turn, group, &id);
                continue;
            };
            if let Some(instance) = &about.instance {
                consumer.instances.insert(instance.clone(), id.clone());
            }
            consumer.move_owner(&id, &Standing::default(), &member.standing);
            let is_revoking = member.standing.revoking != Partitions::default();
            let member = Member {
                revoked_until: is_revoking.then(|| turn.after_ms(about.rebalance_ms)),
                about,
                target: member.target,
                standing: member.standing,
                lives_until: turn.after_ms(turn.settings.session_ms_of(group)),
            };
            consumer.members.insert(id, member);
        }
        consumer.watch_patterns(turn, group);
        consumer
    }
}
