//! Our own record format: a header of 64 bytes with two checksums, then the
//! payload, padded so that every payload starts on 16 bytes (rkyv asks for
//! it). Pure.
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 4 | magic `DLFR` |
//! | 4 | 1 | version |
//! | 5 | 1 | 1 where the frame went straight to its segment, else 0 |
//! | 6 | 2 | schema: what the payload is, the caller's number |
//! | 8 | 8 | epoch: the life of the segment |
//! | 16 | 8 | index |
//! | 24 | 8 | term |
//! | 32 | 8 | durable_until known when this was written |
//! | 40 | 4 | payload length |
//! | 44 | 4 | CRC-32C of the payload |
//! | 48 | 4 | header CRC of the frame before (the segment's chain for the first) |
//! | 52 | 8 | zero |
//! | 60 | 4 | CRC-32C of the 60 bytes above |
//!
//! A frame that came through the journal was durable there before it was
//! written here; one that went straight counts only with its mark. So byte 5
//! tells whether a frame behind the journal's end proves that the journal has
//! lost something.
//!
//! The epoch keeps a frame of a file's earlier life from being taken for one
//! of this life; the chain keeps a frame of an earlier try at the same place
//! from following a frame of a later one.

use super::format::{End, Fault, Format, Head, Step};
use crate::ids::{Epoch, Index, Term};
use crate::limits::RECORD_BYTES_MAX;
use crate::planted;
use crate::wire::{Cursor, Short, crc32c};

pub const HEADER_BYTES: usize = 64;
const MAGIC: u32 = u32::from_le_bytes(*b"DLFR");
const VERSION: u8 = 1;
const ALIGNMENT: usize = 16;

/// A payload on its way into a log.
#[derive(Clone, Debug)]
pub struct Payload {
    pub term: Term,
    pub schema: u16,
    pub bytes: Vec<u8>,
    crc: u32,
}

impl Payload {
    /// Sums the payload here, on the caller's thread, not on the log's.
    pub fn new(term: Term, schema: u16, bytes: Vec<u8>) -> Self {
        let crc = crc32c(&bytes);
        Self {
            term,
            schema,
            bytes,
            crc,
        }
    }

    /// Bytes of the whole frame in the file.
    pub fn frame_bytes(&self) -> usize {
        HEADER_BYTES + self.bytes.len().next_multiple_of(ALIGNMENT)
    }

    /// Zeros after the payload.
    pub fn padding(&self) -> usize {
        self.bytes.len().next_multiple_of(ALIGNMENT) - self.bytes.len()
    }
}

/// Where a frame goes.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub epoch: Epoch,
    pub index: Index,
    pub previous: u32,
    pub durable_until: Index,
    pub is_straight: bool,
}

/// The header of a payload's frame, and the check that the next frame names.
pub fn header(payload: &Payload, place: Place) -> ([u8; HEADER_BYTES], u32) {
    let mut bytes = [0; HEADER_BYTES];
    bytes[0..4].copy_from_slice(&MAGIC.to_le_bytes());
    bytes[4] = VERSION;
    bytes[5] = place.is_straight.into();
    bytes[6..8].copy_from_slice(&payload.schema.to_le_bytes());
    bytes[8..16].copy_from_slice(&place.epoch.0.to_le_bytes());
    bytes[16..24].copy_from_slice(&place.index.0.to_le_bytes());
    bytes[24..32].copy_from_slice(&payload.term.0.to_le_bytes());
    bytes[32..40].copy_from_slice(&place.durable_until.0.to_le_bytes());
    bytes[40..44].copy_from_slice(&(payload.bytes.len() as u32).to_le_bytes());
    bytes[44..48].copy_from_slice(&payload.crc.to_le_bytes());
    bytes[48..52].copy_from_slice(&place.previous.to_le_bytes());
    let check = crc32c(&bytes[..60]);
    bytes[60..64].copy_from_slice(&check.to_le_bytes());
    (bytes, check)
}

