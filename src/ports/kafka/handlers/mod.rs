//! One file an API, and the table of them.

mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod alter_client_quotas;
mod alter_configs;
mod alter_partition_reassignments;
mod alter_user_scram_credentials;
pub mod api_versions;
mod authorized;
mod configs;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod create_acls;
mod create_partitions;
mod create_topics;
mod current;
mod delete_acls;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_acls;
mod describe_client_quotas;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_topic_partitions;
mod describe_transactions;
mod describe_user_scram_credentials;
mod elect_leaders;
mod end_txn;
pub mod fetch;
mod find_coordinator;
mod grouped;
mod groups;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod led;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod list_transactions;
#[cfg(test)]
mod lives;
mod metadata;
mod named;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
pub mod produce;
mod proposing;
mod reached;
mod sasl_authenticate;
mod sasl_handshake;
#[cfg(test)]
mod shapes;
mod shown;
#[cfg(test)]
pub(super) mod stage;
mod sync_group;
#[cfg(test)]
mod transactional;
#[cfg(test)]
mod trial;
mod txn_offset_commit;

use super::access::{Asker, Operation, Principal, Resource};
use super::messages::{self, Api, Parts, Text};
use super::{ConnectionState, Door};
use bytes::Bytes;
use std::future::Future;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::sync::Arc;

/// One request as its handler sees it, beside the request itself.
#[derive(Clone)]
pub struct Call {
    pub version: i16,
    /// What the client calls itself.
    pub client_id: Option<Text>,
    pub from: IpAddr,
    pub who: Principal,
    /// By which of the broker's listeners it came: what it is told of the
    /// others is theirs of the same name.
    pub listener: Arc<str>,
    /// What outlives the request: for who the client shows to be.
    pub connection: Arc<ConnectionState>,
    pub door: Arc<Door>,
}

impl Call {
    /// What a connection says of its next request, whose header is read later.
    pub fn new(connection: &Arc<ConnectionState>, door: &Arc<Door>) -> Self {
        Self {
            version: 0,
            client_id: None,
            from: connection.from,
            who: connection.principal(),
            listener: connection.listener.clone(),
            connection: connection.clone(),
            door: door.clone(),
        }
    }

    /// Of a client on this host, as the door's tests are.
    #[cfg(test)]
    pub fn local(door: &Arc<Door>) -> Self {
        let from = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
        let listener = "PLAINTEXT".into();
        let state = ConnectionState::new(from, listener, false, false, Principal::Anonymous);
        Self::new(&Arc::new(state), door)
    }

    pub fn may(&self, operation: Operation, on: Resource) -> bool {
        let asker = Asker {
            who: &self.who,
            from: self.from,
            had_to_log_in: self.connection.needs_sasl,
        };
        self.door.allows(asker, operation, on)
    }
}

/// What an API means.
///
/// A request of a connection begins once those before it are answered, so it sees
/// what they did. Produce alone goes on beside other Produces: their futures are
/// first polled in the order in which the requests came, and so a Produce says
/// everything that it appends to `Streams` in its first poll, before its first
/// await. What it awaits before that may let a later one overtake it.
///
/// A future that has begun is polled to its end though its client may leave,
/// for half a minute at the most; only Fetch is dropped. What must go on longer
/// is spawned.
pub trait Handle: Api {
    /// Whether a short request may be answered with much.
    const MAY_BE_LARGE: bool = false;

    /// Whether nobody waits for an answer: Produce, where nobody wants to know.
    /// One that is given all the same closes the connection.
    fn is_mute(_: &Self::Request) -> bool {
        false
    }

    /// None where nothing is answered.
    fn run(
        call: Call,
        request: Self::Request,
    ) -> impl Future<Output = Option<Self::Response>> + Send;
}

/// Why a request has no answer: the connection is closed.
#[derive(Debug)]
pub enum Fault {
    Unread(messages::Unread),
    Unwritten(messages::Unwritten),
    /// It failed, and its client does not listen for answers.
    Unheard,
}

/// An answer on its way.
pub type Answering = Pin<Box<dyn Future<Output = Result<Option<Parts>, Fault>> + Send>>;

/// One line of the table.
pub struct Handler {
    pub key: i16,
    pub name: &'static str,
    pub versions: RangeInclusive<i16>,
    /// It begins only while there is room for what clients have not taken.
    pub may_be_large: bool,
    run: fn(Call, Bytes) -> Answering,
}

impl Handler {
    const fn of<A: Handle + 'static>() -> Self {
        Self {
            key: A::KEY,
            name: A::NAME,
            versions: A::VERSIONS,
            may_be_large: A::MAY_BE_LARGE,
            run: |call, frame| Box::pin(run::<A>(call, frame)),
        }
    }

    /// A line of another table: for tests, which open the gate alone.
    pub const fn elsewhere<A: Api>(run: fn(Call, Bytes) -> Answering) -> Self {
        Self {
            key: A::KEY,
            name: A::NAME,
            versions: A::VERSIONS,
            may_be_large: A::KEY == messages::fetch::Fetch::KEY,
            run,
        }
    }

    pub fn run(&self, call: Call, frame: Bytes) -> Answering {
        (self.run)(call, frame)
    }
}

