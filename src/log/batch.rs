//! The journal's own bytes: a file header, then batches, each what one sync
//! carried. Pure.
//!
//! A file is `HEADER | table batch... | batch...`, everything on block
//! boundaries, so that no write ever touches a block that is already durable.
//! A file opens with a table of all logs as of its start; together with the
//! batches behind it that is all recovery needs to know.

use super::format::{End, Fault};
use crate::ids::{Epoch, Index, JournalNumber, LogId, Term, Uid};
use crate::limits::{BLOCK_BYTES, JOURNAL_BATCH_BYTES_MAX};
use crate::planted;
use crate::wire::{Cursor, crc32c};

const FILE_MAGIC: u64 = u64::from_le_bytes(*b"DLJOURNL");
const BATCH_MAGIC: u32 = u32::from_le_bytes(*b"DLBT");
pub const VERSION: u16 = 1;

pub const BATCH_HEADER_BYTES: usize = 64;
pub const ENTRY_HEADER_BYTES: usize = 64;

/// The first block of a journal file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHeader {
    /// The data directory that the file belongs to.
    pub home: Uid,
    pub number: JournalNumber,
    /// This life of the file; a recycled file gets a new one.
    pub epoch: Epoch,
}

fn expect(what: &'static str, expected: u64, found: u64) -> Result<(), Fault> {
    match expected == found {
        true => Ok(()),
        false => Err(Fault {
            what,
            expected,
            found,
        }),
    }
}

/// A checked cursor that turns a short read into a fault.
fn short(short: crate::wire::Short) -> Fault {
    Fault {
        what: "bytes left",
        expected: short.wanted as u64,
        found: short.left as u64,
    }
}

impl FileHeader {
    pub fn encode(&self) -> [u8; BLOCK_BYTES] {
        let mut block = [0; BLOCK_BYTES];
        block[0..8].copy_from_slice(&FILE_MAGIC.to_le_bytes());
        block[8..10].copy_from_slice(&VERSION.to_le_bytes());
        block[16..32].copy_from_slice(&self.home.0);
        block[32..40].copy_from_slice(&self.number.0.to_le_bytes());
        block[40..48].copy_from_slice(&self.epoch.0.to_le_bytes());
        let crc = crc32c(&block[..60]);
        block[60..64].copy_from_slice(&crc.to_le_bytes());
        block
    }

    /// The version is read before the checksum, so that a file of another
    /// version is named as such and not as rot.
    pub fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        let mut cursor = Cursor::new(bytes);
        expect("journal magic", FILE_MAGIC, cursor.u64().map_err(short)?)?;
        expect(
            "journal format version",
            VERSION.into(),
            cursor.u16().map_err(short)?.into(),
        )?;
        cursor.take(6).map_err(short)?;
        let home = Uid(cursor.bytes16().map_err(short)?);
        let number = JournalNumber(cursor.u64().map_err(short)?);
        let epoch = Epoch(cursor.u64().map_err(short)?);
        cursor.take(12).map_err(short)?;
        let stored = cursor.u32().map_err(short)?;
        expect(
            "journal header checksum",
            crc32c(&bytes[..60]).into(),
            stored.into(),
        )?;
        Ok(Self {
            home,
            number,
            epoch,
        })
    }
}

/// What a batch holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Entries of logs; may be empty, as a mark that all before is durable.
    Entries,
    /// A part of the opening table; more parts follow.
    TablePart,
    /// The last part of the opening table.
    Table,
    /// The last part of a table that was written by a clean stop: nothing
    /// else was to be replayed when it was written.
    TableAtStop,
}

impl Kind {
    fn code(self) -> u16 {
        match self {
            Kind::Entries => 0,
            Kind::TablePart => 1,
            Kind::Table => 2,
            Kind::TableAtStop => 3,
        }
    }

    fn of(code: u16) -> Option<Self> {
        [
            Kind::Entries,
            Kind::TablePart,
            Kind::Table,
            Kind::TableAtStop,
        ]
        .into_iter()
        .find(|kind| kind.code() == code)
    }
}

