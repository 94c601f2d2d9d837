//! A topic of one cell: made with what the cell wants, found, and removed.

use super::failure::Failure;
use super::line::{Line, Versions};
use super::process::eventually;
use super::targets::Cluster;
use dolmen::ports::kafka::messages::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreateTopics, CreateTopicsRequest,
};
use dolmen::ports::kafka::messages::delete_topics::{
    DeleteTopicState, DeleteTopics, DeleteTopicsRequest,
};
use dolmen::ports::kafka::messages::list_offsets::{
    ListOffsets, ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use dolmen::ports::kafka::messages::metadata::{
    Metadata, MetadataRequest, MetadataRequestTopic, MetadataResponse,
};
use dolmen::ports::kafka::messages::{ErrorCode, Text};
use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

/// What is spoken of each API: names and not ids, for brokers that are older.
const CREATE: i16 = 5;
const DELETE: i16 = 6;
const METADATA: i16 = 9;
const OFFSETS: i16 = 6;

/// Until the partitions of a new topic are led.
const LED_WITHIN: Duration = Duration::from_secs(60);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const TIMEOUT_MS: i32 = 30_000;
/// ListOffsets' word for the end of a partition.
const LATEST: i64 = -1;

pub struct Topic {
    pub name: Text,
    /// Who leads each partition, by their numbers.
    pub leaders: Vec<SocketAddr>,
    pub versions: Versions,
}

impl Topic {
    pub fn make(
        cluster: &Cluster,
        name: &str,
        partitions: usize,
        settings: &[(&str, &str)],
    ) -> Result<Self, Failure> {
        let mut line = Line::open(cluster.nodes[0].address, CONNECT_WITHIN)?;
        let setting = |(name, value): &(&str, &str)| CreatableTopicConfig {
            name: (*name).into(),
            value: Some((*value).into()),
        };
        let topic = CreatableTopic {
            name: name.into(),
            num_partitions: partitions as i32,
            replication_factor: cluster.replicas() as i16,
            assignments: Vec::new(),
            configs: settings.iter().map(setting).collect(),
        };
        let request = CreateTopicsRequest {
            topics: vec![topic],
            timeout_ms: TIMEOUT_MS,
            validate_only: false,
        };
        let response = line.call::<CreateTopics>(CREATE, &request)?;
        for one in response.topics {
            let why = one.error_message.map_or(String::new(), String::from);
            good(one.error_code, || format!("topic {name} is refused: {why}"))?;
        }
        let mut topic = Self {
            name: name.into(),
            leaders: Vec::with_capacity(partitions),
            versions: line.versions().clone(),
        };
        topic.await_leaders(&mut line, partitions)?;
        Ok(topic)
    }

    /// After a restart, partitions may be led by others.
    pub fn look_again(&mut self, cluster: &Cluster) -> Result<(), Failure> {
        let mut line = Line::open(cluster.nodes[0].address, CONNECT_WITHIN)?;
        self.await_leaders(&mut line, self.leaders.len())
    }

    /// Until each partition is led, and its leader says where it ends: a leader
    /// is known a moment before it knows it itself.
    fn await_leaders(&mut self, line: &mut Line, partitions: usize) -> Result<(), Failure> {
        eventually(LED_WITHIN, || {
            self.leaders = leaders(line, &self.name, partitions)?;
            self.ends().map(drop)
        })
    }

    /// The end of each partition, as its leader says it.
    pub fn ends(&self) -> Result<Vec<u64>, Failure> {
        let mut ends = vec![0; self.leaders.len()];
        let mut by_leader: BTreeMap<SocketAddr, Vec<i32>> = BTreeMap::new();
        for (place, leader) in self.leaders.iter().enumerate() {
            by_leader.entry(*leader).or_default().push(place as i32);
        }
        for (leader, places) in by_leader {
            let mut line = Line::open(leader, CONNECT_WITHIN)?;
            let partition = |&place| ListOffsetsPartition {
                partition_index: place,
                timestamp: LATEST,
                ..Default::default()
            };
            let request = ListOffsetsRequest {
                replica_id: -1,
                topics: vec![ListOffsetsTopic {
                    name: self.name.clone(),
                    partitions: places.iter().map(partition).collect(),
                }],
                ..Default::default()
            };
            let response = line.call::<ListOffsets>(OFFSETS, &request)?;
            for one in response.topics.iter().flat_map(|topic| &topic.partitions) {
                let place = one.partition_index;
                good(one.error_code, || format!("the end of partition {place}"))?;
                let end = usize::try_from(place).ok().and_then(|at| ends.get_mut(at));
                let said = u64::try_from(one.offset).ok();
                match (end, said) {
                    (Some(end), Some(said)) => *end = said,
                    _ => {
                        let offset = one.offset;
                        let why = format!("partition {place} ends at {offset}");
                        return Err(Failure::Answered(why));
                    }
                }
            }
        }
        Ok(ends)
    }

    pub fn remove(self, cluster: &Cluster) -> Result<(), Failure> {
        let mut line = Line::open(cluster.nodes[0].address, CONNECT_WITHIN)?;
        let mut request = DeleteTopicsRequest {
            timeout_ms: TIMEOUT_MS,
            ..Default::default()
        };
        let name = self.name;
        match line.versions().of::<DeleteTopics>(DELETE)? {
            DELETE => request.topics.push(DeleteTopicState {
                name: Some(name),
                ..Default::default()
            }),
            _ => request.topic_names.push(name),
        }
        let response = line.call::<DeleteTopics>(DELETE, &request)?;
        for one in response.responses {
            good(one.error_code, || "a topic is not removed".to_owned())?;
        }
        Ok(())
    }
}

pub fn good(code: ErrorCode, what: impl FnOnce() -> String) -> Result<(), Failure> {
    match code == ErrorCode::None {
        true => Ok(()),
        false => Err(Failure::Answered(format!("{}: {code:?}", what()))),
    }
}

/// Of all partitions, once each has one.
fn leaders(line: &mut Line, name: &str, partitions: usize) -> Result<Vec<SocketAddr>, Failure> {
    let request = MetadataRequest {
        topics: Some(vec![MetadataRequestTopic {
            name: Some(name.into()),
            ..Default::default()
        }]),
        allow_auto_topic_creation: false,
        ..Default::default()
    };
    let told = line.call::<Metadata>(METADATA, &request)?;
    let brokers = addresses(&told)?;
    let mut leaders = vec![None; partitions];
    for topic in &told.topics {
        good(topic.error_code, || format!("topic {name}"))?;
        for one in &topic.partitions {
            let place = one.partition_index;
            good(one.error_code, || format!("partition {place} of {name}"))?;
            if let Some(leader) = leaders.get_mut(place as usize) {
                *leader = brokers.get(&one.leader_id).copied();
            }
        }
    }
    let all: Option<Vec<SocketAddr>> = leaders.into_iter().collect();
    all.ok_or_else(|| Failure::Answered(format!("not every partition of {name} is led")))
}

fn addresses(told: &MetadataResponse) -> Result<BTreeMap<i32, SocketAddr>, Failure> {
    let mut brokers = BTreeMap::new();
    for broker in &told.brokers {
        let place = (&*broker.host, broker.port as u16);
        let unknown = || Failure::Answered(format!("the broker's address {place:?} is nowhere"));
        let address = place.to_socket_addrs()?.next().ok_or_else(unknown)?;
        brokers.insert(broker.node_id, address);
    }
    Ok(brokers)
}
