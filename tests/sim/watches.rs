//! What watchers are told by the node that they are connected to.

use super::basic::create;
use super::quiet::Cluster;
use dolmen::ids::{NodeId, Zxid};
use dolmen::replica::desk::{Ask, ConnectionId, Read, Reply, Request, SetWatches};
use dolmen::state::{
    AclEntry, ChangeKind, Command, Create, Data, Error, Identity, NodeKind, Permissions, Write,
};

fn alone() -> (Cluster, ConnectionId) {
    let mut cluster = Cluster::new(1);
    cluster.add(1);
    cluster.until("it leads", |cluster| cluster.replica(1).is_leader());
    let (client, _) = cluster.connect(1);
    (cluster, client)
}

#[test]
fn a_returning_client_hears_what_it_missed_and_of_no_transaction() {
    let (mut cluster, client) = alone();
    cluster.ask(1, client, create("/a", b"")).unwrap();
    let request = Request::SetWatches(SetWatches {
        since: Zxid(0),
        data: vec!["/a".into(), "/gone".into()],
        exist: vec!["/a".into(), "/never".into()],
        children: vec!["/a".into()],
        ..SetWatches::default()
    });
    let ask = Ask::Request {
        connection: client,
        tag: 8,
        request,
    };
    let moment = cluster.moment();
    cluster.replica(1).ask(moment, ask);
    cluster.settle();
    let replies = &cluster.nodes[&NodeId(1)].replies;
    let events = replies.iter().filter_map(|reply| match reply {
        Reply::Event {
            zxid, kind, path, ..
        } => Some((zxid.0 as i64, *kind, &**path)),
        _ => None,
    });
    let wanted = [
        (-1, ChangeKind::DataChanged, "/a"),
        (-1, ChangeKind::Deleted, "/gone"),
        (-1, ChangeKind::Created, "/a"),
        (-1, ChangeKind::ChildrenChanged, "/a"),
    ];
    assert_eq!(events.collect::<Vec<_>>(), wanted);
}

#[test]
fn who_may_not_read_a_node_leaves_no_watch_on_it() {
    let (mut cluster, client) = alone();
    let closed = Request::Submit(Command::Write(Write::Create(Create {
        path: "/closed".into(),
        data: Data::NOTHING,
        acl: vec![AclEntry {
            permissions: Permissions::ALL,
            who: Identity::new("digest", "ann:hash"),
        }],
        kind: NodeKind::Persistent,
        is_sequential: false,
    })));
    cluster.ask(1, client, closed).unwrap();
    let mut exists = |path: &str| {
        let read = Read::Exists {
            path: path.into(),
            watch: true,
        };
        let answer = cluster.ask(1, client, Request::Read(read));
        (answer.err(), cluster.replica(1).standing().watches)
    };
    assert_eq!(exists("/closed"), (Some(Error::NoAuth), 0));
    assert_eq!(exists("/none"), (Some(Error::NoNode), 1));
    assert_eq!(exists("/"), (None, 2));
}
