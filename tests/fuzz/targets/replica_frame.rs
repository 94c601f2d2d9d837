//! What replicas say to each other beside consensus: a frame that reads is
//! written again as the bytes it came from. Each input is also tried as a
//! forward whose submissions are to be read.
#![no_main]

use dolmen::limits::FEATURES_MAX;
use dolmen::replica::codec::{Frame, decode};
use dolmen::state::codec;
use dolmen_fuzz::judge;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| judge(input, run));

fn run(bytes: &[u8]) {
    let Ok(frame) = decode(bytes) else {
        return;
    };
    assert_eq!(frame.encode(), bytes);
    if let Frame::Forward(submissions) = frame {
        for bytes in submissions {
            if let Ok(submission) = codec::decode(FEATURES_MAX, bytes) {
                assert_eq!(codec::encode(codec::level_of(bytes), &submission), bytes);
            }
        }
    }
}
