//! The partitions as the coordinators of transactions see them: one to append
//! to and to read from its beginning, and those that are told how transactions
//! end.

use super::super::pages::{Page, Remembers};
use super::super::reading;
use super::far::mark_elsewhere;
use crate::clock::Clock;
use crate::limits::COORDINATOR_APPEND_MS;
use crate::streams::Key;
use crate::streams::batch::stored::Stored;
use crate::streams::desk::{Append, Mark, NotAppended, Word};
use crate::streams::follow::Between;
use crate::streams::partition::{Acks, LeaderEpoch};
use crate::streams::producers::{Closing, Refused};
use crate::streams::transactions::{Coordinator, Malformed, Marked};
use crate::streams::{Site, Streams};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub(super) type Soon<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Why a batch of records is not known to be acknowledged.
#[derive(Debug)]
pub(super) enum Unkept {
    /// Nothing of it was taken, and it may be offered again.
    Busy,
    Lost(String),
}

/// The seam: the log's thread here, lists in tests.
pub(super) trait Ground: Send + Sync + 'static {
    /// Appends to a partition that is led here since `epoch`.
    fn append(&self, key: Key, epoch: LeaderEpoch, page: Page) -> Soon<Result<(), Unkept>>;

    /// Reads all that was written before this node led since `epoch` into the
    /// machine; an error is for a person.
    fn read(
        &self,
        key: Key,
        epoch: LeaderEpoch,
        machine: Box<Coordinator>,
    ) -> Soon<Result<Box<Coordinator>, String>>;

    /// Tells a partition how a transaction ends.
    fn mark(&self, key: Key, closing: Closing) -> Soon<Marked>;
}

pub(super) struct OfStreams {
    pub site: Arc<Site>,
    pub streams: Streams,
    /// The way to partitions that other nodes lead.
    pub between: Between,
    pub clock: Arc<dyn Clock>,
}

impl Ground for OfStreams {
    fn append(&self, key: Key, epoch: LeaderEpoch, page: Page) -> Soon<Result<(), Unkept>> {
        let streams = self.streams.clone();
        Box::pin(async move {
            let appended = streams.appended(|answer| Append {
                key,
                bytes: page.bytes,
                offered: vec![page.offered],
                acks: Acks::All,
                timeout: Duration::from_millis(COORDINATOR_APPEND_MS),
                led_since: Some(epoch),
                raises_epoch: false,
                verified: None,
                append_time_ms: None,
                answer,
            });
            match appended.await {
                Some(Ok(_)) => Ok(()),
                Some(Err(NotAppended::Busy)) => Err(Unkept::Busy),
                Some(Err(why)) => Err(Unkept::Lost(why.to_string())),
                None => Err(Unkept::Lost("the node is stopping".into())),
            }
        })
    }

    fn read(
        &self,
        key: Key,
        epoch: LeaderEpoch,
        machine: Box<Coordinator>,
    ) -> Soon<Result<Box<Coordinator>, String>> {
        let (streams, clock) = (self.streams.clone(), self.clock.clone());
        Box::pin(async move { reading::read(&streams, &*clock, (key, epoch), machine).await })
    }

    fn mark(&self, key: Key, closing: Closing) -> Soon<Marked> {
        let (streams, between) = (self.streams.clone(), self.between.clone());
        let topics = self.site.topics();
        let partition = topics
            .by_id(key.topic)
            .and_then(|(_, topic)| topic.partition(key.partition));
        let leader = partition.and_then(|partition| partition.leader);
        let own = self.site.node;
        Box::pin(async move {
            match leader {
                Some(leader) if leader == own => mark_here(&streams, key, closing).await,
                Some(leader) => mark_elsewhere(&between, leader, key, closing).await,
                // It is told when somebody leads it.
                None => Marked::Refused,
            }
        })
    }
}

/// The words to the log's thread keep their order, so that what was refused, or
/// took too long to be acknowledged, cannot come behind what is said later.
pub(super) async fn mark_here(streams: &Streams, key: Key, closing: Closing) -> Marked {
    let answered = streams.ask(|answer| {
        Word::Mark(Mark {
            key,
            closing,
            answer,
        })
    });
    match answered.await {
        Some(Ok(_)) => Marked::Written,
        Some(Err(NotAppended::Producer(Refused::Fenced { .. }))) => Marked::Needless,
        Some(Err(_)) | None => Marked::Refused,
    }
}

impl Remembers for Coordinator {
    type Malformed = Malformed;

    fn replay(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), Malformed> {
        Coordinator::replay(self, key, value)
    }

    /// Nobody writes to this topic in a transaction.
    fn replay_marker(&mut self, _: &Stored) {}
}
