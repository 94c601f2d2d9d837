//! Tails and sweeps: durable bytes go to their segments, segments are synced,
//! sealed ones get their footer.

use super::*;

impl Device {
    /// Hands every durable tail to the worker. What is in its segment already,
    /// and behind nothing that is not, can be read at once.
    pub(super) fn show(&mut self) {
        let durable = self.journal.durable();
        let (mut bytes, mut is_there_bytes) = (0, 0);
        let mut work: Vec<(Arc<Shelf>, Vec<Tail>)> = Vec::new();
        let mut logs = Vec::new();
        self.tailed.retain(|id| {
            let Some(log) = self.logs.get_mut(id) else {
                return false;
            };
            let count = log.tails.partition_point(|tail| tail.sequence < durable);
            if count > 0 {
                let tails: Vec<Tail> = log.tails.drain(..count).collect();
                let held: usize = tails.iter().map(|tail| tail.held_bytes).sum();
                let is_there = log.showing == 0 && tails.iter().all(|tail| tail.bytes.is_empty());
                if is_there {
                    is_there_bytes += held;
                    show_written(&log.shelf, &tails);
                } else {
                    bytes += held;
                    log.showing += 1;
                    logs.push(*id);
                    work.push((log.shelf.clone(), tails));
                }
            }
            !log.tails.is_empty()
        });
        self.pending_bytes -= is_there_bytes;
        if work.is_empty() {
            return;
        }
        self.showing += 1;
        let disk = self.disk.clone();
        self.background(
            Running::Show { logs, bytes },
            Box::new(move || {
                work.into_iter()
                    .try_for_each(|(shelf, tails)| write_tails(&*disk, &shelf, tails))
            }),
        );
    }

    pub(super) fn begin_sweep(&mut self) {
        if self.sweep.is_some() {
            return;
        }
        let current = self.journal.number();
        let Some(until) = self.journal.last_swept_to(current) else {
            return;
        };
        self.show();
        let due: Vec<(LogId, Epoch)> = self
            .dirty
            .iter()
            .filter(|(_, dirty)| dirty.since <= until)
            .map(|(&key, _)| key)
            .collect();
        let left = due.iter().filter_map(|key| self.dirty.remove(key));
        self.sweep = Some(Sweep {
            until,
            left: left.map(|dirty| dirty.segment).collect(),
            is_folder_due: std::mem::take(&mut self.is_folder_dirty),
        });
        if planted!(TrimBeforeSync) {
            self.sweep = None;
            self.journal.swept(until);
        }
    }

    /// One segment at a time, so that the worker can write tails in between: a
    /// hundred that are written alike want their sync at about the same time.
    /// With every journal file full, several: beside each other they share the
    /// file system's commits, and there is no sync of the journal to hold up.
    pub(super) fn go_on_sweeping(&mut self) {
        if self.is_syncing {
            return;
        }
        let Some(sweep) = &mut self.sweep else {
            return self.ease();
        };
        let is_stalled = self.journal.is_full() && self.journal.wants_roll(&self.settings);
        let at_once = match is_stalled {
            true => SYNCS_AT_ONCE,
            false => 1,
        };
        let rest = sweep.left.len().saturating_sub(at_once);
        let next = sweep.left.split_off(rest);
        let disk = self.disk.clone();
        let task: crate::disk::Task = if !next.is_empty() {
            Box::new(move || match &next[..] {
                [one] => one.sync(&*disk),
                many => Segment::sync_all(many, &*disk),
            })
        } else if std::mem::take(&mut sweep.is_folder_due) {
            Box::new(move || match planted!(FolderNotSynced) {
                true => Ok(()),
                false => disk.sync_folder(segment::FOLDER),
            })
        } else {
            let until = sweep.until;
            self.sweep = None;
            self.journal.swept(until);
            self.figures.sweeps += 1;
            self.write_footers();
            return;
        };
        self.sync_behind(task);
    }

    fn ease(&mut self) {
        // A sweep may have come by meanwhile.
        let due = std::iter::from_fn(|| self.uneased.pop_front()).find(|one| one.wants_sync());
        if let Some(segment) = due {
            let disk = self.disk.clone();
            self.sync_behind(Box::new(move || segment.sync(&*disk)));
        }
    }

    fn sync_behind(&mut self, task: crate::disk::Task) {
        self.is_syncing = true;
        self.background(Running::Sync, task);
    }

    /// Footers of segments whose last bytes are in the file.
    pub(super) fn write_footers(&mut self) {
        // The others' last bytes are still on their way.
        let is_whole = |one: &Unfooted| one.segment.readable() == one.until;
        let (whole, rest) = std::mem::take(&mut self.unfooted)
            .into_iter()
            .partition(is_whole);
        self.unfooted = rest;
        for Unfooted { segment, end, .. } in whole as Vec<Unfooted> {
            let disk = self.disk.clone();
            self.background(
                Running::Tidy,
                Box::new(move || crate::log::shelf::write_footer(&*disk, &segment, end)),
            );
        }
    }
}

pub(super) fn ease_soon(uneased: &mut VecDeque<Arc<Segment>>, segment: &Arc<Segment>) {
    let is_in = |one: &Arc<Segment>| Arc::ptr_eq(one, segment);
    if segment.wants_sync() && !uneased.iter().any(is_in) {
        uneased.push_back(segment.clone());
    }
}
