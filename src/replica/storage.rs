//! What consensus has to remember, in two logs of the replica's own device:
//! entries, and term with vote. One journal carries both, so that what belongs
//! together is durable together.
//!
//! One group is with the device at a time; what comes meanwhile is the next
//! group. All entries of a group are one append, which a disk without room
//! refuses whole: it can be tried again, and nothing later ever stands in its
//! place.

use crate::consensus::{Body, Entry, Hard};
use crate::disk::{Disk, Waker};
use crate::ids::{Index, LogId};
use crate::limits::{
    HARD_RECORDS_KEPT, HARD_RECORDS_MAX, JOURNAL_BATCH_BYTES_MAX, RECORD_BYTES_MAX,
};
use crate::log::{
    self, Appended, Device, FRAMES, Fatal, OpenError, Opening, Payload, Records, Refused, Report,
    Request, Way,
};
use crate::planted;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Entries; an entry's place in the log is its index.
const ENTRIES: LogId = LogId(2);
/// Term, vote and commit mark; the last record counts.
const HARD: LogId = LogId(1);
const SCHEMA: u16 = 1;
/// Index 1 stands for the founding of the cluster.
pub const FIRST_ENTRY: Index = Index(2);

pub struct Storage {
    device: Device,
    /// The oldest first; those of the group under way stay until it is done.
    parts: VecDeque<Part>,
    /// How many of the parts the device has, and what has come of them.
    under_way: usize,
    /// Numbers the groups.
    group: u64,
    answers: Answers,
    answered: usize,
    /// Parts that were refused for want of room, tried again at a tick.
    refused: Vec<usize>,
    /// The disk had no room for the group under way.
    is_full: bool,
    hard_records: u64,
    /// The newest, and whether it is on its way to the disk. One that differs
    /// in its commit mark only waits for the next entries.
    hard: Hard,
    is_hard_due: bool,
    /// The commit mark of the last record.
    marked: Index,
}

/// By group and place in it.
type Answers = Arc<Mutex<Vec<(u64, usize, Result<Appended, Refused>)>>>;

#[derive(Clone, Debug)]
enum Part {
    Hard(Hard),
    Entries(Vec<Entry>),
    /// Entries from here on are replaced by what follows.
    Truncate(Index),
    /// A snapshot took the place of all entries.
    Restart(Index),
    /// All that belongs to this Ready stands before.
    Mark(u64),
}

impl Part {
    fn begins_with_change(&self) -> bool {
        let first = self.entries().first();
        first.is_some_and(|entry| matches!(entry.body, Body::Members(_)))
    }

    fn entries(&self) -> &[Entry] {
        match self {
            Self::Entries(entries) => entries,
            _ => &[],
        }
    }
}

/// What a device remembered.
pub struct Remembered {
    pub hard: Hard,
    pub report: Report,
}

impl Storage {
    pub fn open(opening: Opening<'_>) -> Result<(Self, Remembered), OpenError> {
        let (mut device, report) = log::open(opening)?;
        for log in [HARD, ENTRIES] {
            device.log(log, &FRAMES).map_err(unopened("open"))?;
        }
        let entries = device.shelf(ENTRIES).expect("opened above");
        if entries.written_until() == Index(0) {
            let at = FIRST_ENTRY;
            let restart = Request::Restart { log: ENTRIES, at };
            device.call(restart).map_err(unopened("begin"))?;
        }
        let mut storage = Self {
            device,
            parts: VecDeque::new(),
            under_way: 0,
            group: 0,
            answers: Arc::default(),
            answered: 0,
            refused: Vec::new(),
            is_full: false,
            hard_records: 0,
            hard: Hard::default(),
            is_hard_due: false,
            marked: Index(0),
        };
        let hard = storage.last_hard()?;
        storage.hard = hard;
        storage.marked = hard.commit;
        Ok((storage, Remembered { hard, report }))
    }

    /// The first entry that is kept, and the one after the last.
    pub fn entries(&self) -> (Index, Index) {
        let shelf = self.device.shelf(ENTRIES).expect("opened with the storage");
        (shelf.first(), shelf.written_until())
    }

