//! Opens a data directory: reads the journal, brings every segment to what
//! the journal says, and begins a new journal file.
//!
//! Reading comes first and changes nothing: a directory that cannot be opened
//! is left as it was. What follows can be interrupted anywhere and done again,
//! with the same outcome: the old journal files stay until a new one is
//! durable. Nothing that is read counts as durable because it could be read:
//! what no batch proves to be synced is written again.

mod behind;
mod chain;
mod reading;
mod replay;
mod secure;
mod survey;

use chain::Chosen;
use reading::{Loaded, Reading, foreign};
use survey::Survey;

use super::batch::{self, Entry, Joint};
use super::device::{Active, Device, Log, Unfooted};
use super::errors::{Hole, OpenError, ReadError};
use super::format::{Fault, Format, Step};
use super::frame::{self, FRAMES};
use super::identity::{self, Identity};
use super::journal::{self, Current, Found, Journal};
use super::maps::Maps;
use super::plan::{LogPlan, Part, Plan};
use super::scan::{self, Bad, Ending, Scanned};
use super::segment::{self, BODY, Header, InPlace, Named};
use super::settings::Settings;
use super::shelf::{Segment, Shelf};
use crate::disk::{Disk, File, How, Lane, Map};
use crate::entropy::Entropy;
use crate::ids::{Epoch, Index, JournalNumber, LogId};
use crate::limits::BLOCK_BYTES;
use crate::planted;
use crate::wire::{crc32c, crc32c_append};
use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::io;
use std::ops::{Deref, Range};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What opening found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The directory was empty.
    pub is_new: bool,
    /// The last stop was clean: nothing was replayed or scanned.
    pub was_clean: bool,
    pub logs: usize,
    pub replayed_batches: u64,
    pub replayed_bytes: u64,
    pub scanned_bytes: u64,
    /// A batch that was being written when the power went.
    pub torn: Option<String>,
    /// Files of segments that never came to count, or no longer do.
    pub removed: usize,
}

/// What is to be opened, and by whom.
pub struct Opening<'a> {
    pub disk: Arc<dyn Disk>,
    /// The lane of the calling thread.
    pub lane: Box<dyn Lane>,
    pub entropy: &'a dyn Entropy,
    pub settings: Settings,
    pub formats: &'a [&'static dyn Format],
}

pub fn open(opening: Opening<'_>) -> Result<(Device, Report), OpenError> {
    let Opening {
        disk,
        lane,
        entropy,
        settings,
        formats,
    } = opening;
    let survey = Survey::make(&*disk)?;
    match survey.identity {
        Some(identity) => {
            let reading = Reading::make(&*disk, identity, &survey)?;
            Recovery {
                disk,
                settings,
                formats,
                survey,
                reading,
                maps: Arc::default(),
            }
            .carry_out(lane)
        }
        None => begin(disk, lane, entropy, settings, &survey),
    }
}

/// A directory without an identity: new, or somebody else's.
fn begin(
    disk: Arc<dyn Disk>,
    lane: Box<dyn Lane>,
    entropy: &dyn Entropy,
    settings: Settings,
    survey: &Survey,
) -> Result<(Device, Report), OpenError> {
    if !survey.journal.is_empty() || !survey.segments.is_empty() {
        return Err(OpenError::Identity(format!(
            "the data directory holds journal or segment files and no file \"{}\": part of it is \
             missing. Nothing was changed; bring it back whole from a backup",
            identity::NAME
        )));
    }
    let identity = Identity::draw(entropy).map_err(OpenError::io("draw an identity"))?;
    let make = || {
        disk.make_folder(journal::FOLDER)?;
        disk.make_folder(segment::FOLDER)?;
        identity::write(&*disk, &identity)
    };
    make().map_err(OpenError::io("make the data directory"))?;
    let found = Found {
        home: identity.home,
        number: JournalNumber(0),
        sequence: 1,
        live: Default::default(),
        spares: Vec::new(),
    };
    let journal = Journal::new(found, None, &settings);
    let maps = Arc::default();
    let mut device = Device::assemble(disk, lane, settings, identity.home, journal, maps, 1);
    device.begin_journal()?;
    Ok((
        device,
        Report {
            is_new: true,
            ..Report::default()
        },
    ))
}

struct Recovery<'a> {
    disk: Arc<dyn Disk>,
    settings: Settings,
    formats: &'a [&'static dyn Format],
    survey: Survey,
    reading: Reading,
    maps: Arc<Maps>,
}

