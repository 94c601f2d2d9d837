//! Bytes to messages and entries, and back: for peers and for the disk.
//!
//! Our own encoding, little endian, with its version in front. The library's
//! protobuf never sees a stranger's bytes: changes of members, which it keeps
//! as protobuf inside an entry, are translated here both ways. What it does
//! not do for us does not parse: proposals and transfers asked for by a peer,
//! its requests for snapshots, its priorities, its local messages.
//!
//! ```text
//! message   version u8, kind u8, reject u8, from, to, term, log term, index,
//!           commit, commit term, reject hint u64, context length u8, context,
//!           entries count u32, entries, snapshot if the kind has one
//! entry     term, index u64, kind u8, length u32, bytes
//! change    count u8, per step: kind u8, node u64
//! members   per list: count u8, nodes u64; then auto leave u8
//! snapshot  index, term u64, members, manifest length u32, manifest
//! ```

use super::entry::{Body, Entry, Hard, Snapshot};
use super::members::{MemberStep, Members, MembersChange};
use crate::ids::{Index, NodeId, Term};
use crate::limits::{
    CONSENSUS_CONTEXT_BYTES_MAX, CONSENSUS_ENTRY_BYTES_MAX, CONSENSUS_MANIFEST_BYTES_MAX,
    CONSENSUS_MEMBERS_MAX,
};
use crate::wire::{Cursor, Short};
use bytes::Bytes;
use raft::eraftpb::{Message, MessageType};
use std::fmt;

pub const VERSION: u8 = 1;
/// Term, index, kind and length: the least that an entry takes.
const ENTRY_BYTES_MIN: usize = 8 + 8 + 1 + 4;
/// A read's context: node, boot, counter.
pub(super) const READ_ID_BYTES: usize = 24;

/// Why bytes are no message, entry or record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unparsed {
    Short(Short),
    Version {
        found: u8,
        known: u8,
    },
    Kind(u8),
    TooMany {
        found: usize,
        max: usize,
    },
    Left(usize),
    /// Each field parses; together they are nothing a node would send.
    Senseless(&'static str),
}

impl From<Short> for Unparsed {
    fn from(short: Short) -> Self {
        Self::Short(short)
    }
}

impl fmt::Display for Unparsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short(short) => write!(f, "{short}"),
            Self::Version { found, known } => {
                write!(f, "version {found} where {known} is known")
            }
            Self::Kind(kind) => write!(f, "kind {kind} is not known"),
            Self::TooMany { found, max } => write!(f, "{found} where {max} is the most"),
            Self::Left(bytes) => write!(f, "{bytes} bytes too many"),
            Self::Senseless(what) => write!(f, "{what}"),
        }
    }
}

impl std::error::Error for Unparsed {}

/// The kinds of message that nodes exchange, with their numbers on the wire.
const KINDS: &[(u8, MessageType)] = &[
    (1, MessageType::MsgAppend),
    (2, MessageType::MsgAppendResponse),
    (3, MessageType::MsgRequestVote),
    (4, MessageType::MsgRequestVoteResponse),
    (5, MessageType::MsgSnapshot),
    (6, MessageType::MsgHeartbeat),
    (7, MessageType::MsgHeartbeatResponse),
    (8, MessageType::MsgTimeoutNow),
    (9, MessageType::MsgReadIndex),
    (10, MessageType::MsgReadIndexResp),
    (11, MessageType::MsgRequestPreVote),
    (12, MessageType::MsgRequestPreVoteResponse),
];

