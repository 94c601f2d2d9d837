//! What of each log can be walked, from its segments with the journal's bytes
//! over them. Reads segments, changes nothing.
//!
//! A log keeps what stands before its first damage. Where the journal lost
//! batches and so does not say where a log ends, its last segment is walked as
//! far as records follow each other: checksums and the chain of indexes tell
//! them from anything else.

use super::telling::{Telling, Told, Write};
use super::{Damage, Listing, Lost};
use crate::disk::Disk;
use crate::ids::{Epoch, Index, LogId, Term, Uid};
use crate::limits::{BLOCK_BYTES, FOOTER_PIECE_BYTES};
use crate::log::batch::Line;
use crate::log::errors::OpenError;
use crate::log::footer::{Footer, Pieces};
use crate::log::format::{End, Fault, Format, Walk, Walked};
use crate::log::frame;
use crate::log::segment::{self, BODY, Header, footer_name};
use crate::log::sparse::Sparse;
use crate::wire::crc32c;
use std::collections::BTreeSet;

pub(super) struct Resolver<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) formats: &'a [&'static dyn Format],
    pub(super) home: Uid,
    pub(super) listing: &'a Listing,
    pub(super) telling: &'a Telling<'a>,
    /// The next epoch that no file has; grows as segments are planned.
    pub(super) next_epoch: u64,
}

/// What became of one log.
#[derive(Default)]
pub(super) struct Resolved {
    pub(super) kept: Option<Kept>,
    pub(super) damages: Vec<Damage>,
    pub(super) lost: Option<Lost>,
    pub(super) notes: Vec<String>,
    pub(super) footers: Vec<(String, Footer)>,
}

/// A log as it will be.
pub(super) struct Kept {
    pub(super) log: LogId,
    pub(super) format: u16,
    pub(super) first: Index,
    /// Oldest first, the active one last; never empty.
    pub(super) links: Vec<Link>,
    pub(super) end: End,
}

pub(super) struct Link {
    pub(super) header: Header,
    pub(super) until: u64,
    /// What the file lacks: its first block, and bytes that the journal holds.
    pub(super) writes: Vec<(u64, Vec<u8>)>,
    /// Bytes behind `until` were records once.
    pub(super) is_cut: bool,
}

impl Kept {
    pub(super) fn line(&self) -> Line {
        let epoch = |link: Option<&Link>| link.map_or(Epoch(0), |link| link.header.epoch);
        Line {
            log: self.log,
            format: self.format,
            first: self.first,
            first_epoch: epoch(self.links.first()),
            epoch: epoch(self.links.last()),
            until: self.links.last().map_or(BODY, |link| link.until),
            end: self.end,
        }
    }
}

/// One place of a log's chain before it is walked.
enum Place {
    Segment(Header),
    /// The file is missing, or its first block is not to be read.
    Broken(Epoch),
}

/// One segment's bytes, those of the journal over them.
struct Contents {
    bytes: Vec<u8>,
    writes: Vec<(u64, Vec<u8>)>,
    /// Straight batches whose checksum is not what the journal says.
    bad_marks: Vec<(u64, Fault)>,
}

/// How far a walk came.
struct Came {
    at: u64,
    end: End,
    fault: Option<Fault>,
    /// The largest index that a frame knew to be durable.
    durable: Index,
    points: Sparse,
}

