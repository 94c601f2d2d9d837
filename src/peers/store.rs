//! The folder with a node's keys: `node.pem` with certificate and key, and at
//! voters `authority.pem`. Both are 0600, and replaced as a whole.

use super::authority::{Authority, AuthorityError};
use super::identity::{Identity, Unusable};
use crate::limits::KEY_FILE_BYTES_MAX;
use std::fmt;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

const IDENTITY: &str = "node.pem";
const AUTHORITY: &str = "authority.pem";
/// Nobody but the daemon's own user.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// Modes are not the log disk's matter, so the files are made here.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
}

#[derive(Debug)]
pub enum StoreError {
    Io {
        path: PathBuf,
        error: io::Error,
    },
    TooLong {
        path: PathBuf,
        bytes: u64,
    },
    NotText(PathBuf),
    /// Others may read the key.
    Open {
        path: PathBuf,
        mode: u32,
    },
    Identity {
        path: PathBuf,
        why: Unusable,
    },
    Authority {
        path: PathBuf,
        why: AuthorityError,
    },
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, error } => write!(f, "{}: {error}", path.display()),
            Self::TooLong { path, bytes } => write!(
                f,
                "{} has {bytes} bytes, and {KEY_FILE_BYTES_MAX} is the most; \
                 it is not a file of this program",
                path.display()
            ),
            Self::NotText(path) => write!(f, "{} is not text", path.display()),
            Self::Open { path, mode } => write!(
                f,
                "{0} holds a key and has mode {mode:04o}: chmod {FILE_MODE:04o} {0}, \
                 and if others could read it, join again with a new token",
                path.display()
            ),
            Self::Identity { path, why } => write!(f, "{}: {why}", path.display()),
            Self::Authority { path, why } => write!(f, "{}: {why}", path.display()),
        }
    }
}

impl std::error::Error for StoreError {}

#[allow(clippy::disallowed_methods)] // the home of the files with keys
impl Store {
    /// Makes the folder where it is absent.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let failed = |error| StoreError::Io {
            path: folder.into(),
            error,
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(FOLDER_MODE)
            .create(folder)
            .map_err(failed)?;
        // A life that was killed may have left the newest names unsynced.
        let synced = fs::File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(failed)?;
        Ok(Self {
            folder: folder.into(),
        })
    }

    /// None where the node has not been initialised.
    pub fn identity(&self) -> Result<Option<Identity>, StoreError> {
        let path = self.folder.join(IDENTITY);
        let Some(text) = read(&path)? else {
            return Ok(None);
        };
        Identity::parse(&text)
            .map(Some)
            .map_err(|why| StoreError::Identity { path, why })
    }

    pub fn keep_identity(&self, identity: &Identity) -> Result<(), StoreError> {
        self.replace(IDENTITY, identity.encode().as_bytes())
    }

    /// None at a node that does not hold it.
    pub fn authority(&self) -> Result<Option<Authority>, StoreError> {
        let path = self.folder.join(AUTHORITY);
        let Some(text) = read(&path)? else {
            return Ok(None);
        };
        Authority::import(text.as_bytes())
            .map(Some)
            .map_err(|why| StoreError::Authority { path, why })
    }

    /// For a node that holds one no more.
    pub fn drop_authority(&self) -> Result<(), StoreError> {
        let path = self.folder.join(AUTHORITY);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::Io { path, error })
            }
            _ => Ok(()),
        }
    }

    pub fn keep_authority(&self, authority: &Authority) -> Result<(), StoreError> {
        self.replace(AUTHORITY, &authority.export())
    }

    /// Written under another name first: the old stays until the new is whole
    /// on the disk.
    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.folder.join(name);
        let unfinished = self.folder.join(format!("{name}.new"));
        let replace = || {
            match fs::remove_file(&unfinished) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(FILE_MODE)
                .open(&unfinished)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&unfinished, &path)?;
            fs::File::open(&self.folder)?.sync_all()
        };
        replace().map_err(|error| StoreError::Io {
            path: path.clone(),
            error,
        })
    }
}

#[allow(clippy::disallowed_methods)] // the home of the files with keys
fn read(path: &Path) -> Result<Option<String>, StoreError> {
    let failed = |error| StoreError::Io {
        path: path.into(),
        error,
    };
    let file = match fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    let metadata = file.metadata().map_err(failed)?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        let path = path.into();
        return Err(StoreError::Open { path, mode });
    }
    if metadata.len() > KEY_FILE_BYTES_MAX {
        let (path, bytes) = (path.into(), metadata.len());
        return Err(StoreError::TooLong { path, bytes });
    }
    let mut bytes = Vec::new();
    file.take(KEY_FILE_BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    String::from_utf8(bytes)
        .map(Some)
        .map_err(|_| StoreError::NotText(path.into()))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // what was stored is looked at without it
mod tests {
    use super::*;
    use crate::clock::Millis;
    use crate::entropy::{Entropy, MachineEntropy};
    use crate::ids::{NodeId, Uid};

    /// Gone with its name when the test ends.
    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let mut chance = [0; 8];
            MachineEntropy.fill(&mut chance).unwrap();
            let name = format!("dolmen-keys-{:016x}", u64::from_le_bytes(chance));
            Self(std::env::temp_dir().join(name))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn keys_are_kept_and_replaced_and_closed_to_others() {
        let folder = Folder::new();
        let store = Store::open(&folder.0).unwrap();
        assert!(store.identity().unwrap().is_none());
        assert!(store.authority().unwrap().is_none());
        let authority = Authority::found(Uid([3; 16])).unwrap();
        store.keep_authority(&authority).unwrap();
        for serial in [1, 2] {
            let now = Millis(1_790_000_000_000);
            let identity = authority.identify(NodeId(1), serial, now, &MachineEntropy);
            let identity = identity.unwrap();
            store.keep_identity(&identity).unwrap();
            assert_eq!(store.identity().unwrap(), Some(identity));
        }
        let held = store.authority().unwrap().unwrap();
        assert_eq!(held.export(), authority.export());
        for entry in fs::read_dir(&folder.0).unwrap() {
            let mode = entry.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, FILE_MODE);
        }
        let mode = fs::metadata(&folder.0).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, FOLDER_MODE);
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let folder = Folder::new();
        let store = Store::open(&folder.0).unwrap();
        let authority = Authority::found(Uid([3; 16])).unwrap();
        store.keep_authority(&authority).unwrap();
        let path = folder.0.join(AUTHORITY);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let says = store.authority().unwrap_err().to_string();
        assert!(says.contains("mode 0640: chmod 0600"), "{says}");
    }
}
