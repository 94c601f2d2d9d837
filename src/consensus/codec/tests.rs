//! What goes comes back, and what is damaged or was never sent is refused.

use super::messages::KINDS;
use super::*;
use crate::consensus::entry::{Body, Entry, Hard, Snapshot};
use crate::consensus::members::{MemberStep, Members, MembersChange};
use crate::entropy::Seeded;
use crate::ids::{Index, NodeId, Term};
use raft::eraftpb::{Message, MessageType};

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
        index: Index(1 + dice.below(CONSENSUS_NUMBER_MAX)),
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
    message.index = 1 + dice.below(CONSENSUS_NUMBER_MAX / 2);
    message.commit = dice.below(CONSENSUS_NUMBER_MAX);
    message.commit_term = dice.below(CONSENSUS_NUMBER_MAX);
    message.reject = dice.one_in(2);
    message.reject_hint = dice.below(CONSENSUS_NUMBER_MAX);
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
            term: Term(dice.below(CONSENSUS_NUMBER_MAX)),
            vote: Some(NodeId(dice.below(3))).filter(|node| node.0 > 0),
            commit: Index(dice.below(CONSENSUS_NUMBER_MAX)),
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

/// The library counts on from what it is told.
#[test]
fn numbers_that_nobody_can_count_on_from_do_not_parse() {
    let dice = &mut Seeded::new(3);
    for _ in 0..100 {
        let good = encode_message(&message(dice)).unwrap();
        // Behind sender and receiver, up to the hint.
        for at in (3 + 2 * 8..3 + 8 * 8).step_by(8) {
            let mut bytes = good.clone();
            bytes[at..at + 8].copy_from_slice(&u64::MAX.to_le_bytes());
            assert!(parse_message(&bytes).is_err(), "the number at {at}");
        }
    }
    let mut far = snapshot(dice);
    far.index = Index(CONSENSUS_NUMBER_MAX);
    assert!(Snapshot::parse(&far.encode()).is_ok());
    far.index = Index(u64::MAX);
    assert!(Snapshot::parse(&far.encode()).is_err());
    assert!(Entry::parse(&entry(dice, u64::MAX, 3).encode()).is_err());
    assert!(Entry::parse(&entry(dice, 3, u64::MAX).encode()).is_err());
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
