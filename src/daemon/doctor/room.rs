//! Whether there is room to start and room to go on.

use super::{Finding, Site};
use crate::disk::{Room, room};

const MIB: u64 = 1 << 20;
/// A journal file, a segment with its index, and what a door keeps: some
/// hundred names an hour at the worst.
const FILES_FEW: u64 = 10_000;
const FILES_TOO_FEW: u64 = 100;
/// Of all: below it most file systems scatter what they write.
const FREE_PERCENT_MIN: u64 = 5;

pub(super) fn check(site: &Site) -> Vec<Finding> {
    match room(site.data()) {
        Ok(room) => judge(site, room),
        Err(error) => vec![Finding::note(format!("not told: {error}"))],
    }
}

fn judge(site: &Site, room: Room) -> Vec<Finding> {
    let log = &site.config.log;
    // Two journal files and the reserve, to start; all of them and a segment
    // being written while another is sealed, to go on.
    let to_start = (2 * log.journal_file_mib + log.reserve_mib) * MIB;
    let to_go_on =
        (log.journal_files_max * log.journal_file_mib + log.reserve_mib + 2 * log.segment_mib)
            * MIB;
    let free = format!(
        "{} MiB free of {} MiB",
        room.bytes_free / MIB,
        room.bytes_total / MIB
    );
    let make_room = "make room, or set node.data to a larger disk";
    let mut findings = vec![if room.bytes_free < to_start {
        let message = format!("{free}: a start takes {} MiB", to_start / MIB);
        Finding::error(message, make_room)
    } else if room.bytes_free < to_go_on {
        let message = format!("{free}: journal and segments take {} MiB", to_go_on / MIB);
        Finding::warning(message, make_room)
    } else if room.bytes_free < room.bytes_total / 100 * FREE_PERCENT_MIN {
        let message = format!("{free}: less than {FREE_PERCENT_MIN} %");
        Finding::warning(message, make_room)
    } else {
        Finding::ok(free)
    }];
    // A total of 0 is a file system that makes room for names as they come.
    let files = format!("{} files may still be made", room.files_free);
    let fewer = "remove files, or make the file system again with more inodes (mkfs -N)";
    if room.files_total > 0 && room.files_free < FILES_TOO_FEW {
        findings.push(Finding::error(files, fewer));
    } else if room.files_total > 0 && room.files_free < FILES_FEW {
        findings.push(Finding::warning(files, fewer));
    }
    findings
}
