//! Files and names of this machine, under one root.
//!
//! Every name is opened relative to the root's descriptor and checked first,
//! so no name leads out of the data folder.
#![allow(unsafe_code)]
#![allow(clippy::disallowed_methods)] // the home of files

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;

use libc::c_int;

use super::errors::named;
use super::threads::ThreadsLane;
use super::uring::UringLane;
use super::{Disk, File, How, Lane, Map};
use crate::limits::{BLOCK_BYTES, SYNCS_AT_ONCE};

/// Who makes a write durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// io_uring: linked write and sync, two in flight.
    Uring,
    /// pwrite and fdatasync on the log thread itself.
    Threads,
}

impl Engine {
    pub fn name(self) -> &'static str {
        match self {
            Engine::Uring => "uring",
            Engine::Threads => "threads",
        }
    }
}

/// How the lanes of a disk work.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub engine: Engine,
    /// The ring's submission entries; fewer where locked memory is short.
    pub entries: u32,
    /// Whether a lone block on an idle ring goes by pwrite and fdatasync.
    pub lone_blocking: bool,
}

/// The machine's disk under one root.
pub struct RealDisk {
    path: PathBuf,
    root: fs::File,
    settings: Settings,
    /// Whoever uses its lanes has one durable write on its way, never more.
    is_one_at_a_time: bool,
    direct_refused: AtomicBool,
}

impl RealDisk {
    /// The root must be there.
    pub fn open(root: &Path, settings: Settings) -> io::Result<Self> {
        let open = || {
            let path = fs::canonicalize(root)?;
            let root = fs::File::open(&path)?;
            if !root.metadata()?.is_dir() {
                return Err(io::ErrorKind::NotADirectory.into());
            }
            Ok(Self {
                path,
                root,
                settings,
                is_one_at_a_time: false,
                direct_refused: AtomicBool::new(false),
            })
        };
        open().map_err(|error| named(format!("open the folder {}", root.display()), error))
    }

    /// For whoever waits for each durable write before the next.
    pub fn one_at_a_time(mut self) -> Self {
        self.is_one_at_a_time = true;
        self
    }

    /// Whether a file was asked for past the page cache and the file system
    /// did not grant it.
    pub fn direct_refused(&self) -> bool {
        self.direct_refused.load(Relaxed)
    }

    fn open_at(&self, name: &CString, flags: c_int) -> io::Result<fs::File> {
        const MODE: libc::c_uint = 0o640;
        let flags = flags | libc::O_CLOEXEC | libc::O_NOFOLLOW;
        let root = self.root.as_raw_fd();
        // SAFETY: the name ends with a zero and outlives the call.
        let fd = answer(|| unsafe { libc::openat(root, name.as_ptr(), flags, MODE) })?;
        // SAFETY: a descriptor that was just made and that nobody else holds.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) }.into())
    }

    fn open_direct(&self, name: &CString) -> io::Result<fs::File> {
        match self.open_at(name, libc::O_RDWR | libc::O_DIRECT) {
            Ok(file) if takes_blocks(&file) => return Ok(file),
            Err(error) if error.raw_os_error() != Some(libc::EINVAL) => return Err(error),
            _ => {}
        }
        self.direct_refused.store(true, Relaxed);
        self.open_at(name, libc::O_RDWR)
    }

    fn folder(&self, folder: &str) -> io::Result<fs::File> {
        if folder.is_empty() {
            return self.root.try_clone();
        }
        self.open_at(&checked_folder(folder)?, libc::O_RDONLY | libc::O_DIRECTORY)
    }
}

impl Disk for RealDisk {
    fn open(&self, name: &str, how: How) -> io::Result<Arc<dyn File>> {
        let path = checked(name)?;
        let file = match how {
            How::Read => self.open_at(&path, libc::O_RDONLY),
            How::Write => self.open_at(&path, libc::O_RDWR),
            How::WriteDirect => self.open_direct(&path),
            How::Create => self.open_at(&path, libc::O_RDWR | libc::O_CREAT | libc::O_EXCL),
        };
        let verb = if how == How::Create { "create" } else { "open" };
        Ok(Arc::new(RealFile {
            file: Arc::new(file.map_err(|error| named(format!("{verb} {name}"), error))?),
            name: name.into(),
            is_direct: how == How::WriteDirect,
        }))
    }

