//! The data folder is there, ours, and of no newer release. What lies in it
//! otherwise is the log's matter.

use super::refused::Refused;
use crate::limits::LOSSES_ANNOUNCED_MAX;
use crate::log::identity::{self, Identity};
use crate::log::mend;
use crate::replica::level_file;
use crate::state::topics::Lost;
use crate::state::{FEATURES, Raised};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Refuses a folder of another user, even to root: files that root leaves
/// there keep the service's own user from starting next time.
pub fn check(folder: &Path) -> Result<(), Refused> {
    let metadata = match fs::metadata(folder) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Refused::NoDataFolder(folder.into()));
        }
        Err(error) => return Err(Refused::data_folder(folder.into())(error)),
    };
    if !metadata.is_dir() {
        return Err(Refused::NotAFolder(folder.into()));
    }
    let owner = metadata.uid();
    let ours = effective_uid().map_err(Refused::machine("read /proc/self/status"))?;
    if owner != ours {
        return Err(Refused::ForeignDataFolder {
            folder: folder.into(),
            owner,
            ours,
        });
    }
    check_level(folder)
}

/// Which folder it is, and of which cluster a node by itself is one: drawn when
/// the log was opened here for the first time.
pub fn identity(folder: &Path) -> Result<Identity, Refused> {
    let path = folder.join(identity::NAME);
    let text = fs::read_to_string(&path).map_err(Refused::data_folder(folder.into()))?;
    Identity::parse(&text).map_err(|why| Refused::Membership(path, why))
}

/// Where a repair has lost records here, if the cluster does not know of it yet.
pub fn losses(folder: &Path) -> Option<Lost> {
    let said = match fs::read(folder.join(mend::LOSSES)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        said => said,
    };
    // What cannot be read may say anything.
    let said = said.ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let logs = said.and_then(|said| mend::Lost::logs(&said));
    let logs = logs.filter(|logs| logs.len() <= LOSSES_ANNOUNCED_MAX);
    Some(logs.map_or(Lost::Anywhere, |logs| Lost::In(logs.into_iter().collect())))
}

/// The cluster knows.
pub fn forget_losses(folder: &Path) -> io::Result<()> {
    match fs::remove_file(folder.join(mend::LOSSES)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => {
            removed?;
            fs::File::open(folder)?.sync_all()
        }
    }
}

/// Before anything is written there, be it a lock. What the file says is
/// looked at once more where the state is read.
fn check_level(folder: &Path) -> Result<(), Refused> {
    let text = match fs::read_to_string(folder.join(level_file::NAME)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Ok(()),
        Err(error) => return Err(Refused::data_folder(folder.into())(error)),
    };
    let found = level_file::parse(&text).unwrap_or(0);
    match Raised::above(FEATURES, found) {
        Some(raised) => Err(Refused::Raised(folder.into(), raised)),
        None => Ok(()),
    }
}

/// The second figure of `Uid:` in proc(5): real, effective, saved, file system.
fn effective_uid() -> io::Result<u32> {
    fs::read_to_string("/proc/self/status")?
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))
        .and_then(|uids| uids.split_whitespace().nth(1)?.parse().ok())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it names no uid"))
}
