//! The lane `uring`: a plain ring on the log thread. A durable write is a
//! Write with a linked Fsync(DATASYNC), which the kernel's own workers carry
//! out at the class of the thread that made the ring.
//!
//! No SQPOLL, no IOPOLL, nothing registered: none of them was measured to pay.
//! Never O_DSYNC: on a device without FUA it ends in a kernel queue of ordinary
//! priority. The ring is restricted to the operations in use before it is
//! enabled, so nothing else can be asked of the kernel through it.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use io_uring::register::Restriction;
use io_uring::squeue::{Entry, Flags};
use io_uring::types::{Fd, FsyncFlags, SubmitArgs, Timespec};
use io_uring::{IoUring, opcode};

use super::errors::named;
use super::pace::Pace;
use super::wake::Bell;
use super::worker::Workers;
use super::{Block, Done, File, Lane, Task, Token, Waker};
use crate::limits::BLOCK_BYTES;

/// Below this a ring has no room for two durable writes and the bell.
const ENTRIES_MIN: u32 = 8;
/// Far more flights than the lane is ever given; the kernel's bound is 32,768.
const ENTRIES_MAX: u32 = 4096;
/// The mark of the bell's poll; a flight's two operations are twice its slot
/// and one more.
const BELL: u64 = u64::MAX;
/// Times that a write may be started again without having got further.
const STALLS_MAX: u32 = 8;

pub(super) struct UringLane {
    ring: IoUring,
    bell: Arc<Bell>,
    /// Whether a poll for the bell is with the kernel.
    is_polled: bool,
    workers: Workers,
    /// Durable writes that the kernel has, each at the place its completions
    /// name.
    flights: Vec<Option<Flight>>,
    /// Durable writes for which the ring had no room.
    queued: VecDeque<Flight>,
    finished: Vec<Done>,
    /// Up to this a write on an idle ring goes by pwrite and fdatasync, unless
    /// the disk is slow.
    lone_bytes_max: usize,
    pace: Pace,
}

/// One durable write on its way.
struct Flight {
    token: Token,
    /// Keeps the descriptor open.
    file: Arc<dyn File>,
    at: u64,
    /// The kernel reads its memory until both answers are here.
    block: Block,
    /// Bytes that earlier rounds have written.
    written: usize,
    begun: Instant,
    /// Rounds that got no further.
    stalls: u32,
    /// Whether the kernel took write and sync as one chain.
    is_linked: bool,
    write: Option<i32>,
    sync: Option<i32>,
}

impl UringLane {
    pub(super) fn new(entries: u32, lone_bytes_max: usize) -> io::Result<Self> {
        let ring = make_ring(entries).map_err(refusal)?;
        let bell = Bell::new()?;
        // Two entries a flight, one for the bell.
        let flights = (ring.params().sq_entries() as usize - 1) / 2;
        Ok(Self {
            workers: Workers::start(bell.clone())?,
            ring,
            bell,
            is_polled: false,
            flights: (0..flights).map(|_| None).collect(),
            queued: VecDeque::new(),
            finished: Vec::new(),
            lone_bytes_max,
            pace: Pace::default(),
        })
    }

    fn is_idle(&self) -> bool {
        self.queued.is_empty() && self.flights.iter().all(Option::is_none)
    }

    /// Puts a flight into a free place and its operations into the queue.
    fn take_off(&mut self, flight: Flight) {
        match self.flights.iter().position(Option::is_none) {
            Some(place) => {
                self.flights[place] = Some(flight);
                self.ask(place);
            }
            None => self.queued.push_back(flight),
        }
    }

    /// Queues what a flight still needs: the rest of its write, then the sync.
    fn ask(&mut self, place: usize) {
        let flight = self.flights[place]
            .as_mut()
            .expect("asked for by its owner");
        let file = flight.file.descriptor().expect("checked when it was taken");
        let fd = Fd(file.as_raw_fd());
        let rest = &flight.block[flight.written..];
        let at = flight.at + flight.written as u64;
        let sync = opcode::Fsync::new(fd).flags(FsyncFlags::DATASYNC).build();
        let sync = sync.user_data(2 * place as u64 + 1);
        let write = (!rest.is_empty()).then(|| {
            let length = u32::try_from(rest.len()).expect("a batch is far below 4 GiB");
            let write = opcode::Write::new(fd, rest.as_ptr(), length).offset(at);
            write
                .build()
                .flags(Flags::IO_LINK)
                .user_data(2 * place as u64)
        });
        flight.write = if write.is_some() { None } else { Some(0) };
        flight.sync = None;
        flight.is_linked = true;
        write
            .into_iter()
            .chain([sync])
            .for_each(|entry| self.push(&entry));
    }

