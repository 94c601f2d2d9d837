//! Gathering: appends become entries of the batch in the making.

use super::*;

impl Device {
    pub(super) fn gather(&mut self) -> Result<(), Fatal> {
        if self.backlog.is_empty() {
            return Ok(());
        }
        if self.journal.staged_bytes() == 0
            && self.journal.wants_roll(&self.settings)
            && !self.roll(Roll::Going)?
        {
            return match self.is_stuck() {
                true => self.refuse_backlog(),
                false => Ok(()),
            };
        }
        while let Some((request, answer)) = self.backlog.pop_front() {
            if self.pending_bytes >= PENDING_BYTES_MAX {
                self.figures.stalls += 1;
                self.backlog.push_front((request, answer));
                self.show();
                break;
            }
            if let Staging::Later(request, answer) = self.stage(request, answer)? {
                self.backlog.push_front((request, answer));
                break;
            }
        }
        Ok(())
    }

    /// The journal is full, and nothing is under way that could free a file:
    /// there was never room for a second one.
    pub(super) fn is_stuck(&self) -> bool {
        self.sweep.is_none() && !self.is_under_way() && !self.journal.has_untold_trim()
    }

    /// Whether the lane will have something to say.
    pub(super) fn is_under_way(&self) -> bool {
        !self.in_flight.is_empty() || !self.running.is_empty()
    }

    /// All but what gives room back: that has a place in the journal still, for
    /// else the disk could only be emptied by hand.
    fn refuse_backlog(&mut self) -> Result<(), Fatal> {
        for (request, answer) in std::mem::take(&mut self.backlog) {
            if self.gives_room(&request) && self.journal.has_last_place() {
                if let Staging::Later(request, answer) = self.stage(request, answer)? {
                    self.backlog.push_back((request, answer));
                }
                continue;
            }
            self.figures.refused_full += 1;
            if let Request::Append { log, records } = &request {
                self.keep_promise(*log, records.bytes());
            }
            answer(Err(full_journal()));
        }
        Ok(())
    }

    fn gives_room(&self, request: &Request) -> bool {
        match request {
            Request::Remove { .. } => true,
            Request::DropPrefix { log, until } => {
                let segments = self.logs.get(log).map(|log| log.shelf.segments());
                let second = segments.as_ref().and_then(|all| all.get(1));
                second.is_some_and(|second| second.header.start.next <= *until)
            }
            _ => false,
        }
    }

    pub(super) fn stage(&mut self, request: Request, answer: Answer) -> Result<Staging, Fatal> {
        let id = match &request {
            Request::Append { log, .. }
            | Request::Truncate { log, .. }
            | Request::DropPrefix { log, .. }
            | Request::Restart { log, .. }
            | Request::Roll { log }
            | Request::Remove { log } => *log,
            Request::Exchange(written) => written.log(),
            Request::Show => return Ok(self.stage_show(answer)),
        };
        let Some(log) = self.logs.get_mut(&id) else {
            answer(Err(Refused::NoSuchLog(id)));
            return Ok(Staging::Taken);
        };
        let is_change = !matches!(request, Request::Append { .. });
        // What waits already goes first.
        let waits = log.is_exchanging && (is_change || !log.waiting.is_empty());
        if log.is_busy || waits {
            log.waiting.push_back((request, answer));
            return Ok(Staging::Taken);
        }
        match request {
            Request::Append { log, records } => Ok(self.stage_append(log, records, answer)),
            Request::Roll { log } => Ok(self.stage_roll(log, answer)),
            Request::Exchange(written) => {
                self.stage_exchange(*written, answer);
                Ok(Staging::Taken)
            }
            other => self.stage_change(id, other, answer),
        }
    }

    pub(super) fn stage_show(&mut self, answer: Answer) -> Staging {
        // The worker does one thing after another: when this task runs, all
        // that was durable by now is written.
        self.show();
        let answer = std::sync::Mutex::new(Some(answer));
        let nowhere = Appended {
            first: Index(0),
            next: Index(0),
        };
        self.background(
            Running::Tidy,
            Box::new(move || {
                if let Some(answer) = answer.into_inner().ok().flatten() {
                    answer(Ok(nowhere));
                }
                Ok(())
            }),
        );
        Staging::Taken
    }

    pub(super) fn stage_append(&mut self, id: LogId, records: Records, answer: Answer) -> Staging {
        let bytes = records.bytes();
        let is_straight = self.is_straight(bytes);
        if !is_straight && !self.journal.has_room(append_bytes(bytes), &self.settings) {
            return Staging::Later(Request::Append { log: id, records }, answer);
        }
        self.keep_promise(id, bytes);
        let checked = match self.check_records(id, &records, self.logs[&id].end) {
            Ok(end) => end,
            Err(refused) => {
                answer(Err(refused));
                return Staging::Taken;
            }
        };
        if let Err(refused) = self.make_room(id, bytes as u64) {
            if matches!(refused, Refused::Full(_)) {
                self.figures.refused_full += 1;
            }
            answer(Err(refused));
            return Staging::Taken;
        }
        self.figures.appends += 1;
        if is_straight {
            self.start_straight(id, records, checked, answer);
        } else {
            self.stage_journaled(id, records, checked, answer);
        }
        Staging::Taken
    }

