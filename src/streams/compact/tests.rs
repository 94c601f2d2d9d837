//! What becomes of one batch.

use super::{Gone, LastOf, NotSifted, Rules, Sieve};
use crate::clock::Millis;
use crate::ids::{Offset, ProducerId};
use crate::limits::BATCH_PLAIN_BYTES_MAX;
use crate::streams::batch::build::{Builder, gap, rest_of_gap};
use crate::streams::batch::codec::{Codec, Unpacker};
use crate::streams::batch::control::{Ending, Marker, Place};
use crate::streams::batch::header::{Attributes, Claim, HEADER_BYTES, Header};
use crate::streams::batch::records::{Headers, Record, Records};

const NOW: Millis = Millis(50_000);
const RULES: Rules = Rules {
    now: NOW,
    delete_retention_ms: 1000,
    everywhere: Offset(u64::MAX),
};

/// Each record as key and value; a value of "-" is a tombstone.
fn batch(base: u64, codec: Codec, records: &[(&str, &str)]) -> Vec<u8> {
    filled(
        Builder::new(Offset(base), codec).leader_epoch(3),
        base,
        records,
    )
}

fn filled(mut builder: Builder, base: u64, records: &[(&str, &str)]) -> Vec<u8> {
    for (n, (key, value)) in records.iter().enumerate() {
        let added = builder.add(&Record {
            offset: Offset(base + n as u64),
            timestamp: 40_000 + n as i64,
            key: Some(key.as_bytes()),
            value: (*value != "-").then_some(value.as_bytes()),
            headers: Headers::NONE,
        });
        added.unwrap();
    }
    builder.finish().unwrap()
}

fn pass(rules: Rules, gone: Gone, until: u64, batches: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut sieve = Sieve::new(rules, gone, 100, Offset(until));
    for batch in batches {
        let _ = sieve.note(batch, Offset(0)).unwrap();
    }
    let mut out = Vec::new();
    for batch in batches {
        sieve.take(batch, &mut out).unwrap();
    }
    sieve.close_gap(&mut out);
    let (mut rest, mut all) = (&out[..], Vec::new());
    while let Some(header) = Header::of(rest) {
        let (one, behind) = rest.split_at(header.total_bytes().unwrap());
        all.push(one.to_vec());
        rest = behind;
    }
    all
}

fn offsets(batch: &[u8]) -> Vec<u64> {
    let records = Records::of(batch, 1 << 20, &mut Unpacker::default()).unwrap();
    records
        .iter()
        .map(|record| record.unwrap().offset.0)
        .collect()
}

#[test]
fn a_batch_keeps_its_codec_and_stands_for_the_offsets_it_stood_for() {
    for codec in Codec::ALL {
        let first = batch(10, codec, &[("a", "1"), ("b", "1"), ("c", "1")]);
        let second = batch(13, codec, &[("a", "2"), ("c", "2")]);
        let left = pass(RULES, Gone::default(), 15, &[first, second.clone()]);
        assert_eq!(left.len(), 2);
        let header = Header::of(&left[0]).unwrap();
        assert_eq!(header.attributes().codec(), Some(codec));
        assert_eq!((header.base_offset(), header.last_offset_delta()), (10, 2));
        assert_eq!((header.leader_epoch(), header.max_timestamp()), (3, 40_001));
        assert_eq!(offsets(&left[0]), [11]);
        assert_eq!(left[1], second, "byte for byte");
    }
}

#[test]
fn neighbours_of_which_nothing_is_left_become_one_gap() {
    let one = |base| batch(base, Codec::None, &[("a", "1")]);
    let all = [one(0), gap(Offset(1), Offset(4), 3), one(4), one(5)];
    let left = pass(RULES, Gone::default(), 6, &all);
    assert_eq!(left, [gap(Offset(0), Offset(5), 3), one(5)]);
    // One leader's each.
    let later = filled(
        Builder::new(Offset(1), Codec::None).leader_epoch(4),
        1,
        &[("a", "2")],
    );
    let last = filled(
        Builder::new(Offset(2), Codec::None).leader_epoch(4),
        2,
        &[("a", "3")],
    );
    let left = pass(RULES, Gone::default(), 3, &[one(0), later, last.clone()]);
    let (old, new) = (gap(Offset(0), Offset(1), 3), gap(Offset(1), Offset(2), 4));
    assert_eq!(left, [old, new, last]);
}

