//! Finds all damage of a data directory, and mends what opening refuses.
//!
//! `examine` reads everything and changes nothing: `telling` gathers what is
//! whole in the journal, `chain` what of each log can be walked with it. The
//! answer names every damage, and holds the plan of a repair; `carry_out`
//! does it. A log keeps what stands before its first damage. What is after is
//! moved aside, never deleted, and named as lost.
//!
//! The plan ends in one fresh journal file whose table says of every log what
//! is kept, so a repair that is cut off can be done again.

mod chain;
mod telling;

use super::batch::Line;
use super::errors::OpenError;
use super::footer::Footer;
use super::format::{Fault, Format};
use super::identity::{self, Identity};
use super::journal::{self, Found, Journal, Opening, Sealed};
use super::segment::{self, InPlace, Named};
use super::settings::Settings;
use crate::disk::{Disk, How};
use crate::entropy::Entropy;
use crate::ids::{Epoch, Index, JournalNumber, LogId, Uid};
use crate::limits::BLOCK_BYTES;
use chain::{Kept, Resolver};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use telling::Telling;

/// What repairs have lost here, a line each, until whoever is told of it has been:
/// a broker may not say that it has what it had.
pub const LOSSES: &str = "records-lost";
const LOSSES_BYTES_MAX: u64 = 1 << 20;

/// Bytes that are not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// None for the journal and the identity.
    pub log: Option<LogId>,
    pub file: String,
    pub at: u64,
    pub fault: Fault,
    /// No record depends on them; they are built anew from what is whole.
    pub is_harmless: bool,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(log) = self.log {
            write!(f, "log {log}: ")?;
        }
        let Self {
            file, at, fault, ..
        } = self;
        write!(f, "{file} at byte {at}: {fault}")?;
        match self.is_harmless {
            true => f.write_str(" (no record is touched; it can be built anew)"),
            false => Ok(()),
        }
    }
}

/// Records that cannot be given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    pub log: LogId,
    pub from: Index,
    /// The index after the last; None where nothing whole says how far the
    /// log went, or whether anything stood there.
    pub until: Option<Index>,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { log, from, until } = self;
        match until {
            Some(until) => write!(f, "log {log}: records {from} up to {until} are lost"),
            None => write!(
                f,
                "log {log}: records from {from} on are lost, if there were any"
            ),
        }
    }
}

impl Lost {
    /// As it is said.
    fn read(line: &str) -> Option<Self> {
        let (log, range) = line.strip_prefix("log ")?.split_once(": records ")?;
        let (from, until) = match range.strip_prefix("from ") {
            Some(open) => (open.split_once(" on are lost")?.0, None),
            None => {
                let (from, until) = range.strip_suffix(" are lost")?.split_once(" up to ")?;
                (from, Some(Index(until.parse().ok()?)))
            }
        };
        Some(Self {
            log: LogId(log.parse().ok()?),
            from: Index(from.parse().ok()?),
            until,
        })
    }

    /// Of which logs it is said that they have lost records. None where that does
    /// not read, or where nobody knows how far one went: there may be others of
    /// which nothing is known at all.
    pub fn logs(said: &str) -> Option<BTreeSet<LogId>> {
        let lost = said
            .lines()
            .map(|line| Self::read(line).filter(|lost| lost.until.is_some()));
        lost.map(|lost| Some(lost?.log)).collect()
    }
}

/// What is damaged, what a repair would lose, and what it would do.
#[derive(Debug, Default)]
pub struct Examined {
    pub damages: Vec<Damage>,
    pub lost: Vec<Lost>,
    /// What a person should know beside that.
    pub notes: Vec<String>,
    plan: Plan,
}

/// The steps of a repair, in the order they are done.
#[derive(Debug, Default)]
struct Plan {
    /// Files that are changed or replaced: copied first.
    copies: BTreeSet<String>,
    /// Segments and footers that no log counts any more.
    moves: BTreeSet<String>,
    patches: Vec<Patch>,
    footers: Vec<(String, Footer)>,
    /// The data directory's own number, where its file is to be made anew.
    home: Option<Uid>,
    journal: Option<Fresh>,
}

