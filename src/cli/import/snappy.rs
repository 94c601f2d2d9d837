//! Snappy as Java's streams write it: an opening of sixteen bytes, then blocks,
//! each behind its length. A stream that was joined from several has an
//! opening before each.

use crate::limits::SNAPPY_BLOCK_BYTES_MAX;
use std::io::{self, BufRead, Read};

const MAGIC: [u8; 8] = *b"\x82SNAPPY\0";
/// Behind the magic: the writer's version, and the oldest that can read it.
const OPENING_BYTES: usize = 16;
const READABLE_VERSION: u32 = 1;

/// Uncompresses a stream, one block at a time.
pub struct Blocks<R> {
    source: R,
    is_open: bool,
    block: Vec<u8>,
    given: usize,
}

impl<R: Read> Blocks<R> {
    pub fn new(source: R) -> Self {
        Self {
            source,
            is_open: false,
            block: Vec::new(),
            given: 0,
        }
    }

    /// False at the end of the stream.
    fn next_block(&mut self) -> io::Result<bool> {
        self.block.clear();
        self.given = 0;
        loop {
            let mut head = [0; 4];
            match self.source.read(&mut head[..1])? {
                0 if self.is_open => return Ok(false),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                _ => self.source.read_exact(&mut head[1..])?,
            }
            // As a length it would be two gigabytes and more.
            if head == MAGIC[..4] {
                self.open(head)?;
                continue;
            }
            if !self.is_open {
                return Err(invalid("it is no snappy stream"));
            }
            self.fill(u32::from_be_bytes(head) as usize)?;
            return Ok(true);
        }
    }

    fn open(&mut self, head: [u8; 4]) -> io::Result<()> {
        let mut opening = [0; OPENING_BYTES];
        opening[..4].copy_from_slice(&head);
        self.source.read_exact(&mut opening[4..])?;
        let readable_by = u32::from_be_bytes([opening[12], opening[13], opening[14], opening[15]]);
        if opening[..8] != MAGIC || readable_by > READABLE_VERSION {
            return Err(invalid("it is a snappy stream of an unknown form"));
        }
        self.is_open = true;
        Ok(())
    }

    fn fill(&mut self, compressed_bytes: usize) -> io::Result<()> {
        if compressed_bytes > SNAPPY_BLOCK_BYTES_MAX {
            return Err(invalid("a snappy block is larger than any writer makes it"));
        }
        let mut compressed = Vec::new();
        let mut source = (&mut self.source).take(compressed_bytes as u64);
        if source.read_to_end(&mut compressed)? < compressed_bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let length = snap::raw::decompress_len(&compressed).map_err(|error| broken(&error))?;
        if length > SNAPPY_BLOCK_BYTES_MAX {
            return Err(invalid("a snappy block is larger than any writer makes it"));
        }
        self.block.resize(length, 0);
        let mut decoder = snap::raw::Decoder::new();
        let uncompressed = decoder.decompress(&compressed, &mut self.block);
        uncompressed.map_err(|error| broken(&error))?;
        Ok(())
    }
}

impl<R: Read> BufRead for Blocks<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.given == self.block.len() {
            if !self.next_block()? {
                break;
            }
        }
        Ok(&self.block[self.given..])
    }

    fn consume(&mut self, bytes: usize) {
        self.given += bytes;
    }
}

impl<R: Read> Read for Blocks<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let ready = self.fill_buf()?;
        let length = ready.len().min(into.len());
        into[..length].copy_from_slice(&ready[..length]);
        self.consume(length);
        Ok(length)
    }
}

fn invalid(says: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, says)
}

fn broken(error: &snap::Error) -> io::Error {
    invalid(&format!("a snappy block is broken: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(blocks: &[&[u8]]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&1u32.to_be_bytes());
        bytes.extend_from_slice(&1u32.to_be_bytes());
        for block in blocks {
            let compressed = snap::raw::Encoder::new().compress_vec(block).unwrap();
            bytes.extend_from_slice(&(compressed.len() as u32).to_be_bytes());
            bytes.extend_from_slice(&compressed);
        }
        bytes
    }

    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        Blocks::new(bytes).read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn blocks_are_joined_and_so_are_streams() {
        let one = stream(&[b"first ", b"", b"second"]);
        assert_eq!(read(&one).unwrap(), b"first second");
        let two = [one, stream(&[]), stream(&[b" third"])].concat();
        assert_eq!(read(&two).unwrap(), b"first second third");
        assert_eq!(read(&stream(&[])).unwrap(), b"");
    }

    #[test]
    fn a_cut_stream_is_no_shorter_stream() {
        let whole = stream(&[b"first ", b"second"]);
        let boundary = stream(&[b"first "]).len();
        for length in 0..whole.len() {
            let is_boundary = length == boundary || length == OPENING_BYTES;
            assert_eq!(read(&whole[..length]).is_ok(), is_boundary, "{length}");
        }
    }

    #[test]
    fn a_declared_length_takes_nothing() {
        let mut bytes = stream(&[]);
        bytes.extend_from_slice(&u32::MAX.to_be_bytes());
        assert!(read(&bytes).is_err());
        // A block of five bytes that declares 2 GiB.
        let mut bytes = stream(&[]);
        bytes.extend_from_slice(&5u32.to_be_bytes());
        bytes.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 0x07]);
        assert!(read(&bytes).is_err());
    }
}
