//! Each message of ours beside the referee's, with the types forgotten.

use crate::ports::kafka::messages::shape::Record;
use crate::ports::kafka::messages::{
    Message, Reader, Unread, Unwritten, Writer, consumer_protocol as blobs,
};
use bytes::Bytes;
use kafka_protocol::messages as theirs;
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request};
use std::fmt::Debug;
use std::ops::RangeInclusive;

pub struct Pair {
    pub key: i16,
    pub request: Side,
    pub response: Side,
}

pub struct Side {
    pub record: &'static Record,
    pub versions: RangeInclusive<i16>,
    pub their_versions: RangeInclusive<i16>,
    pub their_header: fn(i16) -> i16,
    pub ours: fn(i16, i16, Bytes) -> Result<Ours, Unread>,
    pub theirs: fn(i16, i16, Bytes) -> Result<Theirs, String>,
    /// Ours and theirs, as they print.
    pub defaults: (String, String),
}

/// What was read at one version, and written at another.
pub struct Ours {
    pub debug: String,
    pub written: Result<Vec<u8>, Unwritten>,
}

pub struct Theirs {
    pub debug: String,
    pub written: Option<Vec<u8>>,
}

impl Side {
    fn of<O, T>(their_header: fn(i16) -> i16) -> Self
    where
        O: Message + Debug,
        T: Encodable + Decodable + Default + Debug + kafka_protocol::protocol::Message,
    {
        Self {
            record: O::RECORD,
            versions: O::VERSIONS,
            their_versions: T::VERSIONS.min..=T::VERSIONS.max,
            their_header,
            ours: ours::<O>,
            theirs: theirs_of::<T>,
            defaults: (format!("{:?}", O::default()), format!("{:?}", T::default())),
        }
    }
}

fn ours<M: Message + Debug>(version: i16, other: i16, bytes: Bytes) -> Result<Ours, Unread> {
    let message = M::decode(version, &mut Reader::new(bytes))?;
    let mut into = Writer::default();
    let written = message.encode(other, &mut into);
    Ok(Ours {
        debug: format!("{message:?}"),
        written: written.map(|()| into.into_parts().to_vec()),
    })
}

fn theirs_of<M: Encodable + Decodable + Debug>(
    version: i16,
    other: i16,
    mut bytes: Bytes,
) -> Result<Theirs, String> {
    let message = M::decode(&mut bytes, version).map_err(|error| error.to_string())?;
    if !bytes.is_empty() {
        return Err(format!("{} bytes behind", bytes.len()));
    }
    let mut into = Vec::new();
    let written = message.encode(&mut into, other);
    Ok(Theirs {
        debug: format!("{message:?}"),
        written: written.is_ok().then_some(into),
    })
}

macro_rules! pairs {
    ($($module:ident $request:ident $response:ident)+) => {
        pub fn all() -> Vec<Pair> {
            vec![$({
                use crate::ports::kafka::messages::$module as ours;
                Pair {
                    key: <theirs::$request as Request>::KEY,
                    request: Side::of::<ours::$request, theirs::$request>(
                        theirs::$request::header_version,
                    ),
                    response: Side::of::<ours::$response, theirs::$response>(
                        theirs::$response::header_version,
                    ),
                }
            }),+]
        }
    };
}

/// What consumers of a classic group tell each other. Always in the old forms.
pub fn blobs() -> [Side; 2] {
    let never = |_| -1;
    [
        Side::of::<blobs::ConsumerProtocolSubscription, theirs::ConsumerProtocolSubscription>(
            never,
        ),
        Side::of::<blobs::ConsumerProtocolAssignment, theirs::ConsumerProtocolAssignment>(never),
    ]
}

pairs! {
    produce ProduceRequest ProduceResponse
    fetch FetchRequest FetchResponse
    list_offsets ListOffsetsRequest ListOffsetsResponse
    metadata MetadataRequest MetadataResponse
    offset_commit OffsetCommitRequest OffsetCommitResponse
    offset_fetch OffsetFetchRequest OffsetFetchResponse
    find_coordinator FindCoordinatorRequest FindCoordinatorResponse
    join_group JoinGroupRequest JoinGroupResponse
    heartbeat HeartbeatRequest HeartbeatResponse
    leave_group LeaveGroupRequest LeaveGroupResponse
    sync_group SyncGroupRequest SyncGroupResponse
    describe_groups DescribeGroupsRequest DescribeGroupsResponse
    list_groups ListGroupsRequest ListGroupsResponse
    sasl_handshake SaslHandshakeRequest SaslHandshakeResponse
    api_versions ApiVersionsRequest ApiVersionsResponse
    create_topics CreateTopicsRequest CreateTopicsResponse
    delete_topics DeleteTopicsRequest DeleteTopicsResponse
    delete_records DeleteRecordsRequest DeleteRecordsResponse
    init_producer_id InitProducerIdRequest InitProducerIdResponse
    offset_for_leader_epoch OffsetForLeaderEpochRequest OffsetForLeaderEpochResponse
    add_partitions_to_txn AddPartitionsToTxnRequest AddPartitionsToTxnResponse
    add_offsets_to_txn AddOffsetsToTxnRequest AddOffsetsToTxnResponse
    end_txn EndTxnRequest EndTxnResponse
    txn_offset_commit TxnOffsetCommitRequest TxnOffsetCommitResponse
    describe_acls DescribeAclsRequest DescribeAclsResponse
    create_acls CreateAclsRequest CreateAclsResponse
    delete_acls DeleteAclsRequest DeleteAclsResponse
    describe_configs DescribeConfigsRequest DescribeConfigsResponse
    alter_configs AlterConfigsRequest AlterConfigsResponse
    describe_log_dirs DescribeLogDirsRequest DescribeLogDirsResponse
    sasl_authenticate SaslAuthenticateRequest SaslAuthenticateResponse
    create_partitions CreatePartitionsRequest CreatePartitionsResponse
    delete_groups DeleteGroupsRequest DeleteGroupsResponse
    elect_leaders ElectLeadersRequest ElectLeadersResponse
    incremental_alter_configs IncrementalAlterConfigsRequest IncrementalAlterConfigsResponse
    alter_partition_reassignments AlterPartitionReassignmentsRequest AlterPartitionReassignmentsResponse
    list_partition_reassignments ListPartitionReassignmentsRequest ListPartitionReassignmentsResponse
    offset_delete OffsetDeleteRequest OffsetDeleteResponse
    describe_client_quotas DescribeClientQuotasRequest DescribeClientQuotasResponse
    alter_client_quotas AlterClientQuotasRequest AlterClientQuotasResponse
    describe_user_scram_credentials DescribeUserScramCredentialsRequest DescribeUserScramCredentialsResponse
    alter_user_scram_credentials AlterUserScramCredentialsRequest AlterUserScramCredentialsResponse
    describe_cluster DescribeClusterRequest DescribeClusterResponse
    describe_producers DescribeProducersRequest DescribeProducersResponse
    describe_transactions DescribeTransactionsRequest DescribeTransactionsResponse
    list_transactions ListTransactionsRequest ListTransactionsResponse
    consumer_group_heartbeat ConsumerGroupHeartbeatRequest ConsumerGroupHeartbeatResponse
    consumer_group_describe ConsumerGroupDescribeRequest ConsumerGroupDescribeResponse
    describe_topic_partitions DescribeTopicPartitionsRequest DescribeTopicPartitionsResponse
}
