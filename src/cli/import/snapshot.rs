//! A snapshot of ZooKeeper: an opening, the sessions, the access lists, the
//! nodes with parents first, closed by `/`. Behind it stands a seal: the
//! Adler-32 of everything so far. Servers since 3.6 add a digest with a seal of
//! its own, those since 3.9 the last zxid with another.

use super::jute::{Damage, Fault, Reader, opening};
use super::tree::{Figures, Node, Tree};
use super::txn::is_path;
use crate::ids::Zxid;
use crate::state::{Acl, AclEntry, Identity, Permissions};
use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;
use std::sync::Arc;

const MAGIC: &str = "ZKSN";
/// The number of the list that everybody may do everything.
const OPEN_TO_ALL: i64 = -1;
/// Digests before this version are written as text.
const DIGEST_AS_NUMBER: i32 = 2;

/// Reads a whole snapshot, uncompressed.
pub fn read(source: impl BufRead) -> Result<Tree, Damage> {
    let mut reader = Reader::new(source);
    parse(&mut reader).map_err(|fault| reader.damage(fault))
}

fn parse<R: BufRead>(reader: &mut Reader<R>) -> Result<Tree, Fault> {
    opening(reader, MAGIC)?;
    let mut tree = Tree::default();
    for _ in 0..reader.count()? {
        tree.open_session(reader.u64()?, reader.i32()?);
    }
    let acls = acls(reader, &mut tree)?;
    loop {
        let path = reader.text()?;
        if &*path == "/" {
            break;
        }
        let (path, node) = node(reader, path, &acls)?;
        tree.place(path, node)?;
    }
    seal(reader)?;
    trailers(reader)?;
    Ok(tree)
}

type Acls = BTreeMap<i64, Arc<Acl>>;

fn acls<R: BufRead>(reader: &mut Reader<R>, tree: &mut Tree) -> Result<Acls, Fault> {
    let open_to_all = AclEntry {
        permissions: Permissions::ALL,
        who: Identity::new("world", "anyone"),
    };
    let mut acls = Acls::from([(OPEN_TO_ALL, tree.share(vec![open_to_all]))]);
    for _ in 0..reader.count()? {
        let number = reader.i64()?;
        let acl = reader.acl()?;
        acls.insert(number, tree.share(acl));
    }
    Ok(acls)
}

/// The root's path is written as nothing, because `/` is the end.
fn node<R: BufRead>(
    reader: &mut Reader<R>,
    path: Box<str>,
    acls: &Acls,
) -> Result<(Box<str>, Node), Fault> {
    let path = match &*path {
        "" => "/".into(),
        written if is_path(written) => path,
        _ => return Err(Fault::Path(path)),
    };
    let data = reader.data()?;
    let acl = reader.i64()?;
    let figures = Figures {
        created_zxid: Zxid(reader.u64()?),
        modified_zxid: Zxid(reader.u64()?),
        created: reader.i64()?,
        modified: reader.i64()?,
        version: reader.i32()?,
        creates: reader.i32()?,
        acl_version: reader.i32()?,
        owner: reader.u64()?,
        children_zxid: Zxid(reader.u64()?),
    };
    let node = Node {
        data,
        acl: acls.get(&acl).cloned(),
        figures,
        children: BTreeSet::new(),
    };
    Ok((path, node))
}

/// The sum covers everything before it, earlier seals too.
fn seal<R: BufRead>(reader: &mut Reader<R>) -> Result<(), Fault> {
    let counted = reader.sum();
    let written = reader.u64()?;
    if written != u64::from(counted) {
        return Err(Fault::Checksum { written, counted });
    }
    match &*reader.text()? {
        "/" => Ok(()),
        _ => Err(Fault::Seal),
    }
}

/// Which trailers there are is told by nothing but their bytes. A digest
/// begins with a zxid and a small version; a lone zxid is followed by its seal,
/// whose first four bytes are zero, as no version is.
fn trailers<R: BufRead>(reader: &mut Reader<R>) -> Result<(), Fault> {
    while !reader.is_at_end()? {
        let _zxid = reader.u64()?;
        let counted = reader.sum();
        match reader.i32()? {
            0 => lone_seal(reader, counted)?,
            version => {
                match version < DIGEST_AS_NUMBER {
                    true => drop(reader.text()?),
                    false => drop(reader.u64()?),
                }
                seal(reader)?;
            }
        }
    }
    Ok(())
}

/// A seal whose first half is read.
fn lone_seal<R: BufRead>(reader: &mut Reader<R>, counted: u32) -> Result<(), Fault> {
    let written = u64::from(u32::from_be_bytes(reader.array()?));
    if written != u64::from(counted) {
        return Err(Fault::Checksum { written, counted });
    }
    match &*reader.text()? {
        "/" => Ok(()),
        _ => Err(Fault::Seal),
    }
}