    fn last_hard(&mut self) -> Result<Hard, OpenError> {
        let shelf = self.device.shelf(HARD).expect("opened with the storage");
        let (mut from, until) = (shelf.first(), shelf.written_until());
        let mut last = Hard::default();
        while from < until {
            let read = self.device.read(HARD, from, RECORD_BYTES_MAX, Way::Plain);
            let Some(read) = read.map_err(unread("the votes"))? else {
                break;
            };
            let mut rest = &read.bytes[..];
            while let Ok(Some((frame, length))) = log::frame::parse(rest) {
                last = Hard::parse(frame.payload).map_err(|bad| {
                    OpenError::Identity(format!(
                        "the vote at {} cannot be read: {bad}",
                        frame.index
                    ))
                })?;
                self.hard_records += 1;
                rest = &rest[length..];
            }
            from = read.next;
        }
        Ok(last)
    }

    /// Every entry from `from` on, for a start.
    pub fn read_all(&mut self, mut from: Index) -> Result<Vec<Entry>, OpenError> {
        let (_, until) = self.entries();
        let mut entries = Vec::new();
        while from < until {
            let read = self.device.read(ENTRIES, from, 1 << 20, Way::Plain);
            let Some(read) = read.map_err(unread("the entries"))? else {
                break;
            };
            parse_entries(&read.bytes, &mut entries)?;
            from = read.next;
        }
        if planted!(TailLost) {
            entries.pop();
        }
        Ok(entries)
    }

    /// Entries for a follower that is behind what is held in memory. Empty
    /// where their bytes are not in a segment yet: they will be at a tick.
    pub fn read_some(&mut self, from: Index, bytes_max: usize) -> Result<Vec<Entry>, OpenError> {
        let shelf = self.device.shelf(ENTRIES).expect("opened with the storage");
        let mut entries = Vec::new();
        match shelf
            .read(from, bytes_max, Way::Plain)
            .map_err(unread("the entries"))?
        {
            Some(read) => parse_entries(&read.bytes, &mut entries)?,
            None => self.device.rest(),
        }
        Ok(entries)
    }

    /// Begins again behind a snapshot, before anything is written.
    pub fn restart(&mut self, at: Index) -> Result<(), OpenError> {
        let restart = Request::Restart { log: ENTRIES, at };
        let restarted = self.device.call(restart);
        restarted.map(|_| ()).map_err(unopened("restart"))
    }

    /// Takes in what a Ready wants remembered, in the order in which it is to
    /// be durable. `turn` names the Ready when all of it is.
    ///
    /// Term and vote come before the entries. The commit mark before them says
    /// no more than what they follow: were it ahead of them, a crash in between
    /// would leave it standing over entries that they were to replace.
    pub fn remember(
        &mut self,
        number: u64,
        snapshot: Option<Index>,
        entries: Vec<Entry>,
        hard: Option<Hard>,
    ) {
        if let Some(hard) = hard {
            self.is_hard_due |= (hard.term, hard.vote) != (self.hard.term, self.hard.vote);
            self.hard = hard;
        }
        let followed = entries.first().map(|first| Index(first.index.0 - 1));
        match snapshot.or(followed) {
            Some(followed) => self.remember_hard(followed),
            None if self.is_hard_due => self.remember_hard(self.hard.commit),
            None => {}
        }
        if let Some(index) = snapshot {
            self.parts.push_back(Part::Restart(Index(index.0 + 1)));
        }
        if let Some(first) = entries.first()
            && first.index < self.end_of_parts()
        {
            self.parts.push_back(Part::Truncate(first.index));
        }
        self.remember_entries(entries);
        self.parts.push_back(Part::Mark(number));
    }

    /// A node that kept a change of members and forgot that the one before is
    /// committed could be elected by the members of two changes ago: the mark
    /// that covers what is before a change is durable before the change is.
    fn remember_entries(&mut self, mut entries: Vec<Entry>) {
        let is_change = |entry: &Entry| matches!(entry.body, Body::Members(_));
        while let Some(place) = entries.iter().skip(1).position(is_change) {
            let from_change = entries.split_off(place + 1);
            let followed = Index(from_change[0].index.0 - 1);
            self.parts.push_back(Part::Entries(entries));
            self.remember_hard(followed);
            entries = from_change;
        }
        if !entries.is_empty() {
            self.parts.push_back(Part::Entries(entries));
        }
    }

    /// Term and vote, and the commit mark as far as `followed`.
    fn remember_hard(&mut self, followed: Index) {
        let hard = Hard {
            commit: self.hard.commit.min(followed).max(self.marked),
            ..self.hard
        };
        if self.is_hard_due || hard.commit > self.marked {
            self.is_hard_due = false;
            self.marked = hard.commit;
            self.parts.push_back(Part::Hard(hard));
        }
    }

