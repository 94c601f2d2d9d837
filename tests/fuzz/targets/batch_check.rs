//! What a producer sends for a partition: refused, or batches that can be read
//! record by record and stored. Each input is tried as it came and again under
//! a sound head.
#![no_main]

use dolmen::clock::Millis;
use dolmen::ids::{Epoch, Index, Offset};
use dolmen::limits::BATCH_PLAIN_BYTES_MAX;
use dolmen::log::format::{End, Walk, Walked};
use dolmen::streams::batch::check::{Offered, Rules, check};
use dolmen::streams::batch::codec::Unpacker;
use dolmen::streams::batch::format::BATCHES;
use dolmen::streams::batch::header::{BatchMut, HEADER_BYTES, sum};
use dolmen::streams::batch::records::Records;
use dolmen::streams::batch::stored::{Kind, Stored};
use dolmen_fuzz::{judge_at, put};
use libfuzzer_sys::fuzz_target;

/// A byte of an LZ4 block stands for 255 at the most, and what is unpacked is
/// held twice while it grows.
const BYTES_PER_PACKED_BYTE: usize = 255 * 3;

fuzz_target!(|input: &[u8]| {
    judge_at(BYTES_PER_PACKED_BYTE, input, run);
    let mut sound = input.to_vec();
    make_sound(&mut sound);
    judge_at(BYTES_PER_PACKED_BYTE, &sound, run);
});

/// One batch over all bytes, from offset 0, whose count and last offset agree.
fn make_sound(bytes: &mut [u8]) {
    if bytes.len() < HEADER_BYTES {
        return;
    }
    let length = (bytes.len() - 12) as u32;
    put(bytes, 0, &[0; 8]);
    put(bytes, 8, &length.to_be_bytes());
    put(bytes, 16, &[2]);
    let count = u32::from(bytes[60]).max(1);
    put(bytes, 57, &count.to_be_bytes());
    put(bytes, 23, &(count - 1).to_be_bytes());
    let attributes = bytes[22] & 0x17;
    put(bytes, 21, &[0, attributes]);
    let crc = sum(bytes);
    put(bytes, 17, &crc.to_be_bytes());
}

fn run(bytes: &[u8]) {
    let rules = Rules {
        batch_bytes_max: 1 << 20,
        is_compacted: bytes.first() == Some(&1),
        timestamps: i64::MIN..=i64::MAX,
    };
    let Ok(offered) = check(bytes, &rules, &mut Unpacker::default()) else {
        return;
    };
    let mut until = 0;
    for one in &offered {
        assert_eq!(one.bytes.start, until);
        until = one.bytes.end;
        read(&bytes[one.bytes.clone()], one);
    }
    assert_eq!(until, bytes.len());
}

/// The batch is read, then stored at an offset of a log with the time of its
/// append, and read again.
fn read(batch: &[u8], offered: &Offered) {
    let count = |batch: &[u8]| {
        let records = Records::of(batch, BATCH_PLAIN_BYTES_MAX, &mut Unpacker::default());
        let records = records.expect("it was checked");
        let records = records.iter().map(|record| record.expect("it was checked"));
        records.map(|record| record.headers.count() as u64).count() as u32
    };
    assert_eq!(count(batch), offered.count);
    let mut placed = batch.to_vec();
    let mut open = BatchMut::of(&mut placed).expect("it is whole");
    open.set_base_offset(Offset(1000));
    open.set_leader_epoch(7);
    open.set_append_time(Millis(5000));
    assert_eq!(count(&placed), offered.count);
    let stored = Stored::read(&placed).expect("it was checked");
    assert_eq!((stored.kind, stored.claim), (Kind::Data, offered.claim));
    assert_eq!(stored.next.0, 1000 + u64::from(offered.count));
    let mut walk = Walk {
        format: &BATCHES,
        epoch: Epoch(0),
        end: End {
            next: Index(1000),
            ..End::default()
        },
    };
    assert!(matches!(walk.step(&placed), Ok(Walked::Record(_))));
    assert_eq!(walk.end.next.0, stored.next.0);
}
