//! What members say to each other, and how they find, lose and leave each
//! other.

use super::super::endpoint;
use super::*;
use tokio::sync::oneshot;

#[test]
fn frames_arrive_in_order_on_both_planes() {
    let (_, nodes) = cluster(3);
    for from in &nodes {
        for to in nodes.iter().filter(|to| to.id != from.id) {
            connected(from, to);
        }
    }
    for from in &nodes {
        for to in nodes.iter().filter(|to| to.id != from.id) {
            for n in 0..100 {
                for plane in [Plane::Control, Plane::Bulk] {
                    from.peers.send(to.id, plane, format!("frame {n}").into());
                }
            }
        }
    }
    for node in &nodes {
        let mut next = [[0; 2]; 4];
        while next.iter().flatten().sum::<u64>() < 400 {
            if let FromPeers::Frame { from, plane, bytes } = node.next() {
                let expected = &mut next[from.0 as usize][plane as usize];
                assert_eq!(bytes, format!("frame {expected}").into_bytes());
                *expected += 1;
            }
        }
    }
}

#[test]
fn a_large_frame_arrives_whole() {
    let (_, nodes) = cluster(2);
    connected(&nodes[0], &nodes[1]);
    let large: Vec<u8> = (0..3 << 20).map(|n: u32| (n % 251) as u8).collect();
    for plane in [Plane::Control, Plane::Bulk] {
        nodes[0].peers.send(NodeId(2), plane, large.clone());
        loop {
            if let FromPeers::Frame {
                plane: on, bytes, ..
            } = nodes[1].next()
            {
                assert_eq!(on, plane);
                assert!(bytes == large, "{} bytes came", bytes.len());
                break;
            }
        }
    }
}

#[test]
fn two_that_dial_at_once_settle_on_one_connection() {
    let authority = Authority::found(CLUSTER).unwrap();
    for _ in 0..5 {
        let start = |id| {
            let mut settings = settings(1);
            settings.head_start = Duration::ZERO;
            settings.dial_again_first = Duration::from_micros(100);
            Node::start(settings, identify(&authority, id, id))
        };
        let nodes = [start(1), start(2)];
        introduce(&nodes);
        // Said until heard: what crossed may have been lost with the loser.
        for (from, to) in [(0, 1), (1, 0)] {
            let frame = format!("control from {}: hi", from + 1);
            until("a frame comes through", || {
                let id = nodes[to].id;
                nodes[from].peers.send(id, Plane::Control, b"hi".to_vec());
                nodes[to].heard_so_far().contains(&frame)
            });
        }
        until("both hold the same", || {
            let dialed_by_us = |node: &Node| {
                let figures = node.peers.figures();
                figures[0].connection.map(|held| held.is_dialed_by_us)
            };
            let held = (dialed_by_us(&nodes[0]), dialed_by_us(&nodes[1]));
            matches!(held, (Some(one), Some(other)) if one != other)
        });
    }
}

#[test]
fn down_comes_before_the_next_up_and_a_restart_is_told() {
    let (authority, mut nodes) = cluster(2);
    nodes[0].wait_for("up 2.1");
    // It says goodbye, so that nobody waits for the idle time.
    nodes[1].stop();
    nodes[0].wait_for("down 2");
    let again = Node::start(settings(2), identify(&authority, 2, 2));
    nodes[1] = again;
    introduce(&nodes);
    nodes[0].wait_for("up 2.2");
    nodes[1].wait_for("up 1.1");
}

/// One life of a process at a port. Killed, it says nothing to anybody.
fn live(
    port: u16,
    identity: Identity,
    killed: oneshot::Receiver<()>,
) -> std::thread::JoinHandle<()> {
    let work = move || {
        let runtime = runtime();
        let own = Settings {
            control: EndpointSettings {
                listen: (Ipv4Addr::LOCALHOST, port).into(),
                ..settings(1).control
            },
            ..settings(1)
        };
        let (socket, _) = endpoint::bind(Plane::Control, &own.control).unwrap();
        let mut held = Vec::new();
        let endpoint = runtime.block_on(async {
            let endpoint = endpoint::make(Plane::Control, socket, &identity, &own).unwrap();
            let serve = async {
                while let Some(incoming) = endpoint.accept().await {
                    let connection = incoming.accept().unwrap().await.unwrap();
                    let mut send = connection.open_uni().await.unwrap();
                    send.write_all(b"alive").await.unwrap();
                    held.push((connection, send));
                }
            };
            tokio::select! {
                () = serve => panic!("the endpoint ended"),
                _ = killed => {}
            }
            endpoint
        });
        // What would say goodbye goes first.
        drop(runtime);
        drop((held, endpoint));
    };
    std::thread::Builder::new().spawn(work).unwrap()
}

