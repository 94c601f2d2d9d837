//! The nodes of the tree that are the truth about brokers and topics, in the
//! shape in which Kafka kept them in ZooKeeper, under /dolmen/streams:
//!
//! ```text
//! brokers/ids/N                       up, and how it is reached; goes with its session
//! brokers/disks/N                     the disk that it had when it was last up
//! brokers/topics/NAME                 id, and the replicas of each partition
//! brokers/topics/NAME/partitions/P/state   leader, leader epoch, in-sync set;
//!                                     the node's version is the partition epoch
//! config/topics/NAME                  what is set; may be written by `super`
//! config/brokers, config/groups       what brokers and groups are given: one node
//!                                     for all, as a group's name may be any text
//! latest_producer_id_block            the block that was handed out last
//! access/users, acls, quotas          who may do what; only `super` may read them
//! ```

use super::access::Shelf;
use super::command::{Listener, Security};
use super::partition::Partition;
use super::settings::TopicSettings;
use crate::ids::{NodeId, PartitionId, TopicId, Uid};
use crate::state::paths::STREAMS;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Folders that are there as soon as anything is, parents first.
pub const FOLDERS: [&str; 7] = [
    STREAMS,
    BROKERS,
    BROKER_IDS,
    BROKER_DISKS,
    TOPICS,
    CONFIG,
    TOPIC_SETTINGS,
];
pub const BROKERS: &str = "/dolmen/streams/brokers";
pub const BROKER_IDS: &str = "/dolmen/streams/brokers/ids";
pub const BROKER_DISKS: &str = "/dolmen/streams/brokers/disks";
pub const TOPICS: &str = "/dolmen/streams/brokers/topics";
pub const CONFIG: &str = "/dolmen/streams/config";
pub const TOPIC_SETTINGS: &str = "/dolmen/streams/config/topics";
pub const BROKER_SETTINGS: &str = "/dolmen/streams/config/brokers";
pub const GROUP_SETTINGS: &str = "/dolmen/streams/config/groups";
/// Not among the folders: it is closed (`access::nodes`).
pub const ACCESS: &str = "/dolmen/streams/access";
pub const PRODUCER_IDS: &str = "/dolmen/streams/latest_producer_id_block";

