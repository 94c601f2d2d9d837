//! The footer of a sealed segment: a file beside it with one CRC per MiB over
//! all bytes, and the sparse index. It covers what a foreign format's own
//! checksum leaves out, and spares a scan. It can be lost without loss: it is
//! built again from the segment. Pure.
//!
//! `magic 8 | version 2 | zero 2 | body length 4 | body CRC 4 | header CRC 4 |
//! zero 8 | body`, the body an rkyv archive that is read checked.

use super::format::{End, Fault};
use crate::ids::{Epoch, Index, LogId, Term};
use crate::limits::FOOTER_PIECE_BYTES;
use crate::wire::{Cursor, Short, crc32c, crc32c_append};
use rkyv::rancor::Error as ArchiveError;

const MAGIC: u64 = u64::from_le_bytes(*b"DLFOOTER");
pub const VERSION: u16 = 1;
pub const HEADER_BYTES: usize = 32;

/// Frozen: a change of a field is a new version with a type of its own.
#[derive(Clone, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
struct Body {
    log: u64,
    epoch: u64,
    until: u64,
    next: u64,
    term: u64,
    check: u32,
    pieces: Vec<u32>,
    points: Vec<(u64, u64)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footer {
    pub log: LogId,
    pub epoch: Epoch,
    /// The bytes of the segment that count; its zeros behind are not covered.
    pub until: u64,
    pub end: End,
    /// One CRC per MiB of the file from its first byte on; the last is of
    /// what is left.
    pub pieces: Vec<u32>,
    pub points: Vec<(Index, u64)>,
}

impl Footer {
    pub fn encode(&self) -> Vec<u8> {
        let body = Body {
            log: self.log.0,
            epoch: self.epoch.0,
            until: self.until,
            next: self.end.next.0,
            term: self.end.term.0,
            check: self.end.check,
            pieces: self.pieces.clone(),
            points: self
                .points
                .iter()
                .map(|&(index, at)| (index.0, at))
                .collect(),
        };
        let archive = rkyv::to_bytes::<ArchiveError>(&body).expect("plain numbers archive");
        let mut bytes = vec![0; HEADER_BYTES];
        bytes[0..8].copy_from_slice(&MAGIC.to_le_bytes());
        bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&(archive.len() as u32).to_le_bytes());
        bytes[16..20].copy_from_slice(&crc32c(&archive).to_le_bytes());
        let crc = crc32c(&bytes[..20]);
        bytes[20..24].copy_from_slice(&crc.to_le_bytes());
        bytes.extend_from_slice(&archive);
        bytes
    }

    pub fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        let archive = Self::archive(bytes).map_err(|short: Short| Fault {
            what: "bytes left of a footer",
            expected: short.wanted as u64,
            found: short.left as u64,
        })??;
        // An archive wants its alignment; the slice has none to speak of.
        let mut aligned = rkyv::util::AlignedVec::<16>::with_capacity(archive.len());
        aligned.extend_from_slice(archive);
        let body = rkyv::from_bytes::<Body, ArchiveError>(&aligned)
            .map_err(|_| Fault::missing("footer archive"))?;
        let expected = body.until.div_ceil(FOOTER_PIECE_BYTES);
        if body.pieces.len() as u64 != expected {
            let found = body.pieces.len() as u64;
            return Err(Fault {
                what: "pieces of the footer",
                expected,
                found,
            });
        }
        Ok(Self {
            log: LogId(body.log),
            epoch: Epoch(body.epoch),
            until: body.until,
            end: End {
                next: Index(body.next),
                term: Term(body.term),
                check: body.check,
            },
            pieces: body.pieces,
            points: body
                .points
                .into_iter()
                .map(|(index, at)| (Index(index), at))
                .collect(),
        })
    }

    fn archive(bytes: &[u8]) -> Result<Result<&[u8], Fault>, Short> {
        let mut cursor = Cursor::new(bytes);
        let magic = cursor.u64()?;
        let version = cursor.u16()?;
        cursor.u16()?;
        let length = cursor.u32()? as usize;
        let body_crc = cursor.u32()?;
        let header_crc = cursor.u32()?;
        cursor.u64()?;
        let archive = cursor.take(length)?;
        let pairs = [
            ("footer magic", MAGIC, magic),
            ("footer format version", VERSION.into(), version.into()),
            (
                "footer header checksum",
                crc32c(&bytes[..20]).into(),
                header_crc.into(),
            ),
            ("footer checksum", body_crc.into(), crc32c(archive).into()),
            ("bytes after the footer", 0, cursor.left() as u64),
        ];
        for (what, expected, found) in pairs {
            if expected != found {
                return Ok(Err(Fault {
                    what,
                    expected,
                    found,
                }));
            }
        }
        Ok(Ok(archive))
    }
}

/// Sums the pieces of a segment as its bytes are written, in order. A
/// segment that was written to before this process began has a part that is
/// not known; whoever seals it reads that part.
#[derive(Clone, Debug, Default)]
pub struct Pieces {
    done: Vec<u32>,
    current: u32,
    at: u64,
    is_broken: bool,
}

impl Pieces {
    /// Notes bytes written at `at`.
    pub fn write(&mut self, at: u64, mut bytes: &[u8]) {
        if at != self.at {
            self.is_broken = true;
        }
        if self.is_broken {
            return;
        }
        while !bytes.is_empty() {
            let left = FOOTER_PIECE_BYTES - self.at % FOOTER_PIECE_BYTES;
            let (piece, rest) = bytes.split_at(bytes.len().min(left as usize));
            self.current = crc32c_append(self.current, piece);
            self.at += piece.len() as u64;
            if self.at.is_multiple_of(FOOTER_PIECE_BYTES) {
                self.done.push(std::mem::take(&mut self.current));
            }
            bytes = rest;
        }
    }

    /// The CRCs of the first `until` bytes; None where they are not known.
    pub fn finish(mut self, until: u64) -> Option<Vec<u32>> {
        if self.is_broken || self.at != until {
            return None;
        }
        if !self.at.is_multiple_of(FOOTER_PIECE_BYTES) {
            self.done.push(self.current);
        }
        Some(self.done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_footer_reads_back_and_every_flipped_bit_is_found() {
        let footer = Footer {
            log: LogId(1),
            epoch: Epoch(2),
            until: FOOTER_PIECE_BYTES + 1,
            end: End {
                next: Index(3),
                term: Term(4),
                check: 5,
            },
            pieces: vec![6, 7],
            points: vec![(Index(0), 4096)],
        };
        let bytes = footer.encode();
        assert_eq!(Footer::parse(&bytes), Ok(footer));
        // The 10 zero bytes of the header are covered or unused.
        for bit in (0..bytes.len() * 8).filter(|bit| !(24 * 8..32 * 8).contains(bit)) {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Footer::parse(&bad).is_err(), "bit {bit} went unseen");
        }
    }

    #[test]
    fn pieces_do_not_depend_on_how_the_bytes_came() {
        let bytes: Vec<u8> = (0..2_500_000u32).map(|n| (n % 251) as u8).collect();
        let whole: Vec<u32> = bytes
            .chunks(FOOTER_PIECE_BYTES as usize)
            .map(crc32c)
            .collect();
        let mut pieces = Pieces::default();
        for chunk in bytes.chunks(70_001) {
            pieces.write(pieces.at, chunk);
        }
        assert_eq!(pieces.clone().finish(bytes.len() as u64), Some(whole));
        pieces.write(0, &[1]);
        assert_eq!(pieces.finish(bytes.len() as u64), None);
    }
}
