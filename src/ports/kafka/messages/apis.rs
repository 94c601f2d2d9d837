//! The list of all APIs: what is tested, fuzzed and documented.

use super::reader::{Reader, Unread};
use super::shape::Record;
use super::writer::{Parts, Unwritten, Writer};
use super::{Api, Message};
use bytes::Bytes;
use std::ops::RangeInclusive;

/// An API as data.
pub struct ApiShape {
    pub key: i16,
    pub name: &'static str,
    pub versions: RangeInclusive<i16>,
    pub flexible_from: i16,
    pub request: &'static Record,
    pub response: &'static Record,
    pub rewrite_request: Rewrite,
    pub rewrite_response: Rewrite,
}

/// Reads a message without its header and writes it again: for tests and fuzzing,
/// which know no types.
pub type Rewrite = fn(i16, Bytes) -> Result<Result<Parts, Unwritten>, Unread>;

impl ApiShape {
    const fn of<A: Api>() -> Self {
        Self {
            key: A::KEY,
            name: A::NAME,
            versions: A::VERSIONS,
            flexible_from: A::FLEXIBLE_FROM,
            request: A::Request::RECORD,
            response: A::Response::RECORD,
            rewrite_request: rewrite::<A::Request>,
            rewrite_response: rewrite::<A::Response>,
        }
    }
}

fn rewrite<M: Message>(version: i16, bytes: Bytes) -> Result<Result<Parts, Unwritten>, Unread> {
    let message = M::decode(version, &mut Reader::new(bytes))?;
    let mut into = Writer::default();
    Ok(message
        .encode(version, &mut into)
        .map(|()| into.into_parts()))
}

/// By their keys.
pub const APIS: &[ApiShape] = &[
    ApiShape::of::<super::produce::Produce>(),
    ApiShape::of::<super::fetch::Fetch>(),
    ApiShape::of::<super::list_offsets::ListOffsets>(),
    ApiShape::of::<super::metadata::Metadata>(),
    ApiShape::of::<super::offset_commit::OffsetCommit>(),
    ApiShape::of::<super::offset_fetch::OffsetFetch>(),
    ApiShape::of::<super::find_coordinator::FindCoordinator>(),
    ApiShape::of::<super::join_group::JoinGroup>(),
    ApiShape::of::<super::heartbeat::Heartbeat>(),
    ApiShape::of::<super::leave_group::LeaveGroup>(),
    ApiShape::of::<super::sync_group::SyncGroup>(),
    ApiShape::of::<super::describe_groups::DescribeGroups>(),
    ApiShape::of::<super::list_groups::ListGroups>(),
    ApiShape::of::<super::sasl_handshake::SaslHandshake>(),
    ApiShape::of::<super::api_versions::ApiVersions>(),
    ApiShape::of::<super::create_topics::CreateTopics>(),
    ApiShape::of::<super::delete_topics::DeleteTopics>(),
    ApiShape::of::<super::delete_records::DeleteRecords>(),
    ApiShape::of::<super::init_producer_id::InitProducerId>(),
    ApiShape::of::<super::offset_for_leader_epoch::OffsetForLeaderEpoch>(),
    ApiShape::of::<super::add_partitions_to_txn::AddPartitionsToTxn>(),
    ApiShape::of::<super::add_offsets_to_txn::AddOffsetsToTxn>(),
    ApiShape::of::<super::end_txn::EndTxn>(),
    ApiShape::of::<super::txn_offset_commit::TxnOffsetCommit>(),
    ApiShape::of::<super::describe_acls::DescribeAcls>(),
    ApiShape::of::<super::create_acls::CreateAcls>(),
    ApiShape::of::<super::delete_acls::DeleteAcls>(),
    ApiShape::of::<super::describe_configs::DescribeConfigs>(),
    ApiShape::of::<super::alter_configs::AlterConfigs>(),
    ApiShape::of::<super::describe_log_dirs::DescribeLogDirs>(),
    ApiShape::of::<super::sasl_authenticate::SaslAuthenticate>(),
    ApiShape::of::<super::create_partitions::CreatePartitions>(),
    ApiShape::of::<super::delete_groups::DeleteGroups>(),
    ApiShape::of::<super::elect_leaders::ElectLeaders>(),
    ApiShape::of::<super::incremental_alter_configs::IncrementalAlterConfigs>(),
    ApiShape::of::<super::alter_partition_reassignments::AlterPartitionReassignments>(),
    ApiShape::of::<super::list_partition_reassignments::ListPartitionReassignments>(),
    ApiShape::of::<super::offset_delete::OffsetDelete>(),
    ApiShape::of::<super::describe_client_quotas::DescribeClientQuotas>(),
    ApiShape::of::<super::alter_client_quotas::AlterClientQuotas>(),
    ApiShape::of::<super::describe_user_scram_credentials::DescribeUserScramCredentials>(),
    ApiShape::of::<super::alter_user_scram_credentials::AlterUserScramCredentials>(),
    ApiShape::of::<super::describe_cluster::DescribeCluster>(),
    ApiShape::of::<super::describe_producers::DescribeProducers>(),
    ApiShape::of::<super::describe_transactions::DescribeTransactions>(),
    ApiShape::of::<super::list_transactions::ListTransactions>(),
    ApiShape::of::<super::consumer_group_heartbeat::ConsumerGroupHeartbeat>(),
    ApiShape::of::<super::consumer_group_describe::ConsumerGroupDescribe>(),
    ApiShape::of::<super::describe_topic_partitions::DescribeTopicPartitions>(),
];
