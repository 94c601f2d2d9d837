//! A segment file's name and its first block. Pure.
//!
//! `logs/<log>-<first index>-<epoch>.seg`: the epoch, never used twice on a
//! device, makes the name of every life of a segment its own. Records stand
//! back to back from the second block on; behind them are zeros.
//!
//! A segment that was written anew in the place of others (`rewrite`) is
//! `<log>-<first index>-<epoch>-<in place of>.seg`, the last being the epoch by
//! which the segment behind it knows the one before it. That it has this name is
//! all that makes it count: the rename is the one step from the old to the new.

use super::batch::Joint;
use super::format::{End, Fault};
use crate::ids::{Epoch, Index, LogId, Term, Uid};
use crate::limits::BLOCK_BYTES;
use crate::wire::{Cursor, Short, crc32c};
use std::collections::BTreeMap;

const MAGIC: u64 = u64::from_le_bytes(*b"DLSEGMNT");
pub const VERSION: u16 = 1;
/// Of a segment that was written anew: it says where it ends and for whom it
/// stands, which others leave to the one behind them.
pub const VERSION_REWRITTEN: u16 = 2;
/// Where records start.
pub const BODY: u64 = BLOCK_BYTES as u64;
pub const FOLDER: &str = "logs";
/// Behind the name of a segment that is still being written anew.
pub const UNFINISHED: &str = ".new";

/// What a segment that was written anew says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewritten {
    /// The epoch by which the segment behind it knows the one before it.
    pub in_place_of: Epoch,
    /// The bytes of it that count.
    pub until: u64,
}

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
    pub rewritten: Option<Rewritten>,
}

/// What the checksum of each version covers.
const SUMMED_BYTES: usize = 80;
const SUMMED_BYTES_REWRITTEN: usize = 96;

impl Header {
    pub fn encode(&self) -> [u8; BLOCK_BYTES] {
        let joint = self.previous.unwrap_or(Joint {
            epoch: Epoch(0),
            until: 0,
        });
        let mut block = [0; BLOCK_BYTES];
        block[0..8].copy_from_slice(&MAGIC.to_le_bytes());
        let (version, summed) = match self.rewritten {
            None => (VERSION, SUMMED_BYTES),
            Some(_) => (VERSION_REWRITTEN, SUMMED_BYTES_REWRITTEN),
        };
        block[8..10].copy_from_slice(&version.to_le_bytes());
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
        if let Some(Rewritten { in_place_of, until }) = self.rewritten {
            block[80..88].copy_from_slice(&in_place_of.0.to_le_bytes());
            block[88..96].copy_from_slice(&until.to_le_bytes());
        }
        let crc = crc32c(&block[..summed]);
        block[summed..summed + 4].copy_from_slice(&crc.to_le_bytes());
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
        let (rewritten, known, summed) = match version {
            VERSION_REWRITTEN => {
                let (in_place_of, until) = (Epoch(cursor.u64()?), cursor.u64()?);
                let rewritten = Rewritten { in_place_of, until };
                (Some(rewritten), VERSION_REWRITTEN, SUMMED_BYTES_REWRITTEN)
            }
            _ => (None, VERSION, SUMMED_BYTES),
        };
        let stored = cursor.u32()?;
        let pairs = [
            ("segment magic", MAGIC, magic),
            ("segment format version", known.into(), version.into()),
            (
                "segment header checksum",
                crc32c(&bytes[..summed]).into(),
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
            rewritten,
        }))
    }

    /// What stands before the zeros of the first block.
    pub fn encoded_bytes(&self) -> usize {
        let summed = match self.rewritten {
            None => SUMMED_BYTES,
            Some(_) => SUMMED_BYTES_REWRITTEN,
        };
        summed + size_of::<u32>()
    }

    pub fn file_name(&self) -> String {
        let named = Named {
            log: self.log,
            first: self.start.next,
            epoch: self.epoch,
            in_place_of: self.rewritten.map(|one| one.in_place_of),
            is_footer: false,
        };
        named.file_name()
    }
}

