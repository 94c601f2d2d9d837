//! Read-only memory maps of files that never shrink.
//!
//! A disk error at a page fault is a signal that ends the process, so a range
//! is made resident before it is looked at, where an error is only an error.
//! It remains a last resort: the kernel may drop a page again before the look.
#![allow(unsafe_code)]

use std::fs;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use memmap2::{Advice, Mmap, MmapOptions};

use super::errors::named;
use super::{Map, Mapped};

struct FileMap {
    map: Mmap,
    file: Arc<fs::File>,
    name: Arc<str>,
}

/// Maps the first `length` bytes, which the file must have: beyond its end a
/// look is a signal.
pub(super) fn map(file: &Arc<fs::File>, name: &Arc<str>, length: u64) -> io::Result<Map> {
    let has = file.metadata()?.len();
    let wanted = usize::try_from(length).ok().filter(|_| length <= has);
    let Some(wanted) = wanted else {
        return Err(named(
            format!("map {length} bytes of {name}, which has {has}"),
            io::ErrorKind::InvalidInput.into(),
        ));
    };
    // SAFETY: the file is ours (the data folder is locked and private), never
    // shrinks, and bytes are looked at only after they were written for good.
    let map = unsafe { MmapOptions::new().len(wanted).map(&**file) }
        .map_err(|error| named(format!("map {name}"), error))?;
    Ok(Arc::new(FileMap {
        map,
        file: file.clone(),
        name: name.clone(),
    }))
}

impl Mapped for FileMap {
    fn bytes(&self) -> &[u8] {
        &self.map
    }

    fn populate(&self, range: Range<usize>) -> io::Result<()> {
        if range.start > range.end || range.end > self.map.len() {
            return Err(self.failed(&range, io::ErrorKind::InvalidInput.into()));
        }
        // The kernel goes through a range page by page, also where all of it is there:
        // 0.04 ms for a MiB, a fifth of what it takes to send it.
        if range.is_empty() || self.is_resident(range.clone()) {
            return Ok(());
        }
        // memmap2 rounds the start down to a page, of the size that the
        // machine has (16 KiB pages exist); the kernel rounds the end up.
        let advise = || {
            self.map
                .advise_range(Advice::PopulateRead, range.start, range.len())
        };
        loop {
            let Err(error) = advise() else {
                return Ok(());
            };
            match error.raw_os_error() {
                Some(libc::EINTR | libc::EAGAIN) => {}
                // Linux before 5.14 does not know the advice.
                Some(libc::EINVAL) => return self.read_through(range),
                // The page could not be read: the fault that would have been a
                // signal. EFAULT would read like a bug of ours.
                Some(libc::EFAULT | libc::EHWPOISON) => {
                    let error = io::Error::from_raw_os_error(libc::EIO);
                    return Err(self.failed(&range, error));
                }
                _ => return Err(self.failed(&range, error)),
            }
        }
    }

    /// Asked of the page cache: what is in it is mapped when it is looked at, without
    /// the disk. The kernel says yes to everything where a file is neither ours nor
    /// ours to write, which no segment of a daemon is.
    fn is_resident(&self, range: Range<usize>) -> bool {
        if range.start > range.end || range.end > self.map.len() {
            return false;
        }
        let page = page_bytes();
        let mut at = range.start / page * page;
        let mut pages = [0_u8; PAGES_AT_ONCE];
        while at < range.end {
            let length = (range.end - at).min(PAGES_AT_ONCE * page);
            let count = length.div_ceil(page);
            // SAFETY: the address is a page's within the map, `length` ends within it,
            // and there is a byte for each page of it.
            let said = unsafe {
                let address = self.map.as_ptr().add(at).cast_mut().cast();
                libc::mincore(address, length, pages.as_mut_ptr())
            };
            if said != 0 || pages[..count].iter().any(|one| one & 1 == 0) {
                return false;
            }
            at += length;
        }
        true
    }
}

/// Asked about together: 4 MiB of pages of 4 KiB.
const PAGES_AT_ONCE: usize = 1024;

fn page_bytes() -> usize {
    // SAFETY: asks for a number.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(bytes).expect("every system has pages")
}

