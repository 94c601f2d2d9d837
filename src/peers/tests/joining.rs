//! A box becomes a member, or is told why not.

use super::super::codec::JoinWords;
use super::super::endpoint;
use super::*;
use crate::limits::{JOIN_BYTES_MAX, STRANGER_WINDOW_BYTES, STRANGERS_AT_ONCE};
use quinn::Endpoint;
use std::thread;

fn token(authority: &Authority, node: &Node) -> Token {
    let place = node.peers.listens_at(Plane::Control);
    Token {
        authority: authority.pin(),
        id: *b"tokenid1",
        secret: *b"sixteen secrets!",
        host: place.ip().to_string(),
        port: place.port(),
    }
}

fn applicant() -> Applicant {
    Applicant {
        control: "127.0.0.1:7300".into(),
        bulk: "127.0.0.1:7301".into(),
        features: 1,
        within: PATIENCE,
        clock: Arc::new(MachineClock::new()),
        entropy: Arc::new(MachineEntropy),
    }
}

/// Joins on a thread of its own, while the member's side is played here.
fn joining(token: Token) -> thread::JoinHandle<Result<Joined, JoinError>> {
    let work = move || runtime().block_on(join(&token, &applicant()));
    thread::Builder::new().spawn(work).unwrap()
}

/// The next request that a member hears.
fn asked(node: &Node) -> (JoinRequest, JoinAnswer) {
    loop {
        if let FromPeers::Join { request, answer } = node.next() {
            return (request, answer);
        }
    }
}

/// One founding node.
fn founder() -> (Authority, Node) {
    let (authority, mut nodes) = cluster(1);
    (authority, nodes.remove(0))
}

#[test]
fn a_box_joins_and_speaks_as_a_member() {
    let (authority, founder) = founder();
    let token = token(&authority, &founder);
    let joiner = joining(token.clone());
    let (request, answer) = asked(&founder);
    assert_eq!(request.token, token.id);
    assert_eq!(request.secret_hash, token.secret_hash());
    assert_eq!(
        (&*request.control, &*request.bulk),
        ("127.0.0.1:7300", "127.0.0.1:7301")
    );
    let certificate = authority.issue(NodeId(2), &request.public_key, 40, now());
    answer.admit(Admission {
        certificate: certificate.unwrap(),
        authority: authority.certificate().to_vec(),
        members: vec![founder.address()],
        authority_key: Some(authority.export()),
    });
    let joined = joiner.join().unwrap().unwrap();
    assert_eq!(
        (joined.identity.node, joined.identity.cluster),
        (NodeId(2), CLUSTER)
    );
    assert_eq!(
        (joined.identity.serial, joined.identity.pin()),
        (40, authority.pin())
    );
    assert_eq!(joined.members, [founder.address()]);
    assert_eq!(joined.authority.unwrap().export(), authority.export());

    let second = Node::start(settings(1), joined.identity);
    founder
        .peers
        .set_members(vec![founder.address(), second.address_with(40)]);
    second.peers.set_members(joined.members);
    connected(&founder, &second);
    founder
        .peers
        .send(NodeId(2), Plane::Control, b"welcome".to_vec());
    second.wait_for("control from 1: welcome");
}

#[test]
fn a_refusal_from_above_reaches_the_joiner_as_a_sentence() {
    let (authority, founder) = founder();
    for sentence in ["the token is used up", "the token ended yesterday"] {
        let joiner = joining(token(&authority, &founder));
        asked(&founder).1.refuse(sentence);
        let why = joiner.join().unwrap().unwrap_err();
        assert_eq!(why, JoinError::Refused(sentence.into()));
        assert_eq!(why.to_string(), format!("the cluster refuses: {sentence}"));
    }
}

#[test]
fn an_answer_that_is_dropped_says_to_try_again() {
    let (authority, founder) = founder();
    let joiner = joining(token(&authority, &founder));
    drop(asked(&founder));
    let why = joiner.join().unwrap().unwrap_err().to_string();
    assert!(why.contains("try again"), "{why}");
}

