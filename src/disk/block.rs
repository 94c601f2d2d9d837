//! Memory that starts and ends on a block boundary, as O_DIRECT asks.
#![allow(unsafe_code)]

use crate::limits::BLOCK_BYTES;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// Zeroed memory of a whole number of blocks. `len` is the part in use; it
/// grows by `resize_to` within the capacity.
pub struct Block {
    start: NonNull<u8>,
    capacity: usize,
    length: usize,
}

// SAFETY: a Block owns its memory alone, as a Vec<u8> does.
unsafe impl Send for Block {}
// SAFETY: shared access only reads.
unsafe impl Sync for Block {}

impl Block {
    /// Room for at least `bytes`, zeroed, nothing in use.
    pub fn with_capacity(bytes: usize) -> Self {
        let capacity = bytes.max(1).next_multiple_of(BLOCK_BYTES);
        let layout = Self::layout(capacity);
        // SAFETY: the layout's size is at least one block, never zero.
        let start = unsafe { alloc_zeroed(layout) };
        match NonNull::new(start) {
            Some(start) => Self {
                start,
                capacity,
                length: 0,
            },
            None => handle_alloc_error(layout),
        }
    }

    fn layout(capacity: usize) -> Layout {
        Layout::from_size_align(capacity, BLOCK_BYTES).expect("a block's capacity fits an isize")
    }

    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Nothing in use; the bytes that were are left as they are.
    pub fn clear(&mut self) {
        self.length = 0;
    }

    /// Adds bytes; panics where they do not fit.
    pub fn extend(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        assert!(
            end <= self.capacity,
            "{end} bytes do not fit {}",
            self.capacity
        );
        let start = self.length;
        self.length = end;
        self[start..end].copy_from_slice(bytes);
    }

    /// Adds zeros until the length is `length`; panics where they do not fit.
    pub fn pad_to(&mut self, length: usize) {
        assert!(self.length <= length && length <= self.capacity);
        let start = self.length;
        self.length = length;
        self[start..length].fill(0);
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: allocated in `with_capacity` with this layout, freed once.
        unsafe { dealloc(self.start.as_ptr(), Self::layout(self.capacity)) }
    }
}

impl Deref for Block {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: `length <= capacity`, all of it initialised (zeroed).
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl DerefMut for Block {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `&mut self` is the only access.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Block({} of {} bytes)", self.length, self.capacity)
    }
}
