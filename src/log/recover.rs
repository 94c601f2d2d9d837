//! Opens a data directory: reads the journal, brings every segment to what
//! the journal says, and begins a new journal file.
//!
//! Reading comes first and changes nothing: a directory that cannot be opened
//! is left as it was. What follows can be interrupted anywhere and done again,
//! with the same outcome: the old journal files stay until a new one is
//! durable.

use super::batch::{self, Entry, Joint};
use super::device::{Active, Device, Log, Unfooted};
use super::errors::{Hole, OpenError, ReadError};
use super::format::{Fault, Format, Step};
use super::frame::{self, FRAMES};
use super::identity::{self, Identity};
use super::journal::{self, Current, Found, Journal};
use super::plan::{LogPlan, Part, Plan};
use super::scan::{self, Bad, Ending, Scanned};
use super::segment::{self, BODY, Header, Named};
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
use std::ops::Deref;
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
    let mut device = Device::assemble(disk, lane, settings, identity.home, journal, 1);
    device.begin_journal()?;
    Ok((
        device,
        Report {
            is_new: true,
            ..Report::default()
        },
    ))
}

/// The names in the directory.
struct Survey {
    identity: Option<Identity>,
    journal: BTreeSet<JournalNumber>,
    spares: Vec<String>,
    /// Names in the journal's folder that are left from a stop half-way.
    litter: Vec<String>,
    segments: BTreeMap<(LogId, Epoch), Named>,
    /// Footers, by the segment that they belong to.
    footers: Vec<Named>,
}

impl Survey {
    fn make(disk: &dyn Disk) -> Result<Self, OpenError> {
        let identity = identity::read(disk)?;
        let mut survey = Self {
            identity,
            journal: BTreeSet::new(),
            spares: Vec::new(),
            litter: Vec::new(),
            segments: BTreeMap::new(),
            footers: Vec::new(),
        };
        let list = |folder| {
            disk.list(folder)
                .map_err(OpenError::io(format!("list {folder}")))
        };
        for name in list(journal::FOLDER)? {
            let path = format!("{}/{name}", journal::FOLDER);
            match journal::parse_name(&name) {
                Some(number) => drop(survey.journal.insert(number)),
                None if journal::is_spare(&name) => survey.spares.push(path),
                None if name.ends_with(".raw") => survey.litter.push(path),
                None => {}
            }
        }
        for name in list(segment::FOLDER)? {
            match segment::parse_name(&name) {
                Some(named) if named.is_footer => survey.footers.push(named),
                Some(named) => drop(survey.segments.insert((named.log, named.epoch), named)),
                None => {}
            }
        }
        Ok(survey)
    }

    fn segment_name(&self, log: LogId, epoch: Epoch) -> Option<String> {
        let named = self.segments.get(&(log, epoch))?;
        Some(segment::file_name(named.log, named.first, named.epoch))
    }
}

/// What the journal says. Reading it changes nothing.
struct Reading {
    identity: Identity,
    /// The files that recovery needs, oldest first.
    needed: Vec<Loaded>,
    last: Scanned,
    plan: Plan,
    torn: Option<String>,
}

/// A journal file's bytes: from a map where the disk has maps, so that a
/// large journal costs no memory of its own.
enum Bytes {
    Mapped(Map),
    Held(Vec<u8>),
}

impl Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Mapped(map) => map.bytes(),
            Bytes::Held(bytes) => bytes,
        }
    }
}

/// A journal file that recovery needs.
struct Loaded {
    bytes: Bytes,
    scanned: Scanned,
}

fn load(disk: &dyn Disk, number: JournalNumber) -> Result<Bytes, OpenError> {
    let name = journal::file_name(number);
    let read = || -> io::Result<Bytes> {
        let file = disk.open(&name, How::Read)?;
        let length = file.len()?;
        if length > 0
            && let Some(map) = file.map(length)?
        {
            map.populate(0..length as usize)?;
            return Ok(Bytes::Mapped(map));
        }
        let mut bytes = vec![0; length as usize];
        file.read_exact_at(0, &mut bytes)?;
        Ok(Bytes::Held(bytes))
    };
    read().map_err(OpenError::io(format!("read {name}")))
}

