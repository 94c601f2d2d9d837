//! A node whose newest snapshot has rotted, and whose log begins behind it.

use super::basic::create;
use super::node::release;
use super::quiet::{CLUSTER, Cluster, TICK};
use dolmen::disk::Disk;
use dolmen::disk::sim::SimDisk;
use dolmen::entropy::MachineEntropy;
use dolmen::ids::NodeId;
use dolmen::log::{FRAMES, OpenError, Opening};
use dolmen::replica::desk::{Ask, ConnectionId, Hello, Reply};
use dolmen::replica::{Replica, Settings, Start};
use std::sync::Arc;

/// Three nodes with something in their tree; the third, which was given its
/// snapshot when it joined, is down and cannot read it any more.
fn with_a_rotten_third() -> Cluster {
    let mut cluster = Cluster::of(4, 3);
    let (client, _) = cluster.connect(2);
    cluster.ask(2, client, create("/a", b"one")).unwrap();
    cluster.ticks(20);
    let third = cluster.nodes.get_mut(&NodeId(3)).unwrap();
    third.replica = None;
    let names = third.disk.names();
    let snapshots = names.iter().filter(|name| name.starts_with("snapshots/"));
    let newest = snapshots.max().expect("it was given one when it joined");
    let middle = third.disk.file_bytes(newest).len() as u64 / 2;
    third.disk.flip(newest, middle, 3);
    cluster
}

#[test]
fn it_is_given_a_state_and_takes_part_again() {
    let mut cluster = with_a_rotten_third();
    cluster.start(NodeId(3));
    assert!(cluster.replica(3).lacks_state());
    cluster.ticks(50);
    let standing = cluster.replica(3).standing();
    assert!(standing.lacks_state, "nobody is there to ask");
    let shown = cluster.replica(3).topics();
    assert!(shown.is_none(), "there are none to go by: {shown:?}");
    cluster.meet(3, 2);
    cluster.until("it has a state", |cluster| {
        !cluster.replica(3).lacks_state()
    });
    cluster.until("it follows", |cluster| {
        let applied = cluster.replica(1).applied();
        cluster.replica(3).applied() == applied && cluster.replica(3).leader().is_some()
    });
    let digest = cluster.replica(1).state().digest();
    assert_eq!(cluster.replica(3).state().digest(), digest);
    assert!(cluster.replica(3).topics().is_some());

    // What it was given is there at the next start.
    cluster.nodes.get_mut(&NodeId(3)).unwrap().replica = None;
    cluster.start(NodeId(3));
    assert!(!cluster.replica(3).lacks_state());
}

/// Its log has the last entries, but the node does not know what they rest on.
#[test]
fn it_neither_votes_nor_leads_nor_serves_before() {
    let mut cluster = with_a_rotten_third();
    cluster.start(NodeId(3));
    cluster.nodes.get_mut(&NodeId(1)).unwrap().replica = None;
    for _ in 0..200 {
        cluster.tick();
        for id in [2, 3] {
            assert!(!cluster.replica(id).is_leader(), "node {id} leads");
        }
    }
    let moment = cluster.moment();
    let hello = Hello {
        session: dolmen::ids::SessionId(0),
        password: [0; 16],
        timeout_ms: 10_000,
        last_zxid_seen: dolmen::ids::Zxid(0),
        takes_read_only: true,
    };
    let open = Ask::Open {
        connection: ConnectionId(99),
        hello,
        who: Vec::new(),
    };
    cluster.replica(3).ask(moment, open);
    cluster.tick();
    let replies = &cluster.nodes[&NodeId(3)].replies;
    let is_refused = |reply: &Reply| matches!(reply, Reply::NotOpened { .. });
    assert!(replies.iter().any(is_refused), "{replies:?}");

    // The second is no leader, and has all that it takes to help.
    cluster.meet(3, 2);
    cluster.until("one of the two leads", |cluster| {
        [2, 3].iter().any(|id| cluster.replica(*id).is_leader())
    });
}

#[test]
fn a_node_that_has_nobody_to_ask_is_refused_with_what_to_do() {
    let cluster = with_a_rotten_third();
    let error = open_alone(&cluster.nodes[&NodeId(3)].disk).err().unwrap();
    let says = error.to_string();
    for word in ["snapshots/", "dolmen node replace", "backup"] {
        assert!(says.contains(word), "{says}");
    }
}

fn open_alone(disk: &SimDisk) -> Result<Replica, OpenError> {
    let settings = Settings {
        node: NodeId(3),
        cluster: CLUSTER,
        release: release(1),
        tick: TICK,
        election_ticks: 10,
        seed: 1,
        heartbeat_ticks: 2,
        serves_read_only: true,
        room_low_bytes: 0,
    };
    let start = Start {
        settings,
        is_founder: false,
        has_others: false,
        opening: Opening {
            disk: Arc::new(disk.clone()),
            lane: disk.lane().unwrap(),
            entropy: &MachineEntropy,
            settings: dolmen::log::Settings {
                journal_file_bytes: 1 << 20,
                reserve_bytes: 0,
                ..dolmen::log::Settings::default()
            },
            formats: &[&FRAMES],
        },
        data: Arc::new(disk.clone()),
        entropy: Arc::new(MachineEntropy),
        now: Default::default(),
    };
    Replica::open(start).map(|(replica, _)| replica)
}
