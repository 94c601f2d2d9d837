//! What every measurement needs: files, a share of the time, and loops that
//! stop when they are told to.

use super::{Progress, RING_ENTRIES};
use crate::clock::Clock;
use crate::disk::{Block, Disk, Done, Engine, File, How, Lane, RealDisk, Settings, Token};
use crate::limits::BLOCK_BYTES;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Samples of one loop; 16 B each.
const SAMPLES_MAX: usize = 100_000;
/// A real-time thread that never waits is taken for a runaway after a second,
/// and a tmpfs has nothing to wait for.
const UNTIL_REST: Duration = Duration::from_millis(200);
const REST: Duration = Duration::from_millis(1);
/// Zeros are written in pieces of this size.
const PIECE_BYTES: usize = 1 << 20;

pub(super) struct Bench<'a> {
    pub(super) folder: &'a Path,
    pub(super) time: Duration,
    pub(super) progress: &'a Progress,
    pub(super) clock: &'a dyn Clock,
}

/// Times of many like operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    pub p50: Duration,
    pub p99: Duration,
    pub max: Duration,
    /// A p99 of fewer than a hundred is the worst of them.
    pub samples: usize,
}

impl Spread {
    /// There is one time at least.
    pub fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |percent: usize| times[(times.len() * percent).div_ceil(100).max(1) - 1];
        Self {
            p50: at(50),
            p99: at(99),
            max: at(100),
            samples: times.len(),
        }
    }
}

/// Durable writes to make one after the other, wrapping round in a file.
pub(super) struct Writes<'a> {
    pub(super) file: &'a Arc<dyn File>,
    pub(super) bytes: usize,
    /// Of the file; a multiple of `bytes` and more than `depth` times as much,
    /// so that no two writes in flight overlap.
    pub(super) span: u64,
    pub(super) depth: usize,
    pub(super) time: Duration,
}

