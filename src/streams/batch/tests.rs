//! Batches through all of it: made by other projects' clients and read here,
//! made here and read again.

use super::build::{Builder, HeaderList, Unfit, gap};
use super::check::{Offered, Refusal, Rules};
use super::codec::{Codec, Unpacker, pack};
use super::control::{Ending, Marker, Place};
use super::header::{Attributes, BatchMut, Claim, HEADER_BYTES, Header, sum};
use super::records::{Headers, Record, Records, Unreadable};
use super::stored::{Kind, Stored};
use crate::clock::Millis;
use crate::entropy::Seeded;
use crate::ids::{Offset, ProducerId};
use crate::limits::BATCH_PLAIN_BYTES_MAX;

pub(super) fn any() -> Rules {
    Rules {
        batch_bytes_max: 1 << 20,
        is_compacted: false,
        timestamps: i64::MIN..=i64::MAX,
    }
}

fn check(bytes: &[u8], rules: &Rules) -> Result<Vec<Offered>, Refusal> {
    super::check::check(bytes, rules, &mut Unpacker::default())
}

fn unpacked(batch: &[u8], most: usize) -> Result<Records<'_>, Unreadable> {
    Records::of(batch, most, &mut Unpacker::default())
}

/// A record as an owned value, headers included.
type Plain = (
    u64,
    i64,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    Vec<(Vec<u8>, Option<Vec<u8>>)>,
);

fn plain(record: &Record<'_>) -> Plain {
    let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
    (
        record.offset.0,
        record.timestamp,
        owned(record.key),
        owned(record.value),
        record
            .headers
            .map(|(key, value)| (key.to_vec(), owned(value)))
            .collect(),
    )
}

fn read(batch: &[u8]) -> Vec<Plain> {
    let records = unpacked(batch, BATCH_PLAIN_BYTES_MAX).unwrap();
    let read: Result<Vec<_>, _> = records
        .iter()
        .map(|one| one.map(|one| plain(&one)))
        .collect();
    read.unwrap()
}

/// What both clients were asked to send; JavaScript's has no null header.
fn expected(empty_header: Option<&[u8]>) -> Vec<Plain> {
    const TIME: i64 = 1_700_000_000_000;
    let some = |text: &str| Some(text.as_bytes().to_vec());
    let header = |key: &str, value: Option<&[u8]>| (key.into(), value.map(<[u8]>::to_vec));
    let traced = vec![
        header("trace", Some(b"1")),
        header("trace", Some(b"2")),
        header("empty", empty_header),
    ];
    let nameless = match empty_header {
        None => vec![header("", Some(b""))],
        Some(_) => vec![],
    };
    let mut all = vec![
        (0, TIME, some("boiler-7"), some("nominal"), traced),
        (1, TIME + 5, None, some("no key"), vec![]),
        (2, TIME - 20, some("gone"), None, vec![]),
        (3, TIME + 3, some(""), some(""), nameless),
    ];
    for place in 0..40 {
        let key = some(&format!("boiler-{}", place % 4));
        let value = some(&format!("state=nominal temperature={place} ").repeat(4));
        all.push((4 + place, TIME + place as i64, key, value, vec![]));
    }
    all
}

macro_rules! fixture {
    ($name:literal) => {
        (
            $name,
            include_bytes!(concat!("../../../tests/fixtures/batches/", $name)) as &[u8],
        )
    };
}

/// Made by kafka-python 2.2.3 and kafkajs 2.2.4, each with the codecs that it
/// was given.
const FIXTURES: [(&str, &[u8]); 9] = [
    fixture!("kafka-python-none"),
    fixture!("kafka-python-gzip"),
    fixture!("kafka-python-snappy"),
    fixture!("kafka-python-lz4"),
    fixture!("kafka-python-zstd"),
    fixture!("kafkajs-none"),
    fixture!("kafkajs-gzip"),
    fixture!("kafkajs-snappy"),
    fixture!("kafkajs-lz4"),
];

