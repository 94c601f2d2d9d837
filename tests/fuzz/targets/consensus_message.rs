//! A peer's message of consensus and the records on disk: what parses is
//! written again as the bytes it came from. A node that has just joined then
//! takes the message, from whom it says it is.
#![no_main]

use dolmen::consensus::{Consensus, Entry, Hard, Kind, Members, Settings, Snapshot, codec};
use dolmen::ids::{Index, NodeId};
use dolmen_fuzz::judge;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    judge(input, message);
    judge(input, records);
});

/// Where a message names its sender.
const FROM: std::ops::Range<usize> = 3..11;

fn message(bytes: &[u8]) {
    let peeked = Consensus::peek(bytes);
    let Ok(again) = codec::rewrite_message(bytes) else {
        assert!(!matches!(peeked, Ok(Kind::Snapshot { .. })));
        return;
    };
    assert_eq!(again, bytes);
    assert!(peeked.is_ok());
    let from = bytes[FROM].try_into().expect("eight bytes");
    let mut node = joiner();
    let _ = node.step(NodeId(u64::from_le_bytes(from)), bytes);
    while let Some(ready) = node.take_ready() {
        drop(ready);
    }
}

fn records(bytes: &[u8]) {
    if let Ok(entry) = Entry::parse(bytes) {
        assert_eq!(entry.encode(), bytes);
    }
    if let Ok(hard) = Hard::parse(bytes) {
        assert_eq!(hard.encode(), bytes);
    }
    if let Ok(snapshot) = Snapshot::parse(bytes) {
        assert_eq!(snapshot.encode(), bytes);
    }
    if let Ok(members) = Members::parse(bytes) {
        assert_eq!(members.encode(), bytes);
    }
}

fn joiner() -> Consensus {
    let settings = Settings {
        node: NodeId(1),
        seed: 7,
        election_ticks: 10,
        heartbeat_ticks: 2,
        inflight_max: 16,
        message_bytes_max: 1 << 20,
        uncommitted_bytes_max: 1 << 20,
        window_bytes: 1 << 20,
    };
    Consensus::new(settings, Hard::default(), None, Vec::new(), Index(0))
        .expect("a joiner begins with nothing")
}
