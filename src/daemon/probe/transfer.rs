//! Much at once and many at once: durable megabytes in a row, the same read
//! back, and single blocks read from anywhere.

use super::bench::{Bench, Spread, Writes, full, stir};
use crate::disk::class::{self, Class};
use crate::disk::{Disk, Engine, File, How};
use crate::limits::BLOCK_BYTES;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// 1 MiB after the other, each write durable before the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// What there is to read.
    pub bytes: u64,
    pub write_mb_per_s: u64,
    pub read_mb_per_s: u64,
}

/// 4 KiB from anywhere, by so many threads at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reads {
    pub depth: usize,
    pub per_s: u64,
    pub read: Spread,
}

const SHARE: u32 = 30;
const PIECE_BYTES: usize = 1 << 20;
/// Of the 1 GiB that a probe may use; its other files take 200 MiB.
const FILE_BYTES: u64 = 512 << 20;
const NAME: &str = "stream";

pub(super) fn stream(bench: &Bench<'_>, how: How) -> io::Result<Stream> {
    bench.enter("megabytes in a row");
    let disk = bench.disk(Engine::Threads)?;
    disk.open(NAME, How::Create)?.allocate(FILE_BYTES)?;
    let file = disk.open(NAME, how)?;
    let writes = Writes {
        file: &file,
        bytes: PIECE_BYTES,
        span: FILE_BYTES,
        depth: 1,
        time: bench.share(SHARE),
    };
    let (written, _) = bench.write(&disk, &writes)?;
    // What was not written reads as zeros without a look at the device.
    let pieces = (written.len() as u64).min(FILE_BYTES / PIECE_BYTES as u64);
    let mut memory = full(PIECE_BYTES);
    let read = bench.repeat(bench.share(SHARE), |turn| {
        file.read_exact_at(turn as u64 % pieces * PIECE_BYTES as u64, &mut memory)
    })?;
    Ok(Stream {
        bytes: pieces * PIECE_BYTES as u64,
        write_mb_per_s: mb_per_s(&written),
        read_mb_per_s: mb_per_s(&read),
    })
}

fn mb_per_s(pieces: &[Duration]) -> u64 {
    let time: Duration = pieces.iter().sum();
    ((pieces.len() * PIECE_BYTES) as f64 / 1e6 / time.as_secs_f64()) as u64
}

/// Over the first `bytes` of what `stream` has written.
pub(super) fn reads(bench: &Bench<'_>, how: How, bytes: u64) -> io::Result<Vec<Reads>> {
    bench.enter("blocks from anywhere");
    let disk = bench.disk(Engine::Threads)?;
    let file = disk.open(NAME, how)?;
    let at_depth = |depth| {
        let begun = bench.clock.monotonic();
        let times = read_at_once(bench, &file, bytes, depth)?;
        let all = bench.clock.monotonic() - begun;
        Ok(Reads {
            depth,
            per_s: (times.len() as f64 / all.as_secs_f64()) as u64,
            read: Spread::of(times),
        })
    };
    [1, 8, 32].into_iter().map(at_depth).collect()
}

fn read_at_once(
    bench: &Bench<'_>,
    file: &Arc<dyn File>,
    bytes: u64,
    depth: usize,
) -> io::Result<Vec<Duration>> {
    thread::scope(|scope| {
        let readers: Vec<_> = (0..depth)
            .map(|reader| {
                thread::Builder::new()
                    .name("probe-reader".into())
                    .spawn_scoped(scope, move || {
                        read_anywhere(bench, &**file, bytes, reader as u64)
                    })
            })
            .collect::<io::Result<_>>()?;
        let mut times = Vec::new();
        for reader in readers {
            let read = reader.join();
            times.extend(read.unwrap_or_else(|_| Err(io::Error::other("a reader panicked")))?);
        }
        Ok(times)
    })
}

fn read_anywhere(
    bench: &Bench<'_>,
    file: &dyn File,
    bytes: u64,
    reader: u64,
) -> io::Result<Vec<Duration>> {
    class::take(Class::Bulk);
    let blocks = bytes / BLOCK_BYTES as u64;
    let mut memory = full(BLOCK_BYTES);
    let mut word = reader + 1;
    bench.repeat(bench.share(SHARE), |_| {
        word = stir(word);
        file.read_exact_at(word % blocks * BLOCK_BYTES as u64, &mut memory)
    })
}
