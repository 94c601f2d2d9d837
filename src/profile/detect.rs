//! What the machine is, read from /sys and /proc.
//!
//! The roots of both are arguments, so a recorded tree is as good as the
//! machine. What is missing or cannot be read is unknown, never an error: a
//! container hides half of it. `sysinfo` is asked for free space alone, which
//! is in no file.

use super::block::device;
use super::groups::memory_limit_bytes;
use super::machine::Machine;
use super::mount::Mount;
use super::virt::virt;
use crate::limits::MACHINE_FILE_BYTES_MAX;
use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Where /sys and /proc are.
#[derive(Clone, Debug)]
pub struct Roots {
    pub sys: PathBuf,
    pub proc: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self {
            sys: "/sys".into(),
            proc: "/proc".into(),
        }
    }
}

impl Machine {
    /// This machine, as a node with its data in `data` meets it. The directory
    /// need not exist yet.
    pub fn here(data: &Path) -> Self {
        let data = resolved(data);
        let mut machine = Self::read(&Roots::default(), &data);
        machine.disk.free_bytes = free_bytes(&data);
        machine
    }

    /// All but free space. `data` holds no symbolic link.
    pub fn read(roots: &Roots, data: &Path) -> Self {
        let proc = |name: &str| text(&roots.proc.join(name));
        let mounts = Mount::read_all(roots);
        let memory_bytes = memory_bytes(roots);
        Self {
            // The program's own is right wherever the kernel is too old to say.
            arch: proc("sys/kernel/arch").unwrap_or_else(|| std::env::consts::ARCH.into()),
            kernel: proc("sys/kernel/osrelease"),
            cores: cores(roots),
            memory_bytes,
            memory_limit_bytes: memory_limit_bytes(roots)
                .filter(|limit| memory_bytes.is_none_or(|memory| *limit < memory)),
            disk: device(roots, &mounts, data),
            nic_speed_mbps: nic_speed_mbps(roots),
            virt: virt(roots, &mounts),
            dmi_product: text(&roots.sys.join("class/dmi/id/product_name")),
            devicetree_model: proc("device-tree/model"),
        }
    }
}

/// The path without symbolic links, as mountinfo gives paths. What does not
/// exist yet is taken as it is written.
fn resolved(data: &Path) -> PathBuf {
    let data = std::path::absolute(data).unwrap_or_else(|_| data.into());
    for ancestor in data.ancestors() {
        if let Ok(found) = fs::canonicalize(ancestor)
            && let Ok(rest) = data.strip_prefix(ancestor)
        {
            return found.join(rest);
        }
    }
    data
}

fn free_bytes(data: &Path) -> Option<u64> {
    let storage = sysinfo::DiskRefreshKind::nothing().with_storage();
    let disks = sysinfo::Disks::new_with_refreshed_list_specifics(storage).ok()?;
    disks
        .iter()
        .filter(|disk| data.starts_with(disk.mount_point()))
        .max_by_key(|disk| disk.mount_point().components().count())
        .map(|disk| disk.available_space())
}

/// A small file without the newline, or the zero byte, at its end; None where
/// it is absent or says nothing.
pub(super) fn text(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path).ok()?;
    file.take(MACHINE_FILE_BYTES_MAX)
        .read_to_end(&mut bytes)
        .ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_matches(|character: char| character == '\0' || character.is_whitespace());
    (!text.is_empty()).then(|| text.to_owned())
}

/// The entries of a folder, in the order of their names.
pub(super) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

/// Hardware threads of one core name the same list of threads.
fn cores(roots: &Roots) -> Option<u64> {
    let cpus = roots.sys.join("devices/system/cpu");
    let is_cpu = |name: &String| {
        let number = name.strip_prefix("cpu").unwrap_or_default();
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    let threads_of_core = |name: String| {
        let topology = cpus.join(name).join("topology");
        // The second name is that of kernels before 5.0.
        text(&topology.join("core_cpus_list"))
            .or_else(|| text(&topology.join("thread_siblings_list")))
    };
    let cores: BTreeSet<String> = names(&cpus)
        .into_iter()
        .filter(is_cpu)
        .filter_map(threads_of_core)
        .collect();
    (!cores.is_empty()).then_some(cores.len() as u64)
}

fn memory_bytes(roots: &Roots) -> Option<u64> {
    let meminfo = text(&roots.proc.join("meminfo"))?;
    let total = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = total.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

fn nic_speed_mbps(roots: &Roots) -> Option<u64> {
    let interfaces = roots.sys.join("class/net");
    names(&interfaces)
        .into_iter()
        .map(|name| interfaces.join(name))
        .filter(|interface| interface.join("device").exists()) // not a bridge or a tunnel
        .filter_map(|interface| speed_of(&interface))
        .max()
}

/// Of a folder of /sys/class/net.
pub(super) fn speed_of(interface: &Path) -> Option<u64> {
    let speed = text(&interface.join("speed"))?;
    // -1 is unknown.
    speed.parse::<u64>().ok().filter(|speed| *speed > 0)
}
