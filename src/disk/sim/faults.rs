//! What may go wrong on a simulated disk, and the counts tests ask for.

use crate::entropy::Seeded;
use std::collections::BTreeMap;
use std::io;

/// When a fault strikes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum When {
    #[default]
    Never,
    /// Once, at the nth time from now; 1 is the next.
    Nth(u64),
    /// Each time with a chance of one in n.
    OneIn(u64),
}

/// The faults of one disk. Test code sets the fields; all are off at first.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Only files whose name starts so are struck; "" is all of them.
    pub only: String,
    /// EIO, with nothing read.
    pub fail_read: When,
    /// EIO, with nothing written.
    pub fail_write: When,
    /// EIO. As in Linux, the pages count as clean from then on: what the sync
    /// was to cover, no later sync covers.
    pub fail_sync: When,
    /// What was to be written out ahead of a sync is lost; only this tells of it.
    pub fail_write_out: When,
    /// EIO, with no name synced. `only` is held against the folder.
    pub fail_folder_sync: When,
    /// Fewer bytes than were asked for, at least one.
    pub short_read: When,
    pub short_write: When,
    /// The bytes come from another block of the same file.
    pub misdirect_read: When,
    /// The bytes land in another block of the same file.
    pub misdirect_write: When,
    /// A map says no to a range.
    pub fail_populate: When,
    /// The page cache has lost a range of a map that is asked about.
    pub evicted: When,
    /// A durable write or a background task is held back for `slow_waits`
    /// calls of the lane's `wait`.
    pub slow: When,
    pub slow_waits: u32,
    /// Room for the lengths of all files together; None is without end.
    pub room: Option<u64>,
}

impl When {
    pub(super) fn strikes(&mut self, chance: &mut Seeded) -> bool {
        match self {
            When::Never => false,
            When::OneIn(n) => chance.one_in(*n),
            When::Nth(n) if *n > 1 => {
                *n -= 1;
                false
            }
            When::Nth(_) => {
                *self = When::Never;
                true
            }
        }
    }
}

/// What was done since the counts were last reset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub reads: u64,
    pub writes: u64,
    pub syncs: u64,
    pub folder_syncs: u64,
    /// By the name each file was opened under. A populated range of a map
    /// counts as read.
    pub bytes_read: BTreeMap<String, u64>,
    pub bytes_written: u64,
}

impl Counts {
    pub(super) fn read(&mut self, name: &str, bytes: usize) {
        self.reads += 1;
        match self.bytes_read.get_mut(name) {
            Some(sum) => *sum += bytes as u64,
            None => drop(self.bytes_read.insert(name.into(), bytes as u64)),
        }
    }
}

pub(super) fn eio() -> io::Error {
    io::Error::from_raw_os_error(libc::EIO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nth_time_is_struck_once() {
        let mut when = When::Nth(3);
        let mut chance = Seeded::new(0);
        let struck: Vec<_> = (0..6).map(|_| when.strikes(&mut chance)).collect();
        assert_eq!(struck, [false, false, true, false, false, false]);
    }
}
