//! A walk over the tree in slices, between which the tree changes. What it
//! sees is the tree as it was when the walk began: a slot that changes ahead
//! of it leaves its image, a slot that is taken later is passed over.

use super::node::{Node, Slot};
use std::collections::BTreeMap;

/// What a walk is for: one of each may be under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Snapshot,
    Backup,
}

impl Purpose {
    pub const COUNT: usize = 2;
}

#[derive(Debug)]
pub(super) struct Walk {
    next: Slot,
    /// Slots from here on were made after the walk began.
    end: Slot,
    /// What stood in a slot when the walk began, where it has changed since.
    images: BTreeMap<Slot, Option<Node>>,
    image_bytes: usize,
    image_bytes_max: usize,
}

/// An image's place in the map and its numbers, generously.
const IMAGE_BYTES: usize = 256;

impl Walk {
    pub fn new(slots: u32) -> Self {
        Self::bounded(slots, usize::MAX)
    }

    /// For a walk whose pace is somebody else's: when its images take more
    /// than so much, it is lost.
    pub fn bounded(slots: u32, image_bytes_max: usize) -> Self {
        Self {
            next: Slot(0),
            end: Slot(slots),
            images: BTreeMap::new(),
            image_bytes: 0,
            image_bytes_max,
        }
    }

    /// A slot changes; `old` is what stood in it.
    pub fn note(&mut self, slot: Slot, old: &Option<Node>) {
        let is_ahead = slot >= self.next && slot < self.end && !self.is_lost();
        if !is_ahead || self.images.contains_key(&slot) {
            return;
        }
        self.image_bytes += weight(old);
        self.images.insert(slot, old.clone());
        if self.is_lost() {
            self.images.clear();
        }
    }

    /// The tree changed faster than it was walked: what it was is not known
    /// any more.
    pub fn is_lost(&self) -> bool {
        self.image_bytes > self.image_bytes_max
    }

    pub fn is_over(&self) -> bool {
        self.next >= self.end
    }

    /// The next node as it was, given the slots as they are.
    pub fn step<'a>(&mut self, now: impl Fn(Slot) -> Option<&'a Node>) -> Option<(Slot, Node)> {
        while self.next < self.end {
            let slot = self.next;
            self.next = Slot(slot.0 + 1);
            let node = match self.images.remove(&slot) {
                Some(image) => {
                    self.image_bytes -= weight(&image);
                    image
                }
                None => now(slot).cloned(),
            };
            if let Some(node) = node {
                return Some((slot, node));
            }
        }
        None
    }
}

fn weight(image: &Option<Node>) -> usize {
    let texts = image.iter().map(|node| node.name.len() + node.data.len());
    IMAGE_BYTES + texts.sum::<usize>()
}
