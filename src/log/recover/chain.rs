//! The chain of a log's segments, from the active one back to the first kept.

use super::*;

/// One segment of a log, as it shall be.
pub(super) struct Chosen {
    pub(super) header: Header,
    pub(super) until: u64,
    /// The journal holds its beginning; the file is made where it is missing.
    pub(super) is_in_journal: bool,
}

impl Recovery<'_> {
    /// The segments of a log, oldest first: from the active one back to the
    /// first that is kept, each telling where the one before ends.
    pub(super) fn chain(&self, log: LogId, plan: &LogPlan) -> Result<Vec<Chosen>, OpenError> {
        let mut chain: Vec<Chosen> = Vec::new();
        let mut joint = plan.parts.last().map(|part| Joint {
            epoch: part.epoch,
            until: part.until,
        });
        while let Some(told) = joint {
            let chosen = self.choose(log, plan, told)?;
            joint = match is_first(&chosen.header, plan) {
                true => None,
                false => chosen.header.previous,
            };
            if joint.is_none() && !is_first(&chosen.header, plan) {
                let fault = Fault {
                    what: "first segment of the log",
                    expected: plan.first_epoch.0,
                    found: chosen.header.epoch.0,
                };
                return Err(self.hole(log, chosen.header.file_name(), 0, fault));
            }
            chain.push(chosen);
        }
        chain.reverse();
        Ok(chain)
    }

    pub(super) fn choose(
        &self,
        log: LogId,
        plan: &LogPlan,
        told: Joint,
    ) -> Result<Chosen, OpenError> {
        let home = self.reading.identity.home;
        let epoch = self.survey.in_place.of(log, told.epoch);
        let known = plan.parts.iter().find(|part| part.epoch == epoch);
        let until = told.until;
        if let Some(Part {
            start: Some((previous, start)),
            ..
        }) = known
        {
            let (previous, start) = (*previous, *start);
            let header = Header {
                home,
                log,
                format: plan.format,
                epoch,
                previous,
                start,
                rewritten: None,
            };
            return Ok(Chosen {
                header,
                until,
                is_in_journal: true,
            });
        }
        let Some(name) = self.survey.segment_name(log, epoch) else {
            let file = format!("the segment with epoch {:x}", epoch.0);
            let fault = Fault::missing("the file");
            return Err(self.hole(log, file, 0, fault));
        };
        let mut block = [0; BLOCK_BYTES];
        let read = || -> io::Result<u64> {
            let file = self.disk.open(&name, How::Read)?;
            let length = file.len()?;
            if length >= BODY {
                file.read_exact_at(0, &mut block)?;
            }
            Ok(length)
        };
        let length = { read }().map_err(OpenError::io(format!("read {name}")))?;
        // Who names a segment knows where it ends; who names the one that it
        // stands for does not.
        let is_named = told.epoch == epoch;
        if is_named {
            let synced = known.map_or(until, |part| part.synced);
            self.check_length(log, &name, length, synced)?;
        }
        let header = Header::parse(&block).map_err(|fault| match fault.what {
            "segment format version" => OpenError::Identity(format!(
                "{name} has segment format {}, and this build reads format {}. Nothing was \
                 changed; use the version of Dolmen that wrote it",
                fault.found,
                segment::VERSION_REWRITTEN
            )),
            _ => self.hole(log, name.clone(), 0, fault),
        })?;
        if header.home != home {
            return Err(foreign(
                &name,
                header.home.to_string(),
                &self.reading.identity,
            ));
        }
        if (header.log, header.epoch) != (log, epoch) {
            let fault = Fault {
                what: "log of the segment",
                expected: log.0,
                found: header.log.0,
            };
            return Err(self.hole(log, name, 0, fault));
        }
        let until = match header.rewritten {
            Some(rewritten) if !is_named => rewritten.until,
            _ => until,
        };
        if !is_named {
            self.check_length(log, &name, length, until)?;
        }
        Ok(Chosen {
            header,
            until,
            is_in_journal: false,
        })
    }

    fn check_length(
        &self,
        log: LogId,
        name: &str,
        found: u64,
        expected: u64,
    ) -> Result<(), OpenError> {
        let what = "length of the file";
        let fault = Fault {
            what,
            expected,
            found,
        };
        match found < expected {
            true => Err(self.hole(log, name.into(), found, fault)),
            false => Ok(()),
        }
    }
}

/// Whether a log begins with this segment. One that was written anew may have
/// taken the place of the segment that the journal names as the first.
fn is_first(header: &Header, plan: &LogPlan) -> bool {
    let holds_first = header.start.next <= plan.first;
    header.epoch == plan.first_epoch || (header.rewritten.is_some() && holds_first)
}
