//! What the journal says of callers that are refused. Anybody can knock a
//! thousand times a second, so all are counted and some are told.

use crate::limits::COMPLAINTS_PER_SPELL;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const SPELL: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(super) struct Complaints(Mutex<Said>);

#[derive(Default)]
struct Said {
    spell_began: Duration,
    in_this_spell: u32,
    /// Since the last that was told.
    untold: u64,
    all: u64,
}

impl Complaints {
    /// Counts one, and tells it where the spell has room for it.
    pub(super) fn add(&self, now: Duration, text: &str) {
        match self.count(now) {
            Some(0) => tracing::warn!("{text}"),
            Some(untold) => tracing::warn!("{text} ({untold} more were not told)"),
            None => {}
        }
    }

    pub(super) fn all(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).all
    }

    /// How many went untold before this one; None where it goes untold itself.
    fn count(&self, now: Duration) -> Option<u64> {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        said.all += 1;
        if now.saturating_sub(said.spell_began) >= SPELL {
            (said.spell_began, said.in_this_spell) = (now, 0);
        }
        if said.in_this_spell >= COMPLAINTS_PER_SPELL {
            said.untold += 1;
            return None;
        }
        said.in_this_spell += 1;
        Some(std::mem::take(&mut said.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_told_in_part() {
        let complaints = Complaints::default();
        let told = |at: u64| {
            let now = Duration::from_secs(at);
            (0..1000)
                .filter_map(|_| complaints.count(now))
                .collect::<Vec<_>>()
        };
        let most = COMPLAINTS_PER_SPELL as usize;
        assert_eq!(told(1), vec![0; most]);
        assert!(told(9).is_empty());
        let untold = 2000 - most as u64;
        let next = told(11);
        assert_eq!((next.len(), next[0], next[1]), (most, untold, 0));
        assert_eq!(complaints.all(), 3000);
    }
}
