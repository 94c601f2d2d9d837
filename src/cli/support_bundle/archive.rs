//! A `.tar.gz` of small texts: ustar heads (POSIX.1-1988) and gzip. Pure.

use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{self, Write};

const BLOCK: usize = 512;
const NAME_BYTES: usize = 100;
const MODE: u64 = 0o600;

pub(super) struct Archive(GzEncoder<Vec<u8>>);

impl Archive {
    pub(super) fn new() -> Self {
        Self(GzEncoder::new(Vec::new(), Compression::default()))
    }

    pub(super) fn add(&mut self, name: &str, modified_s: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(&head(name, modified_s, bytes.len()))?;
        self.0.write_all(bytes)?;
        let padding = bytes.len().next_multiple_of(BLOCK) - bytes.len();
        self.0.write_all(&[0; BLOCK][..padding])
    }

    pub(super) fn finish(mut self) -> io::Result<Vec<u8>> {
        self.0.write_all(&[0; 2 * BLOCK])?;
        self.0.finish()
    }
}

fn head(name: &str, modified_s: u64, length: usize) -> [u8; BLOCK] {
    assert!(name.len() <= NAME_BYTES, "our names are short: {name}");
    let mut block = [0; BLOCK];
    let mut put = |at: usize, text: &str| {
        block[at..at + text.len()].copy_from_slice(text.as_bytes());
    };
    put(0, name);
    put(100, &format!("{MODE:07o}"));
    put(108, &format!("{:07o}", 0));
    put(116, &format!("{:07o}", 0));
    put(124, &format!("{length:011o}"));
    put(136, &format!("{modified_s:011o}"));
    // The checksum is over the head with blanks in its own place.
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A head as GNU tar 1.34 writes it with --format=ustar, but for the owner.
    #[test]
    fn a_head_has_its_fields_and_its_sum() {
        let head = head("a/b.txt", 951_782_399, 5);
        assert_eq!(&head[..8], b"a/b.txt\0");
        assert_eq!(&head[100..108], b"0000600\0");
        assert_eq!(&head[124..136], b"00000000005\0");
        assert_eq!(&head[136..148], b"07056605777\0");
        assert_eq!(&head[257..265], b"ustar\x0000");
        let mut blank = head;
        blank[148..156].fill(b' ');
        let sum: u64 = blank.iter().map(|byte| u64::from(*byte)).sum();
        assert_eq!(&head[148..156], format!("{sum:06o}\0 ").as_bytes());
    }
}
