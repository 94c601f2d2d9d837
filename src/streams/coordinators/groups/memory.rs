//! Partitions that are lists in memory, for tests.

use super::super::pages::{Page, replay};
use super::partitions::{Partitions, Read};
use crate::ids::Offset;
use crate::streams::Key;
use crate::streams::batch::codec::Unpacker;
use crate::streams::batch::header::BatchMut;
use crate::streams::batch::stored::Stored;
use crate::streams::desk::{Answer, Appended, NotAppended};
use crate::streams::groups::Coordinator;
use crate::streams::partition::LeaderEpoch;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One partition's batches.
#[derive(Clone, Default)]
pub(crate) struct Log {
    pub bytes: Vec<u8>,
    next: u64,
}

impl Log {
    pub(crate) fn append(&mut self, mut batch: Vec<u8>) -> Offset {
        let base = Offset(self.next);
        let mut head = BatchMut::of(&mut batch).expect("a whole batch");
        head.set_base_offset(base);
        self.next = Stored::read(&batch).expect("a sound batch").next.0;
        self.bytes.extend(batch);
        base
    }

    pub(crate) fn read(&self, mut machine: Box<Coordinator>) -> Result<Box<Coordinator>, String> {
        let read = replay(&self.bytes, &mut *machine, &mut Unpacker::default());
        read.map(|()| machine).map_err(|why| why.to_string())
    }
}

#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<Inside>>);

type Held = (
    Key,
    LeaderEpoch,
    Page,
    Answer<Result<Appended, NotAppended>>,
);

#[derive(Default)]
struct Inside {
    logs: BTreeMap<Key, Log>,
    held: Vec<Held>,
    is_slow: bool,
    busy: usize,
    failing: usize,
    pub read_pause: Duration,
    reads: usize,
}

impl Memory {
    /// Holds what is appended from now on, or lets it in.
    pub(crate) fn be_slow(&self, is_slow: bool) {
        let mut inside = self.0.lock().unwrap();
        inside.is_slow = is_slow;
        let held = match is_slow {
            true => Vec::new(),
            false => std::mem::take(&mut inside.held),
        };
        drop(inside);
        for (key, epoch, page, answer) in held {
            self.append(key, epoch, page, answer);
        }
    }

    /// Says to so many batches that it is busy.
    pub(crate) fn be_busy(&self, count: usize) {
        self.0.lock().unwrap().busy = count;
    }

    /// Fails so many batches, though they are in the log.
    pub(crate) fn fail(&self, count: usize) {
        self.0.lock().unwrap().failing = count;
    }

    pub(crate) fn read_slowly(&self, pause: Duration) {
        self.0.lock().unwrap().read_pause = pause;
    }

    pub(crate) fn reads(&self) -> usize {
        self.0.lock().unwrap().reads
    }

    pub(crate) fn held(&self) -> usize {
        self.0.lock().unwrap().held.len()
    }

    pub(crate) fn put(&self, key: Key, batch: Vec<u8>) {
        let mut inside = self.0.lock().unwrap();
        inside.logs.entry(key).or_default().append(batch);
    }

    fn take(&self, key: Key, page: &Page) -> Result<Appended, NotAppended> {
        let mut inside = self.0.lock().unwrap();
        if inside.busy > 0 {
            inside.busy -= 1;
            return Err(NotAppended::Busy);
        }
        let base = inside
            .logs
            .entry(key)
            .or_default()
            .append(page.bytes.clone());
        if inside.failing > 0 {
            inside.failing -= 1;
            return Err(NotAppended::Disk("it was pulled out".into()));
        }
        Ok(Appended {
            base,
            first: Offset(0),
            append_time_ms: None,
        })
    }
}

impl Partitions for Memory {
    fn append(
        &self,
        key: Key,
        epoch: LeaderEpoch,
        page: Page,
        answer: Answer<Result<Appended, NotAppended>>,
    ) {
        let mut inside = self.0.lock().unwrap();
        if inside.is_slow {
            inside.held.push((key, epoch, page, answer));
            return;
        }
        drop(inside);
        answer(self.take(key, &page));
    }

    fn read(&self, key: Key, _: LeaderEpoch, machine: Box<Coordinator>) -> Read {
        let this = self.clone();
        Box::pin(async move {
            let pause = this.0.lock().unwrap().read_pause;
            tokio::time::sleep(pause).await;
            let mut inside = this.0.lock().unwrap();
            inside.reads += 1;
            inside.logs.entry(key).or_default().read(machine)
        })
    }
}