impl FileMap {
    /// Reads the range through the file, so that an error is met here and the
    /// pages are in the page cache. Only a best effort: nothing ties them to
    /// the map, and a page that the kernel drops before the look is read again
    /// there, where an error is a signal.
    fn read_through(&self, range: Range<usize>) -> io::Result<()> {
        let mut piece = [0; 64 << 10];
        let mut at = range.start;
        while at < range.end {
            let wanted = piece.len().min(range.end - at);
            match self.file.read_at(&mut piece[..wanted], at as u64) {
                Ok(0) => return Err(self.failed(&range, io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => at += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(&range, error)),
            }
        }
        Ok(())
    }

    fn failed(&self, range: &Range<usize>, error: io::Error) -> io::Error {
        named(
            format!(
                "read bytes {} to {} of {}",
                range.start, range.end, self.name
            ),
            error,
        )
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // what a disk did is checked without it
mod tests {
    use super::*;
    use crate::disk::errors::os_code;
    use crate::disk::trial::Folder;

    fn file_of(folder: &Folder, length: usize) -> Arc<fs::File> {
        let path = folder.path().join("mapped");
        fs::write(&path, vec![7; length]).unwrap();
        Arc::new(
            fs::OpenOptions::new()
                .read(true)
                .write(true)
                .open(path)
                .unwrap(),
        )
    }

    #[test]
    fn what_is_in_the_page_cache_is_known_and_a_hole_is_not_in_it() {
        let folder = Folder::new();
        let page = page_bytes();
        let file = file_of(&folder, 10 * page);
        file.set_len(2000 * page as u64).unwrap();
        let map = map(&file, &"mapped".into(), 2000 * page as u64).unwrap();
        for (from, until, expected) in [
            (0, 10 * page, true),
            (5000, 10 * page - 1, true),
            (0, 10 * page + 1, false),
            (0, 2000 * page, false),
            (1990 * page, 2000 * page, false),
            (0, 2000 * page + 1, false),
            (10 * page, 10 * page, true),
        ] {
            assert_eq!(map.is_resident(from..until), expected, "{from}..{until}");
        }
        map.populate(0..2000 * page).unwrap();
        assert!(map.is_resident(0..2000 * page));
        assert!(map.bytes()[10 * page..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_populated_range_is_there_and_one_beyond_the_map_is_refused() {
        let folder = Folder::new();
        let map = map(&file_of(&folder, 100_001), &"mapped".into(), 100_001).unwrap();
        map.populate(5000..100_001).unwrap();
        map.populate(100_001..100_001).unwrap();
        assert!(map.bytes().iter().all(|byte| *byte == 7));
        let error = map.populate(5000..100_002).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn a_map_longer_than_its_file_is_refused() {
        let folder = Folder::new();
        let error = map(&file_of(&folder, 4096), &"mapped".into(), 4097)
            .err()
            .unwrap();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(
            map(&file_of(&folder, 0), &"mapped".into(), 0)
                .unwrap()
                .bytes(),
            b""
        );
    }

    /// A file cut behind the map's back stands in for a bad sector: both are
    /// pages that the kernel cannot bring.
    #[test]
    fn a_page_that_cannot_be_read_is_a_read_error() {
        let folder = Folder::new();
        let file = file_of(&folder, 200_000);
        let map = map(&file, &"mapped".into(), 200_000).unwrap();
        file.set_len(65_536).unwrap();
        map.populate(0..65_536).unwrap();
        let error = map.populate(0..200_000).unwrap_err();
        assert_eq!(os_code(&error), Some(libc::EIO));
        assert!(
            error
                .to_string()
                .starts_with("read bytes 0 to 200000 of mapped")
        );
    }

    #[test]
    fn without_the_advice_the_file_is_read() {
        let folder = Folder::new();
        let file = file_of(&folder, 200_000);
        let map = FileMap {
            // SAFETY: cut only at the end of the test, after the last look.
            map: unsafe { Mmap::map(&*file) }.unwrap(),
            file,
            name: "mapped".into(),
        };
        map.read_through(1..200_000).unwrap();
        map.file.set_len(65_536).unwrap();
        let error = map.read_through(1..200_000).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