/// The first 64 bytes of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    pub kind: Kind,
    pub number: JournalNumber,
    pub epoch: Epoch,
    /// Grows by one with each batch of the device, over all files.
    pub sequence: u64,
    /// Every batch with a sequence below this was durable when this was
    /// written: a bad one there is rot, not a torn tail.
    pub durable_until: u64,
    /// The oldest journal file that recovery must look at. Stands in the file
    /// as a distance from `number`.
    pub oldest: JournalNumber,
    /// Where the batch stands in its file.
    pub at: u32,
    pub body_bytes: u32,
    /// Header checksum of the batch before; 0 for the first of a file.
    pub previous: u32,
    pub body_crc: u32,
}

impl BatchHeader {
    /// The header and its checksum, which the next batch names.
    pub fn encode(&self) -> ([u8; BATCH_HEADER_BYTES], u32) {
        let mut bytes = [0; BATCH_HEADER_BYTES];
        bytes[0..4].copy_from_slice(&BATCH_MAGIC.to_le_bytes());
        bytes[4..6].copy_from_slice(&VERSION.to_le_bytes());
        bytes[6..8].copy_from_slice(&self.kind.code().to_le_bytes());
        bytes[8..16].copy_from_slice(&self.number.0.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.epoch.0.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.durable_until.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.at.to_le_bytes());
        bytes[44..48].copy_from_slice(&self.body_bytes.to_le_bytes());
        bytes[48..52].copy_from_slice(&self.previous.to_le_bytes());
        bytes[52..56].copy_from_slice(&self.body_crc.to_le_bytes());
        let distance = (self.number.0 - self.oldest.0) as u32;
        bytes[56..60].copy_from_slice(&distance.to_le_bytes());
        let crc = crc32c(&bytes[..60]);
        bytes[60..64].copy_from_slice(&crc.to_le_bytes());
        (bytes, crc)
    }

    /// Bytes in the file, whole blocks.
    pub fn total_bytes(&self) -> usize {
        (BATCH_HEADER_BYTES + self.body_bytes as usize).next_multiple_of(BLOCK_BYTES)
    }
}

/// One whole batch as read.
#[derive(Clone, Debug)]
pub struct Batch<'a> {
    pub header: BatchHeader,
    pub check: u32,
    pub body: &'a [u8],
}

/// Reads the batch that starts at `at` of a file's bytes, whatever file it
/// belongs to: magic, version, bounds and both checksums. None for zeros.
pub fn parse(file: &[u8], at: usize) -> Result<Option<Batch<'_>>, Fault> {
    let bytes = file.get(at..).unwrap_or_default();
    let head = bytes.get(..BATCH_HEADER_BYTES).ok_or(Fault {
        what: "bytes left of a batch",
        expected: BATCH_HEADER_BYTES as u64,
        found: bytes.len() as u64,
    })?;
    if head.iter().all(|&byte| byte == 0) {
        return Ok(None);
    }
    let mut cursor = Cursor::new(head);
    expect(
        "batch magic",
        BATCH_MAGIC.into(),
        cursor.u32().map_err(short)?.into(),
    )?;
    let version = cursor.u16().map_err(short)?;
    let code = cursor.u16().map_err(short)?;
    let number = JournalNumber(cursor.u64().map_err(short)?);
    let epoch = Epoch(cursor.u64().map_err(short)?);
    let sequence = cursor.u64().map_err(short)?;
    let durable_until = cursor.u64().map_err(short)?;
    let stands_at = cursor.u32().map_err(short)?;
    let body_bytes = cursor.u32().map_err(short)?;
    let previous = cursor.u32().map_err(short)?;
    let body_crc = cursor.u32().map_err(short)?;
    let distance = u64::from(cursor.u32().map_err(short)?);
    let check = cursor.u32().map_err(short)?;
    if !planted!(ChecksumNotChecked) {
        expect(
            "batch header checksum",
            crc32c(&head[..60]).into(),
            check.into(),
        )?;
    }
    expect("batch format version", VERSION.into(), version.into())?;
    let kind = Kind::of(code).ok_or(Fault {
        what: "batch kind",
        expected: 0,
        found: code.into(),
    })?;
    let header = BatchHeader {
        kind,
        number,
        epoch,
        sequence,
        durable_until,
        oldest: JournalNumber(number.0.saturating_sub(distance)),
        at: stands_at,
        body_bytes,
        previous,
        body_crc,
    };
    let body = bytes[BATCH_HEADER_BYTES..]
        .get(..body_bytes as usize)
        .ok_or(Fault {
            what: "bytes left of a batch's body",
            expected: body_bytes.into(),
            found: (bytes.len() - BATCH_HEADER_BYTES) as u64,
        })?;
    let is_checked = match planted!(TornTailKept) {
        true => false,
        false => !planted!(ChecksumNotChecked),
    };
    if is_checked {
        expect("batch body checksum", body_crc.into(), crc32c(body).into())?;
    }
    Ok(Some(Batch {
        header,
        check,
        body,
    }))
}

