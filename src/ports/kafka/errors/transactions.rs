//! What the coordinator of a transactional id refuses, as Kafka's codes. Some
//! came later than the APIs that may answer them, so that older clients are
//! told what they know.

use crate::ports::kafka::messages::ErrorCode;
use crate::streams::transactions::Error;

/// What a request of some API and version may be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vocabulary {
    /// PRODUCER_FENCED (KIP-588); INVALID_PRODUCER_EPOCH before.
    pub knows_fenced: bool,
    /// TRANSACTION_ABORTABLE (KIP-890); INVALID_TXN_STATE before.
    pub knows_abortable: bool,
}

impl Vocabulary {
    /// By the versions from which on an API has them.
    pub const fn since(version: i16, fenced: i16, abortable: i16) -> Self {
        Self {
            knows_fenced: version >= fenced,
            knows_abortable: version >= abortable,
        }
    }

    pub fn code(self, error: &Error) -> ErrorCode {
        match error {
            Error::NotCoordinator => ErrorCode::NotCoordinator,
            // To be had here, in a moment.
            Error::Loading | Error::NoProducerIds => ErrorCode::CoordinatorLoadInProgress,
            Error::Busy | Error::Full => ErrorCode::CoordinatorNotAvailable,
            Error::UnknownPartition => ErrorCode::UnknownTopicOrPartition,
            Error::InvalidRequest(_) => ErrorCode::InvalidRequest,
            Error::InvalidTimeout { .. } => ErrorCode::InvalidTransactionTimeout,
            Error::UnknownId | Error::OtherProducer => ErrorCode::InvalidProducerIdMapping,
            Error::Fenced { .. } if self.knows_fenced => ErrorCode::ProducerFenced,
            Error::Fenced { .. } => ErrorCode::InvalidProducerEpoch,
            Error::Concurrent => ErrorCode::ConcurrentTransactions,
            Error::Abortable if self.knows_abortable => ErrorCode::TransactionAbortable,
            Error::InvalidState { .. } | Error::Abortable => ErrorCode::InvalidTxnState,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_client_is_told_what_it_knows() {
        let fenced = Error::Fenced {
            given: 1,
            current: 2,
        };
        let check = |version, of_fenced, of_abortable| {
            let words = Vocabulary::since(version, 2, 4);
            assert_eq!(words.code(&fenced), of_fenced);
            assert_eq!(words.code(&Error::Abortable), of_abortable);
        };
        use ErrorCode::{InvalidProducerEpoch, InvalidTxnState, ProducerFenced};
        check(1, InvalidProducerEpoch, InvalidTxnState);
        check(2, ProducerFenced, InvalidTxnState);
        check(4, ProducerFenced, ErrorCode::TransactionAbortable);
    }
}
