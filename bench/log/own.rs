//! A device driven by the thread that appends: submit, turn, wait.

use super::figures::Samples;
use super::load::{Load, append};
use dolmen::ids::LogId;
use dolmen::log::{Device, FRAMES, Request};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub struct Own {
    device: Device,
}

/// Answered appends: the log, when it was asked, when it was answered.
type Answered = Arc<Mutex<Vec<(LogId, Instant, Instant)>>>;

impl Own {
    pub fn new(device: Device) -> Self {
        Self { device }
    }

    /// Keeps the load's appends outstanding for this long: each answer brings
    /// the next append. The first eighth warms up and is not counted; a round
    /// too short for a slow row goes on until one append is.
    ///
    /// Resting, the thread has each append shown to readers as soon as it is
    /// durable, as a log's own thread does when its queue is empty.
    pub fn measure(&mut self, load: Load, is_resting: bool, time: Duration) -> Samples {
        for id in 0..load.logs {
            self.device
                .log(LogId(id), &FRAMES)
                .expect("room for a hundred logs");
        }
        let record = vec![7; load.bytes];
        let answered = Answered::default();
        let start = Instant::now();
        let (counted_from, end) = (start + time / 8, start + time);
        for turn in 0..load.outstanding as u64 {
            self.ask(LogId(turn % load.logs), &record, &answered);
        }
        let mut left = load.outstanding;
        let mut times = Vec::new();
        let mut last = counted_from;
        while left > 0 {
            self.device.turn().expect("the bench's disk does not fail");
            let batch = std::mem::take(&mut *answered.lock().expect("nobody panics"));
            if is_resting {
                self.device.rest();
            }
            if batch.is_empty() && self.device.is_waiting() {
                self.device.wait(None, &mut || true);
            }
            for (log, asked, at) in batch {
                if asked >= counted_from {
                    times.push(at - asked);
                    last = at;
                }
                match at < end || times.is_empty() {
                    true => self.ask(log, &record, &answered),
                    false => left -= 1,
                }
            }
        }
        self.forget(load);
        Samples {
            times,
            spent: last - counted_from,
        }
    }

    fn ask(&mut self, log: LogId, record: &[u8], answered: &Answered) {
        let (bytes, answered) = (record.to_vec(), answered.clone());
        let asked = Instant::now();
        let answer = move |outcome: Result<_, _>| {
            outcome.expect("the bench's appends are taken");
            let one = (log, asked, Instant::now());
            answered.lock().expect("nobody panics").push(one);
        };
        self.device.submit(append(log, bytes), Box::new(answer));
    }

    /// Gives the disk back what the round wrote.
    fn forget(&mut self, load: Load) {
        self.device
            .settle()
            .expect("the bench's disk does not fail");
        for log in (0..load.logs).map(LogId) {
            let until = self.device.shelf(log).expect("made above").durable_until();
            let dropped = self.device.call(Request::DropPrefix { log, until });
            dropped.expect("a prefix can be dropped");
        }
        self.device
            .settle()
            .expect("the bench's disk does not fail");
    }
}
