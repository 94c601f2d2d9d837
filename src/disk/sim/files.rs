//! Files, names and folders at one moment: what a process sees, what would
//! survive, or what did. A copy costs a pointer a file.

use super::pages::{Pages, digest, mix};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A file apart from its names, as an inode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileId(pub u32);

#[derive(Clone, Debug, Default)]
pub(super) struct Files {
    /// By `FileId`; a file without a name keeps its place.
    pub(super) contents: Vec<Arc<Pages>>,
    pub(super) names: BTreeMap<Arc<str>, FileId>,
    pub(super) folders: BTreeSet<Arc<str>>,
}

/// What one operation does to the names of a folder.
#[derive(Clone, Debug)]
pub(super) enum NameChange {
    Create {
        file: FileId,
        name: Arc<str>,
    },
    Rename {
        file: FileId,
        from: Arc<str>,
        to: Arc<str>,
    },
    Remove {
        file: FileId,
        name: Arc<str>,
    },
}

impl NameChange {
    pub(super) fn folder(&self) -> &str {
        let (NameChange::Create { name, .. }
        | NameChange::Rename { to: name, .. }
        | NameChange::Remove { name, .. }) = self;
        folder_of(name)
    }

    pub(super) fn file(&self) -> FileId {
        let (NameChange::Create { file, .. }
        | NameChange::Rename { file, .. }
        | NameChange::Remove { file, .. }) = self;
        *file
    }
}

impl Files {
    pub(super) fn pages(&self, file: FileId) -> &Pages {
        &self.contents[file.0 as usize]
    }

    pub(super) fn pages_mut(&mut self, file: FileId) -> &mut Pages {
        Arc::make_mut(&mut self.contents[file.0 as usize])
    }

    /// Puts a file in its place, which is made where it is new.
    pub(super) fn put(&mut self, file: FileId, pages: Arc<Pages>) {
        let place = file.0 as usize;
        if place >= self.contents.len() {
            self.contents.resize_with(place + 1, Arc::default);
        }
        self.contents[place] = pages;
    }

    /// Carries a change out on what is there, which may lack earlier changes:
    /// a rename whose creation was lost still leaves the new name, a removal
    /// leaves a name alone that belongs to another file by now.
    pub(super) fn apply(&mut self, change: &NameChange) {
        match change {
            NameChange::Create { file, name } => {
                self.names.insert(name.clone(), *file);
            }
            NameChange::Rename { file, from, to } => {
                self.forget(from, *file);
                self.names.insert(to.clone(), *file);
            }
            NameChange::Remove { file, name } => self.forget(name, *file),
        }
    }

    fn forget(&mut self, name: &str, file: FileId) {
        if self.names.get(name) == Some(&file) {
            self.names.remove(name);
        }
    }

    /// Bytes of all files that have a name.
    pub(super) fn used(&self) -> u64 {
        self.names
            .values()
            .map(|file| self.pages(*file).len())
            .sum()
    }

    /// Equal where names and contents are equal.
    pub(super) fn digest(&self) -> u64 {
        self.names.iter().fold(0, |sum, (name, file)| {
            mix(mix(sum ^ digest(name.as_bytes())) ^ self.pages(*file).digest())
        })
    }
}

/// "" for a name at the top.
pub(super) fn folder_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}
