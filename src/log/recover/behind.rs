//! Checks what the segments hold, looks behind their ends, and clears up.

use super::*;

impl Recovery<'_> {
    /// Checks every record of the segment that was written to last.
    pub(super) fn verify(&self, shelved: &Shelved, report: &mut Report) -> Result<(), OpenError> {
        let (Some(segment), Some(chosen)) = (shelved.segments.last(), shelved.chain.last()) else {
            return Ok(());
        };
        let log = chosen.header.log;
        report.scanned_bytes += chosen.until - BODY;
        let end = segment.verify(&*self.disk, shelved.format, chosen.until);
        let end = end.map_err(|error| match error {
            ReadError::Hole(hole) => OpenError::Hole(hole),
            ReadError::Io { doing, source } => OpenError::Io { doing, source },
            other => OpenError::Identity(other.to_string()),
        })?;
        if end != shelved.plan.end && !planted!(HoleCut) {
            let (expected, found) = (shelved.plan.end.next.0, end.next.0);
            let fault = Fault {
                what: "index after the last record",
                expected,
                found,
            };
            return Err(self.hole(log, segment.name.clone(), chosen.until, fault));
        }
        Ok(())
    }

    /// Puts zeros behind the end of a log: bytes of a straight batch that
    /// never counted.
    pub(super) fn put_zeros_behind(&self, shelved: &Shelved) -> Result<(), OpenError> {
        let (Some(segment), Some(chosen)) = (shelved.segments.last(), shelved.chain.last()) else {
            return Ok(());
        };
        let clean = || -> io::Result<()> {
            let file = segment.file(&*self.disk)?;
            let length = file.len()?;
            let mut buffer = vec![0; 256 << 10];
            let mut at = chosen.until;
            let mut is_changed = false;
            while at < length {
                let count = buffer.len().min((length - at) as usize);
                file.read_exact_at(at, &mut buffer[..count])?;
                if buffer[..count].iter().any(|&byte| byte != 0) {
                    is_changed = true;
                    file.write_all_at(at, &vec![0; count])?;
                }
                at += count as u64;
            }
            match is_changed {
                true => file.sync(),
                false => Ok(()),
            }
        };
        clean().map_err(OpenError::io(format!("clear the tail of {}", segment.name)))
    }

    /// Frames that stand behind the end, and came through the journal or know
    /// of something durable beyond it, prove that the journal has lost what it
    /// held last. What a straight batch leaves behind without a mark came past
    /// the journal and knows of nothing beyond the end.
    pub(super) fn look_behind_the_end(&self, shelves: &[Shelved]) -> Result<(), OpenError> {
        for shelved in shelves.iter().filter(|shelved| shelved.format.is_framed()) {
            let end = shelved.plan.end.next;
            let Some(chosen) = shelved.chain.last() else {
                continue;
            };
            let active = (
                chosen.header.epoch,
                chosen.header.file_name(),
                chosen.until,
                end,
            );
            let later = self.survey.segments.values().filter(|named| {
                named.log == chosen.header.log && named.epoch > chosen.header.epoch
            });
            let later = later.map(|named| {
                let name = named.file_name();
                // A restart that never counted began it beyond the end.
                (named.epoch, name, BODY, end.max(named.first))
            });
            for (epoch, name, from, least) in std::iter::once(active).chain(later) {
                let known = self.durable_behind(&name, epoch, from);
                let known = known.map_err(OpenError::io(format!("read {name}")))?;
                if known > least && !planted!(HoleCut) {
                    let (expected, found) = (known.0, end.0);
                    let what = "end of the log by the journal";
                    let fault = Fault {
                        what,
                        expected,
                        found,
                    };
                    return Err(self.hole(chosen.header.log, name, from, fault));
                }
            }
        }
        Ok(())
    }

    /// The furthest durable end that the frames from a place on know of.
    pub(super) fn durable_behind(&self, name: &str, epoch: Epoch, from: u64) -> io::Result<Index> {
        let file = self.disk.open(name, How::Read)?;
        let length = file.len()?;
        let mut known = Index(0);
        let mut head = [0; frame::HEADER_BYTES];
        if from + head.len() as u64 > length {
            return Ok(known);
        }
        file.read_exact_at(from, &mut head)?;
        // Nearly always there is nothing, and no reason to read more.
        if !matches!(FRAMES.measure(&head), Ok(Step::Record(_))) {
            return Ok(known);
        }
        let mut bytes = vec![0; (length - from) as usize];
        file.read_exact_at(from, &mut bytes)?;
        let mut rest = &bytes[..];
        while let Ok(Some((frame, length))) = frame::parse(rest) {
            if frame.epoch != epoch {
                break;
            }
            known = known.max(frame.durable_until);
            if !frame.is_straight {
                known = known.max(Index(frame.index.0 + 1));
            }
            rest = &rest[length..];
        }
        Ok(known)
    }

    /// Removes the files that no log counts, and syncs the folder.
    pub(super) fn clear(&self, shelves: &[Shelved]) -> Result<usize, OpenError> {
        let kept: BTreeSet<(LogId, Epoch)> = shelves
            .iter()
            .flat_map(|shelved| &shelved.chain)
            .map(|chosen| (chosen.header.log, chosen.header.epoch))
            .collect();
        let sealed: BTreeSet<(LogId, Epoch)> = shelves
            .iter()
            .flat_map(|shelved| shelved.chain.iter().rev().skip(1))
            .map(|chosen| (chosen.header.log, chosen.header.epoch))
            .collect();
        let mut names = Vec::new();
        for (key, named) in &self.survey.segments {
            if !kept.contains(key) {
                names.push(named.file_name());
            }
        }
        for named in &self.survey.footers {
            if !sealed.contains(&(named.log, named.epoch)) {
                names.push(segment::footer_name(&named.file_name()));
            }
        }
        names.sort();
        for name in &names {
            self.disk
                .remove(name)
                .map_err(OpenError::io(format!("remove {name}")))?;
        }
        if !planted!(FolderNotSynced) {
            let synced = self.disk.sync_folder(segment::FOLDER);
            synced.map_err(OpenError::io("sync the segments' folder"))?;
        }
        Ok(names.len())
    }
}
