//! The data folder is there and ours. What lies in it is the log's matter.

use super::refused::Refused;
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
    Ok(())
}

/// The second figure of `Uid:` in proc(5): real, effective, saved, file system.
fn effective_uid() -> io::Result<u32> {
    fs::read_to_string("/proc/self/status")?
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))
        .and_then(|uids| uids.split_whitespace().nth(1)?.parse().ok())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it names no uid"))
}
