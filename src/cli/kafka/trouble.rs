//! Why a door did not do what was asked, and what to do next.

use crate::ports::kafka::messages::{ErrorCode, Text, Unread, Unwritten};
use std::fmt;
use std::io;
use std::time::Duration;

#[derive(Debug)]
pub enum Trouble {
    NobodyThere {
        address: String,
        error: io::Error,
        /// The cluster has answered before.
        was_there: bool,
    },
    /// The hands were not shaken.
    Tls {
        address: String,
        error: io::Error,
    },
    /// Before its first answer.
    HungUp {
        address: String,
        is_tls: bool,
    },
    /// Behind its first answer, without having heard who is asking.
    WantsLogin {
        address: String,
    },
    NotWhoItSays {
        why: String,
    },
    Silent {
        address: String,
        waited: Duration,
    },
    Lost {
        address: String,
        error: io::Error,
    },
    Unread {
        address: String,
        why: String,
    },
    /// What it speaks has no version in common with what is wanted.
    TooOld {
        address: String,
        api: &'static str,
    },
    Unsaid(Unwritten),
    /// A broker that the others name and nobody knows how to reach.
    NoBroker(i32),
    Refused {
        code: ErrorCode,
        why: Option<String>,
    },
}

impl Trouble {
    pub fn refused(code: ErrorCode, why: Option<&Text>) -> Self {
        let why = why.map(|why| (**why).to_owned());
        let why = why.filter(|why| !why.is_empty());
        Self::Refused { code, why }
    }

    pub fn unread(address: &str, why: Unread) -> Self {
        Self::Unread {
            address: address.into(),
            why: why.to_string(),
        }
    }

    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    pub fn is(&self, wanted: ErrorCode) -> bool {
        self.code() == Some(wanted)
    }

    /// Whether the same may go well in a moment: somebody else leads, or will.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Refused { code, .. } => passes(*code),
            Self::NobodyThere { was_there, .. } => *was_there,
            Self::Lost { .. } | Self::NoBroker(_) => true,
            _ => false,
        }
    }
}

/// Nothing came of it, and something may when it is asked again.
pub fn passes(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::LeaderNotAvailable
            | ErrorCode::NotLeaderOrFollower
            | ErrorCode::FencedLeaderEpoch
            | ErrorCode::UnknownLeaderEpoch
            | ErrorCode::OffsetNotAvailable
            | ErrorCode::ReplicaNotAvailable
            | ErrorCode::CoordinatorLoadInProgress
            | ErrorCode::CoordinatorNotAvailable
            | ErrorCode::NotCoordinator
            | ErrorCode::NotController
            | ErrorCode::NetworkException
            | ErrorCode::KafkaStorageError
            | ErrorCode::NotEnoughReplicas
            | ErrorCode::NotEnoughReplicasAfterAppend
            | ErrorCode::RequestTimedOut
            | ErrorCode::RebalanceInProgress
            | ErrorCode::UnstableOffsetCommit
            | ErrorCode::ConcurrentTransactions
    )
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NobodyThere {
                address,
                error,
                was_there: true,
            } => write!(
                f,
                "a node of the cluster does not answer on {address} ({error}): it may be down, \
                 which dolmen node list shows"
            ),
            Self::NobodyThere { address, error, .. } => write!(
                f,
                "no Kafka door answers on {address} ({error}): start a node (systemctl start \
                 dolmen, or dolmen dev), or name another with --bootstrap"
            ),
            Self::Tls { address, error } => write!(
                f,
                "no TLS with {address} ({error}): look at --tls-ca, and at --tls-name where the \
                 certificate has another name"
            ),
            Self::HungUp {
                address,
                is_tls: false,
            } => write!(
                f,
                "{address} hung up before its first answer: it may take TLS only, which --tls-ca \
                 speaks, or be no Kafka door"
            ),
            Self::HungUp { address, .. } => write!(
                f,
                "{address} hung up before its first answer: it may want a certificate \
                 (--tls-certificate), or be no Kafka door"
            ),
            Self::WantsLogin { address } => write!(
                f,
                "{address} hung up on somebody it does not know: log in with --user"
            ),
            Self::NotWhoItSays { why } => write!(f, "the login is refused: {why}"),
            Self::Silent { address, waited } => write!(
                f,
                "{address} took the question and did not answer in {} s: it may have no majority, \
                 which dolmen status shows there",
                waited.as_secs()
            ),
            Self::Lost { address, error } => write!(
                f,
                "the connection to {address} was lost ({error}): whether the last change was made \
                 is not known; look before typing it again"
            ),
            Self::Unread { address, why } => write!(
                f,
                "{address} answers in a form that is not Kafka's ({why}): is the port right?"
            ),
            Self::TooOld { address, api } => {
                write!(
                    f,
                    "{address} speaks no version of {api} that is spoken here"
                )
            }
            Self::Unsaid(unwritten) => write!(f, "it cannot be said to this door: {unwritten}"),
            Self::NoBroker(number) => write!(
                f,
                "the cluster names node {number} and not where it is reached: it may be down, \
                 which dolmen node list shows"
            ),
            Self::Refused { code, why } => {
                match why {
                    Some(why) => write!(f, "{} ({})", why.trim_end_matches('.'), named(*code))?,
                    None => write!(f, "{} ({})", code.sentence(), named(*code))?,
                }
                match next(*code) {
                    Some(next) => write!(f, "; {next}"),
                    None => Ok(()),
                }
            }
        }
    }
}