/// What a batch says of one log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// A new segment takes over. What stood before it ends at `previous`, or,
    /// without one, the log begins anew here.
    Start {
        log: LogId,
        format: u16,
        epoch: Epoch,
        previous: Option<Joint>,
        end: End,
    },
    /// Bytes of whole records that go to a place in a segment.
    Append {
        log: LogId,
        epoch: Epoch,
        at: u64,
        end: End,
        bytes: &'a [u8],
    },
    /// Bytes that went straight to their segment and are synced there.
    Mark {
        log: LogId,
        epoch: Epoch,
        at: u64,
        until: u64,
        crc: u32,
        end: End,
    },
    /// Everything below `first` is gone, and every segment before `epoch`.
    Drop {
        log: LogId,
        epoch: Epoch,
        first: Index,
    },
    /// The log is gone.
    Remove { log: LogId },
}

/// Where one segment ends because the next one takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Joint {
    pub epoch: Epoch,
    /// The bytes of the file that still count.
    pub until: u64,
}

impl Entry<'_> {
    pub fn log(&self) -> LogId {
        match *self {
            Entry::Start { log, .. }
            | Entry::Append { log, .. }
            | Entry::Mark { log, .. }
            | Entry::Drop { log, .. }
            | Entry::Remove { log } => log,
        }
    }

    /// Bytes that the entry takes in a batch.
    pub fn encoded_bytes(&self) -> usize {
        match self {
            Entry::Append { bytes, .. } => append_bytes(bytes.len()),
            _ => ENTRY_HEADER_BYTES,
        }
    }

    /// The entry's header; an append's bytes follow it, padded to 8.
    ///
    /// | 0 | 1 | 2 | 4 | 8 | 16 | 24 | 32 | 40 | 48 | 56 | 60 |
    /// |---|---|---|---|---|---|---|---|---|---|---|---|
    /// | kind | zero | format | length | log | epoch | a | b | next | term | check | crc |
    pub fn header(&self) -> [u8; ENTRY_HEADER_BYTES] {
        let mut row = Row {
            log: self.log().0,
            ..Row::default()
        };
        match *self {
            Entry::Start {
                format,
                epoch,
                previous,
                end,
                ..
            } => {
                row.kind = START;
                row.format = format;
                row.epoch = epoch.0;
                (row.a, row.b) = previous.map_or((0, 0), |joint| (joint.epoch.0, joint.until));
                row.end = end;
            }
            Entry::Append {
                epoch,
                at,
                end,
                bytes,
                ..
            } => {
                row.kind = APPEND;
                row.length = bytes.len() as u32;
                (row.epoch, row.a, row.end) = (epoch.0, at, end);
            }
            Entry::Mark {
                epoch,
                at,
                until,
                crc,
                end,
                ..
            } => {
                row.kind = MARK;
                (row.epoch, row.a, row.b, row.crc, row.end) = (epoch.0, at, until, crc, end);
            }
            Entry::Drop { epoch, first, .. } => {
                row.kind = DROP;
                (row.epoch, row.a) = (epoch.0, first.0);
            }
            Entry::Remove { .. } => row.kind = REMOVE,
        }
        row.encode()
    }
}

const START: u8 = 1;
const APPEND: u8 = 2;
const MARK: u8 = 3;
const DROP: u8 = 4;
const REMOVE: u8 = 5;

/// An entry's header as it stands in the file.
#[derive(Default)]
struct Row {
    kind: u8,
    format: u16,
    length: u32,
    log: u64,
    epoch: u64,
    a: u64,
    b: u64,
    end: End,
    crc: u32,
}

