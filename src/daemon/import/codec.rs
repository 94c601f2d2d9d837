//! A batch of imported nodes as bytes: a version, a count, the nodes. Numbers
//! have their least significant byte first; texts and data stand behind their
//! length, before which data has a flag: 0 where there is nothing. Read as what a stranger wrote.

use crate::clock::Millis;
use crate::ids::Zxid;
use crate::state::{AclEntry, Data, Identity, ImportedNode, Permissions, Stat};
use crate::wire::{Cursor, Short};
use std::fmt;

const VERSION: u8 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    Short(Short),
    Version(u8),
    NotText,
    /// Neither 0 for a node that holds nothing nor 1.
    Flag(u8),
    /// Bytes behind the last node.
    Rest(usize),
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short(short) => write!(f, "the batch ends inside a node: {short}"),
            Self::Version(version) => write!(
                f,
                "the batch is of version {version}, this node reads version {VERSION}"
            ),
            Self::NotText => f.write_str("a text in the batch is not UTF-8"),
            Self::Flag(flag) => write!(f, "{flag} where 0 or 1 says whether a node holds data"),
            Self::Rest(bytes) => write!(f, "{bytes} bytes follow the last node of the batch"),
        }
    }
}

impl From<Short> for Malformed {
    fn from(short: Short) -> Self {
        Self::Short(short)
    }
}

pub fn encode(nodes: &[ImportedNode]) -> Vec<u8> {
    let mut out = vec![VERSION];
    put_length(&mut out, nodes.len());
    for node in nodes {
        put(&mut out, node.path.as_bytes());
        out.push(u8::from(!node.data.is_nothing()));
        node.data
            .bytes()
            .iter()
            .for_each(|bytes| put(&mut out, bytes));
        put_length(&mut out, node.acl.len());
        for entry in &node.acl {
            out.extend_from_slice(&entry.permissions.0.to_le_bytes());
            put(&mut out, entry.who.scheme.as_bytes());
            put(&mut out, entry.who.id.as_bytes());
        }
        put_stat(&mut out, &node.stat);
    }
    out
}

/// Lengths are of what is held in memory under bounds far below 4 GiB.
fn put_length(out: &mut Vec<u8>, length: usize) {
    let length = u32::try_from(length).expect("bounded by IMPORT_FRAME_BYTES_MAX");
    out.extend_from_slice(&length.to_le_bytes());
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    put_length(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn put_stat(out: &mut Vec<u8>, stat: &Stat) {
    for number in [
        stat.created_zxid.0,
        stat.modified_zxid.0,
        stat.children_zxid.0,
        stat.created.0,
        stat.modified.0,
        stat.owner,
    ] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    for number in [
        stat.version,
        stat.children_version,
        stat.acl_version,
        stat.data_length,
        stat.children,
    ] {
        out.extend_from_slice(&number.to_le_bytes());
    }
}

/// Nothing is reserved for the counts that are declared.
pub fn decode(bytes: &[u8]) -> Result<Vec<ImportedNode>, Malformed> {
    let mut cursor = Cursor::new(bytes);
    let version = cursor.u8()?;
    if version != VERSION {
        return Err(Malformed::Version(version));
    }
    let mut nodes = Vec::new();
    for _ in 0..cursor.u32()? {
        nodes.push(node(&mut cursor)?);
    }
    match cursor.left() {
        0 => Ok(nodes),
        rest => Err(Malformed::Rest(rest)),
    }
}

fn node(cursor: &mut Cursor<'_>) -> Result<ImportedNode, Malformed> {
    let path = text(cursor)?;
    let data = match cursor.u8()? {
        0 => Data::NOTHING,
        1 => piece(cursor)?.into(),
        flag => return Err(Malformed::Flag(flag)),
    };
    let mut acl = Vec::new();
    for _ in 0..cursor.u32()? {
        acl.push(AclEntry {
            permissions: Permissions(cursor.u32()?),
            who: Identity {
                scheme: text(cursor)?,
                id: text(cursor)?,
            },
        });
    }
    Ok(ImportedNode {
        path,
        data,
        acl,
        stat: stat(cursor)?,
    })
}

fn piece<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], Short> {
    let length = cursor.u32()? as usize;
    cursor.take(length)
}

fn text(cursor: &mut Cursor<'_>) -> Result<Box<str>, Malformed> {
    let text = std::str::from_utf8(piece(cursor)?).map_err(|_| Malformed::NotText)?;
    Ok(text.into())
}

fn stat(cursor: &mut Cursor<'_>) -> Result<Stat, Short> {
    Ok(Stat {
        created_zxid: Zxid(cursor.u64()?),
        modified_zxid: Zxid(cursor.u64()?),
        children_zxid: Zxid(cursor.u64()?),
        created: Millis(cursor.u64()?),
        modified: Millis(cursor.u64()?),
        owner: cursor.u64()?,
        version: cursor.u32()? as i32,
        children_version: cursor.u32()? as i32,
        acl_version: cursor.u32()? as i32,
        data_length: cursor.u32()? as i32,
        children: cursor.u32()? as i32,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes() -> Vec<ImportedNode> {
        let stat = Stat {
            created_zxid: Zxid(1),
            modified_zxid: Zxid(2),
            created: Millis(3),
            modified: Millis(4),
            version: -5,
            children_version: 6,
            acl_version: 7,
            owner: u64::MAX,
            data_length: 9,
            children: 10,
            children_zxid: Zxid(11),
        };
        let node = |path: &str, data: Option<&[u8]>, entries: u32| ImportedNode {
            path: path.into(),
            data: data.into(),
            acl: (0..entries)
                .map(|number| AclEntry {
                    permissions: Permissions(number),
                    who: Identity::new("digest", &format!("u{number}:h")),
                })
                .collect(),
            stat,
        };
        vec![
            node("/", Some(b""), 0),
            node("/é", Some(&[0, 255, 1]), 3),
            node("/nothing", None, 1),
        ]
    }

    #[test]
    fn a_batch_comes_back_and_a_cut_or_longer_one_does_not() {
        let bytes = encode(&nodes());
        assert_eq!(decode(&bytes), Ok(nodes()));
        for length in 0..bytes.len() {
            assert!(matches!(decode(&bytes[..length]), Err(Malformed::Short(_))));
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(decode(&longer), Err(Malformed::Rest(1)));
        assert_eq!(decode(&[9]), Err(Malformed::Version(9)));
    }

    #[test]
    fn a_declared_count_takes_nothing() {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(decode(&bytes), Err(Malformed::Short(_))));
    }
}