fn scan_file(
    bytes: &[u8],
    number: JournalNumber,
    identity: &Identity,
) -> Result<scan::File, OpenError> {
    let name = journal::file_name(number);
    let scanned = scan::scan(bytes, number).map_err(|bad| match bad {
        Bad::Version { found } => OpenError::Identity(format!(
            "{name} has journal format {found}, and this build reads format {}. Nothing was \
             changed; use the version of Dolmen that wrote it",
            batch::VERSION
        )),
        Bad::Hole { at, fault } => OpenError::Hole(Hole {
            log: None,
            file: name.clone(),
            at,
            fault,
        }),
    })?;
    if let scan::File::Begun(scanned) = &scanned
        && scanned.header.home != identity.home
    {
        return Err(foreign(&name, scanned.header.home.to_string(), identity));
    }
    Ok(scanned)
}

fn foreign(name: &str, home: String, identity: &Identity) -> OpenError {
    OpenError::Identity(format!(
        "{name} belongs to data directory {home}, and this one is {}: files of two nodes or \
         clusters were mixed. Nothing was changed; put each back where it came from",
        identity.home
    ))
}

impl Reading {
    fn make(disk: &dyn Disk, identity: Identity, survey: &Survey) -> Result<Self, OpenError> {
        let mut numbers = survey.journal.clone();
        let (last_number, last, bytes) = loop {
            let Some(number) = numbers.pop_last() else {
                return Self::empty(identity, survey);
            };
            let bytes = load(disk, number)?;
            if let scan::File::Begun(scanned) = scan_file(&bytes, number, &identity)? {
                break (number, scanned, bytes);
            }
        };
        let oldest = last.last.oldest;
        let mut plan = Plan::default();
        let mut needed = Vec::new();
        let mut sequence = None;
        for number in (oldest.0..last_number.0).map(JournalNumber) {
            let name = journal::file_name(number);
            let missing = |what| {
                let fault = Fault::missing(what);
                OpenError::Hole(Hole {
                    log: None,
                    file: name.clone(),
                    at: 0,
                    fault,
                })
            };
            if !survey.journal.contains(&number) {
                return Err(missing("the file"));
            }
            let bytes = load(disk, number)?;
            let scan::File::Begun(scanned) = scan_file(&bytes, number, &identity)? else {
                return Err(missing("the opening table"));
            };
            Self::check_order(&name, &mut sequence, &scanned)?;
            take(&mut plan, &bytes, &scanned, &name, needed.is_empty())?;
            needed.push(Loaded { bytes, scanned });
        }
        let name = journal::file_name(last_number);
        Self::check_order(&name, &mut sequence, &last)?;
        take(&mut plan, &bytes, &last, &name, needed.is_empty())?;
        let torn = match last.ending {
            Ending::Torn { at, fault } => Some(format!("{name} at byte {at}: {fault}")),
            Ending::Clean => None,
        };
        let scanned = last.clone();
        needed.push(Loaded { bytes, scanned });
        Ok(Self {
            identity,
            needed,
            last,
            plan,
            torn,
        })
    }

    /// A file must end right where the next begins: the next was begun only
    /// after all of this was durable.
    fn check_order(
        name: &str,
        sequence: &mut Option<u64>,
        scanned: &Scanned,
    ) -> Result<(), OpenError> {
        if let Some(expected) = sequence.replace(scanned.last.sequence + 1)
            && expected != scanned.first_sequence
            && !planted!(HoleCut)
        {
            let found = scanned.first_sequence;
            let fault = Fault {
                what: "first batch after the file before",
                expected,
                found,
            };
            let (file, at) = (name.to_string(), BLOCK_BYTES as u64);
            return Err(OpenError::Hole(Hole {
                log: None,
                file,
                at,
                fault,
            }));
        }
        Ok(())
    }

