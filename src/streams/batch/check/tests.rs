use super::super::build::Builder;
use super::super::codec::pack;
use super::super::header::BatchMut;
use super::super::records::{Headers, Record, Records};
use super::super::tests::any;
use super::*;
use crate::clock::Millis;
use crate::entropy::Seeded;
use crate::ids::{Offset, ProducerId};

fn check(bytes: &[u8], rules: &Rules) -> Result<Vec<Offered>, Refusal> {
    super::check(bytes, rules, &mut Unpacker::default())
}

fn batch(codec: Codec, timestamps: &[i64]) -> Vec<u8> {
    let claim = Claim {
        id: ProducerId(4000),
        epoch: 2,
        sequence: 17,
    };
    let mut builder = Builder::new(Offset(0), codec).producer(claim, false);
    for (place, &timestamp) in timestamps.iter().enumerate() {
        let added = builder.add(&Record {
            offset: Offset(place as u64),
            timestamp,
            key: Some(b"key"),
            value: Some(b"value"),
            headers: Headers::NONE,
        });
        added.unwrap();
    }
    builder.finish().unwrap()
}

fn seal(batch: &mut [u8]) {
    let crc = sum(batch);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}

/// A sound batch with some bytes of its head changed, and sealed again.
fn changed(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut batch = batch(Codec::None, &[10, 30, 20]);
    batch[at..at + bytes.len()].copy_from_slice(bytes);
    seal(&mut batch);
    batch
}

/// The head of a sound batch over other records.
fn over(codec: Codec, count: i32, records: &[u8]) -> Vec<u8> {
    let mut batch = changed(57, &count.to_be_bytes());
    batch.truncate(HEADER_BYTES);
    batch.extend_from_slice(&pack(codec, records));
    let length = (batch.len() - 12) as u32;
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    batch[22] = codec.number();
    batch[23..27].copy_from_slice(&(count - 1).to_be_bytes());
    seal(&mut batch);
    batch
}

fn refused(bytes: &[u8]) -> Refusal {
    check(bytes, &any()).unwrap_err()
}

#[test]
fn a_sound_batch_says_what_appending_needs() {
    for codec in Codec::ALL {
        let bytes = batch(codec, &[10, 30, 20, 30]);
        let expected = Offered {
            bytes: 0..bytes.len(),
            codec,
            count: 4,
            max_timestamp: 30,
            latest: 1,
            is_max_timestamp_wrong: false,
            claim: Some(Claim {
                id: ProducerId(4000),
                epoch: 2,
                sequence: 17,
            }),
            is_transactional: false,
        };
        assert_eq!(check(&bytes, &any()), Ok(vec![expected]));
    }
}

#[test]
fn several_batches_are_checked_each() {
    let (one, two) = (batch(Codec::None, &[1]), batch(Codec::Zstd, &[5, 6]));
    let both = [&one[..], &two].concat();
    let offered = check(&both, &any()).unwrap();
    let places: Vec<_> = offered.iter().map(|one| one.bytes.clone()).collect();
    assert_eq!(places, [0..one.len(), one.len()..both.len()]);
    let mut bad = both.clone();
    *bad.last_mut().unwrap() ^= 1;
    assert!(matches!(refused(&bad), Refusal::Checksum { .. }));
}

#[test]
fn heads_that_are_refused() {
    use Refusal::*;
    let claim = |id: i64, epoch: i16, sequence: i32| {
        let bytes = [
            &id.to_be_bytes()[..],
            &epoch.to_be_bytes(),
            &sequence.to_be_bytes(),
        ];
        changed(43, &bytes.concat())
    };
    let producer = |id, epoch, sequence| Producer {
        id,
        epoch,
        sequence,
    };
    let count = |count, last_offset_delta| Count {
        count,
        last_offset_delta,
    };
    let transactional = {
        let mut batch = claim(-1, -1, -1);
        batch[22] |= 0x10;
        seal(&mut batch);
        batch
    };
    let cases = [
        (vec![], Nothing),
        (changed(16, &[0]), OldFormat { magic: 0 }),
        (changed(16, &[1]), OldFormat { magic: 1 }),
        (changed(16, &[3]), Magic { found: 3 }),
        (changed(16, &[0xff]), Magic { found: -1 }),
        (changed(8, &[0, 0, 0, 48]), Length { stated: 48 }),
        (changed(8, &[0xff; 4]), Length { stated: -1 }),
        (changed(22, &[5]), UnknownCodec { number: 5 }),
        (changed(22, &[7]), UnknownCodec { number: 7 }),
        (changed(22, &[0x20]), Control),
        (changed(22, &[0x08]), AppendTime),
        (changed(22, &[0x40]), Attributes { bits: 0x40 }),
        (changed(21, &[0x80]), Attributes { bits: i16::MIN }),
        (changed(21, &[0, 0x80]), Attributes { bits: 0x80 }),
        (changed(23, &[0, 0, 0, 3]), count(3, 3)),
        (changed(57, &[0, 0, 0, 2]), count(2, 2)),
        (changed(57, &[0xff; 4]), count(-1, 2)),
        (changed(57, &[0; 4]), count(0, 2)),
        (changed(7, &[1]), BaseOffset { found: 1 }),
        (changed(0, &[0xff; 8]), BaseOffset { found: -1 }),
        (claim(-2, 0, 0), producer(-2, 0, 0)),
        (claim(7, -1, 0), producer(7, -1, 0)),
        (claim(7, 0, -1), producer(7, 0, -1)),
        (transactional, producer(-1, -1, -1)),
    ];
    for (bytes, expected) in cases {
        assert_eq!(refused(&bytes), expected);
    }
    // No producer, and zeros where kafkajs leaves them.
    assert!(check(&claim(-1, 0, 0), &any()).is_ok());
    let last = claim(i64::MAX, i16::MAX, i32::MAX);
    assert!(check(&last, &any()).is_ok());
}