impl Row {
    fn encode(&self) -> [u8; ENTRY_HEADER_BYTES] {
        let mut bytes = [0; ENTRY_HEADER_BYTES];
        bytes[0] = self.kind;
        bytes[2..4].copy_from_slice(&self.format.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.length.to_le_bytes());
        let words = [
            self.log,
            self.epoch,
            self.a,
            self.b,
            self.end.next.0,
            self.end.term.0,
        ];
        for (place, word) in bytes[8..56].chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes[56..60].copy_from_slice(&self.end.check.to_le_bytes());
        bytes[60..64].copy_from_slice(&self.crc.to_le_bytes());
        bytes
    }

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, crate::wire::Short> {
        let kind = cursor.u8()?;
        cursor.u8()?;
        Ok(Self {
            kind,
            format: cursor.u16()?,
            length: cursor.u32()?,
            log: cursor.u64()?,
            epoch: cursor.u64()?,
            a: cursor.u64()?,
            b: cursor.u64()?,
            end: End {
                next: Index(cursor.u64()?),
                term: Term(cursor.u64()?),
                check: cursor.u32()?,
            },
            crc: cursor.u32()?,
        })
    }
}

/// Bytes that an append of `length` takes in a batch.
pub fn append_bytes(length: usize) -> usize {
    ENTRY_HEADER_BYTES + length.next_multiple_of(8)
}

/// The entries of a batch's body, in order.
pub fn entries(body: &[u8]) -> Entries<'_> {
    Entries {
        cursor: Cursor::new(body),
    }
}

pub struct Entries<'a> {
    cursor: Cursor<'a>,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        (self.cursor.left() > 0).then(|| self.read())
    }
}

impl<'a> Entries<'a> {
    fn read(&mut self) -> Result<Entry<'a>, Fault> {
        let entry = self.read_inner();
        if entry.is_err() {
            // Nothing behind a bad entry can be told apart.
            self.cursor = Cursor::new(&[]);
        }
        entry
    }

    fn read_inner(&mut self) -> Result<Entry<'a>, Fault> {
        let row = Row::read(&mut self.cursor).map_err(short)?;
        let (log, epoch, end) = (LogId(row.log), Epoch(row.epoch), row.end);
        Ok(match row.kind {
            START => {
                let joint = Joint {
                    epoch: Epoch(row.a),
                    until: row.b,
                };
                let previous = (row.a != 0).then_some(joint);
                Entry::Start {
                    log,
                    format: row.format,
                    epoch,
                    previous,
                    end,
                }
            }
            APPEND => {
                let length = row.length as usize;
                let bytes = self.cursor.take(length).map_err(short)?;
                self.cursor
                    .take(length.next_multiple_of(8) - length)
                    .map_err(short)?;
                Entry::Append {
                    log,
                    epoch,
                    at: row.a,
                    end,
                    bytes,
                }
            }
            MARK => Entry::Mark {
                log,
                epoch,
                at: row.a,
                until: row.b,
                crc: row.crc,
                end,
            },
            DROP => Entry::Drop {
                log,
                epoch,
                first: Index(row.a),
            },
            REMOVE => Entry::Remove { log },
            other => {
                let (expected, found) = (REMOVE.into(), other.into());
                return Err(Fault {
                    what: "entry kind",
                    expected,
                    found,
                });
            }
        })
    }
}

/// One log as a journal file's opening table holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    pub log: LogId,
    pub format: u16,
    /// The first index that counts.
    pub first: Index,
    /// The oldest segment that is kept.
    pub first_epoch: Epoch,
    /// The segment that is written to.
    pub epoch: Epoch,
    /// The bytes of it that count.
    pub until: u64,
    pub end: End,
}

const LINE_BYTES: usize = 72;
/// Lines of one table batch: what fits a batch's bytes.
pub const LINES_PER_BATCH: usize =
    (JOURNAL_BATCH_BYTES_MAX - BATCH_HEADER_BYTES - TABLE_HEAD_BYTES) / LINE_BYTES;
const TABLE_HEAD_BYTES: usize = 16;

/// A table's part: the next epoch to be given out, then lines.
pub fn encode_table(next_epoch: Epoch, lines: &[Line]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(TABLE_HEAD_BYTES + lines.len() * LINE_BYTES);
    bytes.extend_from_slice(&next_epoch.0.to_le_bytes());
    bytes.extend_from_slice(&(lines.len() as u64).to_le_bytes());
    for line in lines {
        bytes.extend_from_slice(&line.log.0.to_le_bytes());
        bytes.extend_from_slice(&u64::from(line.format).to_le_bytes());
        bytes.extend_from_slice(&line.first.0.to_le_bytes());
        bytes.extend_from_slice(&line.first_epoch.0.to_le_bytes());
        bytes.extend_from_slice(&line.epoch.0.to_le_bytes());
        bytes.extend_from_slice(&line.until.to_le_bytes());
        bytes.extend_from_slice(&line.end.next.0.to_le_bytes());
        bytes.extend_from_slice(&line.end.term.0.to_le_bytes());
        bytes.extend_from_slice(&u64::from(line.end.check).to_le_bytes());
    }
    bytes
}

