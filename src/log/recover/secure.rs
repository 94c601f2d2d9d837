//! What the journal holds and nothing proves durable is made so, before
//! anything is built upon it.
//!
//! The page cache shows more than the disk has: a kill leaves batches there
//! that were never synced, and a sync that failed leaves them there marked
//! clean, so that no later sync writes them. A start that believed them would
//! carry them into the segments, or go on behind them, and a power cut would
//! take away what others rest upon. Bytes that are written again are dirty
//! again, and the sync behind that covers them. They are what was read, so a
//! write that the power tears changes nothing.

use super::*;

impl Recovery<'_> {
    pub(super) fn secure_journal(&self) -> Result<(), OpenError> {
        if planted!(CacheTrusted) {
            return Ok(());
        }
        let Some(last) = self.reading.needed.last() else {
            // The life that made the identity may have ended before its name
            // was synced.
            let synced = self.disk.sync_folder("");
            return synced.map_err(OpenError::io("sync the data directory"));
        };
        let name = journal::file_name(last.scanned.header.number);
        let write_again = || -> io::Result<()> {
            let range = last
                .unproven()
                .map_err(|fault| io::Error::other(fault.to_string()))?;
            let file = self.disk.open(&name, How::Write)?;
            // Copied, because the bytes may be a map of this very file.
            let bytes = last.bytes[range.clone()].to_vec();
            file.write_all_at(range.start as u64, &bytes)?;
            file.sync()?;
            // Its name may be as new as its first bytes.
            self.disk.sync_folder(journal::FOLDER)
        };
        write_again().map_err(OpenError::io(format!("write the end of {name} again")))
    }
}

impl Loaded {
    /// The batches that no batch behind them says were synced: the last few,
    /// or the file from its beginning where its opening table is among them.
    fn unproven(&self) -> Result<Range<usize>, Fault> {
        let Scanned {
            batches,
            table_parts,
            first_sequence,
            last,
            ..
        } = &self.scanned;
        let newest = *batches.last().expect("a file that was begun has a table");
        let batch = batch::parse(&self.bytes, newest)?.ok_or(Fault::missing("batch"))?;
        let proven = batch.header.durable_until.saturating_sub(*first_sequence) as usize;
        let start = match proven < *table_parts {
            true => 0,
            false => batches[proven.min(batches.len() - 1)],
        };
        Ok(start..last.until as usize)
    }
}