/// One frame as read.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    pub epoch: Epoch,
    pub index: Index,
    pub term: Term,
    pub schema: u16,
    pub durable_until: Index,
    pub is_straight: bool,
    pub payload: &'a [u8],
}

struct Header {
    is_straight: bool,
    schema: u16,
    epoch: Epoch,
    index: Index,
    term: Term,
    durable_until: Index,
    length: usize,
    payload_crc: u32,
    previous: u32,
    check: u32,
}

impl Header {
    fn frame_bytes(&self) -> usize {
        HEADER_BYTES + self.length.next_multiple_of(ALIGNMENT)
    }
}

/// None for zeros.
fn read_header(bytes: &[u8; HEADER_BYTES]) -> Result<Option<Header>, Fault> {
    if bytes.iter().all(|&byte| byte == 0) {
        return Ok(None);
    }
    let expect = |what, expected: u64, found: u64| match expected == found {
        true => Ok(()),
        false => Err(Fault {
            what,
            expected,
            found,
        }),
    };
    let fields = |short: Short| Fault {
        what: "frame header length",
        expected: short.wanted as u64,
        found: short.left as u64,
    };
    let mut cursor = Cursor::new(bytes);
    expect(
        "frame magic",
        MAGIC.into(),
        cursor.u32().map_err(fields)?.into(),
    )?;
    let stored = u32::from_le_bytes([bytes[60], bytes[61], bytes[62], bytes[63]]);
    if !planted!(ChecksumNotChecked) {
        expect(
            "frame header checksum",
            crc32c(&bytes[..60]).into(),
            stored.into(),
        )?;
    }
    expect(
        "frame version",
        VERSION.into(),
        cursor.u8().map_err(fields)?.into(),
    )?;
    let is_straight = match cursor.u8().map_err(fields)? {
        0 => false,
        1 => true,
        other => {
            let (expected, found) = (1, other.into());
            let what = "way of the frame";
            return Err(Fault {
                what,
                expected,
                found,
            });
        }
    };
    let header = Header {
        is_straight,
        schema: cursor.u16().map_err(fields)?,
        epoch: Epoch(cursor.u64().map_err(fields)?),
        index: Index(cursor.u64().map_err(fields)?),
        term: Term(cursor.u64().map_err(fields)?),
        durable_until: Index(cursor.u64().map_err(fields)?),
        length: cursor.u32().map_err(fields)? as usize,
        payload_crc: cursor.u32().map_err(fields)?,
        previous: cursor.u32().map_err(fields)?,
        check: stored,
    };
    if header.length > RECORD_BYTES_MAX {
        return Err(Fault {
            what: "payload length",
            expected: RECORD_BYTES_MAX as u64,
            found: header.length as u64,
        });
    }
    if header.index.0 == u64::MAX {
        return Err(Fault {
            what: "frame index",
            expected: u64::MAX - 1,
            found: u64::MAX,
        });
    }
    Ok(Some(header))
}

/// The frame at the start of `bytes`, checked; the rest is behind its length.
pub fn parse(bytes: &[u8]) -> Result<Option<(Frame<'_>, usize)>, Fault> {
    let short = |expected: usize| Fault {
        what: "bytes left of a frame",
        expected: expected as u64,
        found: bytes.len() as u64,
    };
    let first = bytes.first_chunk().ok_or(short(HEADER_BYTES))?;
    let Some(header) = read_header(first)? else {
        return Ok(None);
    };
    let length = header.frame_bytes();
    let whole = bytes.get(..length).ok_or(short(length))?;
    let payload = &whole[HEADER_BYTES..HEADER_BYTES + header.length];
    check_body(&header, whole)?;
    let Header {
        epoch,
        index,
        term,
        schema,
        durable_until,
        is_straight,
        ..
    } = header;
    Ok(Some((
        Frame {
            epoch,
            index,
            term,
            schema,
            durable_until,
            is_straight,
            payload,
        },
        length,
    )))
}

