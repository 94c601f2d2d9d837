//! Transactions on this node: the way from the doors to the coordinators of
//! those transactional ids whose partition of __transaction_state it leads, and
//! the producer ids that this node hands out.
//!
//! One task (`clerk`) owns a `seat` for each such partition. It follows who
//! leads what, has partitions read, serves, writes, and tells partitions how
//! transactions end, all by way of `ground`. What a coordinator has answered is
//! in the log, acknowledged. Partitions and coordinators of other nodes are
//! reached by `far`.

mod clerk;
mod codec;
mod far;
mod ground;
mod seat;
mod stock;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod trial;

use super::{hashed, led};
use crate::clock::Clock;
use crate::ids::{NodeId, PartitionId, ProducerId};
use crate::limits::COORDINATOR_REQUESTS_MAX;
use crate::state::topics::names::{CONSUMER_OFFSETS, TRANSACTION_STATE};
use crate::streams::follow::Between;
use crate::streams::transactions::request::{Listed, Reply, Request};
use crate::streams::transactions::{Error, Identity, Place, Settings};
use crate::streams::{Site, Streams};
use clerk::{Clerk, Said};
use ground::{Ground, OfStreams};
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

/// Hears that a transaction with offsets in this partition of
/// `CONSUMER_OFFSETS` has ended, and its marker is acknowledged there. Waited for
/// before the transaction is over.
pub type TellGroups = Box<
    dyn Fn(PartitionId, Identity, bool) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync,
>;

/// Clones share it.
#[derive(Clone)]
pub struct Transactions {
    site: Arc<Site>,
    said: mpsc::Sender<Said>,
    /// The way to coordinators on other nodes.
    between: Option<Between>,
}

impl Transactions {
    /// Its task runs on the doors' runtime until `close`.
    pub fn open(
        site: Arc<Site>,
        (streams, between): (Streams, Between),
        clock: Arc<dyn Clock>,
        settings: Settings,
        tell_groups: TellGroups,
        runtime: &Handle,
    ) -> Self {
        let ground = OfStreams {
            site: site.clone(),
            streams: streams.clone(),
            between: between.clone(),
            clock: clock.clone(),
        };
        let tell_groups = Arc::new(tell_groups);
        let told = tell_groups.clone();
        let mut own = Self::over(site, Arc::new(ground), clock, settings, told, runtime);
        let callee = far::callee(streams, own.clone(), tell_groups);
        between.answer_with(callee);
        own.between = Some(between);
        own
    }

    /// Coordinates nothing.
    #[cfg(test)]
    pub(crate) fn idle(site: &Arc<Site>) -> Self {
        let (said, _) = mpsc::channel(1);
        Self {
            site: site.clone(),
            said,
            between: None,
        }
    }

    fn over(
        site: Arc<Site>,
        ground: Arc<dyn Ground>,
        clock: Arc<dyn Clock>,
        settings: Settings,
        tell_groups: Arc<TellGroups>,
        runtime: &Handle,
    ) -> Self {
        let (said, heard) = mpsc::channel(COORDINATOR_REQUESTS_MAX);
        let clerk = Clerk::new(site.clone(), ground, clock, settings, tell_groups, heard);
        runtime.spawn(clerk.run());
        Self {
            site,
            said,
            between: None,
        }
    }

    /// Answers whoever waits that this node coordinates nothing, and whoever
    /// comes.
    pub async fn close(&self) {
        let (put, given) = oneshot::channel();
        if self.said.send(Said::Close(put)).await.is_ok() {
            // An error is a clerk that is gone already.
            let _ = given.await;
        }
    }

    /// Which partition of `TRANSACTION_STATE` a transactional id belongs to. None
    /// while the topic is not there.
    pub fn partition_of(&self, id: &str) -> Option<PartitionId> {
        hashed(&self.site, TRANSACTION_STATE, id)
    }

