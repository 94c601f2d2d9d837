//! What a journal file's bytes say: its batches, and how it ends. Pure.

use super::batch::{self, Batch, FileHeader, Kind};
use super::format::Fault;
use crate::ids::JournalNumber;
use crate::limits::BLOCK_BYTES;
use crate::planted;

/// How a file's batches end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Nothing, or an earlier life's bytes, behind the last batch.
    Clean,
    /// A batch that is not whole, at or above all that is known to have been
    /// synced: the power went while it was written.
    Torn { at: u64, fault: Fault },
}

/// A file that was begun: its opening table is whole.
#[derive(Clone, Debug)]
pub struct Scanned {
    pub header: FileHeader,
    /// Where each batch starts, the opening table's first.
    pub batches: Vec<usize>,
    /// Batches of the opening table.
    pub table_parts: usize,
    pub first_sequence: u64,
    pub last: LastBatch,
    pub ending: Ending,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastBatch {
    pub sequence: u64,
    pub kind: Kind,
    pub oldest: JournalNumber,
    pub check: u32,
    /// Where the next batch would go.
    pub until: u64,
}

/// What a file turned out to be.
#[derive(Clone, Debug)]
pub enum File {
    /// Never begun: no whole opening table, and nothing behind it.
    Unbegun,
    Begun(Scanned),
}

/// Why a file cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// Written by another version of this program.
    Version { found: u64 },
    /// Rot: bytes that were synced are not what was written.
    Hole { at: u64, fault: Fault },
}

/// Reads a whole file. `number` is what its name says.
pub fn scan(bytes: &[u8], number: JournalNumber) -> Result<File, Bad> {
    let fault = match FileHeader::parse(bytes) {
        Ok(header) if header.number == number || planted!(RecycledFileTrusted) => {
            return scan_batches(bytes, header);
        }
        // A spare that got its name and not yet its first bytes.
        Ok(header) => Fault {
            what: "journal number",
            expected: number.0,
            found: header.number.0,
        },
        Err(Fault {
            what: "journal format version",
            found,
            ..
        }) => {
            return Err(Bad::Version { found });
        }
        Err(fault) => fault,
    };
    match any_batch_of(bytes, number) {
        true => Err(Bad::Hole { at: 0, fault }),
        false => Ok(File::Unbegun),
    }
}

fn scan_batches(bytes: &[u8], header: FileHeader) -> Result<File, Bad> {
    let mut batches = Vec::new();
    let mut table_parts = None;
    let mut first_sequence = 0;
    let mut last: Option<LastBatch> = None;
    let mut at = BLOCK_BYTES;
    let ending = loop {
        let batch = match next_batch(bytes, at, &header, last.as_ref()) {
            Next::Batch(batch) => batch,
            Next::Nothing => break Ending::Clean,
            Next::Bad(fault) => {
                break Ending::Torn {
                    at: at as u64,
                    fault,
                };
            }
        };
        if last.is_none() {
            first_sequence = batch.header.sequence;
        }
        if matches!(batch.header.kind, Kind::Table | Kind::TableAtStop) && table_parts.is_none() {
            table_parts = Some(batches.len() + 1);
        }
        batches.push(at);
        at += batch.header.total_bytes();
        last = Some(LastBatch {
            sequence: batch.header.sequence,
            kind: batch.header.kind,
            oldest: batch.header.oldest,
            check: batch.check,
            until: at as u64,
        });
    };
    let missing = last.map_or(0, |last| last.sequence + 1);
    if let Some(fault) = proof_of_rot(bytes, at, &header, missing, &ending) {
        return Err(Bad::Hole {
            at: at as u64,
            fault,
        });
    }
    Ok(match (last, table_parts) {
        (Some(last), Some(table_parts)) => File::Begun(Scanned {
            header,
            batches,
            table_parts,
            first_sequence,
            last,
            ending,
        }),
        _ => File::Unbegun,
    })
}

enum Next<'a> {
    Batch(Batch<'a>),
    Nothing,
    Bad(Fault),
}

/// The batch at `at`, if it is this file's own next one.
fn next_batch<'a>(
    bytes: &'a [u8],
    at: usize,
    header: &FileHeader,
    last: Option<&LastBatch>,
) -> Next<'a> {
    if at + batch::BATCH_HEADER_BYTES > bytes.len() {
        return Next::Nothing;
    }
    let batch = match batch::parse(bytes, at) {
        Ok(Some(batch)) => batch,
        Ok(None) => return Next::Nothing,
        Err(fault) => return Next::Bad(fault),
    };
    if planted!(RecycledFileTrusted) {
        return Next::Batch(batch);
    }
    let is_own = batch.header.number == header.number && batch.header.epoch == header.epoch;
    let follows = match last {
        Some(last) => {
            batch.header.sequence == last.sequence + 1 && batch.header.previous == last.check
        }
        None => batch.header.previous == 0,
    };
    match is_own && follows && batch.header.at as usize == at {
        true => Next::Batch(batch),
        // A whole batch, but of an earlier life of the file.
        false => Next::Nothing,
    }
}

/// A later batch of this file that says the missing one was durable.
fn proof_of_rot(
    bytes: &[u8],
    from: usize,
    header: &FileHeader,
    missing: u64,
    ending: &Ending,
) -> Option<Fault> {
    if planted!(HoleCut) {
        return None;
    }
    let mut later = own_batches(bytes, from, header.number)
        .filter(|batch| batch.header.epoch == header.epoch && batch.header.sequence > missing);
    later
        .find(|batch| batch.header.durable_until > missing)
        .map(|_| match ending {
            Ending::Torn { fault, .. } => *fault,
            Ending::Clean => Fault {
                what: "batch",
                expected: missing,
                found: 0,
            },
        })
}

fn any_batch_of(bytes: &[u8], number: JournalNumber) -> bool {
    // The opening table proves nothing: it is written with the header, in one
    // write that may be torn.
    own_batches(bytes, BLOCK_BYTES, number).any(|batch| batch.header.kind == Kind::Entries)
}

/// Whole batches of this file from a place on, also where they stand astray:
/// what they say of durability is true all the same.
fn own_batches(
    bytes: &[u8],
    from: usize,
    number: JournalNumber,
) -> impl Iterator<Item = Batch<'_>> {
    (from..bytes.len())
        .step_by(BLOCK_BYTES)
        .filter_map(|at| batch::parse(bytes, at).ok().flatten())
        .filter(move |batch| batch.header.number == number)
}
