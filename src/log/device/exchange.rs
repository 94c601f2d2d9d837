//! A segment that was written anew takes the place of others (`log/rewrite`).

use super::*;
use crate::log::rewrite::{Run, Written};
use crate::log::segment::Rewritten;

/// An exchange on its way to the disk.
pub(super) struct Exchange {
    log: LogId,
    old: Vec<Arc<Segment>>,
    new: Arc<Segment>,
    /// Of the segment behind it.
    start: End,
    is_renamed: Arc<AtomicBool>,
    pub(super) answer: Answer,
}

impl Device {
    /// The sealed segments that hold the records from `from` until `until`, to be
    /// written anew as one. Both must be where a segment begins.
    pub fn rewrite(&mut self, id: LogId, from: Index, until: Index) -> Result<Run, Refused> {
        let epoch = Epoch(self.next_epoch);
        let log = self.logs.get(&id).ok_or(Refused::NoSuchLog(id))?;
        if log.format.is_framed() {
            // Each frame names the one before it, so none can be left out.
            let (have, want) = (log.format.id(), log.format.id());
            return Err(Refused::OtherFormat { have, want });
        }
        let segments = log.shelf.segments();
        let place_of = |index: Index| {
            let begins = |segment: &Arc<Segment>| segment.header.start.next == index;
            segments.iter().position(begins)
        };
        let (first, behind) = match (place_of(from), place_of(until)) {
            (Some(first), Some(behind)) if first < behind => (first, behind),
            _ => return Err(Refused::OtherSegments),
        };
        let (old, behind) = (segments[first..behind].to_vec(), segments[behind].clone());
        let joint = behind.header.previous.ok_or(Refused::OtherSegments)?;
        // Bytes that are on their way to the file cannot be read from it yet.
        let is_whole = log.shelf.readable_until() >= until;
        let is_sealed = |old: &Arc<Segment>| old.is_sealed.load(Ordering::Acquire);
        if !is_whole || !old.iter().all(is_sealed) {
            return Err(Refused::OtherSegments);
        }
        let header = Header {
            epoch,
            rewritten: Some(Rewritten {
                in_place_of: joint.epoch,
                until: 0,
            }),
            ..old[0].header
        };
        let (disk, format) = (self.disk.clone(), log.format);
        self.next_epoch += 1;
        Ok(Run {
            disk,
            format,
            old,
            behind,
            header,
        })
    }

    /// Begins an exchange. Appends go on; what changes the log's shape waits.
    pub(super) fn stage_exchange(&mut self, written: Written, answer: Answer) {
        let id = written.log();
        let Some(log) = self.logs.get_mut(&id) else {
            return answer(Err(Refused::NoSuchLog(id)));
        };
        if place_in(&log.shelf.segments(), &written.old, &written.behind).is_none() {
            return answer(Err(Refused::OtherSegments));
        }
        log.is_exchanging = true;
        self.busy += 1;
        let Written {
            old,
            behind,
            segment: new,
            mut unfinished,
        } = written;
        let is_renamed = Arc::new(AtomicBool::new(false));
        let exchange = Exchange {
            log: id,
            old,
            new: new.clone(),
            start: behind.header.start,
            is_renamed: is_renamed.clone(),
            answer,
        };
        let disk = self.disk.clone();
        self.background(
            Running::Exchange(Box::new(exchange)),
            Box::new(move || {
                unfinished.rename(&new.name)?;
                is_renamed.store(true, Ordering::Release);
                match planted!(FolderNotSynced) {
                    true => Ok(()),
                    false => disk.sync_folder(segment::FOLDER),
                }
            }),
        );
    }

    /// The new one has its name for good: it is found from now on, and the old
    /// ones go.
    pub(super) fn finish_exchange(
        &mut self,
        exchange: Exchange,
        result: io::Result<()>,
    ) -> Result<(), Fatal> {
        let Exchange {
            log: id,
            old,
            new,
            start,
            is_renamed,
            answer,
        } = exchange;
        let is_renamed = is_renamed.load(Ordering::Acquire);
        if is_renamed {
            // Which of the two counts after a power cut is not known any more.
            let doing = "sync the segments' folder";
            result.as_ref().map_err(|error| failed(doing, error))?;
        }
        let log = self.logs.get_mut(&id).expect("a busy log is not removed");
        log.is_exchanging = false;
        self.busy -= 1;
        if !log.is_busy {
            for waiting in log.waiting.drain(..).rev() {
                self.backlog.push_front(waiting);
            }
        }
        if let Err(error) = result {
            answer(Err(refused("rename", &new.name, &error)));
            return Ok(());
        }
        let mut segments = log.shelf.segments();
        let place = segments
            .iter()
            .position(|segment| Arc::ptr_eq(segment, &old[0]))
            .expect("nothing changes the log meanwhile");
        if place == 0 {
            log.first_epoch = new.header.epoch;
        }
        segments.splice(place..place + old.len(), [new.clone()]);
        log.shelf.set_segments(segments);
        let (first, next) = (log.shelf.first(), log.end.next);
        self.discard(&old);
        let until = new.readable();
        self.unfooted.push(Unfooted {
            segment: new,
            until,
            end: start,
        });
        self.write_footers();
        self.staged.answers.push((answer, Appended { first, next }));
        Ok(())
    }
}

/// Where the run stands, as long as nothing has changed it: a truncation within
/// it would have put another segment behind it.
fn place_in(all: &[Arc<Segment>], old: &[Arc<Segment>], behind: &Arc<Segment>) -> Option<usize> {
    let run: Vec<_> = old.iter().chain([behind]).collect();
    let is_it = |window: &[Arc<Segment>]| {
        let mut pairs = window.iter().zip(&run);
        pairs.all(|(one, other)| Arc::ptr_eq(one, other))
    };
    all.windows(run.len()).position(is_it)
}
