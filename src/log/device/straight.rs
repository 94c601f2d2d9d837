//! Straight writes: a large batch goes to its segment first, and only its
//! mark goes to the journal. Until the mark is staged, everything later of that
//! log waits, so the journal never has a gap.

use super::*;

impl Device {
    /// Hands a large batch, and all that stands right behind it and is large
    /// too, to the worker: write, sync, and only then its mark.
    pub(super) fn start_straight(
        &mut self,
        id: LogId,
        records: Records,
        checked: End,
        answer: Answer,
    ) {
        let log = &self.logs[&id];
        let active = log.active.as_ref().expect("made room");
        let (segment, at) = (active.segment.clone(), active.until);
        let mut making = Making {
            epoch: segment.header.epoch,
            durable_until: log.shelf.durable_until(),
            until: at,
            end: log.end,
            keeps_fresh: log.shelf.keeps_fresh(),
            parts: Vec::new(),
            pieces: Vec::new(),
            answers: Vec::new(),
        };
        making.take(records, checked, answer);
        while let Some((records, checked, answer)) = self.next_straight(id, &making) {
            self.figures.appends += 1;
            making.take(records, checked, answer);
        }
        let Making {
            until,
            end,
            parts,
            pieces,
            answers,
            ..
        } = making;
        let log = self.logs.get_mut(&id).expect("looked up before");
        log.is_busy = true;
        self.busy += 1;
        let held_bytes = pieces.iter().map(|piece| piece.bytes.len()).sum();
        self.pending_bytes += held_bytes;
        log.shelf.set_written(end.next);
        let crc = Arc::new(AtomicU32::new(0));
        let straight = Straight {
            log: id,
            epoch: segment.header.epoch,
            at,
            until,
            crc: crc.clone(),
            end,
            segment: segment.clone(),
            held_bytes,
            pieces,
            answers,
        };
        self.figures.straight_batches += 1;
        let disk = self.disk.clone();
        let token = self.token();
        self.running
            .insert(token, Running::Straight(Box::new(straight)));
        self.lane.beside(
            token,
            Box::new(move || {
                let sum = segment.write_straight(&*disk, at, &parts)?;
                crc.store(sum, Ordering::Release);
                if planted!(MarkBeforeData) {
                    return Ok(());
                }
                segment.file(&*disk)?.sync()?;
                // The directory is synced as well: a new file whose name is
                // lost with the power is a lost file.
                let is_new = !segment.is_name_synced.load(Ordering::Acquire);
                if is_new && !planted!(FolderNotSynced) {
                    disk.sync_folder(segment::FOLDER)?;
                    segment.is_name_synced.store(true, Ordering::Release);
                }
                Ok(())
            }),
        );
    }

    /// The next request, where it is a large append to the same log that fits
    /// the same segment and the bound.
    fn next_straight(&mut self, id: LogId, making: &Making) -> Option<(Records, End, Answer)> {
        let Some((Request::Append { log, records }, _)) = self.backlog.front() else {
            return None;
        };
        let bytes = records.bytes();
        let active = self.logs[&id].active.as_ref()?;
        let total = making.until - active.until + bytes as u64;
        let fits = total <= STRAIGHT_BYTES_MAX as u64
            && active.until + total <= self.logs[&id].segment_bytes;
        if *log != id || !self.is_straight(bytes) || !fits {
            return None;
        }
        let checked = self.check_records(id, records, making.end).ok()?;
        self.make_room(id, total).ok()?;
        self.keep_promise(id, bytes);
        match self.backlog.pop_front() {
            Some((Request::Append { records, .. }, answer)) => Some((records, checked, answer)),
            _ => unreachable!("looked at above"),
        }
    }

