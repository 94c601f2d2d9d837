//! A walk over the tree in slices, between which the tree changes. What it
//! sees is the tree as it was when the walk began: a slot that changes ahead
//! of it leaves its image, a slot that is taken later is passed over.

use super::node::{Node, Slot};
use std::collections::BTreeMap;

#[derive(Debug)]
pub(super) struct Walk {
    next: Slot,
    /// Slots from here on were made after the walk began.
    end: Slot,
    /// What stood in a slot when the walk began, where it has changed since.
    images: BTreeMap<Slot, Option<Node>>,
}

impl Walk {
    pub fn new(slots: u32) -> Self {
        Self {
            next: Slot(0),
            end: Slot(slots),
            images: BTreeMap::new(),
        }
    }

    /// A slot changes; `old` is what stood in it.
    pub fn note(&mut self, slot: Slot, old: &Option<Node>) {
        if slot >= self.next && slot < self.end {
            self.images.entry(slot).or_insert_with(|| old.clone());
        }
    }

    /// The next node as it was, given the slots as they are.
    pub fn step<'a>(&mut self, now: impl Fn(Slot) -> Option<&'a Node>) -> Option<(Slot, Node)> {
        while self.next < self.end {
            let slot = self.next;
            self.next = Slot(slot.0 + 1);
            let node = match self.images.remove(&slot) {
                Some(image) => image,
                None => now(slot).cloned(),
            };
            if let Some(node) = node {
                return Some((slot, node));
            }
        }
        None
    }
}