    fn push(&mut self, entry: &Entry) {
        // SAFETY: an entry names a descriptor and memory that its flight holds
        // until both answers are here, or the bell, which outlives the ring.
        unsafe { self.ring.submission().push(entry) }
            .expect("a place for every flight's two entries and the bell");
    }

    /// Hands the queue to the kernel and waits for `count` completions. Never
    /// says that the time is up.
    fn enter(&mut self, count: usize) -> io::Result<bool> {
        let queued = self.ring.submission().len();
        let entered = self.ring.submit_and_wait(count);
        self.entered(queued, entered)
    }

    /// Hands the queue to the kernel and waits for a completion; says whether
    /// the time is up.
    fn enter_for(&mut self, at_most: Duration) -> io::Result<bool> {
        let at_most = Timespec::from(at_most);
        let limits = SubmitArgs::new().timespec(&at_most);
        let queued = self.ring.submission().len();
        let entered = self.ring.submitter().submit_with_args(1, &limits);
        self.entered(queued, entered)
    }

    fn entered(&mut self, queued: usize, entered: io::Result<usize>) -> io::Result<bool> {
        match entered {
            Ok(taken) if taken < queued => {
                // The cut may have parted a write from its sync, which then
                // waits for nothing. Such a sync does not count.
                for flight in self.flights.iter_mut().flatten() {
                    flight.is_linked = false;
                }
                Ok(false)
            }
            Ok(_) => Ok(false),
            // The queue stays as it is and is handed over at the next turn.
            Err(error) => match error.raw_os_error() {
                Some(libc::EINTR | libc::EAGAIN | libc::EBUSY) => Ok(false),
                Some(libc::ETIME) => Ok(true),
                _ => Err(error),
            },
        }
    }

    fn enter_or_die(&mut self, count: usize) {
        self.enter(count).unwrap_or_else(refused);
    }

    fn completion(&mut self) -> Option<io_uring::cqueue::Entry> {
        self.ring.completion().next()
    }

    /// Takes what has completed; says whether the bell was rung.
    fn absorb(&mut self) -> bool {
        let mut rung = false;
        while let Some(entry) = self.completion() {
            if entry.user_data() == BELL {
                self.is_polled = false;
                // Takes the ring off; a poll that was called off has none.
                if entry.result() > 0 {
                    self.bell.sleep(None);
                }
                rung = true;
                continue;
            }
            let place = (entry.user_data() / 2) as usize;
            let flight = self.flights[place]
                .as_mut()
                .expect("held until both answers");
            match entry.user_data() % 2 {
                0 => flight.write = Some(entry.result()),
                _ => flight.sync = Some(entry.result()),
            }
            if let (Some(write), Some(sync)) = (flight.write, flight.sync) {
                self.settle(place, write, sync);
            }
        }
        if !self.ring.submission().is_empty() {
            self.enter_or_die(0);
        }
        rung
    }

    /// Both answers of a flight are here: it lands, or goes round again.
    fn settle(&mut self, place: usize, write: i32, sync: i32) {
        let flight = self.flights[place]
            .as_mut()
            .expect("settled by its answers");
        let wanted = flight.block.len() - flight.written;
        let mut next = after(wanted, write, sync, flight.is_linked);
        if let Next::Again { written } = next {
            flight.stalls = if written == 0 { flight.stalls + 1 } else { 0 };
            flight.written += written;
            if flight.stalls <= STALLS_MAX {
                return self.ask(place);
            }
            next = Next::Failed("write", libc::EIO);
        }
        let flight = self.flights[place].take().expect("still there");
        let result = match next {
            Next::Failed(what, code) => Err(named(
                format!("{what} {}", flight.file.name()),
                io::Error::from_raw_os_error(code),
            )),
            _ => Ok(()),
        };
        self.pace.note(flight.begun.elapsed());
        self.finished.push(Done {
            token: flight.token,
            result,
            block: Some(flight.block),
        });
        if let Some(flight) = self.queued.pop_front() {
            self.take_off(flight);
        }
    }

