//! The first block of a segment and its file's name. Each input is tried as it
//! came and again under a good checksum.
#![no_main]

use dolmen::log::segment::{Header, parse_name};
use dolmen_fuzz::{judge, put, seal};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    judge(input, run);
    let mut sealed = input.to_vec();
    make_sound(&mut sealed);
    judge(&sealed, run);
});

fn make_sound(bytes: &mut [u8]) {
    put(bytes, 0, b"DLSEGMNT\x01\x00");
    seal(bytes, 0, 80, 80);
}

fn run(bytes: &[u8]) {
    if let Ok(header) = Header::parse(bytes) {
        assert_eq!(Header::parse(&header.encode()), Ok(header));
    }
    if let Ok(name) = std::str::from_utf8(bytes) {
        parse_name(name);
    }
}
