//! A ZooKeeper's snapshot: refused with a place, or read to a tree that can
//! move in. Each input is tried as it came, again with a good opening and seal,
//! and as compressed bytes.
#![no_main]

use dolmen::cli::import::adler::Adler32;
use dolmen::cli::import::moving::Moving;
use dolmen::cli::import::snappy::Blocks;
use dolmen::cli::import::snapshot;
use dolmen_fuzz::{judge, judge_at};
use libfuzzer_sys::fuzz_target;

/// Uncompressed by 22 at the most (a copy of 64 bytes takes 3), and 16 for the
/// tree.
const BYTES_PER_COMPRESSED_BYTE: usize = 22 * 16;

const OPENING: &[u8] = b"ZKSN\0\0\0\x02\xff\xff\xff\xff\xff\xff\xff\xff";

fuzz_target!(|input: &[u8]| {
    judge(input, run);
    let mut sealed = [OPENING, input, b"\0\0\0\x01/"].concat();
    let sum = u64::from(Adler32::of(&sealed));
    sealed.extend_from_slice(&sum.to_be_bytes());
    sealed.extend_from_slice(b"\0\0\0\x01/");
    judge(&sealed, run);
    judge_at(BYTES_PER_COMPRESSED_BYTE, input, |bytes| {
        let _ = snapshot::read(Blocks::new(bytes));
    });
});

fn run(bytes: &[u8]) {
    let Ok(tree) = snapshot::read(bytes) else {
        return;
    };
    if let Ok((moving, survey)) = Moving::new(tree, Vec::new()) {
        assert_eq!(moving.flatten().count() as u64, survey.nodes);
    }
}
