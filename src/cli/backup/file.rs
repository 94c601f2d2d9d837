//! A backup's file: written under another name until it is whole and synced,
//! and read from its first byte to its last.

use super::super::Failure;
use super::stopping::Stopping;
use crate::daemon::backup::codec::{Part, Reading};
use crate::limits::BACKUP_PIECE_BYTES;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Nobody else's to read: access lists with hashes of passwords are in it.
const MODE: u32 = 0o600;
/// Written bytes go to the disk in portions, so that the daemon's own syncs
/// beside them wait little.
const UNSYNCED_BYTES_MAX: u64 = 8 << 20;
/// What a file is called until it is whole.
pub const UNFINISHED: &str = ".unfinished";

/// A file on its way to its name. Dropped before it has that, it is removed.
pub struct NewFile {
    path: PathBuf,
    unfinished: PathBuf,
    file: File,
    may_replace: bool,
    written: u64,
    synced: u64,
    is_named: bool,
}

impl NewFile {
    pub fn begin(path: &Path, may_replace: bool, stopping: &Stopping) -> Result<Self, Failure> {
        may_write(path, may_replace)?;
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(UNFINISHED);
        let unfinished = PathBuf::from(unfinished);
        let file = make(&unfinished)?;
        stopping.writes(&unfinished);
        Ok(Self {
            path: path.into(),
            unfinished,
            file,
            may_replace,
            written: 0,
            synced: 0,
            is_named: false,
        })
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = self.file.write_all(bytes);
        written.map_err(|error| self.failed(&error))?;
        self.written += bytes.len() as u64;
        if self.written - self.synced >= UNSYNCED_BYTES_MAX {
            self.sync()?;
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Failure> {
        let synced = self.file.sync_all();
        synced.map_err(|error| self.failed(&error))?;
        self.synced = self.written;
        Ok(())
    }

    /// Whole and on the disk before it has its name, and the name as well.
    pub fn finish(mut self) -> Result<u64, Failure> {
        self.sync()?;
        may_write(&self.path, self.may_replace)?;
        let named = fs::rename(&self.unfinished, &self.path);
        named.map_err(|error| self.failed(&error))?;
        self.is_named = true;
        let folder = File::open(folder_of(&self.path)).and_then(|folder| folder.sync_all());
        folder.map_err(|error| self.failed(&error))?;
        Ok(self.written)
    }

    fn failed(&self, error: &io::Error) -> Failure {
        let path = self.path.display();
        Failure::failed(match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => format!(
                "there is no room for {path} after {} bytes: make some, or name another place \
                 with -o",
                self.written
            ),
            _ => format!("{path} cannot be written: {error}"),
        })
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.is_named {
            let _ = fs::remove_file(&self.unfinished);
        }
    }
}

/// Whether the name is free, or may be given to another file.
pub fn may_write(path: &Path, may_replace: bool) -> Result<(), Failure> {
    let shown = path.display();
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Failure::failed(format!("{shown}: {error}"))),
        Ok(found) if found.is_dir() => Err(Failure::failed(format!("{shown} is a folder"))),
        Ok(_) if may_replace => Ok(()),
        Ok(_) => Err(Failure::failed(format!(
            "{shown} is there already: name another file, or replace it with --force"
        ))),
    }
}

/// A new file, in place of what one that was killed has left.
fn make(unfinished: &Path) -> Result<File, Failure> {
    let failed = |error: io::Error| {
        let shown = unfinished.display();
        Failure::failed(format!("{shown} cannot be made: {error}"))
    };
    let create = || {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(MODE);
        options.open(unfinished)
    };
    let file = match create() {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let is_file = fs::symlink_metadata(unfinished).map_err(failed)?.is_file();
            if is_file && is_held(&File::open(unfinished).map_err(failed)?) {
                return Err(Failure::failed(format!(
                    "another dolmen is writing {}: wait for it",
                    unfinished.display()
                )));
            }
            fs::remove_file(unfinished).map_err(failed)?;
            create()
        }
        made => made,
    };
    let file = file.map_err(failed)?;
    // For the next one to see. Where a file system has no locks, none is seen.
    let _ = file.try_lock();
    Ok(file)
}

fn is_held(file: &File) -> bool {
    matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}

/// The folder that a file stands in.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// Hands the parts of a file to `take`, in their order and to the last byte.
/// `read` hears how many bytes have been read.
pub fn read_whole(
    file: &mut File,
    mut take: impl FnMut(Part) -> Result<(), String>,
    mut read: impl FnMut(u64),
) -> Result<(), String> {
    let mut reading = Reading::default();
    let mut piece = vec![0; BACKUP_PIECE_BYTES];
    let mut bytes = 0;
    loop {
        let length = match file.read(&mut piece) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(format!("byte {bytes}: {error}")),
            Ok(length) => length,
        };
        if length == 0 {
            return reading.end().map_err(|damage| damage.to_string());
        }
        bytes += length as u64;
        reading.add(&piece[..length]);
        while let Some(part) = reading.next_part().map_err(|damage| damage.to_string())? {
            take(part)?;
        }
        read(bytes);
    }
}