    /// Has the kernel watch the bell, with the next `enter`.
    fn poll_bell(&mut self) {
        if !self.is_polled {
            let fd = Fd(self.bell.descriptor().as_raw_fd());
            let poll = opcode::PollAdd::new(fd, libc::POLLIN as u32).build();
            self.push(&poll.user_data(BELL));
            self.is_polled = true;
        }
    }
}

impl Lane for UringLane {
    fn write_durable(&mut self, token: Token, file: &Arc<dyn File>, at: u64, block: Block) {
        let is_lone = block.len() <= self.lone_bytes_max && self.is_idle();
        if (is_lone && !self.pace.is_slow()) || file.descriptor().is_none() {
            return self
                .finished
                .push(self.pace.write_now(token, file, at, block));
        }
        self.take_off(Flight {
            token,
            file: file.clone(),
            at,
            block,
            written: 0,
            begun: now(),
            stalls: 0,
            is_linked: true,
            write: None,
            sync: None,
        });
        self.enter_or_die(0);
    }

    fn depth(&self) -> usize {
        2
    }

    fn background(&mut self, token: Token, task: Task) {
        self.workers.background(token, task);
    }

    fn beside(&mut self, token: Token, task: Task) {
        self.workers.beside(token, task);
    }

    fn reap(&mut self, done: &mut Vec<Done>) {
        self.absorb();
        done.append(&mut self.finished);
        self.workers.reap(done);
    }

    fn wait(&mut self, at_most: Option<Duration>, still_idle: &mut dyn FnMut() -> bool) {
        self.absorb();
        if !self.finished.is_empty() {
            return;
        }
        self.poll_bell();
        self.bell.prepare();
        if !self.workers.has_finished() && still_idle() {
            // A write that waits for its sync is no reason to come back.
            let mut is_over = false;
            while !is_over && self.finished.is_empty() {
                is_over = match at_most {
                    None => self.enter(1),
                    Some(at_most) => self.enter_for(at_most),
                }
                .unwrap_or_else(refused);
                is_over |= self.absorb();
            }
        }
        self.bell.stay_awake();
    }

    fn waker(&self) -> Waker {
        self.bell.waker()
    }

    fn engine(&self) -> &'static str {
        "uring"
    }
}

/// The kernel reads the blocks in flight, so they are freed after it is done
/// with them, or never.
impl Drop for UringLane {
    fn drop(&mut self) {
        while !self.is_idle() {
            if self.enter(1).is_err() {
                std::mem::forget(std::mem::take(&mut self.flights));
                return;
            }
            self.absorb();
        }
    }
}

#[allow(clippy::disallowed_methods)] // a lane of this machine looks at its clock
fn now() -> Instant {
    Instant::now()
}

fn refused(error: io::Error) -> bool {
    panic!("the ring refuses its own thread: {error}")
}

/// What follows from the two answers to a linked write and sync.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// On stable storage.
    Finished,
    /// So many bytes more are written; the rest, and then a sync, are due.
    Again {
        written: usize,
    },
    Failed(&'static str, i32),
}

/// Decides what follows from a write of `wanted` bytes and the sync behind it.
/// A short write breaks the chain and cancels the sync.
fn after(wanted: usize, write: i32, sync: i32, is_linked: bool) -> Next {
    if write < 0 && !is_passing(write) {
        return Next::Failed("write", -write);
    }
    if sync < 0 && !is_passing(sync) {
        return Next::Failed("sync", -sync);
    }
    let written = write.max(0) as usize;
    if written == wanted && sync >= 0 && is_linked {
        return Next::Finished;
    }
    // Past the page cache the next write starts on a block as well. What is
    // written twice is the same bytes, one write after the other.
    let written = if written == wanted {
        written
    } else {
        written - written % BLOCK_BYTES
    };
    Next::Again { written }
}

