//! The event log of this node: its place among the brokers, what a door sees of
//! the cluster, and the Kafka door.
//!
//! ```text
//! broker.rs     this node as a broker, announced in its session
//! listeners.rs  where its clients are told to come
//! proposing.rs  what the event log asks of the replicated state
//! door.rs       where the Kafka door is opened
//! ```

mod broker;
mod door;
mod listeners;
mod proposing;

pub use broker::Broker;
use proposing::{catching_up, proposing};

use super::config::Config;
use super::coordination::{Coordination, load_tls, load_tls_again};
use super::data_folder;
use super::logs::NodeLogs;
use super::refused::Refused;
use super::standing::Standing;
use crate::clock::Clock;
use crate::peers::tls::DoorTls;
use crate::ports::kafka::Opening;
use crate::state::topics::Kept;
use crate::streams::desk::Word;
use crate::streams::follow::Between;
use crate::streams::{Site, Streams};
use door::Running;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

pub struct EventLog {
    /// Empty once it is shut.
    door: Mutex<Option<Running>>,
    /// The way to the partitions of other nodes.
    between: Between,
    streams: Streams,
    clock: Arc<dyn Clock>,
    /// None where the door has no certificate.
    tls: Option<DoorTls>,
    config: Config,
}

impl EventLog {
    /// Opens the door and makes this node a broker; None where the door is off.
    pub async fn open(
        config: &Config,
        coordination: &Coordination,
        logs: &NodeLogs,
        clock: &Arc<dyn Clock>,
        standing: &Arc<Standing>,
    ) -> Result<Option<Self>, Refused> {
        let Some(listen) = config.kafka.listen else {
            return Ok(None);
        };
        let shared = coordination.shared();
        let membership = shared.membership();
        let site = Arc::new(Site::new(
            membership.node,
            membership.cluster,
            shared.topics(),
            proposing(shared.presence().clone()),
            catching_up(shared.presence().clone()),
        ));
        let tls = load_tls(config.kafka.tls.as_ref())?;
        let streams = logs
            .streams()
            .expect("partitions are held where the door is on");
        streams.say(Word::Begin(site.clone()));
        let between = Between::start(shared.way(), site.clone(), streams.clone())
            .map_err(Refused::machine("start the thread that follows"))?;
        let heard = between.clone();
        shared.hear_streams(Box::new(move |from, stream| heard.hear(from, stream)));
        let (opening, opened) = opening(&site, standing);
        let behind = (&site, streams, &between);
        let with = (opening, standing.kafka.clone());
        let running = door::open(config, listen, tls.as_ref(), behind, clock, with)?;
        let address = running.address();
        let identity = data_folder::identity(&config.data)?;
        let losses = data_folder::losses(&config.data);
        let has_losses = losses.is_some();
        let kept = losses.map_or_else(|| Kept::of(logs.was_clean()), Kept::Less);
        shared.become_broker(Arc::new(Broker::new(
            site.clone(),
            identity.home,
            kept,
            config,
            address,
        )));
        until_open(coordination, opened).await;
        let losses = has_losses.then(|| config.data.clone());
        tokio::spawn(once_alive(site, streams.clone(), losses));
        Ok(Some(Self {
            door: Mutex::new(Some(running)),
            between,
            streams: streams.clone(),
            clock: clock.clone(),
            tls,
            config: config.clone(),
        }))
    }

    fn door(&self) -> MutexGuard<'_, Option<Running>> {
        self.door.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the door's certificates again. What cannot be used leaves the old
    /// ones in force.
    pub fn reload(&self) {
        let (Some(tls), Some(files)) = (&self.tls, &self.config.kafka.tls) else {
            return;
        };
        match load_tls_again(tls, files) {
            Ok(()) => {
                if let Some(door) = &*self.door() {
                    door.renew_tls(tls);
                }
                tracing::info!(door = "kafka", "the door's certificates are read again");
            }
            Err(refused) => tracing::error!(
                door = "kafka",
                %refused,
                "the door's certificates stay as they were"
            ),
        }
    }

    /// Has others lead what this node leads, once they have all of it. Waits for
    /// that within a bound, and gives how much is still led here that others
    /// could lead.
    pub async fn hand_on(&self) -> usize {
        let until = self.clock.monotonic() + HANDING_ON_MAX;
        let word = |answer| Word::HandOn { until, answer };
        let handing = tokio::time::timeout(HANDING_ON_MAX * 2, self.streams.ask(word));
        handing.await.ok().flatten().unwrap_or(0)
    }

    /// No connection is taken any more; what was taken is answered. Waits for
    /// that, within the door's own bound. Then nothing is followed any more.
    pub fn shut_door(&self) {
        let door = self.door().take();
        if let Some(door) = door {
            door.close();
        }
        self.between.close();
    }
}

/// Followers that are in sync lack milliseconds' worth, and clients are asked to
/// wait meanwhile.
const HANDING_ON_MAX: Duration = Duration::from_secs(3);

/// The door opens once the topics show this node as a broker in the session of
/// this start, as those do that are as new as any it went by before.
fn opening(site: &Arc<Site>, standing: &Arc<Standing>) -> (Opening, oneshot::Receiver<()>) {
    let (put, opened) = oneshot::channel();
    let (site, standing) = (site.clone(), standing.clone());
    let after = Box::pin(async move {
        if !alive(&site).await {
            // The node is stopping, and so is the door.
            std::future::pending().await
        }
    });
    let tell = Box::new(move |address| {
        standing.door_opened("kafka", address);
        tracing::info!(door = "kafka", %address, "the door is open");
        // Who waited may have gone on.
        let _ = put.send(());
    });
    (Opening { after, tell }, opened)
}

/// Waits until this node is a broker; false where whoever keeps the state has
/// gone.
async fn alive(site: &Site) -> bool {
    let mut changes = site.changes();
    while site.life().is_none() {
        if changes.changed().await.is_err() {
            return false;
        }
    }
    true
}

/// Tells the partitions once the topics are as new as any that this node went by
/// before it was started.
async fn once_alive(site: Arc<Site>, streams: Streams, losses: Option<PathBuf>) {
    if !alive(&site).await {
        return;
    }
    streams.say(Word::CaughtUp);
    let Some(folder) = losses else {
        return;
    };
    // Others have what was lost here, or nobody has.
    match data_folder::forget_losses(&folder) {
        Ok(()) => tracing::warn!(
            "this node has lost records: where another replica has them it has given its place up, \
             and copies them"
        ),
        // It gives its places up once more at the next start.
        Err(error) => tracing::warn!(%error, "the note of lost records was not removed"),
    }
}

/// A node with a majority is a broker within a moment, and is not said to serve
/// before. One without must be started to be one of a majority.
async fn until_open(coordination: &Coordination, mut opened: oneshot::Receiver<()>) {
    const PATIENCE: Duration = Duration::from_secs(2);
    /// Of the words that make it one.
    const PAUSE: Duration = Duration::from_millis(5);
    let saying = async {
        loop {
            coordination.pump();
            if tokio::time::timeout(PAUSE, &mut opened).await.is_ok() {
                return;
            }
        }
    };
    // The door opens by itself as soon as it may.
    let _ = tokio::time::timeout(PATIENCE, saying).await;
}
