//! What stood there before: a file below /run, which lasts as long as what the
//! kernel is told does, until the next start of the machine.

use super::standing::Found;
use crate::limits::TUNED_BYTES_MAX;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

const NAME: &str = "saved.json";
const FORMAT: u32 = 1;

/// A setting that was changed, or is about to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    pub tuner: String,
    pub file: String,
    /// What nobody of us wrote there.
    pub before: String,
    /// The file that was in force in its place, and what that said.
    pub instead: Option<(String, String)>,
    /// What an apply has written there or was about to: two while one value is
    /// changed for another, for it may die on either side of that.
    pub ours: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    format: u32,
    settings: Vec<Saved>,
}

/// The file, held against another `apply` or `off` until it is dropped.
#[derive(Debug)]
pub struct Kept {
    folder: PathBuf,
    pub settings: Vec<Saved>,
    _lock: File,
}

/// Why nothing can be changed.
#[derive(Debug)]
pub enum NotKept {
    NeedsRoot,
    Folder { folder: PathBuf, error: io::Error },
    Unreadable { file: PathBuf, why: String },
}

impl fmt::Display for NotKept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeedsRoot => f.write_str(
                "this is root's to do: type it with sudo, or have systemctl enable --now \
                 dolmen-tune do it at each start",
            ),
            Self::Folder { folder, error } => write!(
                f,
                "what stands there now cannot be kept in {} ({error}), so nothing was changed: \
                 see that it is a folder with room",
                folder.display()
            ),
            Self::Unreadable { file, why } => write!(
                f,
                "{} does not say what stood there before ({why}): remove it, and what was set \
                 stays until the next start of the machine",
                file.display()
            ),
        }
    }
}

impl std::error::Error for NotKept {}

impl Kept {
    /// What is kept, for who only looks.
    pub fn look(folder: &Path) -> Result<Vec<Saved>, NotKept> {
        read(&folder.join(NAME))
    }

    pub fn open(folder: &Path) -> Result<Self, NotKept> {
        let refused = |error: io::Error| match error.kind() {
            ErrorKind::PermissionDenied => NotKept::NeedsRoot,
            _ => NotKept::Folder {
                folder: folder.into(),
                error,
            },
        };
        fs::create_dir_all(folder).map_err(refused)?;
        let lock = File::create(folder.join("lock")).map_err(refused)?;
        // Whoever has it is done in an instant.
        lock.lock().map_err(refused)?;
        Ok(Self {
            settings: read(&folder.join(NAME))?,
            folder: folder.into(),
            _lock: lock,
        })
    }

    /// Remembers what a file says before it is changed. What an earlier apply
    /// wrote there is no reason to forget what stood there before that.
    pub(super) fn remember(&mut self, tuner: &str, found: &Found, wanted: &str) {
        let earlier = self.settings.iter_mut().find(|one| one.file == found.file);
        match earlier {
            Some(saved) if saved.ours.contains(&found.now) => {
                saved.ours = vec![found.now.clone(), wanted.into()];
            }
            Some(saved) => *saved = Saved::of(tuner, found, wanted),
            None => self.settings.push(Saved::of(tuner, found, wanted)),
        }
    }

    /// Takes what a file says after an apply for ours, or for what stood there
    /// before all along.
    pub(super) fn settle(&mut self, file: &str, now: &str) {
        let is_back = |saved: &Saved| saved.file == file && saved.before == now;
        self.settings.retain(|saved| !is_back(saved));
        for saved in &mut self.settings {
            if saved.file == file {
                saved.ours = vec![now.into()];
            }
        }
    }

    /// Whole or not at all, and durable; no file where there is nothing to keep.
    pub(super) fn write(&self) -> Result<(), NotKept> {
        self.put().map_err(|error| NotKept::Folder {
            folder: self.folder.clone(),
            error,
        })
    }

    fn put(&self) -> io::Result<()> {
        let (path, unfinished) = (self.folder.join(NAME), self.folder.join("saved.new"));
        if self.settings.is_empty() {
            return match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        let written = Written {
            format: FORMAT,
            settings: self.settings.clone(),
        };
        let mut file = File::create(&unfinished)?;
        file.write_all(serde_json::to_string_pretty(&written)?.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&unfinished, &path)?;
        File::open(&self.folder)?.sync_all()
    }
}

impl Saved {
    fn of(tuner: &str, found: &Found, wanted: &str) -> Self {
        Self {
            tuner: tuner.into(),
            file: found.file.clone(),
            before: found.now.clone(),
            instead: found.instead.clone(),
            ours: vec![wanted.into()],
        }
    }
}

fn read(file: &Path) -> Result<Vec<Saved>, NotKept> {
    let unreadable = |why: String| NotKept::Unreadable {
        file: file.into(),
        why,
    };
    let mut text = String::new();
    let read = File::open(file).and_then(|file| {
        let mut file = file.take(TUNED_BYTES_MAX);
        file.read_to_string(&mut text)
    });
    match read {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error.to_string())),
        Ok(_) => {}
    }
    let written: Written =
        serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
    if written.format != FORMAT {
        return Err(unreadable(format!(
            "it has format {}, and this build reads format {FORMAT}",
            written.format
        )));
    }
    let instead = |saved: &Saved| saved.instead.as_ref().map(|(file, _)| file.clone());
    let mut files = written
        .settings
        .iter()
        .flat_map(|saved| [Some(saved.file.clone()), instead(saved)])
        .flatten();
    match files.find(|file| !is_kernel_s(file)) {
        Some(file) => Err(unreadable(format!("{file} is no setting of the kernel"))),
        None => Ok(written.settings),
    }
}

/// Root writes to what this file names.
fn is_kernel_s(file: &str) -> bool {
    let is_below = file.starts_with("/proc/sys/") || file.starts_with("/sys/");
    is_below && file.split('/').all(|part| part != "..")
}
