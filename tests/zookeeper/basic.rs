//! What a client asks on an ordinary day.

use super::House;
use super::client::{Client, greeting, parse};
use super::desk::everybody;
use dolmen::ids::{SessionId, Zxid};
use dolmen::ports::zookeeper::codec::{
    AddWatchRequest, AtVersion, CreateRequest, CreateTtlRequest, Jute, Multi, MultiRead, OfAnyPath,
    OfPath, Part, PartRead, PartResult, ReconfigRequest, SetAclRequest, SetDataRequest,
    SetWatches2Request, SetWatchesRequest, Watched, WatchesRequest, code,
};
use dolmen::ports::zookeeper::errors;
use dolmen::ports::zookeeper::handlers::*;
use dolmen::replica::desk::{CloseReason, Reply};

pub fn node(path: &str, data: &[u8]) -> CreateRequest {
    CreateRequest {
        path: path.into(),
        data: data.into(),
        acl: everybody(),
        flags: 0,
    }
}

fn watched(path: &str, watch: bool) -> Watched {
    let path = path.into();
    Watched { path, watch }
}

fn of(path: &str) -> OfPath {
    OfPath { path: path.into() }
}

fn of_any(path: &str) -> OfAnyPath {
    let path = Some(path.into());
    OfAnyPath { path }
}

fn at(path: &str, version: i32) -> AtVersion {
    let path = path.into();
    AtVersion { path, version }
}

#[test]
fn a_node_is_made_read_changed_and_removed() {
    let house = House::new();
    let mut client = house.client();
    let created = client.call::<Create>(&node("/a", b"one")).unwrap();
    assert_eq!(&*created.path, "/a");
    assert_eq!(
        client.call::<Create>(&node("/a", b"")),
        Err(errors::NODE_EXISTS)
    );
    let read = client.call::<GetData>(&watched("/a", false)).unwrap();
    assert_eq!((&*read.data, read.stat.version), (&b"one"[..], 0));
    let set = SetDataRequest {
        path: "/a".into(),
        data: b"two!".as_slice().into(),
        version: 0,
    };
    assert_eq!(client.call::<SetData>(&set).unwrap().stat.version, 1);
    assert_eq!(client.call::<SetData>(&set), Err(errors::BAD_VERSION));
    let stat = client.call::<Exists>(&watched("/a", false)).unwrap().stat;
    assert_eq!(stat.data_length, 4);
    client.call::<Create2>(&node("/a/b", b"")).unwrap();
    let children = client.call::<GetChildren2>(&watched("/a", false)).unwrap();
    assert_eq!((&*children.names, children.stat), (&["b".into()][..], stat));
    let children = client.call::<GetChildren>(&watched("/", false)).unwrap();
    assert_eq!(children.names, ["a".into(), "a/b".into()]);
    let count = client.call::<GetAllChildrenNumber>(&of("/a")).unwrap();
    assert_eq!(count.count, 1);
    client.call::<Delete>(&at("/a/b", 0)).unwrap();
    client.call::<Delete>(&at("/a", -1)).unwrap();
    assert_eq!(
        client.call::<Exists>(&watched("/a", false)),
        Err(errors::NO_NODE)
    );
}

#[test]
fn a_session_is_opened_left_and_taken_up_again() {
    let house = House::new();
    let first = house.client();
    let (session, password) = (first.session, first.password.clone());
    drop(first);

    let mut again = Client::dial(house.door.address());
    let mut request = greeting();
    (request.session, request.password) = (session, password.clone());
    request.takes_read_only = None;
    let opened = again.open_with(&request);
    assert_eq!((opened.session, &opened.password), (session, &password));
    assert_eq!(opened.is_read_only, None, "an old client is not told");

    again.send_as(7, CloseSession::CODE, &());
    let (header, body) = again.reply();
    assert_eq!((header.xid, header.error), (7, 0));
    assert!(body.is_empty());
    assert_eq!(again.frame(), None, "the door closes behind it");

    house.stand.expire(session);
    let mut late = Client::dial(house.door.address());
    let expired = late.open_with(&request);
    assert_eq!((expired.timeout_ms, expired.session), (0, SessionId(0)));
    assert_eq!(late.frame(), None);
}

#[test]
fn a_session_is_refused_without_a_word_or_as_expired() {
    let house = House::new();
    let refused = |change: &dyn Fn(&mut _)| {
        let mut request = greeting();
        change(&mut request);
        let mut bytes = Vec::new();
        request.write(&mut bytes);
        let mut client = Client::dial(house.door.address());
        client.say(&bytes);
        client.frame()
    };
    // A client that has seen more than the node has tries another.
    assert_eq!(refused(&|r| r.last_zxid_seen = Zxid(1 << 40)), None);
    let wrong = |password: Vec<u8>| {
        let session = house.client().session;
        refused(&move |r| {
            r.session = session;
            r.password = password.clone();
        })
    };
    for password in [vec![9; 16], vec![], vec![1; 15]] {
        assert_eq!(wrong(password).map(|frame| frame.len()), Some(37));
    }
}

