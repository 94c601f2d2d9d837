//! Records that are on their way to their segment, in memory: who reads close
//! behind the appends waits for no write.
//!
//! The bytes are the append's own, shared with who writes them. They are here
//! from the moment that the log takes them in until they can be read from the
//! segment, so what bounds them is what may be on its way: `PENDING_BYTES_MAX`,
//! over all logs of a device. Only foreign records are kept so; our own frames
//! are read by whoever wrote them, at a start.

use super::format::{Format, Head, Step};
use super::shelf::{Chunk, Read};
use crate::ids::{Epoch, Index};
use crate::limits::FRESH_GATHERED_BYTES;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Default)]
pub(super) struct Fresh {
    /// In order, without a gap.
    pieces: Mutex<VecDeque<Piece>>,
}

/// The records of one append.
pub(super) struct Piece {
    pub(super) first: Index,
    pub(super) next: Index,
    pub(super) epoch: Epoch,
    pub(super) bytes: Arc<Vec<u8>>,
}

/// A piece that is smaller is given out together with its neighbours, in a copy:
/// what carries a piece on to a socket costs more than to copy it.
const ALONE_BYTES: usize = 4 << 10;

impl Fresh {
    fn pieces(&self) -> MutexGuard<'_, VecDeque<Piece>> {
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, piece: Piece) {
        self.pieces().push_back(piece);
    }

    /// All below can be read from its segment.
    pub(super) fn forget_below(&self, index: Index) {
        let mut pieces = self.pieces();
        let count = pieces.partition_point(|piece| piece.next <= index);
        // Let go of behind the lock: to free memory takes its time.
        let gone: Vec<Piece> = pieces.drain(..count).collect();
        drop(pieces);
        drop(gone);
    }

    /// Whole records from the one that holds `from` on, of appends that end at or
    /// below `until`: at least one, and more while they fit. None where none of
    /// them is here.
    pub(super) fn read(
        &self,
        format: &dyn Format,
        from: Index,
        until: Index,
        bytes_max: usize,
    ) -> Option<Read> {
        let found = self.find(from, until, bytes_max);
        let (first, epoch) = found.first().map(|one| (&one.bytes, one.epoch))?;
        let (skipped, _) = whole(format, first, |_, head| head.next <= from);
        let (mut parts, mut length, mut next) = (Vec::with_capacity(found.len()), 0, None);
        for (n, piece) in found.iter().enumerate() {
            let start = if n == 0 { skipped } else { 0 };
            let fits = |at: usize, head: &Head| match length + at {
                0 => true,
                before => before + head.length <= bytes_max,
            };
            let (taken, end) = whole(format, &piece.bytes[start..], fits);
            let Some(end) = end else { break };
            parts.push((&piece.bytes, start..start + taken));
            (length, next) = (length + taken, Some(end));
            if start + taken < piece.bytes.len() {
                break;
            }
        }
        let bytes = match &parts[..] {
            [] => return None,
            [(bytes, range)] => Chunk::shared(Arc::clone(bytes), range.clone()),
            many => Chunk::shared(Arc::new(copied(many, length)), 0..length),
        };
        let next = next?;
        Some(Read { bytes, epoch, next })
    }

    /// The piece that holds `from`; where it is small, its neighbours as well.
    fn find(&self, from: Index, until: Index, bytes_max: usize) -> Vec<Piece> {
        let pieces = self.pieces();
        let place = pieces.partition_point(|piece| piece.next <= from);
        let holds = |piece: &&Piece| piece.first <= from && piece.next <= until;
        let Some(first) = pieces.get(place).filter(holds) else {
            return Vec::new();
        };
        let mut found = vec![first.share()];
        let most = bytes_max.min(FRESH_GATHERED_BYTES);
        let mut length = first.bytes.len();
        let behind = pieces.range(place + 1..);
        for piece in behind.take_while(|piece| piece.next <= until) {
            length += piece.bytes.len();
            let is_small = piece.bytes.len() < ALONE_BYTES && found[0].bytes.len() < ALONE_BYTES;
            if !is_small || length > most || piece.epoch != found[0].epoch {
                break;
            }
            found.push(piece.share());
        }
        found
    }
}

impl Piece {
    fn share(&self) -> Self {
        Self {
            bytes: self.bytes.clone(),
            ..*self
        }
    }
}

fn copied(parts: &[(&Arc<Vec<u8>>, Range<usize>)], length: usize) -> Vec<u8> {
    let mut whole = Vec::with_capacity(length);
    for (bytes, range) in parts {
        whole.extend_from_slice(&bytes[range.clone()]);
    }
    whole
}

/// How many bytes of whole records stand at the start that are taken, told where
/// each begins, and where the last of them ends.
fn whole(
    format: &dyn Format,
    bytes: &[u8],
    takes: impl Fn(usize, &Head) -> bool,
) -> (usize, Option<Index>) {
    let (mut length, mut end) = (0, None);
    while length < bytes.len() {
        match format.measure(&bytes[length..]) {
            Ok(Step::Record(head)) if takes(length, &head) => {
                length += head.length;
                end = Some(head.next);
            }
            // They were walked when the log took them in: no other step comes.
            _ => break,
        }
    }
    (length, end)
}