#[test]
fn a_replica_that_ends_within_a_gap_takes_the_rest_of_it() {
    let empty = gap(Offset(10), Offset(20), 3);
    let rest = |from| rest_of_gap(&empty, Offset(from));
    assert_eq!(rest(10), Some(empty.clone()));
    assert_eq!(rest(19), Some(gap(Offset(19), Offset(20), 3)));
    assert_eq!([rest(9), rest(20)], [None, None]);
    let other = batch(10, Codec::None, &[("a", "1"), ("b", "1")]);
    assert_eq!(rest_of_gap(&other, Offset(11)), None);
}

#[test]
fn a_tombstone_gets_a_horizon_and_goes_behind_it() {
    let all = [
        batch(0, Codec::None, &[("a", "1")]),
        batch(1, Codec::Lz4, &[("a", "-"), ("b", "1")]),
    ];
    let left = pass(RULES, Gone::default(), 3, &all);
    let header = Header::of(&left[1]).unwrap();
    assert!(header.attributes().has(Attributes::DELETE_HORIZON));
    assert_eq!(header.base_timestamp(), 51_000);
    let records = Records::of(&left[1], 1 << 20, &mut Unpacker::default()).unwrap();
    let times = records.iter().map(|record| record.unwrap().timestamp);
    assert_eq!(times.collect::<Vec<_>>(), [40_000, 40_001]);
    let at = |now| Rules {
        now: Millis(now),
        ..RULES
    };
    assert_eq!(pass(at(50_999), Gone::default(), 3, &left), left);
    let later = pass(at(51_000), Gone::default(), 3, &left);
    assert_eq!(offsets(&later[1]), [2]);
    let header = Header::of(&later[1]).unwrap();
    assert_eq!(
        header.base_timestamp(),
        51_000,
        "what is left of it keeps its horizon"
    );
}

#[test]
fn what_says_that_something_is_gone_stays_until_every_replica_has_it() {
    let all = [batch(0, Codec::None, &[("a", "1"), ("a", "-"), ("b", "1")])];
    let marker = Marker {
        ending: Ending::Commit,
        coordinator_epoch: 1,
    };
    let place = Place {
        offset: Offset(3),
        leader_epoch: 3,
        id: ProducerId(9),
        epoch: 0,
    };
    let all = [&all[..], &[marker.batch(place, NOW)]].concat();
    let left = pass(RULES, Gone::default(), 4, &all);
    let at = |everywhere| {
        let rules = Rules {
            now: Millis(60_000),
            everywhere: Offset(everywhere),
            ..RULES
        };
        pass(rules, Gone::default(), 4, &left)
    };
    assert_eq!(at(0), left, "long behind its horizon");
    assert_eq!(at(1), left, "the tombstone is at 1");
    let later = at(3);
    assert_eq!(offsets(&later[0]), [2]);
    assert_eq!(later[1], left[1], "the marker is at 3");
    assert_eq!(at(4)[1], gap(Offset(3), Offset(4), 3));
}

