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

use super::batch::{Entry, Joint, Line, append_bytes};
use super::errors::{Fatal, OpenError, Refused};
use super::format::{End, Format, Walk, Walked};
use super::frame::{self, Payload, Place};
use super::journal::{Journal, Sealed};
use super::segment::{self, BODY, Header};
use super::settings::Settings;
use super::shelf::{Read, Segment, Shelf, Way};
use crate::disk::{Disk, Done, Lane, Token};
use crate::ids::{Epoch, Index, JournalNumber, LogId, Uid};
use crate::limits::{LOGS_PER_DEVICE, PENDING_BYTES_MAX, RECORD_BYTES_MAX};
use crate::planted;
use crate::wire::crc32c_append;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Where an append went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    pub first: Index,
    pub next: Index,
}

/// What came of a request, called on the log's thread: it must be brief.
pub type Answer = Box<dyn FnOnce(Result<Appended, Refused>) + Send>;

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
    /// A straight write is under way: what came later waits here.
    is_busy: bool,
    waiting: VecDeque<(Request, Answer)>,
    /// Staged bytes on their way to the segment.
    tails: VecDeque<Tail>,
}

/// The segment that is written to.
pub(super) struct Active {
    pub(super) segment: Arc<Segment>,
    /// The end of what is staged.
    pub(super) until: u64,
    /// What the file has room for.
    pub(super) room: u64,
}

/// Bytes of one batch for one segment.
struct Tail {
    segment: Arc<Segment>,
    at: u64,
    bytes: Vec<u8>,
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
    /// Tails were written: this many bytes are no longer pending.
    Show {
        bytes: usize,
    },
    Straight(Box<Straight>),
    /// One step of a sweep.
    Sweep,
    /// A footer, a removal: losing it loses nothing.
    Tidy,
    /// A journal file made ahead of need.
    Spare {
        name: String,
    },
}

/// A batch that goes straight to its segment.
struct Straight {
    log: LogId,
    epoch: Epoch,
    at: u64,
    until: u64,
    crc: u32,
    end: End,
    segment: Arc<Segment>,
    answers: Vec<(Answer, Appended)>,
}

/// Syncs everything that the journal files up to `until` hold.
struct Sweep {
    until: JournalNumber,
    left: Vec<Arc<Segment>>,
    is_folder_due: bool,
    is_running: bool,
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
    pub(super) lane: Box<dyn Lane>,
    pub(super) settings: Settings,
    pub(super) home: Uid,
    pub(super) logs: BTreeMap<LogId, Log>,
    pub(super) journal: Journal,
    pub(super) next_epoch: u64,
    backlog: VecDeque<(Request, Answer)>,
    staged: Staged,
    in_flight: VecDeque<InFlight>,
    running: HashMap<Token, Running>,
    next_token: u64,
    /// Bytes durable or staged, not yet in their segment.
    pending_bytes: usize,
    /// Logs with tails.
    tailed: BTreeSet<LogId>,
    /// Tasks under way that write tails.
    showing: usize,
    /// Logs with a straight write under way.
    busy: usize,
    /// Segments with unsynced bytes, by the oldest journal file that holds
    /// them.
    pub(super) dirty: BTreeMap<(LogId, Epoch), Dirty>,
    /// Sealed segments that want a footer.
    unfooted: Vec<(Arc<Segment>, End)>,
    pub(super) is_folder_dirty: bool,
    sweep: Option<Sweep>,
    fatal: Option<Fatal>,
    done: Vec<Done>,
    figures: Figures,
}

pub(super) struct Dirty {
    segment: Arc<Segment>,
    since: JournalNumber,
}