#[test]
fn a_timeout_is_brought_into_its_bounds() {
    let house = House::new();
    for (asked, got) in [(1, 4000), (-5, 4000), (10_000, 10_000), (i32::MAX, 40_000)] {
        let mut request = greeting();
        request.timeout_ms = asked;
        let opened = Client::dial(house.door.address()).open_with(&request);
        assert_eq!(opened.timeout_ms, got);
    }
}

#[test]
fn what_is_pipelined_is_answered_in_order() {
    let house = House::new();
    let mut client = house.client();
    client.call::<Create>(&node("/a", b"")).unwrap();
    // More than may be outstanding, of kinds that are answered in different
    // places.
    let count = 2000;
    let mut bytes = Vec::new();
    for xid in 0..count {
        use dolmen::ports::zookeeper::codec::write_request;
        match xid % 4 {
            0 => write_request(xid, GetData::CODE, &watched("/a", false), &mut bytes),
            1 => write_request(xid, WhoAmI::CODE, &(), &mut bytes),
            2 => write_request(xid, DeleteContainer::CODE, &of("/a"), &mut bytes),
            _ => write_request(xid, Exists::CODE, &watched("/no", false), &mut bytes),
        }
    }
    client.say(&bytes);
    for xid in 0..count {
        let (header, _) = client.reply();
        let error = [0, 0, errors::UNIMPLEMENTED, errors::NO_NODE][xid as usize % 4];
        assert_eq!((header.xid, header.error), (xid, error));
    }
}

#[test]
fn requests_arrive_however_the_network_cuts_them() {
    let house = House::new();
    let mut client = Client::dial(house.door.address());
    let mut bytes = Vec::new();
    greeting().write(&mut bytes);
    use dolmen::ports::zookeeper::codec::write_request;
    write_request(1, Create::CODE, &node("/a", &[7; 300]), &mut bytes);
    write_request(2, GetData::CODE, &watched("/a", false), &mut bytes);
    for piece in bytes.chunks(13) {
        client.say(piece);
    }
    client.frame().unwrap();
    assert_eq!(client.reply().0.xid, 1);
    let (header, body) = client.reply();
    let read = parse::<GetData>(&header, &body).unwrap();
    assert_eq!(&*read.data, [7; 300]);
}

#[test]
fn a_watch_fires_before_the_answer_that_shows_the_change() {
    let house = House::new();
    let (mut writer, mut watcher) = (house.client(), house.client());
    let missing = watcher.call::<Exists>(&watched("/w", true));
    assert_eq!(missing, Err(errors::NO_NODE));
    writer.call::<Create>(&node("/w", b"")).unwrap();
    let (header, event) = watcher.event();
    assert_eq!((header.zxid, header.error), (Zxid(1), 0));
    assert_eq!((event.kind, event.state, &*event.path), (1, 3, "/w"));
    watcher.call::<GetData>(&watched("/w", true)).unwrap();
    writer.call::<Delete>(&at("/w", -1)).unwrap();
    assert_eq!(watcher.event().1.kind, 2);
}

#[test]
fn watches_are_added_set_again_checked_and_removed() {
    let house = House::new();
    let mut client = house.client();
    let add = |mode| AddWatchRequest {
        path: "/w".into(),
        mode,
    };
    assert_eq!(client.call::<AddWatch>(&add(1)).unwrap().code, 0);
    assert_eq!(
        client.call::<AddWatch>(&add(2)),
        Err(errors::MARSHALLING_ERROR)
    );
    let about = |path: &str, kind| WatchesRequest {
        path: path.into(),
        kind,
    };
    assert_eq!(client.call::<CheckWatches>(&about("/w", 3)), Ok(()));
    assert_eq!(client.call::<RemoveWatches>(&about("/w", 5)), Ok(()));
    let none = client.call::<RemoveWatches>(&about("/w", 5));
    assert_eq!(none, Err(errors::NO_WATCHER));
    let unknown = client.call::<CheckWatches>(&about("/w", 9));
    assert_eq!(unknown, Err(errors::MARSHALLING_ERROR));
    let set = SetWatchesRequest {
        since: Zxid(0),
        data: vec!["/d".into()],
        exist: vec![],
        children: vec![],
    };
    client.send_as(-8, SetWatches::CODE, &set);
    assert_eq!(client.reply().0.xid, -8);
    let set = SetWatches2Request {
        since: Zxid(0),
        data: vec![],
        exist: vec![],
        children: vec![],
        persistent: vec![],
        persistent_recursive: vec!["/r".into()],
    };
    client.send_as(-8, SetWatches2::CODE, &set);
    assert_eq!(client.reply().0.xid, -8);
    for path in ["/d", "/r"] {
        assert_eq!(client.call::<CheckWatches>(&about(path, 3)), Ok(()));
    }
}

