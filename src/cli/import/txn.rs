//! One transaction of ZooKeeper: its header, and what it changed. The record
//! behind the header is told by the header's kind; servers since 3.6 add a
//! digest of their tree, which is of no use to another tree.

use super::jute::{Fault, Reader};
use crate::ids::Zxid;
use crate::state::{Acl, Data};
use std::io::BufRead;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub session: u64,
    pub zxid: Zxid,
    /// Milliseconds since 1970.
    pub time: i64,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Change {
    OpenSession {
        timeout_ms: i32,
    },
    /// Since 3.6 with the ephemeral nodes that went with it.
    CloseSession {
        paths: Vec<Box<str>>,
    },
    Create(Create),
    Delete {
        path: Box<str>,
    },
    SetData {
        path: Box<str>,
        data: Data,
        version: i32,
    },
    SetAcl {
        path: Box<str>,
        acl: Acl,
        version: i32,
    },
    /// A condition inside a multi. It held.
    Check,
    /// A request that was refused, and took a number all the same.
    Refused,
    Multi(Vec<Change>),
}

#[derive(Debug, PartialEq, Eq)]
pub struct Create {
    pub path: Box<str>,
    pub data: Data,
    pub acl: Acl,
    pub kind: Kind,
    /// How many children the parent had been given with this one; -1 where
    /// the server did not say.
    pub parent_creates: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Persistent,
    Ephemeral,
    Container,
    Ttl(i64),
}

/// A digest: the version of its rule, and the sum.
const DIGEST_BYTES: usize = 12;

mod code {
    pub const CREATE: i32 = 1;
    pub const DELETE: i32 = 2;
    pub const SET_DATA: i32 = 5;
    pub const SET_ACL: i32 = 7;
    pub const CHECK: i32 = 13;
    pub const MULTI: i32 = 14;
    pub const CREATE_2: i32 = 15;
    pub const RECONFIG: i32 = 16;
    pub const CREATE_CONTAINER: i32 = 19;
    pub const DELETE_CONTAINER: i32 = 20;
    pub const CREATE_TTL: i32 = 21;
    pub const REFUSED: i32 = -1;
    pub const OPEN_SESSION: i32 = -10;
    pub const CLOSE_SESSION: i32 = -11;
}

/// Parses the body of one entry of a log.
pub fn parse(body: &[u8]) -> Result<(Header, Change), Fault> {
    let mut reader = Reader::new(body);
    let session = reader.u64()?;
    let _cxid = reader.i32()?;
    let header = Header {
        session,
        zxid: Zxid(reader.u64()?),
        time: reader.i64()?,
    };
    let kind = reader.i32()?;
    let record = &body[reader.at() as usize..];
    let change = match kind {
        code::CLOSE_SESSION => close_session(record)?,
        code::MULTI => whole(record, multi)?,
        _ => whole(record, |reader| single(kind, reader))?,
    };
    Ok((header, change))
}

/// A record with nothing behind it but a digest.
fn whole<'a>(
    record: &'a [u8],
    parse: impl FnOnce(&mut Reader<&'a [u8]>) -> Result<Change, Fault>,
) -> Result<Change, Fault> {
    let mut reader = Reader::new(record);
    let change = parse(&mut reader)?;
    match record.len() - reader.at() as usize {
        0 | DIGEST_BYTES => Ok(change),
        rest => Err(Fault::Rest(rest)),
    }
}

/// Servers before 3.6, and later ones told so, write no paths. What is then as
/// long as a digest is one, unless it reads as paths.
fn close_session(record: &[u8]) -> Result<Change, Fault> {
    let with_paths = whole(record, |reader| {
        let mut paths = Vec::new();
        for _ in 0..reader.count()? {
            paths.push(path(reader)?);
        }
        Ok(Change::CloseSession { paths })
    });
    match (with_paths, record.len()) {
        (Err(_), 0 | DIGEST_BYTES) => Ok(Change::CloseSession { paths: Vec::new() }),
        (with_paths, _) => with_paths,
    }
}

fn multi(reader: &mut Reader<&[u8]>) -> Result<Change, Fault> {
    let mut changes = Vec::new();
    for _ in 0..reader.count()? {
        let kind = reader.i32()?;
        let record = reader.buffer()?;
        // A multi holds none, and a depth that a stranger chose would be his.
        if kind == code::MULTI {
            return Err(Fault::UnknownKind(kind));
        }
        let mut inner = Reader::new(&record[..]);
        changes.push(single(kind, &mut inner)?);
        match record.len() - inner.at() as usize {
            0 => {}
            rest => return Err(Fault::Rest(rest)),
        }
    }
    Ok(Change::Multi(changes))
}

