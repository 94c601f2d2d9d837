//! One node, and messages made by hand: what only the right moment shows.

use super::codec::{self, encode_message};
use super::*;
use crate::ids::{Index, NodeId, Term};
use raft::eraftpb::{Message, MessageType};

const OWN: NodeId = NodeId(1);

fn settings() -> Settings {
    Settings {
        node: OWN,
        seed: 5,
        election_ticks: 10,
        heartbeat_ticks: 2,
        inflight_max: 16,
        message_bytes_max: 1 << 16,
        uncommitted_bytes_max: 1 << 20,
        window_bytes: 1 << 20,
    }
}

fn snapshot(index: u64, term: u64, voters: u64) -> Snapshot {
    Snapshot {
        index: Index(index),
        term: Term(term),
        members: Members::of_voters((1..=voters).map(NodeId)),
        manifest: vec![1],
    }
}

fn founded(voters: u64) -> Consensus {
    let founding = snapshot(1, 1, voters);
    Consensus::new(
        settings(),
        Hard::default(),
        Some(founding),
        Vec::new(),
        Index(1),
    )
    .unwrap()
}

/// Takes all work, and has it durable and applied at once.
fn settle(consensus: &mut Consensus) -> Vec<Ready> {
    let mut turns = Vec::new();
    while let Some(turn) = consensus.take_ready() {
        consensus.persisted(turn.number);
        let snapshot = turn.snapshot.iter().map(|snapshot| snapshot.index);
        let last = turn.committed.last().map(|entry| entry.index);
        if let Some(index) = snapshot.chain(last).max() {
            consensus.applied(index);
        }
        turns.push(turn);
    }
    turns
}

fn message(kind: MessageType, from: u64, term: u64) -> Message {
    let mut message = Message::default();
    message.msg_type = kind;
    message.from = from;
    message.to = OWN.0;
    message.term = term;
    message
}

fn step(consensus: &mut Consensus, message: &Message) -> Result<(), StepError> {
    let bytes = encode_message(message).expect("a kind that nodes exchange");
    consensus.step(NodeId(message.from), &bytes)
}

fn answer(index: u64, reject_hint: Option<u64>) -> Message {
    let mut answer = message(MessageType::MsgAppendResponse, 2, 2);
    answer.index = index;
    answer.reject = reject_hint.is_some();
    answer.reject_hint = reject_hint.unwrap_or(0);
    answer
}

/// Node 1 of three, leader of term 2; entry 2 begins it.
fn leader() -> Consensus {
    let mut consensus = founded(3);
    while consensus.standing().role != Role::Candidate {
        consensus.tick();
    }
    settle(&mut consensus);
    for kind in [
        MessageType::MsgRequestPreVoteResponse,
        MessageType::MsgRequestVoteResponse,
    ] {
        step(&mut consensus, &message(kind, 2, 2)).unwrap();
        settle(&mut consensus);
    }
    assert_eq!(consensus.standing().role, Role::Leader);
    consensus
}

fn next_of_two(consensus: &Consensus) -> u64 {
    let peers = consensus.status().peers;
    let two = peers.iter().find(|peer| peer.node == NodeId(2));
    two.expect("node 2 is a member").next.0
}

#[test]
fn an_overtaken_rejection_takes_nothing_back() {
    let mut leader = leader();
    for data in [1, 2] {
        leader.propose(vec![data]).unwrap();
    }
    step(&mut leader, &answer(4, None)).unwrap();
    leader.report_unreachable(NodeId(2));
    settle(&mut leader);
    assert_eq!(next_of_two(&leader), 5);
    // From when node 2 had entry 1 only; it would pass for an answer to the
    // probe behind entry 4.
    step(&mut leader, &answer(4, Some(1))).unwrap();
    assert_eq!(next_of_two(&leader), 5);
}

#[test]
fn a_leader_knows_its_log_better_than_its_followers_do() {
    let mut leader = leader();
    let beyond = StepError::BeyondLog {
        says: Index(9),
        last: Index(2),
    };
    assert_eq!(step(&mut leader, &answer(9, None)), Err(beyond));
}

