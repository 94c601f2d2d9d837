//! The tree's table of nodes: slots by number, in pages that are there only
//! where a node is. So a node in a high slot, which a snapshot may declare, and
//! a tree that has shrunk take memory for what they hold, not for the numbers.

use super::node::{Node, Slot};
use super::tree::Children;
use std::collections::BTreeMap;

/// 16 slots of 136 bytes: one node alone in its page takes some 2 KiB, and the
/// 8 bytes that a page has in the index come to 4 MiB at `TREE_NODES_MAX`.
const PAGE_SLOTS: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Table {
    pages: Vec<Option<Box<Page>>>,
    /// Slots in use or once used.
    slots: u32,
    /// Free slots below `slots`.
    free: Free,
}

#[derive(Debug, Default)]
struct Page {
    places: [Place; PAGE_SLOTS],
    taken: usize,
}

#[derive(Debug, Default)]
struct Place {
    node: Option<Node>,
    /// Empty for a free one.
    children: Children,
}

impl Table {
    /// The lowest is taken first, so that which slot a node gets follows from
    /// which are taken, and a loaded tree goes on as the one it came from.
    pub fn next_free(&self) -> Slot {
        self.free.first().unwrap_or(Slot(self.slots))
    }

    pub fn get(&self, slot: Slot) -> Option<&Node> {
        self.place(slot)?.node.as_ref()
    }

    pub fn get_mut(&mut self, slot: Slot) -> Option<&mut Node> {
        self.place_mut(slot)?.node.as_mut()
    }

    pub fn children(&self, slot: Slot) -> &Children {
        let place = self.place(slot);
        &place.expect("a slot that was found is taken").children
    }

    pub fn children_mut(&mut self, slot: Slot) -> &mut Children {
        let place = self.place_mut(slot);
        &mut place.expect("a slot that was found is taken").children
    }

    /// Puts a node into a slot, or nothing; gives what stood in it.
    pub fn replace(&mut self, slot: Slot, new: Option<Node>) -> Option<Node> {
        match new {
            Some(node) => self.take(slot, node),
            None => self.give(slot),
        }
    }

    fn take(&mut self, slot: Slot, node: Node) -> Option<Node> {
        let (page, place) = parts(slot);
        if page >= self.pages.len() {
            self.pages.resize_with(page + 1, || None);
        }
        let page = self.pages[page].get_or_insert_default();
        let old = page.places[place].node.replace(node);
        if old.is_none() {
            page.taken += 1;
            match slot.0 < self.slots {
                true => self.free.take(slot),
                false => self.free.give(self.slots..slot.0),
            }
            self.slots = self.slots.max(slot.0 + 1);
        }
        old
    }

    fn give(&mut self, slot: Slot) -> Option<Node> {
        let (number, place) = parts(slot);
        let page = self.pages.get_mut(number)?.as_mut()?;
        let old = page.places[place].node.take()?;
        page.taken -= 1;
        if page.taken == 0 {
            self.pages[number] = None;
        }
        self.free.give(slot.0..slot.0 + 1);
        Some(old)
    }

    /// Slots in use or once used.
    pub fn slots(&self) -> u32 {
        self.slots
    }

    /// Slots that memory is held for.
    #[cfg(test)]
    pub fn slots_held(&self) -> usize {
        self.pages.iter().flatten().count() * PAGE_SLOTS
    }

    /// The nodes in the order of their slots.
    pub fn iter(&self) -> impl Iterator<Item = (Slot, &Node)> {
        let pages = self.pages.iter().enumerate();
        let pages = pages.filter_map(|(number, page)| Some((number, page.as_ref()?)));
        pages.flat_map(|(number, page)| {
            let first = (number * PAGE_SLOTS) as u32;
            let places = (first..).map(Slot).zip(&page.places);
            places.filter_map(|(slot, place)| Some((slot, place.node.as_ref()?)))
        })
    }