    pub(super) fn is_straight(&self, bytes: usize) -> bool {
        bytes >= self.settings.bypass_bytes
            || append_bytes(bytes) + 2 * crate::log::batch::ENTRY_HEADER_BYTES
                > self.journal.batch_room(&self.settings)
    }

    /// Checks foreign records; for our own frames only their size. Says where
    /// a foreign log would end with them.
    pub(super) fn check_records(
        &self,
        id: LogId,
        records: &Records,
        end: End,
    ) -> Result<End, Refused> {
        let log = &self.logs[&id];
        let too_large = |bytes| Refused::TooLarge {
            bytes,
            most: RECORD_BYTES_MAX,
        };
        match records {
            Records::Frames(payloads) if log.format.is_framed() => {
                for payload in payloads {
                    if payload.frame_bytes() > RECORD_BYTES_MAX {
                        return Err(too_large(payload.frame_bytes()));
                    }
                }
                // An own frame's check is known when it is written.
                Ok(end)
            }
            Records::Whole(bytes) if !log.format.is_framed() => {
                if bytes.len() > RECORD_BYTES_MAX {
                    return Err(too_large(bytes.len()));
                }
                let mut walk = Walk {
                    format: log.format,
                    epoch: Epoch(0),
                    end,
                };
                let mut place = 0;
                while place < bytes.len() {
                    match walk.step(&bytes[place..]).map_err(Refused::BadRecord)? {
                        Walked::Record(head) => place += head.length,
                        Walked::More(count) => {
                            let (expected, found) = (count as u64, (bytes.len() - place) as u64);
                            let what = "bytes left of a record";
                            return Err(Refused::BadRecord(crate::log::format::Fault {
                                what,
                                expected,
                                found,
                            }));
                        }
                        Walked::Nothing => {
                            let fault = crate::log::format::Fault::missing("record");
                            return Err(Refused::BadRecord(fault));
                        }
                    }
                }
                Ok(walk.end)
            }
            _ => Err(Refused::OtherFormat {
                have: log.format.id(),
                want: if log.format.is_framed() {
                    0
                } else {
                    frame::FRAMES.id()
                },
            }),
        }
    }

    /// Makes sure that the active segment can take `bytes`: grows it, or
    /// begins the next. On a full disk nothing has changed.
    pub(super) fn make_room(&mut self, id: LogId, bytes: u64) -> Result<(), Refused> {
        let log = self.logs.get_mut(&id).expect("looked up before");
        let Some(active) = &mut log.active else {
            return self.begin_segment(id, None, bytes);
        };
        let wanted = active.until + bytes;
        if wanted <= active.room {
            self.grow_ahead(id, wanted);
            return Ok(());
        }
        if wanted > log.segment_bytes && active.until > BODY {
            let joint = Joint {
                epoch: active.segment.header.epoch,
                until: active.until,
            };
            return self.begin_segment(id, Some(joint), bytes);
        }
        let room = step_within(&self.settings, log.segment_bytes, wanted);
        let grown = active
            .segment
            .file(&*self.disk)
            .and_then(|file| file.allocate(room));
        match grown {
            Ok(()) => {
                active.room = room;
                active.is_growing = false;
                Ok(())
            }
            Err(_) if planted!(FullDiskNotNoticed) => Ok(()),
            Err(error) => Err(refused("grow", &active.segment.name, &error)),
        }
    }

    /// Has the active segment of a busy log made longer before that is waited for:
    /// it takes the file system a fifth of a millisecond, and logs that are written
    /// alike come to it together. Where it fails, whoever needs the room hears why.
    fn grow_ahead(&mut self, id: LogId, wanted: u64) {
        let log = self.logs.get_mut(&id).expect("looked up before");
        let Some(active) = &mut log.active else {
            return;
        };
        let room = active.room;
        let has_outgrown = room >= BUSY_STEPS * self.settings.segment_first_bytes;
        let is_due = has_outgrown && room < log.segment_bytes && wanted > room / 4 * 3;
        if active.is_growing || !is_due {
            return;
        }
        let Ok(file) = active.segment.file(&*self.disk) else {
            return;
        };
        active.is_growing = true;
        let epoch = active.segment.header.epoch;
        let room = step_within(&self.settings, log.segment_bytes, room + 1);
        let token = self.token();
        let running = Running::Growth {
            log: id,
            epoch,
            room,
        };
        self.running.insert(token, running);
        self.lane
            .beside(token, Box::new(move || file.allocate(room)));
    }

