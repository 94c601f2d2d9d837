//! The names in a data directory.

use super::*;

/// The names in the directory.
pub(super) struct Survey {
    pub(super) identity: Option<Identity>,
    pub(super) journal: BTreeSet<JournalNumber>,
    pub(super) spares: Vec<String>,
    /// Names that are left from a stop half-way.
    pub(super) litter: Vec<String>,
    pub(super) segments: BTreeMap<(LogId, Epoch), Named>,
    /// Which of them were written anew in the place of others.
    pub(super) in_place: InPlace,
    /// Footers, by the segment that they belong to.
    pub(super) footers: Vec<Named>,
}

impl Survey {
    pub(super) fn make(disk: &dyn Disk) -> Result<Self, OpenError> {
        let identity = identity::read(disk)?;
        let mut survey = Self {
            identity,
            journal: BTreeSet::new(),
            spares: Vec::new(),
            litter: Vec::new(),
            segments: BTreeMap::new(),
            in_place: InPlace::default(),
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
                Some(named) => {
                    survey.in_place.note(&named);
                    survey.segments.insert((named.log, named.epoch), named);
                }
                None if name.ends_with(segment::UNFINISHED) => {
                    survey.litter.push(format!("{}/{name}", segment::FOLDER));
                }
                None => {}
            }
        }
        Ok(survey)
    }

    pub(super) fn segment_name(&self, log: LogId, epoch: Epoch) -> Option<String> {
        let named = self.segments.get(&(log, epoch))?;
        Some(named.file_name())
    }
}
