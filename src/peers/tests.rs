//! Real endpoints on loopback: nodes in one process, each with its own ports.

mod joining;
mod members;
mod strangers;

use super::*;
use crate::clock::{Clock, MachineClock, Millis};
use crate::entropy::MachineEntropy;
use crate::ids::Uid;
use std::net::Ipv4Addr;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Far beyond what any of these takes; only a failure waits that long.
const PATIENCE: Duration = Duration::from_secs(20);

const CLUSTER: Uid = Uid([0xd0; 16]);

/// The machine's clock, moved.
struct Moved {
    clock: MachineClock,
    by_ms: i64,
}

impl Clock for Moved {
    fn now(&self) -> Millis {
        Millis(self.clock.now().0.saturating_add_signed(self.by_ms))
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

/// What a node runs in its so-manieth life: another release in each.
fn release_of(incarnation: u64) -> Release {
    Release {
        features: incarnation as u32,
        version: format!("0.{incarnation}.0"),
    }
}

fn settings(incarnation: u64) -> Settings {
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let clock = Arc::new(MachineClock::new());
    let entropy = Arc::new(MachineEntropy);
    let release = release_of(incarnation);
    let mut settings = Settings::new(any_port, any_port, incarnation, release, clock, entropy);
    settings.dial_again_first = Duration::from_millis(10);
    settings.dial_again_last = Duration::from_millis(100);
    settings.head_start = PATIENCE;
    settings.control.keep_alive = Duration::from_millis(200);
    settings.control.idle = Duration::from_secs(8);
    settings
}

fn now() -> Millis {
    MachineClock::new().now()
}

fn identify(authority: &Authority, node: u64, serial: u64) -> Identity {
    authority
        .identify(NodeId(node), serial, now(), &MachineEntropy)
        .unwrap()
}

/// One node, and what it hears.
struct Node {
    id: NodeId,
    peers: Peers,
    closing: Option<Closing>,
    heard: Mutex<Receiver<FromPeers>>,
}

impl Node {
    fn start(settings: Settings, identity: Identity) -> Self {
        let (say, heard) = channel();
        let id = identity.node;
        let say = Mutex::new(say);
        // A node that is stopping is not listened to any more.
        let hear = Box::new(move |from| drop(say.lock().unwrap().send(from)));
        let (peers, closing) = Peers::start(settings, identity, hear).unwrap();
        Self {
            id,
            peers,
            closing: Some(closing),
            heard: Mutex::new(heard),
        }
    }

    fn address(&self) -> PeerAddress {
        self.address_with(0)
    }

    fn address_with(&self, certificate: u64) -> PeerAddress {
        PeerAddress {
            node: self.id,
            control: self.peers.listens_at(Plane::Control).to_string(),
            bulk: self.peers.listens_at(Plane::Bulk).to_string(),
            certificate,
        }
    }

    fn next(&self) -> FromPeers {
        let heard = self.heard.lock().unwrap();
        heard.recv_timeout(PATIENCE).expect("something is heard")
    }

    /// Passes over the rest.
    fn wait_for(&self, what: &str) {
        let mut passed = Vec::new();
        loop {
            let said = self.heard.lock().unwrap().recv_timeout(PATIENCE);
            let said = match said {
                Ok(said) => show(&said),
                Err(_) => panic!("node {} heard {passed:?} and not {what}", self.id),
            };
            if said == what {
                return;
            }
            passed.push(said);
        }
    }

    /// What has been heard by now.
    fn heard_so_far(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        heard.try_iter().map(|from| show(&from)).collect()
    }

    fn stop(&mut self) {
        self.closing.take().expect("it runs").close();
    }
}

fn show(from: &FromPeers) -> String {
    match from {
        FromPeers::Frame { from, plane, bytes } => {
            let text = String::from_utf8_lossy(bytes);
            format!("{} from {from}: {text}", plane.name())
        }
        FromPeers::Up {
            node,
            incarnation,
            release,
        } => {
            assert_eq!(*release, release_of(*incarnation));
            format!("up {node}.{incarnation}")
        }
        FromPeers::Down { node } => format!("down {node}"),
        FromPeers::Join { request, .. } => format!("join by {}", request.control),
        FromPeers::Stream { from, .. } => format!("stream from {from}"),
    }
}

/// Nodes 1.. of one cluster, who know each other.
fn cluster(count: u64) -> (Authority, Vec<Node>) {
    let authority = Authority::found(CLUSTER).unwrap();
    let start = |id| Node::start(settings(1), identify(&authority, id, id));
    let nodes: Vec<Node> = (1..=count).map(start).collect();
    introduce(&nodes);
    (authority, nodes)
}

fn introduce(nodes: &[Node]) {
    let members: Vec<PeerAddress> = nodes.iter().map(Node::address).collect();
    for node in nodes {
        node.peers.set_members(members.clone());
    }
}

/// Until both planes stand between two nodes, seen from the first. Bulk says
/// no `Up`, so a frame is sent until it is heard.
fn connected(from: &Node, to: &Node) {
    for plane in [Plane::Control, Plane::Bulk] {
        until(&format!("{} has {}", from.id, to.id), || {
            from.peers.figures().iter().any(|figures| {
                figures.node == to.id && figures.plane == plane && figures.connection.is_some()
            })
        });
    }
}

/// Asks again and again, a moment apart, with a deadline.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let clock = MachineClock::new();
    while !holds() {
        assert!(clock.monotonic() < PATIENCE, "{what} does not come");
        std::thread::yield_now();
    }
}
