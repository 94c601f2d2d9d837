//! What the control groups above a process allow it, in both versions of them.

use super::detect::{Roots, text};
use std::fmt;
use std::path::{Component, Path, PathBuf};

/// Processor time that a group may use in each period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuQuota {
    pub quota_us: u64,
    pub period_us: u64,
}

impl CpuQuota {
    pub fn cores(self) -> f64 {
        self.quota_us as f64 / self.period_us as f64
    }
}

impl fmt::Display for CpuQuota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} cores", self.cores())
    }
}

/// The least limit of our control group and of those above it.
pub(super) fn memory_limit_bytes(roots: &Roots) -> Option<u64> {
    let bytes = |folder: PathBuf| text(&folder)?.parse().ok(); // "max" is none
    let limits = folders(roots, "self", "memory")
        .into_iter()
        .filter_map(|folder| match folder {
            Folder::Two(folder) => bytes(folder.join("memory.max")),
            Folder::One(folder) => bytes(folder.join("memory.limit_in_bytes")),
        });
    limits.min()
}

/// The tightest quota over a process, which procfs names by its number or
/// "self".
pub fn cpu_quota(roots: &Roots, process: &str) -> Option<CpuQuota> {
    let quotas = folders(roots, process, "cpu")
        .into_iter()
        .filter_map(quota_of);
    quotas.min_by(|one, other| one.cores().total_cmp(&other.cores()))
}

fn quota_of(folder: Folder) -> Option<CpuQuota> {
    let words = match folder {
        Folder::Two(folder) => text(&folder.join("cpu.max"))?,
        Folder::One(folder) => {
            let quota = text(&folder.join("cpu.cfs_quota_us"))?;
            format!("{quota} {}", text(&folder.join("cpu.cfs_period_us"))?)
        }
    };
    let (quota, period) = words.split_once(' ')?;
    // "max" and -1 are none.
    let quota_us = quota.parse().ok()?;
    let period_us = period.trim().parse().ok().filter(|period| *period > 0)?;
    Some(CpuQuota {
        quota_us,
        period_us,
    })
}

/// The folder of a group, by the version of its hierarchy.
enum Folder {
    One(PathBuf),
    Two(PathBuf),
}

/// Of a process, every group that has to do with a controller, up to the root.
/// Inside a container the path may be one that only the host knows, so that a
/// folder may be absent.
fn folders(roots: &Roots, process: &str, controller: &str) -> Vec<Folder> {
    let groups = text(&roots.proc.join(process).join("cgroup")).unwrap_or_default();
    let mut folders = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':');
        let (_, controllers, group) = (fields.next(), fields.next(), fields.next());
        let group = group.unwrap_or_default();
        // Version 2 names no controllers.
        match controllers {
            Some("") => {
                let up = up(&roots.sys.join("fs/cgroup"), group);
                folders.extend(up.into_iter().map(Folder::Two));
            }
            Some(names) if names.split(',').any(|name| name == controller) => {
                let up = up(&roots.sys.join("fs/cgroup").join(controller), group);
                folders.extend(up.into_iter().map(Folder::One));
            }
            _ => {}
        }
    }
    folders
}

fn up(root: &Path, group: &str) -> Vec<PathBuf> {
    let below_root = |component| match component {
        Component::Normal(name) => Some(name),
        _ => None,
    };
    let group: PathBuf = Path::new(group)
        .components()
        .filter_map(below_root)
        .collect();
    group.ancestors().map(|folder| root.join(folder)).collect()
}
