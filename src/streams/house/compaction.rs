//! When a partition is compacted, and what it knows of that: each replica compacts
//! its own log. How far it came is written down with all else that is known of the
//! partition, and lost without loss: the pass is made again.

use super::compactor::Compactor;
use super::holding::{Hands, Holding};
use super::pass::{Compacted, Job, NotCompacted};
use super::{Event, House};
use crate::ids::{Index, Offset};
use crate::limits::{COMPACTED_SEGMENT_BYTES_MAX, COMPACTION_KEYS_MAX};
use crate::log::{Device, Refused, Run, Shelf, Way, Written};
use crate::planted;
use crate::streams::Key;
use crate::streams::batch::header::Header;
use crate::streams::compact::{Dirt, Gone, Part, Rules, Sieve, Work};
use crate::streams::partition::Partition;
use std::collections::BTreeSet;
use std::io;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Before what could not be compacted is tried again: a pass reads all of it, and
/// will find the same but for what a person has mended.
const FAILED_FOR: Duration = Duration::from_secs(15 * 60);

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Compaction {
    /// Compacted up to here.
    pub clean_until: Offset,
    /// Where what is not compacted begins, and how old it is; looked up where a
    /// topic asks for it to be compacted in time.
    oldest: Option<(Offset, i64)>,
    is_looking: bool,
    is_running: bool,
    /// The last pass failed, and until then there is no other.
    rests_until: Duration,
}

impl Compaction {
    /// As it was written down.
    pub(super) fn clean_until(&mut self, offset: Offset) {
        (self.clean_until, self.oldest) = (offset, None);
    }
}

impl Holding {
    /// What there is to be done here; None where nothing is, or not yet.
    pub fn dirt(&mut self, hands: &mut Hands) -> Option<Work> {
        let is_still = self.is_open() && self.is_uncut() && !self.compaction.is_running;
        let rests = hands.since < self.compaction.rests_until;
        if !self.settings.is_compacted() || !is_still || rests {
            return None;
        }
        let parts = self.sealed_parts();
        self.look_for_oldest(hands, &parts);
        let clean_until = self.compaction.clean_until;
        let is_of_it = |&(at, _): &(Offset, i64)| Some(at) == first_dirty(&parts, clean_until);
        let oldest = self.compaction.oldest.filter(is_of_it);
        let dirt = Dirt {
            parts: &parts,
            clean_until,
            last_stable: self.marks().last_stable,
            oldest: oldest.map(|(_, time)| time),
            min_lag_ms: self.settings.min_compaction_lag_ms(),
            max_lag_ms: self.settings.max_compaction_lag_ms(),
            min_ratio: self.settings.min_cleanable_dirty_ratio(),
        };
        dirt.work(hands.wall)
    }

    fn sealed_parts(&self) -> Vec<Part> {
        let spans = self.shelf().spans();
        let part = |pair: &[crate::log::Span]| {
            let (first, next) = (Offset(pair[0].first.0), Offset(pair[1].first.0));
            Part {
                first,
                next,
                bytes: pair[0].bytes,
                latest: self.times.latest_between(first, next).unwrap_or(i64::MIN),
            }
        };
        spans.windows(2).map(part).collect()
    }

    /// Reads the time of the first batch that is not compacted.
    fn look_for_oldest(&mut self, hands: &mut Hands, parts: &[Part]) {
        let is_asked = self.settings.max_compaction_lag_ms() < i64::MAX;
        let Some(at) = first_dirty(parts, self.compaction.clean_until) else {
            return;
        };
        let is_known = self.compaction.oldest.is_some_and(|(of, _)| of == at);
        if !is_asked || is_known || self.compaction.is_looking {
            return;
        }
        self.compaction.is_looking = true;
        let (events, key, serial) = (hands.events.clone(), self.key, self.serial);
        let from = at.max(self.marks().first);
        let shelf = self.shelf().clone();
        let found: Arc<Mutex<Option<i64>>> = Arc::default();
        let put = found.clone();
        let task = move || {
            *put.lock().unwrap_or_else(PoisonError::into_inner) = time_of(&shelf, from)?;
            Ok(())
        };
        let done = move |outcome: io::Result<()>| {
            let found = found.lock().unwrap_or_else(PoisonError::into_inner).take();
            // What does not read is looked up again at the next turn.
            let found = outcome.ok().and(found);
            events.put(key, serial, Event::OldestFound { at, found });
        };
        hands.device.errand(Box::new(task), Box::new(done));
    }

