//! Callers who are not of the cluster: refused with the reason in the journal,
//! bounded in what they can make a node hold, and without a trace in its state.

use super::certificates::{age_of, authority_of};
use super::tls::Site;
use super::*;
use dolmen::clock::{Clock, MachineClock, Millis};
use dolmen::entropy::MachineEntropy;
use dolmen::ids::{NodeId, Uid};
use dolmen::peers::{Authority, Identity, Store};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use std::sync::Arc;

/// Believes whoever answers, so that the member's own check is met.
#[derive(Debug)]
struct Gullible;

impl ServerCertVerifier for Gullible {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

/// Calls a node as a member would, with the identity that is shown, and waits
/// until it is hung up on.
fn call(plane: &str, to: &str, shown: Option<&Identity>) {
    let config = rustls::ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Gullible));
    let mut config = match shown.map(pem) {
        None => config.with_no_client_auth(),
        Some(pem) => {
            let mut chain = CertificateDer::pem_slice_iter(pem.as_bytes());
            let certificate = chain.next().unwrap().unwrap();
            let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap();
            config
                .with_client_auth_cert(vec![certificate], key)
                .unwrap()
        }
    };
    config.alpn_protocols = vec![format!("dolmen-{plane}/1").into_bytes()];
    let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(config).unwrap();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(async {
        let endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        let config = quinn::ClientConfig::new(Arc::new(crypto));
        let to = to.parse().unwrap();
        let connecting = endpoint.connect_with(config, to, "node.example").unwrap();
        let ended = async {
            if let Ok(connection) = connecting.await {
                connection.closed().await;
            }
        };
        let ended = tokio::time::timeout(PATIENCE, ended).await;
        ended.expect("the node hangs up");
    });
}

/// Certificate and key, as a node keeps them.
fn pem(identity: &Identity) -> String {
    let folder = Folder::new();
    let store = Store::open(&folder.path("tls")).unwrap();
    store.keep_identity(identity).unwrap();
    fs::read_to_string(folder.path("tls/node.pem")).unwrap()
}

/// All of a node's state that a stranger could want to touch.
fn state(machine: &Machine) -> String {
    let zxid = machine.status()["coordination"]["zxid"].to_string();
    format!("{zxid} {:?}", machine.members())
}

#[test]
fn whoever_is_no_member_is_refused_and_told_and_touches_nothing() {
    let first = Machine::start();
    first.type_in(&["init"]).answer();
    let worker = Machine::start();
    worker.join(&first, &["--role", "worker"]);
    let removed = worker.identity();
    first.type_in(&["node", "remove", "2"]).answer();
    worker.node().until_it_says("was removed from its cluster");
    drop(worker);
    // Its line under /dolmen/nodes and its life as a broker outlive it by a
    // session's timeout.
    until("the worker's own session ends", || {
        (first.status()["coordination"]["ephemerals"] == 2).then_some(())
    });

    let authority = authority_of(&first);
    let own = first.identity();
    let now = MachineClock::new().now();
    let issue = |by: &Authority, node, then| {
        by.identify(NodeId(node), 90, then, &MachineEntropy)
            .unwrap()
    };
    let others = Authority::found(Uid([7; 16])).unwrap();
    let same_name = Authority::found(own.cluster).unwrap();
    let ended = issue(&authority, 2, Millis(now.0 - age_of(91)));
    let before = state(&first);
    for (who, shown, says) in [
        ("nobody", None, "it shows no certificate"),
        ("ended", Some(ended), "certificate expired"),
        (
            "of another cluster",
            Some(issue(&others, 1, now)),
            "handshake failed",
        ),
        (
            "of another key",
            Some(issue(&same_name, 1, now)),
            "handshake failed",
        ),
        ("removed", Some(removed), "node 2 is not a member"),
        (
            "never a member",
            Some(issue(&authority, 9, now)),
            "node 9 is not a member",
        ),
        ("a double", Some(own), "two machines run with one identity"),
    ] {
        for (plane, setting) in [("ctl", "control"), ("data", "bulk")] {
            let heard = first.node().words().len();
            call(plane, &first.place(setting), shown.as_ref());
            until(&format!("the journal tells of {who} on {plane}"), || {
                let words = first.node().words();
                words[heard..].contains(says).then_some(())
            });
            assert_eq!(state(&first), before, "{who}");
        }
    }
}

