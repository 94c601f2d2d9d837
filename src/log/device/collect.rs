//! What the disk has finished: completions, and the answers they allow.

use super::*;

impl Device {
    pub(super) fn collect(&mut self) -> Result<(), Fatal> {
        self.reap()?;
        while let Some((straight, result)) = self.landed.pop_front() {
            self.finish_straight(straight, result)?;
        }
        Ok(())
    }

    /// As `collect`, but straight writes that have landed wait: their marks
    /// must not be staged while a batch is being drained.
    pub(super) fn reap(&mut self) -> Result<(), Fatal> {
        let mut done = std::mem::take(&mut self.done);
        self.lane.reap(&mut done);
        let outcome = done.drain(..).try_for_each(|one| self.finish(one));
        self.done = done;
        self.answer_durable();
        outcome
    }

    pub(super) fn finish(&mut self, done: Done) -> Result<(), Fatal> {
        let Done {
            token,
            mut result,
            block,
        } = done;
        if planted!(FsyncErrorIgnored) {
            result = Ok(());
        }
        if let Some(block) = block {
            self.journal.take_back(block);
            result.map_err(|error| failed("write to the journal", &error))?;
            let batch = self.in_flight.iter_mut().find(|batch| batch.token == token);
            if let Some(batch) = batch {
                batch.is_done = true;
            } else {
                self.journal.opening_done(token);
            }
            return Ok(());
        }
        match self.running.remove(&token) {
            Some(Running::Show { logs, bytes }) => {
                result.map_err(|error| failed("write to a segment", &error))?;
                self.pending_bytes -= bytes;
                self.showing -= 1;
                for id in logs {
                    // None is removed before its tails are written.
                    if let Some(log) = self.logs.get_mut(&id) {
                        log.showing -= 1;
                        if let Some(active) = &log.active {
                            sweep::ease_soon(&mut self.uneased, &active.segment);
                        }
                    }
                }
            }
            Some(Running::Straight(straight)) => self.landed.push_back((*straight, result)),
            Some(Running::Exchange(exchange)) => self.finish_exchange(*exchange, result)?,
            Some(Running::Sync) => {
                result.map_err(|error| failed("sync a segment", &error))?;
                self.is_syncing = false;
            }
            Some(Running::Making(making)) => match (result, making.is_whole()) {
                (Ok(()), true) => self.journal.spares().add(making.spare),
                (Ok(()), false) => self.go_on_making(making),
                (Err(_), _) => {
                    self.journal.spares().refuse();
                    self.figures.tidy_failures += 1;
                }
            },
            Some(Running::Spare { name }) => match result {
                Ok(()) => self.journal.spares().add(name),
                Err(_) => self.figures.tidy_failures += 1,
            },
            Some(Running::Naming) => {
                result.map_err(|error| failed("name a journal file", &error))?;
                self.journal.spares().named_next();
            }
            // Else it is tried again where the room is needed.
            Some(Running::Growth { log, epoch, room }) if result.is_ok() => {
                self.grown(log, epoch, room);
            }
            Some(Running::Growth { .. }) => {}
            Some(Running::Errand(done)) => done(result),
            Some(Running::Tidy) if result.is_err() => self.figures.tidy_failures += 1,
            Some(Running::Tidy) | None => {}
        }
        Ok(())
    }

    /// Answers batches in the order they were written, however they came back.
    pub(super) fn answer_durable(&mut self) {
        while self.in_flight.front().is_some_and(|batch| batch.is_done) {
            let batch = self.in_flight.pop_front().expect("looked at above");
            let free = self.journal.set_durable(batch.sequence + 1);
            self.apply(batch.staged);
            for number in free {
                self.free_file(number);
            }
        }
    }

    /// Recovery looks at this file no more: it becomes a spare, or goes.
    pub(super) fn free_file(&mut self, number: JournalNumber) {
        let name = crate::log::journal::file_name(number);
        let disk = self.disk.clone();
        // Under load a sweep frees several at once, and as many are wanted before
        // the next has come around: to remove one of 32 MiB takes 6 to 20 ms, to
        // make one 14, and tails wait behind either.
        if self.journal.files() + self.spares_coming() >= self.settings.journal_files_max {
            self.background(Running::Tidy, Box::new(move || disk.remove(&name)));
            return;
        }
        let spare = crate::log::journal::spare_name(self.take_epoch());
        let made = spare.clone();
        self.background(
            Running::Spare { name: spare },
            Box::new(move || disk.rename(&name, &made)),
        );
    }

    /// Gives back what a load has left, a file with each call.
    pub(super) fn give_back_spare(&mut self) {
        if let Some(name) = self.journal.spares().surplus() {
            let disk = self.disk.clone();
            self.background(Running::Tidy, Box::new(move || disk.remove(&name)));
        }
    }

    pub(super) fn spares_coming(&self) -> usize {
        self.running
            .values()
            .filter(|running| matches!(running, Running::Spare { .. } | Running::Making(_)))
            .count()
    }

    pub(super) fn apply(&mut self, staged: Staged) {
        for (log, next) in staged.logs {
            if let Some(log) = self.logs.get(&log) {
                log.shelf.set_durable(next);
            }
        }
        for (answer, appended) in staged.answers {
            answer(Ok(appended));
        }
        if !staged.removals.is_empty() {
            let disk = self.disk.clone();
            self.is_folder_dirty = true;
            self.background(
                Running::Tidy,
                Box::new(move || {
                    for name in &staged.removals {
                        let _ = disk.remove(&segment::footer_name(name));
                        disk.remove(name)?;
                    }
                    Ok(())
                }),
            );
        }
    }

    pub(super) fn background(&mut self, running: Running, task: crate::disk::Task) {
        let token = self.token();
        self.running.insert(token, running);
        self.lane.background(token, task);
    }

    pub(super) fn token(&mut self) -> Token {
        self.next_token += 1;
        Token(self.next_token)
    }
}
