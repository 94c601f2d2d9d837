//! SASL tokens of strangers: nobody is let in, whatever is said first and then.
//! An input is two tokens, the first behind its length in two bytes. There are no
//! users, so that all that is said is tried against decoys.
#![no_main]

use dolmen::ports::kafka::sasl::{Exchange, Step, Way};
use dolmen::ports::kafka::scram::{self, ClientFinal, ClientFirst};
use dolmen::state::topics::access::{Mechanism, Secret, Users};
use dolmen_fuzz::judge_at;
use libfuzzer_sys::fuzz_target;

/// A name in the words of both sides, and once more by itself.
const BYTES_PER_INPUT_BYTE: usize = 16;

fuzz_target!(|input: &[u8]| judge_at(BYTES_PER_INPUT_BYTE, input, run));

fn run(input: &[u8]) {
    let Some((length, rest)) = input.split_first_chunk() else {
        return;
    };
    let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
    let (first, last) = rest.split_at(length);
    ClientFirst::parse(last);
    ClientFinal::parse(first);
    let (users, secret) = (Users::default(), Secret([7; 32]));
    for way in Way::ALL {
        match Exchange::new(way).step(first, &users, &secret, b"a nonce") {
            // To try it takes milliseconds, and nobody is there.
            Step::Refused | Step::Try(_) => {}
            Step::Challenge(said, exchange) => {
                assert!(said.starts_with(b"r="));
                let step = exchange.step(last, &users, &secret, b"a nonce");
                assert!(matches!(step, Step::Refused));
            }
            Step::Proven(_) => panic!("nobody is there"),
        }
    }
    // What has the right form and is wrong is looked at to its end.
    let decoy = scram::decoy(Mechanism::Sha256, "ann", &secret, None);
    assert!(!scram::proves(Mechanism::Sha256, &decoy, "words", last));
}