#[test]
fn a_member_that_cannot_answer_sends_on_to_another() {
    let (authority, nodes) = cluster(2);
    let joiner = joining(token(&authority, &nodes[0]));
    let place = nodes[1].peers.listens_at(Plane::Control).to_string();
    asked(&nodes[0]).1.elsewhere(&place);
    let (_, answer) = asked(&nodes[1]);
    answer.refuse("found me");
    let why = joiner.join().unwrap().unwrap_err();
    assert_eq!(why, JoinError::Refused("found me".into()));
}

#[test]
fn members_that_point_at_each_other_are_left() {
    let (authority, founder) = founder();
    let joiner = joining(token(&authority, &founder));
    let place = founder.peers.listens_at(Plane::Control).to_string();
    for _ in 0..4 {
        asked(&founder).1.elsewhere(&place);
    }
    assert_eq!(
        joiner.join().unwrap().unwrap_err(),
        JoinError::TooManyHops(place)
    );
}

#[test]
fn a_joiner_shows_nothing_to_another_cluster() {
    let (authority, founder) = founder();
    let mut token = token(&authority, &founder);
    token.authority[0] ^= 1;
    let why = joining(token).join().unwrap().unwrap_err().to_string();
    assert!(
        why.contains("not the cluster that the token names"),
        "{why}"
    );
    assert!(founder.heard_so_far().is_empty());
}

#[test]
fn an_answer_for_another_key_is_not_taken() {
    let (authority, founder) = founder();
    let other = Authority::found(CLUSTER).unwrap();
    let check = |make: &dyn Fn(&JoinRequest) -> Admission, says: &str| {
        let joiner = joining(token(&authority, &founder));
        let (request, answer) = asked(&founder);
        answer.admit(make(&request));
        let why = joiner.join().unwrap().unwrap_err().to_string();
        assert!(why.contains(says), "{why}");
    };
    let admission = |by: &Authority, key: &[u8]| Admission {
        certificate: by.issue(NodeId(2), key, 2, now()).unwrap(),
        authority: authority.certificate().to_vec(),
        members: Vec::new(),
        authority_key: None,
    };
    let strange = NodeKey::draw().unwrap().public_key();
    check(&|_| admission(&authority, &strange), "for another key");
    check(
        &|request| admission(&other, &request.public_key),
        "not the authority's",
    );
    let foreign = |request: &JoinRequest| Admission {
        authority: other.certificate().to_vec(),
        ..admission(&other, &request.public_key)
    };
    check(&foreign, "not the one that the token names");
    let key = |request: &JoinRequest| Admission {
        authority_key: Some(other.export()),
        ..admission(&authority, &request.public_key)
    };
    check(&key, "another authority's");
}

/// A connection of the join protocol, to say on it what no joiner would.
async fn call(pin: [u8; 32], to: SocketAddr, from: &str) -> (Endpoint, quinn::Connection) {
    #[allow(clippy::disallowed_methods)] // a stranger brings its own
    let socket = std::net::UdpSocket::bind(from).unwrap();
    let config = endpoint::reset_config(&[1; 32], Arc::new(MachineEntropy));
    let endpoint = Endpoint::new(config, None, socket, Arc::new(quinn::TokioRuntime)).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(MachineClock::new());
    let tls = tls::joiner(pin, &clock).unwrap();
    let config = quinn::ClientConfig::new(tls);
    let connecting = endpoint.connect_with(config, to, "join.example").unwrap();
    let connection = connecting.await.unwrap();
    (endpoint, connection)
}

