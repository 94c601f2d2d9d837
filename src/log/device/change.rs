//! Changes of a log's shape: truncation, prefix drop, restart, removal.

use super::*;
use crate::ids::Term;

/// All of a log's, the lowest first.
const MARKS: [fn(&Shelf, Index); 4] = [
    Shelf::set_readable,
    Shelf::set_durable,
    Shelf::set_taken,
    Shelf::set_written,
];

impl Device {
    /// Truncation, prefix drop, restart, removal. They are rare, so they wait
    /// until the device is still: no batch in flight, every tail readable.
    pub(super) fn stage_change(
        &mut self,
        id: LogId,
        request: Request,
        answer: Answer,
    ) -> Result<Staging, Fatal> {
        if self.journal.staged_bytes() > 0 || !self.in_flight.is_empty() {
            return Ok(Staging::Later(request, answer));
        }
        self.show();
        while !self.is_shown() {
            self.lane.wait(None, &mut || true);
            self.reap()?;
        }
        let outcome = match request {
            Request::Truncate { from, .. } => self.truncate(id, from),
            Request::DropPrefix { until, .. } => self.drop_prefix(id, until),
            Request::Restart { at, .. } => self.restart(id, at),
            Request::Remove { .. } => self.remove(id),
            Request::Append { .. }
            | Request::Roll { .. }
            | Request::Exchange(_)
            | Request::Show => {
                unreachable!("staged elsewhere")
            }
        };
        match outcome {
            Ok(()) => {
                let (first, next) = match self.logs.get(&id) {
                    Some(log) => (log.shelf.first(), log.end.next),
                    None => (Index(0), Index(0)),
                };
                self.staged.answers.push((answer, Appended { first, next }));
            }
            Err(refused) => answer(Err(refused)),
        }
        Ok(Staging::Taken)
    }

    pub(super) fn truncate(&mut self, id: LogId, from: Index) -> Result<(), Refused> {
        let log = self.logs.get_mut(&id).expect("looked up before");
        let (first, next) = (log.shelf.first(), log.end.next);
        if from == next {
            return Ok(());
        }
        if from < first || from > next {
            return Err(Refused::OutOfRange { first, next });
        }
        let cannot = |reason: String| Refused::Failed(reason);
        let segment = log
            .shelf
            .segment_of(from)
            .ok_or(Refused::OutOfRange { first, next })?;
        let located = segment
            .locate(&*self.disk, log.format, from, Way::Plain)
            .map_err(|error| cannot(format!("truncate log {id} at {from}: {error}")))?;
        // The end before the record; where the walk began right at it, walk
        // the segment from its start, which says all.
        let end = match located.before {
            Some(end) => end,
            None if located.at == BODY => segment.header.start,
            None => segment
                .verify(&*self.disk, log.format, located.at)
                .map_err(|error| cannot(format!("truncate log {id} at {from}: {error}")))?,
        };
        if end.next != from {
            // A foreign record may hold several entries: it goes as a whole
            // or not at all.
            return Err(Refused::OutOfRange { first, next });
        }
        let segments = log.shelf.segments();
        let place = segments
            .iter()
            .position(|other| other.header.epoch == segment.header.epoch)
            .expect("found on this shelf");
        // A segment of which nothing is left goes as a whole.
        let (kept, joint) = match located.at == BODY {
            true => (place, segment.header.previous),
            false => {
                let until = match planted!(TruncateForgotten) {
                    true => segment.readable(),
                    false => located.at,
                };
                (
                    place + 1,
                    Some(Joint {
                        epoch: segment.header.epoch,
                        until,
                    }),
                )
            }
        };
        let joint = joint.filter(|_| kept > 0);
        let active = log.active.take();
        let old_end = std::mem::replace(&mut log.end, end);
        log.shelf.set_segments(segments[..kept].to_vec());
        if let Err(refused) = self.begin_segment(id, joint, 0) {
            let log = self.logs.get_mut(&id).expect("looked up before");
            log.active = active;
            log.end = old_end;
            log.shelf.set_segments(segments);
            return Err(refused);
        }
        let log = self.logs.get_mut(&id).expect("looked up before");
        if kept == place + 1 {
            segment.set_readable(located.at);
            segment.seal_at(located.at);
            let until = located.at;
            self.unfooted.push(Unfooted {
                segment,
                until,
                end,
            });
        }
        for mark in MARKS {
            mark(&log.shelf, from);
        }
        self.discard(&segments[kept..]);
        Ok(())
    }

    pub(super) fn drop_prefix(&mut self, id: LogId, until: Index) -> Result<(), Refused> {
        let log = self.logs.get_mut(&id).expect("looked up before");
        let (first, next) = (log.shelf.first(), log.end.next);
        if until <= first {
            return Ok(());
        }
        if until > next {
            return Err(Refused::OutOfRange { first, next });
        }
        let segments = log.shelf.segments();
        // The segment that holds `until`, or the active one, is the first to
        // stay.
        let place = segments
            .iter()
            .rposition(|segment| segment.header.start.next <= until)
            .unwrap_or_default();
        let Some(oldest) = segments.get(place) else {
            return Ok(());
        };
        log.first_epoch = oldest.header.epoch;
        let entry = Entry::Drop {
            log: id,
            epoch: log.first_epoch,
            first: until,
        };
        self.journal.stage(&entry);
        log.shelf.set_first(until);
        log.shelf.set_segments(segments[place..].to_vec());
        self.discard(&segments[..place]);
        Ok(())
    }

    pub(super) fn restart(&mut self, id: LogId, at: Index) -> Result<(), Refused> {
        let log = self.logs.get_mut(&id).expect("looked up before");
        let segments = log.shelf.segments();
        // Our own entries go on; what a foreign log begins anew with may be older
        // than what it had.
        let term = match log.format.is_framed() {
            true => log.end.term,
            false => Term(0),
        };
        let end = End {
            next: at,
            term,
            check: 0,
        };
        let old_end = std::mem::replace(&mut log.end, end);
        let active = log.active.take();
        if let Err(refused) = self.begin_segment(id, None, 0) {
            let log = self.logs.get_mut(&id).expect("looked up before");
            (log.end, log.active) = (old_end, active);
            log.shelf.set_segments(segments);
            return Err(refused);
        }
        let log = self.logs.get_mut(&id).expect("looked up before");
        log.shelf.set_first(at);
        for mark in MARKS {
            mark(&log.shelf, at);
        }
        self.discard(&segments);
        Ok(())
    }

    pub(super) fn remove(&mut self, id: LogId) -> Result<(), Refused> {
        let log = self.logs.remove(&id).expect("looked up before");
        let segments = log.shelf.segments();
        if log.active.is_some() {
            self.journal.stage(&Entry::Remove { log: id });
        }
        log.shelf.set_segments(Vec::new());
        log.shelf.close();
        self.discard(&segments);
        Ok(())
    }

    /// Files that go once the batch in the making is durable.
    pub(super) fn discard(&mut self, segments: &[Arc<Segment>]) {
        for segment in segments {
            self.dirty
                .remove(&(segment.header.log, segment.header.epoch));
            self.unfooted
                .retain(|other| other.segment.header.epoch != segment.header.epoch);
            self.staged.removals.push(segment.name.clone());
        }
    }
}
