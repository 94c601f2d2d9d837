//! One block after the other, each on stable storage before the next: by both
//! engines, past the page cache and through it, on a quiet machine and beside
//! hogs on every core.

use super::bench::{Bench, Spread, Writes};
use crate::disk::choose::beside_hogs;
use crate::disk::{Disk, Engine, How};
use crate::limits::BLOCK_BYTES;
use std::io;

/// One way to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flush {
    pub engine: Engine,
    pub is_direct: bool,
    pub quiet: Spread,
    /// Beside two hogs of the queries' class for each core.
    pub loaded: Spread,
}

/// By turns, so that a disturbance meets every way.
const ROUNDS: u32 = 2;
const SHARE: u32 = 400;
const FILE_BYTES: u64 = 16 << 20;

pub(super) fn measure(
    bench: &Bench<'_>,
    engines: &[Engine],
    is_direct_granted: bool,
) -> io::Result<Vec<Flush>> {
    bench.enter("writing zeros");
    let mut ways = Vec::new();
    for (is_direct, how, name) in [
        (true, How::WriteDirect, "flush-direct"),
        (false, How::Write, "flush-buffered"),
    ] {
        // A file each: direct writes would empty the cache of the other way.
        if is_direct && !is_direct_granted {
            continue;
        }
        bench.zeroed(name, FILE_BYTES)?;
        for &engine in engines {
            let disk = bench.disk(engine)?;
            let file = disk.open(name, how)?;
            ways.push((engine, is_direct, disk, file));
        }
    }
    let time = bench.share(SHARE) / (2 * ROUNDS * ways.len() as u32);
    let rounds = || {
        let mut times = vec![Vec::new(); ways.len()];
        for _ in 0..ROUNDS {
            for ((_, _, disk, file), times) in ways.iter().zip(&mut times) {
                let writes = Writes {
                    file,
                    bytes: BLOCK_BYTES,
                    span: FILE_BYTES,
                    depth: 1,
                    time,
                };
                times.extend(bench.write(disk, &writes)?.0);
            }
        }
        Ok(times)
    };
    bench.enter("flushes, quiet");
    let quiet = rounds()?;
    bench.enter("flushes, every core busy");
    let loaded = beside_hogs(rounds)?;
    let times = quiet.into_iter().zip(loaded);
    let flushes = ways.iter().zip(times).map(|(way, (quiet, loaded))| Flush {
        engine: way.0,
        is_direct: way.1,
        quiet: Spread::of(quiet),
        loaded: Spread::of(loaded),
    });
    Ok(flushes.collect())
}

/// pwrite and fdatasync for all of the time.
pub(super) fn quick(bench: &Bench<'_>) -> io::Result<Spread> {
    const NAME: &str = "flush";
    const BYTES: u64 = 64 * BLOCK_BYTES as u64;
    bench.zeroed(NAME, BYTES)?;
    let disk = bench.disk(Engine::Threads)?;
    let file = disk.open(NAME, How::Write)?;
    let writes = Writes {
        file: &file,
        bytes: BLOCK_BYTES,
        span: BYTES,
        depth: 1,
        time: bench.time,
    };
    Ok(Spread::of(bench.write(&disk, &writes)?.0))
}