#[test]
fn a_killed_process_resets_in_its_next_life_what_it_held() {
    let authority = Authority::found(CLUSTER).unwrap();
    let identity = identify(&authority, 1, 1);
    // A port that is free now.
    let probe = Node::start(settings(1), identity.clone());
    let to = probe.peers.listens_at(Plane::Control);
    drop(probe);
    let (kill, killed) = oneshot::channel();
    let first = live(to.port(), identity.clone(), killed);
    let peer = identify(&authority, 2, 2);
    let runtime = runtime();
    let connection = runtime.block_on(async {
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let caller = quinn::Endpoint::client(any_port).unwrap();
        let config = endpoint::client_config(Plane::Control, &peer, &settings(1)).unwrap();
        let name = tls::server_name(&peer, NodeId(1));
        loop {
            // Refused until the first life has its socket.
            let connecting = caller.connect_with(config.clone(), to, &name).unwrap();
            if let Ok(connection) = connecting.await {
                // Only a handshake that both have finished can be reset.
                let mut receive = connection.accept_uni().await.unwrap();
                receive.read_exact(&mut [0; 5]).await.unwrap();
                break connection;
            }
        }
    });
    kill.send(()).unwrap();
    first.join().unwrap();
    let (kill, killed) = oneshot::channel();
    let second = live(to.port(), identity, killed);
    let ended = runtime.block_on(async {
        let ended = tokio::time::timeout(PATIENCE, connection.closed());
        ended.await.expect("it ends in time")
    });
    assert_eq!(ended, quinn::ConnectionError::Reset);
    kill.send(()).unwrap();
    second.join().unwrap();
}

#[test]
fn a_peer_that_is_away_costs_a_frame_and_is_counted() {
    let (_, mut nodes) = cluster(2);
    connected(&nodes[0], &nodes[1]);
    nodes[1].stop();
    nodes[0].wait_for("down 2");
    nodes[0]
        .peers
        .send(NodeId(2), Plane::Control, b"lost".to_vec());
    nodes[0]
        .peers
        .send(NodeId(9), Plane::Control, b"nobody".to_vec());
    let figures = nodes[0].peers.figures();
    assert_eq!(figures[0].node, NodeId(2));
    assert_eq!(
        (figures[0].dropped_frames, figures[0].connection),
        (1, None)
    );
}

#[test]
fn a_removed_member_is_cut_at_once_and_stays_out() {
    let (_, nodes) = cluster(3);
    connected(&nodes[0], &nodes[2]);
    connected(&nodes[1], &nodes[2]);
    let remaining = vec![nodes[0].address(), nodes[1].address()];
    nodes[0].peers.set_members(remaining.clone());
    nodes[1].peers.set_members(remaining);
    nodes[0].wait_for("down 3");
    nodes[1].wait_for("down 3");
    nodes[2].wait_for("down 1");
    // It dials on: its journal says why, ours too, and nothing is heard.
    until("it has dialed again", || {
        nodes[2]
            .peers
            .figures()
            .iter()
            .all(|figures| figures.connection.is_none())
    });
    connected(&nodes[0], &nodes[1]);
    nodes[0]
        .peers
        .send(NodeId(2), Plane::Control, b"between us".to_vec());
    nodes[1].wait_for("control from 1: between us");
    let heard = nodes[0].heard_so_far();
    assert!(!heard.iter().any(|said| said.contains("up 3")), "{heard:?}");
}

#[test]
fn an_older_certificate_is_refused_and_a_renewed_one_is_not() {
    let (authority, nodes) = cluster(2);
    connected(&nodes[0], &nodes[1]);
    // The list asks for serial 5 of node 2, which shows 2: cut.
    let own = nodes[0].address();
    nodes[0]
        .peers
        .set_members(vec![own, nodes[1].address_with(5)]);
    nodes[0].wait_for("down 2");
    nodes[1].wait_for("down 1");
    nodes[1]
        .peers
        .set_identity(identify(&authority, 2, 5))
        .unwrap();
    nodes[0].wait_for("up 2.1");
    connected(&nodes[0], &nodes[1]);
    let held = nodes[0].peers.figures()[0].connection.unwrap();
    assert_eq!(held.serial, 5);
}