#[test]
fn records_that_are_refused() {
    let sound = |offset: u8| [12, 0, 0, offset << 1, 1, 1, 0];
    let (at, count) = (1, 2);
    for codec in Codec::ALL {
        let good = [sound(0), sound(1)].concat();
        assert!(check(&over(codec, 2, &good), &any()).is_ok(), "{codec}");
        for delta in [0, 2, 5] {
            let records = [sound(0), sound(delta)].concat();
            let delta = delta.into();
            let refusal = refused(&over(codec, 2, &records));
            assert_eq!(refusal, Refusal::Order { at, delta }, "{codec}");
        }
        let longer = [&good[..], &sound(2)].concat();
        let refusal = refused(&over(codec, 2, &longer));
        assert_eq!(refusal, Refusal::Left { count }, "{codec}");
        for length in 7..14 {
            let refusal = refused(&over(codec, 2, &good[..length]));
            let why = matches!(refusal, Refusal::Record { at: 1, .. });
            assert!(why, "{codec} {length}: {refusal:?}");
        }
        // A length that nothing is allocated from.
        let mut huge = Vec::new();
        record::put_varint(&mut huge, i32::MAX);
        huge.extend_from_slice(&[0, 0, 0]);
        record::put_varint(&mut huge, i32::MAX - 100);
        let refusal = refused(&over(codec, 1, &huge));
        assert!(matches!(refusal, Refusal::Record { at: 0, .. }), "{codec}");
    }
}

#[test]
fn packed_bytes_that_are_broken_are_refused_as_such() {
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let mut bytes = over(Codec::None, 1, b"\x0c\0\0\0\x01\x01\0");
        bytes[22] = codec.number();
        seal(&mut bytes);
        let refusal = refused(&bytes);
        let is_packed = matches!(refusal, Refusal::Packed(Broken::Corrupt { .. }));
        assert!(is_packed, "{codec}: {refusal:?}");
    }
}

#[test]
fn a_batch_that_unpacks_to_too_much_is_refused() {
    // One record that is as large as it says, and beyond the bound.
    let mut plain = Vec::new();
    let value = vec![0; BATCH_PLAIN_BYTES_MAX];
    let mut body = vec![0, 0, 0, 1];
    record::put_nullable(&mut body, Some(&value));
    body.push(0);
    record::put_varint(&mut plain, body.len() as i32);
    plain.append(&mut body);
    let bytes = over(Codec::Zstd, 1, &plain);
    assert!(bytes.len() < 10_000);
    let most = BATCH_PLAIN_BYTES_MAX;
    assert_eq!(refused(&bytes), Refusal::Packed(Broken::TooLarge { most }));
}

#[test]
fn a_batch_may_have_as_many_bytes_as_its_topic_allows() {
    let bytes = batch(Codec::None, &[1]);
    let rules = |most| Rules {
        batch_bytes_max: most,
        ..any()
    };
    assert!(check(&bytes, &rules(bytes.len())).is_ok());
    let (most, stated) = (bytes.len() - 1, bytes.len());
    let too_large = Refusal::TooLarge {
        bytes: stated,
        most,
    };
    assert_eq!(check(&bytes, &rules(most)), Err(too_large));
    // Whatever a topic allows, it has to fit the log.
    let huge = changed(8, &i32::MAX.to_be_bytes());
    let refusal = check(&huge, &rules(usize::MAX)).unwrap_err();
    assert!(matches!(
        refusal,
        Refusal::TooLarge {
            most: RECORD_BYTES_MAX,
            ..
        }
    ));
}

#[test]
fn a_cut_batch_is_told_from_a_broken_one() {
    let bytes = batch(Codec::Gzip, &[1, 2]);
    for left in 1..bytes.len() {
        let wanted = if left < HEADER_BYTES {
            HEADER_BYTES
        } else {
            bytes.len()
        };
        assert_eq!(refused(&bytes[..left]), Refusal::Cut { wanted, left });
    }
}

