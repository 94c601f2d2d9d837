//! What the log and the snapshots are made of, on the disk and in messages.

use super::{
    Unparsed, VERSION, at_most, nothing_left, put_u32, put_u64, take_bool, take_number,
    take_version,
};
use crate::consensus::entry::{Body, Entry, Hard, Snapshot};
use crate::consensus::members::{MemberStep, Members, MembersChange};
use crate::ids::{Index, NodeId, Term};
use crate::limits::{
    CONSENSUS_ENTRY_BYTES_MAX, CONSENSUS_MANIFEST_BYTES_MAX, CONSENSUS_MEMBERS_MAX,
};
use crate::wire::Cursor;
use bytes::Bytes;

/// Term, index, kind and length: the least that an entry takes.
pub(super) const ENTRY_BYTES_MIN: usize = 8 + 8 + 1 + 4;

impl Entry {
    /// The form on disk.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        put_entry(&mut bytes, self);
        bytes
    }

    pub fn parse(bytes: &[u8]) -> Result<Self, Unparsed> {
        whole(bytes, take_entry)
    }
}

impl Hard {
    /// The form on disk.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        put_u64(&mut bytes, self.term.0);
        put_u64(&mut bytes, self.vote.map_or(0, |node| node.0));
        put_u64(&mut bytes, self.commit.0);
        bytes
    }

    pub fn parse(bytes: &[u8]) -> Result<Self, Unparsed> {
        whole(bytes, |cursor| {
            Ok(Self {
                term: Term(take_number(cursor)?),
                vote: Some(NodeId(cursor.u64()?)).filter(|node| node.0 != 0),
                commit: Index(take_number(cursor)?),
            })
        })
    }
}

impl Snapshot {
    /// The form on disk.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        put_snapshot(&mut bytes, self);
        bytes
    }

    pub fn parse(bytes: &[u8]) -> Result<Self, Unparsed> {
        whole(bytes, take_snapshot)
    }
}

impl Members {
    /// The form on disk.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        put_members(&mut bytes, self);
        bytes
    }

    pub fn parse(bytes: &[u8]) -> Result<Self, Unparsed> {
        whole(bytes, take_members)
    }
}

fn whole<T>(
    bytes: &[u8],
    take: impl FnOnce(&mut Cursor<'_>) -> Result<T, Unparsed>,
) -> Result<T, Unparsed> {
    let cursor = &mut Cursor::new(bytes);
    take_version(cursor)?;
    let taken = take(cursor)?;
    nothing_left(cursor)?;
    Ok(taken)
}

pub(super) fn put_entry(bytes: &mut Vec<u8>, entry: &Entry) {
    put_u64(bytes, entry.term.0);
    put_u64(bytes, entry.index.0);
    match &entry.body {
        Body::Empty => {
            bytes.push(0);
            put_u32(bytes, 0);
        }
        Body::Data(data) => {
            bytes.push(1);
            put_u32(bytes, data.len());
            bytes.extend_from_slice(data);
        }
        Body::Members(change) => {
            bytes.push(2);
            put_u32(bytes, 1 + 9 * change.steps.len());
            bytes.push(change.steps.len() as u8);
            for step in &change.steps {
                bytes.push(match step {
                    MemberStep::Learner(_) => 1,
                    MemberStep::Voter(_) => 2,
                    MemberStep::Remove(_) => 3,
                });
                put_u64(bytes, step.node().0);
            }
        }
    }
}

pub(super) fn take_entry(cursor: &mut Cursor<'_>) -> Result<Entry, Unparsed> {
    let term = Term(take_number(cursor)?);
    let index = Index(take_number(cursor)?);
    let kind = cursor.u8()?;
    let length = at_most(cursor.u32()? as usize, CONSENSUS_ENTRY_BYTES_MAX)?;
    let data = cursor.take(length)?;
    let body = match kind {
        0 if data.is_empty() => Body::Empty,
        0 => return Err(Unparsed::Left(data.len())),
        1 if data.is_empty() => return Err(Unparsed::Senseless("a proposal of nothing")),
        1 => Body::Data(Bytes::copy_from_slice(data)),
        2 => Body::Members(take_change(data)?),
        kind => return Err(Unparsed::Kind(kind)),
    };
    Ok(Entry { term, index, body })
}

fn take_change(data: &[u8]) -> Result<MembersChange, Unparsed> {
    let cursor = &mut Cursor::new(data);
    let count = at_most(usize::from(cursor.u8()?), CONSENSUS_MEMBERS_MAX)?;
    let mut steps = Vec::new();
    for _ in 0..count {
        let kind = cursor.u8()?;
        let node = NodeId(cursor.u64()?);
        if node.0 == 0 {
            return Err(Unparsed::Senseless("a node has no number 0"));
        }
        steps.push(match kind {
            1 => MemberStep::Learner(node),
            2 => MemberStep::Voter(node),
            3 => MemberStep::Remove(node),
            kind => return Err(Unparsed::Kind(kind)),
        });
    }
    nothing_left(cursor)?;
    Ok(MembersChange { steps })
}

fn put_members(bytes: &mut Vec<u8>, members: &Members) {
    for list in [
        &members.voters,
        &members.learners,
        &members.outgoing,
        &members.learners_next,
    ] {
        assert!(list.len() <= CONSENSUS_MEMBERS_MAX);
        bytes.push(list.len() as u8);
        list.iter().for_each(|node| put_u64(bytes, node.0));
    }
    bytes.push(u8::from(members.auto_leave));
}

fn take_members(cursor: &mut Cursor<'_>) -> Result<Members, Unparsed> {
    let mut list = || {
        let count = at_most(usize::from(cursor.u8()?), CONSENSUS_MEMBERS_MAX)?;
        (0..count)
            .map(|_| Ok(NodeId(cursor.u64()?)))
            .collect::<Result<Vec<_>, Unparsed>>()
    };
    let members = Members {
        voters: list()?,
        learners: list()?,
        outgoing: list()?,
        learners_next: list()?,
        auto_leave: take_bool(cursor)?,
    };
    if !members.are_sound() {
        return Err(Unparsed::Senseless("members that no changes lead to"));
    }
    Ok(members)
}

pub(super) fn put_snapshot(bytes: &mut Vec<u8>, snapshot: &Snapshot) {
    put_u64(bytes, snapshot.index.0);
    put_u64(bytes, snapshot.term.0);
    put_members(bytes, &snapshot.members);
    assert!(snapshot.manifest.len() <= CONSENSUS_MANIFEST_BYTES_MAX);
    put_u32(bytes, snapshot.manifest.len());
    bytes.extend_from_slice(&snapshot.manifest);
}

pub(super) fn take_snapshot(cursor: &mut Cursor<'_>) -> Result<Snapshot, Unparsed> {
    let index = Index(take_number(cursor)?);
    let term = Term(take_number(cursor)?);
    if index.0 == 0 || term.0 == 0 {
        return Err(Unparsed::Senseless("a snapshot of nothing"));
    }
    let members = take_members(cursor)?;
    let length = at_most(cursor.u32()? as usize, CONSENSUS_MANIFEST_BYTES_MAX)?;
    Ok(Snapshot {
        index,
        term,
        members,
        manifest: cursor.take(length)?.to_vec(),
    })
}
