//! The brokers: who is up, how it is reached, and on which disk it keeps what
//! it holds.

use super::command::{Announce, BrokerLife, Kept, Listener, Lost, StreamsRefused};
use super::nodes::{self, BROKER_DISKS, BROKER_IDS, BrokerRecord, DiskRecord, StreamsNode};
use super::{Unread, children, unread};
use crate::ids::{NodeId, SessionId, Uid, Zxid};
use crate::limits::{
    BROKER_LISTENERS_MAX, HOST_BYTES_MAX, LISTENER_NAME_BYTES_MAX, LOSSES_ANNOUNCED_MAX,
    RACK_BYTES_MAX,
};
use crate::planted;
use crate::state::node::{OwnerKind, Slot};
use crate::state::tree::Tree;
use std::collections::BTreeMap;

/// All that were ever up and are members still.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Brokers {
    pub(super) by_node: BTreeMap<NodeId, Broker>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Where it keeps what it holds, as it said when it was last up.
    pub disk: Uid,
    pub rack: Option<Box<str>>,
    pub up: Option<Up>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Up {
    /// With whose end it is down.
    pub session: SessionId,
    pub epoch: Zxid,
    pub listeners: Vec<Listener>,
}

impl Brokers {
    pub fn get(&self, node: NodeId) -> Option<&Broker> {
        self.by_node.get(&node)
    }

    pub fn iter(&self) -> impl Iterator<Item = (NodeId, &Broker)> {
        self.by_node.iter().map(|(&node, broker)| (node, broker))
    }

    pub fn count(&self) -> usize {
        self.by_node.len()
    }

    pub fn is_up(&self, node: NodeId) -> bool {
        self.get(node).is_some_and(|broker| broker.up.is_some())
    }

    /// The life in which a broker is up.
    pub fn life(&self, node: NodeId) -> Option<BrokerLife> {
        let up = self.get(node)?.up.as_ref()?;
        let epoch = up.epoch;
        Some(BrokerLife { node, epoch })
    }

    pub fn is_alive(&self, life: BrokerLife) -> bool {
        self.life(life.node) == Some(life) || (planted!(StaleLifeTrusted) && self.is_up(life.node))
    }

    /// Whose life hangs on the session.
    pub fn of_session(&self, session: SessionId) -> Option<NodeId> {
        let is_its = |broker: &Broker| broker.up.as_ref().is_some_and(|up| up.session == session);
        let mut all = self.iter();
        all.find(|(_, broker)| is_its(broker)).map(|(node, _)| node)
    }

    pub(super) fn read(tree: &Tree) -> Result<Self, Unread> {
        let mut brokers = Self::default();
        for (name, slot) in children(tree, BROKER_DISKS) {
            let node = numbered(BROKER_DISKS, name)?;
            let record = nodes::read::<DiskRecord>(&tree.node(slot).data);
            let read = record.and_then(DiskRecord::read);
            let (disk, rack) = read.ok_or_else(|| unread(StreamsNode::Disk(node)))?;
            let broker = Broker {
                disk,
                rack,
                up: None,
            };
            brokers.by_node.insert(node, broker);
        }
        for (name, slot) in children(tree, BROKER_IDS) {
            let node = numbered(BROKER_IDS, name)?;
            let up = read_up(tree, slot);
            let broker = brokers.by_node.get_mut(&node);
            let (Some(up), Some(broker)) = (up, broker) else {
                return Err(unread(StreamsNode::Broker(node)));
            };
            broker.up = Some(up);
        }
        Ok(brokers)
    }
}

fn numbered(folder: &str, name: &str) -> Result<NodeId, Unread> {
    let path = || format!("{folder}/{name}").into();
    let number = name.parse().map(NodeId);
    number.map_err(|_| Unread { path: path() })
}

fn read_up(tree: &Tree, slot: Slot) -> Option<Up> {
    let node = tree.node(slot);
    let OwnerKind::Session(session) = node.owner.kind() else {
        return None;
    };
    let (listeners, _) = nodes::read::<BrokerRecord>(&node.data)?.read()?;
    Some(Up {
        session,
        epoch: node.created_zxid,
        listeners,
    })
}

/// Whether an announcement can be kept and shown to clients, for whom a
/// broker's number has 31 bits.
pub(super) fn check(announce: &Announce) -> Result<(), StreamsRefused> {
    let fault = |what| Err(StreamsRefused::Announcement { what });
    let listeners = &announce.listeners;
    if let Kept::Less(Lost::In(logs)) = &announce.kept
        && logs.len() > LOSSES_ANNOUNCED_MAX
    {
        return fault("count of losses");
    }
    if announce.node.0 > i32::MAX as u64 {
        return fault("number");
    }
    if !(1..=BROKER_LISTENERS_MAX).contains(&listeners.len()) {
        return fault("count of listeners");
    }
    let is_named = |listener: &Listener| {
        let name = &*listener.name;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        (1..=LISTENER_NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_plain)
    };
    if !listeners.iter().all(is_named) {
        return fault("listener's name");
    }
    let twice =
        |(n, one): (usize, &Listener)| listeners[..n].iter().any(|two| two.name == one.name);
    if listeners.iter().enumerate().any(twice) {
        return fault("listener's name");
    }
    let is_reached = |listener: &Listener| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:%".contains(&byte);
        let host = &*listener.host;
        let is_host = (1..=HOST_BYTES_MAX).contains(&host.len()) && host.bytes().all(is_plain);
        is_host && listener.port > 0
    };
    if !listeners.iter().all(is_reached) {
        return fault("listener's address");
    }
    let is_rack =
        |rack: &str| (1..=RACK_BYTES_MAX).contains(&rack.len()) && !rack.contains(char::is_control);
    match announce.rack.as_deref().is_none_or(is_rack) {
        true => Ok(()),
        false => fault("rack"),
    }
}
