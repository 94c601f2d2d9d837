//! A lane that is made at its first use, for a thread that has long work to do
//! before it takes its class.
//!
//! Recovery sums what it reads for as long as that takes, which a real-time
//! thread must not do, and its last act, the opening of a journal file, goes
//! through the lane already. The kernel starts a ring's workers when they are
//! first needed, at the class that the thread has then, and keeps them: a ring
//! made early and used by an ordinary thread would sync at ordinary priority
//! for ever. So class and lane come together, between reading and writing.

use super::{Block, Done, File, Lane, Task, Token, Waker};
use std::cell::{Cell, OnceCell};
use std::io;
use std::sync::Arc;
use std::time::Duration;

type Make = Box<dyn FnOnce() -> io::Result<Box<dyn Lane>>>;

pub struct LateLane {
    make: Cell<Option<Make>>,
    lane: OnceCell<Box<dyn Lane>>,
}

impl LateLane {
    /// `make` takes the thread's class, then makes the lane. It is meant to
    /// succeed: whether the engine is granted was tried when it was chosen.
    pub fn new(make: impl FnOnce() -> io::Result<Box<dyn Lane>> + 'static) -> Self {
        Self {
            make: Cell::new(Some(Box::new(make))),
            lane: OnceCell::new(),
        }
    }

    fn lane(&self) -> &dyn Lane {
        let lane = self.lane.get_or_init(|| {
            let make = self.make.take().expect("a lane is made once");
            make().unwrap_or_else(|error| panic!("no lane to the disk: {error}"))
        });
        &**lane
    }

    fn lane_mut(&mut self) -> &mut dyn Lane {
        self.lane();
        &mut **self.lane.get_mut().expect("made in the line above")
    }
}

impl Lane for LateLane {
    fn write_durable(&mut self, token: Token, file: &Arc<dyn File>, at: u64, block: Block) {
        self.lane_mut().write_durable(token, file, at, block);
    }

    fn depth(&self) -> usize {
        self.lane().depth()
    }

    fn background(&mut self, token: Token, task: Task) {
        self.lane_mut().background(token, task);
    }

    fn beside(&mut self, token: Token, task: Task) {
        self.lane_mut().beside(token, task);
    }

    fn reap(&mut self, done: &mut Vec<Done>) {
        self.lane_mut().reap(done);
    }

    fn wait(&mut self, at_most: Option<Duration>, still_idle: &mut dyn FnMut() -> bool) {
        self.lane_mut().wait(at_most, still_idle);
    }

    fn waker(&self) -> Waker {
        self.lane().waker()
    }

    fn engine(&self) -> &'static str {
        self.lane().engine()
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // reads what the kernel says of threads
mod tests {
    use super::*;
    use crate::disk::class::{self, Class, Granted};
    use crate::disk::trial::Folder;
    use crate::disk::{Disk, Engine, How, RealDisk, Settings};
    use crate::limits::BLOCK_BYTES;
    use std::fs;
    use std::rc::Rc;

    /// The scheduling policies of the kernel's workers of this thread's rings:
    /// the 41st field of proc(5)'s stat, the 39th after the name.
    fn policies_of_workers() -> Vec<String> {
        let this = fs::read_link("/proc/thread-self").unwrap();
        let worker = format!("(iou-wrk-{})", this.file_name().unwrap().display());
        let stats = fs::read_dir("/proc/self/task").unwrap();
        stats
            .filter_map(|task| fs::read_to_string(task.ok()?.path().join("stat")).ok())
            .filter_map(|stat| Some(stat.split_once(&worker)?.1.to_owned()))
            .filter_map(|rest| rest.split_whitespace().nth(38).map(String::from))
            .collect()
    }

    /// The kernel names its workers by numbers of the machine, which a container
    /// does not see; the machine's own name space has this number for good.
    fn is_in_a_container() -> bool {
        let namespace = fs::read_link("/proc/self/ns/pid").unwrap();
        namespace.as_os_str() != "pid:[4026531836]"
    }

    fn write_one(lane: &mut dyn Lane, file: &Arc<dyn File>) {
        let mut block = Block::with_capacity(BLOCK_BYTES);
        block.pad_to(BLOCK_BYTES);
        lane.write_durable(Token(1), file, 0, block);
        let mut done = Vec::new();
        while done.is_empty() {
            lane.wait(None, &mut || true);
            lane.reap(&mut done);
        }
        done.remove(0).result.unwrap();
    }

    #[test]
    fn the_kernels_workers_have_the_class_of_the_log() {
        let folder = Folder::new();
        let settings = Settings {
            engine: Engine::Uring,
            entries: 8,
            lone_blocking: false,
        };
        let disk = Arc::new(RealDisk::open(folder.path(), settings).unwrap());
        if disk.lane().is_err() {
            return; // a machine that refuses io_uring
        }
        let file = disk.open("a", How::Create).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                class::take(Class::Bulk);
                let granted = Rc::new(OnceCell::new());
                let mut lane = LateLane::new({
                    let granted = granted.clone();
                    move || {
                        granted.set(class::take(Class::Log)).unwrap();
                        disk.lane()
                    }
                });
                assert!(granted.get().is_none());
                write_one(&mut lane, &file);
                let policies = policies_of_workers();
                assert!(!policies.is_empty() || is_in_a_container());
                if granted.get() == Some(&Granted::Full) {
                    let fifo = libc::SCHED_FIFO.to_string();
                    assert!(
                        policies.iter().all(|policy| *policy == fifo),
                        "{policies:?}"
                    );
                }
            });
        });
    }
}
