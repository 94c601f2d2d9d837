//! Reads the journal, and what it says every log should be. Changes nothing.

use super::*;

/// What the journal says. Reading it changes nothing.
pub(super) struct Reading {
    pub(super) identity: Identity,
    /// The files that recovery needs, oldest first.
    pub(super) needed: Vec<Loaded>,
    pub(super) last: Scanned,
    pub(super) plan: Plan,
    pub(super) torn: Option<String>,
}

/// A journal file's bytes: from a map where the disk has maps, so that a
/// large journal costs no memory of its own.
pub(super) enum Bytes {
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
pub(super) struct Loaded {
    pub(super) bytes: Bytes,
    pub(super) scanned: Scanned,
}

pub(super) fn load(disk: &dyn Disk, number: JournalNumber) -> Result<Bytes, OpenError> {
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

pub(super) fn scan_file(
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

pub(super) fn foreign(name: &str, home: String, identity: &Identity) -> OpenError {
    OpenError::Identity(format!(
        "{name} belongs to data directory {home}, and this one is {}: files of two nodes or \
         clusters were mixed. Nothing was changed; put each back where it came from",
        identity.home
    ))
}

impl Reading {
    pub(super) fn make(
        disk: &dyn Disk,
        identity: Identity,
        survey: &Survey,
    ) -> Result<Self, OpenError> {
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
    pub(super) fn check_order(
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
    pub(super) fn empty(identity: Identity, survey: &Survey) -> Result<Self, OpenError> {
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
    pub(super) fn is_clean(&self) -> bool {
        self.last.last.kind == batch::Kind::TableAtStop && self.last.ending == Ending::Clean
    }
}

/// Takes a file's batches into the plan; its table only where it is the
/// oldest that is needed.
pub(super) fn take(
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
