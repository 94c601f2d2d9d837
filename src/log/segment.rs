//! A segment file's name and its first block. Pure.
//!
//! `logs/<log>-<first index>-<epoch>.seg`: the epoch, never used twice on a
//! device, makes the name of every life of a segment its own. Records stand
//! back to back from the second block on; behind them are zeros.

use super::batch::Joint;
use super::format::{End, Fault};
use crate::ids::{Epoch, Index, LogId, Term, Uid};
use crate::limits::BLOCK_BYTES;
use crate::wire::{Cursor, Short, crc32c};

const MAGIC: u64 = u64::from_le_bytes(*b"DLSEGMNT");
pub const VERSION: u16 = 1;
/// Where records start.
pub const BODY: u64 = BLOCK_BYTES as u64;
pub const FOLDER: &str = "logs";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub home: Uid,
    pub log: LogId,
    pub format: u16,
    pub epoch: Epoch,
    /// Where the segment before ends; None for the first of a log.
    pub previous: Option<Joint>,
    /// The end of the log when this segment began.
    pub start: End,
}

impl Header {
    pub fn encode(&self) -> [u8; BLOCK_BYTES] {
        let joint = self.previous.unwrap_or(Joint {
            epoch: Epoch(0),
            until: 0,
        });
        let mut block = [0; BLOCK_BYTES];
        block[0..8].copy_from_slice(&MAGIC.to_le_bytes());
        block[8..10].copy_from_slice(&VERSION.to_le_bytes());
        block[10..12].copy_from_slice(&self.format.to_le_bytes());
        block[12..16].copy_from_slice(&self.start.check.to_le_bytes());
        block[16..32].copy_from_slice(&self.home.0);
        let words = [
            self.log.0,
            self.epoch.0,
            joint.epoch.0,
            joint.until,
            self.start.next.0,
            self.start.term.0,
        ];
        for (place, word) in block[32..80].chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        let crc = crc32c(&block[..80]);
        block[80..84].copy_from_slice(&crc.to_le_bytes());
        block
    }

    pub fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        Self::read(bytes).map_err(|short: Short| Fault {
            what: "bytes left of a segment header",
            expected: short.wanted as u64,
            found: short.left as u64,
        })?
    }

    fn read(bytes: &[u8]) -> Result<Result<Self, Fault>, Short> {
        let mut cursor = Cursor::new(bytes);
        let magic = cursor.u64()?;
        let version = cursor.u16()?;
        let format = cursor.u16()?;
        let check = cursor.u32()?;
        let home = Uid(cursor.bytes16()?);
        let (log, epoch) = (LogId(cursor.u64()?), Epoch(cursor.u64()?));
        let joint = Joint {
            epoch: Epoch(cursor.u64()?),
            until: cursor.u64()?,
        };
        let (next, term) = (Index(cursor.u64()?), Term(cursor.u64()?));
        let stored = cursor.u32()?;
        let pairs = [
            ("segment magic", MAGIC, magic),
            ("segment format version", VERSION.into(), version.into()),
            (
                "segment header checksum",
                crc32c(&bytes[..80]).into(),
                stored.into(),
            ),
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
        let previous = (joint.epoch.0 != 0).then_some(joint);
        let start = End { next, term, check };
        Ok(Ok(Self {
            home,
            log,
            format,
            epoch,
            previous,
            start,
        }))
    }

    pub fn file_name(&self) -> String {
        file_name(self.log, self.start.next, self.epoch)
    }
}

pub fn file_name(log: LogId, first: Index, epoch: Epoch) -> String {
    format!("{FOLDER}/{:x}-{}-{:x}.seg", log.0, first.0, epoch.0)
}

/// A file in the folder of segments, by its name alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    pub log: LogId,
    pub first: Index,
    pub epoch: Epoch,
    pub is_footer: bool,
}

/// None for a name that is not ours.
pub fn parse_name(name: &str) -> Option<Named> {
    let (stem, is_footer) = match name.strip_suffix(".seg") {
        Some(stem) => (stem, false),
        None => (name.strip_suffix(".foot")?, true),
    };
    let mut parts = stem.split('-');
    let log = LogId(u64::from_str_radix(parts.next()?, 16).ok()?);
    let first = Index(parts.next()?.parse().ok()?);
    let epoch = Epoch(u64::from_str_radix(parts.next()?, 16).ok()?);
    let whole = parts.next().is_none();
    whole.then_some(Named {
        log,
        first,
        epoch,
        is_footer,
    })
}

/// The footer's name beside a segment's.
pub fn footer_name(segment: &str) -> String {
    format!("{}.foot", segment.trim_end_matches(".seg"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_back_and_every_flipped_bit_is_found() {
        let header = Header {
            home: Uid([7; 16]),
            log: LogId(0x1f),
            format: 1,
            epoch: Epoch(18),
            previous: Some(Joint {
                epoch: Epoch(17),
                until: 5000,
            }),
            start: End {
                next: Index(40),
                term: Term(2),
                check: 9,
            },
        };
        let block = header.encode();
        assert_eq!(Header::parse(&block), Ok(header));
        for bit in 0..84 * 8 {
            let mut bad = block;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::parse(&bad).is_err(), "bit {bit} went unseen");
        }
    }

    #[test]
    fn names_read_back() {
        let name = file_name(LogId(0x1f), Index(40), Epoch(18));
        assert_eq!(name, "logs/1f-40-12.seg");
        let named = Named {
            log: LogId(0x1f),
            first: Index(40),
            epoch: Epoch(18),
            is_footer: false,
        };
        assert_eq!(parse_name("1f-40-12.seg"), Some(named));
        assert_eq!(
            parse_name("1f-40-12.foot"),
            Some(Named {
                is_footer: true,
                ..named
            })
        );
        assert_eq!(parse_name("1f-40.seg"), None);
        assert_eq!(parse_name("notes.txt"), None);
    }
}
