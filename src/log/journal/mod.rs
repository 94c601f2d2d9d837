//! The journal of a device: which files it has, what is staged for the next
//! batch, what is durable, and which file may be used again.
//!
//! A file is used again in three steps. A sweep syncs every segment whose
//! bytes it holds. The next batch says that recovery need not look at it any
//! more. Once that batch is durable the file becomes a spare.

mod spares;

pub(super) use spares::{Making, Naming, is_spare, spare_name};

use super::batch::{
    BATCH_HEADER_BYTES, BatchHeader, Entry, FileHeader, Kind, LINES_PER_BATCH, Line, encode_table,
};
use super::settings::Settings;
use crate::disk::{Block, Disk, File, How, Token};
use crate::ids::{Epoch, JournalNumber, Uid};
use crate::limits::BLOCK_BYTES;
use crate::planted;
use crate::wire::crc32c;
use spares::Spares;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

pub(super) const FOLDER: &str = "journal";

/// Blocks kept free at the end of a file, so that a batch without entries
/// always fits: it says which files are no longer needed when all are full.
const SPARE_BLOCKS: u64 = 8;

/// So many of them are left alone by batches that give room back where no other
/// file is to be had: each takes one, and one that proves it durable.
const LAST_BLOCKS: u64 = 4;

/// Memory of batches, kept to be used again: two in flight and one in the
/// making.
const BLOCKS_KEPT: usize = 3;

pub(super) fn file_name(number: JournalNumber) -> String {
    format!("{FOLDER}/{:016x}.jrn", number.0)
}

pub fn parse_name(name: &str) -> Option<JournalNumber> {
    let digits = name
        .strip_suffix(".jrn")
        .filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok().map(JournalNumber)
}

/// A batch ready to be written.
pub(super) struct Sealed {
    pub(super) file: Arc<dyn File>,
    pub(super) at: u64,
    pub(super) block: Block,
    pub(super) sequence: u64,
}

/// A file that is begun.
pub(super) struct Opening {
    /// Its first bytes, to be written and synced.
    pub(super) first: Sealed,
    pub(super) naming: Naming,
}

pub(super) struct Journal {
    home: Uid,
    file: Option<Arc<dyn File>>,
    number: JournalNumber,
    epoch: Epoch,
    /// Where the next batch goes.
    at: u64,
    /// Header checksum of the batch before.
    previous: u32,
    /// The number of the next batch.
    sequence: u64,
    /// Every batch below is durable.
    durable: u64,
    /// The last batch carries something that no batch behind it proves durable.
    is_last_in_doubt: bool,
    /// The batch in the making: its header's place, then entries.
    staged: Block,
    blocks: Vec<Block>,
    /// Files that recovery would look at, oldest first, the current one last.
    live: VecDeque<JournalNumber>,
    /// Files up to this are swept.
    swept: Option<JournalNumber>,
    /// The batch that says so, once it is on its way.
    trim_told: Option<(JournalNumber, u64)>,
    spares: Spares,
    opening: Option<Token>,
    file_bytes: u64,
    files_max: usize,
    written_bytes: u64,
}

/// What recovery hands over.
pub(super) struct Found {
    pub(super) home: Uid,
    /// The last file number seen.
    pub(super) number: JournalNumber,
    pub(super) sequence: u64,
    /// Files that are needed until the next one is open.
    pub(super) live: VecDeque<JournalNumber>,
    pub(super) spares: Vec<String>,
}

/// The file that a clean stop left, to go on in.
pub(super) struct Current {
    pub(super) file: Arc<dyn File>,
    pub(super) epoch: Epoch,
    pub(super) at: u64,
    pub(super) previous: u32,
}