#[test]
fn batches_of_other_clients_are_read() {
    for (name, batch) in FIXTURES {
        let offered = check(batch, &any()).unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        let [offered] = &offered[..] else {
            panic!("{name}: {offered:?}");
        };
        assert!(name.ends_with(offered.codec.name()), "{name}");
        assert_eq!((offered.count, offered.latest), (44, 43), "{name}");
        assert_eq!(offered.max_timestamp, 1_700_000_000_039, "{name}");
        assert!(!offered.is_max_timestamp_wrong, "{name}");
        let is_python = name.starts_with("kafka-python");
        let empty: Option<&[u8]> = if is_python { None } else { Some(b"") };
        assert_eq!(read(batch), expected(empty), "{name}");
    }
}

#[test]
fn what_a_producer_says_of_itself_is_read() {
    for (name, batch) in FIXTURES {
        let offered = &check(batch, &any()).unwrap()[0];
        let claim = |id, epoch, sequence| Claim {
            id: ProducerId(id),
            epoch,
            sequence,
        };
        let (said, is_transactional) = match name {
            "kafka-python-lz4" => (Some(claim(4000, 2, 100)), false),
            "kafka-python-zstd" => (Some(claim(4000, 2, 100)), true),
            "kafkajs-none" => (Some(claim(4001, 0, 7)), false),
            _ => (None, false),
        };
        assert_eq!(offered.claim, said, "{name}");
        assert_eq!(offered.is_transactional, is_transactional, "{name}");
    }
}

fn random_bytes(chance: &mut Seeded) -> Option<Vec<u8>> {
    if chance.one_in(5) {
        return None;
    }
    let length = match chance.below(20) {
        0 => chance.below(100_000),
        _ => chance.below(60),
    };
    Some((0..length).map(|_| b'a' + chance.below(6) as u8).collect())
}

fn random_plain(chance: &mut Seeded, offset: u64) -> Plain {
    let headers = (0..chance.below(4))
        .map(|_| {
            let key = random_bytes(chance).unwrap_or_default();
            (key, random_bytes(chance))
        })
        .collect();
    let timestamp = match chance.below(30) {
        0 => i64::MAX,
        1 => i64::MIN,
        _ => chance.below(1 << 41) as i64,
    };
    let (key, value) = (random_bytes(chance), random_bytes(chance));
    (offset, timestamp, key, value, headers)
}

fn add(builder: &mut Builder, plain: &Plain) -> Result<(), Unfit> {
    let (offset, timestamp, key, value, headers) = plain;
    let mut list = HeaderList::default();
    for (key, value) in headers {
        list.add(key, value.as_deref());
    }
    builder.add(&Record {
        offset: Offset(*offset),
        timestamp: *timestamp,
        key: key.as_deref(),
        value: value.as_deref(),
        headers: list.view(),
    })
}

#[test]
fn what_is_built_reads_as_it_was_given() {
    for seed in 0..150 {
        let mut chance = Seeded::new(seed);
        let codec = Codec::ALL[chance.below(5) as usize];
        let base = chance.below(1 << 50);
        let mut builder = Builder::new(Offset(base), codec).leader_epoch(7);
        let mut offset = base;
        let mut given = Vec::new();
        for _ in 0..chance.below(40) {
            offset += chance.below(3);
            let plain = random_plain(&mut chance, offset);
            add(&mut builder, &plain).unwrap();
            given.push(plain);
            offset += 1;
        }
        assert_eq!(builder.count(), given.len());
        let batch = builder.finish().unwrap();
        assert_eq!(read(&batch), given, "seed {seed}");
        let stored = Stored::read(&batch).unwrap();
        let next = given.last().map_or(base, |last| last.0) + 1;
        assert_eq!((stored.first.0, stored.next.0), (base, next), "seed {seed}");
        assert_eq!((stored.leader_epoch, stored.kind), (7, Kind::Data));
        let header = Header::of(&batch).unwrap();
        assert_eq!(header.crc(), sum(&batch));
        let max = given.iter().map(|one| one.1).max().unwrap_or(-1).max(-1);
        assert_eq!(header.max_timestamp(), max, "seed {seed}");
    }
}

