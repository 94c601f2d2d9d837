//! Snapshots taken while the state changes, replicas compared by digest, and
//! bytes that are damaged on their way.

use super::create;
use super::dice::Dice;
use super::script::bare;
use crate::full;
use dolmen::clock::Millis;
use dolmen::ids::{NodeId, SessionId, Term, Uid, Zxid};
use dolmen::state::codec;
use dolmen::state::{
    Command, LoadError, Loader, MemberCommand, MemberOutcome, Outcome, Raised, State, Submission,
};

fn load(frames: &[Vec<u8>]) -> Result<State, LoadError> {
    let mut loader = Loader::new();
    frames.iter().try_for_each(|frame| loader.frame(frame))?;
    loader.finish()
}

fn frames(state: &mut State) -> Vec<Vec<u8>> {
    state.begin_walk();
    std::iter::from_fn(|| state.walk_slice(4)).collect()
}

/// All that can be seen of a state.
fn whole(state: &State) -> String {
    let sessions: Vec<_> = state.sessions().collect();
    let (zxid, term, digest) = (state.zxid(), state.term(), state.digest());
    format!("{}{sessions:?} {zxid} {term} {digest}", bare(state))
}

/// A snapshot under way: what the state was when it began, what came of it so
/// far, what was applied since.
struct Taken {
    was: String,
    frames: Vec<Vec<u8>>,
    since: Vec<(Millis, Submission)>,
}

#[test]
fn a_snapshot_is_the_state_as_it_was_when_begun() {
    let seeds = if full() { 2000 } else { 100 };
    let mut loaded = 0;
    for seed in 1..=seeds {
        let mut dice = Dice::new(seed);
        let mut state = State::new(Uid([1; 16]));
        let mut taken: Option<Taken> = None;
        for step in 0..400 {
            if taken.is_none() && dice.seeded.one_in(10) {
                state.begin_walk();
                taken = Some(Taken {
                    was: whole(&state),
                    frames: Vec::new(),
                    since: Vec::new(),
                });
            }
            if dice.seeded.one_in(50) && taken.is_none() {
                state.begin_term(Term(step));
            }
            let submission = dice.submission(&state);
            state.apply(dice.now, &submission, &mut Vec::new());
            let Some(under_way) = &mut taken else {
                continue;
            };
            under_way.since.push((dice.now, submission));
            if dice.seeded.one_in(3) {
                continue;
            }
            match state.walk_slice(1 + dice.seeded.below(4) as usize) {
                Some(frame) => under_way.frames.push(frame),
                None => {
                    catches_up(&state, under_way);
                    loaded += 1;
                    taken = None;
                }
            }
        }
    }
    assert!(loaded > seeds * 3, "only {loaded} snapshots were taken");
}

/// The loaded state is what was begun with, and comes to the same as the one
/// that went on.
fn catches_up(state: &State, taken: &Taken) {
    let mut other = load(&taken.frames).unwrap();
    assert_eq!(whole(&other), taken.was);
    for (now, submission) in &taken.since {
        other.apply(*now, submission, &mut Vec::new());
    }
    assert_eq!(whole(&other), whole(state));
}

#[test]
fn replicas_that_apply_the_same_entries_have_the_same_digest() {
    let mut dice = Dice::new(7);
    let mut leader = State::new(Uid([1; 16]));
    let mut follower = State::new(Uid([1; 16]));
    for _ in 0..500 {
        let count = 1 + dice.seeded.below(4);
        let encoded: Vec<_> = (0..count)
            .map(|_| codec::encode(1, &dice.submission(&leader)))
            .collect();
        let entry = codec::encode_entry(1, dice.now, &encoded);
        let (now, submissions) = codec::decode_entry(1, &entry).unwrap();
        assert_eq!(now, dice.now);
        assert_eq!(submissions.clone().count() as u64, count);
        for submission in submissions {
            let submission = submission.unwrap();
            let (mut seen, mut also_seen) = (Vec::new(), Vec::new());
            let here = leader.apply(now, &submission, &mut seen);
            let there = follower.apply(now, &submission, &mut also_seen);
            assert_eq!((here, seen), (there, also_seen));
        }
        assert_eq!(leader.digest(), follower.digest());
        // One of the two goes on from a snapshot.
        if dice.seeded.one_in(20) {
            follower = load(&frames(&mut follower)).unwrap();
        }
    }
    assert_eq!(whole(&leader), whole(&follower));
}

