//! Brings segments to what the journal says, and syncs them. What is there
//! already is written all the same: that it can be read does not say that it
//! is durable, and a sync covers only what was written since the last one,
//! also where that one failed.

use super::*;

impl Recovery<'_> {
    /// Writes what the journal holds into the segments, and syncs them.
    pub(super) fn replay(&self, shelves: &[Shelved], report: &mut Report) -> Result<(), OpenError> {
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
    pub(super) fn make_file(&self, chosen: &Chosen, segment: &Segment) -> Result<(), OpenError> {
        let named = self
            .survey
            .segments
            .contains_key(&(chosen.header.log, chosen.header.epoch));
        let make = || -> io::Result<()> {
            let file = match named {
                true => self.disk.open(&segment.name, How::Write)?,
                false => self.disk.open(&segment.name, How::Create)?,
            };
            let room = crate::log::device::step_for(&self.settings, chosen.until);
            if file.len()? < room {
                file.allocate(room)?;
            }
            file.write_all_at(0, &chosen.header.encode())
        };
        make().map_err(OpenError::io(format!("make {}", segment.name)))
    }

    pub(super) fn redo(
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
                let done = target.write(at, bytes, &self.settings);
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
}

/// A segment that is replayed into.
pub(super) struct Target {
    pub(super) file: Arc<dyn File>,
    pub(super) length: u64,
}

impl Target {
    pub(super) fn open(disk: &dyn Disk, segment: &Segment) -> io::Result<Self> {
        let file = segment.file(disk)?;
        let length = file.len()?;
        Ok(Self { file, length })
    }

    pub(super) fn write(&mut self, at: u64, bytes: &[u8], settings: &Settings) -> io::Result<()> {
        let end = at + bytes.len() as u64;
        if end > self.length {
            let room = crate::log::device::step_for(settings, end);
            self.file.allocate(room)?;
            self.length = room;
        }
        self.file.write_all_at(at, bytes)
    }
}

pub(super) fn sum(file: &dyn File, from: u64, until: u64) -> io::Result<u32> {
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