#[test]
fn a_multi_is_done_as_a_whole_or_not_at_all() {
    let house = House::new();
    let mut client = house.client();
    let ttl = CreateTtlRequest {
        path: "/t".into(),
        data: b"".as_slice().into(),
        acl: everybody(),
        flags: 5,
        ttl_ms: 1000,
    };
    let mut container = node("/c", b"");
    container.flags = 4;
    let parts = vec![
        Part::Check(at("/no", 0)),
        Part::Create(node("/a", b"")),
        Part::Delete(at("/a", 0)),
    ];
    let failed = client.call::<Multi_>(&Multi { parts }).unwrap().results;
    let codes = [errors::NO_NODE, -2, -2].map(PartResult::Error);
    assert_eq!(failed, codes);

    let parts = vec![
        Part::Create(node("/a", b"")),
        Part::Create2(node("/b", b"")),
        Part::CreateContainer(container),
        Part::CreateTtl(ttl.clone()),
        Part::SetData(SetDataRequest {
            path: "/a".into(),
            data: b"x".as_slice().into(),
            version: 0,
        }),
        Part::Check(at("/a", 1)),
        Part::Delete(at("/a", 1)),
    ];
    let done = client.call::<Multi_>(&Multi { parts }).unwrap().results;
    assert!(matches!(
        &done[..],
        [
            PartResult::Created(_),
            PartResult::CreatedWithStat(_),
            PartResult::CreatedWithStat(_),
            PartResult::CreatedWithStat(_),
            PartResult::Set(_),
            PartResult::Checked,
            PartResult::Deleted,
        ]
    ));

    let mut senseless = ttl;
    senseless.ttl_ms = 0;
    let parts = vec![
        Part::Create(node("/x", b"")),
        Part::CreateTtl(senseless),
        Part::Create(node("/y", b"")),
    ];
    let failed = client.call::<Multi_>(&Multi { parts }).unwrap().results;
    let codes = [0, errors::BAD_ARGUMENTS, -2].map(PartResult::Error);
    assert_eq!(failed, codes);
    let empty = client.call::<Multi_>(&Multi { parts: vec![] }).unwrap();
    assert_eq!(empty.results, []);
}

/// The operation, beside the request of the same name.
type Multi_ = dolmen::ports::zookeeper::handlers::Multi;

#[test]
fn of_several_reads_each_fails_alone() {
    let house = House::new();
    let mut client = house.client();
    client.call::<Create>(&node("/a", b"x")).unwrap();
    let parts = vec![
        PartRead::Data(watched("/a", false)),
        PartRead::Data(watched("/no", false)),
        PartRead::Children(watched("/", false)),
    ];
    let read = client
        .call::<dolmen::ports::zookeeper::handlers::MultiRead>(&MultiRead { parts })
        .unwrap();
    let [
        PartResult::Data(data),
        failed,
        PartResult::Children(children),
    ] = &read.results[..]
    else {
        panic!("{read:?}")
    };
    assert_eq!(&*data.data, b"x");
    assert_eq!(*failed, PartResult::Error(errors::NO_NODE));
    assert_eq!(children.names, ["a".into()]);
}

#[test]
fn the_rarer_operations_answer_too() {
    let house = House::new();
    let mut client = house.client();
    let mut sequence = node("/s-", b"");
    sequence.flags = 3;
    let created = client.call::<Create2>(&sequence).unwrap();
    assert_eq!(&*created.path, "/s-0000000001");
    sequence.flags = 7;
    let refused = client.call::<Create>(&sequence);
    assert_eq!(refused, Err(errors::BAD_ARGUMENTS));
    let mut container = node("/c", b"");
    container.flags = 4;
    client.call::<CreateContainer>(&container).unwrap();
    let ttl = |flags, ttl_ms| CreateTtlRequest {
        path: "/t".into(),
        data: [].into(),
        acl: everybody(),
        flags,
        ttl_ms,
    };
    client.call::<CreateTtl>(&ttl(5, 1)).unwrap();
    for senseless in [ttl(5, 0), ttl(6, 1 << 40), ttl(0, 5)] {
        let refused = client.call::<CreateTtl>(&senseless);
        assert_eq!(refused, Err(errors::BAD_ARGUMENTS));
    }
    assert_eq!(
        client.call::<Sync>(&of_any("/s")).unwrap().path,
        Some("/s".into())
    );
    assert_eq!(client.call::<GetAcl>(&of("/c")).unwrap().acl, everybody());
    let set = SetAclRequest {
        path: "/c".into(),
        acl: everybody(),
        version: 0,
    };
    assert_eq!(client.call::<SetAcl>(&set).unwrap().stat.acl_version, 1);
    let deleted = client.call::<DeleteContainer>(&of("/c"));
    assert_eq!(deleted, Err(errors::UNIMPLEMENTED));
    let ephemerals = client.call::<GetEphemerals>(&of_any("/e")).unwrap();
    assert_eq!(ephemerals.paths, ["/e".into()]);
    let reconfig = ReconfigRequest {
        joining: Some("server.4=h:1:2;3".into()),
        leaving: Some("".into()),
        members: None,
        from_version: -1,
    };
    let config = client.call::<Reconfig>(&reconfig).unwrap();
    let text = String::from_utf8(config.data.to_vec()).unwrap();
    assert!(text.contains("leaving: None"), "{text}");
    client.send_as(-2, Ping::CODE, &());
    let (header, body) = client.reply();
    assert_eq!((header.xid, header.error, body), (-2, 0, vec![]));
}