#[test]
fn who_pretends_or_errs_is_refused() {
    let mut leader = leader();
    let mut heartbeat = message(MessageType::MsgHeartbeat, 2, 3);
    let bytes = encode_message(&heartbeat).unwrap();
    let impersonates = StepError::Impersonates {
        claimed: NodeId(2),
        from: NodeId(3),
    };
    assert_eq!(leader.step(NodeId(3), &bytes), Err(impersonates));
    heartbeat.to = 2;
    let astray = StepError::NotForUs { to: NodeId(2) };
    assert_eq!(step(&mut leader, &heartbeat), Err(astray));
    let mut stranger = answer(2, None);
    stranger.from = 9;
    let refused = Err(StepError::Stranger(NodeId(9)));
    assert_eq!(step(&mut leader, &stranger), refused);
    heartbeat = message(MessageType::MsgHeartbeat, 2, 3);
    heartbeat.commit = 3;
    let beyond = StepError::BeyondLog {
        says: Index(3),
        last: Index(2),
    };
    assert_eq!(step(&mut leader, &heartbeat), Err(beyond));
    assert_eq!(leader.standing().term, Term(2));
}

#[test]
fn a_snapshot_that_is_not_applied_keeps_a_node_from_campaigning() {
    let mut node = founded(3);
    settle(&mut node);
    let mut sent = message(MessageType::MsgSnapshot, 2, 4);
    sent.set_snapshot(snapshot(50, 3, 3).to_raft());
    step(&mut node, &sent).unwrap();
    let turn = node.take_ready().unwrap();
    assert_eq!(turn.snapshot, Some(snapshot(50, 3, 3)));
    node.persisted(turn.number);
    for _ in 0..50 {
        node.tick();
    }
    step(&mut node, &message(MessageType::MsgTimeoutNow, 2, 4)).unwrap();
    assert_eq!(node.standing().role, Role::Follower);
    node.applied(Index(50));
    for _ in 0..20 {
        node.tick();
    }
    assert_eq!(node.standing().role, Role::Candidate);
}

#[test]
fn a_vote_leaves_only_once_it_is_durable() {
    let mut node = founded(3);
    settle(&mut node);
    let mut asked = message(MessageType::MsgRequestVote, 2, 5);
    asked.index = 1;
    asked.log_term = 1;
    step(&mut node, &asked).unwrap();
    let turn = node.take_ready().unwrap();
    assert!(turn.send_now.is_empty() && turn.must_sync);
    assert_eq!(turn.send_when_persisted.len(), 1);
    let hard = turn.hard.unwrap();
    assert_eq!((hard.term, hard.vote), (Term(5), Some(NodeId(2))));
}

#[test]
fn a_leader_sends_what_its_own_disk_still_writes() {
    let mut leader = leader();
    step(&mut leader, &answer(2, None)).unwrap();
    settle(&mut leader);
    leader.propose(vec![7]).unwrap();
    let turn = leader.take_ready().unwrap();
    assert_eq!(turn.entries.len(), 1);
    assert!(turn.send_when_persisted.is_empty());
    assert_eq!(
        turn.send_now.len(),
        1,
        "node 3 has not answered a probe yet"
    );
    // A majority without this node has it; it is given out only once it is
    // durable here too.
    step(&mut leader, &answer(3, None)).unwrap();
    let mut answer_of_three = answer(3, None);
    answer_of_three.from = 3;
    step(&mut leader, &answer_of_three).unwrap();
    while let Some(next) = leader.take_ready() {
        assert_eq!(next.committed, []);
    }
    leader.persisted(turn.number);
    assert_eq!(leader.take_ready().unwrap().committed, turn.entries);
}

