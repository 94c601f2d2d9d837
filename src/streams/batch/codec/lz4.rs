//! An LZ4 frame (the LZ4 frame format, version 1.6): blocks with their sums,
//! one frame and nothing behind it.
//!
//! The frame is read here and only its blocks are left to the library, whose
//! own reader takes a frame that was cut between two blocks for a whole one,
//! and keeps the memory that a frame's head asks for, up to 12 MiB.

use super::xxh32::Sum;
use super::{Broken, Codec, corrupt};
use lz4_flex::block;

const MAGIC: [u8; 4] = [0x04, 0x22, 0x4D, 0x18];

/// The first byte of a frame's description.
const VERSION: u8 = 0b0100_0000;
const VERSION_BITS: u8 = 0b1100_0000;
const INDEPENDENT_BLOCKS: u8 = 1 << 5;
const BLOCK_SUMS: u8 = 1 << 4;
const CONTENT_SIZE: u8 = 1 << 3;
const CONTENT_SUM: u8 = 1 << 2;
const RESERVED: u8 = 1 << 1;
const DICTIONARY: u8 = 1;

/// In a block's length: the block is as it was.
const IS_PLAIN: u32 = 1 << 31;
/// How far back a block that depends on those before it may reach.
const HISTORY_BYTES: usize = 64 << 10;
/// A byte of a match's length stands for at most so many bytes.
const GROWTH_MAX: usize = 255;
/// The blocks that Kafka's clients make.
const PACKED_BLOCK_BYTES: usize = 64 << 10;
const PACKED_BLOCK_CODE: u8 = 4 << 4;

pub(super) struct Lz4<'a> {
    rest: &'a [u8],
    block_bytes_max: usize,
    has_block_sums: bool,
    content_bytes: Option<u64>,
    content_sum: Option<Sum>,
    /// The last bytes that came out, where blocks depend on those before.
    history: Option<Vec<u8>>,
    given: u64,
    is_over: bool,
}

impl<'a> Lz4<'a> {
    pub(super) fn new(packed: &'a [u8]) -> Result<Self, Broken> {
        let mut rest = packed;
        if take(&mut rest, MAGIC.len())? != MAGIC {
            return Err(broken("it does not begin as a frame"));
        }
        let description = rest;
        let flags = number(&mut rest, 1)? as u8;
        let sizes = number(&mut rest, 1)? as u8;
        if flags & VERSION_BITS != VERSION || flags & RESERVED != 0 {
            return Err(broken("its frame is of an unknown version"));
        }
        if flags & DICTIONARY != 0 {
            return Err(broken("its frame wants a dictionary"));
        }
        let block_bytes_max = match sizes {
            0x40 => 64 << 10,
            0x50 => 256 << 10,
            0x60 => 1 << 20,
            0x70 => 4 << 20,
            _ => return Err(broken("its blocks are of an unknown size")),
        };
        let has = |flag| flags & flag != 0;
        let content_bytes = match has(CONTENT_SIZE) {
            true => Some(number(&mut rest, 8)?),
            false => None,
        };
        let described = description.len() - rest.len();
        let sum = Sum::of(&description[..described]) >> 8 & 0xff;
        if u64::from(sum) != number(&mut rest, 1)? {
            return Err(broken("the checksum of its frame's head is another"));
        }
        Ok(Self {
            rest,
            block_bytes_max,
            has_block_sums: has(BLOCK_SUMS),
            content_bytes,
            content_sum: has(CONTENT_SUM).then(Sum::new),
            history: (!has(INDEPENDENT_BLOCKS)).then(Vec::new),
            given: 0,
            is_over: false,
        })
    }

    pub(super) fn more(&mut self, into: &mut Vec<u8>) -> Result<bool, Broken> {
        let before = into.len();
        while into.len() == before {
            if self.is_over {
                return Ok(false);
            }
            match number(&mut self.rest, 4)? as u32 {
                0 => self.end()?,
                head => self.block(head, into)?,
            }
        }
        Ok(true)
    }

    fn block(&mut self, head: u32, into: &mut Vec<u8>) -> Result<(), Broken> {
        let length = (head & !IS_PLAIN) as usize;
        if length > self.block_bytes_max {
            return Err(broken("a block is larger than its frame allows"));
        }
        let packed = take(&mut self.rest, length)?;
        if self.has_block_sums && number(&mut self.rest, 4)? != u64::from(Sum::of(packed)) {
            return Err(broken("the checksum of a block is another"));
        }
        let before = into.len();
        match head & IS_PLAIN != 0 {
            true => into.extend_from_slice(packed),
            false => {
                let room = self.block_bytes_max.min(packed.len() * GROWTH_MAX);
                into.resize(before + room, 0);
                let history = self.history.as_deref().unwrap_or_default();
                let place = &mut into[before..];
                let unpacked = match history.is_empty() {
                    true => block::decompress_into(packed, place),
                    false => block::decompress_into_with_dict(packed, place, history),
                };
                let bytes = unpacked.map_err(|_| broken("a block is broken"))?;
                into.truncate(before + bytes);
            }
        }
        self.note(&into[before..]);
        Ok(())
    }

    fn note(&mut self, given: &[u8]) {
        self.given += given.len() as u64;
        if let Some(sum) = &mut self.content_sum {
            sum.add(given);
        }
        if let Some(history) = &mut self.history {
            let kept = &given[given.len().saturating_sub(HISTORY_BYTES)..];
            let too_many = (history.len() + kept.len()).saturating_sub(HISTORY_BYTES);
            history.drain(..too_many);
            history.extend_from_slice(kept);
        }
    }

    fn end(&mut self) -> Result<(), Broken> {
        if let Some(sum) = &self.content_sum
            && number(&mut self.rest, 4)? != u64::from(sum.get())
        {
            return Err(broken("the checksum of its content is another"));
        }
        if self.content_bytes.is_some_and(|bytes| bytes != self.given) {
            return Err(broken("its content has another length than it says"));
        }
        if !self.rest.is_empty() {
            return Err(broken("something follows its frame"));
        }
        self.is_over = true;
        Ok(())
    }
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8], Broken> {
    let Some((taken, after)) = rest.split_at_checked(count) else {
        return Err(broken("it ends within its frame"));
    };
    *rest = after;
    Ok(taken)
}

/// A number of so many bytes, little endian.
fn number(rest: &mut &[u8], bytes: usize) -> Result<u64, Broken> {
    let taken = take(rest, bytes)?;
    let number = taken.iter().rev();
    Ok(number.fold(0, |sum, &byte| sum << 8 | u64::from(byte)))
}

fn broken(what: &'static str) -> Broken {
    corrupt(Codec::Lz4, what)
}

/// Independent blocks without sums: a batch has its own.
pub(super) fn pack(plain: &[u8]) -> Vec<u8> {
    let description = [VERSION | INDEPENDENT_BLOCKS, PACKED_BLOCK_CODE];
    let mut packed = MAGIC.to_vec();
    packed.extend_from_slice(&description);
    packed.push((Sum::of(&description) >> 8) as u8);
    for block in plain.chunks(PACKED_BLOCK_BYTES) {
        let smaller = block::compress(block);
        match smaller.len() < block.len() {
            true => put(&mut packed, smaller.len() as u32, &smaller),
            false => put(&mut packed, block.len() as u32 | IS_PLAIN, block),
        }
    }
    packed.extend_from_slice(&[0; 4]);
    packed
}

fn put(packed: &mut Vec<u8>, head: u32, block: &[u8]) {
    packed.extend_from_slice(&head.to_le_bytes());
    packed.extend_from_slice(block);
}
