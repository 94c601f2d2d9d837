//! The partitions of __consumer_offsets as the coordinators see them: a place
//! to append to, and to read from its beginning.

use super::super::pages::{Page, Remembers};
use super::super::reading;
use crate::clock::Clock;
use crate::limits::COORDINATOR_APPEND_MS;
use crate::streams::Key;
use crate::streams::Streams;
use crate::streams::batch::control::Ending;
use crate::streams::batch::stored::{Kind, Stored};
use crate::streams::desk::{Answer, Append, Appended, NotAppended};
use crate::streams::groups::request::EndTransaction;
use crate::streams::groups::{Coordinator, Malformed};
use crate::streams::partition::{Acks, LeaderEpoch};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// The machine, with all that is in the partition; an error is for a person.
pub(crate) type Read = Pin<Box<dyn Future<Output = Result<Box<Coordinator>, String>> + Send>>;

/// The seam: the log's thread here, a list in tests.
pub(crate) trait Partitions: Send + Sync + 'static {
    /// Appends, if this node still leads since `epoch`.
    fn append(
        &self,
        key: Key,
        epoch: LeaderEpoch,
        page: Page,
        answer: Answer<Result<Appended, NotAppended>>,
    );

    /// Reads all that was written before this node led since `epoch`, and what
    /// was acknowledged until now.
    fn read(&self, key: Key, epoch: LeaderEpoch, machine: Box<Coordinator>) -> Read;
}

pub(super) struct OfStreams {
    pub streams: Streams,
    pub clock: Arc<dyn Clock>,
}

impl Partitions for OfStreams {
    fn append(
        &self,
        key: Key,
        epoch: LeaderEpoch,
        page: Page,
        answer: Answer<Result<Appended, NotAppended>>,
    ) {
        self.streams.append(Append {
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
    }

    fn read(&self, key: Key, epoch: LeaderEpoch, machine: Box<Coordinator>) -> Read {
        let (streams, clock) = (self.streams.clone(), self.clock.clone());
        Box::pin(async move { reading::read(&streams, &*clock, (key, epoch), machine).await })
    }
}

impl Remembers for Coordinator {
    type Malformed = Malformed;

    fn replay(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), Malformed> {
        Coordinator::replay(self, key, value)
    }

    fn replay_marker(&mut self, marker: &Stored) {
        if let Some(end) = ended_by(marker) {
            self.replay_end(&end);
        }
    }
}

fn ended_by(stored: &Stored) -> Option<EndTransaction> {
    let (Kind::Marker(marker), Some(claim)) = (stored.kind, stored.claim) else {
        return None;
    };
    Some(EndTransaction {
        producer: i64::try_from(claim.id.0).ok()?,
        producer_epoch: claim.epoch,
        is_committed: marker.ending == Ending::Commit,
    })
}
