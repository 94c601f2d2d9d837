//! The logs of one device and the journal that makes them durable.
//!
//! One thread owns this and calls `turn` in a loop. A turn takes what the
//! disk has finished, gathers what has arrived into one journal batch, and
//! starts it. An append is answered when its batch is synced; only then do its
//! bytes go to its segment, unsynced, by the lane's worker. A sweep syncs the
//! segments behind a full journal file, and the file is used again.
//!
//! ```text
//! submit -> backlog -> staged batch -> journal, synced -> answered
//!                                                      -> tails -> segment -> readable
//! large  -> straight to the segment, synced -> its mark in the journal, synced -> answered
//! ```

mod batches;
mod change;
mod collect;
mod end;
mod exchange;
mod gather;
mod room;
mod straight;
mod sweep;

use super::batch::{Entry, Joint, Line, append_bytes};
use super::errors::{Fatal, OpenError, Refused};
use super::format::{End, Format, Walk, Walked};
use super::frame::{self, Payload, Place};
use super::fresh::Piece;
use super::journal::{Journal, Making, Naming, Opening, Sealed};
use super::maps::Maps;
use super::rewrite::Written;
use super::segment::{self, BODY, Header};
use super::settings::Settings;
use super::shelf::{Read, Segment, Shelf, Way};
use crate::disk::{Disk, Done, Lane, Token};
use crate::ids::{Epoch, Index, JournalNumber, LogId, Uid};
use crate::limits::{
    LOGS_PER_DEVICE, PENDING_BYTES_MAX, RECORD_BYTES_MAX, STRAIGHT_BYTES_MAX, SYNCS_AT_ONCE,
};
use crate::planted;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

/// Where an append went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    pub first: Index,
    pub next: Index,
}

/// What came of a request, called on the log's thread: it must be brief.
pub type Answer = Box<dyn FnOnce(Result<Appended, Refused>) + Send>;

/// What came of an errand, called on the device's thread: it must be brief.
pub type ErrandDone = Box<dyn FnOnce(io::Result<()>) + Send>;

/// Records on their way into a log.
#[derive(Debug)]
pub enum Records {
    /// Payloads for our own frames.
    Frames(Vec<Payload>),
    /// Whole records of a foreign format, back to back.
    Whole(Vec<u8>),
}

impl Records {
    /// Bytes that they take in the segment.
    pub fn bytes(&self) -> usize {
        match self {
            Records::Frames(payloads) => payloads.iter().map(Payload::frame_bytes).sum(),
            Records::Whole(bytes) => bytes.len(),
        }
    }
}

/// What the owner of a device can be asked for.
pub enum Request {
    Append {
        log: LogId,
        records: Records,
    },
    /// Removes every record from `from` on.
    Truncate {
        log: LogId,
        from: Index,
    },
    /// Forgets every record below `until`.
    DropPrefix {
        log: LogId,
        until: Index,
    },
    /// Empties the log; its next record has this index.
    Restart {
        log: LogId,
        at: Index,
    },
    Remove {
        log: LogId,
    },
    /// Seals the segment that is written to, where it has records.
    Roll {
        log: LogId,
    },
    /// Puts a segment that was written anew in the place of those that it was
    /// written from. Refused where they have changed since.
    Exchange(Box<Written>),
    /// Answered when all that was durable before can be read.
    Show,
}

/// One log as its owner sees it.
pub(super) struct Log {
    pub(super) shelf: Arc<Shelf>,
    pub(super) format: &'static dyn Format,
    /// The end of what is staged.
    pub(super) end: End,
    pub(super) active: Option<Active>,
    /// The oldest segment that is kept.
    pub(super) first_epoch: Epoch,
    /// What a segment grows to.
    pub(super) segment_bytes: u64,
    /// Bytes of appends that have room and are not staged yet.
    promised: u64,
    /// A straight write is under way: what came later waits here.
    is_busy: bool,
    /// A segment takes the place of others: what changes the log's shape, and
    /// came later than that, waits here.
    is_exchanging: bool,
    waiting: VecDeque<(Request, Answer)>,
    /// Staged bytes on their way to the segment.
    tails: VecDeque<Tail>,
    /// Tasks under way that write some of them.
    showing: usize,
}

