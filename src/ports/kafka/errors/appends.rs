//! Why records are not appended or not read, as Kafka's codes.
//!
//! A client does one of three things by the code alone: it tries again, it asks
//! who leads and tries there, or it gives up. So the codes are chosen by what
//! the client shall do, and where the version has room for one, a sentence says
//! what happened.

use crate::log::ReadError;
use crate::ports::kafka::messages::ErrorCode;
use crate::streams::batch::check::Refusal;
use crate::streams::batch::codec::Broken;
use crate::streams::desk::{NotAppended, NotDropped, NotHere};
use crate::streams::{partition, producers};
use std::slice;

impl From<&Refusal> for ErrorCode {
    fn from(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::Nothing
            | Refusal::Control
            | Refusal::Attributes { .. }
            | Refusal::BaseOffset { .. }
            | Refusal::Count { .. }
            | Refusal::Producer { .. }
            | Refusal::Record { .. }
            | Refusal::Order { .. }
            | Refusal::NoKey { .. }
            | Refusal::Left { .. }
            // Produce has taken no other since its version 3.
            | Refusal::OldFormat { .. } => Self::InvalidRecord,
            Refusal::Magic { .. }
            | Refusal::Cut { .. }
            | Refusal::Length { .. }
            | Refusal::Checksum { .. } => Self::CorruptMessage,
            Refusal::TooLarge { .. } => Self::MessageTooLarge,
            Refusal::UnknownCodec { .. } => Self::UnsupportedCompressionType,
            Refusal::AppendTime | Refusal::Timestamp { .. } => Self::InvalidTimestamp,
            Refusal::Packed(Broken::Corrupt { .. }) => Self::CorruptMessage,
            Refusal::Packed(Broken::TooLarge { .. } | Broken::Window { .. }) => {
                Self::MessageTooLarge
            }
        }
    }
}

/// The records of the batch that are at fault, where it is not the batch.
pub fn refused_records(refusal: &Refusal) -> &[u32] {
    match refusal {
        Refusal::Record { at, .. } | Refusal::Order { at, .. } => slice::from_ref(at),
        Refusal::NoKey { at } | Refusal::Timestamp { at, .. } => at,
        Refusal::Nothing
        | Refusal::OldFormat { .. }
        | Refusal::Magic { .. }
        | Refusal::Cut { .. }
        | Refusal::Length { .. }
        | Refusal::TooLarge { .. }
        | Refusal::Checksum { .. }
        | Refusal::UnknownCodec { .. }
        | Refusal::Control
        | Refusal::Attributes { .. }
        | Refusal::AppendTime
        | Refusal::BaseOffset { .. }
        | Refusal::Count { .. }
        | Refusal::Producer { .. }
        | Refusal::Packed(_)
        | Refusal::Left { .. } => &[],
    }
}

/// All three have the client ask who leads, and come back. Kafka's own word for
/// a partition that is being read back would end some consumers.
impl From<NotHere> for ErrorCode {
    fn from(not_here: NotHere) -> Self {
        match not_here {
            NotHere::Unknown | NotHere::Opening | NotHere::NotLeader => Self::NotLeaderOrFollower,
        }
    }
}

impl From<&NotAppended> for ErrorCode {
    fn from(not_appended: &NotAppended) -> Self {
        match not_appended {
            NotAppended::NotHere(why) => (*why).into(),
            // Nothing was written: to be tried again, here.
            NotAppended::Busy => Self::NotEnoughReplicas,
            NotAppended::Partition(why) => why.into(),
            NotAppended::Producer(why) => (*why).into(),
            NotAppended::BeginsTransaction(_) => Self::InvalidTxnState,
            NotAppended::Disk(_) => Self::KafkaStorageError,
            NotAppended::ManyBatches => Self::InvalidRecord,
        }
    }
}

impl From<&partition::Refused> for ErrorCode {
    fn from(refused: &partition::Refused) -> Self {
        match refused {
            partition::Refused::NotLeader => Self::NotLeaderOrFollower,
            partition::Refused::NotEnough { .. } => Self::NotEnoughReplicas,
            // The client sends it again, and a producer that numbers its batches
            // is not taken twice.
            partition::Refused::TimedOut => Self::RequestTimedOut,
            partition::Refused::Storage => Self::KafkaStorageError,
        }
    }
}

