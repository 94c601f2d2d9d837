//! A batch in, and what is left of it out.
//!
//! Batches come in their order, all from the partition's first on, so that it is
//! known at each marker whether anything of its transaction is left. Of a batch is
//! left:
//!
//! - All of it, byte for byte, where nothing is to be changed.
//! - Those records that have no newer one of their key. A tombstone among them gives
//!   the batch a delete horizon; a later pass behind that leaves it out.
//! - Its head alone, where it is the last that its producer sent: it has the numbers
//!   that the producer goes on from.
//! - Nothing. What stands for the offsets of such neighbours is one empty batch.
//!
//! Records of transactions that were aborted go at once. A marker stays as long as
//! a batch of its transaction does, then until its horizon, so that a reader that
//! was in the midst of the transaction hears of its end.

use super::Newest;
use crate::clock::Millis;
use crate::ids::{Offset, ProducerId};
use crate::limits::BATCH_PLAIN_BYTES_MAX;
use crate::streams::batch::build::{Builder, Unfit, gap, is_gap};
use crate::streams::batch::codec::Unpacker;
use crate::streams::batch::header::{Attributes, Header};
use crate::streams::batch::records::{Record, Records, Unreadable};
use crate::streams::batch::stored::{Kind, Stored};
use crate::streams::producers::{Aborted, Producers};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What holds for one pass.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub now: Millis,
    pub delete_retention_ms: i64,
    /// Every replica has all below. A tombstone or a marker from here on stays,
    /// whatever its horizon: whoever is behind has yet to hear of it.
    pub everywhere: Offset,
}

/// The last that is known of a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastOf {
    /// A batch of records that ends with this offset.
    Data(Offset),
    /// No batch, but a marker in this epoch.
    Marker(i16),
}

/// What a pass has to know of a partition beside its batches.
#[derive(Clone, Debug, Default)]
pub struct Gone {
    /// Transactions that were aborted, in the order of their markers.
    pub aborted: BTreeMap<ProducerId, Vec<Aborted>>,
    pub last_of: BTreeMap<ProducerId, LastOf>,
}

impl Gone {
    pub fn of(producers: &Producers, first: Offset, until: Offset) -> Self {
        let mut gone = Self::default();
        for one in producers.aborted(first, until) {
            gone.aborted.entry(one.id).or_default().push(*one);
        }
        for (id, producer) in producers.iter() {
            let last_of = match producer.recent.last() {
                Some(sent) => LastOf::Data(Offset(sent.first.0 + sent.delta as u64)),
                None => LastOf::Marker(producer.epoch),
            };
            gone.last_of.insert(id, last_of);
        }
        gone
    }

    fn is_aborted(&self, stored: &Stored) -> bool {
        let Some(claim) = stored.claim.filter(|_| stored.is_transactional) else {
            return false;
        };
        let of_it = self.aborted.get(&claim.id).map_or(&[][..], |all| all);
        let ended = of_it.partition_point(|one| one.last < stored.first);
        of_it
            .get(ended)
            .is_some_and(|one| one.first <= stored.first)
    }

    fn is_last(&self, stored: &Stored) -> bool {
        let Some(claim) = stored.claim else {
            return false;
        };
        match self.last_of.get(&claim.id) {
            Some(&LastOf::Data(last)) => stored.kind == Kind::Data && last.0 + 1 == stored.next.0,
            Some(&LastOf::Marker(epoch)) => stored.kind != Kind::Data && epoch == claim.epoch,
            None => false,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub records_read: u64,
    pub records_left_out: u64,
    pub batches_read: u64,
    pub batches_left_out: u64,
}

/// Why a pass does not go beyond a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSifted {
    Unreadable(Unreadable),
    /// What is to stay of it cannot be packed anew. Kept whole, it would show what
    /// was deleted, once what says so is gone from behind it.
    NotPacked {
        at: Offset,
        why: Unfit,
    },
}

impl fmt::Display for NotSifted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => why.fmt(f),
            Self::NotPacked { at, why } => write!(
                f,
                "what is left of the batch at {at} cannot be packed anew ({why}); nothing from \
                 there on is compacted"
            ),
        }
    }
}

impl std::error::Error for NotSifted {}

impl From<Unreadable> for NotSifted {
    fn from(why: Unreadable) -> Self {
        Self::Unreadable(why)
    }
}

