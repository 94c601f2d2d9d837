//! The records of a stored batch, with each codec: the first byte chooses it,
//! and whether the rest is packed already or is packed here. What reads is
//! built again, and reads the same.
#![no_main]

use dolmen::streams::batch::build::Builder;
use dolmen::streams::batch::codec::{Codec, Unpacker, pack};
use dolmen::streams::batch::header::Header;
use dolmen::streams::batch::records::{Record, Records};
use dolmen_fuzz::{judge_at, put};
use libfuzzer_sys::fuzz_target;

/// Enough for inputs that are packed by hand.
const PLAIN_BYTES_MAX: usize = 1 << 18;
/// As in `batch_check`, and the same once more for what is built.
const BYTES_PER_PACKED_BYTE: usize = 255 * 6;

fuzz_target!(|input: &[u8]| judge_at(BYTES_PER_PACKED_BYTE, input, run));

fn run(input: &[u8]) {
    let [choice, count, attributes, body @ ..] = input else {
        return;
    };
    let codec = Codec::ALL[usize::from(choice % 5)];
    let is_packed = choice % 2 == 0;
    let body = match is_packed {
        true => body.to_vec(),
        false => pack(codec, body),
    };
    let mut batch = Builder::new(dolmen::ids::Offset(70), Codec::None)
        .finish()
        .expect("an empty batch is short");
    batch.extend_from_slice(&body);
    let length = (batch.len() - 12) as u32;
    put(&mut batch, 8, &length.to_be_bytes());
    put(&mut batch, 22, &[attributes & 0x48 | codec.number()]);
    put(&mut batch, 23, &[0, 0, 0, 200]);
    put(&mut batch, 57, &u32::from(*count).to_be_bytes());
    let mut unpacker = Unpacker::default();
    let Ok(records) = Records::of(&batch, PLAIN_BYTES_MAX, &mut unpacker) else {
        return;
    };
    let read: Vec<Record<'_>> = records.iter().map_while(Result::ok).collect();
    let header = Header::of(&batch).expect("it is whole");
    let mut builder = Builder::like(&header).expect("it could stand in a log");
    for record in &read {
        assert_eq!(record.headers.count(), record.headers.len());
        builder.add(record).expect("it was in a batch before");
    }
    let again = builder.finish().expect("it is no larger than it was");
    let records = Records::of(&again, PLAIN_BYTES_MAX * 2, &mut unpacker).expect("it was built");
    let again: Result<Vec<_>, _> = records.iter().collect();
    assert_eq!(again, Ok(read));
}
