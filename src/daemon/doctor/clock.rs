//! Who keeps the clock right. Whether it is right the kernel tells only
//! through a call that a plain file does not replace, so this says what the
//! usual services leave in /run, and no more than that.

use super::{Finding, Site};

pub(super) fn check(site: &Site) -> Vec<Finding> {
    let is_there = |name: &str| site.run.join(name).exists();
    let services = [
        ("chrony/chronyd.pid", "chronyd", "chronyc tracking"),
        ("chronyd.pid", "chronyd", "chronyc tracking"),
        ("ntpd.pid", "ntpd", "ntpq -p"),
        ("ptp4l", "ptp4l", "pmc -u -b 0 'GET TIME_STATUS_NP'"),
    ];
    let service = services.into_iter().find(|(file, ..)| is_there(file));
    vec![if is_there("systemd/timesync/synchronized") {
        Finding::ok("synchronised by systemd-timesyncd")
    } else if let Some((_, name, ask)) = service {
        Finding::ok(format!(
            "{name} runs; `{ask}` tells whether it has found the time"
        ))
    } else if is_there("systemd/timesync") {
        Finding::warning(
            "systemd-timesyncd runs and has not found the time yet",
            "`timedatectl timesync-status` says whom it asks",
        )
    } else {
        Finding::note(
            "unknown: neither timesyncd, chronyd nor ntpd has left a trace in /run; certificates \
             and retention need a clock that is right",
        )
    }]
}
