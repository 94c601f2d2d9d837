//! What a cluster does when nothing goes wrong, and after a plain restart.

use super::quiet::Cluster;
use dolmen::ids::{Index, NodeId};
use dolmen::limits::DIGEST_EVERY;
use dolmen::replica::codec::Frame;
use dolmen::replica::desk::{Answer, Answered, Ask, Read, Request};
use dolmen::state::{AclEntry, Command, Create, Identity, NodeKind, Permissions, Write};

pub fn create(path: &str, data: &[u8]) -> Request {
    let open = AclEntry {
        permissions: Permissions::ALL,
        who: Identity::new("world", "anyone"),
    };
    Request::Submit(Command::Write(Write::Create(Create {
        path: path.into(),
        data: data.into(),
        acl: vec![open],
        kind: NodeKind::Persistent,
        is_sequential: false,
    })))
}

pub fn get(path: &str) -> Request {
    Request::Read(Read::Data {
        path: path.into(),
        watch: false,
    })
}

fn data_of(answer: Answer) -> Vec<u8> {
    match answer {
        Answer::Read(Answered::Data { data, .. }) => data.to_vec(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_node_by_itself_keeps_what_it_was_told() {
    let mut cluster = Cluster::new(1);
    cluster.add(1);
    cluster.until("it leads", |cluster| cluster.replica(1).is_leader());
    let (client, _) = cluster.connect(1);
    cluster.ask(1, client, create("/a", b"one")).unwrap();
    let answer = cluster.ask(1, client, get("/a")).unwrap();
    assert_eq!(data_of(answer), b"one");
    cluster.nodes.get_mut(&NodeId(1)).unwrap().replica = None;
    cluster.start(NodeId(1));
    let (client, _) = cluster.connect(1);
    let answer = cluster.ask(1, client, get("/a")).unwrap();
    assert_eq!(data_of(answer), b"one");
}

#[test]
fn a_node_that_sums_to_another_state_is_told_of() {
    let mut cluster = Cluster::new(1);
    cluster.add(1);
    cluster.until("it leads", |cluster| cluster.replica(1).is_leader());
    let (client, _) = cluster.connect(1);
    let index = Index(DIGEST_EVERY);
    let mut count = 0;
    while cluster.replica(1).applied() < index {
        count += 1;
        let path = format!("/{count}");
        cluster.ask(1, client, create(&path, b"")).unwrap();
    }
    assert_eq!(cluster.replica(1).applied(), index);
    let digest = cluster.replica(1).state().digest();
    let mut differs = |digest| {
        let told = Frame::Digest { index, digest }.encode();
        let moment = cluster.moment();
        cluster.replica(1).heard(moment, NodeId(2), &told);
        cluster.replica(1).standing().differs
    };
    assert_eq!(differs(digest), None);
    assert_eq!(differs(digest ^ 1), Some(NodeId(2)));
}

#[test]
fn three_nodes_hold_the_same() {
    let mut cluster = Cluster::of(2, 3);
    let (writer, _) = cluster.connect(2);
    let (reader, _) = cluster.connect(3);
    cluster.ask(2, writer, create("/a", b"one")).unwrap();
    cluster.ask(3, reader, Request::Sync).unwrap();
    let answer = cluster.ask(3, reader, get("/a")).unwrap();
    assert_eq!(data_of(answer), b"one");
    cluster.ticks(4);
    let digests: Vec<u64> = (1..=3)
        .map(|id| cluster.replica(id).state().digest())
        .collect();
    assert_eq!(digests[0], digests[1]);
    assert_eq!(digests[0], digests[2]);
}

#[test]
fn another_leads_when_the_leader_is_gone() {
    let mut cluster = Cluster::of(3, 3);
    let (writer, _) = cluster.connect(2);
    cluster.ask(2, writer, create("/a", b"one")).unwrap();
    cluster.nodes.get_mut(&NodeId(1)).unwrap().replica = None;
    cluster.until("another leads", |cluster| {
        cluster.replica(2).is_leader() || cluster.replica(3).is_leader()
    });
    cluster.ask(2, writer, create("/b", b"two")).unwrap();
    let answer = cluster.ask(2, writer, get("/b")).unwrap();
    assert_eq!(data_of(answer), b"two");
    cluster.start(NodeId(1));
    cluster.ticks(40);
    let digests: Vec<u64> = (1..=3)
        .map(|id| cluster.replica(id).state().digest())
        .collect();
    assert_eq!(digests[0], digests[1]);
    assert_eq!(digests[0], digests[2]);
}

/// What a leader says by itself it would say again at every chance; on a full
/// disk each of those would wait in memory.
#[test]
fn a_leader_without_room_says_everything_once() {
    let mut cluster = Cluster::of(5, 1);
    for _ in 0..3 {
        cluster.connect(1);
    }
    let disk = cluster.nodes[&NodeId(1)].disk.clone();
    disk.faults(|faults| faults.room = Some(0));
    // Until what was allocated before is used up as well.
    let (writer, _) = cluster.connect(1);
    cluster.until("the disk is full", |cluster| {
        let moment = cluster.moment();
        let ask = Ask::Request {
            connection: writer,
            tag: 1,
            request: create("/a", &[7; 200_000]),
        };
        cluster.replica(1).ask(moment, ask);
        cluster.settle();
        cluster.replica(1).standing().is_disk_full
    });
    let waiting = cluster.replica(1).standing().outstanding;
    // The sessions are silent for nine of their timeouts.
    cluster.ticks(1800);
    let standing = cluster.replica(1).standing();
    assert_eq!(standing.sessions, 4, "nothing can be agreed on");
    assert!(
        standing.outstanding <= waiting + 5,
        "four ends, and the lack of room"
    );

    disk.faults(|faults| faults.room = None);
    cluster.until("the sessions have ended", |cluster| {
        cluster.replica(1).standing().sessions == 0
    });
}
