//! The file `features` of the data folder: the feature level that a release
//! must know to go on from what lies there, as a number on a line. A package's
//! script reads it before it unpacks an older release.
//!
//! Invariant: durable before anything of a level is. It may be ahead of the
//! state, by a crash; it is never behind it.

use crate::disk::{Disk, How};
use crate::planted;
use crate::state::FIRST_FEATURES;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

pub const NAME: &str = "features";
const UNFINISHED: &str = "features.new";
/// More than any number on a line.
const BYTES_MAX: usize = 32;

/// None for what is no level.
pub fn parse(text: &str) -> Option<u32> {
    text.trim_end().parse().ok().filter(|level| *level > 0)
}

/// Shared with the disk's worker, which names snapshots.
pub(super) struct LevelFile {
    disk: Arc<dyn Disk>,
    /// What the file holds; 0 where it is absent, or holds no level.
    kept: Mutex<u32>,
}

impl LevelFile {
    pub fn open(disk: Arc<dyn Disk>) -> io::Result<Self> {
        let kept = Mutex::new(read(&*disk)?);
        Ok(Self { disk, kept })
    }

    pub fn kept(&self) -> u32 {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Durable when this comes back. Costs nothing where the file says so already.
    pub fn raise_to(&self, level: u32) -> io::Result<()> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if level > *kept && !(planted!(LevelNotKept) && level > FIRST_FEATURES) {
            write(&*self.disk, level)?;
            *kept = level;
        }
        Ok(())
    }

    /// For a folder in which nothing lies yet.
    pub fn begin_at(&self, level: u32) -> io::Result<()> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if level != *kept {
            write(&*self.disk, level)?;
            *kept = level;
        }
        Ok(())
    }
}

fn read(disk: &dyn Disk) -> io::Result<u32> {
    let file = match disk.open(NAME, How::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        file => file?,
    };
    let length = file.len()?.min(BYTES_MAX as u64) as usize;
    let mut bytes = vec![0; length];
    file.read_exact_at(0, &mut bytes)?;
    let level = std::str::from_utf8(&bytes).ok().and_then(parse);
    if level.is_none() {
        tracing::warn!(file = NAME, "it holds no level, and is written again");
    }
    Ok(level.unwrap_or(0))
}

/// Whole or not at all.
fn write(disk: &dyn Disk, level: u32) -> io::Result<()> {
    let names = disk.list("")?;
    if names.iter().any(|name| name == UNFINISHED) {
        disk.remove(UNFINISHED)?;
    }
    let file = disk.open(UNFINISHED, How::Create)?;
    file.write_all_at(0, format!("{level}\n").as_bytes())?;
    file.sync()?;
    disk.rename(UNFINISHED, NAME)?;
    disk.sync_folder("")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::sim::SimDisk;

    fn text(disk: &SimDisk) -> Vec<u8> {
        disk.file_bytes(NAME)
    }

    fn opened(disk: &SimDisk) -> LevelFile {
        LevelFile::open(Arc::new(disk.clone())).unwrap()
    }

    #[test]
    fn it_holds_one_number_and_rises() {
        let disk = SimDisk::new(1);
        let file = opened(&disk);
        assert_eq!(file.kept(), 0);
        for (level, holds) in [(1, "1\n"), (3, "3\n"), (2, "3\n")] {
            file.raise_to(level).unwrap();
            assert_eq!(text(&disk), holds.as_bytes());
        }
        assert_eq!(opened(&disk).kept(), 3);
        file.begin_at(1).unwrap();
        assert_eq!(opened(&disk).kept(), 1);
    }

    #[test]
    fn what_is_no_level_is_written_again() {
        for bad in ["", "\n", "one\n", "0\n", "-1", "1 2\n", &"1".repeat(40)] {
            let disk = SimDisk::new(1);
            let file = disk.open(NAME, How::Create).unwrap();
            file.write_all_at(0, bad.as_bytes()).unwrap();
            let file = opened(&disk);
            assert_eq!(file.kept(), 0, "{bad:?}");
            file.raise_to(1).unwrap();
            assert_eq!(text(&disk), b"1\n");
        }
    }

    #[test]
    fn what_a_crash_left_half_written_is_in_nobody_s_way() {
        let disk = SimDisk::new(1);
        disk.open(UNFINISHED, How::Create).unwrap();
        opened(&disk).raise_to(2).unwrap();
        assert_eq!(text(&disk), b"2\n");
    }
}