fn claim() -> Claim {
    Claim {
        id: ProducerId(9),
        epoch: 1,
        sequence: 500,
    }
}

fn keyed(count: u64, codec: Codec) -> Vec<u8> {
    let mut builder = Builder::new(Offset(100), codec)
        .leader_epoch(3)
        .producer(claim(), true);
    for place in 0..count {
        let key = Some(vec![place as u8]);
        add(
            &mut builder,
            &(100 + place, 1000 + place as i64, key, Some(vec![7]), vec![]),
        )
        .unwrap();
    }
    builder.finish().unwrap()
}

#[test]
fn compaction_keeps_the_offsets_and_the_producer() {
    for codec in Codec::ALL {
        let batch = keyed(10, codec);
        let before = Stored::read(&batch).unwrap();
        let records = unpacked(&batch, 1 << 20).unwrap();
        for kept in [&[2, 5][..], &[9], &[]] {
            let mut builder = Builder::like(&Header::of(&batch).unwrap())
                .unwrap()
                .delete_horizon(77_000);
            for record in records.iter().map(Result::unwrap) {
                if kept.contains(&(record.offset.0 - 100)) {
                    builder.add(&record).unwrap();
                }
            }
            let after = builder.finish().unwrap();
            assert_eq!(after.len() == HEADER_BYTES, kept.is_empty());
            let header = Header::of(&after).unwrap();
            assert_eq!(header.base_timestamp(), 77_000);
            assert!(header.attributes().has(Attributes::DELETE_HORIZON));
            assert_eq!(header.count() as usize, kept.len());
            let offsets: Vec<_> = read(&after).iter().map(|one| (one.0, one.1)).collect();
            let wanted: Vec<_> = kept
                .iter()
                .map(|&at| (100 + at, 1000 + at as i64))
                .collect();
            assert_eq!(offsets, wanted, "{codec}");
            let max_timestamp = kept.last().map(|&at| 1000 + at as i64);
            let expected = Stored {
                max_timestamp,
                ..before
            };
            assert_eq!(Stored::read(&after).unwrap(), expected, "{codec}");
        }
    }
}

#[test]
fn the_time_of_the_append_outlives_compaction() {
    let mut batch = keyed(4, Codec::Lz4);
    BatchMut::of(&mut batch)
        .unwrap()
        .set_append_time(Millis(9000));
    assert!(read(&batch).iter().all(|record| record.1 == 9000));
    let mut builder = Builder::like(&Header::of(&batch).unwrap()).unwrap();
    let records = unpacked(&batch, 1 << 20).unwrap();
    let first = records.iter().next().unwrap().unwrap();
    builder.add(&first).unwrap();
    let after = builder.finish().unwrap();
    assert_eq!(read(&after)[0].1, 9000);
    assert_eq!(Header::of(&after).unwrap().max_timestamp(), 9000);
}

