//! The disk under the data folder, as the kernel describes it.

use super::{Finding, Site};

pub(super) fn check(site: &Site) -> Vec<Finding> {
    let disk = &site.machine.disk;
    if disk.disks.is_empty() {
        return vec![Finding::note(
            "no block device is known under the data folder",
        )];
    }
    let names = disk.disks.join("+");
    let bus = disk.bus.unwrap_or("unknown bus");
    let head = format!("{names} ({bus})");
    let mut findings = vec![match (disk.write_cache, disk.fua) {
        (Some("write through"), _) => {
            Finding::ok(format!("{head}: write through, a flush has nothing to do"))
        }
        (Some(cache), fua) => Finding::note(format!(
            "{head}: {cache}, a volatile cache that every flush empties{}",
            match fua {
                Some(true) => "; fua spares that for single writes",
                _ => "",
            }
        )),
        (None, _) => Finding::note(format!("{head}: its write cache is not told")),
    }];
    let worn = match disk.bus {
        Some("mmc") => {
            "a card or eMMC wears out under small durable writes, and a flush may \
                        take hundreds of milliseconds"
        }
        Some("usb") => "a USB bridge may answer a flush without passing it on, and be pulled out",
        _ => return findings,
    };
    findings.push(Finding::warning(
        format!("{head}: {worn}"),
        "put the data on NVMe or SATA where the box has it",
    ));
    findings
}