#[test]
fn a_renewal_leaves_connections_standing() {
    let (authority, nodes) = cluster(2);
    connected(&nodes[0], &nodes[1]);
    nodes[0].wait_for("up 2.1");
    nodes[1]
        .peers
        .set_identity(identify(&authority, 2, 9))
        .unwrap();
    nodes[1]
        .peers
        .send(NodeId(1), Plane::Control, b"still here".to_vec());
    assert_eq!(show(&nodes[0].next()), "control from 2: still here");
    assert_eq!(nodes[0].peers.figures()[0].connection.unwrap().serial, 2);
}

#[test]
fn a_node_of_another_cluster_now_drops_its_connections() {
    let (_, nodes) = cluster(2);
    connected(&nodes[0], &nodes[1]);
    let other = Authority::found(Uid([0xee; 16])).unwrap();
    nodes[1].peers.set_identity(identify(&other, 2, 2)).unwrap();
    nodes[1].wait_for("down 1");
    nodes[0].wait_for("down 2");
}

#[test]
fn figures_say_how_a_connection_stands() {
    let (_, nodes) = cluster(2);
    connected(&nodes[0], &nodes[1]);
    nodes[0]
        .peers
        .send(NodeId(2), Plane::Control, vec![b'x'; 10_000]);
    until("it is sent", || {
        let held = nodes[0].peers.figures()[0].connection;
        held.is_some_and(|held| held.sent_bytes > 10_000 && held.queued_bytes == 0)
    });
    let all = nodes[0].peers.figures();
    let planes: Vec<Plane> = all.iter().map(|figures| figures.plane).collect();
    assert_eq!(planes, [Plane::Control, Plane::Bulk]);
    for figures in all {
        let held = figures.connection.unwrap();
        assert_eq!(
            (held.incarnation, held.is_dialed_by_us, held.serial),
            (1, true, 2)
        );
        assert!(held.path_mtu >= 1200 && held.round_trip > Duration::ZERO);
        assert!(figures.socket.receive_buffer_bytes > 0 && figures.socket.gso_segments >= 1);
    }
}

#[test]
fn a_bulk_stream_carries_a_question_and_its_answer() {
    let (_, nodes) = cluster(2);
    connected(&nodes[0], &nodes[1]);
    runtime().block_on(async {
        let mut asking = nodes[0].peers.open_stream(NodeId(2)).await.unwrap();
        asking.write_all(b"which block?").await.unwrap();
        asking.finish();
        let mut answering = loop {
            if let FromPeers::Stream { from, stream } = nodes[1].next() {
                assert_eq!(from, NodeId(1));
                break stream;
            }
        };
        let mut heard = Vec::new();
        let mut buffer = [0; 5];
        loop {
            match answering.read(&mut buffer).await.unwrap() {
                0 => break,
                count => heard.extend_from_slice(&buffer[..count]),
            }
        }
        assert_eq!(heard, b"which block?");
        answering.write_all(b"that").await.unwrap();
        // Half an answer is no answer.
        drop(answering);
        let mut read = asking.read(&mut buffer).await;
        while matches!(read, Ok(count) if count > 0) {
            read = asking.read(&mut buffer).await;
        }
        assert!(read.is_err());
        let nobody = nodes[0].peers.open_stream(NodeId(7)).await;
        assert_eq!(nobody.err(), Some(NotUp(NodeId(7))));
    });
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let authority = Authority::found(CLUSTER).unwrap();
    let check = |change: fn(&mut Settings), says: &str| {
        let mut settings = settings(1);
        change(&mut settings);
        let started = Peers::start(settings, identify(&authority, 1, 1), Box::new(|_| ()));
        let why = started.err().expect("it is refused").to_string();
        assert!(why.contains(says), "{why}");
    };
    check(
        |s| s.bulk.mtu_max = 9000,
        "mtu_max is 9000, and with segmentation offload 6550",
    );
    check(
        |s| s.control.idle = s.control.keep_alive,
        "longer than its keep-alive",
    );
    check(
        |s| s.control.listen = "203.0.113.1:7300".parse().unwrap(),
        "control port cannot be opened at udp 203.0.113.1:7300",
    );
}
