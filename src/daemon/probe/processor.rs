//! What the processor does to bytes on one core.

use super::bench::Bench;
use crate::wire::crc32c;
use std::hint::black_box;
use std::io;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Processor {
    pub crc32c_gb_per_s: f64,
    pub copy_gb_per_s: f64,
}

/// What is measured once a package that does it is linked.
pub(super) const NOT_LINKED: &[&str] = &["aes_gcm", "chacha20_poly1305", "lz4"];

const SHARE: u32 = 15;
/// Within a core's own cache, as a batch is when it is summed.
const SUMMED_BYTES: usize = 64 << 10;
/// Beyond most caches.
const COPIED_BYTES: usize = 32 << 20;

pub(super) fn measure(bench: &Bench<'_>) -> io::Result<Processor> {
    bench.enter("processor");
    let source = vec![0x5a_u8; COPIED_BYTES];
    let mut target = vec![0_u8; COPIED_BYTES];
    let summed = &source[..SUMMED_BYTES];
    let crc32c_gb_per_s = gb_per_s(bench, SUMMED_BYTES, || {
        black_box(crc32c(black_box(summed)));
    })?;
    let copy_gb_per_s = gb_per_s(bench, COPIED_BYTES, || {
        black_box(&mut target).copy_from_slice(black_box(&source));
    })?;
    Ok(Processor {
        crc32c_gb_per_s,
        copy_gb_per_s,
    })
}

/// By the median: a time slice lost to others is not the processor's.
fn gb_per_s(bench: &Bench<'_>, bytes: usize, mut step: impl FnMut()) -> io::Result<f64> {
    step(); // the first pass meets memory that is not there yet
    let mut times = bench.repeat(bench.share(SHARE), |_| {
        step();
        Ok(())
    })?;
    times.sort_unstable();
    let seconds = times[times.len() / 2].as_secs_f64().max(1e-9);
    Ok(bytes as f64 / 1e9 / seconds)
}
