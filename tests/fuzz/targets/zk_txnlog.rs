//! A ZooKeeper's transactions: refused with a place, or read and replayed over
//! an empty tree. Each input is tried as it came, and cut into entries whose
//! checksums are good.
#![no_main]

use dolmen::cli::import::adler::Adler32;
use dolmen::cli::import::tree::{Figures, Node, Tree};
use dolmen::cli::import::txnlog::Entries;
use dolmen_fuzz::judge;
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeSet;

const OPENING: &[u8] = b"ZKLG\0\0\0\x02\0\0\0\0\0\0\0\0";

fuzz_target!(|input: &[u8]| {
    judge(input, run);
    judge(&sealed(input), run);
});

/// Entries of up to 255 bytes, each as long as the byte before it says.
fn sealed(input: &[u8]) -> Vec<u8> {
    let mut bytes = OPENING.to_vec();
    let mut rest = input;
    while let Some((&length, behind)) = rest.split_first() {
        let length = usize::from(length).clamp(1, behind.len().max(1));
        let (body, behind) = behind.split_at(length.min(behind.len()));
        bytes.extend_from_slice(&u64::from(Adler32::of(body)).to_be_bytes());
        bytes.extend_from_slice(&(body.len() as u32).to_be_bytes());
        bytes.extend_from_slice(body);
        bytes.push(b'B');
        rest = behind;
    }
    bytes
}

fn run(bytes: &[u8]) {
    let Ok(mut entries) = Entries::open(bytes) else {
        return;
    };
    let mut tree = Tree::default();
    let root = Node {
        data: Default::default(),
        acl: None,
        figures: Figures::default(),
        children: BTreeSet::new(),
    };
    tree.place("/".into(), root)
        .expect("the root needs no parent");
    while let Ok(Some((header, change))) = entries.next() {
        tree.replay(&header, change);
    }
    assert!(tree.node("/").is_some());
}