    pub(super) fn grown(&mut self, id: LogId, epoch: Epoch, room: u64) {
        let active = self.logs.get_mut(&id).and_then(|log| log.active.as_mut());
        if let Some(active) = active.filter(|active| active.segment.header.epoch == epoch) {
            active.room = active.room.max(room);
            active.is_growing = false;
        }
    }

    /// Starts a new segment behind `previous`; the one before is sealed there.
    pub(super) fn begin_segment(
        &mut self,
        id: LogId,
        previous: Option<Joint>,
        bytes: u64,
    ) -> Result<(), Refused> {
        let log = self.logs.get_mut(&id).expect("looked up before");
        let header = Header {
            home: self.home,
            log: id,
            format: log.format.id(),
            epoch: Epoch(self.next_epoch),
            previous,
            start: log.end,
            rewritten: None,
        };
        let room = step_within(&self.settings, log.segment_bytes, BODY + bytes);
        let segment = Segment::create(header, &*self.disk, room)
            .map_err(|error| refused("begin", &header.file_name(), &error))?;
        self.next_epoch += 1;
        self.is_folder_dirty = true;
        let segment = Arc::new(segment);
        let mut segments = log.shelf.segments();
        if let Some(sealed) = log.active.take() {
            sealed.segment.seal_at(sealed.until);
            self.unfooted.push(Unfooted {
                segment: sealed.segment,
                until: sealed.until,
                end: log.end,
            });
        }
        if previous.is_none() {
            log.first_epoch = header.epoch;
            segments.clear();
        }
        segments.push(segment.clone());
        log.shelf.set_segments(segments);
        log.active = Some(Active {
            segment: segment.clone(),
            until: BODY,
            room,
            is_growing: false,
        });
        let entry = Entry::Start {
            log: id,
            format: header.format,
            epoch: header.epoch,
            previous,
            end: header.start,
        };
        self.journal.stage(&entry);
        self.soil(&segment);
        Ok(())
    }

    /// Notes that the journal holds what the segment may lose.
    pub(super) fn soil(&mut self, segment: &Arc<Segment>) {
        let key = (segment.header.log, segment.header.epoch);
        let since = self.journal.number();
        self.dirty.entry(key).or_insert_with(|| Dirty {
            segment: segment.clone(),
            since,
        });
    }

    pub(super) fn stage_journaled(
        &mut self,
        id: LogId,
        records: Records,
        checked: End,
        answer: Answer,
    ) {
        let durable_until = self.logs[&id].shelf.durable_until();
        let log = self.logs.get_mut(&id).expect("looked up before");
        let active = log.active.as_mut().expect("made room");
        let first = log.end.next;
        let (segment, at) = (active.segment.clone(), active.until);
        let mut bytes;
        let keeps_fresh = log.shelf.keeps_fresh();
        match records {
            Records::Frames(payloads) => {
                bytes = Vec::with_capacity(payloads.iter().map(Payload::frame_bytes).sum());
                for payload in &payloads {
                    let epoch = segment.header.epoch;
                    let (index, previous) = (log.end.next, log.end.check);
                    let place = Place {
                        epoch,
                        index,
                        previous,
                        durable_until,
                        is_straight: false,
                    };
                    let (header, check) = frame::header(payload, place);
                    let start = at + bytes.len() as u64;
                    bytes.extend_from_slice(&header);
                    bytes.extend_from_slice(&payload.bytes);
                    bytes.resize(bytes.len() + payload.padding(), 0);
                    log.end = End {
                        next: Index(index.0 + 1),
                        term: payload.term,
                        check,
                    };
                    segment.note(index, start, at + bytes.len() as u64);
                }
            }
            Records::Whole(whole) => {
                bytes = whole;
                log.end = checked;
                segment.note(first, at, at + bytes.len() as u64);
                if planted!(BaseOffsetFlipped)
                    && let Some(byte) = bytes.get_mut(7)
                {
                    *byte ^= 1;
                }
            }
        }
        active.until += bytes.len() as u64;
        let epoch = segment.header.epoch;
        let (bytes, next) = (Arc::new(bytes), log.end.next);
        if keeps_fresh {
            let bytes = bytes.clone();
            log.shelf.fresh.push(Piece {
                first,
                next,
                epoch,
                bytes,
            });
        }
        log.shelf.set_written(next);
        log.shelf.set_taken(next);
        let entry = Entry::Append {
            log: id,
            epoch,
            at,
            end: log.end,
            bytes: &bytes,
        };
        self.journal.stage(&entry);
        self.pending_bytes += bytes.len();
        let sequence = self.journal.sequence();
        log.tails.push_back(Tail {
            segment: segment.clone(),
            at,
            held_bytes: bytes.len(),
            bytes,
            next,
            sequence,
        });
        self.tailed.insert(id);
        self.staged.logs.push((id, next));
        self.staged.answers.push((answer, Appended { first, next }));
        self.soil(&segment);
    }
}