fn named(code: ErrorCode) -> String {
    match code {
        ErrorCode::Unnamed(number) => format!("error {number}"),
        code => code.name().into(),
    }
}

/// What to do, where there is something.
fn next(code: ErrorCode) -> Option<&'static str> {
    Some(match code {
        ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId => {
            "dolmen topic list shows which there are"
        }
        ErrorCode::TopicAlreadyExists => "dolmen topic alter changes it",
        ErrorCode::InvalidReplicationFactor => {
            "ask for fewer --replicas, or bring up more nodes: dolmen node list shows them"
        }
        ErrorCode::InvalidConfig => "dolmen topic describe --all shows the settings of a topic",
        ErrorCode::RequestTimedOut | ErrorCode::NotController => {
            "the cluster may have no majority: dolmen status shows it. Look whether it was done \
             before typing it again"
        }
        ErrorCode::NotEnoughReplicas | ErrorCode::NotEnoughReplicasAfterAppend => {
            "too few of its nodes are up: dolmen topic describe shows which"
        }
        ErrorCode::LeaderNotAvailable | ErrorCode::NotLeaderOrFollower => {
            "none of its nodes leads it: dolmen topic describe shows which are up"
        }
        ErrorCode::CoordinatorNotAvailable => {
            "too few nodes may be up: dolmen node list shows them"
        }
        ErrorCode::TopicAuthorizationFailed
        | ErrorCode::GroupAuthorizationFailed
        | ErrorCode::ClusterAuthorizationFailed => "--user says who is asking",
        ErrorCode::NonEmptyGroup | ErrorCode::UnknownMemberId => "stop its consumers first",
        ErrorCode::GroupIdNotFound => "dolmen topic groups shows which there are",
        ErrorCode::GroupSubscribedToTopic => "stop the consumers that read it first",
        ErrorCode::MessageTooLarge => "max.message.bytes of the topic says how large one may be",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_the_door_s_own_words_or_the_code_s_with_what_to_do() {
        let why = Text::from("the replicas are 3 where 1 brokers are up.");
        let refused = Trouble::refused(ErrorCode::InvalidReplicationFactor, Some(&why));
        assert_eq!(
            refused.to_string(),
            "the replicas are 3 where 1 brokers are up (INVALID_REPLICATION_FACTOR); ask for \
             fewer --replicas, or bring up more nodes: dolmen node list shows them"
        );
        let empty = Trouble::refused(ErrorCode::InvalidRecord, Some(&Text::from("")));
        assert_eq!(
            empty.to_string(),
            "a record breaks a rule of its topic (INVALID_RECORD)"
        );
        let unknown = Trouble::refused(ErrorCode::Unnamed(999), None).to_string();
        assert!(unknown.ends_with("(error 999)"), "{unknown}");
    }

    #[test]
    fn what_passes_is_asked_again_and_what_is_wrong_is_not() {
        assert!(Trouble::refused(ErrorCode::NotLeaderOrFollower, None).is_passing());
        assert!(Trouble::NoBroker(3).is_passing());
        for code in [
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::OutOfOrderSequenceNumber,
            ErrorCode::TopicAuthorizationFailed,
        ] {
            assert!(!Trouble::refused(code, None).is_passing(), "{code}");
        }
    }
}