/// What a node under /dolmen/streams is about. Whoever follows the changes of
/// the tree learns by this which broker, topic or partition has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamsNode<'a> {
    Broker(NodeId),
    Disk(NodeId),
    Topic(&'a str),
    Partition(&'a str, PartitionId),
    Settings(&'a str),
    BrokerSettings,
    GroupSettings,
    ProducerIds,
    Access(Shelf),
}

impl<'a> StreamsNode<'a> {
    pub fn of(path: &'a str) -> Option<Self> {
        let number = |text: &str| text.parse().ok().map(NodeId);
        match path {
            PRODUCER_IDS => return Some(Self::ProducerIds),
            BROKER_SETTINGS => return Some(Self::BrokerSettings),
            GROUP_SETTINGS => return Some(Self::GroupSettings),
            _ => {}
        }
        if let Some(shelf) = Shelf::of(path) {
            return Some(Self::Access(shelf));
        }
        let below = |top| path.strip_prefix(top)?.strip_prefix('/');
        if let Some(name) = below(BROKER_IDS) {
            return number(name).map(Self::Broker);
        }
        if let Some(name) = below(BROKER_DISKS) {
            return number(name).map(Self::Disk);
        }
        if let Some(name) = below(TOPIC_SETTINGS) {
            return (!name.contains('/')).then_some(Self::Settings(name));
        }
        let (name, rest) = match below(TOPICS)?.split_once('/') {
            None => return below(TOPICS).map(Self::Topic),
            Some(parts) => parts,
        };
        let partition = rest.strip_prefix("partitions/")?.strip_suffix("/state")?;
        let partition = partition.parse().ok().map(PartitionId)?;
        Some(Self::Partition(name, partition))
    }

    pub fn path(&self) -> String {
        match self {
            Self::Broker(node) => format!("{BROKER_IDS}/{node}"),
            Self::Disk(node) => format!("{BROKER_DISKS}/{node}"),
            Self::Topic(name) => format!("{TOPICS}/{name}"),
            Self::Partition(name, partition) => {
                format!("{TOPICS}/{name}/partitions/{partition}/state")
            }
            Self::Settings(name) => format!("{TOPIC_SETTINGS}/{name}"),
            Self::BrokerSettings => BROKER_SETTINGS.into(),
            Self::GroupSettings => GROUP_SETTINGS.into(),
            Self::ProducerIds => PRODUCER_IDS.into(),
            Self::Access(shelf) => shelf.path().into(),
        }
    }
}

/// Read from a node, or written to one: numbers of nodes by partition.
type NodesOf = BTreeMap<u32, Vec<u64>>;

pub fn bytes<T: Serialize>(record: &T) -> Vec<u8> {
    serde_json::to_vec(record).expect("numbers and texts always become JSON")
}

pub fn read<'a, T: Deserialize<'a>>(data: &'a [u8]) -> Option<T> {
    serde_json::from_slice(data).ok()
}

#[derive(Debug, Serialize, Deserialize)]
pub struct BrokerRecord {
    version: u32,
    host: String,
    port: u16,
    /// Kafka's tools look for it: there is no Java here to be looked into.
    jmx_port: i32,
    timestamp: String,
    endpoints: Vec<String>,
    listener_security_protocol_map: BTreeMap<String, String>,
    features: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rack: Option<Box<str>>,
}

impl BrokerRecord {
    pub fn of(now_ms: u64, listeners: &[Listener], rack: &Option<Box<str>>) -> Self {
        let endpoint = |listener: &Listener| {
            let host = match listener.host.contains(':') {
                true => format!("[{}]", listener.host),
                false => listener.host.to_string(),
            };
            format!("{}://{host}:{}", listener.name, listener.port)
        };
        let pair = |listener: &Listener| {
            let name = listener.name.to_string();
            (name, listener.security.name().into())
        };
        let first = listeners.first();
        Self {
            version: 5,
            host: first.map_or(String::new(), |first| first.host.to_string()),
            port: first.map_or(0, |first| first.port),
            jmx_port: -1,
            timestamp: now_ms.to_string(),
            endpoints: listeners.iter().map(endpoint).collect(),
            listener_security_protocol_map: listeners.iter().map(pair).collect(),
            features: BTreeMap::new(),
            rack: rack.clone(),
        }
    }

    pub fn read(self) -> Option<(Vec<Listener>, Option<Box<str>>)> {
        let listener = |endpoint: &String| {
            let (name, at) = endpoint.split_once("://")?;
            let (host, port) = at.rsplit_once(':')?;
            let inside = host
                .strip_prefix('[')
                .and_then(|host| host.strip_suffix(']'));
            let security = self.listener_security_protocol_map.get(name)?;
            Some(Listener {
                name: name.into(),
                security: Security::named(security)?,
                host: inside.unwrap_or(host).into(),
                port: port.parse().ok()?,
            })
        };
        let listeners = self.endpoints.iter().map(listener);
        Some((listeners.collect::<Option<_>>()?, self.rack))
    }
}

impl Security {
    const ALL: [Self; 4] = [
        Self::Plaintext,
        Self::Ssl,
        Self::SaslPlaintext,
        Self::SaslSsl,
    ];

    /// As Kafka calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
        }
    }

    pub fn of(is_encrypted: bool, needs_sasl: bool) -> Self {
        match (is_encrypted, needs_sasl) {
            (false, false) => Self::Plaintext,
            (true, false) => Self::Ssl,
            (false, true) => Self::SaslPlaintext,
            (true, true) => Self::SaslSsl,
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub struct DiskRecord {
    version: u32,
    disk: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rack: Option<Box<str>>,
}

impl DiskRecord {
    pub fn of(disk: Uid, rack: &Option<Box<str>>) -> Self {
        Self {
            version: 1,
            disk: disk.to_string(),
            rack: rack.clone(),
        }
    }

    pub fn read(self) -> Option<(Uid, Option<Box<str>>)> {
        Some((Uid::parse(&self.disk)?, self.rack))
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub struct TopicRecord {
    version: u32,
    topic_id: String,
    partitions: NodesOf,
    adding_replicas: NodesOf,
    removing_replicas: NodesOf,
}

impl TopicRecord {
    pub fn of(id: TopicId, partitions: &[Partition]) -> Self {
        let list = |of: fn(&Partition) -> &Vec<NodeId>| {
            let all = (0..).zip(partitions.iter().map(of));
            let all = all.map(|(n, nodes)| (n, nodes.iter().map(|node| node.0).collect()));
            all.collect::<NodesOf>()
        };
        let some = |of| {
            let mut all = list(of);
            all.retain(|_, nodes| !nodes.is_empty());
            all
        };
        Self {
            version: 3,
            topic_id: id.to_string(),
            partitions: list(|partition| &partition.replicas),
            adding_replicas: some(|partition| &partition.adding),
            removing_replicas: some(|partition| &partition.removing),
        }
    }

    pub fn id(&self) -> Option<TopicId> {
        TopicId::parse(&self.topic_id)
    }

    pub fn partitions(&self) -> usize {
        self.partitions.len()
    }

    /// Who shall hold a partition once it is reassigned: how many a topic that
    /// comes back has of each.
    pub fn factor(&self) -> usize {
        let kept = |(n, nodes): (&u32, &Vec<u64>)| {
            nodes.len()
                - self
                    .removing_replicas
                    .get(n)
                    .map_or(0, Vec::len)
                    .min(nodes.len())
        };
        self.partitions.iter().map(kept).max().unwrap_or(0)
    }

    /// Replicas, those that are added and those that are removed.
    pub fn holders(&self, partition: PartitionId) -> Option<[Vec<NodeId>; 3]> {
        let list = |all: &NodesOf| {
            let nodes = all.get(&partition.0);
            nodes.map(|nodes| nodes.iter().copied().map(NodeId).collect::<Vec<_>>())
        };
        let replicas = list(&self.partitions)?;
        let adding = list(&self.adding_replicas).unwrap_or_default();
        let removing = list(&self.removing_replicas).unwrap_or_default();
        Some([replicas, adding, removing])
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub struct StateRecord {
    version: u32,
    /// The term of whoever led the metadata when it was written.
    controller_epoch: u64,
    leader: i64,
    leader_epoch: i32,
    isr: Vec<u64>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    since: BTreeMap<u64, i32>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    lost: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    called_off: bool,
}

/// Kafka's mark for none.
const NOBODY: i64 = -1;

impl StateRecord {
    pub fn of(term: u64, partition: &Partition) -> Self {
        Self {
            version: 1,
            controller_epoch: term,
            leader: partition.leader.map_or(NOBODY, |node| node.0 as i64),
            leader_epoch: partition.leader_epoch,
            isr: partition.in_sync.iter().map(|node| node.0).collect(),
            since: partition
                .since
                .iter()
                .map(|(node, epoch)| (node.0, *epoch))
                .collect(),
            lost: partition.is_lost,
            called_off: partition.is_called_off,
        }
    }

    /// With the node's version, and what the topic's node says of it.
    pub fn read(self, version: i32, holders: [Vec<NodeId>; 3]) -> Partition {
        let [replicas, adding, removing] = holders;
        Partition {
            leader: u64::try_from(self.leader).ok().map(NodeId),
            leader_epoch: self.leader_epoch,
            epoch: version,
            replicas,
            in_sync: self.isr.into_iter().map(NodeId).collect(),
            adding,
            removing,
            since: self
                .since
                .into_iter()
                .map(|(node, epoch)| (NodeId(node), epoch))
                .collect(),
            is_lost: self.lost,
            is_called_off: self.called_off,
        }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettingsRecord {
    pub version: u32,
    pub config: BTreeMap<Box<str>, Box<str>>,
}

impl SettingsRecord {
    pub const VERSION: u32 = 1;

    pub fn of(settings: &TopicSettings) -> Self {
        let set = settings.overrides();
        Self {
            version: Self::VERSION,
            config: set
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        }
    }
}

/// What groups have of their own.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct GroupsRecord {
    version: u32,
    pub groups: BTreeMap<Box<str>, BTreeMap<Box<str>, Box<str>>>,
}

impl GroupsRecord {
    pub fn of(groups: BTreeMap<Box<str>, BTreeMap<Box<str>, Box<str>>>) -> Self {
        Self { version: 1, groups }
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub struct ProducerIdsRecord {
    version: u32,
    broker: u64,
    block_start: String,
    block_end: String,
}

impl ProducerIdsRecord {
    pub fn of(broker: NodeId, first: u64, last: u64) -> Self {
        Self {
            version: 1,
            broker: broker.0,
            block_start: first.to_string(),
            block_end: last.to_string(),
        }
    }

    /// The first id that is not handed out.
    pub fn next(&self) -> Option<u64> {
        let last: u64 = self.block_end.parse().ok()?;
        last.checked_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_they_are_written() {
        for node in [
            StreamsNode::Broker(NodeId(3)),
            StreamsNode::Disk(NodeId(3)),
            StreamsNode::Topic("a.b"),
            StreamsNode::Partition("a.b", PartitionId(12)),
            StreamsNode::Settings("a.b"),
            StreamsNode::BrokerSettings,
            StreamsNode::GroupSettings,
            StreamsNode::ProducerIds,
        ] {
            assert_eq!(StreamsNode::of(&node.path()), Some(node));
        }
        for none in [
            "/dolmen/streams",
            "/dolmen/streams/brokers/ids",
            "/dolmen/streams/brokers/ids/x",
            "/dolmen/streams/brokers/topics/a/partitions",
            "/dolmen/streams/brokers/topics/a/partitions/0",
            "/dolmen/streams/config/topics/a/b",
            "/a",
        ] {
            assert_eq!(StreamsNode::of(none), None, "{none}");
        }
    }

    #[test]
    fn a_brokers_addresses_come_back() {
        let listener = |name: &str, security, host: &str| Listener {
            name: name.into(),
            security,
            host: host.into(),
            port: 9092,
        };
        let listeners = vec![
            listener("INSIDE", Security::SaslSsl, "fd00::1"),
            listener("OUTSIDE", Security::Plaintext, "box.example"),
        ];
        let rack = Some("left".into());
        let data = bytes(&BrokerRecord::of(5, &listeners, &rack));
        let text = String::from_utf8(data.clone()).unwrap();
        assert!(text.contains("INSIDE://[fd00::1]:9092"), "{text}");
        let read = read::<BrokerRecord>(&data).and_then(BrokerRecord::read);
        assert_eq!(read, Some((listeners, rack)));
    }
}
