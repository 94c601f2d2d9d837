//! A group as its coordinator has it, of either kind.

use super::list::words;
use crate::cli::Failure;
use crate::cli::kafka::{Cluster, Trouble};
use crate::ports::kafka::messages::consumer_group_describe::{
    ConsumerGroupDescribe, ConsumerGroupDescribeRequest, DescribedGroup as ConsumerGroup,
    Member as ConsumerMember,
};
use crate::ports::kafka::messages::consumer_protocol::ConsumerProtocolAssignment;
use crate::ports::kafka::messages::describe_groups::{
    DescribeGroups, DescribeGroupsRequest, DescribedGroup, DescribedGroupMember,
};
use crate::ports::kafka::messages::{ErrorCode, Text, read_blob};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub struct Described {
    pub group: String,
    pub kind: &'static str,
    pub state: String,
    pub assignor: String,
    pub members: Vec<Member>,
}

pub struct Member {
    pub id: String,
    pub instance: Option<String>,
    pub client: String,
    pub host: String,
    /// What it reads, by topic.
    pub reads: BTreeMap<String, Vec<i32>>,
}

const DEAD: &str = "dead";

/// None where there is no such group.
pub fn find(cluster: &mut Cluster, group: &str) -> Result<Option<Described>, Trouble> {
    let found = cluster.insist(|cluster| consumer(cluster, group));
    match found {
        Ok(described) => Ok(Some(described)),
        // An old door knows the old kind alone.
        Err(Trouble::TooOld { .. }) => classic_or_none(cluster, group),
        Err(trouble) if trouble.is(ErrorCode::GroupIdNotFound) => classic_or_none(cluster, group),
        Err(trouble) => Err(trouble),
    }
}

fn classic_or_none(cluster: &mut Cluster, group: &str) -> Result<Option<Described>, Trouble> {
    match cluster.insist(|cluster| classic(cluster, group)) {
        // Before there was a code for it, a group that is not there was dead.
        Ok(described) if described.state == DEAD => Ok(None),
        Ok(described) => Ok(Some(described)),
        Err(trouble) if trouble.is(ErrorCode::GroupIdNotFound) => Ok(None),
        Err(trouble) => Err(trouble),
    }
}

fn consumer(cluster: &mut Cluster, group: &str) -> Result<Described, Trouble> {
    let request = ConsumerGroupDescribeRequest {
        group_ids: vec![Text::from(group)],
        ..ConsumerGroupDescribeRequest::default()
    };
    let answer = cluster.ask_coordinator::<ConsumerGroupDescribe>(group, &request)?;
    let told = answer.groups.into_iter().next().unwrap_or_default();
    match told.error_code.is_none() {
        true => Ok(Described::of_consumer(told)),
        false => Err(Trouble::refused(
            told.error_code,
            told.error_message.as_ref(),
        )),
    }
}

fn classic(cluster: &mut Cluster, group: &str) -> Result<Described, Trouble> {
    let request = DescribeGroupsRequest {
        groups: vec![Text::from(group)],
        ..DescribeGroupsRequest::default()
    };
    let answer = cluster.ask_coordinator::<DescribeGroups>(group, &request)?;
    let told = answer.groups.into_iter().next().unwrap_or_default();
    match told.error_code.is_none() {
        true => Ok(Described::of_classic(told)),
        false => Err(Trouble::refused(
            told.error_code,
            told.error_message.as_ref(),
        )),
    }
}

impl Described {
    fn of_consumer(told: ConsumerGroup) -> Self {
        Self {
            group: told.group_id.into(),
            kind: "consumer",
            state: words(&told.group_state),
            assignor: told.assignor_name.into(),
            members: told.members.into_iter().map(Member::of_consumer).collect(),
        }
    }

    fn of_classic(told: DescribedGroup) -> Self {
        Self {
            group: told.group_id.into(),
            kind: "classic",
            state: words(&told.group_state),
            assignor: told.protocol_data.into(),
            members: told.members.into_iter().map(Member::of_classic).collect(),
        }
    }

    pub fn must_be_empty(&self) -> Result<(), Failure> {
        let Self { group, members, .. } = self;
        let hosts: Vec<_> = members
            .iter()
            .map(|one| format!("{} on {}", one.client, one.host))
            .collect();
        match hosts.is_empty() {
            true => Ok(()),
            false => Err(Failure::failed(format!(
                "group {group} has members, and they would not hear of it: stop them first ({})",
                hosts.join(", ")
            ))),
        }
    }
}

impl Member {
    fn of_consumer(told: ConsumerMember) -> Self {
        let mut reads: BTreeMap<String, Vec<i32>> = BTreeMap::new();
        for topic in told.assignment.topic_partitions {
            let of_topic = reads.entry(topic.topic_name.into()).or_default();
            of_topic.extend(topic.partitions);
        }
        Self {
            id: told.member_id.into(),
            instance: told.instance_id.map(String::from),
            client: told.client_id.into(),
            host: told.client_host.into(),
            reads,
        }
    }

    /// Members of other protocols than the consumers' have other words, which
    /// are theirs.
    fn of_classic(told: DescribedGroupMember) -> Self {
        let assigned = read_blob::<ConsumerProtocolAssignment>(told.member_assignment);
        let assigned = assigned.map(|(_, assigned)| assigned.assigned_partitions);
        let mut reads: BTreeMap<String, Vec<i32>> = BTreeMap::new();
        for topic in assigned.unwrap_or_default() {
            let of_topic = reads.entry(topic.topic.into()).or_default();
            of_topic.extend(topic.partitions);
        }
        Self {
            id: told.member_id.into(),
            instance: told.group_instance_id.map(String::from),
            client: told.client_id.into(),
            host: told.client_host.trim_start_matches('/').to_owned(),
            reads,
        }
    }

    pub fn json(&self) -> Value {
        json!({
            "member": self.id, "instance": self.instance, "client": self.client,
            "host": self.host, "reads": self.reads,
        })
    }

    /// What it reads, on one line.
    pub fn reads(&self) -> String {
        let topics = self.reads.iter().map(|(topic, numbers)| {
            let numbers: Vec<_> = numbers.iter().map(i32::to_string).collect();
            format!("{topic}: {}", numbers.join(","))
        });
        let topics: Vec<_> = topics.collect();
        match topics.is_empty() {
            true => "-".into(),
            false => topics.join("; "),
        }
    }
}
