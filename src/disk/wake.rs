//! Sleeping and being woken: a flag that says whether the owner sleeps, and an
//! eventfd to sleep on. A ring costs a fence and a load where the owner is
//! awake, and one write to the eventfd where it sleeps.
//!
//! No ring is lost. The owner sets the flag and then looks at its queues; a
//! ringer fills a queue and then looks at the flag. A full fence stands between
//! the two halves on either side, so at least one of them sees the other. The
//! owner may come back once without cause, when a ring overtook its decision
//! to stay awake.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, fence};
use std::time::Duration;

use super::Waker;

pub(super) struct Bell {
    asleep: AtomicBool,
    /// Blocking, and read by the owner alone: a read that follows a poll that
    /// said "readable" does not wait.
    eventfd: File,
}

impl Bell {
    pub(super) fn new() -> io::Result<Arc<Self>> {
        // SAFETY: takes two numbers, touches no memory of ours.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a descriptor that was just made and that nobody else holds.
        let eventfd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Arc::new(Self {
            asleep: AtomicBool::new(false),
            eventfd: eventfd.into(),
        }))
    }

    pub(super) fn waker(self: &Arc<Self>) -> Waker {
        let bell = self.clone();
        Waker::new(move || bell.ring())
    }

    /// Wakes the owner if it sleeps. What it is to see must be in place.
    pub(super) fn ring(&self) {
        fence(SeqCst);
        // The load alone keeps the flag's cache line shared between ringers;
        // the swap makes one of many ringers pay for the write.
        if self.asleep.load(Relaxed) && self.asleep.swap(false, SeqCst) {
            // Fails only where the counter is full, and then it is readable.
            let _ = (&self.eventfd).write(&1u64.to_ne_bytes());
        }
    }

    /// From here on a ring reaches the eventfd. The owner looks at its queues
    /// once more after this and before it sleeps.
    pub(super) fn prepare(&self) {
        self.asleep.store(true, Relaxed);
        fence(SeqCst);
    }

    /// The owner is awake, having slept or not.
    pub(super) fn stay_awake(&self) {
        self.asleep.store(false, Relaxed);
    }

    /// Sleeps until a ring, and takes it off the eventfd, or until the time is
    /// up. An interruption by a signal counts as a ring.
    pub(super) fn sleep(&self, at_most: Option<Duration>) {
        if at_most.is_none_or(|at_most| self.is_rung_within(at_most)) {
            let _ = (&self.eventfd).read(&mut [0; 8]);
        }
    }

    fn is_rung_within(&self, at_most: Duration) -> bool {
        let mut rung = libc::pollfd {
            fd: self.eventfd.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        let at_most = libc::timespec {
            tv_sec: at_most.as_secs().try_into().unwrap_or(libc::time_t::MAX),
            tv_nsec: at_most.subsec_nanos().into(),
        };
        // SAFETY: one pollfd and one timespec, alive for the call; no mask.
        unsafe { libc::ppoll(&mut rung, 1, &at_most, std::ptr::null()) > 0 }
    }

    /// To poll for a ring; after it, `sleep` returns at once.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.eventfd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn a_ring_between_preparing_and_sleeping_is_kept() {
        let bell = Bell::new().unwrap();
        bell.prepare();
        bell.ring();
        bell.sleep(None);
    }

    #[test]
    fn a_ring_while_awake_touches_no_eventfd() {
        let bell = Bell::new().unwrap();
        bell.ring();
        let mut poll = libc::pollfd {
            fd: bell.eventfd.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one pollfd, alive for the call.
        assert_eq!(unsafe { libc::poll(&mut poll, 1, 0) }, 0);
    }

    /// One ring a turn and none to make up for it: a lost one leaves both
    /// asleep for ever, and the test with them. The stores are plain, so that
    /// nothing but the bell's own fences keeps the order.
    #[test]
    fn no_ring_is_lost_between_a_ringer_and_a_sleeper() {
        const TURNS: u64 = 200_000;
        let bell = Bell::new().unwrap();
        let (asked, answered) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            let (waker, asked, answered) = (bell.waker(), &asked, &answered);
            scope.spawn(move || {
                for turn in 1..=TURNS {
                    asked.store(turn, Relaxed);
                    waker.wake();
                    wait_for(answered, turn);
                }
            });
            let mut seen = 0;
            while seen < TURNS {
                bell.prepare();
                if asked.load(Relaxed) == seen {
                    bell.sleep(None);
                }
                bell.stay_awake();
                seen = asked.load(Relaxed);
                answered.store(seen, Relaxed);
                // Another moment each turn, so that some turns meet the ring.
                (0..seen % 512).for_each(|step| _ = std::hint::black_box(step));
            }
        });
    }

    /// Spins at first, to ring while the other is on its way to bed.
    fn wait_for(answered: &AtomicU64, turn: u64) {
        let mut spins = 0;
        while answered.load(Relaxed) < turn {
            spins += 1;
            match spins < 1000 {
                true => std::hint::spin_loop(),
                false => std::thread::yield_now(),
            }
        }
    }
}
