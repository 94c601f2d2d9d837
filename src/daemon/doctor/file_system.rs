//! Whether the file system keeps what it has synced, and its names too.

use super::Severity::{self, Error, Note, Ok, Warning};
use super::{Finding, Site};

/// How a file system is as the home of a log, and why.
const KNOWN: &[(&str, Severity, &str)] = &[
    ("ext4", Ok, ""),
    ("xfs", Ok, ""),
    (
        "btrfs",
        Note,
        "copies on write: each overwritten block is a new one, and a flush costs more",
    ),
    (
        "f2fs",
        Note,
        "made for cards: a sync may write a checkpoint of the whole file system",
    ),
    (
        "zfs",
        Note,
        "a flush waits for its intent log; give that a device with power-loss protection",
    ),
    (
        "ext3",
        Note,
        "has no extents: zeroing a journal file takes long",
    ),
    (
        "overlay",
        Warning,
        "is a container's layer: the data goes with the container",
    ),
    ("tmpfs", Error, "is memory: nothing outlives a restart"),
    ("ramfs", Error, "is memory: nothing outlives a restart"),
    (
        "vfat",
        Error,
        "has no journal: a name, and its file, may be lost with the power",
    ),
    (
        "msdos",
        Error,
        "has no journal: a name, and its file, may be lost with the power",
    ),
    (
        "exfat",
        Error,
        "has no journal: a name, and its file, may be lost with the power",
    ),
    (
        "ext2",
        Error,
        "has no journal: a name, and its file, may be lost with the power",
    ),
    (
        "nfs",
        Error,
        "is another machine's: its locks and syncs are promises of that one",
    ),
    (
        "nfs4",
        Error,
        "is another machine's: its locks and syncs are promises of that one",
    ),
    (
        "cifs",
        Error,
        "is another machine's: its locks and syncs are promises of that one",
    ),
    (
        "smb3",
        Error,
        "is another machine's: its locks and syncs are promises of that one",
    ),
    (
        "9p",
        Error,
        "is the host's through a pipe: what a sync means is for its server to say",
    ),
    (
        "virtiofs",
        Warning,
        "is the host's: what a sync means is for its server to say",
    ),
    (
        "ceph",
        Error,
        "is a cluster of its own: each flush crosses the network",
    ),
    ("squashfs", Error, "cannot be written"),
    ("iso9660", Error, "cannot be written"),
];

/// Mount options that break a promise or cost much.
const OPTIONS: &[(&str, Severity, &str)] = &[
    ("ro", Error, "cannot be written: mount -o remount,rw"),
    (
        "nobarrier",
        Error,
        "leaves flushes out: what was acknowledged is lost with the power",
    ),
    (
        "barrier=0",
        Error,
        "leaves flushes out: what was acknowledged is lost with the power",
    ),
    (
        "sync",
        Warning,
        "flushes every write, also those that nobody waits for",
    ),
    ("dax", Note, "has no page cache, so O_DIRECT gains nothing"),
];

const ELSEWHERE: &str = "put the data on ext4 or xfs: set node.data to a folder there";

pub(super) fn check(site: &Site) -> Vec<Finding> {
    let disk = &site.machine.disk;
    let Some(name) = disk.file_system.as_deref() else {
        return vec![Finding::note("not told by /proc/self/mountinfo")];
    };
    let family = name.strip_prefix("fuse.").map_or(name, |_| "fuse");
    let mut findings = vec![match KNOWN.iter().find(|(known, ..)| *known == family) {
        Some((_, Ok, _)) => Finding::ok(name),
        Some((_, severity, why)) => told(*severity, format!("{name} {why}"), ELSEWHERE),
        None if family == "fuse" => Finding::warning(
            format!("{name} is a program's: what a sync means is for that to say"),
            ELSEWHERE,
        ),
        None => Finding::note(format!("{name}, of which nothing is known here")),
    }];
    let options = disk.mount_options.as_deref().unwrap_or_default();
    for (option, severity, why) in OPTIONS {
        if options.split(',').any(|given| given == *option) {
            let message = format!("mounted with {option}, which {why}");
            findings.push(told(
                *severity,
                message,
                "take it out of /etc/fstab and remount",
            ));
        }
    }
    findings
}

fn told(severity: Severity, message: String, to_do: &str) -> Finding {
    let to_do = (severity >= Warning).then(|| to_do.into());
    Finding::of(severity, message, to_do)
}
