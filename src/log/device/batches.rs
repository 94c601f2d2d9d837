//! Batches on their way to the disk, and the journal's next file.

use super::*;

impl Device {
    pub(super) fn start_batch(&mut self) -> Result<(), Fatal> {
        if self.in_flight.len() >= self.lane.depth() {
            return Ok(());
        }
        if self.journal.staged_bytes() > 0 {
            self.seal_and_start();
        } else if !self.staged.answers.is_empty() {
            // A change that needed no entry: done when all before it is.
            if self.in_flight.is_empty() {
                let staged = std::mem::take(&mut self.staged);
                self.apply(staged);
            }
        }
        Ok(())
    }

    pub(super) fn seal_and_start(&mut self) {
        let Sealed {
            file,
            at,
            block,
            sequence,
        } = self.journal.seal();
        let token = self.token();
        let mut staged = std::mem::take(&mut self.staged);
        if planted!(AnswerBeforeSync) {
            for (answer, appended) in staged.answers.drain(..) {
                answer(Ok(appended));
            }
        }
        self.in_flight.push_back(InFlight {
            token,
            sequence,
            is_done: false,
            staged,
        });
        self.figures.batches += 1;
        self.lane.write_durable(token, &file, at, block);
        // Made while there is time, so that nobody waits for it.
        if self.journal.wants_spare() {
            self.prepare_spare();
        }
        if let Some((spare, name)) = self.journal.name_next() {
            self.name_next(spare, name);
        }
    }

    fn name_next(&mut self, spare: String, name: String) {
        let disk = self.disk.clone();
        self.background(
            Running::Naming,
            Box::new(move || {
                disk.rename(&spare, &name)?;
                sync_names(&*disk)
            }),
        );
    }

    /// Begins the next journal file. False where it must wait: batches are in
    /// flight, or every file is in use.
    pub(super) fn roll(&mut self, why: Roll) -> Result<bool, Fatal> {
        if !self.in_flight.is_empty() {
            return Ok(false);
        }
        if why == Roll::Going && self.journal.is_full() {
            self.figures.stalls += 1;
            self.make_way();
            return Ok(false);
        }
        if why != Roll::Going {
            self.journal.swept_all();
        }
        while self.journal.spares().are_naming() {
            self.lane.wait(None, &mut || true);
            self.reap()?;
        }
        let lines = self.lines();
        let token = self.token();
        let epoch = self.take_epoch();
        let next_epoch = Epoch(self.next_epoch);
        let opening = self
            .journal
            .open_next(
                &*self.disk,
                &self.settings,
                epoch,
                next_epoch,
                &lines,
                why == Roll::Stopping,
            )
            .map_err(|error| failed("begin a journal file", &error))?;
        let Some(Opening { first, naming }) = opening else {
            // No spare, and no room to make one.
            if why == Roll::Going {
                self.make_way();
            }
            return Ok(false);
        };
        self.journal.await_opening(token);
        self.lane
            .write_durable(token, &first.file, first.at, first.block);
        while self.journal.is_opening() {
            self.lane.wait(None, &mut || true);
            self.reap()?;
        }
        if naming == Naming::Unsynced {
            let synced = sync_names(&*self.disk);
            synced.map_err(|error| failed("sync the journal's folder", &error))?;
        }
        self.journal.opened();
        if why == Roll::Going {
            self.begin_sweep();
        }
        Ok(true)
    }

    /// Does what frees the oldest journal file: a sweep, then a batch that
    /// tells of it.
    pub(super) fn make_way(&mut self) {
        if self.journal.has_untold_trim() {
            self.seal_and_start();
        } else {
            self.begin_sweep();
            self.go_on_sweeping();
        }
    }

    pub(in crate::log) fn take_epoch(&mut self) -> Epoch {
        self.next_epoch += 1;
        Epoch(self.next_epoch - 1)
    }

    /// Every log as it stands, nothing staged.
    pub(in crate::log) fn lines(&self) -> Vec<Line> {
        let line = |(&id, log): (&LogId, &Log)| {
            let active = log.active.as_ref()?;
            Some(Line {
                log: id,
                format: log.format.id(),
                first: log.shelf.first(),
                first_epoch: log.first_epoch,
                epoch: active.segment.header.epoch,
                until: active.until,
                end: log.end,
            })
        };
        self.logs.iter().filter_map(line).collect()
    }

    pub(super) fn prepare_spare(&mut self) {
        if self.spares_coming() == 0 {
            let epoch = self.take_epoch();
            self.go_on_making(Making::begin(epoch, self.settings.journal_file_bytes));
        }
    }

    /// A piece at a time, so that the worker can write tails in between.
    pub(super) fn go_on_making(&mut self, mut making: Making) {
        let task = making.go_on(self.disk.clone());
        self.background(Running::Making(making), task);
    }
}

/// A file counts once its name is on stable storage.
fn sync_names(disk: &dyn Disk) -> io::Result<()> {
    match planted!(FolderNotSynced) {
        true => Ok(()),
        false => disk.sync_folder(crate::log::journal::FOLDER),
    }
}
