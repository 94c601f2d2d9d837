//! What every fuzz target shares: one execution at a time, judged by the
//! memory it took. Panics and hangs are libFuzzer's to find.
//!
//! The package is a test tool outside `src/`, so the allocator's `unsafe` does
//! not break the rule that `src/disk/` holds all of Dolmen's.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A decoder may hold this many bytes for each byte of its input: a parsed
/// form with its indices is a few times its bytes.
pub const BYTES_PER_INPUT_BYTE: usize = 16;
/// And this much besides, for tables that do not depend on the input.
pub const BYTES_BESIDES: usize = 1 << 20;

/// The system's allocator, counting.
struct Counting;

/// Bytes that are allocated now.
static HELD: AtomicUsize = AtomicUsize::new(0);
/// The most that `HELD` has been since the execution began.
static PEAK: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn grow(bytes: usize) {
    let held = HELD.fetch_add(bytes, Relaxed) + bytes;
    PEAK.fetch_max(held, Relaxed);
}

// SAFETY: every call is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller's promises are System's.
        unsafe { System.alloc(layout) }
    }

    // Zeroed memory is counted in full, though the kernel hands it out page by
    // page: a length that a stranger declared shows either way.
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(start, layout) }
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both are held while the bytes move.
        grow(size);
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(start, layout, size) }
    }
}

/// Runs `decode` once over an input and panics where it took more memory than
/// the input pays for.
pub fn judge(input: &[u8], decode: impl FnOnce(&[u8])) {
    judge_at(BYTES_PER_INPUT_BYTE, input, decode);
}

/// The same at a price of its own, for a decoder that says why it needs one.
pub fn judge_at(bytes_per_byte: usize, input: &[u8], decode: impl FnOnce(&[u8])) {
    let before = HELD.load(Relaxed);
    PEAK.store(before, Relaxed);
    decode(input);
    let taken = PEAK.load(Relaxed).saturating_sub(before);
    let allowed = bytes_per_byte * input.len() + BYTES_BESIDES;
    assert!(
        taken <= allowed,
        "{taken} bytes of memory for {} bytes of input; {allowed} are allowed",
        input.len()
    );
}

/// Puts the CRC-32C of `bytes[from..until]` at `place`, so that an input gets
/// past a checksum that chance would never meet. Does nothing where the input
/// is too short for either.
pub fn seal(bytes: &mut [u8], from: usize, until: usize, place: usize) {
    if let Some(covered) = bytes.get(from..until) {
        let sum = dolmen::wire::crc32c(covered).to_le_bytes();
        put(bytes, place, &sum);
    }
}

/// Writes over an input what a decoder would otherwise stop at.
pub fn put(bytes: &mut [u8], place: usize, what: &[u8]) {
    if let Some(room) = bytes.get_mut(place..place + what.len()) {
        room.copy_from_slice(what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // One test, not two: the counters are the process's, and tests share it.
    #[test]
    fn memory_is_granted_by_the_input_and_not_by_what_it_declares() {
        judge(&[0; 100], |input| drop(vec![1u8; input.len() * 16]));

        let declares = (3u32 << 20).to_le_bytes();
        let found = std::panic::catch_unwind(|| {
            judge(&declares, |input| {
                let declared = u32::from_le_bytes(input.try_into().unwrap());
                drop(vec![0u8; declared as usize]);
            });
        });
        assert!(found.is_err());
    }
}