/// The segment that is written to.
pub(super) struct Active {
    pub(super) segment: Arc<Segment>,
    /// The end of what is staged.
    pub(super) until: u64,
    /// What the file has room for.
    pub(super) room: u64,
    /// More was asked for ahead of need, and is not there yet.
    pub(super) is_growing: bool,
}

/// Bytes of one batch for one segment.
struct Tail {
    segment: Arc<Segment>,
    at: u64,
    /// None of a straight batch, which is written.
    bytes: Arc<Vec<u8>>,
    /// What is held in memory until this can be read from the segment.
    held_bytes: usize,
    next: Index,
    /// The batch that carries them; they may be written once it is durable.
    sequence: u64,
}

/// What a batch in the making will bring about.
#[derive(Default)]
struct Staged {
    answers: Vec<(Answer, Appended)>,
    /// How far each log is durable with it.
    logs: Vec<(LogId, Index)>,
    /// Files that are no longer needed with it.
    removals: Vec<String>,
}

/// A batch on its way to the disk.
struct InFlight {
    token: Token,
    sequence: u64,
    is_done: bool,
    staged: Staged,
}

/// What a background task was for.
enum Running {
    /// Tails of these logs were written: this many bytes are no longer pending.
    Show {
        logs: Vec<LogId>,
        bytes: usize,
    },
    Straight(Box<Straight>),
    Exchange(Box<exchange::Exchange>),
    /// One step of a sweep, or a segment's sync ahead of one.
    Sync,
    /// A footer, a removal: losing it loses nothing.
    Tidy,
    /// A piece of a journal file that is made ahead of need.
    Making(Making),
    /// A journal file that is kept to be used again.
    Spare {
        name: String,
    },
    /// The next journal file gets its name.
    Naming,
    /// The active segment was given so much room.
    Growth {
        log: LogId,
        epoch: Epoch,
        room: u64,
    },
    /// Work of the owner's on files of its own.
    Errand(ErrandDone),
}

/// A batch that goes straight to its segment.
struct Straight {
    log: LogId,
    epoch: Epoch,
    at: u64,
    until: u64,
    /// Summed by who writes the bytes.
    crc: Arc<AtomicU32>,
    end: End,
    segment: Arc<Segment>,
    /// Of what is kept for readers.
    held_bytes: usize,
    /// Shown to them once it cannot be refused any more.
    pieces: Vec<Piece>,
    answers: Vec<(Answer, Appended)>,
}

/// Syncs everything that the journal files up to `until` hold.
struct Sweep {
    until: JournalNumber,
    left: Vec<Arc<Segment>>,
    is_folder_due: bool,
}

/// What `status` says of a device.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub logs: u64,
    pub appends: u64,
    pub batches: u64,
    pub straight_batches: u64,
    pub journal_bytes: u64,
    pub journal_files: u64,
    pub sweeps: u64,
    pub stalls: u64,
    pub refused_full: u64,
    pub tidy_failures: u64,
}

pub struct Device {
    pub(super) disk: Arc<dyn Disk>,
    maps: Arc<Maps>,
    pub(super) lane: Box<dyn Lane>,
    pub(super) settings: Settings,
    pub(super) home: Uid,
    pub(super) logs: BTreeMap<LogId, Log>,
    pub(super) journal: Journal,
    pub(super) next_epoch: u64,
    backlog: VecDeque<(Request, Answer)>,
    staged: Staged,
    in_flight: VecDeque<InFlight>,
    running: BTreeMap<Token, Running>,
    next_token: u64,
    /// Bytes durable or staged, not yet in their segment.
    pending_bytes: usize,
    /// Logs with tails.
    tailed: BTreeSet<LogId>,
    /// Tasks under way that write tails.
    showing: usize,
    /// Straight writes and exchanges under way.
    busy: usize,
    /// Segments with unsynced bytes, by the oldest journal file that holds
    /// them.
    pub(super) dirty: BTreeMap<(LogId, Epoch), Dirty>,
    /// Sealed segments that want a footer.
    pub(super) unfooted: Vec<Unfooted>,
    pub(super) is_folder_dirty: bool,
    sweep: Option<Sweep>,
    /// Segments that are synced while there is no sweep, so that the next finds
    /// little to do.
    uneased: VecDeque<Arc<Segment>>,
    /// One at a time: the worker writes tails in between.
    is_syncing: bool,
    /// Calls of `tick` that found nothing to do, since a spare was given back.
    quiet_ticks: u32,
    fatal: Option<Fatal>,
    done: Vec<Done>,
    /// Straight writes that are synced and whose marks are not staged yet.
    landed: VecDeque<(Straight, io::Result<()>)>,
    figures: Figures,
}