impl Resolver<'_> {
    /// Every log that the journal tells of; where it tells not all, those too
    /// that only segments know.
    pub(super) fn logs(&self) -> BTreeSet<LogId> {
        let mut logs: BTreeSet<LogId> = self.telling.logs.keys().copied().collect();
        if self.telling.is_partial {
            let found = self.listing.segments.keys().map(|&(log, _)| log);
            logs.extend(found.filter(|log| !self.telling.removed.contains(log)));
        }
        logs
    }

    pub(super) fn resolve(&mut self, log: LogId) -> Result<Resolved, OpenError> {
        let told = self.telling.logs.get(&log).cloned();
        let mut resolved = Resolved::default();
        let places = self.places(log, told.as_ref(), &mut resolved)?;
        let Some(format) = self.format(log, told.as_ref(), &places)? else {
            let note = format!(
                "log {log}: no segment of it can be told by its first block; its files are set \
                 aside whole"
            );
            resolved.notes.push(note);
            resolved.lost = Some(Lost {
                log,
                from: Index(0),
                until: told.map(|told| told.end.next),
            });
            return Ok(resolved);
        };
        let mut kept = Kept {
            log,
            format: format.id(),
            first: Index(0),
            links: Vec::new(),
            end: End::default(),
        };
        let sure = told.clone().filter(|told| told.is_sure);
        let durable = self.walk_all(format, &places, sure.as_ref(), &mut kept, &mut resolved)?;
        let oldest = kept.links.first().map(|link| link.header.start.next);
        let first_told = told.as_ref().and_then(|told| told.first);
        kept.first = match (first_told, oldest) {
            (Some((first, _)), _) => first,
            (None, Some(first)) => first,
            (None, None) => self.first_named(log),
        };
        if kept.links.is_empty() || kept.end.next < kept.first {
            self.begin_anew(&mut kept);
        }
        let reached = self.reached(log, told.as_ref(), &places, durable);
        resolved.lost = match sure {
            _ if reached > kept.end.next => Some(Some(reached)),
            Some(_) => None,
            None => Some(None),
        }
        .map(|until| Lost {
            log,
            from: kept.end.next,
            until,
        });
        resolved.kept = Some(kept);
        Ok(resolved)
    }

    /// The log's segments, oldest first, told from the newest backwards.
    fn places(
        &self,
        log: LogId,
        told: Option<&Told>,
        resolved: &mut Resolved,
    ) -> Result<Vec<Place>, OpenError> {
        let oldest = told.and_then(|told| told.first).map(|(_, epoch)| epoch);
        let known: BTreeSet<Epoch> = self.epochs(log);
        let mut next = match told {
            Some(told) if told.is_sure => Some(told.epoch),
            Some(told) => known.last().copied().max(Some(told.epoch)),
            None => known.last().copied(),
        };
        let mut places = Vec::new();
        while let Some(named) = next {
            let epoch = self.listing.in_place.of(log, named);
            let below = known.range(..named).next_back().copied();
            let below = below.filter(|&epoch| oldest.is_none_or(|oldest| epoch >= oldest));
            let header = match self.header(log, epoch)? {
                Ok(header) => header,
                Err(damage) => {
                    // Made and never counted: a file whose first block was
                    // not yet written is no damage where nobody speaks of it.
                    let is_told = told.is_some_and(|told| told.epoch == epoch);
                    if is_told || !places.is_empty() || below.is_none() || !damage.is_blank() {
                        resolved.damages.push(damage);
                        places.push(Place::Broken(epoch));
                    }
                    next = below;
                    continue;
                }
            };
            next = header.previous.map(|joint| joint.epoch);
            let is_first = Some(epoch) == oldest || holds_first(&header, told);
            places.push(Place::Segment(header));
            if is_first {
                break;
            }
            match (next, oldest) {
                // Dropped from the front, as far as anybody can tell.
                (Some(epoch), None) if !known.contains(&epoch) => break,
                (None, Some(oldest)) => {
                    let fault = Fault {
                        what: "first segment of the log",
                        expected: oldest.0,
                        found: epoch.0,
                    };
                    resolved
                        .damages
                        .push(damage(log, header.file_name(), 0, fault));
                    places.push(Place::Broken(oldest));
                    next = below;
                }
                _ => {}
            }
        }
        places.reverse();
        Ok(places)
    }

    fn epochs(&self, log: LogId) -> BTreeSet<Epoch> {
        let all = (log, Epoch(0))..=(log, Epoch(u64::MAX));
        let files = self.listing.segments.range(all.clone());
        let starts = self.telling.starts.range(all);
        // One that was written anew is as old as what it stands for.
        let files = files.map(|(&(_, epoch), name)| {
            let named = name.rsplit('/').next().and_then(segment::parse_name);
            named.and_then(|named| named.in_place_of).unwrap_or(epoch)
        });
        files.chain(starts.map(|(&(_, epoch), _)| epoch)).collect()
    }

    /// From the journal, or from the file's first block.
    fn header(&self, log: LogId, epoch: Epoch) -> Result<Result<Header, Damage>, OpenError> {
        let home = self.home;
        if let Some(start) = self.telling.starts.get(&(log, epoch)) {
            return Ok(Ok(Header {
                home,
                log,
                format: start.format,
                epoch,
                previous: start.previous,
                start: start.end,
                rewritten: None,
            }));
        }
        let Some(name) = self.listing.segments.get(&(log, epoch)) else {
            let file = format!("the segment with epoch {:x}", epoch.0);
            let fault = Fault::missing("the file");
            return Ok(Err(damage(log, file, 0, fault)));
        };
        let bytes = super::load(self.disk, name)?;
        let block = &bytes[..bytes.len().min(BLOCK_BYTES)];
        let fault = match Header::parse(block) {
            Ok(header) if header.home == home && (header.log, header.epoch) == (log, epoch) => {
                return Ok(Ok(header));
            }
            Ok(header) => Fault {
                what: "log of the segment",
                expected: log.0,
                found: header.log.0,
            },
            Err(fault) if fault.what == "segment format version" => {
                self.refuse_version(name, block, fault)?;
                fault
            }
            Err(fault) => fault,
        };
        let is_blank = bytes.iter().all(|&byte| byte == 0);
        let fault = match is_blank {
            true => Fault {
                what: BLANK,
                expected: 1,
                found: 0,
            },
            false => fault,
        };
        Ok(Err(damage(log, name.clone(), 0, fault)))
    }

    /// A version that is not ours, unless the checksum says that it is rot.
    fn refuse_version(&self, name: &str, block: &[u8], fault: Fault) -> Result<(), OpenError> {
        let would_be = [segment::VERSION, segment::VERSION_REWRITTEN].map(|version| {
            let mut mended = block.to_vec();
            mended[8..10].copy_from_slice(&version.to_le_bytes());
            Header::parse(&mended).is_ok()
        });
        let records = block.get(84..).unwrap_or_default();
        match would_be.contains(&true) || records.iter().any(|&byte| byte != 0) {
            true => Ok(()),
            false => Err(OpenError::Identity(format!(
                "{name} has segment format {}, and this build reads format {}. Nothing was \
                 changed; use the version of Dolmen that wrote it",
                fault.found,
                segment::VERSION_REWRITTEN
            ))),
        }
    }

    fn format(
        &self,
        log: LogId,
        told: Option<&Told>,
        places: &[Place],
    ) -> Result<Option<&'static dyn Format>, OpenError> {
        let of_headers = places.iter().find_map(|place| match place {
            Place::Segment(header) => Some(header.format),
            Place::Broken(_) => None,
        });
        let Some(id) = told.and_then(|told| told.format).or(of_headers) else {
            return Ok(None);
        };
        let known = self.formats.iter().find(|format| format.id() == id);
        match known {
            Some(format) => Ok(Some(*format)),
            None => Err(OpenError::Identity(format!(
                "log {log} has record format {id}, which this build does not know. Nothing was \
                 changed; use the version of Dolmen that wrote it"
            ))),
        }
    }

    /// Walks from the oldest on, up to the first damage. Gives the largest
    /// index that any frame knew to be durable.
    fn walk_all(
        &self,
        format: &'static dyn Format,
        places: &[Place],
        sure: Option<&Told>,
        kept: &mut Kept,
        resolved: &mut Resolved,
    ) -> Result<Index, OpenError> {
        let mut durable = Index(0);
        for (place, this) in places.iter().enumerate() {
            let Place::Segment(header) = this else { break };
            if place > 0 && header.start != kept.end {
                let fault = Fault {
                    what: "index that the segment starts with",
                    expected: kept.end.next.0,
                    found: header.start.next.0,
                };
                let file = header.file_name();
                resolved.damages.push(damage(header.log, file, 0, fault));
                break;
            }
            let joint = match places.get(place + 1) {
                Some(Place::Segment(next)) => next.previous,
                _ => None,
            };
            let is_last = place + 1 == places.len();
            let until = match (joint, is_last) {
                (Some(joint), _) if joint.epoch == header.epoch => Some(joint.until),
                (Some(_), _) if header.rewritten.is_some() => {
                    header.rewritten.map(|rewritten| rewritten.until)
                }
                (_, true) => sure.map(|told| told.until),
                _ => None,
            };
            let until = until.or_else(|| self.sealed_at(header));
            let contents = self.contents(header, until)?;
            let next = match places.get(place + 1) {
                Some(Place::Broken(epoch)) if until.is_none() => self.first_of(header.log, *epoch),
                _ => None,
            };
            if until.is_none() && !is_last && next.is_none() {
                resolved.notes.push(format!(
                    "log {}: what said where {} ends is gone: records that were truncated may \
                     be back in it",
                    header.log,
                    header.file_name()
                ));
            }
            let mut came = self.walk(format, header, &contents, until, next, resolved);
            durable = durable.max(came.durable);
            if is_last
                && came.fault.is_none()
                && let Some(told) = sure
                && told.end != came.end
            {
                came.fault = Some(Fault {
                    what: "index after the last record",
                    expected: told.end.next.0,
                    found: came.end.next.0,
                });
            }
            if is_last
                && came.fault.is_none()
                && let Some(told) = sure
                && let Some(further) = self.durable_behind(format, header, &contents.bytes, told)
            {
                let fault = Fault {
                    what: "end of the log, of which a later frame says that it was durable",
                    expected: further.durable.0,
                    found: told.end.next.0,
                };
                let file = header.file_name();
                resolved
                    .damages
                    .push(damage(header.log, file, came.at, fault));
                came = further;
                durable = durable.max(came.durable);
            }
            kept.end = came.end;
            let behind = contents.bytes.get(came.at as usize..).unwrap_or_default();
            kept.links.push(Link {
                header: *header,
                until: came.at,
                is_cut: behind.iter().any(|&byte| byte != 0),
                writes: contents.writes,
            });
            if let Some(fault) = came.fault {
                let file = header.file_name();
                resolved
                    .damages
                    .push(damage(header.log, file, came.at, fault));
                break;
            }
            if !is_last && until.is_some() {
                self.check_footer(header, &contents.bytes, &came, resolved)?;
            }
        }
        Ok(durable)
    }

    /// Where a segment's footer says that it ends.
    fn sealed_at(&self, header: &Header) -> Option<u64> {
        let name = self.listing.footers.get(&(header.log, header.epoch))?;
        let footer = Footer::parse(&super::load(self.disk, name).ok()?).ok()?;
        let is_its_own = (footer.log, footer.epoch) == (header.log, header.epoch);
        is_its_own.then_some(footer.until)
    }

    /// The index that a segment starts with, by its name or its footer's.
    fn first_of(&self, log: LogId, epoch: Epoch) -> Option<Index> {
        let key = (log, epoch);
        let files = [&self.listing.segments, &self.listing.footers];
        let name = files.into_iter().find_map(|files| files.get(&key))?;
        let named = segment::parse_name(name.rsplit('/').next()?)?;
        Some(named.first)
    }

    fn contents(&self, header: &Header, until: Option<u64>) -> Result<Contents, OpenError> {
        let key = (header.log, header.epoch);
        let mut bytes = match self.listing.segments.get(&key) {
            Some(name) => super::load(self.disk, name)?,
            None => Vec::new(),
        };
        let mut writes = Vec::new();
        let block = header.encode();
        if bytes.get(..BLOCK_BYTES) != Some(&block[..]) {
            writes.push((0, block.to_vec()));
        }
        let mut marks = Vec::new();
        for write in self.telling.writes.get(&key).into_iter().flatten() {
            match *write {
                Write::Bytes { at, .. } | Write::Mark { at, .. }
                    if until.is_some_and(|until| at >= until) => {}
                Write::Bytes { at, bytes } => writes.push((at, bytes.to_vec())),
                Write::Mark { at, until, crc } => marks.push((at, until, crc)),
            }
        }
        let ends = writes.iter().map(|(at, bytes)| at + bytes.len() as u64);
        let length = ends.max().unwrap_or(0).max(until.unwrap_or(BODY));
        if (bytes.len() as u64) < length {
            bytes.resize(length as usize, 0);
        }
        for (at, over) in &writes {
            bytes[*at as usize..*at as usize + over.len()].copy_from_slice(over);
        }
        let mut bad_marks = Vec::new();
        for (at, until, crc) in marks {
            let found = bytes.get(at as usize..until as usize).map(crc32c);
            if found != Some(crc) {
                let fault = Fault {
                    what: "checksum of a straight batch",
                    expected: crc.into(),
                    found: found.unwrap_or_default().into(),
                };
                bad_marks.push((at, fault));
            }
        }
        Ok(Contents {
            bytes,
            writes,
            bad_marks,
        })
    }

    /// Up to `until` where it is known, else as far as records follow each
    /// other, but not beyond the index `next`; never beyond a place that a checksum of another kind doubts.
    fn walk(
        &self,
        format: &dyn Format,
        header: &Header,
        contents: &Contents,
        until: Option<u64>,
        next: Option<Index>,
        resolved: &mut Resolved,
    ) -> Came {
        let bytes = &contents.bytes;
        let limit = until.map_or(bytes.len(), |until| until as usize);
        let first_mark = contents.bad_marks.iter().min_by_key(|(at, _)| *at);
        let doubted = match self.bad_piece(header, bytes, until) {
            // The frames' own checksums say whether a record is touched.
            Some(_) if format.is_framed() => None,
            piece => piece,
        };
        let mut walk = Walk {
            format,
            epoch: header.epoch,
            end: header.start,
        };
        let mut came = Came {
            at: BODY,
            end: header.start,
            fault: None,
            durable: Index(0),
            points: Sparse::from_points(Vec::new(), BODY),
        };
        let mut before = (came.at, came.end);
        while (came.at as usize) < limit && next.is_none_or(|next| came.end.next < next) {
            if let Some((at, fault)) = first_mark
                && came.at >= *at
            {
                // Whole records in a straight batch that is not: only where
                // the format's own checksums do not cover everything.
                came.fault = Some(*fault);
                break;
            }
            let rest = &bytes[came.at as usize..limit];
            let head = match walk.step(rest) {
                Ok(Walked::Record(head)) => head,
                Ok(Walked::More(expected)) => {
                    came.fault = until.map(|_| Fault {
                        what: "bytes left of a record",
                        expected: expected as u64,
                        found: rest.len() as u64,
                    });
                    break;
                }
                Ok(Walked::Nothing) => {
                    came.fault = until.map(|_| Fault::missing("record"));
                    break;
                }
                Err(fault) => {
                    came.fault = until.map(|_| fault);
                    if !format.is_framed() {
                        // What does not follow may be right, and the record
                        // before it wrong where its checksum does not reach.
                        (came.at, came.end) = before;
                    }
                    break;
                }
            };
            before = (came.at, came.end);
            let end = came.at + head.length as u64;
            if let Some((from, to, fault)) = doubted
                && came.at < to
                && end > from
            {
                came.fault = Some(fault);
                break;
            }
            if format.is_framed()
                && let Ok(Some((frame, _))) = frame::parse(rest)
            {
                came.durable = came.durable.max(frame.durable_until);
            }
            came.points.note(head.first, came.at, end);
            (came.at, came.end) = (end, head.end());
        }
        let block = &contents.writes.first();
        if let Some((0, _)) = block
            && !self
                .telling
                .starts
                .contains_key(&(header.log, header.epoch))
        {
            // The header itself is whole, or we would not be here.
            let fault = Fault {
                what: "zeros behind the segment header",
                expected: 0,
                found: 1,
            };
            let at = header.encoded_bytes() as u64;
            let mut damage = damage(header.log, header.file_name(), at, fault);
            damage.is_harmless = true;
            resolved.damages.push(damage);
        }
        came
    }

    /// How far records go on behind the end that the journal knows, where one
    /// of them says that more was durable: then the journal has lost its end.
    /// Without such a frame they were never acknowledged.
    fn durable_behind(
        &self,
        format: &dyn Format,
        header: &Header,
        bytes: &[u8],
        told: &Told,
    ) -> Option<Came> {
        if !format.is_framed() {
            return None;
        }
        let contents = Contents {
            bytes: bytes.to_vec(),
            writes: Vec::new(),
            bad_marks: Vec::new(),
        };
        let came = self.walk(
            format,
            header,
            &contents,
            None,
            None,
            &mut Resolved::default(),
        );
        (came.durable > told.end.next).then_some(came)
    }

    /// The first piece of a sealed segment that is not what its footer says:
    /// from, to, and how it differs.
    fn bad_piece(
        &self,
        header: &Header,
        bytes: &[u8],
        until: Option<u64>,
    ) -> Option<(u64, u64, Fault)> {
        let until = until?;
        let name = self.listing.footers.get(&(header.log, header.epoch))?;
        let footer = Footer::parse(&super::load(self.disk, name).ok()?).ok()?;
        if (footer.log, footer.epoch, footer.until) != (header.log, header.epoch, until) {
            return None;
        }
        let piece = FOOTER_PIECE_BYTES as usize;
        let found = bytes[..until as usize].chunks(piece).map(crc32c);
        let pairs = footer.pieces.iter().zip(found).enumerate();
        let (place, (&expected, found)) = { pairs }.find(|(_, (a, b))| **a != *b)?;
        let fault = Fault {
            what: "checksum of a piece",
            expected: expected.into(),
            found: found.into(),
        };
        let from = (place * piece) as u64;
        Some((from, from + piece as u64, fault))
    }

    /// A sealed segment's footer, where there is one, must agree with it.
    fn check_footer(
        &self,
        header: &Header,
        bytes: &[u8],
        came: &Came,
        resolved: &mut Resolved,
    ) -> Result<(), OpenError> {
        let Some(name) = self.listing.footers.get(&(header.log, header.epoch)) else {
            return Ok(());
        };
        let mut pieces = Pieces::default();
        pieces.write(0, &bytes[..came.at as usize]);
        let right = Footer {
            log: header.log,
            epoch: header.epoch,
            until: came.at,
            end: came.end,
            pieces: pieces.finish(came.at).unwrap_or_default(),
            points: came.points.points().to_vec(),
        };
        let fault = match Footer::parse(&super::load(self.disk, name)?) {
            Err(fault) => fault,
            // Its index may be sparser than ours: it is built as it is read.
            Ok(found)
                if Footer {
                    points: right.points.clone(),
                    ..found.clone()
                } == right =>
            {
                return Ok(());
            }
            Ok(found) => Fault {
                what: "bytes that the footer covers",
                expected: right.until,
                found: found.until,
            },
        };
        let mut damage = damage(header.log, name.clone(), 0, fault);
        damage.is_harmless = true;
        resolved.damages.push(damage);
        resolved
            .footers
            .push((footer_name(&header.file_name()), right));
        Ok(())
    }

    /// How far the log is known to have gone.
    fn reached(&self, log: LogId, told: Option<&Told>, places: &[Place], durable: Index) -> Index {
        let of_headers = places.iter().filter_map(|place| match place {
            Place::Segment(header) => Some(header.start.next),
            Place::Broken(_) => None,
        });
        let sure = told.filter(|told| told.is_sure);
        match sure {
            Some(told) => told.end.next,
            None => {
                let told = told.map(|told| told.end.next);
                let all = of_headers.chain(told).chain([durable]);
                all.chain([self.first_named(log)]).max().unwrap_or_default()
            }
        }
    }

    /// The first index that the oldest file's name says.
    fn first_named(&self, log: LogId) -> Index {
        let all = (log, Epoch(0))..=(log, Epoch(u64::MAX));
        let oldest = self.listing.segments.range(all).next();
        let name = oldest.and_then(|(_, name)| name.rsplit('/').next());
        name.and_then(segment::parse_name)
            .map_or(Index(0), |named| named.first)
    }

    /// Nothing of the log is left; it goes on where it began, so that no
    /// index below is given out again.
    fn begin_anew(&mut self, kept: &mut Kept) {
        let end = End {
            next: kept.first,
            term: Term(0),
            check: 0,
        };
        let header = Header {
            home: self.home,
            log: kept.log,
            format: kept.format,
            epoch: Epoch(self.next_epoch),
            previous: None,
            start: end,
            rewritten: None,
        };
        self.next_epoch += 1;
        kept.end = end;
        kept.links = vec![Link {
            writes: vec![(0, header.encode().to_vec())],
            header,
            until: BODY,
            is_cut: false,
        }];
    }
}

const BLANK: &str = "first block";

/// Whether a log begins with this segment, which was written anew in the place
/// of the one that the journal names as the first.
fn holds_first(header: &Header, told: Option<&Told>) -> bool {
    let first = told.and_then(|told| told.first).map(|(first, _)| first);
    header.rewritten.is_some() && first.is_some_and(|first| header.start.next <= first)
}

impl Damage {
    fn is_blank(&self) -> bool {
        self.fault.what == BLANK
    }
}

fn damage(log: LogId, file: String, at: u64, fault: Fault) -> Damage {
    Damage {
        log: Some(log),
        file,
        at,
        fault,
        is_harmless: false,
    }
}