/// The operation did not run, and may be asked for again.
fn is_passing(code: i32) -> bool {
    [libc::ECANCELED, libc::EINTR, libc::EAGAIN].contains(&-code)
}

/// What this kernel grants a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ring {
    pub entries: u32,
    pub is_single_issuer: bool,
}

/// Sets up a ring as a lane does, and takes it down again. A refusal says what
/// to do about it.
pub fn try_ring(entries: u32) -> io::Result<Ring> {
    let ring = make_ring(entries).map_err(refusal)?;
    Ok(Ring {
        entries: ring.params().sq_entries(),
        is_single_issuer: ring.params().is_setup_single_issuer(),
    })
}

fn make_ring(entries: u32) -> io::Result<IoUring> {
    fitting(entries.clamp(ENTRIES_MIN, ENTRIES_MAX), restricted_ring)
}

/// Halves the entries until they fit the locked memory that the process may
/// have: a small ring is as fast as a large one with two writes in it.
fn fitting<T>(mut entries: u32, make: impl Fn(u32) -> io::Result<T>) -> io::Result<T> {
    loop {
        match make(entries) {
            Err(error) if is(&error, libc::ENOMEM) && entries / 2 >= ENTRIES_MIN => entries /= 2,
            answer => return answer,
        }
    }
}

fn restricted_ring(entries: u32) -> io::Result<IoUring> {
    let ring = match IoUring::builder()
        .setup_r_disabled()
        .setup_single_issuer()
        .build(entries)
    {
        // Linux before 6.0 does not know SINGLE_ISSUER.
        Err(error) if is(&error, libc::EINVAL) => {
            IoUring::builder().setup_r_disabled().build(entries)?
        }
        answer => answer?,
    };
    ring.submitter().register_restrictions(&mut [
        Restriction::sqe_op(opcode::Write::CODE),
        Restriction::sqe_op(opcode::Fsync::CODE),
        Restriction::sqe_op(opcode::PollAdd::CODE),
        Restriction::sqe_flags_allowed(Flags::IO_LINK.bits()),
    ])?;
    ring.submitter().register_enable_rings()?;
    Ok(ring)
}

fn is(error: &io::Error, code: i32) -> bool {
    error.raw_os_error() == Some(code)
}

/// A refused ring, with what a person can do about it.
#[allow(clippy::disallowed_methods)] // a file of the kernel's, not one of ours
fn refusal(error: io::Error) -> io::Error {
    let switch = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
    let switch = switch.as_deref().map(str::trim).unwrap_or("0");
    match error.raw_os_error().and_then(|code| remedy(code, switch)) {
        Some(remedy) => named(remedy, error),
        None => named("io_uring cannot be set up", error),
    }
}

