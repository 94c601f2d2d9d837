//! What operators see of the group.

use super::{Classic, Member, Phase, Subscribed, topics_of};
use crate::streams::groups::request::{Described, DescribedMember};
use crate::streams::groups::{Blob, Name};

/// The protocol type whose metadata names topics.
const CONSUMER: &str = "consumer";

impl Classic {
    pub(in crate::streams::groups) fn described(&self) -> Described {
        let is_stable = matches!(self.phase, Phase::Stable { .. });
        let member_shown = |(id, member): (&Name, &Member)| DescribedMember {
            id: id.clone(),
            instance: member.instance.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            metadata: match is_stable {
                true => member.metadata(self.protocol.as_ref()),
                false => Blob::from([]),
            },
            assignment: match is_stable {
                true => member.assignment.clone(),
                false => Blob::from([]),
            },
        };
        Described {
            state: self.state(),
            protocol_type: self.protocol_type_shown(),
            protocol: match is_stable {
                true => self.protocol.clone().unwrap_or_default(),
                false => Name::default(),
            },
            members: self.members.iter().map(member_shown).collect(),
        }
    }

    pub(in crate::streams::groups) fn protocol_type_shown(&self) -> Name {
        self.protocol_type.clone().unwrap_or_default()
    }

    /// Which topics the members read, as far as their metadata says it.
    pub(in crate::streams::groups) fn subscribed(&self) -> Subscribed {
        let is_chosen = matches!(self.phase, Phase::Syncing { .. } | Phase::Stable { .. });
        if self.has_no_members() {
            return Subscribed::To(Default::default());
        }
        if self.protocol_type.as_deref() != Some(CONSUMER) || !is_chosen {
            return Subscribed::Unknown;
        }
        let mut topics = std::collections::BTreeSet::new();
        for member in self.members.values() {
            match topics_of(&member.metadata(self.protocol.as_ref())) {
                Some(its) => topics.extend(its),
                None => return Subscribed::Unknown,
            }
        }
        Subscribed::To(topics)
    }

    /// Its members' metadata names topics.
    pub(in crate::streams::groups) fn is_of_consumers(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER)
    }
}