#[test]
fn what_is_not_understood_is_said_and_the_session_goes_on() {
    let house = House::new();
    let mut client = house.client();
    for unknown in [0, 10, 13, 99, 108, -12, i32::MIN, i32::MAX] {
        let mut stranger = house.client();
        stranger.send_as(5, unknown, &());
        let (header, body) = stranger.reply();
        assert_eq!((header.xid, header.error), (5, errors::UNIMPLEMENTED));
        assert!(body.is_empty());
        assert_eq!(stranger.frame(), None);
    }
    // Proof that cannot be read is not argued with.
    for proof in [code::AUTH, code::SASL] {
        let mut stranger = house.client();
        stranger.send_as(5, proof, &-2i32);
        assert_eq!(stranger.frame(), None);
    }
    for handler in TABLE {
        let takes_it = [
            code::PING,
            code::WHO_AM_I,
            code::CLOSE_SESSION,
            code::CREATE_SESSION,
            code::AUTH,
            code::SASL,
        ];
        if takes_it.contains(&handler.code) {
            continue;
        }
        // Cut short, whatever it is.
        client.send_as(6, handler.code, &-2i32);
        let (header, body) = client.reply();
        let found = (header.xid, header.error);
        assert_eq!(found, (6, errors::MARSHALLING_ERROR), "{}", handler.name);
        assert!(body.is_empty());
    }
    client.call::<Create>(&node("/still", b"")).unwrap();
    // An operation that has no place in a multi.
    let mut bytes = Vec::new();
    code::SYNC.write(&mut bytes);
    bytes.extend([0, 0, 0, 0, 0]);
    let body = bytes;
    let mut frame = Vec::new();
    dolmen::ports::zookeeper::codec::frame(&mut frame, |into| {
        9i32.write(into);
        code::MULTI.write(into);
        into.extend_from_slice(&body);
    });
    client.say(&frame);
    assert_eq!(client.reply().0.error, errors::MARSHALLING_ERROR);
}

#[test]
fn a_read_only_session_reads_only() {
    let house = House::new();
    house.stand.serve_reads_only();
    let mut refused = Client::dial(house.door.address());
    let mut bytes = Vec::new();
    greeting().write(&mut bytes);
    refused.say(&bytes);
    assert_eq!(refused.frame(), None);

    let mut client = Client::dial(house.door.address());
    let mut request = greeting();
    request.takes_read_only = Some(true);
    assert_eq!(client.open_with(&request).is_read_only, Some(true));
    let refused = client.call::<Create>(&node("/a", b""));
    assert_eq!(refused, Err(errors::NOT_READ_ONLY));
    client.call::<GetChildren>(&watched("/", false)).unwrap();
}

#[test]
fn a_connection_ends_when_the_replica_says_so() {
    let house = House::new();
    let mut client = house.client();
    let connection = house.stand.connection_of(client.session);
    let why = CloseReason::SessionMoved;
    house.stand.push([Reply::Close { connection, why }]);
    assert_eq!(client.frame(), None);
}

#[test]
fn a_closed_door_gives_what_it_owes() {
    let house = House::new();
    let mut client = house.client();
    house.stand.hold();
    client.send_as(-2, Ping::CODE, &());
    while house.stand.asked() == 0 {
        std::thread::yield_now();
    }
    let stand = house.stand.clone();
    let address = house.door.address();
    let closing = std::thread::spawn(move || house.door.close());
    // Nobody is let in any more, and then the answer comes.
    while std::net::TcpStream::connect(address).is_ok() {
        std::thread::yield_now();
    }
    stand.let_go();
    assert_eq!(client.reply().0.xid, -2);
    assert_eq!(client.frame(), None);
    drop(client);
    closing.join().unwrap();
}
