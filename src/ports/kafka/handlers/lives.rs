//! The lives of groups by way of the table, in frames: over coordinators that
//! are real and partitions that are lists.

use super::{Call, of};
use crate::clock::MachineClock;
use crate::entropy::MachineEntropy;
use crate::ports::kafka::access::Principal;
use crate::ports::kafka::messages::consumer_group_describe::*;
use crate::ports::kafka::messages::consumer_group_heartbeat::*;
use crate::ports::kafka::messages::delete_groups::*;
use crate::ports::kafka::messages::describe_groups::*;
use crate::ports::kafka::messages::find_coordinator::*;
use crate::ports::kafka::messages::heartbeat::*;
use crate::ports::kafka::messages::join_group::*;
use crate::ports::kafka::messages::leave_group::*;
use crate::ports::kafka::messages::list_groups::*;
use crate::ports::kafka::messages::offset_commit::*;
use crate::ports::kafka::messages::offset_delete::*;
use crate::ports::kafka::messages::offset_fetch::*;
use crate::ports::kafka::messages::sync_group::*;
use crate::ports::kafka::messages::txn_offset_commit::*;
use crate::ports::kafka::messages::{Api, ErrorCode, Text, read_response, write_request};
use crate::ports::kafka::{ConnectionState, Door, Means};
use crate::streams::coordinators::Groups;
use crate::streams::coordinators::groups::memory::Memory;
use crate::streams::coordinators::groups::village::Village;
use crate::streams::groups::Settings;
use bytes::Bytes;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

struct Client {
    connection: Arc<ConnectionState>,
    door: Arc<Door>,
}

impl Client {
    fn of(village: &Village) -> Self {
        Self::over(village, Memory::default())
    }