impl From<producers::Refused> for ErrorCode {
    fn from(refused: producers::Refused) -> Self {
        match refused {
            producers::Refused::Fenced { .. } => Self::InvalidProducerEpoch,
            producers::Refused::OutOfOrder { .. } => Self::OutOfOrderSequenceNumber,
            producers::Refused::NotTransactional { .. } => Self::InvalidTxnState,
            producers::Refused::OldCoordinator { .. } => Self::TransactionCoordinatorFenced,
            // What is before it is tried again, and then this. Kafka's own word for
            // a gap would have librdkafka raise its epoch.
            producers::Refused::Awaited { .. }
            // There is room again when a transaction has ended.
            | producers::Refused::TooManyOpen { .. }
            | producers::Refused::TooManyAborted { .. } => Self::NotEnoughReplicas,
        }
    }
}

impl From<NotDropped> for ErrorCode {
    fn from(not_dropped: NotDropped) -> Self {
        match not_dropped {
            NotDropped::NotHere(why) => why.into(),
            NotDropped::OutOfRange => Self::OffsetOutOfRange,
            // The client asks again.
            NotDropped::Busy | NotDropped::TimedOut => Self::RequestTimedOut,
            NotDropped::Disk(_) => Self::KafkaStorageError,
        }
    }
}

impl From<&ReadError> for ErrorCode {
    fn from(error: &ReadError) -> Self {
        match error {
            ReadError::BelowFirst { .. } => Self::OffsetOutOfRange,
            ReadError::Hole(_) | ReadError::Io { .. } => Self::KafkaStorageError,
            // Who asks for no more than that reads it otherwise.
            ReadError::NotInMemory => Self::UnknownServerError,
            // The node is stopping, and another leads soon.
            ReadError::Closed => Self::NotLeaderOrFollower,
        }
    }
}