/// A segment brought to what is kept of it.
#[derive(Debug)]
struct Patch {
    name: String,
    writes: Vec<(u64, Vec<u8>)>,
    /// The file's length at the least, and from where on it is all zeros.
    length: u64,
    zeros_from: u64,
}

/// The journal file that a repair leaves.
#[derive(Debug)]
struct Fresh {
    home: Uid,
    /// The largest number there is.
    number: JournalNumber,
    sequence: u64,
    epoch: Epoch,
    lines: Vec<Line>,
    old: Vec<String>,
}

impl Examined {
    pub fn needs_repair(&self) -> bool {
        !self.damages.is_empty()
    }

    /// The files that a repair copies or moves to the folder that it names.
    pub fn set_aside(&self) -> Vec<&str> {
        let old = self.plan.journal.iter().flat_map(|fresh| &fresh.old);
        let names = self.plan.copies.iter().chain(&self.plan.moves).chain(old);
        names.map(String::as_str).collect()
    }
}

/// All damage of a data directory. Changes nothing.
pub fn verify(disk: &dyn Disk, formats: &[&'static dyn Format]) -> Result<Vec<Damage>, OpenError> {
    Ok(examine(disk, formats)?.damages)
}

/// The names in the directory, and what the journal files say.
struct Listing {
    journal: BTreeMap<JournalNumber, Vec<u8>>,
    spare_epochs: Vec<Epoch>,
    segments: BTreeMap<(LogId, Epoch), String>,
    /// Which of them were written anew in the place of others.
    in_place: InPlace,
    footers: BTreeMap<(LogId, Epoch), String>,
}

fn listing(disk: &dyn Disk) -> Result<Listing, OpenError> {
    let mut listing = Listing {
        journal: BTreeMap::new(),
        spare_epochs: Vec::new(),
        segments: BTreeMap::new(),
        in_place: InPlace::default(),
        footers: BTreeMap::new(),
    };
    let list = |folder| {
        disk.list(folder)
            .map_err(OpenError::io(format!("list {folder}")))
    };
    for name in list(journal::FOLDER)? {
        if let Some(number) = journal::parse_name(&name) {
            let bytes = load(disk, &journal::file_name(number))?;
            listing.journal.insert(number, bytes);
        }
        let digits = name.split('.').next().unwrap_or_default();
        if let Ok(epoch) = u64::from_str_radix(digits, 16) {
            listing.spare_epochs.push(Epoch(epoch));
        }
    }
    for name in list(segment::FOLDER)? {
        let Some(named) = segment::parse_name(&name) else {
            continue;
        };
        let Named { log, epoch, .. } = named;
        let path = format!("{}/{name}", segment::FOLDER);
        match named.is_footer {
            true => listing.footers.insert((log, epoch), path),
            false => {
                listing.in_place.note(&named);
                listing.segments.insert((log, epoch), path)
            }
        };
    }
    Ok(listing)
}

fn load(disk: &dyn Disk, name: &str) -> Result<Vec<u8>, OpenError> {
    let read = || -> io::Result<Vec<u8>> {
        let file = disk.open(name, How::Read)?;
        let mut bytes = vec![0; file.len()? as usize];
        file.read_exact_at(0, &mut bytes)?;
        Ok(bytes)
    };
    read().map_err(OpenError::io(format!("read {name}")))
}

/// Reads everything; changes nothing.
pub fn examine(disk: &dyn Disk, formats: &[&'static dyn Format]) -> Result<Examined, OpenError> {
    let listing = listing(disk)?;
    let mut examined = Examined::default();
    let Some(home) = home(disk, &listing, &mut examined)? else {
        return Ok(examined);
    };
    let telling = Telling::of(&listing.journal, home, !listing.segments.is_empty())?;
    examined.damages.extend(telling.damages.iter().cloned());
    let mut resolver = Resolver {
        disk,
        formats,
        home,
        listing: &listing,
        telling: &telling,
        next_epoch: next_epoch(&listing, &telling),
    };
    let mut kept = Vec::new();
    for log in resolver.logs() {
        let resolved = resolver.resolve(log)?;
        examined.damages.extend(resolved.damages);
        examined.lost.extend(resolved.lost);
        examined.notes.extend(resolved.notes);
        examined.plan.footers.extend(resolved.footers);
        kept.extend(resolved.kept);
    }
    for (name, _) in &examined.plan.footers {
        if disk.open(name, How::Read).is_ok() {
            examined.plan.copies.insert(name.clone());
        }
    }
    if examined.damages.iter().all(|damage| damage.is_harmless) {
        plan_headers(&mut examined, &kept);
    } else {
        let next_epoch = resolver.next_epoch;
        plan_rewrite(
            &mut examined.plan,
            &listing,
            &telling,
            home,
            next_epoch,
            &kept,
        );
    }
    Ok(examined)
}

/// Whose files these are. None for a directory without any.
fn home(
    disk: &dyn Disk,
    listing: &Listing,
    examined: &mut Examined,
) -> Result<Option<Uid>, OpenError> {
    let reason = match identity::read(disk) {
        Ok(Some(identity)) => return Ok(Some(identity.home)),
        Ok(None) if listing.journal.is_empty() && listing.segments.is_empty() => return Ok(None),
        Ok(None) => "it is missing".to_string(),
        Err(OpenError::Identity(reason)) => {
            examined.plan.copies.insert(identity::NAME.into());
            reason
        }
        Err(error) => return Err(error),
    };
    let mut homes: BTreeMap<Uid, usize> = BTreeMap::new();
    for name in listing.segments.values() {
        let bytes = load(disk, name)?;
        if let Ok(header) = segment::Header::parse(&bytes) {
            *homes.entry(header.home).or_default() += 1;
        }
    }
    for bytes in listing.journal.values() {
        if let Ok(header) = super::batch::FileHeader::parse(bytes) {
            *homes.entry(header.home).or_default() += 1;
        }
    }
    let most = homes.into_iter().max_by_key(|&(_, count)| count);
    let Some((home, _)) = most else {
        return Err(OpenError::Identity(format!(
            "the file {} cannot be used ({reason}), and no other file says whose directory this \
             is; bring it back from a backup",
            identity::NAME
        )));
    };
    examined.damages.push(Damage {
        log: None,
        file: identity::NAME.into(),
        at: 0,
        fault: Fault::missing("identity"),
        is_harmless: true,
    });
    examined.notes.push(format!(
        "the file {} is made anew for data directory {home}, as its segments say; the cluster \
         that it belongs to is not known, so the node has to join again",
        identity::NAME
    ));
    examined.plan.home = Some(home);
    Ok(Some(home))
}

fn next_epoch(listing: &Listing, telling: &Telling<'_>) -> u64 {
    let named = listing.segments.keys().map(|&(_, epoch)| epoch);
    let spares = listing.spare_epochs.iter().copied();
    let seen = named.chain(spares).map(|epoch| epoch.0 + 1);
    seen.max().unwrap_or(1).max(telling.next_epoch)
}

/// First blocks whose unused bytes are damaged; a rewrite does these as well.
fn plan_headers(examined: &mut Examined, kept: &[Kept]) {
    for link in kept.iter().flat_map(|log| &log.links) {
        let name = link.header.file_name();
        if let Some((0, block)) = link.writes.first()
            && examined.damages.iter().any(|damage| damage.file == name)
        {
            examined.plan.copies.insert(name.clone());
            examined.plan.patches.push(Patch {
                name,
                writes: vec![(0, block.clone())],
                length: 0,
                zeros_from: u64::MAX,
            });
        }
    }
}

/// Every segment to what is kept of it, and a journal that says so.
fn plan_rewrite(
    plan: &mut Plan,
    listing: &Listing,
    telling: &Telling<'_>,
    home: Uid,
    next_epoch: u64,
    kept: &[Kept],
) {
    let mut counted = BTreeSet::new();
    let mut sealed = BTreeSet::new();
    for log in kept {
        let last = log.links.len().saturating_sub(1);
        for (place, link) in log.links.iter().enumerate() {
            let key = (link.header.log, link.header.epoch);
            counted.insert(key);
            if place < last {
                sealed.insert(key);
            }
            if link.is_cut && listing.segments.contains_key(&key) {
                plan.copies.insert(link.header.file_name());
            }
            plan.patches.push(Patch {
                name: link.header.file_name(),
                writes: link.writes.clone(),
                length: link.until.next_multiple_of(BLOCK_BYTES as u64),
                zeros_from: link.until,
            });
        }
    }
    let uncounted = |all: &BTreeMap<(LogId, Epoch), String>, kept: &BTreeSet<(LogId, Epoch)>| {
        let names = all.iter().filter(|(key, _)| !kept.contains(key));
        names.map(|(_, name)| name.clone()).collect::<Vec<_>>()
    };
    plan.moves.extend(uncounted(&listing.segments, &counted));
    plan.moves.extend(uncounted(&listing.footers, &sealed));
    // A sealed segment that is written to again has no footer.
    let Plan { moves, copies, .. } = plan;
    plan.footers.retain(|(name, _)| !moves.contains(name));
    copies.retain(|name| !moves.contains(name));
    plan.journal = Some(Fresh {
        home,
        number: listing.journal.keys().last().copied().unwrap_or_default(),
        sequence: telling.sequence + 1,
        epoch: Epoch(next_epoch),
        lines: kept.iter().map(Kept::line).collect(),
        old: listing
            .journal
            .keys()
            .map(|&n| journal::file_name(n))
            .collect(),
    });
}

/// The folder of what was set aside; None where nothing was to be done.
pub fn repair(
    disk: &dyn Disk,
    examined: &Examined,
    settings: &Settings,
    entropy: &dyn Entropy,
    date: &str,
) -> Result<Option<String>, OpenError> {
    if !examined.needs_repair() {
        return Ok(None);
    }
    let plan = &examined.plan;
    let folder = make_aside(disk, date)?;
    let copies = plan.copies.iter().chain(&plan.moves);
    set_aside(disk, copies, &folder)?;
    if !examined.lost.is_empty() {
        note_losses(disk, &examined.lost).map_err(OpenError::io(format!("write {LOSSES}")))?;
    }
    remove(disk, &plan.moves, segment::FOLDER)?;
    for patch in &plan.patches {
        patch
            .carry_out(disk)
            .map_err(OpenError::io(format!("mend {}", patch.name)))?;
    }
    for (name, footer) in &plan.footers {
        replace(disk, name, &footer.encode()).map_err(OpenError::io(format!("write {name}")))?;
    }
    sync(disk, segment::FOLDER)?;
    if let Some(home) = plan.home {
        let mut drawn = Identity::draw(entropy).map_err(OpenError::io("draw an identity"))?;
        drawn.home = home;
        identity::write(disk, &drawn).map_err(OpenError::io("write the identity file"))?;
    }
    if let Some(fresh) = &plan.journal {
        fresh.write(disk, settings)?;
        set_aside(disk, &fresh.old, &folder)?;
        remove(disk, &fresh.old, journal::FOLDER)?;
    }
    Ok(Some(folder))
}

/// Before anything is changed: a repair that is cut off and done again may find
/// nothing lost any more.
fn note_losses(disk: &dyn Disk, lost: &[Lost]) -> io::Result<()> {
    let mut lines = noted_losses(disk)?;
    for one in lost {
        lines.extend_from_slice(format!("{one}\n").as_bytes());
    }
    let new = format!("{LOSSES}.new");
    let _ = disk.remove(&new);
    let file = disk.open(&new, How::Create)?;
    file.write_all_at(0, &lines)?;
    file.sync()?;
    disk.rename(&new, LOSSES)?;
    disk.sync_folder("")
}

fn noted_losses(disk: &dyn Disk) -> io::Result<Vec<u8>> {
    let file = match disk.open(LOSSES, How::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened?,
    };
    let mut bytes = vec![0; file.len()?.min(LOSSES_BYTES_MAX) as usize];
    file.read_exact_at(0, &mut bytes)?;
    Ok(bytes)
}

/// A folder that holds nothing yet.
fn make_aside(disk: &dyn Disk, date: &str) -> Result<String, OpenError> {
    let mut folder = format!("lost+{date}");
    let mut count = 1;
    let list = |folder: &str| {
        disk.list(folder)
            .map_err(OpenError::io(format!("list {folder}")))
    };
    while !list(&folder)?.is_empty() {
        count += 1;
        folder = format!("lost+{date}-{count}");
    }
    disk.make_folder(&folder)
        .map_err(OpenError::io(format!("make {folder}")))?;
    Ok(folder)
}

/// Copies, and syncs the copies' names. Not a rename: between two folders it
/// is safe only once both are synced, and half a rename would be a loss.
fn set_aside<'a>(
    disk: &dyn Disk,
    names: impl IntoIterator<Item = &'a String>,
    folder: &str,
) -> Result<(), OpenError> {
    for name in names {
        // Names are one folder deep, so the folder becomes a part of the name.
        let target = format!("{folder}/{}", name.replace('/', "-"));
        copy(disk, name, &target).map_err(OpenError::io(format!("copy {name}")))?;
    }
    sync(disk, folder)
}

/// Removes what was set aside before.
fn remove<'a>(
    disk: &dyn Disk,
    names: impl IntoIterator<Item = &'a String>,
    folder: &str,
) -> Result<(), OpenError> {
    for name in names {
        disk.remove(name)
            .map_err(OpenError::io(format!("remove {name}")))?;
    }
    sync(disk, folder)
}

