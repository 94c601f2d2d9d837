//! Why a request on a group was refused, as Kafka's clients hear it.

use crate::ports::kafka::messages::ErrorCode;
use crate::streams::groups::Error;

pub fn code(error: &Error) -> ErrorCode {
    match error {
        Error::NotCoordinator => ErrorCode::NotCoordinator,
        // The same coordinator again, in a moment.
        Error::Loading | Error::Busy => ErrorCode::CoordinatorLoadInProgress,
        // Kafka has no such bound. Clients give up with this one, and its name
        // leads a person to the groups.
        Error::Full => ErrorCode::GroupMaxSizeReached,
        Error::InvalidGroupId => ErrorCode::InvalidGroupId,
        Error::InvalidRequest(_) => ErrorCode::InvalidRequest,
        Error::InvalidSessionTimeout { .. } => ErrorCode::InvalidSessionTimeout,
        Error::MemberIdRequired(_) => ErrorCode::MemberIdRequired,
        Error::UnknownMember => ErrorCode::UnknownMemberId,
        Error::FencedInstance => ErrorCode::FencedInstanceId,
        Error::UnreleasedInstance => ErrorCode::UnreleasedInstanceId,
        Error::IllegalGeneration { .. } => ErrorCode::IllegalGeneration,
        Error::RebalanceInProgress => ErrorCode::RebalanceInProgress,
        Error::InconsistentProtocol => ErrorCode::InconsistentGroupProtocol,
        Error::GroupFull { .. } => ErrorCode::GroupMaxSizeReached,
        Error::TooLarge { .. } => ErrorCode::InvalidRequest,
        Error::GroupNotFound => ErrorCode::GroupIdNotFound,
        Error::GroupNotEmpty => ErrorCode::NonEmptyGroup,
        Error::SubscribedToTopic => ErrorCode::GroupSubscribedToTopic,
        Error::FencedEpoch { .. } => ErrorCode::FencedMemberEpoch,
        Error::StaleEpoch { .. } => ErrorCode::StaleMemberEpoch,
        Error::UnsupportedAssignor(_) => ErrorCode::UnsupportedAssignor,
        Error::OffsetMetadataTooLarge { .. } => ErrorCode::OffsetMetadataTooLarge,
        Error::TooManyOffsets => ErrorCode::InvalidCommitOffsetSize,
        Error::UnstableOffset => ErrorCode::UnstableOffsetCommit,
        Error::Unverified(_) => ErrorCode::InvalidTxnState,
        Error::ProducerFenced { .. } => ErrorCode::InvalidProducerEpoch,
    }
}

/// Of a sign of life. Clients end at the code for a coordinator that cannot say
/// yet, so, as Kafka's, it says that all is well: what it finds when it has read
/// the group, a later sign of life hears.
pub fn heartbeat_code(error: &Error) -> ErrorCode {
    match error {
        Error::Loading | Error::Busy => ErrorCode::None,
        other => code(other),
    }
}

/// Of a member that asks what it is to read. Clients end at that code here, too;
/// all know how to join once more, and that may take its time.
pub fn sync_code(error: &Error) -> ErrorCode {
    match error {
        Error::Loading | Error::Busy => ErrorCode::RebalanceInProgress,
        other => code(other),
    }
}

/// Of a commit. Clients of before KIP-848 know neither a group that is not
/// there nor an epoch that is behind.
pub fn commit_code(error: &Error, version: i16) -> ErrorCode {
    match error {
        Error::GroupNotFound if version < 9 => ErrorCode::IllegalGeneration,
        Error::StaleEpoch { .. } if version < 9 => ErrorCode::UnsupportedVersion,
        other => code(other),
    }
}

/// Of a commit in a transaction: a producer knows neither at any version.
pub fn transactional_commit_code(error: &Error) -> ErrorCode {
    match error {
        Error::GroupNotFound | Error::StaleEpoch { .. } => ErrorCode::IllegalGeneration,
        other => code(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_try_again_is_what_passes() {
        // These are retried by Java's clients and librdkafka, at the same broker
        // or after asking for the coordinator; all others reach the program or
        // make the member join anew.
        let stale = Error::StaleEpoch {
            given: 1,
            current: 2,
        };
        for (error, expected) in [
            (Error::Busy, ErrorCode::CoordinatorLoadInProgress),
            (Error::Loading, ErrorCode::CoordinatorLoadInProgress),
            (Error::NotCoordinator, ErrorCode::NotCoordinator),
            (Error::UnstableOffset, ErrorCode::UnstableOffsetCommit),
        ] {
            assert_eq!(code(&error), expected);
            assert_eq!(commit_code(&error, 2), expected);
            assert_eq!(transactional_commit_code(&error), expected);
        }
        // Who does not try these again has nothing to wait for, or joins anew.
        for passing in [Error::Busy, Error::Loading] {
            assert_eq!(heartbeat_code(&passing), ErrorCode::None);
            assert_eq!(sync_code(&passing), ErrorCode::RebalanceInProgress);
        }
        for of in [heartbeat_code, sync_code] {
            assert_eq!(of(&Error::NotCoordinator), ErrorCode::NotCoordinator);
            assert_eq!(of(&Error::UnknownMember), ErrorCode::UnknownMemberId);
        }
        assert_eq!(commit_code(&stale, 8), ErrorCode::UnsupportedVersion);
        assert_eq!(commit_code(&stale, 9), ErrorCode::StaleMemberEpoch);
        let missing = Error::GroupNotFound;
        assert_eq!(commit_code(&missing, 8), ErrorCode::IllegalGeneration);
        assert_eq!(commit_code(&missing, 9), ErrorCode::GroupIdNotFound);
        assert_eq!(
            transactional_commit_code(&missing),
            ErrorCode::IllegalGeneration
        );
    }
}
