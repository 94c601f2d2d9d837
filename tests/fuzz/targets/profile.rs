//! A hardware profile from a file that a person wrote: refused with a place, or
//! read, never a panic.
#![no_main]

use dolmen::profile::{Document, Profile};
use libfuzzer_sys::fuzz_target;

/// A TOML token and the error messages of a hostile file take up to 85 bytes
/// for each byte of it (measured). The file is bounded by
/// `limits::SETTINGS_BYTES_MAX`, so that is a few MiB, at start only.
const BYTES_PER_INPUT_BYTE: usize = 128;

fuzz_target!(|input: &[u8]| dolmen_fuzz::judge_at(BYTES_PER_INPUT_BYTE, input, run));

fn run(bytes: &[u8]) {
    if let Ok(document) = Document::parse("fuzz.toml", bytes) {
        let _ = Profile::parse(&document);
    }
}