    fn over(village: &Village, memory: Memory) -> Self {
        let clock = Arc::new(MachineClock::new());
        let groups = Groups::over(
            village.site.clone(),
            Arc::new(memory),
            clock.clone(),
            |_| Settings {
                initial_delay_ms: 1,
                ..Settings::default()
            },
            &tokio::runtime::Handle::current(),
        );
        let means = Means {
            groups,
            ..Means::idle(village.site.clone(), clock, Arc::new(MachineEntropy))
        };
        let from = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9));
        let listener = "PLAINTEXT".into();
        let state = ConnectionState::new(from, listener, false, false, Principal::Anonymous);
        Self {
            connection: Arc::new(state),
            door: Arc::new(Door::new(means).unwrap()),
        }
    }

    async fn ask<A: Api>(&self, version: i16, request: &A::Request) -> A::Response {
        let name = Some(Text::from("tester"));
        let parts = write_request::<A>(version, 7, name, request);
        let frame = Bytes::from(parts.expect(A::NAME).to_vec()).slice(4..);
        let handler = of(A::KEY).expect(A::NAME);
        assert_eq!((handler.name, &handler.versions), (A::NAME, &A::VERSIONS));
        let call = Call::new(&self.connection, &self.door);
        let parts = handler.run(call, frame).await.expect(A::NAME);
        let frame = Bytes::from(parts.expect(A::NAME).to_vec()).slice(4..);
        let (correlation, response) = read_response::<A>(version, frame).expect(A::NAME);
        assert_eq!(correlation, 7);
        response
    }

    /// Finds the coordinator, and waits until it has read its partition.
    async fn find(&self, version: i16, group: &str) {
        self.find_loading(version, group).await;
        while self.fetch(7, group).await.0 != ErrorCode::None {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn find_loading(&self, version: i16, group: &str) {
        let key = Text::from(group);
        let request = match version {
            ..4 => FindCoordinatorRequest {
                key,
                ..FindCoordinatorRequest::default()
            },
            _ => FindCoordinatorRequest {
                coordinator_keys: vec![key],
                ..FindCoordinatorRequest::default()
            },
        };
        let said = self.ask::<FindCoordinator>(version, &request).await;
        let (code, node, port) = match said.coordinators.first() {
            None => (said.error_code, said.node_id, said.port),
            Some(one) => (one.error_code, one.node_id, one.port),
        };
        assert_eq!((code, node, port), (ErrorCode::None, 1, 9092));
    }

    /// What is said of all, and of t/0.
    async fn fetch(&self, version: i16, group: &str) -> (ErrorCode, i64) {
        let (name, group_id) = (Text::from("t"), Text::from(group));
        let partition_indexes = vec![0];
        if version < 8 {
            let request = OffsetFetchRequest {
                group_id,
                topics: Some(vec![OffsetFetchRequestTopic {
                    name,
                    partition_indexes,
                }]),
                ..OffsetFetchRequest::default()
            };
            let said = self.ask::<OffsetFetch>(version, &request).await;
            let found = said
                .topics
                .first()
                .map(|it| it.partitions[0].committed_offset);
            return (said.error_code, found.unwrap_or(-1));
        }
        let request = OffsetFetchRequest {
            groups: vec![OffsetFetchRequestGroup {
                group_id,
                topics: Some(vec![OffsetFetchRequestTopics {
                    name,
                    partition_indexes,
                }]),
                ..OffsetFetchRequestGroup::default()
            }],
            ..OffsetFetchRequest::default()
        };
        let said = self.ask::<OffsetFetch>(version, &request).await;
        let group = &said.groups[0];
        let found = group.topics[0].partitions[0].committed_offset;
        (group.error_code, found)
    }

    async fn join(&self, version: i16, group: &str) -> JoinGroupResponse {
        let mut request = JoinGroupRequest {
            group_id: group.into(),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 10_000,
            protocol_type: "consumer".into(),
            protocols: vec![JoinGroupRequestProtocol {
                name: "range".into(),
                metadata: Bytes::from_static(b"\0\0\0\0\0\x01\0\x01t\0\0\0\0"),
            }],
            ..JoinGroupRequest::default()
        };
        let said = self.ask::<JoinGroup>(version, &request).await;
        if version < 4 {
            return said;
        }
        assert_eq!(said.error_code, ErrorCode::MemberIdRequired);
        assert!(said.member_id.starts_with("tester-"));
        request.member_id = said.member_id;
        self.ask::<JoinGroup>(version, &request).await
    }
}

fn block_on(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let patient = async { tokio::time::timeout(Duration::from_secs(20), future).await };
    runtime.unwrap().block_on(patient).expect("it ends");
}

/// The newest version of an API that is not newer than this step.
fn at<A: Api>(step: i16) -> i16 {
    step.clamp(*A::VERSIONS.start(), *A::VERSIONS.end())
}

fn commit(group: &str, joined: &JoinGroupResponse) -> OffsetCommitRequest {
    let topic = |name: &str| OffsetCommitRequestTopic {
        name: name.into(),
        partitions: vec![OffsetCommitRequestPartition {
            committed_offset: 40,
            committed_metadata: Some("words".into()),
            ..OffsetCommitRequestPartition::default()
        }],
    };
    OffsetCommitRequest {
        group_id: group.into(),
        generation_id_or_member_epoch: joined.generation_id,
        member_id: joined.member_id.clone(),
        topics: vec![topic("t"), topic("gone")],
        ..OffsetCommitRequest::default()
    }
}

#[test]
fn a_classic_member_lives_at_every_version() {
    block_on(async {
        let village = Village::of(1);
        village.topic("t", 1);
        let client = Client::of(&village);
        for step in 0..=9 {
            let group = format!("g{step}");
            client.find(at::<FindCoordinator>(step), &group).await;
            let joined = client.join(at::<JoinGroup>(step), &group).await;
            assert_eq!(joined.error_code, ErrorCode::None, "{step}");
            assert_eq!(
                (joined.members.len(), &joined.leader),
                (1, &joined.member_id)
            );

            let version = at::<SyncGroup>(step);
            let named = (version >= 5).then(|| Text::from("consumer"));
            let sync = SyncGroupRequest {
                group_id: group[..].into(),
                generation_id: joined.generation_id,
                member_id: joined.member_id.clone(),
                protocol_type: named.clone(),
                protocol_name: named.map(|_| "range".into()),
                assignments: vec![SyncGroupRequestAssignment {
                    member_id: joined.member_id.clone(),
                    assignment: Bytes::from_static(b"part"),
                }],
                ..SyncGroupRequest::default()
            };
            let synced = client.ask::<SyncGroup>(version, &sync).await;
            assert_eq!(&synced.assignment[..], b"part", "{:?}", synced.error_code);

            let beat = HeartbeatRequest {
                group_id: group[..].into(),
                generation_id: joined.generation_id,
                member_id: joined.member_id.clone(),
                group_instance_id: None,
            };
            let said = client.ask::<Heartbeat>(at::<Heartbeat>(step), &beat).await;
            assert_eq!(said.error_code, ErrorCode::None);

            let version = at::<OffsetCommit>(step);
            let said = client
                .ask::<OffsetCommit>(version, &commit(&group, &joined))
                .await;
            let codes = said.topics.iter().map(|it| it.partitions[0].error_code);
            let unknown = ErrorCode::UnknownTopicOrPartition;
            assert_eq!(codes.collect::<Vec<_>>(), [ErrorCode::None, unknown]);
            let found = client.fetch(at::<OffsetFetch>(step), &group).await;
            assert_eq!(found, (ErrorCode::None, 40));

            let describe = DescribeGroupsRequest {
                groups: vec![group[..].into()],
                ..DescribeGroupsRequest::default()
            };
            let version = at::<DescribeGroups>(step);
            let said = client.ask::<DescribeGroups>(version, &describe).await;
            let member = &said.groups[0].members[0];
            assert_eq!(&*said.groups[0].group_state, "Stable");
            assert_eq!(
                (&*member.client_id, &*member.client_host),
                ("tester", "/10.0.0.9")
            );

            // Nobody deletes what is read, or who is there.
            let delete = DeleteGroupsRequest {
                groups_names: vec![group[..].into()],
            };
            let version = at::<DeleteGroups>(step);
            let said = client.ask::<DeleteGroups>(version, &delete).await;
            assert_eq!(said.results[0].error_code, ErrorCode::NonEmptyGroup);
            let forget = OffsetDeleteRequest {
                group_id: group[..].into(),
                topics: vec![OffsetDeleteRequestTopic {
                    name: "t".into(),
                    partitions: vec![OffsetDeleteRequestPartition { partition_index: 0 }],
                }],
            };
            let said = client.ask::<OffsetDelete>(0, &forget).await;
            let code = said.topics[0].partitions[0].error_code;
            assert_eq!(code, ErrorCode::GroupSubscribedToTopic);

            let version = at::<LeaveGroup>(step);
            let leave = match version {
                ..3 => LeaveGroupRequest {
                    group_id: group[..].into(),
                    member_id: joined.member_id,
                    ..LeaveGroupRequest::default()
                },
                _ => LeaveGroupRequest {
                    group_id: group[..].into(),
                    members: vec![MemberIdentity {
                        member_id: joined.member_id,
                        ..MemberIdentity::default()
                    }],
                    ..LeaveGroupRequest::default()
                },
            };
            let said = client.ask::<LeaveGroup>(version, &leave).await;
            assert_eq!(said.error_code, ErrorCode::None);
            let said = client.ask::<OffsetDelete>(0, &forget).await;
            assert_eq!(said.topics[0].partitions[0].error_code, ErrorCode::None);
            assert_eq!(client.fetch(7, &group).await, (ErrorCode::None, -1));

            let version = at::<ListGroups>(step);
            let list = ListGroupsRequest::default();
            let said = client.ask::<ListGroups>(version, &list).await;
            assert_eq!(said.groups.len(), 1);
            let version = at::<DeleteGroups>(step);
            let said = client.ask::<DeleteGroups>(version, &delete).await;
            assert_eq!(said.results[0].error_code, ErrorCode::None);
        }
    });
}

#[test]
fn a_member_of_kip_848_lives_at_every_version() {
    block_on(async {
        let village = Village::of(1);
        village.topic("t", 3);
        let client = Client::of(&village);
        for version in ConsumerGroupHeartbeat::VERSIONS {
            let group = format!("g{version}");
            client.find(6, &group).await;
            let mut beat = ConsumerGroupHeartbeatRequest {
                group_id: group[..].into(),
                rebalance_timeout_ms: 10_000,
                subscribed_topic_names: Some(vec!["t".into()]),
                topic_partitions: Some(Vec::new()),
                ..ConsumerGroupHeartbeatRequest::default()
            };
            if version >= 1 {
                beat.member_id = "me".into();
            }
            let said = client.ask::<ConsumerGroupHeartbeat>(version, &beat).await;
            assert_eq!(said.error_code, ErrorCode::None, "{:?}", said.error_message);
            let assigned = said.assignment.expect("it is alone").topic_partitions;
            assert_eq!(assigned[0].partitions, [0, 1, 2]);

            let describe = ConsumerGroupDescribeRequest {
                group_ids: vec![group[..].into()],
                include_authorized_operations: true,
            };
            let shown = client
                .ask::<ConsumerGroupDescribe>(version, &describe)
                .await;
            let shown = &shown.groups[0];
            assert_eq!(shown.error_code, ErrorCode::None);
            let member = &shown.members[0];
            assert_eq!(&*member.assignment.topic_partitions[0].topic_name, "t");
            assert_eq!(
                shown.authorized_operations,
                1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11
            );

            let leave = ConsumerGroupHeartbeatRequest {
                group_id: group[..].into(),
                member_id: said.member_id.expect("it has one"),
                member_epoch: -1,
                ..ConsumerGroupHeartbeatRequest::default()
            };
            let said = client.ask::<ConsumerGroupHeartbeat>(version, &leave).await;
            assert_eq!((said.error_code, said.member_epoch), (ErrorCode::None, -1));
        }
    });
}

/// Clients end at CoordinatorLoadInProgress where they do not ask for something
/// that may take its time.
#[test]
fn members_live_through_the_reading_of_their_partition() {
    block_on(async {
        let village = Village::of(1);
        let memory = Memory::default();
        memory.read_slowly(Duration::from_secs(3600));
        let client = Client::over(&village, memory);
        client.find_loading(6, "g").await;
        let loading = ErrorCode::CoordinatorLoadInProgress;
        while client.fetch(7, "g").await.0 != loading {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for version in Heartbeat::VERSIONS {
            let beat = HeartbeatRequest {
                group_id: "g".into(),
                generation_id: 3,
                member_id: "me".into(),
                group_instance_id: None,
            };
            let said = client.ask::<Heartbeat>(version, &beat).await;
            assert_eq!(said.error_code, ErrorCode::None);
        }
        for version in SyncGroup::VERSIONS {
            let named = (version >= 5).then(|| Text::from("consumer"));
            let sync = SyncGroupRequest {
                group_id: "g".into(),
                generation_id: 3,
                member_id: "me".into(),
                protocol_type: named.clone(),
                protocol_name: named,
                ..SyncGroupRequest::default()
            };
            let said = client.ask::<SyncGroup>(version, &sync).await;
            assert_eq!(said.error_code, ErrorCode::RebalanceInProgress);
        }
    });
}

/// Whoever cannot be asked about a transaction lets none commit offsets, and a
/// kind of groups that is not spoken has no coordinator.
#[test]
fn what_is_not_there_says_so_at_every_version() {
    block_on(async {
        let village = Village::of(1);
        village.topic("t", 1);
        let client = Client::of(&village);
        client.find(6, "g").await;
        for version in TxnOffsetCommit::VERSIONS {
            let request = TxnOffsetCommitRequest {
                transactional_id: "x".into(),
                group_id: "g".into(),
                producer_id: 5,
                topics: vec![TxnOffsetCommitRequestTopic {
                    name: "t".into(),
                    partitions: vec![TxnOffsetCommitRequestPartition::default()],
                }],
                ..TxnOffsetCommitRequest::default()
            };
            let said = client.ask::<TxnOffsetCommit>(version, &request).await;
            let code = said.topics[0].partitions[0].error_code;
            assert_ne!(code, ErrorCode::None);
        }
        for version in 1..=6 {
            let mut request = FindCoordinatorRequest {
                key_type: 2,
                ..FindCoordinatorRequest::default()
            };
            match version {
                ..4 => request.key = "g:t:0".into(),
                _ => request.coordinator_keys = vec!["g:t:0".into(), "g:t:1".into()],
            }
            let said = client.ask::<FindCoordinator>(version, &request).await;
            let mut codes = said.coordinators.iter().map(|it| it.error_code);
            let code = codes.next().unwrap_or(said.error_code);
            assert_eq!(code, ErrorCode::InvalidRequest);
        }
    });
}

/// Kafka's clients find what is answered by its name, and not by its place.
#[test]
fn a_group_that_is_named_again_is_told_of_once() {
    block_on(async {
        let village = Village::of(1);
        let client = Client::of(&village);
        client.find(6, "g").await;
        let groups = || -> Vec<Text> { vec!["g".into(), "h".into(), "g".into()] };
        let describe = DescribeGroupsRequest {
            groups: groups(),
            ..DescribeGroupsRequest::default()
        };
        let said = client.ask::<DescribeGroups>(5, &describe).await;
        let named: Vec<_> = said.groups.iter().map(|it| &*it.group_id).collect();
        assert_eq!(named, ["g", "h"]);
        let describe = ConsumerGroupDescribeRequest {
            group_ids: groups(),
            ..ConsumerGroupDescribeRequest::default()
        };
        let said = client.ask::<ConsumerGroupDescribe>(0, &describe).await;
        let named: Vec<_> = said.groups.iter().map(|it| &*it.group_id).collect();
        assert_eq!(named, ["g", "h"]);
        let find = FindCoordinatorRequest {
            coordinator_keys: groups(),
            ..FindCoordinatorRequest::default()
        };
        let said = client.ask::<FindCoordinator>(6, &find).await;
        let named: Vec<_> = said.coordinators.iter().map(|it| &*it.key).collect();
        assert_eq!(named, ["g", "h"]);
        // With another topic the second time, perhaps: no half of it is answered.
        let group = |name: &str| OffsetFetchRequestGroup {
            group_id: name.into(),
            topics: None,
            ..OffsetFetchRequestGroup::default()
        };
        let fetch = OffsetFetchRequest {
            groups: vec![group("g"), group("h"), group("g")],
            ..OffsetFetchRequest::default()
        };
        let said = client.ask::<OffsetFetch>(9, &fetch).await;
        let codes = said.groups.iter().map(|it| (&*it.group_id, it.error_code));
        let codes: Vec<_> = codes.collect();
        let none = ErrorCode::None;
        assert_eq!(codes, [("g", ErrorCode::InvalidRequest), ("h", none)]);
        let delete = DeleteGroupsRequest {
            groups_names: groups(),
        };
        let said = client.ask::<DeleteGroups>(2, &delete).await;
        assert_eq!(said.results.len(), 2);
    });
}

#[test]
fn a_partition_that_is_named_again_is_committed_and_told_once() {
    block_on(async {
        let village = Village::of(1);
        village.topic("t", 2);
        let client = Client::of(&village);
        client.find(6, "g").await;
        let topic = |offsets: &[(i32, i64)]| OffsetCommitRequestTopic {
            name: "t".into(),
            partitions: offsets
                .iter()
                .map(
                    |&(partition_index, committed_offset)| OffsetCommitRequestPartition {
                        partition_index,
                        committed_offset,
                        ..OffsetCommitRequestPartition::default()
                    },
                )
                .collect(),
        };
        let commit = OffsetCommitRequest {
            group_id: "g".into(),
            topics: vec![topic(&[(0, 1), (1, 2), (0, 3)]), topic(&[(1, 4)])],
            ..OffsetCommitRequest::default()
        };
        let said = client.ask::<OffsetCommit>(7, &commit).await;
        let all = said.topics.iter().flat_map(|it| &it.partitions);
        let told: Vec<_> = all.map(|it| (it.partition_index, it.error_code)).collect();
        assert_eq!(told, [0, 1, 0, 1].map(|index| (index, ErrorCode::None)));
        let topic = |indexes: &[i32]| OffsetFetchRequestTopic {
            name: "t".into(),
            partition_indexes: indexes.to_vec(),
        };
        let fetch = OffsetFetchRequest {
            group_id: "g".into(),
            topics: Some(vec![topic(&[1, 0, 1]), topic(&[0, 9])]),
            ..OffsetFetchRequest::default()
        };
        let said = client.ask::<OffsetFetch>(7, &fetch).await;
        let told = said.topics.iter().map(|topic| {
            let each = topic.partitions.iter();
            let each = each.map(|it| (it.partition_index, it.committed_offset));
            each.collect::<Vec<_>>()
        });
        let told: Vec<_> = told.collect();
        // What was said last of each.
        assert_eq!(told, [vec![(1, 4), (0, 3)], vec![(9, -1)]]);
    });
}
