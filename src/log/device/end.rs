//! The ends of a device: a failure, and a stop in order.

use super::*;

impl Device {
    pub(super) fn fail(&mut self, fatal: Fatal) {
        let refuse = |answer: Answer| answer(Err(Refused::Failed(fatal.to_string())));
        self.backlog
            .drain(..)
            .for_each(|(_, answer)| refuse(answer));
        let staged = std::mem::take(&mut self.staged).answers.into_iter();
        let in_flight = self
            .in_flight
            .drain(..)
            .flat_map(|batch| batch.staged.answers);
        staged
            .chain(in_flight)
            .for_each(|(answer, _)| refuse(answer));
        for running in std::mem::take(&mut self.running).into_values() {
            match running {
                Running::Straight(straight) => {
                    let answers = straight.answers.into_iter();
                    answers.for_each(|(answer, _)| refuse(answer));
                }
                Running::Exchange(exchange) => refuse(exchange.answer),
                _ => {}
            }
        }
        for log in self.logs.values_mut() {
            log.waiting.drain(..).for_each(|(_, answer)| refuse(answer));
            log.shelf.close();
        }
        self.fatal = Some(fatal);
    }

    /// After recovery: a journal file of its own, behind which nothing is
    /// needed any more.
    pub(in crate::log) fn begin_journal(&mut self) -> Result<(), OpenError> {
        let cannot = |fatal: Fatal| OpenError::Io {
            doing: "begin the journal".into(),
            source: io::Error::other(fatal.reason),
        };
        let full = || OpenError::Io {
            doing: "make a journal file".into(),
            source: io::ErrorKind::StorageFull.into(),
        };
        if !self.roll(Roll::Starting).map_err(cannot)? {
            return Err(full());
        }
        self.keep_only_last()
            .map_err(OpenError::io("trim the journal"))
    }

    pub(super) fn keep_only_last(&mut self) -> io::Result<()> {
        let epoch = self.take_epoch();
        self.journal.keep_only_last(&*self.disk, epoch)
    }

    /// Ends in order: answers what was asked for, syncs every segment, and
    /// leaves a mark that spares the next start the scan. On a full disk the
    /// mark may be missing; then the next start scans.
    pub fn close(mut self) -> Result<(), Fatal> {
        self.settle()?;
        self.finish_sweep()?;
        let due = std::mem::take(&mut self.dirty);
        self.sweep = Some(Sweep {
            until: self.journal.number(),
            left: due.into_values().map(|dirty| dirty.segment).collect(),
            is_folder_due: std::mem::take(&mut self.is_folder_dirty),
        });
        self.finish_sweep()?;
        while !self.running.is_empty() || !self.in_flight.is_empty() {
            self.lane.wait(None, &mut || true);
            self.collect()?;
        }
        if self.roll(Roll::Stopping)? {
            self.keep_only_last()
                .map_err(|error| failed("trim the journal", &error))?;
        }
        for log in self.logs.values() {
            log.shelf.close();
        }
        Ok(())
    }

    pub(super) fn finish_sweep(&mut self) -> Result<(), Fatal> {
        while self.sweep.is_some() {
            self.go_on_sweeping();
            if self.sweep.is_some() {
                self.lane.wait(None, &mut || true);
            }
            self.collect()?;
        }
        Ok(())
    }
}
