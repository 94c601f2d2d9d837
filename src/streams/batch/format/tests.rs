use super::super::build::{Builder, gap};
use super::super::codec::Codec;
use super::super::records::{Headers, Record};
use super::*;
use crate::ids::Offset;
use crate::log::format::{Walk, Walked};

fn batch(base: u64, count: u64, epoch: i32, codec: Codec) -> Vec<u8> {
    let mut builder = Builder::new(Offset(base), codec).leader_epoch(epoch);
    for offset in base..base + count {
        let added = builder.add(&Record {
            offset: Offset(offset),
            timestamp: 5000,
            key: None,
            value: Some(b"some value"),
            headers: Headers::NONE,
        });
        added.unwrap();
    }
    builder.finish().unwrap()
}

/// A log from offset 40 on: three batches, what compaction left of some, one more.
fn chain() -> Vec<Vec<u8>> {
    vec![
        batch(40, 3, 2, Codec::None),
        batch(43, 1, 2, Codec::Gzip),
        gap(Offset(44), Offset(60), 2),
        batch(60, 2, 5, Codec::Lz4),
    ]
}

fn walk(bytes: &[u8]) -> Result<(usize, End), Fault> {
    let mut walk = Walk {
        format: &BATCHES,
        epoch: Epoch(7),
        end: End {
            next: Index(40),
            ..End::default()
        },
    };
    let (mut count, mut at) = (0, 0);
    while at < bytes.len() {
        match walk.step(&bytes[at..])? {
            Walked::Record(head) => at += head.length,
            Walked::Nothing | Walked::More(_) => return Ok((count, walk.end)),
        }
        count += 1;
    }
    Ok((count, walk.end))
}

#[test]
fn a_log_is_walked_batch_by_batch() {
    let end = End {
        next: Index(62),
        term: Term(5),
        check: 0,
    };
    let mut bytes = chain().concat();
    assert_eq!(walk(&bytes), Ok((4, end)));
    bytes.extend_from_slice(&[0; 500]);
    assert_eq!(walk(&bytes), Ok((4, end)));
}

#[test]
fn a_head_is_measured_from_its_first_bytes() {
    let bytes = batch(40, 3, 2, Codec::None);
    for length in 0..HEADER_BYTES {
        assert_eq!(
            BATCHES.measure(&bytes[..length]),
            Ok(Step::More(HEADER_BYTES))
        );
    }
    let head = Head {
        length: bytes.len(),
        first: Index(40),
        next: Index(43),
        term: Term(2),
        previous: 0,
        check: 0,
    };
    assert_eq!(
        BATCHES.measure(&bytes[..HEADER_BYTES]),
        Ok(Step::Record(head))
    );
    let zeros = [0; 200];
    assert_eq!(BATCHES.measure(&zeros[..60]), Ok(Step::More(HEADER_BYTES)));
    assert_eq!(BATCHES.measure(&zeros), Ok(Step::Nothing));
}

#[test]
fn a_cut_batch_wants_more() {
    let bytes = batch(40, 3, 2, Codec::None);
    for length in HEADER_BYTES..bytes.len() {
        let mut walk = Walk {
            format: &BATCHES,
            epoch: Epoch(1),
            end: End {
                next: Index(40),
                ..End::default()
            },
        };
        assert_eq!(walk.step(&bytes[..length]), Ok(Walked::More(bytes.len())));
    }
}

#[test]
fn every_flipped_bit_is_found_but_one_kind() {
    let chain = chain();
    let whole = walk(&chain.concat()).unwrap();
    for (place, batch) in chain.iter().enumerate() {
        let before: usize = chain[..place].iter().map(Vec::len).sum();
        for bit in 0..batch.len() * 8 {
            let mut bad = chain.concat();
            bad[before + bit / 8] ^= 1 << (bit % 8);
            let is_found = walk(&bad).map(|found| found.0) != Ok(whole.0);
            let (at, is_last) = (bit / 8, place == 3);
            let was = i32::from_be_bytes(batch[12..16].try_into().unwrap());
            let now = &bad[before + 12..before + 16];
            let now = i32::from_be_bytes(now.try_into().unwrap());
            // An epoch that is higher, but not above the next batch's, or
            // lower and not below the one before: nothing here can tell.
            let bounds = match place {
                0 => 0..=2,
                1 | 2 => 2..=if place == 1 { 2 } else { 5 },
                _ => 2..=i32::MAX,
            };
            let is_hidden = (12..16).contains(&at) && was != now && bounds.contains(&now);
            assert_eq!(
                is_found, !is_hidden,
                "batch {place}, bit {bit}, last {is_last}"
            );
        }
    }
}

#[test]
fn heads_that_no_batch_has() {
    let changed = |at: usize, bytes: &[u8]| {
        let mut batch = batch(40, 3, 2, Codec::None);
        batch[at..at + bytes.len()].copy_from_slice(bytes);
        BATCHES.measure(&batch).map_err(|fault| fault.what)
    };
    let too_long = (RECORD_BYTES_MAX as i32 - 11).to_be_bytes();
    let beyond = (OFFSET_MAX as i64 + 1).to_be_bytes();
    for (at, bytes, what) in [
        (16, &[1][..], "batch magic"),
        (16, &[0xff], "batch magic"),
        (8, &[0, 0, 0, 48], "batch length"),
        (8, &[0xff; 4], "batch length"),
        (8, &too_long, "batch length"),
        (0, &[0x80], "base offset"),
        (0, &beyond, "base offset"),
        (23, &[0xff; 4], "last offset of the batch"),
        (12, &[0xff; 4], "leader epoch"),
        (57, &[0, 0, 0, 4], "count of records"),
        (57, &[0xff; 4], "count of records"),
    ] {
        assert_eq!(changed(at, bytes), Err(what), "{at} {bytes:?}");
    }
    let longest = (RECORD_BYTES_MAX as i32 - 12).to_be_bytes();
    assert!(changed(8, &longest).is_ok());
    assert!(changed(57, &[0; 4]).is_ok(), "what compaction has emptied");
}