/// `switch` is kernel.io_uring_disabled: 0 for nobody, 1 for the unprivileged,
/// 2 for everybody.
fn remedy(code: i32, switch: &str) -> Option<String> {
    let (why, what) = match (code, switch) {
        (libc::EPERM, "2") => (
            "io_uring is disabled for everybody",
            "sysctl kernel.io_uring_disabled=0",
        ),
        (libc::EPERM, "1") => (
            "io_uring is disabled for this user",
            "sysctl kernel.io_uring_disabled=0, or name its group in kernel.io_uring_group",
        ),
        (libc::EPERM, _) => (
            "io_uring is refused by a seccomp filter",
            "allow io_uring_setup, io_uring_enter and io_uring_register in the container's \
             profile or the unit's SystemCallFilter",
        ),
        (libc::ENOSYS, _) => ("this kernel is built without io_uring", "use one with it"),
        (libc::EINVAL, _) => (
            "this kernel's io_uring cannot be restricted",
            "use Linux 5.10 or later",
        ),
        (libc::ENOMEM, _) => (
            "there is no memory for even a small ring",
            "raise the locked memory (LimitMEMLOCK= in the unit)",
        ),
        _ => return None,
    };
    Some(format!("{why}: {what}, or set log.engine = \"threads\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{errors::os_code, testing, trial};

    #[test]
    fn a_whole_write_and_its_sync_are_durable() {
        assert_eq!(after(8192, 8192, 0, true), Next::Finished);
    }

    #[test]
    fn a_short_write_goes_on_at_a_block_and_is_synced_again() {
        let canceled = -libc::ECANCELED;
        assert_eq!(
            after(12_288, 8192, canceled, true),
            Next::Again { written: 8192 }
        );
        assert_eq!(
            after(12_288, 8191, canceled, true),
            Next::Again { written: 4096 }
        );
        assert_eq!(after(12_288, 8192, 0, true), Next::Again { written: 8192 });
        assert_eq!(after(4096, 0, canceled, true), Next::Again { written: 0 });
    }

    #[test]
    fn a_sync_that_did_not_run_is_asked_for_again() {
        let again = Next::Again { written: 4096 };
        assert_eq!(after(4096, 4096, -libc::ECANCELED, true), again);
        assert_eq!(after(4096, 4096, -libc::EINTR, true), again);
        // Parted from its write it may have run before it.
        assert_eq!(after(4096, 4096, 0, false), again);
        assert_eq!(after(0, 0, 0, true), Next::Finished);
    }

    #[test]
    fn a_failure_names_the_half_that_failed() {
        let full = after(4096, -libc::ENOSPC, -libc::ECANCELED, true);
        assert_eq!(full, Next::Failed("write", libc::ENOSPC));
        assert_eq!(
            after(4096, 4096, -libc::EIO, true),
            Next::Failed("sync", libc::EIO)
        );
        assert_eq!(
            after(8192, 4096, -libc::EIO, true),
            Next::Failed("sync", libc::EIO)
        );
        let canceled = -libc::ECANCELED;
        assert_eq!(
            after(4096, canceled, canceled, true),
            Next::Again { written: 0 }
        );
    }

    #[test]
    fn a_ring_shrinks_until_its_memory_is_granted() {
        let made = |granted: u32| {
            fitting(100, |entries| match entries <= granted {
                true => Ok(entries),
                false => Err(io::Error::from_raw_os_error(libc::ENOMEM)),
            })
        };
        assert_eq!(made(1000).unwrap(), 100);
        assert_eq!(made(30).unwrap(), 25);
        assert_eq!(
            made(ENTRIES_MIN).unwrap_err().raw_os_error(),
            Some(libc::ENOMEM)
        );
    }

    #[test]
    fn every_refusal_says_what_to_do() {
        let cases = [
            (libc::EPERM, "0", "seccomp"),
            (libc::EPERM, "1", "io_uring_group"),
            (
                libc::EPERM,
                "2",
                "for everybody: sysctl kernel.io_uring_disabled=0",
            ),
            (libc::ENOSYS, "0", "without io_uring"),
            (libc::ENOMEM, "0", "LimitMEMLOCK"),
            (libc::EINVAL, "0", "5.10"),
        ];
        for (code, switch, says) in cases {
            let text = remedy(code, switch).unwrap();
            assert!(text.contains(says), "{text}");
            assert!(text.ends_with("or set log.engine = \"threads\""), "{text}");
        }
        assert_eq!(remedy(libc::EMFILE, "0"), None);
    }

    #[test]
    fn a_seccomp_filter_is_met_as_what_it_is() {
        if trial::is_child() {
            let error = UringLane::new(8, 0).err().unwrap();
            assert_eq!(os_code(&error), Some(libc::EPERM));
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
            assert!(error.to_string().contains("log.engine"), "{error}");
            return;
        }
        let mut child = trial::child("disk::uring::tests::a_seccomp_filter_is_met_as_what_it_is");
        trial::passes(testing::without_io_uring(&mut child));
    }

    #[test]
    fn the_ring_carries_out_nothing_but_what_the_lane_needs() {
        let Ok(ring) = make_ring(8) else {
            return eprintln!("not run: io_uring is refused here");
        };
        let mut ring = ring;
        let nop = opcode::Nop::new().build();
        // SAFETY: a Nop names no memory.
        unsafe { ring.submission().push(&nop) }.unwrap();
        ring.submit_and_wait(1).unwrap();
        assert_eq!(ring.completion().next().unwrap().result(), -libc::EACCES);
    }
}
