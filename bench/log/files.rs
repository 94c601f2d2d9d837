//! The files of the bench's folder: copied, measured.

use super::folder::Folder;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A copy as a machine would find it that has read it before: on the disk, so
/// that recovery's syncs have only its own writes to wait for, and in the page
/// cache.
pub fn copy(source: &Folder, parent: &Path, name: &str) -> io::Result<Folder> {
    let copy = Folder::make(parent, name)?;
    for (path, relative) in files(source.path())? {
        let target = copy.path().join(relative);
        fs::create_dir_all(target.parent().expect("under the copy's root"))?;
        fs::copy(&path, &target)?;
        File::open(&target)?.sync_all()?;
    }
    warm(copy.path())?;
    Ok(copy)
}

/// Reads every file, so that it is in the page cache.
fn warm(folder: &Path) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 20];
    for (path, _) in files(folder)? {
        let mut file = File::open(path)?;
        while file.read(&mut buffer)? > 0 {}
    }
    Ok(())
}

/// Files up to one folder deep, with their names relative to the root.
fn files(root: &Path) -> io::Result<Vec<(PathBuf, PathBuf)>> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    let relative = path.strip_prefix(root).expect("found under it").into();
                    found.push((path, relative));
                }
            }
        }
    }
    Ok(found)
}

/// What the files of a folder take on the disk, in blocks and not in length.
pub fn disk_bytes(folder: &Path) -> io::Result<u64> {
    let each = files(folder)?
        .into_iter()
        .map(|(path, _)| Ok(fs::metadata(path)?.blocks() * 512));
    each.sum()
}
