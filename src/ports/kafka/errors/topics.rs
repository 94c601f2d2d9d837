//! Why nothing comes of a request about the cluster and its topics, as Kafka's
//! codes and in words.

use crate::limits::KAFKA_WHY_BYTES_MAX;
use crate::ports::kafka::messages::{ErrorCode, Text};
use crate::state::topics::{SettingFault, StreamsRefused, Unfit};
use std::fmt;

/// What a client is told instead of what it asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: ErrorCode,
    pub why: Text,
}

impl Refusal {
    pub fn new(code: ErrorCode, why: impl fmt::Display) -> Self {
        let why = in_words(why);
        Self { code, why }
    }

    /// As answers have it: a code, and words where there is more to say.
    pub fn said(refusal: Option<Self>) -> (ErrorCode, Option<Text>) {
        match refusal {
            Some(refusal) => (refusal.code, Some(refusal.why)),
            None => (ErrorCode::None, None),
        }
    }
}

/// Where the code says it all.
impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self::new(code, code.sentence())
    }
}

impl From<StreamsRefused> for Refusal {
    fn from(refused: StreamsRefused) -> Self {
        Self::new(ErrorCode::from(&refused), refused)
    }
}

impl From<SettingFault> for Refusal {
    fn from(fault: SettingFault) -> Self {
        Self::new(ErrorCode::from(&fault), fault)
    }
}

/// Not longer than an answer can say, however long the word is that it quotes.
pub fn in_words(why: impl fmt::Display) -> Text {
    const MORE: &str = " ...";
    let mut why = why.to_string();
    if why.len() > KAFKA_WHY_BYTES_MAX {
        let end = why.floor_char_boundary(KAFKA_WHY_BYTES_MAX - MORE.len());
        why.truncate(end);
        why.push_str(MORE);
    }
    why.into()
}

impl From<&StreamsRefused> for ErrorCode {
    fn from(refused: &StreamsRefused) -> Self {
        use StreamsRefused as Refused;
        match refused {
            Refused::Name(_) | Refused::Collides { .. } => Self::InvalidTopicException,
            Refused::TopicExists => Self::TopicAlreadyExists,
            Refused::UnknownTopic | Refused::UnknownPartition => Self::UnknownTopicOrPartition,
            Refused::UnknownTopicId => Self::UnknownTopicId,
            Refused::NoPartitions | Refused::NotMorePartitions { .. } => Self::InvalidPartitions,
            Refused::Factor { .. } => Self::InvalidReplicationFactor,
            Refused::Assignment(_) | Refused::NoneInSync => Self::InvalidReplicaAssignment,
            Refused::Setting(fault) => fault.into(),
            Refused::TopicsMax
            | Refused::PartitionsPerTopicMax { .. }
            | Refused::PartitionsMax { .. }
            | Refused::NoRoom
            | Refused::GroupsOverriddenMax => Self::PolicyViolation,
            Refused::TopicId
            | Refused::GroupName { .. }
            | Refused::NamedMax { .. }
            | Refused::NotLeader
            | Refused::NotAnInSyncSet
            | Refused::BelowFloor { .. } => Self::InvalidRequest,
            Refused::StaleBroker { .. } => Self::StaleBrokerEpoch,
            Refused::FencedLeaderEpoch { .. } => Self::FencedLeaderEpoch,
            Refused::StalePartitionEpoch { .. } => Self::InvalidUpdateVersion,
            Refused::Ahead => Self::NotController,
            Refused::Ineligible { .. } => Self::IneligibleReplica,
            Refused::ElectionNotNeeded => Self::ElectionNotNeeded,
            Refused::PreferredNotAvailable => Self::PreferredLeaderNotAvailable,
            Refused::NobodyEligible => Self::EligibleLeadersNotAvailable,
            Refused::NoReassignment => Self::NoReassignmentInProgress,
            // The first three are said of a broker's own announcement, which
            // comes by no door.
            Refused::NoSession
            | Refused::NoMember { .. }
            | Refused::Announcement { .. }
            | Refused::NoProducerIds => Self::UnknownServerError,
        }
    }
}