#[test]
fn no_flipped_bit_is_appended_as_if_it_were_right() {
    for codec in Codec::ALL {
        let good = batch(codec, &[10, 30, 20]);
        let offered = check(&good, &any());
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            // The leader epoch is the broker's to set.
            match (12..16).contains(&(bit / 8)) {
                true => assert_eq!(check(&bad, &any()), offered),
                false => assert!(check(&bad, &any()).is_err(), "{codec}: bit {bit}"),
            }
        }
    }
}

#[test]
fn compacted_topics_need_keys() {
    let rules = Rules {
        is_compacted: true,
        ..any()
    };
    let keyed = [14, 0, 0, 0, 0, 1, 0];
    let keyless = [12, 0, 0, 2, 1, 1, 0];
    let one = over(Codec::Lz4, 1, &[&[12][..], &keyed[1..]].concat());
    assert!(check(&one, &rules).is_ok(), "an empty key is a key");
    let two = over(Codec::Lz4, 2, &[&[12][..], &keyed[1..], &keyless].concat());
    assert_eq!(check(&two, &rules), Err(Refusal::NoKey { at: vec![1] }));
    assert!(check(&two, &any()).is_ok());
}

#[test]
fn timestamps_stay_within_what_the_topic_allows() {
    let rules = Rules {
        timestamps: 100..=200,
        ..any()
    };
    let check = |timestamps: &[i64]| check(&batch(Codec::None, timestamps), &rules);
    assert!(check(&[100, 200, 150]).is_ok());
    assert_eq!(
        check(&[100, 99]),
        Err(Refusal::Timestamp {
            at: vec![1],
            found: 99
        })
    );
    assert_eq!(
        check(&[201]),
        Err(Refusal::Timestamp {
            at: vec![0],
            found: 201
        })
    );
    // None at all is no wrong time.
    let offered = check(&[-1, -1]).unwrap();
    assert_eq!(offered[0].max_timestamp, -1);
    let offered = check(&[150, -1]).unwrap();
    assert_eq!((offered[0].max_timestamp, offered[0].latest), (150, 0));
}

#[test]
fn a_wrong_greatest_timestamp_is_put_right() {
    let mut bytes = changed(35, &31i64.to_be_bytes());
    let offered = check(&bytes, &any()).unwrap().remove(0);
    assert!(offered.is_max_timestamp_wrong);
    assert_eq!((offered.max_timestamp, offered.latest), (30, 1));
    let mut open = BatchMut::of(&mut bytes).unwrap();
    open.set_max_timestamp(offered.max_timestamp);
    let again = check(&bytes, &any()).unwrap().remove(0);
    assert!(!again.is_max_timestamp_wrong);
}

#[test]
fn the_time_of_the_append_is_set_on_what_was_checked() {
    let mut bytes = batch(Codec::Snappy, &[10, 30]);
    check(&bytes, &any()).unwrap();
    BatchMut::of(&mut bytes)
        .unwrap()
        .set_append_time(Millis(500));
    assert_eq!(refused(&bytes), Refusal::AppendTime);
    let records = Records::of(&bytes, 1 << 20, &mut Unpacker::default()).unwrap();
    assert!(
        records
            .iter()
            .all(|record| record.unwrap().timestamp == 500)
    );
}

/// Two readings of one grammar: what is taken here is what is read later.
#[test]
fn whatever_is_taken_can_be_read_and_what_can_be_read_is_taken() {
    let mut chance = Seeded::new(8);
    let mut unpacker = Unpacker::default();
    let (mut taken, mut left) = (0, 0);
    for round in 0..30_000 {
        let codec = Codec::ALL[chance.below(5) as usize];
        let count = 1 + chance.below(4) as i32;
        let mut records = Vec::new();
        for at in 0..count as u8 {
            // Length; attributes, timestamp, offset; key, value, a header
            // without a value.
            records.extend_from_slice(&[26, 0, 3, at << 1]);
            records.extend_from_slice(b"\x04ka\x04va\x02\x02h\x01");
        }
        for _ in 0..chance.below(3) {
            let at = chance.below(records.len() as u64) as usize;
            records[at] = chance.below(32) as u8;
        }
        let bytes = over(codec, count, &records);
        let read = Records::of(&bytes, 1 << 20, &mut unpacker).unwrap();
        let offsets: Result<Vec<_>, _> = read
            .iter()
            .map(|record| record.map(|one| one.offset.0))
            .collect();
        let is_sound = offsets == Ok((0..count as u64).collect());
        let checked = check(&bytes, &any());
        assert_eq!(
            checked.is_ok(),
            is_sound,
            "round {round}: {checked:?} {offsets:?}"
        );
        *if is_sound { &mut taken } else { &mut left } += 1;
    }
    assert!(taken > 5000 && left > 5000, "{taken} taken, {left} left");
}
