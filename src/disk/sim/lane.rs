//! A lane on one thread. Nothing happens by itself: `wait` and `reap` finish
//! what is in flight, one thing at a time, in an order the seed decides.

use super::SimDisk;
use super::file::address;
use super::state::{Handle, InFlight, State};
use crate::disk::{Block, Done, File, Lane, Task, Token, Waker};
use crate::entropy::Seeded;
use crate::planted;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub(super) struct SimLane {
    disk: SimDisk,
    chance: Seeded,
    writes: Vec<Writing>,
    tasks: VecDeque<Waiting>,
    beside: VecDeque<Waiting>,
    finished: Vec<Done>,
    is_rung: Arc<AtomicBool>,
}

/// A durable write in flight.
struct Writing {
    token: Token,
    /// Of its `InFlight`.
    id: u64,
    handle: Handle,
    at: u64,
    block: Block,
    /// Bytes that the first write took; the rest goes with the completion.
    written: io::Result<usize>,
    /// Waits that it is still held back for.
    held: u32,
}

/// What a step may finish.
#[derive(Clone, Copy)]
enum Next {
    Write(usize),
    Task,
    Beside,
}

struct Waiting {
    token: Token,
    task: Task,
    held: u32,
}

impl SimLane {
    pub(super) fn new(disk: &SimDisk) -> Self {
        let chance = Seeded::new(disk.state().chance.next_u64());
        Self {
            disk: disk.clone(),
            chance,
            writes: Vec::new(),
            tasks: VecDeque::new(),
            beside: VecDeque::new(),
            finished: Vec::new(),
            is_rung: Arc::default(),
        }
    }

    /// Finishes one thing, where one is not held back.
    fn step(&mut self) {
        let writes = (0..self.writes.len()).filter(|write| self.writes[*write].held == 0);
        let mut able: Vec<_> = writes.map(Next::Write).collect();
        let is_able = |tasks: &VecDeque<Waiting>| tasks.front().is_some_and(|task| task.held == 0);
        if is_able(&self.tasks) {
            able.push(Next::Task);
        }
        if is_able(&self.beside) {
            able.push(Next::Beside);
        }
        if able.is_empty() {
            return;
        }
        match able[self.chance.below(able.len() as u64) as usize] {
            Next::Write(write) => self.complete(write),
            Next::Task => {
                let task = self.tasks.pop_front();
                self.run_task(task);
            }
            Next::Beside => {
                let task = self.beside.pop_front();
                self.run_task(task);
            }
        }
    }

    fn run_task(&mut self, task: Option<Waiting>) {
        let Some(Waiting { token, task, .. }) = task else {
            return;
        };
        // The disk is not locked: the task uses its files.
        let result = task();
        self.disk.state().under_way -= 1;
        self.finished.push(Done {
            token,
            result,
            block: None,
        });
    }

    fn complete(&mut self, index: usize) {
        let Writing {
            token,
            id,
            handle,
            at,
            block,
            written,
            ..
        } = self.writes.swap_remove(index);
        let mut state = self.disk.state();
        state.under_way -= 1;
        let result = written.and_then(|done| write_rest(&mut state, id, &handle, at, &block, done));
        let place = state.in_flight.iter().position(|other| other.id == id);
        let ops = place
            .map(|place| state.in_flight.swap_remove(place).ops)
            .unwrap_or_default();
        let result = result.and_then(|()| {
            let (first, last) = (ops.first().copied(), ops.last().copied());
            // The sync may have started right after the write and come back
            // only now, so it covers nothing that was asked for since.
            let until = if planted!(SyncBeforeWrite) {
                first
            } else {
                last.map(|op| op + 1)
            };
            state.sync(&handle, until.unwrap_or(0))
        });
        drop(state);
        self.finished.push(Done {
            token,
            result,
            block: Some(block),
        });
    }

    fn draw_held(&mut self, name: &str) -> u32 {
        let mut state = self.disk.state();
        if state.strikes(name, |faults| &mut faults.slow) {
            state.faults.slow_waits
        } else {
            0
        }
    }
}

