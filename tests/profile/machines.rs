//! What is read from recorded machines, and the profile each of them chooses.

use super::recorded;
use dolmen::profile::{Shelf, choose, rank};

#[track_caller]
fn check(machine: &str, facts: &str, profile: &str, reason: &str) {
    let found = recorded(machine);
    let disk = &found.disk;
    let number = |number: Option<u64>| number.map_or("?".into(), |number| number.to_string());
    let flag = |flag: Option<bool>| flag.map_or("?".into(), |flag| u8::from(flag).to_string());
    let told = format!(
        "{} {}c {}GiB limit {} | {} on {}: {}, {}, fua {}, rotational {} | {} Mbit/s | {}",
        found.arch,
        number(found.cores),
        number(found.memory_gib()),
        number(found.memory_limit_bytes.map(|bytes| bytes >> 30)),
        disk.file_system.as_deref().unwrap_or("?"),
        disk.disks.join("+"),
        disk.bus.unwrap_or("?"),
        disk.write_cache.unwrap_or("?"),
        flag(disk.fua),
        flag(disk.rotational),
        number(found.nic_speed_mbps),
        found.virt,
    );
    assert_eq!(told, facts);
    let choice = choose(&Shelf::built_in(), &found).unwrap();
    assert_eq!((&*choice.name, &*choice.reason), (profile, reason));
}

#[test]
fn a_raspberry_pi_on_its_card() {
    check(
        "rpi5-sd",
        "aarch64 4c 8GiB limit ? | ext4 on mmcblk0: mmc, write through, fua 0, rotational 0 | 1000 Mbit/s | none",
        "rpi5-sd",
        "arch aarch64, disk.bus mmc, devicetree.model Raspberry Pi 5 Model B Rev 1.0",
    );
}

#[test]
fn a_raspberry_pi_on_nvme() {
    check(
        "rpi5-nvme",
        "aarch64 4c 8GiB limit ? | ext4 on nvme0n1: nvme, write back, fua 1, rotational 0 | 1000 Mbit/s | none",
        "rpi5-nvme",
        "arch aarch64, disk.bus nvme, devicetree.model Raspberry Pi 5 Model B Rev 1.0",
    );
}

/// With the data on btrfs, which makes up its device number, and a limit on
/// the slice above the service.
#[test]
fn a_nuc() {
    check(
        "nuc-i5",
        "x86_64 12c 32GiB limit 8 | btrfs on nvme0n1: nvme, write back, fua 1, rotational 0 | 2500 Mbit/s | none",
        "nuc-i5",
        "arch x86_64, disk.bus nvme, virt none, dmi.product NUC13ANHi5",
    );
}

/// The data is on an array of two drives; the system's own disk is another.
#[test]
fn a_rack_server() {
    check(
        "rack-nvme-plp",
        "x86_64 16c 126GiB limit ? | xfs on nvme0n1+nvme1n1: nvme, write through, fua 1, rotational 0 | 25000 Mbit/s | none",
        "rack-nvme-plp",
        "cores 16, memory_gib 126, disk.bus nvme, disk.write_cache write through, nic.speed_mbps 25000, virt none",
    );
}

#[test]
fn a_guest_without_dmi() {
    check(
        "generic-vm",
        "x86_64 2c 4GiB limit ? | ext4 on vda: virtio, write back, fua 0, rotational 1 | ? Mbit/s | kvm",
        "generic-vm",
        "virt kvm",
    );
}

/// The file system is on a logical volume on dm-crypt on a partition.
#[test]
fn an_office_pc() {
    check(
        "generic",
        "x86_64 4c 16GiB limit ? | btrfs on sda: sata, write back, fua 0, rotational 1 | 1000 Mbit/s | none",
        "generic",
        "fits every machine",
    );
}

/// Version 1 of control groups, whose path is one that only the host knows.
#[test]
fn a_container() {
    check(
        "container",
        "x86_64 8c 32GiB limit 2 | overlay on : ?, ?, fua ?, rotational ? | ? Mbit/s | container",
        "generic",
        "fits every machine",
    );
}

#[test]
fn a_machine_of_which_nothing_is_known_is_generic() {
    check(
        "no-such-tree",
        &format!(
            "{} ?c ?GiB limit ? | ? on : ?, ?, fua ?, rotational ? | ? Mbit/s | none",
            std::env::consts::ARCH
        ),
        "generic",
        "fits every machine",
    );
}

#[test]
fn a_profile_that_does_not_fit_says_why() {
    let (shelf, machine) = (Shelf::built_in(), recorded("rpi5-sd"));
    let ranked: Vec<String> = rank(&shelf, &machine)
        .iter()
        .map(|one| match one.score {
            Some(score) => format!("{} {score}", one.profile.name),
            None => format!("{}: {}", one.profile.name, one.reason),
        })
        .collect();
    assert_eq!(
        ranked,
        [
            "rpi5-sd 3",
            "generic 0",
            "nuc-i5: arch is aarch64, not x86_64",
            "rack-nvme-plp: cores is 4, not 16 or more",
            "rpi5-nvme: disk.bus is mmc, not nvme",
            "generic-vm: virt is none, not kvm or vmware or xen or hyperv or virtualbox or vm",
        ]
    );
}

/// The mark is what a probe is held to; two boxes of one kind differ in it.
#[test]
fn disks_are_told_apart_without_their_serials() {
    let mark = |name| recorded(name).disk.mark;
    assert_eq!(mark("rpi5-nvme"), mark("rpi5-nvme"));
    assert_ne!(mark("rpi5-nvme"), mark("nuc-i5"));
    assert_eq!(mark("generic-vm"), None);
    assert!(mark("rack-nvme-plp").is_some_and(|mark| mark.starts_with("crc32c:")));
}

#[test]
fn this_machine_can_be_read() {
    let machine = dolmen::profile::Machine::here(&std::env::temp_dir());
    assert!(machine.memory_bytes.is_some());
    assert!(machine.cores.is_none_or(|cores| cores > 0));
    assert!(choose(&Shelf::built_in(), &machine).is_some());
}