#[test]
fn what_is_not_to_be_proposed_is_refused_in_words() {
    let mut leader = leader();
    let mut change = |steps: &[MemberStep]| {
        leader.change_members(MembersChange {
            steps: steps.to_vec(),
        })
    };
    let pending = Err(NotTaken::ChangePending);
    assert_eq!(
        change(&[MemberStep::Remove(OWN)]),
        pending,
        "no entry of its term is committed"
    );
    step(&mut leader, &answer(2, None)).unwrap();
    settle(&mut leader);
    let mut change = |steps: &[MemberStep]| {
        leader.change_members(MembersChange {
            steps: steps.to_vec(),
        })
    };
    let four = NodeId(4);
    assert_eq!(
        change(&[MemberStep::Voter(four)]),
        Err(NotTaken::LearnerFirst(four))
    );
    assert_eq!(
        change(&[MemberStep::Voter(OWN)]),
        Err(NotTaken::AlreadySo(OWN))
    );
    assert_eq!(
        change(&[MemberStep::Remove(four)]),
        Err(NotTaken::NoMember(four))
    );
    assert_eq!(change(&[]), Err(NotTaken::NotJoint));
    let all = [1, 2, 3].map(|id| MemberStep::Remove(NodeId(id)));
    assert_eq!(change(&all), Err(NotTaken::NoVoterLeft));
    assert_eq!(change(&[all[0], all[0]]), Err(NotTaken::StepUnsound(OWN)));
    assert_eq!(change(&[MemberStep::Learner(four)]), Ok(()));
    assert_eq!(
        change(&[MemberStep::Remove(four)]),
        Err(NotTaken::ChangePending)
    );
    assert_eq!(leader.propose(Vec::new()), Err(NotTaken::Blank));
    leader.transfer(NodeId(2));
    assert_eq!(leader.propose(vec![1]), Err(NotTaken::Transferring));
    let not_leader = Err(NotTaken::NotLeader { leader: None });
    assert_eq!(founded(3).propose(vec![1]), not_leader);
}

#[test]
fn proposals_fill_up_and_are_refused() {
    let mut leader = leader();
    leader.propose(vec![0; 1 << 19]).unwrap();
    leader.propose(vec![0; 1 << 19]).unwrap();
    assert_eq!(leader.propose(vec![0; 1]), Err(NotTaken::Full));
}

fn entry(index: u64, term: u64) -> Entry {
    Entry {
        term: Term(term),
        index: Index(index),
        body: Body::Data(vec![index as u8].into()),
    }
}

fn begun(
    hard: (u64, u64),
    from: (u64, u64),
    tail: &[(u64, u64)],
    applied: u64,
) -> Result<Consensus, Unsound> {
    let hard = Hard {
        term: Term(hard.0),
        vote: None,
        commit: Index(hard.1),
    };
    let tail = tail
        .iter()
        .map(|&(index, term)| entry(index, term))
        .collect();
    Consensus::new(
        settings(),
        hard,
        Some(snapshot(from.0, from.1, 1)),
        tail,
        Index(applied),
    )
}

fn ends(begun: Result<Consensus, Unsound>) -> (u64, u64) {
    let status = begun.expect("a sound log").status();
    (status.first.0, status.last.0)
}

#[test]
fn a_node_begins_with_what_its_disk_holds() {
    assert_eq!(
        ends(
            begun((3, 6), (5, 2), &[], 5)
                .map_err(|_| Unsound::Members)
                .or_else(|_| begun((3, 5), (5, 2), &[], 5))
        ),
        (6, 5)
    );
    assert_eq!(ends(begun((3, 7), (5, 2), &[(6, 2), (7, 3)], 6)), (6, 7));
    // The log reaches back before the snapshot: its first entry is kept for
    // its term only.
    assert_eq!(
        ends(begun((3, 6), (5, 2), &[(3, 1), (4, 2), (5, 2), (6, 3)], 5)),
        (4, 6)
    );
    // A leader's snapshot took the place of a log that went elsewhere.
    assert_eq!(
        ends(begun((3, 5), (5, 2), &[(3, 1), (4, 1), (5, 1), (6, 1)], 5)),
        (6, 5)
    );
    assert_eq!(ends(begun((3, 5), (5, 2), &[(2, 1), (3, 1)], 5)), (6, 5));
}

