//! The journal's bytes: a file header, a batch, its entries or its table. Each
//! input is tried as it came and again under good checksums.
#![no_main]

use dolmen::log::batch::{self, FileHeader, Kind};
use dolmen_fuzz::{judge, put, seal};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    judge(input, run);
    let mut sealed = input.to_vec();
    make_sound(&mut sealed);
    judge(&sealed, run);
});

fn make_sound(bytes: &mut [u8]) {
    put(bytes, 0, b"DLBT\x01\x00");
    if let Some(body_bytes) = bytes.len().checked_sub(batch::BATCH_HEADER_BYTES) {
        put(bytes, 44, &(body_bytes as u32).to_le_bytes());
    }
    let end = bytes.len();
    seal(bytes, batch::BATCH_HEADER_BYTES, end, 52);
    seal(bytes, 0, 60, 60);
}

fn run(bytes: &[u8]) {
    if let Ok(header) = FileHeader::parse(bytes) {
        assert_eq!(FileHeader::parse(&header.encode()), Ok(header));
    }
    let Ok(Some(batch)) = batch::parse(bytes, 0) else {
        return;
    };
    let mut again = batch.header.encode().0.to_vec();
    again.extend_from_slice(batch.body);
    let read = batch::parse(&again, 0);
    assert_eq!(
        read.map(|read| read.map(|read| read.header)),
        Ok(Some(batch.header))
    );

    if batch.header.kind != Kind::Entries {
        if let Ok((next_epoch, lines)) = batch::parse_table(batch.body) {
            let again = batch::encode_table(next_epoch, &lines);
            assert_eq!(batch::parse_table(&again), Ok((next_epoch, lines)));
        }
    }
    for entry in batch::entries(batch.body).map_while(Result::ok) {
        let mut again = entry.header().to_vec();
        if let batch::Entry::Append { bytes, .. } = entry {
            again.extend_from_slice(bytes);
        }
        again.resize(entry.encoded_bytes(), 0);
        assert_eq!(batch::entries(&again).next(), Some(Ok(entry)));
    }
}
