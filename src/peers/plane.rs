//! One plane: its endpoint on its own thread, the members it may speak with,
//! and the links it has. The book of both is the one thing that other threads
//! reach into; links enter and leave it on the plane's thread only, so `Up`
//! and `Down` come in order.

use super::address::{PeerAddress, Plane};
use super::certificate::Shown;
use super::codec::{Hello, Release};
use super::complaints::Complaints;
use super::dial;
use super::endpoint::{self, Socket, StartError};
use super::figures::{ConnectionFigures, PeerFigures};
use super::gate::{Gate, Place};
use super::identity::Identity;
use super::join;
use super::link::{self, Link};
use super::pace::Pace;
use super::paces::{Paces, RateOf};
use super::refusal::Refusal;
use super::settings::Settings;
use super::settle::Standing;
use super::stream::{BulkStream, NotUp};
use super::{FromPeers, Hear, tls};
use crate::disk::class::{self, Class, Granted};
use crate::ids::NodeId;
use crate::limits::PEER_FRAME_BYTES_MAX;
use quinn::{ClientConfig, Connection, Endpoint, Incoming, VarInt};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// A goodbye is heard within a round trip, or the peer is gone.
const GOODBYE_WITHIN: Duration = Duration::from_secs(1);

pub(super) struct Shell {
    pub(super) plane: Plane,
    pub(super) settings: Settings,
    pub(super) hear: Hear,
    pub(super) endpoint: Endpoint,
    socket: Socket,
    runtime: tokio::runtime::Handle,
    pub(super) complaints: Complaints,
    gate: Gate,
    paces: Paces,
    shown: Mutex<Arc<Face>>,
    book: Mutex<Book>,
}

/// What this node shows to others.
pub(super) struct Face {
    pub(super) identity: Identity,
    pub(super) client: ClientConfig,
}

#[derive(Default)]
struct Book {
    members: BTreeMap<NodeId, Membership>,
    links: BTreeMap<NodeId, Arc<Link>>,
    is_leaving: bool,
}

struct Membership {
    address: PeerAddress,
    /// Where it was last found.
    found_at: Option<IpAddr>,
    dialer: AbortHandle,
    is_linked: watch::Sender<bool>,
    dropped_frames: u64,
    /// Why the last dial came to nothing.
    unreached: Option<String>,
}

/// A plane that runs.
pub(super) struct PlaneThread {
    pub(super) shell: Arc<Shell>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Drop for PlaneThread {
    /// Says goodbye to every peer and waits until they have heard it.
    fn drop(&mut self) {
        self.shell.leave();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(
                "the thread of the {} plane panicked",
                self.shell.plane.name()
            );
        }
    }
}

pub(super) fn start(
    plane: Plane,
    settings: &Settings,
    identity: &Identity,
    hear: &Hear,
) -> Result<PlaneThread, StartError> {
    let (socket, granted) = endpoint::bind(plane, settings.of(plane))?;
    let (tell, told) = mpsc::sync_channel(1);
    let (settings, identity, hear) = (settings.clone(), identity.clone(), hear.clone());
    let run = move || {
        take_class(plane);
        let runtime = match tokio::runtime::Builder::new_current_thread()
            .enable_all()
            // Looking up names is done by threads of the runtime's own, which
            // would inherit the real-time class.
            .on_thread_start(|| drop(class::take(Class::Bulk)))
            .build()
        {
            Ok(runtime) => runtime,
            Err(error) => return drop(tell.send(Err(StartError::Thread(error)))),
        };
        runtime.block_on(async {
            let endpoint = match endpoint::make(plane, socket, &identity, &settings) {
                Ok(endpoint) => endpoint,
                Err(error) => return drop(tell.send(Err(error))),
            };
            let shell = match Shell::new(plane, settings, hear, endpoint, granted, identity) {
                Ok(shell) => Arc::new(shell),
                Err(error) => return drop(tell.send(Err(error))),
            };
            if tell.send(Ok(shell.clone())).is_ok() {
                shell.accept_all().await;
                let _ = timeout(GOODBYE_WITHIN, shell.endpoint.wait_idle()).await;
            }
        });
    };
    let thread = thread::Builder::new()
        .name(format!("peers-{}", plane.name()))
        .spawn(run)
        .map_err(StartError::Thread)?;
    let gone = |_| StartError::Thread(std::io::Error::other("it ended at once"));
    let shell = told.recv().map_err(gone)??;
    Ok(PlaneThread {
        shell,
        thread: Some(thread),
    })
}