/// A sealed segment without its footer.
pub(super) struct Unfooted {
    pub(super) segment: Arc<Segment>,
    /// The bytes that count.
    pub(super) until: u64,
    /// The end of the log there.
    pub(super) end: End,
}

pub(super) struct Dirty {
    segment: Arc<Segment>,
    since: JournalNumber,
}

/// A segment that has outgrown its first step by so much, 1 MiB, is busy: it is
/// given its room ahead of need. One that lies idle stays as small as it is.
const BUSY_STEPS: u64 = 16;

/// After a load its journal files are given back, one after so many ticks of quiet:
/// the next load, which may come every minute, finds them made.
const QUIET_TICKS_A_SPARE: u32 = 60;

/// Why a journal file is begun.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Roll {
    /// The one before is full.
    Going,
    /// Recovery is through, or the directory is new.
    Starting,
    /// A clean stop.
    Stopping,
}

/// Whether something can be staged now.
enum Staging {
    Taken,
    /// The batch is full, or the request must wait for what is in flight.
    Later(Request, Answer),
}

impl Device {
    pub(super) fn assemble(
        disk: Arc<dyn Disk>,
        lane: Box<dyn Lane>,
        settings: Settings,
        home: Uid,
        journal: Journal,
        maps: Arc<Maps>,
        next_epoch: u64,
    ) -> Self {
        Self {
            disk,
            maps,
            lane,
            settings,
            home,
            logs: BTreeMap::new(),
            journal,
            next_epoch,
            backlog: VecDeque::new(),
            staged: Staged::default(),
            in_flight: VecDeque::new(),
            running: BTreeMap::new(),
            next_token: 0,
            pending_bytes: 0,
            tailed: BTreeSet::new(),
            showing: 0,
            busy: 0,
            dirty: BTreeMap::new(),
            unfooted: Vec::new(),
            is_folder_dirty: false,
            sweep: None,
            uneased: VecDeque::new(),
            is_syncing: false,
            quiet_ticks: 0,
            fatal: None,
            done: Vec::new(),
            landed: VecDeque::new(),
            figures: Figures::default(),
        }
    }

    /// The log with this number, made in memory where there is none yet. It
    /// costs no disk before its first record.
    pub fn log(&mut self, id: LogId, format: &'static dyn Format) -> Result<Arc<Shelf>, Refused> {
        if let Some(log) = self.logs.get(&id) {
            let (have, want) = (log.format.id(), format.id());
            return match have == want {
                true => Ok(log.shelf.clone()),
                false => Err(Refused::OtherFormat { have, want }),
            };
        }
        if self.logs.len() >= LOGS_PER_DEVICE {
            return Err(Refused::TooManyLogs);
        }
        let (disk, maps) = (self.disk.clone(), self.maps.clone());
        let shelf = Arc::new(Shelf::new(id, format, disk, maps));
        let log = Log::new(shelf.clone(), format, self.settings.segment_bytes);
        self.logs.insert(id, log);
        Ok(shelf)
    }

    pub fn log_ids(&self) -> Vec<LogId> {
        self.logs.keys().copied().collect()
    }

    pub fn shelf(&self, id: LogId) -> Option<Arc<Shelf>> {
        self.logs.get(&id).map(|log| log.shelf.clone())
    }

