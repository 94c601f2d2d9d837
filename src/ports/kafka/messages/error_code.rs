//! Kafka's error codes: number, name, and what it means to whoever gets it.

use std::fmt;

macro_rules! codes {
    ($($number:literal $code:ident $name:ident $sentence:literal)+) => {
        /// How something went, as answers say it.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ErrorCode {
            // The first of the list.
            #[default]
            $($code,)+
            /// A number of a newer broker. Made by `from` alone, so it never
            /// holds one of the others' numbers.
            Unnamed(i16),
        }

        impl ErrorCode {
            pub const ALL: &[Self] = &[$(Self::$code),+];

            pub const fn number(self) -> i16 {
                match self {
                    $(Self::$code => $number,)+
                    Self::Unnamed(number) => number,
                }
            }

            /// The name by which Kafka's documentation and tools call it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$code => stringify!($name),)+
                    Self::Unnamed(_) => "UNNAMED",
                }
            }

            pub const fn sentence(self) -> &'static str {
                match self {
                    $(Self::$code => $sentence,)+
                    Self::Unnamed(_) => "the broker has an error that this build has no name for",
                }
            }
        }

        impl From<i16> for ErrorCode {
            fn from(number: i16) -> Self {
                match number {
                    $($number => Self::$code,)+
                    other => Self::Unnamed(other),
                }
            }
        }
    };
}

