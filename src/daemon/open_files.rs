//! How many files the process has open and how many it may: what the doors tell
//! of it. The kernel is asked when a person or a tool asks.

use crate::ports::zookeeper::words::OpenFiles;
use std::fs;

pub fn look() -> OpenFiles {
    let open = fs::read_dir("/proc/self/fd").ok();
    let limits = fs::read_to_string("/proc/self/limits").ok();
    OpenFiles {
        // The folder itself is open while it is read.
        count: open.map(|open| (open.count() as u64).saturating_sub(1)),
        most: limits.and_then(|limits| most(&limits)),
    }
}

/// The soft limit, the first number of its line; the kernel sets one always.
fn most(limits: &str) -> Option<u64> {
    let mut lines = limits.lines();
    let line = lines.find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_read_from_its_line() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units\n\
                      Max processes             7823                 7823                 processes\n\
                      Max open files            1024                 524288               files\n";
        assert_eq!(most(limits), Some(1024));
        assert_eq!(most("Max open files            unlimited"), None);
    }

    #[test]
    fn a_process_has_its_files_within_its_limit() {
        let files = look();
        assert!(files.count > Some(0), "{files:?}");
        assert!(files.count < files.most, "{files:?}");
    }
}
