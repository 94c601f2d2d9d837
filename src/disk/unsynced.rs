//! A disk that never syncs, for one test only: the power-cut test must be
//! shown to lose records where the log does not do its duty, or its passing
//! says nothing. What was written is left to the page cache, so nothing goes
//! past it either.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use super::{Disk, File, How, Lane, Map};

pub struct UnsyncedDisk(Arc<dyn Disk>);

impl UnsyncedDisk {
    /// The disk's lanes must write through `File`, as those of the engine
    /// `threads` do; a ring would sync the descriptor by itself.
    pub fn over(disk: Arc<dyn Disk>) -> Self {
        Self(disk)
    }
}

impl Disk for UnsyncedDisk {
    fn open(&self, name: &str, how: How) -> io::Result<Arc<dyn File>> {
        let how = match how {
            How::WriteDirect => How::Write,
            other => other,
        };
        Ok(Arc::new(UnsyncedFile(self.0.open(name, how)?)))
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        self.0.list(folder)
    }

    fn make_folder(&self, folder: &str) -> io::Result<()> {
        self.0.make_folder(folder)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }

    fn sync_folder(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.0.free_bytes()
    }

    fn lane(&self) -> io::Result<Box<dyn Lane>> {
        self.0.lane()
    }
}

struct UnsyncedFile(Arc<dyn File>);

impl File for UnsyncedFile {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(at, into)
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_at(at, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn allocate(&self, until: u64) -> io::Result<()> {
        self.0.allocate(until)
    }

    fn map(&self, length: u64) -> io::Result<Option<Map>> {
        self.0.map(length)
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::sim::{Crash, Kept, SimDisk};

    #[test]
    fn nothing_reaches_the_disk_by_a_sync() {
        let sim = SimDisk::new(1);
        let disk = UnsyncedDisk::over(Arc::new(sim.clone()));
        disk.make_folder("a").unwrap();
        let file = disk.open("a/b", How::Create).unwrap();
        file.write_all_at(0, &[7; 100]).unwrap();
        file.sync().unwrap();
        disk.sync_folder("a").unwrap();
        let trace = sim.trace();
        let crash = Crash {
            cut: trace.ops().len(),
            kept: Kept::Nothing,
        };
        let image = trace.image(crash).into_disk();
        assert!(image.names().is_empty(), "{:?}", image.names());
    }
}