fn check_body(header: &Header, whole: &[u8]) -> Result<(), Fault> {
    let (payload, padding) = whole[HEADER_BYTES..].split_at(header.length);
    let found = crc32c(payload);
    if found != header.payload_crc && !planted!(ChecksumNotChecked) {
        return Err(Fault {
            what: "payload checksum",
            expected: header.payload_crc.into(),
            found: found.into(),
        });
    }
    match padding.iter().find(|&&byte| byte != 0) {
        Some(&byte) => Err(Fault {
            what: "padding",
            expected: 0,
            found: byte.into(),
        }),
        None => Ok(()),
    }
}

/// The format object of our own frames.
pub struct Frames;

pub static FRAMES: Frames = Frames;

impl Format for Frames {
    fn id(&self) -> u16 {
        1
    }

    fn name(&self) -> &'static str {
        "frames"
    }

    fn is_framed(&self) -> bool {
        true
    }

    fn measure(&self, bytes: &[u8]) -> Result<Step, Fault> {
        let Some(first) = bytes.first_chunk() else {
            return Ok(Step::More(HEADER_BYTES));
        };
        Ok(match read_header(first)? {
            None => Step::Nothing,
            Some(header) => Step::Record(Head {
                length: header.frame_bytes(),
                first: header.index,
                next: Index(header.index.0 + 1),
                term: header.term,
                previous: header.previous,
                check: header.check,
            }),
        })
    }

    fn check(&self, record: &[u8], epoch: Epoch) -> Result<(), Fault> {
        match parse(record)? {
            Some((frame, _)) if frame.epoch != epoch => Err(Fault {
                what: "epoch of the frame",
                expected: epoch.0,
                found: frame.epoch.0,
            }),
            Some(_) => Ok(()),
            None => Err(Fault {
                what: "frame magic",
                expected: MAGIC.into(),
                found: 0,
            }),
        }
    }

    fn continues(&self, end: End, head: &Head) -> Result<(), Fault> {
        if head.first != end.next {
            let (expected, found) = (end.next.0, head.first.0);
            return Err(Fault {
                what: "index",
                expected,
                found,
            });
        }
        if head.term < end.term {
            let (expected, found) = (end.term.0, head.term.0);
            return Err(Fault {
                what: "term",
                expected,
                found,
            });
        }
        if head.previous != end.check {
            let (expected, found) = (end.check.into(), head.previous.into());
            return Err(Fault {
                what: "checksum of the frame before",
                expected,
                found,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(index: u64, bytes: &[u8]) -> Vec<u8> {
        let payload = Payload::new(Term(7), 3, bytes.to_vec());
        let place = Place {
            epoch: Epoch(9),
            index: Index(index),
            previous: 5,
            durable_until: Index(index),
            is_straight: index % 2 == 1,
        };
        let mut out = header(&payload, place).0.to_vec();
        out.extend_from_slice(&payload.bytes);
        out.resize(payload.frame_bytes(), 0);
        out
    }

    #[test]
    fn a_frame_reads_back() {
        let bytes = frame(11, b"hello");
        let (read, length) = parse(&bytes).unwrap().unwrap();
        assert_eq!(length, 80);
        assert_eq!(
            (read.index, read.term, read.schema),
            (Index(11), Term(7), 3)
        );
        assert_eq!(read.payload, b"hello");
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let good = frame(11, b"some payload of thirty-one byte");
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(parse(&bad).is_err(), "bit {bit} went unseen");
        }
    }

    #[test]
    fn zeros_are_nothing_and_a_cut_frame_wants_more() {
        assert_eq!(FRAMES.measure(&[0; 64]), Ok(Step::Nothing));
        assert_eq!(FRAMES.measure(&[1; 10]), Ok(Step::More(64)));
        let bytes = frame(0, &[1; 100]);
        let mut walk = Walk {
            format: &FRAMES,
            epoch: Epoch(9),
            end: End::default(),
        };
        assert_eq!(walk.step(&bytes[..80]), Ok(Walked::More(bytes.len())));
    }

    use super::super::format::{Walk, Walked};
}
