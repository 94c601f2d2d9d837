//! Records of the groups' topic: what reads is written again as the same bytes.
//! A coordinator that has read all that reads, in its order, then serves: it
//! tells about each group, goes on with time and is lost. An input is records,
//! each a key and a value behind its length in two bytes; a value of no length
//! is none.
#![no_main]

use dolmen::clock::Millis;
use dolmen::streams::groups::record::Record;
use dolmen::streams::groups::request::{Caller, Fetch, Request, Token};
use dolmen::streams::groups::{Coordinator, Name, Now, Settings};
use dolmen_fuzz::judge_at;
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeSet;
use std::time::Duration;

/// A protocol of no name and no metadata takes 8 bytes, and some 100 as two
/// counted slices; a partition 4, and some 60 in trees of its own and of the
/// group. The coordinator holds what it has read once more in what it shows.
const BYTES_PER_INPUT_BYTE: usize = 64;

fuzz_target!(|input: &[u8]| judge_at(BYTES_PER_INPUT_BYTE, input, run));

fn run(mut input: &[u8]) {
    let mut coordinator = Coordinator::new(Settings::default());
    coordinator.gain(Default::default());
    let mut groups = BTreeSet::new();
    while let (Some(key), Some(value)) = (piece(&mut input), piece(&mut input)) {
        let value = (!value.is_empty()).then_some(value);
        let read = Record::parse(key, value);
        if let Ok(record) = &read {
            assert_eq!(record.encode(), (key.to_vec(), value.map(<[u8]>::to_vec)));
            groups.insert(record.key.group.clone());
        }
        assert_eq!(coordinator.replay(key, value), read.map(drop));
    }
    let mut now = Now {
        since: Duration::from_secs(1),
        wall: Millis(1_767_225_600_000),
    };
    coordinator.serve(now);
    for group in groups {
        show(&mut coordinator, now, group);
    }
    for _ in 0..3 {
        now.since += Duration::from_secs(3600);
        coordinator.tick(now);
        coordinator.take_effects();
    }
    coordinator.lose();
}

/// The next bytes, as many as two bytes before them say and there are.
fn piece<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = input.split_first_chunk()?;
    let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
    let (piece, rest) = rest.split_at(length);
    *input = rest;
    Some(piece)
}

fn show(coordinator: &mut Coordinator, now: Now, group: Name) {
    let fetch = Fetch {
        caller: Caller {
            group: group.clone(),
            member: Name::default(),
            instance: None,
            generation: -1,
        },
        spots: None,
        is_stable_required: true,
    };
    let requests = [
        Request::Describe {
            group: group.clone(),
        },
        Request::DescribeConsumer { group },
        Request::Fetch(fetch),
        Request::List,
    ];
    for (request, token) in requests.into_iter().zip(0..) {
        coordinator.request(now, Token(token), request);
    }
    coordinator.durable(u64::MAX);
    coordinator.take_effects();
}
