//! Why a request on a transactional id was refused. A door maps each to its
//! protocol's code.

use super::record::Stage;
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Another node has the transactional id, or none has.
    NotCoordinator,
    /// The transactions are still being read.
    Loading,
    /// More answers wait for the disk than may.
    Busy,
    /// As many transactional ids or partitions are held here as may be.
    Full,
    /// A partition that nobody here knows yet, or any more.
    UnknownPartition,
    InvalidRequest(&'static str),
    InvalidTimeout {
        given: i32,
        most: u32,
    },
    /// There is no such transactional id: never was, or it was not used for
    /// long.
    UnknownId,
    /// Another producer has the transactional id.
    OtherProducer,
    /// A later producer of the same transactional id has been here.
    Fenced {
        given: i16,
        current: i16,
    },
    /// The last transaction is still being ended: to be tried again.
    Concurrent,
    /// The transaction is not where that could be done.
    InvalidState {
        stage: Stage,
    },
    /// Nothing is lost but this transaction: abort it, and begin the next.
    Abortable,
    /// No producer ids are to be had now.
    NoProducerIds,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotCoordinator => {
                f.write_str("this node does not coordinate the transactional id")
            }
            Self::Loading => f.write_str("the transactions are still being read"),
            Self::Busy => f.write_str("too many answers wait for the disk"),
            Self::Full => f.write_str("the coordinator holds as much as it may"),
            Self::UnknownPartition => f.write_str("there is no such partition"),
            Self::InvalidRequest(why) => f.write_str(why),
            Self::InvalidTimeout { given, most } => {
                write!(
                    f,
                    "a transaction timeout of {given} ms is not between 1 and {most}"
                )
            }
            Self::UnknownId => f.write_str("there is no such transactional id"),
            Self::OtherProducer => f.write_str("another producer has the transactional id"),
            Self::Fenced { given, current } => {
                write!(f, "producer epoch {given} is fenced by {current}")
            }
            Self::Concurrent => f.write_str("the last transaction is still being ended"),
            Self::InvalidState { stage } => {
                write!(f, "the transaction stands at {}", stage.name())
            }
            Self::Abortable => f.write_str("the transaction can only be aborted"),
            Self::NoProducerIds => f.write_str("no producer ids are to be had now"),
        }
    }
}

impl std::error::Error for Error {}
