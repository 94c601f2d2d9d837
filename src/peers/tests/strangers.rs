//! Who is not let in, and what that costs those who are.

use super::super::endpoint;
use super::*;
use quinn::Endpoint;

/// A caller with its own socket, on an address where no member is.
struct Caller {
    endpoint: Endpoint,
    runtime: tokio::runtime::Runtime,
}

impl Caller {
    fn new() -> Self {
        let runtime = runtime();
        let endpoint = {
            let _inside = runtime.enter();
            #[allow(clippy::disallowed_methods)] // a stranger brings its own
            let socket = std::net::UdpSocket::bind("127.0.0.2:0").unwrap();
            let config = endpoint::reset_config(&[1; 32], Arc::new(MachineEntropy));
            Endpoint::new(config, None, socket, Arc::new(quinn::TokioRuntime)).unwrap()
        };
        Self { endpoint, runtime }
    }

    /// Calls as `identity` would, and says what came of it: the reason of the
    /// close, however far the call got.
    fn call(&self, plane: Plane, to: &Node, identity: &Identity, clock: Arc<dyn Clock>) -> String {
        let mut settings = settings(1);
        settings.clock = clock;
        let config = endpoint::client_config(plane, identity, &settings).unwrap();
        let name = tls::server_name(identity, to.id);
        self.said(config, to.peers.listens_at(plane), &name)
    }

    fn said(&self, config: quinn::ClientConfig, to: SocketAddr, name: &str) -> String {
        self.runtime.block_on(async {
            let connecting = self.endpoint.connect_with(config, to, name).unwrap();
            let said = async {
                match connecting.await {
                    Ok(connection) => connection.closed().await.to_string(),
                    Err(error) => error.to_string(),
                }
            };
            tokio::time::timeout(PATIENCE, said)
                .await
                .expect("it is closed")
        })
    }

    /// Believes whoever answers, so that the member's own check is met.
    fn call_trusting(&self, plane: Plane, to: &Node, pin: [u8; 32], identity: &Identity) -> String {
        let tls = tls::nobody(pin, plane.protocol(), Some(identity), &machine_clock()).unwrap();
        let to = to.peers.listens_at(plane);
        self.said(quinn::ClientConfig::new(tls), to, "nobody.example")
    }

    /// Shows no certificate and speaks any protocol.
    fn call_without_certificate(&self, to: SocketAddr, pin: [u8; 32], protocol: &[u8]) -> String {
        let tls = tls::nobody(pin, protocol, None, &machine_clock()).unwrap();
        self.said(quinn::ClientConfig::new(tls), to, "nobody.example")
    }
}

fn machine_clock() -> Arc<dyn Clock> {
    Arc::new(MachineClock::new())
}

/// A cluster of two that goes on while strangers call, refuses as many as
/// expected, and goes on after.
fn check(expected: u64, calls: impl FnOnce(&Authority, &Node)) {
    let (authority, nodes) = cluster(2);
    connected(&nodes[0], &nodes[1]);
    nodes[0].heard_so_far();
    let before = nodes[0].peers.refused();
    calls(&authority, &nodes[0]);
    // The caller may know before the member has counted.
    until("every refusal is counted", || {
        nodes[0].peers.refused() - before == expected
    });
    nodes[1]
        .peers
        .send(NodeId(1), Plane::Control, b"as before".to_vec());
    // Nothing else was heard: no refusal touches what is above.
    assert_eq!(show(&nodes[0].next()), "control from 2: as before");
}

#[test]
fn without_a_certificate_only_a_request_to_join_is_heard() {
    check(2, |authority, node| {
        for plane in [Plane::Control, Plane::Bulk] {
            let to = node.peers.listens_at(plane);
            let said =
                Caller::new().call_without_certificate(to, authority.pin(), plane.protocol());
            assert!(said.contains("it shows no certificate"), "{said}");
        }
    });
}