pub struct Sieve {
    rules: Rules,
    gone: Gone,
    newest: Newest,
    /// Keys are noted up to here; what stands behind is not touched.
    until: Offset,
    /// Producers of whose transaction something is left.
    left_of: BTreeSet<ProducerId>,
    /// Offsets for which nothing stands yet.
    gap: Option<Gap>,
    unpacker: Unpacker,
    figures: Figures,
}

#[derive(Clone, Copy, Debug)]
struct Gap {
    first: Offset,
    next: Offset,
    leader_epoch: i32,
}

impl Sieve {
    /// For keys of a stretch that ends at `until`; fewer where not all fit.
    pub fn new(rules: Rules, gone: Gone, keys_max: usize, until: Offset) -> Self {
        Self {
            rules,
            gone,
            newest: Newest::new(keys_max),
            until,
            left_of: BTreeSet::new(),
            gap: None,
            unpacker: Unpacker::default(),
            figures: Figures::default(),
        }
    }

    /// Up to where keys are noted.
    pub fn until(&self) -> Offset {
        self.until
    }

    pub fn figures(&self) -> Figures {
        self.figures
    }

    /// Notes the keys of a batch, of its records from `from` on. False where there
    /// is no room for more: the pass goes up to there.
    pub fn note(&mut self, batch: &[u8], from: Offset) -> Result<bool, Unreadable> {
        let stored = Stored::read(batch)?;
        if stored.first >= self.until {
            return Ok(false);
        }
        if stored.kind != Kind::Data || self.gone.is_aborted(&stored) {
            return Ok(true);
        }
        let records = Records::of(batch, BATCH_PLAIN_BYTES_MAX, &mut self.unpacker)?;
        for record in records.iter() {
            let record = record?;
            if record.offset < from || record.offset >= self.until {
                continue;
            }
            if let Some(key) = record.key
                && !self.newest.note(key, record.offset)
            {
                self.until = record.offset;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes the next batch, and puts out what is left of it, or of those before
    /// it. Says whether that is anything else than the batch.
    pub fn take(&mut self, batch: &[u8], out: &mut Vec<u8>) -> Result<bool, NotSifted> {
        let stored = Stored::read(batch)?;
        let header = Header::of(batch).ok_or(Unreadable::NotWhole { bytes: batch.len() })?;
        self.figures.batches_read += 1;
        self.figures.records_read += header.count().max(0) as u64;
        let left = match stored.kind {
            _ if stored.first >= self.until => Left::All,
            Kind::Data => self.sift(batch, &header, &stored)?,
            Kind::Marker(_) | Kind::Emptied => self.mind_marker(batch, &header, &stored)?,
        };
        if let (Kind::Data, Some(claim), true) =
            (stored.kind, stored.claim, stored.is_transactional)
            && !matches!(left, Left::Nothing)
        {
            self.left_of.insert(claim.id);
        }
        let had_gap = self.gap.is_some();
        match left {
            Left::All => {
                self.close_gap(out);
                out.extend_from_slice(batch);
                Ok(had_gap)
            }
            Left::Some(bytes) => {
                self.close_gap(out);
                out.extend_from_slice(&bytes);
                Ok(true)
            }
            Left::Nothing => {
                self.figures.batches_left_out += 1;
                self.widen_gap(&stored, out);
                // An empty batch that stays alone is what it was.
                Ok(!is_gap(&header) || had_gap)
            }
        }
    }

    /// Puts out what stands for offsets that have nothing yet: a segment ends here.
    pub fn close_gap(&mut self, out: &mut Vec<u8>) {
        if let Some(open) = self.gap.take() {
            out.extend(gap(open.first, open.next, open.leader_epoch));
        }
    }

    /// The log begins behind the beginning of its first segment.
    pub fn begin_gap(&mut self, first: Offset, next: Offset, leader_epoch: i32) {
        if first < next {
            self.gap = Some(Gap {
                first,
                next,
                leader_epoch,
            });
        }
    }

    /// One batch stands for offsets of one leader's, so that it is known where the
    /// next one's began.
    fn widen_gap(&mut self, stored: &Stored, out: &mut Vec<u8>) {
        if self
            .gap
            .is_some_and(|open| open.leader_epoch != stored.leader_epoch)
        {
            self.close_gap(out);
        }
        let first = self.gap.map_or(stored.first, |open| open.first);
        self.gap = Some(Gap {
            first,
            next: stored.next,
            leader_epoch: stored.leader_epoch,
        });
    }

    fn horizon(&self) -> i64 {
        let retention = self.rules.delete_retention_ms.max(0);
        (self.rules.now.0 as i64).saturating_add(retention)
    }

    /// None where a batch has no horizon.
    fn is_over(&self, header: &Header<'_>) -> Option<bool> {
        let has_horizon = header.attributes().has(Attributes::DELETE_HORIZON);
        has_horizon.then(|| header.base_timestamp() <= self.rules.now.0 as i64)
    }

    fn sift(
        &mut self,
        batch: &[u8],
        header: &Header<'_>,
        stored: &Stored,
    ) -> Result<Left, NotSifted> {
        let is_aborted = self.gone.is_aborted(stored);
        let is_over = self.is_over(header);
        let records = Records::of(batch, BATCH_PLAIN_BYTES_MAX, &mut self.unpacker)?;
        // A mark for each record: the records themselves take more than their batch.
        let (mut kept, mut has_tombstone) = (Vec::new(), false);
        for record in records.iter() {
            let record = record?;
            let is_kept = !is_aborted && self.is_kept(&record, is_over == Some(true));
            let is_tombstone = record.value.is_none() && record.offset < self.until;
            has_tombstone |= is_kept && is_tombstone;
            kept.push(is_kept);
        }
        let left_out = kept.iter().filter(|&&is_kept| !is_kept).count();
        self.figures.records_left_out += left_out as u64;
        let wants_horizon = has_tombstone && is_over.is_none();
        if left_out == kept.len() && !self.gone.is_last(stored) {
            return Ok(Left::Nothing);
        }
        if left_out == 0 && !wants_horizon {
            return Ok(Left::All);
        }
        // Only what stands in a log is read.
        let mut builder =
            Builder::like(header).ok_or(Unreadable::NotWhole { bytes: batch.len() })?;
        if wants_horizon {
            builder = builder.delete_horizon(self.horizon());
        }
        let kept = records.iter().zip(&kept).filter(|&(_, &is_kept)| is_kept);
        match built(builder, kept.flat_map(|(record, _)| record)) {
            Ok(batch) => Ok(Left::Some(batch)),
            // A tombstone without a horizon stays: more than need be.
            Err(_) if left_out == 0 => Ok(Left::All),
            Err(why) => Err(NotSifted::NotPacked {
                at: stored.first,
                why,
            }),
        }
    }

    fn is_kept(&self, record: &Record<'_>, is_over: bool) -> bool {
        if record.offset >= self.until {
            return true;
        }
        let Some(key) = record.key else {
            // From before the topic was compacted: it has no place in it.
            return false;
        };
        let is_over = is_over && record.offset < self.rules.everywhere;
        !self.newest.has_newer(key, record.offset) && (record.value.is_some() || !is_over)
    }

    fn mind_marker(
        &mut self,
        batch: &[u8],
        header: &Header<'_>,
        stored: &Stored,
    ) -> Result<Left, Unreadable> {
        let is_left = stored
            .claim
            .is_some_and(|claim| self.left_of.remove(&claim.id));
        // The last that is heard of its producer stays whole: it has its epoch.
        if is_left || self.gone.is_last(stored) {
            return Ok(Left::All);
        }
        match self.is_over(header) {
            Some(true) if stored.next > self.rules.everywhere => Ok(Left::All),
            Some(true) => {
                self.figures.records_left_out += header.count().max(0) as u64;
                Ok(Left::Nothing)
            }
            Some(false) => Ok(Left::All),
            None => {
                let records = Records::of(batch, BATCH_PLAIN_BYTES_MAX, &mut self.unpacker)?;
                let builder = Builder::like(header);
                let built = builder.and_then(|builder| {
                    let builder = builder.delete_horizon(self.horizon());
                    built(builder, records.iter().flatten()).ok()
                });
                Ok(built.map_or(Left::All, Left::Some))
            }
        }
    }
}

enum Left {
    /// Byte for byte.
    All,
    Some(Vec<u8>),
    Nothing,
}

/// What is packed anew may come out larger than a batch can be, where its client
/// packed it better.
fn built<'a>(
    mut builder: Builder,
    mut kept: impl Iterator<Item = Record<'a>>,
) -> Result<Vec<u8>, Unfit> {
    kept.try_for_each(|record| builder.add(&record))?;
    builder.finish()
}