#[test]
fn what_does_not_fit_leaves_the_batch_as_it_was() {
    let mut builder = Builder::new(Offset(50), Codec::None);
    let record = |offset: u64| (offset, 0, None, Some(vec![1; 100]), vec![]);
    add(&mut builder, &record(60)).unwrap();
    let bytes = builder.plain_bytes();
    let base = Offset(50);
    for offset in [0, 49, 60, 50 + (1 << 31), u64::MAX] {
        let unfit = add(&mut builder, &record(offset));
        let offset = Offset(offset);
        assert_eq!(unfit, Err(Unfit::Offset { offset, base }), "{offset}");
    }
    assert_eq!((builder.plain_bytes(), builder.count()), (bytes, 1));
    let last = (50 + i32::MAX as u64, 0, None, None, vec![]);
    add(&mut builder, &last).unwrap();
    assert_eq!(read(&builder.finish().unwrap()).len(), 2);

    let mut large = Builder::new(Offset(0), Codec::None);
    let seventeen = (0, 0, None, Some(vec![1; 17 << 20]), vec![]);
    add(&mut large, &seventeen).unwrap();
    assert!(matches!(large.finish(), Err(Unfit::TooLarge { .. })));
    let mut packed = Builder::new(Offset(0), Codec::Zstd);
    add(&mut packed, &seventeen).unwrap();
    let most = (1, 0, None, Some(vec![1; BATCH_PLAIN_BYTES_MAX]), vec![]);
    assert!(matches!(
        add(&mut packed, &most),
        Err(Unfit::TooLarge { .. })
    ));
    assert_eq!(read(&packed.finish().unwrap()), [seventeen]);
}

#[test]
fn a_gap_is_filled_whatever_its_length() {
    assert!(gap(Offset(5), Offset(5), 1).is_empty());
    for (first, next, batches) in [
        (5, 6, 1),
        (5, 5 + (1 << 31), 1),
        (5, 6 + (1 << 31), 2),
        (0, 5 << 31, 5),
    ] {
        let bytes = gap(Offset(first), Offset(next), 4);
        assert_eq!(bytes.len(), batches * HEADER_BYTES);
        let mut at = first;
        for batch in bytes.chunks(HEADER_BYTES) {
            let stored = Stored::read(batch).unwrap();
            assert_eq!((stored.first.0, stored.leader_epoch), (at, 4));
            assert_eq!((stored.claim, stored.max_timestamp), (None, None));
            assert!(read(batch).is_empty());
            at = stored.next.0;
        }
        assert_eq!(at, next);
    }
}

fn place() -> Place {
    Place {
        offset: Offset(40),
        leader_epoch: 2,
        id: ProducerId(9),
        epoch: 6,
    }
}

#[test]
fn markers_are_read_as_they_are_written() {
    for (ending, kind) in [(Ending::Abort, 0), (Ending::Commit, 1)] {
        let marker = Marker {
            ending,
            coordinator_epoch: 12,
        };
        let batch = marker.batch(place(), Millis(5000));
        let stored = Stored::read(&batch).unwrap();
        assert_eq!(stored.kind, Kind::Marker(marker));
        assert_eq!((stored.first.0, stored.next.0), (40, 41));
        assert!(stored.is_transactional);
        let (claim, timestamp) = (stored.claim.unwrap(), stored.max_timestamp);
        assert_eq!((claim.id.0, claim.epoch, timestamp), (9, 6, Some(5000)));
        let header = Header::of(&batch).unwrap();
        assert_eq!((header.base_sequence(), header.attributes().0), (-1, 0x30));
        // As the protocol writes them.
        let (_, _, key, value, _) = read(&batch).remove(0);
        assert_eq!(key.unwrap(), [0, 0, 0, kind]);
        assert_eq!(value.unwrap(), [0, 0, 0, 0, 0, 12]);
        // What compaction has left of it.
        let emptied = Builder::like(&header).unwrap().finish().unwrap();
        let emptied = Stored::read(&emptied).unwrap();
        assert_eq!(emptied.kind, Kind::Emptied);
        assert_eq!(emptied.max_timestamp, None, "it has no record");
    }
}

