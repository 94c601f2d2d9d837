//! Memory for records that are read from the disk for a Fetch. It is theirs until
//! the client has taken the last of them, however slow it is.

use crate::limits::{FETCH_COLD_BYTES_MAX, FETCH_COLD_BYTES_MIN, FETCH_COLD_MEMORY_BYTES};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Counted in pieces, of which a semaphore has not too many.
const PIECE_BYTES: usize = 1 << 10;

pub struct ColdMemory(Arc<Semaphore>);

/// Of one request: given back with the last that holds it.
pub struct Room(Mutex<Option<OwnedSemaphorePermit>>);

impl Default for ColdMemory {
    fn default() -> Self {
        let pieces = FETCH_COLD_MEMORY_BYTES / PIECE_BYTES;
        Self(Arc::new(Semaphore::new(pieces)))
    }
}

impl ColdMemory {
    pub fn left_bytes(&self) -> usize {
        self.0.available_permits() * PIECE_BYTES
    }

    /// Whoever asks now waits.
    pub fn is_used_up(&self) -> bool {
        self.left_bytes() < FETCH_COLD_BYTES_MIN
    }

    /// Room for what is wanted or less of it, in the order in which it is asked
    /// for.
    pub async fn room(&self, wanted: usize) -> Room {
        let share = (self.left_bytes() / 8).clamp(FETCH_COLD_BYTES_MIN, FETCH_COLD_BYTES_MAX);
        let pieces = share.min(wanted).div_ceil(PIECE_BYTES);
        let taken = self.0.clone().acquire_many_owned(pieces as u32).await;
        // Nobody closes it.
        Room(Mutex::new(taken.ok()))
    }
}

impl Room {
    fn pieces(&self) -> MutexGuard<'_, Option<OwnedSemaphorePermit>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn bytes(&self) -> usize {
        let pieces = self.pieces();
        let count = pieces.as_ref().map(OwnedSemaphorePermit::num_permits);
        count.unwrap_or_default() * PIECE_BYTES
    }

    /// Gives back what is not needed for so many bytes. A first batch that is
    /// larger than all has its memory anyway.
    pub fn keep(&self, bytes: usize) {
        let spare = self.bytes().saturating_sub(bytes) / PIECE_BYTES;
        if let Some(pieces) = self.pieces().as_mut() {
            drop(pieces.split(spare));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::kafka::handlers::trial::run;
    use std::time::Duration;
    use tokio::time::timeout;

    /// Where it is there at once.
    async fn all_of(memory: &ColdMemory) -> Option<Room> {
        timeout(Duration::ZERO, memory.room(usize::MAX)).await.ok()
    }

    #[test]
    fn each_has_less_than_the_one_before_and_nobody_is_left_nothing() {
        run(async {
            let memory = ColdMemory::default();
            let mut all = Vec::new();
            let mut last = FETCH_COLD_BYTES_MAX;
            while !memory.is_used_up() {
                let room = all_of(&memory).await.expect("it is there");
                let bytes = room.bytes();
                assert!((FETCH_COLD_BYTES_MIN..=last).contains(&bytes), "{bytes}");
                last = bytes;
                all.push(room);
            }
            assert_eq!(all[0].bytes(), FETCH_COLD_BYTES_MAX);
            assert!(all.len() > 20, "{}", all.len());
            assert!(all_of(&memory).await.is_none());
            all.pop();
            assert!(all_of(&memory).await.is_some());
            drop(all);
            assert_eq!(memory.left_bytes(), FETCH_COLD_MEMORY_BYTES);
        });
    }

    #[test]
    fn what_is_not_needed_is_given_back() {
        run(async {
            let memory = ColdMemory::default();
            let room = memory.room(1 << 20).await;
            assert_eq!(room.bytes(), 1 << 20);
            room.keep(100);
            assert_eq!(room.bytes(), PIECE_BYTES);
            room.keep(1 << 20);
            assert_eq!(room.bytes(), PIECE_BYTES);
            room.keep(0);
            assert_eq!(memory.left_bytes(), FETCH_COLD_MEMORY_BYTES);
        });
    }
}
