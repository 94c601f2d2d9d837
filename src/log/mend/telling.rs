//! What is whole in a damaged journal. Pure.
//!
//! Strict recovery stops at the first bad byte. This goes on behind it: the
//! batches that follow still say where each log stood, and the table that
//! opens the next file says it of all logs at once.

use super::Damage;
use crate::ids::{Epoch, Index, JournalNumber, LogId, Uid};
use crate::limits::BLOCK_BYTES;
use crate::log::batch::{self, Batch, Entry, FileHeader, Joint, Kind, Line};
use crate::log::errors::OpenError;
use crate::log::format::{End, Fault};
use crate::log::journal::file_name;
use crate::log::segment::BODY;
use std::collections::{BTreeMap, BTreeSet};

/// One log as far as whole batches tell.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) format: Option<u16>,
    /// The first index that counts, and the oldest segment.
    pub(super) first: Option<(Index, Epoch)>,
    /// The segment that is written to, and the bytes of it that count.
    pub(super) epoch: Epoch,
    pub(super) until: u64,
    pub(super) end: End,
    /// Nothing of the log can stand behind this: no batch was lost since.
    pub(super) is_sure: bool,
}

/// Bytes of a segment that the journal speaks of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Write<'a> {
    Bytes { at: u64, bytes: &'a [u8] },
    Mark { at: u64, until: u64, crc: u32 },
}

/// A segment's beginning.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    pub(super) format: u16,
    pub(super) previous: Option<Joint>,
    pub(super) end: End,
}

#[derive(Default)]
pub(super) struct Telling<'a> {
    pub(super) logs: BTreeMap<LogId, Told>,
    pub(super) removed: BTreeSet<LogId>,
    pub(super) starts: BTreeMap<(LogId, Epoch), Start>,
    pub(super) writes: BTreeMap<(LogId, Epoch), Vec<Write<'a>>>,
    pub(super) damages: Vec<Damage>,
    pub(super) next_epoch: u64,
    /// The last batch's.
    pub(super) sequence: u64,
    /// There may be logs that no whole batch speaks of.
    pub(super) is_partial: bool,
}

/// A file's batches, with the places where some are missing.
enum Piece<'a> {
    Batch(usize, Batch<'a>),
    Gap(usize, Fault),
}

impl<'a> Telling<'a> {
    /// `has_segments`: then a journal that says nothing at all is damaged.
    pub(super) fn of(
        files: &'a BTreeMap<JournalNumber, Vec<u8>>,
        home: Uid,
        has_segments: bool,
    ) -> Result<Self, OpenError> {
        let mut telling = Self::default();
        let mut begun: BTreeMap<JournalNumber, Vec<Piece<'a>>> = BTreeMap::new();
        for (&number, bytes) in files {
            let pieces = pieces(bytes, number);
            if telling.is_ours(number, bytes, home, &pieces)? {
                begun.insert(number, pieces);
            }
        }
        let Some((&last, pieces)) = begun.last_key_value() else {
            telling.is_partial = has_segments;
            if has_segments {
                let file = files
                    .keys()
                    .last()
                    .map_or("journal".into(), |&n| file_name(n));
                telling.hurt(file, 0, missing("whole journal files"));
            }
            return Ok(telling);
        };
        let oldest = pieces.iter().rev().find_map(|piece| match piece {
            Piece::Batch(_, batch) => Some(batch.header.oldest),
            Piece::Gap(..) => None,
        });
        let oldest = oldest.unwrap_or(last).min(last);
        telling.is_partial = true;
        for number in (oldest.0..=last.0).map(JournalNumber) {
            match begun.get(&number) {
                Some(pieces) => telling.take_file(number, pieces),
                None => {
                    let what = match files.contains_key(&number) {
                        true => "whole batches",
                        false => "the file",
                    };
                    telling.hurt(file_name(number), 0, missing(what));
                    telling.lose_track();
                }
            }
        }
        Ok(telling)
    }

