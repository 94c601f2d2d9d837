//! What followers and leaders say: refused, or read to something that is said
//! with the same bytes.
#![no_main]

use dolmen::streams::follow::codec::{answers, asks, read_answers, read_asks};
use dolmen_fuzz::judge;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    judge(input, |input| {
        if let Ok(asked) = read_asks(input) {
            assert_eq!(asks(&asked).len(), input.len());
            assert_eq!(read_asks(&asks(&asked)), Ok(asked));
        }
        if let Ok(heads) = read_answers(input) {
            assert_eq!(answers(&heads), input);
        }
    });
});