    fn sync_all(&self, files: &[Arc<dyn File>]) -> io::Result<()> {
        let next = AtomicUsize::new(0);
        let sync_some = || {
            while let Some(file) = files.get(next.fetch_add(1, Relaxed)) {
                file.sync()?;
            }
            Ok(())
        };
        // The syncs of many files share the file system's own commits: a
        // hundred take a ninth of the time beside each other (measured).
        let count = (files.len() / 4).min(SYNCS_AT_ONCE);
        thread::scope(|scope| {
            let helpers: Vec<_> = (0..count).map(|_| scope.spawn(sync_some)).collect();
            let mut outcome = sync_some();
            for helper in helpers {
                let other = helper
                    .join()
                    .unwrap_or_else(|_| Err(io::Error::other("a sync panicked")));
                outcome = outcome.and(other);
            }
            outcome
        })
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let mut path = self.path.clone();
        if !folder.is_empty() {
            checked_folder(folder)?;
            path.push(folder);
        }
        let mut names = Vec::new();
        let read = || {
            for entry in fs::read_dir(path)? {
                // A name that is no text is none of ours.
                names.extend(entry?.file_name().into_string());
            }
            Ok(())
        };
        match read() {
            Err(error) if error_is(&error, io::ErrorKind::NotFound) => Ok(Vec::new()),
            Err(error) => Err(named(format!("list the folder {folder:?}"), error)),
            Ok(()) => {
                names.sort_unstable();
                Ok(names)
            }
        }
    }

    fn make_folder(&self, folder: &str) -> io::Result<()> {
        const MODE: libc::mode_t = 0o750;
        let path = checked_folder(folder)?;
        let root = self.root.as_raw_fd();
        // SAFETY: the name ends with a zero and outlives the call.
        match answer(|| unsafe { libc::mkdirat(root, path.as_ptr(), MODE) }) {
            // A file of that name is refused by opening it as a folder.
            Err(error) if error_is(&error, io::ErrorKind::AlreadyExists) => {
                self.folder(folder).map(drop)
            }
            answer => answer.map(drop),
        }
        .map_err(|error| named(format!("make the folder {folder}"), error))?;
        // Also where it was there: whoever made it may have died before this.
        self.sync_folder("")
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (source, target) = (checked(from)?, checked(to)?);
        let root = self.root.as_raw_fd();
        // SAFETY: both names end with a zero and outlive the call.
        answer(|| unsafe { libc::renameat(root, source.as_ptr(), root, target.as_ptr()) })
            .map(drop)
            .map_err(|error| named(format!("rename {from} to {to}"), error))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let path = checked(name)?;
        let root = self.root.as_raw_fd();
        // SAFETY: the name ends with a zero and outlives the call.
        answer(|| unsafe { libc::unlinkat(root, path.as_ptr(), 0) })
            .map(drop)
            .map_err(|error| named(format!("remove {name}"), error))
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        self.folder(folder)
            .and_then(|file| file.sync_all())
            .map_err(|error| named(format!("sync the folder {folder:?}"), error))
    }

    fn free_bytes(&self) -> io::Result<u64> {
        // SAFETY: a struct of numbers, for which zeros are a value.
        let mut answered: libc::statvfs = unsafe { std::mem::zeroed() };
        let root = self.root.as_raw_fd();
        // SAFETY: the struct outlives the call.
        answer(|| unsafe { libc::fstatvfs(root, &mut answered) })
            .map_err(|error| named(format!("ask for room in {}", self.path.display()), error))?;
        Ok(answered.f_bavail * answered.f_frsize)
    }

    fn lane(&self) -> io::Result<Box<dyn Lane>> {
        Ok(match self.settings.engine {
            Engine::Uring => {
                let (entries, lone) = (self.settings.entries, self.settings.lone_blocking);
                let lone_bytes_max = match lone {
                    // Nothing is in flight beside it, so the ring has nothing
                    // to give: decision 11.
                    _ if self.is_one_at_a_time => usize::MAX,
                    // More than one block is a batch, which others are likely
                    // to follow: there the ring's second flight pays.
                    true => BLOCK_BYTES,
                    false => 0,
                };
                Box::new(UringLane::new(entries, lone_bytes_max)?)
            }
            Engine::Threads => Box::new(ThreadsLane::new()?),
        })
    }
}

fn error_is(error: &io::Error, kind: io::ErrorKind) -> bool {
    error.kind() == kind
}

struct RealFile {
    file: Arc<fs::File>,
    name: Arc<str>,
    is_direct: bool,
}