    /// Whether the file was begun and belongs here. A version that is not ours
    /// refuses the whole directory, unless the checksum says that it is rot.
    fn is_ours(
        &mut self,
        number: JournalNumber,
        bytes: &[u8],
        home: Uid,
        pieces: &[Piece<'_>],
    ) -> Result<bool, OpenError> {
        let has_entries = pieces.iter().any(|piece| match piece {
            Piece::Batch(_, batch) => batch.header.kind == Kind::Entries,
            Piece::Gap(..) => true,
        });
        let is_begun = pieces.iter().any(|piece| matches!(piece, Piece::Batch(..)));
        let parsed = FileHeader::parse(bytes).and_then(|header| match header.number == number {
            true => Ok(header),
            false => Err(Fault {
                what: "journal number",
                expected: number.0,
                found: header.number.0,
            }),
        });
        match parsed {
            Ok(header) if header.home == home => Ok(is_begun),
            Ok(_) if !is_begun => Ok(false),
            Ok(_) => {
                self.hurt(
                    file_name(number),
                    16,
                    missing("files of this data directory"),
                );
                Ok(false)
            }
            Err(fault) if fault.what == "journal format version" && !is_begun => {
                let mut mended = bytes.to_vec();
                mended[8..10].copy_from_slice(&batch::VERSION.to_le_bytes());
                match FileHeader::parse(&mended) {
                    Ok(_) => Ok(false),
                    Err(_) => Err(OpenError::Identity(format!(
                        "{} has journal format {}, and this build reads format {}. Nothing was \
                         changed; use the version of Dolmen that wrote it",
                        file_name(number),
                        fault.found,
                        batch::VERSION
                    ))),
                }
            }
            Err(fault) => {
                // With its table alone it may as well have never been begun.
                if is_begun || has_entries {
                    self.hurt(file_name(number), 0, fault);
                }
                Ok(is_begun)
            }
        }
    }

    fn hurt(&mut self, file: String, at: u64, fault: Fault) {
        self.damages.push(Damage {
            log: None,
            file,
            at,
            fault,
            is_harmless: false,
        });
    }

    /// Some batches are lost: any log may have gone on in them.
    fn lose_track(&mut self) {
        self.is_partial = true;
        self.logs.values_mut().for_each(|told| told.is_sure = false);
    }

    fn take_file(&mut self, number: JournalNumber, pieces: &[Piece<'a>]) {
        let name = file_name(number);
        let first = pieces.iter().find_map(|piece| match piece {
            Piece::Batch(_, batch) => Some(batch.header.sequence),
            Piece::Gap(..) => None,
        });
        if self.sequence > 0 && first.is_some_and(|first| first > self.sequence + 1) {
            let fault = Fault {
                what: "first batch after the file before",
                expected: self.sequence + 1,
                found: first.unwrap_or_default(),
            };
            self.hurt(name.clone(), BLOCK_BYTES as u64, fault);
            self.lose_track();
        }
        let mut lines = Some(Vec::new());
        for piece in pieces {
            let (at, batch) = match piece {
                Piece::Batch(at, batch) => (*at, batch),
                Piece::Gap(at, fault) => {
                    self.hurt(name.clone(), *at as u64, *fault);
                    self.lose_track();
                    lines = None;
                    continue;
                }
            };
            self.sequence = batch.header.sequence;
            let taken = match batch.header.kind {
                Kind::Entries => self.take_entries(batch.body),
                kind => self.take_table(batch.body, kind, &mut lines),
            };
            if let Err(fault) = taken {
                self.hurt(name.clone(), at as u64, fault);
                self.lose_track();
            }
        }
    }

    /// A table counts where something before it is missing, or all is.
    fn take_table(
        &mut self,
        body: &[u8],
        kind: Kind,
        lines: &mut Option<Vec<Line>>,
    ) -> Result<(), Fault> {
        let (next_epoch, part) = batch::parse_table(body)?;
        self.next_epoch = self.next_epoch.max(next_epoch.0);
        let Some(all) = lines else { return Ok(()) };
        all.extend(part);
        if kind == Kind::TablePart || !self.is_partial {
            return Ok(());
        }
        let named: BTreeSet<LogId> = all.iter().map(|line| line.log).collect();
        self.logs.retain(|log, _| named.contains(log));
        for line in all {
            let told = Told {
                format: Some(line.format),
                first: Some((line.first, line.first_epoch)),
                epoch: line.epoch,
                until: line.until,
                end: line.end,
                is_sure: true,
            };
            self.logs.insert(line.log, told);
        }
        self.is_partial = false;
        Ok(())
    }

    fn take_entries(&mut self, body: &'a [u8]) -> Result<(), Fault> {
        for entry in batch::entries(body) {
            self.take_entry(entry?);
        }
        Ok(())
    }

    fn take_entry(&mut self, entry: Entry<'a>) {
        let log = entry.log();
        match entry {
            Entry::Start {
                format,
                epoch,
                previous,
                end,
                ..
            } => {
                self.removed.remove(&log);
                self.next_epoch = self.next_epoch.max(epoch.0 + 1);
                let start = Start {
                    format,
                    previous,
                    end,
                };
                self.starts.insert((log, epoch), start);
                let told = self.told(log, epoch, BODY, end);
                told.format = Some(format);
                if previous.is_none() {
                    told.first = Some((end.next, epoch));
                }
            }
            Entry::Append {
                epoch,
                at,
                end,
                bytes,
                ..
            } => {
                let writes = self.writes.entry((log, epoch)).or_default();
                writes.push(Write::Bytes { at, bytes });
                self.told(log, epoch, at + bytes.len() as u64, end);
            }
            Entry::Mark {
                epoch,
                at,
                until,
                crc,
                end,
                ..
            } => {
                let writes = self.writes.entry((log, epoch)).or_default();
                writes.push(Write::Mark { at, until, crc });
                self.told(log, epoch, until, end);
            }
            Entry::Drop { epoch, first, .. } => {
                if let Some(told) = self.logs.get_mut(&log) {
                    told.first = Some((first, epoch));
                }
            }
            Entry::Remove { .. } => {
                self.logs.remove(&log);
                self.removed.insert(log);
            }
        }
    }

    /// Where a log stands after an entry, whatever stood before.
    fn told(&mut self, log: LogId, epoch: Epoch, until: u64, end: End) -> &mut Told {
        let told = self.logs.entry(log).or_insert(Told {
            format: None,
            first: None,
            epoch,
            until,
            end,
            is_sure: true,
        });
        (told.epoch, told.until, told.end) = (epoch, until, end);
        told.is_sure = true;
        told
    }
}

fn missing(what: &'static str) -> Fault {
    Fault::missing(what)
}

/// Reads a whole file. What follows a bad place counts only where a later
/// batch proves that the bad one was durable: else the power went there.
fn pieces(bytes: &[u8], number: JournalNumber) -> Vec<Piece<'_>> {
    let own = |at: usize| {
        let batch = batch::parse(bytes, at)?;
        let is_own =
            |batch: &Batch<'_>| batch.header.number == number && batch.header.at as usize == at;
        Ok(batch.filter(is_own))
    };
    let mut pieces = Vec::new();
    let mut at = BLOCK_BYTES;
    let mut last: Option<(u64, u32)> = None;
    let mut is_after_gap = false;
    loop {
        let follows = |batch: &Batch<'_>| match last {
            _ if is_after_gap => true,
            Some((sequence, check)) => {
                batch.header.sequence == sequence + 1 && batch.header.previous == check
            }
            None => batch.header.previous == 0,
        };
        let fault = match own(at) {
            Ok(Some(batch)) if follows(&batch) => {
                last = Some((batch.header.sequence, batch.check));
                let length = batch.header.total_bytes();
                pieces.push(Piece::Batch(at, batch));
                at += length;
                is_after_gap = false;
                continue;
            }
            Ok(_) => missing("batch"),
            Err(fault) => fault,
        };
        let next = last.map_or(0, |(sequence, _)| sequence + 1);
        let places = (at..bytes.len()).step_by(BLOCK_BYTES);
        // One that stands astray proves what was durable, and is not taken.
        let later: Vec<(usize, Batch<'_>)> = places
            .filter_map(|at| Some((at, batch::parse(bytes, at).ok()??)))
            .filter(|(_, batch)| batch.header.number == number && batch.header.sequence > next)
            .collect();
        if !later
            .iter()
            .any(|(_, batch)| batch.header.durable_until > next)
        {
            return pieces;
        }
        let mut taken = later.iter().map(|&(at, _)| at);
        let Some(further) = taken.find(|&at| matches!(own(at), Ok(Some(_)))) else {
            pieces.push(Piece::Gap(at, fault));
            return pieces;
        };
        pieces.push(Piece::Gap(at, fault));
        at = further;
        is_after_gap = true;
    }
}
