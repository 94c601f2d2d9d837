//! The frames of a snapshot: refused, or loaded to a state that writes the same
//! again. An input is a sequence of bodies, each behind its length in two
//! bytes; each is tried as a frame as it came, and again with a good head.
#![no_main]

use dolmen::state::Loader;
use dolmen::wire::{crc32c, crc32c_append};
use dolmen_fuzz::judge_at;
use libfuzzer_sys::fuzz_target;

/// An archived access list of no entries takes 12 bytes; interned both ways and
/// named, it takes about 400.
const BYTES_PER_INPUT_BYTE: usize = 48;

/// The index of the tree's table has 8 bytes for 16 slots: for the 8 Mi of a
/// real tree 4 MiB, for these 128 KiB.
const SLOTS_MAX: u64 = 1 << 18;

fuzz_target!(|input: &[u8]| {
    judge_at(BYTES_PER_INPUT_BYTE, input, |input| {
        load(bodies(input).map(<[u8]>::to_vec))
    });
    judge_at(BYTES_PER_INPUT_BYTE, input, |input| {
        load(bodies(input).map(framed))
    });
});

fn bodies(mut input: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = input.split_first_chunk()?;
        let length = usize::from(u16::from_le_bytes(*length));
        let (body, rest) = rest.split_at(length.min(rest.len()));
        input = rest;
        Some(body)
    })
}

fn framed(body: &[u8]) -> Vec<u8> {
    let mut frame = b"dsnp\x01\0\0\0".to_vec();
    frame.extend_from_slice(&(body.len() as u32).to_le_bytes());
    let sum = crc32c_append(crc32c(&frame), body);
    frame.extend_from_slice(&sum.to_le_bytes());
    frame.extend_from_slice(body);
    frame
}

fn load(frames: impl Iterator<Item = Vec<u8>>) {
    let mut loader = Loader::bounded(SLOTS_MAX);
    for frame in frames {
        if loader.frame(&frame).is_err() {
            return;
        }
    }
    let Ok(mut state) = loader.finish() else {
        return;
    };
    let mut again = Loader::new();
    state.begin_walk();
    while let Some(frame) = state.walk_slice(64) {
        again.frame(&frame).expect("what was written loads");
    }
    let again = again.finish().expect("what was written is whole");
    assert_eq!(again.digest(), state.digest());
}