/// None for what this node keeps to itself.
pub(super) fn encode_message(message: &Message) -> Option<Vec<u8>> {
    let &(kind, _) = KINDS.iter().find(|(_, kind)| *kind == message.msg_type)?;
    let carried: usize = message.entries.iter().map(|entry| entry.data.len()).sum();
    let mut bytes = Vec::with_capacity(128 + message.entries.len() * ENTRY_BYTES_MIN + carried);
    bytes.extend_from_slice(&[VERSION, kind, u8::from(message.reject)]);
    for number in [
        message.from,
        message.to,
        message.term,
        message.log_term,
        message.index,
        message.commit,
        message.commit_term,
        message.reject_hint,
    ] {
        put_u64(&mut bytes, number);
    }
    assert!(message.context.len() <= CONSENSUS_CONTEXT_BYTES_MAX);
    bytes.push(message.context.len() as u8);
    bytes.extend_from_slice(&message.context);
    put_u32(&mut bytes, message.entries.len());
    for entry in message.entries.iter() {
        put_entry(&mut bytes, &Entry::from_raft(entry));
    }
    if message.msg_type == MessageType::MsgSnapshot {
        put_snapshot(&mut bytes, &Snapshot::from_raft(message.get_snapshot()));
    }
    Some(bytes)
}

pub(super) fn parse_message(bytes: &[u8]) -> Result<Message, Unparsed> {
    let cursor = &mut Cursor::new(bytes);
    let kind = take_kind(cursor)?;
    let mut message = Message::default();
    message.msg_type = kind;
    message.reject = take_bool(cursor)?;
    message.from = cursor.u64()?;
    message.to = cursor.u64()?;
    message.term = cursor.u64()?;
    message.log_term = cursor.u64()?;
    message.index = cursor.u64()?;
    message.commit = cursor.u64()?;
    message.commit_term = cursor.u64()?;
    message.reject_hint = cursor.u64()?;
    let length = at_most(usize::from(cursor.u8()?), CONSENSUS_CONTEXT_BYTES_MAX)?;
    message.context = Bytes::copy_from_slice(cursor.take(length)?);
    let count = cursor.u32()? as usize;
    at_most(count, cursor.left() / ENTRY_BYTES_MIN)?;
    for _ in 0..count {
        let entry = take_entry(cursor)?;
        message.mut_entries().push(entry.into_raft());
    }
    if kind == MessageType::MsgSnapshot {
        message.set_snapshot(take_snapshot(cursor)?.to_raft());
    }
    nothing_left(cursor)?;
    check_sense(&message)?;
    Ok(message)
}

/// Parses a message and writes it again: what parses has one form only. For
/// tests, which may not name the library's type.
pub fn rewrite_message(bytes: &[u8]) -> Result<Vec<u8>, Unparsed> {
    let message = parse_message(bytes)?;
    Ok(encode_message(&message).expect("a kind that parses is one that is sent"))
}

/// What a message is, for a reader that holds some back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// To be stepped only once the chunks that the manifest names are here.
    Snapshot {
        index: Index,
        term: Term,
        manifest: Vec<u8>,
    },
    Other,
}

pub(super) fn peek(bytes: &[u8]) -> Result<Kind, Unparsed> {
    if take_kind(&mut Cursor::new(bytes))? != MessageType::MsgSnapshot {
        return Ok(Kind::Other);
    }
    let snapshot = Snapshot::from_raft(parse_message(bytes)?.get_snapshot());
    Ok(Kind::Snapshot {
        index: snapshot.index,
        term: snapshot.term,
        manifest: snapshot.manifest,
    })
}

