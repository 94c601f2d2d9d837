//! The lane `threads`: a durable write is pwrite and fdatasync, on the log
//! thread itself while the disk is quick, by a worker where it is slow. Needs
//! nothing of the kernel that any machine refuses, and for a lone write nothing
//! is faster.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::pace::Pace;
use super::wake::Bell;
use super::worker::Workers;
use super::{Block, Done, File, Lane, Task, Token, Waker};

pub(super) struct ThreadsLane {
    bell: Arc<Bell>,
    workers: Workers,
    finished: Vec<Done>,
    pace: Pace,
}

impl ThreadsLane {
    pub(super) fn new() -> io::Result<Self> {
        let bell = Bell::new()?;
        Ok(Self {
            workers: Workers::start(bell.clone())?,
            bell,
            finished: Vec::new(),
            pace: Pace::default(),
        })
    }
}

impl Lane for ThreadsLane {
    fn write_durable(&mut self, token: Token, file: &Arc<dyn File>, at: u64, block: Block) {
        if !self.pace.is_slow() {
            return self
                .finished
                .push(self.pace.write_now(token, file, at, block));
        }
        let (file, pace) = (file.clone(), self.pace.clone());
        let work = move || {
            let done = pace.write_now(token, &file, at, block);
            (done.result, done.block)
        };
        self.workers.durable(token, Box::new(work));
    }

    fn depth(&self) -> usize {
        1
    }

    fn background(&mut self, token: Token, task: Task) {
        self.workers.background(token, task);
    }

    fn beside(&mut self, token: Token, task: Task) {
        self.workers.beside(token, task);
    }

    fn reap(&mut self, done: &mut Vec<Done>) {
        done.append(&mut self.finished);
        self.workers.reap(done);
    }

    fn wait(&mut self, at_most: Option<Duration>, still_idle: &mut dyn FnMut() -> bool) {
        if !self.finished.is_empty() {
            return;
        }
        self.bell.prepare();
        if !self.workers.has_finished() && still_idle() {
            self.bell.sleep(at_most);
        }
        self.bell.stay_awake();
    }

    fn waker(&self) -> Waker {
        self.bell.waker()
    }

    fn engine(&self) -> &'static str {
        "threads"
    }
}