/// What the coordinator of a transaction says of a partition that is not in it,
/// as a producer hears it. Clients that add their partitions themselves know few
/// codes as ones to try again after; `NOT_ENOUGH_REPLICAS` is one, and does not
/// make them ask who leads.
pub fn unverified(code: ErrorCode, is_v2: bool) -> ErrorCode {
    match code {
        ErrorCode::ConcurrentTransactions if is_v2 => code,
        ErrorCode::ConcurrentTransactions
        | ErrorCode::NetworkException
        | ErrorCode::RequestTimedOut
        | ErrorCode::CoordinatorLoadInProgress
        | ErrorCode::CoordinatorNotAvailable
        | ErrorCode::NotCoordinator => ErrorCode::NotEnoughReplicas,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Index, Offset, ProducerId};
    use crate::streams::batch::codec::Codec;
    use crate::streams::batch::record::Malformed;

    /// As the comments beside the refusals promise.
    #[test]
    fn a_refused_batch_has_kafkas_code_and_the_record_that_is_at_fault() {
        let corrupt = Broken::Corrupt {
            codec: Codec::Gzip,
            what: "it ends within a member",
        };
        let cut = Malformed::Cut { field: "key" };
        for (refusal, code, record) in [
            (Refusal::Nothing, "INVALID_RECORD", &[][..]),
            (Refusal::OldFormat { magic: 1 }, "INVALID_RECORD", &[][..]),
            (Refusal::Magic { found: 3 }, "CORRUPT_MESSAGE", &[][..]),
            (Refusal::Length { stated: -1 }, "CORRUPT_MESSAGE", &[][..]),
            (
                Refusal::TooLarge { bytes: 2, most: 1 },
                "MESSAGE_TOO_LARGE",
                &[][..],
            ),
            (
                Refusal::UnknownCodec { number: 7 },
                "UNSUPPORTED_COMPRESSION_TYPE",
                &[][..],
            ),
            (Refusal::AppendTime, "INVALID_TIMESTAMP", &[][..]),
            (Refusal::Packed(corrupt), "CORRUPT_MESSAGE", &[][..]),
            (
                Refusal::Packed(Broken::TooLarge { most: 1 }),
                "MESSAGE_TOO_LARGE",
                &[][..],
            ),
            (
                Refusal::Record { at: 4, why: cut },
                "INVALID_RECORD",
                &[4][..],
            ),
            (
                Refusal::NoKey { at: vec![0, 7] },
                "INVALID_RECORD",
                &[0, 7][..],
            ),
            (
                Refusal::Timestamp {
                    at: vec![2],
                    found: 9,
                },
                "INVALID_TIMESTAMP",
                &[2][..],
            ),
        ] {
            assert_eq!(ErrorCode::from(&refusal).name(), code, "{refusal}");
            assert_eq!(refused_records(&refusal), record, "{refusal}");
        }
    }

    /// Whether Java's producer sends the batch again; the others know no more.
    #[test]
    fn what_may_go_well_next_time_is_sent_again() {
        let is_retried = |code: ErrorCode| {
            matches!(
                code,
                ErrorCode::NotEnoughReplicas
                    | ErrorCode::NotLeaderOrFollower
                    | ErrorCode::RequestTimedOut
                    | ErrorCode::KafkaStorageError
            )
        };
        let (id, epoch, current) = (ProducerId(1), 0, 1);
        let fenced = producers::Refused::Fenced { id, epoch, current };
        let open = Offset(3);
        let beside = producers::Refused::NotTransactional { id, open };
        let most = 1;
        let behind = producers::Refused::Awaited {
            id,
            awaited: 0,
            found: 5,
        };
        let partition = NotAppended::Partition;
        let producer = NotAppended::Producer;
        for (why, again) in [
            (NotAppended::NotHere(NotHere::Unknown), true),
            (NotAppended::NotHere(NotHere::Opening), true),
            (NotAppended::NotHere(NotHere::NotLeader), true),
            (NotAppended::Busy, true),
            (partition(partition::Refused::NotLeader), true),
            (
                partition(partition::Refused::NotEnough { up: 1, floor: 2 }),
                true,
            ),
            (partition(partition::Refused::TimedOut), true),
            (partition(partition::Refused::Storage), true),
            (producer(producers::Refused::TooManyAborted { most }), true),
            (producer(behind), true),
            (producer(fenced), false),
            (producer(beside), false),
            (NotAppended::ManyBatches, false),
            (NotAppended::Disk("full".into()), true),
        ] {
            assert_eq!(is_retried(ErrorCode::from(&why)), again, "{why}");
        }
    }

    #[test]
    fn a_read_that_fails_is_out_of_range_or_of_the_disk() {
        let gone = ReadError::BelowFirst { first: Index(4) };
        assert_eq!(ErrorCode::from(&gone), ErrorCode::OffsetOutOfRange);
        let broken = ReadError::Io {
            doing: "read".into(),
            source: std::io::ErrorKind::UnexpectedEof.into(),
        };
        assert_eq!(ErrorCode::from(&broken), ErrorCode::KafkaStorageError);
        assert_eq!(
            ErrorCode::from(NotDropped::OutOfRange),
            ErrorCode::OffsetOutOfRange
        );
        for (why, code) in [
            (NotDropped::Busy, ErrorCode::RequestTimedOut),
            (NotDropped::TimedOut, ErrorCode::RequestTimedOut),
            (
                NotDropped::Disk("full".into()),
                ErrorCode::KafkaStorageError,
            ),
        ] {
            assert_eq!(ErrorCode::from(why), code);
        }
    }

    #[test]
    fn a_coordinator_that_is_away_is_waited_for() {
        for (code, first, second) in [
            (
                ErrorCode::ConcurrentTransactions,
                ErrorCode::NotEnoughReplicas,
                ErrorCode::ConcurrentTransactions,
            ),
            (
                ErrorCode::NotCoordinator,
                ErrorCode::NotEnoughReplicas,
                ErrorCode::NotEnoughReplicas,
            ),
            (
                ErrorCode::InvalidTxnState,
                ErrorCode::InvalidTxnState,
                ErrorCode::InvalidTxnState,
            ),
            (
                ErrorCode::ProducerFenced,
                ErrorCode::ProducerFenced,
                ErrorCode::ProducerFenced,
            ),
        ] {
            assert_eq!(unverified(code, false), first);
            assert_eq!(unverified(code, true), second);
        }
    }
}
