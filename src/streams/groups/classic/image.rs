//! The group as a record, and back.

use super::{Classic, Member, Phase};
use crate::streams::groups::Name;
use crate::streams::groups::record::{ClassicImage, ClassicMember, Of, Value};
use crate::streams::groups::turn::Turn;

impl Classic {
    pub(super) fn write(&self, turn: &mut Turn, group: &Name) {
        turn.write(group, Of::Head, Value::Classic(self.image()));
    }

    fn image(&self) -> ClassicImage {
        let member_image = |(id, member): (&Name, &Member)| ClassicMember {
            id: id.clone(),
            instance: member.instance.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            session_ms: member.session_ms,
            rebalance_ms: member.rebalance_ms,
            protocols: member.protocols.clone(),
            assignment: member.assignment.clone(),
        };
        ClassicImage {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            is_assigned: matches!(self.phase, Phase::Stable { .. }),
            emptied_at: self.emptied_at,
            members: self.members.iter().map(member_image).collect(),
        }
    }

    /// As the last coordinator left it. Nobody knows when its members were last
    /// heard of, so each has its whole time from now.
    pub(in crate::streams::groups) fn read_back(turn: &Turn, image: ClassicImage) -> Self {
        let instance_of = |member: &ClassicMember| {
            let instance = member.instance.clone()?;
            Some((instance, member.id.clone()))
        };
        let instances = image.members.iter().filter_map(instance_of).collect();
        let slowest = image.members.iter().map(|member| member.rebalance_ms).max();
        let phase = match (slowest, image.is_assigned) {
            (None, _) => Phase::Empty,
            (Some(_), true) => Phase::Stable { until: None },
            (Some(ms), false) => Phase::Syncing {
                until: turn.after_ms(ms),
            },
        };
        let member = |image: ClassicMember, has_synced: bool| Member {
            instance: image.instance,
            client_id: image.client_id,
            client_host: image.client_host,
            session_ms: image.session_ms,
            rebalance_ms: image.rebalance_ms,
            protocols: image.protocols,
            assignment: image.assignment,
            lives_until: turn.after_ms(image.session_ms),
            joining: None,
            syncing: None,
            has_synced,
            is_new: false,
        };
        let members = (image.members.into_iter())
            .map(|it| (it.id.clone(), member(it, image.is_assigned)))
            .collect();
        Self {
            generation: image.generation,
            protocol_type: image.protocol_type,
            protocol: image.protocol,
            leader: image.leader,
            phase,
            members,
            expected: Default::default(),
            instances,
            emptied_at: image.emptied_at,
        }
    }
}
