//! The footer of a sealed segment, an archive that is read checked. Each input
//! is tried as it came and again as the archive under a good header.
#![no_main]

use dolmen::log::footer::{Footer, HEADER_BYTES};
use dolmen_fuzz::{judge, put, seal};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    judge(input, run);
    let mut sealed = [&[0; HEADER_BYTES], input].concat();
    make_sound(&mut sealed);
    judge(&sealed, run);
});

fn make_sound(bytes: &mut [u8]) {
    let (end, length) = (bytes.len(), bytes.len() - HEADER_BYTES);
    put(bytes, 0, b"DLFOOTER\x01\x00");
    put(bytes, 12, &(length as u32).to_le_bytes());
    seal(bytes, HEADER_BYTES, end, 16);
    seal(bytes, 0, 20, 20);
}

fn run(bytes: &[u8]) {
    if let Ok(footer) = Footer::parse(bytes) {
        assert_eq!(Footer::parse(&footer.encode()), Ok(footer));
    }
}
