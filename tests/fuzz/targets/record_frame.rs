//! Our own record frames, walked one behind the other as recovery does. Each
//! input is tried as it came and again under good checksums.
#![no_main]

use dolmen::ids::Epoch;
use dolmen::log::format::{End, Walk, Walked};
use dolmen::log::frame::{self, FRAMES, HEADER_BYTES};
use dolmen_fuzz::{judge, put, seal};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    judge(input, run);
    let mut sealed = input.to_vec();
    make_sound(&mut sealed);
    judge(&sealed, run);
});

fn make_sound(bytes: &mut [u8]) {
    put(bytes, 0, b"DLFR\x01");
    if let Some(length) = bytes.get(40..44) {
        let length = u32::from_le_bytes(length.try_into().expect("four bytes")) as usize;
        seal(bytes, HEADER_BYTES, HEADER_BYTES + length, 44);
    }
    seal(bytes, 0, 60, 60);
}

fn run(bytes: &[u8]) {
    if let Ok(Some((frame, length))) = frame::parse(bytes) {
        let payload = frame::Payload::new(frame.term, frame.schema, frame.payload.to_vec());
        let place = frame::Place {
            epoch: frame.epoch,
            index: frame.index,
            previous: 0,
            durable_until: frame.durable_until,
            is_straight: frame.is_straight,
        };
        let mut again = frame::header(&payload, place).0.to_vec();
        again.extend_from_slice(&payload.bytes);
        again.resize(payload.frame_bytes(), 0);
        assert_eq!(again.len(), length);
        let (read, _) = frame::parse(&again).expect("it was written").expect("so");
        assert_eq!(
            (read.epoch, read.index, read.term),
            (frame.epoch, frame.index, frame.term)
        );
        assert_eq!(read.payload, frame.payload);
    }
    // The epoch and the end that the first frame would follow, so that the
    // walk begins.
    let word = |at: usize| {
        let word = bytes.get(at..at + 8).and_then(|word| word.try_into().ok());
        word.map_or(0, u64::from_le_bytes)
    };
    let end = End {
        next: dolmen::ids::Index(word(16)),
        check: word(48) as u32,
        ..End::default()
    };
    let mut walk = Walk {
        format: &FRAMES,
        epoch: Epoch(word(8)),
        end,
    };
    let mut rest = bytes;
    while let Ok(Walked::Record(head)) = walk.step(rest) {
        assert!(head.length > 0);
        rest = &rest[head.length..];
    }
}