    /// Where the log ends when all parts are done.
    fn end_of_parts(&self) -> Index {
        let of_part = |part: &Part| match part {
            Part::Entries(entries) => entries.last().map(|last| Index(last.index.0 + 1)),
            Part::Truncate(from) => Some(*from),
            Part::Restart(at) => Some(*at),
            Part::Hard(_) | Part::Mark(_) => None,
        };
        let queued = self.parts.iter().rev().find_map(of_part);
        queued.unwrap_or_else(|| self.entries().1)
    }

    /// All that was to be remembered is.
    pub fn is_quiet(&self) -> bool {
        self.parts.is_empty()
    }

    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// One round with the device. Gives the last Ready that is durable now.
    pub fn turn(&mut self) -> Result<Option<u64>, Fatal> {
        let mut persisted = None;
        loop {
            self.begin_group();
            self.device.turn()?;
            match self.take_answers()? {
                Some(number) => persisted = number.or(persisted),
                None => return Ok(persisted),
            }
        }
    }

    fn begin_group(&mut self) {
        if self.under_way > 0 || self.parts.is_empty() {
            return;
        }
        self.group += 1;
        // A truncation and a restart go alone: what follows must not be taken
        // where they are refused.
        let is_alone = |part: &Part| matches!(part, Part::Truncate(_) | Part::Restart(_));
        let begins_group = |part: &Part| is_alone(part) || part.begins_with_change();
        let before_it = match self.parts.front() {
            Some(first) if is_alone(first) => 1,
            _ => {
                let next = self.parts.iter().skip(1).position(begins_group);
                next.map_or(self.parts.len(), |place| place + 1)
            }
        };
        let mut bytes = 0;
        let overflows = |part: &Part| match part {
            Part::Entries(entries) => {
                let is_first = bytes == 0;
                bytes += entries.iter().map(bytes_of).sum::<usize>();
                !is_first && bytes > JOURNAL_BATCH_BYTES_MAX
            }
            _ => false,
        };
        let overflow = self.parts.iter().take(before_it).position(overflows);
        self.under_way = overflow.unwrap_or(before_it);
        (0..self.under_way).for_each(|slot| self.submit(slot));
    }

    fn submit(&mut self, slot: usize) {
        let request = match &self.parts[slot] {
            Part::Mark(_) => {
                self.answered += 1;
                return;
            }
            Part::Hard(hard) => {
                self.hard_records += 1;
                let record = Payload::new(hard.term, SCHEMA, hard.encode());
                Request::Append {
                    log: HARD,
                    records: Records::Frames(vec![record]),
                }
            }
            Part::Entries(_) if self.entries_before(slot) => {
                // They went with the first of the group.
                self.answered += 1;
                return;
            }
            Part::Entries(_) => {
                let entries = self
                    .parts
                    .range(slot..self.under_way)
                    .flat_map(Part::entries);
                let record = |entry: &Entry| Payload::new(entry.term, SCHEMA, entry.encode());
                Request::Append {
                    log: ENTRIES,
                    records: Records::Frames(entries.map(record).collect()),
                }
            }
            Part::Truncate(from) => Request::Truncate {
                log: ENTRIES,
                from: *from,
            },
            Part::Restart(at) => Request::Restart {
                log: ENTRIES,
                at: *at,
            },
        };
        let (answers, group) = (self.answers.clone(), self.group);
        let answer = move |outcome| {
            let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
            answers.push((group, slot, outcome));
        };
        self.device.submit(request, Box::new(answer));
    }

    fn entries_before(&self, slot: usize) -> bool {
        let mut before = self.parts.iter().take(slot);
        before.any(|part| matches!(part, Part::Entries(_)))
    }

    /// The Ready that the group which is now done ends with, if it ends one;
    /// None where no group is done.
    fn take_answers(&mut self) -> Result<Option<Option<u64>>, Fatal> {
        if self.under_way == 0 {
            return Ok(None);
        }
        let answers =
            std::mem::take(&mut *self.answers.lock().unwrap_or_else(PoisonError::into_inner));
        for (group, slot, outcome) in answers {
            if group != self.group {
                // Counted as done before it was: a planted fault.
                continue;
            }
            match outcome {
                Ok(appended) => {
                    self.check_place(slot, appended)?;
                    self.answered += 1;
                }
                Err(Refused::Full(_) | Refused::Busy) => {
                    self.is_full = true;
                    self.refused.push(slot);
                }
                Err(Refused::Failed(reason)) => return Err(Fatal { reason }),
                Err(refused) => {
                    let reason = format!("the log of consensus refuses a record: {refused}");
                    return Err(Fatal { reason });
                }
            }
        }
        if planted!(AckBeforeFsync) && self.refused.is_empty() {
            self.answered = self.under_way;
        }
        if self.answered < self.under_way {
            return Ok(None);
        }
        self.is_full = false;
        self.answered = 0;
        let mut last = None;
        for part in self.parts.drain(..std::mem::take(&mut self.under_way)) {
            if let Part::Mark(number) = part {
                last = Some(number);
            }
        }
        self.trim_hard();
        Ok(Some(last))
    }