/// Sends bytes in place of a request and gives what is answered.
fn answered(authority: &Authority, node: &Node, bytes: &[u8]) -> JoinReply {
    let to = node.peers.listens_at(Plane::Control);
    runtime().block_on(async {
        let (_endpoint, connection) = call(authority.pin(), to, "127.0.0.2:0").await;
        let (mut send, mut receive) = connection.open_bi().await.unwrap();
        let writing = async {
            // A request that is too long is not read to its end.
            let _ = send.write_all(bytes).await;
            let _ = send.finish();
        };
        let reading = receive.read_to_end(JOIN_BYTES_MAX);
        let both = async { tokio::join!(writing, reading).1 };
        let read = tokio::time::timeout(PATIENCE, both)
            .await
            .expect("an answer in time");
        JoinReply::decode(&read.expect("an answer")).unwrap()
    })
}

#[test]
fn a_request_that_is_not_one_is_refused_below() {
    let (authority, founder) = founder();
    let check = |bytes: &[u8], says: &str| {
        let JoinReply::Refused(why) = answered(&authority, &founder, bytes) else {
            panic!("it is admitted");
        };
        assert!(why.contains(says), "{why}");
    };
    check(&vec![0; JOIN_BYTES_MAX + 1], "longer than 65536 bytes");
    check(b"", "cannot be understood");
    check(&[9; 100], "version 2313");
    let words = JoinWords {
        token: *b"tokenid1",
        secret: *b"sixteen secrets!",
        public_key: NodeKey::draw().unwrap().public_key(),
        // Of another connection: proves nothing on this one.
        possession: NodeKey::draw().unwrap().sign(b"replayed").unwrap(),
        control: "127.0.0.1:7300".into(),
        bulk: "127.0.0.1:7301".into(),
        features: 1,
    };
    check(&words.encode(), "does not prove");
    assert!(founder.heard_so_far().is_empty());
}

/// What a stranger may open and send before it is known: one stream, and one
/// request on it.
#[test]
fn a_stranger_has_one_stream_and_64_kib() {
    let (authority, founder) = founder();
    let to = founder.peers.listens_at(Plane::Control);
    runtime().block_on(async {
        let (_endpoint, connection) = call(authority.pin(), to, "127.0.0.2:0").await;
        let (mut send, _receive) = connection.open_bi().await.unwrap();
        let is_pending = |opening: std::task::Poll<bool>| opening.is_pending();
        let second = at_once(async { connection.open_bi().await.is_ok() }).await;
        assert!(is_pending(second), "a second stream");
        let one_way = at_once(async { connection.open_uni().await.is_ok() }).await;
        assert!(is_pending(one_way), "a stream of its own");
        // Without a word from the member between, so that nothing is granted.
        let flood = vec![0; 1 << 20];
        let taken = at_once(send.write(&flood)).await;
        let std::task::Poll::Ready(Ok(taken)) = taken else {
            panic!("{taken:?}");
        };
        assert!(taken <= STRANGER_WINDOW_BYTES as usize, "{taken} bytes");
    });
    assert!(founder.heard_so_far().is_empty());
}

/// What comes of a future without waiting for anything.
async fn at_once<T>(future: impl Future<Output = T>) -> std::task::Poll<T> {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context))).await
}

/// A member answers the first packet of an address that it does not know with
/// a Retry, which is shorter than what it came for: who forges an address has
/// nothing of it.
#[test]
fn an_address_is_proven_before_anything_is_kept() {
    let (authority, founder) = founder();
    let to = founder.peers.listens_at(Plane::Control);
    #[allow(clippy::disallowed_methods)] // a stranger brings its own
    let bind = || std::net::UdpSocket::bind("127.0.0.2:0").unwrap();
    let between = bind();
    let place = between.local_addr().unwrap();
    runtime().block_on(async {
        let config = endpoint::reset_config(&[1; 32], Arc::new(MachineEntropy));
        let runtime = Arc::new(quinn::TokioRuntime);
        let endpoint = Endpoint::new(config, None, bind(), runtime).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(MachineClock::new());
        let config = quinn::ClientConfig::new(tls::joiner(authority.pin(), &clock).unwrap());
        let connecting = endpoint
            .connect_with(config, place, "join.example")
            .unwrap();
        // The first packet leaves, and is carried over by hand.
        let carried = tokio::task::spawn_blocking(move || {
            let mut packet = [0; 2048];
            between.set_read_timeout(Some(PATIENCE)).unwrap();
            let asked = between.recv(&mut packet).expect("the caller speaks");
            between.send_to(&packet[..asked], to).unwrap();
            let answered = between.recv(&mut packet);
            (asked, packet[0], answered.expect("the member answers"))
        });
        let (asked, first_byte, answered) = tokio::select! {
            carried = carried => carried.unwrap(),
            _ = connecting => panic!("it is connected without an answer"),
        };
        // A long header of type 3 (RFC 9000, section 17.2.5).
        assert_eq!(first_byte & 0xf0, 0xf0, "{first_byte:#x}");
        assert!(answered < asked, "{answered} bytes for {asked}");
    });
    assert_eq!(founder.peers.refused(), 0);
}