    /// No journal file was ever begun: the power went during the first start.
    fn empty(identity: Identity, survey: &Survey) -> Result<Self, OpenError> {
        if !survey.segments.is_empty() {
            let fault = Fault::missing("every journal file");
            let file = journal::FOLDER.to_string();
            return Err(OpenError::Hole(Hole {
                log: None,
                file,
                at: 0,
                fault,
            }));
        }
        let header = batch::FileHeader {
            home: identity.home,
            number: JournalNumber(0),
            epoch: Epoch(0),
        };
        let last = scan::LastBatch {
            sequence: 0,
            kind: batch::Kind::Table,
            oldest: JournalNumber(0),
            check: 0,
            until: 0,
        };
        let last = Scanned {
            header,
            batches: Vec::new(),
            table_parts: 0,
            first_sequence: 0,
            last,
            ending: Ending::Clean,
        };
        Ok(Self {
            identity,
            needed: Vec::new(),
            last,
            plan: Plan::default(),
            torn: None,
        })
    }

    /// The last stop was clean, and nothing has been written since.
    fn is_clean(&self) -> bool {
        self.last.last.kind == batch::Kind::TableAtStop && self.last.ending == Ending::Clean
    }
}

/// Takes a file's batches into the plan; its table only where it is the
/// oldest that is needed.
fn take(
    plan: &mut Plan,
    bytes: &[u8],
    scanned: &Scanned,
    name: &str,
    is_oldest: bool,
) -> Result<(), OpenError> {
    plan.see(scanned.header.epoch);
    for (place, &at) in scanned.batches.iter().enumerate() {
        let hole = |fault| {
            let (file, at) = (name.to_string(), at as u64);
            OpenError::Hole(Hole {
                log: None,
                file,
                at,
                fault,
            })
        };
        let nothing = Fault::missing("batch");
        let batch = batch::parse(bytes, at)
            .map_err(hole)?
            .ok_or_else(|| hole(nothing))?;
        if place < scanned.table_parts {
            let (next_epoch, lines) = batch::parse_table(batch.body).map_err(hole)?;
            match is_oldest {
                true => plan.take_table(next_epoch, &lines),
                false => plan.take_table(next_epoch, &[]),
            }
            continue;
        }
        for entry in batch::entries(batch.body) {
            plan.take_entry(&entry.map_err(hole)?).map_err(hole)?;
        }
    }
    Ok(())
}

/// One segment of a log, as it shall be.
struct Chosen {
    header: Header,
    until: u64,
    /// The journal holds its beginning; the file is made where it is missing.
    is_in_journal: bool,
}

