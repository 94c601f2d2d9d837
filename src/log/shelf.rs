//! One log as its readers see it: the chain of segments, how far it is
//! written, durable and readable. Shared between the log's owner, who changes
//! it, and any number of readers, who never wait for the owner's disk work.

use super::errors::{Hole, ReadError};
use super::footer::{Footer, Pieces};
use super::format::{End, Fault, Format, Step, Walk, Walked};
use super::fresh::Fresh;
use super::maps::Maps;
use super::segment::{BODY, Header, footer_name};
use super::sparse::{DISTANCE_BYTES, Sparse};
use crate::disk::{Block, Disk, File, How, Map};
use crate::ids::{Index, LogId};
use crate::limits::{EASE_BYTES, EASE_PIECE_BYTES, RECORD_BYTES_MAX};
use crate::planted;
use crate::wire::crc32c_append;
use std::io;
use std::ops::{Deref, Range};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere ends the process or the test; the data here is whole
    // between any two statements that hold a lock.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One file of a log.
pub(super) struct Segment {
    pub(super) header: Header,
    pub(super) name: String,
    file: Mutex<Option<Arc<dyn File>>>,
    /// The bytes of the file that may be read: durable, and in the page cache.
    readable: AtomicU64,
    pub(super) is_sealed: AtomicBool,
    pub(super) is_name_synced: AtomicBool,
    /// Bytes written since the file was last synced.
    unsynced: AtomicU64,
    sparse: Mutex<Sparse>,
    map: Mutex<Option<Map>>,
    pieces: Mutex<Pieces>,
}

impl Segment {
    pub(super) fn new(header: Header, readable: u64) -> Self {
        Self {
            name: header.file_name(),
            header,
            file: Mutex::new(None),
            readable: AtomicU64::new(readable),
            is_sealed: AtomicBool::new(false),
            is_name_synced: AtomicBool::new(true),
            unsynced: AtomicU64::new(0),
            sparse: Mutex::new(Sparse::from_points(Vec::new(), BODY)),
            map: Mutex::new(None),
            pieces: Mutex::new(Pieces::default()),
        }
    }

    /// Makes the file of a new segment, with its first block, unsynced.
    pub(super) fn create(header: Header, disk: &dyn Disk, room: u64) -> io::Result<Self> {
        let segment = Self::new(header, BODY);
        let file = disk.open(&segment.name, How::Create)?;
        let made = file
            .allocate(room)
            .and_then(|()| file.write_all_at(0, &header.encode()));
        if let Err(error) = made {
            // Out of room: leave no trace of the try.
            let _ = disk.remove(&segment.name);
            return Err(error);
        }
        locked(&segment.pieces).write(0, &header.encode());
        *locked(&segment.file) = Some(file);
        segment.is_name_synced.store(false, Ordering::Relaxed);
        Ok(segment)
    }

    /// The open file; opened on first use, so that idle logs hold none.
    pub(super) fn file(&self, disk: &dyn Disk) -> io::Result<Arc<dyn File>> {
        let mut held = locked(&self.file);
        if let Some(file) = &*held {
            return Ok(file.clone());
        }
        let file = disk.open(&self.name, How::Write)?;
        *held = Some(file.clone());
        Ok(file)
    }

    pub(super) fn readable(&self) -> u64 {
        self.readable.load(Ordering::Acquire)
    }

    pub(super) fn set_readable(&self, until: u64) {
        self.readable.store(until, Ordering::Release);
    }

    /// Writes bytes that the journal holds already.
    pub(super) fn write(&self, disk: &dyn Disk, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.file(disk)?.write_all_at(at, bytes)?;
        self.unsynced
            .fetch_add(bytes.len() as u64, Ordering::Relaxed);
        locked(&self.pieces).write(at, bytes);
        Ok(())
    }

