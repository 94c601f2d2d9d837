//! The coordination service of this node: its replica, its ZooKeeper door, and
//! the peers once it is one of several. What the replica's and the peers'
//! threads have for the daemon comes back as `Work` and is done on the doors'
//! runtime.
//!
//! ```text
//! folder.rs     the replicated state's folder, opened
//! door.rs       what the ZooKeeper door is told
//! peering.rs    the ports between nodes
//! addresses.rs  where others reach this node
//! joining.rs    init and join, on the node that they make a member
//! admitting.rs  join, on the member that is asked
//! tokens.rs     what machines join with
//! members.rs    the list of members, and what people change of it
//! renewing.rs   certificates before they end
//! upgrading.rs  the feature level, and who keeps the cluster from the next
//! parting.rs    the steps of a stop
//! ```

mod addresses;
mod admitting;
mod door;
mod folder;
mod joining;
mod members;
mod parting;
mod peering;
mod renewing;
mod tokens;
mod upgrading;
mod users;

pub use door::{load_tls, load_tls_again};
pub use folder::ReplicaFolder;

use super::config::Config;
use super::eventlog::Broker;
use super::membership::Membership;
use super::presence::Presence;
use super::refused::Refused;
use super::release::VERSION;
use super::standing::Standing;
use crate::clock::Clock;
use crate::disk;
use crate::entropy::MachineEntropy;
use crate::ids::{NodeId, Uid};
use crate::log::{self, Fatal};
use crate::peers::tls::DoorTls;
use crate::peers::{
    Authority, BulkStream, Closing, Identity, JoinAnswer, JoinRequest, Peers, Plane, Store,
};
use crate::ports::zookeeper;
use crate::replica::{self, Aside, Now, Replica, ReplicaHandle, Running};
use crate::state::{Command, MemberCommand, MemberOutcome, Outcome, Settings, Topics};
use crate::streams::Streams;
use crate::streams::desk::Word;
use members::Listed;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot, watch};

/// What other threads leave for the daemon.
pub enum Work {
    Members(Listed),
    Join(JoinRequest, JoinAnswer),
    Aside(NodeId, Aside),
    /// The replicated settings, where they have changed.
    Settings(Settings),
    /// The cluster was raised above this release: why nothing is served.
    Outgrown(Box<str>),
}

/// The open parts.
pub struct Coordination {
    /// These three are empty once the node has closed.
    running: Mutex<Option<Running>>,
    door: Mutex<Option<zookeeper::Door>>,
    closing: Mutex<Option<Closing>>,
    /// None where the door has no certificate.
    tls: Option<DoorTls>,
    shared: Arc<Shared>,
}

/// What the daemon's tasks and the admin socket work on.
pub struct Shared {
    pub replica: ReplicaHandle,
    peers: Arc<OnceLock<Peers>>,
    config: Config,
    clock: Arc<dyn Clock>,
    membership: Mutex<Membership>,
    store: Store,
    /// What the store holds; None for a node by itself.
    identity: Mutex<Option<Identity>>,
    renewing: renewing::Held,
    seen: Arc<Mutex<Seen>>,
    work: mpsc::UnboundedSender<Work>,
    presence: Arc<Presence>,
    /// Told when a backup that was being made is no more.
    pub backup_let_go: Arc<Notify>,
    /// As this node has applied them.
    topics: watch::Receiver<Arc<Topics>>,
    /// Where the ZooKeeper door is reached.
    zookeeper_at: OnceLock<String>,
    /// Empty where the Kafka door is not open.
    broker: OnceLock<Arc<Broker>>,
    /// Who hears of it when a peer opens a stream of its own.
    hears_streams: Arc<OnceLock<HearStream>>,
}

/// Called on the plane's own thread: it passes the stream on.
pub type HearStream = Box<dyn Fn(NodeId, BulkStream) + Send + Sync>;

/// What the looks at the replica have seen so far.
#[derive(Default)]
struct Seen {
    settings: Settings,
    is_outgrown: bool,
    /// Since when this node is seen to be none of its cluster's.
    left_at: Option<Duration>,
}