async fn run<A: Handle>(mut call: Call, frame: Bytes) -> Result<Option<Parts>, Fault> {
    let (header, request) = messages::read_request::<A>(frame).map_err(Fault::Unread)?;
    call.version = header.version;
    call.client_id = header.client_id;
    let version = header.version;
    let (is_mute, running) = begin::<A>(call, request);
    let Some(response) = running.await else {
        return Ok(None);
    };
    if is_mute {
        return Err(Fault::Unheard);
    }
    let parts = messages::write_response::<A>(version, header.correlation_id, &response);
    parts.map(Some).map_err(Fault::Unwritten)
}

/// The request does not outlive this, so that it need not go from thread to
/// thread.
fn begin<A: Handle>(
    call: Call,
    request: A::Request,
) -> (bool, impl Future<Output = Option<A::Response>> + Send) {
    (A::is_mute(&request), A::run(call, request))
}

/// Every API that is answered, by its key.
pub const TABLE: &[Handler] = &[
    Handler::of::<messages::produce::Produce>(),
    Handler::of::<messages::fetch::Fetch>(),
    Handler::of::<messages::list_offsets::ListOffsets>(),
    Handler::of::<messages::metadata::Metadata>(),
    Handler::of::<messages::offset_commit::OffsetCommit>(),
    Handler::of::<messages::offset_fetch::OffsetFetch>(),
    Handler::of::<messages::find_coordinator::FindCoordinator>(),
    Handler::of::<messages::join_group::JoinGroup>(),
    Handler::of::<messages::heartbeat::Heartbeat>(),
    Handler::of::<messages::leave_group::LeaveGroup>(),
    Handler::of::<messages::sync_group::SyncGroup>(),
    Handler::of::<messages::describe_groups::DescribeGroups>(),
    Handler::of::<messages::list_groups::ListGroups>(),
    Handler::of::<messages::sasl_handshake::SaslHandshake>(),
    Handler::of::<messages::api_versions::ApiVersions>(),
    Handler::of::<messages::create_topics::CreateTopics>(),
    Handler::of::<messages::delete_topics::DeleteTopics>(),
    Handler::of::<messages::delete_records::DeleteRecords>(),
    Handler::of::<messages::init_producer_id::InitProducerId>(),
    Handler::of::<messages::offset_for_leader_epoch::OffsetForLeaderEpoch>(),
    Handler::of::<messages::add_partitions_to_txn::AddPartitionsToTxn>(),
    Handler::of::<messages::add_offsets_to_txn::AddOffsetsToTxn>(),
    Handler::of::<messages::end_txn::EndTxn>(),
    Handler::of::<messages::txn_offset_commit::TxnOffsetCommit>(),
    Handler::of::<messages::describe_acls::DescribeAcls>(),
    Handler::of::<messages::create_acls::CreateAcls>(),
    Handler::of::<messages::delete_acls::DeleteAcls>(),
    Handler::of::<messages::describe_configs::DescribeConfigs>(),
    Handler::of::<messages::alter_configs::AlterConfigs>(),
    Handler::of::<messages::describe_log_dirs::DescribeLogDirs>(),
    Handler::of::<messages::sasl_authenticate::SaslAuthenticate>(),
    Handler::of::<messages::create_partitions::CreatePartitions>(),
    Handler::of::<messages::delete_groups::DeleteGroups>(),
    Handler::of::<messages::elect_leaders::ElectLeaders>(),
    Handler::of::<messages::incremental_alter_configs::IncrementalAlterConfigs>(),
    Handler::of::<messages::alter_partition_reassignments::AlterPartitionReassignments>(),
    Handler::of::<messages::list_partition_reassignments::ListPartitionReassignments>(),
    Handler::of::<messages::offset_delete::OffsetDelete>(),
    Handler::of::<messages::describe_client_quotas::DescribeClientQuotas>(),
    Handler::of::<messages::alter_client_quotas::AlterClientQuotas>(),
    Handler::of::<messages::describe_user_scram_credentials::DescribeUserScramCredentials>(),
    Handler::of::<messages::alter_user_scram_credentials::AlterUserScramCredentials>(),
    Handler::of::<messages::describe_cluster::DescribeCluster>(),
    Handler::of::<messages::describe_producers::DescribeProducers>(),
    Handler::of::<messages::describe_transactions::DescribeTransactions>(),
    Handler::of::<messages::list_transactions::ListTransactions>(),
    Handler::of::<messages::consumer_group_heartbeat::ConsumerGroupHeartbeat>(),
    Handler::of::<messages::consumer_group_describe::ConsumerGroupDescribe>(),
    Handler::of::<messages::describe_topic_partitions::DescribeTopicPartitions>(),
];

/// The line of an API.
pub fn of(key: i16) -> Option<&'static Handler> {
    let place = TABLE.binary_search_by_key(&key, |handler| handler.key);
    place.ok().map(|place| &TABLE[place])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `of` looks by halves.
    #[test]
    fn the_table_is_in_the_order_of_its_keys() {
        assert!(TABLE.is_sorted_by(|one, next| one.key < next.key));
        assert!(TABLE.iter().all(|one| of(one.key).is_some()));
    }
}