/// Completes a short write, as the lanes of a real disk do.
fn write_rest(
    state: &mut State,
    id: u64,
    handle: &Handle,
    at: u64,
    block: &Block,
    mut done: usize,
) -> io::Result<()> {
    while done < block.len() {
        let (count, op) = state.write(handle, at + done as u64, &block[done..])?;
        done += count;
        let own = state.in_flight.iter_mut().find(|other| other.id == id);
        own.expect("a durable write is in flight until it is complete")
            .ops
            .push(op);
    }
    Ok(())
}

impl Lane for SimLane {
    fn write_durable(&mut self, token: Token, file: &Arc<dyn File>, at: u64, block: Block) {
        let disk = self.disk.clone();
        let mut state = disk.state();
        let handle = state.handles.get(&address(file)).cloned();
        let handle = handle.unwrap_or_else(|| panic!("{} is no file of this disk", file.name()));
        let range = at..at + block.len() as u64;
        assert_apart(&state, &handle, &range);
        let length = state.files.pages(handle.file).len();
        assert!(
            !handle.is_direct || range.end <= length,
            "a durable write to {range:?} of {}, which is allocated up to {length}",
            handle.name
        );
        let written = state.write(&handle, at, &block);
        let ops = written.iter().map(|(_, op)| *op).collect();
        let id = state.chance.next_u64();
        state.in_flight.push(InFlight {
            id,
            file: handle.file,
            range,
            ops,
        });
        state.under_way += 1;
        drop(state);
        let held = self.draw_held(&handle.name);
        let written = written.map(|(count, _)| count);
        self.writes.push(Writing {
            token,
            id,
            handle,
            at,
            block,
            written,
            held,
        });
    }

    fn depth(&self) -> usize {
        self.disk.state().depth
    }

    fn background(&mut self, token: Token, task: Task) {
        let held = self.draw_held("");
        self.disk.state().under_way += 1;
        self.tasks.push_back(Waiting { token, task, held });
    }

    fn beside(&mut self, token: Token, task: Task) {
        let held = self.draw_held("");
        self.disk.state().under_way += 1;
        self.beside.push_back(Waiting { token, task, held });
    }

    fn reap(&mut self, done: &mut Vec<Done>) {
        if self.chance.one_in(2) {
            self.step();
        }
        done.append(&mut self.finished);
    }

    /// Finishes one thing, now and then more. What is held back comes a wait
    /// nearer. A ring may end the wait with nothing finished; no time passes.
    fn wait(&mut self, _at_most: Option<Duration>, still_idle: &mut dyn FnMut() -> bool) {
        let is_woken = self.is_rung.swap(false, Ordering::AcqRel) || !still_idle();
        if is_woken && self.chance.one_in(2) {
            return;
        }
        let writes = self.writes.iter_mut().map(|write| &mut write.held);
        let tasks = self.tasks.iter_mut().chain(&mut self.beside);
        for held in writes.chain(tasks.map(|task| &mut task.held)) {
            *held = held.saturating_sub(1);
        }
        self.step();
        while self.chance.one_in(4) {
            self.step();
        }
    }

    fn waker(&self) -> Waker {
        let is_rung = self.is_rung.clone();
        Waker::new(move || is_rung.store(true, Ordering::Release))
    }

    fn engine(&self) -> &'static str {
        "sim"
    }
}

fn assert_apart(state: &State, handle: &Handle, range: &std::ops::Range<u64>) {
    let same_file = state
        .in_flight
        .iter()
        .filter(|other| other.file == handle.file);
    for InFlight { range: other, .. } in same_file {
        assert!(
            range.end <= other.start || other.end <= range.start,
            "durable writes overlap in {}: {other:?} is in flight, {range:?} is asked for",
            handle.name
        );
    }
}

impl Drop for SimLane {
    /// What is in flight is left as written and not synced.
    fn drop(&mut self) {
        let own = &self.writes;
        let mut state = self.disk.state();
        state
            .in_flight
            .retain(|other| own.iter().all(|write| write.id != other.id));
        state.under_way -= own.len() + self.tasks.len() + self.beside.len();
    }
}
