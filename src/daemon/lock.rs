//! The lock file of a data folder: one daemon or one tool at a time.
//!
//! The lock is the kernel's, on the open file, so it goes with its holder
//! however that ends. What the file says is for messages only.

use super::refused::Refused;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt, fchown};
use std::path::Path;

pub const NAME: &str = "dolmen.lock";
/// A pid and a few words.
const TEXT_BYTES_MAX: u64 = 256;

/// Holds a data folder until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// `what` is what runs, as a person would type it: `dolmen serve`.
    pub fn take(folder: &Path, what: &str) -> Result<Self, Refused> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false) // what it says is the holder's until we hold it
            .open(folder.join(NAME))
            .map_err(Refused::data_folder(folder.into()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Refused::DataHeld {
                    folder: folder.into(),
                    holder: holder(&file),
                });
            }
            Err(TryLockError::Error(error)) => {
                return Err(Refused::data_folder(folder.into())(error));
            }
        }
        give_to_owner(folder, &file);
        // The lock holds without it, and a full disk must not keep from
        // starting the one that can make room.
        if let Err(error) = sign(&file, what) {
            tracing::warn!(%error, file = NAME, "the lock does not say who holds it");
        }
        Ok(Self { _file: file })
    }
}

/// What root leaves in the folder of the service's user must not keep that
/// user from starting. Of anybody else's files this changes nothing.
pub fn give_to_owner(folder: &Path, file: &File) {
    if let (Ok(folder), Ok(metadata)) = (folder.metadata(), file.metadata())
        && folder.uid() != metadata.uid()
    {
        let _ = fchown(file, Some(folder.uid()), Some(folder.gid()));
    }
}

/// Overwrites, so that no new block is asked for where there was one.
fn sign(file: &File, what: &str) -> io::Result<()> {
    let text = format!("pid {} ({what})\n", std::process::id());
    file.write_all_at(text.as_bytes(), 0)?;
    file.set_len(text.len() as u64)
}

/// A holder that has the lock and has not signed yet has no name.
fn holder(file: &File) -> String {
    let mut text = String::new();
    let read = file.take(TEXT_BYTES_MAX).read_to_string(&mut text);
    match (read, text.trim()) {
        (Ok(_), signed) if !signed.is_empty() => signed.into(),
        _ => "another process".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_folder_is_refused_with_its_holder_until_let_go() {
        let folder = std::env::temp_dir().join(format!("dolmen-lock-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let held = Lock::take(&folder, "dolmen serve").unwrap();
        let refused = Lock::take(&folder, "dolmen probe").unwrap_err().to_string();
        let signed = format!("pid {} (dolmen serve)", std::process::id());
        assert!(refused.contains(&signed), "{refused}");
        drop(held);
        Lock::take(&folder, "dolmen probe").unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
    }

    /// Tried by root alone: nobody else may give a file away.
    #[test]
    fn what_root_locks_stays_the_owner_s() {
        let folder = std::env::temp_dir().join(format!("dolmen-given-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        if std::os::unix::fs::chown(&folder, Some(65534), Some(65534)).is_ok() {
            let _held = Lock::take(&folder, "dolmen probe").unwrap();
            assert_eq!(folder.join(NAME).metadata().unwrap().uid(), 65534);
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