impl RealFile {
    fn named<T>(&self, what: &str, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| named(format!("{what} {}", self.name), error))
    }

    fn sync_range(&self, at: u64, length: u64, flags: libc::c_uint) -> io::Result<()> {
        let to_offset = |number: u64| number.try_into().map_err(|_| io::ErrorKind::InvalidInput);
        let (at, length) = (to_offset(at)?, to_offset(length)?);
        // SAFETY: takes numbers only.
        match unsafe { libc::sync_file_range(self.file.as_raw_fd(), at, length, flags) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl File for RealFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        self.named("read", self.file.read_at(into, at))
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<usize> {
        self.named("write", self.file.write_at(bytes, at))
    }

    fn sync(&self) -> io::Result<()> {
        self.named("sync", self.file.sync_data())
    }

    fn len(&self) -> io::Result<u64> {
        self.named("stat", self.file.metadata().map(|data| data.len()))
    }

    fn allocate(&self, until: u64) -> io::Result<()> {
        self.named("allocate", allocate(&self.file, until))
    }

    fn start_writing_out(&self, at: u64, length: u64) {
        // A hint: what it fails to do, the sync does, and the sync reports.
        let _ = self.sync_range(at, length, libc::SYNC_FILE_RANGE_WRITE);
    }

    fn write_out(&self, at: u64, length: u64) -> io::Result<()> {
        let flags = libc::SYNC_FILE_RANGE_WAIT_BEFORE
            | libc::SYNC_FILE_RANGE_WRITE
            | libc::SYNC_FILE_RANGE_WAIT_AFTER;
        let written = self.sync_range(at, length, flags);
        // What the disk failed to take is told here, and not by the sync again;
        // where the call is not to be had, the sync does it all.
        match written.as_ref().map_err(io::Error::raw_os_error) {
            Err(Some(libc::ENOSYS | libc::EPERM | libc::EOPNOTSUPP)) => Ok(()),
            _ => self.named("write out", written),
        }
    }

    fn map(&self, length: u64) -> io::Result<Option<Map>> {
        if self.is_direct {
            // open(2) warns against direct writes and a map of one file.
            let error = io::ErrorKind::InvalidInput.into();
            return self.named("map, opened past the page cache,", Err(error));
        }
        super::map::map(&self.file, &self.name, length).map(Some)
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.file.as_fd())
    }
}

fn allocate(file: &fs::File, until: u64) -> io::Result<()> {
    if until == 0 {
        return Ok(());
    }
    let bytes = libc::off_t::try_from(until).map_err(|_| io::ErrorKind::FileTooLarge)?;
    // Not posix_fallocate: where the file system has no such call, the C
    // library writes into every block, beside whoever else writes there.
    // SAFETY: takes numbers only.
    match answer(|| unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, bytes) }) {
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {
            // Only the length, then; a full disk is met by the write.
            if file.metadata()?.len() < until {
                file.set_len(until)?;
            }
            Ok(())
        }
        answer => answer.map(drop),
    }
}

/// Whether writes past the page cache may start and end on our blocks. Yes
/// where the kernel does not tell (before Linux 6.1, or not for this file
/// system): nearly all devices take 512 or 4096 bytes.
fn takes_blocks(file: &fs::File) -> bool {
    let block = BLOCK_BYTES as u32;
    // SAFETY: a struct of numbers, for which zeros are a value.
    let mut told: libc::statx = unsafe { std::mem::zeroed() };
    let (flags, mask) = (libc::AT_EMPTY_PATH, libc::STATX_DIOALIGN);
    // SAFETY: an empty name that ends with a zero, and a struct that outlives
    // the call.
    let code = unsafe { libc::statx(file.as_raw_fd(), c"".as_ptr(), flags, mask, &mut told) };
    let is_told = code == 0 && told.stx_mask & mask != 0;
    // Alignments of 0 say that the file takes no direct writes at all.
    let fits = |align: u32| (1..=block).contains(&align);
    !is_told || (fits(told.stx_dio_mem_align) && fits(told.stx_dio_offset_align))
}

/// The name as the machine takes it. Ours are plain words, one folder deep at
/// the most.
fn checked(name: &str) -> io::Result<CString> {
    let is_plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    let parts = name.split('/').count();
    match CString::new(name) {
        Ok(path) if parts <= 2 && name.split('/').all(is_plain) => Ok(path),
        _ => Err(named(
            format!("the name {name:?} is not of the form file or folder/file"),
            io::ErrorKind::InvalidInput.into(),
        )),
    }
}

fn checked_folder(folder: &str) -> io::Result<CString> {
    if folder.contains('/') {
        return Err(named(
            format!("the folder {folder:?} is not a plain name"),
            io::ErrorKind::InvalidInput.into(),
        ));
    }
    checked(folder)
}