pub fn parse_table(body: &[u8]) -> Result<(Epoch, Vec<Line>), Fault> {
    let mut cursor = Cursor::new(body);
    let next_epoch = Epoch(cursor.u64().map_err(short)?);
    let count = cursor.u64().map_err(short)?;
    expect(
        "lines of the table",
        (cursor.left() / LINE_BYTES) as u64,
        count,
    )?;
    let mut lines = Vec::with_capacity(cursor.left() / LINE_BYTES);
    for _ in 0..count {
        lines.push(read_line(&mut cursor).map_err(short)?);
    }
    expect("bytes after the table", 0, cursor.left() as u64)?;
    Ok((next_epoch, lines))
}

fn read_line(cursor: &mut Cursor<'_>) -> Result<Line, crate::wire::Short> {
    Ok(Line {
        log: LogId(cursor.u64()?),
        format: cursor.u64()? as u16,
        first: Index(cursor.u64()?),
        first_epoch: Epoch(cursor.u64()?),
        epoch: Epoch(cursor.u64()?),
        until: cursor.u64()?,
        end: End {
            next: Index(cursor.u64()?),
            term: Term(cursor.u64()?),
            check: cursor.u64()? as u32,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: End = End {
        next: Index(12),
        term: Term(3),
        check: 77,
    };

    fn all_kinds() -> Vec<Entry<'static>> {
        let (log, epoch) = (LogId(5), Epoch(9));
        vec![
            Entry::Start {
                log,
                format: 1,
                epoch,
                previous: None,
                end: END,
            },
            Entry::Start {
                log,
                format: 1,
                epoch: Epoch(10),
                previous: Some(Joint { epoch, until: 8192 }),
                end: END,
            },
            Entry::Append {
                log,
                epoch,
                at: 4096,
                end: END,
                bytes: b"eleven byte",
            },
            Entry::Mark {
                log,
                epoch,
                at: 4096,
                until: 99,
                crc: 1,
                end: END,
            },
            Entry::Drop {
                log,
                epoch,
                first: Index(8),
            },
            Entry::Remove { log },
        ]
    }

    #[test]
    fn entries_read_back() {
        let mut body = Vec::new();
        for entry in all_kinds() {
            let before = body.len();
            body.extend_from_slice(&entry.header());
            if let Entry::Append { bytes, .. } = entry {
                body.extend_from_slice(bytes);
            }
            body.resize(body.len().next_multiple_of(8), 0);
            assert_eq!(body.len() - before, entry.encoded_bytes());
        }
        let read: Result<Vec<_>, _> = entries(&body).collect();
        assert_eq!(read.unwrap(), all_kinds());
        assert!(entries(&body[..body.len() - 1]).any(|entry| entry.is_err()));
    }

    #[test]
    fn a_table_reads_back() {
        let line = Line {
            log: LogId(1),
            format: 2,
            first: Index(3),
            first_epoch: Epoch(4),
            epoch: Epoch(5),
            until: 6,
            end: END,
        };
        let bytes = encode_table(Epoch(8), &[line, line]);
        assert_eq!(parse_table(&bytes), Ok((Epoch(8), vec![line, line])));
        assert!(parse_table(&bytes[..bytes.len() - 1]).is_err());
    }

    #[test]
    fn every_flipped_bit_of_a_batch_is_found() {
        let body = encode_table(Epoch(8), &[]);
        let header = BatchHeader {
            kind: Kind::TableAtStop,
            number: JournalNumber(1),
            epoch: Epoch(2),
            sequence: 3,
            durable_until: 3,
            oldest: JournalNumber(1),
            at: 0,
            body_bytes: body.len() as u32,
            previous: 0,
            body_crc: crc32c(&body),
        };
        let mut file = header.encode().0.to_vec();
        file.extend_from_slice(&body);
        assert_eq!(parse(&file, 0).unwrap().unwrap().header, header);
        for bit in 0..file.len() * 8 {
            let mut bad = file.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(parse(&bad, 0).is_err(), "bit {bit} went unseen");
        }
    }
}
