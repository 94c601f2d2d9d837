//! A snapshot of a partition's producers: refused, or written again the same,
//! and a state that goes on. Each input is tried as it came and again under a
//! sound head and checksum.
#![no_main]

use dolmen::clock::Millis;
use dolmen::ids::{Offset, ProducerId};
use dolmen::limits::OFFSET_MAX;
use dolmen::streams::batch::control::{Ending, Marker};
use dolmen::streams::batch::header::Claim;
use dolmen::streams::batch::stored::{Kind, Stored};
use dolmen::streams::producers::{Admitted, Offer, Producers, decode, encode};
use dolmen_fuzz::{judge, put, seal};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    judge(input, run);
    let mut sound = input.to_vec();
    put(&mut sound, 0, b"DLPS\x01\0");
    if let Some(covered) = sound.len().checked_sub(4) {
        seal(&mut sound, 0, covered, covered);
    }
    judge(&sound, run);
});

fn run(bytes: &[u8]) {
    let Ok(mut producers) = decode(bytes) else {
        return;
    };
    assert_eq!(encode(&producers), bytes);
    let ids: Vec<ProducerId> = producers.iter().map(|(id, _)| id).collect();
    // What goes on has room: two records and a marker for each producer. No
    // log comes near the end of the offsets, and none is read back from there.
    if producers.next().0 + 3 * ids.len() as u64 > OFFSET_MAX {
        return;
    }
    for id in ids {
        go_on(&mut producers, id);
    }
    let end = producers.next();
    assert_eq!(producers.last_stable(end), end, "all has ended");
    producers.settle(end);
    let all = producers.aborted(Offset(0), end).count();
    producers.forget_before(Offset(end.0 / 2));
    assert!(producers.aborted(Offset(0), end).count() <= all);
    producers.expire(Millis(u64::MAX));
    assert!(
        producers
            .iter()
            .all(|(_, producer)| producer.open.is_none())
    );
    assert_eq!(decode(&encode(&producers)), Ok(producers));
}

/// The producer's next batch is new, then known; and its transaction ends.
fn go_on(producers: &mut Producers, id: ProducerId) {
    let Some((_, producer)) = producers.iter().find(|(one, _)| *one == id) else {
        return;
    };
    let claim = Claim {
        id,
        epoch: producer.epoch,
        sequence: producer.expected(),
    };
    let offer = Offer {
        claim,
        count: 2,
        is_transactional: true,
        raises_epoch: false,
    };
    if let Ok(Admitted::New { .. }) = producers.admit(&offer) {
        stand(producers, claim, 2, Kind::Data);
        let known = producers.admit(&offer);
        assert!(matches!(known, Ok(Admitted::Known { .. })), "{known:?}");
    }
    let marker = Marker {
        ending: Ending::Abort,
        coordinator_epoch: i32::MAX,
    };
    stand(producers, claim, 1, Kind::Marker(marker));
}

fn stand(producers: &mut Producers, claim: Claim, count: u64, kind: Kind) {
    let first = producers.next();
    let stored = Stored {
        first,
        next: Offset(first.0 + count),
        leader_epoch: 0,
        max_timestamp: Some(0),
        claim: Some(claim),
        is_transactional: true,
        kind,
    };
    producers.take(&stored, Millis(0));
}