    pub(super) fn finish_straight(
        &mut self,
        straight: Straight,
        result: io::Result<()>,
    ) -> Result<(), Fatal> {
        result.map_err(|error| failed(&format!("write {}", straight.segment.name), &error))?;
        let Straight {
            log: id,
            epoch,
            at,
            until,
            crc,
            end,
            segment,
            held_bytes,
            pieces,
            answers,
        } = straight;
        let crc = crc.load(Ordering::Acquire);
        let entry = Entry::Mark {
            log: id,
            epoch,
            at,
            until,
            crc,
            end,
        };
        let has_place = match self.journal.staged_bytes() {
            0 => !self.journal.wants_roll(&self.settings),
            _ => self.journal.has_room(entry.encoded_bytes(), &self.settings),
        };
        // The batch in the making is full, or the file is: it leaves first.
        let is_marked = has_place || self.drain_staged()?;
        let log = self.logs.get_mut(&id).expect("a busy log is not removed");
        log.is_busy = false;
        self.busy -= 1;
        for waiting in log.waiting.drain(..).rev() {
            self.backlog.push_front(waiting);
        }
        if !is_marked {
            // Without a mark the bytes do not count, and are written over.
            log.shelf.set_written(log.end.next);
            self.pending_bytes -= held_bytes;
            self.figures.refused_full += 1;
            answers
                .into_iter()
                .for_each(|(answer, _)| answer(Err(full_journal())));
            return Ok(());
        }
        self.journal.stage(&entry);
        log.end = end;
        for piece in pieces {
            log.shelf.fresh.push(piece);
        }
        log.shelf.set_taken(end.next);
        if let Some(active) = &mut log.active {
            active.until = until;
        }
        self.staged.logs.push((id, end.next));
        self.staged.answers.extend(answers);
        // Empty, but carries the marks of what can be read once durable.
        let sequence = self.journal.sequence();
        let tail = Tail {
            segment: segment.clone(),
            at: until,
            bytes: Arc::default(),
            held_bytes,
            next: end.next,
            sequence,
        };
        log.tails.push_back(tail);
        self.tailed.insert(id);
        self.soil(&segment);
        Ok(())
    }

    /// Writes the batch in the making, waits for it, and begins the next file
    /// where this one is full. False where there is no room for one.
    pub(super) fn drain_staged(&mut self) -> Result<bool, Fatal> {
        self.drain_in_flight()?;
        if self.journal.staged_bytes() > 0 {
            self.seal_and_start();
            self.drain_in_flight()?;
        }
        while self.journal.wants_roll(&self.settings) && !self.roll(Roll::Going)? {
            if self.is_stuck() {
                return Ok(false);
            }
            if self.is_under_way() {
                self.lane.wait(None, &mut || true);
            }
            self.reap()?;
        }
        Ok(true)
    }

    pub(super) fn drain_in_flight(&mut self) -> Result<(), Fatal> {
        self.reap()?;
        while !self.in_flight.is_empty() {
            self.lane.wait(None, &mut || true);
            self.reap()?;
        }
        Ok(())
    }
}

/// A straight batch in the making.
struct Making {
    epoch: Epoch,
    durable_until: Index,
    /// The end of the bytes, and of the log with them.
    until: u64,
    end: End,
    keeps_fresh: bool,
    parts: Vec<Arc<Vec<u8>>>,
    /// The same, for readers.
    pieces: Vec<Piece>,
    answers: Vec<(Answer, Appended)>,
}

impl Making {
    fn take(&mut self, records: Records, checked: End, answer: Answer) {
        let first = self.end.next;
        self.until += records.bytes() as u64;
        match records {
            Records::Frames(payloads) => {
                payloads
                    .into_iter()
                    .for_each(|payload| self.take_frame(payload));
            }
            Records::Whole(bytes) => {
                self.parts.push(Arc::new(bytes));
                self.end = checked;
            }
        }
        let next = self.end.next;
        if self.keeps_fresh
            && let Some(bytes) = self.parts.last().cloned()
        {
            self.pieces.push(Piece {
                first,
                next,
                epoch: self.epoch,
                bytes,
            });
        }
        self.answers.push((answer, Appended { first, next }));
    }

    fn take_frame(&mut self, payload: Payload) {
        let (index, previous) = (self.end.next, self.end.check);
        let place = Place {
            epoch: self.epoch,
            index,
            previous,
            durable_until: self.durable_until,
            is_straight: true,
        };
        let (header, check) = frame::header(&payload, place);
        let padding = payload.padding();
        self.end = End {
            next: Index(index.0 + 1),
            term: payload.term,
            check,
        };
        self.parts.push(Arc::new(header.to_vec()));
        self.parts.push(Arc::new(payload.bytes));
        if padding > 0 {
            self.parts.push(Arc::new(vec![0; padding]));
        }
    }
}