fn take_class(plane: Plane) {
    let granted = match plane {
        Plane::Control => class::take(Class::Log),
        Plane::Bulk => class::take(Class::Bulk),
    };
    if let Granted::Ordinary { why } = granted {
        tracing::warn!(
            "the {} plane's thread is an ordinary one: {why}",
            plane.name()
        );
    }
}

impl Shell {
    fn new(
        plane: Plane,
        settings: Settings,
        hear: Hear,
        endpoint: Endpoint,
        socket: Socket,
        identity: Identity,
    ) -> Result<Self, StartError> {
        let client = endpoint::client_config(plane, &identity, &settings)?;
        let rate_of: RateOf = match plane {
            Plane::Control => Arc::new(|_| 0),
            Plane::Bulk => settings.bulk_rate.clone(),
        };
        Ok(Self {
            plane,
            settings,
            hear,
            endpoint,
            socket,
            runtime: tokio::runtime::Handle::current(),
            complaints: Complaints::default(),
            gate: Gate::new(),
            paces: Paces::new(rate_of),
            shown: Mutex::new(Arc::new(Face { identity, client })),
            book: Mutex::default(),
        })
    }

    pub(super) fn face(&self) -> Arc<Face> {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.clone()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Of a caller at our door.
    pub(super) fn complain(&self, from: SocketAddr, why: &Refusal) {
        let plane = self.plane.name();
        if why.is_ordinary() {
            tracing::debug!("a connection from {from} on the {plane} plane is not kept: {why}");
            return;
        }
        let text = format!("a connection from {from} on the {plane} plane is refused: {why}");
        self.complaints.add(self.settings.clock.monotonic(), &text);
    }

    /// What links share that leave by this address.
    pub(super) fn pace_of(&self, address: Option<IpAddr>) -> Arc<Pace> {
        self.paces.of(address)
    }

    /// Waits until bytes may leave.
    pub(super) async fn keep_pace(&self, link: &Link, bytes: usize) {
        let wait = link.pace.take(self.settings.clock.monotonic(), bytes);
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    pub(super) fn us(&self) -> NodeId {
        self.face().identity.node
    }

    pub(super) fn listens_at(&self) -> SocketAddr {
        let configured = self.settings.of(self.plane).listen;
        self.endpoint.local_addr().unwrap_or(configured)
    }

    pub(super) fn set_members(self: &Arc<Self>, members: &[PeerAddress]) {
        let us = self.us();
        let mut book = self.book();
        if book.is_leaving {
            return;
        }
        let Book {
            members: held,
            links,
            ..
        } = &mut *book;
        held.retain(|node, member| {
            let stays = members.iter().any(|told| told.node == *node) && *node != us;
            if !stays {
                member.dialer.abort();
                if let Some(link) = links.get(node) {
                    link.cut(&Refusal::Removed(*node));
                }
            }
            stays
        });
        for told in members.iter().filter(|told| told.node != us) {
            if let Some(link) = links.get(&told.node)
                && let Err(why) = is_accepted(told, link.serial)
            {
                link.cut(&why);
            }
            match held.get_mut(&told.node) {
                Some(member) if self.plane.of(&member.address) == self.plane.of(told) => {
                    member.address = told.clone();
                }
                Some(member) => {
                    member.dialer.abort();
                    let linked = member.is_linked.subscribe();
                    member.dialer = self.dial(told, linked);
                    member.address = told.clone();
                }
                None => {
                    let is_linked = watch::Sender::new(links.contains_key(&told.node));
                    let membership = Membership {
                        address: told.clone(),
                        found_at: None,
                        dialer: self.dial(told, is_linked.subscribe()),
                        is_linked,
                        dropped_frames: 0,
                        unreached: None,
                    };
                    held.insert(told.node, membership);
                }
            }
        }
    }

    fn dial(self: &Arc<Self>, told: &PeerAddress, linked: watch::Receiver<bool>) -> AbortHandle {
        let place = self.plane.of(told).to_owned();
        let dialing = dial::again_and_again(self.clone(), told.node, place, linked);
        self.runtime.spawn(dialing).abort_handle()
    }

    pub(super) fn found_at(&self, node: NodeId, place: IpAddr) {
        if let Some(member) = self.book().members.get_mut(&node) {
            member.found_at = Some(place.to_canonical());
        }
    }

    /// What came of a dial.
    pub(super) fn note_dial(&self, node: NodeId, unreached: Option<String>) {
        if let Some(member) = self.book().members.get_mut(&node) {
            member.unreached = unreached;
        }
    }

    pub(super) fn set_identity(&self, identity: Identity) -> Result<(), StartError> {
        let server = endpoint::server_config(self.plane, &identity, &self.settings)?;
        let client = endpoint::client_config(self.plane, &identity, &self.settings)?;
        self.endpoint.set_server_config(Some(server));
        let old = {
            let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *shown, Arc::new(Face { identity, client }))
        };
        let new = self.face();
        let who = |face: &Face| (face.identity.node, face.identity.cluster);
        if who(&old) != who(&new) {
            let book = self.book();
            book.links
                .values()
                .for_each(|link| link.cut(&Refusal::NewIdentity));
        }
        Ok(())
    }

    pub(super) fn send(&self, to: NodeId, bytes: Vec<u8>) {
        let length = bytes.len();
        let mut book = self.book();
        let Book { members, links, .. } = &mut *book;
        let Some(member) = members.get_mut(&to) else {
            return;
        };
        let link = links.get(&to).filter(|link| !link.is_over());
        let fits = length <= PEER_FRAME_BYTES_MAX;
        if !fits {
            tracing::error!(
                "a frame of {length} bytes to node {to} is dropped: \
                             {PEER_FRAME_BYTES_MAX} is the most"
            );
        }
        let is_queued = fits && link.is_some_and(|link| link.queue.add(bytes));
        member.dropped_frames += u64::from(!is_queued);
    }

    pub(super) async fn open_stream(self: &Arc<Self>, to: NodeId) -> Result<BulkStream, NotUp> {
        let link = self.book().links.get(&to).cloned().ok_or(NotUp(to))?;
        let (send, receive) = link.connection.open_bi().await.map_err(|_| NotUp(to))?;
        Ok(BulkStream::new(self.clone(), link, send, receive))
    }

    pub(super) fn figures(&self) -> Vec<PeerFigures> {
        let us = self.us();
        let now = self.settings.clock.monotonic();
        // The connections are asked after the book is closed again.
        let rows: Vec<_> = {
            let book = self.book();
            let row = |(node, member): (&NodeId, &Membership)| {
                let link = book.links.get(node).cloned();
                (*node, member.dropped_frames, member.unreached.clone(), link)
            };
            book.members.iter().map(row).collect()
        };
        let rows = rows.into_iter();
        rows.map(|(node, dropped_frames, unreached, link)| PeerFigures {
            node,
            plane: self.plane,
            unreached: unreached.filter(|_| link.is_none()),
            connection: link.map(|link| ConnectionFigures::read(&link, us, now)),
            dropped_frames,
            socket: self.socket,
        })
        .collect()
    }

    /// No more is accepted or dialed, and every peer hears a goodbye.
    pub(super) fn leave(&self) {
        let mut book = self.book();
        book.is_leaving = true;
        for member in book.members.values() {
            member.dialer.abort();
        }
        let why = Refusal::Leaving;
        let reason = why.to_string();
        self.endpoint
            .close(VarInt::from_u32(why.code()), reason.as_bytes());
    }

    async fn accept_all(self: &Arc<Self>) {
        while let Some(incoming) = self.endpoint.accept().await {
            let from = incoming.remote_address();
            if !incoming.remote_address_validated() {
                // Whoever forges an address never hears this, and costs us no
                // more than one packet.
                let _ = incoming.retry();
                continue;
            }
            match self.gate.enter(self.is_a_members(from.ip())) {
                Some(place) => drop(tokio::spawn(self.clone().receive(incoming, place))),
                None => {
                    self.complain(from, &Refusal::TooMany);
                    incoming.refuse();
                }
            }
        }
    }

    fn is_a_members(&self, place: IpAddr) -> bool {
        let place = Some(place.to_canonical());
        self.book()
            .members
            .values()
            .any(|member| member.found_at == place)
    }

    async fn receive(self: Arc<Self>, incoming: Incoming, place: Place) {
        let from = incoming.remote_address();
        let connection = match self.shake_hands(incoming).await {
            Ok(connection) => connection,
            Err(why) => return self.complain(from, &why),
        };
        let protocol = tls::protocol(connection.handshake_data());
        if protocol.as_deref() == Some(tls::JOIN_PROTOCOL) {
            return join::serve(&self, &connection, place).await;
        }
        if let Err(why) = self.welcome(&connection, None).await {
            link::close(&connection, &why);
            self.complain(from, &why);
        }
    }

    async fn shake_hands(&self, incoming: Incoming) -> Result<Connection, Refusal> {
        let within = self.settings.handshake_within;
        let failed = |error: quinn::ConnectionError| Refusal::Handshake(error.to_string());
        let connecting = incoming.accept().map_err(failed)?;
        let shaken = timeout(within, connecting).await;
        shaken.map_err(|_| Refusal::Silent(within))?.map_err(failed)
    }

    /// From a connection whose handshake is done to a link, or to the reason
    /// why not.
    pub(super) async fn welcome(
        self: &Arc<Self>,
        connection: &Connection,
        dialed: Option<NodeId>,
    ) -> Result<(), Refusal> {
        let us = self.face().identity.clone();
        let shown = tls::shown(connection.peer_identity())
            .ok_or(Refusal::NoCertificate)?
            .map_err(Refusal::NotOurs)?;
        if shown.node == us.node {
            return Err(Refusal::Ourselves(us.node));
        }
        if let Some(dialed) = dialed.filter(|dialed| *dialed != shown.node) {
            let answered = shown.node;
            return Err(Refusal::OtherNode { dialed, answered });
        }
        self.book().check(&shown)?;
        if dialed.is_none() {
            link::open_windows(self, connection);
        }
        let hello = Hello {
            node: us.node,
            cluster: us.cluster,
            incarnation: self.settings.incarnation,
            release: self.settings.release.clone(),
        };
        let within = self.settings.handshake_within;
        let greeted = timeout(within, link::greet(connection, &hello))
            .await
            .map_err(|_| Refusal::Silent(within))??;
        let certificate = (shown.node, shown.cluster);
        let said = (greeted.hello.node, greeted.hello.cluster);
        if certificate != said {
            return Err(Refusal::OtherHello {
                certificate,
                hello: said,
            });
        }
        let standing = Standing {
            dialed_by: if dialed.is_some() {
                us.node
            } else {
                shown.node
            },
            incarnation: greeted.hello.incarnation,
        };
        let link = link::new(self, connection.clone(), &shown, standing);
        self.register(&link, &shown, greeted.hello.release.clone())?;
        tokio::spawn(link::run(self.clone(), link, greeted));
        Ok(())
    }

    /// On the plane's thread, like `unregister`.
    fn register(&self, link: &Arc<Link>, shown: &Shown, release: Release) -> Result<(), Refusal> {
        let old = {
            let mut book = self.book();
            // Once more: the members may have changed during the greeting.
            book.check(shown)?;
            if let Some(held) = book.links.get(&link.node)
                && !held.is_over()
                && !link.standing.takes_the_place_of(held.standing)
            {
                return Err(Refusal::Duplicate(link.node));
            }
            if let Some(member) = book.members.get(&link.node) {
                member.is_linked.send_replace(true);
            }
            book.links.insert(link.node, link.clone())
        };
        if let Some(old) = old {
            old.cut(&Refusal::Replaced(old.node));
            self.tell_down(&old);
        }
        let (node, incarnation) = (link.node, link.standing.incarnation);
        let address = link.connection.remote_address();
        tracing::info!(
            "node {node} is connected on the {} plane at {address}",
            self.plane.name()
        );
        if self.plane == Plane::Control {
            (self.hear)(FromPeers::Up {
                node,
                incarnation,
                release,
            });
        }
        Ok(())
    }

    pub(super) fn unregister(&self, link: &Arc<Link>, why: &Refusal) {
        {
            let mut book = self.book();
            let is_held = |held: &Arc<Link>| Arc::ptr_eq(held, link);
            if book.links.get(&link.node).is_some_and(is_held) {
                book.links.remove(&link.node);
                if let Some(member) = book.members.get(&link.node) {
                    member.is_linked.send_replace(false);
                }
                let plane = self.plane.name();
                tracing::info!("node {} is gone on the {plane} plane: {why}", link.node);
            }
        }
        self.tell_down(link);
    }

    fn tell_down(&self, link: &Link) {
        if link.tell() && self.plane == Plane::Control {
            (self.hear)(FromPeers::Down { node: link.node });
        }
    }
}

impl Book {
    fn check(&self, shown: &Shown) -> Result<(), Refusal> {
        let member = self.members.get(&shown.node);
        let member = member.ok_or(Refusal::NotAMember(shown.node))?;
        is_accepted(&member.address, shown.serial)
    }
}

fn is_accepted(member: &PeerAddress, serial: u64) -> Result<(), Refusal> {
    if serial < member.certificate {
        return Err(Refusal::OldCertificate {
            node: member.node,
            serial,
            least: member.certificate,
        });
    }
    Ok(())
}
