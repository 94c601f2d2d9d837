//! Which brokers there are for a client, and how it reaches them.

use super::Call;
use crate::ids::NodeId;
use crate::ports::kafka::messages::Text;
use crate::state::topics::{Broker, Brokers, Listener};

/// Nobody, where a broker's number is asked for.
pub const NOBODY: i32 = -1;

/// A broker as clients are told of it.
pub struct Reached {
    pub number: i32,
    pub host: Text,
    pub port: i32,
    pub rack: Option<Text>,
}

/// A broker's number has 31 bits, or the state does not take it.
pub fn number(node: NodeId) -> i32 {
    node.0 as i32
}

pub fn numbers(nodes: &[NodeId]) -> Vec<i32> {
    nodes.iter().copied().map(number).collect()
}

pub fn text(text: &str) -> Text {
    text.into()
}

impl Call {
    /// The brokers that are up.
    pub fn reached(&self, brokers: &Brokers) -> Vec<Reached> {
        let each = brokers.iter();
        let reached = each.filter_map(|(node, broker)| {
            let listener = self.listener_of(broker)?;
            Some(Reached {
                number: number(node),
                host: text(&listener.host),
                port: listener.port.into(),
                rack: broker.rack.as_deref().map(text),
            })
        });
        reached.collect()
    }

    /// The listener by whose like the client came, which it can surely reach; else
    /// the first. None where the broker is down.
    fn listener_of<'a>(&self, broker: &'a Broker) -> Option<&'a Listener> {
        let listeners = &broker.up.as_ref()?.listeners;
        let mut all = listeners.iter();
        let same = all.find(|listener| *listener.name == *self.listener);
        same.or(listeners.first())
    }

    /// Whom admin clients send their requests to. Any broker answers them, so it
    /// is the one to which the client is connected already.
    pub fn controller(&self, brokers: &Brokers) -> i32 {
        let own = self.door.site.node;
        let mut up = brokers.iter().filter(|(_, broker)| broker.up.is_some());
        let some = match brokers.is_up(own) {
            true => Some(own),
            false => up.next().map(|(node, _)| node),
        };
        some.map_or(NOBODY, number)
    }
}