    /// Writes a straight batch, and gives its CRC.
    pub(super) fn write_straight(
        &self,
        disk: &dyn Disk,
        at: u64,
        parts: &[Arc<Vec<u8>>],
    ) -> io::Result<u32> {
        let file = self.file(disk)?;
        let mut pieces = locked(&self.pieces);
        let (mut place, mut out, mut total) = (at, at, 0);
        for part in parts {
            file.write_all_at(place, part)?;
            // The disk works while the rest is copied: 8 MiB and one sync
            // took 18 to 31 ms without this, 4.4 ms with it.
            let until = place + part.len() as u64;
            if until - out >= WRITE_OUT_BYTES {
                file.start_writing_out(out, until - out);
                out = until;
            }
            // Two passes: to combine one pass's sums takes five times longer.
            pieces.write(place, part);
            total = crc32c_append(total, part);
            place = until;
        }
        Ok(total)
    }

    /// Whether it has so much that it is synced ahead of a sweep.
    pub(super) fn wants_sync(&self) -> bool {
        self.unsynced.load(Ordering::Relaxed) >= EASE_BYTES
    }

    /// Beside syncs of the journal, which wait for what the disk was given before:
    /// so it is given little at a time.
    pub(super) fn sync(&self, disk: &dyn Disk) -> io::Result<()> {
        let until = self.readable();
        let unsynced = self.unsynced.swap(0, Ordering::Relaxed);
        let file = self.file(disk)?;
        let mut at = until.saturating_sub(unsynced);
        while at < until {
            let written = file.write_out(at, EASE_PIECE_BYTES.min(until - at));
            if !planted!(WriteOutErrorIgnored) {
                written?;
            }
            at += EASE_PIECE_BYTES;
        }
        file.sync()
    }

    /// As quickly as it goes.
    pub(super) fn sync_all(segments: &[Arc<Self>], disk: &dyn Disk) -> io::Result<()> {
        let file = |segment: &Arc<Self>| {
            segment.unsynced.store(0, Ordering::Relaxed);
            segment.file(disk)
        };
        let files: io::Result<Vec<_>> = segments.iter().map(file).collect();
        disk.sync_all(&files?)
    }

    pub(super) fn note(&self, first: Index, at: u64, until: u64) {
        let mut sparse = locked(&self.sparse);
        // A gap is closed by the walk of whoever reads there first.
        if at == sparse.until() {
            sparse.note(first, at, until);
        }
    }

    /// Forgets what the index knows beyond `until`.
    pub(super) fn seal_at(&self, until: u64) {
        let mut sparse = locked(&self.sparse);
        if sparse.until() > until {
            let points = sparse
                .points()
                .iter()
                .copied()
                .filter(|&(_, at)| at < until)
                .collect();
            *sparse = Sparse::from_points(points, until);
        }
        self.is_sealed.store(true, Ordering::Release);
        // From now on `Maps` bounds how many are mapped.
        self.forget_map();
    }

    pub(super) fn forget_map(&self) {
        *locked(&self.map) = None;
    }

    /// Whether it is sealed, and had none.
    pub(super) fn keep_map(&self, map: &Map) -> bool {
        let mut held = locked(&self.map);
        let is_new = held.is_none() && self.is_sealed.load(Ordering::Acquire);
        if is_new {
            *held = Some(map.clone());
        }
        is_new
    }

    /// The footer of this sealed segment. `end` is the log's end there.
    pub(super) fn footer(&self, disk: &dyn Disk, end: End) -> io::Result<Footer> {
        let until = self.readable();
        let known = std::mem::take(&mut *locked(&self.pieces)).finish(until);
        let pieces = match known {
            Some(pieces) => pieces,
            None => self.sum(disk, until)?,
        };
        let points = locked(&self.sparse).points().to_vec();
        let Header { log, epoch, .. } = self.header;
        Ok(Footer {
            log,
            epoch,
            until,
            end,
            pieces,
            points,
        })
    }

