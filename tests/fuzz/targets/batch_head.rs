//! Batches as a log has them, after whatever has happened to the disk: heads are
//! read and written over, the walk goes from one to the next, and what is whole
//! tells what a partition must know of it. The first byte says how much is made
//! sound before, for chance would never meet a checksum.
#![no_main]

use dolmen::clock::Millis;
use dolmen::ids::{Epoch, Index, Offset, Term};
use dolmen::log::format::{End, Walk, Walked};
use dolmen::streams::batch::format::BATCHES;
use dolmen::streams::batch::header::{BatchMut, HEADER_BYTES, Header, sum};
use dolmen::streams::batch::stored::Stored;
use dolmen_fuzz::{judge, put};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| judge(input, run));

fn run(input: &[u8]) {
    let Some((&choice, bytes)) = input.split_first() else {
        return;
    };
    let mut bytes = bytes.to_vec();
    if choice & 1 > 0 {
        make_sound(&mut bytes, choice & 2 > 0);
    }
    look(&bytes);
    walk(&bytes);
    change(bytes);
}

/// Batches back to back, by the lengths that they state: each gets the magic and
/// its checksum, and where it is asked for also the offset that must follow.
fn make_sound(bytes: &mut [u8], in_order: bool) {
    let (mut at, mut next) = (0, 0_u64);
    while let Some(header) = bytes.get(at..).and_then(Header::of) {
        let stated = header.total_bytes().unwrap_or(usize::MAX);
        let delta = header.last_offset_delta();
        let left = bytes.len() - at;
        let length = match stated <= left {
            true => stated,
            // The last one takes what is left.
            false => {
                put(bytes, at + 8, &((left - 12) as u32).to_be_bytes());
                left
            }
        };
        let batch = &mut bytes[at..at + length];
        put(batch, 16, &[2]);
        if in_order {
            put(batch, 0, &next.to_be_bytes());
            put(batch, 12, &[0; 4]);
            next = next.saturating_add(u64::from(delta.unsigned_abs()) + 1);
        }
        let crc = sum(batch);
        put(batch, 17, &crc.to_be_bytes());
        at += length;
    }
}

/// Every field can be read of any 61 bytes.
fn look(bytes: &[u8]) {
    let Some(header) = Header::of(bytes) else {
        return assert!(bytes.len() < HEADER_BYTES);
    };
    assert!(
        header
            .total_bytes()
            .is_none_or(|total| total >= HEADER_BYTES)
    );
    assert_eq!(header.claim().is_some(), header.producer_id() >= 0);
    let attributes = header.attributes();
    if let Some(codec) = attributes.codec() {
        assert_eq!(codec.number(), attributes.codec_bits());
    }
    if header.is_zero() {
        assert_eq!((header.magic(), header.count()), (0, 0));
    }
}

/// Ends where the bytes do or where they are wrong. The offsets go up without a
/// hole, the epochs do not fall, and what was walked over can be read.
fn walk(bytes: &[u8]) {
    let first = Header::of(bytes).map_or(0, |header| header.base_offset().max(0));
    let begin = End {
        next: Index(first as u64),
        ..End::default()
    };
    let mut walk = Walk {
        format: &BATCHES,
        epoch: Epoch(0),
        end: begin,
    };
    let (mut at, mut next, mut term) = (0, begin.next, Term(0));
    while let Ok(Walked::Record(head)) = walk.step(&bytes[at..]) {
        assert!(head.length >= HEADER_BYTES && head.first == next && head.term >= term);
        assert!(walk.end.next > next, "a batch stands for an offset");
        (next, term) = (walk.end.next, head.term);
        let batch = &bytes[at..at + head.length];
        if let Ok(stored) = Stored::read(batch) {
            assert_eq!((stored.first.0, stored.next.0), (head.first.0, next.0));
            assert_eq!(stored.leader_epoch as u64, term.0);
        }
        at += head.length;
    }
}

/// What is outside the checksum can be set without it, and what is within seals
/// the batch anew.
fn change(mut bytes: Vec<u8>) {
    let before = bytes.clone();
    let Some(mut batch) = BatchMut::of(&mut bytes) else {
        return;
    };
    batch.set_base_offset(Offset(77));
    batch.set_leader_epoch(5);
    assert_eq!(sum(&bytes), sum(&before));
    let header = Header::of(&bytes).expect("it is whole");
    assert_eq!((header.base_offset(), header.leader_epoch()), (77, 5));
    let mut batch = BatchMut::of(&mut bytes).expect("it was whole");
    batch.set_max_timestamp(3);
    batch.set_append_time(Millis(9));
    let header = Header::of(&bytes).expect("it is whole");
    assert_eq!((header.max_timestamp(), header.crc()), (9, sum(&bytes)));
    assert_eq!(bytes.len(), before.len());
}