#[test]
fn the_last_batch_of_a_producer_keeps_its_head() {
    let claim = |sequence| Claim {
        id: ProducerId(7),
        epoch: 2,
        sequence,
    };
    let numbered = |base, sequence| {
        let builder = Builder::new(Offset(base), Codec::Zstd).producer(claim(sequence), false);
        filled(builder, base, &[("a", "1"), ("a", "2")])
    };
    let newer = batch(4, Codec::None, &[("a", "3")]);
    let all = [numbered(0, 0), numbered(2, 2), newer.clone()];
    let mut gone = Gone::default();
    gone.last_of.insert(ProducerId(7), LastOf::Data(Offset(3)));
    let left = pass(RULES, gone.clone(), 5, &all);
    assert_eq!(left.len(), 3);
    assert_eq!(left[0], gap(Offset(0), Offset(2), 0));
    let header = Header::of(&left[1]).unwrap();
    assert_eq!((header.count(), header.last_offset_delta()), (0, 1));
    assert_eq!(header.claim(), Some(claim(2)));
    assert_eq!(pass(RULES, gone, 5, &left), left, "and again");
    let forgotten = pass(RULES, Gone::default(), 5, &left);
    assert_eq!(forgotten, [gap(Offset(0), Offset(4), 0), newer]);
}

#[test]
fn where_not_all_keys_fit_the_rest_is_left_for_another_pass() {
    let all = [
        batch(0, Codec::None, &[("a", "1"), ("b", "1"), ("c", "1")]),
        batch(3, Codec::None, &[("a", "2"), ("c", "2")]),
    ];
    let mut sieve = Sieve::new(RULES, Gone::default(), 2, Offset(5));
    assert!(!sieve.note(&all[0], Offset(0)).unwrap());
    assert_eq!(sieve.until(), Offset(2));
    let mut out = Vec::new();
    assert!(
        !sieve.take(&all[0], &mut out).unwrap(),
        "nothing has changed"
    );
    assert!(!sieve.take(&all[1], &mut out).unwrap());
    assert_eq!(out, all.concat());
}

#[test]
fn records_without_a_key_go() {
    let mut builder = Builder::new(Offset(0), Codec::None);
    let added = builder.add(&Record {
        offset: Offset(0),
        timestamp: 1,
        key: None,
        value: Some(b"x"),
        headers: Headers::NONE,
    });
    added.unwrap();
    let left = pass(RULES, Gone::default(), 1, &[builder.finish().unwrap()]);
    assert_eq!(left, [gap(Offset(0), Offset(1), 0)]);
}

/// A tombstone, a record of another key, and one that fills the batch to the brim:
/// with a horizon the batch has no room for the first and the last.
fn brimful() -> Vec<u8> {
    let mut builder = Builder::new(Offset(0), Codec::Zstd);
    let zeros = vec![0; BATCH_PLAIN_BYTES_MAX];
    let mut add = |offset: u64, key: &str, value: Option<&[u8]>| {
        builder.add(&Record {
            offset: Offset(offset),
            timestamp: 40_000,
            key: Some(key.as_bytes()),
            value,
            headers: Headers::NONE,
        })
    };
    add(0, "gone", None).unwrap();
    add(1, "a", Some(b"")).unwrap();
    let mut lengths = (0..BATCH_PLAIN_BYTES_MAX - HEADER_BYTES).rev();
    assert!(lengths.any(|length| add(2, "z", Some(&zeros[..length])).is_ok()));
    builder.finish().unwrap()
}

#[test]
fn a_batch_that_cannot_be_packed_anew_ends_the_pass_where_something_is_to_go() {
    let take = |newer: &str| {
        let all = [brimful(), batch(3, Codec::None, &[(newer, "1")])];
        let rules = Rules {
            delete_retention_ms: i64::MAX,
            ..RULES
        };
        let mut sieve = Sieve::new(rules, Gone::default(), 100, Offset(4));
        for one in &all {
            assert!(sieve.note(one, Offset(0)).unwrap());
        }
        let mut out = Vec::new();
        let taken = sieve.take(&all[0], &mut out);
        taken.map(|is_changed| (is_changed, out == all[0]))
    };
    assert_eq!(take("b"), Ok((false, true)), "byte for byte");
    let why = take("a");
    let is_at = |at| matches!(why, Err(NotSifted::NotPacked { at: found, .. }) if found == at);
    assert!(is_at(Offset(0)), "{why:?}");
}
