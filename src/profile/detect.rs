//! What the machine is, read from /sys and /proc.
//!
//! The roots of both are arguments, so a recorded tree is as good as the
//! machine. What is missing or cannot be read is unknown, never an error: a
//! container hides half of it. `sysinfo` is asked for free space alone, which
//! is in no file.

use super::machine::{Device, Machine};
use crate::limits::{BLOCK_DEVICE_LAYERS_MAX, MACHINE_FILE_BYTES_MAX};
use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

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
fn text(path: &Path) -> Option<String> {
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
fn names(folder: &Path) -> Vec<String> {
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

/// The least limit of our control group and of those above it.
fn memory_limit_bytes(roots: &Roots) -> Option<u64> {
    let groups = text(&roots.proc.join("self/cgroup"))?;
    let limits = groups.lines().flat_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (_, controllers, group) = (fields.next(), fields.next(), fields.next());
        // Version 2 names no controllers.
        let (root, file) = match controllers {
            Some("") => ("fs/cgroup", "memory.max"),
            Some(names) if names.split(',').any(|name| name == "memory") => {
                ("fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => return Vec::new(),
        };
        limits_up(&roots.sys.join(root), group.unwrap_or_default(), file)
    });
    limits.min()
}

/// Inside a container the path may be one that only the host knows, so a
/// folder that is absent is stepped over.
fn limits_up(root: &Path, group: &str, file: &str) -> Vec<u64> {
    let below_root = |component| match component {
        Component::Normal(name) => Some(name),
        _ => None,
    };
    let group: PathBuf = Path::new(group)
        .components()
        .filter_map(below_root)
        .collect();
    group
        .ancestors()
        .filter_map(|folder| text(&root.join(folder).join(file)))
        .filter_map(|limit| limit.parse().ok()) // "max" is none
        .collect()
}

fn nic_speed_mbps(roots: &Roots) -> Option<u64> {
    let interfaces = roots.sys.join("class/net");
    names(&interfaces)
        .into_iter()
        .map(|name| interfaces.join(name))
        .filter(|interface| interface.join("device").exists()) // not a bridge or a tunnel
        .filter_map(|interface| text(&interface.join("speed")))
        .filter_map(|speed| speed.parse::<u64>().ok()) // -1 is unknown
        .filter(|speed| *speed > 0)
        .max()
}

/// One line of mountinfo.
struct Mount {
    /// `major:minor`; the major number is 0 where the file system made it up.
    number: String,
    /// What of the file system is mounted here.
    root: String,
    point: PathBuf,
    file_system: String,
    source: String,
}

impl Mount {
    fn read_all(roots: &Roots) -> Vec<Mount> {
        let mounts = text(&roots.proc.join("self/mountinfo")).unwrap_or_default();
        mounts.lines().filter_map(Mount::parse).collect()
    }

    /// `id parent major:minor root point options [optional...] - type source ...`
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
        })
    }

    /// The last of those at the deepest point: it covers the others.
    fn of<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
        mounts
            .iter()
            .filter(|mount| path.starts_with(&mount.point))
            .max_by_key(|mount| mount.point.components().count())
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

fn device(roots: &Roots, mounts: &[Mount], data: &Path) -> Device {
    let Some(mount) = Mount::of(mounts, data) else {
        return Device::default();
    };
    let mut disks = Vec::new();
    if let Some(folder) = block_folder(roots, mount) {
        collect_disks(&folder, 0, &mut disks);
    }
    disks.sort();
    disks.dedup();
    let sys = fs::canonicalize(&roots.sys).unwrap_or_else(|_| roots.sys.clone());
    Device {
        file_system: Some(mount.file_system.clone()),
        ..of_disks(&sys, &disks)
    }
}

