//! Snappy: one block as it is, or blocks behind each other as Java's stream
//! writes them, each behind its length. Clients send either.

use super::{Broken, Codec, corrupt};

/// What Java's stream opens with; in front of every part where several were
/// joined.
const MAGIC: [u8; 8] = *b"\x82SNAPPY\0";
/// The magic, then two versions. Only 1 was ever written, and readers do not
/// look at it.
const OPENING_BYTES: usize = 16;
/// A copy of 64 bytes takes 3: no block grows more than this.
const GROWTH_MAX: usize = 22;
/// As Java's stream cuts it.
const BLOCK_BYTES: usize = 32 << 10;

pub(super) struct Snappy<'a> {
    rest: &'a [u8],
    is_stream: bool,
    is_begun: bool,
    most: usize,
}

impl<'a> Snappy<'a> {
    pub(super) fn new(packed: &'a [u8], most: usize) -> Self {
        Self {
            rest: packed,
            is_stream: packed.starts_with(&MAGIC),
            is_begun: false,
            most,
        }
    }

    pub(super) fn more(&mut self, into: &mut Vec<u8>) -> Result<bool, Broken> {
        let before = into.len();
        while into.len() == before {
            if self.rest.is_empty() && self.is_begun {
                return Ok(false);
            }
            self.is_begun = true;
            let block = match self.is_stream {
                false => std::mem::take(&mut self.rest),
                true => match self.next_block()? {
                    Some(block) => block,
                    None => continue,
                },
            };
            self.unpack(block, into)?;
        }
        Ok(true)
    }

    /// None for an opening.
    fn next_block(&mut self) -> Result<Option<&'a [u8]>, Broken> {
        if self.rest.starts_with(&MAGIC) {
            self.take(OPENING_BYTES)?;
            return Ok(None);
        }
        let head = self.take(4)?;
        let length = head
            .iter()
            .fold(0, |sum, &byte| sum << 8 | usize::from(byte));
        self.take(length).map(Some)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Broken> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            return Err(corrupt(Codec::Snappy, "it ends within a block"));
        };
        self.rest = rest;
        Ok(taken)
    }

    fn unpack(&self, block: &[u8], into: &mut Vec<u8>) -> Result<(), Broken> {
        let broken = |_| corrupt(Codec::Snappy, "a block is broken");
        let declared = snap::raw::decompress_len(block).map_err(broken)?;
        if declared > block.len() * GROWTH_MAX {
            let what = "a block declares more than its bytes can hold";
            return Err(corrupt(Codec::Snappy, what));
        }
        if declared > self.most {
            return Err(Broken::TooLarge { most: self.most });
        }
        let before = into.len();
        into.resize(before + declared, 0);
        let mut decoder = snap::raw::Decoder::new();
        let unpacked = decoder.decompress(block, &mut into[before..]);
        unpacked.map(|_| ()).map_err(broken)
    }
}

/// As Java's stream does: every client reads that, and some nothing else.
pub(super) fn pack(plain: &[u8]) -> Vec<u8> {
    let mut packed = MAGIC.to_vec();
    packed.extend_from_slice(&1u32.to_be_bytes());
    packed.extend_from_slice(&1u32.to_be_bytes());
    let mut encoder = snap::raw::Encoder::new();
    for block in plain.chunks(BLOCK_BYTES) {
        let block = encoder
            .compress_vec(block)
            .expect("only blocks of 4 GiB are too large");
        packed.extend_from_slice(&(block.len() as u32).to_be_bytes());
        packed.extend_from_slice(&block);
    }
    packed
}