/// A system call's answer; asked again where a signal came between.
fn answer(mut call: impl FnMut() -> c_int) -> io::Result<c_int> {
    loop {
        let code = call();
        if code >= 0 {
            return Ok(code);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::trial::Folder;
    use std::os::unix::fs::PermissionsExt;

    fn disk(path: &Path) -> RealDisk {
        let settings = Settings {
            engine: Engine::Threads,
            entries: 8,
            lone_blocking: false,
        };
        RealDisk::open(path, settings).unwrap()
    }

    #[test]
    fn a_name_never_leads_out_of_the_root() {
        let folder = Folder::new();
        let disk = disk(folder.path());
        for name in [
            "",
            "/etc/passwd",
            "..",
            "a/..",
            "../a",
            "a/b/c",
            "a//b",
            "a/",
            "a\0b",
        ] {
            let error = disk.open(name, How::Read).err().unwrap();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{name:?}");
            assert!(disk.make_folder(name).is_err(), "{name:?}");
        }
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link")).unwrap();
        assert!(disk.open("link", How::Read).is_err());
    }

    #[test]
    fn names_are_made_listed_renamed_and_removed() {
        let folder = Folder::new();
        let disk = disk(folder.path());
        assert_eq!(disk.list("journal").unwrap(), [""; 0]);
        disk.make_folder("journal").unwrap();
        disk.make_folder("journal").unwrap();
        let file = disk.open("journal/b", How::Create).unwrap();
        file.write_all_at(3, b"abc").unwrap();
        disk.open("journal/a", How::Create).unwrap();
        assert_eq!(disk.list("journal").unwrap(), ["a", "b"]);
        let again = disk.open("journal/a", How::Create).err().unwrap();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert!(again.to_string().contains("create journal/a"), "{again}");

        disk.rename("journal/b", "journal/a").unwrap();
        disk.sync_folder("journal").unwrap();
        let mut bytes = [1; 6];
        let read = disk.open("journal/a", How::Read).unwrap();
        read.read_exact_at(0, &mut bytes).unwrap();
        assert_eq!(&bytes, b"\0\0\0abc");
        disk.remove("journal/a").unwrap();
        assert!(disk.list("journal").unwrap().is_empty());
        assert!(disk.remove("journal/a").is_err());
        let mode = fs::metadata(folder.path().join("journal"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o027, 0);
    }

    #[test]
    fn a_file_in_the_place_of_a_folder_is_an_error() {
        let folder = Folder::new();
        let disk = disk(folder.path());
        disk.open("journal", How::Create).unwrap();
        assert!(disk.make_folder("journal").is_err());
    }

    #[test]
    fn allocating_makes_zeros_and_never_shrinks() {
        let folder = Folder::new();
        let disk = disk(folder.path());
        let file = disk.open("a", How::Create).unwrap();
        file.write_all_at(0, b"kept").unwrap();
        file.allocate(0).unwrap();
        file.allocate(100_000).unwrap();
        file.allocate(10).unwrap();
        assert_eq!(file.len().unwrap(), 100_000);
        let mut bytes = vec![1; 100_000];
        file.read_exact_at(0, &mut bytes).unwrap();
        assert!(bytes.starts_with(b"kept") && bytes[4..].iter().all(|byte| *byte == 0));
        let end = file.read_exact_at(99_999, &mut [0; 2]).unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);
    }

    /// /dev/full is a disk without room that needs no mounting.
    #[test]
    fn a_full_disk_stays_told_apart() {
        let full = disk(Path::new("/dev")).open("full", How::Write).unwrap();
        let error = full.write_at(0, b"a").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(error.to_string().starts_with("write full: "), "{error}");
    }

    /// Files of /proc know no O_DIRECT.
    #[test]
    fn where_direct_is_refused_the_file_is_buffered_and_says_so() {
        let disk = disk(Path::new("/proc/self"));
        let file = disk.open("comm", How::WriteDirect).unwrap();
        assert!(disk.direct_refused());
        assert!(file.read_at(0, &mut [0; 16]).unwrap() > 0);
        assert!(file.map(0).is_err());
    }

    #[test]
    fn the_room_left_is_told() {
        let folder = Folder::new();
        assert!(disk(folder.path()).free_bytes().unwrap() > 0);
        assert!(
            RealDisk::open(&folder.path().join("absent"), disk(folder.path()).settings).is_err()
        );
    }
}