    fn sum(&self, disk: &dyn Disk, until: u64) -> io::Result<Vec<u32>> {
        let file = self.file(disk)?;
        let mut pieces = Pieces::default();
        let mut at = 0;
        let mut buffer = vec![0; 256 << 10];
        while at < until {
            let count = buffer.len().min((until - at) as usize);
            file.read_exact_at(at, &mut buffer[..count])?;
            pieces.write(at, &buffer[..count]);
            at += count as u64;
        }
        Ok(pieces.finish(until).expect("bytes written in order from 0"))
    }

    /// A range of the file, from the map or by a plain read; None where it is not in
    /// memory and would have to be.
    fn fetch(&self, disk: &dyn Disk, range: Range<u64>, way: Way) -> io::Result<Option<Chunk>> {
        // To open a file may wait for the disk.
        if way == Way::Resident && locked(&self.file).is_none() {
            return Ok(None);
        }
        if way != Way::Plain
            && let Some(map) = self.map_over(disk, range.end)?
        {
            let end = if planted!(StaleMapLength) {
                range.end.min(map.bytes().len() as u64)
            } else {
                range.end
            };
            let range = range.start.min(end) as usize..end as usize;
            if way == Way::Map {
                map.populate(range.clone())?;
            } else if !map.is_resident(range.clone()) {
                return Ok(None);
            }
            return Ok(Some(Chunk {
                held: Held::Map(map),
                range,
            }));
        }
        if way == Way::Resident {
            return Ok(None);
        }
        let length = (range.end - range.start) as usize;
        let mut block = Block::with_capacity(length);
        block.pad_to(length);
        self.file(disk)?.read_exact_at(range.start, &mut block)?;
        Ok(Some(Chunk {
            held: Held::Block(Arc::new(block)),
            range: 0..length,
        }))
    }