#[test]
fn control_records_that_end_nothing_are_refused() {
    let whole: (&[u8], &[u8]) = (&[0, 0, 0, 1], &[0, 0, 0, 0, 0, 1]);
    for (key, value, is_read) in [
        (Some(whole.0), Some(whole.1), true),
        (
            Some(&[0, 1, 0, 1, 9][..]),
            Some(&[0, 3, 0, 0, 0, 1, 9, 9][..]),
            true,
        ),
        (Some(&[0, 0, 0, 2]), Some(whole.1), false),
        (Some(&[0xff, 0xff, 0, 1]), Some(whole.1), false),
        (Some(whole.0), Some(&[0xff, 0xff, 0, 0, 0, 1]), false),
        (Some(&[0, 0, 0]), Some(whole.1), false),
        (Some(whole.0), Some(&[0, 0, 0, 0, 0]), false),
        (None, Some(whole.1), false),
        (Some(whole.0), None, false),
    ] {
        let mut builder = Builder::new(Offset(0), Codec::None).control();
        builder
            .add(&Record {
                offset: Offset(0),
                timestamp: 0,
                key,
                value,
                headers: Headers::NONE,
            })
            .unwrap();
        let read = Stored::read(&builder.finish().unwrap());
        assert_eq!(read.is_ok(), is_read, "{key:?} {value:?}: {read:?}");
    }
}

/// A batch of `records` as they are, under a head of one record.
fn raw(records: &[u8], change: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut builder = Builder::new(Offset(0), Codec::None);
    add(&mut builder, &(0, 0, None, None, vec![])).unwrap();
    let mut batch = builder.finish().unwrap();
    batch.truncate(HEADER_BYTES);
    batch.extend_from_slice(records);
    let length = (batch.len() - 12) as u32;
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    change(&mut batch);
    batch
}

#[test]
fn what_cannot_be_read_says_why() {
    let record = [12, 0, 0, 0, 1, 1, 0];
    let unchanged = |_: &mut Vec<u8>| ();
    let first = |batch: &[u8]| match unpacked(batch, 1 << 20) {
        Ok(records) => records.iter().find_map(Result::err),
        Err(unreadable) => Some(unreadable),
    };
    assert_eq!(first(&raw(&record, unchanged)), None);
    let (said, found) = (1, 0);
    let count = Unreadable::Count { said, found };
    assert_eq!(first(&raw(&[], unchanged)), Some(count));
    let two = [record, record].concat();
    let (said, found) = (1, 2);
    let count = Unreadable::Count { said, found };
    assert_eq!(first(&raw(&two, unchanged)), Some(count));
    let two_said = |batch: &mut Vec<u8>| batch[60] = 2;
    let (at, delta) = (1, 0);
    let order = Unreadable::Order { at, delta };
    assert_eq!(first(&raw(&two, two_said)), Some(order));
    let (at, delta) = (0, 1);
    let order = Unreadable::Order { at, delta };
    let late = [12, 0, 0, 2, 1, 1, 0];
    assert_eq!(first(&raw(&late, unchanged)), Some(order));
    let cut = first(&raw(&record[..5], unchanged));
    assert!(
        matches!(cut, Some(Unreadable::Record { at: 0, .. })),
        "{cut:?}"
    );
    let magic = |batch: &mut Vec<u8>| batch[16] = 1;
    let found = first(&raw(&record, magic));
    assert_eq!(found, Some(Unreadable::Magic { found: 1 }));
    let codec = |batch: &mut Vec<u8>| batch[22] = 5;
    let found = first(&raw(&record, codec));
    assert_eq!(found, Some(Unreadable::Codec { number: 5 }));
    let negative = |batch: &mut Vec<u8>| batch[0] = 0x80;
    let found = first(&raw(&record, negative));
    assert!(
        matches!(found, Some(Unreadable::Offsets { .. })),
        "{found:?}"
    );
    let longer = [&raw(&record, unchanged)[..], &[0]].concat();
    let bytes = longer.len();
    assert_eq!(first(&longer), Some(Unreadable::NotWhole { bytes }));
}

#[test]
fn a_batch_unpacks_to_its_bound_and_no_further() {
    let batch = keyed(100, Codec::Gzip);
    let plain = keyed(100, Codec::None).len() - HEADER_BYTES;
    assert!(unpacked(&batch, plain).is_ok());
    assert!(unpacked(&batch, plain - 1).is_err());
    assert!(pack(Codec::Gzip, &[0; 100]).len() < 100);
}