    /// An entry that stands elsewhere than at its index would be read as
    /// another one.
    fn check_place(&self, slot: usize, appended: Appended) -> Result<(), Fatal> {
        match &self.parts[slot] {
            Part::Entries(entries) if appended.first != entries[0].index => Err(Fatal {
                reason: format!(
                    "entry {} was written in the place of {}",
                    entries[0].index, appended.first
                ),
            }),
            _ => Ok(()),
        }
    }

    fn trim_hard(&mut self) {
        if self.hard_records < HARD_RECORDS_MAX {
            return;
        }
        self.hard_records = HARD_RECORDS_KEPT;
        let shelf = self.device.shelf(HARD).expect("opened with the storage");
        let until = Index(shelf.written_until().0.saturating_sub(HARD_RECORDS_KEPT));
        let drop = Request::DropPrefix { log: HARD, until };
        // Lost, it is done at the next time.
        self.device.submit(drop, Box::new(|_| ()));
    }

    /// Entries below are no longer needed: a snapshot stands for them.
    pub fn forget_below(&mut self, until: Index) {
        let drop = Request::DropPrefix {
            log: ENTRIES,
            until,
        };
        // Lost, it is done with the next snapshot.
        self.device.submit(drop, Box::new(|_| ()));
    }

    /// Tries again what the disk had no room for; proves the last batch.
    pub fn tick(&mut self) -> Result<(), Fatal> {
        for slot in std::mem::take(&mut self.refused) {
            self.submit(slot);
        }
        self.device.tick()
    }

    pub fn errand(
        &mut self,
        task: crate::disk::Task,
        done: impl FnOnce(std::io::Result<()>) + Send + 'static,
    ) {
        self.device.errand(task, Box::new(done));
    }

    pub fn disk(&self) -> &Arc<dyn Disk> {
        self.device.disk()
    }

    pub fn waker(&self) -> Waker {
        self.device.waker()
    }

    /// Something is to be remembered that the device does not have yet. A turn
    /// hands it over, and may not come back before it is durable.
    pub fn has_new(&self) -> bool {
        self.under_way == 0 && !self.parts.is_empty()
    }

    /// Whether a turn would find nothing to do until the disk or a waker says
    /// so.
    pub fn is_waiting(&self) -> bool {
        !self.has_new() && self.device.is_waiting()
    }

    pub fn wait(&mut self, at_most: Option<Duration>, still_idle: &mut dyn FnMut() -> bool) {
        self.device.wait(at_most, still_idle);
    }

    pub fn close(self) -> Result<(), Fatal> {
        self.device.close()
    }
}

/// About what an entry takes in the log; at least one.
fn bytes_of(entry: &Entry) -> usize {
    match &entry.body {
        Body::Data(data) => 64 + data.len(),
        Body::Empty | Body::Members(_) => 64,
    }
}

fn parse_entries(mut bytes: &[u8], entries: &mut Vec<Entry>) -> Result<(), OpenError> {
    while let Ok(Some((frame, length))) = log::frame::parse(bytes) {
        let entry = Entry::parse(frame.payload);
        entries.push(entry.map_err(|bad| {
            OpenError::Identity(format!("entry {} cannot be read: {bad}", frame.index))
        })?);
        bytes = &bytes[length..];
    }
    Ok(())
}

fn unopened(doing: &'static str) -> impl Fn(Refused) -> OpenError {
    move |refused| OpenError::Io {
        doing: format!("{doing} the log of consensus"),
        source: std::io::Error::other(refused.to_string()),
    }
}

fn unread(what: &'static str) -> impl Fn(log::ReadError) -> OpenError {
    move |error| OpenError::Io {
        doing: format!("read {what} of consensus"),
        source: std::io::Error::other(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
