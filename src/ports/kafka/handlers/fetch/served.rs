//! What one partition of a Fetch came to.

use super::plan::Stretch;
use super::read::Given;
use super::session::Shown;
use crate::ids::Offset;
use crate::ports::kafka::handlers::led::{NotLed, told};
use crate::ports::kafka::messages::ErrorCode;
use crate::ports::kafka::messages::fetch::{
    AbortedTransaction, EpochEndOffset, LeaderIdAndEpoch, PartitionData,
};
use crate::streams::partition::LeaderEpoch;
use crate::streams::producers::Aborted;
use crate::streams::view::Marks;
use crate::streams::{Key, View};
use std::sync::Arc;

pub enum Served {
    Refused(NotLed),
    /// The client's history parts from the one here.
    Parted {
        epoch: LeaderEpoch,
        end: Offset,
        marks: Marks,
    },
    Read(Read),
}

pub struct Read {
    pub view: Arc<View>,
    pub marks: Marks,
    pub stretch: Stretch,
    pub given: Given,
    /// None where it does not matter to the client.
    pub aborted: Option<Vec<Aborted>>,
}

impl From<NotLed> for Served {
    fn from(why: NotLed) -> Self {
        Self::Refused(why)
    }
}

impl From<ErrorCode> for Served {
    fn from(code: ErrorCode) -> Self {
        Self::Refused(code.into())
    }
}

impl Read {
    /// Where the records that were read stand.
    pub fn found(&self) -> Option<(Key, Offset, Offset)> {
        let is_empty = self.given.records.is_empty();
        (!is_empty).then_some((self.view.key, self.stretch.from, self.given.next))
    }
}

impl Served {
    pub fn bytes(&self) -> usize {
        match self {
            Self::Read(read) => read.given.records.len(),
            Self::Refused(_) | Self::Parted { .. } => 0,
        }
    }

    /// There is more than what is given.
    pub fn has_more(&self) -> bool {
        match self {
            Self::Read(read) => read.given.next.max(read.stretch.from) < read.stretch.until,
            Self::Refused(_) | Self::Parted { .. } => false,
        }
    }

    /// Behind which offset there would be more to read.
    pub fn awaited(&self) -> Option<(Key, Offset)> {
        match self {
            Self::Read(read) => {
                let Stretch { from, until } = read.stretch;
                Some((read.view.key, until.max(from)))
            }
            Self::Refused(_) | Self::Parted { .. } => None,
        }
    }

    /// Whether a client is told at once. Of a topic that is not there, or not
    /// for it, it hears when the others are served: as soon as it has heard it
    /// asks again.
    pub fn is_urgent(&self) -> bool {
        match self {
            Self::Refused(why) => !matches!(
                why.code,
                ErrorCode::TopicAuthorizationFailed
                    | ErrorCode::UnknownTopicOrPartition
                    | ErrorCode::UnknownTopicId
            ),
            Self::Parted { .. } => true,
            Self::Read(_) => false,
        }
    }

    pub fn shown(&self) -> Shown {
        let (marks, is_told_anyway) = match self {
            Self::Refused(_) => (None, true),
            Self::Parted { marks, .. } => (Some(marks), true),
            Self::Read(read) => (Some(&read.marks), false),
        };
        Shown {
            watermark: marks.map_or(-1, |marks| marks.watermark.0 as i64),
            first: marks.map_or(-1, |marks| marks.first.0 as i64),
            has_records: self.bytes() > 0,
            is_told_anyway,
        }
    }

    pub fn data(self, partition_index: i32) -> PartitionData {
        let data = PartitionData {
            partition_index,
            high_watermark: -1,
            aborted_transactions: None,
            ..PartitionData::default()
        };
        let with_marks = |marks: Marks| PartitionData {
            high_watermark: marks.watermark.0 as i64,
            last_stable_offset: marks.last_stable.0 as i64,
            log_start_offset: marks.first.0 as i64,
            ..data.clone()
        };
        match self {
            Self::Refused(why) => PartitionData {
                error_code: why.code,
                current_leader: why.leader.map_or(
                    LeaderIdAndEpoch::default(),
                    |(leader, leader_epoch)| LeaderIdAndEpoch {
                        leader_id: told(leader),
                        leader_epoch,
                    },
                ),
                ..data
            },
            Self::Parted { epoch, end, marks } => PartitionData {
                diverging_epoch: EpochEndOffset {
                    epoch,
                    end_offset: end.0 as i64,
                },
                ..with_marks(marks)
            },
            Self::Read(read) => PartitionData {
                aborted_transactions: read.aborted.map(|all| all.iter().map(named).collect()),
                records: read.given.records,
                ..with_marks(read.marks)
            },
        }
    }
}

fn named(aborted: &Aborted) -> AbortedTransaction {
    AbortedTransaction {
        producer_id: aborted.id.0 as i64,
        first_offset: aborted.first.0 as i64,
    }
}
