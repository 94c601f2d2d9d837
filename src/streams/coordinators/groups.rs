//! Consumer groups on this node: the way from the doors to the coordinators of
//! those groups whose partition of __consumer_offsets it leads.
//!
//! One task (`clerk`) owns a `seat` for each such partition. It follows who
//! leads what, has partitions read, serves, and writes by way of `partitions`.
//! What a coordinator has answered is in the log, acknowledged.

mod clerk;
mod partitions;
pub mod pattern;
mod seat;

#[cfg(test)]
pub(crate) mod memory;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod village;

pub use seat::Sees;

use super::{hashed, led};
use crate::clock::Clock;
use crate::ids::{PartitionId, ProducerId};
use crate::limits::{COORDINATOR_PAUSE_MS, COORDINATOR_REQUESTS_MAX};
use crate::state::topics::names::CONSUMER_OFFSETS;
use crate::state::{Setting, Topics};
use crate::streams::groups::request::{EndTransaction, Listed, Reply, Request};
use crate::streams::groups::{Error, Settings};
use crate::streams::{Site, Streams};
use clerk::{Asked, Clerk, Rope};
use partitions::{OfStreams, Partitions};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

/// Clones share it.
#[derive(Clone)]
pub struct Groups {
    site: Arc<Site>,
    asked: mpsc::Sender<Asked>,
    rope: Rope,
}

type Given = oneshot::Receiver<Result<Reply, Error>>;

impl Groups {
    /// Its task runs on the doors' runtime until `close`.
    pub fn open(
        site: Arc<Site>,
        streams: Streams,
        clock: Arc<dyn Clock>,
        runtime: &Handle,
    ) -> Self {
        let partitions = OfStreams {
            streams,
            clock: clock.clone(),
        };
        Self::over(site, Arc::new(partitions), clock, settings_of, runtime)
    }

    /// Coordinates nothing.
    #[cfg(test)]
    pub(crate) fn idle(site: &Arc<Site>) -> Self {
        let (asked, _) = mpsc::channel(1);
        Self {
            site: site.clone(),
            asked,
            rope: Rope::loose(),
        }
    }

    pub(crate) fn over(
        site: Arc<Site>,
        partitions: Arc<dyn Partitions>,
        clock: Arc<dyn Clock>,
        settings: SettingsOf,
        runtime: &Handle,
    ) -> Self {
        let (put, asked) = mpsc::channel(COORDINATOR_REQUESTS_MAX);
        let (clerk, rope) = Clerk::new(&site, partitions, clock, settings, asked);
        runtime.spawn(clerk.run());
        Self {
            site,
            asked: put,
            rope,
        }
    }

    /// Answers whoever waits that this node coordinates nothing, and whoever
    /// comes.
    pub async fn close(&self) {
        self.rope.pull().await;
    }

    /// Which partition of __consumer_offsets a group belongs to. None while the
    /// topic is not there.
    pub fn partition_of(&self, group: &str) -> Option<PartitionId> {
        hashed(&self.site, CONSUMER_OFFSETS, group)
    }

    pub async fn ask(&self, group: &str, request: Request) -> Result<Reply, Error> {
        self.ask_seeing(group, request, None).await
    }

    /// The same of a member whose pattern is for topics that it may see.
    pub async fn ask_seeing(
        &self,
        group: &str,
        request: Request,
        sees: Option<Sees>,
    ) -> Result<Reply, Error> {
        request.check_name()?;
        let partition = self.partition_of(group).ok_or(Error::NotCoordinator)?;
        heard(self.put(partition, request, sees)?).await
    }

    /// A transaction with offsets in this partition has ended, and its marker is
    /// acknowledged there, on this node. To be waited for before the producer
    /// hears of it, or its next transaction may be ended too; the ends of one
    /// partition are taken in the order in which they are told. An error takes
    /// nothing back: whoever leads the partition then reads the marker.
    pub async fn ended(
        &self,
        partition: PartitionId,
        producer: ProducerId,
        epoch: i16,
        is_committed: bool,
    ) -> Result<(), Error> {
        let Ok(producer) = i64::try_from(producer.0) else {
            return Err(Error::InvalidRequest("there is no such producer"));
        };
        let end = EndTransaction {
            producer,
            producer_epoch: epoch,
            is_committed,
        };
        let mut pause_ms = 1;
        loop {
            let (answer, given) = oneshot::channel();
            let asked = Asked {
                partition,
                request: Request::EndTransaction(end.clone()),
                sees: None,
                answer,
            };
            // Whoever waits for room is let in in its turn, and waits at the seat
            // while that reads.
            if self.asked.send(asked).await.is_err() {
                return Err(Error::NotCoordinator);
            }
            match heard(given).await {
                Err(Error::Busy) => {}
                other => return other.map(drop),
            }
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            pause_ms = (pause_ms * 2).min(COORDINATOR_PAUSE_MS);
        }
    }

    /// All groups that are coordinated here, and the error of a coordinator that
    /// cannot say now.
    pub async fn list(&self) -> (Vec<Listed>, Option<Error>) {
        let mut asked = Vec::new();
        for partition in led(&self.site, CONSUMER_OFFSETS) {
            asked.push(self.put(partition, Request::List, None));
        }
        let (mut groups, mut error) = (Vec::new(), None);
        for given in asked {
            let answer = match given {
                Ok(given) => heard(given).await,
                Err(refused) => Err(refused),
            };
            match answer {
                Ok(Reply::Listed(listed)) => groups.extend(listed),
                // Led by another meanwhile, who tells of them.
                Ok(_) | Err(Error::NotCoordinator) => {}
                Err(other) => error = Some(other),
            }
        }
        (groups, error)
    }

    fn put(
        &self,
        partition: PartitionId,
        request: Request,
        sees: Option<Sees>,
    ) -> Result<Given, Error> {
        let (answer, given) = oneshot::channel();
        let asked = Asked {
            partition,
            request,
            sees,
            answer,
        };
        match self.asked.try_send(asked) {
            Ok(()) => Ok(given),
            Err(mpsc::error::TrySendError::Full(_)) => Err(Error::Busy),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(Error::NotCoordinator),
        }
    }
}

/// What the coordinators go by, as the cluster's settings have it.
pub(crate) type SettingsOf = fn(&Topics) -> Settings;

pub fn settings_of(topics: &Topics) -> Settings {
    let number = |setting| topics.cluster().get(setting) as u32;
    Settings {
        session_ms_min: number(Setting::GroupSessionMinMs),
        initial_delay_ms: number(Setting::GroupFirstRebalanceMs),
        own: topics.overrides().groups().clone(),
        ..Settings::default()
    }
}

async fn heard(given: Given) -> Result<Reply, Error> {
    given.await.unwrap_or(Err(Error::NotCoordinator))
}
