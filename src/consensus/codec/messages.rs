//! What peers say to each other.

use super::records::{ENTRY_BYTES_MIN, put_entry, put_snapshot, take_entry, take_snapshot};
use super::{
    Unparsed, VERSION, at_most, nothing_left, put_u32, put_u64, take_bool, take_number,
    take_version,
};
use crate::consensus::entry::{Entry, Snapshot};
use crate::ids::{Index, Term};
use crate::limits::CONSENSUS_CONTEXT_BYTES_MAX;
use crate::wire::Cursor;
use bytes::Bytes;
use raft::eraftpb::{Message, MessageType};

/// The context of an append without entries that needs no answer.
pub(in crate::consensus) const NO_ANSWER: &[u8] = &[1];

pub(in crate::consensus) fn wants_no_answer(message: &Message) -> bool {
    let is_append = message.msg_type == MessageType::MsgAppend;
    is_append && message.entries.is_empty() && message.context == NO_ANSWER
}

/// A read's context: node, boot, counter.
pub(in crate::consensus) const READ_ID_BYTES: usize = 24;

/// The kinds of message that nodes exchange, with their numbers on the wire.
pub(super) const KINDS: &[(u8, MessageType)] = &[
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
pub(in crate::consensus) fn encode_message(message: &Message) -> Option<Vec<u8>> {
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

pub(in crate::consensus) fn parse_message(bytes: &[u8]) -> Result<Message, Unparsed> {
    let cursor = &mut Cursor::new(bytes);
    let kind = take_kind(cursor)?;
    let mut message = Message::default();
    message.msg_type = kind;
    message.reject = take_bool(cursor)?;
    message.from = cursor.u64()?;
    message.to = cursor.u64()?;
    message.term = take_number(cursor)?;
    message.log_term = take_number(cursor)?;
    message.index = take_number(cursor)?;
    message.commit = take_number(cursor)?;
    message.commit_term = take_number(cursor)?;
    message.reject_hint = take_number(cursor)?;
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

pub(in crate::consensus) fn peek(bytes: &[u8]) -> Result<Kind, Unparsed> {
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

fn take_kind(cursor: &mut Cursor<'_>) -> Result<MessageType, Unparsed> {
    take_version(cursor)?;
    let number = cursor.u8()?;
    let known = KINDS.iter().find(|(known, _)| *known == number);
    known.map(|&(_, kind)| kind).ok_or(Unparsed::Kind(number))
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