impl Recovery<'_> {
    fn carry_out(mut self, lane: Box<dyn Lane>) -> Result<(Device, Report), OpenError> {
        let was_clean = self.reading.is_clean();
        let mut report = Report {
            was_clean,
            torn: self.reading.torn.clone(),
            ..Report::default()
        };
        let mut chains = Vec::new();
        for (&log, plan) in &self.reading.plan.logs {
            let format = self.format_of(log, plan)?;
            chains.push((log, format, self.chain(log, plan)?));
        }
        self.see_every_epoch();
        let shelves = chains
            .into_iter()
            .map(|(log, format, chain)| self.shelve(log, format, chain))
            .collect::<Vec<_>>();
        self.secure_journal()?;
        if !was_clean {
            self.replay(&shelves, &mut report)?;
            for shelved in &shelves {
                self.verify(shelved, &mut report)?;
            }
            self.look_behind_the_end(&shelves)?;
            for shelved in &shelves {
                self.put_zeros_behind(shelved)?;
            }
            report.removed = self.clear(&shelves)?;
        }
        report.logs = shelves.len();
        let mut device = self.device(lane, was_clean)?;
        for shelved in shelves {
            device.unfooted.extend(self.unfooted(&shelved));
            let (id, log) = shelved.into_log(device.settings.segment_bytes);
            device.logs.insert(id, log);
        }
        // After a clean stop the journal goes on in the file that it left,
        // unless a later one was named and never begun.
        if !device.journal.is_begun() {
            device.begin_journal()?;
        }
        Ok((device, report))
    }

    fn format_of(&self, log: LogId, plan: &LogPlan) -> Result<&'static dyn Format, OpenError> {
        let known = self
            .formats
            .iter()
            .find(|format| format.id() == plan.format);
        known.copied().ok_or_else(|| {
            OpenError::Identity(format!(
                "log {log} has record format {}, which this build does not know. Nothing was \
                 changed; use the version of Dolmen that wrote it",
                plan.format
            ))
        })
    }

    fn hole(&self, log: LogId, file: String, at: u64, fault: Fault) -> OpenError {
        OpenError::Hole(Hole {
            log: Some(log),
            file,
            at,
            fault,
        })
    }

    fn see_every_epoch(&mut self) {
        let plan = &mut self.reading.plan;
        self.survey
            .segments
            .keys()
            .for_each(|&(_, epoch)| plan.see(epoch));
        for name in &self.survey.spares {
            let digits = name
                .rsplit('/')
                .next()
                .and_then(|name| name.split('.').next());
            if let Some(epoch) = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()) {
                plan.see(Epoch(epoch));
            }
        }
    }

    fn shelve(&self, log: LogId, format: &'static dyn Format, chain: Vec<Chosen>) -> Shelved {
        let plan = &self.reading.plan.logs[&log];
        let (disk, maps) = (self.disk.clone(), self.maps.clone());
        let shelf = Arc::new(Shelf::new(log, format, disk, maps));
        shelf.set_first(plan.first);
        shelf.set_written(plan.end.next);
        shelf.set_taken(plan.end.next);
        shelf.set_durable(plan.end.next);
        shelf.set_readable(plan.end.next);
        let last = chain.len().saturating_sub(1);
        let segments: Vec<Arc<Segment>> = chain
            .iter()
            .enumerate()
            .map(|(place, chosen)| {
                let segment = Segment::new(chosen.header, chosen.until);
                segment.is_sealed.store(place < last, Ordering::Relaxed);
                Arc::new(segment)
            })
            .collect();
        shelf.set_segments(segments.clone());
        Shelved {
            shelf,
            format,
            plan: plan.clone(),
            chain,
            segments,
        }
    }

    /// Sealed segments whose footer the power took, or a crash before it.
    fn unfooted(&self, shelved: &Shelved) -> Vec<Unfooted> {
        let have: BTreeSet<(LogId, Epoch)> = self
            .survey
            .footers
            .iter()
            .map(|named| (named.log, named.epoch))
            .collect();
        let sealed = shelved.segments.iter().zip(shelved.segments.iter().skip(1));
        sealed
            .filter(|(segment, _)| !have.contains(&(segment.header.log, segment.header.epoch)))
            .map(|(segment, next)| Unfooted {
                segment: segment.clone(),
                until: segment.readable(),
                end: next.header.start,
            })
            .collect()
    }

    fn device(&self, lane: Box<dyn Lane>, was_clean: bool) -> Result<Device, OpenError> {
        let Reading {
            identity,
            last,
            plan,
            ..
        } = &self.reading;
        let mut spares = Vec::new();
        for name in self.survey.spares.iter().chain(&self.survey.litter) {
            let whole = journal::is_spare(name)
                && journal::has_length(&*self.disk, name, self.settings.journal_file_bytes)
                    .map_err(OpenError::io(format!("look at {name}")))?;
            match whole {
                true => spares.push(name.clone()),
                false => self
                    .disk
                    .remove(name)
                    .map_err(OpenError::io(format!("remove {name}")))?,
            }
        }
        let found = Found {
            home: identity.home,
            number: self.survey.journal.last().copied().unwrap_or_default(),
            sequence: last.last.sequence + 1,
            live: self.survey.journal.iter().copied().collect(),
            spares,
        };
        let current = match was_clean && found.number == last.header.number {
            true => Some(self.current()?),
            false => None,
        };
        let journal = Journal::new(found, current, &self.settings);
        let (disk, settings) = (self.disk.clone(), self.settings.clone());
        let next_epoch = plan.next_epoch.max(1);
        Ok(Device::assemble(
            disk,
            lane,
            settings,
            identity.home,
            journal,
            self.maps.clone(),
            next_epoch,
        ))
    }

    fn current(&self) -> Result<Current, OpenError> {
        let last = &self.reading.last;
        let name = journal::file_name(last.header.number);
        let how = if self.settings.journal_direct {
            How::WriteDirect
        } else {
            How::Write
        };
        let file = self
            .disk
            .open(&name, how)
            .map_err(OpenError::io(format!("open {name}")))?;
        Ok(Current {
            file,
            epoch: last.header.epoch,
            at: last.last.until,
            previous: last.last.check,
        })
    }
}

/// A log on its way into the device.
struct Shelved {
    shelf: Arc<Shelf>,
    format: &'static dyn Format,
    plan: LogPlan,
    chain: Vec<Chosen>,
    segments: Vec<Arc<Segment>>,
}

impl Shelved {
    fn into_log(self, segment_bytes: u64) -> (LogId, Log) {
        let mut log = Log::new(self.shelf, self.format, segment_bytes);
        log.end = self.plan.end;
        log.first_epoch = self.plan.first_epoch;
        log.active = self
            .segments
            .last()
            .zip(self.chain.last())
            .map(|(segment, chosen)| Active {
                segment: segment.clone(),
                until: chosen.until,
                // What the file surely has; it grows when the next record comes.
                room: chosen.until,
                is_growing: false,
            });
        (log.shelf.id, log)
    }
}
