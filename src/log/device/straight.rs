//! Straight writes: a large batch goes to its segment first, and only its
//! mark goes to the journal. Until the mark is staged, everything later of that
//! log waits, so the journal never has a gap.

use super::*;

impl Device {
    /// Hands a large batch, and all that waits behind it and is large too, to
    /// the worker: write, sync, and only then its mark.
    pub(super) fn start_straight(
        &mut self,
        id: LogId,
        records: Records,
        checked: End,
        answer: Answer,
    ) {
        let log = self.logs.get_mut(&id).expect("looked up before");
        let active = log.active.as_ref().expect("made room");
        let (segment, at) = (active.segment.clone(), active.until);
        let first = log.end.next;
        let durable_until = log.shelf.durable_until();
        let mut end = log.end;
        let mut parts: Vec<Vec<u8>> = Vec::new();
        match records {
            Records::Frames(payloads) => {
                for payload in payloads {
                    let epoch = segment.header.epoch;
                    let (index, previous) = (end.next, end.check);
                    let place = Place {
                        epoch,
                        index,
                        previous,
                        durable_until,
                    };
                    let (header, check) = frame::header(&payload, place);
                    let padding = payload.padding();
                    end = End {
                        next: Index(index.0 + 1),
                        term: payload.term,
                        check,
                    };
                    parts.push(header.to_vec());
                    parts.push(payload.bytes);
                    if padding > 0 {
                        parts.push(vec![0; padding]);
                    }
                }
            }
            Records::Whole(bytes) => {
                parts.push(bytes);
                end = checked;
            }
        }
        let until = at + parts.iter().map(|part| part.len() as u64).sum::<u64>();
        log.is_busy = true;
        self.busy += 1;
        log.shelf.set_written(end.next);
        let crc = parts.iter().fold(0, |crc, part| crc32c_append(crc, part));
        let straight = Straight {
            log: id,
            epoch: segment.header.epoch,
            at,
            until,
            crc,
            end,
            segment: segment.clone(),
            answers: vec![(
                answer,
                Appended {
                    first,
                    next: end.next,
                },
            )],
        };
        self.figures.straight_batches += 1;
        // Tails before it go first, so that the segment is readable in order.
        self.show();
        let disk = self.disk.clone();
        self.background(
            Running::Straight(Box::new(straight)),
            Box::new(move || {
                let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
                segment.write(&*disk, at, &slices)?;
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
            answers,
        } = straight;
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
            self.figures.refused_full += 1;
            answers
                .into_iter()
                .for_each(|(answer, _)| answer(Err(full_journal())));
            return Ok(());
        }
        self.journal.stage(&entry);
        log.end = end;
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
            bytes: Vec::new(),
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
                self.lane.wait(&mut || true);
            }
            self.reap()?;
        }
        Ok(true)
    }

    pub(super) fn drain_in_flight(&mut self) -> Result<(), Fatal> {
        self.reap()?;
        while !self.in_flight.is_empty() {
            self.lane.wait(&mut || true);
            self.reap()?;
        }
        Ok(())
    }
}
