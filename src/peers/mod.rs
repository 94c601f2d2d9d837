//! QUIC between nodes: who may speak, and bytes from one to another.
//!
//! Two planes, control and bulk, each with an endpoint, a thread and a runtime
//! of its own (`plane`). A connection is greeted and settled (`settle`), and is
//! then a `link`: a stream of frames each way. `tls`, `certificate`, `identity`
//! and `authority` say who somebody is; the member list, told from above, says
//! whether that counts. A box without a certificate may ask to `join`, and
//! nothing else.
//!
//! What is carried is opaque here. Between `Up` and `Down` of a node its
//! control frames arrive in the order sent; a full queue drops some. After
//! `Down` nothing more of that connection arrives. Bulk frames come and go
//! without such words. Everything is heard on the plane's own thread, so who
//! hears passes it on and returns.

mod address;
mod authority;
mod certificate;
pub mod codec;
mod complaints;
mod dial;
mod endpoint;
mod figures;
mod gate;
mod identity;
mod join;
mod link;
mod pace;
mod paces;
mod pem;
mod plane;
mod queue;
mod refusal;
mod settings;
mod settle;
pub mod sim;
mod store;
mod stream;
#[cfg(test)]
mod tests;
pub mod tls;
mod token;

pub use address::{PeerAddress, Plane};
pub use authority::{Authority, AuthorityError, NodeKey, is_signed};
pub use certificate::sha256;
pub use codec::{Admission, JoinReply, Release};
pub use endpoint::{Socket, StartError};
pub use figures::{ConnectionFigures, PeerFigures};
pub use identity::{Identity, Unusable};
pub use join::{Applicant, JoinAnswer, JoinError, JoinRequest, Joined, join};
pub use paces::RateOf;
pub use refusal::Refusal;
pub use settings::{EndpointSettings, Settings};
pub use store::{Store, StoreError};
pub use stream::{BulkReader, BulkStream, BulkWriter, NotUp};
pub use token::{CONTROL_PORT, NotAToken, Token};

use crate::ids::NodeId;
use plane::{PlaneThread, Shell};
use std::net::SocketAddr;
use std::sync::Arc;

/// What is heard of the other nodes.
pub enum FromPeers {
    Frame {
        from: NodeId,
        plane: Plane,
        bytes: Vec<u8>,
    },
    /// Its control connection stands. Another `Down` comes before another
    /// `Up`.
    Up {
        node: NodeId,
        incarnation: u64,
        release: Release,
    },
    Down {
        node: NodeId,
    },
    /// A box asks to become a member.
    Join {
        request: JoinRequest,
        answer: JoinAnswer,
    },
    /// A peer opened a stream of its own on the bulk plane.
    Stream {
        from: NodeId,
        stream: BulkStream,
    },
}

/// Whoever hears must not block: it is called on a plane's thread.
pub type Hear = Arc<dyn Fn(FromPeers) + Send + Sync>;

/// The way to the other nodes. Stays usable after `Closing::close`, and then
/// carries nothing.
#[derive(Clone)]
pub struct Peers {
    control: Arc<Shell>,
    bulk: Arc<Shell>,
}

/// Ends both planes, at the latest when it is dropped.
pub struct Closing {
    planes: Vec<PlaneThread>,
}

impl Peers {
    /// Opens both ports. Nobody is dialed or accepted before `set_members`;
    /// joiners are heard at once.
    pub fn start(
        settings: Settings,
        identity: Identity,
        hear: Box<dyn Fn(FromPeers) + Send + Sync>,
    ) -> Result<(Self, Closing), StartError> {
        let hear: Hear = hear.into();
        let start = |plane| plane::start(plane, &settings, &identity, &hear);
        let control = start(Plane::Control)?;
        let bulk = start(Plane::Bulk)?;
        let peers = Self {
            control: control.shell.clone(),
            bulk: bulk.shell.clone(),
        };
        let planes = vec![control, bulk];
        Ok((peers, Closing { planes }))
    }

    /// Whom to dial and whom to accept. One that is not in it any more, or
    /// whose certificate is too old now, is cut before this returns.
    pub fn set_members(&self, members: Vec<PeerAddress>) {
        self.control.set_members(&members);
        self.bulk.set_members(&members);
    }

    /// Never waits. Dropped and counted where the peer is not connected or its
    /// queue is full.
    pub fn send(&self, to: NodeId, plane: Plane, bytes: Vec<u8>) {
        self.of(plane).send(to, bytes);
    }

    /// A stream of one's own to a peer, on the bulk plane.
    pub async fn open_stream(&self, to: NodeId) -> Result<BulkStream, NotUp> {
        self.bulk.open_stream(to).await
    }

    /// One line per member and plane.
    pub fn figures(&self) -> Vec<PeerFigures> {
        [self.control.figures(), self.bulk.figures()].concat()
    }

    /// Connections made from now on show the new certificate. Those that stand
    /// go on, unless the node or the cluster is another one now. The ports keep
    /// the reset key that they were opened with.
    pub fn set_identity(&self, identity: Identity) -> Result<(), StartError> {
        self.control.set_identity(identity.clone())?;
        self.bulk.set_identity(identity)
    }

    /// Callers that were not let in, on both planes, since the start.
    pub fn refused(&self) -> u64 {
        self.control.complaints.all() + self.bulk.complaints.all()
    }

    /// Where a plane listens; tells the port where 0 was asked for.
    pub fn listens_at(&self, plane: Plane) -> SocketAddr {
        self.of(plane).listens_at()
    }

    fn of(&self, plane: Plane) -> &Arc<Shell> {
        match plane {
            Plane::Control => &self.control,
            Plane::Bulk => &self.bulk,
        }
    }
}

impl Closing {
    /// Says goodbye to every peer and waits, a second at the most, until they
    /// have heard it. Nothing is heard afterwards.
    pub fn close(self) {}
}

impl Drop for Closing {
    fn drop(&mut self) {
        // Both at once; each is then waited for as it is dropped.
        for plane in &self.planes {
            plane.shell.leave();
        }
    }
}
