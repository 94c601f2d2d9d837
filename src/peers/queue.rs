//! Frames on their way to one peer. Whoever sends never waits; what does not
//! fit is dropped and counted. One wake-up takes all that has gathered.

use crate::limits::{PEER_QUEUE_BYTES_MAX, PEER_QUEUE_FRAMES_MAX};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

#[derive(Default)]
struct Waiting {
    frames: VecDeque<Vec<u8>>,
    bytes: usize,
}

impl Queue {
    /// Whether there was room.
    pub(super) fn add(&self, frame: Vec<u8>) -> bool {
        let was_empty = {
            let mut waiting = self.waiting();
            let bytes = waiting.bytes + frame.len();
            if bytes > PEER_QUEUE_BYTES_MAX || waiting.frames.len() >= PEER_QUEUE_FRAMES_MAX {
                return false;
            }
            waiting.bytes = bytes;
            waiting.frames.push_back(frame);
            waiting.frames.len() == 1
        };
        // Only the first of a batch wakes the writer: waking costs a system
        // call, and who is awake takes all.
        if was_empty {
            self.arrived.notify_one();
        }
        true
    }

    /// Waits for at least one frame and takes what is there, up to some bytes.
    pub(super) async fn take(&self, bytes_max: usize) -> Vec<Vec<u8>> {
        loop {
            let taken = self.waiting().take(bytes_max);
            if !taken.is_empty() {
                return taken;
            }
            self.arrived.notified().await;
        }
    }

    /// Frames and bytes.
    pub(super) fn length(&self) -> (usize, usize) {
        let waiting = self.waiting();
        (waiting.frames.len(), waiting.bytes)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// One frame at least, however long.
    fn take(&mut self, bytes_max: usize) -> Vec<Vec<u8>> {
        let mut taken = Vec::new();
        let mut bytes = 0;
        while let Some(frame) = self.frames.front() {
            if !taken.is_empty() && bytes + frame.len() > bytes_max {
                break;
            }
            bytes += frame.len();
            taken.extend(self.frames.pop_front());
        }
        self.bytes -= bytes;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(queue: &Queue, bytes_max: usize) -> Vec<usize> {
        let frames = queue.waiting().take(bytes_max);
        frames.iter().map(Vec::len).collect()
    }

    #[test]
    fn a_batch_is_bounded_and_holds_one_frame_at_least() {
        let queue = Queue::default();
        for length in [10, 20, 70, 5, 200, 1] {
            assert!(queue.add(vec![0; length]));
        }
        assert_eq!(queue.length(), (6, 306));
        assert_eq!(taken(&queue, 100), [10, 20, 70]);
        assert_eq!(taken(&queue, 100), [5]);
        assert_eq!(taken(&queue, 100), [200]);
        assert_eq!(taken(&queue, 100), [1]);
        assert_eq!(queue.length(), (0, 0));
    }

    #[test]
    fn a_full_queue_takes_no_more() {
        let queue = Queue::default();
        for _ in 0..PEER_QUEUE_FRAMES_MAX {
            assert!(queue.add(Vec::new()));
        }
        assert!(!queue.add(Vec::new()));
        assert_eq!(taken(&queue, 1).len(), PEER_QUEUE_FRAMES_MAX);
        assert!(queue.add(vec![0; PEER_QUEUE_BYTES_MAX]));
        assert!(!queue.add(vec![0]));
    }
}
