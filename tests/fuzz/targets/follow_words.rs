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
        if let Ok(read) = read_answers(input) {
            let heads: Vec<_> = read.iter().map(|(head, _)| *head).collect();
            let said = answers(&heads);
            assert_eq!(said, input[..said.len()]);
            let records: usize = read.iter().map(|(_, range)| range.len()).sum();
            assert_eq!(said.len() + records, input.len());
        }
    });
});