/// What the replica's folder is opened with.
#[derive(Clone)]
pub struct Engine {
    pub lanes: disk::Settings,
    pub log: log::Settings,
    /// Makes room on a full disk; false where there was none to make.
    pub give_up_reserve: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl Coordination {
    /// Reads the state back and opens the doors. Gives the receiving end of
    /// what is left for the daemon to do.
    pub async fn open(
        config: &Config,
        engine: Engine,
        partitions: Option<Streams>,
        cluster: Uid,
        clock: Arc<dyn Clock>,
        standing: &Arc<Standing>,
        fatal: Box<dyn FnOnce(&Fatal) + Send>,
    ) -> Result<(Self, mpsc::UnboundedReceiver<Work>), Refused> {
        let membership = Membership::read(&config.data)?;
        let membership = membership.unwrap_or_else(|| Membership::alone(cluster));
        let store = Store::open(&config.data.join("tls")).map_err(Refused::keys)?;
        let identity = match membership.is_initialised {
            true => store.identity().map_err(Refused::keys)?,
            false => None,
        };
        let (work, worked) = mpsc::unbounded_channel();
        let peers = Arc::new(OnceLock::<Peers>::new());
        let (show, topics) = watch::channel(Arc::default());
        let (show, known) = (showing(show, partitions), peers.clone());
        let hooks = peering::hooks(standing.clone(), known, work.clone(), show, fatal);
        let opening = ReplicaFolder::new(config, engine, &membership, clock.clone());
        let folder = opening.path().to_path_buf();
        opening.prepare(&membership)?;
        let tls = load_tls(config.zookeeper.tls.as_ref())?;
        let thread_clock = clock.clone();
        let started = tokio::task::spawn_blocking(move || {
            replica::start(move || opening.open(), thread_clock, hooks)
        });
        let started = started
            .await
            .expect("a panic ends the process before it gets here");
        let (running, found) = started.map_err(Refused::log_unopened(folder))?;
        tracing::info!(
            snapshot = %found.snapshot.index,
            entries = found.entries,
            "the replicated state is read back"
        );
        let shared = Arc::new(Shared {
            replica: running.handle().clone(),
            peers,
            config: config.clone(),
            clock: clock.clone(),
            membership: Mutex::new(membership),
            store,
            identity: Mutex::new(identity),
            renewing: renewing::Held::default(),
            seen: Arc::default(),
            work,
            presence: Presence::start(Arc::new(running.handle().doorway()), clock.clone()),
            backup_let_go: Arc::new(Notify::new()),
            topics,
            zookeeper_at: OnceLock::new(),
            broker: OnceLock::new(),
            hears_streams: Arc::default(),
        });
        let coordination = Self {
            running: Mutex::new(Some(running)),
            door: Mutex::default(),
            closing: Mutex::default(),
            tls,
            shared,
        };
        coordination.open_peers_if_member(standing)?;
        coordination.until_led().await;
        coordination.open_door(config, &clock, standing).await?;
        Ok((coordination, worked))
    }

    /// A node by itself leads within a moment, and its clients should not have
    /// to come twice. One of several may have to wait for the others; its door
    /// opens meanwhile, and says so.
    async fn until_led(&self) {
        const PATIENCE: Duration = Duration::from_secs(2);
        const PAUSE: Duration = Duration::from_millis(2);
        let began = self.shared.clock.monotonic();
        while self.shared.clock.monotonic() - began < PATIENCE {
            let led = self
                .shared
                .look(|replica, _| replica.leader().is_some())
                .await;
            if led == Some(true) {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// A join that was interrupted leaves one node's certificate beside
    /// another's membership: such a node takes part in nothing until it joins
    /// again.
    fn open_peers_if_member(&self, standing: &Standing) -> Result<(), Refused> {
        let membership = self.shared.membership();
        if !membership.is_initialised {
            return Ok(());
        }
        if let Some(identity) = self.shared.identity()
            && (identity.node, identity.cluster) != (membership.node, membership.cluster)
        {
            let warning = format!(
                "a join was interrupted: this node's certificate is node {}'s and it was node {}: \
                 join again, with a new token and --discard",
                identity.node, membership.node
            );
            tracing::error!("{warning}");
            standing.warn_of_join(warning);
            return Ok(());
        }
        put(&self.closing, self.shared.open_peers()?);
        Ok(())
    }

    async fn open_door(
        &self,
        config: &Config,
        clock: &Arc<dyn Clock>,
        standing: &Arc<Standing>,
    ) -> Result<(), Refused> {
        let Some(listen) = config.zookeeper.listen else {
            return Ok(());
        };
        let settings = self.shared.look(|replica, _| *replica.state().settings());
        let settings = settings.await.unwrap_or_default();
        self.shared.seen().settings = settings;
        let limits = door::limits(&settings);
        let node = self.shared.membership().node;
        let settings = door::settings(config, listen, node, limits, self.tls.as_ref())?;
        let desk = Arc::new(self.shared.replica.doorway());
        let counts = standing.zookeeper.clone();
        let door = zookeeper::Door::open(settings, desk, clock.clone(), &MachineEntropy, counts)
            .map_err(Refused::door("zookeeper", listen))?;
        let address = door.address();
        standing.door_opened("zookeeper", address);
        tracing::info!(door = "zookeeper", %address, "the door is open");
        let advertised = match &config.zookeeper.advertise {
            Some(advertise) => advertise.clone(),
            None if address.ip().is_unspecified() => {
                let host = self.shared.own_host();
                let host = host.unwrap_or_else(|_| "localhost".into());
                format!("{host}:{}", address.port())
            }
            None => address.to_string(),
        };
        self.shared.zookeeper_at.get_or_init(|| advertised);
        put(&self.door, door);
        Ok(())
    }

    /// Reads the door's certificates again. What cannot be used leaves the old
    /// ones in force.
    pub fn reload(&self) {
        let (Some(tls), Some(files)) = (&self.tls, &self.shared.config.zookeeper.tls) else {
            return;
        };
        match load_tls_again(tls, files) {
            Ok(()) => {
                if let Some(door) = &*held(&self.door) {
                    door.renew_tls(Some(tls.current()));
                }
                tracing::info!(door = "zookeeper", "the door's certificates are read again");
            }
            Err(refused) => tracing::error!(
                door = "zookeeper",
                %refused,
                "the door's certificates stay as they were"
            ),
        }
    }

    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Says what the node is to say of itself.
    pub fn pump(&self) {
        let shared = &self.shared;
        let broker = shared.broker.get();
        if let Some(broker) = broker {
            broker.look_around(|| shared.own_host().ok());
        }
        shared.presence.pump(&shared.presence_text(), broker);
    }

    /// Called twice a second, on the doors' runtime.
    pub fn look(&self, standing: &Arc<Standing>) {
        self.pump();
        let (standing_seen, seen) = (standing.clone(), self.shared.seen.clone());
        let (own, work) = (self.shared.own_member(), self.shared.work.clone());
        let round_trip = self.shared.round_trip();
        self.shared.replica.look(move |replica, now| {
            standing_seen.coordination_stands(replica.standing());
            if let Some(round_trip) = round_trip {
                replica.note_round_trip(round_trip);
            }
            if let Some(own) = own {
                members::announce(replica, now, own);
            }
            let mut seen = held(&seen);
            members::note_left(&mut seen, replica, now);
            if let Some(why) = replica.outgrown().filter(|_| !seen.is_outgrown) {
                seen.is_outgrown = true;
                let _ = work.send(Work::Outgrown(why.into()));
            }
            let settings = *replica.state().settings();
            if settings != seen.settings {
                seen.settings = settings;
                let _ = work.send(Work::Settings(settings));
            }
        });
        let identity = self.shared.identity();
        standing.certificate_ends(identity.map(|identity| identity.valid_until));
        standing.peers_stand(self.shared.peers.get().map(Peers::figures));
        self.shared.renew_when_due();
        self.shared.part_when_left();
    }

    /// Does what was left for the daemon. What waits for others is done beside
    /// it, so that signals are heard meanwhile.
    pub fn work(&self, work: Work) {
        let shared = self.shared.clone();
        match work {
            Work::Members(members) => shared.take_members(&members),
            Work::Join(request, answer) => {
                tokio::spawn(async move { shared.admit(request, answer).await });
            }
            Work::Aside(from, aside) => {
                tokio::spawn(async move { shared.hear_aside(from, aside).await });
            }
            Work::Settings(settings) => {
                if let Some(door) = &*held(&self.door) {
                    door.set_limits(door::limits(&settings));
                }
                tracing::info!("the settings under /dolmen/config are in force");
            }
            Work::Outgrown(why) => {
                tracing::error!(%why, "reduced: the ZooKeeper door is shut");
                if let Some(door) = take(&self.door) {
                    tokio::task::spawn_blocking(move || door.close());
                }
            }
        }
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn put<T>(place: &Mutex<Option<T>>, value: T) {
    *held(place) = Some(value);
}

fn take<T>(place: &Mutex<Option<T>>) -> Option<T> {
    held(place).take()
}

/// Shows topics to the partitions and to the doors. It is done on the replica's
/// thread, and never waits.
fn showing(show: watch::Sender<Arc<Topics>>, partitions: Option<Streams>) -> replica::ShowTopics {
    Box::new(move |topics| {
        if let Some(partitions) = &partitions {
            partitions.say(Word::Topics(topics.clone()));
        }
        show.send_replace(topics.clone());
    })
}

impl Shared {
    pub fn membership(&self) -> Membership {
        held(&self.membership).clone()
    }

    fn set_membership(&self, membership: Membership) {
        *held(&self.membership) = membership;
    }

    fn identity(&self) -> Option<Identity> {
        held(&self.identity).clone()
    }

    fn keep_identity(&self, identity: Identity) -> Result<(), String> {
        self.store.keep_identity(&identity).map_err(says)?;
        *held(&self.identity) = Some(identity);
        Ok(())
    }

    /// The key that this cluster's certificates are signed with, where this
    /// node holds it. A join that was interrupted may leave another cluster's.
    fn authority(&self) -> Result<Option<Authority>, String> {
        let authority = self.store.authority().map_err(says)?;
        let cluster = self.membership().cluster;
        Ok(authority.filter(|authority| authority.cluster() == cluster))
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        held(&self.seen)
    }

    /// The slowest of the peers that are connected.
    fn round_trip(&self) -> Option<Duration> {
        let figures = self.peers.get()?.figures();
        let control = figures.iter().filter(|peer| peer.plane == Plane::Control);
        let connected = control.filter_map(|peer| peer.connection);
        connected.map(|connection| connection.round_trip).max()
    }

    /// What stands in this node's entry of /dolmen/nodes.
    fn presence_text(&self) -> (NodeId, String) {
        let node = self.membership().node;
        let text = json!({
            "node": node.0,
            "version": VERSION,
            "doors": self.doors().collect::<BTreeMap<_, _>>(),
        });
        (node, text.to_string())
    }

    /// Topics and brokers, as this node has applied them.
    pub fn topics(&self) -> watch::Receiver<Arc<Topics>> {
        self.topics.clone()
    }

    /// In whose session this node proposes.
    pub fn presence(&self) -> &Arc<Presence> {
        &self.presence
    }

    /// The way to the other nodes; empty while this one is by itself.
    pub fn way(&self) -> Arc<OnceLock<Peers>> {
        self.peers.clone()
    }

    /// Said once. Before, streams that peers open are reset.
    pub fn hear_streams(&self, hear: HearStream) {
        self.hears_streams.get_or_init(|| hear);
    }

    /// Said once, when the Kafka door is open.
    pub fn become_broker(&self, broker: Arc<Broker>) {
        self.broker.get_or_init(|| broker);
    }

    /// Runs something on the replica's thread and waits for what it gives.
    pub async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&mut Replica, Now) -> T + Send + 'static,
    ) -> Option<T> {
        let (put, given) = oneshot::channel();
        self.replica.look(move |replica, now| {
            let _ = put.send(look(replica, now));
        });
        given.await.ok()
    }

    /// Has a command committed and waits for what came of it.
    pub async fn command(&self, command: Command) -> Result<Outcome, String> {
        const PATIENCE: Duration = Duration::from_secs(8);
        let (put, given) = oneshot::channel();
        self.replica.command(
            command,
            Box::new(move |outcome| {
                let _ = put.send(outcome);
            }),
        );
        match tokio::time::timeout(PATIENCE, given).await {
            Ok(Ok(outcome)) => outcome.map_err(|error| error.to_string()),
            Ok(Err(_)) => Err("the node is stopping".into()),
            Err(_) => Err(format!(
                "no majority agreed within {} s; what was asked for may still happen: look at \
                 dolmen status on the other nodes",
                PATIENCE.as_secs()
            )),
        }
    }

    pub async fn members(&self, command: MemberCommand) -> Result<MemberOutcome, String> {
        match self.command(Command::Members(command)).await? {
            Outcome::Members(MemberOutcome::Refused(why)) => Err(why.into()),
            Outcome::Members(outcome) => Ok(outcome),
            other => Err(format!("an answer of another kind: {other:?}")),
        }
    }
}

fn says(error: impl std::fmt::Display) -> String {
    error.to_string()
}
