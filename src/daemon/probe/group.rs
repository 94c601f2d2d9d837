//! Group commit: how many small records a second become durable when several
//! share one flush, and how far it helps to have several flushes in flight.

use super::bench::{Bench, Spread, Writes};
use crate::disk::{Disk, Engine, How, RealDisk};
use crate::limits::BLOCK_BYTES;
use std::io;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    pub engine: Engine,
    pub records: usize,
    pub depth: usize,
    pub flush: Spread,
    pub records_per_s: u64,
}

const RECORD_BYTES: usize = 512;
const CURVE_SHARE: u32 = 110;
const DEPTHS_SHARE: u32 = 60;
/// A multiple of every batch below.
const FILE_BYTES: u64 = 16 << 20;
const NAME: &str = "group";

/// 1 to 64 records a flush, by each engine. Only a ring takes a second flush
/// before the first is back.
pub(super) fn curve(bench: &Bench<'_>, engines: &[Engine], how: How) -> io::Result<Vec<Group>> {
    bench.zeroed(NAME, FILE_BYTES)?;
    bench.enter("group commit");
    let time = bench.share(CURVE_SHARE) / 12;
    let mut groups = Vec::new();
    for &engine in engines {
        let disk = bench.disk(engine)?;
        let depths: &[usize] = match engine {
            Engine::Uring => &[1, 2],
            Engine::Threads => &[1],
        };
        for &depth in depths {
            for records in [1, 4, 16, 64] {
                groups.push(group(bench, (engine, &disk), how, (records, depth), time)?);
            }
        }
    }
    Ok(groups)
}

/// How deep a ring is worth filling.
pub(super) fn depths(bench: &Bench<'_>, how: How) -> io::Result<Vec<Group>> {
    bench.enter("flushes in flight");
    let disk = bench.disk(Engine::Uring)?;
    let time = bench.share(DEPTHS_SHARE) / 5;
    let at = |depth| group(bench, (Engine::Uring, &disk), how, (16, depth), time);
    [1, 2, 4, 8, 16].into_iter().map(at).collect()
}

fn group(
    bench: &Bench<'_>,
    (engine, disk): (Engine, &RealDisk),
    how: How,
    (records, depth): (usize, usize),
    time: Duration,
) -> io::Result<Group> {
    let file = disk.open(NAME, how)?;
    let writes = Writes {
        file: &file,
        bytes: (records * RECORD_BYTES).next_multiple_of(BLOCK_BYTES),
        span: FILE_BYTES,
        depth,
        time,
    };
    let (times, all) = bench.write(disk, &writes)?;
    Ok(Group {
        engine,
        records,
        depth,
        records_per_s: ((times.len() * records) as f64 / all.as_secs_f64()) as u64,
        flush: Spread::of(times),
    })
}