impl Journal {
    pub(super) fn new(found: Found, current: Option<Current>, settings: &Settings) -> Self {
        let mut journal = Self {
            home: found.home,
            file: None,
            number: found.number,
            epoch: Epoch(0),
            at: 0,
            previous: 0,
            sequence: found.sequence,
            durable: found.sequence,
            is_last_in_doubt: false,
            staged: Block::with_capacity(settings.batch_bytes()),
            blocks: Vec::new(),
            live: found.live,
            swept: None,
            trim_told: None,
            spares: Spares::new(found.spares),
            opening: None,
            file_bytes: settings.journal_file_bytes,
            files_max: settings.journal_files_max,
            written_bytes: 0,
        };
        journal.staged.pad_to(BATCH_HEADER_BYTES);
        if let Some(current) = current {
            journal.file = Some(current.file);
            journal.epoch = current.epoch;
            journal.at = current.at;
            journal.previous = current.previous;
        }
        journal
    }

    pub(super) fn number(&self) -> JournalNumber {
        self.number
    }

    /// The number of the batch in the making.
    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }

    pub(super) fn durable(&self) -> u64 {
        self.durable
    }

    pub(super) fn written_bytes(&self) -> u64 {
        self.written_bytes
    }

    pub(super) fn live_files(&self) -> usize {
        self.live.len()
    }

    // ---- the batch in the making ----

    pub(super) fn staged_bytes(&self) -> usize {
        self.staged.len() - BATCH_HEADER_BYTES
    }

    /// What an empty batch can take.
    pub(super) fn batch_room(&self, settings: &Settings) -> usize {
        settings.batch_bytes() - BATCH_HEADER_BYTES
    }

    /// Whether an entry of this size fits, with a segment's start before it.
    pub(super) fn has_room(&self, bytes: usize, settings: &Settings) -> bool {
        let slack = super::batch::ENTRY_HEADER_BYTES;
        self.staged_bytes() + bytes + slack <= self.batch_room(settings)
    }

    pub(super) fn stage(&mut self, entry: &Entry<'_>) {
        self.staged.extend(&entry.header());
        if let Entry::Append { bytes, .. } = entry {
            self.staged.extend(bytes);
        }
        let padded = self.staged.len().next_multiple_of(8);
        self.staged.pad_to(padded);
    }

    /// Closes the batch in the making and begins the next.
    pub(super) fn seal(&mut self) -> Sealed {
        let body = &self.staged[BATCH_HEADER_BYTES..];
        let had_entries = !body.is_empty();
        let header = BatchHeader {
            kind: Kind::Entries,
            number: self.number,
            epoch: self.epoch,
            sequence: self.sequence,
            durable_until: self.durable,
            oldest: self.oldest_needed(),
            at: self.at as u32,
            body_bytes: body.len() as u32,
            previous: self.previous,
            body_crc: crc32c(body),
        };
        if let Some(swept) = self.swept
            && self.trim_told.is_none()
        {
            self.trim_told = Some((swept, self.sequence));
        }
        let (bytes, check) = header.encode();
        self.staged[..BATCH_HEADER_BYTES].copy_from_slice(&bytes);
        self.staged.pad_to(header.total_bytes());
        let fresh = self
            .blocks
            .pop()
            .unwrap_or_else(|| Block::with_capacity(self.staged.capacity()));
        let block = std::mem::replace(&mut self.staged, fresh);
        self.staged.clear();
        self.staged.pad_to(BATCH_HEADER_BYTES);
        let mut at = self.at;
        if planted!(OverlappingWrites) {
            at -= BLOCK_BYTES as u64;
        }
        self.at += block.len() as u64;
        self.written_bytes += block.len() as u64;
        self.previous = check;
        self.is_last_in_doubt = had_entries;
        self.sequence += 1;
        let file = self.file.clone().expect("opened before anything is staged");
        Sealed {
            file,
            at,
            block,
            sequence: self.sequence - 1,
        }
    }

    pub(super) fn take_back(&mut self, mut block: Block) {
        if self.blocks.len() < BLOCKS_KEPT && block.capacity() == self.staged.capacity() {
            block.clear();
            self.blocks.push(block);
        }
    }

    /// Every batch below `sequence` is on stable storage. Gives the names of
    /// files that recovery no longer looks at.
    pub(super) fn set_durable(&mut self, sequence: u64) -> Vec<JournalNumber> {
        self.durable = sequence;
        let mut free = Vec::new();
        if let Some((swept, told)) = self.trim_told
            && told < sequence
        {
            self.trim_told = None;
            if self.swept == Some(swept) {
                self.swept = None;
            }
            while self.live.len() > 1 && self.live.front().is_some_and(|&first| first <= swept) {
                free.extend(self.live.pop_front());
            }
        }
        free
    }

    fn oldest_needed(&self) -> JournalNumber {
        let is_needed = |number: &&JournalNumber| self.swept.is_none_or(|swept| **number > swept);
        self.live
            .iter()
            .find(is_needed)
            .copied()
            .unwrap_or(self.number)
    }

    /// Whether nothing on the disk says yet that the last batch was synced.
    pub(super) fn is_last_in_doubt(&self) -> bool {
        self.is_last_in_doubt || self.has_untold_trim()
    }

    // ---- files ----

    /// Whether there is a file to write to.
    pub(super) fn is_begun(&self) -> bool {
        self.file.is_some()
    }

    pub(super) fn wants_roll(&self, settings: &Settings) -> bool {
        let reserve = settings.batch_bytes() as u64 + SPARE_BLOCKS * BLOCK_BYTES as u64;
        self.file.is_none() || self.at + reserve > self.file_bytes
    }

    /// Whether a batch of one small entry still fits a file that takes no other.
    pub(super) fn has_last_place(&self) -> bool {
        let bytes = (1 + LAST_BLOCKS) * BLOCK_BYTES as u64;
        self.file.is_some() && self.at + bytes <= self.file_bytes
    }

    /// Whether not even a batch without entries fits the file.
    pub(super) fn is_file_full(&self) -> bool {
        self.file.is_none() || self.at + BLOCK_BYTES as u64 > self.file_bytes
    }

    pub(super) fn is_full(&self) -> bool {
        self.live.len() >= self.files_max
    }

    /// Whether a sweep has freed a file that no batch has told of yet.
    pub(super) fn has_untold_trim(&self) -> bool {
        self.swept.is_some() && self.trim_told.is_none()
    }

    /// The file that a sweep beginning now would make free, with all before.
    pub(super) fn last_swept_to(&self, current: JournalNumber) -> Option<JournalNumber> {
        let before = self
            .live
            .iter()
            .rev()
            .find(|&&number| number < current)
            .copied()?;
        (self.swept.is_none_or(|swept| swept < before)).then_some(before)
    }

    pub(super) fn swept(&mut self, until: JournalNumber) {
        self.swept = Some(until);
        // A batch that told of less is not enough any more.
        self.trim_told = None;
    }

    /// Everything so far is synced in its segments: the file that is begun
    /// next needs none before it.
    pub(super) fn swept_all(&mut self) {
        self.swept(self.number);
    }

    fn next_number(&self) -> JournalNumber {
        JournalNumber(self.number.0 + 1)
    }

    pub(super) fn spares(&mut self) -> &mut Spares {
        &mut self.spares
    }

    /// A spare, and the name that is to be its own, once half of the file is written.
    pub(super) fn name_next(&mut self) -> Option<(String, String)> {
        if !self.is_next_due() {
            return None;
        }
        let spare = self.spares.name_next()?;
        Some((spare, file_name(self.next_number())))
    }

    /// Begins the next file. None where there is no spare and the disk is full.
    pub(super) fn open_next(
        &mut self,
        disk: &dyn Disk,
        settings: &Settings,
        epoch: Epoch,
        next_epoch: Epoch,
        lines: &[Line],
        is_stop: bool,
    ) -> io::Result<Option<Opening>> {
        let number = self.next_number();
        let name = file_name(number);
        let Some(naming) = self.spares.take(disk, &name, settings.journal_file_bytes)? else {
            return Ok(None);
        };
        let how = if settings.journal_direct {
            How::WriteDirect
        } else {
            How::Write
        };
        let file = disk.open(&name, how)?;
        self.number = number;
        self.epoch = epoch;
        self.live.push_back(number);
        let block = self.opening_block(next_epoch, lines, is_stop);
        self.at = block.len() as u64;
        self.written_bytes += self.at;
        self.file = Some(file.clone());
        let first = Sealed {
            file,
            at: 0,
            block,
            sequence: self.sequence - 1,
        };
        Ok(Some(Opening { first, naming }))
    }

    /// The file's header and its table, in as many batches as it takes.
    fn opening_block(&mut self, next_epoch: Epoch, lines: &[Line], is_stop: bool) -> Block {
        let header = FileHeader {
            home: self.home,
            number: self.number,
            epoch: self.epoch,
        };
        let mut bytes = header.encode().to_vec();
        let mut parts: Vec<&[Line]> = lines.chunks(LINES_PER_BATCH).collect();
        if parts.is_empty() {
            parts.push(&[]);
        }
        let last = parts.len() - 1;
        self.previous = 0;
        for (place, part) in parts.into_iter().enumerate() {
            let kind = match (place == last, is_stop) {
                (false, _) => Kind::TablePart,
                (true, false) => Kind::Table,
                (true, true) => Kind::TableAtStop,
            };
            let body = encode_table(next_epoch, part);
            let header = BatchHeader {
                kind,
                number: self.number,
                epoch: self.epoch,
                sequence: self.sequence,
                durable_until: self.durable,
                oldest: self.oldest_needed(),
                at: bytes.len() as u32,
                body_bytes: body.len() as u32,
                previous: self.previous,
                body_crc: crc32c(&body),
            };
            let end = bytes.len() + header.total_bytes();
            let (encoded, check) = header.encode();
            bytes.extend_from_slice(&encoded);
            bytes.extend_from_slice(&body);
            bytes.resize(end, 0);
            self.previous = check;
            self.sequence += 1;
        }
        let mut block = Block::with_capacity(bytes.len());
        block.extend(&bytes);
        block
    }

    pub(super) fn await_opening(&mut self, token: Token) {
        self.opening = Some(token);
    }

    pub(super) fn opening_done(&mut self, token: Token) {
        if self.opening == Some(token) {
            self.opening = None;
        }
    }

    pub(super) fn is_opening(&self) -> bool {
        self.opening.is_some()
    }

    /// The new file and its name are durable.
    pub(super) fn opened(&mut self) {
        self.durable = self.sequence;
        self.is_last_in_doubt = false;
    }

    /// Whether a file should be made ahead of need. A load that has begun several
    /// may fill one within the time that it takes to make one.
    pub(super) fn wants_spare(&self) -> bool {
        let is_loaded = self.live.len() > 1;
        (is_loaded || self.is_next_due()) && self.spares.want_one() && self.files() < self.files_max
    }

    fn is_next_due(&self) -> bool {
        !self.spares.have_next() && self.at > self.file_bytes / 2
    }

    /// All that there are, spares with them.
    pub(super) fn files(&self) -> usize {
        self.live.len() + self.spares.count()
    }

    /// After a clean stop or a recovery: only the current file counts. One of
    /// the others stays as a spare.
    pub(super) fn keep_only_last(&mut self, disk: &dyn Disk, epoch: Epoch) -> io::Result<()> {
        (self.swept, self.trim_told) = (None, None);
        while self.live.len() > 1 {
            let Some(number) = self.live.pop_front() else {
                break;
            };
            let name = file_name(number);
            if self.spares.are_none() && has_length(disk, &name, self.file_bytes)? {
                let spare = spare_name(epoch);
                disk.rename(&name, &spare)?;
                self.spares.add(spare);
            } else {
                disk.remove(&name)?;
            }
        }
        disk.sync_folder(FOLDER)
    }
}

pub(super) fn has_length(disk: &dyn Disk, name: &str, length: u64) -> io::Result<bool> {
    Ok(disk.open(name, How::Read)?.len()? == length)
}