#[test]
fn a_token_that_has_ended_or_is_another_cluster_s_admits_nobody() {
    let (first, other) = (Machine::start(), Machine::start());
    first.type_in(&["init"]).answer();
    other.type_in(&["init"]).answer();
    let (good, foreign) = (first.token(&[]), other.token(&[]));
    // Without an hour to live it has ended when it is there.
    let ask_for = json!({ "ask": "token_create", "role": "voter", "hours": 0 });
    let ended = ask(&first.folder.path("admin.sock"), &ask_for).unwrap();
    let ended = ended["token"].as_str().unwrap().to_string();
    // What a thief would try: the other cluster's secret, shown to this one.
    let part = |token: &str, part: usize| token.split(['.', '@']).nth(part).unwrap().to_string();
    let place = good.split_once('@').unwrap().1;
    let stolen = format!(
        "{}.{}.{}.{}@{place}",
        part(&good, 0),
        part(&good, 1),
        part(&foreign, 2),
        part(&foreign, 3)
    );
    let box_ = Machine::start();
    let before = first.members();
    for (token, says) in [
        (ended, "the token has ended"),
        (stolen, "there is no such token"),
    ] {
        let heard = first.node().words().len();
        box_.type_in(&["join", &token, "--discard"])
            .refused_with(says);
        until(&format!("the journal says {says}"), || {
            let words = first.node().words();
            let told = format!("does not join: {says}");
            words[heard..].contains(&told).then_some(())
        });
        assert_eq!(first.members().len(), 1);
        assert!(!box_.folder.path("data/membership").exists());
    }
    // A refusal is agreed on like all else, and takes a number of its own.
    assert_eq!(first.members(), before);
}

/// Callers of the ZooKeeper door in one test, from one address.
const CALLERS: usize = 200;

/// What one caller's first words make the daemon hold, in KiB, while more is
/// to come.
fn held_kib(first_words: &[u8]) -> u64 {
    let folder = Folder::new();
    let site = Site::new();
    let node = Node::start_with(&folder, &site.settings(&folder, false));
    let status = node.ask("status").unwrap();
    let door = status["doors"]["zookeeper"].as_str().unwrap();
    let before = anonymous_kib(&node);
    let callers: Vec<TcpStream> = (0..CALLERS)
        .map(|_| {
            let mut caller = TcpStream::connect(door).unwrap();
            caller.write_all(first_words).unwrap();
            caller
        })
        .collect();
    let all = (CALLERS * first_words.len()) as u64;
    until("the door has read all of it", || {
        let page = get(node.operator(), "/metrics").body;
        let line = page
            .lines()
            .find(|line| line.starts_with("zk_bytes_received"));
        let count = line.and_then(|line| line.split(' ').nth(1)?.parse::<u64>().ok());
        (count? >= all).then_some(())
    });
    let held = anonymous_kib(&node).saturating_sub(before);
    drop(callers);
    node.stop();
    held / CALLERS as u64
}

fn anonymous_kib(node: &Node) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", node.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    let word = line.and_then(|line| line.split_whitespace().nth(1));
    word.and_then(|word| word.parse().ok()).unwrap()
}

#[test]
fn before_a_session_a_caller_makes_the_door_hold_64_kib_at_most() {
    // A greeting of the greatest length, but for its last byte.
    let bytes = (48 << 10) - 4;
    let mut plain = (bytes as i32).to_be_bytes().to_vec();
    plain.resize(4 + bytes - 1, 7);
    // As much of a TLS handshake as is heard, in records of 12 KiB, of a hello
    // that says it is longer.
    let mut hello = vec![1, 0, 0xf0, 0];
    hello.resize(48 << 10, 7);
    let records = hello.chunks(12 << 10);
    let records = records.flat_map(|piece| [&[0x16, 3, 1, 0x30, 0], piece].concat());
    let by_tls: Vec<u8> = records.take(48 << 10).collect();
    for (first_words, how) in [(plain, "plain"), (by_tls, "by TLS")] {
        let held = held_kib(&first_words);
        println!("{how}: {held} KiB for {} bytes", first_words.len());
        assert!(held <= 64, "{how}: {held} KiB");
    }
}

#[test]
fn who_is_turned_away_at_the_door_is_told_in_the_journal() {
    let machine = Machine::start();
    let door = machine.door("zookeeper");
    let callers: Vec<TcpStream> = (0..260)
        .map(|_| TcpStream::connect(&door).unwrap())
        .collect();
    machine.node().until_it_says(
        "127.0.0.1 is turned away: it has 256 connections, as many as \
         /dolmen/config/zookeeper.connections_per_ip_max allows",
    );
    drop(callers);
}
