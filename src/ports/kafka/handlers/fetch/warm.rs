//! What answers hold of records that are read where they stand: ranges of memory
//! maps, and appends that are on their way there. Nobody waits for it: each request
//! is given a share of what is left, and a little where nothing is.

use crate::limits::{FETCH_BYTES_MAX, FETCH_WARM_BYTES_MIN, FETCH_WARM_MEMORY_BYTES};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The bytes that are held; more than the bound where all have their least.
#[derive(Default)]
pub struct WarmMemory(Arc<AtomicUsize>);

/// What one request may have and has not used yet. Dropped, it is given back.
pub struct Allowance {
    held: Arc<AtomicUsize>,
    left: usize,
}

/// Records that a client has not taken.
pub struct Pin {
    held: Arc<AtomicUsize>,
    bytes: usize,
}

impl WarmMemory {
    pub fn left_bytes(&self) -> usize {
        left_of(self.0.load(Ordering::Relaxed))
    }

    /// Whoever asks now has the least.
    pub fn is_used_up(&self) -> bool {
        self.left_bytes() < FETCH_WARM_BYTES_MIN
    }

    /// What is wanted or less of it.
    pub fn allow(&self, wanted: usize) -> Allowance {
        if wanted == 0 {
            return Allowance {
                held: self.0.clone(),
                left: 0,
            };
        }
        let share = |held| {
            let share = (left_of(held) / 8).clamp(FETCH_WARM_BYTES_MIN, FETCH_BYTES_MAX);
            share.min(wanted)
        };
        let with_share = |held| Some(held + share(held));
        let taken = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, with_share);
        // It always has a next value.
        let (Ok(before) | Err(before)) = taken;
        Allowance {
            held: self.0.clone(),
            left: share(before),
        }
    }
}

fn left_of(held: usize) -> usize {
    FETCH_WARM_MEMORY_BYTES.saturating_sub(held)
}

impl Allowance {
    pub fn bytes(&self) -> usize {
        self.left
    }

    /// Of what is allowed. A first batch that is larger is held all the same.
    pub fn pin(&mut self, bytes: usize) -> Pin {
        let beyond = bytes.saturating_sub(self.left);
        self.left = self.left.saturating_sub(bytes);
        if beyond > 0 {
            self.held.fetch_add(beyond, Ordering::Relaxed);
        }
        Pin {
            held: self.held.clone(),
            bytes,
        }
    }
}

impl Drop for Allowance {
    fn drop(&mut self) {
        self.held.fetch_sub(self.left, Ordering::Relaxed);
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_less_than_the_one_before_and_nobody_is_left_nothing() {
        let memory = WarmMemory::default();
        let mut all = Vec::new();
        let mut last = FETCH_WARM_MEMORY_BYTES / 8;
        while !memory.is_used_up() {
            let allowance = memory.allow(usize::MAX);
            let bytes = allowance.bytes();
            assert!((FETCH_WARM_BYTES_MIN..=last).contains(&bytes), "{bytes}");
            last = bytes;
            all.push(allowance);
        }
        assert!(all.len() > 40, "{}", all.len());
        for _ in 0..10 {
            let least = memory.allow(usize::MAX);
            assert_eq!(least.bytes(), FETCH_WARM_BYTES_MIN);
            all.push(least);
        }
        assert_eq!(memory.left_bytes(), 0);
        drop(all);
        assert_eq!(memory.left_bytes(), FETCH_WARM_MEMORY_BYTES);
    }

    #[test]
    fn what_is_not_used_is_given_back_and_what_is_too_large_is_counted() {
        let memory = WarmMemory::default();
        let left = || FETCH_WARM_MEMORY_BYTES - memory.left_bytes();
        let mut allowance = memory.allow(1000);
        assert_eq!((allowance.bytes(), left()), (1000, 1000));
        let small = allowance.pin(300);
        assert_eq!((allowance.bytes(), left()), (700, 1000));
        let large = allowance.pin(5000);
        assert_eq!((allowance.bytes(), left()), (0, 5300));
        drop(small);
        assert_eq!(left(), 5000);
        drop((allowance, large));
        assert_eq!(left(), 0);

        let mut allowance = memory.allow(1000);
        let pin = allowance.pin(300);
        drop(allowance);
        assert_eq!(left(), 300);
        drop(pin);
        assert_eq!(left(), 0);
    }
}
