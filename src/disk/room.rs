//! How much more a file system takes.
#![allow(unsafe_code)]

use super::errors::named;
use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What is left for this user, and how much there is at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    pub bytes_free: u64,
    pub bytes_total: u64,
    pub files_free: u64,
    /// 0 where the file system makes room for names as they come.
    pub files_total: u64,
}

/// The room under a folder that is there.
pub fn room(folder: &Path) -> io::Result<Room> {
    let path = CString::new(folder.as_os_str().as_bytes())?;
    // SAFETY: a struct of numbers, for which zeros are a value.
    let mut told: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path ends with a zero, and both outlive the call.
    if unsafe { libc::statvfs(path.as_ptr(), &mut told) } != 0 {
        let what = format!("ask for room in {}", folder.display());
        return Err(named(what, io::Error::last_os_error()));
    }
    Ok(Room {
        bytes_free: told.f_bavail * told.f_frsize,
        bytes_total: told.f_blocks * told.f_frsize,
        files_free: told.f_favail,
        files_total: told.f_files,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_free_than_there_is() {
        let room = room(&std::env::temp_dir()).unwrap();
        assert!(0 < room.bytes_free && room.bytes_free <= room.bytes_total);
        assert!(room.files_free <= room.files_total || room.files_total == 0);
        assert!(super::room(Path::new("/nonexistent")).is_err());
    }
}