    /// The map, made anew where the file has grown since.
    fn map_over(&self, disk: &dyn Disk, until: u64) -> io::Result<Option<Map>> {
        let mut held = locked(&self.map);
        if let Some(map) = &*held
            && (map.bytes().len() as u64 >= until || planted!(StaleMapLength))
        {
            return Ok(Some(map.clone()));
        }
        let file = self.file(disk)?;
        let length = file.len()?;
        if length < until {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("{} has {length} bytes, {until} were written", self.name),
            ));
        }
        let map = file.map(length)?;
        if !self.is_sealed.load(Ordering::Acquire) {
            held.clone_from(&map);
        }
        Ok(map)
    }

    fn hole(&self, at: u64, fault: Fault) -> Hole {
        Hole {
            log: Some(self.header.log),
            file: self.name.clone(),
            at,
            fault,
        }
    }

    /// Walks and checks every record from the first to `until`, and says where
    /// the log ends there.
    pub(super) fn verify(
        &self,
        disk: &dyn Disk,
        format: &dyn Format,
        until: u64,
    ) -> Result<End, ReadError> {
        let mut walk = Walk {
            format,
            epoch: self.header.epoch,
            end: self.header.start,
        };
        let mut at = BODY;
        let mut window = WINDOW_BYTES;
        while at < until {
            let range = at..until.min(at + window);
            let is_last = range.end == until;
            let chunk = self.read_window(disk, range, Way::Map)?;
            let mut place = 0;
            loop {
                let rest = &chunk[place..];
                if rest.is_empty() {
                    break;
                }
                match walk
                    .step(rest)
                    .map_err(|fault| ReadError::Hole(self.hole(at + place as u64, fault)))?
                {
                    Walked::Record(head) => {
                        let start = at + place as u64;
                        self.note(head.first, start, start + head.length as u64);
                        place += head.length;
                        window = WINDOW_BYTES;
                    }
                    Walked::More(count) if !is_last && count <= RECORD_BYTES_MAX + 4096 => {
                        window = window.max(count as u64);
                        break;
                    }
                    Walked::More(count) => {
                        let (expected, found) = (count as u64, rest.len() as u64);
                        let fault = Fault {
                            what: "bytes left of a record",
                            expected,
                            found,
                        };
                        return Err(ReadError::Hole(self.hole(at + place as u64, fault)));
                    }
                    Walked::Nothing => {
                        let fault = Fault::missing("record");
                        return Err(ReadError::Hole(self.hole(at + place as u64, fault)));
                    }
                }
            }
            at += place as u64;
        }
        Ok(walk.end)
    }

    fn read_window(
        &self,
        disk: &dyn Disk,
        range: Range<u64>,
        way: Way,
    ) -> Result<Chunk, ReadError> {
        let (start, end) = (range.start, range.end);
        let fetched = self.fetch(disk, range, way);
        fetched
            .map_err(|source| ReadError::Io {
                doing: format!("read bytes {start} to {end} of {}", self.name),
                source,
            })?
            .ok_or(ReadError::NotInMemory)
    }

    /// Where the record that holds `index` starts, and the log's end before
    /// it. Walks from the nearest point of the sparse index, and completes
    /// the index on its way.
    pub(super) fn locate(
        &self,
        disk: &dyn Disk,
        format: &dyn Format,
        index: Index,
        way: Way,
    ) -> Result<Located, ReadError> {
        let until = self.readable();
        let start = (self.header.start.next, BODY);
        if index != start.0 && self.wants_points() {
            if way == Way::Resident {
                return Err(ReadError::NotInMemory);
            }
            self.load_points(disk);
        }
        let (first, mut at) = locked(&self.sparse).before(index).unwrap_or(start);
        if first == index && at < until {
            return Ok(Located { at, before: None });
        }
        let mut before = None;
        let mut window = LOCATE_BYTES;
        while at < until {
            let range = at..until.min(at + window);
            window = (window * 4).min(DISTANCE_BYTES * 4);
            let chunk = self.read_window(disk, range, way)?;
            let mut place = 0;
            loop {
                let here = at + place as u64;
                let step = format.measure(&chunk[place..]);
                match step.map_err(|fault| ReadError::Hole(self.hole(here, fault)))? {
                    Step::Record(head) if head.next > index => {
                        return Ok(Located { at: here, before });
                    }
                    Step::Record(head) => {
                        self.note(head.first, here, here + head.length as u64);
                        before = Some(head.end());
                        place += head.length;
                    }
                    Step::More(_) if place > 0 => break,
                    Step::More(count) => {
                        let (expected, found) = (count as u64, chunk.len() as u64);
                        let fault = Fault {
                            what: "bytes left of a record",
                            expected,
                            found,
                        };
                        return Err(ReadError::Hole(self.hole(here, fault)));
                    }
                    Step::Nothing => {
                        let fault = Fault::missing("record");
                        return Err(ReadError::Hole(self.hole(here, fault)));
                    }
                }
                if place >= chunk.len() {
                    break;
                }
            }
            at += place as u64;
        }
        Ok(Located { at: until, before })
    }

    /// A sealed segment that nobody has read yet.
    fn wants_points(&self) -> bool {
        self.is_sealed.load(Ordering::Acquire) && locked(&self.sparse).points().is_empty()
    }

    /// It takes its index from the footer; where that is missing or bad, the walk
    /// builds it.
    fn load_points(&self, disk: &dyn Disk) {
        if let Ok(footer) = read_footer(disk, &self.name)
            && footer.epoch == self.header.epoch
            && footer.until == self.readable()
        {
            *locked(&self.sparse) = Sparse::from_points(footer.points, footer.until);
        }
    }
}

/// What a search reads first. Between large records it needs their heads only;
/// between small ones it reads a distance, in two reads or three.
const LOCATE_BYTES: u64 = 4 << 10;

/// A straight write of more than this is sent on its way in pieces.
const WRITE_OUT_BYTES: u64 = 1 << 20;

/// Verification reads this much at a time.
const WINDOW_BYTES: u64 = 1 << 20;

pub(super) fn read_footer(disk: &dyn Disk, segment: &str) -> io::Result<Footer> {
    let file = disk.open(&footer_name(segment), How::Read)?;
    let mut bytes = vec![0; file.len()?.min(16 << 20) as usize];
    file.read_exact_at(0, &mut bytes)?;
    let parsed = Footer::parse(&bytes);
    parsed.map_err(|fault| io::Error::new(io::ErrorKind::InvalidData, fault.to_string()))
}