#[test]
fn a_joiner_that_says_nothing_is_closed_in_time() {
    let authority = Authority::found(CLUSTER).unwrap();
    let mut settings = settings(1);
    settings.join_within = Duration::from_millis(200);
    let founder = Node::start(settings, identify(&authority, 1, 1));
    let to = founder.peers.listens_at(Plane::Control);
    let closed = runtime().block_on(async {
        let (_endpoint, connection) = call(authority.pin(), to, "127.0.0.2:0").await;
        let (mut send, _receive) = connection.open_bi().await.unwrap();
        // It begins, and never ends.
        send.write_all(b"half").await.unwrap();
        let closed = tokio::time::timeout(PATIENCE, connection.closed());
        closed.await.expect("it is closed").to_string()
    });
    assert!(
        closed.contains("it said nothing, or not all, within 200ms"),
        "{closed}"
    );
    assert!(founder.heard_so_far().is_empty());
}

#[test]
fn a_cluster_that_does_not_decide_is_said_so() {
    let authority = Authority::found(CLUSTER).unwrap();
    let mut settings = settings(1);
    settings.join_within = Duration::from_millis(500);
    let founder = Node::start(settings, identify(&authority, 1, 1));
    let joiner = joining(token(&authority, &founder));
    let kept = asked(&founder);
    let why = joiner.join().unwrap().unwrap_err().to_string();
    assert!(why.contains("did not decide in time"), "{why}");
    // Too late, and harmless.
    kept.1.refuse("too late");
}

/// 500 boxes that begin to join and say no more; a member goes on, a new one
/// still comes in, and no more than the bound are held.
#[test]
fn many_half_open_joins_leave_members_alone() {
    let (authority, nodes) = cluster(2);
    connected(&nodes[0], &nodes[1]);
    let to = nodes[0].peers.listens_at(Plane::Control);
    let pin = authority.pin();
    let runtime = runtime();
    let open = runtime.block_on(async {
        let (endpoint, first) = call(pin, to, "127.0.0.2:0").await;
        let clock: Arc<dyn Clock> = Arc::new(MachineClock::new());
        let tls = tls::joiner(pin, &clock).unwrap();
        let config = quinn::ClientConfig::new(tls);
        let mut open = vec![first];
        for _ in 1..500 {
            let connecting = endpoint.connect_with(config.clone(), to, "join.example");
            if let Ok(connection) = connecting.unwrap().await {
                open.push(connection);
            }
        }
        assert_eq!(open.len(), STRANGERS_AT_ONCE);
        (endpoint, open)
    });
    nodes[1]
        .peers
        .send(NodeId(1), Plane::Control, b"as ever".to_vec());
    nodes[0].wait_for("control from 2: as ever");
    let third = Node::start(settings(1), identify(&authority, 3, 3));
    let all: Vec<PeerAddress> = nodes.iter().chain([&third]).map(Node::address).collect();
    nodes[0].peers.set_members(all.clone());
    third.peers.set_members(all);
    nodes[0].wait_for("up 3.1");
    drop(open);
}