/// Spare journal files kept; one is enough to never wait for a new one.
const SPARES_KEPT: usize = 1;

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
        next_epoch: u64,
    ) -> Self {
        Self {
            disk,
            lane,
            settings,
            home,
            logs: BTreeMap::new(),
            journal,
            next_epoch,
            backlog: VecDeque::new(),
            staged: Staged::default(),
            in_flight: VecDeque::new(),
            running: HashMap::new(),
            next_token: 0,
            pending_bytes: 0,
            tailed: BTreeSet::new(),
            showing: 0,
            busy: 0,
            dirty: BTreeMap::new(),
            unfooted: Vec::new(),
            is_folder_dirty: false,
            sweep: None,
            fatal: None,
            done: Vec::new(),
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
        let shelf = Arc::new(Shelf::new(id, format, self.disk.clone()));
        self.logs.insert(id, Log::new(shelf.clone(), format));
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

    pub fn home(&self) -> Uid {
        self.home
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

    /// Nothing more to take in: lets the readers see all that is durable.
    pub fn rest(&mut self) {
        self.show();
    }

    /// Waits until the disk has finished something, or the waker is rung.
    pub fn wait(&mut self, still_idle: &mut dyn FnMut() -> bool) {
        self.lane.wait(still_idle);
    }

    /// Whether waiting makes sense: something is under way at the disk, or
    /// nothing is left to do.
    pub fn is_waiting(&self) -> bool {
        let has_work = !self.backlog.is_empty() || !self.staged_is_empty();
        let comes_back =
            !self.in_flight.is_empty() || (self.is_stalled() && !self.running.is_empty());
        self.done.is_empty() && (!has_work || comes_back)
    }

    /// Every journal file is full and the sweep is not through.
    fn is_stalled(&self) -> bool {
        self.journal.is_full() || self.pending_bytes >= PENDING_BYTES_MAX
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
                Err(_) if self.is_waiting() => self.lane.wait(&mut || true),
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
        if from < shelf.durable_until() && from >= shelf.readable_until() {
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
                self.lane.wait(&mut || true);
            }
        }
    }

    /// Whether every durable byte is in its segment.
    fn is_shown(&self) -> bool {
        self.tailed.is_empty() && self.showing == 0
    }

    // ---- what the disk has finished ----

    fn collect(&mut self) -> Result<(), Fatal> {
        loop {
            // Taken out first: finishing a straight write may have to drain
            // the device, and puts back here what must wait meanwhile.
            let mut done = std::mem::take(&mut self.done);
            self.lane.reap(&mut done);
            if done.is_empty() {
                break;
            }
            for one in done {
                self.finish(one)?;
            }
        }
        self.answer_durable();
        Ok(())
    }

    fn finish(&mut self, done: Done) -> Result<(), Fatal> {
        let Done {
            token,
            mut result,
            block,
        } = done;
        if planted!(FsyncErrorIgnored) {
            result = Ok(());
        }
        if let Some(block) = block {
            self.journal.take_back(block);
            result.map_err(|error| failed("write to the journal", &error))?;
            let batch = self.in_flight.iter_mut().find(|batch| batch.token == token);
            if let Some(batch) = batch {
                batch.is_done = true;
            } else {
                self.journal.opening_done(token);
            }
            return Ok(());
        }
        match self.running.remove(&token) {
            Some(Running::Show { bytes }) => {
                result.map_err(|error| failed("write to a segment", &error))?;
                self.pending_bytes -= bytes;
                self.showing -= 1;
            }
            Some(Running::Straight(straight)) => self.finish_straight(*straight, result)?,
            Some(Running::Sweep) => {
                result.map_err(|error| failed("sync a segment", &error))?;
                if let Some(sweep) = &mut self.sweep {
                    sweep.is_running = false;
                }
            }
            Some(Running::Spare { name }) => match result {
                Ok(()) => self.journal.add_spare(name),
                Err(_) => self.figures.tidy_failures += 1,
            },
            Some(Running::Tidy) if result.is_err() => self.figures.tidy_failures += 1,
            Some(Running::Tidy) | None => {}
        }
        Ok(())
    }

    /// Answers batches in the order they were written, however they came back.
    fn answer_durable(&mut self) {
        while self.in_flight.front().is_some_and(|batch| batch.is_done) {
            let batch = self.in_flight.pop_front().expect("looked at above");
            let free = self.journal.set_durable(batch.sequence + 1);
            self.apply(batch.staged);
            for number in free {
                self.free_file(number);
            }
        }
    }

    /// Recovery looks at this file no more: it becomes a spare, or goes.
    fn free_file(&mut self, number: JournalNumber) {
        let name = super::journal::file_name(number);
        let disk = self.disk.clone();
        if self.journal.spares() + self.spares_coming() >= SPARES_KEPT {
            self.background(Running::Tidy, Box::new(move || disk.remove(&name)));
            return;
        }
        let spare = super::journal::spare_name(self.take_epoch());
        let made = spare.clone();
        self.background(
            Running::Spare { name: spare },
            Box::new(move || disk.rename(&name, &made)),
        );
    }

    fn spares_coming(&self) -> usize {
        self.running
            .values()
            .filter(|running| matches!(running, Running::Spare { .. }))
            .count()
    }

    fn apply(&mut self, staged: Staged) {
        for (log, next) in staged.logs {
            if let Some(log) = self.logs.get(&log) {
                log.shelf.set_durable(next);
            }
        }
        for (answer, appended) in staged.answers {
            answer(Ok(appended));
        }
        if !staged.removals.is_empty() {
            let disk = self.disk.clone();
            self.is_folder_dirty = true;
            self.background(
                Running::Tidy,
                Box::new(move || {
                    for name in &staged.removals {
                        let _ = disk.remove(&segment::footer_name(name));
                        disk.remove(name)?;
                    }
                    Ok(())
                }),
            );
        }
    }

    fn background(&mut self, running: Running, task: crate::disk::Task) {
        let token = self.token();
        self.running.insert(token, running);
        self.lane.background(token, task);
    }

    fn token(&mut self) -> Token {
        self.next_token += 1;
        Token(self.next_token)
    }

    // ---- gathering ----

    fn gather(&mut self) -> Result<(), Fatal> {
        if self.backlog.is_empty() {
            return Ok(());
        }
        if self.journal.staged_bytes() == 0
            && self.journal.wants_roll(&self.settings)
            && !self.roll(Roll::Going)?
        {
            return Ok(());
        }
        while let Some((request, answer)) = self.backlog.pop_front() {
            if self.pending_bytes >= PENDING_BYTES_MAX {
                self.figures.stalls += 1;
                self.backlog.push_front((request, answer));
                self.show();
                break;
            }
            if let Staging::Later(request, answer) = self.stage(request, answer)? {
                self.backlog.push_front((request, answer));
                break;
            }
        }
        Ok(())
    }

    fn stage(&mut self, request: Request, answer: Answer) -> Result<Staging, Fatal> {
        let id = match &request {
            Request::Append { log, .. }
            | Request::Truncate { log, .. }
            | Request::DropPrefix { log, .. }
            | Request::Restart { log, .. }
            | Request::Remove { log } => *log,
            Request::Show => return Ok(self.stage_show(answer)),
        };
        let Some(log) = self.logs.get_mut(&id) else {
            answer(Err(Refused::NoSuchLog(id)));
            return Ok(Staging::Taken);
        };
        if log.is_busy {
            log.waiting.push_back((request, answer));
            return Ok(Staging::Taken);
        }
        match request {
            Request::Append { log, records } => Ok(self.stage_append(log, records, answer)),
            other => self.stage_change(id, other, answer),
        }
    }

    fn stage_show(&mut self, answer: Answer) -> Staging {
        // The worker does one thing after another: when this task runs, all
        // that was durable by now is written.
        self.show();
        let answer = std::sync::Mutex::new(Some(answer));
        let nowhere = Appended {
            first: Index(0),
            next: Index(0),
        };
        self.background(
            Running::Tidy,
            Box::new(move || {
                if let Some(answer) = answer.into_inner().ok().flatten() {
                    answer(Ok(nowhere));
                }
                Ok(())
            }),
        );
        Staging::Taken
    }

    fn stage_append(&mut self, id: LogId, records: Records, answer: Answer) -> Staging {
        let bytes = records.bytes();
        let is_straight = bytes >= self.settings.bypass_bytes
            || append_bytes(bytes) + 2 * super::batch::ENTRY_HEADER_BYTES
                > self.journal.batch_room(&self.settings);
        if !is_straight && !self.journal.has_room(append_bytes(bytes), &self.settings) {
            return Staging::Later(Request::Append { log: id, records }, answer);
        }
        let checked = match self.check_records(id, &records) {
            Ok(end) => end,
            Err(refused) => {
                answer(Err(refused));
                return Staging::Taken;
            }
        };
        if let Err(refused) = self.make_room(id, bytes as u64) {
            if matches!(refused, Refused::Full(_)) {
                self.figures.refused_full += 1;
            }
            answer(Err(refused));
            return Staging::Taken;
        }
        self.figures.appends += 1;
        if is_straight {
            self.start_straight(id, records, checked, answer);
        } else {
            self.stage_journaled(id, records, checked, answer);
        }
        Staging::Taken
    }

    /// Checks foreign records; for our own frames only their size. Says where
    /// a foreign log would end with them.
    fn check_records(&self, id: LogId, records: &Records) -> Result<End, Refused> {
        let log = &self.logs[&id];
        let too_large = |bytes| Refused::TooLarge {
            bytes,
            most: RECORD_BYTES_MAX,
        };
        match records {
            Records::Frames(payloads) if log.format.is_framed() => {
                for payload in payloads {
                    if payload.frame_bytes() > RECORD_BYTES_MAX {
                        return Err(too_large(payload.frame_bytes()));
                    }
                }
                // An own frame's check is known when it is written.
                Ok(log.end)
            }
            Records::Whole(bytes) if !log.format.is_framed() => {
                if bytes.len() > RECORD_BYTES_MAX {
                    return Err(too_large(bytes.len()));
                }
                let mut walk = Walk {
                    format: log.format,
                    epoch: Epoch(0),
                    end: log.end,
                };
                let mut place = 0;
                while place < bytes.len() {
                    match walk.step(&bytes[place..]).map_err(Refused::BadRecord)? {
                        Walked::Record(head) => place += head.length,
                        Walked::More(count) => {
                            let (expected, found) = (count as u64, (bytes.len() - place) as u64);
                            let what = "bytes left of a record";
                            return Err(Refused::BadRecord(super::format::Fault {
                                what,
                                expected,
                                found,
                            }));
                        }
                        Walked::Nothing => {
                            let what = "record";
                            let fault = super::format::Fault {
                                what,
                                expected: 1,
                                found: 0,
                            };
                            return Err(Refused::BadRecord(fault));
                        }
                    }
                }
                Ok(walk.end)
            }
            _ => Err(Refused::OtherFormat {
                have: log.format.id(),
                want: if log.format.is_framed() {
                    0
                } else {
                    frame::FRAMES.id()
                },
            }),
        }
    }

    /// Makes sure that the active segment can take `bytes`: grows it, or
    /// begins the next. On a full disk nothing has changed.
    fn make_room(&mut self, id: LogId, bytes: u64) -> Result<(), Refused> {
        let settings = &self.settings;
        let log = self.logs.get_mut(&id).expect("looked up before");
        let Some(active) = &mut log.active else {
            return self.begin_segment(id, None, bytes);
        };
        let wanted = active.until + bytes;
        if wanted <= active.room {
            return Ok(());
        }
        if wanted > settings.segment_bytes && active.until > BODY {
            let joint = Joint {
                epoch: active.segment.header.epoch,
                until: active.until,
            };
            return self.begin_segment(id, Some(joint), bytes);
        }
        let room = step_for(settings, wanted);
        let grown = active
            .segment
            .file(&*self.disk)
            .and_then(|file| file.allocate(room));
        match grown {
            Ok(()) => {
                active.room = room;
                Ok(())
            }
            Err(_) if planted!(FullDiskNotNoticed) => Ok(()),
            Err(error) => Err(refused("grow", &active.segment.name, &error)),
        }
    }

    /// Starts a new segment behind `previous`; the one before is sealed there.
    fn begin_segment(
        &mut self,
        id: LogId,
        previous: Option<Joint>,
        bytes: u64,
    ) -> Result<(), Refused> {
        let log = self.logs.get_mut(&id).expect("looked up before");
        let header = Header {
            home: self.home,
            log: id,
            format: log.format.id(),
            epoch: Epoch(self.next_epoch),
            previous,
            start: log.end,
        };
        let room = step_for(&self.settings, BODY + bytes);
        let segment = Segment::create(header, &*self.disk, room)
            .map_err(|error| refused("begin", &header.file_name(), &error))?;
        self.next_epoch += 1;
        self.is_folder_dirty = true;
        let segment = Arc::new(segment);
        let mut segments = log.shelf.segments();
        if let Some(sealed) = log.active.take() {
            sealed.segment.seal_at(sealed.until);
            self.unfooted.push((sealed.segment, log.end));
        }
        if previous.is_none() {
            log.first_epoch = header.epoch;
            segments.clear();
        }
        segments.push(segment.clone());
        log.shelf.set_segments(segments);
        log.active = Some(Active {
            segment: segment.clone(),
            until: BODY,
            room,
        });
        let entry = Entry::Start {
            log: id,
            format: header.format,
            epoch: header.epoch,
            previous,
            end: header.start,
        };
        self.journal.stage(&entry);
        self.soil(&segment);
        Ok(())
    }

    /// Notes that the journal holds what the segment may lose.
    fn soil(&mut self, segment: &Arc<Segment>) {
        let key = (segment.header.log, segment.header.epoch);
        let since = self.journal.number();
        self.dirty.entry(key).or_insert_with(|| Dirty {
            segment: segment.clone(),
            since,
        });
    }

    fn stage_journaled(&mut self, id: LogId, records: Records, checked: End, answer: Answer) {
        let durable_until = self.logs[&id].shelf.durable_until();
        let log = self.logs.get_mut(&id).expect("looked up before");
        let active = log.active.as_mut().expect("made room");
        let first = log.end.next;
        let (segment, at) = (active.segment.clone(), active.until);
        let mut bytes;
        match records {
            Records::Frames(payloads) => {
                bytes = Vec::with_capacity(payloads.iter().map(Payload::frame_bytes).sum());
                for payload in &payloads {
                    let epoch = segment.header.epoch;
                    let (index, previous) = (log.end.next, log.end.check);
                    let place = Place {
                        epoch,
                        index,
                        previous,
                        durable_until,
                    };
                    let (header, check) = frame::header(payload, place);
                    let start = at + bytes.len() as u64;
                    bytes.extend_from_slice(&header);
                    bytes.extend_from_slice(&payload.bytes);
                    bytes.resize(bytes.len() + payload.padding(), 0);
                    log.end = End {
                        next: Index(index.0 + 1),
                        term: payload.term,
                        check,
                    };
                    segment.note(index, start, at + bytes.len() as u64);
                }
            }
            Records::Whole(whole) => {
                bytes = whole;
                log.end = checked;
                segment.note(first, at, at + bytes.len() as u64);
                if planted!(BaseOffsetFlipped)
                    && let Some(byte) = bytes.get_mut(7)
                {
                    *byte ^= 1;
                }
            }
        }
        active.until += bytes.len() as u64;
        log.shelf.set_written(log.end.next);
        let epoch = segment.header.epoch;
        let entry = Entry::Append {
            log: id,
            epoch,
            at,
            end: log.end,
            bytes: &bytes,
        };
        self.journal.stage(&entry);
        self.pending_bytes += bytes.len();
        let next = log.end.next;
        let sequence = self.journal.sequence();
        log.tails.push_back(Tail {
            segment: segment.clone(),
            at,
            bytes,
            next,
            sequence,
        });
        self.tailed.insert(id);
        self.staged.logs.push((id, next));
        self.staged.answers.push((answer, Appended { first, next }));
        self.soil(&segment);
    }

    // ---- straight writes ----

    /// Hands a large batch, and all that waits behind it and is large too, to
    /// the worker: write, sync, and only then its mark.
    fn start_straight(&mut self, id: LogId, records: Records, checked: End, answer: Answer) {
        let log = self.logs.get_mut(&id).expect("looked up before");
        let active = log.active.as_ref().expect("made room");
        let (segment, at) = (active.segment.clone(), active.until);
        let first = log.end.next;
        let durable_until = log.shelf.durable_until();
        let mut end = log.end;
        let mut parts: Vec<Vec<u8>> = Vec::new();
        match records {
            Records::Frames(payloads) => {
                for payload in payloads {
                    let epoch = segment.header.epoch;
                    let (index, previous) = (end.next, end.check);
                    let place = Place {
                        epoch,
                        index,
                        previous,
                        durable_until,
                    };
                    let (header, check) = frame::header(&payload, place);
                    let padding = payload.padding();
                    end = End {
                        next: Index(index.0 + 1),
                        term: payload.term,
                        check,
                    };
                    parts.push(header.to_vec());
                    parts.push(payload.bytes);
                    if padding > 0 {
                        parts.push(vec![0; padding]);
                    }
                }
            }
            Records::Whole(bytes) => {
                parts.push(bytes);
                end = checked;
            }
        }
        let until = at + parts.iter().map(|part| part.len() as u64).sum::<u64>();
        log.is_busy = true;
        self.busy += 1;
        log.shelf.set_written(end.next);
        let crc = parts.iter().fold(0, |crc, part| crc32c_append(crc, part));
        let straight = Straight {
            log: id,
            epoch: segment.header.epoch,
            at,
            until,
            crc,
            end,
            segment: segment.clone(),
            answers: vec![(
                answer,
                Appended {
                    first,
                    next: end.next,
                },
            )],
        };
        self.figures.straight_batches += 1;
        // Tails before it go first, so that the segment is readable in order.
        self.show();
        let disk = self.disk.clone();
        self.background(
            Running::Straight(Box::new(straight)),
            Box::new(move || {
                let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
                segment.write(&*disk, at, &slices)?;
                if planted!(MarkBeforeData) {
                    return Ok(());
                }
                segment.file(&*disk)?.sync()?;
                // The directory is synced as well: a new file whose name is
                // lost with the power is a lost file.
                let is_new = !segment.is_name_synced.load(Ordering::Acquire);
                if is_new && !planted!(FolderNotSynced) {
                    disk.sync_folder(segment::FOLDER)?;
                    segment.is_name_synced.store(true, Ordering::Release);
                }
                Ok(())
            }),
        );
    }

    fn finish_straight(&mut self, straight: Straight, result: io::Result<()>) -> Result<(), Fatal> {
        result.map_err(|error| failed(&format!("write {}", straight.segment.name), &error))?;
        let Straight {
            log: id,
            epoch,
            at,
            until,
            crc,
            end,
            segment,
            answers,
        } = straight;
        let entry = Entry::Mark {
            log: id,
            epoch,
            at,
            until,
            crc,
            end,
        };
        if !self.journal.has_room(entry.encoded_bytes(), &self.settings) {
            // The batch in the making is full: it leaves first.
            self.drain_staged()?;
        }
        let Some(log) = self.logs.get_mut(&id) else {
            return Ok(());
        };
        self.journal.stage(&entry);
        log.end = end;
        if let Some(active) = &mut log.active {
            active.until = until;
        }
        log.is_busy = false;
        self.staged.logs.push((id, end.next));
        self.staged.answers.extend(answers);
        // Empty, but carries the marks of what can be read once durable.
        let sequence = self.journal.sequence();
        let tail = Tail {
            segment: segment.clone(),
            at: until,
            bytes: Vec::new(),
            next: end.next,
            sequence,
        };
        log.tails.push_back(tail);
        self.tailed.insert(id);
        self.busy -= 1;
        for waiting in log.waiting.drain(..).rev() {
            self.backlog.push_front(waiting);
        }
        self.soil(&segment);
        Ok(())
    }

    /// Writes the batch in the making and waits for it.
    fn drain_staged(&mut self) -> Result<(), Fatal> {
        self.drain_in_flight()?;
        if self.journal.staged_bytes() > 0 {
            self.seal_and_start();
            self.drain_in_flight()?;
        }
        if self.journal.wants_roll(&self.settings) {
            while !self.roll(Roll::Going)? {
                self.answer_durable();
                if !self.in_flight.is_empty() || !self.running.is_empty() {
                    self.lane.wait(&mut || true);
                }
                self.collect_for_drain()?;
            }
        }
        Ok(())
    }

    fn drain_in_flight(&mut self) -> Result<(), Fatal> {
        loop {
            self.answer_durable();
            if self.in_flight.is_empty() {
                return Ok(());
            }
            self.collect_for_drain()?;
            if self.in_flight.iter().any(|batch| !batch.is_done) {
                self.lane.wait(&mut || true);
            }
        }
    }

    /// As `collect`, but a finished straight write waits its turn: its mark
    /// must not be staged while a batch is being drained.
    fn collect_for_drain(&mut self) -> Result<(), Fatal> {
        let mut done = Vec::new();
        self.lane.reap(&mut done);
        for one in done {
            let is_straight = matches!(self.running.get(&one.token), Some(Running::Straight(_)));
            match is_straight {
                true => self.done.push(one),
                false => self.finish(one)?,
            }
        }
        Ok(())
    }

    // ---- changes of a log's shape ----

    /// Truncation, prefix drop, restart, removal. They are rare, so they wait
    /// until the device is still: no batch in flight, every tail readable.
    fn stage_change(
        &mut self,
        id: LogId,
        request: Request,
        answer: Answer,
    ) -> Result<Staging, Fatal> {
        if self.journal.staged_bytes() > 0 || !self.in_flight.is_empty() {
            return Ok(Staging::Later(request, answer));
        }
        self.show();
        while !self.is_shown() {
            self.lane.wait(&mut || true);
            self.collect_for_drain()?;
        }
        let outcome = match request {
            Request::Truncate { from, .. } => self.truncate(id, from),
            Request::DropPrefix { until, .. } => self.drop_prefix(id, until),
            Request::Restart { at, .. } => self.restart(id, at),
            Request::Remove { .. } => self.remove(id),
            Request::Append { .. } | Request::Show => unreachable!("staged elsewhere"),
        };
        match outcome {
            Ok(()) => {
                let (first, next) = match self.logs.get(&id) {
                    Some(log) => (log.shelf.first(), log.end.next),
                    None => (Index(0), Index(0)),
                };
                self.staged.answers.push((answer, Appended { first, next }));
            }
            Err(refused) => answer(Err(refused)),
        }
        Ok(Staging::Taken)
    }

    fn truncate(&mut self, id: LogId, from: Index) -> Result<(), Refused> {
        let log = self.logs.get_mut(&id).expect("looked up before");
        let (first, next) = (log.shelf.first(), log.end.next);
        if from == next {
            return Ok(());
        }
        if from < first || from > next {
            return Err(Refused::OutOfRange { first, next });
        }
        let cannot = |reason: String| Refused::Failed(reason);
        let segment = log
            .shelf
            .segment_of(from)
            .ok_or(Refused::OutOfRange { first, next })?;
        let located = segment
            .locate(&*self.disk, log.format, from)
            .map_err(|error| cannot(format!("truncate log {id} at {from}: {error}")))?;
        // The end before the record; where the walk began right at it, walk
        // the segment from its start, which says all.
        let end = match located.before {
            Some(end) => end,
            None if located.at == BODY => segment.header.start,
            None => segment
                .verify(&*self.disk, log.format, located.at)
                .map_err(|error| cannot(format!("truncate log {id} at {from}: {error}")))?,
        };
        if end.next != from {
            // A foreign record may hold several entries: it goes as a whole
            // or not at all.
            return Err(Refused::OutOfRange { first, next });
        }
        let segments = log.shelf.segments();
        let place = segments
            .iter()
            .position(|other| other.header.epoch == segment.header.epoch)
            .expect("found on this shelf");
        // A segment of which nothing is left goes as a whole.
        let (kept, joint) = match located.at == BODY {
            true => (place, segment.header.previous),
            false => {
                let until = match planted!(TruncateForgotten) {
                    true => segment.readable(),
                    false => located.at,
                };
                (
                    place + 1,
                    Some(Joint {
                        epoch: segment.header.epoch,
                        until,
                    }),
                )
            }
        };
        let joint = joint.filter(|_| kept > 0);
        let active = log.active.take();
        let old_end = std::mem::replace(&mut log.end, end);
        log.shelf.set_segments(segments[..kept].to_vec());
        if let Err(refused) = self.begin_segment(id, joint, 0) {
            let log = self.logs.get_mut(&id).expect("looked up before");
            log.active = active;
            log.end = old_end;
            log.shelf.set_segments(segments);
            return Err(refused);
        }
        let log = self.logs.get_mut(&id).expect("looked up before");
        if kept == place + 1 {
            segment.set_readable(located.at);
            segment.seal_at(located.at);
            self.unfooted.push((segment, end));
        }
        for mark in [Shelf::set_readable, Shelf::set_durable, Shelf::set_written] {
            mark(&log.shelf, from);
        }
        self.discard(&segments[kept..]);
        Ok(())
    }

    fn drop_prefix(&mut self, id: LogId, until: Index) -> Result<(), Refused> {
        let log = self.logs.get_mut(&id).expect("looked up before");
        let (first, next) = (log.shelf.first(), log.end.next);
        if until <= first {
            return Ok(());
        }
        if until > next {
            return Err(Refused::OutOfRange { first, next });
        }
        let segments = log.shelf.segments();
        // The segment that holds `until`, or the active one, is the first to
        // stay.
        let place = segments
            .iter()
            .rposition(|segment| segment.header.start.next <= until)
            .unwrap_or_default();
        let Some(oldest) = segments.get(place) else {
            return Ok(());
        };
        log.first_epoch = oldest.header.epoch;
        let entry = Entry::Drop {
            log: id,
            epoch: log.first_epoch,
            first: until,
        };
        self.journal.stage(&entry);
        log.shelf.set_first(until);
        log.shelf.set_segments(segments[place..].to_vec());
        self.discard(&segments[..place]);
        Ok(())
    }

    fn restart(&mut self, id: LogId, at: Index) -> Result<(), Refused> {
        let log = self.logs.get_mut(&id).expect("looked up before");
        let segments = log.shelf.segments();
        let end = End {
            next: at,
            term: log.end.term,
            check: 0,
        };
        let old_end = std::mem::replace(&mut log.end, end);
        let active = log.active.take();
        if let Err(refused) = self.begin_segment(id, None, 0) {
            let log = self.logs.get_mut(&id).expect("looked up before");
            (log.end, log.active) = (old_end, active);
            log.shelf.set_segments(segments);
            return Err(refused);
        }
        let log = self.logs.get_mut(&id).expect("looked up before");
        log.shelf.set_first(at);
        for mark in [Shelf::set_readable, Shelf::set_durable, Shelf::set_written] {
            mark(&log.shelf, at);
        }
        self.discard(&segments);
        Ok(())
    }

    fn remove(&mut self, id: LogId) -> Result<(), Refused> {
        let log = self.logs.remove(&id).expect("looked up before");
        let segments = log.shelf.segments();
        if log.active.is_some() {
            self.journal.stage(&Entry::Remove { log: id });
        }
        log.shelf.set_segments(Vec::new());
        log.shelf.close();
        self.discard(&segments);
        Ok(())
    }

    /// Files that go once the batch in the making is durable.
    fn discard(&mut self, segments: &[Arc<Segment>]) {
        for segment in segments {
            self.dirty
                .remove(&(segment.header.log, segment.header.epoch));
            self.unfooted
                .retain(|(other, _)| other.header.epoch != segment.header.epoch);
            self.staged.removals.push(segment.name.clone());
        }
    }

    // ---- batches ----

    fn start_batch(&mut self) -> Result<(), Fatal> {
        if self.in_flight.len() >= self.lane.depth() {
            return Ok(());
        }
        if self.journal.staged_bytes() > 0 {
            self.seal_and_start();
        } else if !self.staged.answers.is_empty() {
            // A change that needed no entry: done when all before it is.
            if self.in_flight.is_empty() {
                let staged = std::mem::take(&mut self.staged);
                self.apply(staged);
            }
        }
        Ok(())
    }

    fn seal_and_start(&mut self) {
        let Sealed {
            file,
            at,
            block,
            sequence,
        } = self.journal.seal();
        let token = self.token();
        let mut staged = std::mem::take(&mut self.staged);
        if planted!(AnswerBeforeSync) {
            for (answer, appended) in staged.answers.drain(..) {
                answer(Ok(appended));
            }
        }
        self.in_flight.push_back(InFlight {
            token,
            sequence,
            is_done: false,
            staged,
        });
        self.figures.batches += 1;
        self.lane.write_durable(token, &file, at, block);
    }

    /// Begins the next journal file. False where it must wait: batches are in
    /// flight, or every file is in use.
    fn roll(&mut self, why: Roll) -> Result<bool, Fatal> {
        if !self.in_flight.is_empty() {
            return Ok(false);
        }
        if why == Roll::Going && self.journal.is_full() {
            self.figures.stalls += 1;
            self.make_way();
            return Ok(false);
        }
        if why != Roll::Going {
            self.journal.swept_all();
        }
        let lines = self.lines();
        let token = self.token();
        let epoch = self.take_epoch();
        let next_epoch = Epoch(self.next_epoch);
        let opening = self
            .journal
            .open_next(
                &*self.disk,
                &self.settings,
                epoch,
                next_epoch,
                &lines,
                why == Roll::Stopping,
            )
            .map_err(|error| failed("begin a journal file", &error))?;
        let Some(Sealed {
            file, at, block, ..
        }) = opening
        else {
            // No spare, and no room to make one.
            if why == Roll::Going {
                self.make_way();
            }
            return Ok(false);
        };
        self.journal.await_opening(token);
        self.lane.write_durable(token, &file, at, block);
        while self.journal.is_opening() {
            self.lane.wait(&mut || true);
            self.collect_for_drain()?;
        }
        if !planted!(FolderNotSynced) {
            let synced = self.disk.sync_folder(super::journal::FOLDER);
            synced.map_err(|error| failed("sync the journal's folder", &error))?;
        }
        self.journal.opened();
        if why == Roll::Going {
            self.begin_sweep();
            self.prepare_spare();
        }
        Ok(true)
    }

    /// Does what frees the oldest journal file: a sweep, then a batch that
    /// tells of it.
    fn make_way(&mut self) {
        if self.journal.has_untold_trim() {
            self.seal_and_start();
        } else {
            self.begin_sweep();
            self.go_on_sweeping();
        }
    }

    pub(super) fn take_epoch(&mut self) -> Epoch {
        self.next_epoch += 1;
        Epoch(self.next_epoch - 1)
    }

    /// Every log as it stands, nothing staged.
    pub(super) fn lines(&self) -> Vec<Line> {
        let line = |(&id, log): (&LogId, &Log)| {
            let active = log.active.as_ref()?;
            Some(Line {
                log: id,
                format: log.format.id(),
                first: log.shelf.first(),
                first_epoch: log.first_epoch,
                epoch: active.segment.header.epoch,
                until: active.until,
                end: log.end,
            })
        };
        self.logs.iter().filter_map(line).collect()
    }

    fn prepare_spare(&mut self) {
        if self.journal.wants_spare()
            && !self
                .running
                .values()
                .any(|running| matches!(running, Running::Spare { .. }))
        {
            let epoch = self.take_epoch();
            let (name, task) = super::journal::make_spare(self.disk.clone(), &self.settings, epoch);
            self.background(Running::Spare { name }, task);
        }
    }

    // ---- tails and sweeps ----

    /// Hands every durable tail to the worker.
    fn show(&mut self) {
        let durable = self.journal.durable();
        let mut bytes = 0;
        let mut work: Vec<(Arc<Shelf>, Vec<Tail>)> = Vec::new();
        self.tailed.retain(|id| {
            let Some(log) = self.logs.get_mut(id) else {
                return false;
            };
            let count = log.tails.partition_point(|tail| tail.sequence < durable);
            if count > 0 {
                let tails: Vec<Tail> = log.tails.drain(..count).collect();
                bytes += tails.iter().map(|tail| tail.bytes.len()).sum::<usize>();
                work.push((log.shelf.clone(), tails));
            }
            !log.tails.is_empty()
        });
        if work.is_empty() {
            return;
        }
        self.showing += 1;
        let disk = self.disk.clone();
        self.background(
            Running::Show { bytes },
            Box::new(move || {
                work.into_iter()
                    .try_for_each(|(shelf, tails)| write_tails(&*disk, &shelf, tails))
            }),
        );
    }

    fn begin_sweep(&mut self) {
        if self.sweep.is_some() {
            return;
        }
        let current = self.journal.number();
        let Some(until) = self.journal.last_swept_to(current) else {
            return;
        };
        self.show();
        let due: Vec<(LogId, Epoch)> = self
            .dirty
            .iter()
            .filter(|(_, dirty)| dirty.since <= until)
            .map(|(&key, _)| key)
            .collect();
        let left = due.iter().filter_map(|key| self.dirty.remove(key));
        self.sweep = Some(Sweep {
            until,
            left: left.map(|dirty| dirty.segment).collect(),
            is_folder_due: std::mem::take(&mut self.is_folder_dirty),
            is_running: false,
        });
        if planted!(TrimBeforeSync) {
            self.sweep = None;
            self.journal.swept(until);
        }
    }

    /// One segment at a time, so that the worker can write tails in between.
    fn go_on_sweeping(&mut self) {
        let Some(sweep) = &mut self.sweep else { return };
        if sweep.is_running {
            return;
        }
        let disk = self.disk.clone();
        let task: crate::disk::Task = if let Some(segment) = sweep.left.pop() {
            Box::new(move || segment.file(&*disk)?.sync())
        } else if std::mem::take(&mut sweep.is_folder_due) {
            Box::new(move || match planted!(FolderNotSynced) {
                true => Ok(()),
                false => disk.sync_folder(segment::FOLDER),
            })
        } else {
            let until = sweep.until;
            self.sweep = None;
            self.journal.swept(until);
            self.figures.sweeps += 1;
            self.write_footers();
            return;
        };
        sweep.is_running = true;
        self.background(Running::Sweep, task);
    }

    /// Footers of segments whose last bytes are in the file.
    fn write_footers(&mut self) {
        for (segment, end) in std::mem::take(&mut self.unfooted) {
            let disk = self.disk.clone();
            self.background(
                Running::Tidy,
                Box::new(move || super::shelf::write_footer(&*disk, &segment, end)),
            );
        }
    }

    // ---- the end ----

    fn fail(&mut self, fatal: Fatal) {
        let refuse = |answer: Answer| answer(Err(Refused::Failed(fatal.to_string())));
        self.backlog
            .drain(..)
            .for_each(|(_, answer)| refuse(answer));
        let staged = std::mem::take(&mut self.staged).answers.into_iter();
        let in_flight = self
            .in_flight
            .drain(..)
            .flat_map(|batch| batch.staged.answers);
        staged
            .chain(in_flight)
            .for_each(|(answer, _)| refuse(answer));
        for (_, running) in self.running.drain() {
            if let Running::Straight(straight) = running {
                straight
                    .answers
                    .into_iter()
                    .for_each(|(answer, _)| refuse(answer));
            }
        }
        for log in self.logs.values_mut() {
            log.waiting.drain(..).for_each(|(_, answer)| refuse(answer));
            log.shelf.close();
        }
        self.fatal = Some(fatal);
    }

    /// After recovery: a journal file of its own, behind which nothing is
    /// needed any more.
    pub(super) fn begin_journal(&mut self) -> Result<(), OpenError> {
        let cannot = |fatal: Fatal| OpenError::Io {
            doing: "begin the journal".into(),
            source: io::Error::other(fatal.reason),
        };
        let full = || OpenError::Io {
            doing: "make a journal file".into(),
            source: io::ErrorKind::StorageFull.into(),
        };
        if !self.roll(Roll::Starting).map_err(cannot)? {
            return Err(full());
        }
        self.keep_only_last()
            .map_err(OpenError::io("trim the journal"))
    }

    fn keep_only_last(&mut self) -> io::Result<()> {
        let epoch = self.take_epoch();
        self.journal.keep_only_last(&*self.disk, epoch)
    }

    /// Ends in order: answers what was asked for, syncs every segment, and
    /// leaves a mark that spares the next start the scan. On a full disk the
    /// mark may be missing; then the next start scans.
    pub fn close(mut self) -> Result<(), Fatal> {
        self.settle()?;
        self.finish_sweep()?;
        let due = std::mem::take(&mut self.dirty);
        self.sweep = Some(Sweep {
            until: self.journal.number(),
            left: due.into_values().map(|dirty| dirty.segment).collect(),
            is_folder_due: std::mem::take(&mut self.is_folder_dirty),
            is_running: false,
        });
        self.finish_sweep()?;
        while !self.running.is_empty() || !self.in_flight.is_empty() {
            self.lane.wait(&mut || true);
            self.collect()?;
        }
        if self.roll(Roll::Stopping)? {
            self.keep_only_last()
                .map_err(|error| failed("trim the journal", &error))?;
        }
        for log in self.logs.values() {
            log.shelf.close();
        }
        Ok(())
    }

    fn finish_sweep(&mut self) -> Result<(), Fatal> {
        while self.sweep.is_some() {
            self.go_on_sweeping();
            if self.sweep.is_some() {
                self.lane.wait(&mut || true);
            }
            self.collect()?;
        }
        Ok(())
    }
}

impl Log {
    pub(super) fn new(shelf: Arc<Shelf>, format: &'static dyn Format) -> Self {
        Self {
            shelf,
            format,
            end: End::default(),
            active: None,
            first_epoch: Epoch(0),
            is_busy: false,
            waiting: VecDeque::new(),
            tails: VecDeque::new(),
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
                whole = many.iter().flat_map(|tail| &tail.bytes).copied().collect();
                &whole[..]
            }
        };
        segment.write(disk, at, &[bytes])?;
        segment.set_readable(at + bytes.len() as u64);
        next = group.last().map(|tail| tail.next);
    }
    if let Some(next) = next {
        shelf.set_readable(next);
    }
    Ok(())
}

/// The size a segment grows to for `wanted` bytes: doubling steps up to the
/// full size; a record that is larger still gets what it needs.
pub(super) fn step_for(settings: &Settings, wanted: u64) -> u64 {
    let mut room = settings.segment_first_bytes;
    while room < wanted && room < settings.segment_bytes {
        room *= 2;
    }
    let room = room.min(settings.segment_bytes.max(settings.segment_first_bytes));
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

fn failed(doing: &str, error: &io::Error) -> Fatal {
    Fatal {
        reason: format!("{doing}: {error}"),
    }
}