#[test]
fn what_differs_has_another_digest() {
    let digest = |path: &str, data: &str, now| {
        let mut state = State::new(Uid([1; 16]));
        let applied = state.apply(Millis(now), &create(path, data.as_bytes()), &mut Vec::new());
        assert!(applied.outcome.is_ok());
        state.digest()
    };
    let one = digest("/a", "x", 5);
    assert_eq!(one, digest("/a", "x", 5));
    for (path, data, now) in [
        ("/b", "x", 5),
        ("/a", "y", 5),
        ("/a", "", 5),
        ("/a", "x", 6),
    ] {
        assert_ne!(one, digest(path, data, now), "{path} {data} {now}");
    }
}

fn grown(seed: u64, steps: usize) -> State {
    let mut dice = Dice::new(seed);
    let mut state = State::new(Uid([1; 16]));
    for _ in 0..steps {
        let submission = dice.submission(&state);
        state.apply(dice.now, &submission, &mut Vec::new());
    }
    state
}

#[test]
fn frames_are_bounded_and_a_large_node_has_its_own() {
    let mut state = State::new(Uid([1; 16]));
    let sizes = [
        300 << 10,
        300 << 10,
        300 << 10,
        300 << 10,
        3 << 20,
        10,
        1 << 20,
        1 << 20,
        10,
    ];
    for (n, size) in sizes.into_iter().enumerate() {
        let data = "x".repeat(size);
        let submission = create(&format!("/node-{n}"), data.as_bytes());
        let applied = state.apply(Millis(1), &submission, &mut Vec::new());
        assert!(applied.outcome.is_ok());
    }
    let digest = state.digest();
    state.begin_walk();
    let frames: Vec<_> = std::iter::from_fn(|| state.walk_slice(1000)).collect();
    let large: Vec<_> = frames
        .iter()
        .map(Vec::len)
        .filter(|&n| n > 1 << 20)
        .collect();
    // The 3 MiB, and two whose data alone fill a frame.
    assert_eq!(large.len(), 3, "{large:?}");
    assert!(large.iter().all(|&bytes| bytes < (3 << 20) + 256));
    assert_eq!(load(&frames).unwrap().digest(), digest);
}

#[test]
fn a_damaged_snapshot_is_refused() {
    let whole = frames(&mut grown(3, 200));
    assert!(whole.len() > 4);
    assert!(load(&whole).is_ok());
    for n in 0..whole.len() {
        let mut fewer = whole.clone();
        fewer.remove(n);
        assert!(load(&fewer).is_err(), "without frame {n}");
        let mut doubled = whole.clone();
        doubled.insert(n, whole[n].clone());
        // Access lists and sessions that come twice are the same once more.
        if let Ok(state) = load(&doubled) {
            assert_eq!(state.digest(), load(&whole).unwrap().digest());
        }
        for place in 0..whole[n].len() {
            let mut damaged = whole.clone();
            damaged[n][place] ^= 1 << (place % 8);
            assert!(load(&damaged).is_err(), "frame {n}, byte {place}");
        }
        for length in 0..whole[n].len() {
            let mut cut = whole.clone();
            cut[n].truncate(length);
            assert!(load(&cut).is_err(), "frame {n} cut to {length}");
        }
    }
    assert!(load(&[]).is_err());
}

#[test]
fn a_snapshot_of_another_form_is_refused_by_name() {
    let mut whole = frames(&mut State::new(Uid([1; 16])));
    whole[0][4] = 9;
    let refused = load(&whole).unwrap_err();
    assert_eq!(refused.to_string(), "schema 9; this build reads schema 1");
}