/// A file in the folder of segments, by its name alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    pub log: LogId,
    pub first: Index,
    pub epoch: Epoch,
    /// Of one that was written anew: the epoch by which the segment behind it
    /// knows the one before it.
    pub in_place_of: Option<Epoch>,
    pub is_footer: bool,
}

impl Named {
    /// The segment's name, also where this is the footer beside it.
    pub fn file_name(&self) -> String {
        let (log, first, epoch) = (self.log.0, self.first.0, self.epoch.0);
        match self.in_place_of {
            None => format!("{FOLDER}/{log:x}-{first}-{epoch:x}.seg"),
            Some(old) => format!("{FOLDER}/{log:x}-{first}-{epoch:x}-{:x}.seg", old.0),
        }
    }
}

/// Which segment that was written anew stands in the place of which: by the
/// epoch that the segment behind it names.
#[derive(Clone, Debug, Default)]
pub struct InPlace(BTreeMap<(LogId, Epoch), Epoch>);

impl InPlace {
    /// Of several the newest counts; the others are left from a power cut.
    pub fn note(&mut self, named: &Named) {
        if let Some(old) = named.in_place_of {
            let newest = self.0.entry((named.log, old)).or_insert(named.epoch);
            *newest = named.epoch.max(*newest);
        }
    }

    /// The segment that counts, where others name this one. What was written
    /// anew may be written anew again, under its own name where a truncation
    /// has made that known.
    pub fn of(&self, log: LogId, mut epoch: Epoch) -> Epoch {
        // Each is newer than the one before, so this ends.
        while let Some(&newer) = self.0.get(&(log, epoch)).filter(|&&newer| newer > epoch) {
            epoch = newer;
        }
        epoch
    }
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
    let in_place_of = match parts.next() {
        Some(part) => Some(Epoch(u64::from_str_radix(part, 16).ok()?)),
        None => None,
    };
    let whole = parts.next().is_none();
    whole.then_some(Named {
        log,
        first,
        epoch,
        in_place_of,
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
            rewritten: None,
        };
        let rewritten = Rewritten {
            in_place_of: Epoch(16),
            until: 7000,
        };
        let anew = Header {
            rewritten: Some(rewritten),
            ..header
        };
        for (header, bytes) in [(header, 84), (anew, 100)] {
            let block = header.encode();
            assert_eq!(Header::parse(&block), Ok(header));
            for bit in 0..bytes * 8 {
                let mut bad = block;
                bad[bit / 8] ^= 1 << (bit % 8);
                assert!(Header::parse(&bad).is_err(), "bit {bit} went unseen");
            }
        }
    }

    #[test]
    fn the_newest_of_those_written_anew_counts() {
        let mut in_place = InPlace::default();
        for name in ["1-0-9-3.seg", "1-0-7-3.seg", "1-0-b-9.seg", "2-0-20-3.seg"] {
            in_place.note(&parse_name(name).unwrap());
        }
        let of = |log, epoch| in_place.of(LogId(log), Epoch(epoch)).0;
        assert_eq!([of(1, 3), of(1, 9), of(1, 7), of(1, 4)], [11, 11, 7, 4]);
        assert_eq!(of(2, 3), 32);
        // A name that somebody made up leads nowhere, and not in a circle.
        in_place.note(&parse_name("1-0-3-b.seg").unwrap());
        assert_eq!(in_place.of(LogId(1), Epoch(3)).0, 11);
    }

    #[test]
    fn names_read_back() {
        let named = Named {
            log: LogId(0x1f),
            first: Index(40),
            epoch: Epoch(18),
            in_place_of: None,
            is_footer: false,
        };
        assert_eq!(named.file_name(), "logs/1f-40-12.seg");
        let anew = Named {
            in_place_of: Some(Epoch(11)),
            ..named
        };
        assert_eq!(anew.file_name(), "logs/1f-40-12-b.seg");
        assert_eq!(parse_name("1f-40-12-b.seg"), Some(anew));
        assert_eq!(parse_name("1f-40-12-b-1.seg"), None);
        assert_eq!(parse_name("1f-40-12-b.seg.new"), None);
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