struct Recovery<'a> {
    disk: Arc<dyn Disk>,
    settings: Settings,
    formats: &'a [&'static dyn Format],
    survey: Survey,
    reading: Reading,
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
            let (id, log) = shelved.into_log();
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

    /// The segments of a log, oldest first: from the active one back to the
    /// first that is kept, each telling where the one before ends.
    fn chain(&self, log: LogId, plan: &LogPlan) -> Result<Vec<Chosen>, OpenError> {
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

    fn choose(
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
        let shelf = Arc::new(Shelf::new(log, format, self.disk.clone()));
        shelf.set_first(plan.first);
        shelf.set_written(plan.end.next);
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

    /// Writes what the journal holds into the segments, and syncs them.
    fn replay(&self, shelves: &[Shelved], report: &mut Report) -> Result<(), OpenError> {
        let mut places: BTreeMap<(LogId, Epoch), (&Chosen, &Arc<Segment>)> = BTreeMap::new();
        for shelved in shelves {
            for (chosen, segment) in shelved.chain.iter().zip(&shelved.segments) {
                places.insert((chosen.header.log, chosen.header.epoch), (chosen, segment));
                if chosen.is_in_journal {
                    self.make_file(chosen, segment)?;
                }
            }
        }
        let mut touched: BTreeMap<(LogId, Epoch), &Arc<Segment>> = places
            .iter()
            .filter(|(_, (chosen, _))| chosen.is_in_journal)
            .map(|(&key, &(_, segment))| (key, segment))
            .collect();
        let mut redoing = BTreeMap::new();
        for Loaded { bytes, scanned, .. } in &self.reading.needed {
            for &at in &scanned.batches[scanned.table_parts..] {
                let parsed = batch::parse(bytes, at).ok().flatten();
                let body = parsed.map(|batch| batch.body).unwrap_or_default();
                report.replayed_batches += 1;
                for entry in batch::entries(body).flatten() {
                    let epoch = match entry {
                        Entry::Append { epoch, .. } | Entry::Mark { epoch, .. } => epoch,
                        _ => continue,
                    };
                    let key = (entry.log(), epoch);
                    if let Some(&(chosen, segment)) = places.get(&key) {
                        touched.insert(key, segment);
                        let target = match redoing.entry(key) {
                            btree_map::Entry::Occupied(held) => held.into_mut(),
                            btree_map::Entry::Vacant(empty) => {
                                let opened = Target::open(&*self.disk, segment);
                                let opened = opened
                                    .map_err(OpenError::io(format!("open {}", segment.name)))?;
                                empty.insert(opened)
                            }
                        };
                        self.redo(&entry, chosen, target, report)?;
                    }
                }
            }
        }
        drop(redoing);
        let files: io::Result<Vec<_>> = touched
            .values()
            .map(|segment| segment.file(&*self.disk))
            .collect();
        let sync = || self.disk.sync_all(&files?);
        sync().map_err(OpenError::io("sync the segments that were replayed"))
    }

    /// Makes sure that a segment whose beginning the journal holds is there,
    /// with its first block and its length.
    fn make_file(&self, chosen: &Chosen, segment: &Segment) -> Result<(), OpenError> {
        let named = self
            .survey
            .segments
            .contains_key(&(chosen.header.log, chosen.header.epoch));
        let make = || -> io::Result<()> {
            let file = match named {
                true => self.disk.open(&segment.name, How::Write)?,
                false => self.disk.open(&segment.name, How::Create)?,
            };
            let room = super::device::step_for(&self.settings, chosen.until);
            if file.len()? < room {
                file.allocate(room)?;
            }
            let (header, mut found) = (chosen.header.encode(), [0; BLOCK_BYTES]);
            file.read_exact_at(0, &mut found)?;
            if found != header {
                file.write_all_at(0, &header)?;
            }
            Ok(())
        };
        make().map_err(OpenError::io(format!("make {}", segment.name)))
    }

    fn redo(
        &self,
        entry: &Entry<'_>,
        chosen: &Chosen,
        target: &mut Target,
        report: &mut Report,
    ) -> Result<(), OpenError> {
        match *entry {
            // Beyond the end are records that were truncated later.
            Entry::Append { at, .. } | Entry::Mark { at, .. } if at >= chosen.until => Ok(()),
            Entry::Append { at, bytes, .. } => {
                report.replayed_bytes += bytes.len() as u64;
                // What is there already need not be written again.
                let done = match target.holds(at, bytes) {
                    Ok(true) => Ok(()),
                    Ok(false) => target.write(at, bytes, &self.settings),
                    Err(error) => Err(error),
                };
                done.map_err(|source| OpenError::Io {
                    doing: format!("replay into {}", target.file.name()),
                    source,
                })
            }
            Entry::Mark {
                log,
                at,
                until,
                crc,
                ..
            } => {
                // Synced before the mark was written, so it must be there.
                let name = target.file.name().to_string();
                let found = sum(&*target.file, at, until);
                let found = found.map_err(OpenError::io(format!("read {name}")))?;
                match found == crc || planted!(HoleCut) {
                    true => Ok(()),
                    false => {
                        let (expected, found) = (crc.into(), found.into());
                        let what = "checksum of a straight batch";
                        let fault = Fault {
                            what,
                            expected,
                            found,
                        };
                        Err(self.hole(log, name, at, fault))
                    }
                }
            }
            _ => Ok(()),
        }
    }

    /// Checks every record of the segment that was written to last.
    fn verify(&self, shelved: &Shelved, report: &mut Report) -> Result<(), OpenError> {
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
    fn put_zeros_behind(&self, shelved: &Shelved) -> Result<(), OpenError> {
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
    /// of something durable beyond it, prove that the journal has lost what it held last. What a straight
    /// batch leaves behind without a mark knows of nothing beyond the end.
    fn look_behind_the_end(&self, shelves: &[Shelved]) -> Result<(), OpenError> {
        for shelved in shelves.iter().filter(|shelved| shelved.format.is_framed()) {
            let end = shelved.plan.end.next;
            let Some(chosen) = shelved.chain.last() else {
                continue;
            };
            let active = (chosen.header.epoch, chosen.header.file_name(), chosen.until);
            let later = self.survey.segments.values().filter(|named| {
                named.log == chosen.header.log && named.epoch > chosen.header.epoch
            });
            let later = later.map(|named| {
                let name = segment::file_name(named.log, named.first, named.epoch);
                (named.epoch, name, BODY)
            });
            for (epoch, name, from) in std::iter::once(active).chain(later) {
                let known = self.durable_behind(&name, epoch, from);
                let known = known.map_err(OpenError::io(format!("read {name}")))?;
                if known > end && !planted!(HoleCut) {
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
    fn durable_behind(&self, name: &str, epoch: Epoch, from: u64) -> io::Result<Index> {
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
    fn clear(&self, shelves: &[Shelved]) -> Result<usize, OpenError> {
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
                names.push(segment::file_name(named.log, named.first, named.epoch));
            }
        }
        for named in &self.survey.footers {
            if !sealed.contains(&(named.log, named.epoch)) {
                let name = segment::file_name(named.log, named.first, named.epoch);
                names.push(segment::footer_name(&name));
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

/// A segment that is replayed into.
struct Target {
    file: Arc<dyn File>,
    /// What is there already, to compare with.
    map: Option<Map>,
    length: u64,
}

impl Target {
    fn open(disk: &dyn Disk, segment: &Segment) -> io::Result<Self> {
        let file = segment.file(disk)?;
        let length = file.len()?;
        let mut map = if length > 0 { file.map(length)? } else { None };
        // Where a page cannot be read, the plain read says so with its place.
        if map
            .as_ref()
            .is_some_and(|map| map.populate(0..length as usize).is_err())
        {
            map = None;
        }
        Ok(Self { file, map, length })
    }

    fn holds(&self, at: u64, bytes: &[u8]) -> io::Result<bool> {
        let end = at + bytes.len() as u64;
        if end > self.length {
            return Ok(false);
        }
        if let Some(map) = &self.map
            && let Some(found) = map.bytes().get(at as usize..end as usize)
        {
            return Ok(found == bytes);
        }
        let mut found = vec![0; bytes.len()];
        self.file.read_exact_at(at, &mut found)?;
        Ok(found == bytes)
    }

    fn write(&mut self, at: u64, bytes: &[u8], settings: &Settings) -> io::Result<()> {
        let end = at + bytes.len() as u64;
        if end > self.length {
            let room = super::device::step_for(settings, end);
            self.file.allocate(room)?;
            self.length = room;
        }
        self.file.write_all_at(at, bytes)
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
    fn into_log(self) -> (LogId, Log) {
        let mut log = Log::new(self.shelf, self.format);
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
            });
        (log.shelf.id, log)
    }
}

fn sum(file: &dyn File, from: u64, until: u64) -> io::Result<u32> {
    let mut crc = crc32c(&[]);
    let mut buffer = vec![0; (256 << 10).min((until - from) as usize)];
    let mut at = from;
    while at < until {
        let count = buffer.len().min((until - at) as usize);
        file.read_exact_at(at, &mut buffer[..count])?;
        crc = crc32c_append(crc, &buffer[..count]);
        at += count as u64;
    }
    Ok(crc)
}