    /// The partition that keeps a group's offsets, as a place of a transaction.
    pub fn place_of_group(&self, group: &str) -> Option<Place> {
        let partition = hashed(&self.site, CONSUMER_OFFSETS, group)?;
        let topic = CONSUMER_OFFSETS.into();
        Some(Place { topic, partition })
    }

    /// Asks about one transactional id. Whose coordinator is another node has its
    /// partitions verified and added there; for all else a client goes to it, and
    /// `NotCoordinator` says so.
    pub async fn ask(&self, request: Request) -> Result<Reply, Error> {
        let coordinator = request.id().and_then(|id| self.coordinator_of(id));
        match (&self.between, coordinator) {
            (Some(between), Some(other)) if other != self.site.node => {
                far::ask_elsewhere(between, other, request).await
            }
            _ => self.ask_here(request).await,
        }
    }

    fn coordinator_of(&self, id: &str) -> Option<NodeId> {
        let partition = self.partition_of(id)?;
        let topics = self.site.topics();
        topics.get(TRANSACTION_STATE)?.partition(partition)?.leader
    }

    async fn ask_here(&self, request: Request) -> Result<Reply, Error> {
        let id = request.id().ok_or(Error::InvalidRequest("names no id"))?;
        let partition = self.partition_of(id).ok_or(Error::NotCoordinator)?;
        let (answer, given) = oneshot::channel();
        self.say(Said::Ask {
            partition,
            request,
            answer,
        })?;
        given.await.unwrap_or(Err(Error::NotCoordinator))
    }

    /// All that are coordinated here.
    pub async fn list(&self) -> Result<Vec<Listed>, Error> {
        let mut asked = Vec::new();
        for partition in led(&self.site, TRANSACTION_STATE) {
            let (answer, given) = oneshot::channel();
            let request = Request::List;
            self.say(Said::Ask {
                partition,
                request,
                answer,
            })?;
            asked.push(given);
        }
        let mut all = Vec::new();
        for given in asked {
            match given.await.unwrap_or(Err(Error::NotCoordinator)) {
                Ok(Reply::Listed(listed)) => all.extend(listed),
                // Led by another meanwhile, who tells of them.
                Ok(_) | Err(Error::NotCoordinator) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }

    /// Whether a producer may write to a partition as part of its open
    /// transaction. `is_v2`: the partition becomes part of it, and its epoch is
    /// raised with each transaction; else it must be part of it already.
    pub async fn verify(
        &self,
        transactional_id: &str,
        (id, epoch): (i64, i16),
        (topic, partition): (&str, PartitionId),
        is_v2: bool,
    ) -> Result<(), Error> {
        let who = Identity::of(id, epoch).ok_or(Error::OtherProducer)?;
        self.check_place(topic, partition)?;
        let topic = topic.into();
        let places = BTreeSet::from([Place { topic, partition }]);
        let id = transactional_id.into();
        let request = match is_v2 {
            true => Request::Add {
                id,
                who,
                places,
                is_raised: true,
            },
            false => Request::Verify { id, who, places },
        };
        match self.ask(request).await? {
            Reply::Verified(each) => each.into_iter().collect(),
            _ => Ok(()),
        }
    }

    /// A partition that is not known here would be taken for a deleted one when
    /// the transaction ends, and never be told.
    fn check_place(&self, topic: &str, partition: PartitionId) -> Result<(), Error> {
        let topics = self.site.topics();
        let found = topics
            .get(topic)
            .and_then(|topic| topic.partition(partition));
        found.map(drop).ok_or(Error::UnknownPartition)
    }

    /// For a producer without a transactional id: it begins at epoch 0.
    pub async fn producer_id(&self) -> Result<ProducerId, Error> {
        let (answer, given) = oneshot::channel();
        self.say(Said::ProducerId(answer))?;
        given.await.unwrap_or(Err(Error::NoProducerIds))
    }

    fn say(&self, said: Said) -> Result<(), Error> {
        match self.said.try_send(said) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => Err(Error::Busy),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(Error::NotCoordinator),
        }
    }
}