    pub(super) fn oldest_found(&mut self, at: Offset, found: Option<i64>) {
        self.compaction.is_looking = false;
        self.compaction.oldest = found.map(|time| (at, time));
    }

    /// A pass over what was found to be worth it. None where the log has no such
    /// segments now.
    pub(super) fn begin_compaction(&mut self, hands: &mut Hands, work: Work) -> Option<Job> {
        // The pass before has left no record of them, and readers that had some
        // have long got their names: now their markers may go as well.
        self.producers.forget_aborted(self.compaction.clean_until);
        let partition = self.partition.as_ref()?;
        let (first, run) = (partition.first(), partition.run());
        let everywhere = match planted!(DeletesForgotten) {
            true => work.until,
            false => partition.everywhere(),
        };
        let gone = Gone::of(&self.producers, first, work.until);
        let rules = Rules {
            now: hands.wall,
            delete_retention_ms: self.settings.delete_retention_ms(),
            everywhere,
        };
        let runs = self.runs(hands, work.until).ok()?;
        self.compaction.is_running = true;
        Some(Job {
            key: self.key,
            serial: self.serial,
            run,
            shelf: self.shelf().clone(),
            first,
            now: hands.wall,
            sieve: Sieve::new(rules, gone, COMPACTION_KEYS_MAX, work.until),
            work,
            runs,
        })
    }

    /// Neighbours that fit one segment together become one.
    fn runs(&self, hands: &mut Hands, until: Offset) -> Result<Vec<Run>, Refused> {
        let most = COMPACTED_SEGMENT_BYTES_MAX.min(self.settings.segment_bytes() as u64);
        let parts = self.sealed_parts();
        let parts = parts.iter().filter(|part| part.next <= until);
        let mut groups: Vec<(Offset, Offset, u64)> = Vec::new();
        for part in parts {
            match groups.last_mut() {
                Some((_, next, bytes)) if *bytes + part.bytes <= most => {
                    (*next, *bytes) = (part.next, *bytes + part.bytes);
                }
                _ => groups.push((part.first, part.next, part.bytes)),
            }
        }
        let log = self.log();
        let run = |(first, next, _): (Offset, Offset, u64)| {
            hands.device.rewrite(log, Index(first.0), Index(next.0))
        };
        groups.into_iter().map(run).collect()
    }

    pub(super) fn exchange(
        &mut self,
        hands: &mut Hands,
        written: Box<Written>,
        answer: SyncSender<Result<(), Refused>>,
    ) {
        let request = crate::log::Request::Exchange(written);
        let told = move |outcome: Result<_, Refused>| {
            // Who does not wait any more has given up.
            let _ = answer.try_send(outcome.map(|_| ()));
        };
        hands.device.submit(request, Box::new(told));
    }

    pub(super) fn compacted(
        &mut self,
        now: Duration,
        outcome: Result<Box<Compacted>, NotCompacted>,
    ) {
        self.compaction.is_running = false;
        let compacted = match outcome {
            Ok(compacted) => compacted,
            Err(NotCompacted::Failed(_)) => return self.compaction.rests_until = now + FAILED_FOR,
            // It is tried again as soon as there may be room, or more to do.
            Err(NotCompacted::Overtaken | NotCompacted::GivenUp | NotCompacted::NoRoom) => return,
        };
        let is_current = self.partition.as_ref().map(Partition::run) == Some(compacted.run);
        if !is_current || !self.is_uncut() {
            return;
        }
        let Compacted {
            until,
            times,
            times_until,
            bytes_before,
            bytes_after,
            figures,
            ..
        } = *compacted;
        tracing::debug!(
            partition = %self.key, %until, bytes_before, bytes_after,
            left_out = figures.records_left_out, "compacted"
        );
        self.compaction.clean_until = until;
        self.times.replace_below(times_until, times);
        // What is to be read back first may know of batches that are not there.
        if self.is_open() {
            self.write_down_soon();
        }
    }
}

impl House {
    /// Passes are made by `go_on_compacting` from now on, and by no thread: for who
    /// drives all of it by hand.
    pub fn compact_by_hand(&mut self) {
        self.compactor = Compactor::by_hand();
    }

    /// Goes on with the pass that is under way, as far as the next exchange.
    pub fn go_on_compacting(&mut self) {
        self.compactor.go_on(&self.events);
    }

    pub fn is_compacting(&self) -> bool {
        self.compactor.is_busy()
    }