/// The block device of a mount, by number, or by name where the file system
/// made the number up, as btrfs does.
fn block_folder(roots: &Roots, mount: &Mount) -> Option<PathBuf> {
    let blocks = roots.sys.join("class/block");
    let name = mount.source.strip_prefix("/dev/");
    let mapped = name.and_then(|name| name.strip_prefix("mapper/"));
    let is_it = |folder: &PathBuf| match (mapped, name) {
        _ if !mount.number.starts_with("0:") => {
            text(&folder.join("dev")).as_deref() == Some(&*mount.number)
        }
        (Some(mapped), _) => text(&folder.join("dm/name")).as_deref() == Some(mapped),
        (None, Some(name)) => folder.file_name().is_some_and(|found| found == name),
        (None, None) => false,
    };
    let folder = names(&blocks)
        .into_iter()
        .map(|name| blocks.join(name))
        .find(is_it)?;
    fs::canonicalize(folder).ok()
}

/// From a partition to its disk, and from a mapped device or an array to what
/// it is made of.
fn collect_disks(folder: &Path, layer: usize, disks: &mut Vec<PathBuf>) {
    let is_partition = folder.join("partition").exists();
    let folder = match folder.parent() {
        Some(disk) if is_partition => disk,
        _ => folder,
    };
    let slaves = folder.join("slaves");
    let below: Vec<PathBuf> = names(&slaves)
        .into_iter()
        .filter_map(|name| fs::canonicalize(slaves.join(name)).ok())
        .collect();
    if below.is_empty() {
        disks.push(folder.into());
    } else if layer < BLOCK_DEVICE_LAYERS_MAX {
        for slave in below {
            collect_disks(&slave, layer + 1, disks);
        }
    }
}

fn of_disks(sys: &Path, disks: &[PathBuf]) -> Device {
    let queue = |name: &str| -> Vec<Option<String>> {
        disks
            .iter()
            .map(|disk| text(&disk.join("queue").join(name)))
            .collect()
    };
    let switch = |name: &str, of_all: fn(&[bool]) -> bool| {
        let found: Option<Vec<bool>> = queue(name)
            .into_iter()
            .map(|word| word.map(|word| word == "1"))
            .collect();
        found
            .filter(|found| !found.is_empty())
            .map(|found| of_all(&found))
    };
    let name = |disk: &PathBuf| Some(disk.file_name()?.to_string_lossy().into_owned());
    let buses: Vec<Option<&str>> = disks
        .iter()
        .map(|disk| bus(disk.strip_prefix(sys).unwrap_or(disk)))
        .collect();
    Device {
        disks: disks.iter().filter_map(name).collect(),
        // Disks on different buses are on none that a rule could name.
        bus: buses
            .first()
            .copied()
            .flatten()
            .filter(|first| buses.iter().all(|bus| *bus == Some(first))),
        write_cache: write_cache(&queue("write_cache")),
        fua: switch("fua", |disks| disks.iter().all(|fua| *fua)),
        rotational: switch("rotational", |disks| disks.iter().any(|turns| *turns)),
        mark: mark(disks),
        ..Device::default()
    }
}

fn write_cache(words: &[Option<String>]) -> Option<&'static str> {
    let all = |wanted: &str| {
        !words.is_empty() && words.iter().all(|word| word.as_deref() == Some(wanted))
    };
    let any = |wanted: &str| words.iter().any(|word| word.as_deref() == Some(wanted));
    match () {
        () if any("write back") => Some("write back"),
        () if all("write through") => Some("write through"),
        () => None,
    }
}

/// The bus, by the folders a disk stands in below /sys. USB comes before the
/// others because a USB bridge shows a SATA disk as its own; virtio before
/// SATA because of virtio-scsi.
fn bus(disk: &Path) -> Option<&'static str> {
    let folders: Vec<_> = disk
        .components()
        .filter_map(|one| one.as_os_str().to_str())
        .collect();
    let has = |prefix: &str| {
        folders.iter().any(|folder| {
            let number = folder.strip_prefix(prefix);
            number
                .and_then(|rest| rest.bytes().next())
                .is_some_and(|byte| byte.is_ascii_digit())
        })
    };
    match () {
        () if has("usb") => Some("usb"),
        () if folders.contains(&"mmc_host") => Some("mmc"),
        () if has("nvme") => Some("nvme"),
        () if has("virtio") => Some("virtio"),
        () if has("ata") => Some("sata"),
        () => None,
    }
}

