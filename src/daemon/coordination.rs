//! The coordination service of this node: its replica, its ZooKeeper door, and
//! the peers once it is one of several. What the replica's and the peers'
//! threads have for the daemon comes back as `Work` and is done on the doors'
//! runtime.

use super::config::{Config, DoorTls as TlsFiles};
use super::membership::{KnownPeer, Membership};
use super::open_files;
use super::presence::Presence;
use super::refused::Refused;
use super::standing::Standing;
use crate::clock::Clock;
use crate::disk::class::{self, Class};
use crate::disk::{self, LateLane, RealDisk};
use crate::entropy::{Entropy, MachineEntropy};
use crate::ids::{NodeId, Uid};
use crate::log::{self, FRAMES, Fatal, OpenError, Opening};
use crate::peers::tls::DoorTls;
use crate::peers::{
    self, Admission, Applicant, Authority, Closing, FromPeers, JoinAnswer, JoinRequest,
    PeerAddress, Peers, Store, Token,
};
use crate::ports::zookeeper;
use crate::ports::zookeeper::words::{About, Word};
use crate::replica::{self, FOUNDER, Now, Replica, ReplicaHandle, Running, Start};
use crate::state::{Command, Member, MemberCommand, MemberOutcome, Outcome, Role};
use serde_json::{Value, json};
use std::fs;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// What other threads leave for the daemon.
pub enum Work {
    Members(Vec<Member>),
    Join(JoinRequest, JoinAnswer),
}

/// The open parts.
pub struct Coordination {
    /// These three are empty once the node has closed.
    running: Mutex<Option<Running>>,
    door: Mutex<Option<zookeeper::Door>>,
    closing: Mutex<Option<Closing>>,
    presence: Presence,
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
    work: mpsc::UnboundedSender<Work>,
    /// Where the ZooKeeper door is reached.
    zookeeper_at: OnceLock<String>,
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
        cluster: Uid,
        clock: Arc<dyn Clock>,
        standing: &Arc<Standing>,
        fatal: Box<dyn FnOnce(&Fatal) + Send>,
    ) -> Result<(Self, mpsc::UnboundedReceiver<Work>), Refused> {
        let membership = Membership::read(&config.data)?;
        let membership = membership.unwrap_or_else(|| Membership::alone(cluster));
        let store = Store::open(&config.data.join("tls")).map_err(Refused::keys)?;
        let (work, worked) = mpsc::unbounded_channel();
        let peers = Arc::new(OnceLock::<Peers>::new());
        let hooks = hooks(standing.clone(), peers.clone(), work.clone(), fatal);
        let opening = ReplicaFolder {
            folder: config.data.join("replica"),
            engine,
            settings: replica_settings(config, &membership),
            is_founder: membership.node == FOUNDER,
            clock: clock.clone(),
        };
        let folder = opening.folder.clone();
        opening
            .prepare(&membership)
            .map_err(Refused::data_folder(folder.clone()))?;
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
            work,
            zookeeper_at: OnceLock::new(),
        });
        let coordination = Self {
            presence: Presence::new(running.handle().doorway()),
            running: Mutex::new(Some(running)),
            door: Mutex::default(),
            closing: Mutex::default(),
            shared,
        };
        if coordination.shared.membership().is_initialised {
            coordination.open_peers()?;
        }
        coordination.until_led().await;
        coordination.open_door(config, &clock, standing)?;
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

    fn open_door(
        &self,
        config: &Config,
        clock: &Arc<dyn Clock>,
        standing: &Arc<Standing>,
    ) -> Result<(), Refused> {
        let Some(listen) = config.zookeeper.listen else {
            return Ok(());
        };
        let settings = door_settings(config, listen, self.shared.membership().node)?;
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
                let host = self
                    .shared
                    .own_host()
                    .unwrap_or_else(|_| "localhost".into());
                format!("{host}:{}", address.port())
            }
            None => address.to_string(),
        };
        self.shared.zookeeper_at.get_or_init(|| advertised);
        put(&self.door, door);
        Ok(())
    }

    fn open_peers(&self) -> Result<(), Refused> {
        let closing = self.shared.open_peers()?;
        put(&self.closing, closing);
        Ok(())
    }

    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Called twice a second, on the doors' runtime.
    pub fn look(&self, standing: &Arc<Standing>) {
        self.presence.pump(&self.shared.presence_text());
        let (seen, shared) = (standing.clone(), self.shared.clone());
        let own = self.shared.own_member();
        self.shared.replica.look(move |replica, now| {
            seen.coordination_stands(replica.standing());
            if let Some(own) = own {
                announce(replica, now, own);
            }
            let _ = shared;
        });
        standing.peers_stand(self.shared.peers.get().map(Peers::figures));
        self.shared.renew_when_due();
    }

    /// Does what was left for the daemon.
    pub async fn work(&self, work: Work) {
        match work {
            Work::Members(members) => self.shared.take_members(&members),
            Work::Join(request, answer) => self.shared.admit(request, answer).await,
        }
    }

    /// Shuts the door, says goodbye to the peers, seals the log.
    pub fn close(&self) -> Result<(), Fatal> {
        if let Some(door) = take(&self.door) {
            door.close();
        }
        self.presence.leave();
        if let Some(closing) = take(&self.closing) {
            closing.close();
        }
        take(&self.running).map_or(Ok(()), Running::close)
    }

    /// Makes the node the first of a cluster; typed twice, says that it is.
    pub fn init(&self) -> Result<Value, String> {
        let mut membership = self.shared.membership();
        if membership.is_initialised {
            return Ok(json!({
                "node": membership.node.0,
                "cluster": membership.cluster.to_string(),
                "already": true,
            }));
        }
        membership.is_initialised = true;
        let authority = Authority::found(membership.cluster).map_err(says)?;
        let now = self.shared.clock.now();
        let identity = authority
            .identify(membership.node, 1, now, &MachineEntropy)
            .map_err(says)?;
        self.shared.own_host()?;
        self.shared.store.keep_authority(&authority).map_err(says)?;
        self.shared.store.keep_identity(&identity).map_err(says)?;
        membership.write(&self.shared.config.data).map_err(says)?;
        self.shared.set_membership(membership.clone());
        self.open_peers().map_err(says)?;
        let member = self.shared.own_member().ok_or("this node has no address")?;
        let found = MemberCommand::Found(member);
        self.shared
            .replica
            .command(Command::Members(found), Box::new(|_| ()));
        tracing::info!(cluster = %membership.cluster, "this node has founded its cluster");
        Ok(json!({
            "node": membership.node.0,
            "cluster": membership.cluster.to_string(),
            "already": false,
        }))
    }
}