#[test]
fn a_disk_that_lost_something_is_refused() {
    let refused = |begun: Result<Consensus, Unsound>| begun.err().expect("not sound");
    let gap = |expected, found| Unsound::Gap {
        expected: Index(expected),
        found: Index(found),
    };
    assert_eq!(refused(begun((3, 5), (5, 2), &[(7, 2)], 5)), gap(6, 7));
    assert_eq!(
        refused(begun((3, 5), (5, 2), &[(6, 2), (8, 2)], 5)),
        gap(7, 8)
    );
    let falls = Unsound::TermFalls { at: Index(7) };
    assert_eq!(refused(begun((3, 5), (5, 2), &[(6, 3), (7, 2)], 5)), falls);
    let behind = Unsound::TermBehindLog {
        term: Term(3),
        log: Term(4),
    };
    assert_eq!(refused(begun((3, 5), (5, 2), &[(6, 4)], 5)), behind);
    let beyond = Unsound::CommitBeyondLog {
        commit: Index(7),
        last: Index(6),
    };
    assert_eq!(refused(begun((3, 7), (5, 2), &[(6, 2)], 5)), beyond);
    let outside = Unsound::AppliedOutside {
        applied: Index(4),
        from: Index(5),
        to: Index(6),
    };
    assert_eq!(refused(begun((3, 6), (5, 2), &[(6, 2)], 4)), outside);
}

#[test]
fn what_an_earlier_life_applied_is_not_given_again() {
    let mut node = begun((3, 8), (5, 2), &[(6, 2), (7, 3), (8, 3)], 7).unwrap();
    let given: Vec<u64> = settle(&mut node)
        .iter()
        .flat_map(|turn| turn.committed.iter().map(|entry| entry.index.0))
        .collect();
    assert_eq!(given, [8]);
    assert_eq!(node.status().applied, Index(8));
}

/// Node 2 of three, which follows node 1's twin, node 3, and has its entry 2.
fn follower() -> Consensus {
    let mut follower = founded(3);
    let mut append = message(MessageType::MsgAppend, 3, 2);
    append.index = 1;
    append.log_term = 1;
    let mut entry = raft::eraftpb::Entry::default();
    (entry.index, entry.term) = (2, 2);
    append.entries = vec![entry].into();
    step(&mut follower, &append).unwrap();
    let answers = answers_of(&mut follower);
    assert_eq!(answers, 1, "entries are answered for");
    follower
}

fn answers_of(consensus: &mut Consensus) -> usize {
    let turns = settle(consensus);
    let messages = turns.iter().flat_map(|turn| &turn.send_when_persisted);
    messages.count()
}

fn word_of(commit: u64, index: u64, asks: bool) -> Message {
    let mut word = message(MessageType::MsgAppend, 3, 2);
    word.index = index;
    word.log_term = 2;
    word.commit = commit;
    if !asks {
        word.context = codec::NO_ANSWER.into();
    }
    word
}

#[test]
fn word_of_what_is_committed_is_taken_and_answered_only_where_asked() {
    for asks in [true, false] {
        let mut follower = follower();
        step(&mut follower, &word_of(2, 2, asks)).unwrap();
        assert_eq!(answers_of(&mut follower), usize::from(asks));
        assert_eq!(follower.status().commit, Index(2));
    }
}

/// The leader takes this log for one that holds entry 9, and must hear of it.
#[test]
fn a_rejection_goes_even_where_no_answer_is_asked_for() {
    let mut follower = follower();
    step(&mut follower, &word_of(2, 9, false)).unwrap();
    assert_eq!(answers_of(&mut follower), 1);
}

#[test]
fn a_leader_asks_an_answer_of_those_that_owe_one() {
    let mut leader = leader();
    step(&mut leader, &answer(2, None)).unwrap();
    settle(&mut leader);
    let asks = |leader: &mut Consensus| {
        let turns = settle(leader);
        let words = turns.iter().flat_map(|turn| &turn.send_now);
        let to_two = words.filter(|(to, _)| *to == NodeId(2));
        let asks = to_two.map(|(_, bytes)| {
            let word = codec::parse_message(bytes).unwrap();
            !codec::wants_no_answer(&word)
        });
        asks.collect::<Vec<bool>>()
    };
    leader.spread_commit();
    assert_eq!(asks(&mut leader), [false], "it has answered for all");
    leader.propose(vec![1]).unwrap();
    assert_eq!(asks(&mut leader), [true], "an entry");
    leader.spread_commit();
    assert_eq!(asks(&mut leader), [true], "it owes the answer to that");
}