/// Writes the footer of a sealed segment. A footer that is not whole is no
/// loss: whoever reads it builds it again.
pub(super) fn write_footer(disk: &dyn Disk, segment: &Segment, end: End) -> io::Result<()> {
    let name = footer_name(&segment.name);
    let _ = disk.remove(&name);
    let file = disk.open(&name, How::Create)?;
    file.write_all_at(0, &segment.footer(disk, end)?.encode())?;
    file.sync()
}

pub(super) struct Located {
    pub(super) at: u64,
    /// The end before the record, where the walk passed one.
    pub(super) before: Option<End>,
}

/// How bytes are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the memory map, without a copy, made resident first.
    Map,
    /// From there, and only where it is resident: the disk is not waited for.
    Resident,
    /// By a read, for ranges that are cold.
    Plain,
}

/// Bytes of a log, held as long as this lives.
#[derive(Clone)]
pub struct Chunk {
    held: Held,
    range: Range<usize>,
}

#[derive(Clone)]
enum Held {
    Map(Map),
    Block(Arc<Block>),
    Fresh(Arc<Vec<u8>>),
}

impl Deref for Chunk {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match &self.held {
            Held::Map(map) => &map.bytes()[self.range.clone()],
            Held::Block(block) => &block[self.range.clone()],
            Held::Fresh(bytes) => &bytes[self.range.clone()],
        }
    }
}

impl Chunk {
    /// Of bytes that stand in no log as they are.
    pub fn of(bytes: Vec<u8>) -> Self {
        let range = 0..bytes.len();
        Self::shared(Arc::new(bytes), range)
    }

    pub(super) fn shared(bytes: Arc<Vec<u8>>, range: Range<usize>) -> Self {
        Self {
            held: Held::Fresh(bytes),
            range,
        }
    }

    pub(super) fn map(&self) -> Option<&Map> {
        match &self.held {
            Held::Map(map) => Some(map),
            Held::Block(_) | Held::Fresh(_) => None,
        }
    }

    /// It was read into memory of its own.
    pub fn is_copy(&self) -> bool {
        matches!(self.held, Held::Block(_))
    }

    /// The same bytes, fewer of them, without a copy.
    pub fn part(&self, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.len());
        let start = self.range.start;
        Self {
            held: self.held.clone(),
            range: start + range.start..start + range.end,
        }
    }
}

/// What a read gives: whole records back to back.
pub struct Read {
    pub bytes: Chunk,
    /// The segment's epoch, for who checks frames.
    pub epoch: crate::ids::Epoch,
    /// Where to read on.
    pub next: Index,
}

/// One segment as others see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its first record's index.
    pub first: Index,
    /// What it has of records.
    pub bytes: u64,
    /// It was written anew: records that were in it may be gone.
    pub is_rewritten: bool,
}

/// One log's chain of segments and its marks.
pub struct Shelf {
    pub id: LogId,
    pub(super) format: &'static dyn Format,
    disk: Arc<dyn Disk>,
    maps: Arc<Maps>,
    segments: RwLock<Vec<Arc<Segment>>>,
    /// Foreign records that are not in their segment yet.
    pub(super) fresh: Fresh,
    first: AtomicU64,
    /// The index after the last record taken in.
    written_until: AtomicU64,
    /// The index after the last record that has its place in the journal: it is
    /// refused no more. Invariant: taken_until <= written_until.
    taken_until: AtomicU64,
    /// The index after the last record that survives power loss.
    /// Invariant: durable_until <= taken_until.
    durable_until: AtomicU64,
    /// The index after the last record that can be read from its segment.
    /// Invariant: readable_until <= durable_until.
    readable_until: AtomicU64,
    is_closed: AtomicBool,
    changed: (Mutex<()>, Condvar),
}

