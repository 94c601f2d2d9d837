//! The words of our own that nodes and joiners say: the greeting, a request to
//! join, its answer. The first byte chooses; each input is tried as it came
//! and again under the version that is spoken.
#![no_main]

use dolmen::peers::codec::{Hello, JoinReply, JoinWords};
use dolmen_fuzz::{judge, put};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    judge(input, run);
    let mut spoken = input.to_vec();
    put(&mut spoken, 1, &[1, 0]);
    judge(&spoken, run);
});

fn run(input: &[u8]) {
    let Some((choice, bytes)) = input.split_first() else {
        return;
    };
    match choice % 3 {
        0 => {
            if let Ok(hello) = Hello::decode(bytes) {
                // A later release may say more behind it.
                assert!(bytes.starts_with(&hello.encode()));
            }
        }
        1 => {
            if let Ok(words) = JoinWords::decode(bytes) {
                assert_eq!(words.encode(), bytes);
            }
        }
        _ => {
            if let Ok(reply) = JoinReply::decode(bytes) {
                assert_eq!(reply.encode(), bytes);
            }
        }
    }
}
