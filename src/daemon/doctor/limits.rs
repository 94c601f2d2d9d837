//! The limits of the daemon's process where it runs, else of this command.

use super::{Finding, Site};

/// Segments, indexes and connections: below it a few hundred clients and a
/// few hundred logs meet their bound.
const FILES_MIN: u64 = 8192;
/// Real time without a rest that a log thread may need: far more than a batch.
const REAL_TIME_US_MIN: u64 = 200_000;
/// Kernels before 5.12 count a ring as locked memory.
const LOCKED_BYTES_MIN: u64 = 64 << 10;

pub(super) fn check(site: &Site) -> Vec<Finding> {
    let (limits, whose) = site.process_file("limits");
    let Some(limits) = limits else {
        return vec![Finding::note(format!("those {whose} are not told"))];
    };
    let soft = |name| soft(&limits, name);
    let mut findings = Vec::new();
    let mut judge = |limit: Option<u64>, least: u64, what: &str, to_do: &str| {
        if let Some(limit) = limit.filter(|limit| *limit < least) {
            findings.push(Finding::warning(format!("{limit} {what} ({whose})"), to_do));
        }
    };
    judge(
        soft("Max open files"),
        FILES_MIN,
        "open files at once are few",
        "set LimitNOFILE=1048576 in the unit, or ulimit -n before `dolmen dev`",
    );
    judge(
        soft("Max locked memory"),
        LOCKED_BYTES_MIN,
        "bytes of locked memory are few for a ring",
        "set LimitMEMLOCK=infinity in the unit",
    );
    judge(
        soft("Max realtime timeout"),
        REAL_TIME_US_MIN,
        "us of real time end a log thread that is merely busy",
        "set LimitRTTIME=1000000 in the unit",
    );
    let told = |name| match soft(name) {
        Some(u64::MAX) => "unlimited".into(),
        Some(limit) => limit.to_string(),
        None => "?".into(),
    };
    let all = format!(
        "NOFILE {}, MEMLOCK {}, RTPRIO {}, RTTIME {} us ({whose})",
        told("Max open files"),
        told("Max locked memory"),
        told("Max realtime priority"),
        told("Max realtime timeout"),
    );
    findings.insert(0, Finding::ok(all));
    findings
}

/// The first figure after the name; `unlimited` is the greatest number.
fn soft(limits: &str, name: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}