#[test]
fn an_unknown_protocol_ends_in_the_handshake() {
    check(3, |authority, node| {
        for (plane, protocol) in [
            (Plane::Control, &b"h3"[..]),
            (Plane::Control, b"dolmen-data/1"),
            (Plane::Bulk, b"dolmen-join/1"),
        ] {
            let to = node.peers.listens_at(plane);
            let said = Caller::new().call_without_certificate(to, authority.pin(), protocol);
            assert!(said.contains("known protocol"), "{said}");
        }
    });
}

#[test]
fn a_certificate_that_has_ended_is_refused() {
    check(1, |authority, node| {
        let long_ago = Millis(now().0 - 91 * 24 * 3600 * 1000);
        let old = authority.identify(NodeId(2), 2, long_ago, &MachineEntropy);
        let said = Caller::new().call(Plane::Control, node, &old.unwrap(), machine_clock());
        assert!(said.contains("certificate expired"), "{said}");
    });
}

#[test]
fn a_certificate_that_begins_in_the_future_is_accepted() {
    // A member whose clock is behind: by two days, and by all since 1970, as
    // where there is no battery. Its own certificate was made when its clock
    // was right.
    let authority = Authority::found(CLUSTER).unwrap();
    for by_ms in [-2 * 24 * 3600 * 1000, -(now().0 as i64)] {
        let mut behind = settings(1);
        behind.clock = Arc::new(Moved {
            clock: MachineClock::new(),
            by_ms,
        });
        let nodes = [
            Node::start(behind, identify(&authority, 1, 1)),
            Node::start(settings(1), identify(&authority, 2, 2)),
        ];
        introduce(&nodes);
        connected(&nodes[0], &nodes[1]);
        connected(&nodes[1], &nodes[0]);
    }
}

#[test]
fn the_authority_outlives_any_clock() {
    // A box whose clock is a century ahead refuses others' certificates, and
    // not for the authority's sake.
    check(1, |authority, node| {
        let ahead: Arc<dyn Clock> = Arc::new(Moved {
            clock: MachineClock::new(),
            by_ms: 100 * 365 * 24 * 3600 * 1000,
        });
        let second = identify(authority, 2, 2);
        let said = Caller::new().call(Plane::Control, node, &second, ahead);
        assert!(said.contains("certificate expired"), "{said}");
    });
}

#[test]
fn another_authority_is_not_ours_whatever_it_says() {
    check(2, |authority, node| {
        // The same cluster id, the same node id: only the key differs.
        let other = Authority::found(CLUSTER).unwrap();
        let theirs = identify(&other, 2, 2);
        let said = Caller::new().call(Plane::Control, node, &theirs, machine_clock());
        // The caller's own check of our certificate fails first.
        assert!(said.contains("invalid peer certificate"), "{said}");
        let said = Caller::new().call_trusting(Plane::Control, node, authority.pin(), &theirs);
        assert!(
            said.contains("the cryptographic handshake failed"),
            "{said}"
        );
    });
}

#[test]
fn one_that_is_no_member_is_told_so() {
    check(2, |authority, node| {
        let seventh = identify(authority, 7, 7);
        for plane in [Plane::Control, Plane::Bulk] {
            let said = Caller::new().call(plane, node, &seventh, machine_clock());
            assert!(said.contains("node 7 is not a member"), "{said}");
        }
    });
}

#[test]
fn our_own_identity_from_elsewhere_is_refused() {
    check(1, |authority, node| {
        let double = identify(authority, 1, 1);
        let said = Caller::new().call(Plane::Control, node, &double, machine_clock());
        assert!(
            said.contains("two machines run with one identity"),
            "{said}"
        );
    });
}

#[test]
fn noise_at_the_ports_changes_nothing() {
    check(0, |_, node| {
        #[allow(clippy::disallowed_methods)] // a stranger brings its own
        let socket = std::net::UdpSocket::bind("127.0.0.2:0").unwrap();
        let mut chance = crate::entropy::Seeded::new(5);
        for _ in 0..500 {
            let length = 1 + chance.below(1400) as usize;
            let bytes: Vec<u8> = (0..length).map(|_| chance.next_u64() as u8).collect();
            for plane in [Plane::Control, Plane::Bulk] {
                socket
                    .send_to(&bytes, node.peers.listens_at(plane))
                    .unwrap();
            }
        }
    });
}