    pub fn engine(&self) -> &'static str {
        self.lane.engine()
    }

    pub fn waker(&self) -> crate::disk::Waker {
        self.lane.waker()
    }

    pub fn figures(&self) -> Figures {
        Figures {
            logs: self.logs.len() as u64,
            journal_bytes: self.journal.written_bytes(),
            journal_files: self.journal.live_files() as u64,
            ..self.figures.clone()
        }
    }

    /// Takes a request in; it is worked on by `turn`.
    pub fn submit(&mut self, request: Request, answer: Answer) {
        match &self.fatal {
            Some(fatal) => answer(Err(Refused::Failed(fatal.to_string()))),
            None => self.backlog.push_back((request, answer)),
        }
    }

    /// Has the lane's worker do something with files that are the owner's own,
    /// after all that it was given before.
    pub fn errand(&mut self, task: crate::disk::Task, done: ErrandDone) {
        self.background(Running::Errand(done), task);
    }

    /// The folder that holds the logs.
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Whether all that was asked for has been answered.
    pub fn is_quiet(&self) -> bool {
        self.backlog.is_empty()
            && self.in_flight.is_empty()
            && self.staged_is_empty()
            && self.busy == 0
    }

    fn staged_is_empty(&self) -> bool {
        self.journal.staged_bytes() == 0 && self.staged.answers.is_empty()
    }

    /// One round: take what is finished, gather, start. Never waits for the
    /// disk but in the engine whose durable writes are calls.
    pub fn turn(&mut self) -> Result<(), Fatal> {
        if let Some(fatal) = &self.fatal {
            return Err(fatal.clone());
        }
        let outcome = self.turn_inner();
        if let Err(fatal) = &outcome {
            self.fail(fatal.clone());
        }
        outcome
    }

    fn turn_inner(&mut self) -> Result<(), Fatal> {
        self.collect()?;
        self.gather()?;
        self.start_batch()?;
        self.collect()?;
        if self.pending_bytes >= self.settings.show_bytes {
            self.show();
        }
        self.go_on_sweeping();
        Ok(())
    }

    /// Lets the readers see all that is durable, without waiting. Who owns the
    /// device need not: a reader that misses something asks for it, and a tick
    /// does it once a second; each time costs the worker's being woken.
    pub fn rest(&mut self) {
        self.show();
    }

    /// Waits until the disk has finished something, or the waker is rung.
    pub fn wait(&mut self, at_most: Option<Duration>, still_idle: &mut dyn FnMut() -> bool) {
        self.lane.wait(at_most, still_idle);
    }

    /// Whether waiting makes sense: something is under way at the disk, or
    /// nothing is left to do.
    pub fn is_waiting(&self) -> bool {
        let has_work = !self.backlog.is_empty() || !self.staged_is_empty();
        let comes_back =
            !self.in_flight.is_empty() || (self.is_stalled() && !self.running.is_empty());
        self.landed.is_empty() && (!has_work || comes_back)
    }

    /// Every journal file is full and the sweep is not through.
    fn is_stalled(&self) -> bool {
        self.journal.is_full() || self.pending_bytes >= PENDING_BYTES_MAX
    }

    /// Whether a turn may find something to do.
    pub fn is_busy(&self) -> bool {
        !self.is_quiet() || !self.landed.is_empty()
    }

    /// Called about once a second. Idle, it proves the last batch durable with
    /// an empty one behind it, so that recovery can tell rot from a torn tail.
    pub fn tick(&mut self) -> Result<(), Fatal> {
        if self.fatal.is_none()
            && self.is_quiet()
            && self.journal.is_last_in_doubt()
            && !self.journal.is_file_full()
        {
            self.seal_and_start();
        }
        self.quiet_ticks += u32::from(self.is_quiet());
        if self.quiet_ticks == QUIET_TICKS_A_SPARE {
            self.quiet_ticks = 0;
            self.give_back_spare();
        }
        self.show();
        self.turn()
    }

    /// Submits, and turns until it is answered. For an owner that has nothing
    /// else to do.
    pub fn call(&mut self, request: Request) -> Result<Appended, Refused> {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        self.submit(request, Box::new(move |outcome| drop(sender.send(outcome))));
        loop {
            if let Err(fatal) = self.turn() {
                return receiver
                    .try_recv()
                    .unwrap_or(Err(Refused::Failed(fatal.to_string())));
            }
            match receiver.try_recv() {
                Ok(outcome) => return outcome,
                Err(_) if self.is_waiting() => self.lane.wait(None, &mut || true),
                Err(_) => {}
            }
        }
    }

    /// Reads, after making sure that all that is durable can be read.
    pub fn read(
        &mut self,
        log: LogId,
        from: Index,
        bytes_max: usize,
        way: Way,
    ) -> Result<Option<Read>, super::errors::ReadError> {
        let Some(shelf) = self.shelf(log) else {
            return Ok(None);
        };
        let is_fresh = from < shelf.durable_until() && from >= shelf.readable_until();
        if is_fresh && !shelf.keeps_fresh() {
            self.settle()
                .map_err(|_| super::errors::ReadError::Closed)?;
        }
        shelf.read(from, bytes_max, way)
    }

    /// Waits until all that was asked for is answered and readable.
    pub fn settle(&mut self) -> Result<(), Fatal> {
        loop {
            self.turn()?;
            self.show();
            if self.is_quiet() && self.is_shown() {
                return Ok(());
            }
            if self.is_waiting() {
                self.lane.wait(None, &mut || true);
            }
        }
    }

    /// Whether every durable byte is in its segment.
    fn is_shown(&self) -> bool {
        self.tailed.is_empty() && self.showing == 0
    }
}

