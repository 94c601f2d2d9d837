//! What the kernel's version already tells.

use super::{Finding, Site};

/// io_uring rings that can be restricted, as ours are.
const RING: (u32, u32) = (5, 10);
/// statx tells how O_DIRECT wants its memory, and a ring may have one issuer.
const DIRECT: (u32, u32) = (6, 1);

pub(super) fn check(site: &Site) -> Vec<Finding> {
    let Some(release) = &site.machine.kernel else {
        return vec![Finding::note("not told by /proc/sys/kernel/osrelease")];
    };
    let mut parts = release.split(['.', '-']).map(|part| part.parse().ok());
    let (Some(Some(major)), Some(Some(minor))) = (parts.next(), parts.next()) else {
        return vec![Finding::note(format!("{release}, which names no version"))];
    };
    vec![match (major, minor) {
        version if version < RING => Finding::warning(
            format!("{release}: its io_uring cannot be restricted to what the log needs"),
            "use Linux 5.10 or later, or set log.engine = \"threads\"",
        ),
        version if version < DIRECT => Finding::note(format!(
            "{release}: does not tell how O_DIRECT wants its memory; whole blocks of 4 KiB are \
             taken to be right"
        )),
        _ => Finding::ok(release),
    }]
}