codes! {
    0 None NONE
        "it went well"
    -1 UnknownServerError UNKNOWN_SERVER_ERROR
        "the server failed in a way it has no other word for"
    1 OffsetOutOfRange OFFSET_OUT_OF_RANGE
        "the partition has no record at that offset: it is before the first or behind the last"
    2 CorruptMessage CORRUPT_MESSAGE
        "a batch does not match its checksum, or is malformed"
    3 UnknownTopicOrPartition UNKNOWN_TOPIC_OR_PARTITION
        "there is no such topic or partition here"
    4 InvalidFetchSize INVALID_FETCH_SIZE
        "the size that was asked for cannot be fetched"
    5 LeaderNotAvailable LEADER_NOT_AVAILABLE
        "the partition has no leader at the moment"
    6 NotLeaderOrFollower NOT_LEADER_OR_FOLLOWER
        "this broker does not lead the partition, or holds no replica of it"
    7 RequestTimedOut REQUEST_TIMED_OUT
        "the time that the request allows has passed"
    8 BrokerNotAvailable BROKER_NOT_AVAILABLE
        "the broker is not there"
    9 ReplicaNotAvailable REPLICA_NOT_AVAILABLE
        "the replica cannot be read at the moment"
    10 MessageTooLarge MESSAGE_TOO_LARGE
        "a batch is larger than the topic allows"
    11 StaleControllerEpoch STALE_CONTROLLER_EPOCH
        "the word comes from a controller that has been followed by another"
    12 OffsetMetadataTooLarge OFFSET_METADATA_TOO_LARGE
        "the text beside a committed offset is too long"
    13 NetworkException NETWORK_EXCEPTION
        "the connection ended before the answer came"
    14 CoordinatorLoadInProgress COORDINATOR_LOAD_IN_PROGRESS
        "the coordinator is reading what it must know first"
    15 CoordinatorNotAvailable COORDINATOR_NOT_AVAILABLE
        "the group or transaction has no coordinator at the moment"
    16 NotCoordinator NOT_COORDINATOR
        "another broker coordinates this group or transaction"
    17 InvalidTopicException INVALID_TOPIC_EXCEPTION
        "the name is no topic's, or the topic may not be used so"
    18 RecordListTooLarge RECORD_LIST_TOO_LARGE
        "the batches are larger than a segment"
    19 NotEnoughReplicas NOT_ENOUGH_REPLICAS
        "fewer replicas are in sync than the topic asks for, and nothing was written"
    20 NotEnoughReplicasAfterAppend NOT_ENOUGH_REPLICAS_AFTER_APPEND
        "it was written, but fewer replicas are in sync than the topic asks for"
    21 InvalidRequiredAcks INVALID_REQUIRED_ACKS
        "acks is none of 0, 1 and all"
    22 IllegalGeneration ILLEGAL_GENERATION
        "the group has moved on to another generation"
    23 InconsistentGroupProtocol INCONSISTENT_GROUP_PROTOCOL
        "the member has no protocol in common with the group, or names none"
    24 InvalidGroupId INVALID_GROUP_ID
        "the group's id is not allowed"
    25 UnknownMemberId UNKNOWN_MEMBER_ID
        "the group has no such member"
    26 InvalidSessionTimeout INVALID_SESSION_TIMEOUT
        "the session timeout is outside the bounds that the broker sets"
    27 RebalanceInProgress REBALANCE_IN_PROGRESS
        "the group is rebalancing: its members must join again"
    28 InvalidCommitOffsetSize INVALID_COMMIT_OFFSET_SIZE
        "the offsets to commit are larger than one record may be"
    29 TopicAuthorizationFailed TOPIC_AUTHORIZATION_FAILED
        "the user may not do that with the topic"
    30 GroupAuthorizationFailed GROUP_AUTHORIZATION_FAILED
        "the user may not do that with the group"
    31 ClusterAuthorizationFailed CLUSTER_AUTHORIZATION_FAILED
        "the user may not do that with the cluster"
    32 InvalidTimestamp INVALID_TIMESTAMP
        "a record's time is further from the broker's than the topic allows"
    33 UnsupportedSaslMechanism UNSUPPORTED_SASL_MECHANISM
        "the broker does not know the SASL mechanism"
    34 IllegalSaslState ILLEGAL_SASL_STATE
        "the request has no place at this point of the authentication"
    35 UnsupportedVersion UNSUPPORTED_VERSION
        "the broker does not know this version of the API"
    36 TopicAlreadyExists TOPIC_ALREADY_EXISTS
        "there is a topic of that name"
    37 InvalidPartitions INVALID_PARTITIONS
        "the number of partitions is not one that the topic can have"
    38 InvalidReplicationFactor INVALID_REPLICATION_FACTOR
        "the replication factor is below 1 or above the number of brokers"
    39 InvalidReplicaAssignment INVALID_REPLICA_ASSIGNMENT
        "the replicas cannot be placed as asked for"
    40 InvalidConfig INVALID_CONFIG
        "a setting is unknown, or its value is not allowed"
    41 NotController NOT_CONTROLLER
        "another broker is the controller"
    42 InvalidRequest INVALID_REQUEST
        "the request contradicts itself or does not parse"
    43 UnsupportedForMessageFormat UNSUPPORTED_FOR_MESSAGE_FORMAT
        "the format of the stored records does not allow it"
    44 PolicyViolation POLICY_VIOLATION
        "the cluster's policy forbids it"
    45 OutOfOrderSequenceNumber OUT_OF_ORDER_SEQUENCE_NUMBER
        "a batch of an idempotent producer is missing before this one"
    46 DuplicateSequenceNumber DUPLICATE_SEQUENCE_NUMBER
        "the batch was written before"
    47 InvalidProducerEpoch INVALID_PRODUCER_EPOCH
        "the producer has been followed by another with its id"
    48 InvalidTxnState INVALID_TXN_STATE
        "the transaction is not in a state that allows it"
    49 InvalidProducerIdMapping INVALID_PRODUCER_ID_MAPPING
        "the transactional id belongs to another producer id"
    50 InvalidTransactionTimeout INVALID_TRANSACTION_TIMEOUT
        "the transaction's timeout is above what the broker allows"
    51 ConcurrentTransactions CONCURRENT_TRANSACTIONS
        "the last transaction of this id is not finished yet"
    52 TransactionCoordinatorFenced TRANSACTION_COORDINATOR_FENCED
        "the marker comes from a coordinator that has been followed by another"
    53 TransactionalIdAuthorizationFailed TRANSACTIONAL_ID_AUTHORIZATION_FAILED
        "the user may not use the transactional id"
    54 SecurityDisabled SECURITY_DISABLED
        "the broker keeps no access rules"
    55 OperationNotAttempted OPERATION_NOT_ATTEMPTED
        "it was not tried, because something before it failed"
    56 KafkaStorageError KAFKA_STORAGE_ERROR
        "the disk failed"
    57 LogDirNotFound LOG_DIR_NOT_FOUND
        "the broker has no such log directory"
    58 SaslAuthenticationFailed SASL_AUTHENTICATION_FAILED
        "the user is unknown or the password wrong"
    59 UnknownProducerId UNKNOWN_PRODUCER_ID
        "the partition knows nothing of the producer any more"
    60 ReassignmentInProgress REASSIGNMENT_IN_PROGRESS
        "the partition is being moved already"
    61 DelegationTokenAuthDisabled DELEGATION_TOKEN_AUTH_DISABLED
        "delegation tokens are off"
    62 DelegationTokenNotFound DELEGATION_TOKEN_NOT_FOUND
        "there is no such delegation token"
    63 DelegationTokenOwnerMismatch DELEGATION_TOKEN_OWNER_MISMATCH
        "the delegation token belongs to somebody else"
    64 DelegationTokenRequestNotAllowed DELEGATION_TOKEN_REQUEST_NOT_ALLOWED
        "delegation tokens cannot be asked for over this connection"
    65 DelegationTokenAuthorizationFailed DELEGATION_TOKEN_AUTHORIZATION_FAILED
        "the user may not do that with the delegation token"
    66 DelegationTokenExpired DELEGATION_TOKEN_EXPIRED
        "the delegation token has expired"
    67 InvalidPrincipalType INVALID_PRINCIPAL_TYPE
        "that is no kind of user"
    68 NonEmptyGroup NON_EMPTY_GROUP
        "the group has members"
    69 GroupIdNotFound GROUP_ID_NOT_FOUND
        "there is no such group"
    70 FetchSessionIdNotFound FETCH_SESSION_ID_NOT_FOUND
        "there is no such fetch session"
    71 InvalidFetchSessionEpoch INVALID_FETCH_SESSION_EPOCH
        "the fetch session stands at another epoch"
    72 ListenerNotFound LISTENER_NOT_FOUND
        "the leader has no address for the listener that was asked"
    73 TopicDeletionDisabled TOPIC_DELETION_DISABLED
        "topics cannot be deleted here"
    74 FencedLeaderEpoch FENCED_LEADER_EPOCH
        "the client knows an older leader than the broker"
    75 UnknownLeaderEpoch UNKNOWN_LEADER_EPOCH
        "the client knows a newer leader than the broker"
    76 UnsupportedCompressionType UNSUPPORTED_COMPRESSION_TYPE
        "the client cannot read how the batches are compressed"
    77 StaleBrokerEpoch STALE_BROKER_EPOCH
        "the broker has registered anew since"
    78 OffsetNotAvailable OFFSET_NOT_AVAILABLE
        "the new leader does not know yet how far the partition is committed"
    79 MemberIdRequired MEMBER_ID_REQUIRED
        "the member must join again with the id that it was given"
    80 PreferredLeaderNotAvailable PREFERRED_LEADER_NOT_AVAILABLE
        "the preferred leader cannot lead at the moment"
    81 GroupMaxSizeReached GROUP_MAX_SIZE_REACHED
        "the group is full"
    82 FencedInstanceId FENCED_INSTANCE_ID
        "another member has taken over the instance id"
    83 EligibleLeadersNotAvailable ELIGIBLE_LEADERS_NOT_AVAILABLE
        "none of the replicas that could lead is there"
    84 ElectionNotNeeded ELECTION_NOT_NEEDED
        "the partition has the leader that it should have"
    85 NoReassignmentInProgress NO_REASSIGNMENT_IN_PROGRESS
        "the partition is not being moved"
    86 GroupSubscribedToTopic GROUP_SUBSCRIBED_TO_TOPIC
        "the group reads the topic"
    87 InvalidRecord INVALID_RECORD
        "a record breaks a rule of its topic"
    88 UnstableOffsetCommit UNSTABLE_OFFSET_COMMIT
        "a transaction that is not finished holds an offset"
    89 ThrottlingQuotaExceeded THROTTLING_QUOTA_EXCEEDED
        "more was asked for than the quota allows"
    90 ProducerFenced PRODUCER_FENCED
        "a newer producer has taken the transactional id"
    91 ResourceNotFound RESOURCE_NOT_FOUND
        "there is nothing of that name"
    92 DuplicateResource DUPLICATE_RESOURCE
        "the request names it twice"
    93 UnacceptableCredential UNACCEPTABLE_CREDENTIAL
        "the credential breaks a rule, such as too few iterations"
    94 InconsistentVoterSet INCONSISTENT_VOTER_SET
        "the set of voters is another"
    95 InvalidUpdateVersion INVALID_UPDATE_VERSION
        "the version to update to is not allowed"
    96 FeatureUpdateFailed FEATURE_UPDATE_FAILED
        "the features could not be updated"
    97 PrincipalDeserializationFailure PRINCIPAL_DESERIALIZATION_FAILURE
        "the forwarded user could not be read"
    98 SnapshotNotFound SNAPSHOT_NOT_FOUND
        "there is no such snapshot"
    99 PositionOutOfRange POSITION_OUT_OF_RANGE
        "the snapshot does not reach that far"
    100 UnknownTopicId UNKNOWN_TOPIC_ID
        "no topic has that id"
    101 DuplicateBrokerRegistration DUPLICATE_BROKER_REGISTRATION
        "a broker with that id is there"
    102 BrokerIdNotRegistered BROKER_ID_NOT_REGISTERED
        "no broker with that id is there"
    103 InconsistentTopicId INCONSISTENT_TOPIC_ID
        "the topic of that name has another id"
    104 InconsistentClusterId INCONSISTENT_CLUSTER_ID
        "the request is meant for another cluster"
    105 TransactionalIdNotFound TRANSACTIONAL_ID_NOT_FOUND
        "there is no such transactional id"
    106 FetchSessionTopicIdError FETCH_SESSION_TOPIC_ID_ERROR
        "a fetch session cannot change between names and ids of topics"
    107 IneligibleReplica INELIGIBLE_REPLICA
        "the replica may not join the set in sync"
    108 NewLeaderElected NEW_LEADER_ELECTED
        "the change gave the partition a new leader"
    109 OffsetMovedToTieredStorage OFFSET_MOVED_TO_TIERED_STORAGE
        "the record has been moved off the disks of the brokers"
    110 FencedMemberEpoch FENCED_MEMBER_EPOCH
        "the coordinator has fenced the member: it must join again"
    111 UnreleasedInstanceId UNRELEASED_INSTANCE_ID
        "another member still holds the instance id"
    112 UnsupportedAssignor UNSUPPORTED_ASSIGNOR
        "the coordinator does not know the assignor"
    113 StaleMemberEpoch STALE_MEMBER_EPOCH
        "the member's epoch is out of date: it must hear the new one first"
    114 MismatchedEndpointType MISMATCHED_ENDPOINT_TYPE
        "the request was sent to an endpoint of another type"
    115 UnsupportedEndpointType UNSUPPORTED_ENDPOINT_TYPE
        "the broker does not know the endpoint's type"
    116 UnknownControllerId UNKNOWN_CONTROLLER_ID
        "there is no controller with that id"
    117 UnknownSubscriptionId UNKNOWN_SUBSCRIPTION_ID
        "the client's subscription to telemetry is out of date"
    118 TelemetryTooLarge TELEMETRY_TOO_LARGE
        "the telemetry is larger than the broker takes"
    119 InvalidRegistration INVALID_REGISTRATION
        "the controller does not take the broker's registration"
    120 TransactionAbortable TRANSACTION_ABORTABLE
        "the transaction cannot be committed; aborted, the next may begin"
    121 InvalidRecordState INVALID_RECORD_STATE
        "the record cannot be acknowledged from where it stands"
    122 ShareSessionNotFound SHARE_SESSION_NOT_FOUND
        "there is no such share session"
    123 InvalidShareSessionEpoch INVALID_SHARE_SESSION_EPOCH
        "the share session stands at another epoch"
    124 FencedStateEpoch FENCED_STATE_EPOCH
        "the share group's state has a newer epoch"
    125 InvalidVoterKey INVALID_VOTER_KEY
        "the voter is known by another key"
    126 DuplicateVoter DUPLICATE_VOTER
        "the voter is one already"
    127 VoterNotFound VOTER_NOT_FOUND
        "there is no such voter"
    128 InvalidRegularExpression INVALID_REGULAR_EXPRESSION
        "the regular expression does not parse"
    129 RebootstrapRequired REBOOTSTRAP_REQUIRED
        "the client knows too old a cluster and must begin anew from its first addresses"
    130 StreamsInvalidTopology STREAMS_INVALID_TOPOLOGY
        "the topology of the streams application is invalid"
    131 StreamsInvalidTopologyEpoch STREAMS_INVALID_TOPOLOGY_EPOCH
        "the topology's epoch is invalid"
    132 StreamsTopologyFenced STREAMS_TOPOLOGY_FENCED
        "the topology's epoch is out of date"
    133 ShareSessionLimitReached SHARE_SESSION_LIMIT_REACHED
        "there are as many share sessions as there may be"
}

impl ErrorCode {
    pub fn is_none(self) -> bool {
        self == Self::None
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unnamed(number) => write!(f, "error {number}: {}", self.sentence()),
            named => write!(f, "{}: {}", named.name(), named.sentence()),
        }
    }
}

impl std::error::Error for ErrorCode {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_its_name_lead_to_each_other() {
        for &code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from(code.number()), code);
        }
        for number in i16::MIN..=i16::MAX {
            assert_eq!(ErrorCode::from(number).number(), number);
        }
        assert_eq!(ErrorCode::default(), ErrorCode::None);
        assert_eq!(
            ErrorCode::NotCoordinator.to_string(),
            "NOT_COORDINATOR: another broker coordinates this group or transaction"
        );
    }
}