impl Log {
    pub(super) fn new(shelf: Arc<Shelf>, format: &'static dyn Format, segment_bytes: u64) -> Self {
        Self {
            shelf,
            format,
            end: End::default(),
            active: None,
            first_epoch: Epoch(0),
            segment_bytes,
            promised: 0,
            is_busy: false,
            is_exchanging: false,
            waiting: VecDeque::new(),
            tails: VecDeque::new(),
            showing: 0,
        }
    }
}

fn write_tails(disk: &dyn Disk, shelf: &Shelf, tails: Vec<Tail>) -> io::Result<()> {
    let mut next = None;
    // Neighbours go in one write.
    for group in tails
        .chunk_by(|a, b| Arc::ptr_eq(&a.segment, &b.segment) && a.at + a.bytes.len() as u64 == b.at)
    {
        let (segment, at) = (&group[0].segment, group[0].at);
        let whole: Vec<u8>;
        let bytes = match group {
            [one] => &one.bytes[..],
            many => {
                whole = many
                    .iter()
                    .map(|tail| &tail.bytes[..])
                    .collect::<Vec<_>>()
                    .concat();
                &whole[..]
            }
        };
        segment.write(disk, at, bytes)?;
        segment.set_readable(at + bytes.len() as u64);
        next = group.last().map(|tail| tail.next);
    }
    if let Some(next) = next {
        shelf.set_readable(next);
    }
    Ok(())
}

/// Lets readers see straight batches, which are written.
fn show_written(shelf: &Shelf, tails: &[Tail]) {
    for tail in tails {
        tail.segment.set_readable(tail.at);
    }
    if let Some(last) = tails.last() {
        shelf.set_readable(last.next);
    }
}

/// The size a segment grows to for `wanted` bytes: doubling steps up to the
/// full size; a record that is larger still gets what it needs.
pub(super) fn step_for(settings: &Settings, wanted: u64) -> u64 {
    step_within(settings, settings.segment_bytes, wanted)
}

/// The same for a log whose segments have another full size.
fn step_within(settings: &Settings, segment_bytes: u64, wanted: u64) -> u64 {
    let mut room = settings.segment_first_bytes;
    while room < wanted && room < segment_bytes {
        room *= 2;
    }
    let room = room.min(segment_bytes.max(settings.segment_first_bytes));
    room.max(wanted.next_multiple_of(crate::limits::BLOCK_BYTES as u64))
}

fn refused(doing: &str, name: &str, error: &io::Error) -> Refused {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Refused::Full(format!("{doing} {name}: {error}"))
        }
        _ => Refused::Failed(format!("{doing} {name}: {error}")),
    }
}

fn full_journal() -> Refused {
    Refused::Full("no room for another journal file".into())
}

fn failed(doing: &str, error: &io::Error) -> Fatal {
    Fatal {
        reason: format!("{doing}: {error}"),
    }
}