impl From<&SettingFault> for ErrorCode {
    fn from(fault: &SettingFault) -> Self {
        match fault.why {
            Unfit::Twice | Unfit::TooMany | Unfit::OfAllBrokers => Self::InvalidRequest,
            Unfit::Unknown
            | Unfit::NotOf(_)
            | Unfit::Heartbeat
            | Unfit::TooLong { .. }
            | Unfit::NotA(_)
            | Unfit::NotAList
            | Unfit::NotHere
            | Unfit::Lags => Self::InvalidConfig,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::NodeId;
    use crate::state::topics::{AssignmentFault, NameFault};

    #[test]
    fn every_refusal_has_its_code_and_its_words() {
        use StreamsRefused as Refused;
        let node = NodeId(7);
        let setting = |why| {
            let name = "retention.ms".into();
            Refused::Setting(SettingFault { name, why })
        };
        for (refused, code, words) in [
            (Refused::Name(NameFault::Dots), 17, "no names of topics"),
            (Refused::Collides { with: "a_b".into() }, 17, "a_b"),
            (Refused::TopicExists, 36, "there is a topic"),
            (Refused::TopicId, 42, "draw another"),
            (Refused::UnknownTopic, 3, "of this name"),
            (Refused::UnknownTopicId, 100, "of this id"),
            (Refused::UnknownPartition, 3, "no such partition"),
            (Refused::NoPartitions, 37, "at least one"),
            (Refused::NotMorePartitions { has: 4, asked: 3 }, 37, "has 4"),
            (
                Refused::Factor {
                    asked: 3,
                    brokers: 1,
                },
                38,
                "1 brokers",
            ),
            (
                Refused::Assignment(AssignmentFault::NoBroker { node }),
                39,
                "no broker 7",
            ),
            (setting(Unfit::Unknown), 40, "no setting of a topic"),
            (
                setting(Unfit::NotOf("a group")),
                40,
                "that a group can be given",
            ),
            (setting(Unfit::OfAllBrokers), 42, "the same on all brokers"),
            (setting(Unfit::Heartbeat), 40, "is not below"),
            (setting(Unfit::NotAList), 40, "no list"),
            (setting(Unfit::Twice), 42, "named twice"),
            (setting(Unfit::TooMany), 42, "settings are named"),
            (Refused::TopicsMax, 44, "topics are the most"),
            (Refused::PartitionsPerTopicMax { asked: 2000 }, 44, "2000"),
            (Refused::PartitionsMax { asked: 20_000 }, 44, "20000"),
            (Refused::NoRoom, 44, "full"),
            (Refused::GroupsOverriddenMax, 44, "of their own"),
            (Refused::GroupName { bytes: 0 }, 42, "not 0"),
            (Refused::NamedMax { named: 2000 }, 42, "2000"),
            (Refused::NoSession, -1, "session"),
            (Refused::NoMember { node }, -1, "no member"),
            (Refused::Announcement { what: "rack" }, -1, "rack"),
            (Refused::StaleBroker { node }, 77, "broker 7"),
            (Refused::FencedLeaderEpoch { current: 5 }, 74, "5"),
            (Refused::StalePartitionEpoch { current: 6 }, 95, "6"),
            (Refused::Ahead, 41, "to come"),
            (Refused::NotLeader, 42, "another leads"),
            (Refused::NotAnInSyncSet, 42, "in-sync set"),
            (Refused::Ineligible { node }, 107, "caught up"),
            (Refused::BelowFloor { floor: 2 }, 42, "fewer than 2"),
            (Refused::ElectionNotNeeded, 84, "such a leader"),
            (Refused::PreferredNotAvailable, 80, "first replica"),
            (Refused::NobodyEligible, 83, "may lead"),
            (Refused::NoReassignment, 85, "not being reassigned"),
            (Refused::NoneInSync, 39, "in sync"),
            (Refused::NoProducerIds, -1, "used up"),
        ] {
            let refusal = Refusal::from(refused.clone());
            assert_eq!(refusal.code.number(), code, "{refused:?}");
            assert!(refusal.why.contains(words), "{refused:?}: {}", refusal.why);
        }
    }

    #[test]
    fn what_a_client_sent_does_not_make_an_answer_that_cannot_be_sent() {
        let why = Unfit::Unknown;
        for name in ["x".repeat(40_000), "é".repeat(20_000)] {
            let name = name.into();
            let refusal = Refusal::from(SettingFault { name, why });
            assert!(
                (KAFKA_WHY_BYTES_MAX - 8..=KAFKA_WHY_BYTES_MAX)
                    .contains(&refusal.why.as_ref().len())
            );
            assert!(refusal.why.ends_with(" ..."));
        }
        let short = Refusal::new(ErrorCode::InvalidConfig, "short");
        assert_eq!(short.why, "short");
    }
}
