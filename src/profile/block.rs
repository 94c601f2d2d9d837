//! The disks under a directory: from its mount to a block device, through
//! partitions, arrays and mapped devices to what holds the bytes.

use super::detect::{Roots, names, text};
use super::machine::Device;
use super::mount::Mount;
use crate::limits::BLOCK_DEVICE_LAYERS_MAX;
use std::fs;
use std::path::{Path, PathBuf};

pub(super) fn device(roots: &Roots, mounts: &[Mount], data: &Path) -> Device {
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
        mount_options: Some(mount.options.clone()),
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
