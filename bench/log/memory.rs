//! What this process holds of memory. RssAnon + RssShmem is what it needs;
//! VmRSS counts mapped files too, which the kernel can drop.

use serde::{Deserialize, Serialize};
use std::fs;

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Memory {
    pub own_kib: i64,
    pub resident_kib: i64,
}

impl Memory {
    pub fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let field = |name: &str| -> i64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|rest| rest.split_whitespace().next());
            number.and_then(|text| text.parse().ok()).unwrap_or(0)
        };
        Self {
            own_kib: field("RssAnon:") + field("RssShmem:"),
            resident_kib: field("VmRSS:"),
        }
    }

    /// What has come on top since `before`.
    pub fn since(self, before: Self) -> Self {
        Self {
            own_kib: self.own_kib - before.own_kib,
            resident_kib: self.resident_kib - before.resident_kib,
        }
    }
}
