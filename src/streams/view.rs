//! What everybody may see of a partition that this node holds, without asking
//! for it: how far it goes, who leads it, and its records.

use super::Key;
use super::batch::header::Header;
use super::partition::LeaderEpoch;
use crate::ids::{Index, NodeId, Offset};
use crate::log::{Chunk, ReadError, Shelf, Way};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

pub struct View {
    pub key: Key,
    pub name: Arc<str>,
    log: Arc<Shelf>,
    first: AtomicU64,
    watermark: AtomicU64,
    last_stable: AtomicU64,
    next: AtomicU64,
    durable: AtomicU64,
    /// Who leads, -1 for nobody.
    leader: AtomicI64,
    leader_epoch: AtomicI64,
    own: NodeId,
    /// Bytes of all its segments.
    bytes: AtomicU64,
}

/// How far a partition goes, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// The oldest record that is kept.
    pub first: Offset,
    /// Acknowledged up to this.
    pub watermark: Offset,
    /// Every transaction that began below is ended. Never above the watermark.
    pub last_stable: Offset,
    /// Where the next record goes.
    pub next: Offset,
}

impl Marks {
    /// Whether what stands from here on is within the last `stretch` bytes: by the
    /// bytes of the partition, spread over its offsets.
    pub fn is_within(&self, stretch: u64, bytes: u64, from: Offset) -> bool {
        let offsets = self.next.0.saturating_sub(self.first.0).max(1);
        let behind = self.next.0.saturating_sub(from.0);
        u128::from(behind) * u128::from(bytes) <= u128::from(stretch) * u128::from(offsets)
    }
}

/// Whole batches of a partition.
pub struct Batches {
    pub bytes: Chunk,
    /// The offset behind the last.
    pub next: Offset,
}

impl View {
    pub(super) fn new(key: Key, name: Arc<str>, own: NodeId, log: Arc<Shelf>) -> Self {
        Self {
            key,
            name,
            log,
            first: AtomicU64::new(0),
            watermark: AtomicU64::new(0),
            last_stable: AtomicU64::new(0),
            next: AtomicU64::new(0),
            durable: AtomicU64::new(0),
            leader: AtomicI64::new(-1),
            leader_epoch: AtomicI64::new(-1),
            own,
            bytes: AtomicU64::new(0),
        }
    }

    pub(super) fn set_marks(&self, marks: Marks) {
        // In this order a reader that looks in the other one never sees a mark
        // above the one that bounds it.
        self.next.store(marks.next.0, Ordering::Release);
        self.watermark.store(marks.watermark.0, Ordering::Release);
        self.last_stable
            .store(marks.last_stable.0, Ordering::Release);
        self.first.store(marks.first.0, Ordering::Release);
    }

    /// Before the marks, which are not above it.
    pub(super) fn set_durable(&self, until: Offset) {
        self.durable.store(until.0, Ordering::Release);
    }

    /// What this node itself has on stable storage, acknowledged or not.
    pub fn durable(&self) -> Offset {
        Offset(self.durable.load(Ordering::Acquire))
    }

    /// Whether that is another than before, or the same anew.
    pub(super) fn set_leader(&self, leader: Option<NodeId>, epoch: LeaderEpoch) -> bool {
        let epoch = i64::from(epoch);
        let leader = leader.map_or(-1, |node| node.0 as i64);
        let was_epoch = self.leader_epoch.swap(epoch, Ordering::AcqRel);
        let was_leader = self.leader.swap(leader, Ordering::AcqRel);
        (was_leader, was_epoch) != (leader, epoch)
    }

    pub(super) fn set_bytes(&self, bytes: u64) {
        self.bytes.store(bytes, Ordering::Release);
    }

    pub fn marks(&self) -> Marks {
        let first = Offset(self.first.load(Ordering::Acquire));
        let last_stable = Offset(self.last_stable.load(Ordering::Acquire));
        let watermark = Offset(self.watermark.load(Ordering::Acquire));
        let next = Offset(self.next.load(Ordering::Acquire));
        Marks {
            first,
            watermark,
            last_stable,
            next,
        }
    }

    pub fn leader(&self) -> Option<NodeId> {
        let leader = self.leader.load(Ordering::Acquire);
        u64::try_from(leader).ok().map(NodeId)
    }

    pub fn leads(&self) -> bool {
        self.leader() == Some(self.own)
    }

    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch.load(Ordering::Acquire) as LeaderEpoch
    }

    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }

    /// Whole batches from the one that holds `from` on, all below `until`: at
    /// least one, and more while they fit. None where there is nothing yet. What
    /// was appended just now is read from memory, above the watermark too: who
    /// serves clients bounds it by that. May wait for the disk: not for an async
    /// worker, but where the range is warm.
    pub fn read(
        &self,
        from: Offset,
        until: Offset,
        bytes_max: usize,
        way: Way,
    ) -> Result<Option<Batches>, ReadError> {
        if from >= until {
            return Ok(None);
        }
        let Some(read) = self.log.read_taken(Index(from.0), bytes_max, way)? else {
            return Ok(None);
        };
        if read.next.0 <= until.0 {
            let next = Offset(read.next.0);
            let bytes = read.bytes;
            return Ok(Some(Batches { bytes, next }));
        }
        Ok(below(&read.bytes, until).map(|(length, next)| Batches {
            bytes: read.bytes.part(0..length),
            next,
        }))
    }
}

/// How many bytes of whole batches end at or below an offset, and where the last
/// of them ends.
fn below(bytes: &[u8], until: Offset) -> Option<(usize, Offset)> {
    let (mut length, mut end) = (0, None);
    while let Some(header) = Header::of(&bytes[length..]) {
        let next =
            Offset((header.base_offset() + i64::from(header.last_offset_delta()) + 1) as u64);
        let Some(total) = header.total_bytes().filter(|_| next <= until) else {
            break;
        };
        length += total;
        end = Some(next);
        if length >= bytes.len() {
            break;
        }
    }
    end.map(|end| (length, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_last_is_within_a_stretch() {
        const WARM: u64 = 8 << 20;
        let large = WARM * 100;
        let marks = |first, next| Marks {
            first: Offset(first),
            next: Offset(next),
            ..Marks::default()
        };
        let log = marks(0, 1000);
        for (bytes, from, expected) in [
            (large, 1000, true),
            (large, 990, true),
            (large, 989, false),
            (large, 0, false),
            (WARM, 0, true),
            (u64::MAX, 999, false),
            (0, 0, true),
        ] {
            assert_eq!(log.is_within(WARM, bytes, Offset(from)), expected, "{from}");
        }
        assert!(marks(5, 5).is_within(WARM, large, Offset(5)));
    }
}