    fn place(&self, slot: Slot) -> Option<&Place> {
        let (page, place) = parts(slot);
        Some(&self.pages.get(page)?.as_ref()?.places[place])
    }

    fn place_mut(&mut self, slot: Slot) -> Option<&mut Place> {
        let (page, place) = parts(slot);
        Some(&mut self.pages.get_mut(page)?.as_mut()?.places[place])
    }
}

fn parts(slot: Slot) -> (usize, usize) {
    (slot.0 as usize / PAGE_SLOTS, slot.0 as usize % PAGE_SLOTS)
}

/// Free slots, as ranges that do not touch: there are never more of them than
/// there are nodes between them.
#[derive(Debug, Default)]
struct Free {
    /// Where each range begins, and where it ends.
    ranges: BTreeMap<u32, u32>,
}

impl Free {
    fn first(&self) -> Option<Slot> {
        self.ranges.keys().next().copied().map(Slot)
    }

    /// Takes a slot out of the range that it is in.
    fn take(&mut self, slot: Slot) {
        let range = self.ranges.range(..=slot.0).next_back();
        let (&start, &end) = range.expect("a slot that is not taken is free");
        self.ranges.remove(&start);
        self.add(start..slot.0);
        self.add(slot.0 + 1..end);
    }

    /// Adds slots that were none of its own.
    fn give(&mut self, slots: std::ops::Range<u32>) {
        let before = self.ranges.range(..slots.start).next_back();
        let before = before.filter(|&(_, &end)| end == slots.start);
        let start = before.map_or(slots.start, |(&start, _)| start);
        let end = self.ranges.remove(&slots.end).unwrap_or(slots.end);
        self.add(start..end);
    }

    fn add(&mut self, slots: std::ops::Range<u32>) {
        if !slots.is_empty() {
            self.ranges.insert(slots.start, slots.end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::Seeded;
    use crate::state::tree::Tree;
    use std::collections::BTreeSet;

    fn node() -> Node {
        let tree = Tree::new(&Vec::new());
        tree.node(Slot(0)).clone()
    }

    #[test]
    fn one_high_slot_takes_one_page() {
        let mut table = Table::default();
        table.replace(Slot((8 << 20) - 1), Some(node()));
        assert_eq!(table.slots(), 8 << 20);
        assert_eq!(table.slots_held(), PAGE_SLOTS);
        assert_eq!(table.next_free(), Slot(0));
        assert_eq!(table.free.ranges.len(), 1);
        assert_eq!(table.iter().count(), 1);
    }

    #[test]
    fn slots_are_taken_and_given_as_a_set_would() {
        for seed in 1..=20 {
            let mut seeded = Seeded::new(seed);
            let mut table = Table::default();
            let (mut taken, mut free) = (BTreeSet::new(), BTreeSet::new());
            for _ in 0..500 {
                assert_eq!(
                    table.next_free().0,
                    free.first().copied().unwrap_or(table.slots())
                );
                let slot = match seeded.one_in(2) {
                    true => table.next_free().0,
                    false => seeded.below(u64::from(table.slots()) + 40) as u32,
                };
                if seeded.one_in(3) {
                    let old = table.replace(Slot(slot), None);
                    assert_eq!(old.is_some(), taken.remove(&slot));
                    if old.is_some() {
                        free.insert(slot);
                    }
                } else {
                    free.extend((table.slots()..slot).collect::<Vec<_>>());
                    free.remove(&slot);
                    let old = table.replace(Slot(slot), Some(node()));
                    assert_eq!(old.is_none(), taken.insert(slot));
                }
            }
            let slots: Vec<u32> = table.iter().map(|(slot, _)| slot.0).collect();
            assert_eq!(slots, taken.iter().copied().collect::<Vec<_>>());
            assert!(table.free.ranges.len() <= taken.len() + 1);
            for slot in taken {
                assert!(table.replace(Slot(slot), None).is_some());
            }
            assert_eq!(table.slots_held(), 0, "an empty page is given back");
        }
    }
}
