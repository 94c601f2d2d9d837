//! The peers of the log: a loop of pwrite and fdatasync, as small as a loop
//! can be, on a preallocated and zero-written file.

use super::figures::Samples;
use dolmen::disk::{Block, Disk, Engine, File, How, RealDisk, Settings};
use dolmen::limits::BLOCK_BYTES;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Through the page cache, each record right behind the one before.
    Buffered,
    /// Past the page cache, padded to whole blocks: the journal's own way.
    Direct,
    /// Through the page cache, into a file that was reserved and not written.
    Fallocated,
}

impl Way {
    pub fn name(self) -> &'static str {
        match self {
            Way::Buffered => "raw buffered",
            Way::Direct => "raw direct",
            Way::Fallocated => "raw fallocated",
        }
    }
}

/// Much more than a round writes at 4 KiB, so that none meets a block again
/// that the disk still works on.
const FILE_BYTES: u64 = 128 << 20;
const NAME: &str = "raw";
const FRESH: &str = "raw-fresh";

pub struct Raw {
    disk: RealDisk,
    buffered: Arc<dyn File>,
    direct: Arc<dyn File>,
    at: u64,
}

impl Raw {
    pub fn make(root: &Path) -> io::Result<Self> {
        let settings = Settings {
            engine: Engine::Threads,
            entries: 8,
            lone_blocking: false,
        };
        let disk = RealDisk::open(root, settings)?;
        let buffered = disk.open(NAME, How::Create)?;
        buffered.allocate(FILE_BYTES)?;
        let zeros = vec![0; 1 << 20];
        for at in (0..FILE_BYTES).step_by(zeros.len()) {
            buffered.write_all_at(at, &zeros)?;
        }
        buffered.sync()?;
        let direct = disk.open(NAME, How::WriteDirect)?;
        Ok(Self {
            disk,
            buffered,
            direct,
            at: 0,
        })
    }

    pub fn direct_refused(&self) -> bool {
        self.disk.direct_refused()
    }

    /// One record after the other for this long.
    pub fn measure(&mut self, way: Way, bytes: usize, time: Duration) -> io::Result<Samples> {
        if way == Way::Fallocated {
            return self.measure_fresh(bytes, time);
        }
        let file = match way {
            Way::Direct => self.direct.clone(),
            _ => self.buffered.clone(),
        };
        let length = match way {
            Way::Direct => bytes.next_multiple_of(BLOCK_BYTES),
            _ => bytes,
        };
        self.at = self.at.next_multiple_of(BLOCK_BYTES as u64);
        let block = record(length);
        run(&*file, &block, &mut self.at, true, time)
    }

    /// Ends before the time where the file is full: writing there again would
    /// be the zero-written case.
    fn measure_fresh(&self, bytes: usize, time: Duration) -> io::Result<Samples> {
        let file = self.disk.open(FRESH, How::Create)?;
        file.allocate(FILE_BYTES)?;
        let samples = run(&*file, &record(bytes), &mut 0, false, time);
        self.disk.remove(FRESH)?;
        samples
    }
}

fn record(bytes: usize) -> Block {
    let mut block = Block::with_capacity(bytes);
    block.pad_to(bytes);
    block.fill(7);
    block
}

fn run(
    file: &dyn File,
    record: &[u8],
    at: &mut u64,
    wraps: bool,
    time: Duration,
) -> io::Result<Samples> {
    let mut times = Vec::new();
    let start = Instant::now();
    let mut now = start;
    while now - start < time {
        if *at + record.len() as u64 > FILE_BYTES {
            match wraps {
                true => *at = 0,
                false => break,
            }
        }
        file.write_all_at(*at, record)?;
        file.sync()?;
        *at += record.len() as u64;
        let before = std::mem::replace(&mut now, Instant::now());
        times.push(now - before);
    }
    Ok(Samples {
        times,
        spent: now - start,
    })
}
