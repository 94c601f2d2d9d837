//! Records of the transactions' topic: what reads is written so that it reads
//! the same. A coordinator that has read all that reads, in its order, then
//! serves: it tells of each id, ends what is open when its time is over, goes on
//! with time and is lost. An input is records, each a key and a value behind its
//! length in two bytes; a value of no length is none.
#![no_main]

use dolmen::clock::Millis;
use dolmen::streams::transactions::request::{Request, Token};
use dolmen::streams::transactions::{
    Coordinator, Effect, Marked, Name, Now, Settings, Term, encode, encode_key, parse, parse_key,
};
use dolmen_fuzz::judge_at;
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeSet;
use std::time::Duration;

/// A partition takes 4 bytes, and some 60 in the tree of its transaction, in that
/// of its end, in what is shown of it and in the words that go out.
const BYTES_PER_INPUT_BYTE: usize = 128;

fuzz_target!(|input: &[u8]| judge_at(BYTES_PER_INPUT_BYTE, input, run));

fn run(mut input: &[u8]) {
    let mut coordinator = Coordinator::new(Settings::default());
    coordinator.gain(Term::new(3));
    let mut ids = BTreeSet::new();
    while let (Some(key), Some(value)) = (piece(&mut input), piece(&mut input)) {
        let value = (!value.is_empty()).then_some(value);
        let read = parse_key(key).and_then(|id| Ok((id, value.map(parse).transpose()?)));
        if let Ok((id, transaction)) = &read {
            assert_eq!(encode_key(id), key);
            if let Some(transaction) = transaction {
                let again = parse(&encode(transaction));
                assert_eq!(again.as_ref(), Ok(transaction));
            }
            ids.insert(id.clone());
        }
        assert_eq!(coordinator.replay(key, value), read.map(drop));
    }
    let mut now = Now {
        since: Duration::from_secs(1),
        wall: Millis(1_767_225_600_000),
    };
    coordinator.serve(now);
    for id in ids {
        show(&mut coordinator, now, id);
    }
    for _ in 0..3 {
        now.since += Duration::from_secs(1000);
        now.wall.0 += 1_000_000;
        coordinator.tick(now);
        coordinator.drawn(now, Some(1..1_000_000));
        follow(&mut coordinator, now);
    }
    coordinator.lose();
}

fn follow(coordinator: &mut Coordinator, now: Now) {
    for effect in coordinator.take_effects() {
        match effect {
            Effect::Append { upto, .. } => coordinator.durable(now, upto),
            Effect::WriteMarkers(markers) => {
                for place in &markers.places {
                    coordinator.marked(now, &markers, place, Marked::Written);
                }
            }
            Effect::Answer { .. } | Effect::DrawProducerIds => {}
        }
    }
}

/// The next bytes, as many as two bytes before them say and there are.
fn piece<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = input.split_first_chunk()?;
    let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
    let (piece, rest) = rest.split_at(length);
    *input = rest;
    Some(piece)
}

fn show(coordinator: &mut Coordinator, now: Now, id: Name) {
    coordinator.request(now, Token(0), Request::Describe { id });
    coordinator.request(now, Token(1), Request::List);
    follow(coordinator, now);
}
