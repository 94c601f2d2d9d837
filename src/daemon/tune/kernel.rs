//! The files below /proc and /sys, by the paths that they have on a machine.

use crate::limits::MACHINE_FILE_BYTES_MAX;
use crate::profile::{Mounts, Roots};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// The kernel that runs, or in tests one that refuses, bends a value or dies.
pub trait Kernel {
    /// Without the blanks around it.
    fn read(&self, file: &str) -> io::Result<String>;
    fn write(&self, file: &str, value: &str) -> io::Result<()>;
    /// What a folder holds, sorted; nothing where there is none.
    fn names(&self, folder: &str) -> Vec<String>;
    /// Whether the file is where nothing may be written, as in a container.
    fn is_read_only(&self, file: &str) -> bool;
}

/// That of this machine, or of a tree that was written down.
pub struct Running {
    roots: Roots,
    mounts: Mounts,
}

impl Running {
    pub fn of(roots: Roots) -> Self {
        Self {
            mounts: Mounts::read(&roots),
            roots,
        }
    }

    fn place(&self, file: &str) -> io::Result<PathBuf> {
        let below = |start| Path::new(file).strip_prefix(start);
        match (below("/proc"), below("/sys")) {
            (Ok(rest), _) => Ok(self.roots.proc.join(rest)),
            (_, Ok(rest)) => Ok(self.roots.sys.join(rest)),
            _ => Err(io::Error::other("is no file of the kernel")),
        }
    }

    /// As mountinfo would name it: without the links of /sys/class.
    fn resolved(&self, file: &str) -> Option<PathBuf> {
        let place = fs::canonicalize(self.place(file).ok()?).ok()?;
        let below = |root: &Path, name: &str| {
            let root = fs::canonicalize(root).ok()?;
            Some(Path::new(name).join(place.strip_prefix(root).ok()?))
        };
        below(&self.roots.proc, "/proc").or_else(|| below(&self.roots.sys, "/sys"))
    }
}

impl Kernel for Running {
    fn read(&self, file: &str) -> io::Result<String> {
        let mut bytes = Vec::new();
        File::open(self.place(file)?)?
            .take(MACHINE_FILE_BYTES_MAX)
            .read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).trim().into())
    }

    /// In one call, as the kernel takes a value.
    fn write(&self, file: &str, value: &str) -> io::Result<()> {
        let place = self.place(file)?;
        let mut file = OpenOptions::new().write(true).truncate(true).open(place)?;
        file.write_all(format!("{value}\n").as_bytes())
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let entries = self.place(folder).and_then(fs::read_dir);
        let mut names: Vec<String> = entries
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }

    fn is_read_only(&self, file: &str) -> bool {
        self.resolved(file)
            .is_some_and(|file| self.mounts.is_read_only(&file))
    }
}
