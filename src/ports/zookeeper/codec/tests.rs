//! What is written is read back, and what is not so is refused.

use super::super::handlers::TABLE;
use super::*;
use crate::state::{AclEntry, Data, Identity, Permissions, Stat};
use std::fmt::Debug;

/// A record, and the same with its last byte gone.
fn check<T: Jute + PartialEq + Debug>(record: &T) {
    let mut bytes = Vec::new();
    record.write(&mut bytes);
    let from = &mut Cursor::new(&bytes);
    assert_eq!(T::read(from).as_ref(), Ok(record));
    assert_eq!(from.left(), 0);
    for length in 0..bytes.len() {
        assert!(T::read(&mut Cursor::new(&bytes[..length])).is_err());
    }
}

fn acl() -> Vec<AclEntry> {
    vec![AclEntry {
        permissions: Permissions::ALL,
        who: Identity::new("world", "anyone"),
    }]
}

fn create() -> CreateRequest {
    CreateRequest {
        path: "/a".into(),
        data: Data::from(*b"data"),
        acl: acl(),
        flags: 3,
    }
}

fn stat() -> Stat {
    Stat {
        created_zxid: Zxid(1),
        modified_zxid: Zxid(u64::MAX),
        created: crate::clock::Millis(3),
        modified: crate::clock::Millis(4),
        version: 5,
        children_version: -6,
        acl_version: 7,
        owner: 1 << 63,
        data_length: 9,
        children: 10,
        children_zxid: Zxid(11),
    }
}

#[test]
fn records_read_as_they_were_written() {
    check(&create());
    check(&CreatedWithStat {
        path: "/zoë".into(),
        stat: stat(),
    });
    check(&AclWithStat {
        acl: acl(),
        stat: stat(),
    });
    check(&SetWatches2Request {
        since: Zxid(1),
        data: vec!["/a".into(), "/b".into()],
        exist: vec![],
        children: vec!["".into()],
        persistent: vec!["/p".into()],
        persistent_recursive: vec!["/r".into()],
    });
    check(&ReconfigRequest {
        joining: Some("server.1=a".into()),
        leaving: None,
        members: Some("".into()),
        from_version: -1,
    });
    check(&WatcherEvent {
        kind: 1,
        state: 3,
        path: "/w".into(),
    });
    let parts = vec![
        Part::Create(create()),
        Part::CreateTtl(CreateTtlRequest {
            path: "/t".into(),
            data: Data::NOTHING,
            acl: acl(),
            flags: 5,
            ttl_ms: 1,
        }),
        Part::Check(AtVersion {
            path: "/a".into(),
            version: 0,
        }),
    ];
    check(&Multi { parts });
    let results = vec![
        PartResult::Deleted,
        PartResult::Error(-2),
        PartResult::Set(OfStat { stat: stat() }),
    ];
    check(&MultiResults { results });
}

#[test]
fn a_stat_is_written_in_the_order_that_it_is_read() {
    check(&stat());
    let mut bytes = Vec::new();
    stat().write(&mut bytes);
    assert_eq!(bytes.len(), Stat::BYTES_MIN);
}

#[test]
fn first_words_keep_their_shape() {
    for takes_read_only in [None, Some(true)] {
        let request = ConnectRequest {
            protocol: 0,
            last_zxid_seen: Zxid(9),
            timeout_ms: 30_000,
            session: SessionId(u64::MAX),
            password: vec![1; 16],
            takes_read_only,
        };
        let mut bytes = Vec::new();
        request.write(&mut bytes);
        let length = bytes.len() - FRAME_HEAD_BYTES;
        assert_eq!(length, if takes_read_only.is_some() { 45 } else { 44 });
        assert_eq!(cut(&bytes, length), Cut::Whole(length));
        assert_eq!(cut(&bytes, length - 1), Cut::TooLong(length as i32));
        assert_eq!(cut(&bytes[..length], length), Cut::Part);
        assert_eq!(
            ConnectRequest::read(&bytes[FRAME_HEAD_BYTES..]),
            Ok(request)
        );
    }
}

/// Data and access lists may be missing, texts and other lists may not.
#[test]
fn minus_one_is_nothing() {
    let mut bytes = Vec::new();
    "/a".to_owned().into_boxed_str().write(&mut bytes);
    (-1i32).write(&mut bytes);
    (-1i32).write(&mut bytes);
    0i32.write(&mut bytes);
    let create = CreateRequest::read(&mut Cursor::new(&bytes)).unwrap();
    assert!(create.data.is_nothing() && create.acl.is_empty());
    let nothing = (-1i32).to_be_bytes();
    let read = Box::<str>::read(&mut Cursor::new(&nothing));
    assert_eq!(read, Err(Unread::NoText));
    let auth = [&[0, 0, 0, 4], &b"auth"[..], &nothing].concat();
    let read = Identity::read(&mut Cursor::new(&auth));
    assert_eq!(read, Ok(Identity::new("auth", "")));
    let read = Vec::<Box<str>>::read(&mut Cursor::new(&nothing));
    assert_eq!(read, Err(Unread::Length(-1)));
}

#[test]
fn a_count_is_bounded_by_the_bytes_that_are_there() {
    let mut bytes = Vec::new();
    1000i32.write(&mut bytes);
    bytes.resize(4 + 3999, 0);
    let read = |bytes: &[u8]| Vec::<Box<str>>::read(&mut Cursor::new(bytes));
    let declared = 1000;
    assert_eq!(
        read(&bytes),
        Err(Unread::Count {
            declared,
            left: 3999
        })
    );
    bytes.push(0);
    assert_eq!(read(&bytes).map(|texts| texts.len()), Ok(1000));
}

#[test]
fn odd_texts_and_booleans_are_read_as_the_original_reads_them() {
    let bytes = [0, 0, 0, 3, b'/', 0xff, b'a', 7, 0xde, 0xad];
    let from = &mut Cursor::new(&bytes);
    let watched = Watched::read(from).unwrap();
    assert_eq!(&*watched.path, "/\u{fffd}a");
    assert!(watched.watch);
    assert_eq!(from.left(), 2);
}

#[test]
fn a_multi_holds_no_multi() {
    let mut bytes = Vec::new();
    code::MULTI.write(&mut bytes);
    bytes.extend([0, 0, 0, 0, 0]);
    let read = Multi::read(&mut Cursor::new(&bytes));
    assert_eq!(read, Err(Unread::Operation(code::MULTI)));
    let read = MultiRead::read(&mut Cursor::new(&bytes));
    assert_eq!(read, Err(Unread::Operation(code::MULTI)));
}

#[test]
fn the_table_has_every_operation_once_and_finds_it() {
    for (place, handler) in TABLE.iter().enumerate() {
        assert_eq!(
            super::super::handlers::find(handler.code),
            Some(place),
            "{}",
            handler.name
        );
    }
}

/// Every byte string either is no record, or reads and writes without end.
#[test]
fn whatever_reads_is_written_and_reads_again() {
    let mut chance = crate::entropy::Seeded::new(8412);
    for _ in 0..20_000 {
        let length = chance.below(60) as usize;
        // Small numbers, as lengths and counts are.
        let bytes: Vec<u8> = (0..length)
            .map(|_| {
                if chance.one_in(4) {
                    chance.below(5) as u8
                } else {
                    0
                }
            })
            .collect();
        for handler in TABLE {
            for rewrite in [handler.rewrite_request, handler.rewrite_response] {
                if let Ok(once) = rewrite(&bytes) {
                    assert_eq!(rewrite(&once), Ok(once.clone()), "{}", handler.name);
                }
            }
        }
    }
}