impl Shelf {
    pub(super) fn new(
        id: LogId,
        format: &'static dyn Format,
        disk: Arc<dyn Disk>,
        maps: Arc<Maps>,
    ) -> Self {
        Self {
            id,
            format,
            disk,
            maps,
            segments: RwLock::default(),
            fresh: Fresh::default(),
            first: AtomicU64::new(0),
            written_until: AtomicU64::new(0),
            taken_until: AtomicU64::new(0),
            durable_until: AtomicU64::new(0),
            readable_until: AtomicU64::new(0),
            is_closed: AtomicBool::new(false),
            changed: Default::default(),
        }
    }

    pub fn first(&self) -> Index {
        Index(self.first.load(Ordering::Acquire))
    }

    pub fn written_until(&self) -> Index {
        Index(self.written_until.load(Ordering::Acquire))
    }

    pub fn taken_until(&self) -> Index {
        Index(self.taken_until.load(Ordering::Acquire))
    }

    pub fn durable_until(&self) -> Index {
        Index(self.durable_until.load(Ordering::Acquire))
    }

    pub fn readable_until(&self) -> Index {
        Index(self.readable_until.load(Ordering::Acquire))
    }

    pub(super) fn set_first(&self, index: Index) {
        self.first.store(index.0, Ordering::Release);
    }

    pub(super) fn set_written(&self, index: Index) {
        self.written_until.store(index.0, Ordering::Release);
    }

    pub(super) fn set_taken(&self, index: Index) {
        self.taken_until.store(index.0, Ordering::Release);
    }

    pub(super) fn set_durable(&self, index: Index) {
        self.durable_until.store(index.0, Ordering::Release);
    }