    /// Begins a pass over the next partition that is worth it.
    pub(super) fn compact_one(&mut self, device: &mut Device) {
        let behind = |key: &Key| self.compacted.is_none_or(|last| *key > last);
        let keys = self.holdings.keys().copied();
        let (later, sooner): (Vec<Key>, Vec<Key>) = keys.partition(behind);
        for key in later.into_iter().chain(sooner) {
            let Some((holding, mut hands)) = self.any(device, key) else {
                continue;
            };
            let job = holding.dirt(&mut hands);
            let Some(job) = job.and_then(|work| holding.begin_compaction(&mut hands, work)) else {
                continue;
            };
            self.compacted = Some(key);
            if let Err(error) = self.compactor.begin(job, &self.events) {
                let serial = self.serial_of(key);
                let outcome = Err(NotCompacted::Failed(error));
                self.events.put(key, serial, Event::Compacted { outcome });
            }
            return;
        }
    }

    pub(super) fn note_pass(&mut self, key: Key, outcome: &Result<Box<Compacted>, NotCompacted>) {
        self.compactor.is_done();
        let counts = self.streams.compaction();
        let compacted = match outcome {
            Ok(compacted) => compacted,
            Err(why @ (NotCompacted::Overtaken | NotCompacted::GivenUp)) => {
                tracing::debug!(partition = %key, %why, "a pass of compaction has ended early");
                return;
            }
            Err(why) => {
                counts.failures.add(1);
                let holdings = &self.holdings;
                let is_compacted = |key: &Key| {
                    let holding = holdings.get(key);
                    holding.is_some_and(|one| one.settings.is_compacted())
                };
                let is_told = matches!(why, NotCompacted::NoRoom)
                    && !self.cramped.has_none(key, is_compacted);
                if !is_told {
                    tracing::warn!(partition = %key, %why, "it was not compacted");
                }
                return;
            }
        };
        if self.cramped.has_room(key) {
            tracing::info!("the disk has room again for compaction");
        }
        counts.passes.add(1);
        counts.bytes_before.add(compacted.bytes_before);
        counts.bytes_after.add(compacted.bytes_after);
        counts.records_read.add(compacted.figures.records_read);
        counts
            .records_left_out
            .add(compacted.figures.records_left_out);
        // There may be more to do, here or elsewhere.
        self.looked_at = Duration::ZERO;
    }
}

/// Partitions whose new segments had no room on the disk when they were compacted
/// last. It is said of the first of them, and again only once there was room for all.
#[derive(Default)]
pub(super) struct Cramped(BTreeSet<Key>);

impl Cramped {
    /// Whether that is to be said. Those that are not compacted any more do not
    /// count.
    fn has_none(&mut self, key: Key, is_compacted: impl Fn(&Key) -> bool) -> bool {
        self.0.retain(&is_compacted);
        let is_first = self.0.is_empty();
        if is_compacted(&key) {
            self.0.insert(key);
        }
        is_first
    }

    /// It was compacted. Whether it was the last of them.
    fn has_room(&mut self, key: Key) -> bool {
        self.0.remove(&key) && self.0.is_empty()
    }
}

fn first_dirty(parts: &[Part], clean_until: Offset) -> Option<Offset> {
    let dirty = parts.iter().find(|part| part.next > clean_until)?;
    Some(dirty.first.max(clean_until))
}

/// The time of the batch that holds an offset.
fn time_of(shelf: &Shelf, at: Offset) -> io::Result<Option<i64>> {
    let read = shelf.read(Index(at.0), 1, Way::Plain);
    let read = read.map_err(|error| io::Error::other(error.to_string()))?;
    Ok(read.and_then(|read| {
        let time = Header::of(&read.bytes)?.max_timestamp();
        (time >= 0).then_some(time)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{PartitionId, TopicId};

    #[test]
    fn a_disk_without_room_is_told_of_once_until_there_is_room_for_all() {
        let key = |n| Key {
            topic: TopicId([1; 16]),
            partition: PartitionId(n),
        };
        let mut cramped = Cramped::default();
        let has_none = |cramped: &mut Cramped, n| cramped.has_none(key(n), |_| true);
        assert!(!cramped.has_room(key(1)), "it always had");
        assert!(has_none(&mut cramped, 1));
        assert!(!has_none(&mut cramped, 1));
        assert!(!has_none(&mut cramped, 2));
        assert!(!cramped.has_room(key(1)));
        assert!(!has_none(&mut cramped, 1), "the other one has none yet");
        assert!(!cramped.has_room(key(2)));
        assert!(cramped.has_room(key(1)));
        assert!(has_none(&mut cramped, 2), "it is another time");
        let is_left = |one: &Key| *one == key(1);
        assert!(cramped.has_none(key(1), is_left), "the other one is gone");
    }
}