fn sync(disk: &dyn Disk, folder: &str) -> Result<(), OpenError> {
    disk.sync_folder(folder)
        .map_err(OpenError::io(format!("sync {folder}")))
}

fn copy(disk: &dyn Disk, from: &str, to: &str) -> io::Result<()> {
    let (source, target) = (disk.open(from, How::Read)?, disk.open(to, How::Create)?);
    let length = source.len()?;
    let mut buffer = vec![0; length.min(1 << 20) as usize];
    let mut at = 0;
    while at < length {
        let count = buffer.len().min((length - at) as usize);
        source.read_exact_at(at, &mut buffer[..count])?;
        target.write_all_at(at, &buffer[..count])?;
        at += count as u64;
    }
    target.sync()
}

/// For what may be missing for a moment: a footer is built again.
fn replace(disk: &dyn Disk, name: &str, bytes: &[u8]) -> io::Result<()> {
    match disk.remove(name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.open(name, How::Create)?;
    file.write_all_at(0, bytes)?;
    file.sync()
}

impl Patch {
    fn carry_out(&self, disk: &dyn Disk) -> io::Result<()> {
        let file = match disk.open(&self.name, How::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                disk.open(&self.name, How::Create)?
            }
            opened => opened?,
        };
        if file.len()? < self.length {
            file.allocate(self.length)?;
        }
        for (at, bytes) in &self.writes {
            file.write_all_at(*at, bytes)?;
        }
        let length = file.len()?;
        let mut buffer = vec![0; 256 << 10];
        let mut at = self.zeros_from;
        while at < length {
            let count = buffer.len().min((length - at) as usize);
            file.read_exact_at(at, &mut buffer[..count])?;
            if buffer[..count].iter().any(|&byte| byte != 0) {
                file.write_all_at(at, &vec![0; count])?;
            }
            at += count as u64;
        }
        file.sync()
    }
}

impl Fresh {
    fn write(&self, disk: &dyn Disk, settings: &Settings) -> Result<(), OpenError> {
        let found = Found {
            home: self.home,
            number: self.number,
            sequence: self.sequence,
            live: Default::default(),
            spares: Vec::new(),
        };
        disk.make_folder(journal::FOLDER)
            .map_err(OpenError::io("make the journal's folder"))?;
        let doing = "begin the journal";
        let next_epoch = Epoch(self.epoch.0 + 1);
        let opened = Journal::new(found, None, settings).open_next(
            disk,
            settings,
            self.epoch,
            next_epoch,
            &self.lines,
            false,
        );
        let Opening { first, .. } =
            opened
                .map_err(OpenError::io(doing))?
                .ok_or_else(|| OpenError::Io {
                    doing: doing.into(),
                    source: io::ErrorKind::StorageFull.into(),
                })?;
        let Sealed {
            file, at, block, ..
        } = first;
        let write = || file.write_all_at(at, &block).and_then(|()| file.sync());
        write().map_err(OpenError::io(doing))?;
        sync(disk, journal::FOLDER)
    }
}
