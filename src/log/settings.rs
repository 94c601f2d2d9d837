//! What the log needs to be told; `daemon/compose.rs` fills it from the
//! profile.

use crate::limits::{BLOCK_BYTES, JOURNAL_BATCH_BYTES_MAX};

#[derive(Clone, Debug)]
pub struct Settings {
    /// One journal file, preallocated and zero-written.
    pub journal_file_bytes: u64,
    /// Journal files in use at once. When the last is full, appends wait
    /// until the segments are synced and the oldest is free.
    pub journal_files_max: usize,
    /// Whether the journal goes past the page cache.
    pub journal_direct: bool,
    /// Appends of this size and above go straight to their segment: written
    /// once instead of twice, but synced twice, themselves and then their
    /// mark. At 64 KiB that took 530 us against 154 through the journal.
    pub bypass_bytes: usize,
    /// What one segment grows to.
    pub segment_bytes: u64,
    /// The first step of a segment.
    pub segment_first_bytes: u64,
    /// Durable bytes that may wait in memory for their segment while more
    /// appends are at hand. Idle, nothing waits.
    pub show_bytes: usize,
    /// A file that is given up when recovery finds the disk full; 0 for none.
    pub reserve_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            journal_file_bytes: 32 << 20,
            journal_files_max: 8,
            journal_direct: true,
            bypass_bytes: 128 << 10,
            segment_bytes: 64 << 20,
            segment_first_bytes: crate::limits::SEGMENT_FIRST_BYTES,
            show_bytes: 256 << 10,
            reserve_bytes: 8 << 20,
        }
    }
}

impl Settings {
    /// The most that one batch takes in the file, header and padding included.
    pub fn batch_bytes(&self) -> usize {
        let quarter = (self.journal_file_bytes / 4) as usize;
        (quarter / BLOCK_BYTES * BLOCK_BYTES).clamp(BLOCK_BYTES, JOURNAL_BATCH_BYTES_MAX)
    }
}
