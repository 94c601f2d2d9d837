//! Batches made beforehand, so that making them is no part of what is measured.

use bytes::Bytes;
use dolmen::ids::Offset;
use dolmen::streams::batch::build::Builder;
use dolmen::streams::batch::codec::Codec;
use dolmen::streams::batch::header::{HEADER_BYTES, Header};
use dolmen::streams::batch::records::{Headers, Record};
use std::time::{SystemTime, UNIX_EPOCH};

/// The same batch is sent over and over; it is known again by its checksum,
/// which the broker does not touch.
#[derive(Clone)]
pub struct Batch {
    pub bytes: Bytes,
    pub records: u64,
    pub crc: u32,
}

/// Length, attributes, time, offset, key, value's length and headers of a
/// record, at the most.
const RECORD_HEAD_BYTES_MAX: usize = 24;

impl Batch {
    /// Records of such values without keys, as many as there is room for and
    /// at least one. `seed` makes it another one than the rest.
    pub fn make(record_bytes: usize, batch_bytes: usize, seed: u64) -> Self {
        let mut chance = 0x9e37_79b9_7f4a_7c15 ^ (seed + 1);
        let mut builder = Builder::new(Offset(0), Codec::None);
        let room = batch_bytes.saturating_sub(HEADER_BYTES + RECORD_HEAD_BYTES_MAX);
        let timestamp = now_ms();
        let mut records = 0;
        while records == 0 || builder.plain_bytes() + record_bytes <= room {
            let value: Vec<u8> = std::iter::repeat_with(|| draw(&mut chance))
                .take(record_bytes)
                .collect();
            let record = Record {
                offset: Offset(records),
                timestamp,
                key: None,
                value: Some(&value),
                headers: Headers::NONE,
            };
            builder.add(&record).expect("far below what a batch holds");
            records += 1;
        }
        let bytes = Bytes::from(builder.finish().expect("far below what a batch holds"));
        let crc = Header::of(&bytes).expect("it has a head").crc();
        Self {
            bytes,
            records,
            crc,
        }
    }
}

/// Old records would go by the topic's retention while they are measured.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as i64)
}

/// Marsaglia's xorshift64: bytes that no codec shortens.
fn draw(chance: &mut u64) -> u8 {
    *chance ^= *chance << 13;
    *chance ^= *chance >> 7;
    *chance ^= *chance << 17;
    (*chance >> 24) as u8
}