#[test]
fn damaged_submissions_are_errors() {
    let mut dice = Dice::new(11);
    let state = grown(11, 100);
    let rounds = if full() { 20_000 } else { 300 };
    for _ in 0..rounds {
        let submission = dice.submission(&state);
        let bytes = codec::encode(1, &submission);
        assert_eq!(codec::decode(1, &bytes), Ok(submission));
        for length in 0..bytes.len() {
            assert!(
                codec::decode(1, &bytes[..length]).is_err(),
                "cut to {length}"
            );
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(codec::decode(1, &longer).is_err());
        for _ in 0..20 {
            let mut damaged = bytes.clone();
            let place = dice.seeded.below(damaged.len() as u64) as usize;
            damaged[place] = dice.seeded.below(256) as u8;
            // Whatever reads is written as it was read.
            if let Ok(read) = codec::decode(1, &damaged) {
                assert_eq!(codec::encode(1, &read), damaged);
            }
            let entry = codec::encode_entry(1, dice.now, &[&bytes, &damaged]);
            let cut = dice.seeded.below(entry.len() as u64) as usize;
            if let Ok((_, submissions)) = codec::decode_entry(1, &entry[..cut]) {
                assert!(
                    submissions.last().is_none_or(|last| last.is_err()),
                    "cut to {cut}"
                );
            }
        }
    }
}

#[test]
fn a_declared_count_allocates_nothing() {
    let mut entry = codec::encode_entry::<&[u8]>(1, Millis(1), &[]);
    let count = entry.len() - 4;
    entry[count..].copy_from_slice(&u32::MAX.to_le_bytes());
    let refused = codec::decode_entry(1, &entry).map(drop).unwrap_err();
    assert_eq!(refused.to_string(), "4294967295 items declared in 0 bytes");
}

/// A build that does not know the level reads nothing of it; a submission of a
/// higher level than its entry is nobody's.
#[test]
fn what_is_written_at_a_higher_level_is_not_read() {
    let submission = Dice::new(1).submission(&State::new(Uid::default()));
    let bytes = codec::encode(2, &submission);
    assert_eq!(codec::level_of(&bytes), 2);
    assert_eq!(codec::decode(2, &bytes), Ok(submission));
    let refused = codec::decode(1, &bytes).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "written at level 2, where up to 1 is read"
    );

    let entry = codec::encode_entry(2, Millis(1), &[&bytes]);
    assert!(codec::decode_entry(1, &entry).is_err());
    let (_, mut submissions) = codec::decode_entry(2, &entry).unwrap();
    assert!(submissions.next().unwrap().is_ok());
    let entry = codec::encode_entry(1, Millis(1), &[&bytes]);
    let (_, mut submissions) = codec::decode_entry(2, &entry).unwrap();
    assert!(submissions.next().unwrap().is_err());
}

#[test]
fn a_snapshot_of_a_higher_level_is_refused_by_its_first_frame() {
    let mut state = State::new(Uid::default());
    let raise = MemberCommand::RaiseFeatures {
        level: 2,
        members_of: Zxid(0),
    };
    let submission = Submission {
        origin: NodeId(1),
        tag: 1,
        session: SessionId(0),
        connection: 0,
        sequence: 0,
        who: Vec::new(),
        command: Command::Members(raise),
    };
    assert!(state.is_untouched());
    let applied = state.apply(Millis(1), &submission, &mut Vec::new());
    assert_eq!(applied.outcome, Ok(Outcome::Members(MemberOutcome::Done)));
    assert!(!state.is_untouched());
    state.begin_walk();
    let first = state.walk_slice(1).unwrap();
    let raised = Raised { found: 2, known: 1 };
    let refused = Loader::knowing(1).frame(&first);
    assert_eq!(refused, Err(LoadError::Raised(raised)));
    assert_eq!(Loader::knowing(2).frame(&first), Ok(()));
}
