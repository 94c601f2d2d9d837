//! Room for appends that are on their way here, and segments that end before
//! they are full.

use super::*;

impl Device {
    /// What a segment of this log grows to from now on.
    pub fn set_segment_bytes(&mut self, id: LogId, bytes: Option<u64>) {
        let usual = self.settings.segment_bytes;
        if let Some(log) = self.logs.get_mut(&id) {
            log.segment_bytes = bytes.unwrap_or(usual);
        }
    }

    /// Makes sure of room for an append that is submitted next, so that it is
    /// not refused when others count on it already. Where there is none nothing
    /// has changed. It may still be refused where the journal finds no room.
    pub fn reserve(&mut self, id: LogId, bytes: usize) -> Result<(), Refused> {
        if let Some(fatal) = &self.fatal {
            return Err(Refused::Failed(fatal.to_string()));
        }
        let log = self.logs.get(&id).ok_or(Refused::NoSuchLog(id))?;
        let promised = log.promised + bytes as u64;
        let needs_segment = log.active.as_ref().is_none_or(|active| {
            let wanted = active.until + promised;
            wanted > active.room && wanted > log.segment_bytes && active.until > BODY
        });
        // While a straight write is under way it is not known where the log ends,
        // and a segment begins only where the journal has a place to say so.
        let can_begin = !log.is_busy && self.has_place_to_begin();
        if !needs_segment || can_begin {
            let made = self.make_room(id, promised);
            if let Err(Refused::Full(_)) = made {
                self.figures.refused_full += 1;
            }
            made?;
        }
        if let Some(log) = self.logs.get_mut(&id) {
            log.promised = promised;
        }
        Ok(())
    }

    fn has_place_to_begin(&self) -> bool {
        match self.journal.staged_bytes() {
            0 => !self.journal.wants_roll(&self.settings),
            _ => self.journal.has_room(0, &self.settings),
        }
    }

    /// The append that was promised room is staged, or refused, or does not come.
    pub fn keep_promise(&mut self, id: LogId, bytes: usize) {
        if let Some(log) = self.logs.get_mut(&id) {
            log.promised = log.promised.saturating_sub(bytes as u64);
        }
    }

    pub(super) fn stage_roll(&mut self, id: LogId, answer: Answer) -> Staging {
        let log = &self.logs[&id];
        let written = log.active.as_ref().filter(|active| active.until > BODY);
        let joint = written.map(|active| Joint {
            epoch: active.segment.header.epoch,
            until: active.until,
        });
        if joint.is_some() {
            if !self.journal.has_room(0, &self.settings) {
                return Staging::Later(Request::Roll { log: id }, answer);
            }
            if let Err(refused) = self.begin_segment(id, joint, 0) {
                answer(Err(refused));
                return Staging::Taken;
            }
        }
        let log = &self.logs[&id];
        let (first, next) = (log.shelf.first(), log.end.next);
        self.staged.answers.push((answer, Appended { first, next }));
        Staging::Taken
    }
}
