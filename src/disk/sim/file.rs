//! An open file of a simulated disk, and its map.

use super::SimDisk;
use super::faults::eio;
use super::state::Handle;
use crate::disk::{File, Map, Mapped};
use std::io;
use std::ops::Range;
use std::sync::Arc;

pub(super) struct SimFile {
    disk: SimDisk,
    handle: Handle,
}

impl SimFile {
    pub(super) fn open(disk: &SimDisk, handle: Handle) -> Arc<dyn File> {
        let file: Arc<dyn File> = Arc::new(Self {
            disk: disk.clone(),
            handle: handle.clone(),
        });
        disk.state().handles.insert(address(&file), handle);
        file
    }
}

/// Tells open files apart while they are open.
pub(super) fn address(file: &Arc<dyn File>) -> usize {
    Arc::as_ptr(file).cast::<()>().addr()
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let address = std::ptr::from_ref(self).addr();
        self.disk.state().handles.remove(&address);
    }
}

impl File for SimFile {
    fn name(&self) -> &str {
        &self.handle.name
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        self.disk.state().read(&self.handle, at, into)
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<usize> {
        self.disk
            .state()
            .write(&self.handle, at, bytes)
            .map(|(count, _)| count)
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        let now = state.now();
        state.sync(&self.handle, now)
    }

    /// Makes nothing durable, and may be the first to hear that bytes are lost: the
    /// kernel tells of an error once, and a sync behind it does not.
    fn write_out(&self, _at: u64, _length: u64) -> io::Result<()> {
        self.disk.state().write_out(&self.handle)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.state().files.pages(self.handle.file).len())
    }

    fn allocate(&self, until: u64) -> io::Result<()> {
        self.disk.state().allocate(self.handle.file, until)
    }

    fn map(&self, length: u64) -> io::Result<Option<Map>> {
        let mut state = self.disk.state();
        if !state.maps {
            return Ok(None);
        }
        let pages = state.files.pages(self.handle.file);
        assert!(
            length <= pages.len(),
            "a map of {length} bytes of {}, which has {}: a look past the end is a signal",
            self.handle.name,
            pages.len()
        );
        let bytes = pages.to_vec(0, length as usize);
        state.mapped += 1;
        Ok(Some(Arc::new(SimMap {
            bytes,
            name: self.handle.name.clone(),
            disk: self.disk.clone(),
        })))
    }
}

/// The bytes as they were when the map was made. A real map would show later
/// writes as well; code that counts on that has kept a map for too long.
struct SimMap {
    bytes: Vec<u8>,
    name: Arc<str>,
    disk: SimDisk,
}

impl Drop for SimMap {
    fn drop(&mut self) {
        self.disk.state().mapped -= 1;
    }
}

impl Mapped for SimMap {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn populate(&self, range: Range<usize>) -> io::Result<()> {
        assert!(
            range.end <= self.bytes.len(),
            "{range:?} is past the map of {}",
            self.name
        );
        let mut state = self.disk.state();
        if state.strikes(&self.name, |faults| &mut faults.fail_populate) {
            return Err(eio());
        }
        state.counts.read(&self.name, range.len());
        Ok(())
    }

    fn is_resident(&self, range: Range<usize>) -> bool {
        let mut state = self.disk.state();
        range.end <= self.bytes.len() && !state.strikes(&self.name, |faults| &mut faults.evicted)
    }
}
