//! An entry of the log, and the submissions in it: what reads is written again
//! as the same bytes, and whatever it asks for can be applied. The state after
//! it is one that a snapshot carries over.
#![no_main]

use dolmen::clock::Millis;
use dolmen::ids::{Term, Uid};
use dolmen::limits::FEATURES_MAX;
use dolmen::state::codec::{decode, decode_entry, encode, encode_entry, level_of};
use dolmen::state::{FIRST_FEATURES, Loader, State, Submission};
use dolmen_fuzz::judge_at;
use libfuzzer_sys::fuzz_target;

/// The least node takes 40 bytes of an import, and in the tree, in its index,
/// in the changes that watchers see and in the snapshot about 900.
const BYTES_PER_INPUT_BYTE: usize = 32;

fuzz_target!(|input: &[u8]| {
    judge_at(BYTES_PER_INPUT_BYTE, input, one);
    judge_at(BYTES_PER_INPUT_BYTE, input, entry);
});

fn one(bytes: &[u8]) {
    if let Ok(submission) = decode(FEATURES_MAX, bytes) {
        assert_eq!(encode(level_of(bytes), &submission), bytes);
        apply(Millis(1), &[submission]);
    }
}

fn entry(bytes: &[u8]) {
    let Ok((now, submissions)) = decode_entry(FIRST_FEATURES, bytes) else {
        return;
    };
    let Ok(submissions) = submissions.collect::<Result<Vec<_>, _>>() else {
        return;
    };
    // At the first level all in it is of that level.
    let level = level_of(bytes);
    let again: Vec<_> = submissions.iter().map(|one| encode(level, one)).collect();
    assert_eq!(encode_entry(level, now, &again), bytes);
    apply(now, &submissions);
}

fn apply(now: Millis, submissions: &[Submission]) {
    let mut state = State::new(Uid::default());
    state.begin_term(Term(1));
    let mut changes = Vec::new();
    for submission in submissions {
        let before = state.zxid();
        let applied = state.apply(now, submission, &mut changes);
        assert!(applied.zxid >= before);
    }
    drop(changes);
    let (digest, mut loader) = (state.digest(), Loader::knowing(FEATURES_MAX));
    state.begin_walk();
    while let Some(frame) = state.walk_slice(64) {
        loader.frame(&frame).expect("what was written loads");
    }
    let loaded = loader.finish().expect("what was written is whole");
    assert_eq!(loaded.digest(), digest);
}
