//! What is mounted where, from /proc/self/mountinfo.

use super::detect::{Roots, text};
use std::path::{Path, PathBuf};

/// One line of mountinfo.
pub(super) struct Mount {
    /// `major:minor`; the major number is 0 where the file system made it up.
    pub(super) number: String,
    /// What of the file system is mounted here.
    pub(super) root: String,
    pub(super) point: PathBuf,
    pub(super) file_system: String,
    pub(super) source: String,
    /// First those of the mount, then those of the file system.
    pub(super) options: String,
}

impl Mount {
    pub(super) fn read_all(roots: &Roots) -> Vec<Mount> {
        let mounts = text(&roots.proc.join("self/mountinfo")).unwrap_or_default();
        mounts.lines().filter_map(Mount::parse).collect()
    }

    /// `id parent major:minor root point options [optional...] - type source options`
    fn parse(line: &str) -> Option<Mount> {
        let (front, back) = line.split_once(" - ")?;
        let front: Vec<&str> = front.split(' ').collect();
        let mut back = back.split(' ');
        Some(Mount {
            number: front.get(2)?.to_string(),
            root: unescaped(front.get(3)?),
            point: unescaped(front.get(4)?).into(),
            file_system: back.next()?.to_owned(),
            source: unescaped(back.next()?),
            options: [front.get(5).copied(), back.next()]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(","),
        })
    }

    /// The last of those at the deepest point: it covers the others.
    pub(super) fn of<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
        mounts
            .iter()
            .filter(|mount| path.starts_with(&mount.point))
            .max_by_key(|mount| mount.point.components().count())
    }
}

/// Everything that is mounted.
pub struct Mounts(Vec<Mount>);

impl Mounts {
    pub fn read(roots: &Roots) -> Self {
        Self(Mount::read_all(roots))
    }

    /// Whether what is mounted there takes no writes, as /proc/sys in a
    /// container. The path holds no symbolic link.
    pub fn is_read_only(&self, path: &Path) -> bool {
        let mount = Mount::of(&self.0, path);
        mount.is_some_and(|mount| mount.options.split(',').any(|option| option == "ro"))
    }
}

/// mountinfo writes blank, tab, newline and backslash in octal.
fn unescaped(field: &str) -> String {
    let octal = [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ];
    octal
        .into_iter()
        .fold(field.to_owned(), |field, (code, character)| {
            field.replace(code, character)
        })
}
