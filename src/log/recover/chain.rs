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
        let mut parts = plan.parts.iter().rev();
        let mut part = parts.next();
        let mut joint = part.map(|part| Joint {
            epoch: part.epoch,
            until: part.until,
        });
        while let Some(Joint { epoch, until }) = joint {
            let known = part.filter(|part| part.epoch == epoch);
            let chosen = self.choose(log, plan, epoch, until, known)?;
            joint = match epoch == plan.first_epoch {
                true => None,
                false => chosen.header.previous,
            };
            if known.is_some() {
                part = parts.next();
            }
            if joint.is_none() && epoch != plan.first_epoch {
                let fault = Fault {
                    what: "first segment of the log",
                    expected: plan.first_epoch.0,
                    found: epoch.0,
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
        epoch: Epoch,
        until: u64,
        known: Option<&Part>,
    ) -> Result<Chosen, OpenError> {
        let home = self.reading.identity.home;
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
        let synced = known.map_or(until, |part| part.synced);
        if length < synced {
            let fault = Fault {
                what: "length of the file",
                expected: synced,
                found: length,
            };
            return Err(self.hole(log, name, length, fault));
        }
        let header = Header::parse(&block).map_err(|fault| match fault.what {
            "segment format version" => OpenError::Identity(format!(
                "{name} has segment format {}, and this build reads format {}. Nothing was \
                 changed; use the version of Dolmen that wrote it",
                fault.found,
                segment::VERSION
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
        Ok(Chosen {
            header,
            until,
            is_in_journal: false,
        })
    }
}
