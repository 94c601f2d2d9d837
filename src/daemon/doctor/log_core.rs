//! Where the log's threads run, and what keeping their core awake costs.

use super::{Finding, Site};
use crate::disk::class::Core;
use crate::profile::{CpuQuota, cpu_quota};

pub(super) fn check(site: &Site) -> Vec<Finding> {
    let log = &site.config.log;
    let (status, whose) = site.process_file("status");
    let cores = status.as_deref().and_then(Cores::read);
    let head = match (log.core, cores) {
        (Core::Any, _) => {
            return vec![Finding::ok(
                "log.core = \"any\": the log's threads run wherever the kernel puts them, and no \
                 core is kept awake for them",
            )];
        }
        (Core::Last, Some(Cores { count: 1, last })) => {
            return vec![Finding::ok(format!(
                "core {last} is the only one ({whose}), so the log has none of its own"
            ))];
        }
        (Core::Last, Some(Cores { count, last })) => {
            format!("the log's threads share core {last}, the last of {count} ({whose})")
        }
        (Core::Last, None) => format!("the log's threads share the last core ({whose})"),
    };
    let process = site
        .holder_pid()
        .map_or("self".into(), |pid| pid.to_string());
    let quota = cpu_quota(&site.roots, &process)
        .filter(|quota| cores.is_none_or(|cores| quota.cores() < cores.count as f64));
    vec![Finding::ok(head), vigil(log.keep_awake.as_micros(), quota)]
}

fn vigil(keep_awake_us: u128, quota: Option<CpuQuota>) -> Finding {
    match (keep_awake_us, quota) {
        (0, _) => Finding::ok("it may fall asleep under a write (log.keep_awake_us = 0)"),
        (us, None) => Finding::ok(format!(
            "a write under way keeps it awake, for {us} us at the most (log.keep_awake_us)"
        )),
        (us, Some(quota)) => Finding::warning(
            format!(
                "a write under way keeps it awake, for {us} us at the most, and that counts \
                 against the quota of {quota} like work"
            ),
            "set log.keep_awake_us = 0, or take the quota away (CPUQuota= in the unit, --cpus of \
             the container)",
        ),
    }
}

/// Those that a process may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cores {
    count: u64,
    last: u64,
}

impl Cores {
    /// `Cpus_allowed_list: 0-3,6`, as proc(5) has it.
    fn read(status: &str) -> Option<Self> {
        let mut lines = status.lines();
        let list = lines.find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
        let mut cores = Self { count: 0, last: 0 };
        for range in list.trim().split(',') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
            cores.count += last.checked_sub(first)? + 1;
            cores.last = last;
        }
        Some(cores)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_cores_is_counted() {
        let read = |list: &str| Cores::read(&format!("Name:\tx\nCpus_allowed_list:\t{list}\n"));
        let cores = |count, last| Some(Cores { count, last });
        assert_eq!(read("0"), cores(1, 0));
        assert_eq!(read("0-3"), cores(4, 3));
        assert_eq!(read("1,4-5,9"), cores(4, 9));
        assert_eq!(read("3-1"), None);
        assert_eq!(read(""), None);
    }
}