/// A checksum over what the disks call themselves; None where one says nothing.
fn mark(disks: &[PathBuf]) -> Option<String> {
    let mut crc = 0;
    for disk in disks {
        // In turn: NVMe and virtio, SATA, MMC, virtio.
        let serial = ["wwid", "device/wwid", "device/cid", "serial"]
            .into_iter()
            .find_map(|name| text(&disk.join(name)))?;
        crc = crate::wire::crc32c_append(crc, serial.as_bytes());
    }
    (!disks.is_empty()).then(|| format!("crc32c:{crc:08x}"))
}

/// What the machine runs in, the innermost first.
fn virt(roots: &Roots, mounts: &[Mount]) -> &'static str {
    if is_container(roots, mounts) {
        return "container";
    }
    let dmi = |name: &str| text(&roots.sys.join("class/dmi/id").join(name)).unwrap_or_default();
    let (vendor, product) = (dmi("sys_vendor"), dmi("product_name"));
    let says = |word: &str| vendor.contains(word) || product.contains(word);
    let xen = text(&roots.sys.join("hypervisor/type")).is_some_and(|kind| kind == "xen");
    let is_guest = has_hypervisor_flag(roots);
    match () {
        () if says("VMware") => "vmware",
        () if says("VirtualBox") => "virtualbox",
        () if vendor == "Microsoft Corporation" && product == "Virtual Machine" => "hyperv",
        () if says("KVM") || says("QEMU") || says("Google Compute Engine") => "kvm",
        // Bare-metal instances carry the vendor as well, but no hypervisor.
        () if vendor == "Amazon EC2" && is_guest => "kvm",
        () if xen || says("Xen") => "xen",
        () if has_virtio(roots) => "kvm",
        () if is_guest => "vm",
        () => "none",
    }
}

/// Only x86 tells.
fn has_hypervisor_flag(roots: &Roots) -> bool {
    let cpuinfo = text(&roots.proc.join("cpuinfo")).unwrap_or_default();
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags"));
    flags.is_some_and(|flags| flags.split_whitespace().any(|flag| flag == "hypervisor"))
}

/// A small monitor has neither DMI nor a flag on ARM, but always virtio.
fn has_virtio(roots: &Roots) -> bool {
    !names(&roots.sys.join("bus/virtio/devices")).is_empty()
}

/// By what the runtimes leave behind: the environment of the first process
/// (root alone may read it), the control group's path, and the files that are
/// mounted into the box from the runtime's own folders.
fn is_container(roots: &Roots, mounts: &[Mount]) -> bool {
    const RUNTIMES: &[&str] = &[
        "/docker",
        "/kubepods",
        "/kubelet/",
        "/lxc",
        "/libpod",
        "/overlay-containers/",
    ];
    let is_of_runtime = |path: &str| RUNTIMES.iter().any(|runtime| path.contains(runtime));
    let environment = text(&roots.proc.join("1/environ")).unwrap_or_default();
    let groups = text(&roots.proc.join("self/cgroup")).unwrap_or_default();
    environment.split('\0').any(|variable| variable.starts_with("container="))
        || groups.lines().any(is_of_runtime)
        // A host with Docker mounts its overlays too, but not onto /etc.
        || mounts.iter().any(|mount| mount.point.starts_with("/etc") && is_of_runtime(&mount.root))
        // systemd-nspawn shows the host's word here.
        || mounts.iter().any(|mount| mount.point.starts_with("/run/host"))
}