fn put<T>(held: &Mutex<Option<T>>, value: T) {
    *held.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
}

fn take<T>(held: &Mutex<Option<T>>) -> Option<T> {
    held.lock().unwrap_or_else(PoisonError::into_inner).take()
}

impl Shared {
    pub fn membership(&self) -> Membership {
        let held = self.membership.lock();
        held.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_membership(&self, membership: Membership) {
        let held = self.membership.lock();
        *held.unwrap_or_else(PoisonError::into_inner) = membership;
    }

    fn open_peers(&self) -> Result<Closing, Refused> {
        let identity = self.store.identity().map_err(Refused::keys)?;
        let membership = self.membership();
        let Some(identity) = identity else {
            let why = "the node's certificate is missing: restore the folder tls, or join again";
            return Err(Refused::Membership(
                self.config.data.join("tls"),
                why.into(),
            ));
        };
        let listen = &self.config.peers;
        let settings = peers::Settings::new(
            listen.control_listen,
            listen.bulk_listen,
            // Grows from start to start as long as the clock does not go back,
            // and then the peers' idle timeout does the rest.
            self.clock.now().0,
            self.clock.clone(),
            Arc::new(MachineEntropy),
        );
        let (replica, work) = (self.replica.clone(), self.work.clone());
        let hear = move |heard| match heard {
            FromPeers::Frame { from, bytes, .. } => replica.heard(from, bytes),
            FromPeers::Up { node, .. } => replica.peer_up(node),
            FromPeers::Down { node } => replica.peer_down(node),
            FromPeers::Join { request, answer } => {
                let _ = work.send(Work::Join(request, answer));
            }
            // Nothing asks for streams of its own yet.
            FromPeers::Stream { stream, .. } => drop(stream),
        };
        let (peers, closing) = Peers::start(settings, identity, Box::new(hear))
            .map_err(|error| Refused::Peers(error.to_string()))?;
        let known = membership.peers.iter().map(|peer| PeerAddress {
            node: NodeId(peer.node),
            control: peer.control.clone(),
            bulk: peer.bulk.clone(),
            certificate: peer.certificate,
        });
        peers.set_members(known.collect());
        self.peers.get_or_init(|| peers);
        let work = self.work.clone();
        self.replica.look(move |replica, _| {
            let members = replica.state().members().iter().cloned().collect();
            let _ = work.send(Work::Members(members));
        });
        Ok(closing)
    }

    /// The host by which others reach this node.
    fn own_host(&self) -> Result<String, String> {
        let peers = &self.config.peers;
        if let Some(host) = &peers.advertise {
            return Ok(host.clone());
        }
        let ip = peers.control_listen.ip();
        if !ip.is_unspecified() {
            return Ok(ip.to_string());
        }
        interface_address().map_err(|error| {
            format!("this machine has no address to be reached at ({error}): set peers.advertise")
        })
    }

    fn own_addresses(&self) -> Result<(String, String), String> {
        let host = self.own_host()?;
        let bracketed = match host.contains(':') {
            true => format!("[{host}]"),
            false => host,
        };
        let at = |address: SocketAddr| format!("{bracketed}:{}", address.port());
        let peers = &self.config.peers;
        Ok((at(peers.control_listen), at(peers.bulk_listen)))
    }

    /// This node as the members' list should have it; None for one by itself.
    fn own_member(&self) -> Option<Member> {
        let membership = self.membership();
        if !membership.is_initialised {
            return None;
        }
        let (control, bulk) = self.own_addresses().ok()?;
        let serial = self.store.identity().ok()??.serial;
        let door = self.zookeeper_at.get();
        Some(Member {
            node: membership.node,
            role: Role::Voter,
            control: control.into(),
            bulk: bulk.into(),
            doors: door
                .map(|at| ("zookeeper".into(), at.as_str().into()))
                .into_iter()
                .collect(),
            certificate: serial,
        })
    }

    /// What stands in this node's entry of /dolmen/nodes.
    fn presence_text(&self) -> (NodeId, String) {
        let node = self.membership().node;
        let text = json!({
            "node": node.0,
            "version": env!("CARGO_PKG_VERSION"),
            "doors": { "zookeeper": self.zookeeper_at.get() },
        });
        (node, text.to_string())
    }

    fn take_members(&self, members: &[Member]) {
        let membership = self.membership();
        if members.is_empty() || !membership.is_initialised {
            return;
        }
        let addresses: Vec<PeerAddress> = members
            .iter()
            .map(|member| PeerAddress {
                node: member.node,
                control: member.control.to_string(),
                bulk: member.bulk.to_string(),
                certificate: member.certificate,
            })
            .collect();
        let known: Vec<KnownPeer> = addresses.iter().map(KnownPeer::of).collect();
        if let Some(peers) = self.peers.get() {
            peers.set_members(addresses);
        }
        if known != membership.peers {
            let membership = Membership {
                peers: known,
                ..membership
            };
            match membership.write(&self.config.data) {
                Ok(()) => self.set_membership(membership),
                Err(error) => tracing::warn!(%error, "the members' addresses are not kept"),
            }
        }
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

    /// A box has asked to become a member.
    async fn admit(&self, request: JoinRequest, answer: JoinAnswer) {
        let authority = match self.store.authority() {
            Ok(Some(authority)) => authority,
            _ => {
                let place = self.another_voter().await;
                return match place {
                    Some(place) => answer.elsewhere(&place),
                    None => answer
                        .refuse("this member holds no key to sign with; name a voter in the token"),
                };
            }
        };
        let public_key = request.public_key.clone();
        let from = request.from;
        let admit = MemberCommand::Admit {
            token: request.token,
            secret_hash: request.secret_hash,
            public_key: request.public_key,
            control: request.control.into(),
            bulk: request.bulk.into(),
            in_place_of: None,
        };
        let (node, serial) = match self.members(admit).await {
            Ok(MemberOutcome::Admitted { node, serial }) => (node, serial),
            Ok(_) => return answer.refuse("the cluster gave an answer of another kind"),
            Err(why) => {
                tracing::warn!(%from, why, "a box does not join");
                return answer.refuse(&why);
            }
        };
        let certificate = match authority.issue(node, &public_key, serial, self.clock.now()) {
            Ok(certificate) => certificate,
            Err(error) => return answer.refuse(&error.to_string()),
        };
        let listed = self.look(move |replica, _| {
            let members = replica.state().members();
            let is_to_vote = members.promised().any(|promised| promised == node);
            let listed: Vec<Member> = members.iter().cloned().collect();
            (is_to_vote, listed)
        });
        let Some((is_to_vote, members)) = listed.await else {
            return answer.refuse("this member is stopping; try again");
        };
        tracing::info!(%from, %node, serial, "a box joins");
        answer.admit(Admission {
            certificate,
            authority: authority.certificate().to_vec(),
            members: members
                .iter()
                .map(|member| PeerAddress {
                    node: member.node,
                    control: member.control.to_string(),
                    bulk: member.bulk.to_string(),
                    certificate: member.certificate,
                })
                .collect(),
            authority_key: is_to_vote.then(|| authority.export()),
        });
    }

    async fn another_voter(&self) -> Option<String> {
        let own = self.membership().node;
        let voters = self.look(move |replica, _| {
            let members = replica.state().members();
            let mut others = members.voters().filter(|member| member.node != own);
            others.next().map(|member| member.control.to_string())
        });
        voters.await?
    }

    /// Makes a token that one box may join with.
    pub async fn create_token(&self, role: Role, hours: u64) -> Result<Value, String> {
        let identity = self.store.identity().map_err(says)?;
        let identity = identity.ok_or("this node is by itself: run dolmen init first")?;
        let (mut id, mut secret) = ([0; 8], [0; 16]);
        MachineEntropy.fill(&mut id).map_err(says)?;
        MachineEntropy.fill(&mut secret).map_err(says)?;
        let (control, _) = self.own_addresses()?;
        let (host, port) = control.rsplit_once(':').ok_or("this node has no port")?;
        let token = Token {
            authority: identity.pin(),
            id,
            secret,
            host: host.into(),
            port: port.parse().map_err(says)?,
        };
        let until = crate::clock::Millis(self.clock.now().0 + hours * 3_600_000);
        let create = MemberCommand::CreateToken {
            id,
            secret_hash: token.secret_hash(),
            role,
            until,
        };
        self.members(create).await?;
        Ok(json!({
            "token": token.to_string(),
            "id": hex(&id),
            "until": until.to_string(),
        }))
    }

    pub async fn list_tokens(&self) -> Result<Value, String> {
        let now = self.clock.now();
        let tokens = self.look(move |replica, _| {
            let tokens = replica.state().members().tokens().iter();
            let shown = tokens.map(|(id, token)| {
                json!({
                    "id": hex(&id),
                    "role": role_word(token.role),
                    "until": token.until.to_string(),
                    "state": match &token.used {
                        Some(used) => format!("used by node {}", used.node),
                        None if token.until <= now => "expired".into(),
                        None => "open".into(),
                    },
                })
            });
            Value::from(shown.collect::<Vec<_>>())
        });
        tokens.await.ok_or_else(|| "the node is stopping".into())
    }

    pub async fn revoke_token(&self, id: &str) -> Result<Value, String> {
        let bytes = (id.len() == 16 && id.is_ascii()).then(|| {
            let digits = |at: usize| u8::from_str_radix(&id[2 * at..2 * at + 2], 16).ok();
            (0..8).map(digits).collect::<Option<Vec<u8>>>()
        });
        let bytes = bytes.flatten().and_then(|bytes| bytes.try_into().ok());
        let id = bytes.ok_or("a token's id is 16 hexadecimal digits: dolmen token list")?;
        self.members(MemberCommand::RevokeToken { id }).await?;
        Ok(json!({ "revoked": hex(&id) }))
    }

    pub async fn remove_node(&self, node: u64) -> Result<Value, String> {
        let remove = MemberCommand::Remove { node: NodeId(node) };
        self.members(remove).await?;
        Ok(json!({ "removed": node }))
    }

    /// The leader is asked on its own host.
    pub async fn transfer(&self, node: u64) -> Result<Value, String> {
        let to = NodeId(node);
        let asked = self.look(move |replica, _| {
            let is_voter = replica
                .state()
                .members()
                .voters()
                .any(|voter| voter.node == to);
            match (replica.is_leader(), is_voter) {
                (false, _) => Err(match replica.leader() {
                    Some(leader) => format!("node {leader} leads: ask it on its own host"),
                    None => "nobody leads now: try again".into(),
                }),
                (true, false) => Err(format!("node {to} has no vote: dolmen node list")),
                (true, true) => {
                    replica.transfer(to);
                    Ok(())
                }
            }
        });
        asked.await.ok_or("the node is stopping")??;
        Ok(json!({ "asked": node }))
    }

    pub async fn list_nodes(&self) -> Result<Value, String> {
        let nodes = self.look(|replica, _| {
            let leader = replica.leader();
            let active = replica.active_peers();
            let own = replica.node();
            let members = replica.state().members().iter();
            let shown = members.map(|member| {
                json!({
                    "node": member.node.0,
                    "role": role_word(member.role),
                    "leads": Some(member.node) == leader,
                    "here": member.node == own,
                    "heard": member.node == own || active.contains(&member.node),
                    "control": member.control,
                    "zookeeper": member.doors.iter().find(|(name, _)| &**name == "zookeeper").map(|(_, at)| at),
                })
            });
            Value::from(shown.collect::<Vec<_>>())
        });
        nodes.await.ok_or_else(|| "the node is stopping".into())
    }

    /// Asks a cluster to take this node in. What is kept here then says so, and
    /// the node must begin anew.
    pub async fn join(&self, token: &str, discard: bool) -> Result<Value, String> {
        let token: Token = token.parse().map_err(says)?;
        let membership = self.membership();
        if membership.is_initialised {
            let identity = self.store.identity().map_err(says)?;
            return match identity {
                Some(identity) if identity.pin() == token.authority => {
                    Ok(json!({ "node": membership.node.0, "already": true }))
                }
                _ => Err(format!(
                    "this node is node {} of another cluster ({}); to move it, stop it, move {} \
                     aside and start it again",
                    membership.node,
                    membership.cluster,
                    self.config.data.display()
                )),
            };
        }
        let holds = self.look(|replica, _| replica.holds_user_data()).await;
        if holds.unwrap_or(true) && !discard {
            return Err(
                "this node holds data of its own, which a member of another cluster cannot keep: \
                 join with --discard, which moves them aside under a dated name"
                    .into(),
            );
        }
        let (control, bulk) = self.own_addresses()?;
        let applicant = Applicant {
            control,
            bulk,
            within: Duration::from_secs(10),
            clock: self.clock.clone(),
            entropy: Arc::new(MachineEntropy),
        };
        let joined = peers::join(&token, &applicant).await.map_err(says)?;
        self.store.keep_identity(&joined.identity).map_err(says)?;
        if let Some(authority) = &joined.authority {
            self.store.keep_authority(authority).map_err(says)?;
        }
        let membership = Membership {
            node: joined.identity.node,
            cluster: joined.identity.cluster,
            is_initialised: true,
            peers: joined.members.iter().map(KnownPeer::of).collect(),
        };
        membership.write(&self.config.data).map_err(says)?;
        tracing::info!(node = %membership.node, cluster = %membership.cluster, "joined; beginning anew");
        Ok(json!({ "node": membership.node.0, "already": false }))
    }

    /// A certificate is renewed at two thirds of its life by whoever holds the
    /// authority's key.
    fn renew_when_due(&self) {
        let Ok(Some(identity)) = self.store.identity() else {
            return;
        };
        if self.clock.now() < identity.renew_at() {
            return;
        }
        let Ok(Some(authority)) = self.store.authority() else {
            return;
        };
        let (clock, work) = (self.clock.clone(), self.store.clone());
        let peers = self.peers.clone();
        let node = identity.node;
        self.replica.look(move |replica, now| {
            let serial = replica.state().members().next_serial();
            let renewed = authority.identify(node, serial, clock.now(), &MachineEntropy);
            let kept = renewed.map_err(says).and_then(|identity| {
                work.keep_identity(&identity).map_err(says)?;
                if let Some(peers) = peers.get() {
                    peers.set_identity(identity).map_err(says)?;
                }
                Ok(())
            });
            match kept {
                Ok(()) => {
                    tracing::info!(serial, "this node's certificate is renewed");
                    announce_serial(replica, now, node, serial);
                }
                Err(why) => tracing::error!(why, "this node's certificate is not renewed"),
            }
        });
    }
}

fn announce_serial(replica: &mut Replica, now: Now, node: NodeId, serial: u64) {
    let listed = replica.state().members().get(node).cloned();
    if let Some(mut member) = listed {
        member.certificate = serial;
        let announce = MemberCommand::Announce(member);
        replica.command(now, Command::Members(announce), None);
    }
}

/// Has the list brought up to date where this node's line of it is not.
fn announce(replica: &mut Replica, now: Now, own: Member) {
    let Some(listed) = replica.state().members().get(own.node) else {
        return;
    };
    let is_as_listed = listed.control == own.control
        && listed.bulk == own.bulk
        && listed.doors == own.doors
        && listed.certificate >= own.certificate;
    if !is_as_listed && replica.leader().is_some() {
        let own = Member {
            role: listed.role,
            certificate: own.certificate.max(listed.certificate),
            ..own
        };
        replica.command(now, Command::Members(MemberCommand::Announce(own)), None);
    }
}

fn hooks(
    standing: Arc<Standing>,
    peers: Arc<OnceLock<Peers>>,
    work: mpsc::UnboundedSender<Work>,
    fatal: Box<dyn FnOnce(&Fatal) + Send>,
) -> replica::Hooks {
    replica::Hooks {
        beat: Box::new(move || standing.replica_beat()),
        fatal,
        send: Box::new(move |sends| {
            if let Some(peers) = peers.get() {
                for (to, plane, bytes) in sends {
                    peers.send(to, plane, bytes);
                }
            }
        }),
        members: Box::new(move |replica| {
            let members = replica.state().members().iter().cloned().collect();
            // The daemon is gone only at the very end.
            let _ = work.send(Work::Members(members));
        }),
    }
}

/// The folder of the replica's own device.
struct ReplicaFolder {
    folder: PathBuf,
    engine: Engine,
    settings: replica::Settings,
    is_founder: bool,
    clock: Arc<dyn Clock>,
}

impl ReplicaFolder {
    /// What another node's life left is moved aside: a state that belongs to
    /// another cluster, or to another member of this one.
    fn prepare(&self, membership: &Membership) -> io::Result<()> {
        let mark = self.folder.join("of");
        let owner = format!("{} {}\n", membership.cluster, membership.node);
        match fs::read_to_string(&mark) {
            Ok(found) if found == owner => return Ok(()),
            Ok(_) => self.move_aside()?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        fs::create_dir_all(&self.folder)?;
        write_synced(&mark, &owner)?;
        fs::File::open(&self.folder)?.sync_all()?;
        let parent = self.folder.parent().unwrap_or(Path::new("."));
        fs::File::open(parent)?.sync_all()
    }

    fn move_aside(&self) -> io::Result<()> {
        let date = self.clock.now().to_string().replace(':', "");
        let aside = self
            .folder
            .with_file_name(format!("replica-discarded-{date}"));
        tracing::warn!(to = %aside.display(), "the state of another membership is moved aside");
        fs::rename(&self.folder, aside)
    }

    fn open(self) -> Result<(Replica, replica::Opened), OpenError> {
        match self.open_once() {
            Err(full) if full.is_full() && (self.engine.give_up_reserve)() => {
                tracing::warn!(
                    %full,
                    "the disk is full: the reserve is given up, and the replica opened once more"
                );
                self.open_once()
            }
            opened => opened,
        }
    }

    fn open_once(&self) -> Result<(Replica, replica::Opened), OpenError> {
        let disk = RealDisk::open(&self.folder, self.engine.lanes.clone())
            .map_err(OpenError::io("open the replica's folder"))?;
        let disk = Arc::new(disk);
        let late = disk.clone();
        // Reading back takes as long as it takes, at an ordinary class.
        class::take(Class::Bulk);
        let lane = LateLane::new(move || {
            class::take(Class::Log);
            disk::Disk::lane(&*late)
        });
        let now = Now {
            wall: self.clock.now(),
            monotonic: self.clock.monotonic(),
        };
        Replica::open(Start {
            settings: self.settings.clone(),
            is_founder: self.is_founder,
            opening: Opening {
                disk,
                lane: Box::new(lane),
                entropy: &MachineEntropy,
                settings: self.engine.log.clone(),
                formats: &[&FRAMES],
            },
            entropy: Arc::new(MachineEntropy),
            now,
        })
    }
}

fn write_synced(path: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    io::Write::write_all(&mut file, text.as_bytes())?;
    file.sync_all()
}

fn replica_settings(config: &Config, membership: &Membership) -> replica::Settings {
    let tick = Duration::from_millis(config.coordination.tick_ms);
    let election = config.coordination.election_timeout_ms / config.coordination.tick_ms;
    replica::Settings {
        node: membership.node,
        cluster: membership.cluster,
        tick,
        election_ticks: election.max(4) as usize,
        heartbeat_ticks: (election / 5).max(1) as usize,
        // Two nodes that are started together should not ask together.
        seed: u64::from(std::process::id()),
        serves_read_only: config.zookeeper.serves_read_only,
    }
}

fn door_settings(
    config: &Config,
    listen: SocketAddr,
    node: NodeId,
) -> Result<zookeeper::Settings, Refused> {
    let wanted = &config.zookeeper;
    let mut settings = zookeeper::Settings::new(listen);
    settings.terms.words = words(&wanted.words)?;
    settings.terms.superuser_digest = wanted.super_digest.clone().map(String::into);
    if let Some(file) = &wanted.sasl_users_file {
        settings.terms.sasl_users = sasl_users(file)?;
        settings.terms.sasl_superuser = Some("super".into());
    }
    if let Some(tls) = &wanted.tls {
        settings.tls = Some(load_tls(tls)?.current());
        settings.tls_only = tls.is_required;
    }
    settings.about = About {
        data_dir: config.data.display().to_string(),
        tick_ms: 2000,
        node: node.0,
        environment: vec![
            ("dolmen.version".into(), env!("CARGO_PKG_VERSION").into()),
            ("host.name".into(), host_name()),
        ],
        open_files: Some(open_files::look),
        ..settings.about
    };
    Ok(settings)
}

/// What the original's clients ask `envi` for.
fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname");
    name.map_or("<NA>".into(), |name| name.trim().to_owned())
}

fn words(wanted: &[String]) -> Result<Vec<Word>, Refused> {
    if wanted.iter().any(|word| word == "*") {
        return Ok(Word::ALL.to_vec());
    }
    let words = wanted.iter().map(|text| {
        Word::named(text).ok_or_else(|| {
            let known: Vec<_> = Word::ALL.iter().map(|word| word.text()).collect();
            let known = known.join(" ");
            Refused::Door {
                door: "zookeeper",
                address: SocketAddr::from(([0, 0, 0, 0], 0)),
                error: io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!("doors.zookeeper.words: {text:?} is none of {known}"),
                ),
            }
        })
    });
    words.collect()
}

fn sasl_users(file: &Path) -> Result<Vec<zookeeper::SaslUser>, Refused> {
    let text =
        fs::read_to_string(file).map_err(|error| Refused::File(file.into(), error.to_string()))?;
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let users = lines.map(|line| match line.split_once(':') {
        Some((name, password)) => Ok(zookeeper::SaslUser {
            name: name.into(),
            password: password.into(),
        }),
        None => Err(Refused::File(
            file.into(),
            "each line is user:password, and one has no colon".into(),
        )),
    });
    users.collect()
}

fn load_tls(files: &TlsFiles) -> Result<DoorTls, Refused> {
    let read =
        |path: &Path| fs::read(path).map_err(|error| Refused::File(path.into(), error.to_string()));
    let (certificate, key) = (read(&files.certificate)?, read(&files.key)?);
    let client_ca = files.client_ca.as_deref().map(read).transpose()?;
    DoorTls::load(&certificate, &key, client_ca.as_deref())
        .map_err(|error| Refused::File(files.certificate.clone(), error.to_string()))
}

/// The address of the interface towards the world. Nothing is sent.
fn interface_address() -> io::Result<String> {
    // An address of RFC 5737, for documents: it is nobody's.
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect("192.0.2.1:9")?;
    Ok(socket.local_addr()?.ip().to_string())
}

fn says(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn role_word(role: Role) -> &'static str {
    match role {
        Role::Voter => "voter",
        Role::Learner => "learner",
    }
}