/// Refuses what the library would stop the process for, or take for a message
/// of its own making.
fn check_sense(message: &Message) -> Result<(), Unparsed> {
    use MessageType::{MsgAppend, MsgReadIndex, MsgReadIndexResp};
    let sense = |holds: bool, what| holds.then_some(()).ok_or(Unparsed::Senseless(what));
    sense(
        message.from != 0 && message.to != 0,
        "a node has no number 0",
    )?;
    // Term 0 marks the library's local messages, whose term it does not check.
    let has_term = message.msg_type != MsgReadIndex;
    sense(
        has_term == (message.term != 0),
        "a term that does not fit the kind",
    )?;
    match message.msg_type {
        MsgAppend => {
            // The library takes entry 0, and any that it does not have, for
            // entries of term 0: it would find its log to reach this far.
            sense(
                (message.log_term == 0) == (message.index == 0),
                "an entry without its term",
            )?;
            let mut at = (message.log_term, message.index);
            for entry in message.entries.iter() {
                sense(
                    Some(entry.index) == at.1.checked_add(1),
                    "entries with a gap",
                )?;
                sense(
                    entry.term >= at.0.max(1) && entry.term <= message.term,
                    "a term falls",
                )?;
                at = (entry.term, entry.index);
            }
            Ok(())
        }
        MsgReadIndex | MsgReadIndexResp => {
            let is_read = |entry: &raft::eraftpb::Entry| entry.data.len() == READ_ID_BYTES;
            sense(
                message.entries.len() == 1 && message.entries.iter().all(is_read),
                "a read without its id",
            )
        }
        _ => sense(message.entries.is_empty(), "entries where none belong"),
    }
}

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
                term: Term(cursor.u64()?),
                vote: Some(NodeId(cursor.u64()?)).filter(|node| node.0 != 0),
                commit: Index(cursor.u64()?),
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

