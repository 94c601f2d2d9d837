//! `ListOffsets`: where a partition begins and ends, and where it stands at a
//! time.

mod scan;

use super::led::{NO_EPOCH, NotLed};
use super::named::{Named, is_new};
use super::{Call, Handle};
use crate::ids::Offset;
use crate::ports::kafka::access::{Operation, Resource};
use crate::ports::kafka::messages::ErrorCode;
use crate::ports::kafka::messages::list_offsets::{
    ListOffsets, ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest,
    ListOffsetsResponse, ListOffsetsTopic, ListOffsetsTopicResponse,
};
use crate::state::topics::Topic;
use crate::streams::View;
use crate::streams::desk::{NotHere, Word};
use crate::streams::view::Marks;
use scan::{Sought, Spotted};
use std::sync::Arc;

/// Of the isolation levels.
const READ_COMMITTED: i8 = 1;
/// The first version whose answer has a leader epoch.
const EPOCH_FROM: i16 = 4;
/// The first version whose clients know that an offset may not be known yet.
const NOT_AVAILABLE_FROM: i16 = 5;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Latest,
    Earliest,
    GreatestTime,
    /// In remote storage, which is not there.
    Tiered,
    AtTime(i64),
}

impl Wish {
    /// By the number that stands for it, in the versions that know it.
    fn of(timestamp: i64, version: i16) -> Option<Self> {
        match (timestamp, version) {
            (-1, _) => Some(Self::Latest),
            (-2, _) => Some(Self::Earliest),
            (-3, 7..) => Some(Self::GreatestTime),
            // All that is there is on this disk.
            (-4, 8..) => Some(Self::Earliest),
            (-5, 9..) => Some(Self::Tiered),
            (0.., _) => Some(Self::AtTime(timestamp)),
            _ => None,
        }
    }
}

/// What is answered: -1 for what there is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standing {
    timestamp: i64,
    offset: i64,
    epoch: i32,
}

const NOWHERE: Standing = Standing {
    timestamp: -1,
    offset: -1,
    epoch: NO_EPOCH,
};

impl Handle for ListOffsets {
    async fn run(call: Call, request: ListOffsetsRequest) -> Option<ListOffsetsResponse> {
        let listing = Listing {
            call,
            is_of_replica: request.replica_id >= 0,
            reads_committed: request.isolation_level == READ_COMMITTED,
        };
        let mut named = Named::default();
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            topics.push(listing.topic(topic, &mut named).await);
        }
        Some(ListOffsetsResponse {
            topics,
            ..ListOffsetsResponse::default()
        })
    }
}

struct Listing {
    call: Call,
    is_of_replica: bool,
    reads_committed: bool,
}

impl Listing {
    async fn topic(&self, asked: ListOffsetsTopic, named: &mut Named) -> ListOffsetsTopicResponse {
        let topics = self.call.door.site.topics();
        let topic = match self
            .call
            .may(Operation::Describe, Resource::Topic(&asked.name))
        {
            // Nodes copy from each other by a way of their own.
            true if self.is_of_replica => Err(ErrorCode::ClusterAuthorizationFailed),
            true => topics
                .get(&asked.name)
                .ok_or(ErrorCode::UnknownTopicOrPartition),
            false => Err(ErrorCode::TopicAuthorizationFailed),
        };
        let named = named.of(&asked.name);
        let mut partitions = Vec::with_capacity(asked.partitions.len());
        for one in &asked.partitions {
            let found = match topic {
                Ok(_) if !is_new(named, one.partition_index) => Err(ErrorCode::InvalidRequest),
                Ok(topic) => self.partition(topic, one).await,
                Err(code) => Err(code),
            };
            partitions.push(self.answer(one.partition_index, found));
        }
        ListOffsetsTopicResponse {
            name: asked.name,
            partitions,
        }
    }

    fn answer(
        &self,
        partition_index: i32,
        found: Result<Standing, ErrorCode>,
    ) -> ListOffsetsPartitionResponse {
        let error_code = found.err().unwrap_or_default();
        let standing = found.unwrap_or(NOWHERE);
        ListOffsetsPartitionResponse {
            partition_index,
            error_code,
            timestamp: standing.timestamp,
            offset: standing.offset,
            leader_epoch: match self.call.version >= EPOCH_FROM {
                true => standing.epoch,
                false => NO_EPOCH,
            },
        }
    }