impl Bench<'_> {
    /// Part of the whole time, in thousandths.
    pub(super) fn share(&self, per_mille: u32) -> Duration {
        self.time * per_mille / 1000
    }

    pub(super) fn enter(&self, stage: &'static str) {
        self.progress.enter(stage);
    }

    pub(super) fn go_on(&self) -> io::Result<()> {
        match self.progress.is_stopped() {
            true => Err(io::Error::other("stopped")),
            false => Ok(()),
        }
    }

    pub(super) fn disk(&self, engine: Engine) -> io::Result<RealDisk> {
        let settings = Settings {
            engine,
            entries: RING_ENTRIES,
            lone_blocking: false,
        };
        RealDisk::open(self.folder, settings)
    }

    pub(super) fn grants_direct(&self) -> io::Result<bool> {
        const NAME: &str = "direct";
        let disk = self.disk(Engine::Threads)?;
        disk.open(NAME, How::Create)?;
        disk.open(NAME, How::WriteDirect)?;
        disk.remove(NAME)?;
        Ok(!disk.direct_refused())
    }

    /// A file of zeros that are on the disk, as a journal's.
    pub(super) fn zeroed(&self, name: &str, bytes: u64) -> io::Result<()> {
        let file = self.disk(Engine::Threads)?.open(name, How::Create)?;
        file.allocate(bytes)?;
        let zeros = vec![0; PIECE_BYTES];
        for at in (0..bytes).step_by(PIECE_BYTES) {
            self.go_on()?;
            let length = (bytes - at).min(PIECE_BYTES as u64) as usize;
            file.write_all_at(at, &zeros[..length])?;
            file.sync()?;
        }
        Ok(())
    }

    /// Does a step over and over until the time is up, once at least, and
    /// times each.
    pub(super) fn repeat(
        &self,
        time: Duration,
        mut step: impl FnMut(usize) -> io::Result<()>,
    ) -> io::Result<Vec<Duration>> {
        let begun = self.clock.monotonic();
        let mut rested = begun;
        let mut times = Vec::new();
        loop {
            let before = self.clock.monotonic();
            step(times.len())?;
            let after = self.clock.monotonic();
            times.push(after - before);
            if after - begun >= time || times.len() == SAMPLES_MAX {
                return Ok(times);
            }
            self.rest(&mut rested, after)?;
        }
    }

    fn rest(&self, rested: &mut Duration, now: Duration) -> io::Result<()> {
        if now - *rested > UNTIL_REST {
            *rested = now;
            thread::park_timeout(REST);
        }
        self.go_on()
    }

    /// Keeps `depth` durable writes in flight until the time is up; the time
    /// of each, and of all together.
    pub(super) fn write(
        &self,
        disk: &RealDisk,
        writes: &Writes<'_>,
    ) -> io::Result<(Vec<Duration>, Duration)> {
        let mut lane = disk.lane()?;
        let mut idle: Vec<Block> = (0..writes.depth).map(|_| full(writes.bytes)).collect();
        let mut begun_at = Vec::new();
        let mut times = Vec::new();
        let mut done: Vec<Done> = Vec::new();
        let begun = self.clock.monotonic();
        let mut rested = begun;
        let mut now = begun;
        let mut outcome = Ok(());
        loop {
            let goes_on = now - begun < writes.time && begun_at.len() < SAMPLES_MAX;
            while (goes_on || begun_at.is_empty())
                && outcome.is_ok()
                && let Some(block) = idle.pop()
            {
                let turn = begun_at.len();
                let at = (turn * writes.bytes) as u64 % writes.span;
                begun_at.push(self.clock.monotonic());
                lane.write_durable(Token(turn as u64), writes.file, at, block);
            }
            if idle.len() == writes.depth {
                return outcome.map(|()| (times, now - begun));
            }
            while done.is_empty() {
                lane.wait(None, &mut || true);
                lane.reap(&mut done);
            }
            now = self.clock.monotonic();
            for one in done.drain(..) {
                times.push(now - begun_at[one.token.0 as usize]);
                idle.extend(one.block);
                // What is in flight lands first: the kernel reads its memory.
                outcome = outcome.and(one.result);
            }
            outcome = outcome.and(self.rest(&mut rested, now));
        }
    }
}

/// Makes one block durable and gives it back.
pub(super) fn write_one(
    lane: &mut dyn Lane,
    file: &Arc<dyn File>,
    at: u64,
    block: Block,
) -> io::Result<Block> {
    let mut done = Vec::new();
    lane.write_durable(Token(0), file, at, block);
    while done.is_empty() {
        lane.wait(None, &mut || true);
        lane.reap(&mut done);
    }
    let Done { result, block, .. } = done.remove(0);
    result?;
    Ok(block.expect("a durable write gives its memory back"))
}

/// Memory in use to its end. Not zeros: a device may keep those as a note.
pub(super) fn full(bytes: usize) -> Block {
    assert_eq!(bytes % BLOCK_BYTES, 0, "durable writes are whole blocks");
    let mut block = Block::with_capacity(bytes);
    block.pad_to(bytes);
    let mut word = 0x9e37_79b9_7f4a_7c15_u64;
    for place in block.chunks_exact_mut(8) {
        word = stir(word);
        place.copy_from_slice(&word.to_le_bytes());
    }
    block
}

/// The next of a row of numbers without a pattern (xorshift64).
pub(super) fn stir(mut word: u64) -> u64 {
    word ^= word << 13;
    word ^= word >> 7;
    word ^ (word << 17)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_p99_of_few_is_the_worst_of_them() {
        let times = [3, 1, 2].map(Duration::from_millis).to_vec();
        let spread = Spread::of(times);
        assert_eq!(spread.p50, Duration::from_millis(2));
        assert_eq!(spread.p99, Duration::from_millis(3));
        let hundred: Vec<_> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(Spread::of(hundred).p99, Duration::from_millis(99));
    }
}
