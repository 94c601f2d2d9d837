//! What a folder takes of its disk: blocks, not lengths.

use super::failure::Failure;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Servers remove files while they are counted: one that is gone counts
/// nothing.
pub fn disk_bytes(folder: &Path) -> Result<u64, Failure> {
    let mut bytes = 0;
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            match entry.metadata() {
                Ok(data) if data.is_dir() => folders.push(entry.path()),
                Ok(data) => bytes += data.blocks() * 512,
                Err(_) => {}
            }
        }
    }
    Ok(bytes)
}