    /// Moves the readable mark and wakes who waits for it.
    pub(super) fn set_readable(&self, index: Index) {
        self.readable_until.store(index.0, Ordering::Release);
        // Behind the mark: a reader that does not find a record in one place
        // any more finds it in the other.
        self.fresh.forget_below(index);
        self.wake();
    }

    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        drop(locked(&self.changed.0));
        self.changed.1.notify_all();
    }

    /// Waits until `index` can be read; false where the log closed first.
    pub(super) fn wait_readable(&self, index: Index) -> bool {
        let mut guard = locked(&self.changed.0);
        while self.readable_until() <= index {
            if self.is_closed.load(Ordering::Acquire) {
                return false;
            }
            guard = self
                .changed
                .1
                .wait(guard)
                .unwrap_or_else(PoisonError::into_inner);
        }
        true
    }

    pub(super) fn segments(&self) -> Vec<Arc<Segment>> {
        self.segments
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Where its active segment begins; None where it has none.
    pub fn active_first(&self) -> Option<Index> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        segments.last().map(|segment| segment.header.start.next)
    }

    /// Where it was begun, or begun anew; None once its beginning is dropped.
    pub fn begun_at(&self) -> Option<Index> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        let first = &segments.first()?.header;
        first.previous.is_none().then_some(first.start.next)
    }

    /// Its segments, the oldest first.
    pub fn spans(&self) -> Vec<Span> {
        let segments = self.segments();
        let span = |segment: &Arc<Segment>| Span {
            first: segment.header.start.next,
            bytes: segment.readable().saturating_sub(BODY),
            is_rewritten: segment.header.rewritten.is_some(),
        };
        segments.iter().map(span).collect()
    }

    pub(super) fn set_segments(&self, segments: Vec<Arc<Segment>>) {
        *self
            .segments
            .write()
            .unwrap_or_else(PoisonError::into_inner) = segments;
    }

    pub(super) fn segment_of(&self, index: Index) -> Option<Arc<Segment>> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        let after = segments.partition_point(|segment| segment.header.start.next <= index);
        after.checked_sub(1).map(|place| segments[place].clone())
    }

    /// Whether its records can be read as soon as they are taken in.
    pub fn keeps_fresh(&self) -> bool {
        !self.format.is_framed()
    }

    /// Reads whole records from the one that holds `from` on: at least one,
    /// and more while they fit `bytes_max`, never beyond a segment's end.
    /// None where nothing that is durable can be read there yet.
    pub fn read(&self, from: Index, bytes_max: usize, way: Way) -> Result<Option<Read>, ReadError> {
        self.read_below(from, self.durable_until(), bytes_max, way)
    }

    /// The same of a log that keeps what is fresh, with the records that have
    /// their place in the journal and are not durable yet: nothing but a power cut
    /// undoes them.
    pub fn read_taken(
        &self,
        from: Index,
        bytes_max: usize,
        way: Way,
    ) -> Result<Option<Read>, ReadError> {
        self.read_below(from, self.taken_until(), bytes_max, way)
    }

    fn read_below(
        &self,
        from: Index,
        until: Index,
        bytes_max: usize,
        way: Way,
    ) -> Result<Option<Read>, ReadError> {
        loop {
            if from < self.first() {
                return Err(ReadError::BelowFirst {
                    first: self.first(),
                });
            }
            if from >= self.readable_until() {
                if let Some(read) = self.fresh.read(self.format, from, until, bytes_max) {
                    return Ok(Some(read));
                }
                // It may have come into its segment meanwhile.
                if from >= self.readable_until() {
                    return Ok(None);
                }
            }
            let Some(segment) = self.segment_of(from) else {
                return Ok(None);
            };
            match self.read_in(&segment, from, bytes_max, way) {
                // Its file is gone, for another has taken its place.
                Err(ReadError::Io { .. }) if !self.holds(&segment) => {}
                read => return read,
            }
        }
    }

    fn holds(&self, segment: &Arc<Segment>) -> bool {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        segments.iter().any(|one| Arc::ptr_eq(one, segment))
    }

    fn read_in(
        &self,
        segment: &Arc<Segment>,
        from: Index,
        bytes_max: usize,
        way: Way,
    ) -> Result<Option<Read>, ReadError> {
        let disk = &*self.disk;
        // Of what it walks over, it needs the heads of records only.
        let walk = match way {
            Way::Resident => Way::Resident,
            Way::Map | Way::Plain => Way::Plain,
        };
        let at = segment.locate(disk, self.format, from, walk)?.at;
        let until = segment.readable();
        if at >= until {
            return Ok(None);
        }
        let mut want = bytes_max.clamp(1, RECORD_BYTES_MAX) as u64;
        loop {
            let chunk = segment.read_window(disk, at..until.min(at + want), way)?;
            self.maps.keep(segment, &chunk);
            match whole_records(self.format, &chunk, bytes_max) {
                Ok((length, Some(next))) => {
                    let (bytes, epoch) = (chunk.part(0..length), segment.header.epoch);
                    return Ok(Some(Read { bytes, epoch, next }));
                }
                Ok((needed, None)) if needed as u64 > want && at + want < until => {
                    want = needed as u64;
                }
                Ok((needed, None)) => {
                    let (expected, found) = (needed as u64, chunk.len() as u64);
                    let fault = Fault {
                        what: "bytes left of a record",
                        expected,
                        found,
                    };
                    return Err(ReadError::Hole(segment.hole(at, fault)));
                }
                Err(fault) => return Err(ReadError::Hole(segment.hole(at, fault))),
            }
        }
    }
}

/// How many bytes of whole records stand at the start, and the index after
/// them; without a whole one, how many bytes the first needs.
fn whole_records(
    format: &dyn Format,
    bytes: &[u8],
    bytes_max: usize,
) -> Result<(usize, Option<Index>), Fault> {
    let (mut length, mut next) = (0, None);
    while length < bytes.len() && (next.is_none() || length < bytes_max) {
        match format.measure(&bytes[length..])? {
            Step::Record(head) if length + head.length <= bytes.len() => {
                length += head.length;
                next = Some(head.next);
            }
            Step::Record(head) if next.is_none() => return Ok((head.length, None)),
            Step::More(count) if next.is_none() => return Ok((count, None)),
            Step::Nothing if next.is_none() => {
                return Err(Fault::missing("record"));
            }
            _ => break,
        }
    }
    Ok((length, next))
}