fn put_entry(bytes: &mut Vec<u8>, entry: &Entry) {
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

fn take_entry(cursor: &mut Cursor<'_>) -> Result<Entry, Unparsed> {
    let term = Term(cursor.u64()?);
    let index = Index(cursor.u64()?);
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

fn put_snapshot(bytes: &mut Vec<u8>, snapshot: &Snapshot) {
    put_u64(bytes, snapshot.index.0);
    put_u64(bytes, snapshot.term.0);
    put_members(bytes, &snapshot.members);
    assert!(snapshot.manifest.len() <= CONSENSUS_MANIFEST_BYTES_MAX);
    put_u32(bytes, snapshot.manifest.len());
    bytes.extend_from_slice(&snapshot.manifest);
}

fn take_snapshot(cursor: &mut Cursor<'_>) -> Result<Snapshot, Unparsed> {
    let index = Index(cursor.u64()?);
    let term = Term(cursor.u64()?);
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

fn take_version(cursor: &mut Cursor<'_>) -> Result<(), Unparsed> {
    match cursor.u8()? {
        VERSION => Ok(()),
        found => Err(Unparsed::Version {
            found,
            known: VERSION,
        }),
    }
}

fn take_kind(cursor: &mut Cursor<'_>) -> Result<MessageType, Unparsed> {
    take_version(cursor)?;
    let number = cursor.u8()?;
    let known = KINDS.iter().find(|(known, _)| *known == number);
    known.map(|&(_, kind)| kind).ok_or(Unparsed::Kind(number))
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

fn take_bool(cursor: &mut Cursor<'_>) -> Result<bool, Unparsed> {
    match cursor.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Unparsed::Senseless("neither yes nor no")),
    }
}

fn at_most(found: usize, max: usize) -> Result<usize, Unparsed> {
    if found > max {
        return Err(Unparsed::TooMany { found, max });
    }
    Ok(found)
}

fn nothing_left(cursor: &Cursor<'_>) -> Result<(), Unparsed> {
    match cursor.left() {
        0 => Ok(()),
        bytes => Err(Unparsed::Left(bytes)),
    }
}

fn put_u64(bytes: &mut Vec<u8>, number: u64) {
    bytes.extend_from_slice(&number.to_le_bytes());
}

/// Lengths that were checked against their bound where they arose.
fn put_u32(bytes: &mut Vec<u8>, number: usize) {
    let number = u32::try_from(number).expect("bounded far below");
    bytes.extend_from_slice(&number.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::Seeded;

    fn nodes(dice: &mut Seeded, from: u64, max: u64) -> Vec<NodeId> {
        (0..dice.below(max + 1))
            .map(|at| NodeId(from + at))
            .collect()
    }

    fn members(dice: &mut Seeded) -> Members {
        let voters = (1..2 + dice.below(7)).map(NodeId).collect();
        let outgoing = nodes(dice, 20, 4);
        Members {
            voters,
            learners: nodes(dice, 40, 4),
            learners_next: outgoing
                .iter()
                .copied()
                .filter(|_| dice.one_in(2))
                .collect(),
            auto_leave: !outgoing.is_empty() && dice.one_in(2),
            outgoing,
        }
    }

    fn body(dice: &mut Seeded) -> Body {
        match dice.below(3) {
            0 => Body::Empty,
            1 => Body::Data(vec![dice.below(256) as u8; 1 + dice.below(300) as usize].into()),
            _ => {
                let steps = (0..dice.below(4)).map(|_| {
                    let node = NodeId(1 + dice.below(u64::MAX));
                    match dice.below(3) {
                        0 => MemberStep::Learner(node),
                        1 => MemberStep::Voter(node),
                        _ => MemberStep::Remove(node),
                    }
                });
                Body::Members(MembersChange {
                    steps: steps.collect(),
                })
            }
        }
    }

    fn entry(dice: &mut Seeded, index: u64, term: u64) -> Entry {
        Entry {
            term: Term(term),
            index: Index(index),
            body: body(dice),
        }
    }

    fn snapshot(dice: &mut Seeded) -> Snapshot {
        Snapshot {
            index: Index(1 + dice.below(u64::MAX)),
            term: Term(1 + dice.below(9)),
            members: members(dice),
            manifest: vec![9; dice.below(2000) as usize],
        }
    }

    fn message(dice: &mut Seeded) -> Message {
        let (_, kind) = KINDS[dice.below(KINDS.len() as u64) as usize];
        let mut message = Message::default();
        message.msg_type = kind;
        message.from = 1 + dice.below(9);
        message.to = 1 + dice.below(u64::MAX);
        message.term = if kind == MessageType::MsgReadIndex {
            0
        } else {
            100 + dice.below(9)
        };
        message.log_term = 1 + dice.below(97);
        message.index = 1 + dice.below(u64::MAX / 2);
        message.commit = dice.next_u64();
        message.commit_term = dice.next_u64();
        message.reject = dice.one_in(2);
        message.reject_hint = dice.next_u64();
        message.context = vec![3; dice.below(65) as usize].into();
        match kind {
            MessageType::MsgAppend => {
                for at in 1..1 + dice.below(5) {
                    let entry = entry(dice, message.index + at, message.log_term + at / 2);
                    message.mut_entries().push(entry.into_raft());
                }
            }
            MessageType::MsgReadIndex | MessageType::MsgReadIndexResp => {
                let mut entry = raft::eraftpb::Entry::default();
                entry.data = vec![5; READ_ID_BYTES].into();
                message.mut_entries().push(entry);
            }
            MessageType::MsgSnapshot => message.set_snapshot(snapshot(dice).to_raft()),
            _ => {}
        }
        message
    }

    #[test]
    fn every_message_comes_back_as_it_went() {
        let dice = &mut Seeded::new(11);
        for _ in 0..5000 {
            let sent = message(dice);
            let bytes = encode_message(&sent).unwrap();
            assert_eq!(parse_message(&bytes), Ok(sent.clone()));
            match peek(&bytes).unwrap() {
                Kind::Snapshot {
                    index,
                    term,
                    manifest,
                } => {
                    let about = sent.get_snapshot();
                    assert_eq!(
                        (index.0, term.0),
                        (about.get_metadata().index, about.get_metadata().term)
                    );
                    assert_eq!(manifest, about.data);
                }
                Kind::Other => assert_ne!(sent.msg_type, MessageType::MsgSnapshot),
            }
        }
    }

    #[test]
    fn every_record_comes_back_as_it_went() {
        let dice = &mut Seeded::new(12);
        for index in 1..2000 {
            let entry = entry(dice, index, 3);
            assert_eq!(Entry::parse(&entry.encode()), Ok(entry));
            let snapshot = snapshot(dice);
            assert_eq!(
                Members::parse(&snapshot.members.encode()),
                Ok(snapshot.members.clone())
            );
            assert_eq!(Snapshot::parse(&snapshot.encode()), Ok(snapshot));
            let hard = Hard {
                term: Term(dice.next_u64()),
                vote: Some(NodeId(dice.below(3))).filter(|node| node.0 > 0),
                commit: Index(dice.next_u64()),
            };
            assert_eq!(Hard::parse(&hard.encode()), Ok(hard));
        }
    }

    /// Cut short, made longer, or with bytes changed: it is refused or parses
    /// to something that encodes back to the same, and nothing else happens.
    #[test]
    fn damaged_bytes_are_refused_or_mean_what_they_say() {
        let dice = &mut Seeded::new(13);
        let mut refused = 0;
        for _ in 0..20_000 {
            let mut bytes = encode_message(&message(dice)).unwrap();
            match dice.below(3) {
                0 => bytes.truncate(dice.below(bytes.len() as u64) as usize),
                1 => bytes.push(0),
                _ => {
                    let at = dice.below(bytes.len() as u64) as usize;
                    bytes[at] ^= 1 << dice.below(8);
                }
            }
            match parse_message(&bytes) {
                Ok(message) => assert_eq!(encode_message(&message), Some(bytes)),
                Err(_) => refused += 1,
            }
        }
        assert!(refused > 13_000, "{refused}");
    }

    #[test]
    fn what_no_peer_may_ask_does_not_parse() {
        let mut bytes = encode_message(&message(&mut Seeded::new(1))).unwrap();
        let known: Vec<u8> = KINDS.iter().map(|(number, _)| *number).collect();
        for kind in (0..=255).filter(|kind| !known.contains(kind)) {
            bytes[1] = kind;
            assert_eq!(parse_message(&bytes), Err(Unparsed::Kind(kind)));
        }
        for kind in [
            MessageType::MsgPropose,
            MessageType::MsgTransferLeader,
            MessageType::MsgHup,
            MessageType::MsgBeat,
            MessageType::MsgUnreachable,
            MessageType::MsgSnapStatus,
            MessageType::MsgCheckQuorum,
        ] {
            let mut message = Message::default();
            message.msg_type = kind;
            assert_eq!(encode_message(&message), None);
        }
    }

    /// Entry 0 alone has term 0, and the library takes each entry that it does
    /// not have for one of term 0.
    #[test]
    fn entries_behind_one_without_a_term_do_not_parse() {
        let mut message = Message::default();
        message.msg_type = MessageType::MsgAppend;
        (message.from, message.to, message.term) = (2, 1, 5);
        let parses = |message: &Message| parse_message(&encode_message(message).unwrap()).is_ok();
        assert!(parses(&message));
        message.index = 9;
        assert!(!parses(&message));
        message.log_term = 3;
        assert!(parses(&message));
        (message.index, message.log_term) = (0, 0);
        let first = |term| Entry {
            term: Term(term),
            index: Index(1),
            body: Body::Empty,
        };
        message.mut_entries().push(first(1).into_raft());
        assert!(parses(&message));
        message.mut_entries()[0] = first(0).into_raft();
        assert!(!parses(&message));
    }

    #[test]
    fn a_declared_count_allocates_nothing() {
        let mut bytes = encode_message(&message(&mut Seeded::new(2))).unwrap();
        let at = 3 + 8 * 8;
        bytes.truncate(at);
        bytes.push(0);
        bytes.extend_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(
            parse_message(&bytes),
            Err(Unparsed::TooMany {
                found: u32::MAX as usize,
                max: 0
            })
        );
    }

    #[test]
    fn an_unknown_version_is_refused_with_both_numbers() {
        let mut bytes = Hard::default().encode();
        bytes[0] = 2;
        let unknown = Unparsed::Version { found: 2, known: 1 };
        assert_eq!(Hard::parse(&bytes), Err(unknown));
    }
}
