//! Maps of sealed segments, kept for the next read: to map a segment and to give it
//! up again for each MiB that is read took a fifth of the time that it took to send
//! it. The map of a segment goes with it, so that what is deleted gives its room back.

use super::shelf::{Chunk, Segment};
use crate::limits::MAPS_KEPT;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Of one device: the segments that were mapped last.
#[derive(Default)]
pub(super) struct Maps(Mutex<VecDeque<Weak<Segment>>>);

impl Maps {
    /// What a read was given of a segment, and how it is mapped.
    pub(super) fn keep(&self, segment: &Arc<Segment>, chunk: &Chunk) {
        if !chunk.map().is_some_and(|map| segment.keep_map(map)) {
            return;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back(Arc::downgrade(segment));
        if kept.len() > MAPS_KEPT
            && let Some(oldest) = kept.pop_front().and_then(|oldest| oldest.upgrade())
        {
            oldest.forget_map();
        }
    }
}
