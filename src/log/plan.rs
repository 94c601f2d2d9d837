//! What the journal says every log should be: the table of the oldest file
//! that is needed, then every entry in order. Pure; recovery carries it out.

use super::batch::{Entry, Joint, Line};
use super::format::{End, Fault};
use crate::ids::{Epoch, Index, LogId};
use std::collections::BTreeMap;

/// One segment as far as the journal knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub epoch: Epoch,
    /// The bytes that count.
    pub until: u64,
    /// Its beginning, where the journal holds it: then every byte of it that
    /// is not synced is in the journal too, and a lost file can be made anew.
    pub start: Option<(Option<Joint>, End)>,
    /// Bytes below this were synced before the oldest needed file began.
    pub synced: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPlan {
    pub format: u16,
    pub first: Index,
    pub first_epoch: Epoch,
    pub end: End,
    /// The active one last, before it older ones that the journal knows of, also
    /// some that count no more; what else there is, the files themselves tell.
    pub parts: Vec<Part>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub logs: BTreeMap<LogId, LogPlan>,
    pub next_epoch: u64,
}

impl Plan {
    pub fn take_table(&mut self, next_epoch: Epoch, lines: &[Line]) {
        self.see(Epoch(next_epoch.0.saturating_sub(1)));
        for line in lines {
            self.logs.insert(
                line.log,
                LogPlan {
                    format: line.format,
                    first: line.first,
                    first_epoch: line.first_epoch,
                    end: line.end,
                    parts: vec![Part {
                        epoch: line.epoch,
                        until: line.until,
                        start: None,
                        synced: line.until,
                    }],
                },
            );
        }
    }

    /// No epoch that was ever given out is given out again.
    pub fn see(&mut self, epoch: Epoch) {
        self.next_epoch = self.next_epoch.max(epoch.0 + 1);
    }

    pub fn take_entry(&mut self, entry: &Entry<'_>) -> Result<(), Fault> {
        match *entry {
            Entry::Start {
                log,
                format,
                epoch,
                previous,
                end,
            } => {
                self.see(epoch);
                self.start(log, format, epoch, previous, end);
            }
            Entry::Append {
                log,
                epoch,
                at,
                end,
                bytes,
            } => {
                self.extend(log, epoch, at, at + bytes.len() as u64, end)?;
            }
            Entry::Mark {
                log,
                epoch,
                at,
                until,
                end,
                ..
            } => {
                self.extend(log, epoch, at, until, end)?;
            }
            Entry::Drop { log, epoch, first } => {
                let plan = self.logs.get_mut(&log).ok_or(no_such_log(log))?;
                plan.first = first;
                plan.first_epoch = epoch;
                if let Some(place) = plan.parts.iter().position(|part| part.epoch == epoch) {
                    plan.parts.drain(..place);
                }
            }
            Entry::Remove { log } => {
                self.logs.remove(&log);
            }
        }
        Ok(())
    }

    fn start(&mut self, log: LogId, format: u16, epoch: Epoch, previous: Option<Joint>, end: End) {
        let part = Part {
            epoch,
            until: super::segment::BODY,
            start: Some((previous, end)),
            synced: super::segment::BODY,
        };
        let plan = self.logs.entry(log).or_insert_with(|| LogPlan {
            format,
            first: end.next,
            first_epoch: epoch,
            end,
            parts: Vec::new(),
        });
        match previous {
            Some(joint) => {
                let place = plan.parts.iter().position(|part| part.epoch == joint.epoch);
                // Where it is not there it was sealed before the journal begins,
                // or written anew: its own file tells. Of older ones the journal
                // may know still.
                if let Some(place) = place {
                    plan.parts.truncate(place + 1);
                    plan.parts[place].until = joint.until;
                }
            }
            None => {
                plan.parts.clear();
                plan.first = end.next;
                plan.first_epoch = epoch;
            }
        }
        plan.end = end;
        plan.parts.push(part);
    }

    fn extend(
        &mut self,
        log: LogId,
        epoch: Epoch,
        at: u64,
        until: u64,
        end: End,
    ) -> Result<(), Fault> {
        let plan = self.logs.get_mut(&log).ok_or(no_such_log(log))?;
        let part = plan.parts.last_mut().ok_or(no_such_log(log))?;
        let pairs = [
            ("epoch of an entry", part.epoch.0, epoch.0),
            ("place of an entry", part.until, at),
        ];
        for (what, expected, found) in pairs {
            if expected != found {
                return Err(Fault {
                    what,
                    expected,
                    found,
                });
            }
        }
        if until < at {
            return Err(Fault {
                what: "end of an entry",
                expected: at,
                found: until,
            });
        }
        part.until = until;
        plan.end = end;
        Ok(())
    }
}

fn no_such_log(log: LogId) -> Fault {
    Fault {
        what: "log of an entry",
        expected: 1,
        found: log.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: LogId = LogId(1);

    fn end(next: u64) -> End {
        End {
            next: Index(next),
            ..End::default()
        }
    }

    fn start(epoch: u64, previous: Option<(u64, u64)>, next: u64) -> Entry<'static> {
        let previous = previous.map(|(epoch, until)| Joint {
            epoch: Epoch(epoch),
            until,
        });
        Entry::Start {
            log: LOG,
            format: 1,
            epoch: Epoch(epoch),
            previous,
            end: end(next),
        }
    }

    fn append(epoch: u64, at: u64, bytes: &'static [u8], next: u64) -> Entry<'static> {
        Entry::Append {
            log: LOG,
            epoch: Epoch(epoch),
            at,
            end: end(next),
            bytes,
        }
    }

    fn planned(entries: &[Entry<'_>]) -> Result<Vec<(u64, u64)>, Fault> {
        let mut plan = Plan::default();
        entries
            .iter()
            .try_for_each(|entry| plan.take_entry(entry))?;
        let parts = plan
            .logs
            .remove(&LOG)
            .map(|log| log.parts)
            .unwrap_or_default();
        Ok(parts
            .iter()
            .map(|part| (part.epoch.0, part.until))
            .collect())
    }

    #[test]
    fn a_truncation_ends_the_segment_before() {
        let entries = [
            start(1, None, 0),
            append(1, 4096, &[0; 100], 1),
            append(1, 4196, &[0; 100], 2),
            start(2, Some((1, 4196)), 1),
            append(2, 4096, &[0; 50], 2),
        ];
        assert_eq!(planned(&entries), Ok(vec![(1, 4196), (2, 4146)]));
    }

    #[test]
    fn a_gap_is_a_fault() {
        let entries = [start(1, None, 0), append(1, 5000, &[0; 100], 1)];
        assert_eq!(planned(&entries).unwrap_err().what, "place of an entry");
    }

    #[test]
    fn a_removed_log_may_begin_anew() {
        let entries = [
            start(1, None, 0),
            Entry::Remove { log: LOG },
            start(2, None, 0),
        ];
        assert_eq!(planned(&entries), Ok(vec![(2, 4096)]));
    }
}