    async fn partition(
        &self,
        topic: &Topic,
        asked: &ListOffsetsPartition,
    ) -> Result<Standing, ErrorCode> {
        let wish = Wish::of(asked.timestamp, self.call.version);
        let wish = wish.ok_or(ErrorCode::UnsupportedVersion)?;
        let led = self
            .call
            .led(topic, asked.partition_index, asked.current_leader_epoch);
        let view = led.map_err(|NotLed { code, .. }| code)?;
        match wish {
            Wish::Latest => self.latest(&view).await,
            Wish::Earliest => self.earliest(view).await,
            Wish::Tiered => Ok(NOWHERE),
            Wish::GreatestTime => {
                let key = view.key;
                let ask = |answer| Word::LatestTime { key, answer };
                let found = self.call.door.streams.ask(ask).await;
                let found = found.unwrap_or(Err(NotHere::NotLeader))?;
                self.timed(view, found).await
            }
            Wish::AtTime(at_ms) => {
                let key = view.key;
                let ask = |answer| Word::FindTime { key, at_ms, answer };
                let found = self.call.door.streams.ask(ask).await;
                let found = found.unwrap_or(Err(NotHere::NotLeader))?;
                self.timed(view, found.map(|from| (at_ms, from))).await
            }
        }
    }

    /// The first record of this time or a later one, from an offset on. That there
    /// is none is not known before the end is.
    async fn timed(
        &self,
        view: Arc<View>,
        found: Option<(i64, Offset)>,
    ) -> Result<Standing, ErrorCode> {
        let standing = match found {
            Some((at_ms, from)) => self.scan(view.clone(), from, Sought::Time(at_ms)).await?,
            None => NOWHERE,
        };
        if standing == NOWHERE {
            self.check_settled(&view).await?;
        }
        Ok(standing)
    }

    async fn latest(&self, view: &View) -> Result<Standing, ErrorCode> {
        self.check_settled(view).await?;
        Ok(Standing {
            timestamp: -1,
            offset: self.end(view.marks()).0 as i64,
            epoch: view.leader_epoch(),
        })
    }

    /// How far this client may read.
    fn end(&self, marks: Marks) -> Offset {
        match self.reads_committed {
            true => marks.last_stable,
            false => marks.watermark,
        }
    }

    /// A new leader does not know how far the readers of the one before have
    /// seen until it has come to where it began to lead; a client that heard of
    /// a smaller end meanwhile would go back (KIP-207).
    async fn check_settled(&self, view: &View) -> Result<(), ErrorCode> {
        let (key, epoch) = (view.key, view.leader_epoch() - 1);
        let ask = |answer| Word::EndOfEpoch { key, epoch, answer };
        let found = self.call.door.streams.ask(ask).await;
        let before = found.unwrap_or(Err(NotHere::NotLeader))?;
        match before {
            Some((_, began)) if view.marks().watermark < began => {
                Err(match self.call.version >= NOT_AVAILABLE_FROM {
                    true => ErrorCode::OffsetNotAvailable,
                    false => ErrorCode::LeaderNotAvailable,
                })
            }
            _ => Ok(()),
        }
    }

    async fn earliest(&self, view: Arc<View>) -> Result<Standing, ErrorCode> {
        let first = view.marks().first;
        let epoch = match self.call.version >= EPOCH_FROM {
            true => self.scan(view, first, Sought::Any).await?.epoch,
            false => NO_EPOCH,
        };
        Ok(Standing {
            timestamp: -1,
            offset: first.0 as i64,
            epoch,
        })
    }

    /// Looks at the records from an offset on, on the blocking pool.
    async fn scan(
        &self,
        view: Arc<View>,
        from: Offset,
        sought: Sought,
    ) -> Result<Standing, ErrorCode> {
        let end = self.end(view.marks());
        let work = tokio::task::spawn_blocking(move || scan::scan(&view, from, end, sought));
        match work.await {
            Ok(Ok(Some(Spotted {
                timestamp,
                offset,
                epoch,
            }))) => Ok(Standing {
                timestamp,
                offset: offset.0 as i64,
                epoch,
            }),
            Ok(Ok(None)) => Ok(NOWHERE),
            Ok(Err(code)) => Err(code),
            Err(_) => Err(ErrorCode::UnknownServerError),
        }
    }
}

#[cfg(test)]
mod tests;
