//! Settings as Kafka's clients know them: whose they are, where each value comes
//! from, and what it may be.

mod alter;
mod broker;
mod group;
mod topic;

pub(super) use alter::{Alter, alter_each};
pub(super) use broker::{broker_entries, broker_named, set_entries};
pub(super) use group::group_entries;
pub(super) use topic::topic_entries;

use super::Call;
use crate::ports::kafka::access::{Operation, Resource};
use crate::ports::kafka::errors::Refusal;
use crate::ports::kafka::messages::{ErrorCode, Text};

/// Whose settings are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Topic,
    Broker,
    BrokerLogger,
    ClientMetrics,
    Group,
}

impl Owner {
    pub(super) fn of(number: i8) -> Result<Self, Refusal> {
        match number {
            2 => Ok(Self::Topic),
            4 => Ok(Self::Broker),
            8 => Ok(Self::BrokerLogger),
            16 => Ok(Self::ClientMetrics),
            32 => Ok(Self::Group),
            other => Err(Refusal::new(
                ErrorCode::InvalidRequest,
                format_args!("{other} is no kind of thing that has settings"),
            )),
        }
    }

    /// Whether the client may look at its settings, or alter them.
    pub(super) fn check_may(
        self,
        call: &Call,
        operation: Operation,
        name: &str,
    ) -> Result<(), Refusal> {
        let (resource, code) = match self {
            Self::Topic => (Resource::Topic(name), ErrorCode::TopicAuthorizationFailed),
            Self::Group => (Resource::Group(name), ErrorCode::GroupAuthorizationFailed),
            Self::Broker | Self::BrokerLogger | Self::ClientMetrics => {
                (Resource::Cluster, ErrorCode::ClusterAuthorizationFailed)
            }
        };
        match call.may(operation, resource) {
            true => Ok(()),
            false => Err(code.into()),
        }
    }
}

/// One setting with its value.
pub(super) struct Entry {
    pub name: Text,
    pub value: Option<Text>,
    pub kind: Kind,
    pub source: Source,
    pub is_read_only: bool,
    /// Where the value comes from, the nearest first.
    pub synonyms: Vec<Synonym>,
    pub doc: Text,
}

pub(super) struct Synonym {
    pub name: Text,
    pub value: Option<Text>,
    pub source: Source,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Topic,
    /// Said of all brokers while they run.
    Brokers,
    /// The file of the broker's settings.
    File,
    Default,
    Group,
}

impl Source {
    pub(super) fn number(self) -> i8 {
        match self {
            Self::Topic => 1,
            Self::Brokers => 3,
            Self::File => 4,
            Self::Default => 5,
            Self::Group => 8,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Boolean,
    Text,
    Int,
    Long,
    Double,
    List,
}

impl Kind {
    pub(super) fn number(self) -> i8 {
        match self {
            Self::Boolean => 1,
            Self::Text => 2,
            Self::Int => 3,
            Self::Long => 5,
            Self::Double => 6,
            Self::List => 7,
        }
    }
}
