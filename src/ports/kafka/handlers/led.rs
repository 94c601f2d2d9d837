//! Which partition a request means, whether this node is the one to ask, and
//! whom to ask instead.

use super::Call;
use crate::ids::{NodeId, PartitionId, TopicId};
use crate::ports::kafka::messages::{ErrorCode, Text, Uuid};
use crate::state::topics::{Topic, Topics};
use crate::streams::partition::LeaderEpoch;
use crate::streams::{Key, View};
use std::sync::Arc;

/// No leader epoch was named.
pub const NO_EPOCH: i32 = -1;

/// Why another is to be asked, or nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotLed {
    pub code: ErrorCode,
    /// Who leads and since when, where this node knows better than the client.
    pub leader: Option<(NodeId, LeaderEpoch)>,
}

impl From<ErrorCode> for NotLed {
    fn from(code: ErrorCode) -> Self {
        Self { code, leader: None }
    }
}

impl From<TopicId> for Uuid {
    fn from(id: TopicId) -> Self {
        Self(id.0)
    }
}

impl From<Uuid> for TopicId {
    fn from(id: Uuid) -> Self {
        Self(id.0)
    }
}

impl Call {
    /// A partition of a topic, by its number, if this node leads it. A client
    /// that names an epoch is told where that is not the current one.
    pub fn led(&self, topic: &Topic, index: i32, epoch: i32) -> Result<Arc<View>, NotLed> {
        let number = u32::try_from(index).map(PartitionId);
        let known = number.ok().and_then(|number| {
            let partition = topic.partition(number)?;
            Some((number, partition))
        });
        let Some((number, partition)) = known else {
            return Err(ErrorCode::UnknownTopicOrPartition.into());
        };
        let own = self.door.site.node;
        let leader = partition.leader.filter(|&leader| leader != own);
        let leader = leader.map(|leader| (leader, partition.leader_epoch));
        let (code, topic) = (ErrorCode::NotLeaderOrFollower, topic.id);
        let key = Key {
            topic,
            partition: number,
        };
        let Some(view) = self.door.streams.view(key) else {
            return Err(NotLed { code, leader });
        };
        check_epoch(epoch, view.leader_epoch()).map_err(|code| NotLed { code, leader })?;
        match view.leads() {
            true => Ok(view),
            false => Err(NotLed { code, leader }),
        }
    }

    /// Where a broker is reached by who came the way of this call, as Kafka's
    /// answers name it beside a new leader.
    pub fn endpoint(&self, topics: &Topics, node: NodeId) -> Option<Endpoint> {
        let broker = topics.brokers().get(node)?;
        let mut listeners = broker.up.as_ref()?.listeners.iter();
        let listener = listeners.find(|listener| *listener.name == *self.listener)?;
        Some(Endpoint {
            node: told(node),
            host: Text::from(&*listener.host),
            port: listener.port.into(),
            rack: broker.rack.as_deref().map(Text::from),
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub node: i32,
    pub host: Text,
    pub port: i32,
    pub rack: Option<Text>,
}

/// A broker's number as clients know it. Nobody is announced who has a larger
/// one.
pub fn told(node: NodeId) -> i32 {
    i32::try_from(node.0).unwrap_or(-1)
}

fn check_epoch(named: i32, current: LeaderEpoch) -> Result<(), ErrorCode> {
    match named {
        NO_EPOCH => Ok(()),
        named if named < current => Err(ErrorCode::FencedLeaderEpoch),
        named if named > current => Err(ErrorCode::UnknownLeaderEpoch),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_that_is_named_is_the_current_one() {
        for (named, current, expected) in [
            (NO_EPOCH, 5, Ok(())),
            (5, 5, Ok(())),
            (4, 5, Err(ErrorCode::FencedLeaderEpoch)),
            (0, 5, Err(ErrorCode::FencedLeaderEpoch)),
            (6, 5, Err(ErrorCode::UnknownLeaderEpoch)),
        ] {
            assert_eq!(check_epoch(named, current), expected, "{named}");
        }
    }
}
