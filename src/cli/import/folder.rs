//! The files of a ZooKeeper's data folder, and how they are opened.

use super::snappy::Blocks;
use crate::ids::Zxid;
use crate::limits::{IMPORTED_FILES_MAX, IMPORTED_LOG_BYTES_MAX};
use flate2::bufread::MultiGzDecoder;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Under both dataDir and dataLogDir; the number is that of the format.
const INSIDE: &str = "version-2";

#[derive(Debug)]
pub struct Folder {
    pub data: PathBuf,
    /// Newest first.
    pub snapshots: Vec<SnapshotFile>,
    /// Oldest first.
    pub logs: Vec<LogFile>,
}

#[derive(Debug)]
pub struct SnapshotFile {
    pub path: PathBuf,
    /// The last transaction when the snapshot was begun.
    pub zxid: Zxid,
}

#[derive(Debug)]
pub struct LogFile {
    pub path: PathBuf,
    /// Its first transaction.
    pub zxid: Zxid,
}

impl Folder {
    /// ZooKeeper's dataDir and dataLogDir, or the version-2 inside of each.
    pub fn open(data: &Path, log_dir: Option<&Path>) -> Result<Self, String> {
        let data = inside(data);
        let mut snapshots = Vec::new();
        for (path, name) in names(&data)? {
            if let Some(zxid) = snapshot_zxid(&name) {
                snapshots.push(SnapshotFile { path, zxid });
            }
        }
        let log_dir = log_dir.map_or_else(|| data.clone(), inside);
        let mut logs = Vec::new();
        for (path, name) in names(&log_dir)? {
            if let Some(zxid) = name.strip_prefix("log.").and_then(hex) {
                logs.push(LogFile { path, zxid });
            }
        }
        // A zxid's snapshots differ in their compression alone: either will do.
        snapshots.sort_by(|a, b| (b.zxid, &b.path).cmp(&(a.zxid, &a.path)));
        logs.sort_by(|a, b| (a.zxid, &a.path).cmp(&(b.zxid, &b.path)));
        Ok(Self {
            data,
            snapshots,
            logs,
        })
    }

    /// The log that holds the transaction behind a snapshot's last, and those
    /// after it.
    pub fn logs_from(&self, zxid: Zxid) -> &[LogFile] {
        let later = self.logs.partition_point(|log| log.zxid <= zxid);
        &self.logs[later.saturating_sub(1)..]
    }

    /// A snapshot's bytes, uncompressed as its name says.
    pub fn open_snapshot(&self, path: &Path) -> io::Result<Box<dyn BufRead>> {
        let file = BufReader::new(File::open(path)?);
        Ok(
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("gz") => Box::new(BufReader::new(MultiGzDecoder::new(file))),
                Some("snappy") => Box::new(Blocks::new(file)),
                _ => Box::new(file),
            },
        )
    }
}

impl LogFile {
    pub fn read(&self) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        let file = File::open(&self.path).map_err(|error| error.to_string())?;
        let mut source = file.take(IMPORTED_LOG_BYTES_MAX + 1);
        let read = source.read_to_end(&mut bytes);
        read.map_err(|error| error.to_string())?;
        match bytes.len() as u64 > IMPORTED_LOG_BYTES_MAX {
            true => Err(format!(
                "the file is larger than {IMPORTED_LOG_BYTES_MAX} bytes: restart the server, \
                 which begins a new log and takes a snapshot, and copy its files then"
            )),
            false => Ok(bytes),
        }
    }
}

fn inside(folder: &Path) -> PathBuf {
    let inside = folder.join(INSIDE);
    match inside.is_dir() {
        true => inside,
        false => folder.into(),
    }
}

fn names(folder: &Path) -> Result<Vec<(PathBuf, String)>, String> {
    let cannot = |error: io::Error| format!("{}: {error}", folder.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        if names.len() == IMPORTED_FILES_MAX {
            return Err(format!(
                "{} holds more than {IMPORTED_FILES_MAX} files: is it a ZooKeeper's data folder?",
                folder.display()
            ));
        }
        if let Ok(name) = entry.file_name().into_string() {
            names.push((entry.path(), name));
        }
    }
    Ok(names)
}

fn snapshot_zxid(name: &str) -> Option<Zxid> {
    let number = name.strip_prefix("snapshot.")?;
    let number = number.strip_suffix(".gz").unwrap_or(number);
    hex(number.strip_suffix(".snappy").unwrap_or(number))
}

fn hex(number: &str) -> Option<Zxid> {
    u64::from_str_radix(number, 16).ok().map(Zxid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_zxid_and_others_are_left_alone() {
        for (name, zxid) in [
            ("snapshot.0", Some(0)),
            ("snapshot.10000000a", Some(0x1_0000_000a)),
            ("snapshot.a.gz", Some(10)),
            ("snapshot.a.snappy", Some(10)),
            ("snapshot.a.tmp", None),
            ("snapshot", None),
            ("log.1", None),
            ("acceptedEpoch", None),
        ] {
            assert_eq!(snapshot_zxid(name), zxid.map(Zxid), "{name}");
        }
    }

    #[test]
    fn replay_begins_with_the_log_that_holds_the_next_transaction() {
        let log = |zxid| LogFile {
            path: PathBuf::new(),
            zxid: Zxid(zxid),
        };
        let folder = Folder {
            data: PathBuf::new(),
            snapshots: Vec::new(),
            logs: vec![log(1), log(0x10), log(0x20)],
        };
        let first = |zxid| folder.logs_from(Zxid(zxid)).first().map(|log| log.zxid.0);
        assert_eq!(first(0), Some(1));
        assert_eq!(first(0xf), Some(1));
        assert_eq!(first(0x10), Some(0x10));
        assert_eq!(first(0x30), Some(0x20));
    }
}