fn single(kind: i32, reader: &mut Reader<impl BufRead>) -> Result<Change, Fault> {
    Ok(match kind {
        code::CREATE | code::CREATE_2 | code::CREATE_CONTAINER | code::CREATE_TTL => {
            Change::Create(create(kind, reader)?)
        }
        code::DELETE | code::DELETE_CONTAINER => Change::Delete {
            path: path(reader)?,
        },
        code::SET_DATA | code::RECONFIG => Change::SetData {
            path: path(reader)?,
            data: reader.data()?,
            version: reader.i32()?,
        },
        code::SET_ACL => Change::SetAcl {
            path: path(reader)?,
            acl: reader.acl()?,
            version: reader.i32()?,
        },
        code::CHECK => {
            path(reader)?;
            reader.i32()?;
            Change::Check
        }
        code::REFUSED => {
            reader.i32()?;
            Change::Refused
        }
        code::OPEN_SESSION => Change::OpenSession {
            timeout_ms: reader.i32()?,
        },
        _ => return Err(Fault::UnknownKind(kind)),
    })
}

fn create(kind: i32, reader: &mut Reader<impl BufRead>) -> Result<Create, Fault> {
    let path = path(reader)?;
    let data = reader.data()?;
    let acl = reader.acl()?;
    let is_ephemeral = match kind {
        code::CREATE | code::CREATE_2 => reader.boolean()?,
        _ => false,
    };
    let parent_creates = reader.i32()?;
    let kind = match kind {
        code::CREATE_CONTAINER => Kind::Container,
        code::CREATE_TTL => Kind::Ttl(reader.i64()?),
        _ if is_ephemeral => Kind::Ephemeral,
        _ => Kind::Persistent,
    };
    Ok(Create {
        path,
        data,
        acl,
        kind,
        parent_creates,
    })
}

/// The path of a node, as far as this import leans on its shape: what it may
/// hold beyond that is for the tree that takes it in to say.
fn path(reader: &mut Reader<impl BufRead>) -> Result<Box<str>, Fault> {
    let path = reader.text()?;
    match is_path(&path) {
        true => Ok(path),
        false => Err(Fault::Path(path)),
    }
}

/// `/`, or components that each follow a slash and are not empty.
pub fn is_path(path: &str) -> bool {
    let components = path.strip_prefix('/').map(|inside| inside.split('/'));
    components.is_some_and(|mut components| {
        path == "/" || components.all(|name| !matches!(name, "" | "." | ".."))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: i32, record: &[u8]) -> Vec<u8> {
        let mut body = 7u64.to_be_bytes().to_vec();
        body.extend_from_slice(&0i32.to_be_bytes());
        body.extend_from_slice(&9u64.to_be_bytes());
        body.extend_from_slice(&1234i64.to_be_bytes());
        body.extend_from_slice(&kind.to_be_bytes());
        body.extend_from_slice(record);
        body
    }

    fn text(text: &str) -> Vec<u8> {
        let mut bytes = (text.len() as i32).to_be_bytes().to_vec();
        bytes.extend_from_slice(text.as_bytes());
        bytes
    }

    #[test]
    fn a_goodbye_reads_with_and_without_paths_and_digest() {
        let digest = [0, 0, 0, 2, 0x81, 2, 3, 4, 5, 6, 7, 8];
        let paths = [&1i32.to_be_bytes()[..], &text("/a")].concat();
        let parsed = |record: &[u8]| parse(&entry(code::CLOSE_SESSION, record)).map(|both| both.1);
        let none = || Ok(Change::CloseSession { paths: Vec::new() });
        let one = || {
            Ok(Change::CloseSession {
                paths: vec!["/a".into()],
            })
        };
        assert_eq!(parsed(&[]), none());
        assert_eq!(parsed(&digest), none());
        assert_eq!(parsed(&paths), one());
        assert_eq!(parsed(&[&paths[..], &digest].concat()), one());
        assert_eq!(parsed(&paths[..6]), Err(Fault::Ended));
        assert_eq!(parsed(&[&paths[..], &[0]].concat()), Err(Fault::Rest(1)));
    }

    #[test]
    fn a_multi_inside_a_multi_is_refused() {
        let empty = 0i32.to_be_bytes();
        let inner = [
            &1i32.to_be_bytes()[..],
            &code::MULTI.to_be_bytes(),
            &4i32.to_be_bytes(),
            &empty,
        ]
        .concat();
        assert_eq!(
            parse(&entry(code::MULTI, &inner)),
            Err(Fault::UnknownKind(code::MULTI))
        );
        let changes = parse(&entry(code::MULTI, &empty)).unwrap().1;
        assert_eq!(changes, Change::Multi(Vec::new()));
    }

    #[test]
    fn paths_have_the_shape_that_the_tree_leans_on() {
        for good in ["/", "/a", "/a/b c/é"] {
            assert!(is_path(good), "{good}");
        }
        for bad in ["", "a", "//", "/a/", "/a//b", "/.", "/a/../b"] {
            assert!(!is_path(bad), "{bad}");
        }
    }
}
